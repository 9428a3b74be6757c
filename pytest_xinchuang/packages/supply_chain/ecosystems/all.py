"""All ecosystems of packages, by name."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_xinchuang.packages.supply_chain.ecosystem import Ecosystem
from pytest_xinchuang.packages.supply_chain.ecosystems.cargo.ecosystem import Cargo
from pytest_xinchuang.packages.supply_chain.ecosystems.conan.ecosystem import Conan, Vcpkg
from pytest_xinchuang.packages.supply_chain.ecosystems.maven.ecosystem import Maven
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.ecosystem import Npm
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.ecosystem import PyPI

_EVERY: tuple[Ecosystem, ...] = (Npm(), PyPI(), Cargo(), Maven(), Conan(), Vcpkg())
ECOSYSTEMS: Mapping[str, Ecosystem] = {ecosystem.name: ecosystem for ecosystem in _EVERY}
