"""A crate as it is delivered: a directory with a Cargo.toml, that of a workspace, or the archive of ``cargo package``."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.messages import _, told
from pytest_xinchuang.packages.sdk_ast.rust.tool import Cargo
from pytest_xinchuang.provision.archive import unpack
from pytest_xinchuang.tools.process import Finished

MANIFEST = "Cargo.toml"
DEFAULT, ALL, NONE = "", " [all features]", " [no default features]"
"""Behind the name of a crate: the features that it was read with."""
SETS: Mapping[str, tuple[str, ...]] = {DEFAULT: (), ALL: ("--all-features",), NONE: ("--no-default-features",)}

_LIBRARIES = frozenset({"lib", "rlib", "dylib", "proc-macro"})
"""Kinds of crates that Rust code can use (Cargo reference, crate-type)."""
_FOREIGN = frozenset({"cdylib", "staticlib"})
"""Kinds of libraries for programs in other languages."""
_TESTS = re.compile(r"\[(?:target\.[^\n]+\.)?dev-dependencies\b")
_LEFT_OUT = shutil.ignore_patterns("target", ".git", "node_modules", ".hg", ".svn")


@dataclass(frozen=True)
class Crate:
    """A library among the packages of a workspace.

    Attributes:
        package: what cargo calls it; ``name`` is what programs call it.
        directory: of its Cargo.toml, in the copy.
        facts: what cargo tells of it.
        versions: name of a library that it is built with -> the part of its version that says what is compatible.
        runs_code: build scripts or procedural macros take part in building it.
        own_code: which of them, or what else of the product itself, runs where cargo and rustdoc do; empty: nothing.
    """

    package: str
    name: str
    directory: Path
    facts: Mapping[str, Any]
    versions: Mapping[str, str]
    runs_code: bool
    own_code: str = ""

    @property
    def proc_macro(self) -> bool:
        """Whether it defines procedural macros, and nothing else."""
        return "proc-macro" in self.library["kind"]

    @property
    def library(self) -> Mapping[str, Any]:
        """Its library target."""
        return _library(self.facts) or {}

    @property
    def usable(self) -> bool:
        """Whether Rust code can use it."""
        return bool(_LIBRARIES & set(self.library["kind"]))

    @property
    def features(self) -> dict[str, list[str]]:
        """Feature -> what it enables, in order."""
        return {name: sorted(more) for name, more in sorted(self.facts["features"].items())}

    @property
    def defaults(self) -> list[str]:
        """The features that are on unless somebody turns them off, with all that they enable."""
        found: set[str] = set()
        left = ["default"]
        while left:
            name = left.pop()
            if name in found or name not in self.facts["features"]:
                continue
            found.add(name)
            left += self.facts["features"][name]
        return sorted(found - {"default"})

    @property
    def sets(self) -> dict[str, tuple[str, ...]]:
        """The sets of features that differ from each other -> the words that cargo is told."""
        names = set(self.facts["features"]) - {"default"}
        defaults = set(self.defaults)
        wanted = {DEFAULT: SETS[DEFAULT]}
        if names - defaults:
            wanted[ALL] = SETS[ALL]
        if self.facts["features"].get("default"):
            wanted[NONE] = SETS[NONE]
        return wanted


@dataclass(frozen=True)
class Opened:
    """A copy of what was delivered, which cargo may write to.

    Attributes:
        root: of the workspace, or of the one package.
        scratch: a directory for what cargo makes.
        named: what its Cargo.toml calls it, as programs do; what its directory is called where that says nothing.
        problem: why cargo cannot tell what is in it; empty where it can.
    """

    root: Path
    scratch: Path
    crates: tuple[Crate, ...]
    named: str
    problem: str = ""


def workspace_of(place: Path) -> Path:
    """The directory of the workspace that a package belongs to; its own where there is none.

    Raises:
        DataFileError: its Cargo.toml cannot be read.
    """
    if "workspace" in _toml(place / MANIFEST):
        return place
    for directory in place.parents:
        if (directory / MANIFEST).is_file() and "workspace" in _toml(directory / MANIFEST):
            return directory
        if (directory / ".git").exists():
            break
    return place


def _named(manifest: Mapping[str, Any]) -> str:
    tables = [manifest.get(name) for name in ("lib", "package")]
    found = next((table["name"] for table in tables if isinstance(table, dict) and "name" in table), "")
    return str(found).replace("-", "_")


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataFileError(
            _("{path}: cannot be read: {why}", path=path, why=told(error)),
            mend=_("cargo metadata --manifest-path {path} tells what is wrong with it", path=str(path)),
        ) from error


@contextmanager
def opened(place: Path, cargo: Cargo, *, offline: bool) -> Iterator[Opened]:
    """A copy of a crate or workspace, with its dependencies at hand.

    Raises:
        XcError: there is no Cargo.toml, it cannot be read, or nothing in it can be used by Rust code.
        ToolchainFault: there is no wall on this host that cargo could run behind.
    """
    with TemporaryDirectory(prefix="xc-rust-") as temporary:
        scratch = Path(temporary).resolve()
        place = place.resolve()
        if place.is_file():
            (scratch / "unpacked").mkdir()
            unpack(place, scratch / "unpacked")
            inside = sorted((scratch / "unpacked").glob(f"*/{MANIFEST}"))
            place = inside[0].parent if inside else scratch / "unpacked"
        if not (place / MANIFEST).is_file():
            raise XcError(
                _("{place}: there is no Cargo.toml in it", place=place),
                mend=_(
                    "name the directory of a crate or of its workspace, or the .crate file that cargo package makes"
                ),
            )
        top = workspace_of(place)
        root = scratch / "copy"
        _copied(top, root)
        for path in root.rglob(MANIFEST):
            _forget_tests(path)
        directory = root / place.relative_to(top)
        known, problem = _metadata(directory, root, scratch, cargo, offline=offline)
        crates = _crates(known, directory, _configured(root, directory)) if known else ()
        if known and not crates:
            raise XcError(
                _("{place}: it has no library that Rust code could use", place=place),
                mend=_(
                    "name a package with a [lib]; one of the crate types {kinds}", kinds="lib, rlib, dylib, proc-macro"
                ),
            )
        yield Opened(root, scratch, crates, _named(_toml(place / MANIFEST)) or place.name, problem)


def _copied(source: Path, target: Path) -> None:
    try:
        shutil.copytree(source, target, symlinks=True, ignore=_LEFT_OUT)
    except (OSError, shutil.Error) as error:
        raise XcError(_("{place}: cannot be copied: {why}", place=source, why=told(error))) from error
    for path in (target, *target.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(path.stat().st_mode | 0o700)


def _forget_tests(manifest: Path) -> None:
    """Take the dependencies of tests out of a Cargo.toml: users never build them, and may not be able to fetch them."""
    try:
        text = manifest.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return  # cargo tells what is wrong with it, where it belongs to a package
    kept, tests = [], False
    for line in text.splitlines(keepends=True):
        if line.startswith("["):
            tests = bool(_TESTS.match(line))
        if not tests:
            kept.append(line)
    manifest.write_text("".join(kept), encoding="utf-8")


def _metadata(
    directory: Path, root: Path, scratch: Path, cargo: Cargo, *, offline: bool
) -> tuple[Mapping[str, Any], str]:
    words = ["metadata", "--format-version", "1", "--manifest-path", str(directory / MANIFEST)]
    done = cargo.run(words, root, scratch)
    if not done.ok and not offline:
        fetched = cargo.fetch(directory / MANIFEST, scratch)
        done = cargo.run(words, root, scratch) if fetched.ok else fetched
    if not done.ok:
        return {}, complaint(done)
    try:
        found: Mapping[str, Any] = json.loads(done.text)
    except ValueError as error:
        return {}, str(error)
    return found, ""


def complaint(done: Finished) -> str:
    """What cargo complains of first, without places of this machine."""
    lines = [line.strip() for line in done.errors.splitlines()]
    at = next((n for n, line in enumerate(lines) if line.startswith("error")), 0)
    cause = next((lines[n + 1] for n, line in enumerate(lines[:-1]) if n >= at and line == "Caused by:"), "")
    text = f"{lines[at]}: {cause}" if lines and cause else lines[at] if lines else f"cargo: {done.code}"
    return re.sub(r"/\S*/copy/", "", text)


_OF_SOURCES = frozenset({"source", "net", "http", "registries", "registry", "term"})
"""Tables of a configuration that say where packages are from, and name no program (Cargo reference, configuration)."""


def _configured(root: Path, directory: Path) -> str:
    """A configuration of the product that may have cargo run something; empty: there is none."""
    for place in dict.fromkeys((root, directory)):
        for path in (place / ".cargo" / "config.toml", place / ".cargo" / "config"):
            if path.is_file() and not _toml(path).keys() <= _OF_SOURCES:
                return path.relative_to(root).as_posix()
    return ""


def _crates(known: Mapping[str, Any], directory: Path, configured: str) -> tuple[Crate, ...]:
    by_id = {package["id"]: package for package in known["packages"]}
    members = [by_id[number] for number in known["workspace_members"]]
    own = [package for package in members if Path(package["manifest_path"]).parent == directory]
    offered = own or [package for package in members if package.get("publish") != []]
    graph = {node["id"]: node for node in (known.get("resolve") or {}).get("nodes", ())}
    found = []
    for package in offered:
        library = _library(package)
        if library is None:
            continue
        reached = _reached(package["id"], graph)
        running = [
            package
            for package in map(by_id.__getitem__, reached)
            if any({"custom-build", "proc-macro"} & set(target["kind"]) for target in package["targets"])
        ]
        found.append(
            Crate(
                package["name"],
                library["name"].replace("-", "_"),
                Path(package["manifest_path"]).parent,
                package,
                {_library_name(by_id[number]): _compatible(by_id[number]["version"]) for number in reached},
                bool(running),
                next((one["name"] for one in running if one["source"] is None), configured),
            )
        )
    return tuple(found)


def _reached(start: str, graph: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Everything that a package is built with; what it names itself last, so that its version wins over others of the name."""
    seen, left = {start: None}, [start]
    while left:
        for other in graph.get(left.pop(), {}).get("dependencies", ()):
            if other not in seen:
                seen[other] = None
                left.append(other)
    direct = set(graph.get(start, {}).get("dependencies", ())) | {start}
    return sorted(seen, key=lambda number: number in direct)


def _library(package: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((t for t in package["targets"] if (_LIBRARIES | _FOREIGN) & set(t["kind"])), None)


def _library_name(package: Mapping[str, Any]) -> str:
    return str((_library(package) or package)["name"]).replace("-", "_")


def _compatible(version: str) -> str:
    """What versions that may stand for each other have in common (Cargo reference, SemVer compatibility)."""
    parts = version.split("-")[0].split("+")[0].split(".")
    at = next((n for n, part in enumerate(parts) if part != "0"), len(parts) - 1)
    return ".".join(parts[: at + 1])
