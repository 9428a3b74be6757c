"""What the go command says of a build: `go build -json` (`go help buildjson`, since Go 1.24)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

_PLACED = re.compile(r"(?P<file>[^\s:][^:\n]*\.\w+):(?P<line>\d+)(?::(?P<column>\d+))?: (?P<text>.*)")
_CODE = re.compile(r"^(?P<text>.*) \[go\.dev/e/(?P<code>\w+)\]$")
"""What the compiler adds to an error with -errorurl: the name of its kind (internal/types/errors)."""
_SEVERITY = re.compile(r"(?:fatal )?error: (?P<text>.*)")
"""A C compiler's."""
NO_BODY = re.compile(r"missing function body")
"""What the compiler says of a declaration whose package has nothing in assembler for this architecture (cmd/compile, noder)."""
_OUTSIDE = re.compile(r"/link: running \S+ failed: ")
"""What cmd/link says where another linker has failed, whose words follow (ld/lib.go, hostlink)."""
_LINKER = re.compile(r"^(?:[\w./-]*ld[\w.-]*: )?(?:fatal )?error: (.*)$", re.M)
_WARNING = re.compile(r"(?:warning|note): ")


@dataclass(frozen=True)
class GoProblem:
    """One error of a build.

    Attributes:
        file: as the tool names it, relative to where the go command ran or to the package's directory; "": no place.
        code: the kind of a type error, e.g. "UndeclaredName"; "" where the tool does not tell one.
        of_c: it is a C compiler's.
        linked: it is a linker's, called for a package with cgo.
        included: for an error in a C header, the place of the source's ``#include``.
    """

    text: str
    file: str = ""
    line: int = 0
    column: int = 0
    code: str = ""
    of_c: bool = False
    linked: bool = False
    included: tuple[str, int] = ("", 0)


@dataclass(frozen=True)
class Built:
    """How a build went.

    Attributes:
        failed: import path of a package that does not build by itself -> what was said of it.
    """

    failed: dict[str, str]


def built_of(text: str) -> Built:
    """The build that `go build -json` told of; lines that are none of its are left out."""
    said: dict[str, list[str]] = {}
    failed: dict[str, str] = {}
    for line in text.splitlines():
        try:
            event = json.loads(line)
            path, action = str(event["ImportPath"]), event["Action"]
        except (ValueError, KeyError, TypeError):
            continue
        if action == "build-output":
            said.setdefault(path, []).append(str(event.get("Output", "")))
        elif action == "build-fail":
            failed[path] = "".join(said.get(path, ()))
    return Built(failed)


def problems_in(printed: str) -> list[GoProblem]:
    """The errors in what a compiler, an assembler or a linker printed of one package, in their order.

    What has no place is one where nothing has a place: its first line that is no heading.
    """
    placed = list(_placed(printed.splitlines()))
    if placed:
        return placed
    if _OUTSIDE.search(printed) and (said := _LINKER.findall(printed)):
        return [GoProblem(text, linked=True) for text in said]
    plain = [line.strip() for line in printed.splitlines() if line.strip() and not line.startswith("#")]
    return [GoProblem(line) for line in plain[:1]]


def _placed(lines: Iterable[str]) -> Iterable[GoProblem]:
    included: tuple[str, int] = ("", 0)
    for line in lines:
        if came := re.match(r"In file included from (.+):(\d+)[:,]", line):
            included = included if included[0] else (came[1], int(came[2]))
            continue
        match = _PLACED.fullmatch(line)
        if match is None or _WARNING.match(match["text"]):
            continue
        text, severity = match["text"], _SEVERITY.fullmatch(match["text"])
        coded = _CODE.fullmatch(text)
        yield GoProblem(
            text=coded["text"] if coded else severity["text"] if severity else text,
            file=match["file"],
            line=int(match["line"]),
            column=int(match["column"] or 0),
            code=coded["code"] if coded else "",
            of_c=severity is not None,
            included=included if severity else ("", 0),
        )
        included = ("", 0)
