"""Containers: one for each platform and worker, with an agent as first process that is fed through the attach socket."""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import math
import os
import platform as host
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.kernel_calls import lacking_on
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.syscall_names import tables
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import NOTHING, Message, _, joined, system_error, told, verbatim
from pytest_xinchuang.provision.refs import EmulatorRef, RootfsRef
from pytest_xinchuang.sandbox.agent_client import AgentSandbox
from pytest_xinchuang.sandbox.backend import Opening
from pytest_xinchuang.sandbox.backends.docker_images import prepare, said
from pytest_xinchuang.sandbox.backends.user_mode import NEEDED_BY_QEMU
from pytest_xinchuang.sandbox.circumstances import EMULATION_SCALE, HOST_ARCH, Circumstances, CpuVariant
from pytest_xinchuang.sandbox.protocol import BASE_ENV, SANDBOX_UID, WORK_DIR, Fingerprint
from pytest_xinchuang.sandbox.wall import pinned
from pytest_xinchuang.sandbox.wall.calls import docker_profile, seccomp_program
from pytest_xinchuang.sandbox.wall.emulation import emulation
from pytest_xinchuang.sandbox.wall.masks import DOCKER_MASKED, DOCKER_READ_ONLY
from pytest_xinchuang.tools.process import Runner

LABEL = "xc.sandbox"
START_TIMEOUT_S = 60.0
API_TIMEOUT_S = 120
"""Seconds for one answer of the engine; a pull answers as it goes."""
MEMORY_MB = 2048
PIDS = 1024
CLONE3 = 435
"""The same number on every architecture."""
PINNED = "/.xc/pinned"
"""Where the agent has the emulator with its CPU model within itself (agent/exec.go)."""


def connect(timeout_scale: float = 1.0) -> Any:
    """A client of the engine that the environment names (``DOCKER_HOST``, contexts' defaults).

    Raises:
        SandboxFault: no engine answers.
        MissingDependency: the client is not installed.
    """
    with optional("docker"):
        import docker
        from docker.errors import DockerException
        from docker.utils import parse_host

    client, path = None, ""
    try:
        kind, _colon, path = str(parse_host(os.environ.get("DOCKER_HOST"))).partition("://")
        if kind == "http+unix":
            # The library leaves its socket open when nobody listens.
            with socket.socket(socket.AF_UNIX) as there:
                there.connect(path)
        client = docker.from_env(timeout=math.ceil(API_TIMEOUT_S * timeout_scale))
        client.ping()
        return client
    except (DockerException, OSError) as error:
        if client is not None:
            client.close()
        cause = said(error)
        if isinstance(error, OSError) and path:
            cause = _("{path}: {problem}", path=path, problem=cause)
        raise SandboxFault(
            _("no Docker engine answers: {cause}", cause=cause), mend=_("xc doctor, or --xc-backend=qemu")
        ) from error


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
            if text := Path(name).read_text(encoding="utf-8").strip():
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


class DockerSandbox(AgentSandbox):
    """One long-lived container. Use ``open``; see the sandbox protocol for the methods."""

    SECURITY: tuple[str, ...] = ("no-new-privileges", f"seccomp={json.dumps(docker_profile())}")
    """Docker's security options."""

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
        emulator: EmulatorRef,
        cpu_model: str,
        release: str,
        absent: Sequence[int],
        floor: bool,
        identity: bool,
        timeout_scale: float,
        runner: Runner,
        keep: bool,
    ) -> None:
        super().__init__(
            name,
            prefix=prefix,
            environment=environment,
            cpu_model=cpu_model,
            timeout_scale=timeout_scale,
            emulated=True,
            runner=runner,
        )
        self._client = client
        self._keep = keep
        self._socket: socket.socket | None = None
        self._container: Any = None
        try:
            self._start(image, platform, labels)
            untraced = self._trace(emulator, platform, release, absent)
            self._floor, self._identity = self._pinned and floor, identity
            self.fingerprint = self._describe(platform, rootfs, emulator, untraced)
        except BaseException:
            self._keep = False
            self.close()
            raise

    @classmethod
    def open(cls, run: Opening, platform: Platform, wanted: Circumstances | CpuVariant) -> DockerSandbox:
        """Start a container of ``platform``: of the image that was named, of the vendor's if the engine has it, or of
        the stand-in root filesystem.

        Args:
            wanted: a variant alone is that of the CPU under the platform's own circumstances.

        Raises:
            SandboxFault: it could not be started; nothing is left behind.
        """
        if not isinstance(wanted, Circumstances):
            wanted = Circumstances(wanted)
        variant = wanted.variant
        model = getattr(platform.cpu.emulation, variant).value
        if model is None:
            raise SandboxFault(
                _("{id}: no QEMU CPU model is known for its {variant} variant", id=platform.id, variant=variant)
            )
        if wanted.vendor:
            model = f"{model},vendor={wanted.vendor}"
        client = connect(run.timeout_scale)
        try:
            reap(client)
            emulator = run.store.emulator(platform.architecture.qemu)
            prepared = prepare(client, run, platform, emulator)
            release = platform.system.kernel.value or "4.19.0"
            name = f"xc-{run.run_id or 'none'}-{platform.id}-{variant}-{os.getpid()}-{next(_serial)}"
            labels = owner_labels(run.run_id) | ({"xc.keep": "1"} if run.keep else {})
            return cls(
                client,
                prepared.image,
                platform=platform,
                name=name,
                labels=labels,
                prefix=["/.xc/emulator", "-cpu", model, "-r", release],
                # Without a tracer children are emulated by the host's binfmt_misc, when it has the architecture: this is all
                # they get.
                environment={**BASE_ENV, "QEMU_CPU": model, "QEMU_UNAME": release},
                rootfs=prepared.rootfs,
                emulator=emulator,
                cpu_model=model,
                release=release,
                absent=_absent_calls(platform) if wanted.floor else (),
                floor=wanted.floor and platform.system.kernel.value is not None,
                identity=bool(prepared.identity),
                timeout_scale=EMULATION_SCALE * run.timeout_scale,
                runner=run.runner,
                keep=run.keep,
            )
        except BaseException as error:
            client.close()
            raise _as_fault(error, _("the container of {platform}", platform=platform.id)) from error

    def _start(self, image: str, platform: Platform, labels: Mapping[str, str]) -> None:
        import docker

        # The agent is another user than the commands, which it starts and ends, and who cannot reach its descriptors.
        tmpfs = f"rw,exec,nosuid,nodev,size=512m,uid={SANDBOX_UID},gid={SANDBOX_UID}"
        host = self._client.api.create_host_config(
            network_mode="none",
            cap_drop=["ALL"],
            cap_add=["SETUID", "SETGID", "KILL"],
            security_opt=list(self.SECURITY),
            read_only=True,
            tmpfs={
                WORK_DIR: f"{tmpfs},mode=755",
                "/tmp": f"{tmpfs},mode=1777",
                "/run": f"{tmpfs},mode=755",
                PINNED: "rw,exec,nosuid,nodev,size=96m,mode=711",
            },
            mem_limit=f"{MEMORY_MB}m",
            memswap_limit=f"{MEMORY_MB}m",
            pids_limit=PIDS,
            ulimits=[
                docker.types.Ulimit(name="core", soft=0, hard=0),
                docker.types.Ulimit(name="nofile", soft=1024, hard=4096),
            ],
        )
        host |= {"MaskedPaths": list(DOCKER_MASKED), "ReadonlyPaths": list(DOCKER_READ_ONLY)}
        created = self._client.api.create_container(
            image,
            command=["/.xc/agent", "--user", str(SANDBOX_UID)],
            entrypoint=[],
            name=self.name,
            labels=dict(labels),
            stdin_open=True,
            environment=self._environment,
            user="0:0",
            working_dir="/",
            host_config=host,
            platform=f"linux/{platform.arch}",
            stop_signal="SIGKILL",
        )
        self._container = self._client.containers.get(created["Id"])
        attached = self._container.attach_socket(params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        # docker-py wraps the socket differently for each transport; the plain one is beneath.
        self._attached = attached
        self._socket = getattr(attached, "_sock", attached)
        assert self._socket is not None
        self._socket.settimeout(None)
        self._container.start()
        threading.Thread(target=self._read_all, name=f"{self.name}-reader", daemon=True).start()
        self._await_agent(START_TIMEOUT_S)

    def _trace(self, emulator: EmulatorRef, platform: Platform, release: str, absent: Sequence[int]) -> Message:
        """Have children emulated by the agent's tracer; returns why not, or nothing."""
        machine = host.machine()
        if not pinned.supported(machine):
            return _("on a {machine} host there is no tracer of programs", machine=verbatim(machine))
        made = emulation(emulator, platform.arch, machine, self._cpu_model, release)
        # As in ``docker_profile``, and where an engine's own profile has EPERM for it: the last filter's errno is told.
        absent = [*absent, CLONE3]
        programs = {name: made[name] for name in ("emulators", "doors", "kinds", "log")} | {
            "called": {kind: made["called"].format(kind=kind) for kind in made["emulators"]},
            "refuser": made["helpers"]["refuser"],
            "filter": seccomp_program(machine, absent, traced=True, seen=True).hex(),
        }
        number = self._pin(programs)
        return _("{step}: {problem}", step=_("trace processes"), problem=system_error(number)) if number else NOTHING

    @property
    def logs_apart(self) -> bool:
        return self._pinned

    def _describe(self, platform: Platform, rootfs: RootfsRef, emulator: EmulatorRef, untraced: Message) -> Fingerprint:
        asked = self.run(["uname", "-mr"], cwd="/")
        clone3 = errno.errorcode.get((self._streams[0].answer or {}).get("clone3", 0), "0")
        if not asked.ok and clone3 == "EPERM":
            raise SandboxFault(
                _("in a container clone3 answers EPERM, and so threads fail, the emulator's own too [XC-HOST-001]"),
                mend=_("move to Docker 20.10.10 or later, whose seccomp profile answers ENOSYS"),
            )
        if not asked.ok:
            raise SandboxFault(
                _(
                    "{id}: `uname` does not run in {name}: {describe}",
                    id=platform.id,
                    name=self.name,
                    describe=asked.describe_with_tail(),
                )
            )
        release, _space, machine = asked.stdout.decode(errors="replace").strip().rpartition(" ")
        baseline = sorted(self.run(["true"], cwd="/").wall_ms for _turn in range(3))[1]
        native = HOST_ARCH is platform.arch
        child = self.run(["sh", "-c", "uname -m; :"], cwd="/")
        emulated = child.stdout.strip().decode(errors="replace") == platform.architecture.uname
        children = emulated and (not native or self._pinned)
        by = "tracer" if self._pinned else "binfmt_misc"
        unknown = _("the host's binfmt_misc does not know this architecture")
        why = _("they run natively on this host") if native else unknown
        return Fingerprint(
            backend="docker",
            platform=platform.id,
            fidelity=Fidelity.EMULATED_USER,
            emulated=True,
            rootfs=rootfs.name,
            rootfs_digest=rootfs.digest,
            stand_in=rootfs.stand_in,
            differs=rootfs.differs,
            emulator=emulator.version,
            emulator_digest=emulator.digest,
            cpu_model=self._cpu_model,
            isolation={
                "children_emulated": children,
                "cpu_pinned": children and self._pinned,
                "no_network": True,
                "private_layer": True,
                "call_list": True,
                "host_refused": self._pinned,
                "memory_counted": True,
                "kernel_floor": self._floor,
                "identity": self._identity or not rootfs.stand_in,
            },
            observed={"uname_m": machine, "uname_r": release},
            host_kernel=host.release(),
            baseline_ms=round(baseline, 1),
            degraded=NOTHING
            if children
            else _("children are not emulated: {why}", why=joined([m for m in (why, untraced) if m])),
            extra={"container": self.name, "clone3": clone3, "children": by if children else "none", "layer": "tmpfs"},
        )

    # -- the way to the agent

    def _transmit(self, data: bytes) -> None:
        if self._socket is None:
            raise SandboxFault(_("the sandbox is closed"))
        self._socket.sendall(data)

    def _read_all(self) -> None:
        """Take the engine's stream apart (8-byte headers: stream, three zeros, length); the agent's is stdout."""
        try:
            while True:
                header = self._receive(8)
                body = self._receive(struct.unpack(">I", header[4:])[0])
                if header[0] == 1:
                    self._take_bytes(body)
        except (OSError, EOFError, struct.error, ValueError) as error:
            self._die(_("the container {name} is gone: {why}", name=self.name, why=told(error)))

    def _receive(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            assert self._socket is not None
            data = self._socket.recv(size - len(parts))
            if not data:
                raise EOFError(_("its stream ended: it was stopped or killed from outside"))
            parts += data
        return bytes(parts)

    def close(self) -> None:
        self._die(_("the sandbox is closed"))
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


_serial = itertools.count(1)


def _absent_calls(platform: Platform) -> list[int]:
    """Numbers of the host's system calls that the platform's kernel has not got, as far as they can be taken away."""
    numbers = tables()[HOST_ARCH.value] if HOST_ARCH else {}
    return [numbers[n] for n in lacking_on(platform).absent if n in numbers and n not in NEEDED_BY_QEMU]


def _as_fault(error: BaseException, what: Message) -> BaseException:
    """An error of docker-py or its transport as a fault of ours; anything else as it is."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    if isinstance(error, (DockerException, RequestException)):
        return SandboxFault(
            _("{what} could not be started: {problem}", what=what, problem=said(error)),
            mend=verbatim("xc doctor"),
        )
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
            raise _as_fault(error, _("a container of {reference}", reference=reference)) from error
        with tempfile.NamedTemporaryFile(suffix=".tar") as file:
            for chunk in container.export():
                file.write(chunk)
            file.flush()
            yield Path(file.name)
    finally:
        if container is not None:
            _remove(container)
        client.close()
