"""How each ecosystem orders versions, and ranges over them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from packaging.version import InvalidVersion, Version

from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.tools.gomod import ModuleVersion

Key = Callable[[str], Any]
"""A version as something that is ordered; raises ValueError where it is none."""

SIGNS = (">=", "<=", "!=", ">", "<", "=")


def semver(text: str) -> Any:
    """Semantic versioning 2.0.0, clause 11, with or without the leading v of Go.

    Raises:
        ValueError: it is none.
    """
    one = ModuleVersion("", "v" + text.removeprefix("v"))
    if not one.semantic:
        raise ValueError(text)
    return one.key


def pep440(text: str) -> Any:
    """Raises ValueError (PEP 440)."""
    try:
        return Version(text)
    except InvalidVersion as error:
        raise ValueError(text) from error


_QUALIFIERS = ("alpha", "beta", "milestone", "rc", "snapshot", "", "sp")
_ALIASES = {"ga": "", "final": "", "release": "", "cr": "rc"}
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}


def maven(text: str) -> Any:
    """Maven's order (Maven, POM reference, version order specification).

    Raises:
        ValueError: it is empty.
    """
    if not text:
        raise ValueError(text)
    tokens: list[tuple[str, str]] = []
    separator = "."
    for found in re.finditer(r"([0-9]+)|([^0-9.\-_]+)|([.\-_])", text.lower()):
        if found[3]:
            if separator and (not tokens or found.start() == 0):
                tokens.append((separator, "0"))
            separator = found[3]
            continue
        # Between digits and letters stands a hyphen.
        joint = separator or "-"
        word = found[0]
        if found[2]:
            following = text[found.end() : found.end() + 1]
            word = _SHORT.get(word, word) if following.isdigit() else word
            word = _ALIASES.get(word, word)
        tokens.append((joint, word))
        separator = ""
    trimmed: list[tuple[str, str]] = []
    for index, (joint, word) in enumerate(tokens):
        # Nothing is what a zero or a release says at the end, or before a hyphen.
        trailing = all(w in ("", "0") for _j, w in _until_hyphen(tokens[index:]))
        if word.lstrip("0") == "" and trailing and (trimmed or index):
            continue
        trimmed.append((joint, word))
    return (*tuple(_maven_token(joint, word) for joint, word in trimmed), _END)


def _until_hyphen(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    for index, (joint, word) in enumerate(tokens):
        if index and (joint == "-" or not word.isdigit()):
            return tokens[:index]
    return tokens


_END = (2, 5, "", ())


def _maven_token(joint: str, word: str) -> tuple[Any, ...]:
    if word.isdigit():
        number = word.lstrip("0")
        return (4 if joint == "." else 3, 0, "", (len(number), number))
    known = _QUALIFIERS.index(word) if word in _QUALIFIERS else len(_QUALIFIERS)
    return (2, known, word if known == len(_QUALIFIERS) else "", ())


def loose(text: str) -> Any:
    """Numbers and words by dots, as Conan and vcpkg have them; a pre-release goes before its release.

    Raises:
        ValueError: it has no number.
    """
    core, _plus, _build = text.removeprefix("v").partition("+")
    core, _hash, port = core.partition("#")
    main, _dash, pre = core.partition("-")
    if not re.search(r"[0-9]", main):
        raise ValueError(text)

    def parts(words: str) -> tuple[Any, ...]:
        return tuple(
            (1, int(w[:300]), "") if w.isascii() and w.isdigit() else (0, 0, w) for w in re.split(r"[.\-_]", words)
        )

    return (parts(main), not pre, parts(pre) if pre else (), int(port) if port.isdigit() else 0)


def comparison(part: str, key: Key) -> tuple[str, str]:
    """A comparison as ``>=1.2.0``: its sign and its version.

    Raises:
        ValueError: it is none.
    """
    sign = next((s for s in SIGNS if part.startswith(s)), "")
    version = part.removeprefix(sign).strip()
    try:
        key(version)
    except ValueError:
        raise ValueError(
            _("{part}: expected a comparison with a version, as in >=v1.2.0", part=verbatim(repr(part)))
        ) from None
    return sign or "=", version


def comparisons(text: str, key: Key) -> list[tuple[str, str]]:
    """Comparisons by commas.

    Raises:
        ValueError: one of them is none.
    """
    return [comparison(part, key) for part in filter(None, (p.strip() for p in text.split(",")))]


def within(version: str, text: str, key: Key) -> bool:
    """Whether a version keeps all comparisons of a text.

    Raises:
        ValueError: it is no version.
    """
    mine = key(version)
    for sign, other in comparisons(text, key):
        its = key(other)
        good = {
            ">=": mine >= its,
            "<=": mine <= its,
            ">": mine > its,
            "<": mine < its,
            "=": mine == its,
            "!=": mine != its,
        }[sign]
        if not good:
            return False
    return True
