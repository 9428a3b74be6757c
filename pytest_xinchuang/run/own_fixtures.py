"""The fixtures of the suite: its own tests get these, whoever defines others of the same names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import CodeType
from typing import Any

import pytest

from pytest_xinchuang.core.surroundings import FixtureSeen
from pytest_xinchuang.run import fixtures
from pytest_xinchuang.run.collecting import ConformanceModule


def _function(definition: object) -> Any:
    """The function of a fixture, as it was written: pytest 8.4 and later wrap it in an object, earlier ones in a function.

    Nothing is asked of what is no fixture: an object of another plugin may answer anything, or raise.
    """
    if inspect.isfunction(definition):
        return getattr(vars(definition).get("__pytest_wrapped__"), "obj", None)
    return (
        vars(definition).get("_fixture_function") if type(definition).__module__ == pytest.fixture.__module__ else None
    )


def _codes() -> dict[int, CodeType]:
    """The code of each fixture of the suite, by identity: what is equal is not the same."""
    functions = [_function(value) for value in vars(fixtures).values()]
    codes = [f.__code__ for f in functions if inspect.isfunction(f)]
    codes += [code for code in fixtures._fixture_of.__code__.co_consts if isinstance(code, CodeType)]
    return {id(code): code for code in codes}


class OwnFixtures:
    """A plugin that hands the suite's tests the suite's fixtures.

    Args:
        names: of the fixtures.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = frozenset(names)
        self._ours = _codes()
        self._usual: Callable[[str, Any], Sequence[Any] | None] = lambda _name, _node: None
        self._others: dict[FixtureSeen, None] = {}

    @staticmethod
    def shipped() -> list[str]:
        """The names of the suite's fixtures, but for those of its packages."""
        return [name for name, value in vars(fixtures).items() if name.startswith("xc_") and _function(value)]

    def is_ours(self, definition: Any) -> bool:
        function = inspect.unwrap(getattr(definition, "func", None) or (lambda: None))
        return id(getattr(function, "__code__", None)) in self._ours

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> Iterator[None]:
        manager = session._fixturemanager
        self._usual = manager.getfixturedefs

        def chosen(name: str, node: pytest.Item) -> Sequence[Any] | None:
            found = self._usual(name, node)
            if not found or name not in self.names:
                return found
            self._note(name, found)
            return self._ours_of(found) if is_shipped(node) else found

        manager.getfixturedefs = chosen  # type: ignore[method-assign, assignment]
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """What another hook has put into a test of the suite since it was collected is taken out."""
        info = getattr(item, "_fixtureinfo", None)
        if info is None or not is_shipped(item):
            return
        for name in self.names & set(info.name2fixturedefs):
            given = info.name2fixturedefs[name]
            if not all(map(self.is_ours, given)):
                self._note(name, given)
                info.name2fixturedefs[name] = self._ours_of(self._usual(name, item) or ())

    def _ours_of(self, definitions: Iterable[Any]) -> list[Any]:
        return [definition for definition in definitions if self.is_ours(definition)]

    def _note(self, name: str, definitions: Iterable[Any]) -> None:
        for definition in definitions:
            if not self.is_ours(definition):
                self._others[FixtureSeen(name=name, file=_file_of(definition))] = None

    def overridden(self, plugins: Iterable[object]) -> tuple[FixtureSeen, ...]:
        """Fixtures of our names that others define: in a plugin or a conftest, or where a test of the run would see them."""
        for plugin in plugins:
            for label, value in list(attributes_of(plugin).items()):
                function = _function(value)
                if not inspect.isfunction(function) or id(function.__code__) in self._ours:
                    continue
                name = vars(value).get("name") or label
                if name in self.names:
                    self._others[FixtureSeen(name=name, file=str(function.__code__.co_filename))] = None
        return tuple(self._others)


def attributes_of(plugin: object) -> dict[str, Any]:
    """What a plugin has itself, without asking it: its own way to be asked may raise."""
    try:
        found = object.__getattribute__(plugin, "__dict__")
    except AttributeError:
        return {}
    return dict(found)


def is_shipped(node: Any) -> bool:
    """Whether a test, or what it stands in, belongs to a conformance package."""
    return any(isinstance(parent, ConformanceModule) for parent in node.listchain())


def _file_of(definition: Any) -> str:
    function = inspect.unwrap(getattr(definition, "func", None) or (lambda: None))
    code = getattr(function, "__code__", None)
    return str(code.co_filename) if code else "?"
