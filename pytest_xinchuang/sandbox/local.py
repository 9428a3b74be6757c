"""A harness on this host, by its command: for vendors at their desk, for tests and for oracles."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.sandbox.protocol import Ended, Launch, Outcome


class LocalProcess:
    """A process of this host, with its session, so that nothing of it is left behind."""

    def __init__(self, argv: Sequence[str], cwd: Path | None) -> None:
        self._argv = tuple(argv)
        self._started = time.monotonic()
        try:
            self._process = subprocess.Popen(
                argv,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise XcError(f"the harness {argv[0]!r} could not be started: {error.strerror}") from error
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self.stdin: IO[bytes] = self._process.stdin.raw  # type: ignore[attr-defined]
        self.stdout: IO[bytes] = self._process.stdout
        self.stderr: IO[bytes] = self._process.stderr

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        wall = (time.monotonic() - self._started) * 1000
        if code < 0:
            return Outcome(self._argv, Ended.SIGNALED, None, -code, b"", b"", wall, 0.0)
        return Outcome(self._argv, Ended.EXITED, code, None, b"", b"", wall, 0.0)

    def kill(self) -> Outcome:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        outcome = self.wait(10)
        assert outcome is not None
        return outcome


def local(argv: Sequence[str], cwd: Path | None = None) -> Launch:
    """Starts ``argv`` on this host."""
    return lambda: LocalProcess(argv, cwd)
