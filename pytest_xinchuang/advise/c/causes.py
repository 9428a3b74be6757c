"""What a failed compilation comes down to: each cause at the nearest place in the tree, without what follows from it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pytest_xinchuang.advise.c.diagnostics import Answer, Diagnostic, Place
from pytest_xinchuang.advise.c.machines import header_of
from pytest_xinchuang.advise.c.sources import Text
from pytest_xinchuang.advise.c.units import ASSEMBLERS, Unit
from pytest_xinchuang.advise.tree import SourceTree


class Kind(StrEnum):
    """What a compiler refuses."""

    INTRINSICS = "intrinsics"
    """A header, or functions and types of it, of another architecture's instructions."""
    ASSEMBLY = "assembly"
    """An assembler's statement in C."""
    ASSEMBLER = "assembler"
    """A source in assembler."""
    ERROR = "error"
    """An ``#error``."""
    BUILTIN = "builtin"
    HEADER = "header"
    """A header that is not there."""
    CONTEXT = "context"
    """Registers of a signal's context or of a traced process."""
    TYPE = "type"
    ASSERTION = "assertion"
    UNDECLARED = "undeclared"
    """A function that is called and not declared: C compilers may let it pass, and no linker does."""
    NARROWING = "narrowing"
    """A constant in braces does not fit its type, as -1 does not fit a char without a sign (ISO C++ [dcl.init.list])."""
    TARGET = "target"
    """A function that is to be compiled for a CPU of another architecture."""
    FLAG = "flag"
    """The compiler's driver refuses the command."""
    OTHER = "other"


ROOTS = frozenset({Kind.INTRINSICS, Kind.HEADER, Kind.ERROR})
"""Kinds from which others follow: what would have been declared is missing behind them."""
HARD = frozenset({*ROOTS, Kind.ASSEMBLY, Kind.ASSEMBLER, Kind.BUILTIN})
"""Kinds that follow from nothing before them."""


@dataclass(frozen=True)
class Cause:
    """A cause.

    Attributes:
        place: a file of the tree, or an absolute path where nothing of the tree is near; without a column.
        name: the header, function, type or builtin that it is about; "" where that is not known.
        text: the compiler's words.
        through: the places by which the compiler came there, that one last.
        host: it lies in a file that is neither the tree's nor the compiler's.
    """

    kind: Kind
    place: Place
    name: str
    text: str
    through: tuple[Place, ...] = ()
    host: bool = False

    @property
    def key(self) -> tuple[str, str, int]:
        """The same for the same cause, in whatever unit it shows."""
        return self.kind.value, self.place.file, self.place.line


@dataclass(frozen=True)
class Failing:
    """A unit that fails by a cause.

    Attributes:
        words: flags beyond its own.
    """

    cause: Cause
    unit: Unit
    words: tuple[str, ...]


IMPLICIT = "-Wimplicit-function-declaration"
"""Clang's warning of a function that is called and not declared, and of a builtin that it does not know."""

NARROWING = "-Wc++11-narrowing"
"""Clang's name for what is narrowed within braces."""

_OF_TARGETS = re.compile(
    r"in the 'target(?:_clones)?' attribute string|target\(arch=\.\.\) attribute is not supported"
    r"|function multiversioning is not supported"
)
"""Clang's words, as errors and under -Wignored-attributes, where a function is for a CPU that the target has not: GCC for
AArch64 refuses that (aarch64_option_valid_attribute_p), and each other GCC does as it does."""

_OF_X86 = re.compile(
    r"_mm\d*_\w+|__m(?:64|128|256|512)[a-z]*|__v\d+[a-z]+|_tile_\w+|_(?:xgetbv|xsetbv|rdtsc|rdrand|rdseed)\w*"
)
"""Names that Intel's intrinsics have (Intel Intrinsics Guide)."""
_OF_ARM = re.compile(
    r"v[a-z0-9]+q?_[a-z]*_?[sufp](?:8|16|32|64)\w*|(?:u?int|float|poly)(?:8|16|32|64)x\d+(?:x\d)?_t|sv\w+_[xmz]"
)
"""Names that Arm's have (Arm C Language Extensions)."""
_OF_LOONG = re.compile(r"__l?a?sx_\w+|__lasx_\w+|__lsx_\w+")
_BUILTIN = re.compile(r"__builtin_\w+|__sync_\w+|__atomic_\w+")
_TYPE = re.compile(r"__float(?:80|128)|__int128(?:_t)?|__uint128_t|_Float\d+x?|__ibm128")
_CONTEXT = re.compile(
    r"REG_[A-Z0-9]+|gregs|fpregs|uc_mcontext|uc_regspace|mcontext_t|user_(?:fp)?regs?(?:_struct)?|"
    r"[re](?:ip|sp|bp|ax|bx|cx|dx|si|di)|r\d+|orig_[re]ax|eflags|PTRACE_(?:GET|SET|PEEK|POKE)\w*"
)
"""Names of x86-64's <sys/ucontext.h>, <sys/user.h> and <sys/ptrace.h> (glibc, sysdeps/unix/sysv/linux/x86)."""


class Reader:
    """Finds the causes of failed compilations of one tree.

    Args:
        lib: the directory of the compiler's own headers and of libc's.
    """

    def __init__(self, tree: SourceTree, lib: Path) -> None:
        self._tree, self._lib, self._own = tree, f"{lib}/", f"{lib}/include/"

    def causes(self, answer: Answer) -> tuple[Cause, ...]:
        """The causes for which a unit does not compile or will not link, without those that follow from others."""
        found: dict[tuple[str, str, int], Cause] = {}
        names: set[tuple[Kind, str]] = set()
        after_root = False
        for diagnostic in answer.diagnostics:
            told = diagnostic.stops or diagnostic.option in (IMPLICIT, NARROWING)
            if not told and not _OF_TARGETS.search(diagnostic.text):
                continue
            cause = self._cause(diagnostic, answer)
            follows = after_root and cause.kind not in HARD
            if follows or cause.key in found or (cause.name and (cause.kind, cause.name) in names):
                continue
            if not cause.place.file and found:
                continue  # "too many errors"
            after_root = after_root or cause.kind in ROOTS
            names.add((cause.kind, cause.name))
            found[cause.key] = cause
        return tuple(self._without_uses(list(found.values())))

    def _without_uses(self, causes: list[Cause]) -> list[Cause]:
        """The functions and types of a header of intrinsics are no causes beside it, and one of them is enough for a file."""
        includes = {
            c.key for c in causes if c.kind is Kind.INTRINSICS and self.text(c.place.file).includes(c.place.line)
        }
        kept: list[Cause] = []
        for cause in causes:
            if cause.kind is Kind.INTRINSICS and cause.key not in includes:
                same = any(k.kind is Kind.INTRINSICS and k.place.file == cause.place.file for k in kept)
                if includes or same:
                    continue
            kept.append(cause)
        return kept

    @functools.lru_cache(2048)  # noqa: B019 - a reader lives as long as its survey
    def text(self, file: str) -> Text:
        """A source of the tree; one without lines where it is none, or cannot be read."""
        return Text("" if file.startswith(("/", "<")) or not file else self._tree.text(file) or "")

    def _cause(self, diagnostic: Diagnostic, answer: Answer) -> Cause:
        place = self._nearest(diagnostic, answer)
        kind, name = self._kind(diagnostic, place, answer)
        through = tuple(p for p in (*diagnostic.included, diagnostic.place, place) if self.inside(p.file))
        outside = diagnostic.place.file
        host = outside.startswith("/") and not outside.startswith(self._lib)
        return Cause(kind, Place(place.file, place.line), name, diagnostic.text, through, host=host)

    def inside(self, file: str) -> bool:
        """Whether a file is one of the tree."""
        return bool(file) and not file.startswith(("/", "<"))

    def _nearest(self, diagnostic: Diagnostic, answer: Answer) -> Place:
        """The place in the tree that is nearest to what is wrong: a macro's own text, the ``#include`` of a foreign header."""
        macros = [n for n in diagnostic.notes if self.inside(n.file) and self.text(n.file).macro(n.line) is not None]
        if self.inside(diagnostic.place.file):
            return macros[-1] if macros else diagnostic.place
        if not diagnostic.place.file or diagnostic.place.file.startswith("<"):
            return Place(answer.unit.source)
        return next((p for p in reversed(diagnostic.included) if self.inside(p.file)), diagnostic.place)

    def _kind(self, diagnostic: Diagnostic, place: Place, answer: Answer) -> tuple[Kind, str]:
        text = self.text(place.file)
        if not diagnostic.place.file:
            return Kind.FLAG, ""
        if answer.unit.language in ASSEMBLERS:
            if text.included(place.line):
                return Kind.HEADER, text.included(place.line)
            return (Kind.ERROR if text.is_error(place.line) else Kind.ASSEMBLER), ""
        if diagnostic.place.file == "<inline asm>":
            return Kind.ASSEMBLY, ""  # it stands outside of functions: what is within them has its place
        if text.includes(place.line):
            header = text.included(place.line)
            foreign = diagnostic.place.file.startswith(self._own) or header_of(header) is not None
            if foreign:
                return Kind.INTRINSICS, header
            return Kind.HEADER, header
        if text.is_error(place.line):
            return Kind.ERROR, ""
        if _OF_TARGETS.search(diagnostic.text):
            return Kind.TARGET, ""
        if diagnostic.option == NARROWING:
            return Kind.NARROWING, text.literal_at(place.line, place.column)
        if text.in_assembly(place.line):
            return Kind.ASSEMBLY, ""
        if text.in_assertion(place.line):
            return Kind.ASSERTION, ""
        name = text.name_at(place.line, place.column)
        return self._of_name(name, diagnostic), name

    def _of_name(self, name: str, diagnostic: Diagnostic) -> Kind:
        if _BUILTIN.fullmatch(name):
            return Kind.BUILTIN
        if any(pattern.fullmatch(name) for pattern in (_OF_X86, _OF_ARM, _OF_LOONG)):
            return Kind.INTRINSICS
        if _TYPE.fullmatch(name):
            return Kind.TYPE
        if _CONTEXT.fullmatch(name):
            return Kind.CONTEXT
        return Kind.UNDECLARED if diagnostic.option == IMPLICIT else Kind.OTHER


def missing_headers(answer: Answer, reader: Reader) -> list[str]:
    """The headers that a unit names and that are not there."""
    found: Iterable[str] = (
        reader.text(d.place.file).included(d.place.line)
        for d in answer.diagnostics
        if d.severity == "fatal error" and reader.inside(d.place.file)
    )
    return list(dict.fromkeys(name for name in found if name))
