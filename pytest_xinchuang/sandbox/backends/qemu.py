"""The rootless sandbox: user namespaces, a private binfmt_misc and qemu-user, fed through a pipe."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import platform as host
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import NOTHING, Message, _, system_error, verbatim
from pytest_xinchuang.provision.refs import SANDBOX_HOST_UID
from pytest_xinchuang.sandbox.answers import check_errno, outcome_of
from pytest_xinchuang.sandbox.backends.inside import confinement
from pytest_xinchuang.sandbox.backends.qemu_spec import QemuSpec as QemuSpec
from pytest_xinchuang.sandbox.call_log import CallLog, read_pieces
from pytest_xinchuang.sandbox.emulator_faults import Again
from pytest_xinchuang.sandbox.protocol import BASE_ENV, WORK_DIR, Fingerprint, Limits, Outcome
from pytest_xinchuang.sandbox.situation import mend_for, why_refused
from pytest_xinchuang.sandbox.wall import calls, masks, pinned
from pytest_xinchuang.sandbox.wall.emulation import emulation
from pytest_xinchuang.sandbox.wall.groups import MemoryGroup
from pytest_xinchuang.tools.process import DEVNULL
from pytest_xinchuang.tools.streams import Capture, Remembered

START_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 60.0
"""Seconds for one of the supervisor's own answers: a file, a list of changes."""
OVERHEAD_MB = 256
"""MiB of a sandbox's memory beside that of its commands and its layer: supervisor, emulators' files, /dev/shm."""
SHARED_MB = 1024
"""MiB of SysV shared memory in one sandbox."""
MOST_READ = 1 << 30
"""Bytes of the largest file that is read from a sandbox."""
KILL_TIMEOUT_S = 5.0
"""Seconds for the end of what was killed."""


class QemuSandbox:
    """One long-lived sandbox. Thread-safe; use as a context manager.

    Raises:
        SandboxFault: it could not be started; nothing is left behind, and the first cause and a mend are named.
    """

    def __init__(self, spec: QemuSpec) -> None:
        self.spec = spec
        self._ids = itertools.count(1)
        self._replies: dict[int, dict[str, Any]] = {}
        self._lock = threading.Condition()
        self._reading = False
        self._dead = NOTHING
        self._kept: list[QemuProcess] = []
        self._group: MemoryGroup | None = None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = ours
        script = Path(__file__).with_name("supervisor.py")
        try:
            self._supervisor = spec.runner.start(
                [sys.executable, "-I", "-S", str(script), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdout=DEVNULL,
                cwd="/",
            )
        except OSError as error:
            ours.close()
            raise SandboxFault(
                _("the sandbox's supervisor could not be started: {why}", why=system_error(error))
            ) from error
        finally:
            theirs.close()
        try:
            # Before it is told what to do: whatever it starts is in the group.
            self._group = MemoryGroup.of(self._supervisor.pid)
            self._ready = self._shake_hands()
            self._children, self._missing = self._ready["children"], Message.from_data(self._ready["missing"] or "")
            self._copied_mb = -(-self._ready["copied"] >> 20)
            self.fingerprint = self._fingerprint()
        except BaseException:
            self.close()
            raise

    def _config(self) -> dict[str, Any]:
        spec, machine = self.spec, host.machine()
        if not calls.supported(machine) or (spec.emulator is not None and not pinned.supported(machine)):
            raise SandboxFault(
                _(
                    "on a {machine} host the programs that a program starts cannot be emulated",
                    machine=verbatim(machine),
                ),
                mend=_(
                    "an x86-64 or arm64 host, or {option} on the board itself",
                    option=verbatim("--xc-backend=native"),
                ),
                namespaces=True,
            )
        config = {
            "rootfs": str(spec.rootfs.path),
            "emulator": "",
            "emulator_name": "",
            "emulators": {},
            "log": "",
            "helpers": {},
            "children": spec.children,
            "layer": spec.layer,
            "registrations": [],
            "network": False,
            "loopback": spec.loopback,
            "layer_mb": spec.layer_mb,
            "shared_mb": SHARED_MB,
            "memory_group": self._group is not None,
            "sandbox_host_uid": SANDBOX_HOST_UID,
            "identity": dict(spec.identity),
            "masked": list(masks.MASKED),
            "read_only": list(masks.READ_ONLY),
            "filter": calls.seccomp_program(machine, spec.absent_calls).hex(),
            "traced_filter": calls.seccomp_program(machine, spec.absent_calls, traced=True).hex(),
        }
        return (
            config
            if spec.emulator is None
            else config | emulation(spec.emulator, spec.arch, machine, spec.cpu_model, spec.kernel_release)
        )

    def _shake_hands(self) -> dict[str, Any]:
        """Configure the supervisor; returns what it says of itself."""
        confinement.send(self._control, self._config())
        seconds = self.spec.runner.seconds(START_TIMEOUT_S)
        self._control.settimeout(seconds)
        try:
            answer, _fds = confinement.receive(self._control)
        except TimeoutError:
            raise SandboxFault(
                _("the sandbox did not start within {seconds:g} s", seconds=seconds), mend=verbatim("xc doctor")
            ) from None
        finally:
            self._control.settimeout(None)
        if answer is None:
            assert self._supervisor.stderr is not None
            text = self._supervisor.stderr.read().decode(errors="replace").strip().splitlines()
            raise SandboxFault(
                _("the sandbox's supervisor died at its start: {said}", said=verbatim(text[-1]))
                if text
                else _("the sandbox's supervisor died at its start, without a message")
            )
        if "failed" in answer:
            step, problem = Message.from_data(answer["failed"]), system_error(answer["errno"])
            raise SandboxFault(
                _("the sandbox could not {step}: {problem}", step=step, problem=problem),
                mend=mend_for(why_refused(answer["failed"]["id"], answer["errno"])),
                namespaces=True,
            )
        return answer

    def _fingerprint(self) -> Fingerprint:
        spec = self.spec
        baseline, observed = self._calibrate()
        children = bool(self._children)
        return Fingerprint(
            backend="qemu",
            platform=spec.platform,
            fidelity=Fidelity.EMULATED_USER if spec.emulator else Fidelity.NATIVE,
            emulated=spec.emulator is not None,
            rootfs=spec.rootfs.name,
            rootfs_digest=spec.rootfs.digest,
            stand_in=spec.rootfs.stand_in,
            differs=spec.rootfs.differs,
            emulator=spec.emulator.version if spec.emulator else "",
            emulator_digest=spec.emulator.digest if spec.emulator else "",
            cpu_model=spec.cpu_model if spec.emulator else host.processor() or host.machine(),
            isolation={
                "children_emulated": children,
                "cpu_pinned": children,
                "no_network": True,
                "private_layer": True,
                "call_list": True,
                "host_refused": children,
                "memory_counted": self._group is not None,
                "kernel_floor": spec.floor or spec.emulator is None,
                "identity": any(path != "/proc/cpuinfo" for path, _text in spec.identity) or not spec.rootfs.stand_in,
            },
            observed=observed,
            host_kernel=host.release(),
            baseline_ms=baseline,
            degraded=NOTHING if children else _("children are not emulated: {why}", why=self._missing),
            extra={
                "children": self._children or "none",
                "layer": self._ready["layer"],
                "user_attributes": self._ready["attributes"],
            },
        )

    def _calibrate(self) -> tuple[float, dict[str, str]]:
        """Run an empty program: the emulator takes the CPU model, and its start-up time is the baseline.

        Raises:
            SandboxFault: the emulator or the root filesystem cannot even run ``true`` and ``uname``.
        """
        asked = self.run(["uname", "-mr"], cwd="/")
        if not asked.ok:
            raise SandboxFault(
                _(
                    "{platform}: `uname` does not run under CPU model {cpu_model}: {detail}",
                    platform=self.spec.platform,
                    cpu_model=verbatim(repr(self.spec.cpu_model)),
                    detail=asked.describe_with_tail(),
                ),
                mend=_(
                    "check the emulation entry of this CPU, or `xc provision {platform} --force`",
                    platform=self.spec.platform,
                ),
            )
        release, _space, machine = asked.stdout.decode(errors="replace").strip().rpartition(" ")
        times = sorted(self.run(["true"], cwd="/").wall_ms for _turn in range(3))
        return round(times[1], 1), {"uname_m": machine, "uname_r": release}

    # -- commands

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
        limits = limits or Limits()

        def again() -> CallLog | None:
            return self._run(argv, stdin, env, cwd, limits, None, trace=True).log

        return self._run(argv, stdin, env, cwd, limits, again, trace=trace)

    def _run(
        self,
        argv: Sequence[str],
        stdin: bytes,
        env: Mapping[str, str] | None,
        cwd: str,
        limits: Limits,
        again: Again | None,
        *,
        trace: bool,
    ) -> Outcome:
        with contextlib.ExitStack() as stack:
            logged = None
            if trace and self.spec.emulator is not None:
                logged = stack.enter_context(os.fdopen(os.memfd_create("xc-log"), "r+b"))
            number, fds = self._spawn(argv, env or {}, cwd, limits, logged)
            capture = stack.enter_context(contextlib.closing(Capture(*fds, stdin, limits.output_mb << 20)))
            deadline = time.monotonic() + limits.wall_s * self.spec.timeout_scale
            done = capture.pump(deadline)
            answer = self._wait(number, deadline) if done else None
            timed_out = answer is None
            if answer is None:
                self._send({"op": "kill", "target": number})
                capture.pump(self._patience(KILL_TIMEOUT_S))
                answer = self._wait(number, self._patience(KILL_TIMEOUT_S))
            return self._outcome(
                argv,
                answer,
                capture.stdout,
                capture.stderr,
                capture.truncated,
                timed_out,
                limits,
                again,
                _log_of(answer, logged),
            )

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = WORK_DIR,
        limits: Limits | None = None,
    ) -> QemuProcess:
        limits = limits or Limits()
        number, (stdin, stdout, stderr) = self._spawn(argv, env or {}, cwd, limits)
        process = QemuProcess(self, number, tuple(argv), limits, stdin, stdout, stderr)
        self._kept.append(process)
        return process

    def _spawn(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, limits: Limits, logged: IO[bytes] | None = None
    ) -> tuple[int, tuple[int, int, int]]:
        in_r, in_w = os.pipe2(os.O_CLOEXEC)
        out_r, out_w = os.pipe2(os.O_CLOEXEC)
        err_r, err_w = os.pipe2(os.O_CLOEXEC)
        try:
            log = [] if logged is None else [logged.fileno()]
            number = self.spawn_on([in_r, out_w, err_w, *log], argv, env, cwd, limits)
        except BaseException:
            for fd in (in_w, out_r, err_r):
                os.close(fd)
            raise
        finally:
            for fd in (in_r, out_w, err_w):
                os.close(fd)
        return number, (in_w, out_r, err_r)

    def spawn_on(
        self,
        fds: Sequence[int],
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        limits: Limits,
        *,
        tty: bool = False,
    ) -> int:
        """Start a command on these three descriptors, as on a terminal if ``tty``; returns its number for ``ended``.

        A fourth descriptor is a file that gets the log of its system calls.
        """
        if not argv:
            raise ValueError("argv is empty: there is no program to run")
        number = next(self._ids)
        message = {
            "op": "spawn",
            "id": number,
            "argv": list(argv),
            "env": {**BASE_ENV, **env},
            "cwd": cwd,
            "tty": tty,
            "limits": {
                "memory_mb": limits.memory_mb,
                "processes": limits.processes,
                "file_mb": limits.file_mb,
            },
        }
        if self._group is not None:
            memory_mb = limits.memory_mb + self.spec.layer_mb + self._copied_mb + OVERHEAD_MB
            self._group.allow(memory_mb, 2 * limits.processes + 64)
        self._send(message, fds)
        return number

    @property
    def logs_apart(self) -> bool:
        return self.spec.emulator is not None

    def ended(self, number: int, timeout_s: float) -> bool:
        """Whether a command of ``spawn_on`` has ended, after waiting at most ``timeout_s``."""
        return self._wait(number, time.monotonic() + timeout_s) is not None

    def _outcome(
        self,
        argv: Sequence[str],
        answer: dict[str, Any] | None,
        stdout: bytes,
        stderr: bytes,
        truncated: bool,
        timed_out: bool,
        limits: Limits,
        again: Again | None = None,
        log: CallLog | None = None,
    ) -> Outcome:
        if self._group is not None and self._group.was_full() and answer is not None and "status" in answer:
            over = _("memory: the sandbox's {limit} MiB are full", limit=self._group.limit_mb)
            answer = {**answer, "over": answer.get("over") or over}
        return outcome_of(
            argv,
            answer,
            stdout,
            stderr,
            truncated=truncated,
            timed_out_after_s=limits.wall_s * self.spec.timeout_scale if timed_out else None,
            emulated=self.spec.emulator is not None,
            cpu=self.spec.cpu_model,
            gone=self._dead,
            again=again,
            log=log,
        )

    # -- files

    def put(self, path: str, data: bytes, *, executable: bool = False) -> None:
        with os.fdopen(os.memfd_create("xc-put"), "wb") as file:
            file.write(data)
            file.flush()
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            answer = self._ask({"op": "put", "path": path, "mode": 0o755 if executable else 0o644}, [file.fileno()])
        check_errno(answer, _("write {path}", path=path))

    def get(self, path: str) -> bytes:
        with os.fdopen(os.memfd_create("xc-get"), "w+b") as file:
            answer = self._ask({"op": "get", "path": path, "most": MOST_READ}, [file.fileno()])
            check_errno(answer, _("read {path}", path=path))
            file.seek(0)
            return file.read()

    def changes(self) -> tuple[str, ...] | None:
        return tuple(self._ask({"op": "changes"})["paths"])

    def reset(self) -> None:
        self._ask({"op": "reset"})

    # -- talking to the supervisor

    def _send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        if self._dead:
            raise SandboxFault(self._dead)
        try:
            confinement.send(self._control, message, fds)
        except OSError as error:
            self._dead = _("the sandbox is gone ({problem})", problem=system_error(error))
            raise SandboxFault(self._dead) from error

    def _patience(self, seconds: float) -> float:
        """The moment until which the sandbox itself is waited for."""
        return time.monotonic() + self.spec.runner.seconds(seconds)

    def _ask(self, message: dict[str, Any], fds: Sequence[int] = ()) -> dict[str, Any]:
        number = next(self._ids)
        self._send({**message, "id": number}, fds)
        answer = self._wait(number, self._patience(ANSWER_TIMEOUT_S))
        if answer is None:
            seconds = self.spec.runner.seconds(ANSWER_TIMEOUT_S)
            raise SandboxFault(
                _(
                    "the sandbox did not answer {op} within {seconds:g} s",
                    op=verbatim(repr(message["op"])),
                    seconds=seconds,
                )
            )
        if "broken" in answer:
            raise SandboxFault(_("the sandbox broke: {why}", why=Message.from_data(answer["broken"])))
        return answer

    def _wait(self, number: int, deadline: float) -> dict[str, Any] | None:
        """The reply to ``number``, or None at the deadline. Whoever waits first reads for all."""
        while True:
            with self._lock:
                while number not in self._replies and self._reading and not self._dead:
                    if not self._lock.wait(max(deadline - time.monotonic(), 0)):
                        return self._replies.pop(number, None)
                if number in self._replies:
                    return self._replies.pop(number)
                if self._dead:
                    raise SandboxFault(self._dead)
                if time.monotonic() >= deadline:
                    return None
                self._reading = True
            try:
                self._read_one(deadline)
            finally:
                with self._lock:
                    self._reading = False
                    self._lock.notify_all()

    def _read_one(self, deadline: float) -> None:
        import select

        if not select.select([self._control], [], [], max(deadline - time.monotonic(), 0))[0]:
            return
        try:
            answer, _fds = confinement.receive(self._control)
        except (OSError, ValueError):
            answer = None
        with self._lock:
            if answer is not None:
                self._replies[answer["id"]] = answer
            else:
                self._dead = _("the sandbox's first process is gone: it was killed from outside")

    def alive(self) -> bool:
        return not self._dead and self._supervisor.status is None

    def close(self) -> None:
        """End the sandbox: closing the socket ends PID 1, and the kernel ends all the rest."""
        self._dead = self._dead or _("the sandbox is closed")
        self._control.close()
        for process in self._kept:
            process.abandon()
        if self._supervisor.wait(self.spec.runner.seconds(KILL_TIMEOUT_S)) is None:
            self._supervisor.kill()
        if self._supervisor.stderr is not None:
            self._supervisor.stderr.close()
        if self._group is not None:
            self._group.close()

    def __enter__(self) -> QemuSandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_NOT_STARTED = _("it was not started")


def _log_of(answer: dict[str, Any] | None, logged: IO[bytes] | None) -> CallLog | None:
    """The log of system calls that the supervisor wrote to a file; None where none was wanted."""
    if logged is None or answer is None or "exec_errno" in answer:
        return None
    logged.seek(0)
    lost = answer.get("untraced", _NOT_STARTED)
    return read_pieces(logged.read(), Message.from_data(lost) if lost else NOTHING)


class QemuProcess:
    """A command that is kept alive in a QemuSandbox."""

    def __init__(
        self,
        sandbox: QemuSandbox,
        number: int,
        argv: tuple[str, ...],
        limits: Limits,
        stdin: int,
        stdout: int,
        stderr: int,
    ) -> None:
        self._sandbox, self._number, self._argv, self._limits = sandbox, number, argv, limits
        self.stdin: IO[bytes] = os.fdopen(stdin, "wb", buffering=0)
        self.stdout: IO[bytes] = os.fdopen(stdout, "rb")
        # Whoever reads it as it comes must not take away what tells the end of the program from that of the emulator.
        self._said = Remembered(stderr)
        self.stderr: IO[bytes] = io.BufferedReader(self._said)
        self._outcome: Outcome | None = None

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        """Close stdin, read what is left of the output, and wait for the end."""
        if self._outcome is not None:
            return self._outcome
        own_s = self._limits.wall_s * self._sandbox.spec.timeout_scale
        deadline = time.monotonic() + (own_s if timeout_s is None else timeout_s)
        answer = self._sandbox._wait(self._number, deadline)
        if answer is None:
            return None
        return self._finish(answer, killed=False)

    def abandon(self) -> None:
        """Close the pipes; the sandbox ends the command."""
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()

    def kill(self) -> Outcome:
        if self._outcome is not None:
            return self._outcome
        self._sandbox._send({"op": "kill", "target": self._number})
        answer = self._sandbox._wait(self._number, self._sandbox._patience(KILL_TIMEOUT_S))
        return self._finish(answer, killed=True)

    def _finish(self, answer: dict[str, Any] | None, *, killed: bool) -> Outcome:
        self.stdin.close()
        stdout, _seen = self.stdout.read(), self.stderr.read()
        self.stdout.close()
        self.stderr.close()
        self._outcome = self._sandbox._outcome(self._argv, answer, stdout, self._said.last, False, killed, self._limits)
        return self._outcome
