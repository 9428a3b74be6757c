"""Licences: expressions of SPDX against those that whoever checks allows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from pydantic import Field

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.yamlfile import YamlFile

_WORD = re.compile(r"\(|\)|[^\s()]+")


class Licences(FrozenData):
    """``xc-licences/1``: the licences that are allowed, by their SPDX identifiers; with an exception as ``X WITH Y``."""

    format: Literal["xc-licences/1"] = Field(alias="schema")
    allowed: tuple[str, ...]

    def allows(self, text: str) -> bool | None:
        """Whether an expression can be kept by allowed licences alone; None: it is no SPDX expression."""
        plain = expression(text)
        if plain is None:
            return None
        mine = {a.lower() for a in self.allowed}
        value, rest = _either(_WORD.findall(plain), mine)
        return value if not rest else None


def load_licences(path: Path) -> Licences:
    """
    Raises:
        DataFileError: it is malformed.
    """
    return YamlFile(path).parse(Licences)


def expression(text: str) -> str | None:
    """An expression in SPDX's own letters; None: it is none. Cargo once wrote ``MIT/Apache-2.0`` for OR."""
    try:
        return str(canonicalize_license_expression(text.replace("/", " OR ")))
    except (InvalidLicenseExpression, RecursionError):
        return None


def _either(words: Sequence[str], allowed: set[str]) -> tuple[bool, Sequence[str]]:
    value, words = _both(words, allowed)
    while words and words[0] == "OR":
        more, words = _both(words[1:], allowed)
        value = value or more
    return value, words


def _both(words: Sequence[str], allowed: set[str]) -> tuple[bool, Sequence[str]]:
    value, words = _one(words, allowed)
    while words and words[0] == "AND":
        more, words = _one(words[1:], allowed)
        value = value and more
    return value, words


def _one(words: Sequence[str], allowed: set[str]) -> tuple[bool, Sequence[str]]:
    if words and words[0] == "(":
        value, words = _either(words[1:], allowed)
        return value, words[1:]
    name, words = words[0], words[1:]
    if words and words[0] == "WITH":
        return f"{name} WITH {words[1]}".lower() in allowed, words[2:]
    return name.lower() in allowed, words
