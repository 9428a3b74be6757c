"""Finds where code looks into a text that is for people, or into what a subject has written, to decide something.

A text is whatever an attribute of these names holds, what ``describe()`` and the like return, an exception as a string, and
every variable that one of these was assigned to. To look is to compare it, to search it, or to ask how it begins and ends.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TEXTS = {"what", "reason", "mend", "detail", "undecided", "lacking", "said", "stderr", "output", "telling", "errors"}
"""Attributes that hold texts."""
PARAMETERS = {"reason", "mend", "detail", "stderr", "output"}
"""Parameters that hold texts, whoever gives them."""
KEYS = {"message", "reason", "mend", "detail", "stderr", "output"}
"""Keys of mappings that hold texts."""
SAYS = {"describe", "text", "render"}
SEARCHES = {"search", "match", "fullmatch", "findall", "finditer", "fnmatch", "fnmatchcase", "contains"}
ASKS = {"startswith", "endswith", "find", "rfind", "index", "count", "__contains__", "__eq__"}

_ERROR = re.compile(r"(?:Error|Exception|Fault)\b")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def looks_into_texts(source: str) -> list[tuple[str, str]]:
    """The function and the expression of each look into a text."""
    return list(_of(ast.parse(source), ""))


def in_files(root: Path, rooms: list[str]) -> set[tuple[str, str]]:
    """File and function of each look into a text in some rooms."""
    files = [p for room in rooms for p in sorted((root / room).rglob("*.py"))]
    return {(str(p.relative_to(root)), function) for p in files for function, _ in looks_into_texts(p.read_text())}


def _of(node: ast.AST, place: str) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _of(child, f"{place}{child.name}.")
        elif isinstance(child, Function):
            known = _texts_of(child)
            for inner in ast.walk(child):
                if _looks(inner, known):
                    yield f"{place}{child.name}", ast.unparse(inner)
        else:
            if _looks(child, set()):
                yield place.rstrip("."), ast.unparse(child)
            yield from _of(child, place)


def _texts_of(function: Function) -> set[str]:
    """Names that stand for texts in a function."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    known = {a.arg for a in arguments if a.arg in PARAMETERS}
    errors = {n.name for n in ast.walk(function) if isinstance(n, ast.ExceptHandler) and n.name}
    errors |= {
        a.arg for a in arguments if a.annotation is not None and _ERROR.search(ast.unparse(a.annotation))
    }  # an error that was handed on
    known |= {f"str {name}" for name in errors}
    while True:
        before = len(known)
        for node in ast.walk(function):
            for target, value in _assigned(node):
                if isinstance(target, ast.Name) and _is_text(value, known):
                    known.add(target.id)
        if len(known) == before:
            return known


def _assigned(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    match node:
        case ast.Assign(targets=targets, value=value):
            return [(target, value) for target in targets]
        case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
            return [(target, value)]
        case ast.AugAssign(target=target, value=value):
            return [(target, value)]
        case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
            return [(target, value)]
    return []


def _is_text(node: ast.expr, known: set[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in known
        case ast.Attribute(value=ast.Name(id=name), attr="args"):
            return f"str {name}" in known
        case ast.Attribute(attr=name):
            return name in TEXTS
        case ast.Subscript(slice=ast.Constant(value=str() as key)) if key in KEYS:
            return True
        case ast.Subscript(value=inner) | ast.Starred(value=inner):
            return _is_text(inner, known)
        case ast.BinOp(left=one, right=other) | ast.IfExp(body=one, orelse=other):
            return _is_text(one, known) or _is_text(other, known)
        case ast.BoolOp(values=values):
            return any(_is_text(v, known) for v in values)
        case ast.JoinedStr(values=values):
            return any(isinstance(v, ast.FormattedValue) and _is_text(v.value, known) for v in values)
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[argument]):
            # An error is no text, and has attributes that may be asked; as a string it is one.
            return _is_text(argument, known) or (isinstance(argument, ast.Name) and f"str {argument.id}" in known)
        case ast.Call(func=ast.Attribute(attr="sub"), args=arguments) if any(_is_text(a, known) for a in arguments):
            return True
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=arguments):
            return (name in SAYS and not arguments) or _is_text(inner, known)
    return False


def _looks(node: ast.AST, known: set[str]) -> bool:
    match node:
        case ast.Compare(left=first, ops=ops, comparators=rest):
            for left, operator, right in zip([first, *rest], ops, rest, strict=False):
                if isinstance(operator, (ast.In, ast.NotIn)) and (_is_text(right, known) or _is_text(left, known)):
                    return True
                # Whether there is a text at all is no look into it.
                if isinstance(operator, (ast.Eq, ast.NotEq)) and not _is_empty(left) and not _is_empty(right):
                    return _is_text(left, known) or _is_text(right, known)
        case ast.Match(subject=asked):
            return _is_text(asked, known)
        case ast.Subscript(slice=key, ctx=ast.Load()):
            # A table of texts; a name may be a key of other things.
            return not isinstance(key, ast.Name) and _is_text(key, known)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return name in SEARCHES and any(_is_text(a, known) for a in arguments)
        case ast.Call(func=ast.Attribute(value=inner, attr=name), args=arguments):
            if name == "get" and arguments and _is_text(arguments[0], known):
                return True
            if name in ASKS and _is_text(inner, known):
                return True
            return name in SEARCHES and any(_is_text(a, known) for a in arguments)
    return False


def _is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in ("", b"")
