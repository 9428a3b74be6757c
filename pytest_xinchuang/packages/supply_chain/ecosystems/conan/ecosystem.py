"""Conan and vcpkg as ecosystems of the check: what they lock is read, and what was published nobody is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_xinchuang.core.finding import Finding
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystem import Layout, Tree
from pytest_xinchuang.packages.supply_chain.ecosystems.conan.readers import CONAN, VCPKG, read_conan, read_vcpkg
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.locked import Locked, Reading
from pytest_xinchuang.packages.supply_chain.registries import Published, PublishedFile, Registries
from pytest_xinchuang.packages.supply_chain.versions import loose


class _Recipes:
    """An ecosystem that locks recipes, not files."""

    def published(self, entry: Locked, registries: Registries) -> Published | Gone:  # noqa: ARG002
        why = _("{module} is locked by its recipe, of which no digest is published", module=verbatim(str(entry)))
        return Gone(why, False)

    def chosen(self, entry: Locked, files: Sequence[PublishedFile]) -> Sequence[PublishedFile]:  # noqa: ARG002
        return files

    def trees(self, directory: Path, reading: Reading) -> tuple[Iterable[Tree], Iterable[Finding]]:  # noqa: ARG002
        return [], []

    def artifact(self, tree: Tree, files: Sequence[PublishedFile]) -> PublishedFile | None:  # noqa: ARG002
        return None

    def layout(self, tree: Tree, artifact: Path) -> Layout:  # noqa: ARG002
        return Layout({})

    def licence(self, artifact: Path) -> str:  # noqa: ARG002
        return ""

    def key(self, version: str) -> object:
        return loose(version)

    def same(self, name: str) -> str:
        return name


class Conan(_Recipes):
    """Conan, of the versions 1 and 2."""

    name, osv, purl = CONAN, "ConanCenter", "conan"

    def found(self, directory: Path) -> bool:
        return any((directory / n).is_file() for n in ("conan.lock", "conanfile.txt", "conanfile.py", "conandata.yml"))

    def read(self, directory: Path, registries: Registries) -> Reading:  # noqa: ARG002
        return read_conan(directory)


class Vcpkg(_Recipes):
    """vcpkg."""

    name, osv, purl = VCPKG, "vcpkg", "generic"

    def found(self, directory: Path) -> bool:
        return any((directory / n).is_file() for n in ("vcpkg.json", "vcpkg-configuration.json"))

    def read(self, directory: Path, registries: Registries) -> Reading:  # noqa: ARG002
        return read_vcpkg(directory)
