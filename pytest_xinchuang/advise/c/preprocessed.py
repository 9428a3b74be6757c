"""A tree's own lines as the preprocessor of a platform leaves them: what is dead there is none of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pytest_xinchuang.advise.c.compiler import Compilers, Question
from pytest_xinchuang.advise.c.diagnostics import Answer, Place
from pytest_xinchuang.advise.c.units import Unit

_MARKER = re.compile(r'# (?P<line>\d+) "(?P<file>(?:[^"\\]|\\.)*)"')
"""Where the preprocessor is now (GCC, the C Preprocessor, Preprocessor Output)."""


class Row(NamedTuple):
    """One line. Attributes: unit: a unit that reads it, the first of several."""

    unit: Unit
    place: Place
    text: str


def rows(
    compilers: Compilers,
    units: Sequence[tuple[Answer, tuple[str, ...]]],
    mentions: re.Pattern[str],
    *,
    machine: bool,
    definitions: bool = True,
) -> Iterator[Row]:
    """The lines of files that mention something; each place once.

    Args:
        units: what the platform's compiler read of each, and flags beyond its own.
        machine: whether flags of one machine are handed on.
        definitions: whether macros' definitions are lines too.
    """
    words_of = ("-E", "-dD") if definitions else ("-E",)
    seen: set[str] = set()
    asked = []
    for answer, words in units:
        own = {f for f in answer.read if not f.startswith("/") and f not in seen}
        seen |= own
        if any(mentions.search(compilers.tree.text(file) or "") for file in own):
            asked.append(Question(answer.unit, answer.triple, (*words_of, *words), output=True, machine=machine))
    told: set[Place] = set()
    for answer in compilers.ask(asked):
        for row in _rows(compilers, answer.unit, answer.output.decode(errors="replace")):
            if row.place not in told:
                told.add(row.place)
                yield row


def _rows(compilers: Compilers, unit: Unit, preprocessed: str) -> Iterator[Row]:
    file, line = "", 0
    for text in preprocessed.splitlines():
        if marker := _MARKER.match(text):
            path, line = compilers.named(marker["file"], unit), int(marker["line"])
            file = "" if path.startswith(("/", "<")) else path
            continue
        if file:
            yield Row(unit, Place(file, line), text)
        line += 1
