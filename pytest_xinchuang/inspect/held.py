"""Bytes at hand: a file that is mapped into memory, or what was read of a stream."""

from __future__ import annotations

import errno
import mmap
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pytest_xinchuang.inspect.formats.contained import Pieces
from pytest_xinchuang.inspect.formats.streams import pieces

Regions = list[tuple[int, int]]
"""Ranges of bytes of a file."""

MOST_REGIONS = 1024


class Held:
    """Bytes with what has to be closed after them."""

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.data: Any = None
        self.regions: Regions | None = None

    def __enter__(self) -> Any:
        return self.data

    def __exit__(self, *_: object) -> None:
        self.data = None
        self.stack.close()


class MappedFile(mmap.mmap):
    """A file that is mapped into memory as a whole.

    Attributes:
        path: by which a process with our working directory finds it.
    """

    path: str


def mapped(path: Path | str) -> Held:
    """A file in memory."""
    held = Held()
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(fd)
        if status.st_size:
            held.data = held.stack.enter_context(MappedFile(fd, 0, access=mmap.ACCESS_READ))
            held.data.path = os.fspath(path)
            if getattr(status, "st_blocks", status.st_size) * 512 < status.st_size // 2:
                held.regions = _regions(fd, status.st_size)
        else:
            held.data = b""
    finally:
        os.close(fd)
    return held


def _regions(fd: int, size: int) -> Regions | None:
    """Where a sparse file has data; None where that is not told, or in too many places."""
    found: Regions = []
    at = 0
    while at < size and len(found) < MOST_REGIONS:
        try:
            begin = os.lseek(fd, at, os.SEEK_DATA)
            at = os.lseek(fd, begin, os.SEEK_HOLE)
        except OSError as error:
            # ENXIO: a hole up to the end.
            return found if error.errno == errno.ENXIO else None
        except AttributeError:
            return None
        found.append((begin, at))
    return found if at >= size else None


def part_of(data: Any, begin: int, end: int) -> Pieces:
    return Pieces(pieces(data, begin, end))
