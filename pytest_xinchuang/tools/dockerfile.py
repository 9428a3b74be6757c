"""Dockerfiles as they are written (Dockerfile reference: Format, Parser directives, Here-documents, FROM, ARG)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

NAMES = ("Dockerfile", "Dockerfile.*", "*.Dockerfile", "*.dockerfile", "Containerfile", "Containerfile.*")
"""Patterns of their file names."""
SCRATCH = "scratch"
"""The base that is nothing."""

_ESCAPE = re.compile(r"#\s*escape\s*=\s*([\\`])\s*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*\w+\s*=.*")
_HEREDOC = re.compile(r"<<(-?)([\"']?)(\w+)\2")
_WITH_HEREDOCS = ("RUN", "COPY", "ADD")
_VARIABLE = re.compile(r"\$\{(\w+)(?::?[-+][^}]*)?\}|\$(\w+)")
_DEFAULT = re.compile(r"\$\{(\w+):?-([^}]*)\}")


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile; ``line`` is its first."""

    name: str
    words: str
    line: int


@dataclass(frozen=True)
class Base:
    """An image that a stage is built on.

    Attributes:
        image: with the defaults of the arguments that it names; what has none stays ``$NAME``.
        platform: of ``--platform``, "" without one.
    """

    image: str
    platform: str
    line: int


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions, continued lines put together, without comments and the texts of here-documents."""
    pending, first, escape = "", 0, "\\"
    directives = True
    closing: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if closing:
            if line.strip("\t") == closing[0] or line == closing[0]:
                closing.pop(0)
            continue
        if line.lstrip().startswith("#"):
            if directives and (found := _ESCAPE.fullmatch(line.strip())):
                escape = found[1]
            directives = directives and _DIRECTIVE.fullmatch(line.strip()) is not None
            continue
        directives = False
        if not line.strip():
            continue
        if not pending:
            first = number
        continued = line.rstrip().endswith(escape)
        pending += line.rstrip().removesuffix(escape) + " "
        if not continued:
            name, _space, words = pending.strip().partition(" ")
            yield Instruction(name.upper(), words.strip(), first)
            if name.upper() in _WITH_HEREDOCS:
                closing = [word for _dash, _quote, word in _HEREDOC.findall(words)]
            pending = ""
    if pending.strip():
        name, _space, words = pending.strip().partition(" ")
        yield Instruction(name.upper(), words.strip(), first)


def filled(text: str, values: dict[str, str]) -> str:
    """``text`` with the values of the variables that have one."""
    text = _DEFAULT.sub(lambda m: values.get(m[1]) or m[2], text)
    return _VARIABLE.sub(lambda m: values.get(m[1] or m[2], m[0]), text)


def assignments(words: str) -> list[tuple[str, str]]:
    """Name and value of each ``NAME=VALUE`` of ARG or ENV."""
    return [(n, v.strip("\"'")) for n, v in re.findall(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S*)", words)]


def bases(text: str) -> Iterator[Base]:
    """The images that the stages are built on; a stage that is built on another stage has none, nor has ``scratch``."""
    values: dict[str, str] = {}
    stages: set[str] = set()
    begun = False
    for one in instructions(text):
        if one.name == "ARG" and not begun:
            # FROM takes the arguments that stand before the first one, and no others.
            values |= {name: filled(value, values) for name, value in assignments(one.words)}
        elif one.name == "FROM":
            begun = True
            parts = filled(one.words, values).split()
            rest = [word for word in parts if not word.startswith("--")]
            if not rest:
                continue
            platform = next((w.partition("=")[2] for w in parts if w.startswith("--platform=")), "")
            if rest[0].lower() not in {*stages, SCRATCH}:
                yield Base(rest[0], platform, one.line)
            if len(rest) >= 3 and rest[1].lower() == "as":
                stages.add(rest[2].lower())
