"""A harness on this host, by its command: for vendors at their desk, for tests and for oracles."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, system_error, told, verbatim
from pytest_xinchuang.sandbox.protocol import Ended, Launch, Outcome
from pytest_xinchuang.tools.process import PIPE, Runner


class LocalProcess:
    """A process of this host, with its session, so that nothing of it is left behind."""

    def __init__(self, argv: Sequence[str], cwd: Path | None) -> None:
        self._argv = tuple(argv)
        try:
            # A vendor's own program, in the vendor's own environment.
            self._process = Runner().start(argv, cwd=cwd, env=os.environ, stdin=PIPE)
        except (OSError, ValueError) as error:
            problem = system_error(error) if isinstance(error, OSError) else told(error)
            raise XcError(
                _(
                    "the harness {program} could not be started: {problem}",
                    program=verbatim(repr(argv[0])),
                    problem=problem,
                )
            ) from error
        assert self._process.stdin and self._process.stdout and self._process.stderr
        self.stdin: IO[bytes] = self._process.stdin.raw  # type: ignore[attr-defined]
        self.stdout: IO[bytes] = self._process.stdout
        self.stderr: IO[bytes] = self._process.stderr

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        code = self._process.wait(timeout_s)
        if code is None:
            return None
        wall = self._process.seconds * 1000
        if code < 0:
            return Outcome(self._argv, Ended.SIGNALED, None, -code, b"", b"", wall, 0.0)
        return Outcome(self._argv, Ended.EXITED, code, None, b"", b"", wall, 0.0)

    def kill(self) -> Outcome:
        self._process.kill()
        outcome = self.wait()
        assert outcome is not None
        return outcome


def local(argv: Sequence[str], cwd: Path | None = None) -> Launch:
    """Starts ``argv`` on this host."""
    return lambda: LocalProcess(argv, cwd)
