"""Near matches for mistyped names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_xinchuang.messages import Message


def near_names(name: str, known: Iterable[str], *, cutoff: float = 0.5) -> list[str]:
    """At most three of ``known`` that ``name`` may be meant as, the likeliest first; letter case does not count."""
    import difflib  # who makes no mistake need not wait for it

    by_lower = {k.lower(): k for k in known}
    return [by_lower[n] for n in difflib.get_close_matches(name.lower(), list(by_lower), n=3, cutoff=cutoff)]


def near(name: str, known: Iterable[str]) -> Message:
    """`` (did you mean X?)``, to be put behind a name that nobody knows; empty where nothing is near."""
    from pytest_xinchuang.messages import NOTHING, _, joined, verbatim

    names = near_names(name, known)
    return _(" (did you mean {names}?)", names=joined(map(verbatim, names), _(", "))) if names else NOTHING
