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


def wrapped(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` columns, broken between words; a word that is longer stands alone and whole.

    So a command can be copied. Chinese has no spaces: it is broken before any of its characters that is no punctuation.
    """
    lines: list[str] = []
    line = ""
    for word in _words(" ".join(text.split())):
        if line and width_of(line + word.rstrip()) > width:
            lines.append(line.rstrip())
            line = word.lstrip()
        else:
            line += word
    return [*lines, line.rstrip()] if line.strip() else lines


def _words(text: str) -> list[str]:
    """What may stand at the end of a line, with the space or punctuation behind it."""
    found: list[str] = []
    quoted = False
    for character in text:
        wide = _columns(character) == 2 and unicodedata.category(character)[0] == "L"
        if found and (
            quoted or not (wide or found[-1].endswith(" ") or (_is_wide_word(found[-1]) and character.isalnum()))
        ):
            found[-1] += character
        else:
            found.append(character)
        quoted ^= character == "`"
    return found


def _is_wide_word(word: str) -> bool:
    return _columns(word[-1]) == 2


def _columns(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
