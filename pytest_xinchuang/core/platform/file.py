"""A platforms.yaml as data: the CPUs, the systems, and what stands in for them."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.platform.cpus import Architecture, Cpu, may_inherit
from pytest_xinchuang.core.platform.facts import Arch, Fact, Name, RootfsName, Version
from pytest_xinchuang.core.platform.systems import OsProfile
from pytest_xinchuang.core.requirement import Text


class RootfsRecipe(FrozenData):
    """A root filesystem that is made from a distribution's packages, and stands in for the vendor's."""

    model_config = ConfigDict(json_schema_extra=may_inherit)

    suite: Name
    arch: Arch
    libc_version: Version
    packages: tuple[str, ...]
    expired_release: bool = Field(default=False, description="the Release file may be past its valid-until date")


class KernelRecipe(FrozenData):
    """A real kernel that is taken from a distribution's package, and stands in for the vendor's."""

    suite: Name
    arch: Arch
    package: str
    page_size: int = Field(description="its base page, bytes")
    cpu: str = Field(default="", description="the CPU model that it needs where the platforms' own cannot run it")
    why: str | Text = Field(default="", description="why it needs that CPU model")
    expired_release: bool = Field(default=False, description="the Release file may be past its valid-until date")


class Unsupported(FrozenData):
    """A family of CPUs that users ask for and that no platform can be made of: told so, rather than guessed at."""

    title: Text
    names: tuple[Name, ...] = Field(description="what somebody may ask for as a CPU; none of them is one")
    machines: tuple[str, ...] = Field(description="what `uname -m` prints there")
    isa: Fact[str]
    why: Text


class PlatformsFile(FrozenData):
    """The whole of a platforms.yaml."""

    format: Literal["xc-platforms/1"] = Field(alias="schema")
    architectures: dict[Arch, Architecture] = Field(default_factory=dict)
    cpus: dict[Name, Cpu] = Field(default_factory=dict)
    systems: dict[Name, OsProfile] = Field(default_factory=dict)
    rootfs: dict[RootfsName, RootfsRecipe] = Field(default_factory=dict)
    kernels: dict[RootfsName, KernelRecipe] = Field(default_factory=dict)
    unsupported: dict[Name, Unsupported] = Field(
        default_factory=dict, description="families of CPUs of which no platform can be made"
    )
    shorts: dict[Name, str] = Field(default_factory=dict)
    ambiguous: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict, description="a name that several systems share -> these systems"
    )
    reference: str | None = Field(default=None, description="the root filesystem of the x86-64 reference runs")

    def unsupported_machine(self, machine: str) -> Unsupported | None:
        """What is known of a machine by its `uname -m`, where no platform can be made of it."""
        return next((each for each in self.unsupported.values() if machine in each.machines), None)

    def short_of(self, platform_id: str) -> str | None:
        """The short name of a platform, where it has one."""
        return next((short for short, target in self.shorts.items() if target == platform_id), None)


class StandIns(FrozenData):
    """What runs in place of a platform, and of the reference that it is compared with: it matters as much as a fact."""

    rootfs: RootfsRecipe | None
    kernels: dict[RootfsName, KernelRecipe]
    reference: str | None
    reference_rootfs: RootfsRecipe | None
