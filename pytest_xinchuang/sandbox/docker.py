"""Containers: one for each platform and worker, with an agent as first process that is fed through the attach socket."""

from __future__ import annotations

import contextlib
import errno
import io
import itertools
import json
import os
import platform as host
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from pytest_xinchuang.errors import SandboxFault
from pytest_xinchuang.model.platform import Platform
from pytest_xinchuang.model.verdict import Fidelity
from pytest_xinchuang.sandbox.answers import outcome_of
from pytest_xinchuang.sandbox.protocol import SANDBOX_UID, WORK_DIR, Fingerprint, Limits, Outcome
from pytest_xinchuang.sandbox.qemu import BASE_ENV, RootfsRef

if TYPE_CHECKING:
    from pytest_xinchuang.sandbox.pool import CpuVariant, Pool

LABEL = "xc.sandbox"
START_TIMEOUT_S = 60.0
MEMORY_MB = 2048
PIDS = 1024

_SPAWN, _STDIN, _KILL, _PUT, _GET, _LIST, _RESET = 1, 2, 3, 4, 5, 6, 7
_STDOUT, _STDERR, _EXIT, _DONE, _DATA = 101, 102, 103, 104, 105


def connect() -> Any:
    """A client of the engine that the environment names (``DOCKER_HOST``, contexts' defaults).

    Raises:
        SandboxFault: no engine answers.
    """
    import docker
    from docker.errors import DockerException

    client = None
    try:
        client = docker.from_env(timeout=120)
        client.ping()
        return client
    except DockerException as error:
        if client is not None:
            client.close()
        cause = str(error).splitlines()[0]
        raise SandboxFault(f"no Docker engine answers: {cause}", mend="xc doctor, or --xc-backend=qemu") from error


def owner_labels(run_id: str) -> dict[str, str]:
    """Labels that say whose a container is: the run, and the process by machine, PID namespace, pid and start time."""
    return {
        LABEL: "1",
        "xc.run": run_id,
        "xc.machine": _machine_id(),
        "xc.pid": str(os.getpid()),
        "xc.started": _start_time(os.getpid()) or "",
        "xc.pidns": _pid_namespace(),
    }


def _machine_id() -> str:
    for name in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with contextlib.suppress(OSError):
            if text := Path(name).read_text().strip():
                return text
    return host.node()


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())


def _start_time(pid: int) -> str | None:
    """When a process started, in clock ticks since boot; None when there is none (proc(5), field 22 of stat)."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rsplit(b")", 1)[1].split()[19].decode()
    except (OSError, IndexError):
        return None


def reap(client: Any) -> list[str]:
    """Remove the containers whose owner is dead, and none of a run that is alive; returns their names.

    Only containers of this machine and PID namespace are judged: of others we cannot know.
    """
    removed = []
    # Another run may be removing the same ones at this moment.
    wanted = {"label": [LABEL, f"xc.machine={_machine_id()}"]}
    for container in client.containers.list(all=True, ignore_removed=True, filters=wanted):
        labels = container.labels
        if labels.get("xc.pidns") != _pid_namespace() or labels.get("xc.keep"):
            continue
        pid = labels.get("xc.pid", "")
        if pid.isdigit() and _start_time(int(pid)) == labels.get("xc.started"):
            continue
        _remove(container)
        removed.append(str(container.name))
    return removed


def _remove(container: Any) -> None:
    from docker.errors import APIError, NotFound

    with contextlib.suppress(NotFound, APIError):
        container.remove(force=True, v=True)


class DockerSandbox:
    """One long-lived container. Use ``open``; see the sandbox protocol for the methods."""

    SECURITY: tuple[str, ...] = ("no-new-privileges",)
    """Docker's security options; the engine's own seccomp profile is in force beside them."""

    def __init__(
        self,
        client: Any,
        image: str,
        *,
        platform: Platform,
        name: str,
        labels: Mapping[str, str],
        prefix: Sequence[str],
        environment: Mapping[str, str],
        rootfs: RootfsRef,
        emulator: tuple[str, str],
        cpu_model: str,
        timeout_scale: float,
        keep: bool,
    ) -> None:
        self.name = name
        self._client = client
        self._prefix = list(prefix)
        self._environment = dict(environment)
        self._scale = timeout_scale
        self._keep = keep
        self._cpu_model = cpu_model
        self._ids = itertools.count(1)
        self._lock = threading.Condition()
        self._streams: dict[int, _Stream] = {}
        self._dead = ""
        self._socket: socket.socket | None = None
        self._container: Any = None
        try:
            self._start(image, platform, labels)
            self.fingerprint = self._describe(platform, rootfs, emulator)
        except BaseException:
            self._keep = False
            self.close()
            raise

    @classmethod
    def open(cls, pool: Pool, platform: Platform, variant: CpuVariant) -> DockerSandbox:
        """Start a container of ``platform``: of the image that was named, of the vendor's if the engine has it, or of
        the stand-in root filesystem.

        Raises:
            SandboxFault: it could not be started; nothing is left behind.
        """
        from pytest_xinchuang.sandbox.docker_images import prepare
        from pytest_xinchuang.sandbox.pool import EMULATION_SCALE

        model = getattr(platform.cpu.emulation, variant).value
        if model is None:
            raise SandboxFault(f"{platform.id}: no QEMU CPU model is known for its {variant} variant")
        client = connect()
        try:
            reap(client)
            emulator = pool.store.emulator(platform.architecture.qemu)
            prepared = prepare(client, pool, platform, emulator)
            release = platform.system.kernel.value or "4.19.0"
            name = f"xc-{pool.run_id or 'none'}-{platform.id}-{variant}-{os.getpid()}-{next(_serial)}"
            labels = owner_labels(pool.run_id) | ({"xc.keep": "1"} if pool.keep else {})
            return cls(
                client,
                prepared.image,
                platform=platform,
                name=name,
                labels=labels,
                prefix=["/.xc/emulator", "-cpu", model, "-r", release],
                # Children are emulated by the host's binfmt_misc, when it has the architecture: this is all they get.
                environment={**BASE_ENV, "QEMU_CPU": model, "QEMU_UNAME": release},
                rootfs=prepared.rootfs,
                emulator=(emulator.version, emulator.digest),
                cpu_model=model,
                timeout_scale=EMULATION_SCALE * pool.timeout_scale,
                keep=pool.keep,
            )
        except BaseException as error:
            client.close()
            raise _as_fault(error, f"the container of {platform.id}") from error

    def _start(self, image: str, platform: Platform, labels: Mapping[str, str]) -> None:
        import docker

        tmpfs = f"rw,exec,nosuid,nodev,size=512m,uid={SANDBOX_UID},gid={SANDBOX_UID}"
        self._container = self._client.containers.create(
            image,
            command=["/.xc/agent"],
            entrypoint=[],
            name=self.name,
            labels=dict(labels),
            stdin_open=True,
            environment=self._environment,
            user=f"{SANDBOX_UID}:{SANDBOX_UID}",
            working_dir="/",
            network_mode="none",
            cap_drop=["ALL"],
            security_opt=list(self.SECURITY),
            read_only=True,
            tmpfs={WORK_DIR: f"{tmpfs},mode=755", "/tmp": f"{tmpfs},mode=1777", "/run": f"{tmpfs},mode=755"},
            mem_limit=f"{MEMORY_MB}m",
            pids_limit=PIDS,
            platform=f"linux/{platform.arch}",
            ulimits=[
                docker.types.Ulimit(name="core", soft=0, hard=0),
                docker.types.Ulimit(name="nofile", soft=1024, hard=4096),
            ],
            stop_signal="SIGKILL",
        )
        attached = self._container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        # docker-py wraps the socket differently for each transport; the plain one is beneath.
        self._attached = attached
        self._socket = getattr(attached, "_sock", attached)
        assert self._socket is not None
        self._socket.settimeout(None)
        self._streams[0] = _Stream(1 << 20)
        self._container.start()
        threading.Thread(target=self._read_all, name=f"{self.name}-reader", daemon=True).start()
        if not self._wait(self._streams[0], time.monotonic() + START_TIMEOUT_S):
            raise SandboxFault(f"the agent of {self.name} did not answer within {START_TIMEOUT_S:.0f} s: {self._dead}")

    def _describe(self, platform: Platform, rootfs: RootfsRef, emulator: tuple[str, str]) -> Fingerprint:
        from pytest_xinchuang.sandbox.pool import HOST_ARCH

        asked = self.run(["uname", "-mr"], cwd="/")
        clone3 = errno.errorcode.get((self._streams[0].answer or {}).get("clone3", 0), "0")
        if not asked.ok and clone3 == "EPERM":
            raise SandboxFault(
                "in a container clone3 answers EPERM, and so threads fail, the emulator's own too [XC-HOST-001]",
                mend="move to Docker 20.10.10 or later, whose seccomp profile answers ENOSYS",
            )
        if not asked.ok:
            text = asked.stderr.decode(errors="replace").strip().splitlines()
            raise SandboxFault(f"{platform.id}: `uname` does not run in {self.name}: {asked.describe()} {text[-1:]}")
        release, _, machine = asked.stdout.decode(errors="replace").strip().rpartition(" ")
        baseline = sorted(self.run(["true"], cwd="/").wall_ms for _ in range(3))[1]
        native = HOST_ARCH is platform.arch
        child = self.run(["sh", "-c", "uname -m; :"], cwd="/")
        children = not native and child.stdout.strip().decode(errors="replace") == platform.architecture.uname
        why = "they run natively on this host" if native else "the host's binfmt_misc does not know this architecture"
        return Fingerprint(
            backend="docker",
            platform=platform.id,
            fidelity=Fidelity.EMULATED_USER,
            emulated=True,
            rootfs=rootfs.name,
            rootfs_digest=rootfs.digest,
            stand_in=rootfs.stand_in,
            differs=rootfs.differs,
            emulator=emulator[0],
            emulator_digest=emulator[1],
            cpu_model=self._cpu_model,
            isolation={
                "children_emulated": children,
                "cpu_pinned": False,
                "no_network": True,
                "private_layer": True,
                "kernel_floor": False,
                "identity": not rootfs.stand_in,
            },
            observed={"uname_m": machine, "uname_r": release},
            host_kernel=host.release(),
            baseline_ms=round(baseline, 1),
            degraded="" if children else f"children are not emulated: {why}",
            extra={"container": self.name, "clone3": clone3},
        )

    # -- frames

    def _send(self, kind: int, number: int, payload: bytes = b"") -> None:
        if self._dead or self._socket is None:
            raise SandboxFault(self._dead or "the sandbox is closed")
        try:
            with self._lock:
                self._socket.sendall(struct.pack(">IBI", len(payload) + 5, kind, number) + payload)
        except OSError as error:
            self._die(f"the container {self.name} is gone ({error.strerror})")
            raise SandboxFault(self._dead) from error

    def _read_all(self) -> None:
        """Take the engine's stream apart into the agent's frames (8-byte headers: stream, three zeros, length)."""
        buffer = bytearray()
        try:
            while True:
                header = self._receive(8)
                body = self._receive(struct.unpack(">I", header[4:])[0])
                if header[0] != 1:
                    continue
                buffer += body
                while len(buffer) >= 4 and len(buffer) >= 4 + (size := struct.unpack(">I", buffer[:4])[0]):
                    kind, number = struct.unpack(">BI", buffer[4:9])
                    self._take(kind, number, bytes(buffer[9 : 4 + size]))
                    del buffer[: 4 + size]
        except (OSError, EOFError, struct.error, ValueError) as error:
            self._die(f"the container {self.name} is gone: {error or type(error).__name__}")

    def _receive(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            assert self._socket is not None
            data = self._socket.recv(size - len(parts))
            if not data:
                raise EOFError("its stream ended: it was stopped or killed from outside")
            parts += data
        return bytes(parts)

    def _take(self, kind: int, number: int, payload: bytes) -> None:
        with self._lock:
            stream = self._streams.get(number)
            if stream is not None:
                if kind in (_STDOUT, _DATA):
                    stream.add(stream.stdout, payload)
                elif kind == _STDERR:
                    stream.add(stream.stderr, payload)
                elif kind in (_EXIT, _DONE):
                    stream.answer = json.loads(payload)
            self._lock.notify_all()

    def _die(self, why: str) -> None:
        with self._lock:
            self._dead = self._dead or why
            self._lock.notify_all()

    def _wait(self, stream: _Stream, deadline: float) -> bool:
        with self._lock:
            while stream.answer is None and not self._dead:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._lock.wait(left)
            return stream.answer is not None

    def _ask(self, kind: int, payload: bytes = b"") -> tuple[dict[str, Any], bytes]:
        number = next(self._ids)
        stream = self._streams[number] = _Stream(1 << 30)
        try:
            self._send(kind, number, payload)
            if not self._wait(stream, time.monotonic() + 60) or stream.answer is None:
                raise SandboxFault(self._dead or f"the container {self.name} did not answer")
            return stream.answer, bytes(stream.stdout)
        finally:
            self._streams.pop(number, None)

    # -- the protocol

    def _spawn(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, limits: Limits) -> tuple[int, _Stream]:
        if not argv:
            raise ValueError("argv is empty: there is no program to run")
        number = next(self._ids)
        stream = self._streams[number] = _Stream(limits.output_mb << 20)
        variables = [f"{k}={v}" for k, v in {**self._environment, **env}.items()]
        request = {"argv": list(argv), "env": variables, "cwd": cwd, "prefix": self._prefix}
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
        limits = limits or Limits()
        extra = {"QEMU_STRACE": "1"} if trace else {}
        number, stream = self._spawn(argv, {**(env or {}), **extra}, cwd, limits)
        try:
            for start in range(0, len(stdin), 1 << 16):
                self._send(_STDIN, number, stdin[start : start + (1 << 16)])
            self._send(_STDIN, number)
            ended = self._wait(stream, time.monotonic() + limits.wall_s * self._scale)
            if not ended and not self._dead:
                self._send(_KILL, number)
                self._wait(stream, time.monotonic() + 10)
            return self._outcome(argv, stream, timed_out=not ended, limits=limits)
        finally:
            self._streams.pop(number, None)

    def _outcome(self, argv: Sequence[str], stream: _Stream, *, timed_out: bool, limits: Limits) -> Outcome:
        return outcome_of(
            argv,
            stream.answer,
            bytes(stream.stdout),
            bytes(stream.stderr),
            truncated=stream.truncated,
            timed_out_after_s=limits.wall_s * self._scale if timed_out else None,
            emulated=True,
            cpu=self._cpu_model,
            gone=self._dead,
        )

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: str = WORK_DIR,
        limits: Limits | None = None,
    ) -> DockerProcess:
        limits = limits or Limits()
        number, stream = self._spawn(argv, env or {}, cwd, limits)
        return DockerProcess(self, number, stream, tuple(argv), limits)

    def put(self, path: str, data: bytes, *, executable: bool = False) -> None:
        head = json.dumps({"path": path, "mode": 0o755 if executable else 0o644}).encode()
        answer, _ = self._ask(_PUT, head + b"\n" + data)
        _check(answer, f"write {path}")

    def get(self, path: str) -> bytes:
        answer, data = self._ask(_GET, path.encode())
        _check(answer, f"read {path}")
        return data

    def changes(self) -> tuple[str, ...]:
        return tuple(self._ask(_LIST)[0]["paths"])

    def reset(self) -> None:
        self._ask(_RESET)

    def alive(self) -> bool:
        return not self._dead

    def close(self) -> None:
        self._die("the sandbox is closed")
        if self._socket is not None:
            response = getattr(self._attached, "_response", None)
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            for closing in (response, self._attached, self._socket):
                # The three share one file: whichever comes later may find it closed.
                with contextlib.suppress(OSError, ValueError):
                    if closing is not None:
                        closing.close()
            self._socket = None
        if self._container is not None and not self._keep:
            _remove(self._container)
        self._client.close()

    def __enter__(self) -> DockerSandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_serial = itertools.count(1)


class _Stream:
    """What came from one command so far."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.truncated = False
        self.answer: dict[str, Any] | None = None

    def add(self, to: bytearray, data: bytes) -> None:
        room = max(self.keep - len(to), 0)
        to += data[:room]
        self.truncated |= len(data) > room


class DockerProcess:
    """A command that is kept alive in a container; stdout and stderr are read as they come."""

    def __init__(
        self, sandbox: DockerSandbox, number: int, stream: _Stream, argv: tuple[str, ...], limits: Limits
    ) -> None:
        self._sandbox, self._number, self._stream, self._argv, self._limits = sandbox, number, stream, argv, limits
        self.stdin: IO[bytes] = io.BufferedWriter(_Feeder(sandbox, number), buffer_size=1)
        self.stdout: IO[bytes] = io.BufferedReader(_Reader(sandbox, stream, stream.stdout))
        self.stderr: IO[bytes] = io.BufferedReader(_Reader(sandbox, stream, stream.stderr))

    def wait(self, timeout_s: float | None = None) -> Outcome | None:
        seconds = timeout_s if timeout_s is not None else self._limits.wall_s
        if not self._sandbox._wait(self._stream, time.monotonic() + seconds) and not self._sandbox._dead:
            return None
        return self._sandbox._outcome(self._argv, self._stream, timed_out=False, limits=self._limits)

    def kill(self) -> Outcome:
        killed = self._stream.answer is None
        self._sandbox._send(_KILL, self._number)
        self._sandbox._wait(self._stream, time.monotonic() + 10)
        return self._sandbox._outcome(self._argv, self._stream, timed_out=killed, limits=self._limits)


class _Feeder(io.RawIOBase):
    def __init__(self, sandbox: DockerSandbox, number: int) -> None:
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


class _Reader(io.RawIOBase):
    def __init__(self, sandbox: DockerSandbox, stream: _Stream, source: bytearray) -> None:
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


def _check(answer: dict[str, Any], doing: str) -> None:
    if answer["errno"]:
        raise OSError(answer["errno"], f"in the sandbox, {doing}: {os.strerror(answer['errno'])}")


def _as_fault(error: BaseException, what: str) -> BaseException:
    """An error of docker-py or its transport as a fault of ours; anything else as it is."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    if isinstance(error, (DockerException, RequestException)):
        return SandboxFault(f"{what} could not be started: {str(error).splitlines()[0]}", mend="xc doctor")
    return error


@contextlib.contextmanager
def export_image(reference: str) -> Iterator[Path]:
    """The file system of an image of the engine, as a tar archive.

    Raises:
        SandboxFault: no engine, or no such image.
    """
    client = connect()
    container = None
    try:
        try:
            container = client.containers.create(reference, command=["true"], labels=owner_labels("import"))
        except Exception as error:
            raise _as_fault(error, f"a container of {reference}") from error
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            for chunk in container.export():
                file.write(chunk)
            file.flush()
            yield Path(file.name)
    finally:
        if container is not None:
            _remove(container)
        client.close()
