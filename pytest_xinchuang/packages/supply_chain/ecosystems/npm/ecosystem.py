"""npm as an ecosystem of the check."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pytest_xinchuang.core.finding import Finding
from pytest_xinchuang.packages.supply_chain.ecosystem import Layout, Tree
from pytest_xinchuang.packages.supply_chain.ecosystems.npm import installed
from pytest_xinchuang.packages.supply_chain.ecosystems.npm import published as registry
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.locks import NPM, read_manifest, read_package_lock
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.pnpm import read_pnpm
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.settings import read_settings
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.yarn import read_yarn
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.locked import Locked, Reading
from pytest_xinchuang.packages.supply_chain.registries import Published, PublishedFile, Registries
from pytest_xinchuang.packages.supply_chain.textfiles import text_of
from pytest_xinchuang.packages.supply_chain.versions import semver

LOCKS = {
    "npm-shrinkwrap.json": read_package_lock,
    "package-lock.json": read_package_lock,
    "pnpm-lock.yaml": read_pnpm,
    "yarn.lock": read_yarn,
}


class Npm:
    """The npm registry, with the locks of npm, pnpm and yarn."""

    name, osv, purl = NPM, "npm", "npm"

    def found(self, directory: Path) -> bool:
        return any((directory / name).is_file() for name in ("package.json", *LOCKS))

    def read(self, directory: Path, registries: Registries) -> Reading:
        reading = Reading(NPM, registries.trusting(NPM))
        manifest = read_manifest(reading, directory)
        for name, read in LOCKS.items():
            lines = text_of(reading, directory, name)
            if lines is not None:
                read(reading, lines, manifest)
        present = [name for name in LOCKS if (directory / name).is_file()]
        if manifest is not None and manifest.asked and not present:
            reading.add("XC-SUP-100", "package.json", locks=", ".join(LOCKS))
        read_settings(reading, directory, manifest)
        return reading

    def published(self, entry: Locked, registries: Registries) -> Published | Gone:
        return registry.published(entry, registries)

    def chosen(self, entry: Locked, files: Sequence[PublishedFile]) -> Sequence[PublishedFile]:  # noqa: ARG002
        return files

    def trees(self, directory: Path, reading: Reading) -> tuple[Iterable[Tree], Iterable[Finding]]:
        return installed.trees(directory, reading)

    def artifact(self, tree: Tree, files: Sequence[PublishedFile]) -> PublishedFile | None:  # noqa: ARG002
        return files[0] if files else None

    def layout(self, tree: Tree, artifact: Path) -> Layout:  # noqa: ARG002
        return installed.layout(artifact)

    def licence(self, artifact: Path) -> str:
        return installed.licence(artifact)

    def key(self, version: str) -> object:
        return semver(version)

    def same(self, name: str) -> str:
        return name
