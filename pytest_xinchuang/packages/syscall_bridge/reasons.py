"""Why something could not be read, for people."""

from __future__ import annotations

from pytest_xinchuang.messages import Message, _, told


def reason_of(error: BaseException) -> Message:
    """The reason that an exception gives: a message of ours, a common fault of the input, else the library's own words."""
    if error.args and isinstance(error.args[0], Message):
        return error.args[0]
    match error:
        case SyntaxError():
            return _("invalid syntax")
        case ZeroDivisionError():
            return _("division by zero")
    return told(error)
