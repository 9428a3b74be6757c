"""Sizes of cache lines that a tree writes down, as the preprocessor of a platform leaves them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_xinchuang.advise.c.compiler import Compilers
from pytest_xinchuang.advise.c.diagnostics import Answer
from pytest_xinchuang.advise.c.hazards import Hazard
from pytest_xinchuang.advise.c.pairs import place_of
from pytest_xinchuang.advise.c.preprocessed import rows
from pytest_xinchuang.core.finding import Certainty

CACHE_LINE = "XC-ADV-038"

_WORDS = r"(?:cache_?line|cacheln|false_?sharing|destructive_interference|(?:smp|l1)_?cache_?(?:bytes|size|align))"
_NAME = rf"\w*{_WORDS}\w*"
_NUMBER = r"\(*\s*(?:(?P<number>0[xX][0-9a-fA-F]+|\d+)[uUlLzZ]*|1[uUlL]*\s*<<\s*(?P<shift>\d+))\s*\)*"
_DEFINED = re.compile(rf"#define (?P<name>{_NAME}) {_NUMBER}\s*$", re.IGNORECASE)
_DECLARED = re.compile(rf"(?<![\w.>])(?P<name>{_NAME})\s*(?:=|\{{)\s*{_NUMBER}\s*(?=[;,}}]|$)", re.IGNORECASE)
_NAMED = re.compile(_WORDS, re.IGNORECASE)

LEAST = 16
"""Bytes: a smaller number of such a name is how far a size is shifted, or how many lines there are."""


def sizes(compilers: Compilers, units: Sequence[tuple[Answer, tuple[str, ...]]], *, machine: bool) -> Iterator[Hazard]:
    """The sizes of cache lines that units have as numbers.

    Args:
        units: what the platform's compiler read of each, and flags beyond its own.
        machine: whether flags of one machine are handed on.
    """
    for row in rows(compilers, units, _NAMED, machine=machine):
        for found in filter(None, (_DEFINED.match(row.text), *_DECLARED.finditer(row.text))):
            if size := _size(found):
                place = place_of(row.place.file, row.place.line)
                yield Hazard(CACHE_LINE, Certainty.NOTE, place, found["name"], str(size), line=size)


def _size(found: re.Match[str]) -> int:
    """The number; 0 where it is no size of a line."""
    if (number := found["number"]) is not None:
        size = int(number, 16 if number[:2].lower() == "0x" else 10)
    else:
        size = 1 << min(int(found["shift"]), 16)
    return size if size >= LEAST and size & (size - 1) == 0 else 0
