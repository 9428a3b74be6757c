"""Single programs without namespaces: ``qemu -L`` where the host allows no more, and native runs on a real board.

Nothing is hidden from the program and little is taken from it, and the fingerprint says so: no private layer, the host's
network, children outside the emulator. Requirements that need more stay inconclusive.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import platform as host
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO

from pytest_xinchuang.core.errors import SandboxFault, XcError
from pytest_xinchuang.core.platform import Cpu, Platform
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import Message, _, joined, system_error, verbatim
from pytest_xinchuang.sandbox import machine
from pytest_xinchuang.sandbox.agent_client import TRACE_WORD
from pytest_xinchuang.sandbox.answers import still_running
from pytest_xinchuang.sandbox.backends.qemu import QemuSpec
from pytest_xinchuang.sandbox.emulator_faults import LOG_ENVIRONMENT, Again, classify, without_noise
from pytest_xinchuang.sandbox.probed import probed
from pytest_xinchuang.sandbox.protocol import BASE_ENV, WORK_DIR, Ended, Fingerprint, Limits, Outcome
from pytest_xinchuang.sandbox.tracing import read_agent
from pytest_xinchuang.tools.process import PIPE, UNSCALED, Runner, Running
from pytest_xinchuang.tools.streams import Capture, Remembered

DRAIN_S = 2.0
"""Seconds for what is left in the pipes of a command that was killed."""


@dataclass(frozen=True)
class NativeTracer:
    """The agent as a program of this host, and the names of the host's system calls by their numbers."""

    program: Path
    names: Mapping[int, str]


class DirectSandbox:
    """Runs programs as children of this process, in a temporary directory that stands for ``/xc``.

    Args:
        prefix: what stands before each program (the emulator and its options), empty natively.
        timeout_scale: of the time-outs of commands; ``runner`` scales our own.
        root: where absolute paths of the target are found, ``/`` natively.
        tracer: natively, what takes down the system calls of a traced run: the agent (it needs Linux 5.3), and the names
            of its numbers. May raise XcError: then there is none.
    """

    def __init__(
        self,
        fingerprint: Fingerprint,
        prefix: Sequence[str],
        root: Path,
        timeout_scale: float,
        runner: Runner,
        tracer: Callable[[], NativeTracer] | None = None,
    ) -> None:
        self.fingerprint = fingerprint
        self._prefix = list(prefix)
        self._root = root
        self._scale, self._runner = timeout_scale, runner
        self._work = Path(tempfile.mkdtemp(prefix="xc-work-"))
        self._closed = False
        self._kept: list[DirectProcess] = []
        self._make_tracer = tracer

    @cached_property
    def _tracer(self) -> NativeTracer | None:
        if self._make_tracer is None or self._prefix:
            return None
        with contextlib.suppress(XcError):
            return self._make_tracer()
        return None

    @property
    def logs_apart(self) -> bool:
        return self._tracer is not None

    def _outside(self, path: str) -> Path:
        """Where a path of the target is on the host."""
        if path == WORK_DIR or path.startswith(WORK_DIR + "/"):
            return self._work / path[len(WORK_DIR) + 1 :]
        return self._root / path.lstrip("/")

    def _command(self, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
        program = argv[0]
        if "/" not in program:
            found = shutil.which(program, path=":".join(str(self._outside(d)) for d in env["PATH"].split(":")))
            program = found or program
        else:
            program = str(self._outside(program))
        if not self._prefix:
            return [program, *argv[1:]]
        # A script is started through its interpreter, emulated; the children of that run on the host.
        head = b""
        with contextlib.suppress(OSError), Path(program).open("rb") as file:
            head = file.read(256)
        if head.startswith(b"#!"):
            words = head[2:].split(b"\n")[0].decode(errors="replace").split(None, 1)
            return [*self._prefix, str(self._outside(words[0])), *words[1:], program, *argv[1:]]
        return [*self._prefix, "-0", argv[0], program, *argv[1:]]

    def _environment(self, env: Mapping[str, str] | None) -> dict[str, str]:
        merged = {**BASE_ENV, **(env or {})}
        ours = {n: v for n, v in merged.items() if v == WORK_DIR or v.startswith(WORK_DIR + "/")}
        return merged | {name: str(self._outside(value)) for name, value in ours.items()}

    def _start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None,
        cwd: str,
        limits: Limits,
        logged: IO[bytes] | None = None,
    ) -> Running:
        if self._closed:
            raise SandboxFault(_("the sandbox is closed"))
        import resource

        environment = self._environment(env)
        command = self._command(argv, environment)
        directory = self._outside(cwd)
        directory.mkdir(parents=True, exist_ok=True)
        extra = 2048 if self._prefix else 0
        allowed = {
            resource.RLIMIT_DATA: (limits.memory_mb + extra) << 20,
            resource.RLIMIT_FSIZE: limits.file_mb << 20,
            resource.RLIMIT_CORE: 0,
        }
        log = [] if logged is None else [logged.fileno()]
        if logged is not None and self._tracer is not None and os.access(command[0], os.X_OK):
            command = [
                str(self._tracer.program),
                TRACE_WORD,
                f"{os.getuid()},{log[0]}",
                *command[:1],
                argv[0],
                *command[1:],
            ]
        return self._runner.start(
            command, cwd=directory, env=environment, stdin=PIPE, limits=allowed, buffered=False, pass_fds=log
        )

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
        allowed = limits or Limits()

        def again() -> bytes | None:
            log = self._work / ".xc-emulator.log"
            logging = {"QEMU_STRACE": "1", LOG_ENVIRONMENT: str(log)}
            self._run(argv, stdin, {**(env or {}), **logging}, cwd, allowed, None, None)
            with contextlib.suppress(OSError):
                return log.read_bytes()
            return None

        if not trace or (tracer := self._tracer) is None:
            extra = {"QEMU_STRACE": "1"} if trace and self._prefix else {}
            return self._run(argv, stdin, {**(env or {}), **extra}, cwd, allowed, again, None)
        with os.fdopen(os.memfd_create("xc-log"), "r+b") as logged:
            outcome = self._run(argv, stdin, env or {}, cwd, allowed, again, logged)
            logged.seek(0)
            return replace(outcome, log=read_agent(logged.read(), tracer.names))

    def _run(
        self,
        argv: Sequence[str],
        stdin: bytes,
        env: Mapping[str, str],
        cwd: str,
        limits: Limits,
        again: Again | None,
        logged: IO[bytes] | None,
    ) -> Outcome:
        started = time.monotonic()
        try:
            process = self._start(argv, env, cwd, limits, logged)
        except OSError as error:
            missing = 127 if isinstance(error, FileNotFoundError) else 126
            text = f"{argv[0]}: {error.strerror}\n".encode()
            return Outcome(tuple(argv), Ended.EXITED, missing, None, b"", text, 0.0, 0.0)
        assert process.stdin and process.stdout and process.stderr
        fds = [os.dup(pipe.fileno()) for pipe in (process.stdin, process.stdout, process.stderr)]
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
        capture = Capture(fds[0], fds[1], fds[2], stdin, limits.output_mb << 20)
        try:
            timed_out = not capture.pump(started + limits.wall_s * self._scale)
            if not timed_out:
                left_s = max(started + limits.wall_s * self._scale - time.monotonic(), 0.01)
                timed_out = process.wait(left_s) is None
            process.kill()
            if timed_out:
                capture.pump(time.monotonic() + self._runner.seconds(DRAIN_S))
        finally:
            process.kill()
            capture.close()
        status = process.status
        assert status is not None
        wall = (time.monotonic() - started) * 1000
        raw = -status if status < 0 else status << 8
        emulated = bool(self._prefix)
        ended, code, number, cause = classify(raw, capture.stderr, emulated, None if timed_out else again)
        if timed_out:
            ended, code, number = Ended.TIMED_OUT, None, None
            cause = still_running(limits.wall_s * self._scale)
        stderr = without_noise(capture.stderr) if emulated else capture.stderr
        return Outcome(
            tuple(argv),
            ended,
            code,
            number,
            capture.stdout,
            stderr,
            round(wall, 2),
            0.0,
            capture.truncated,
            0 if timed_out else process.left,
            cause,
            self.fingerprint.cpu_model,
        )

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = WORK_DIR,
        limits: Limits | None = None,
    ) -> DirectProcess:
        limits = limits or Limits()
        try:
            started = self._start(argv, env, cwd, limits)
        except OSError as error:
            raise SandboxFault(
                _("{argv} could not be started: {why}", argv=argv[0], why=system_error(error))
            ) from error
        process = DirectProcess(started, tuple(argv), limits, self._scale, emulated=bool(self._prefix))
        self._kept.append(process)
        return process

    def put(self, path: str, data: bytes, *, executable: bool = False) -> None:
        place = self._outside(path)
        if not place.is_relative_to(self._work):
            what = _(
                "{path}: this sandbox has no private layer; only {directory} can be written",
                path=path,
                directory=WORK_DIR,
            )
            raise PermissionError(13, what)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(0o755 if executable else 0o644)

    def get(self, path: str) -> bytes:
        return self._outside(path).read_bytes()

    def changes(self) -> None:
        return None

    def reset(self) -> None:
        for path in self._work.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def alive(self) -> bool:
        return not self._closed

    def close(self) -> None:
        self._closed = True
        for process in self._kept:
            process.kill()
        shutil.rmtree(self._work, ignore_errors=True)

    def __enter__(self) -> DirectSandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class DirectProcess:
    """A command that is kept alive in a DirectSandbox."""

    def __init__(
        self, process: Running, argv: tuple[str, ...], limits: Limits, scale: float, *, emulated: bool
    ) -> None:
        assert process.stdin and process.stdout and process.stderr
        self._process, self._argv, self._limits, self._emulated = process, argv, limits, emulated
        self._scale = scale
        self.stdin: IO[bytes] = process.stdin
        self.stdout: IO[bytes] = os.fdopen(os.dup(process.stdout.fileno()), "rb")
        process.stdout.close()
        # Whoever reads it as it comes must not take away what tells the end of the program from that of the emulator.
        self._said = Remembered(os.dup(process.stderr.fileno()))
        process.stderr.close()
        self.stderr: IO[bytes] = io.BufferedReader(self._said)
        self._outcome: Outcome | None = None

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        if self._process.wait(self._limits.wall_s * self._scale if timeout_s is None else timeout_s) is None:
            return None
        return self._finish(killed=False)

    def kill(self) -> Outcome:
        killed = self._process.status is None
        self._process.kill()
        return self._finish(killed=killed)

    def _finish(self, *, killed: bool) -> Outcome:
        if self._outcome is None:
            wall = self._process.seconds * 1000
            self.stdin.close()
            out, _seen = self.stdout.read(), self.stderr.read()
            err = self._said.last
            self.stdout.close()
            self.stderr.close()
            status = self._process.status
            assert status is not None
            ended, code, number, cause = classify(-status if status < 0 else status << 8, err, self._emulated)
            if killed:
                ended, code, number, cause = Ended.TIMED_OUT, None, None, _("killed by us")
            self._outcome = Outcome(self._argv, ended, code, number, out, err, wall, 0.0, cause=cause)
        return self._outcome


def open_emulated(spec: QemuSpec, why: Message) -> DirectSandbox:
    """``qemu -L`` for single programs, where a rootless sandbox cannot be made.

    Raises:
        SandboxFault: not even that works.
    """
    if spec.emulator is None:
        raise SandboxFault(_("{platform}: {why}", platform=spec.platform, why=why), mend=verbatim("xc doctor"))
    prefix = [str(spec.emulator.path), "-cpu", spec.cpu_model, "-r", spec.kernel_release, "-L", str(spec.rootfs.path)]
    fingerprint = Fingerprint(
        backend="qemu -L",
        platform=spec.platform,
        fidelity=Fidelity.EMULATED_USER,
        emulated=True,
        rootfs=spec.rootfs.name,
        rootfs_digest=spec.rootfs.digest,
        stand_in=spec.rootfs.stand_in,
        differs=spec.rootfs.differs,
        emulator=spec.emulator.version,
        emulator_digest=spec.emulator.digest,
        cpu_model=spec.cpu_model,
        isolation={
            "children_emulated": False,
            "cpu_pinned": False,
            "no_network": False,
            "private_layer": False,
            "call_list": False,
            "host_refused": False,
            "memory_counted": False,
            "kernel_floor": False,
            "identity": False,
        },
        observed={},
        host_kernel=host.release(),
        baseline_ms=0.0,
        degraded=_("single programs under `qemu -L`, children are not emulated: {why}", why=why),
    )
    return calibrated(DirectSandbox(fingerprint, prefix, spec.rootfs.path, spec.timeout_scale, spec.runner))


def open_native(
    platform: Platform,
    runner: Runner = UNSCALED,
    tracer: Callable[[], NativeTracer] | None = None,
    cpus: Iterable[Cpu] = (),
) -> DirectSandbox:
    """The host itself, when it is the platform: its files say so, and the processor and the kernel themselves.

    Args:
        tracer: as for :class:`DirectSandbox`.
        cpus: as for :func:`probed`.

    Raises:
        SandboxFault: the host is not the platform, or cannot show that it is; the message says by what.
    """
    reader = machine.HostReader()
    seen = machine.look(reader)
    wrong = differences(platform, host.machine(), seen.cpuinfo, _read("/etc/os-release"))
    wrong += [] if wrong else machine.doubts(platform, seen)
    if wrong:
        raise SandboxFault(
            _("this host is not {id}: {names}", id=platform.id, names=joined(wrong)),
            mend=_("run it on the board, or use --xc-backend=qemu"),
        )
    facts = probed(platform, cpus, reader)
    fingerprint = Fingerprint(
        backend="native",
        platform=platform.id,
        fidelity=Fidelity.NATIVE,
        emulated=False,
        rootfs="host",
        rootfs_digest="",
        stand_in=False,
        differs=facts.differs,
        emulator="",
        emulator_digest="",
        cpu_model=platform.cpu_name,
        isolation={
            "children_emulated": True,
            "cpu_pinned": True,
            "no_network": False,
            "private_layer": False,
            "call_list": False,
            "host_refused": True,
            "memory_counted": False,
            # A board has its own kernel and is what it is; a container on it may be of another system.
            "kernel_floor": facts.own_kernel,
            "identity": True,
        },
        observed={},
        host_kernel=host.release(),
        baseline_ms=0.0,
        degraded=joined(filter(None, (machine.told_of(seen), machine.twins_of(platform, seen)))),
        contradicts=facts.contradicts,
        own_kernel=facts.own_kernel,
        extra={"machine": seen.as_data(), "probe": facts.data},
    )
    return calibrated(DirectSandbox(fingerprint, [], Path("/"), runner.timeout_scale, runner, tracer))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def differences(platform: Platform, uname: str, cpuinfo: str, os_release: str) -> list[Message]:
    """How a host differs from the platform; what platforms.yaml does not know counts as a difference too."""
    wrong: list[Message] = []
    if uname != platform.architecture.uname:
        wrong.append(_("its machine is {machine}, not {wanted}", machine=uname, wanted=platform.architecture.uname))
    for label, fact, text in (
        (_("CPU"), platform.cpu.identity, cpuinfo),
        (_("system"), platform.system.identity, os_release),
    ):
        if fact.value is None:
            wrong.append(_("platforms.yaml does not know how to recognise its {label}", label=label))
        else:
            missing = [p for p in fact.value if not re.search(p, text, re.M)]
            wrong += [_("its {label} does not show {text}", label=label, text=verbatim(repr(p))) for p in missing]
    return wrong


def calibrated(sandbox: DirectSandbox) -> DirectSandbox:
    """The sandbox with what the target itself says and what starting a program costs in its fingerprint.

    Raises:
        SandboxFault: not even ``uname`` runs.
    """
    try:
        asked = sandbox.run(["uname", "-mr"], cwd=WORK_DIR)
        if not asked.ok:
            raise SandboxFault(
                _(
                    "{platform}: `uname` does not run: {describe}",
                    platform=sandbox.fingerprint.platform,
                    describe=asked.describe_with_tail(),
                ),
                mend=verbatim("xc doctor"),
            )
        release, _space, uname = asked.stdout.decode(errors="replace").strip().rpartition(" ")
        baseline = sorted(sandbox.run(["true"]).wall_ms for _turn in range(3))[1]
        observed = {"uname_m": uname, "uname_r": release, "page_size": str(mmap.PAGESIZE)}
        sandbox.fingerprint = replace(sandbox.fingerprint, observed=observed, baseline_ms=round(baseline, 1))
    except BaseException:
        sandbox.close()
        raise
    return sandbox
