"""What PyPI published: the simple index in JSON (PEP 691), asked or in a directory, and directories of archives."""

from __future__ import annotations

import email.parser
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.archives import FAULTS
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.locked import Locked, digest, digests_of
from pytest_xinchuang.packages.supply_chain.registries import (
    Published,
    PublishedFile,
    Registries,
    Standing,
    first,
    parsed,
    worst,
)
from pytest_xinchuang.packages.supply_chain.textfiles import table, tables, words

_JSON = "application/vnd.pypi.simple.v1+json"


def version_of(filename: str, name: str) -> Version | None:
    """The version that an archive is of, by its name; None: it is none of this project."""
    try:
        if filename.endswith(".whl"):
            its, version, _build, _tags = parse_wheel_filename(filename)
        else:
            its, version = parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        stem = re.sub(r"\.(tar\.(gz|bz2|xz)|tgz|zip|egg)$", "", filename)
        head, _dash, tail = stem.rpartition("-")
        try:
            its, version = canonicalize_name(head), Version(tail)
        except InvalidVersion:
            return None
    return version if its == canonicalize_name(name) else None


def published(entry: Locked, registries: Registries) -> Published | Gone:
    """What was published under a name and version."""
    gone: list[Gone] = []
    name = canonicalize_name(entry.name)
    try:
        version = Version(entry.version)
    except InvalidVersion:
        return Gone(_("{version} is no version of PEP 440", version=verbatim(repr(entry.version))), True)
    if found := first((_in_directory(place, name, version) for place in registries.directories("pypi")), gone):
        return found
    urls = registries.urls("pypi", gone)
    return first((_asked(registries, url, name, version) for url in urls), gone) or worst(gone, urls)


def _asked(registries: Registries, url: str, name: str, version: Version) -> Published | Gone:
    data = registries.json(f"{url}/{name}/", _JSON)
    return data if isinstance(data, Gone) else _of_index(table(data), name, version, None)


def _in_directory(place: Path, name: str, version: Version) -> Published | Gone:
    """From the pages of a mirror (bandersnatch's simple/NAME), or from archives, beside each other or by project."""
    archives = {p.name: p for p in _archives(place, name) if version_of(p.name, name) == version}
    for page in ("index.json", "index.v1_json"):
        for folder in (place / "simple" / name, place / name):
            if (folder / page).is_file():
                data = parsed((folder / page).read_bytes(), folder / page)
                return data if isinstance(data, Gone) else _of_index(table(data), name, version, archives)
    if archives:
        files = tuple(
            PublishedFile(n, tuple(digests_of(p, ("md5", "sha1", "sha256", "sha384", "sha512")).values()), p)
            for n, p in sorted(archives.items())
        )
        return Published(files, Standing.PUBLISHED, complete=False)
    return Gone(
        _("{module} is not at {places}", module=verbatim(f"{name} {version}"), places=verbatim(str(place))), False
    )


def _archives(place: Path, name: str) -> Iterator[Path]:
    for folder in (place, place / name, place / "simple" / name, place / "packages"):
        if folder.is_dir():
            yield from (
                p for p in folder.iterdir() if p.is_file() and p.suffix in (".whl", ".gz", ".zip", ".bz2", ".xz")
            )


def _of_index(data: dict[str, Any], name: str, version: Version, archives: dict[str, Path] | None) -> Published | Gone:
    files = []
    yanked = []
    for one in tables(data.get("files")):
        filename = words(one.get("filename"))
        if version_of(filename, name) != version:
            continue
        digests = tuple(
            made for algorithm, digits in table(one.get("hashes")).items() if (made := digest(algorithm, words(digits)))
        )
        files.append(PublishedFile(filename, digests, (archives or {}).get(filename), words(one.get("url"))))
        yanked.append(bool(one.get("yanked")))
    if not files:
        return Gone(_("the registry has no {module}", module=verbatim(f"{name}@{version}")), True)
    if not any(f.digests for f in files):
        return Gone(_("the registry gives {module} no digest", module=verbatim(f"{name}@{version}")), False)
    return Published(tuple(files), Standing.PUBLISHED, withdrawn=all(yanked))


def licence(artifact: Path) -> str:
    """The licence in the metadata of a wheel: an SPDX expression (PEP 639), else what it says."""
    try:
        with zipfile.ZipFile(artifact) as archive:
            name = next((n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)), "")
            text = archive.read(name)[: 1 << 20].decode("utf-8", "replace") if name else ""
    except FAULTS:
        return ""
    said = email.parser.HeaderParser().parsestr(text)
    return str(said.get("License-Expression") or said.get("License") or "").strip().partition("\n")[0]
