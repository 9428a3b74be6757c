"""Translation units: what a build hands to a compiler, one source at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from pytest_xinchuang.messages import Message


class Language(StrEnum):
    """What a compiler takes a source for (clang's ``-x``)."""

    C = "c"
    CXX = "c++"
    ASSEMBLER = "assembler"
    """Not preprocessed: ``.s``."""
    ASSEMBLER_WITH_CPP = "assembler-with-cpp"
    """``.S``."""


ASSEMBLERS = (Language.ASSEMBLER, Language.ASSEMBLER_WITH_CPP)

_BY_SUFFIX = {
    ".c": Language.C,
    ".s": Language.ASSEMBLER,
    ".S": Language.ASSEMBLER_WITH_CPP,
    ".sx": Language.ASSEMBLER_WITH_CPP,
    **dict.fromkeys((".cc", ".cp", ".cxx", ".cpp", ".CPP", ".c++", ".C"), Language.CXX),
}
"""GCC manual, Options Controlling the Kind of Output."""


def language_of(name: str) -> Language | None:
    """The language of a source by its suffix; None: it is no translation unit."""
    return _BY_SUFFIX.get(PurePosixPath(name).suffix)


def of_c(files: Iterable[str]) -> list[str]:
    """Of the files of a tree those that are no part of a Go package: what lies beside Go files the go command builds.

    Its assembler has a syntax of its own, and its C is compiled by cgo (``go help packages``, ``cmd/cgo``).
    """
    names = list(files)
    of_go = {name.rpartition("/")[0] for name in names if name.endswith(".go")}
    return [name for name in names if name.rpartition("/")[0] not in of_go]


@dataclass(frozen=True)
class Unit:
    """A translation unit.

    Attributes:
        source: the file, as a name in the tree; one that a build has made has its absolute path.
        directory: where the compiler is run: a name in the tree ("" is its root), or an absolute path.
        words: the compiler's flags, without its name, the source, ``-c`` and what says where results go.
    """

    source: str
    directory: str
    words: tuple[str, ...]
    language: Language


@dataclass(frozen=True)
class Units:
    """The translation units of a tree for one triple.

    Attributes:
        found: how they were found: from compile_commands.json, by running make, guessed.
        guessed: nothing of the tree's own was seen to say how they are compiled.
        own: they are those of a build for this very triple, and not of one for another machine.
        parts: sources among them that others include: what does not compile alone is no unit.
        lost: how many more there are whose source is not there or whose command cannot be understood.
    """

    units: tuple[Unit, ...]
    found: Message
    guessed: bool = False
    own: bool = False
    lost: int = 0
    parts: frozenset[str] = frozenset()
