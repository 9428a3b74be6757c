"""Whether what one CHECK allows another one allows too, for the forms that are compared: bounds, lists and their AND."""

from __future__ import annotations

from typing import Any

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.packages.sdk_ast.sql.dialects import DIALECTS
from pytest_xinchuang.packages.sdk_ast.sql.statements import parse

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}

Atom = tuple[str, str, Any]
"""What is compared, as text; ``<``, ``<=``, ``>``, ``>=``, ``=``, ``<>``, ``in`` or ``is`` (anything else); with what."""


def atoms(text: str, dialect: str) -> list[Atom]:
    """The conditions that a CHECK asks for, all of them.

    Raises:
        MissingDependency: there is no sqlglot.
    """
    with optional("sdk_ast"):
        from sqlglot import exp

    tree, _why = parse(f"SELECT {text}", DIALECTS[dialect])
    if tree is None or len(tree.expressions) != 1:
        return [(text, "is", True)]
    signs = {exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=", exp.EQ: "=", exp.NEQ: "<>"}

    def told(node: Any) -> list[Atom]:
        while isinstance(node, exp.Paren):
            node = node.this
        if isinstance(node, exp.And):
            return told(node.left) + told(node.right)
        if isinstance(node, exp.Between):
            what = node.this.sql()
            low, high = value(node.args["low"]), value(node.args["high"])
            if low is not None and high is not None:
                return [(what, ">=", low), (what, "<=", high)]
        if isinstance(node, exp.In) and node.expressions:
            values = [value(one) for one in node.expressions]
            if None not in values:
                return [(node.this.sql(), "in", frozenset(values))]
        if isinstance(node, exp.EQ) and isinstance(node.expression, exp.Any):
            listed = list(node.expression.find_all(exp.Literal))
            if listed and node.expression.find(exp.Array):
                return [(_bare(node.this, exp), "in", frozenset(value(one) for one in listed))]
        for kind, sign in signs.items():
            if type(node) is kind:
                left, right = value(node.left), value(node.right)
                if right is not None and left is None:
                    return [(_bare(node.left, exp), sign, right)]
                if left is not None and right is None:
                    return [(_bare(node.right, exp), _FLIPPED[sign], left)]
        return [(node.sql(), "is", True)]

    def value(node: Any) -> Any:
        while isinstance(node, exp.Paren | exp.Cast):
            node = node.this
        sign = 1
        if isinstance(node, exp.Neg):
            sign, node = -1, node.this
        if not isinstance(node, exp.Literal):
            return None
        if node.is_string:
            return node.name if sign == 1 else None
        try:
            return sign * float(node.name)
        except ValueError:
            return None

    return told(tree.expressions[0])


def _bare(node: Any, exp: Any) -> str:
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return str(node.sql())


def implied(wanted: Atom, known: list[Atom]) -> bool | None:
    """Whether what is asked for already holds. None: the forms are not ones that are compared."""
    if wanted in known:
        return True
    what, sign, value = wanted
    same = [one for one in known if one[0] == what and one[1] != "is"]
    if sign == "is":
        return None
    return any(_follows(one, sign, value) for one in same)


def _follows(one: Atom, sign: str, value: Any) -> bool:
    _what, mine, has = one
    if mine in ("in", "="):
        return all(_holds(each, sign, value) for each in (has if mine == "in" else [has]))
    if sign == "in" or type(has) is not type(value):
        return False
    if isinstance(value, str):
        return False
    if sign in ("<", "<="):
        return mine in ("<", "<=") and (has < value or (has == value and (sign == "<=" or mine == "<")))
    if sign in (">", ">="):
        return mine in (">", ">=") and (has > value or (has == value and (sign == ">=" or mine == ">")))
    if sign == "<>":
        return (
            (mine == "<" and has <= value)
            or (mine == ">" and has >= value)
            or ((mine == "<=" and has < value) or (mine == ">=" and has > value))
        )
    return False


def _holds(each: Any, sign: str, value: Any) -> bool:
    if sign == "in":
        return each in value
    if sign in ("=", "<>"):
        return bool(each == value) is (sign == "=")
    if type(each) is not type(value) or isinstance(each, str):
        return False  # which text comes first is up to the collation
    return bool({"<": each < value, "<=": each <= value, ">": each > value, ">=": each >= value}[sign])
