"""What a rootless sandbox is made of."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.provision.refs import EmulatorRef, RootfsRef
from pytest_xinchuang.tools.process import UNSCALED, Runner

CHILDREN = "XC_CHILDREN"
"""For tests and for looking at a kernel: see ``QemuSpec.children``."""
LAYER = "XC_LAYER"
"""The same for ``QemuSpec.layer``."""


@dataclass(frozen=True)
class QemuSpec:
    """What a qemu sandbox is made of.

    Attributes:
        timeout_scale: of the time-outs of commands.
        runner: scales those of the sandbox itself.
        emulator: None runs the root filesystem natively (the x86-64 reference on an x86-64 host).
        identity: path -> text of files that tell what system and CPU this is, /proc/cpuinfo among them.
        absent_calls: numbers of the host's system calls that answer ENOSYS: the platform's kernel has not got them.
        floor: whether ``absent_calls`` are all that can be taken away.
        loopback: bring the loopback interface up, for programs that talk to themselves; there is no other.
        children: how programs that programs start come to the emulator: by the kernel's private binfmt_misc where there is one,
            else by a tracer; ``tracer``: by that anyway. ``CHILDREN`` of the environment says so for all.
        layer: where commands write: to an overlay where the kernel lets us mount one, else to a copy of the root filesystem in
            memory; ``copy``: to that anyway. ``LAYER`` of the environment says so for all.
    """

    platform: str
    arch: Arch
    rootfs: RootfsRef
    emulator: EmulatorRef | None
    cpu_model: str
    kernel_release: str
    timeout_scale: float = 1.0
    runner: Runner = UNSCALED
    layer_mb: int = 512
    identity: tuple[tuple[str, str], ...] = ()
    absent_calls: tuple[int, ...] = ()
    floor: bool = False
    loopback: bool = False
    children: str = field(default_factory=lambda: os.environ.get(CHILDREN, ""))
    layer: str = field(default_factory=lambda: os.environ.get(LAYER, ""))
