"""Expectations of probes: numbers, names of errors, signals and codes, and expressions over what was seen before."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.linux import ERRORS, LinuxSignal
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.syscall_bridge.reasons import reason_of

CODES = {
    # asm-generic/siginfo.h
    "SI_USER": 0,
    "SI_QUEUE": -1,
    "SI_TKILL": -6,
    "SEGV_MAPERR": 1,
    "SEGV_ACCERR": 2,
    "BUS_ADRERR": 2,
    "CLD_EXITED": 1,
    "CLD_KILLED": 2,
}

ERRNO = {**ERRORS, "EOPNOTSUPP": ERRORS["ENOTSUP"]}
"""Errors by name, as asm-generic/errno.h has them: the same on every architecture that is graded here."""

_NAMES: Mapping[str, int] = {**{s.name: int(s) for s in LinuxSignal}, **CODES, **ERRNO}

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def evaluate(text: str, names: Mapping[str, int]) -> int | str:
    """The value of an expression: numbers, ``names``, the names above, + - * // % **, parentheses and str().

    Raises:
        DataFileError: the text is no such expression.
    """
    try:
        return _value(ast.parse(text.strip(), mode="eval").body, names)
    except (SyntaxError, KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise DataFileError(
            _(
                "{text} is not an expression that a probe may have: {why}",
                text=verbatim(repr(text)),
                why=reason_of(error),
            )
        ) from error


def _value(node: ast.expr, names: Mapping[str, int]) -> int | str:
    match node:
        case ast.Constant(value=int() as value):
            return value
        case ast.Name(id=name):
            return names[name] if name in names else _NAMES[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -int(_value(operand, names))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            a, b = int(_value(left, names)), int(_value(right, names))
            if isinstance(op, ast.Pow) and not 0 <= b <= 64:
                raise ValueError(_("a power has to be between 0 and 64"))
            return int(_BINARY[type(op)](a, b))
        case ast.Call(func=ast.Name(id="str"), args=[one], keywords=[]):
            return str(_value(one, names))
    raise ValueError(_("{code} is not allowed", code=verbatim(ast.unparse(node))))


def agrees(expected: int | str, found: object, names: Mapping[str, int]) -> bool:
    """Whether a value is what is expected: a number, an expression, a comparison (``>= t + 5``), or the text itself."""
    if isinstance(expected, int):
        return found == expected
    if isinstance(found, str):
        return found == expected
    if not isinstance(found, int):
        return False
    for sign, compare in ((">=", operator.ge), ("<=", operator.le), (">", operator.gt), ("<", operator.lt)):
        if expected.startswith(sign):
            return bool(compare(found, int(evaluate(expected[len(sign) :], names))))
    return found == evaluate(expected, names)


def is_error(expected: object) -> bool:
    """Whether the expectation is the name of an error."""
    return isinstance(expected, str) and expected in ERRNO
