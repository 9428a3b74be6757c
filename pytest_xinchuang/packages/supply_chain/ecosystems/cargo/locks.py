"""Cargo.lock in its versions 1 to 4, and what Cargo.toml asks for (Cargo book, "Cargo.toml vs Cargo.lock")."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.ranges import satisfies
from pytest_xinchuang.packages.supply_chain.locked import Lines, Locked, LockedFile, Origin, Reading, digest
from pytest_xinchuang.packages.supply_chain.registries import Registries
from pytest_xinchuang.packages.supply_chain.textfiles import above, listed, table, tables, text_of, toml_of, words

CARGO = "cargo"
CRATES = "crates-io"
"""The name that Cargo has for its registry in settings (Cargo book, source replacement)."""
OSV = CRATES.replace("-", ".")
"""The same with a dot is what OSV and cargo-auditable call it (OSV schema, affected[].package field)."""


_CONFIG = (".cargo/config.toml", ".cargo/config")
_KINDS = ("dependencies", "dev-dependencies", "build-dependencies")


def cargo_home() -> Path:
    """Cargo's home of the user who runs this (Cargo book, environment variables)."""
    named = os.environ.get("CARGO_HOME")
    return Path(named) if named else Path.home() / ".cargo"


def read_cargo(directory: Path, registries: Registries) -> Reading:
    """The packages of Cargo.lock, checked against Cargo.toml of the package and of its workspace."""
    reading = Reading(CARGO, registries.trusting(CARGO))
    manifests = _manifests(reading, directory)
    lines = text_of(reading, directory, "Cargo.lock")
    if lines is None:
        if any(True for _l, m in manifests for _ in _asked(m, {})) and not (directory / "Cargo.lock").exists():
            reading.add("XC-SUP-100", "Cargo.toml", locks="Cargo.lock")
    else:
        _lock(reading, lines, manifests)
    for manifest, data in manifests[:1]:
        _patches(reading, manifest, data)
    _settings(reading, directory)
    if manifests and "workspace" not in manifests[0][1]:
        for path, data in above(directory, "Cargo.toml", toml_of):
            excluded = [words(one).rstrip("/") for one in listed(table(data.get("workspace")).get("exclude"))]
            inner = directory.resolve().relative_to(path.parent).as_posix()
            if "workspace" in data and not any(f"{inner}/".startswith(f"{one}/") for one in excluded):
                reading.above("Cargo.toml", path)
                break
    for name in _CONFIG:
        for path, data in above(directory, name, toml_of):
            if path.parent.resolve() != cargo_home().resolve() and ("patch" in data or "paths" in data):
                reading.above("Cargo.toml", path)
    return reading


def _patches(reading: Reading, lines: Lines, data: dict[str, Any]) -> None:
    """What stands instead of published crates: directories; of other registries and of git the lock tells."""
    replaced = [table(data.get("replace")), *(table(one) for one in table(data.get("patch")).values())]
    for name, said in ((name, said) for one in replaced for name, said in one.items()):
        if path := words(table(said).get("path")):
            reading.add("XC-SUP-113", lines.of(name, f"{name} "), module=name, source=path)
    for path in listed(data.get("paths")):
        reading.add("XC-SUP-113", lines.of("paths"), module=words(path).rpartition("/")[2] or "-", source=words(path))


def _manifests(reading: Reading, directory: Path) -> list[tuple[Lines, dict[str, Any]]]:
    found = []
    lines = text_of(reading, directory, "Cargo.toml")
    root = toml_of(reading, lines) if lines is not None else None
    if lines is None or root is None:
        return []
    found.append((lines, root))
    members = table(root.get("workspace")).get("members")
    excluded = table(root.get("workspace")).get("exclude")
    out = {str(e) for e in excluded} if isinstance(excluded, list) else set()
    patterns = [str(m) for m in members] if isinstance(members, list) else []
    places: list[Path] = []
    for pattern in patterns:
        if not pattern.startswith("/") and ".." not in pattern.split("/"):
            places += sorted(directory.glob(pattern))
    places += [directory / path for path in _paths(root)]
    for place in dict.fromkeys(places):
        name = place.relative_to(directory).as_posix() if place.is_relative_to(directory) else ""
        if name in ("", ".") or ".." in name.split("/") or name in out or not (place / "Cargo.toml").is_file():
            continue
        inner = text_of(reading, directory, f"{name}/Cargo.toml")
        data = toml_of(reading, inner) if inner is not None else None
        if inner is not None and data is not None:
            found.append((inner, data))
            places += [place / path for path in _paths(data)]
    return found


def _paths(manifest: dict[str, Any]) -> Iterator[str]:
    for _name, one in _tables_of(manifest):
        path = words(table(one).get("path"))
        if path:
            yield path


def _tables_of(manifest: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    targets = [table(t) for t in table(manifest.get("target")).values()]
    for section in (manifest, *targets, table(manifest.get("workspace"))):
        for kind in _KINDS:
            yield from table(section.get(kind)).items()
    for replaced in table(manifest.get("patch")).values():
        yield from table(replaced).items()


def _asked(manifest: dict[str, Any], shared: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Names of packages, ranges and paths of what a manifest asks for; those of the workspace are taken from it."""
    own = {k: v for k, v in manifest.items() if k not in ("workspace", "patch")}
    for name, said in _tables_of(own):
        one = {"version": said} if isinstance(said, str) else table(said)
        if one.get("workspace") is True:
            inherited = shared.get(name)
            one = {"version": inherited} if isinstance(inherited, str) else table(inherited)
        yield words(one.get("package")) or name, words(one.get("version")), words(one.get("path"))


def _lock(reading: Reading, lines: Lines, manifests: list[tuple[Lines, dict[str, Any]]]) -> None:
    data = toml_of(reading, lines)
    if data is None:
        return
    reading.locks.append(lines.name)
    version = data.get("version", 1)
    if version not in (1, 2, 3, 4) or isinstance(version, bool):
        reading.add("XC-SUP-102", lines.name, Certainty.UNDECIDED, version=repr(version), known="1, 2, 3, 4")
        return
    older = {k: words(v) for k, v in table(data.get("metadata")).items()}
    own = {words(table(m.get("package")).get("name")) for _l, m in manifests}
    numbers = [n for n, line in enumerate(lines.text.splitlines(), 1) if line.strip() == "[[package]]"]
    for index, one in enumerate(tables(data.get("package"))):
        where = f"{lines.name}:{numbers[index]}" if index < len(numbers) else lines.name
        reading.entries.append(_entry(reading, where, one, older, own))
    _covers(reading, lines, manifests)


def _entry(reading: Reading, where: str, one: dict[str, Any], older: dict[str, str], own: set[str]) -> Locked:
    name, version, source = words(one.get("name")), words(one.get("version")), words(one.get("source"))
    if not source and not own:
        detail = _("there is no Cargo.toml that says whether it is a part of the product")
        reading.add("XC-SUP-160", where, Certainty.UNDECIDED, module=f"{name}@{version}", detail=detail)
    if not source:
        origin = Origin.OWN if name in own or not own else Origin.PATH
        return Locked(CARGO, name, version, where, (), origin, "" if origin is Origin.OWN else "..")
    if source.startswith("git+"):
        return Locked(CARGO, name, version, where, (), Origin.GIT, source)
    text = words(one.get("checksum")) or older.get(f"checksum {name} {version} ({source})", "")
    made = digest("sha256", text)
    if text and made is None:
        reading.add("XC-SUP-101", where, detail=_("{text} is no hash", text=verbatim(repr(text))))
    return Locked(
        CARGO, name, version, where, (LockedFile((made,) if made else ()),), Origin.REGISTRY, _address(source)
    )


def _address(source: str) -> str:
    """The address of a source of Cargo: ``registry+https://...``, ``sparse+https://...``."""
    return re.sub(r"^((registry|sparse)\+)+", "", source)


def _covers(reading: Reading, lines: Lines, manifests: list[tuple[Lines, dict[str, Any]]]) -> None:
    found: dict[str, list[Locked]] = {}
    for entry in reading.entries:
        found.setdefault(entry.name, []).append(entry)
    shared = table(table(manifests[0][1].get("workspace")).get("dependencies")) if manifests else {}
    for manifest, data in manifests:
        for name, asked, path in _asked(data, shared):
            where = manifest.of(name, f"{name} ", f"{name}.workspace")
            mine = found.get(name, [])
            if not mine:
                detail = _("the lock does not have it")
                reading.add("XC-SUP-103", where, lock=lines.name, module=name, detail=detail)
            elif asked and not path and all(_fits(e, asked) is False for e in mine):
                detail = _("the lock has {version}", version=verbatim(mine[0].version))
                reading.add("XC-SUP-103", where, lock=lines.name, module=f"{name} {asked}", detail=detail)


def _fits(entry: Locked, asked: str) -> bool | None:
    if entry.origin is not Origin.REGISTRY:
        return None
    parts = [p.strip() for p in asked.split(",")]
    return satisfies(entry.version, " ".join(f"^{p}" if p[:1].isdigit() else p for p in parts))


def _settings(reading: Reading, directory: Path) -> None:
    for name in _CONFIG:
        lines = text_of(reading, directory, name)
        data = toml_of(reading, lines) if lines is not None else None
        if lines is not None and data is not None:
            _patches(reading, lines, data)
        for key, said in table((data or {}).get("source")).items():
            one = table(said)
            url = words(one.get("registry"))
            if url and reading.trusts(_address(url)) is not True:
                # Cargo takes from a replacement only what has the checksums of the lock (Cargo book, source replacement).
                detail = verbatim(f"source.{key}.registry = {url}")
                reading.add("XC-SUP-145", f"{name}", Certainty.NOTE, detail=detail, host=url)


def vendored(directory: Path) -> list[str]:
    """The directories that crates are vendored in: those that the settings name, and vendor/."""
    found = ["vendor"]
    probe = Reading(CARGO)
    for name in _CONFIG:
        lines = text_of(probe, directory, name)
        data = toml_of(probe, lines) if lines is not None else None
        found += [words(table(s).get("directory")) for s in table((data or {}).get("source")).values()]
    inside = [f for f in dict.fromkeys(found) if f and not f.startswith("/") and ".." not in f.split("/")]
    return [f for f in inside if (directory / f).is_dir()]
