"""What every other survey leaves: native files that a tree ships, what of it is not here, and languages that nobody judges.

Sources: gitmodules(5); the specification of Git LFS (pointers).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from pytest_xinchuang.advise.aside import is_aside
from pytest_xinchuang.advise.c.survey import BUILDS, HEADERS
from pytest_xinchuang.advise.c.units import language_of, of_c
from pytest_xinchuang.advise.natives import natives_of, tell_shipped
from pytest_xinchuang.advise.node.code import SOURCES, asks
from pytest_xinchuang.advise.node.survey import MANIFESTS
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.messages import Message, _, verbatim

_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
LARGEST_POINTER = 1024
"""Bytes: a pointer is shorter (Git LFS Specification, The Pointer)."""
_PATH = re.compile(r'^\s*path\s*=\s*"?([^"\n]+?)"?\s*$', re.M)

_JVM = ("*.java", "pom.xml", "build.gradle", "build.gradle.kts")
_DOTNET = ("*.csproj", "*.fsproj", "*.vbproj", "*.sln")
_UNREAD: Mapping[str, tuple[str, tuple[str, ...]]] = {
    ".rs": ("Rust", ("Cargo.toml",)),
    ".kt": ("Kotlin", _JVM),
    ".scala": ("Scala", _JVM),
    ".cs": ("C#", _DOTNET),
    ".vb": ("Visual Basic", _DOTNET),
    **{pattern[1:]: ("JavaScript", MANIFESTS) for pattern in SOURCES},
    ".pyx": ("Cython", ()),
    ".ipynb": ("Jupyter", ()),
    ".swift": ("Swift", ()),
    ".zig": ("Zig", ()),
    ".nim": ("Nim", ()),
    ".hs": ("Haskell", ()),
    ".ml": ("OCaml", ()),
    ".adb": ("Ada", ()),
    **dict.fromkeys((".pas", ".lpr", ".dpr"), ("Pascal", ())),
    **dict.fromkeys((".asm", ".nasm"), ("NASM", ())),
    ".mm": ("Objective-C++", ()),
}
"""Suffix -> the language of sources that nothing here reads, and the files beside which a survey speaks of them itself."""
_ASKING: Mapping[str, Callable[[str], object]] = {
    "JavaScript": asks,
    "Jupyter": re.compile(r"\bplatform\b|\buname\b|\bctypes\b|\bcffi\b|\.so\b").search,
}
"""Languages that no compiler reads: a source that neither asks for the machine nor loads a library is the same everywhere."""
_BY_A_BUILD = frozenset({"NASM", "Objective-C++", "Cython"})
"""Languages whose sources the builds of C and C++ choose and compile: what those do is judged where the tree has one."""


@dataclass(frozen=True)
class LeftSurvey:
    """The last one."""

    name: str = "left"

    def applies(self, tree: SourceTree) -> bool:
        shipped = natives_of(tree)
        absent = absent_modules(tree) or pointers(tree) or lost_links(tree)
        return bool(shipped.all or shipped.lost or absent or unread(tree))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        said = tell_shipped(tree, work, Surveyed(), lambda _path: True)
        for part in _parts(tree):
            said.add((p.id for p in work.platforms), part)
        return said


def _parts(tree: SourceTree) -> Iterator[Part]:
    """What was not judged, and why."""
    for number, name, why in (
        (
            len(absent_modules(tree)),
            _("Git submodules"),
            _("its directory is empty: git submodule update --init brings what belongs there"),
        ),
        (
            len(pointers(tree)),
            _("files of Git LFS"),
            _("a pointer is in its place: git lfs pull brings what belongs there"),
        ),
        (
            len(lost_links(tree)),
            _("links to sources"),
            _("what it leads to is not here, or lies outside of the tree"),
        ),
        (
            sum(not is_aside(lost) for lost in natives_of(tree).lost),
            _("native files and archives"),
            _("it cannot be read"),
        ),
    ):
        if number:
            yield _lost(name, number, why)
    for language, number in sorted(unread(tree).items()):
        yield _lost(verbatim(language), number, _("nothing here judges it, or it is of no project"))


def _lost(name: Message, number: int, why: Message) -> Part:
    return Part(name, 0, number, why=((why, number),))


@functools.lru_cache(4)
def absent_modules(tree: SourceTree) -> tuple[str, ...]:
    """The submodules of Git of which nothing is here, but for those that tests and examples alone need."""
    filled = {str(above) for name in tree.files for above in PurePosixPath(name).parents}
    found = []
    for name in tree.named(".gitmodules"):
        home = PurePosixPath(name).parent
        paths = (str(home / path) for path in _PATH.findall(tree.text(name) or ""))
        found += [path for path in paths if path not in filled and not is_aside(f"{path}/x")]
    return tuple(found)


def lost_links(tree: SourceTree) -> tuple[str, ...]:
    """The links to sources that are not here; scripts of a packager's tools are often such links, and no sources."""
    ends = (*HEADERS, *_UNREAD, ".go", ".java", ".py", ".ts", ".inc")
    return tuple(name for name in tree.links if not is_aside(name) and (language_of(name) or name.endswith(ends)))


@functools.lru_cache(4)
def pointers(tree: SourceTree) -> tuple[str, ...]:
    """The files that are pointers of Git LFS, but for those of tests and documentation."""
    return tuple(name for name in tree.files if not is_aside(name) and _is_pointer(tree, name))


def _is_pointer(tree: SourceTree, name: str) -> bool:
    path = tree.root / name
    try:
        if path.stat().st_size >= LARGEST_POINTER:
            return False
        with path.open("rb") as file:
            return file.read(len(_POINTER)) == _POINTER
    except OSError:
        return False


@functools.lru_cache(4)
def unread(tree: SourceTree) -> Mapping[str, int]:
    """Language -> how many of its sources nothing judges."""
    built = bool(tree.named(*BUILDS))
    found: dict[str, int] = {}
    for suffix, (language, manifests) in _UNREAD.items():
        if (built and language in _BY_A_BUILD) or (manifests and tree.named(*manifests)):
            continue
        names = [name for name in tree.named(f"*{suffix}") if not is_aside(name) and not name.endswith(".min.js")]
        if language in _BY_A_BUILD:
            known = frozenset(of_c(tree.files))  # beside Go's sources it is of nobody: the go command passes it over
            names = [name for name in names if name in known]
        if (asking := _ASKING.get(language)) is not None:
            names = [name for name in names if asking(tree.text(name) or "")]
        if names:
            found[language] = found.get(language, 0) + len(names)
    return found
