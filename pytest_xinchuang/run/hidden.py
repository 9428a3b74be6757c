"""Marked tests that stand in a file which was collected, and are no tests of the run all the same."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from typing import Any

import pytest

from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.run.unread import MARKER

Found = tuple[str, set[str], Message]
"""Where a test stands in its file, the ids that it would decide, and why it does not."""


def tested_by(item: pytest.Item) -> set[object]:
    """What a test was collected from: its function."""
    function = _plain(getattr(item, "function", None))
    return {function} if inspect.isfunction(function) else set()


def hidden(module: pytest.Module, collected: Collection[object], known: Set[str]) -> Iterator[Found]:
    """The marked tests of a module that are not among the functions that were collected, in this file or in another.

    A base class whose tests were collected below another class is no hidden one. A function without a marker of its own is
    one by those of its class or module, if its name begins as those of tests do.
    """
    read = getattr(module, "_obj", None)  # asked for it, pytest would import the file
    if not inspect.ismodule(read):
        return
    namespace = dict(vars(read))
    around = _ids(namespace.get("pytestmark", ()))
    why = _("pytest takes no test from there: by its name, its class (__init__, __test__), a plugin or a hook")
    for place, function, above in _functions(namespace, read.__name__, around):
        ids = _ids(getattr(function, "pytestmark", ()))
        if ids or place.rpartition("::")[2].startswith("test"):
            ids |= above
        if ids & known and function not in collected:
            yield place, ids & known, why
    for place, ids in _replaced(module, namespace, around):
        if ids & known:
            yield place, ids & known, _("another of the same name takes its place in the file")


def _functions(
    namespace: Mapping[str, Any], home: str, above: Set[str], within: str = ""
) -> Iterator[tuple[str, Any, set[str]]]:
    """The functions of a module and of the classes that it defines, with the ids of what is around them."""
    for name, value in namespace.items():
        if inspect.isclass(value):
            if value.__module__ == home and value.__qualname__ == f"{within}{name}".replace("::", "."):
                ids = above | _ids(getattr(value, "pytestmark", ()))
                yield from _functions(vars(value), home, ids, f"{within}{name}::")
        elif inspect.isfunction(function := _plain(value)) and function.__module__ == home:
            yield f"{within}{name}", function, set(above)


def _plain(value: Any) -> Any:
    """The function of a static method, a class method or a bound one."""
    return getattr(value, "__func__", value)


def _ids(marks: Any) -> set[str]:
    """The ids of markers, as ``pytestmark`` has them."""
    found: set[str] = set()
    for mark in marks if isinstance(marks, list | tuple) else [marks]:
        plain = getattr(mark, "mark", mark)
        if isinstance(plain, pytest.Mark) and plain.name == MARKER:
            found |= {argument for argument in plain.args if isinstance(argument, str)}
    return found


def _replaced(module: pytest.Module, namespace: Mapping[str, Any], above: Set[str]) -> Iterator[tuple[str, set[str]]]:
    """Tests after which another of their name is defined in the same block."""
    try:
        tree = ast.parse(module.path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    yield from _replaced_in(tree.body, namespace, above, "")


def _replaced_in(
    body: Sequence[ast.stmt], namespace: Mapping[str, Any], above: Set[str], within: str
) -> Iterator[tuple[str, set[str]]]:
    defined = [each for each in body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]
    for number, one in enumerate(defined):
        ids = _written(one.decorator_list, namespace)
        replaced = any(other.name == one.name for other in defined[number + 1 :])
        if not isinstance(one, ast.ClassDef):
            if replaced and (ids or one.name.startswith("test")):
                yield f"{within}{one.name}:{one.lineno}", ids | above
            continue
        if replaced:
            for function in (each for each in one.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)):
                own = _written(function.decorator_list, namespace)
                if own or function.name.startswith("test"):
                    yield f"{within}{one.name}::{function.name}:{function.lineno}", own | ids | above
        else:
            yield from _replaced_in(one.body, namespace, above | ids, f"{within}{one.name}::")


def _written(decorators: Sequence[ast.expr], namespace: Mapping[str, Any]) -> set[str]:
    """The ids of decorators, as far as they are written there, or are the markers of a name."""
    found: set[str] = set()
    for decorator in decorators:
        named = namespace.get(decorator.id) if isinstance(decorator, ast.Name) else None
        found |= _ids(named) if named is not None else set()
        if (
            isinstance(decorator, ast.Call)
            and isinstance(decorator.func, ast.Attribute)
            and decorator.func.attr == MARKER
        ):
            found |= {a.value for a in decorator.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return found
