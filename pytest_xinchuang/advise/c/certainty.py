"""Whether what a compiler refuses stops the port: what a build for the platform would leave out does not."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from pytest_xinchuang.advise.aside import is_aside
from pytest_xinchuang.advise.c.causes import Cause, Kind, Reader
from pytest_xinchuang.advise.c.diagnostics import Answer
from pytest_xinchuang.advise.c.gcc import of_clang_alone
from pytest_xinchuang.advise.c.machines import machines_of
from pytest_xinchuang.advise.c.units import Unit, Units
from pytest_xinchuang.advise.c.words import defined, sorted_out
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch, Architecture

Needed = Callable[[Unit, Triple], bool]
"""Whether what compiles for a triple needs what a unit alone defines."""


class Doubt(StrEnum):
    """Why it may not stop the port."""

    NONE = "none"
    MACHINE = "machine"
    """The source is named for another machine, and a build may leave it out."""
    ASIDE = "aside"
    """It lies in an example or a test, and no build was seen to need that."""
    CONFIGURATION = "configuration"
    """A macro around it is what a configuration for another machine has set."""
    LINKER = "linker"
    """It is defined elsewhere in the tree: the linker decides."""
    COMPILER = "compiler"
    """It is written for the platform's own architecture, or is an error of clang's own: the platform's GCC may take it."""
    MADE = "made"
    """It is a header that the build makes for x86-64: why the build does not make it here is told of the build."""
    HOST = "host"
    """It lies in a header of this host, which is not the platform's."""


CERTAINTIES = {
    Doubt.NONE: Certainty.CERTAIN,
    Doubt.MACHINE: Certainty.GUARDED,
    Doubt.ASIDE: Certainty.GUARDED,
    Doubt.CONFIGURATION: Certainty.GUARDED,
    Doubt.LINKER: Certainty.GUARDED,
    Doubt.COMPILER: Certainty.UNDECIDED,
    Doubt.MADE: Certainty.GUARDED,
    Doubt.HOST: Certainty.UNDECIDED,
}


@dataclass(frozen=True)
class Doubted:
    """A doubt, with the name that it is about: a machine, a macro, a file."""

    doubt: Doubt
    about: str = ""


_GCC_HAS = frozenset({(Arch.LOONG64, "__float128")})
"""Types that GCC has and clang has not: __float128 for LoongArch since GCC 14 (its testsuite, gcc.target/loongarch)."""

_MACROS = {
    Arch.AMD64: re.compile(r"x86_64|amd64|__builtin_ia32", re.IGNORECASE),
    Arch.ARM64: re.compile(r"aarch64|arm64|__ARM_|neon", re.IGNORECASE),
    Arch.LOONG64: re.compile(r"loongarch|loong64|_lsx|_lasx", re.IGNORECASE),
}
"""Architecture -> macros and builtins that name it (GCC manual; clang, lib/Basic/Targets)."""

_CONFIGURED = (".in", ".cmake", ".cmakein", ".meson", ".h.in", ".h.cmake", ".h.cmake.in", ".hin")
"""Ends of templates that configurations make headers of: config.h of config.h.in, config.h.cmake, config.hin."""


class Doubts:
    """Knows of one tree what may keep its units from being compiled for other machines.

    Args:
        made: the files that the build makes in the guise of x86-64, as names in the tree.
    """

    def __init__(
        self,
        tree: SourceTree,
        reader: Reader,
        architectures: Mapping[Arch, Architecture],
        needed: Needed,
        made: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._tree, self._reader, self._needed = tree, reader, needed
        self._architectures, self._made_for_x86 = dict(architectures), made

    def of(self, cause: Cause, answer: Answer, units: Units) -> Doubted:
        """The doubt about a cause for which a unit fails."""
        if cause.host:
            return Doubted(Doubt.HOST, cause.name)
        if self._of_gcc(cause, answer):
            return Doubted(Doubt.COMPILER, cause.name)
        if units.own and cause.kind is Kind.HEADER and self._is_made_for_x86(cause.name):
            return Doubted(Doubt.MADE, cause.name)
        if not units.own:
            # Where the compiler says no line, it may lie in what the source includes.
            if cause.place.line and is_aside(cause.place.file):
                return Doubted(Doubt.ASIDE)
            machines = machines_of(answer.unit.source, self._architectures)
            if machines and answer.triple.arch.value not in machines and not self._needed(answer.unit, answer.triple):
                return Doubted(Doubt.MACHINE, ", ".join(sorted(machines)))
            set_before = self._configured(answer)
            for place in cause.through:
                around = self._reader.text(place.file).conditions(place.line) & set_before
                if around:
                    return Doubted(Doubt.CONFIGURATION, min(around))
        if cause.kind is Kind.UNDECLARED and (file := self._defined(cause.name)):
            return Doubted(Doubt.LINKER, file)
        return Doubted(Doubt.NONE)

    def _is_made_for_x86(self, header: str) -> bool:
        return any(f"/{name}".endswith(f"/{header}") for name in self._made_for_x86())

    def _of_gcc(self, cause: Cause, answer: Answer) -> bool:
        """Whether it is in the compiler's own dialect of the platform's architecture."""
        arch = answer.triple.arch
        if cause.kind is Kind.NARROWING:
            return not cause.name  # GCC refuses what is constant, and warns of all else (GCC manual, -Wnarrowing)
        if cause.kind is Kind.TYPE:
            return (arch, cause.name) in _GCC_HAS
        if cause.kind is Kind.TARGET or of_clang_alone(cause):
            return True
        if cause.kind is Kind.INTRINSICS and self._reader.text(cause.place.file).asks_for(cause.place.line, cause.name):
            return True  # clang has such a header for every machine, and GCC for its own alone
        if cause.kind not in (Kind.ASSEMBLY, Kind.ASSEMBLER, Kind.BUILTIN):
            return False
        own = _MACROS[arch]
        around = {name for place in cause.through for name in self._reader.text(place.file).conditions(place.line)}
        named = arch.value in machines_of(cause.place.file, self._architectures)
        return named or own.search(cause.name) is not None or any(own.search(name) for name in around)

    def _configured(self, answer: Answer) -> frozenset[str]:
        """The macros that a configuration has set for a unit: by flags, and in headers that are made of templates."""
        found = defined(sorted_out(answer.unit.words).meaning)
        for file in answer.read:
            if self._is_made(file):
                found |= self._reader.text(file).defines()
        return found

    @functools.lru_cache(None)  # noqa: B019 - it lives as long as its survey
    def _is_made(self, file: str) -> bool:
        base = file.rpartition("/")[2]
        stem = base.removesuffix(".h")
        wanted = {*(f"{base}{end}" for end in _CONFIGURED), *(f"{stem}{end}" for end in _CONFIGURED)}
        return any(name.rpartition("/")[2] in wanted for name in self._templates)

    @functools.cached_property
    def _templates(self) -> tuple[str, ...]:
        return tuple(name for name in self._tree.files if name.endswith(_CONFIGURED))

    @functools.lru_cache(None)  # noqa: B019
    def _defined(self, name: str) -> str:
        """A file of the tree that seems to define a function; "" for none."""
        if not name:
            return ""
        body = re.compile(
            rf"^(?!\s*#)[^;=\n/]*\b{re.escape(name)}\s*\([^;]*?\)\s*\{{|^{re.escape(name)}:", re.MULTILINE
        )
        for file in self._tree.files:
            if file.endswith((".c", ".cc", ".cpp", ".cxx", ".S", ".s", ".asm", ".h", ".inc")):
                text = self._tree.text(file)
                if text and name in text and body.search(text):
                    return file
        return ""
