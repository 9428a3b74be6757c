"""Finds English that a Chinese text should not have."""

from __future__ import annotations

import re

_NAMES = re.compile(
    r"""
    `[^`]*` | "[^"]*" | “[^”]*” | (?<!\w)'[^']*'(?!\w)      # quoted: what a user typed, what a program printed
    | [A-Z][A-Z0-9_,|.@:\[\]=/-]*(\.\.\.)? | \{[^}]*\}       # placeholders, ids
    | --?[A-Za-z][\w-]*                                      # options
    | \b(?:xc|go|pip|git|npm|docker|sudo)(?:\ [a-z-]+)+      # commands
    | [!-~]*[/_][!-~]*                                       # paths, URLs, names of Python and of files
    """,
    re.X,
)
_ENGLISH = re.compile(r"(?<![\w./-])[A-Za-z]{2,} [A-Za-z]{2,} [A-Za-z]{2,}(?![\w./-])")


def english_in(text: str) -> list[str]:
    """Three English words in a row that are no quotation, command, option, id, path or name of a value."""
    return [m.group() for line in text.splitlines() for m in _ENGLISH.finditer(_NAMES.sub("，", line))]
