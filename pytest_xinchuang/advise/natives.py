"""Native files that a tree ships, in its directories and in its jars: for whom they are, and whether a platform has its own."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.advise.aside import is_aside
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.advice import Surveyed
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Architecture, Platform, load_platforms
from pytest_xinchuang.inspect.inspector import Inspector
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.roles import Choice, Roles
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.inspect.walk import Bounds

_MAGICS = (b"\x7fELF", b"!<arch>\n")
"""How native files, and libraries of them, begin (System V gABI; ar(5))."""
_SUFFIXES = (".jar", ".war", ".aar", ".whl", ".nupkg")
"""Archives whose natives are looked up by whoever runs them."""

_SECONDS = 60.0
"""For one file, before it is scaled as time-outs are."""
_BOUNDS = Bounds(expanded=2 << 30, object_bytes=256 << 20, seconds=_SECONDS)
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
                    if not file.read(8).startswith(_MAGICS):
                        continue
            inspection = Inspector(isa=False, bounds=_BOUNDS).read(path, name)
        except (OSError, XcError):
            lost.append(name)
            continue
        found += [Native(record.place, record) for record in inspection.records]
        if inspection.problems and not inspection.records:
            lost.append(name)
    return Natives(tuple(found), tuple(lost))


def tell_load(judge: Judge, tree: SourceTree, files: list[Native], place: str, library: str, *, guarded: bool) -> None:
    """A native file that code loads, which the tree ships for x86-64 and not for the platform.

    Args:
        guarded: what goes wrong is caught, or it may be that nobody comes there.
    """
    gone = natives_of(tree).lacking(judge.platform, files)
    if not gone or any(n.machine == judge.platform.architecture.elf_machine for n in files):
        return
    made = is_made(tree, library)
    judge.find(
        "XC-ADV-082",
        Certainty.GUARDED if guarded or made else Certainty.CERTAIN,
        place,
        {"files": [n.path for n in gone[:50]]},
        library=library,
        file=gone[0].path,
        machine=judge.platform.architecture.uname,
    )


_MAKERS = (
    "Makefile",
    "makefile",
    "GNUmakefile",
    "CMakeLists.txt",
    "meson.build",
    "setup.py",
    "*.mk",
    "*.sh",
    "SConstruct",
)
"""What may make a library in the tree."""


def is_made(tree: SourceTree, library: str) -> bool:
    """Whether something in the tree may build it: its build names it."""
    stem = library.split(".so")[0].removeprefix("lib")
    return any(stem in (tree.text(name) or "") for name in tree.named(*_MAKERS))


def tell_shipped(tree: SourceTree, work: Work, before: Surveyed, whose: Callable[[str], bool]) -> Surveyed:
    """Native files that are chosen by the machine's name, of which there is one for x86-64 and none for a platform.

    Args:
        before: what was said already: a file that code loads is not told again.
        whose: whether a path is of the language that asks.
    """
    said = Surveyed()
    shipped = natives_of(tree)
    mine = [native for native in shipped.all if whose(native.path)]
    for platform in work.platforms:
        told = {str(path) for f in before.findings if f.platform == platform.id for path in f.evidence.get("files", ())}
        judge = Judge(platform)
        roles = [n for n in shipped.lacking(platform, mine) if n.path not in told]
        places: dict[str, list[Native]] = {}
        for native in roles:
            places.setdefault(native.path.partition("!")[0] if "!" in native.path else native.path, []).append(native)
        for place, natives in places.items():
            judge.find(
                "XC-ADV-083",
                Certainty.NOTE if is_aside(place) else Certainty.GUARDED,
                place,
                {"files": [n.path for n in natives[:50]]},
                file=natives[0].path,
                machine=platform.architecture.uname,
            )
        said.findings += judge.findings
    return said
