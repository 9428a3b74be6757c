"""The translations: compiled gettext catalogues of our rooms and of third parties, and the choice of a language."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import gettext

LANGUAGES = ("en", "zh")
"""The languages that reports are written in; messages are written in the first one."""

_PACKAGE = Path(__file__).resolve().parent.parent
_foreign: list[Path] = []


def add_catalogue(directory: Path) -> None:
    """Take in a third party's translations: ``directory`` holds ``zh.mo``. Ours are found first."""
    if directory not in _foreign:
        _foreign.append(directory)
        _catalogues.cache_clear()


@functools.cache
def _catalogues(language: str) -> tuple[gettext.GNUTranslations, ...]:
    import gettext  # English needs none of it

    places = [*sorted(_PACKAGE.glob("**/locale")), *_foreign]
    files = [place / f"{language}.mo" for place in places]
    found = []
    for path in files:
        if path.is_file():
            with path.open("rb") as file:
                found.append(gettext.GNUTranslations(file))
    return tuple(found)


def translate(language: str, singular: str, plural: str = "", n: int = 1) -> str:
    """The template in a language; English where nobody has translated it."""
    if language != LANGUAGES[0]:
        for catalogue in _catalogues(language):
            if plural:
                text = catalogue.ngettext(singular, plural, n)
                if text not in (singular, plural):
                    return text
            elif (text := catalogue.gettext(singular)) != singular:
                return text
    return plural if plural and n != 1 else singular


def choose_language(wanted: str | None = None, environment: Mapping[str, str] | None = None) -> str:
    """The language of what users read: what they asked for, else the locale's, else English.

    Args:
        wanted: ``en``, ``zh`` or a locale's name such as ``zh_CN``; an unknown one counts as not given.
    """
    told = os.environ if environment is None else environment
    locale = next((told[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if told.get(name)), "")
    if not locale and environment is None and sys.platform == "win32":
        locale = _of_windows()
    for text in (wanted or "", locale):
        language = text.lower().replace("-", "_").partition("_")[0].partition(".")[0]
        if language in LANGUAGES:
            return language
    return LANGUAGES[0]


def _of_windows() -> str:
    """The language of Windows' own texts as a locale's name; "" where it is not told."""
    import ctypes
    from locale import windows_locale

    try:
        # winnls.h; the number is a language and a country, [MS-LCID].
        return windows_locale.get(getattr(ctypes, "windll").kernel32.GetUserDefaultUILanguage(), "")  # noqa: B009
    except (AttributeError, OSError):
        return ""


def displayed(language: str, stream: object = None) -> str:
    """The language that a stream (default: the terminal's output) can show: English where its encoding has no Chinese."""
    return language if can_show("信创平台。", stream) else LANGUAGES[0]


def can_show(text: str, stream: object = None) -> bool:
    """Whether a stream's encoding has every character of a text. One without an encoding (in memory) has."""
    # pytest and others may have put something else in the place of sys.stdout.
    encoding = getattr(sys.__stdout__ if stream is None else stream, "encoding", None)
    try:
        text.encode(encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
