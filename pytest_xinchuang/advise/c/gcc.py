"""What GCC makes of what clang refuses, where this machine has a GCC for the platform, and for x86-64.

Most builds for these platforms use GCC. Where it takes what clang does not, that stops no such build; where it refuses the same
line, there is no doubt left. What GCC alone compiles for x86-64 is what a port begins with, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_xinchuang.advise.c.causes import Cause, Failing, Kind
from pytest_xinchuang.advise.c.compiler import EACH_S, HOST, Compilers
from pytest_xinchuang.advise.c.units import Language, Unit
from pytest_xinchuang.advise.c.words import sorted_out
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.provision.trees import remove_tree
from pytest_xinchuang.toolchain.builder import gnu_compiler
from pytest_xinchuang.toolchain.jail import Sights
from pytest_xinchuang.toolchain.site import plain_environment
from pytest_xinchuang.tools.process import Finished
from pytest_xinchuang.tools.versions import version_of

ASKED = frozenset(
    {
        Kind.ASSEMBLY,
        Kind.ASSEMBLER,
        Kind.BUILTIN,
        Kind.TYPE,
        Kind.INTRINSICS,
        Kind.NARROWING,
        Kind.TARGET,
        Kind.OTHER,
    }
)
"""Kinds that are a compiler's own: what headers, libraries and ``#error`` decide is the same for each."""

_CALLED = frozenset({Kind.BUILTIN, Kind.INTRINSICS})

MOST = 30
"""Causes that it is asked about: each takes a compilation."""
MOST_UNITS = 100
"""Units that it is asked about."""

_DECLARED = ("-Werror=implicit-function-declaration",)
"""A builtin that is not there is a function that is not declared, which GCC takes in C before 14 (GCC 14, Porting to)."""

_TYPED_OTHERWISE = re.compile(r"conflicting types for '__\w+'|definition of builtin function '__\w+'")
"""Clang's words where a source declares one of the compiler's own library functions, as ``__clear_cache`` is on ARM64. GCC
warns of it at most (GCC manual, -Wbuiltin-declaration-mismatch)."""


def of_clang_alone(cause: Cause) -> bool:
    """Whether it is an error of clang's own, by its words."""
    return cause.kind is Kind.OTHER and _TYPED_OTHERWISE.search(cause.text) is not None


@dataclass(frozen=True)
class Opinion:
    """What GCC says of one cause.

    Attributes:
        by: which one it was, e.g. "aarch64-linux-gnu-g++ (Debian 12.2.0-14) 12.2.0".
        takes: it compiles the unit; False: it refuses the same line.
    """

    by: str
    takes: bool


def opinions(
    compilers: Compilers, doubtful: Sequence[Failing], triple: Triple, *, machine: bool
) -> Iterator[Opinion | None]:
    """What GCC says of each; None: there is none here, or it stumbles over something else.

    Args:
        machine: whether flags of one machine (``-mcpu=``) are handed on.
    """
    found = gnu_compiler(triple.architecture) if triple.libc == "glibc" else None
    for number, one in enumerate(doubtful):
        possible = found is not None and number < MOST and one.cause.kind in ASKED and not compilers.work.budget.spent
        yield _opinion(compilers, one, found or "", machine=machine) if possible else None


def taken_by(
    compilers: Compilers, units: Sequence[tuple[Unit, tuple[str, ...]]], triple: Triple, *, machine: bool
) -> list[str]:
    """Which GCC compiles each unit, with more flags for it; "" where it does not, or there is none here."""
    found = gnu_compiler(triple.architecture) if triple.libc == "glibc" else None
    said = []
    for number, (unit, words) in enumerate(units):
        asked = found is not None and number < MOST_UNITS and not compilers.work.budget.spent
        program = _program(found or "", unit) if asked else None
        done = _compiled(compilers, program, unit, words, machine=machine) if program else None
        said.append(_version(compilers, program) if program and done and done.ok else "")
    return said


def _opinion(compilers: Compilers, one: Failing, gcc: str, *, machine: bool) -> Opinion | None:
    program = _program(gcc, one.unit)
    if program is None:
        return None
    builtin = one.unit.language is Language.C and one.cause.kind in _CALLED
    more = (*one.words, *(_DECLARED if builtin else ()))
    done = _compiled(compilers, program, one.unit, more, machine=machine)
    by = _version(compilers, program)
    if done.ok:
        return Opinion(by, takes=True)
    return Opinion(by, takes=False) if _says(done.errors, one.cause) else None


def _version(compilers: Compilers, program: str) -> str:
    return version_of(program, "--version", runner=compilers.work.runner)


def _program(gcc: str, unit: Unit) -> str | None:
    """The compiler of a unit's language; None: it is not there."""
    program = f"{gcc.removesuffix('gcc')}g++" if unit.language is Language.CXX else gcc
    return program if Path(program).is_file() else None


def _compiled(compilers: Compilers, program: str, unit: Unit, more: tuple[str, ...], *, machine: bool) -> Finished:
    own = sorted_out(unit.words)
    meaning = list(own.meaning)
    while "-ivfsoverlay" in meaning:  # clang's own; where a header that a build has made is missed, nothing is said
        at = meaning.index("-ivfsoverlay")
        del meaning[at : at + 2]
    # With -w it would be silent of what is narrowed in braces, and take it.
    words = [*meaning, *(own.machine if machine else ()), "-Wno-error", *more]
    argv = [program, "-O0", "-c", *words, "-x", unit.language.value, compilers.source(unit), "-o", "/dev/null"]
    work = compilers.work
    here = work.scratch / "gcc"
    tmp, jail = here / "tmp", here / "jail"
    for place in (tmp, jail):
        place.mkdir(parents=True)
    read = (*HOST, compilers.tree.root, *compilers.own_files(here))
    try:
        return work.jail.run(
            argv,
            Sights(read, (tmp,)),
            scratch=jail,
            cwd=compilers.directory(unit),
            env=plain_environment(tmp),
            timeout_s=work.budget.within(work.runner.seconds(EACH_S)),
        ).finished
    finally:
        remove_tree(here)


def _says(errors: str, cause: Cause) -> bool:
    """Whether GCC or its assembler names the same line."""
    name = re.escape(PurePosixPath(cause.place.file).name)
    return (
        re.search(rf"(?:^|[/\s]){name}:{cause.place.line}:(?:\d+:)? ?(?:fatal )?Error", errors, re.I | re.M) is not None
    )
