"""Native files that a tree ships, in its directories and in its jars: for whom they are, and whether a platform has its own."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Architecture, Platform, load_platforms
from pytest_xinchuang.inspect.inspector import Inspector
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.roles import Choice, Roles
from pytest_xinchuang.inspect.walk import Bounds

_MAGIC = b"\x7fELF"
_SUFFIXES = (".jar", ".war", ".aar", ".whl", ".nupkg")
"""Archives whose natives are looked up by whoever runs them."""

_BOUNDS = Bounds(expanded=2 << 30, object_bytes=256 << 20, seconds=60.0)
"""For one file: what a source tree ships is small beside what a delivery holds."""
_LARGEST = 512 << 20
"""Bytes of a file that is opened."""

X86_64 = "EM_X86_64"


@dataclass(frozen=True)
class Native:
    """A native file. Attributes: path: in the tree, ``JAR!INNER`` within an archive."""

    path: str
    record: ElfRecord

    @property
    def name(self) -> str:
        return posixpath.basename(self.path.rpartition("!")[2])

    @property
    def machine(self) -> str:
        return self.record.elf.machine


@dataclass(frozen=True)
class Natives:
    """All of a tree. Attributes: lost: files that could not be read, and hold natives for all that is known."""

    all: tuple[Native, ...]
    lost: tuple[str, ...] = ()

    def named(self, name: str) -> list[Native]:
        """Those of a file name."""
        return [native for native in self.all if native.name == name]

    def lacking(self, platform: Platform, among: Iterable[Native]) -> list[Native]:
        """Those for x86-64 in whose place the platform finds none of its own: their role has nothing for it."""
        chosen = list(among)
        roles = Roles([(n.record, n.path) for n in chosen], platform, architectures())
        mine = platform.architecture.elf_machine
        if mine == X86_64:
            return []
        gone = [n for n in chosen if roles.choice(n.record) in (Choice.LACKING, Choice.FOREIGN)]
        return [n for n in gone if n.machine == X86_64]


def architectures() -> Mapping[Any, Architecture]:
    """Those of the shipped platforms: the words that choosers know."""
    return load_platforms(resources.platforms_file()).file.architectures


@functools.lru_cache(4)
def natives_of(tree: SourceTree) -> Natives:
    """The native files of a tree: shared objects, programs and modules, by what they are and not by what they are called."""
    found: list[Native] = []
    lost: list[str] = []
    for name in tree.files:
        path = tree.root / name
        archive = name.lower().endswith(_SUFFIXES)
        try:
            if path.stat().st_size > _LARGEST:
                lost += [name] if archive else []
                continue
            if not archive:
                with path.open("rb") as file:
                    if file.read(4) != _MAGIC:
                        continue
            inspection = Inspector(isa=False, bounds=_BOUNDS).read(path, name)
        except (OSError, XcError):
            lost.append(name)
            continue
        found += [Native(record.place, record) for record in inspection.records]
        if inspection.problems and not inspection.records and not archive:
            lost.append(name)
    return Natives(tuple(found), tuple(lost))
