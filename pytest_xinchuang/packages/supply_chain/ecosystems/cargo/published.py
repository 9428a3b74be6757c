"""What Cargo's registry published: its index, asked, in a directory, in Cargo's home; crates (Cargo book, "Index Format")."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystems.cargo.locks import cargo_home
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.locked import Digest, Locked, digest, digests_of
from pytest_xinchuang.packages.supply_chain.registries import (
    Published,
    PublishedFile,
    Registries,
    Standing,
    first,
    worst,
)
from pytest_xinchuang.packages.supply_chain.textfiles import table, words


def index_path(name: str, *, lower: bool = True) -> str:
    """Where the index has a name (Cargo book, "Index files")."""
    small = name.lower() if lower else name
    if len(small) < 3:
        return f"{len(small)}/{small}"
    return f"3/{small[0]}/{small}" if len(small) == 3 else f"{small[:2]}/{small[2:4]}/{small}"


def published(entry: Locked, registries: Registries) -> Published | Gone:
    """What was published under a name and version."""
    gone: list[Gone] = []
    places = registries.directories("cargo")
    if found := first((_in_directory(entry, place, Standing.PUBLISHED) for place in places), gone):
        return found
    urls = registries.urls("cargo", gone)
    if found := first((_asked(entry, registries, url, [*places, cargo_home()]) for url in urls), gone):
        return found
    if not registries.named("cargo"):
        cached = _in_directory(entry, cargo_home(), Standing.CACHED)
        if isinstance(cached, Published):
            return cached
    return worst(gone, urls)


def _asked(entry: Locked, registries: Registries, url: str, kept: list[Path]) -> Published | Gone:
    data = registries.get(f"{url}/{urllib.parse.quote(index_path(entry.name))}")
    if isinstance(data, Gone):
        return data
    crate = next((p for place in kept for p in _crates(place, entry)), None)
    return _of_index(entry, data.splitlines(), Standing.PUBLISHED, crate, _files(registries, url))


def _files(registries: Registries, url: str) -> str:
    """Where an index says that its crates are, as a template (Cargo book, "Index Configuration", dl)."""
    said = registries.once(f"{url}/config.json")
    files = words(table(said).get("dl")) if not isinstance(said, Gone) else ""
    if not files:
        return f"{url}/crates/{{crate}}/{{crate}}-{{version}}.crate"
    return files if "{" in files else f"{files.rstrip('/')}/{{crate}}/{{version}}/download"


def _in_directory(entry: Locked, place: Path, standing: Standing) -> Published | Gone:
    """From an index (sparse, of a local registry, or in Cargo's home), else from a crate alone."""
    crate = next(iter(_crates(place, entry)), None)
    for path in _index_files(place, entry.name):
        found = _of_index(entry, path.read_bytes().replace(b"\0", b"\n").splitlines(), standing, crate, "")
        if isinstance(found, Gone) and ".cache" in path.parts:
            found = Gone(found.why, False)
        return found
    if crate is not None:
        mine = digests_of(crate, ("sha256",))
        return Published((PublishedFile("", tuple(mine.values()), crate),), standing)
    return Gone(_("{module} is not at {places}", module=verbatim(str(entry)), places=verbatim(str(place))), False)


def _index_files(place: Path, name: str) -> Iterator[Path]:
    inner = index_path(name)
    for base in (place, place / "index", *sorted(place.glob("registry/index/*/.cache"))):
        if (base / inner).is_file():
            yield base / inner


def _crates(place: Path, entry: Locked) -> Iterator[Path]:
    leaf = f"{entry.name}-{entry.version}.crate"
    for base in (place, place / "crates", place / "crates" / entry.name, *sorted(place.glob("registry/cache/*"))):
        if (base / leaf).is_file():
            yield base / leaf


def _filled(template: str, entry: Locked, checksum: Digest) -> str:
    prefix = index_path(entry.name).rpartition("/")[0]
    for marker, text in (
        ("crate", entry.name),
        ("version", entry.version),
        ("prefix", index_path(entry.name, lower=False).rpartition("/")[0]),
        ("lowerprefix", prefix),
        ("sha256-checksum", checksum.hex),
    ):
        template = template.replace(f"{{{marker}}}", urllib.parse.quote(text))
    return template


def _of_index(
    entry: Locked, lines: list[bytes], standing: Standing, crate: Path | None, files: str
) -> Published | Gone:
    for line in lines:
        if not line.startswith(b"{"):
            continue
        try:
            one: dict[str, Any] = table(json.loads(line))
        except (ValueError, RecursionError):
            continue
        if words(one.get("name")) != entry.name or words(one.get("vers")) != entry.version:
            continue
        made = digest("sha256", words(one.get("cksum")))
        if made is None:
            return Gone(_("the registry gives {module} no digest", module=verbatim(str(entry))), False)
        url = _filled(files, entry, made)
        return Published((PublishedFile("", (made,), crate, url),), standing, withdrawn=one.get("yanked") is True)
    return Gone(_("the registry has no {module}", module=verbatim(str(entry))), True)
