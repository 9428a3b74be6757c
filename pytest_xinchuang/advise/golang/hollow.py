"""Hollow twins: functions with a body on amd64, of which the target has a file that only panics or refuses.

What is read here is read alone: whether anything calls such a function on the target is not known, so that it is never certain.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_HEAD = re.compile(r"func (?:\((?:\w+ )?\*?(?P<receiver>\w+)[^)]*\) )?(?P<name>\w+)[\[(]")
_HOLLOW = re.compile(
    r"panic\(.*\)|return (?:[\w.{}\"]+, )*(?:errors\.New\(.*\)|fmt\.Errorf\(.*\)|(?:\w+\.)?[eE]rr[A-Z]\w*|syscall\.E\w+)"
)
"""The one statement of a function that does nothing: it panics, or returns an error that is always the same."""


@dataclass(frozen=True)
class Hollow:
    """A function that does nothing.

    Attributes:
        name: with its receiver's type in front: ``T.Name``.
        exported: others may call it.
    """

    name: str
    line: int
    exported: bool


def functions(source: str) -> Iterator[tuple[str, int, str]]:
    """(name, line, body) of the functions of a source that is formatted as gofmt does it."""
    lines = source.splitlines()
    for index, line in enumerate(lines):
        match = _HEAD.match(line)
        if match is None:
            continue
        name = f"{match['receiver']}.{match['name']}" if match["receiver"] else match["name"]
        if line.endswith("}"):  # on one line
            yield name, index + 1, line.partition("{ ")[2].removesuffix("}").strip()
        elif line.endswith("{"):
            end = next((n for n in range(index + 1, len(lines)) if lines[n] == "}"), len(lines))
            yield name, index + 1, "\n".join(part.strip() for part in lines[index + 1 : end])
        elif not line.endswith(("(", ",")):  # declared without a body: assembler has it
            yield name, index + 1, ""


def hollow(source: str, real: set[str]) -> list[Hollow]:
    """The functions of a source for the target that do nothing.

    Args:
        real: the functions that do something on amd64.
    """
    return [
        Hollow(name, line, exported=all(part[:1].isupper() for part in name.split(".")))
        for name, line, body in functions(source)
        if name in real and _HOLLOW.fullmatch(_without_comments(body))
    ]


def real_ones(source: str) -> set[str]:
    """The functions of a source for amd64 that do something: by their body, or in assembler."""
    return {name for name, _line, body in functions(source) if not _HOLLOW.fullmatch(_without_comments(body))}


def _without_comments(body: str) -> str:
    return "\n".join(line for line in body.splitlines() if line and not line.startswith("//"))
