"""What pins Maven's packages: trusted checksums of Maven, lockfile.json of the lockfile plugin, Gradle's locks and metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_xinchuang.advise.xml import read_xml
from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystems.maven.poms import MAVEN
from pytest_xinchuang.packages.supply_chain.locked import Digest, Lines, Locked, LockedFile, Reading, digest
from pytest_xinchuang.packages.supply_chain.textfiles import json_of, tables, text_of, words

GRADLE_LOCK = "gradle.lockfile"
GRADLE_METADATA = "gradle/verification-metadata.xml"
LOCKFILE = "lockfile.json"
CHECKSUMS = ".mvn/checksums"

_PATH = re.compile(r"(?P<group>.+)/(?P<artifact>[^/]+)/(?P<version>[^/]+)/(?P<file>[^/]+)")


def entry_of_path(path: str, where: str, digests: tuple[Digest, ...]) -> Locked | None:
    """An entry by the path of a repository, ``org/g/a/1.0/a-1.0.jar`` (Maven, repository layout); None: it is no such path."""
    match = _PATH.fullmatch(path.strip("/"))
    if match is None or not match["file"].startswith(f"{match['artifact']}-"):
        return None
    name = f"{match['group'].replace('/', '.')}:{match['artifact']}"
    return Locked(MAVEN, name, match["version"], where, (LockedFile(digests, match["file"]),))


def read_locks(reading: Reading, root: Path) -> None:
    """The entries of every lock that is there."""
    for path in sorted((root / CHECKSUMS).rglob("*")) if (root / CHECKSUMS).is_dir() else []:
        if path.is_file():
            _trusted(reading, root, path)
    for name, read in (
        (LOCKFILE, _lockfile),
        (GRADLE_METADATA, _metadata),
        (GRADLE_LOCK, _gradle),
    ):
        lines = text_of(reading, root, name)
        if lines is not None:
            reading.locks.append(name)
            read(reading, lines)


def _trusted(reading: Reading, root: Path, path: Path) -> None:
    """Trusted checksums: a summary of lines, or a file for each artifact (Maven Resolver, "Expected Checksums")."""
    algorithm = path.suffix.removeprefix(".")
    name = path.relative_to(root).as_posix()
    lines = text_of(reading, root, name)
    if lines is None:
        return
    reading.locks.append(name)
    if re.fullmatch(r"checksums(-[\w.-]+)?", path.stem):
        for number, line in enumerate(lines.text.splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                digits, _space, rest = line.partition(" ")
                _pinned(reading, f"{name}:{number}", algorithm, digits, rest.strip().lstrip("*"))
        return
    inner = path.relative_to(root / CHECKSUMS).with_suffix("").as_posix()
    _pinned(reading, name, algorithm, lines.text.split()[0] if lines.text.split() else "", inner)


def _pinned(reading: Reading, where: str, algorithm: str, digits: str, path: str) -> None:
    made = digest(algorithm, digits)
    entry = entry_of_path(path, where, (made,)) if made else None
    if entry is None:
        reading.add("XC-SUP-101", where, detail=_("{text} is no hash", text=verbatim(f"{digits} {path}"[:200])))
    else:
        reading.entries.append(entry)


def _lockfile(reading: Reading, lines: Lines) -> None:
    """lockfile.json of maven-lockfile (chains-project), with what each dependency depends on."""
    data = json_of(reading, lines)
    if data is None:
        return
    seen: set[tuple[object, ...]] = set()
    for one in _walk([*tables(data.get("dependencies")), *tables(data.get("mavenPlugins"))], 0):
        name = f"{words(one.get('groupId'))}:{words(one.get('artifactId'))}"
        version = words(one.get("version"))
        digits = words(one.get("checksum"))
        made = digest(words(one.get("checksumAlgorithm")), digits)
        where = lines.of(f'"checksum": "{digits}",', f'"checksum" : "{digits}",')
        if digits and made is None:
            reading.add("XC-SUP-101", where, detail=_("{text} is no hash", text=verbatim(repr(digits))))
        classifier = words(one.get("classifier"))
        leaf = f"{name.partition(':')[2]}-{version}{'-' + classifier if classifier else ''}.{words(one.get('type')) or 'jar'}"
        url = words(one.get("resolved"))
        if url:
            leaf = url.rpartition("/")[2]
        entry = Locked(MAVEN, name, version, where, (LockedFile((made,) if made else (), leaf, url),))
        key = (entry.name, entry.version, entry.files)
        if key not in seen:
            seen.add(key)
            reading.entries.append(entry)


def _walk(listed: list[dict[str, Any]], depth: int) -> Iterator[dict[str, Any]]:
    for one in listed:
        yield one
        if depth < 200:
            yield from _walk([*tables(one.get("children")), *tables(one.get("dependencies"))], depth + 1)


def _metadata(reading: Reading, lines: Lines) -> None:
    """Gradle's verification metadata (Gradle, "Verifying dependencies")."""
    try:
        tree = read_xml(lines.text)
    except ValueError as error:
        reading.add("XC-SUP-101", lines.name, detail=told(error))
        return
    for component in tree.walk():
        if component.name != "component":
            continue
        said = component.attributes
        name = f"{said.get('group', '')}:{said.get('name', '')}"
        files = []
        where = f"{lines.name}:{component.line}"
        for artifact in component.children:
            digests = []
            for one in artifact.children:
                if one.name in ("pgp",):
                    continue
                made = digest(one.name, one.attributes.get("value", ""))
                if made is None:
                    detail = _("{text} is no hash", text=verbatim(repr(one.attributes.get("value", ""))))
                    reading.add("XC-SUP-101", f"{lines.name}:{one.line}", detail=detail)
                else:
                    digests.append(made)
            if artifact.name == "artifact":
                files.append(LockedFile(tuple(digests), artifact.attributes.get("name", "")))
        reading.entries.append(Locked(MAVEN, name, said.get("version", ""), where, tuple(files)))
    for trusted in tree.walk():
        if trusted.name == "trust":
            detail = verbatim(" ".join(f"{k}={v}" for k, v in sorted(trusted.attributes.items())))
            reading.add("XC-SUP-145", f"{lines.name}:{trusted.line}", detail=detail, host="-")
        if trusted.name == "verify-metadata" and trusted.text == "false":
            detail = _("the metadata of packages are not verified")
            reading.add("XC-SUP-145", f"{lines.name}:{trusted.line}", detail=detail, host="-")


def _gradle(reading: Reading, lines: Lines) -> None:
    """gradle.lockfile: versions alone (Gradle, "Locking dependency versions"); what pins their files is the metadata."""
    pinned = {(e.name, e.version) for e in reading.entries}
    for number, line in enumerate(lines.text.splitlines(), 1):
        plain = line.strip()
        if not plain or plain.startswith(("#", "empty=")):
            continue
        match = re.fullmatch(r"([^:=\s]+:[^:=\s]+):([^:=\s]+)=(.*)", plain)
        if match is None:
            detail = _("not a locked version: {line}", line=verbatim(repr(plain[:80])))
            reading.add("XC-SUP-101", f"{lines.name}:{number}", detail=detail)
        elif (match[1], match[2]) not in pinned:
            reading.entries.append(Locked(MAVEN, match[1], match[2], f"{lines.name}:{number}", (LockedFile(()),)))
