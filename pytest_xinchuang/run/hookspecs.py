"""Hooks by which a lab or a vendor adds platforms, requirements, backends and reports from a plugin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_xinchuang.core.grade import RunResult
    from pytest_xinchuang.core.platform import Platform
    from pytest_xinchuang.packages.protocol import ConformancePackage
    from pytest_xinchuang.sandbox.pool import BackendFactory


@pytest.hookspec
def pytest_xc_platforms(config: pytest.Config) -> Sequence[Path]:  # type: ignore[empty-body]
    """Return platforms files that are merged over the shipped one, in the order of the plugins."""


@pytest.hookspec
def pytest_xc_packages(config: pytest.Config) -> Sequence[ConformancePackage]:  # type: ignore[empty-body]
    """Return conformance packages besides those that distributions register as entry points.

    Options of such a package are the plugin's to add, by ``pytest_addoption``.
    """


@pytest.hookspec
def pytest_xc_requirements(config: pytest.Config) -> Sequence[Path]:  # type: ignore[empty-body]
    """Return catalogues whose requirements are added to the shipped ones."""


@pytest.hookspec
def pytest_xc_sandbox_backends(config: pytest.Config) -> dict[str, BackendFactory]:  # type: ignore[empty-body]
    """Return backends by the name that ``--xc-backend`` takes; each opens a sandbox for (pool, platform, CPU variant)."""


@pytest.hookspec
def pytest_xc_grade(config: pytest.Config, result: RunResult, platforms: Sequence[Platform]) -> None:
    """Called on the controller when the grades of a run are known; the place for reports of your own."""
