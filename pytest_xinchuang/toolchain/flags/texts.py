"""Lists of words that are long, as text."""

from __future__ import annotations


def of(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())
