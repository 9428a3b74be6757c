"""Whether a cause is the age of the platform's libc: the same architecture with a newer one compiles it."""

from __future__ import annotations

from dataclasses import replace

from pytest_xinchuang.advise.c.causes import Cause, Kind, Reader
from pytest_xinchuang.advise.c.compiler import CHECK, Compilers, Question
from pytest_xinchuang.advise.c.units import Unit
from pytest_xinchuang.advise.triple import NEWEST_GLIBC, Triple

MAY_BE_LIBC = frozenset({Kind.OTHER, Kind.UNDECLARED, Kind.HEADER, Kind.TYPE, Kind.CONTEXT, Kind.ERROR, Kind.ASSERTION})
"""Kinds that a libc can bring about."""


def since(
    compilers: Compilers, reader: Reader, cause: Cause, unit: Unit, triple: Triple, words: tuple[str, ...], newest: str
) -> str:
    """The libc with which a unit no longer fails by a cause, e.g. "glibc 2.38"; "" where no libc helps.

    Args:
        words: flags beyond its own.
        newest: the glibc of x86-64 that it is compared with.
    """
    if cause.kind not in MAY_BE_LIBC:
        return ""

    def fails(version: str) -> bool:
        other = replace(triple, libc="glibc", libc_version=version)
        answer = compilers.ask([Question(unit, other, (*CHECK, *words))])[0]
        return bool(answer.lost) or any(c.key == cause.key for c in reader.causes(answer))

    own = _minor(triple.libc_version or NEWEST_GLIBC) if triple.libc == "glibc" else 0
    low, high = own, _minor(newest)
    if high <= low or fails(newest):
        return ""
    if triple.libc != "glibc":
        return "glibc"
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fails(f"2.{middle}") else (low, middle)
    return f"glibc 2.{high}"


def _minor(version: str) -> int:
    """The second number of a version of glibc: 28 of 2.28."""
    parts = version.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
