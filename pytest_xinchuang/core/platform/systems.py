"""Operating systems as far as a program meets them."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.platform.cpus import may_inherit
from pytest_xinchuang.core.platform.facts import NOT_GIVEN, Arch, Fact, RootfsName, Version
from pytest_xinchuang.core.requirement import Text

Compressor = Literal["none", "gzip", "bzip2", "lzma", "xz", "zstd"]


class Software(FrozenData):
    """What a system brings of its own, as far as packages ask for it: versions of what it installs by default."""

    package_manager: Fact[Version] = Field(default=NOT_GIVEN, description="of dpkg or rpm, whichever `packaging` names")
    compressors: Fact[tuple[Compressor, ...]] = Field(
        default=NOT_GIVEN, description="how the members of a deb or the payload of an rpm may be compressed for it"
    )
    python: Fact[Version] = Field(default=NOT_GIVEN, description="of /usr/bin/python3")
    java: Fact[Version] = Field(default=NOT_GIVEN, description="of the java that it installs by default: 8, 11, 17")
    node: Fact[Version] = Field(default=NOT_GIVEN, description="of the nodejs of its repositories")
    gcc: Fact[Version] = Field(default=NOT_GIVEN, description="of the gcc whose libstdc++ and libgomp it has")
    systemd: Fact[Version] = NOT_GIVEN


class OnArch(FrozenData):
    """What is otherwise on one architecture of a system; what is not said is as the system has it."""

    os_release: Fact[str] | None = None
    kernel: Fact[Version] | None = None
    libc_version: Fact[Version] | None = None
    glibcxx_max: Fact[Version] | None = None
    openssl: Fact[str] | None = None
    software: Software | None = None
    image: Fact[str] | None = None


class OsProfile(FrozenData):
    """One operating system as far as a program meets it."""

    model_config = ConfigDict(json_schema_extra=may_inherit)

    title: Text
    identity: Fact[tuple[str, ...]] = Field(description="regular expressions that /etc/os-release matches")
    os_release: Fact[str] = Field(default=NOT_GIVEN, description="/etc/os-release")
    packaging: Fact[Literal["rpm", "deb"]] = Field(
        default=NOT_GIVEN,
        description="which packages it installs; ID in os-release does not tell",
    )
    kernel: Fact[Version]
    libc: Literal["glibc", "musl"]
    libc_version: Fact[Version]
    glibcxx_max: Fact[Version]
    openssl: Fact[str]
    page_size: dict[Arch, Fact[int]]
    abi_world: dict[Arch, Literal["old", "new"]] = Field(default_factory=dict)
    package_arch: dict[Arch, Fact[str]] = Field(
        default_factory=dict,
        description="what its package manager calls an architecture, where that is not the usual name",
    )
    image: Fact[str]
    software: Software = Software()
    by_arch: dict[Arch, OnArch] = Field(
        default_factory=dict,
        description="what is otherwise on one architecture: editions of one name can differ in all",
    )
    rootfs: dict[Arch, RootfsName | None] = Field(description="the stand-in root filesystem, by architecture")

    def of(self, arch: Arch) -> OsProfile:
        """The system as it is on one architecture."""
        other = self.by_arch.get(arch, OnArch())
        own = {name: fact for name in OnArch.model_fields if (fact := getattr(other, name)) is not None}
        return self.model_copy(update={**own, "by_arch": {}})
