"""A journal that another process still writes, read as it grows: whole lines alone, each checked as in any other journal."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from pytest_xinchuang.core.events import Event
from pytest_xinchuang.core.reading import Reader
from pytest_xinchuang.core.record import Journal
from pytest_xinchuang.messages import Message

_MOST = 1 << 20
"""Bytes that are read at once."""


class Following:
    """Follows one journal from its first line on. The file need not be there yet.

    It survives a fork, and a signal whose handler raises: neither moves where the other, or the next call, goes on.

    Attributes:
        events: all that was read, in order.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[Event] = []
        self._file: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._reader = Reader(self.path)
        self._offset = 0
        self._rest = b""
        self._busy = False
        self.events.clear()

    @property
    def journal(self) -> Journal | None:
        """What was read so far; None before its first line."""
        return self._reader.journal

    @property
    def refusal(self) -> Message | None:
        """Why this is not the journal that a run writes; None: nothing speaks against it."""
        return self._reader.refusal

    def read(self) -> None:
        """Read what was written since; nothing more once the journal is refused."""
        if self._busy:
            self._begin()  # something has cut the last reading short, and nobody knows where
        self._busy = True
        if self._file is None:
            with contextlib.suppress(FileNotFoundError):
                self._file = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        while self._file is not None and self.refusal is None:
            found = os.pread(self._file, _MOST, self._offset)
            if not found:
                break
            self._offset += len(found)
            *lines, self._rest = (self._rest + found).split(b"\n")
            for line in lines:
                event = self._reader.take(line + b"\n")
                if self.refusal is not None:
                    break  # what is behind it is no more to be believed, whenever it is read
                if event is not None:
                    self.events.append(event)
        self._busy = False

    def end(self) -> Journal | None:
        """Read the rest of what nobody writes any more, once: the journal with all that is wrong with it; None without one."""
        self.read()
        if self._rest:
            self._reader.take(self._rest)
        self.close()
        return self._reader.end()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
