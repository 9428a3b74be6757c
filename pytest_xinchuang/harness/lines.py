"""A process that is kept alive and speaks in lines, as the harnesses of every conformance package do."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from dataclasses import dataclass, field

from pytest_xinchuang.core.errors import HostFault, SandboxFault
from pytest_xinchuang.sandbox.protocol import Process


@dataclass
class LineProcess:
    """A harness that is up, with the threads that feed it and read from it.

    Attributes:
        lines: whole lines as they come, several at once; None at the end of its output.
        outgoing: what it is to be sent; None closes its stdin.
    """

    process: Process
    max_line: int = 16 << 20
    lines: queue.SimpleQueue[list[bytes] | None] = field(default_factory=queue.SimpleQueue)
    outgoing: queue.SimpleQueue[bytes | None] = field(default_factory=queue.SimpleQueue)
    stderr: deque[bytes] = field(default_factory=lambda: deque(maxlen=64))
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        for target in (self._read, self._write, self._drain):
            thread = threading.Thread(target=target, daemon=True)
            thread.start()
            self.threads.append(thread)

    def _read(self) -> None:
        rest = b""
        with contextlib.suppress(OSError, ValueError, SandboxFault):
            while chunk := self.process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
                *whole, rest = (rest + chunk).split(b"\n")
                if whole:
                    self.lines.put(whole)
                if len(rest) > self.max_line:
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
        for thread in self.threads:
            thread.join(timeout_s)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            with contextlib.suppress(OSError, ValueError, HostFault):
                pipe.close()

    def said(self) -> str:
        """The last line of its stderr, for people: nothing may depend on it."""
        lines = b"".join(self.stderr).decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else ""
