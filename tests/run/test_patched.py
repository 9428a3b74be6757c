"""Functions of the suite in whose place stands code from elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_xinchuang.packages.mru.engine import MruEngine
from pytest_xinchuang.run.patched import Patches


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module of somebody else's."""
    (tmp_path / "evil.py").write_text("def decision(self, requirement):\n    return None\n\nclass Late:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import evil  # type: ignore[import-not-found]

    yield evil
    del sys.modules["evil"]


def test_the_suite_itself_is_not_patched() -> None:
    assert Patches().now() == []


def test_an_engine_with_somebody_elses_method_is_seen(evil: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MruEngine, "decision", evil.decision)
    assert Patches().now() == ["pytest_xinchuang.packages.mru.engine.MruEngine.decision"]


@pytest.mark.parametrize("wrap", [staticmethod, classmethod, property])
def test_it_is_seen_in_every_wrapping(evil: ModuleType, monkeypatch: pytest.MonkeyPatch, wrap: Any) -> None:
    monkeypatch.setattr(MruEngine, "decision", wrap(evil.decision))
    monkeypatch.setattr("pytest_xinchuang.core.grade.grade_run", evil.decision)
    assert set(Patches().now()) == {
        "pytest_xinchuang.packages.mru.engine.MruEngine.decision",
        "pytest_xinchuang.core.grade.grade_run",
    }


def test_a_mock_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from unittest.mock import MagicMock

    monkeypatch.setattr(MruEngine, "decision", MagicMock())
    assert Patches().now() == ["pytest_xinchuang.packages.mru.engine.MruEngine.decision"]


def test_what_comes_and_goes_between_two_looks_is_seen(evil: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    patches = Patches()
    replaced = ["pytest_xinchuang.packages.mru.engine.MruEngine.decision"]
    assert patches.now() == []
    with monkeypatch.context() as changing:
        changing.setattr(MruEngine, "decision", evil.decision)
        assert patches.now() == patches.now() == replaced
    assert patches.now() == []
    with monkeypatch.context() as changing:  # the function stays, and does something else
        changing.setattr(MruEngine.decision, "__code__", evil.decision.__code__)
        assert patches.now() == replaced
    assert patches.now() == []


def test_what_is_loaded_later_is_looked_at(evil: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    patches = Patches()
    assert patches.now() == []
    late = ModuleType("pytest_xinchuang.late")
    monkeypatch.setitem(sys.modules, late.__name__, late)
    vars(late)["decided"] = evil.decision
    assert patches.now() == ["pytest_xinchuang.late.decided"]


def test_an_object_in_the_place_of_a_module_is_seen(evil: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytest_xinchuang.late", evil.Late())
    assert Patches().now() == ["pytest_xinchuang.late"]
