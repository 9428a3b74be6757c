"""A real kernel of the target: qemu-system, with our agent as first process, fed through a serial port.

What qemu-user can only translate is decided here by the kernel itself: page size, numbers and errors of system calls, mappings,
signals, processes. Its clock is still an emulator's, unless the host has the target's architecture and KVM.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform as host
import shutil
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, SandboxFault
from pytest_xinchuang.core.kernel_calls import Lacking, lacking_on
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.core.syscall_names import names_of
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import NOTHING, Message, _, choose_language, system_error, told, verbatim
from pytest_xinchuang.provision.cache import is_whole, note_digest
from pytest_xinchuang.sandbox.agent_client import ANSWER_TIMEOUT_S, AgentSandbox
from pytest_xinchuang.sandbox.agents import agent
from pytest_xinchuang.sandbox.backend import Opening
from pytest_xinchuang.sandbox.backends.initramfs import write_files, write_tree
from pytest_xinchuang.sandbox.backends.kvm import Tried, device_works
from pytest_xinchuang.sandbox.backends.monitor import Monitor
from pytest_xinchuang.sandbox.backends.snapshots import Snapshot, Snapshots, key_of
from pytest_xinchuang.sandbox.backends.virtual_machine import (
    CONSOLE,
    DISK,
    LOG,
    MEMORY_MB,
    SystemSpec,
    config,
    escaped,
    machine_argv,
    made_of,
    modules,
    own_place,
)
from pytest_xinchuang.sandbox.call_log import CallLog
from pytest_xinchuang.sandbox.circumstances import EMULATION_SCALE, HOST_ARCH, Circumstances, CpuVariant, identity_of
from pytest_xinchuang.sandbox.protocol import BASE_ENV, Fingerprint
from pytest_xinchuang.sandbox.tracing import read_agent
from pytest_xinchuang.tools.process import DEVNULL, Running

LOGGER = logging.getLogger("pytest_xinchuang.system")

BOOT_TIMEOUT_S = 90.0
"""Some 4 to 8 s on two free cores; a loaded machine takes several times that."""
KVM_BOOT_TIMEOUT_S = 15.0
RESTORE_TIMEOUT_S = 10.0
"""Some 0.2 to 0.4 s on two free cores."""

REFERENCE = "reference-amd64"
"""What the fingerprint calls the x86-64 reference instead of a platform."""

CONSOLE_KEPT = 1 << 16
"""Bytes of the console's end that are kept as evidence."""


class SystemSandbox(AgentSandbox):
    """One virtual machine that stays up. Use ``open_system``; see the sandbox protocol for the methods.

    Raises:
        SandboxFault: it did not boot; nothing is left behind, and the end of the console is told.
    """

    def __init__(self, spec: SystemSpec) -> None:
        self._become(spec, spec.scratch)
        try:
            self._come_up()
            self.fingerprint = self._describe()
        except BaseException as error:
            said = self.console()
            self.close()
            if isinstance(error, SandboxFault) and said:
                raise SandboxFault(_with_console(error.what, said), mend=error.mend) from error
            if isinstance(error, OSError | LookupError | ValueError):
                raise SandboxFault(_("{name} could not be started: {why}", name=self.name, why=told(error))) from error
            raise

    def _become(self, spec: SystemSpec, scratch: Path) -> None:
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
        self._socket: socket.socket | None = None
        self._monitor: Monitor | None = None
        self._place, self._held = own_place(scratch, spec.platform)

    @property
    def pid(self) -> int | None:
        """The process that is the machine."""
        return self._process.pid if self._process is not None else None

    @property
    def key(self) -> str:
        """By what its snapshot is found."""
        return key_of(made_of(self.spec))

    # -- coming up

    def _come_up(self) -> None:
        """Restore the machine from its snapshot, which is made first where there is none; boot it where that cannot be."""
        spec, self._restored = self.spec, False
        if (snapshots := spec.snapshots) is not None:
            key = self.key
            with snapshots.held(key):
                found = snapshots.find(key)
                if found is None:
                    found = self._make(snapshots, key)
                if found is not None:
                    try:
                        self._restore(found)
                        self._restored = True
                    except SandboxFault as fault:
                        # A machine that boots is as good: what was kept of another is not used again.
                        LOGGER.info("%s: its snapshot cannot be used: %s", spec.platform, fault.what)
                        snapshots.remove(key)
                        self._end()
                        (self._place / CONSOLE).unlink(missing_ok=True)
        if not self._restored:
            self._boot()
            self._hello = self._configure(config(spec), ANSWER_TIMEOUT_S)
        if spec.disk_mb and (why := self._hello.get("disk")) != "whole":
            raise SandboxFault(_("{name} has no disk: {why}", name=self.name, why=verbatim(str(why))))

    def _make(self, snapshots: Snapshots, key: str) -> Snapshot | None:
        """Boot a machine for a snapshot of it; None where none can be made."""

        def build(memory: Path, state: Path) -> None:
            with Template(self.spec, self._place, memory) as template:
                template.save(state)

        try:
            return snapshots.make(key, build, self._place)
        except SandboxFault as fault:
            LOGGER.info("%s: no snapshot could be made: %s", self.spec.platform, fault.what)
            return None
        finally:
            shutil.rmtree(self._place / "snapshot", ignore_errors=True)

    def _restore(self, snapshot: Snapshot) -> None:
        self._start(memory=snapshot.memory, restored=True)
        assert self._monitor is not None
        self._monitor.execute("migrate-incoming", uri=f"file:{snapshot.state}")
        self._monitor.migrated()
        self._hello = self._configure(config(self.spec), RESTORE_TIMEOUT_S)
        self._streams[0].answer = dict(self._hello)
        for what in ("entropy", "timers", "clock"):
            if (why := self._hello.get(what)) != "whole":
                raise SandboxFault(
                    _(
                        "{name} cannot be restored: its {what} cannot be renewed: {why}",
                        name=self.name,
                        what=verbatim(what),
                        why=verbatim(str(why)),
                    )
                )

    def _boot(self) -> None:
        """Boot the kernel, and wait for the agent."""
        spec = self.spec
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
        self._start(memory=self._memory)
        threading.Thread(target=self._watch_boot, name=f"{spec.platform}-boot", daemon=True).start()
        self._await_agent(KVM_BOOT_TIMEOUT_S if spec.kvm else BOOT_TIMEOUT_S)
        (self._place / "initramfs").unlink()

    _memory: Path | None = None
    """The file that is a booted machine's memory; None: it is nobody's but qemu's."""

    def _start(self, memory: Path | None = None, *, restored: bool = False) -> None:
        """Start qemu: with ``memory`` in a file, which it shares unless it is ``restored`` from it, and then with a monitor."""
        spec, place = self.spec, self._place
        ours, theirs = socket.socketpair()
        our_monitor, their_monitor = socket.socketpair()
        self._socket = ours
        with theirs, their_monitor:
            argv = [*machine_argv(spec, memory, shared=not restored), "-initrd", escaped(place / "initramfs")]
            argv += [
                "-serial",
                f"file:{escaped(place / CONSOLE)}",
                "-chardev",
                f"socket,id=agent,fd={theirs.fileno()}",
            ]
            argv += ["-incoming", "defer"] if restored else []
            if memory is not None:
                argv += ["-chardev", f"socket,id=monitor,fd={their_monitor.fileno()}", "-mon", "monitor,mode=control"]
            if spec.disk_mb:
                with (place / DISK).open("wb") as disk:
                    disk.truncate(spec.disk_mb << 20)
                argv += ["-drive", f"file={escaped(place / DISK)},format=raw,if=none,id=disk"]
                argv += ["-device", "nvme,drive=disk,serial=xc"]
            if restored:
                (place / "initramfs").touch()  # what the kernel once read of it is in the memory
            try:
                with (place / LOG).open("wb") as log:
                    self._process = spec.runner.start(
                        argv,
                        pass_fds=[theirs.fileno(), their_monitor.fileno()],
                        stdout=DEVNULL,
                        stderr=log,
                        cwd="/",
                        env={},
                        dies_with_us=True,
                    )
            except OSError as error:
                our_monitor.close()
                raise SandboxFault(
                    _("{argv} could not be started: {why}", argv=argv[3], why=system_error(error)),
                    mend=verbatim("xc doctor"),
                ) from error
        self._dead = NOTHING
        threading.Thread(target=self._read_all, args=(ours,), name=f"{spec.platform}-reader", daemon=True).start()
        if memory is not None:
            self._monitor = Monitor(our_monitor, spec.runner.seconds(RESTORE_TIMEOUT_S))
        else:
            our_monitor.close()

    def _watch_boot(self) -> None:
        """A kernel that panics before it can reboot stands still: nobody has to wait for it."""
        while self._streams[0].answer is None and not self._dead:
            if "end Kernel panic" in self.console():
                self._die(_with_console(_("{name} panicked", name=self.name), self.console()))
            time.sleep(0.5)

    def _write_initramfs(self, path: Path) -> None:
        """The root filesystem, with the agent and the kernel's modules on top of it."""
        spec = self.spec
        base = spec.scratch / f"initramfs-{spec.rootfs.digest.rpartition(':')[2][:16]}.cpio"
        if not is_whole(base):
            part = self._place / "base"
            with part.open("wb") as whole:
                write_tree(spec.rootfs.path, whole)
            note_digest(part, base)
            part.rename(base)
        files: dict[str, tuple[bytes, int]] = {"/init": (spec.agent, 0o755)}
        files |= {f"/.xc/modules/{module.name}": (module.read_bytes(), 0o644) for module in modules(spec)}
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
                "started": "restored" if self._restored else "booted",
                **({"without_kvm": spec.without_kvm} if spec.without_kvm else {}),
                **({"disk_mb": spec.disk_mb, "disk": hello.get("disk")} if spec.disk_mb else {}),
                "console": self.console()[-2000:],
            },
        )

    # -- the way to the agent

    def _transmit(self, data: bytes) -> None:
        if self._socket is None:
            raise SandboxFault(_("the sandbox is closed"))
        self._socket.sendall(data)

    def _read_all(self, ours: socket.socket) -> None:
        what = _("{name} stopped", name=self.name)
        try:
            while data := ours.recv(1 << 16):
                self._take_bytes(data)
        except OSError as error:
            problem = system_error(error)
            what = _("{name} stopped ({problem})", name=self.name, problem=problem)
        if ours is self._socket:
            self._die(_with_console(what, self.console()))

    def console(self) -> str:
        """The end of what the kernel wrote to its console, and of what the emulator said."""
        found = []
        for name in (CONSOLE, LOG):
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
        self._end()
        if self.spec.keep:
            told = _(
                "xc: the console of {name} is in {file}", name=self.name, file=verbatim(f"{self._place}/{CONSOLE}")
            )
            sys.stdout.write(told.render(choose_language()) + "\n")
        else:
            shutil.rmtree(self._place, ignore_errors=True)
        os.close(self._held)

    def _end(self) -> None:
        """End qemu, and our ways to it."""
        ours, self._socket = self._socket, None
        if ours is not None:
            with contextlib.suppress(OSError):
                ours.shutdown(socket.SHUT_RDWR)
            ours.close()
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
        if self._process is not None:
            self._process.kill()
            self._process = None


class Template(SystemSandbox):
    """A machine that boots to be saved, with its memory in the file ``memory``: its agent is told nothing, and runs nothing."""

    def __init__(self, spec: SystemSpec, scratch: Path, memory: Path) -> None:
        self._become(replace(spec, keep=False), scratch)
        self._memory = memory
        try:
            with memory.open("wb") as file:
                file.truncate(MEMORY_MB << 20)
            self._boot()
        except BaseException:
            self.close()
            raise

    def save(self, state: Path) -> None:
        """Stop the machine, and write the state of its devices.

        Raises:
            SandboxFault: qemu cannot.
        """
        assert self._monitor is not None
        self._monitor.execute("migrate", uri=f"file:{state}")
        self._monitor.migrated()
        self._end()


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


def open_system(run: Opening, platform: Platform, wanted: Circumstances, *, disk_mb: int = 0) -> SystemSandbox:
    """Boot the kernel of a platform: the imported one, or the stand-in with its page size, or another of its architecture.

    Args:
        disk_mb: MiB of an NVMe disk, which commands find as /dev/nvme0n1, empty and theirs.

    Raises:
        HostFault: it cannot be provisioned, does not boot, or cannot be had under these circumstances.
    """
    return _open(run, _spec_of(run, platform, wanted, disk_mb), platform.arch)


def _spec_of(run: Opening, platform: Platform, wanted: Circumstances, disk_mb: int = 0) -> SystemSpec:
    """The machine of a platform under these circumstances, without KVM."""
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
    return SystemSpec(
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
        snapshots=_snapshots(run, disk_mb),
        disk_mb=disk_mb,
        disk_modules=run.store.disk_modules(kernel) if disk_mb else (),
        identity=tuple(identity_of(platform, rootfs.stand_in).items()),
        absent_calls=tuple(lacking.absent.values()),
        floor=wanted.floor and (release is not None or not kernel.stand_in),
        loopback=wanted.loopback,
        keep=run.keep,
    )


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
        snapshots=_snapshots(run),
        loopback=wanted.loopback,
        reference=True,
        keep=run.keep,
    )
    return _open(run, spec, Arch.AMD64)


def _snapshots(run: Opening, disk_mb: int = 0) -> Snapshots | None:
    """Where snapshots are kept; none of a machine with a disk, which qemu does not save (hw/nvme: unmigratable)."""
    return None if disk_mb else Snapshots(run.store.cache)


kvm_works = device_works
"""Whether the device makes a machine; that one runs shows when it boots, and is remembered (``kvm.Tried``)."""


def _open(run: Opening, spec: SystemSpec, arch: Arch) -> SystemSandbox:
    """Boot with KVM where it works, else without; restored from a snapshot where there is none."""
    emulated = replace(spec, timeout_scale=EMULATION_SCALE * run.timeout_scale)
    if HOST_ARCH is not arch or not kvm_works():
        return SystemSandbox(emulated)
    fast = _with_kvm(spec, arch, run.timeout_scale)
    tried = Tried(spec.scratch, made_of(fast))
    why = tried.known()
    if not why:
        try:
            opened = SystemSandbox(fast)
        except SandboxFault as fault:
            # The device is there and a machine can be made, but not this one: nested, or with another CPU.
            why = fault.what
            tried.note(why)
        else:
            tried.note()
            return opened
    return SystemSandbox(replace(emulated, without_kvm=why))


def _with_kvm(spec: SystemSpec, arch: Arch, timeout_scale: float) -> SystemSpec:
    # Under KVM an Arm or LoongArch machine has the host's CPU (target/arm/kvm.c).
    own = spec.own_cpu and arch is Arch.AMD64
    model = spec.cpu_model if arch is Arch.AMD64 else "host"
    return replace(spec, kvm=True, snapshots=None, cpu_model=model, own_cpu=own, timeout_scale=timeout_scale)
