"""The place of one build: what of it is shown to compilers, and what they say that they read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import BuildFailed
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.toolchain.compilers import Tool
from pytest_xinchuang.toolchain.jail import Isolation
from pytest_xinchuang.toolchain.tree import Tree


@dataclass(frozen=True)
class Work:
    """One build, before it is made.

    Attributes:
        label: for people.
        key: all that goes into it; places in the file system do not.
    """

    label: str
    key: list[object]
    tree: Tree
    given: Mapping[str, str]
    tools: tuple[Tool, ...]
    roots: tuple[Path, ...]
    """What the compiler may read besides the subject's files: tool chains, the target's libraries."""

    def refuse_outside(self, path: Path | str) -> BuildFailed:
        why = _(
            "the build reads {path}, which is outside of {within}",
            path=verbatim(str(path)),
            within=verbatim(str(self.tree.base)),
        )
        return BuildFailed(why, argv=[], output="")


@dataclass
class Site:
    """The directory of one build: ``src`` is shown to the compiler, ``out`` and ``tmp`` it may write to."""

    here: Path
    isolation: Isolation = Isolation.NAMESPACES
    refused: Mapping[str, str] = field(default_factory=dict)
    read: dict[str, str] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        return self.here / "out"

    @property
    def tmp(self) -> Path:
        return self.here / "tmp"

    @property
    def src(self) -> Path:
        return self.here / "src"

    def make(self) -> None:
        for place in (self.src, self.out, self.tmp, self.here / "objects", self.here / "above", self.here / "jail"):
            place.mkdir(exist_ok=True)


GO_FILES = (
    "GoFiles",
    "CgoFiles",
    "CFiles",
    "CXXFiles",
    "HFiles",
    "SFiles",
    "SysoFiles",
    "EmbedFiles",
)
"""The fields of `go list -json` that name the files of a package (`go help list`)."""


def homes(program: str, *, gnu: bool) -> tuple[Path, ...]:
    """The directories that a C compiler is made of."""
    real = Path(program).resolve()
    if not gnu:
        return (Path(program).parent, real.parent)
    system = [Path(name) for name in ("/usr", "/bin", "/lib", "/lib64", "/etc/alternatives", "/etc/ld.so.cache")]
    return (*system, Path(program).parent.parent, real.parent.parent)


def plain_environment(tmp: Path) -> dict[str, str]:
    """All that a compiler gets: nothing of the caller's environment."""
    return {"PATH": "/usr/bin:/bin", "HOME": str(tmp), "TMPDIR": str(tmp)}


def layers_over(site: Site, *caches: Path) -> dict[Path, Path]:
    return {cache: site.here / "above" / cache.name for cache in caches}


def rules_of(site: Site, index: int) -> list[str]:
    return ["-MD", "-MF", str(site.tmp / f"{index}.d")]


def filled(word: str, places: Mapping[str, str]) -> str:
    for name, place in places.items():
        word = word.replace(f"{{{name}}}", place)
    return word


def placed(word: str, here: Path) -> str:
    return word.replace(str(here), "{here}")


def traced(text: str) -> list[str]:
    """The files that a GNU linker says it takes in (ld(1), -t): members of archives have the archive in parentheses."""
    return [match[1] for line in text.splitlines() if (match := re.match(r"\(?(/[^()]+)", line))]


def packages_in(text: str) -> list[dict[str, Any]]:
    """What `go list -json` prints: one object after the other; nothing when that is not what it printed."""
    decoder = json.JSONDecoder()
    found, index = [], 0
    try:
        while index < len(text.rstrip()):
            one, index = decoder.raw_decode(text, index)
            found.append(one)
            index += len(text[index:]) - len(text[index:].lstrip())
    except ValueError:
        return []
    return found


def files_of(packages: Iterable[Mapping[str, Any]]) -> list[str]:
    return [f"{package['Dir']}/{name}" for package in packages for each in GO_FILES for name in package.get(each) or ()]
