"""Why something could not be read, for people."""

from __future__ import annotations

import json

from pytest_xinchuang.messages import Message, _, system_error, told, verbatim


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
        case OSError(strerror=str()):
            return system_error(error)
    return told(error)
