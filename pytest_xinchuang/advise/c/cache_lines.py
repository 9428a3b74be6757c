"""Sizes of cache lines that a tree writes down, as the preprocessor of a platform leaves them: what is dead there is none."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pytest_xinchuang.advise.c.compiler import Compilers, Question
from pytest_xinchuang.advise.c.diagnostics import Answer
from pytest_xinchuang.advise.c.hazards import Hazard
from pytest_xinchuang.core.finding import Certainty

CACHE_LINE = "XC-ADV-038"

_WORDS = r"(?:cache_?line|cacheln|false_?sharing|destructive_interference|(?:smp|l1)_?cache_?(?:bytes|size|align))"
_NAME = rf"\w*{_WORDS}\w*"
_NUMBER = r"\(*\s*(?:(?P<number>0[xX][0-9a-fA-F]+|\d+)[uUlLzZ]*|1[uUlL]*\s*<<\s*(?P<shift>\d+))\s*\)*"
_DEFINED = re.compile(rf"#define (?P<name>{_NAME}) {_NUMBER}\s*$", re.IGNORECASE)
_DECLARED = re.compile(rf"(?<![\w.>])(?P<name>{_NAME})\s*(?:=|\{{)\s*{_NUMBER}\s*(?=[;,}}]|$)", re.IGNORECASE)
_NAMED = re.compile(_WORDS, re.IGNORECASE)
_MARKER = re.compile(r'# (?P<line>\d+) "(?P<file>(?:[^"\\]|\\.)*)"')
"""Where the preprocessor is now (GCC, the C Preprocessor, Preprocessor Output)."""

LEAST = 16
"""Bytes: a smaller number of such a name is how far a size is shifted, or how many lines there are."""


def sizes(compilers: Compilers, units: Sequence[tuple[Answer, tuple[str, ...]]], *, machine: bool) -> Iterator[Hazard]:
    """The sizes of cache lines that units have as numbers, each once.

    Args:
        units: what the platform's compiler read of each, and flags beyond its own.
        machine: whether flags of one machine are handed on.
    """
    seen: set[str] = set()
    asked = []
    for answer, words in units:
        own = {f for f in answer.read if not f.startswith("/") and f not in seen and _names(compilers, f)}
        if own:
            asked.append(Question(answer.unit, answer.triple, ("-E", "-dD", *words), output=True, machine=machine))
            seen |= own
    told: set[str] = set()
    for answer in compilers.ask(asked):
        for hazard in _written(compilers, answer, answer.output.decode(errors="replace")):
            if hazard.place not in told:
                told.add(hazard.place)
                yield hazard


def _names(compilers: Compilers, file: str) -> bool:
    return _NAMED.search(compilers.tree.text(file) or "") is not None


def _written(compilers: Compilers, answer: Answer, preprocessed: str) -> Iterator[Hazard]:
    file, line = "", 0
    for row in preprocessed.splitlines():
        if marker := _MARKER.match(row):
            file, line = _in_tree(compilers, answer, marker["file"]), int(marker["line"])
            continue
        if file:
            for found in filter(None, (_DEFINED.match(row), *_DECLARED.finditer(row))):
                if size := _size(found):
                    yield Hazard(CACHE_LINE, Certainty.NOTE, f"{file}:{line}", found["name"], str(size), line=size)
        line += 1


def _in_tree(compilers: Compilers, answer: Answer, path: str) -> str:
    """The file as a name in the tree; "" where it is none."""
    if path.startswith("<"):
        return ""
    return compilers.tree.relative(str(compilers.directory(answer.unit) / path)) or ""


def _size(found: re.Match[str]) -> int:
    """The number; 0 where it is no size of a line."""
    if (number := found["number"]) is not None:
        size = int(number, 16 if number[:2].lower() == "0x" else 10)
    else:
        size = 1 << min(int(found["shift"]), 16)
    return size if size >= LEAST and size & (size - 1) == 0 else 0
