"""The order of versions of dpkg, RPM and apk.

Sources: deb-version(7); rpm, docs/manual/dependencies.md and rpmio/rpmvercmp.c; apk-tools, src/version.c, and Alpine's
APKBUILD(5), pkgver.
"""

from __future__ import annotations

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import zip_longest
from typing import Any, Self

from pytest_xinchuang.messages import _, verbatim

Key = Any
"""What versions of one kind are compared by; keys of one kind have an order among themselves."""


@functools.total_ordering
class _Compared(ABC):
    """A version that is compared with others of its kind."""

    @abstractmethod
    def compare(self, other: Self) -> int:
        """Below zero: it is before the other; above: behind it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self.compare(other) == 0

    def __lt__(self, other: Self) -> bool:
        return self.compare(other) < 0

    __hash__ = None  # type: ignore[assignment]


def _weight(character: str) -> int:
    """Of what is not a digit: a tilde before the end of a part, the end before letters, letters before all else."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _dpkg_part(text: str) -> list[tuple[list[int], int]]:
    """Alternating: weights of what is not a digit, with 0 for its end, and a number."""
    return [
        ([*map(_weight, letters), 0], int(digits or 0))
        for letters, digits in re.findall(r"(\D*)(\d*)", text)
        if letters or digits
    ] or [([0], 0)]


class _Debian(_Compared):
    """A version of dpkg."""

    def __init__(self, version: str) -> None:
        epoch, colon, rest = version.partition(":")
        if not colon:
            epoch, rest = "0", version
        if not re.fullmatch(r"[0-9]+", epoch) or not re.fullmatch(r"[0-9A-Za-z.+~:-]+", rest, re.ASCII):
            raise ValueError(_("{version} is no version of dpkg (deb-version(7))", version=verbatim(repr(version))))
        upstream, _dash, revision = rest.rpartition("-") if "-" in rest else (rest, "", "0")
        self.parts = (int(epoch), upstream, revision)

    def compare(self, other: Self) -> int:
        if self.parts[0] != other.parts[0]:
            return self.parts[0] - other.parts[0]
        return next(filter(None, map(_dpkg_compare, self.parts[1:], other.parts[1:])), 0)


def _dpkg_compare(one: str, two: str) -> int:
    for (a, m), (b, n) in zip_longest(_dpkg_part(one), _dpkg_part(two), fillvalue=([0], 0)):
        # What is shorter goes on as its end does: with zeros.
        for x, y in zip_longest(a, b, fillvalue=0):
            if x != y:
                return x - y
        if m != n:
            return m - n
    return 0


class _Rpm(_Compared):
    """Epoch, version and release of RPM."""

    def __init__(self, version: str) -> None:
        epoch, colon, rest = version.partition(":")
        if not colon:
            epoch, rest = "0", version
        if not re.fullmatch(r"[0-9]+", epoch) or not rest:
            raise ValueError(_("{version} is no version of RPM", version=verbatim(repr(version))))
        self.epoch = int(epoch)
        self.version, _dash, self.release = rest.partition("-")

    def compare(self, other: Self) -> int:
        if self.epoch != other.epoch:
            return self.epoch - other.epoch
        if found := _rpmvercmp(self.version, other.version):
            return found
        # A version without a release stands for each of its releases (rpm, rpmVersionCompare).
        return _rpmvercmp(self.release, other.release) if self.release and other.release else 0


def _rpmvercmp(one: str, two: str) -> int:
    """rpmvercmp: segments of digits or letters; a tilde is before the end, a caret behind it and before all else."""
    a, b = (re.findall(r"\d+|[A-Za-z]+|~|\^", text) for text in (one, two))
    for x, y in zip_longest(a, b, fillvalue=""):
        if x == y:
            continue
        for mark, without in (("~", -1), ("^", 0)):
            if mark in (x, y):
                other = y if x == mark else x
                first = without or (1 if not other else -1)
                return first if x == mark else -first
        if not x or not y:
            return 1 if x else -1
        if x.isdigit() != y.isdigit():
            return 1 if x.isdigit() else -1
        if x.isdigit():
            if int(x) != int(y):
                return 1 if int(x) > int(y) else -1
        else:
            return 1 if x > y else -1
    return 0


_APK = re.compile(
    r"(?P<numbers>\d+(?:\.\d+)*)(?P<letter>[a-z]?)(?P<suffixes>(?:_[a-z]+\d*)*)(?:~[0-9a-f]+)?(?:-r(?P<revision>\d+))?"
)
_BEFORE, _AFTER = ("alpha", "beta", "pre", "rc"), ("cvs", "svn", "git", "hg", "p")


class _Apk(_Compared):
    """A version of apk: numbers, a letter, suffixes, a revision."""

    def __init__(self, version: str) -> None:
        found = _APK.fullmatch(version)
        suffixes = re.findall(r"_([a-z]+)(\d*)", found["suffixes"]) if found else []
        if found is None or any(name not in (*_BEFORE, *_AFTER) for name, _digits in suffixes):
            raise ValueError(_("{version} is no version of apk (APKBUILD(5), pkgver)", version=verbatim(repr(version))))
        self.numbers = found["numbers"].split(".")
        ranks = [
            (_BEFORE.index(name) - len(_BEFORE) if name in _BEFORE else _AFTER.index(name) + 1, int(digits or 0))
            for name, digits in suffixes
        ]
        self.rest = (found["letter"], [*ranks, (0, 0)], int(found["revision"] or 0))

    def compare(self, other: Self) -> int:
        for place, (one, two) in enumerate(zip_longest(self.numbers, other.numbers)):
            if one is None or two is None:
                return -1 if one is None else 1
            # A number behind a dot that begins with a zero is read as a fraction: 1.05 is before 1.1.
            fraction = place and "0" in (one[0], two[0])
            a, b = (one.rstrip("0"), two.rstrip("0")) if fraction else (int(one), int(two))
            if a != b:
                return -1 if a < b else 1
        return (self.rest > other.rest) - (self.rest < other.rest)


ORDERS: dict[str, Callable[[str], Key]] = {"deb": _Debian, "rpm": _Rpm, "apk": _Apk}
"""Kind of package -> what makes a version's key. Raises ValueError: it is no version of that kind."""
