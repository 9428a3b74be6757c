"""Runs programs: the only place of the package that starts one.

``Runner.run`` waits for a program's end, ``Runner.start`` returns one that stays up. Every program is the first of a session of
its own, so that nothing of it outlives a time-out or an interruption. The logger ``pytest_xinchuang.process`` is told of each.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.linux import LinuxSignal
from pytest_xinchuang.messages import NOTHING, Message, _, system_error, told, verbatim
from pytest_xinchuang.tools import sessions
from pytest_xinchuang.tools.streams import Capture, ThreadedCapture, capture_of

LOGGER = logging.getLogger("pytest_xinchuang.process")

OUTPUT_LIMIT = 256 << 20
"""Bytes of each output that a program may write: several times what the largest module's package list takes."""

EXE = ".exe" if sys.platform == "win32" else ""
"""How the names of programs end."""

DEVNULL, PIPE = subprocess.DEVNULL, subprocess.PIPE

_SLICE_S = 0.2
"""Seconds after which a program with open pipes is looked at again: it may have ended, and left them to another."""

_GRACE_S = 2.0
"""Seconds for what is left in the pipes of a program that has ended."""

_LANGUAGE = ("LANG", "LANGUAGE", "LC_")


class End(StrEnum):
    """How a program ended."""

    EXITED = "exited"
    SIGNALED = "signaled"
    TIMED_OUT = "timed-out"
    NOT_FOUND = "not-found"
    """There is no such program."""
    NOT_STARTABLE = "not-startable"
    """The program is there and cannot be run, or its directory is not there."""
    TOO_LARGE = "too-large"
    """The program wrote more than it may."""


@dataclass(frozen=True)
class Finished:
    """A program that was run.

    Attributes:
        code: its exit code; None unless it ``EXITED``.
        signal: the number of the signal that killed it; None unless it was ``SIGNALED``.
        seconds: wall-clock time that it took.
        limit: what it ran against: seconds for ``TIMED_OUT``, bytes for ``TOO_LARGE``.
        problem: the system's words on why it could not be started.
    """

    argv: tuple[str, ...]
    end: End
    code: int | None = None
    signal: int | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    seconds: float = 0.0
    limit: float = 0
    problem: Message = NOTHING

    @property
    def ok(self) -> bool:
        """Whether it exited with 0."""
        return self.code == 0

    @property
    def text(self) -> str:
        """Its standard output, as UTF-8."""
        return self.stdout.decode(errors="replace")

    @property
    def errors(self) -> str:
        """Its standard error, as UTF-8."""
        return self.stderr.decode(errors="replace")

    def told(self) -> Message:
        """The end in words."""
        program = Path(self.argv[0]).name
        match self.end:
            case End.EXITED:
                return _("{program} ended with exit code {code}", program=program, code=self.code)
            case End.SIGNALED:
                return _("{program} was killed by {signal}", program=program, signal=_signal_name(self.signal or 0))
            case End.TIMED_OUT:
                return _("{program} did not end within {seconds:g} s", program=program, seconds=self.limit)
            case End.NOT_FOUND:
                return _("there is no program {program}", program=self.argv[0])
            case End.NOT_STARTABLE:
                return _("{program} could not be started: {problem}", program=program, problem=self.problem)
            case End.TOO_LARGE:
                return _("{program} wrote more than {mib} MiB", program=program, mib=int(self.limit) >> 20)

    def exited(self, fault: type[HostFault] = HostFault, *, doing: Message = NOTHING, mend: str = "") -> Finished:
        """Itself, when it ran to an exit of its own, whatever the code.

        Args:
            doing: what could not be done without it, e.g. ``the API reader could not be built``.

        Raises:
            HostFault: it did not; as ``fault``.
        """
        if self.end is End.EXITED:
            return self
        raise fault(_("{doing}: {end}", doing=doing, end=self.told()) if doing else self.told(), mend=verbatim(mend))


def _signal_name(number: int) -> str:
    try:
        return LinuxSignal(number).name
    except ValueError:
        return str(number)


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our own environment with ``changes``, in which tools speak English and write UTF-8."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(_LANGUAGE)}
    return {**ours, "LC_ALL": "C.UTF-8", **(changes or {})}


def become(argv: Sequence[str], env: Mapping[str, str], cwd: Path | str) -> int:
    """Put a program into the place of this process: the terminal, its signals and the exit code are the program's.

    It never returns.

    Raises:
        HostFault: the program cannot be started.
    """
    LOGGER.info("becomes %s", shlex.join(argv))
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.chdir(cwd)
        os.execve(argv[0], list(argv), dict(env))
    except OSError as error:
        raise HostFault(
            _("{program} could not be started: {problem}", program=argv[0], problem=system_error(error))
        ) from error


class Running:
    """A program that was started and stays up. When it has ended, what it left in its session is ended too. Thread-safe.

    Attributes:
        stdin, stdout, stderr: our ends of its pipes; None where it was given something else.
        left: how many processes it left behind, once it has ended.
    """

    def __init__(self, process: subprocess.Popen[bytes], argv: tuple[str, ...], cwd: Path | str | None) -> None:
        self._process, self.argv, self._cwd = process, argv, cwd
        self.stdin: IO[bytes] | None = process.stdin
        self.stdout: IO[bytes] | None = process.stdout
        self.stderr: IO[bytes] | None = process.stderr
        self.left = 0
        self._started = time.monotonic()
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def seconds(self) -> float:
        """Wall-clock time since its start."""
        return time.monotonic() - self._started

    @property
    def status(self) -> int | None:
        """Its exit code, or a signal's number below zero; None while it runs."""
        return self.wait(0.0)

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for its end, at most so many seconds (None: for ever); its ``status`` then."""
        if self._over(seconds):
            self.kill()
        return self._process.returncode

    def interrupt(self, grace_s: float) -> None:
        """Ask it to end, as Ctrl-C does; what is still there after so many seconds is killed."""
        with self._lock:
            if self._process.returncode is None:
                sessions.interrupt(self._process)
        self.wait(grace_s)
        self.kill()

    def kill(self) -> None:
        """End it and all that is in its session."""
        with self._lock:
            if self._process.returncode is not None:
                return  # the number of its session may be another's by now
            if sys.platform == "win32":
                _end_tree(self.pid)
            self.left = sessions.kill_all(self._process)
            status = self._process.wait()
        end = f"killed by {_signal_name(-status)}" if status < 0 else f"exit code {status}"
        LOGGER.info("%s (in %s): %s after %.2f s", shlex.join(self.argv), self._cwd or ".", end, self.seconds)

    def _over(self, seconds: float | None) -> bool:
        """Whether it has ended; its number stays its own until ``kill`` has looked through its session."""
        deadline = None if seconds is None else time.monotonic() + seconds
        delay = 0.0005
        while self._process.returncode is None:
            if sessions.has_ended(self._process):
                return True
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(delay)
            delay = min(2 * delay, 0.05)
        return True


def _end_tree(pid: int) -> None:
    """Windows: end what a program has started, by the system's own command, while the program is still there."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        words = ["taskkill", "/T", "/F", "/PID", str(pid)]
        subprocess.run(words, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, timeout=_GRACE_S, check=False)


@dataclass(frozen=True)
class Runner:
    """Runs programs.

    Attributes:
        timeout_scale: every time-out is multiplied by it (``--xc-timeout-scale``).
    """

    timeout_scale: float = 1.0

    def seconds(self, seconds: float) -> float:
        """A time-out as it applies here."""
        return seconds * self.timeout_scale

    def start(
        self,
        argv: Sequence[str],
        *,
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int = DEVNULL,
        stdout: int | IO[bytes] = PIPE,
        stderr: int | IO[bytes] = PIPE,
        pass_fds: Sequence[int] = (),
        limits: Mapping[int, int] | None = None,
        buffered: bool = True,
        dies_with_us: bool = False,
    ) -> Running:
        """Start a program that stays up.

        Args:
            env: its whole environment; by default ``environment()``.
            stdin, stdout, stderr: ``DEVNULL``, ``PIPE`` or a file.
            limits: ``resource.RLIMIT_*`` -> what it may have at most.
            buffered: whether our ends of the pipes are.
            dies_with_us: whether it is killed when the thread that starts it ends, and so with us.

        Raises:
            OSError: it could not be started.
            ValueError: an argument cannot be handed to a program (a NUL in it).
        """
        LOGGER.debug("start %s (in %s)", shlex.join(argv), cwd or ".")
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment() if env is None else env,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            bufsize=-1 if buffered else 0,
            **sessions.started_apart(pass_fds, limits, dies_with_us),
        )
        return Running(process, tuple(argv), cwd)

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        stdout: IO[bytes] | None = None,
        output_limit: int = OUTPUT_LIMIT,
    ) -> Finished:
        """Run a program to its end; it is killed when we are.

        Args:
            timeout_s: seconds, before they are scaled.
            env: its whole environment; by default ``environment()``.
            stdin: what it is fed; by default it has ``/dev/null``.
            stdout: a file for its standard output; by default it is returned.
            output_limit: bytes that it may write to each of the streams that are returned.
        """
        words = tuple(argv)
        limit_s = self.seconds(timeout_s)
        try:
            running = self.start(
                words,
                cwd=cwd,
                env=env,
                stdin=DEVNULL if stdin is None else PIPE,
                stdout=PIPE if stdout is None else stdout,
                dies_with_us=True,
            )
        except (OSError, ValueError) as error:
            failed = _not_started(words, cwd, error)
            LOGGER.info("%s (in %s): %s", shlex.join(words), cwd or ".", failed.end.value)
            return failed
        deadline = time.monotonic() + limit_s
        fed, said, complained = (_taken(pipe) for pipe in (running.stdin, running.stdout, running.stderr))
        capture = capture_of(fed, said, complained, stdin or b"", output_limit)
        try:
            in_time = _watch(running, capture, deadline)
        finally:
            # Also when we are interrupted: what the program started is not left behind.
            running.kill()
            with contextlib.suppress(OSError):
                capture.pump(time.monotonic() + _SLICE_S)
            capture.close()
        status = running.status
        assert status is not None
        end, limit = End.EXITED if status >= 0 else End.SIGNALED, 0.0
        if capture.truncated:
            end, limit = End.TOO_LARGE, output_limit
        elif not in_time:
            end, limit = End.TIMED_OUT, limit_s
        return Finished(
            words,
            end,
            status if end is End.EXITED else None,
            -status if end is End.SIGNALED else None,
            capture.stdout,
            capture.stderr,
            round(running.seconds, 3),
            limit,
        )


UNSCALED = Runner()
"""Time-outs as they are written."""


def _taken(pipe: IO[bytes] | None) -> int | None:
    """A pipe's descriptor, to be closed by whoever reads it."""
    if pipe is None:
        return None
    with pipe:
        return os.dup(pipe.fileno())


def _watch(running: Running, capture: Capture | ThreadedCapture, deadline: float) -> bool:
    """Read until the program has ended; whether that was in time, and within the limit of its outputs."""
    while not capture.pump(min(deadline, time.monotonic() + _SLICE_S)):
        if capture.truncated or time.monotonic() >= deadline:
            return False
        if running.status is not None:
            capture.pump(time.monotonic() + _GRACE_S)
            return True
    return running.wait(max(deadline - time.monotonic(), 0.0)) is not None


def _not_started(argv: tuple[str, ...], cwd: Path | str | None, error: OSError | ValueError) -> Finished:
    nowhere = cwd is not None and not Path(cwd).is_dir()
    there = "/" in argv[0] and Path(argv[0]).exists()  # a script whose interpreter is not
    if isinstance(error, FileNotFoundError) and not nowhere and not there:
        return Finished(argv, End.NOT_FOUND)
    problem = system_error(error) if isinstance(error, OSError) else told(error)
    if nowhere:
        problem = _("{path}: {problem}", path=cwd, problem=problem)
    return Finished(argv, End.NOT_STARTABLE, problem=problem)


def first_line(text: str) -> Message:
    """The first line of what a tool has printed that is not empty."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return verbatim(line) if line else _("no message")


def last_line(text: str) -> Message:
    """The last line of what a tool has printed that is not empty."""
    return first_line("\n".join(reversed(text.splitlines())))
