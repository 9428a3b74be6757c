"""Flags of one machine in the commands of a build for another: what the platform's compiler says of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_xinchuang.advise.c.compiler import CHECK, Compilers, Question
from pytest_xinchuang.advise.c.units import Language, Unit
from pytest_xinchuang.advise.c.words import sorted_out
from pytest_xinchuang.advise.triple import Triple

UNUSED = "-Wunused-command-line-argument"
"""Clang's warning of a flag that means nothing for the target; GCC refuses such a flag."""

_OF_X86 = frozenset({"-m64", "-m32", "-mx32", "-m16"})
"""Clang takes these for any target; GCC for x86 and a few others, and not for AArch64 and LoongArch (GCC manual)."""


@dataclass(frozen=True)
class MachineFlag:
    """A flag that the platform's compiler does not know.

    Attributes:
        units: how many units are compiled with it.
        first: one of them.
        refused: clang refuses it; otherwise it warns that it means nothing, and GCC refuses it.
    """

    flag: str
    units: int
    first: str
    refused: bool


def flags_of_one_machine(compilers: Compilers, units: Sequence[Unit], triple: Triple) -> list[MachineFlag]:
    """The flags of units that mean nothing for a triple."""
    used: dict[str, list[str]] = defaultdict(list)
    for unit in units:
        for flag in dict.fromkeys(sorted_out(unit.words).machine):
            used[flag].append(unit.source)
    if not used:
        return []
    place = compilers.work.scratch / "flags"
    place.mkdir(exist_ok=True)
    (place / "empty.c").touch()
    empty = str(place / "empty.c")
    words = (*CHECK, UNUSED)
    asked = [Question(Unit(empty, "", (flag,), Language.C), triple, words, machine=True) for flag in used]
    found = []
    for flag, answer in zip(used, compilers.ask(asked), strict=True):
        unused = any(d.option == UNUSED for d in answer.diagnostics)
        if not answer.lost and (not answer.ok or unused or flag in _OF_X86):
            found.append(MachineFlag(flag, len(used[flag]), used[flag][0], not answer.ok))
    return found
