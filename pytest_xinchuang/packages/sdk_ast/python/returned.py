"""What functions return, by their annotations: which types callers may now meet that they did not before."""

from __future__ import annotations

import ast

PLAIN = {"int", "str", "bytes", "float", "bool", "list", "tuple", "dict", "set", "frozenset", "None", "complex"}
_WITHIN = {"bool": {"int", "float", "complex"}, "int": {"float", "complex"}, "float": {"complex"}}
"""A type -> those that it may stand for (PEP 484, "The numeric tower"; bool is an int)."""
_NAMES = {
    "List": "list",
    "Dict": "dict",
    "Tuple": "tuple",
    "Set": "set",
    "FrozenSet": "frozenset",
    "Text": "str",
    "NoneType": "None",
}


def types(annotation: str) -> frozenset[str] | None:
    """The alternatives of an annotation, without arguments; None: any type, or it cannot be read."""
    try:
        node = ast.parse(annotation.strip("'\""), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return _alternatives(node)


def _alternatives(node: ast.expr) -> frozenset[str] | None:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        left, right = _alternatives(node.left), _alternatives(node.right)
        return None if left is None or right is None else left | right
    if isinstance(node, ast.Constant):
        return frozenset({"None"}) if node.value is None else types(node.value) if isinstance(node.value, str) else None
    if isinstance(node, ast.Subscript):
        head = ast.unparse(node.value).rpartition(".")[2]
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if head in ("Optional", "Union"):
            found: frozenset[str] = frozenset({"None"} if head == "Optional" else ())
            for one in inner:
                part = _alternatives(one)
                if part is None:
                    return None
                found |= part
            return found
        if head == "Annotated":
            return _alternatives(inner[0])
        if head == "Literal":
            return frozenset(
                type(e.value).__name__ if e.value is not None else "None" for e in inner if isinstance(e, ast.Constant)
            )
        return frozenset({_NAMES.get(head, head)})
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = ast.unparse(node).rpartition(".")[2]
        return None if name in ("Any", "object", "Self") or len(name) == 1 else frozenset({_NAMES.get(name, name)})
    return None


def return_rule(before: str, after: str) -> str:
    """The rule of a changed return type; empty: callers meet nothing new, or nothing is known."""
    if not before or not after or before == after:
        return ""
    old, new = types(before), types(after)
    if old is None or new is None:
        return ""
    fresh = {t for t in new - old if not _WITHIN.get(t, set()) & old}
    if not fresh:
        return ""
    return "PY-RETURN-CHANGED" if old | new <= PLAIN and not old & new else "PY-RETURN-WIDENED"
