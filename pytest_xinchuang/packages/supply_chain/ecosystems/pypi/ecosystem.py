"""PyPI as an ecosystem of the check."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

from pytest_xinchuang.core.finding import Finding
from pytest_xinchuang.packages.supply_chain.ecosystem import Layout, Tree
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi import installed
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi import published as registry
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.locks import (
    asked_by_pipfile,
    asked_of,
    covers,
    read_pipfile_lock,
    read_poetry,
    read_pylock,
    read_uv,
)
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.names import PYPI
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.requirements import read_requirements
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.settings import read_settings
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.locked import Lines, Locked, Reading
from pytest_xinchuang.packages.supply_chain.registries import Published, PublishedFile, Registries
from pytest_xinchuang.packages.supply_chain.textfiles import table, text_of, toml_of
from pytest_xinchuang.packages.supply_chain.versions import pep440

LOCKS: dict[str, Callable[[Reading, Lines], None]] = {
    "poetry.lock": read_poetry,
    "uv.lock": read_uv,
    "Pipfile.lock": read_pipfile_lock,
}
REQUIREMENTS = "requirements.txt"


class PyPI:
    """PyPI, with the locks of pip, Poetry, uv, Pipenv and PEP 751."""

    name, osv, purl = PYPI, "PyPI", "pypi"

    def found(self, directory: Path) -> bool:
        names = (*LOCKS, REQUIREMENTS, "Pipfile", "pyproject.toml")
        return any((directory / n).is_file() for n in names) or bool(_pylocks(directory) or _requirements(directory))

    def read(self, directory: Path, registries: Registries) -> Reading:
        reading = Reading(PYPI, registries.trusting(PYPI))
        project = text_of(reading, directory, "pyproject.toml")
        asked = toml_of(reading, project) if project is not None else None
        pipfile = text_of(reading, directory, "Pipfile")
        asked_too = toml_of(reading, pipfile) if pipfile is not None else None
        named = {**LOCKS, **{path.name: read_pylock for path in _pylocks(directory)}}
        for name, read in named.items():
            lines = text_of(reading, directory, name)
            if lines is not None:
                before = len(reading.entries)
                read(reading, lines)
                mine = reading.entries[before:]
                if name == "Pipfile.lock" and pipfile is not None and asked_too is not None:
                    covers(reading, pipfile, name, mine, asked_by_pipfile(asked_too))
                elif name != "Pipfile.lock" and project is not None and asked is not None:
                    covers(reading, project, name, mine, asked_of(asked))
        before = len(reading.entries)
        locked = bool(reading.locks)
        seen: set[str] = set()
        for name in _requirements(directory):
            lines = text_of(reading, directory, name)
            if lines is not None:
                read_requirements(reading, directory, lines, seen)
        if project is not None and asked is not None and not locked and reading.locks:
            covers(reading, project, reading.locks[0], reading.entries[before:], asked_of(asked))
        manifests = [(n, a) for n, a in ((project, asked), (pipfile, asked_too)) if n is not None and a is not None]
        read_settings(reading, directory, manifests)
        asks = any(asked_of(asked or {})) or bool(table((asked_too or {}).get("packages")))
        if asks and manifests and not reading.locks:
            reading.add("XC-SUP-100", manifests[0][0].name, locks=", ".join((*LOCKS, "pylock.toml", REQUIREMENTS)))
        return reading

    def published(self, entry: Locked, registries: Registries) -> Published | Gone:
        return registry.published(entry, registries)

    def chosen(self, entry: Locked, files: Sequence[PublishedFile]) -> Sequence[PublishedFile]:  # noqa: ARG002
        return installed.chosen(list(files))

    def trees(self, directory: Path, reading: Reading) -> tuple[Iterable[Tree], Iterable[Finding]]:
        return installed.trees(directory, reading)

    def artifact(self, tree: Tree, files: Sequence[PublishedFile]) -> PublishedFile | None:
        return installed.artifact(tree, list(files))

    def layout(self, tree: Tree, artifact: Path) -> Layout:
        return installed.layout(tree, artifact)

    def licence(self, artifact: Path) -> str:
        return registry.licence(artifact)

    def key(self, version: str) -> object:
        return pep440(version)

    def same(self, name: str) -> str:
        return canonicalize_name(name)


def _pylocks(directory: Path) -> list[Path]:
    """pylock.toml, and pylock.NAME.toml (PEP 751, file name)."""
    return sorted(p for p in directory.glob("pylock*.toml") if p.name.count(".") <= 2)


def _requirements(directory: Path) -> list[str]:
    """The files of requirements: *requirements*.txt, and those of the directory requirements/."""
    found = [*directory.glob("*requirements*.txt"), *directory.glob("requirements/*.txt")]
    return sorted(path.relative_to(directory).as_posix() for path in found)
