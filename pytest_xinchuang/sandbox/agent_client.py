"""The host's side of the agent: frames over a pipe, commands and files, for every sandbox whose first process it is."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import struct
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.messages import NOTHING, Message, _, system_error
from pytest_xinchuang.sandbox.answers import check_errno, outcome_of, read_answer, told_by
from pytest_xinchuang.sandbox.call_log import CallLog, read_pieces
from pytest_xinchuang.sandbox.emulator_faults import LOG_ENVIRONMENT, Again
from pytest_xinchuang.sandbox.protocol import WORK_DIR, Fingerprint, Limits, Outcome
from pytest_xinchuang.tools.process import UNSCALED, Runner

AGENT_SOURCE = Path(__file__).with_name("agent")
"""The directory of the agent's Go module."""
TRACE_WORD = "xc:trace"
"""What the agent is told to be a tracer: followed by ``UID,FD``, the program and its argv."""

_SPAWN, _STDIN, _KILL, _PUT, _GET, _LIST, _RESET, _CONFIGURE = 1, 2, 3, 4, 5, 6, 7, 8
_PIN = 20
_STDOUT, _STDERR, _EXIT, _DONE, _DATA, _TRACE = 101, 102, 103, 104, 105, 106

ANSWER_TIMEOUT_S = 60.0
"""Seconds for one of the agent's own answers: a file, a list of changes."""
LARGEST_FRAME = 1 << 30
"""Bytes; the largest file that is asked for is sent in one."""
KILL_TIMEOUT_S = 10.0
"""Seconds for the end of what was killed."""


class AgentSandbox:
    """A sandbox whose first process is our agent; see the sandbox protocol for the methods.

    A subclass gives the way to the agent: ``_transmit`` sends bytes, ``_take_bytes`` is called with what comes.

    Args:
        name: what messages call the sandbox.
        prefix: what a program is started with: the emulator and its options, or nothing.
        timeout_scale: of the time-outs of commands.
        runner: scales those of the sandbox itself.
        emulated: by a program that may crash by itself, and says so on the command's stderr (qemu-user).
    """

    fingerprint: Fingerprint

    def __init__(
        self,
        name: str,
        *,
        prefix: Sequence[str],
        environment: Mapping[str, str],
        cpu_model: str,
        timeout_scale: float,
        emulated: bool,
        runner: Runner = UNSCALED,
    ) -> None:
        self.name = name
        self._prefix = list(prefix)
        self._environment = dict(environment)
        self._pinned = False
        self._scale, self._runner = timeout_scale, runner
        self._cpu_model = cpu_model
        self._emulated = emulated
        self._ids = itertools.count(1)
        self._lock = threading.Condition()
        self._sending = threading.Lock()
        self._buffer = bytearray()
        self._streams: dict[int, _Stream] = {0: _Stream(1 << 20)}
        self._dead = NOTHING

    @abstractmethod
    def _transmit(self, data: bytes) -> None:
        """Send bytes to the agent. Raises OSError."""

    @abstractmethod
    def close(self) -> None:
        """End the sandbox and whatever runs in it."""

    def _await_agent(self, timeout_s: float) -> Mapping[str, Any]:
        """What the agent says of itself when it is up.

        Raises:
            SandboxFault: it did not come up.
        """
        if not self._wait(self._streams[0], self._patience(timeout_s)):
            raise SandboxFault(
                _("the agent of {name} is not there: {why}", name=self.name, why=self._dead)
                if self._dead
                else _(
                    "the agent of {name} did not answer within {seconds:g} s",
                    name=self.name,
                    seconds=self._runner.seconds(timeout_s),
                )
            )
        return self._streams[0].answer or {}

    def _send(self, kind: int, number: int, payload: bytes = b"") -> None:
        if self._dead:
            raise SandboxFault(self._dead)
        try:
            with self._sending:
                self._transmit(struct.pack(">IBI", len(payload) + 5, kind, number) + payload)
        except OSError as error:
            problem = system_error(error)
            self._die(_("{name} is gone ({problem})", name=self.name, problem=problem))
            raise SandboxFault(self._dead) from error

    def _take_bytes(self, data: bytes) -> None:
        """Take what came from the agent apart into frames."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= 4:
            (size,) = struct.unpack_from(">I", buffer, start)
            if not 5 <= size <= LARGEST_FRAME:
                self._die(_("the agent of {name} sent what is no frame", name=self.name))
                buffer.clear()
                return
            if len(buffer) - start < 4 + size:
                break
            kind, number = struct.unpack_from(">BI", buffer, start + 4)
            self._take(kind, number, bytes(buffer[start + 9 : start + 4 + size]))
            start += 4 + size
        del buffer[:start]

    def _take(self, kind: int, number: int, payload: bytes) -> None:
        answer = None
        if kind in (_EXIT, _DONE) and (answer := read_answer(payload)) is None:
            self._die(_("the agent of {name} sent an answer that cannot be read", name=self.name))
            return
        with self._lock:
            stream = self._streams.get(number)
            if stream is not None:
                if kind in (_STDOUT, _DATA):
                    stream.add(stream.stdout, payload)
                elif kind == _STDERR:
                    stream.add(stream.stderr, payload)
                elif kind == _TRACE:
                    stream.add(stream.trace, payload)
                elif answer is not None:
                    stream.answer = answer
            self._lock.notify_all()

    def _die(self, why: Message) -> None:
        with self._lock:
            self._dead = self._dead or why
            self._lock.notify_all()

    def _patience(self, seconds: float) -> float:
        """The moment until which the sandbox itself is waited for."""
        return time.monotonic() + self._runner.seconds(seconds)

    def _wait(self, stream: _Stream, deadline: float) -> bool:
        with self._lock:
            while stream.answer is None and not self._dead:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._lock.wait(left)
            return stream.answer is not None

    def _configure(self, config: Mapping[str, Any], timeout_s: float) -> Mapping[str, Any]:
        """Have the agent of a virtual machine make it this run's; returns what it then says of itself.

        Raises:
            SandboxFault: it did not answer in time.
        """
        return self._ask(_CONFIGURE, json.dumps(config).encode(), timeout_s)[0]

    def _ask(
        self, kind: int, payload: bytes = b"", timeout_s: float = ANSWER_TIMEOUT_S
    ) -> tuple[dict[str, Any], bytes]:
        number = next(self._ids)
        stream = self._streams[number] = _Stream(1 << 30)
        try:
            self._send(kind, number, payload)
            if not self._wait(stream, self._patience(timeout_s)) or stream.answer is None:
                raise SandboxFault(self._dead or _("{name} did not answer", name=self.name))
            return stream.answer, bytes(stream.stdout)
        finally:
            self._streams.pop(number, None)

    def _pin(self, programs: Mapping[str, Any]) -> int:
        """Have the agent start programs by its tracer (agent/exec.go); returns why not, an error number, or 0."""
        answer, _nothing = self._ask(_PIN, json.dumps(programs).encode())
        number = int(told_by(answer, "errno"))
        self._pinned = number == 0
        return number

    # -- the protocol

    def _spawn(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: str, limits: Limits, *, trace: bool = False
    ) -> tuple[int, _Stream]:
        if not argv:
            raise ValueError("argv is empty: there is no program to run")
        number = next(self._ids)
        stream = self._streams[number] = _Stream(limits.output_mb << 20)
        # An emulator logs system calls itself; elsewhere the agent does.
        emulator = {"QEMU_STRACE": "1"} if trace and not self._logs else {}
        variables = [f"{k}={v}" for k, v in {**self._environment, **env, **emulator}.items()]
        request: dict[str, Any] = {"argv": list(argv), "env": variables, "cwd": cwd, "prefix": self._prefix}
        if self._pinned:
            request["pinned"] = True
        if trace and self._logs:
            request["trace"] = stream.traced = True
        self._send(_SPAWN, number, json.dumps(request).encode())
        return number, stream

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

        def again() -> bytes | CallLog | None:
            if self._pinned:
                return self._run(argv, stdin, env or {}, cwd, allowed, trace=True).log
            log = f"{WORK_DIR}/.xc-emulator.log"
            self._run(argv, stdin, {**(env or {}), "QEMU_STRACE": "1", LOG_ENVIRONMENT: log}, cwd, allowed)
            with contextlib.suppress(OSError):
                return self.get(log)
            return None

        return self._run(argv, stdin, env or {}, cwd, allowed, trace=trace, again=again)

    def _run(
        self,
        argv: Sequence[str],
        stdin: bytes,
        env: Mapping[str, str],
        cwd: str,
        limits: Limits,
        *,
        trace: bool = False,
        again: Again | None = None,
    ) -> Outcome:
        number, stream = self._spawn(argv, env, cwd, limits, trace=trace)
        try:
            for start in range(0, len(stdin), 1 << 16):
                self._send(_STDIN, number, stdin[start : start + (1 << 16)])
            self._send(_STDIN, number)
            ended = self._wait(stream, time.monotonic() + limits.wall_s * self._scale)
            if not ended and not self._dead:
                self._send(_KILL, number)
                if not self._wait(stream, self._patience(KILL_TIMEOUT_S)):
                    # What cannot even kill a command is no sandbox any more: it hangs.
                    self._die(_("{name} hangs: a command that was killed did not end", name=self.name))
            return self._outcome(argv, stream, timed_out=not ended, limits=limits, again=again)
        finally:
            self._streams.pop(number, None)

    def _outcome(
        self, argv: Sequence[str], stream: _Stream, *, timed_out: bool, limits: Limits, again: Again | None = None
    ) -> Outcome:
        return outcome_of(
            argv,
            stream.answer,
            bytes(stream.stdout),
            bytes(stream.stderr),
            truncated=stream.truncated,
            timed_out_after_s=limits.wall_s * self._scale if timed_out else None,
            emulated=self._emulated,
            cpu=self._cpu_model,
            gone=self._dead,
            again=again,
            log=self._whole_log(stream) if stream.traced and stream.answer is not None else None,
        )

    @property
    def _logs(self) -> bool:
        """Whether the agent has a log of system calls of its own, or takes down the emulators'."""
        return self._pinned or not self._prefix

    def _whole_log(self, stream: _Stream) -> CallLog | None:
        if self._pinned:
            return self._taken_down(stream)
        log = self._log_of(bytes(stream.trace))
        full = len(stream.trace) >= stream.keep
        return replace(log, lost=_("it is too long")) if log is not None and full else log

    @staticmethod
    def _taken_down(stream: _Stream) -> CallLog | None:
        """What the emulators logged, as the agent took it down (agent/calllog.go)."""
        answer = stream.answer or {}
        if "exec_errno" in answer:
            return None
        lost = answer.get("untraced", _("it was not started"))
        return read_pieces(bytes(stream.trace), Message.from_data(lost) if lost else NOTHING)

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = WORK_DIR,
        limits: Limits | None = None,
    ) -> AgentProcess:
        limits = limits or Limits()
        number, stream = self._spawn(argv, env or {}, cwd, limits)
        return AgentProcess(self, number, stream, tuple(argv), limits)

    def put(self, path: str, data: bytes, *, executable: bool = False) -> None:
        head = json.dumps({"path": path, "mode": 0o755 if executable else 0o644}).encode()
        answer, _nothing = self._ask(_PUT, head + b"\n" + data)
        check_errno(answer, _("write {path}", path=path))

    def get(self, path: str) -> bytes:
        answer, data = self._ask(_GET, path.encode())
        check_errno(answer, _("read {path}", path=path))
        return data

    def changes(self) -> tuple[str, ...]:
        return tuple(told_by(self._ask(_LIST)[0], "paths"))

    def reset(self) -> None:
        self._ask(_RESET)

    def _log_of(self, _trace: bytes, /) -> CallLog | None:
        """The agent's own log of system calls; None where an emulator logs to stderr."""
        return None

    def alive(self) -> bool:
        return not self._dead

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Stream:
    """What came from one command so far."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.trace = bytearray()
        self.truncated = False
        self.traced = False
        self.answer: dict[str, Any] | None = None

    def add(self, to: bytearray, data: bytes) -> None:
        room = max(self.keep - len(to), 0)
        to += data[:room]
        self.truncated |= len(data) > room


class AgentProcess:
    """A command that is kept alive in such a sandbox; stdout and stderr are read as they come."""

    def __init__(
        self, sandbox: AgentSandbox, number: int, stream: _Stream, argv: tuple[str, ...], limits: Limits
    ) -> None:
        self._sandbox, self._number, self._stream, self._argv, self._limits = sandbox, number, stream, argv, limits
        self.stdin: IO[bytes] = io.BufferedWriter(_Feeder(sandbox, number), buffer_size=1)
        self.stdout: IO[bytes] = io.BufferedReader(_OutputReader(sandbox, stream, stream.stdout))
        self.stderr: IO[bytes] = io.BufferedReader(_OutputReader(sandbox, stream, stream.stderr))

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        seconds = self._limits.wall_s * self._sandbox._scale if timeout_s is None else timeout_s
        deadline = time.monotonic() + seconds
        if not self._sandbox._wait(self._stream, deadline) and not self._sandbox._dead:
            return None
        return self._sandbox._outcome(self._argv, self._stream, timed_out=False, limits=self._limits)

    def kill(self) -> Outcome:
        killed = self._stream.answer is None
        self._sandbox._send(_KILL, self._number)
        self._sandbox._wait(self._stream, self._sandbox._patience(KILL_TIMEOUT_S))
        return self._sandbox._outcome(self._argv, self._stream, timed_out=killed, limits=self._limits)


class _Feeder(io.RawIOBase):
    def __init__(self, sandbox: AgentSandbox, number: int) -> None:
        self._sandbox, self._number = sandbox, number

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        if raw:
            self._sandbox._send(_STDIN, self._number, raw)
        return len(raw)

    def close(self) -> None:
        if not self.closed:
            with contextlib.suppress(SandboxFault):
                self._sandbox._send(_STDIN, self._number)
        super().close()


class _OutputReader(io.RawIOBase):
    def __init__(self, sandbox: AgentSandbox, stream: _Stream, source: bytearray) -> None:
        self._sandbox, self._stream, self._source, self._position = sandbox, stream, source, 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        with self._sandbox._lock:
            while len(self._source) == self._position and self._stream.answer is None and not self._sandbox._dead:
                self._sandbox._lock.wait()
            data = self._source[self._position : self._position + len(into)]
        into[: len(data)] = data
        self._position += len(data)
        return len(data)
