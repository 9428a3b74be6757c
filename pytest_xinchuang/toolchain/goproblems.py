"""What our reader of Go tells of sources that it cannot read: codes with parameters, in both languages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from pytest_xinchuang.messages import Message, _, verbatim


class GoProblemCode(StrEnum):
    """The codes of ``goapi/problems.go``."""

    UNREADABLE = "unreadable"
    IRREGULAR_FILE = "irregular-file"
    BINARY_FILE = "binary-file"
    LARGE_FILE = "large-file"
    OTHER_PACKAGE = "other-package"
    SYNTAX_ERROR = "syntax-error"
    MORE_SYNTAX_ERRORS = "more-syntax-errors"
    TYPE_ERROR = "type-error"
    NEWER_GO = "newer-go"
    IMPORT_CYCLE = "import-cycle"
    MODULE_NOT_HERE = "module-not-here"
    MODULE_NOT_REQUIRED = "module-not-required"
    UNUSABLE_DIRECTORY = "unusable-directory"
    UNNAMED_MODULE = "unnamed-module"
    NO_MODULE_DIRECTIVE = "no-module-directive"
    NO_GO_MOD = "no-go-mod"
    PATH_TAKEN = "path-taken"
    NO_TARGET = "no-target"
    FAILED = "failed"


_TEXTS: Mapping[str, Callable[..., Message]] = {
    GoProblemCode.UNREADABLE: lambda **p: _("cannot be read: {why}", **p),
    GoProblemCode.IRREGULAR_FILE: lambda **p: _("is not a regular file and is left out", **p),
    GoProblemCode.BINARY_FILE: lambda **p: _("is a binary file (it has a NUL byte) and is left out", **p),
    GoProblemCode.LARGE_FILE: lambda **p: _("has {mib} MiB of declarations, more than the {most} that are read", **p),
    GoProblemCode.OTHER_PACKAGE: lambda **p: _(
        "is of package {package}, while the others are of {others}; it is left out", **p
    ),
    GoProblemCode.SYNTAX_ERROR: lambda **p: _("syntax error: {why}", **p),
    GoProblemCode.MORE_SYNTAX_ERRORS: lambda **p: _("and {n} more syntax errors", **p),
    GoProblemCode.NEWER_GO: lambda **p: _("declares go {go}, newer than the Go that reads it ({have})", **p),
    GoProblemCode.IMPORT_CYCLE: lambda **p: _("import cycle: {importer} imports {path}, which imports it again", **p),
    GoProblemCode.MODULE_NOT_HERE: lambda **p: _(
        "imports {path}: module {module} is not in the module cache; an opaque stub stands for it", **p
    ),
    GoProblemCode.MODULE_NOT_REQUIRED: lambda **p: _(
        "imports {path}: no required module provides it; an opaque stub stands for it", **p
    ),
    GoProblemCode.UNUSABLE_DIRECTORY: lambda **p: _("use {directory}: {why}", **p),
    GoProblemCode.UNNAMED_MODULE: lambda **p: _("use {directory}: its go.mod has no module directive", **p),
    GoProblemCode.NO_MODULE_DIRECTIVE: lambda **p: _("there is no module directive", **p),
    GoProblemCode.NO_GO_MOD: lambda **p: _("there is none; the module's path is taken to be {path}", **p),
    GoProblemCode.PATH_TAKEN: lambda **p: _("the module's path is not known and is taken to be {path}", **p),
    GoProblemCode.NO_TARGET: lambda **p: _("{target} is not a target: GOOS/GOARCH is expected", **p),
}
"""What each code says; of the others the message is Go's own, which is the same in every language."""


def problem_told(code: str, params: Mapping[str, str], message: str) -> Message:
    """A problem in words.

    Args:
        message: its English, for a code that is not known here.
    """
    text = _TEXTS.get(code)
    return text(**params) if text else verbatim(message)


def failure_told(errors: str) -> Message | None:
    """Why the reader gave up, by what it printed; None when it did not say, because it broke."""
    try:
        said: Any = json.loads(errors)
        return problem_told(said["code"], said.get("params") or {}, said["message"])
    except (ValueError, TypeError, KeyError):
        return None
