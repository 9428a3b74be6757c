"""What clang prints of a unit, as diagnostics: where, how bad, and how it came there.

Its SARIF would be the better form; clang 22 breaks (SIGSEGV) where it has to say in it what is wrong in an assembler's
statement, and does not name the options behind warnings. So the text is read by its shape, which clang's manual gives
(Formatting of Diagnostics): ``FILE:LINE:COLUMN: SEVERITY: TEXT [OPTION]``, and ``In file included from FILE:LINE:`` before it.
No word of TEXT is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from pytest_xinchuang.advise.c.diagnostics import Diagnostic, Place

FORM = (
    "-fno-color-diagnostics",
    "-fno-caret-diagnostics",
    "-fno-diagnostics-fixit-info",
    "-fdiagnostics-show-option",
    "-fdiagnostics-absolute-paths",
    "-fdiagnostics-show-note-include-stack",
    "-fmacro-backtrace-limit=0",
    "-fmessage-length=0",
)
"""The flags that make clang write in this form."""

_INCLUDED = re.compile(r"In file included from (.+):(\d+):$")
_LINE = re.compile(r"(.+?):(\d+):(\d+): (fatal error|error|warning|note|remark): (.*)$")
_NOWHERE = re.compile(r"(?:[^\s:]+: )?(fatal error|error|warning): (.*)$")
_BYTE = re.compile(r"<([89A-F][0-9A-F])>")
_OPTION = re.compile(r"(.*) \[(?:-Werror,)?(-W[^\]\s,]+)[^\]\s]*\]$")


def diagnostics_in(text: str, source: str, named: Callable[[str], str]) -> tuple[Diagnostic, ...]:
    """The errors and warnings of one compilation.

    Args:
        source: the absolute path of the unit's own source.
        named: makes the name in the tree of an absolute path.
    """
    found: list[Diagnostic] = []
    above: list[Place] = []
    fresh: list[Place] = []
    for line in text.splitlines():
        if match := _INCLUDED.match(line):
            fresh.append(Place(named(match[1]), int(match[2])))
            continue
        if match := _LINE.match(line):
            # Clang does not repeat how it came to a file when it has just said so.
            above = fresh or ([] if match[1] == source else above)
            fresh = []
            place = Place(named(match[1]), int(match[2]), int(match[3]))
            if match[4] in ("note", "remark"):
                if found and match[4] == "note":
                    found[-1] = replace(found[-1], notes=(*found[-1].notes, place))
                continue
            found.append(_made(match[4], place, match[5], tuple(above)))
        elif match := _NOWHERE.match(line):
            fresh = []
            found.append(_made(match[1], Place(""), match[2], ()))
    return tuple(found)


def _made(severity: str, place: Place, text: str, included: tuple[Place, ...]) -> Diagnostic:
    option = ""
    if severity == "warning" and (match := _OPTION.match(text)):
        text, option = match[1], match[2]
    return Diagnostic(severity, place, _of_gbk(text), option, included)


def _of_gbk(text: str) -> str:
    """A text with what a source says in GB 18030: clang writes bytes that are no UTF-8 as ``<B2>`` (its TextDiagnostic.cpp)."""
    if not _BYTE.search(text):
        return text
    parts = _BYTE.split(text)  # what is UTF-8 by chance stands as letters between them
    whole = b"".join(bytes.fromhex(part) if n % 2 else part.encode() for n, part in enumerate(parts))
    try:
        return whole.decode("gb18030")
    except UnicodeDecodeError:
        return text
