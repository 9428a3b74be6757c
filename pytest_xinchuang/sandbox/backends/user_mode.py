"""qemu-user for a platform: rootless and isolated where the host allows it, else ``qemu -L`` for single programs."""

from __future__ import annotations

import platform as host

from pytest_xinchuang.core.errors import HostFault, SandboxFault
from pytest_xinchuang.core.kernel_calls import Lacking, lacking_on
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.core.syscall_names import tables
from pytest_xinchuang.messages import _
from pytest_xinchuang.sandbox.backend import Opening
from pytest_xinchuang.sandbox.backends.direct import open_emulated
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox, QemuSpec
from pytest_xinchuang.sandbox.circumstances import EMULATION_SCALE, HOST_ARCH, Circumstances, identity_of
from pytest_xinchuang.sandbox.protocol import Sandbox

NEEDED_BY_QEMU = frozenset({"fstat", "newfstatat"})
"""System calls of the host that the emulator makes for itself, and that cannot be taken from it."""


def open_user_mode(run: Opening, platform: Platform, wanted: Circumstances) -> Sandbox:
    """The emulated sandbox of a platform; where the host refuses what it is made of, ``qemu -L`` for single programs.

    Raises:
        HostFault: something is missing that it is made of, or it does not start.
    """
    spec = spec_of(run, platform, wanted)
    try:
        return QemuSandbox(spec)
    except SandboxFault as fault:
        if not fault.namespaces:
            raise
        return open_emulated(spec, fault.what)


def spec_of(run: Opening, platform: Platform, wanted: Circumstances) -> QemuSpec:
    """What the emulated sandbox of a platform is made of.

    Raises:
        HostFault: something of it is missing.
    """
    model = getattr(platform.cpu.emulation, wanted.variant).value
    if model is None:
        raise HostFault(
            _("{id}: no QEMU CPU model is known for its {variant} variant", id=platform.id, variant=wanted.variant)
        )
    rootfs = run.store.rootfs_for(platform)
    kernel = platform.system.kernel.value
    lacking = lacking_on(platform) if wanted.floor else Lacking()
    # The filter sees what the emulator asks of the host, by the host's numbers.
    numbers = tables()[HOST_ARCH.value] if HOST_ARCH else {}
    taken = [numbers[n] for n in lacking.absent if n in numbers and n not in NEEDED_BY_QEMU]
    return QemuSpec(
        platform=platform.id,
        arch=platform.arch,
        rootfs=rootfs,
        emulator=run.store.emulator(platform.architecture.qemu),
        cpu_model=f"{model},vendor={wanted.vendor}" if wanted.vendor else model,
        kernel_release=kernel or "4.19.0",
        timeout_scale=EMULATION_SCALE * run.timeout_scale,
        runner=run.runner,
        identity=tuple(identity_of(platform, rootfs.stand_in).items()),
        absent_calls=tuple(taken),
        floor=wanted.floor and kernel is not None,
        loopback=wanted.loopback,
    )


def open_reference(run: Opening, wanted: Circumstances) -> Sandbox:
    """The x86-64 reference: native on an x86-64 host.

    Raises:
        HostFault: something is missing that it is made of, or it does not start.
    """
    name = run.store.platforms.file.reference
    if name is None:
        raise HostFault(_("platforms.yaml names no reference root filesystem"), mend=_("add `reference:`"))
    native = HOST_ARCH is Arch.AMD64
    spec = QemuSpec(
        platform="reference-amd64",
        arch=Arch.AMD64,
        rootfs=run.store.rootfs(name),
        emulator=None if native else run.store.emulator("qemu-x86_64"),
        cpu_model="" if native else "max",
        kernel_release=host.release(),
        timeout_scale=run.timeout_scale * (1 if native else EMULATION_SCALE),
        runner=run.runner,
        loopback=wanted.loopback,
    )
    return QemuSandbox(spec)
