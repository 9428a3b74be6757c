"""How deep what is read may be nested: the same on every Python."""

from __future__ import annotations

MAX_DEPTH = 500
"""Levels of objects and lists in a line. Python 3.11 reads some 1000, Python 3.13 more than 5000: all grade alike."""


def is_too_deep(line: bytes, data: object) -> bool:
    """Whether a line of JSON, read as ``data``, is nested deeper than that."""
    return line.count(b"{") + line.count(b"[") > MAX_DEPTH and _is_deep(data)


def _is_deep(data: object) -> bool:
    level = [data]
    for _depth in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
