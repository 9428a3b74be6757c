"""What readers of APIs tell of sources that they cannot read: codes with parameters, in the records of snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.toolchain import goproblems
from pytest_xinchuang.toolchain.goproblems import GoProblemCode

SYNTAX_ERROR, UNREADABLE = GoProblemCode.SYNTAX_ERROR, GoProblemCode.UNREADABLE
UNPARSED, MALFORMED_CLASS, DOES_NOT_BUILD = "unparsed", "malformed-class", "does-not-build"
"""Codes beyond those of the reader of Go: a syntax error that the parser does not describe; a class file that is none; a
package that its own build tool cannot build."""


def problem_told(code: str, params: Mapping[str, str], message: str) -> Message:
    """A problem in words; ``message`` is its English, for a code that is not known here."""
    if code == UNPARSED:
        return _("syntax error")
    if code == MALFORMED_CLASS:
        return _("{why}", **params)
    if code == DOES_NOT_BUILD:
        return _("it does not build: {why}", **params)
    return goproblems.problem_told(code, params, message)


def problem_record(file: str, line: int | None, code: str, **params: Message) -> dict[str, Any]:
    """A problem as snapshots hold it."""
    message = problem_told(code, params, "")
    return {
        "file": file,
        "line": line,
        "code": code,
        "params": {name: value.as_data() for name, value in params.items()},
        "message": str(message),
    }
