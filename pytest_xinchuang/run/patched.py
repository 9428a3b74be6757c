"""Which functions and methods of the suite somebody else's code has taken the place of, in this process."""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from pytest_xinchuang.run.installed import PACKAGE

_code = attrgetter("__code__")


@dataclass
class _Members:
    """What a module or a class consisted of when it was looked at. What is kept here cannot be replaced at its address.

    Attributes:
        codes: the code of each of its functions.
        foreign: names of its members in whose place stands code from elsewhere.
        classes: those that a module defines, each with its label.
    """

    values: list[Any]
    ids: list[int]
    functions: list[FunctionType]
    codes: list[Any]
    foreign: list[str]
    classes: list[tuple[str, type]]

    @classmethod
    def of(cls, members: Mapping[str, Any], module: str) -> _Members:
        """Look at every member.

        Args:
            module: the name of the module whose classes count; "": those of none.
        """
        items = list(members.items())
        values = [value for _name, value in items]
        defined = [(n, v) for n, v in items if module and isinstance(v, type) and v.__module__ == module]
        functions = [f for f in map(_function, values) if isinstance(f, FunctionType)]
        foreign = [n for n, v in items if _is_from_elsewhere(v)]
        return cls(values, list(map(id, values)), functions, list(map(_code, functions)), foreign, defined)

    def are(self, members: Mapping[str, Any]) -> bool:
        """Whether nothing has changed since."""
        return list(map(id, members.values())) == self.ids and list(map(_code, self.functions)) == self.codes


class Patches:
    """Looks for them again and again: what has not changed since the last look is not looked at in detail."""

    def __init__(self) -> None:
        self._modules: dict[str, _Members] = {}
        self._classes: dict[type, _Members] = {}

    def now(self) -> list[str]:
        """Dotted names of what is replaced now."""
        found: list[str] = []
        for name, module in list(sys.modules.items()):
            if not name.startswith("pytest_xinchuang") or module is None:
                continue
            if isinstance(module, ModuleType):
                found += [f"{name}.{inner}" for inner in self._in_module(name, vars(module))]
            else:
                found.append(name)
        return found

    def _in_module(self, name: str, members: Mapping[str, Any]) -> Iterator[str]:
        seen = self._modules.get(name)
        if seen is None or not seen.are(members):
            seen = self._modules[name] = _Members.of(members, name)
        yield from seen.foreign
        for label, one in seen.classes:
            inside = self._classes.get(one)
            if inside is None or not inside.are(vars(one)):
                inside = self._classes[one] = _Members.of(vars(one), "")
            yield from (f"{label}.{inner}" for inner in inside.foreign)


@functools.cache
def _trusted() -> tuple[str, ...]:
    """Directories of code that may stand in modules of the suite."""
    places = [
        str(PACKAGE),
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("platstdlib"),
        str(Path(os.__file__).parent),
    ]
    places += [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
    return tuple(f"{place}/" for place in dict.fromkeys(places))


def _function(value: Any) -> Any:
    """What is called for a member of a module or a class."""
    if isinstance(value, (staticmethod, classmethod)):
        return value.__func__
    if isinstance(value, property):
        return value.fget
    return value.func if isinstance(value, functools.cached_property) else value


def _is_from_elsewhere(value: Any) -> bool:
    function = _function(value)
    if isinstance(function, FunctionType):
        return not function.__code__.co_filename.startswith(("<", *_trusted()))
    return type(function).__module__ == "unittest.mock" and hasattr(function, "assert_called")
