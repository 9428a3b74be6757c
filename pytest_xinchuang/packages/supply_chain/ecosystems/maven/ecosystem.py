"""Maven repositories as an ecosystem of the check, with jars that lie beside a product."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from pathlib import Path

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystem import Layout, Tree, sha256_of
from pytest_xinchuang.packages.supply_chain.ecosystems.maven import published as registry
from pytest_xinchuang.packages.supply_chain.ecosystems.maven.locks import (
    CHECKSUMS,
    GRADLE_LOCK,
    GRADLE_METADATA,
    LOCKFILE,
    read_locks,
)
from pytest_xinchuang.packages.supply_chain.ecosystems.maven.poms import MAVEN, Asked, read_poms
from pytest_xinchuang.packages.supply_chain.ecosystems.maven.settings import GRADLE, read_settings
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.locked import Locked, Reading
from pytest_xinchuang.packages.supply_chain.registries import Published, PublishedFile, Registries
from pytest_xinchuang.packages.supply_chain.textfiles import text_of
from pytest_xinchuang.packages.supply_chain.versions import maven

KEPT = ("lib", "libs", "WEB-INF/lib", "BOOT-INF/lib", "src/main/webapp/WEB-INF/lib")
"""Directories below a product that jars are kept in."""


class Maven:
    """Maven Central and repositories like it, for Maven and Gradle."""

    name, osv, purl = MAVEN, "Maven", "maven"

    def found(self, directory: Path) -> bool:
        return any((directory / name).is_file() for name in ("pom.xml", GRADLE_LOCK, GRADLE_METADATA, *GRADLE))

    def read(self, directory: Path, registries: Registries) -> Reading:
        reading = Reading(MAVEN, registries.trusting(MAVEN))
        asked = read_poms(reading, directory)
        read_settings(reading, directory)
        read_locks(reading, directory)
        if reading.locks:
            _covers(reading, asked, registries)
            _enforced(reading, directory)
        else:
            self._unlocked(reading, directory, asked)
        return reading

    @staticmethod
    def _unlocked(reading: Reading, directory: Path, asked: list[Asked]) -> None:
        manifest = next((n for n in ("pom.xml", *GRADLE) if (directory / n).is_file()), "pom.xml")
        if asked or manifest != "pom.xml":
            reading.add("XC-SUP-100", manifest, locks=f"{CHECKSUMS}/checksums.sha256, {LOCKFILE}, {GRADLE_METADATA}")
            detail = _("what its dependencies depend on is not known here")
            reading.add("XC-SUP-160", manifest, Certainty.UNDECIDED, module="-", detail=detail)
        for one in asked:
            if one.version:
                entry = Locked(MAVEN, one.name, one.version, one.where, (), extra=(("unlocked", "yes"),))
                reading.entries.append(entry)
            else:
                detail = _("its version is fixed by a pom that is not here")
                reading.add("XC-SUP-160", one.where, Certainty.UNDECIDED, module=one.name, detail=detail)

    def published(self, entry: Locked, registries: Registries) -> Published | Gone:
        return registry.published(entry, registries)

    def chosen(self, entry: Locked, files: Sequence[PublishedFile]) -> Sequence[PublishedFile]:  # noqa: ARG002
        return files

    def trees(self, directory: Path, reading: Reading) -> tuple[Iterable[Tree], Iterable[Finding]]:
        trees = []
        by_file = {name: e for e in reading.entries for name in registry.names_of(e)}
        for folder in KEPT:
            for path in sorted((directory / folder).glob("*.jar")):
                trees.append(Tree(folder, {path.name: path}, by_file.get(path.name), path.name))
        return trees, []

    def artifact(self, tree: Tree, files: Sequence[PublishedFile]) -> PublishedFile | None:
        return next((f for f in files if f.name in tree.files), None)

    def layout(self, tree: Tree, artifact: Path) -> Layout:
        return Layout({next(iter(tree.files)): frozenset({sha256_of(artifact)})})

    def licence(self, artifact: Path) -> str:  # noqa: ARG002 - a jar says nothing of it that is agreed on
        return ""

    def key(self, version: str) -> object:
        return maven(version)

    def same(self, name: str) -> str:
        return name


def _enforced(reading: Reading, directory: Path) -> None:
    """Trusted checksums alone say nothing of what they lack, unless Maven is told to refuse it (Maven Resolver, options)."""
    if not all(name.startswith(CHECKSUMS) for name in reading.locks):
        return
    lines = text_of(reading, directory, ".mvn/maven.config")
    if lines is None or "trustedChecksums.failIfMissing=true" not in lines.text:
        detail = _("Maven is not told to refuse what has no trusted checksum (trustedChecksums.failIfMissing)")
        reading.add("XC-SUP-160", ".mvn/maven.config", Certainty.UNDECIDED, module="-", detail=detail)


def _covers(reading: Reading, asked: list[Asked], registries: Registries) -> None:
    found: dict[str, set[str]] = {}
    for entry in reading.entries:
        found.setdefault(entry.name, set()).add(entry.version)
    lock = ", ".join(reading.locks[:3])
    for one in asked:
        mine = found.get(one.name)
        if mine is None:
            _moved(reading, one, lock, found.keys(), registries)
        elif one.version and one.version not in mine and not set(one.version) & set("[](),"):
            detail = _("the lock has {version}", version=verbatim(", ".join(sorted(mine))))
            reading.add("XC-SUP-103", one.where, lock=lock, module=f"{one.name}:{one.version}", detail=detail)


def _moved(reading: Reading, one: Asked, lock: str, locked: Container[str], registries: Registries) -> None:
    """A package that a lock does not have: it may have it by the name that the package was moved to."""
    unknown: Gone | None = None
    for now in registry.relocated(one.name, one.version, registries):
        if isinstance(now, Gone):
            unknown = now
        elif now in locked:
            return
    if unknown is None:
        reading.add("XC-SUP-103", one.where, lock=lock, module=one.name, detail=_("the lock does not have it"))
    else:
        detail = _("the lock does not have it, unless it has another name now: {why}", why=unknown.why)
        reading.add("XC-SUP-103", one.where, Certainty.UNDECIDED, lock=lock, module=one.name, detail=detail)
