"""Text in the columns of a terminal, where a Chinese character is as wide as two letters."""

from __future__ import annotations

import unicodedata


def width_of(text: str) -> int:
    """How many columns a terminal takes for ``text``."""
    return sum(_columns(character) for character in text)


def padded(text: str, width: int) -> str:
    """``text`` with spaces after it up to ``width`` columns; a longer one as it is."""
    return text + " " * (width - width_of(text))


def shortened(text: str, width: int) -> str:
    """``text`` on one line of at most ``width`` columns; what is left out shows as ``...``."""
    text = " ".join(text.split())
    if width_of(text) <= width:
        return text
    kept, room = [], width - 3
    for character in text:
        room -= _columns(character)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + "..."


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
