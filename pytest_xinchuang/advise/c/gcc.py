"""What the platform's GCC makes of what clang refuses, where this machine has a GCC for it.

Most builds for these platforms use GCC. Where it takes what clang does not, that stops no such build; where it refuses the same
line, there is no doubt left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pytest_xinchuang.advise.c.causes import Cause, Failing, Kind
from pytest_xinchuang.advise.c.compiler import EACH_S, HOST, Compilers
from pytest_xinchuang.advise.c.units import Language
from pytest_xinchuang.advise.c.words import sorted_out
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.provision.trees import remove_tree
from pytest_xinchuang.toolchain.builder import gnu_compiler
from pytest_xinchuang.toolchain.jail import Sights
from pytest_xinchuang.toolchain.site import plain_environment
from pytest_xinchuang.tools.versions import version_of

ASKED = frozenset(
    {
        Kind.ASSEMBLY,
        Kind.ASSEMBLER,
        Kind.BUILTIN,
        Kind.TYPE,
        Kind.INTRINSICS,
        Kind.NARROWING,
        Kind.OTHER,
    }
)
"""Kinds that are a compiler's own: what headers, libraries and ``#error`` decide is the same for each."""

_CALLED = frozenset({Kind.BUILTIN, Kind.INTRINSICS})

MOST = 30
"""Causes that it is asked about: each takes a compilation."""

_ITS_OWN = re.compile(
    r"conflicting types for '__\w+'|definition of builtin function '__\w+'|"
    r"in the 'target(?:_clones)?' attribute string|function multiversioning is not supported"
)
"""Clang's words where a source declares one of the compiler's own library functions, as ``__clear_cache`` is on ARM64: GCC
warns of it at most (GCC manual, -Wbuiltin-declaration-mismatch). And where a function is for a CPU that the target has not:
clang passes over it or refuses it, and each GCC does as it does."""


def of_clang_alone(cause: Cause) -> bool:
    """Whether it is an error of clang's own, by its words."""
    return cause.kind is Kind.OTHER and _ITS_OWN.search(cause.text) is not None


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


def _opinion(compilers: Compilers, one: Failing, gcc: str, *, machine: bool) -> Opinion | None:
    unit = one.unit
    program = f"{gcc.removesuffix('gcc')}g++" if unit.language is Language.CXX else gcc
    own = sorted_out(unit.words)
    if not Path(program).is_file():
        return None
    meaning = list(own.meaning)
    while "-ivfsoverlay" in meaning:  # clang's own; where a header that a build has made is missed, nothing is said
        at = meaning.index("-ivfsoverlay")
        del meaning[at : at + 2]
    words = [*meaning, *(own.machine if machine else ()), *one.words]
    # With -w it would take what it refuses as a pedantic error, as what is narrowed (GCC manual, -Wnarrowing).
    # In C it takes a builtin that it does not know for a function that is declared nowhere.
    strict = ["-Werror=implicit-function-declaration"] if one.cause.kind in _CALLED else []
    argv = [program, "-O0", "-c", *words, *strict, "-x", unit.language.value, compilers.source(unit), "-o", "/dev/null"]
    work = compilers.work
    here = work.scratch / "gcc"
    tmp, jail = here / "tmp", here / "jail"
    for place in (tmp, jail):
        place.mkdir(parents=True)
    read = (*HOST, compilers.tree.root, *compilers.own_files(here))
    try:
        done = work.jail.run(
            argv,
            Sights(read, (tmp,)),
            scratch=jail,
            cwd=compilers.directory(unit),
            env=plain_environment(tmp),
            timeout_s=work.budget.within(work.runner.seconds(EACH_S)),
        ).finished
    finally:
        remove_tree(here)
    by = version_of(program, "--version", runner=work.runner)
    if done.ok:
        return Opinion(by, takes=True)
    return Opinion(by, takes=False) if _says(done.errors, one.cause) else None


def _says(errors: str, cause: Cause) -> bool:
    """Whether GCC or its assembler names the same line."""
    name = re.escape(PurePosixPath(cause.place.file).name)
    return (
        re.search(rf"(?:^|[/\s]){name}:{cause.place.line}:(?:\d+:)? ?(?:fatal )?Error", errors, re.I | re.M) is not None
    )
