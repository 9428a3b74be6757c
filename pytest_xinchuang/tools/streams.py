"""Feeding a command's stdin and reading its output at once, within limits; without a thread where the system can."""

from __future__ import annotations

import contextlib
import io
import os
import queue
import selectors
import sys
import threading
import time
from typing import Any


class Capture:
    """Reads stdout and stderr until both close, while stdin is fed.

    ``pump`` returns at the deadline at the latest, so the caller decides what a time-out means. The descriptors are closed
    here; None stands for a stream that is not ours to read or feed.

    Args:
        keep: bytes that are kept of each output; the rest is read and dropped, and ``truncated`` says so.
    """

    def __init__(
        self, stdin_fd: int | None, stdout_fd: int | None, stderr_fd: int | None, stdin: bytes, keep: int
    ) -> None:
        self._keep = keep
        self._input = memoryview(stdin)
        self._selector = selectors.DefaultSelector()
        self._buffers = {fd: bytearray() for fd in (stdout_fd, stderr_fd) if fd is not None}
        self._stdout_fd, self._stderr_fd = stdout_fd, stderr_fd
        self.truncated = False
        for fd in self._buffers:
            os.set_blocking(fd, False)
            self._selector.register(fd, selectors.EVENT_READ)
        if stdin_fd is None:
            return
        os.set_blocking(stdin_fd, False)
        if stdin:
            self._selector.register(stdin_fd, selectors.EVENT_WRITE)
        else:
            os.close(stdin_fd)

    def pump(self, deadline: float) -> bool:
        """Read and write until everything is closed (True) or the monotonic ``deadline`` has come (False)."""
        while self._selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for key, _ in self._selector.select(left):
                if key.fd in self._buffers:
                    self._read(key.fd)
                else:
                    self._feed(key.fd)
        return True

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, 1 << 16)
        except BlockingIOError:
            return
        if not data:
            self._drop(fd)
            return
        room = self._keep - len(self._buffers[fd])
        self._buffers[fd] += data[: max(room, 0)]
        self.truncated |= len(data) > room

    def _feed(self, fd: int) -> None:
        try:
            self._input = self._input[os.write(fd, self._input[: 1 << 16]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._input = self._input[:0]
        if not self._input:
            self._drop(fd)

    def _drop(self, fd: int) -> None:
        self._selector.unregister(fd)
        os.close(fd)

    def close(self) -> None:
        """Close what is still open."""
        for key in list(self._selector.get_map().values()):
            self._drop(key.fd)
        self._selector.close()

    @property
    def stdout(self) -> bytes:
        return b"" if self._stdout_fd is None else bytes(self._buffers[self._stdout_fd])

    @property
    def stderr(self) -> bytes:
        return b"" if self._stderr_fd is None else bytes(self._buffers[self._stderr_fd])


class ThreadedCapture:
    """The same by a thread for each stream: Windows waits for no pipe."""

    def __init__(
        self, stdin_fd: int | None, stdout_fd: int | None, stderr_fd: int | None, stdin: bytes, keep: int
    ) -> None:
        self._keep = keep
        self._buffers = {fd: bytearray() for fd in (stdout_fd, stderr_fd) if fd is not None}
        self._stdout_fd, self._stderr_fd = stdout_fd, stderr_fd
        self.truncated = False
        self._closed: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._open = {*self._buffers, *(() if stdin_fd is None else (stdin_fd,))}
        for fd in self._buffers:
            threading.Thread(target=self._read, args=(fd,), daemon=True).start()
        if stdin_fd is not None:
            threading.Thread(target=self._feed, args=(stdin_fd, stdin), daemon=True).start()

    def pump(self, deadline: float) -> bool:
        """Wait until everything is closed (True) or the monotonic ``deadline`` has come (False)."""
        while self._open:
            try:
                self._open.discard(self._closed.get(timeout=max(deadline - time.monotonic(), 0.0)))
            except queue.Empty:
                return False
        return True

    def _read(self, fd: int) -> None:
        buffer = self._buffers[fd]
        with contextlib.suppress(OSError):
            while data := os.read(fd, 1 << 16):
                room = self._keep - len(buffer)
                buffer += data[: max(room, 0)]
                self.truncated |= len(data) > room
        self._end(fd)

    def _feed(self, fd: int, data: bytes) -> None:
        with contextlib.suppress(OSError):
            left = memoryview(data)
            while left:
                left = left[os.write(fd, left[: 1 << 16]) :]
        self._end(fd)

    def _end(self, fd: int) -> None:
        with contextlib.suppress(OSError):
            os.close(fd)
        self._closed.put(fd)

    def close(self) -> None:
        """Nothing: each thread closes its own when the other end is closed."""

    @property
    def stdout(self) -> bytes:
        return b"" if self._stdout_fd is None else bytes(self._buffers[self._stdout_fd])

    @property
    def stderr(self) -> bytes:
        return b"" if self._stderr_fd is None else bytes(self._buffers[self._stderr_fd])


def capture_of(
    stdin_fd: int | None, stdout_fd: int | None, stderr_fd: int | None, stdin: bytes, keep: int
) -> Capture | ThreadedCapture:
    """A capture of the kind that this system can do; the arguments are those of :class:`Capture`."""
    kind = ThreadedCapture if sys.platform == "win32" else Capture
    return kind(stdin_fd, stdout_fd, stderr_fd, stdin, keep)


class Remembered(io.RawIOBase):
    """The reading end of a pipe that remembers the last of what came, whoever read it.

    Args:
        fd: is owned, and closed with this.
        keep: bytes that are remembered.
    """

    def __init__(self, fd: int, keep: int = 1 << 16) -> None:
        self._fd, self._keep = fd, keep
        self.last = b""

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def readinto(self, into: Any) -> int:
        data = os.read(self._fd, len(into))
        into[: len(data)] = data
        self.last = (self.last + data)[-self._keep :]
        return len(data)

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()
