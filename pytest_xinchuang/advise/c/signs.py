"""Tests of a plain ``char`` for a negative value: right where it is signed, always false where it is not.

Whether ``char`` is signed is the machine's choice (C23 6.2.5p20; AAPCS64 10.1: unsigned; LoongArch ELF psABI: signed). In IR
it is ``sext`` on the one side and ``zext`` on the other, of the same statement.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_xinchuang.advise.c.flow import Use, comparisons, follow, made_of
from pytest_xinchuang.advise.c.ir import Function, Instruction, Module
from pytest_xinchuang.advise.c.pairs import Pair, in_tree, place_of
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim

NEGATIVE_CHAR = "XC-ADV-030"

_COMPARED = re.compile(r"(?P<how>eq|ne|slt|sle|sgt|sge) i\d+ %[\w.$-]+, (?P<value>-?\d+)$")
_HIGH = 127
"""What no signed char is above (C23 5.2.5.3.2, SCHAR_MAX)."""


@dataclass(frozen=True)
class Sign:
    """A test that only a signed ``char`` can pass.

    Attributes:
        test: as people write it, e.g. "== -1".
        source: where the value comes from: behind the sentence on the test; nothing where it is not known.
        spot: file and line, as the compiler has them.
    """

    certainty: Certainty
    place: str
    name: str
    test: str
    source: Message
    spot: tuple[str, int]


def signs(pair: Pair) -> Iterator[Sign]:
    """The tests of a unit."""
    if pair.base is None or pair.here is None:
        return
    here, base = pair.here.module, pair.base.module
    for function in here.functions.values():
        other = base.functions.get(function.name)
        if other is None or "zext i8 " not in function.body or "sext i8 " not in other.body:
            continue
        by_place: dict[str, list[Instruction]] = {}
        loads = {i.result: i.text for i in function.instructions if i.code == "load"}
        above: set[tuple[str, int]] = set()
        for widened in _widened(here, function, base, other):
            above |= {here.spot(test) for test in comparisons(function, widened.result) if _asks_above(test)}
            by_place.setdefault(loads.get(widened.values[0], widened.result) if widened.values else "", []).append(
                widened
            )
        for together in by_place.values():
            # Whoever asks for what is above 127 as well is right with both.
            if not any(_asks_above(test) for widened in together for test in comparisons(function, widened.result)):
                for widened in together:
                    # The same value may be read again for it, in the same line.
                    yield from (s for s in _tests(here, function, widened) if s.spot not in above)


def _widened(here: Module, function: Function, base: Module, other: Function) -> Iterator[Instruction]:
    """What is ``zext`` of a char here where it is ``sext`` for x86-64."""

    def of(f: Function) -> list[Instruction]:
        return [i for i in f.instructions if i.code in ("zext", "sext") and i.text.startswith("i8 ")]

    mine, theirs = of(function), of(other)
    if len(mine) == len(theirs):
        yield from (m for m, t in zip(mine, theirs, strict=True) if (m.code, t.code) == ("zext", "sext"))
        return
    by_line: dict[tuple[str, int], list[str]] = {}
    for i in theirs:
        by_line.setdefault(base.spot(i), []).append(i.code)
    own: dict[tuple[str, int], list[Instruction]] = {}
    for i in mine:
        own.setdefault(here.spot(i), []).append(i)
    for spot, instructions in own.items():
        codes = by_line.get(spot, [])
        if len(codes) == len(instructions):
            yield from (m for m, code in zip(instructions, codes, strict=True) if (m.code, code) == ("zext", "sext"))


def _tests(module: Module, function: Function, widened: Instruction) -> Iterator[Sign]:
    negative: list[tuple[Instruction, str]] = []
    for test in comparisons(function, widened.result):
        if test.code == "switch":
            if re.search(r"i\d+ -\d+, label", test.text):
                negative.append((test, "case -1"))
            continue
        found = _COMPARED.match(test.text)
        if found is None:
            continue
        how, value = found["how"], int(found["value"])
        below = value < 0 or (value == 0 and how in ("slt", "sge"))
        if below and not (value < -1 and how in ("sgt", "sge", "slt", "sle")):
            negative.append((test, f"{_SIGNS[how]} {value}"))
    if not negative:
        yield from _sums(module, function, widened)
    for test, words in negative:
        file, line = module.spot(test)
        if not in_tree(file):
            continue
        source = _source(module, function, widened)
        decides = test.code == "switch" or Use.CONDITION in follow(function, [test.result]).uses
        sure = Certainty.CERTAIN if source and decides else Certainty.GUARDED
        yield Sign(sure, place_of(file, line), module.title(function), words, source, (file, line))


def _asks_above(test: Instruction) -> bool:
    found = _COMPARED.match(test.text) if test.code == "icmp" else None
    return found is not None and int(found["value"]) >= _HIGH and found["how"] in ("sgt", "sge", "sle", "slt")


def _sums(module: Module, function: Function, widened: Instruction) -> Iterator[Sign]:
    """Arithmetic with a value of a table that has negative ones."""
    source = _source(module, function, widened)
    uses = [i for i in function.instructions if i.code in ("add", "sub", "mul") and widened.result in i.values]
    if source and source.endswith("values") and uses:
        file, line = module.spot(uses[0])
        if in_tree(file):
            sign = {"add": "+", "sub": "-", "mul": "*"}[uses[0].code]
            yield Sign(Certainty.GUARDED, place_of(file, line), module.title(function), sign, source, (file, line))


_SIGNS = {"eq": "==", "ne": "!=", "slt": "<", "sle": "<=", "sgt": ">", "sge": ">="}


def _source(module: Module, function: Function, widened: Instruction) -> Message:
    """Where a value that can be negative on x86-64 comes from; nothing where that is not known."""
    for i in made_of(function, widened.values):
        if i.code == "call" and i.callee and not i.callee.startswith("llvm.") and _cut(function, i):
            return _("; its value comes from a call of {function}()", function=verbatim(i.callee))
        if i.code in ("load", "getelementptr"):
            for symbol in i.symbols:
                if module.has_high_bytes(symbol):
                    return _("; its value comes from {name}[], which has negative values", name=verbatim(symbol))
    return NOTHING


def _cut(function: Function, call: Instruction) -> bool:
    """Whether an int that a call returns is cut to a char."""
    return any(
        i.code == "trunc" and call.result in i.values and i.text.endswith(" to i8") for i in function.instructions
    )
