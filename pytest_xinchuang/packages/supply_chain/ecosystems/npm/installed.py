"""node_modules: the packages that are laid out, and how npm lays them out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.archives import BadArchive, read_archive
from pytest_xinchuang.packages.supply_chain.ecosystem import Layout, Tree, files_below
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.locks import NPM
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.published import SCRIPTS
from pytest_xinchuang.packages.supply_chain.locked import Locked, Origin, Reading, integrity, told
from pytest_xinchuang.packages.supply_chain.textfiles import table, words

WRITTEN = (".package-lock.json", ".modules.yaml", ".yarn-integrity", ".yarn-state.yml", ".pnpm-workspace-state.json")
"""Files that installers write beside the packages."""


@dataclass
class Modules:
    """A walk through node_modules."""

    root: Path
    reading: Reading
    trees: list[Tree] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.by_place = {e.tree: e for e in self.reading.entries if e.tree}
        self.by_name: dict[tuple[str, str], Locked] = {}
        for entry in self.reading.entries:
            self.by_name.setdefault((entry.name, entry.version), entry)
        self.own = {e.source.rstrip("/") for e in self.reading.entries if e.origin in (Origin.OWN, Origin.PATH)}

    def walk(self, modules: str) -> None:
        """The packages of one node_modules directory."""
        for path in sorted((self.root / modules).iterdir()):
            name = f"{modules}/{path.name}"
            if path.name == ".bin" and path.is_dir() and not path.is_symlink():
                self._bin(path, name)
            elif path.name == ".pnpm" and path.is_dir() and not path.is_symlink():
                for store in sorted(path.iterdir()):
                    if (store / "node_modules").is_dir():
                        self.walk(f"{name}/{store.name}/node_modules")
            elif path.name in WRITTEN and path.is_file():
                continue
            elif path.is_symlink():
                self._link(path, name)
            elif path.is_dir() and path.name.startswith("@"):
                for inner in sorted(path.iterdir()):
                    if inner.is_symlink():
                        self._link(inner, f"{name}/{inner.name}")
                    elif inner.is_dir():
                        self._package(inner, f"{name}/{inner.name}")
                    else:
                        self._extra(f"{name}/{inner.name}", _("a file beside the packages"))
            elif path.is_dir() and not path.name.startswith("."):
                self._package(path, name)
            else:
                self._extra(name, _("neither a package nor what an installer writes"))

    def _extra(self, where: str, detail: str, certainty: Certainty = Certainty.CERTAIN) -> None:
        self.findings.append(told("XC-SUP-121", where, NPM, certainty, module="-", detail=detail))

    def _bin(self, path: Path, where: str) -> None:
        written = False
        for one in sorted(path.iterdir()):
            if not one.is_symlink():
                written = True
            elif not one.resolve().is_relative_to(self.root.resolve()):
                self._extra(f"{where}/{one.name}", _("a link that leads out of the product"))
        if written:  # pnpm writes programs there, which nobody published
            detail = _("programs that an installer wrote: they are not compared")
            self.findings.append(told("XC-SUP-124", where, NPM, Certainty.UNDECIDED, module="-", detail=detail))

    def _link(self, path: Path, where: str) -> None:
        target = path.resolve()
        if not target.is_relative_to(self.root.resolve()):
            self._extra(where, _("a link that leads out of the product"))
            return
        inside = target.relative_to(self.root.resolve()).as_posix()
        if "/.pnpm/" not in f"/{inside}/" and inside not in self.own and not self._workspace(inside):
            self._extra(where, _("a link to {path}, which no lock has", path=verbatim(inside)))

    def _workspace(self, inside: str) -> bool:
        return any(e.tree == inside for e in self.reading.entries if e.origin is Origin.OWN) or bool(
            not self.by_place and (self.root / inside / "package.json").is_file() and "node_modules" not in inside
        )

    def _nested(self, modules: str) -> Iterator[tuple[str, tuple[str, str]]]:
        """The packages of a node_modules directory: place, and what each says that it is."""
        for path in sorted([*(self.root / modules).glob("*"), *(self.root / modules).glob("@*/*")]):
            if (path / "package.json").is_file():
                said = package_json(path)
                yield path.relative_to(self.root).as_posix(), (words(said.get("name")), words(said.get("version")))

    def _package(self, path: Path, where: str) -> None:
        said = package_json(path)
        name, version = words(said.get("name")), words(said.get("version"))
        entry = self.by_place.get(where)
        if entry is None and not self.by_place:
            entry = self.by_name.get((name, version))
        nested = f"{where}/node_modules"
        bundled = {p for p, e in self.by_place.items() if p.startswith(f"{nested}/") and e.origin is Origin.BUNDLED}
        if not self.by_place and (said.get("bundleDependencies") or said.get("bundledDependencies")):
            # Other locks than npm's do not name what is bundled: what the lock does not have is to be in the archive.
            bundled = {p for p, said in self._nested(nested) if said not in self.by_name}

        apart = {p for p in self.by_place if p.startswith(f"{nested}/")} - bundled
        if bundled and not self.by_place:
            apart = {p for p, _said in self._nested(nested)} - bundled

        def skip(inner: str) -> bool:
            # A package of its own lies there; what is bundled belongs to this one.
            if not bundled and inner == "node_modules":
                return True
            place = f"{where}/{inner}"
            return place in apart and inner.startswith("node_modules/")

        files = files_below(path, skip)
        files = {n: p for n, p in files.items() if not _linked_bin(n, p)}
        leaf = where.rpartition("node_modules/")[2]
        self.trees.append(Tree(where, files, entry, name or leaf, version))
        if (self.root / nested).is_dir() and not (self.root / nested).is_symlink():
            if bundled:
                for place in sorted(apart):
                    if (self.root / place).is_dir() and place.count("node_modules/") == where.count(
                        "node_modules/"
                    ) + 1:
                        self._package(self.root / place, place)
            else:
                self.walk(nested)


def _linked_bin(name: str, path: Path) -> bool:
    return ".bin/" in name and path.is_symlink()


def package_json(directory: Path) -> dict[str, Any]:
    """What a package says of itself; nothing where it cannot be read."""
    try:
        return table(json.loads((directory / "package.json").read_text(encoding="utf-8-sig")))
    except (OSError, ValueError, RecursionError):
        return {}


def trees(root: Path, reading: Reading) -> tuple[list[Tree], list[Finding]]:
    """The packages of node_modules, and what is wrong with how it is laid out."""
    if not (root / "node_modules").is_dir():
        return [], []
    modules = Modules(root, reading)
    modules.walk("node_modules")
    return modules.trees, [*modules.findings, *_hidden(root, modules)]


def _hidden(root: Path, modules: Modules) -> Iterator[Finding]:
    """The record that npm keeps of what it installed, and believes on the next install."""
    name = "node_modules/.package-lock.json"
    path = root / name
    if not path.is_file() or not modules.by_place:
        return
    try:
        data = table(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        yield told("XC-SUP-127", name, NPM, module="-", detail=_("it is not JSON"))
        return
    for place, said in table(data.get("packages")).items():
        one = table(said)
        entry = modules.by_place.get(place)
        if one.get("link") is True or "node_modules/" not in place:
            continue
        if entry is None:
            yield told("XC-SUP-127", name, NPM, module=place, detail=_("the lock does not have it"))
            continue
        digests = integrity(words(one.get("integrity"))) or ()
        if words(one.get("version")) != entry.version or (
            digests and entry.digests and set(digests) != set(entry.digests)
        ):
            detail = _("it gives another version or integrity than the lock")
            yield told("XC-SUP-127", name, NPM, module=str(entry), detail=detail)


def layout(artifact: Path) -> Layout:
    """What npm makes of an archive: the first directory is left out, and .gitignore is renamed (npm, pacote).

    Raises:
        BadArchive: it is none of npm's.
    """
    found, texts = read_archive(artifact, lambda name: name.count("/") == 1 or _is_program(name))
    inner: dict[str, set[str]] = {}
    for name, made in found.items():
        _top, slash, below = name.partition("/")
        if slash:
            inner.setdefault(below, set()).add(made)
    said = _manifest(texts)
    if said is None:
        raise BadArchive(_("{path}: there is no package.json in it", path=artifact))
    for name in [n for n in inner if n.rpartition("/")[2] == ".gitignore"]:
        renamed = name[: -len(".gitignore")] + ".npmignore"
        inner.setdefault(renamed, set()).update(inner[name])
    may_lack = frozenset(n for n in inner if n.rpartition("/")[2] in (".gitignore", ".npmignore"))
    for name, data in texts.items():
        below = name.partition("/")[2]
        head, newline, rest = data.partition(b"\n")
        if head.startswith(b"#!") and head.endswith(b"\r"):  # npm, bin-links: the first line of a program is mended
            inner[below] |= {_sha256(head[:-1] + newline + rest), _sha256(data.replace(b"\r\n", b"\n"))}
    scripts = table(said.get("scripts"))
    built = any(s in scripts for s in SCRIPTS) or "binding.gyp" in inner
    return Layout({n: frozenset(forms) for n, forms in inner.items()}, may_lack, built=built)


def _is_program(name: str) -> bool:
    return "/bin/" in name or name.endswith((".js", ".cjs", ".mjs", ".sh")) or "." not in name.rpartition("/")[2]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _manifest(texts: dict[str, bytes]) -> dict[str, Any] | None:
    for name, data in texts.items():
        if name.count("/") == 1 and name.endswith("/package.json"):
            try:
                return table(json.loads(data.decode("utf-8-sig")))
            except (ValueError, RecursionError):
                return {}
    return None


def licence(artifact: Path) -> str:
    """The licence in an archive's package.json; "" where there is none."""
    try:
        said = _manifest(read_archive(artifact, lambda name: name.count("/") == 1)[1]) or {}
    except BadArchive:
        return ""
    return words(said.get("license")) or words(table(said.get("license")).get("type"))
