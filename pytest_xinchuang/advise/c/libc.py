"""Whether a cause is the age of the platform's libc: the same architecture with a newer one compiles it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pytest_xinchuang.advise.c.causes import Failing, Kind, Reader
from pytest_xinchuang.advise.c.compiler import CHECK, Compilers, Question
from pytest_xinchuang.advise.triple import NEWEST_GLIBC, Triple

MAY_BE_LIBC = frozenset({Kind.OTHER, Kind.UNDECLARED, Kind.HEADER, Kind.TYPE, Kind.CONTEXT, Kind.ERROR, Kind.ASSERTION})
"""Kinds that a libc can bring about."""


@dataclass
class _Search:
    """Between which versions of glibc a cause goes away: the second numbers of one with it, and of one without."""

    low: int
    high: int


def since(
    compilers: Compilers, reader: Reader, failing: Sequence[Failing], triple: Triple, newest: str
) -> dict[Failing, str]:
    """The libc with which units no longer fail by their causes, e.g. "glibc 2.38"; those that no libc helps are not in it.

    Args:
        newest: the glibc of x86-64 that it is compared with.
    """

    def without(asked: Sequence[tuple[Failing, int]]) -> list[bool]:
        """Whether each of them goes away with that version."""
        questions = [
            Question(f.unit, replace(triple, libc="glibc", libc_version=f"2.{minor}"), (*CHECK, *f.words))
            for f, minor in asked
        ]
        answers = compilers.ask(questions)
        return [
            not answer.lost and all(c.key != f.cause.key for c in reader.causes(answer))
            for (f, _minor), answer in zip(asked, answers, strict=True)
        ]

    own = _minor(triple.libc_version or NEWEST_GLIBC) if triple.libc == "glibc" else 0
    last = _minor(newest)
    possible = [f for f in failing if f.cause.kind in MAY_BE_LIBC] if last > own else []
    gone = without([(f, last) for f in possible])
    helped = [f for f, away in zip(possible, gone, strict=True) if away]
    if triple.libc != "glibc":
        return dict.fromkeys(helped, "glibc")
    searches = {f: _Search(own, last) for f in helped}
    while open_ := [(f, (s.low + s.high) // 2) for f, s in searches.items() if s.high - s.low > 1]:
        for (f, middle), away in zip(open_, without(open_), strict=True):
            if away:
                searches[f].high = middle
            else:
                searches[f].low = middle
    return {f: f"glibc 2.{s.high}" for f, s in searches.items()}


def _minor(version: str) -> int:
    """The second number of a version of glibc: 28 of 2.28."""
    parts = version.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
