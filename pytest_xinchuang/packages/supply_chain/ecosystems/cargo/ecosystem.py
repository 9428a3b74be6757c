"""Cargo's registry as an ecosystem of the check, with what `cargo vendor` lays out."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.supply_chain.archives import BadArchive, read_archive
from pytest_xinchuang.packages.supply_chain.ecosystem import Layout, Tree, files_below
from pytest_xinchuang.packages.supply_chain.ecosystems.cargo import published as registry
from pytest_xinchuang.packages.supply_chain.ecosystems.cargo.locks import CARGO, OSV, read_cargo, vendored
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.locked import Locked, Reading, told
from pytest_xinchuang.packages.supply_chain.registries import Published, PublishedFile, Registries
from pytest_xinchuang.packages.supply_chain.textfiles import table, words
from pytest_xinchuang.packages.supply_chain.versions import semver

RECORD = ".cargo-checksum.json"

LEFT_OUT = (".gitattributes", ".gitignore", ".cargo-ok")
"""What `cargo vendor` does not copy, and files of patches (cargo, ops/vendor.rs, cp_sources)."""


class Cargo:
    """Cargo's registry, with Cargo.lock and vendored crates."""

    name, osv, purl = CARGO, OSV, "cargo"

    def found(self, directory: Path) -> bool:
        return any((directory / name).is_file() for name in ("Cargo.toml", "Cargo.lock"))

    def read(self, directory: Path, registries: Registries) -> Reading:
        return read_cargo(directory, registries)

    def published(self, entry: Locked, registries: Registries) -> Published | Gone:
        return registry.published(entry, registries)

    def chosen(self, entry: Locked, files: Sequence[PublishedFile]) -> Sequence[PublishedFile]:  # noqa: ARG002
        return files

    def trees(self, directory: Path, reading: Reading) -> tuple[Iterable[Tree], Iterable[Finding]]:
        trees: list[Tree] = []
        findings: list[Finding] = []
        entries = {(e.name, e.version): e for e in reading.entries}
        for folder in vendored(directory):
            root = directory / folder
            if folder == "vendor" and not next(root.glob(f"*/{RECORD}"), None):
                continue  # of another tool
            for path in sorted(root.iterdir()):
                where = f"{folder}/{path.name}"
                if path.is_symlink() or not path.is_dir():
                    detail = _("neither a package nor what an installer writes")
                    findings.append(told("XC-SUP-121", where, CARGO, module="-", detail=detail))
                    continue
                said = _package(path)
                name, version = words(said.get("name")) or path.name, words(said.get("version"))
                entry = entries.get((name, version))
                trees.append(Tree(where, files_below(path), entry, name, version))
                if entry is not None:
                    findings += _record(path, where, entry)
                if said.get("build") is not False and ((path / "build.rs").is_file() or "build" in said):
                    findings.append(told("XC-SUP-116", where, CARGO, Certainty.NOTE, module=f"{name}@{version}"))
        return trees, findings

    def artifact(self, tree: Tree, files: Sequence[PublishedFile]) -> PublishedFile | None:  # noqa: ARG002
        return files[0] if files else None

    def layout(self, tree: Tree, artifact: Path) -> Layout:  # noqa: ARG002
        found, _texts = read_archive(artifact)
        files = {n.partition("/")[2]: frozenset({made}) for n, made in found.items() if "/" in n}
        if "Cargo.toml" not in files:
            raise BadArchive(_("{path}: there is no Cargo.toml in it", path=artifact))
        lacking = {n for n in files if n.rpartition("/")[2] in LEFT_OUT or n.endswith((".orig", ".rej"))}
        return Layout(files, frozenset(lacking), lambda name: name in (RECORD, ".cargo-ok"))

    def licence(self, artifact: Path) -> str:
        try:
            _found, texts = read_archive(artifact, lambda name: name.count("/") == 1 and name.endswith("/Cargo.toml"))
            said = tomllib.loads(next(iter(texts.values()), b"").decode())
        except (BadArchive, ValueError):
            return ""
        return words(table(said.get("package")).get("license"))

    def key(self, version: str) -> object:
        return semver(version)

    def same(self, name: str) -> str:
        return name


def _package(path: Path) -> dict[str, Any]:
    try:
        return table(tomllib.loads((path / "Cargo.toml").read_text(encoding="utf-8")).get("package"))
    except (OSError, ValueError):
        return {}


def _record(path: Path, where: str, entry: Locked) -> list[Finding]:
    """What is wrong with the record by which Cargo itself checks a vendored crate."""
    try:
        data = table(json.loads((path / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return [told("XC-SUP-127", f"{where}/{RECORD}", CARGO, module=str(entry), detail=_("it is not JSON"))]
    if entry.digests and data.get("package") != entry.digests[0].hex:
        detail = _("it gives another checksum than the lock")
        return [told("XC-SUP-127", f"{where}/{RECORD}", CARGO, module=str(entry), detail=detail)]
    return []
