"""A process that is kept alive and speaks in lines, as the harnesses of every conformance package do."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass, field

from pytest_xinchuang.core.errors import HostFault, SandboxFault
from pytest_xinchuang.sandbox.protocol import Process

MOST_WAITING = 8 << 20
"""Bytes of lines that wait to be taken; a harness that writes more is not read until they are."""


class Lines:
    """Lines between the thread that reads them and the one that takes them, no more than ``most`` bytes at once."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        self._most = most
        self._batches: deque[list[bytes] | None] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._closed = False

    def put(self, batch: list[bytes] | None) -> None:
        """Add lines, or None for the end of the output; waits for room, unless ``close`` was called."""
        with self._changed:
            while self._size > self._most and not self._closed:
                self._changed.wait()
            self._batches.append(batch)
            self._size += sum(map(len, batch or ()))
            self._changed.notify_all()

    def get(self, timeout: float) -> list[bytes] | None:
        """The next lines, or None at the end. Raises queue.Empty: none came within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._batches:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise queue.Empty
                self._changed.wait(left)
            batch = self._batches.popleft()
            self._size -= sum(map(len, batch or ()))
            self._changed.notify_all()
            return batch

    def close(self) -> None:
        """Nobody takes lines any more: whoever waits for room goes on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed


@dataclass
class LineProcess:
    """A harness that is up, with the threads that feed it and read from it.

    Attributes:
        lines: whole lines as they come, several at once; None at the end of its output.
        overlong: whether its output was given up for a line of more than ``max_line`` bytes.
        outgoing: what it is to be sent; None closes its stdin.
    """

    process: Process
    max_line: int = 16 << 20
    lines: Lines = field(default_factory=Lines)
    overlong: bool = False
    outgoing: queue.SimpleQueue[bytes | None] = field(default_factory=queue.SimpleQueue)
    stderr: deque[bytes] = field(default_factory=lambda: deque(maxlen=64))
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for target in (self._read, self._write, self._drain):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self.threads.append(thread)

    def _read(self) -> None:
        rest = bytearray()
        with contextlib.suppress(OSError, ValueError, SandboxFault):
            while not self.lines.closed and (chunk := self.process.stdout.read1(1 << 16)):  # type: ignore[attr-defined]
                first, *others = chunk.split(b"\n")
                rest += first
                if others:
                    self.lines.put([bytes(rest), *others[:-1]])
                    rest = bytearray(others[-1])
                if len(rest) > self.max_line:
                    self.overlong = True
                    break
        self.lines.put(None)

    def _write(self) -> None:
        with contextlib.suppress(OSError, ValueError, SandboxFault):
            while (data := self.outgoing.get()) is not None:
                view = memoryview(data)
                while view:
                    view = view[self.process.stdin.write(view) or 0 :]
            self.process.stdin.close()

    def _drain(self) -> None:
        with contextlib.suppress(OSError, ValueError, SandboxFault):
            while chunk := self.process.stderr.read1(4096):  # type: ignore[attr-defined]
                self.stderr.append(chunk)

    def finish(self, timeout_s: float) -> None:
        """Let the threads end, and close the pipes; the process has ended.

        Args:
            timeout_s: seconds for each thread; one that reads on, since another process has the pipe, is left behind.
        """
        self.outgoing.put(None)
        self.lines.close()
        for thread in self.threads:
            thread.join(timeout_s)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError, ValueError, HostFault):
                pipe.close()

    def said(self) -> str:
        """The last line of its stderr, for people: nothing may depend on it."""
        lines = b"".join(self.stderr).decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""
