"""Why something could not be read, for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.messages.system import system_error

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def reason_of_value(problem: ErrorDetails) -> Message:
    """The reason that pydantic gives for a value that it refuses."""
    match problem["type"]:
        case "missing":
            return _("it is missing")
        case "json_invalid":
            return _("not JSON")
        case "string_pattern_mismatch":
            return _("it does not match {pattern}", pattern=verbatim(repr(problem["ctx"]["pattern"])))
        case "string_type":
            return _("it is not a text")
        case "int_type" | "int_parsing" | "int_from_float":
            return _("it is not a whole number")
        case "dict_type" | "model_type":
            return _("it is not a mapping")
        case "extra_forbidden":
            return _("no such key here")
    return verbatim(problem["msg"])


def reason_of(error: BaseException) -> Message:
    """The reason that an exception gives: a message of ours, a common fault of the input, else the library's own words."""
    if error.args and isinstance(error.args[0], Message):
        return error.args[0]
    match error:
        case json.JSONDecodeError(lineno=line, colno=column):
            return _("not JSON at line {line}, column {column}", line=line, column=column)
        case UnicodeDecodeError(start=start):
            return _("not UTF-8 at byte {start}", start=start)
        case KeyError(args=(name, *_rest)):
            return _("there is no {name}", name=verbatim(str(name)))
        case RecursionError():
            return _("nested too deeply")
        case SyntaxError():
            return _("invalid syntax")
        case ZeroDivisionError():
            return _("division by zero")
        case OSError():
            return system_error(error)
    return told(error)
