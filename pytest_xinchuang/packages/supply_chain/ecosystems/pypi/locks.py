"""Locks of Python: poetry.lock, uv.lock, Pipfile.lock and pylock.toml (PEP 751)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.names import PYPI, leaf
from pytest_xinchuang.packages.supply_chain.ecosystems.pypi.settings import sources
from pytest_xinchuang.packages.supply_chain.locked import (
    Digest,
    Lines,
    Locked,
    LockedFile,
    Origin,
    Reading,
    digest,
)
from pytest_xinchuang.packages.supply_chain.textfiles import json_of, table, tables, toml_of, words


def _hash(reading: Reading, where: str, text: str) -> tuple[Digest, ...]:
    algorithm, _colon, digits = text.partition(":")
    one = digest(algorithm, digits)
    if one is None and text:
        reading.add("XC-SUP-101", where, detail=_("{text} is no hash", text=verbatim(repr(text))))
    return (one,) if one else ()


def _known(reading: Reading, lines: Lines, version: object, known: tuple[str, ...]) -> bool:
    """Whether a lock is of a version that is known here; the first number of it counts."""
    reading.locks.append(lines.name)
    if str(version).partition(".")[0] in known:
        return True
    reading.add("XC-SUP-102", lines.name, Certainty.UNDECIDED, version=repr(version), known=", ".join(known))
    return False


class Places:
    """The lines of a TOML lock on which its packages stand."""

    def __init__(self, lines: Lines, header: str) -> None:
        self.lines = lines
        self.numbers = [n for n, line in enumerate(lines.text.splitlines(), 1) if line.strip() == header]

    def of(self, index: int) -> str:
        return f"{self.lines.name}:{self.numbers[index]}" if index < len(self.numbers) else self.lines.name


def read_poetry(reading: Reading, lines: Lines) -> None:
    """The packages of poetry.lock."""
    data = toml_of(reading, lines)
    if data is None:
        return
    metadata = table(data.get("metadata"))
    if not _known(reading, lines, metadata.get("lock-version", "1"), ("1", "2")):
        return
    older = table(metadata.get("files"))
    places = Places(lines, "[[package]]")
    for index, one in enumerate(tables(data.get("package"))):
        where = places.of(index)
        name, version = words(one.get("name")), words(one.get("version"))
        source = table(one.get("source"))
        kind = {
            "git": Origin.GIT,
            "url": Origin.URL,
            "directory": Origin.PATH,
            "file": Origin.PATH,
        }.get(words(source.get("type")), Origin.REGISTRY)
        listed = tables(one.get("files")) or tables(older.get(name))
        files = tuple(LockedFile(_hash(reading, where, words(f.get("hash"))), words(f.get("file"))) for f in listed)
        url = words(source.get("url"))
        reading.entries.append(Locked(PYPI, name, version, where, files, kind, url, dev=one.get("category") == "dev"))


def read_uv(reading: Reading, lines: Lines) -> None:
    """The packages of uv.lock."""
    data = toml_of(reading, lines)
    if data is None or not _known(reading, lines, data.get("version"), ("1",)):
        return
    places = Places(lines, "[[package]]")
    for index, one in enumerate(tables(data.get("package"))):
        where = places.of(index)
        name, version = words(one.get("name")), words(one.get("version"))
        source = table(one.get("source"))
        kind, at = _uv_source(source)
        files = _files(reading, where, one)
        reading.entries.append(Locked(PYPI, name, version, where, files, kind, at))


def _uv_source(source: dict[str, Any]) -> tuple[Origin, str]:
    for key, kind in (
        ("registry", Origin.REGISTRY),
        ("git", Origin.GIT),
        ("url", Origin.URL),
        ("path", Origin.PATH),
        ("directory", Origin.PATH),
        ("editable", Origin.PATH),
        ("virtual", Origin.PATH),
    ):
        if key in source:
            at = words(source[key])
            own = kind is Origin.PATH and (key in ("editable", "virtual")) and not at.startswith("..")
            return (Origin.OWN if own else kind), at
    return Origin.REGISTRY, ""


def _files(reading: Reading, where: str, one: dict[str, Any]) -> tuple[LockedFile, ...]:
    """The wheels of a package, and its source archive."""
    listed = [*tables(one.get("wheels")), *([table(one["sdist"])] if isinstance(one.get("sdist"), dict) else [])]
    return tuple(_file(reading, where, f) for f in listed)


def _file(reading: Reading, where: str, one: dict[str, Any]) -> LockedFile:
    url = words(one.get("url")) or words(one.get("path"))
    name = words(one.get("filename")) or words(one.get("name")) or leaf(url)
    hashes = [f"{k}:{v}" for k, v in table(one.get("hashes")).items()] or [words(one.get("hash"))]
    digests = tuple(d for text in hashes for d in _hash(reading, where, text))
    return LockedFile(digests, name, url if "://" in url else "")


def read_pylock(reading: Reading, lines: Lines) -> None:
    """The packages of pylock.toml (PEP 751)."""
    data = toml_of(reading, lines)
    if data is None or not _known(reading, lines, data.get("lock-version"), ("1",)):
        return
    places = Places(lines, "[[packages]]")
    for index, one in enumerate(tables(data.get("packages"))):
        where = places.of(index)
        name, version = words(one.get("name")), words(one.get("version"))
        kind, source = Origin.REGISTRY, words(one.get("index"))
        if vcs := table(one.get("vcs")):
            kind, source = Origin.GIT, words(vcs.get("url")) or words(vcs.get("path"))
        elif directory := table(one.get("directory")):
            source = words(directory.get("path"))
            kind = Origin.OWN if source in (".", "") else Origin.PATH
        elif archive := table(one.get("archive")):
            kind, source = (Origin.URL if archive.get("url") else Origin.PATH), words(archive.get("url"))
        files = _files(reading, where, one)
        reading.entries.append(Locked(PYPI, name, version, where, files, kind, source))


def read_pipfile_lock(reading: Reading, lines: Lines) -> None:
    """The packages of Pipfile.lock."""
    data = json_of(reading, lines)
    if data is None or not _known(reading, lines, table(data.get("_meta")).get("pipfile-spec"), ("6",)):
        return
    sources(reading, lines, table(data.get("_meta")).get("sources"))
    for group in data:
        if group == "_meta":
            continue
        for name, said in table(data[group]).items():
            one = table(said)
            where = lines.of(f'"{name}"')
            kind, source = Origin.REGISTRY, ""
            if "git" in one:
                kind, source = Origin.GIT, words(one["git"])
            elif "path" in one or "file" in one:
                source = words(one.get("path")) or words(one.get("file"))
                kind = Origin.URL if "://" in source else Origin.PATH
            hashes = one.get("hashes")
            files = tuple(
                LockedFile(_hash(reading, where, words(text))) for text in (hashes if isinstance(hashes, list) else ())
            )
            version = words(one.get("version"))
            if kind is Origin.REGISTRY and not version.startswith("=="):
                reading.add("XC-SUP-119", where, module=f"{name}{version}")
                continue
            entry = Locked(PYPI, name, version.removeprefix("=="), where, files, kind, source, dev=group == "develop")
            reading.entries.append(entry)


def asked_of(manifest: dict[str, Any]) -> Iterator[tuple[str, SpecifierSet | None, bool]]:
    """What pyproject.toml asks for: names, ranges where they are PEP 440's, and whether it is asked always."""
    project = table(manifest.get("project"))
    listed = project.get("dependencies")
    for text in listed if isinstance(listed, list) else ():
        try:
            asked = Requirement(words(text))
        except InvalidRequirement:
            continue
        if asked.url is None:
            yield asked.name, asked.specifier, asked.marker is None
    poetry = table(table(manifest.get("tool")).get("poetry"))
    for name, said in table(poetry.get("dependencies")).items():
        if name.lower() != "python":
            one = table(said)
            always = not isinstance(said, list) and not {"optional", "python", "markers", "platform"} & set(one)
            yield name, _specifier(said if isinstance(said, str) else words(one.get("version"))), always


def asked_by_pipfile(manifest: dict[str, Any]) -> Iterator[tuple[str, SpecifierSet | None, bool]]:
    """What Pipfile asks for."""
    for group in ("packages", "dev-packages"):
        for name, said in table(manifest.get(group)).items():
            one = table(said)
            text = said if isinstance(said, str) else words(one.get("version"))
            yield name, _specifier("" if text == "*" else text), not {"markers", "sys_platform", "os_name"} & set(one)


def _specifier(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None  # Poetry's own carets and tildes


def covers(
    reading: Reading,
    manifest: Lines,
    lock: str,
    entries: list[Locked],
    asked: Iterator[tuple[str, SpecifierSet | None, bool]],
) -> None:
    """Tell what a manifest asks for and a lock does not have."""
    found: dict[str, list[Locked]] = {}
    for entry in entries:
        found.setdefault(canonicalize_name(entry.name), []).append(entry)
    for name, specifier, always in asked:
        where = manifest.of(name, f'"{name}')
        mine = found.get(canonicalize_name(name))
        if mine is None:
            if always:
                reading.add("XC-SUP-103", where, lock=lock, module=name, detail=_("the lock does not have it"))
            continue
        fits = [
            e for e in mine if e.origin is not Origin.REGISTRY or specifier is None or _within(specifier, e.version)
        ]
        if not fits:
            detail = _("the lock has {version}", version=verbatim(mine[0].version))
            reading.add("XC-SUP-103", where, lock=lock, module=f"{name}{specifier}", detail=detail)


def _within(specifier: SpecifierSet, version: str) -> bool:
    try:
        return specifier.contains(version, prereleases=True)
    except InvalidVersion:
        return True
