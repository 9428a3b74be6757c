"""What a compiler makes code for: platforms that are alike to it share what is compiled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_xinchuang.core.platform import Arch, Architecture, Platform
from pytest_xinchuang.inspect.elf import version_key

NEWEST_GLIBC = "2.38"
"""The glibc of the x86-64 side where no platform has a newer one: what is missing on a platform may be its libc's age."""


@dataclass(frozen=True)
class Triple:
    """An architecture and a libc of a version.

    Attributes:
        libc: "glibc" or "musl".
        libc_version: e.g. "2.28"; "" where it is not known, and then what is newest is taken.
    """

    arch: Arch
    architecture: Architecture
    libc: str
    libc_version: str

    @property
    def zig(self) -> str:
        """As zig names it: ``aarch64-linux-gnu.2.28``."""
        if self.libc == "musl":
            return self.architecture.zig.replace("gnu", "musl")
        return f"{self.architecture.zig}.{self.libc_version or NEWEST_GLIBC}"

    @property
    def gnu(self) -> str:
        """As configure scripts and cross compilers name it: ``aarch64-linux-gnu``."""
        return self.architecture.triplet

    def __hash__(self) -> int:
        return hash((self.arch, self.libc, self.libc_version))


def triple_of(platform: Platform) -> Triple:
    """The triple of a platform."""
    system = platform.system
    return Triple(platform.arch, platform.architecture, system.libc, system.libc_version.value or "")


def baseline(platforms: Iterable[Platform], amd64: Architecture) -> Triple:
    """The x86-64 on which a tree builds as its makers know it: with the newest glibc that any of these platforms has."""
    versions = [
        NEWEST_GLIBC,
        *(v for p in platforms if p.system.libc == "glibc" and (v := p.system.libc_version.value)),
    ]
    return Triple(Arch.AMD64, amd64, "glibc", max(versions, key=version_key))
