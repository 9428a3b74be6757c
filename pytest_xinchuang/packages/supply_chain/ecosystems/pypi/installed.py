"""site-packages and vendored wheels: what is laid out, and what an installer makes of a wheel."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from packaging.tags import sys_tags
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.supply_chain.archives import BadArchive, read_archive
from pytest_xinchuang.packages.supply_chain.ecosystem import Layout, Tree, files_below, sha256_of
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.names import PYPI
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.programs import body, console_scripts, is_wrapper
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.published import version_of
from pytest_xinchuang.packages.supply_chain.locked import Origin, Reading, told
from pytest_xinchuang.packages.supply_chain.registries import PublishedFile

VENDORED = ("site-packages", "vendor", "vendored", "_vendor", "third_party", "lib")
"""Directories below a product that may have installed packages in them."""

KEPT = ("wheels", "wheelhouse", "vendor", "third_party", "packages")
"""Directories below a product that may have wheels in them."""

WRITTEN = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "uv_build.json", "RECORD.jws")
"""Files that installers write into .dist-info."""

OF_VENV = ("pip", "setuptools", "wheel")
"""Packages that a virtual environment may begin with."""


@dataclass
class Site:
    """One directory of installed packages."""

    root: Path
    where: str
    reading: Reading
    trees: list[Tree] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def walk(self) -> None:
        entries = {canonicalize_name(e.name): e for e in self.reading.entries}
        owned: set[str] = set()
        everything = files_below(self.root)
        for info in sorted(self.root.glob("*.dist-info")):
            name, _dash, version = info.name.removesuffix(".dist-info").rpartition("-")
            entry = entries.get(canonicalize_name(name))
            mine = {n: p for n, p in everything.items() if n.startswith(f"{info.name}/")}
            for listed, below in _record(info):
                path = everything.get(below) or _outside(self.root, listed)
                if path is not None:
                    mine[below] = path
            owned |= set(mine)
            mine = {n: p for n, p in mine.items() if not n.endswith(".pyc")}
            if entry is None and canonicalize_name(name) in OF_VENV:
                why = _("it came with the virtual environment, and no lock has it")
                self._open("XC-SUP-124", f"{self.where}/{info.name}", f"{name}@{version}", why)
            elif entry is not None and entry.origin is Origin.OWN:
                continue
            else:
                self.trees.append(Tree(self.where, mine, entry, name, version))
        self._rest({n: p for n, p in everything.items() if n not in owned})

    def _open(self, code: str, where: str, module: str, detail: str) -> None:
        self.findings.append(told(code, where, PYPI, Certainty.UNDECIDED, module=module, detail=detail))

    def _rest(self, rest: dict[str, Path]) -> None:
        compiled = [n for n, p in rest.items() if n.endswith(".pyc") and not p.is_symlink()]
        everything = files_below(self.root)
        if any(n.endswith(".pyc") for n in everything):
            self._open("XC-SUP-128", self.where, "-", "")
        for name in sorted(rest):
            if name in compiled and _source_of(name) in everything:
                continue
            if re.fullmatch(r"_virtualenv\.(py|pth)|distutils-precedence\.pth|bin/[^/]+|\.lock", name):
                self._open(
                    "XC-SUP-121", f"{self.where}/{name}", "-", _("an installer wrote it, and nobody published it")
                )
                continue
            detail = _("no installed package has such a file")
            self.findings.append(told("XC-SUP-121", f"{self.where}/{name}", PYPI, module="-", detail=detail))


def _source_of(compiled: str) -> str:
    """The source of ``a/__pycache__/b.cpython-311.pyc``: ``a/b.py``."""
    return re.sub(r"(^|/)__pycache__/([^/.]+)\.[^/]*pyc$", r"\1\2.py", compiled)


def _record(info: Path) -> Iterator[tuple[str, str]]:
    """What an installer recorded: each name, and the name without the way up to the environment's own directories."""
    try:
        text = (info / "RECORD").read_text(encoding="utf-8", errors="replace")
        for row in csv.reader(io.StringIO(text)):
            below = re.sub(r"^(\.\./)+", "", row[0]) if row else ""
            if below and not below.startswith("/") and ".." not in below.split("/"):
                yield row[0], below
    except (OSError, csv.Error):
        return


def _outside(site: Path, listed: str) -> Path | None:
    """A recorded file of the environment that site-packages belongs to: ``../../../bin/x``."""
    if not listed.startswith("../../../") or listed.startswith("../../../../") or site.name != "site-packages":
        return None
    path = site / listed
    return path if path.is_file() else None


def sites(root: Path) -> list[Path]:
    """The directories below a product that have installed packages in them."""
    found = [root / name for name in VENDORED]
    for venv in (".venv", "venv", "env", "__pypackages__"):
        found += sorted((root / venv).glob("lib/python*/site-packages"))
        found += sorted((root / venv).glob("Lib/site-packages"))
    for top in sorted(root.iterdir()):
        if (top / "_vendor").is_dir():
            found.append(top / "_vendor")
    return [p for p in found if p.is_dir() and next(p.glob("*.dist-info"), None) is not None]


def trees(root: Path, reading: Reading) -> tuple[list[Tree], list[Finding]]:
    """What is installed or vendored below a product."""
    made: list[Tree] = []
    findings: list[Finding] = []
    for place in sites(root):
        site = Site(place, place.relative_to(root).as_posix(), reading)
        site.walk()
        made += site.trees
        findings += site.findings
    for folder in KEPT:
        for path in sorted((root / folder).glob("*.whl")) + sorted((root / folder).glob("*.tar.gz")):
            entry = next((e for e in reading.entries if version_of(path.name, e.name) is not None), None)
            version = str(version_of(path.name, entry.name)) if entry is not None else ""
            made.append(Tree(folder, {path.name: path}, entry, path.name.partition("-")[0], version))
    return made, findings


def artifact(tree: Tree, files: list[PublishedFile]) -> PublishedFile | None:
    """The wheel that was installed, by the tags that it recorded; an archive that is kept as such by its name."""
    if len(tree.files) == 1 and (only := next(iter(tree.files))).endswith((".whl", ".tar.gz")):
        return next((f for f in files if f.name == only), None)
    wheels = [f for f in files if (f.name or "").endswith(".whl")]
    record = next((p for n, p in tree.files.items() if re.fullmatch(r"[^/]+\.dist-info/WHEEL", n)), None)
    if record is not None:
        try:
            said = set(re.findall(r"^Tag:\s*(\S+)", record.read_text(errors="replace"), re.M))
        except OSError:
            said = set()
        exact = [f for f in wheels if {str(t) for t in _tags(f.name)} == said]
        if exact:
            return exact[0]
    return wheels[0] if len(wheels) == 1 else None


def _tags(filename: str) -> frozenset[object]:
    try:
        return frozenset(parse_wheel_filename(filename)[3])
    except InvalidWheelFilename:
        return frozenset()


def chosen(files: list[PublishedFile]) -> list[PublishedFile]:
    """Those that are here; where none is, the one that this machine would install, else a source archive."""
    here = [f for f in files if f.path is not None]
    if here:
        return here
    mine = {str(t): n for n, t in enumerate(sys_tags())}
    ranked = sorted(
        (
            min((mine[str(t)] for t in _tags(f.name) if str(t) in mine), default=1 << 30),
            f.name.endswith(".whl"),
            f.name,
            f,
        )
        for f in files
    )
    return [ranked[0][3]] if ranked else []


def layout(tree: Tree, path: Path) -> Layout:
    """What an installer makes of a wheel (PyPA, binary distribution format, "Installing a wheel").

    Raises:
        BadArchive: it is none.
    """
    if len(tree.files) == 1 and next(iter(tree.files)).endswith((".whl", ".tar.gz")):
        return Layout({next(iter(tree.files)): frozenset({sha256_of(path)})})
    found, texts = read_archive(
        path, lambda name: name.endswith(".dist-info/entry_points.txt") or ".data/scripts/" in name
    )
    files: dict[str, frozenset[str]] = {}
    info = next((n.partition("/")[0] for n in found if n.partition("/")[0].endswith(".dist-info")), "")
    if not info:
        raise BadArchive(_("{path}: there is no .dist-info in it", path=path))
    entries = console_scripts(texts.get(f"{info}/entry_points.txt", b"").decode("utf-8", "replace"))
    files.update(_programs(tree, entries, {n.partition(".data/scripts/")[2]: t for n, t in texts.items()}))
    for name, made in found.items():
        moved = re.fullmatch(r"[^/]+\.data/(purelib|platlib|scripts|data|headers)/(.+)", name)
        if moved and moved[1] == "headers":
            at = next((n for n in tree.files if n.startswith("include/") and n.endswith(f"/{moved[2]}")), "")
            if at:
                files[at] = frozenset({made})
        elif not moved or moved[1] != "scripts":
            files[moved[2] if moved else name] = frozenset({made})
    for name in WRITTEN:
        files.pop(f"{info}/{name}", None)
    written = {f"{info}/{name}" for name in WRITTEN}
    # Data of a wheel are laid out in the environment, which may be elsewhere.
    data = {m[2] for n in found if (m := re.fullmatch(r"[^/]+\.data/(data)/(.+)", n))}
    may_lack = frozenset(n for n in files if n.endswith(".pyc") or n in data)
    return Layout(files, may_lack, lambda name: name in written)


def _programs(tree: Tree, entries: dict[str, str], scripts: dict[str, bytes]) -> Iterator[tuple[str, frozenset[str]]]:
    """The programs of a tree, each with its own digest where an installer makes it of the wheel, else with none."""
    for name, path in tree.files.items():
        if not name.startswith(("bin/", "Scripts/")):
            continue
        leaf = name.partition("/")[2]
        data = path.read_bytes() if path.is_file() else b""
        made = leaf in entries and is_wrapper(data, entries[leaf])
        if leaf in scripts:
            own, theirs = body(data), scripts[leaf].partition(b"\n")
            made = data == scripts[leaf] or (theirs[0].startswith(b"#!python") and own == theirs[2])
        if leaf in entries or leaf in scripts:
            yield name, frozenset({hashlib.sha256(data).hexdigest() if made else "-"})
