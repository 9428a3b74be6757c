"""The protocol that every sandbox keeps: run a command, keep one alive, move files, say what you are."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import IO, Any, Protocol, runtime_checkable

from pytest_xinchuang.core.linux import LinuxSignal
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.sandbox.call_log import CallLog

WORK_DIR = "/xc"
"""The one directory of a sandbox in which a subject may write and leave files."""

SANDBOX_UID = 1000
"""The user id that target code sees itself as."""

BASE_ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": WORK_DIR, "LANG": "C", "TMPDIR": WORK_DIR, "TZ": "UTC"}
"""The environment of every command; what a caller gives is laid over it."""


@dataclass(frozen=True)
class Limits:
    """What a command may use.

    Attributes:
        wall_s: seconds on the wall clock, before the platform's time-out scale.
        memory_mb: resident memory of the command and all that it starts, MiB.
        processes: processes and threads that may exist at once.
        output_mb: bytes kept of each of stdout and stderr, MiB; more is read and thrown away.
        file_mb: the largest file, MiB.
    """

    wall_s: float = 60.0
    memory_mb: int = 1024
    processes: int = 256
    output_mb: int = 16
    file_mb: int = 256


class Ended(StrEnum):
    """How a command came to its end."""

    EXITED = "exited"
    SIGNALED = "signaled"
    TIMED_OUT = "timed-out"
    """Our time-out: says nothing about the subject by itself."""
    OVER_LIMIT = "over-limit"
    """Memory or process limit of ours."""
    EMULATOR_FAULT = "emulator-fault"
    """The emulator itself crashed or refused to start."""
    HOST_FAULT = "host-fault"
    """The sandbox broke under the command: killed from outside, a lost supervisor, a dead daemon."""

    @property
    def word(self) -> Message:
        """As people read it."""
        return _ENDED[self]


_ENDED = {
    Ended.EXITED: _("exited"),
    Ended.SIGNALED: _("signaled"),
    Ended.TIMED_OUT: _("timed-out"),
    Ended.OVER_LIMIT: _("over-limit"),
    Ended.EMULATOR_FAULT: _("emulator-fault"),
    Ended.HOST_FAULT: _("host-fault"),
}


@dataclass(frozen=True)
class Outcome:
    """What was seen of one command.

    Attributes:
        code: the exit code, when it exited.
        signal: the number of the target's signal, when it was signaled.
        wall_ms: milliseconds from the start of the command to its end.
        cpu_ms: user and system time of the command and its waited-for children.
        leftovers: processes that the command left behind, and that were killed.
        cause: for ends that are not the command's own: what happened.
        log: of a traced run: its system calls, where the backend has a log that the command can neither write nor close.
    """

    argv: tuple[str, ...]
    ended: Ended
    code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    wall_ms: float
    cpu_ms: float
    truncated: bool = False
    leftovers: int = 0
    cause: Message = NOTHING
    cpu: str = ""
    log: CallLog | None = None

    @property
    def ok(self) -> bool:
        return self.ended is Ended.EXITED and self.code == 0

    @property
    def is_fault(self) -> bool:
        """Whether the end is on our side, so that it can never be the subject's failure."""
        return self.ended in (Ended.EMULATOR_FAULT, Ended.HOST_FAULT, Ended.TIMED_OUT, Ended.OVER_LIMIT)

    def as_evidence(self) -> dict[str, Any]:
        """The part that the journal keeps: the ends of the output, with the digest of the whole."""
        return {
            "argv": list(self.argv),
            "cpu": self.cpu,
            "ended": str(self.ended),
            "code": self.code,
            "signal": self.signal,
            "cause": self.cause,
            "stdout": self.stdout[:2000].decode(errors="backslashreplace"),
            "stdout_sha256": hashlib.sha256(self.stdout).hexdigest(),
            "stderr": self.stderr[-1000:].decode(errors="backslashreplace"),
            "truncated": self.truncated,
            "leftovers": self.leftovers,
            "wall_ms": self.wall_ms,
            "cpu_ms": self.cpu_ms,
        }

    def describe(self) -> Message:
        """The end in a few words: "exit code 3", "killed by SIGILL (4)", or the cause."""
        if self.ended is Ended.EXITED:
            return _("exit code {code}", code=self.code)
        if self.ended is Ended.SIGNALED and self.signal is not None:
            try:
                name = verbatim(LinuxSignal(self.signal).name)
            except ValueError:
                name = _("signal")
            return _("killed by {name} ({number})", name=name, number=self.signal)
        return _("{ended}: {cause}", ended=self.ended.word, cause=self.cause)

    def describe_with_tail(self) -> Message:
        """The end with the last line of stderr behind it, if there is one."""
        lines = self.stderr.decode(errors="replace").strip().splitlines()
        end = self.describe()
        return _("{end}: {tail}", end=end, tail=verbatim(lines[-1].strip())) if lines else end


@dataclass(frozen=True)
class Fingerprint:
    """What a sandbox is, so that a lab can tell two of them apart.

    Attributes:
        isolation: what the backend gives: ``children_emulated``, ``no_network``, ``private_layer``,
            ``cpu_pinned`` (children cannot change the CPU model), ``kernel_floor`` (system calls that the platform's kernel
            lacks answer ENOSYS, as far as they can be taken away), ``identity`` (os-release and the like are the platform's
            own), ``call_list`` (target code makes no system calls of the host but those of an allow-list), ``host_refused``
            (programs of the host's architecture cannot be started), ``memory_counted`` (the kernel counts all of the
            sandbox's memory, that of no process too), each true or false; none may be left out.
        differs: how the root filesystem and the kernel differ from the platform's own, or a real machine from its facts.
        degraded: what the host did not allow, for people; empty where nothing is amiss.
        passed_over: better ways to open a sandbox, each with the reason why this host does not allow it.
        contradicts: how a real machine contradicts what is written of the platform; nothing that ran on it passes.
        own_kernel: whether the kernel is the platform's own; nothing is taken away from it.
        observed: what the target itself said: ``uname_m``, without which nothing passes, ``uname_r``, and ``page_size`` in
            bytes.
    """

    backend: str
    platform: str
    fidelity: Fidelity
    emulated: bool
    rootfs: str
    rootfs_digest: str
    stand_in: bool
    differs: tuple[Message, ...]
    emulator: str
    emulator_digest: str
    cpu_model: str
    isolation: Mapping[str, bool]
    observed: Mapping[str, str]
    host_kernel: str
    baseline_ms: float
    degraded: Message = NOTHING
    passed_over: tuple[Message, ...] = ()
    contradicts: tuple[Message, ...] = ()
    own_kernel: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


class Process(Protocol):
    """A command that is kept alive, with binary pipes."""

    stdin: IO[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        """Wait for the end; ``None`` when it has not come within ``timeout_s``."""

    def kill(self) -> Outcome:
        """Kill the command and everything that it started."""


Launch = Callable[[], Process]
"""Starts a command that is kept alive, e.g. a harness."""


@runtime_checkable
class Sandbox(AbstractContextManager["Sandbox"], Protocol):
    """A place where target code runs. All methods raise SandboxFault when the sandbox itself breaks."""

    fingerprint: Fingerprint

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str = WORK_DIR,
        limits: Limits | None = None,
        trace: bool = False,
    ) -> Outcome:
        """Run ``argv`` to its end.

        Args:
            trace: log the command's system calls: apart, as ``Outcome.log``, where the backend can, else to stderr.
        """

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = WORK_DIR,
        limits: Limits | None = None,
    ) -> Process:
        """Start ``argv`` and leave it running."""

    def put(self, path: str, data: bytes, *, executable: bool = False) -> None:
        """Write a file inside the sandbox, with its directories."""

    def get(self, path: str) -> bytes:
        """Read a file from inside the sandbox."""

    def changes(self) -> tuple[str, ...] | None:
        """Paths outside ``WORK_DIR`` that were changed since the start or the last ``reset``; None: cannot tell."""

    def reset(self) -> None:
        """Empty ``WORK_DIR`` and the private writable layer."""

    def alive(self) -> bool: ...

    def close(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def logs_apart(sandbox: Sandbox) -> bool:
    """Whether traced runs have a log that the command can neither see, write nor close."""
    return bool(getattr(sandbox, "logs_apart", False))
