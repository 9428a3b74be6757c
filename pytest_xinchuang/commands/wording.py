"""How the command line speaks: what argparse says in both languages, and lines that are broken where Chinese may be."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator

from pytest_xinchuang.messages import Message, _, verbatim

_TYPES: dict[str, Callable[[], Message]] = {"int": lambda: _("a whole number"), "float": lambda: _("a number")}

# argparse hands over finished sentences; these are all that it can say to parsers like ours.
_PROBLEMS: tuple[tuple[re.Pattern[str], Callable[[dict[str, str]], Message]], ...] = tuple(
    (re.compile(pattern, re.DOTALL), message)
    for pattern, message in (
        (
            r"the following arguments are required: (?P<names>.+)",
            lambda m: _("{names} must be given", names=verbatim(m["names"])),
        ),
        (
            r"one of the arguments (?P<names>.+) is required",
            lambda m: _("one of these must be given: {names}", names=verbatim(m["names"])),
        ),
        (
            r"unrecognized arguments: (?P<words>.+)",
            lambda m: _("unrecognized arguments: {words}", words=verbatim(m["words"])),
        ),
        (
            r"ambiguous option: (?P<option>.+) could match (?P<known>.+)",
            lambda m: _("{option} may mean {known}", option=verbatim(m["option"]), known=verbatim(m["known"])),
        ),
        (
            r"argument (?P<name>.+?): (?P<problem>.+)",
            lambda m: _("{name}: {problem}", name=verbatim(m["name"]), problem=translated(m["problem"])),
        ),
        (r"expected one argument", lambda _m: _("a value must be given")),
        (r"expected at least one argument", lambda _m: _("at least one value must be given")),
        (r"expected at most one argument", lambda _m: _("at most one value can be given")),
        (r"expected (?P<n>\d+) arguments?", lambda m: _("{n} values must be given", n=int(m["n"]))),
        (
            r"ignored explicit argument (?P<value>.+)",
            lambda m: _("it takes no value, and {value} was given", value=verbatim(m["value"])),
        ),
        (
            r"not allowed with argument (?P<other>.+)",
            lambda m: _("it cannot be given together with {other}", other=verbatim(m["other"])),
        ),
        (
            r"invalid (?P<type>int|float) value: (?P<value>.+)",
            lambda m: _("{value} is not {type}", value=verbatim(m["value"]), type=_TYPES[m["type"]]()),
        ),
    )
)


def translated(problem: str) -> Message:
    """What argparse says is wrong, as a message; what it has never said so far stays as it is."""
    for pattern, message in _PROBLEMS:
        if found := pattern.fullmatch(problem):
            return message(found.groupdict())
    return verbatim(problem)


def columns(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


_NOT_FIRST = "，。；：、！？）》」』”’％"
_NOT_LAST = "（《「『“‘"


def _pieces(text: str) -> Iterator[str]:
    """What a line cannot be broken within: a word, or a Chinese character with the punctuation that clings to it."""
    piece = ""
    for c in text:
        wide = unicodedata.east_asian_width(c) in "WF"
        apart = c == " " or piece[-1:] == " " or wide or (piece and unicodedata.east_asian_width(piece[-1]) in "WF")
        if piece and apart and c not in _NOT_FIRST and piece[-1] not in _NOT_LAST and (c != " " or piece[-1] == " "):
            yield piece
            piece = ""
        piece += c
    if piece:
        yield piece


def wrapped(text: str, width: int) -> list[str]:
    """The lines of a text, each at most ``width`` columns wide unless one word alone is wider."""
    lines = [""]
    for piece in _pieces(" ".join(text.split())):
        if lines[-1] and columns(lines[-1]) + columns(piece.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("")
        lines[-1] += piece if lines[-1] else piece.lstrip()
    return [line.rstrip() for line in lines if line.strip()]
