"""Checks of a product against a small published world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.supply_chain.check import Lists, PackageCheck
from pytest_xinchuang.packages.supply_chain.ecosystems.all import ECOSYSTEMS
from pytest_xinchuang.packages.supply_chain.registries import Registries
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.tools import defaults
from tests.packages.supply_chain.ecosystems.worlds import USUAL

Check = Callable[..., PackageCheck]


@pytest.fixture(autouse=True)
def _usual(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tools ask the registries of the small worlds by default."""
    monkeypatch.setattr(defaults, "default", lambda name: USUAL.get(name, verbatim("nobody says")))


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """A check of ``tmp_path/product`` that is done; nobody's own caches are looked at, and nothing is fetched."""
    for name in ("HOME", "CARGO_HOME", "npm_config_cache"):
        monkeypatch.setenv(name, str(tmp_path / "home"))

    def run(
        ecosystem: str, *, place: str | None = "", offline: bool = True, keys: Any = None, **lists: Any
    ) -> PackageCheck:
        places = None if place is None else {ecosystem: [place or str(tmp_path / "registry")]}
        registries = Registries(Cache(tmp_path / "cache"), places, keys=keys, offline=offline)
        done = PackageCheck(tmp_path / "product", ECOSYSTEMS[ecosystem], registries, Lists(**lists))
        done.run()
        return done

    return run
