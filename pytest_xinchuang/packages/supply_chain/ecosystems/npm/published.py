"""What the npm registry published: its documents of packages, asked, in a directory, or in npm's cache."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import Any

from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.cacache import Cacache, npm_cache, sri
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.signatures import signed
from pytest_xinchuang.packages.supply_chain.golang.proxy import Gone
from pytest_xinchuang.packages.supply_chain.locked import Digest, Locked, digest, digests_of, integrity
from pytest_xinchuang.packages.supply_chain.registries import (
    Published,
    PublishedFile,
    Registries,
    Signed,
    Standing,
    first,
    parsed,
    worst,
)
from pytest_xinchuang.packages.supply_chain.textfiles import table, words
from pytest_xinchuang.tools import defaults

SCRIPTS = ("preinstall", "install", "postinstall")
"""Scripts that npm runs when a package of the registry is installed (npm, scripts, life cycle operation order)."""


def published(entry: Locked, registries: Registries) -> Published | Gone:
    """What was published under a name and version."""
    gone: list[Gone] = []
    places = registries.directories("npm")
    if found := first((_in_directory(entry, place) for place in places), gone):
        return found
    urls = registries.urls("npm", gone)
    own = Cacache(npm_cache())
    caches = [*(cache for place in places if (cache := Cacache(place))), own]
    if found := first((_asked(entry, registries, url, caches) for url in urls), gone):
        return found
    if not registries.named("npm"):
        cached = _in_cache(entry, own, Standing.CACHED)
        if isinstance(cached, Published):
            return cached
        held = [p for d in entry.digests if (p := own.content(d)) is not None]
        if held and not any(one.certain for one in gone):
            return Published((PublishedFile("", entry.digests, held[0]),), Standing.CACHED)
    return worst(gone, urls)


def _asked(entry: Locked, registries: Registries, url: str, caches: list[Cacache]) -> Published | Gone:
    data = registries.json(f"{url}/{urllib.parse.quote(entry.name, safe='@')}")
    return data if isinstance(data, Gone) else _version(entry, table(data), Standing.PUBLISHED, caches)


def _in_directory(entry: Locked, place: Path) -> Published | Gone:
    """From npm's cache, the storage of a Verdaccio (NAME/package.json), or archives as ``npm pack`` names them."""
    if cache := Cacache(place):
        return _in_cache(entry, cache, Standing.PUBLISHED)
    document = place / entry.name / "package.json"
    leaf = f"{entry.name.rpartition('/')[2]}-{entry.version}.tgz"
    if document.is_file():
        data = parsed(document.read_bytes(), document)
        if isinstance(data, Gone):
            return data
        found = _version(entry, table(data), Standing.PUBLISHED, [])
        if isinstance(found, Gone):
            return found
        held = document.parent / leaf
        files = tuple(PublishedFile(f.name, f.digests, held if held.is_file() else None, f.url) for f in found.files)
        return Published(files, found.standing, found.licence, found.scripts, found.withdrawn, found.notes)
    flat = f"{entry.name.removeprefix('@').replace('/', '-')}-{entry.version}.tgz"
    for path in (place / flat, place / entry.name / leaf, place / entry.name / "-" / leaf):
        if path.is_file():
            mine = digests_of(path, ("sha1", "sha256", "sha384", "sha512"))
            return Published((PublishedFile("", tuple(mine.values()), path),), Standing.PUBLISHED)
    return Gone(_("{module} is not at {places}", module=verbatim(str(entry)), places=verbatim(str(place))), False)


def _in_cache(entry: Locked, cache: Cacache, standing: Standing) -> Published | Gone:
    usual = defaults.default("npm")
    if isinstance(usual, Message):
        return Gone(usual, False)
    path = cache.answer(f"{usual.url}/{entry.name.replace('/', '%2f')}") or cache.answer(f"{usual.url}/{entry.name}")
    leaf = f"{entry.name.rpartition('/')[2]}-{entry.version}.tgz"
    archive = cache.answer(f"{usual.url}/{entry.name}/-/{leaf}")
    if path is None and archive is not None:  # `npm ci` asks for the archives alone
        mine = digests_of(archive, ("sha1", "sha256", "sha384", "sha512"))
        return Published((PublishedFile("", tuple(mine.values()), archive),), standing)
    if path is None:
        return Gone(
            _("{module} is not in {cache}", module=verbatim(str(entry)), cache=verbatim(str(cache.root))), False
        )
    data = parsed(path.read_bytes(), path)
    if isinstance(data, Gone):
        return data
    found = _version(entry, table(data), standing, [cache])
    # A document of a cache may be older than a version that it does not have.
    return Gone(found.why, False) if isinstance(found, Gone) else found


def _version(entry: Locked, document: dict[str, Any], standing: Standing, caches: list[Cacache]) -> Published | Gone:
    versions = table(document.get("versions"))
    if entry.version not in versions:
        return Gone(_("the registry has no {module}", module=verbatim(str(entry))), True)
    one = table(versions[entry.version])
    dist = table(one.get("dist"))
    digests = integrity(words(dist.get("integrity"))) or ()
    old = digest("sha1", words(dist.get("shasum")))
    digests = (*digests, *([old] if old else []))
    if not digests:
        return Gone(_("the registry gives {module} no digest", module=verbatim(str(entry))), False)
    notes: list[tuple[str, Message]] = []
    if dist.get("signatures"):
        strong = next((sri(d) for d in digests if d.algorithm == "sha512"), "")
        verdict, why = signed(f"{entry.name}@{entry.version}:{strong}", dist["signatures"])
        if verdict is Signed.BAD:
            return Gone(why, False)
        if verdict is Signed.GOOD and standing is Standing.CACHED:
            standing = Standing.SIGNED
        elif verdict is Signed.UNKNOWN:
            notes.append(("XC-SUP-151", why))
    scripts = table(one.get("scripts"))
    runs = one.get("hasInstallScript") is True or any(name in scripts for name in SCRIPTS) or one.get("gypfile") is True
    licence = one.get("license")
    return Published(
        (PublishedFile("", digests, _held(digests, caches), words(dist.get("tarball"))),),
        standing,
        words(licence) or words(table(licence).get("type")),
        runs if "scripts" in one or "hasInstallScript" in one or runs else None,
        notes=tuple(notes),
    )


def _held(digests: tuple[Digest, ...], caches: list[Cacache]) -> Path | None:
    return next((p for cache in caches for d in digests if (p := cache.content(d)) is not None), None)
