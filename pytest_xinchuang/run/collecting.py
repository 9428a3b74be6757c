"""Collection: a conformance package's tests by our own collector, whatever a vendor's ini says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.packages.registry import Registry


class ConformanceClass(pytest.Class):
    """A class of a package's tests."""

    def funcnamefilter(self, name: str) -> bool:
        return name.startswith("test_")


class ConformanceModule(pytest.Module):
    """A module of a package's tests."""

    def funcnamefilter(self, name: str) -> bool:
        return name.startswith("test_")

    def classnamefilter(self, name: str) -> bool:
        return name.startswith("Test")


class ConformanceCollector:
    """Hooks by which the tests of the chosen packages are collected in the way that they were written for.

    Neither ``python_files``, ``python_functions`` and ``norecursedirs`` nor ``--ignore`` reach them: who wants less says so by
    ``--xc-suite``, or deselects, and the plan of the run knows of it.
    """

    def __init__(self, registry: Registry) -> None:
        self._homes = tuple(package.checks.resolve() for package in registry if package.checks is not None)

    def is_ours(self, path: Path) -> bool:
        """Whether a file or directory belongs to a package's tests."""
        return any(path.resolve().is_relative_to(home) for home in self._homes)

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        if not self.is_ours(collection_path) or collection_path.name == "__pycache__":
            return None
        return False

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector):  # type: ignore[no-untyped-def]
        found = yield
        if not file_path.match("test_*.py") or not self.is_ours(file_path):
            return found
        mine = parent.session.gethookproxy(file_path).pytest_pycollect_makemodule(module_path=file_path, parent=parent)
        return [mine, *(other for other in found if not isinstance(other, pytest.Module))]

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(self, module_path: Path, parent: pytest.Collector) -> ConformanceModule | None:
        return ConformanceModule.from_parent(parent, path=module_path) if self.is_ours(module_path) else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Module | pytest.Class, name: str, obj: object
    ) -> ConformanceClass | None:
        if isinstance(collector, ConformanceModule) and isinstance(obj, type) and collector.istestclass(obj, name):
            return ConformanceClass.from_parent(collector, name=name, obj=obj)
        return None
