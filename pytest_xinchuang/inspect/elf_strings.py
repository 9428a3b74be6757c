"""String tables of ELF objects."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

MAX_STRING = 4096
"""Bytes of a name that are read: the longest mangled names of C++ have some thousands."""


def strings_of(table: bytes) -> Callable[[int], str]:
    """What gives the string at an offset of a table, as ``string_at`` does: at once where all of it is ASCII."""
    try:
        text = table.decode("ascii")
    except UnicodeDecodeError:
        return partial(string_at, table)
    find = text.find

    def name(offset: int) -> str:
        end = find("\0", offset, offset + MAX_STRING)
        return text[offset : end if end >= 0 else offset + MAX_STRING]

    return name


def string_at(table: bytes, offset: int) -> str:
    """The string at an offset of a table; one that has no end is cut off."""
    if offset >= len(table):
        return ""
    end = table.find(b"\0", offset, offset + MAX_STRING)
    return table[offset : end if end >= 0 else offset + MAX_STRING].decode(errors="backslashreplace")
