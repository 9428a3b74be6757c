"""The CPU, kernel and host that a sandbox runs its programs on, where these are not the platform's own."""

from __future__ import annotations

import platform as host
from dataclasses import dataclass
from enum import StrEnum

from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.messages import Message, _, joined, verbatim
from pytest_xinchuang.provision.refs import KernelRef

EMULATION_SCALE = 10.0
"""How much longer a program may take under qemu-user than on the real machine: 8 to 10 times is usual (PyTables#1331)."""

HOST_ARCH = {"x86_64": Arch.AMD64, "aarch64": Arch.ARM64, "loongarch64": Arch.LOONG64}.get(host.machine())


class CpuVariant(StrEnum):
    """Which emulated CPU a sandbox has; see ``emulation`` in platforms.yaml."""

    STRICT = "strict"
    POOREST = "poorest"
    SUPERSET = "superset"


@dataclass(frozen=True)
class Circumstances:
    """Where a sandbox is to differ from the platform, to find out what a unit depends on.

    Attributes:
        vendor: another vendor string of CPUID (x86-64).
        floor: system calls that the platform's kernel lacks answer ENOSYS.
        loopback: 127.0.0.1 can be reached, and nothing else.
        kernel: another real kernel than the platform's own; None: its own, or what the backend has.
    """

    variant: CpuVariant = CpuVariant.STRICT
    vendor: str = ""
    floor: bool = True
    loopback: bool = False
    kernel: KernelRef | None = None

    @property
    def told(self) -> Message:
        """The circumstances for people."""
        words = [verbatim(self.variant.value)]
        if self.vendor:
            words.append(verbatim(f"vendor={self.vendor}"))
        if not self.floor:
            words.append(_("every system call"))
        if self.loopback:
            words.append(_("loopback"))
        return joined(words, _(","))

    @property
    def name(self) -> str:
        """The circumstances as the journal has them."""
        extra = [f"vendor={self.vendor}"] if self.vendor else []
        return ",".join(
            [
                self.variant.value,
                *extra,
                *([] if self.floor else ["every system call"]),
                *(["loopback"] if self.loopback else []),
            ]
        )


def identity_of(platform: Platform, stand_in: bool) -> dict[str, str]:
    """Files that tell what system and CPU this is; a vendor's root filesystem has its own of the first kind."""
    files = {}
    release = platform.system.os_release.value
    if release is not None and stand_in:
        files["/etc/os-release"] = files["/usr/lib/os-release"] = release
    if text := cpuinfo_of(platform):
        files["/proc/cpuinfo"] = text
    return files


def cpuinfo_of(platform: Platform) -> str:
    """What ``/proc/cpuinfo`` says on a platform, of two processors; "" where it is not known."""
    block = platform.cpu.cpuinfo.value
    if block is None:
        return ""
    block = block.replace("{features}", " ".join(platform.cpu.features.value or ()))
    return "".join(f"processor\t: {n}\n{block}\n\n" for n in range(2))
