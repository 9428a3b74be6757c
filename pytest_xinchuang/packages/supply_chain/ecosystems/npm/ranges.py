"""npm's ranges over versions (npm, semver, "Ranges")."""

from __future__ import annotations

import re
from typing import Any

from pytest_xinchuang.packages.supply_chain.versions import semver

_PART = r"(?:[xX*]|0|[1-9]\d*)"
_PARTIAL = re.compile(
    rf"v?=?\s*(?P<major>{_PART})?(?:\.(?P<minor>{_PART}))?(?:\.(?P<patch>{_PART}))?"
    r"(?P<pre>-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
)
_ANY = ("", "x", "X", "*", None)

Bound = tuple[str, str]
"""A sign and a full version."""


def satisfies(version: str, text: str) -> bool | None:
    """Whether a version is within a range; None: one of the two is something else (a tag, a URL)."""
    try:
        mine = semver(version)
        alternatives = [_bounds(part.strip()) for part in text.split("||")]
    except ValueError:
        return None
    return any(all(_keeps(mine, bound) for bound in bounds) for bounds in alternatives)


def _keeps(mine: Any, bound: Bound) -> bool:
    sign, other = bound
    its = semver(other)
    kept: bool = {"<": mine < its, "<=": mine <= its, ">": mine > its, ">=": mine >= its, "=": mine == its}[sign]
    return kept


def _bounds(text: str) -> list[Bound]:
    """Raises ValueError: it is no range."""
    hyphen = re.fullmatch(r"(\S+)\s+-\s+(\S+)", text)
    if hyphen:
        low, high = _partial(hyphen[1]), _partial(hyphen[2])
        upper = _next(high) if None in high[:3] else ("<=", _full(high))
        return [(">=", _full(low)), *([upper] if upper else [])]
    found: list[Bound] = []
    for word in re.sub(r"([<>=~^]+)\s+", r"\1", text).split():
        sign = re.match(r"\^|~>?|[<>]=?|=|", word)
        assert sign is not None
        found += _comparator(sign[0], _partial(word[sign.end() :]))
    return found


_Partial = tuple[int | None, int | None, int | None, str]


def _partial(text: str) -> _Partial:
    match = _PARTIAL.fullmatch(text)
    if match is None or len(text) > 256:
        raise ValueError(text)
    numbers = [None if match[name] in _ANY else int(match[name]) for name in ("major", "minor", "patch")]
    for index in (1, 2):
        if numbers[index - 1] is None:
            numbers[index] = None
    return numbers[0], numbers[1], numbers[2], match["pre"] or ""


def _full(part: _Partial) -> str:
    return f"{part[0] or 0}.{part[1] or 0}.{part[2] or 0}{part[3]}"


def _next(part: _Partial, at: int | None = None) -> Bound | None:
    """Below the next version of what a partial one leaves open; None: it leaves all open."""
    numbers = list(part[:3])
    if at is None:
        at = next((i for i, n in enumerate(numbers) if n is None), 3) - 1
    if at < 0:
        return None
    kept = [n or 0 for n in numbers[: at + 1]]
    kept[at] += 1
    return "<", ".".join(map(str, ([*kept, 0, 0])[:3])) + "-0"


def _comparator(sign: str, part: _Partial) -> list[Bound]:
    full, open_ = _full(part), None in part[:3]
    if part[0] is None:
        return [("<", "0.0.0-0")] if sign in ("<", ">") else []
    if sign == "^":
        first = next((i for i, n in enumerate(part[:3]) if n), None)
        known = sum(n is not None for n in part[:3])
        at = first if first is not None else known - 1
        upper = _next(part, at)
    elif sign.startswith("~"):
        upper = _next(part, 0 if part[1] is None else 1)
    elif sign in ("", "="):
        if not open_:
            return [("=", full)]
        upper = _next(part)
    elif sign == ">" and open_:
        upper = _next(part)
        return [(">=", upper[1].removesuffix("-0"))] if upper else []
    elif sign == "<=" and open_:
        upper = _next(part)
        return [upper] if upper else []
    else:
        return [(sign, full + ("-0" if sign == "<" and open_ else ""))]
    return [(">=", full), *([upper] if upper else [])]
