"""A real kernel of the target: qemu-system, with our agent as first process, fed through a serial port.

What qemu-user can only translate is decided here by the kernel itself: page size, numbers and errors of system calls, mappings,
signals, processes. Its clock is still an emulator's, unless the host has the target's architecture and KVM.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform as host
import shutil
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, SandboxFault
from pytest_xinchuang.core.kernel_calls import Lacking, lacking_on
from pytest_xinchuang.core.locks import lock as take
from pytest_xinchuang.core.platform import Arch, Architecture, Platform
from pytest_xinchuang.core.syscall_names import names_of
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import NOTHING, Message, _, choose_language, system_error, verbatim
from pytest_xinchuang.provision.cache import is_whole, note_digest
from pytest_xinchuang.provision.refs import KernelRef, RootfsRef, SystemEmulatorRef
from pytest_xinchuang.sandbox.agent_client import AgentSandbox
from pytest_xinchuang.sandbox.agents import agent
from pytest_xinchuang.sandbox.backend import Opening
from pytest_xinchuang.sandbox.backends.initramfs import write_files, write_tree
from pytest_xinchuang.sandbox.call_log import CallLog
from pytest_xinchuang.sandbox.circumstances import EMULATION_SCALE, HOST_ARCH, Circumstances, CpuVariant, identity_of
from pytest_xinchuang.sandbox.protocol import BASE_ENV, SANDBOX_UID, Fingerprint
from pytest_xinchuang.sandbox.tracing import read_agent
from pytest_xinchuang.tools.process import DEVNULL, UNSCALED, Runner, Running

MEMORY_MB = 1536
PROCESSORS = 2
PREFIX, LOCK = "system-", "held"
"""The directory of one machine, and the file in it that is locked while it runs."""

BOOT_TIMEOUT_S = 90.0
"""Some 4 to 8 s on two free cores; a loaded machine takes several times that."""
KVM_BOOT_TIMEOUT_S = 15.0

REFERENCE = "reference-amd64"
"""What the fingerprint calls the x86-64 reference instead of a platform."""

CONSOLE_KEPT = 1 << 16
"""Bytes of the console's end that are kept as evidence."""


@dataclass(frozen=True)
class SystemSpec:
    """What a virtual machine is made of.

    Attributes:
        absent_calls: numbers of system calls that answer ENOSYS: the platform's kernel has not got them.
        floor: whether ``absent_calls`` are all that the platform's kernel is known to lack: not where nobody knows its release.
        own_cpu: whether ``cpu_model`` is the platform's.
        runner: scales our own time-outs; those of commands are scaled by ``timeout_scale``, for an emulator's slowness too.
        without_kvm: why KVM, which is there, is not used.
        reference: whether it is where the x86-64 runs are made, and stands for no platform.
    """

    platform: str
    architecture: Architecture
    rootfs: RootfsRef
    kernel: KernelRef
    emulator: SystemEmulatorRef
    cpu_model: str
    own_cpu: bool
    agent: bytes
    scratch: Path
    timeout_scale: float = 1.0
    runner: Runner = UNSCALED
    identity: tuple[tuple[str, str], ...] = ()
    absent_calls: tuple[int, ...] = ()
    floor: bool = False
    loopback: bool = False
    kvm: bool = False
    without_kvm: Message = NOTHING
    reference: bool = False
    keep: bool = False


class SystemSandbox(AgentSandbox):
    """One virtual machine that stays up. Use ``open_system``; see the sandbox protocol for the methods.

    Raises:
        SandboxFault: it did not boot; nothing is left behind, and the end of the console is told.
    """

    def __init__(self, spec: SystemSpec) -> None:
        super().__init__(
            _("the machine of {platform}", platform=spec.platform),
            prefix=(),
            environment=BASE_ENV,
            cpu_model=spec.cpu_model,
            timeout_scale=spec.timeout_scale,
            emulated=False,
            runner=spec.runner,
        )
        self.spec = spec
        self._process: Running | None = None
        ours, theirs = socket.socketpair()
        self._socket: socket.socket | None = ours
        spec.scratch.mkdir(parents=True, exist_ok=True)
        sweep(spec.scratch)
        self._place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=spec.scratch))
        # Held while we live: who finds it free may remove the directory.
        self._held = (self._place / LOCK).open("w")
        take(self._held, wait=True)
        try:
            with theirs:
                self._boot(theirs)
            threading.Thread(target=self._watch_boot, name=f"{spec.platform}-boot", daemon=True).start()
            self._hello = self._await_agent(KVM_BOOT_TIMEOUT_S if spec.kvm else BOOT_TIMEOUT_S)
            (self._place / "initramfs").unlink()
            self.fingerprint = self._describe()
        except BaseException as error:
            said = self.console()
            self.close()
            if isinstance(error, SandboxFault) and said:
                raise SandboxFault(_with_console(error.what, said), mend=error.mend) from error
            raise

    # -- booting

    def _boot(self, theirs: socket.socket) -> None:
        spec = self.spec
        machine = spec.architecture.system
        assert machine is not None
        try:
            self._write_initramfs(self._place / "initramfs")
        except OSError as error:
            raise SandboxFault(
                _(
                    "the first file system of {platform} could not be written: {why}",
                    platform=spec.platform,
                    why=system_error(error),
                ),
                mend=_(
                    "make room in {directory}, or export XC_CACHE=/another/directory",
                    directory=verbatim(str(spec.scratch)),
                ),
            ) from error
        # With init= a first process that cannot be run is a panic, not a shell on the console.
        words = [f"console={machine.console}", "quiet", "panic=-1", "oops=panic", "init=/init"]
        words += [f"earlycon={machine.early}"] if machine.early else []
        argv = [
            *spec.emulator.command(machine.program),
            *("-L", str(spec.emulator.share / "qemu"), "-L", str(spec.emulator.share / "seabios")),
            *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
            *("-M", machine.machine, "-cpu", self._cpu(), "-m", f"{MEMORY_MB}M", "-smp", str(PROCESSORS)),
            *("-accel", "kvm" if spec.kvm else "tcg"),
            *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"),
            *("-serial", f"file:{self._place / 'console'}"),
            *("-kernel", str(spec.kernel.image), "-initrd", str(self._place / "initramfs")),
            *("-append", " ".join(words)),
            *("-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,fd={theirs.fileno()}"),
            *("-device", "virtserialport,chardev=agent,name=xc"),
        ]
        if machine.firmware:
            argv += ["-bios", str(spec.emulator.share / machine.firmware)]
        try:
            with (self._place / "qemu").open("wb") as log:
                self._process = spec.runner.start(
                    argv,
                    pass_fds=[theirs.fileno()],
                    stdout=DEVNULL,
                    stderr=log,
                    cwd="/",
                    env={},
                    dies_with_us=True,
                )
        except OSError as error:
            raise SandboxFault(
                _("{argv} could not be started: {why}", argv=argv[3], why=system_error(error)),
                mend=verbatim("xc doctor"),
            ) from error
        threading.Thread(target=self._read_all, name=f"{spec.platform}-reader", daemon=True).start()

    def _watch_boot(self) -> None:
        """A kernel that panics before it can reboot stands still: nobody has to wait for it."""
        while self._streams[0].answer is None and not self._dead:
            if "end Kernel panic" in self.console():
                self._die(_with_console(_("{name} panicked", name=self.name), self.console()))
            time.sleep(0.5)

    def _cpu(self) -> str:
        # With KVM a feature that the host lacks would silently be missing: then it may not start at all.
        return f"{self.spec.cpu_model},enforce" if self.spec.kvm and self.spec.own_cpu else self.spec.cpu_model

    def _write_initramfs(self, path: Path) -> None:
        """The root filesystem, with the agent, the system's identity and the configuration on top of it."""
        spec = self.spec
        base = spec.scratch / f"initramfs-{spec.rootfs.digest.rpartition(':')[2][:16]}.cpio"
        if not is_whole(base):
            part = self._place / "base"
            with part.open("wb") as whole:
                write_tree(spec.rootfs.path, whole)
            note_digest(part, base)
            part.rename(base)
        assert spec.architecture.system is not None
        config = {
            "uid": SANDBOX_UID,
            "absent": list(spec.absent_calls),
            "auditArch": spec.architecture.system.audit_arch,
            "loopback": spec.loopback,
        }
        files: dict[str, tuple[bytes, int]] = {
            "/init": (spec.agent, 0o755),
            "/.xc/config.json": (json.dumps(config).encode(), 0o644),
        }
        files |= {f"/.xc/modules/{module.name}": (module.read_bytes(), 0o644) for module in spec.kernel.modules}
        for name, text in spec.identity:
            # The kernel's own /proc tells of the CPU; os-release may be a link, which would be written through.
            if not name.startswith("/proc/"):
                files[name] = (text.encode(), 0o644)
        shutil.copyfile(base, path)
        with path.open("ab") as file:
            write_files(files, file)

    def _describe(self) -> Fingerprint:
        spec, hello = self.spec, self._hello
        asked = self.run(["uname", "-mr"], cwd="/")
        if not asked.ok:
            raise SandboxFault(
                _(
                    "{platform}: `uname` does not run under the kernel: {describe}",
                    platform=spec.platform,
                    describe=asked.describe_with_tail(),
                )
            )
        release, _space, machine = asked.stdout.decode(errors="replace").strip().rpartition(" ")
        if machine != spec.architecture.uname:
            raise SandboxFault(
                _(
                    "{name} is a kernel for {machine}, not for {uname}",
                    name=spec.kernel.name,
                    machine=machine,
                    uname=spec.architecture.uname,
                )
            )
        page = int(hello["page_size"])
        differs = [*spec.rootfs.differs]
        if spec.kernel.stand_in and not spec.reference:
            told = _("Linux {release} of {name} instead of the vendor's kernel", release=release, name=spec.kernel.name)
            differs.append(told)
        floor = hello.get("floor")
        if spec.absent_calls and floor != "whole":
            differs.append(_("system calls that the platform lacks are there ({why})", why=verbatim(str(floor))))
        baseline = sorted(self.run(["true"], cwd="/").wall_ms for _turn in range(3))[1]
        return Fingerprint(
            backend="system",
            platform=spec.platform,
            fidelity=Fidelity.EMULATED_SYSTEM,
            emulated=True,
            rootfs=spec.rootfs.name,
            rootfs_digest=spec.rootfs.digest,
            stand_in=spec.rootfs.stand_in or spec.kernel.stand_in,
            differs=tuple(differs),
            emulator=spec.emulator.version,
            emulator_digest=spec.emulator.digest,
            cpu_model=spec.cpu_model,
            isolation={
                "children_emulated": True,
                "cpu_pinned": spec.own_cpu,
                "no_network": True,
                "private_layer": True,
                # The kernel is the machine's own, and no program of the host can run on its processors.
                "call_list": True,
                "host_refused": True,
                "memory_counted": True,
                "kernel_floor": spec.floor and (floor == "whole" or not spec.absent_calls),
                "identity": bool(spec.identity) or not spec.rootfs.stand_in,
            },
            observed={"uname_m": machine, "uname_r": release, "page_size": str(page)},
            host_kernel=host.release(),
            baseline_ms=round(baseline, 1),
            degraded=NOTHING if spec.own_cpu else _on_another_cpu(spec),
            own_kernel=not spec.kernel.stand_in,
            extra={
                "kernel": spec.kernel.name,
                "kernel_digest": spec.kernel.digest,
                "accelerator": "kvm" if spec.kvm else "tcg",
                **({"without_kvm": spec.without_kvm} if spec.without_kvm else {}),
                "console": self.console()[-2000:],
            },
        )

    # -- the way to the agent

    def _transmit(self, data: bytes) -> None:
        if self._socket is None:
            raise SandboxFault(_("the sandbox is closed"))
        self._socket.sendall(data)

    def _read_all(self) -> None:
        assert self._socket is not None
        ours, what = self._socket, _("{name} stopped", name=self.name)
        try:
            while data := ours.recv(1 << 16):
                self._take_bytes(data)
        except OSError as error:
            problem = system_error(error)
            what = _("{name} stopped ({problem})", name=self.name, problem=problem)
        self._die(_with_console(what, self.console()))

    def console(self) -> str:
        """The end of what the kernel wrote to its console, and of what the emulator said."""
        found = []
        for name in ("console", "qemu"):
            with contextlib.suppress(OSError), (self._place / name).open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - CONSOLE_KEPT))
                found.append(file.read().decode(errors="replace").replace("\r", ""))
        return "\n".join(text.strip() for text in found if text.strip())

    @property
    def logs_apart(self) -> bool:
        return True

    def _log_of(self, trace: bytes, /) -> CallLog:
        return read_agent(trace, names_of(self.spec.architecture.names["go"]))

    def close(self) -> None:
        self._die(_("the sandbox is closed"))
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process = None
        if self.spec.keep:
            told = _("xc: the console of {name} is in {file}", name=self.name, file=verbatim(f"{self._place}/console"))
            sys.stdout.write(told.render(choose_language()) + "\n")
        else:
            shutil.rmtree(self._place, ignore_errors=True)
        self._held.close()


def sweep(scratch: Path) -> None:
    """Remove the directories of machines whose run was killed."""
    for place in scratch.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (place / LOCK).open() as file:
            take(file)
            shutil.rmtree(place, ignore_errors=True)


def _on_another_cpu(spec: SystemSpec) -> Message:
    """Why the fingerprint is degraded when the platform's CPU is not the machine's."""
    why = spec.kernel.why or _("KVM gives it the host's")
    return _("runs on {model}, not on the platform's CPU: {why}", model=spec.cpu_model, why=why)


def _with_console(what: Message, console: str) -> Message:
    """An end with the lines of the console that explain it: the panic, else the last ones."""
    lines = [line for line in console.splitlines() if line.strip()]
    panic = [line for line in lines if "Kernel panic" in line or "xc agent:" in line or "qemu-system" in line]
    chosen = panic[:2] or lines[-2:]
    said = " | ".join(line.strip()[:200] for line in chosen)
    return _("{what}: {said}", what=what, said=verbatim(said)) if said else what


KVM_CREATE_VM = 0xAE01
"""linux/kvm.h: _IO(0xAE, 0x01)."""


def kvm_works() -> bool:
    """Whether a virtual machine can be made with KVM here: the device alone does not say so."""
    try:
        import fcntl

        device = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    except (ImportError, OSError):
        return False
    try:
        os.close(fcntl.ioctl(device, KVM_CREATE_VM, 0))
        return True
    except OSError:
        return False
    finally:
        os.close(device)


def open_system(run: Opening, platform: Platform, wanted: Circumstances) -> SystemSandbox:
    """Boot the kernel of a platform: the imported one, or the stand-in with its page size, or another of its architecture.

    Raises:
        HostFault: it cannot be provisioned, does not boot, or cannot be had under these circumstances.
    """
    if platform.architecture.system is None:
        raise SandboxFault(
            _("platforms.yaml does not say how a kernel of {arch} boots", arch=platform.arch),
            mend=_("add `system:` to it"),
        )
    kernel = wanted.kernel or run.store.kernel_for(platform)
    model = getattr(platform.cpu.emulation, wanted.variant).value
    if kernel.cpu:
        if wanted.variant is not CpuVariant.STRICT:
            raise SandboxFault(
                _("{name} runs on {cpu} alone: {why}", name=kernel.name, cpu=kernel.cpu, why=kernel.why),
                mend=verbatim("--xc-backend=qemu"),
            )
        model = kernel.cpu
    if model is None:
        raise SandboxFault(
            _("{id}: no QEMU CPU model is known for its {variant} variant", id=platform.id, variant=wanted.variant)
        )
    if wanted.vendor:
        model = f"{model},vendor={wanted.vendor}"
    rootfs = run.store.rootfs_for(platform)
    release = platform.system.kernel.value
    # A vendor's own kernel has what it has.
    lacking = lacking_on(platform) if wanted.floor and kernel.stand_in else Lacking()
    spec = SystemSpec(
        platform=platform.id,
        architecture=platform.architecture,
        rootfs=rootfs,
        kernel=kernel,
        emulator=run.store.system_emulator(),
        cpu_model=model,
        own_cpu=not kernel.cpu,
        agent=agent(run.store.cache, run.runner, platform.arch, platform.architecture),
        scratch=run.store.cache.root / "system",
        runner=run.runner,
        identity=tuple(identity_of(platform, rootfs.stand_in).items()),
        absent_calls=tuple(lacking.absent.values()),
        floor=wanted.floor and (release is not None or not kernel.stand_in),
        loopback=wanted.loopback,
        keep=run.keep,
    )
    return _open(run, spec, platform.arch)


def open_system_reference(run: Opening, wanted: Circumstances) -> SystemSandbox:
    """Boot the x86-64 reference root filesystem: where the x86-64 runs are made when the host itself cannot.

    Raises:
        HostFault: it cannot be provisioned, or does not boot.
    """
    file = run.store.platforms.file
    architecture = file.architectures.get(Arch.AMD64)
    if file.reference is None:
        raise HostFault(_("platforms.yaml names no reference root filesystem"), mend=_("add `reference:`"))
    kernels = [name for name, recipe in file.kernels.items() if recipe.arch is Arch.AMD64 and not recipe.cpu]
    if architecture is None or architecture.system is None or not kernels:
        raise HostFault(_("platforms.yaml has no kernel for {arch}", arch=Arch.AMD64), mend=_("add one to `kernels:`"))
    spec = SystemSpec(
        platform=REFERENCE,
        architecture=architecture,
        rootfs=run.store.rootfs(file.reference),
        kernel=run.store.kernel(kernels[0]),
        emulator=run.store.system_emulator(),
        cpu_model="max",
        own_cpu=True,
        agent=agent(run.store.cache, run.runner, Arch.AMD64, architecture),
        scratch=run.store.cache.root / "system",
        runner=run.runner,
        loopback=wanted.loopback,
        reference=True,
        keep=run.keep,
    )
    return _open(run, spec, Arch.AMD64)


def _open(run: Opening, spec: SystemSpec, arch: Arch) -> SystemSandbox:
    """Boot with KVM where it works, else without."""
    emulated = replace(spec, timeout_scale=EMULATION_SCALE * run.timeout_scale)
    if HOST_ARCH is not arch or not kvm_works():
        return SystemSandbox(emulated)
    # Under KVM an Arm or LoongArch machine has the host's CPU (target/arm/kvm.c).
    own = spec.own_cpu and arch is Arch.AMD64
    try:
        model = spec.cpu_model if arch is Arch.AMD64 else "host"
        return SystemSandbox(replace(spec, kvm=True, cpu_model=model, own_cpu=own, timeout_scale=run.timeout_scale))
    except SandboxFault as fault:
        # The device is there and a machine can be made, but not this one: nested, or with another CPU.
        return SystemSandbox(replace(emulated, without_kvm=fault.what))
