"""Whether a unit compiles and what its code does: one run of the compiler's front end answers both.

A unit is compiled to IR in which its functions are as they are written, and that IR is made into an object: what an assembler's
statement says is checked there. Where that fails the unit is compiled once more, for only then the compiler says at which line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pytest_xinchuang.advise.c.compiler import CHECK, WARNED, Compilers, Question
from pytest_xinchuang.advise.c.diagnostics import Answer, Diagnostic
from pytest_xinchuang.advise.c.units import ASSEMBLERS, Unit
from pytest_xinchuang.advise.c.warned import WARNINGS
from pytest_xinchuang.advise.triple import Triple

AS_WRITTEN = (
    *("-O0", "-Xclang", "-disable-O0-optnone", "-S", "-emit-llvm"),
    *("-gline-tables-only", "-fno-discard-value-names"),
)
"""clang's words for IR in which each function, call and local of the source is still there, with its line and its name."""

_OF_CHECK = tuple(word for word in WARNED if not word.startswith("-Wno-"))


@dataclass(frozen=True)
class Wanted:
    """A unit, and the triple that it is compiled for.

    Attributes:
        words: flags behind the unit's own, for libraries' headers.
        machine: whether flags of one machine (``-mavx2``) are handed on.
    """

    unit: Unit
    triple: Triple
    words: tuple[str, ...] = ()
    machine: bool = False


def compiled(compilers: Compilers, wanted: Sequence[Wanted]) -> list[Answer]:
    """Whether units compile, in their order; what they are asked is ``CHECK``.

    Raises:
        ToolchainFault: zig is missing or broke, or nothing can be run here.
    """
    found = dict(zip(wanted, compilers.ask([_question(compilers, w) for w in wanted]), strict=True))
    # Of assembler there is no IR, and what IR cannot be made into is told better of the source.
    again = [w for w, answer in found.items() if answer.lost or (answer.ok and not answer.made)]
    checks = [Question(w.unit, w.triple, (*CHECK, *w.words), machine=w.machine) for w in again]
    found |= dict(zip(again, compilers.ask(checks), strict=True))
    return [_only(found[w], lambda d: d.option.startswith(_OF_CHECK)) for w in wanted]


def as_written(compilers: Compilers, wanted: Sequence[Wanted]) -> list[Answer]:
    """Units as IR, with the warnings of ``WARNINGS``, in their order.

    Raises:
        ToolchainFault: zig is missing or broke, or nothing can be run here.
    """
    answers = compilers.ask([_question(compilers, w) for w in wanted])
    return [_only(a, lambda d: not d.option.startswith(_OF_CHECK), output=a.output) for a in answers]


def _question(compilers: Compilers, w: Wanted) -> Question:
    if w.unit.language in ASSEMBLERS:
        return Question(w.unit, w.triple, (*CHECK, *w.words), machine=w.machine)
    cut = f"-fdebug-prefix-map={compilers.tree.root}/="
    words = (*AS_WRITTEN, *WARNED, *WARNINGS, cut, *w.words)
    return Question(w.unit, w.triple, words, output=True, machine=w.machine, make=True)


def _only(answer: Answer, wanted: Callable[[Diagnostic], bool], output: bytes = b"") -> Answer:
    """An answer with its errors, and with those of its warnings that are wanted."""
    said = tuple(d for d in answer.diagnostics if d.stops or wanted(d))
    return replace(answer, diagnostics=said, output=output)
