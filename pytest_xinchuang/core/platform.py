"""Platforms: a CPU, an OS profile and how to emulate them, as data with a source for every fact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import UnknownName
from pytest_xinchuang.core.inherit import KEY, Heirs, merge
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.remembered import by_content
from pytest_xinchuang.core.requirement import Text
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import Message, _, joined, verbatim

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.]*$")]
RootfsName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]
Version = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)*$")]
ValueT = TypeVar("ValueT")
INHERITING = ("cpus", "systems", "rootfs")
"""The sections whose entries may say ``inherits``."""


class Arch(StrEnum):
    """Instruction set architectures, by the names that Go, dpkg and OCI use."""

    AMD64 = "amd64"
    ARM64 = "arm64"
    LOONG64 = "loong64"


class Confidence(StrEnum):
    """How far a fact can be trusted."""

    MEASURED = "measured"
    SOURCED = "sourced"
    INFERRED = "inferred"
    UNVERIFIED = "unverified"

    @property
    def word(self) -> Message:
        return {
            Confidence.MEASURED: _("measured"),
            Confidence.SOURCED: _("sourced"),
            Confidence.INFERRED: _("inferred"),
            Confidence.UNVERIFIED: _("unverified"),
        }[self]


class Fact(FrozenData, Generic[ValueT]):
    """A value, where it comes from, and how far to trust it. ``null`` means: not known."""

    value: ValueT | None
    source: str = Field(min_length=3)
    confidence: Confidence
    evidence: tuple[Name, ...] = Field(default=(), description="entries of conformance/evidence.yaml that show it")

    @model_validator(mode="after")
    def _unknown_is_unverified(self) -> Fact[ValueT]:
        if (self.value is None) != (self.confidence is Confidence.UNVERIFIED):
            raise ValueError(_("a value of null and the confidence 'unverified' go together, and only together"))
        return self


NOT_GIVEN: Any = Fact(value=None, source="not given", confidence=Confidence.UNVERIFIED)
"""What an entry that does not speak of a fact says of it."""


class Machine(FrozenData):
    """How qemu-system stands in for a machine that a kernel of the architecture boots on."""

    program: str = Field(description="the qemu-system program")
    machine: str = Field(description="its machine type")
    console: str = Field(description="the kernel's name of the first serial port, for its log")
    early: str = Field(
        default="",
        description="the same port for the kernel's earlycon=, for what it says before its drivers are there",
    )
    firmware: str = Field(
        default="", description="firmware that starts the kernel, where it does not start without one"
    )
    audit_arch: int = Field(description="AUDIT_ARCH_* of linux/audit.h: what seccomp filters call the architecture")


class Architecture(FrozenData):
    """What is true of every machine of one architecture."""

    uname: str = Field(description="what `uname -m` prints")
    qemu: str = Field(description="the qemu-user program")
    elf_machine: str = Field(description="e_machine as pyelftools names it")
    triplet: str = Field(description="Debian's multiarch triplet")
    zig: str = Field(description="zig's target without the libc version")
    libc_base: Version = Field(description="the oldest glibc symbol version of this architecture")
    interpreters: dict[str, tuple[str, ...]] = Field(description="ABI world -> allowed PT_INTERP")
    max_page_size: int = Field(description="the largest page that a kernel of this architecture can have, bytes")
    shmlba: int = Field(default=4096, description="SHMLBA, what an address of shmat has to be a multiple of, bytes")
    names: dict[Literal["go", "wheel", "deb", "rpm", "oci", "maven", "os_arch", "npm"], str] = Field(
        default_factory=dict, description="what packagers call this architecture"
    )
    aliases: tuple[str, ...] = Field(default=(), description="every word that means this architecture in a file name")
    go_min: Fact[Version]
    system: Machine | None = Field(default=None, description="where its kernels run, for the system sandbox")


def _may_inherit(schema: dict[str, Any]) -> None:
    """In the JSON Schema, an entry is whole or inherits, and then its emulation need not be whole either."""
    whole: dict[str, Any] = {"required": schema.pop("required")}
    if "emulation" in schema["properties"]:
        whole["properties"] = {
            "emulation": {"required": [n for n, f in Emulation.model_fields.items() if f.is_required()]}
        }
    schema["properties"][KEY] = {
        "type": "string",
        "description": "an entry of this section, of this file or of an earlier one: what is not said here is as it is there",
    }
    schema["anyOf"] = [{"required": [KEY]}, whole]


def _may_be_partial(schema: dict[str, Any]) -> None:
    del schema["required"]


class Emulation(FrozenData):
    """How qemu stands in for the CPU."""

    model_config = ConfigDict(json_schema_extra=_may_be_partial)

    strict: Fact[str] = Field(description="a QEMU CPU model that has nothing that the real CPU lacks")
    exact: bool = Field(description="the strict model also lacks nothing that a program may use on the real CPU")
    excess: tuple[str, ...] = Field(
        default=(),
        description="features that the strict model has and the CPU has not: a run shows nothing of code that uses them",
    )
    superset: Fact[str] = Field(description="a model that has all that the real CPU has; what dies there dies for good")
    poorest: Fact[str] = Field(description="the strict model without its optional features")
    unmodelled: Fact[str] | None = Field(
        default=None,
        description="regular expression over the bytes of instructions (as Latin-1) that the CPU has and no QEMU model does",
    )
    note: str = ""


class Cpu(FrozenData):
    """One CPU."""

    model_config = ConfigDict(json_schema_extra=_may_inherit)

    title: Text
    family: Name
    arch: Arch
    isa: Fact[str]
    identity: Fact[tuple[str, ...]] = Field(
        description="regular expressions that /proc/cpuinfo of the real CPU matches"
    )
    cpuinfo: Fact[str] = Field(
        default=NOT_GIVEN,
        description="/proc/cpuinfo of one processor; {features} stands for the list of features",
    )
    vendors: Fact[tuple[str, ...]] | None = Field(
        default=None,
        description="x86-64: the vendor strings of CPUID that such CPUs have; the strict model has the first",
    )
    features: Fact[tuple[str, ...]]
    unsure: Fact[tuple[str, ...]] | None = Field(
        default=None, description="features of which the evidence disagrees; nothing is decided by them"
    )
    twins: tuple[Name, ...] = Field(
        default=(), description="CPUs of the same core that /proc/cpuinfo does not tell from this one"
    )
    emulation: Emulation
    go_env: Fact[dict[str, str]] = Field(description="GOARM64, GOAMD64: the highest level that the CPU runs")
    c_flags: Fact[tuple[str, ...]] = Field(description="flags for the C compiler that are safe on the CPU")

    def has(self, feature: str) -> bool | None:
        """Whether the CPU has a feature; None: its list is not known or inferred, or the evidence disagrees.

        No verdict may be better than what this says: code that uses a feature of None neither passes nor fails by it.
        """
        known, unsure = self.features, self.unsure.value if self.unsure is not None else None
        if known.value is None or known.confidence is Confidence.INFERRED or feature in (unsure or ()):
            return None
        return feature in known.value


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

    model_config = ConfigDict(json_schema_extra=_may_inherit)

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


class RootfsRecipe(FrozenData):
    """A root filesystem that is made from a distribution's packages, and stands in for the vendor's."""

    model_config = ConfigDict(json_schema_extra=_may_inherit)

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


class PlatformsFile(FrozenData):
    """The whole of a platforms.yaml."""

    format: Literal["xc-platforms/1"] = Field(alias="schema")
    architectures: dict[Arch, Architecture] = Field(default_factory=dict)
    cpus: dict[Name, Cpu] = Field(default_factory=dict)
    systems: dict[Name, OsProfile] = Field(default_factory=dict)
    rootfs: dict[RootfsName, RootfsRecipe] = Field(default_factory=dict)
    kernels: dict[RootfsName, KernelRecipe] = Field(default_factory=dict)
    shorts: dict[Name, str] = Field(default_factory=dict)
    ambiguous: dict[Name, tuple[Name, ...]] = Field(
        default_factory=dict, description="a name that several systems share -> these systems"
    )
    reference: str | None = Field(default=None, description="the root filesystem of the x86-64 reference runs")

    def short_of(self, platform_id: str) -> str | None:
        """The short name of a platform, where it has one."""
        return next((short for short, target in self.shorts.items() if target == platform_id), None)


class StandIns(FrozenData):
    """What runs in place of a platform, and of the reference that it is compared with: it matters as much as a fact."""

    rootfs: RootfsRecipe | None
    kernels: dict[RootfsName, KernelRecipe]
    reference: str | None
    reference_rootfs: RootfsRecipe | None


class Platform(BaseModel):
    """A CPU under an operating system: what a subject is graded on. Its id is ``<cpu>-<system>``."""

    model_config = ConfigDict(frozen=True)

    id: str
    arch: Arch
    architecture: Architecture
    cpu_name: str
    cpu: Cpu
    os_name: str
    system: OsProfile
    stand_ins: StandIns

    def __repr__(self) -> str:
        """Short: pytest and reports show parameters by it."""
        return f"Platform({self.id!r})"

    @property
    def world(self) -> str:
        """The ABI world; only LoongArch has two, everything else is "new"."""
        return self.system.abi_world.get(self.arch, "new")

    @property
    def page_size(self) -> Fact[int] | None:
        return self.system.page_size.get(self.arch)

    def package_arch(self, kind: Literal["deb", "rpm"]) -> str:
        """What packages for the platform give as their architecture."""
        own = self.system.package_arch.get(self.arch)
        return (own.value if own is not None else None) or self.architecture.names.get(kind, "")

    @property
    def rootfs_name(self) -> str | None:
        return self.system.rootfs.get(self.arch)

    @property
    def digest(self) -> str:
        """SHA-256 over every fact about the platform, and over the recipes of what stands in for it."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class Platforms:
    """The platforms of one or more files, later files extending and overriding earlier ones.

    An entry that a later file repeats is merged key by key, so that a lab overrides one fact alone. A CPU, a system or a
    root filesystem may say ``inherits: NAME``; what it inherits is of the file that it stands in and of those before it,
    so that a later file that overrides an entry leaves its heirs in earlier files as they were.

    Raises:
        DataFileError: a file is malformed or names a CPU, architecture or root filesystem that is not there.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        merged: dict[str, Any] = {}
        sources: list[YamlFile] = []
        for path in paths:
            source = YamlFile(path)
            if source.data.get("schema") != "xc-platforms/1":
                raise source.error(
                    ("schema",),
                    _(
                        "found {found}, expected {expected}",
                        found=verbatim(repr(source.data.get("schema"))),
                        expected=verbatim("'xc-platforms/1'"),
                    ),
                )
            sources.append(source)
            heirs = Heirs(source, INHERITING, merged)
            heirs.replace(merged)
            merge(merged, heirs.data)
            # Validated after each file, so that a mistake is blamed on the file that made it.
            self.file: PlatformsFile = source.parse(PlatformsFile, merged, written=heirs.origin)
            self._check_names(source, heirs)
        self.paths = [source.path for source in sources]

    def _check_names(self, source: YamlFile, heirs: Heirs) -> None:
        for name, cpu in self.file.cpus.items():
            if cpu.arch not in self.file.architectures:
                raise source.error(
                    heirs.origin(("cpus", name, "arch")), _("{arch}: no such architecture in this file", arch=cpu.arch)
                )
            for twin in cpu.twins:
                if twin not in self.file.cpus:
                    raise source.error(
                        heirs.origin(("cpus", name, "twins")),
                        _("{name}: no such CPU{near}", name=verbatim(repr(twin)), near=near(twin, self.file.cpus)),
                    )
        for name, system in self.file.systems.items():
            for arch, rootfs in system.rootfs.items():
                if rootfs is not None and rootfs not in self.file.rootfs:
                    raise source.error(
                        heirs.origin(("systems", name, "rootfs", arch)),
                        _(
                            "{rootfs}: no such root filesystem{near}",
                            rootfs=verbatim(repr(rootfs)),
                            near=near(rootfs, self.file.rootfs),
                        ),
                    )
        for name, kernel in self.file.kernels.items():
            if kernel.arch not in self.file.architectures or self.file.architectures[kernel.arch].system is None:
                raise source.error(
                    ("kernels", name, "arch"),
                    _("{arch}: no such architecture with a `system` in this file", arch=kernel.arch),
                )
        for short, target in self.file.shorts.items():
            if target not in self._combinations():
                raise source.error(
                    ("shorts", short),
                    _(
                        "{target}: no such platform{near}",
                        target=verbatim(repr(target)),
                        near=near(target, self._combinations()),
                    ),
                )
        if self.file.reference is not None and self.file.reference not in self.file.rootfs:
            raise source.error(
                ("reference",), _("{reference}: no such root filesystem", reference=verbatim(repr(self.file.reference)))
            )

    def _combinations(self) -> dict[str, tuple[str, str]]:
        return {
            f"{cpu_name}-{os_name}": (cpu_name, os_name)
            for cpu_name, cpu in self.file.cpus.items()
            for os_name, system in self.file.systems.items()
            if cpu.arch in system.rootfs
        }

    @property
    def ids(self) -> tuple[str, ...]:
        """Every CPU under every system that exists for its architecture."""
        return tuple(self._combinations())

    def get(self, name: str) -> Platform:
        """The platform with this id or short name.

        Raises:
            UnknownName: nothing is called so; the message has near matches.
        """
        combinations = self._combinations()
        platform_id = self.file.shorts.get(name, name)
        if platform_id not in combinations:
            self._refuse_ambiguous(platform_id)
            known = [*self.file.shorts, *combinations]
            raise UnknownName(
                _(
                    "unknown platform {name}{hint}; short names are {shorts}, 'all' and 'all-combinations'",
                    name=verbatim(repr(name)),
                    hint=near(name, known),
                    shorts=joined(map(verbatim, self.file.shorts), _(", ")),
                ),
                mend=verbatim("xc platforms list"),
            )
        cpu_name, os_name = combinations[platform_id]
        cpu = self.file.cpus[cpu_name]
        return Platform(
            id=platform_id,
            arch=cpu.arch,
            architecture=self.file.architectures[cpu.arch],
            cpu_name=cpu_name,
            cpu=cpu,
            os_name=os_name,
            system=self.file.systems[os_name].of(cpu.arch),
            stand_ins=self._stand_ins(cpu.arch, self.file.systems[os_name]),
        )

    def _stand_ins(self, arch: Arch, system: OsProfile) -> StandIns:
        file = self.file
        rootfs, reference = system.rootfs.get(arch), file.reference
        archs = {arch} if reference is None else {arch, file.rootfs[reference].arch}
        return StandIns(
            rootfs=None if rootfs is None else file.rootfs[rootfs],
            kernels={name: kernel for name, kernel in file.kernels.items() if kernel.arch in archs},
            reference=reference,
            reference_rootfs=None if reference is None else file.rootfs[reference],
        )

    def _refuse_ambiguous(self, platform_id: str) -> None:
        cpu, _dash, system = platform_id.rpartition("-")
        editions = self.file.ambiguous.get(system)
        if not editions:
            return
        told = (f"{cpu}-{e} (glibc {self.file.systems[e].libc_version.value or 'unknown'})" for e in editions)
        raise UnknownName(
            _(
                "{platform_id} is several systems with different libcs: {names}",
                platform_id=verbatim(repr(platform_id)),
                names=joined(told, _(", ")),
            ),
            mend=_("name the edition; on the system: `ldd --version | head -1` and /etc/os-release"),
        )

    def select(self, names: Iterable[str]) -> tuple[Platform, ...]:
        """The platforms that a list of ids, short names, ``all`` or ``all-combinations`` asks for, each once.

        Raises:
            UnknownName: a name that nothing has, or no name at all.
        """
        wanted: dict[str, Platform] = {}
        for name in (n.strip() for n in names):
            if not name:
                continue
            several = {"all": tuple(self.file.shorts), "all-combinations": self.ids}.get(name, (name,))
            for one in several:
                platform = self.get(one)
                wanted[platform.id] = platform
        if not wanted:
            raise UnknownName(_("no platform is named"), mend=_("--xc-platform=all, or one of `xc platforms list`"))
        return tuple(wanted.values())


@by_content
def load_platforms(*paths: Path) -> Platforms:
    """The platforms of some files, as :class:`Platforms` has them; who reads the same files again gets the same object."""
    return Platforms(paths)
