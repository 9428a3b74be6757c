"""What a Maven repository published: artifacts with their checksums beside them (Maven, repository layout)."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pytest_xinchuang.advise.xml import Element, read_xml
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystems.maven.signatures import signed
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.locked import Digest, Locked, digest, digests_of
from pytest_xinchuang.packages.supply_chain.registries import (
    Published,
    PublishedFile,
    Registries,
    Signed,
    Standing,
    first,
    worst,
)

SUFFIXES = ("sha512", "sha256", "sha1", "md5")
"""Checksums beside an artifact, strongest first; Central has always the last two."""
_MOST_RELOCATIONS = 32
_PLAIN = re.compile(r"[\w.-]+:[\w.-]+:[\w.+-]+", re.ASCII)
"""Coordinates that may be a part of a path (Maven, POM reference: what identifiers and versions are made of)."""


def local_repository() -> Path:
    """The repository of the user who runs this (Maven, settings, localRepository)."""
    return Path.home() / ".m2" / "repository"


def folder_of(entry: Locked) -> str:
    """The directory of a package's version below a repository."""
    group, _colon, artifact = entry.name.partition(":")
    return f"{group.replace('.', '/')}/{artifact}/{entry.version}"


def names_of(entry: Locked) -> list[str]:
    """The files that a lock admits; where it names none, the jar."""
    named = [f.name for f in entry.files if f.name]
    return named or [f"{entry.name.partition(':')[2]}-{entry.version}.jar"]


def _sidecar(text: str, algorithm: str) -> Digest | None:
    """The digest in a checksum file, before or behind the name of the file."""
    return next((made for word in text.split() if (made := digest(algorithm, word)) is not None), None)


def published(entry: Locked, registries: Registries) -> Published | Gone:
    """What was published under a name and version, with what the publisher's signatures say where keys were given."""
    found = _published(entry, registries)
    keys = registries.keys("maven", entry.name)
    if isinstance(found, Gone) or not keys:
        return found
    verdicts = [_signature(one, registries, keys) for one in found.files]
    worst_of = next((v for rank in (Signed.BAD, Signed.UNKNOWN, Signed.GOOD) for v in verdicts if v[0] is rank), None)
    vouched = worst_of is not None and worst_of[0] is Signed.GOOD and found.complete
    standing = Standing.SIGNED if vouched and found.standing is Standing.CACHED else found.standing
    return replace(found, signature=worst_of, standing=standing)


def _signature(file: PublishedFile, registries: Registries, keys: list[bytes]) -> tuple[Signed, Message]:
    """What the signature says that was published beside a file."""
    data = file.path or (registries.artifact(file.url) if file.url else None)
    if not isinstance(data, Path):
        return Signed.UNKNOWN, data.why if data is not None else _("no file of it is here")
    beside = file.path.with_name(f"{file.path.name}.asc") if file.path is not None else None
    if beside is not None and beside.is_file():
        return signed(data, beside.read_bytes(), keys)
    answer = registries.get(f"{file.url}.asc") if file.url else None
    if isinstance(answer, bytes):
        return signed(data, answer, keys)
    detail = _("no signature of {file} was published", file=verbatim(file.name))
    return Signed.UNKNOWN, answer.why if answer is not None and not answer.certain else detail


def _published(entry: Locked, registries: Registries) -> Published | Gone:
    gone: list[Gone] = []
    places = registries.directories("maven")
    if found := first((_in_directory(entry, place, Standing.PUBLISHED) for place in places), gone):
        return found
    urls = registries.urls("maven", gone)
    if found := first((_asked(entry, registries, url, [*places, local_repository()]) for url in urls), gone):
        return found
    if not registries.named("maven"):
        cached = _in_directory(entry, local_repository(), Standing.CACHED)
        if isinstance(cached, Published):
            return cached
    return worst(gone, urls)


def relocated(name: str, version: str, registries: Registries) -> Iterator[str | Gone]:
    """Where the published pom of GROUP:ARTIFACT says that it is now, and so on (Maven, POM reference, relocation).

    A pom that cannot be had is among them.

    Args:
        version: "" where the product does not fix it: every version that a directory has is looked at.
    """
    found: set[str] = set()
    waiting = [(name, version)]
    while waiting and len(found) < _MOST_RELOCATIONS:
        asked = waiting.pop()
        poms = _poms(*asked, registries)
        if isinstance(poms, Gone):
            yield poms
            continue
        for tree in poms:
            management = tree.child("distributionManagement")
            moved = management.child("relocation") if management is not None else None
            if moved is None:
                continue
            group, _colon, artifact = asked[0].partition(":")
            target = f"{moved.said('groupId') or group}:{moved.said('artifactId') or artifact}"
            if target not in found:
                found.add(target)
                yield target
                waiting.append((target, moved.said("version") or asked[1]))


def _poms(name: str, version: str, registries: Registries) -> list[Element] | Gone:
    """The published poms of a package: of a version, or of all that are in a directory."""
    group, _colon, artifact = name.partition(":")
    folder = f"{group.replace('.', '/')}/{artifact}"
    pattern = f"{glob.escape(version) or '*'}/{glob.escape(artifact)}-*.pom"
    if not _PLAIN.fullmatch(f"{name}:{version or 0}"):
        return Gone(_("{module} is no name of a package", module=verbatim(f"{name}:{version}")), False)
    texts = [path.read_bytes() for place in registries.directories("maven") for path in (place / folder).glob(pattern)]
    gone: list[Gone] = []
    if not texts and version:
        for url in registries.urls("maven", gone):
            answer = registries.get(f"{url}/{folder}/{version}/{artifact}-{version}.pom")
            if isinstance(answer, Gone):
                gone.append(answer)
            else:
                texts.append(answer)
                break
    if not texts:
        return gone[0] if gone else Gone(_("no pom of {module} is here", module=verbatim(name)), False)
    found = []
    for data in texts:
        try:
            found.append(read_xml(data.decode("utf-8", "replace")))
        except ValueError as error:
            return Gone(_("the pom of {module} cannot be read: {why}", module=verbatim(name), why=told(error)), False)
    return found


def _in_directory(entry: Locked, place: Path, standing: Standing) -> Published | Gone:
    folder = place / folder_of(entry)
    files = []
    for name in names_of(entry):
        path = folder / name
        if not path.is_file():
            continue
        digests = []
        for suffix in SUFFIXES:
            beside = folder / f"{name}.{suffix}"
            if beside.is_file():
                made = _sidecar(beside.read_text(encoding="utf-8", errors="replace"), suffix)
                if made is not None:
                    digests.append(made)
        if not digests:
            digests = list(digests_of(path, ("sha1", "sha256", "sha512")).values())
        files.append(PublishedFile(name, tuple(digests), path))
    if not files:
        return Gone(_("{module} is not at {places}", module=verbatim(str(entry)), places=verbatim(str(place))), False)
    return Published(tuple(files), standing, complete=len(files) == len(names_of(entry)))


def _asked(entry: Locked, registries: Registries, url: str, kept: list[Path]) -> Published | Gone:
    files = []
    last = Gone(_("the registry has no {module}", module=verbatim(str(entry))), False)
    for name in names_of(entry):
        address = f"{url}/{folder_of(entry)}/{name}"
        digests = []
        for suffix in SUFFIXES:
            answer = registries.get(f"{address}.{suffix}")
            if isinstance(answer, Gone):
                last = answer
                if not answer.certain:
                    return answer
                continue
            made = _sidecar(answer.decode("utf-8", "replace"), suffix)
            if made is not None:
                digests.append(made)
            if suffix == "sha1" and digests:
                break
        if digests:
            here = next((p for k in kept if (p := k / folder_of(entry) / name).is_file()), None)
            files.append(PublishedFile(name, tuple(digests), here, address))
    return Published(tuple(files), Standing.PUBLISHED) if files else last
