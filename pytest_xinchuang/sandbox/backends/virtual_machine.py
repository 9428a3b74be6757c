"""What a virtual machine is made of: its options for qemu, what its agent is told, and where it runs."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import platform as host
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.core.locks import lock as take
from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.messages import NOTHING, Message, _, system_error, verbatim
from pytest_xinchuang.provision.refs import KernelRef, RootfsRef, SystemEmulatorRef
from pytest_xinchuang.sandbox.backends.initramfs import DIRECTORIES
from pytest_xinchuang.sandbox.backends.snapshots import Snapshots
from pytest_xinchuang.sandbox.protocol import SANDBOX_UID
from pytest_xinchuang.tools.process import UNSCALED, Runner

MEMORY_MB = 1536
"""A command may have 1,024 MiB (Limits.memory_mb), what it writes to /xc, /tmp and /dev/shm is in memory too, and the kernel
takes some 60. It is what a machine may have, and not what it takes: some 110 to 190 MiB of the host once it is restored."""
PROCESSORS = 2
PREFIX, SWEEPING = "system-", "sweeping.lock"
"""The directory of one machine, which is locked while it runs, and what is locked while one is made or removed."""
CONSOLE, LOG, DISK = "console", "qemu", "disk"
"""Files of a machine's directory."""
SEED_BYTES = 64


@dataclass(frozen=True)
class SystemSpec:
    """What a virtual machine is made of.

    Attributes:
        absent_calls: numbers of system calls that answer ENOSYS: the platform's kernel has not got them.
        floor: whether ``absent_calls`` are all that the platform's kernel is known to lack: not where nobody knows its release.
        own_cpu: whether ``cpu_model`` is the platform's.
        runner: scales our own time-outs; those of commands are scaled by ``timeout_scale``, for an emulator's slowness too.
        snapshots: where machines as they are after their boot are kept; None: each boots.
        disk_mb: MiB of a disk of its own, empty at first and gone with the machine; 0: it has none.
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
    snapshots: Snapshots | None = None
    disk_mb: int = 0
    disk_modules: tuple[Path, ...] = ()
    identity: tuple[tuple[str, str], ...] = ()
    absent_calls: tuple[int, ...] = ()
    floor: bool = False
    loopback: bool = False
    kvm: bool = False
    without_kvm: Message = NOTHING
    reference: bool = False
    keep: bool = False


def own_place(scratch: Path, name: str) -> tuple[Path, int]:
    """A new directory for a machine, and the descriptor whose lock says that we live. What dead runs left is removed.

    Raises:
        SandboxFault: it cannot be made.
    """
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        # Between its being made and its being locked nobody may take it for a dead run's.
        with (scratch / SWEEPING).open("w") as turn:
            take(turn, wait=True)
            sweep(scratch)
            place = Path(tempfile.mkdtemp(prefix=PREFIX, dir=scratch))
            held = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            take(held)
        return place, held
    except OSError as error:
        raise SandboxFault(
            _("the machine of {platform} has no place to run: {why}", platform=name, why=system_error(error)),
            mend=_("make room in {directory}, or export XC_CACHE=/another/directory", directory=verbatim(str(scratch))),
        ) from error


def sweep(scratch: Path) -> None:
    """Remove the directories of machines whose run was killed."""
    for place in scratch.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            held = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                take(held)
                shutil.rmtree(place, ignore_errors=True)
            finally:
                os.close(held)


def escaped(path: Path) -> str:
    """A path as a value of qemu's options has it (qemu(1): a comma is written twice)."""
    return str(path).replace(",", ",,")


def modules(spec: SystemSpec) -> tuple[Path, ...]:
    return (*spec.kernel.modules, *spec.disk_modules)


def machine_argv(spec: SystemSpec, memory: Path | None, *, shared: bool) -> list[str]:
    """The virtual machine, without what is another for each of its runs."""
    machine = spec.architecture.system
    assert machine is not None
    # With KVM a feature that the host lacks would silently be missing: then it may not start at all.
    cpu = f"{spec.cpu_model},enforce" if spec.kvm and spec.own_cpu else spec.cpu_model
    board = machine.machine
    # With init= a first process that cannot be run is a panic, not a shell on the console.
    words = [f"console={machine.console}", "quiet", "panic=-1", "oops=panic", "init=/init"]
    words += [f"earlycon={machine.early}"] if machine.early else []
    argv = [
        *spec.emulator.command(machine.program),
        *("-L", str(spec.emulator.share / "qemu"), "-L", str(spec.emulator.share / "seabios")),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-cpu", cpu, "-m", f"{MEMORY_MB}M", "-smp", str(PROCESSORS)),
        *("-accel", "kvm" if spec.kvm else "tcg"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"),
        *("-kernel", str(spec.kernel.image), "-append", " ".join(words)),
        *("-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=xc"),
    ]
    if memory is not None:
        board += ",memory-backend=memory"
        how = "share=on" if shared else "share=off,readonly=on,rom=off"
        argv += ["-object", f"memory-backend-file,id=memory,size={MEMORY_MB}M,mem-path={escaped(memory)},{how}"]
    argv += ["-M", board]
    if machine.firmware:
        argv += ["-bios", str(spec.emulator.share / machine.firmware)]
    return argv


def made_of(spec: SystemSpec) -> object:
    """All that goes into a machine as it is after its boot: what its agent is told then is not among it."""
    argv = machine_argv(replace(spec, emulator=replace(spec.emulator, tree=Path("emulator"))), None, shared=False)
    argv = ["kernel" if word == str(spec.kernel.image) else word for word in argv]
    files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (spec.kernel.image, *modules(spec))]
    agent = hashlib.sha256(spec.agent).hexdigest()
    return [argv, spec.emulator.digest, files, spec.rootfs.digest, agent, sorted(DIRECTORIES), host.machine()]


def config(spec: SystemSpec) -> dict[str, Any]:
    """What the agent is told of this run."""
    assert spec.architecture.system is not None
    # The kernel's own /proc tells of the CPU.
    files = {name: text for name, text in spec.identity if not name.startswith("/proc/")}
    return {
        "uid": SANDBOX_UID,
        "absent": list(spec.absent_calls),
        "auditArch": spec.architecture.system.audit_arch,
        "loopback": spec.loopback,
        "now": time.time_ns(),
        "seed": base64.b64encode(os.urandom(SEED_BYTES)).decode(),
        "files": files,
        "disk": spec.disk_mb > 0,
    }
