"""The platforms of files: every CPU under every system, by id and by short name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from pytest_xinchuang.core.errors import UnknownName
from pytest_xinchuang.core.inherit import Heirs, merge
from pytest_xinchuang.core.near import near
from pytest_xinchuang.core.platform.cpus import Architecture, Cpu
from pytest_xinchuang.core.platform.facts import Arch, Fact
from pytest_xinchuang.core.platform.file import PlatformsFile, StandIns
from pytest_xinchuang.core.platform.systems import OsProfile
from pytest_xinchuang.core.remembered import by_content
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import _, joined, verbatim

INHERITING = ("cpus", "systems", "rootfs")
"""The sections whose entries may say ``inherits``."""


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
        for name, family in self.file.unsupported.items():
            if known := [each for each in family.names if each in self.file.cpus]:
                raise source.error(
                    ("unsupported", name, "names"),
                    _("{name}: is a CPU of this file", name=verbatim(repr(known[0]))),
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
            self._refuse_unsupported(platform_id)
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

    def _refuse_unsupported(self, platform_id: str) -> None:
        cpu = platform_id.partition("-")[0]
        for family in self.file.unsupported.values():
            if cpu in family.names:
                raise UnknownName(
                    _("{name} is not supported: {why}", name=verbatim(repr(platform_id)), why=family.why.message()),
                    mend=verbatim("xc platforms list"),
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
