"""Locks of npm: package-lock.json and npm-shrinkwrap.json in their versions 1 to 3 (npm, package-lock.json)."""

from __future__ import annotations

import json
import posixpath
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.ecosystems.npm.ranges import satisfies
from pytest_xinchuang.packages.supply_chain.locked import Digest, Lines, Locked, LockedFile, Origin, Reading, integrity
from pytest_xinchuang.packages.supply_chain.textfiles import json_of, table, text_of, words

NPM = "npm"
VERSIONS = (1, 2, 3)

KINDS = ("dependencies", "devDependencies", "optionalDependencies")


class Manifest:
    """package.json: what it asks for by name.

    Attributes:
        asked: name -> range.
        optional: names that an install may leave out.
        renamed: packages that it gives other names, in dependencies, overrides or resolutions.
    """

    def __init__(self, data: dict[str, Any], lines: Lines) -> None:
        self.data, self.lines = data, lines
        self.asked = {name: words(spec) for kind in KINDS for name, spec in table(data.get(kind)).items()}
        self.optional = set(table(data.get("optionalDependencies")))
        self.renamed = set(re.findall(r'"npm:((?:@[^/"]+/)?[^@"]+)', json.dumps(data)))


def of_source(text: str, name: str) -> tuple[Origin, str]:
    """Where a package comes from, by the version or URL that a lock gives."""
    if text.startswith("npm:"):
        return Origin.REGISTRY, ""
    if re.match(r"(git\+|git:|github:|gitlab:|bitbucket:|gist:|git@)", text) or re.search(r"\.git(#|$)", text):
        return Origin.GIT, text
    if text.startswith(("file:", "link:", "workspace:", "portal:")):
        return Origin.PATH, text.partition(":")[2]
    if re.match(r"https?:", text):
        path = urllib.parse.unquote(urllib.parse.urlsplit(text).path)
        known = f"/{name}/-/" in path or re.search(r"/-/[^/]+\.tgz$", path)
        return (Origin.REGISTRY if known else Origin.URL), text
    if re.match(r"[\w.-]+/[\w.-]+(#|$)", text):
        return Origin.GIT, text
    return Origin.REGISTRY, ""


def read_package_lock(reading: Reading, lines: Lines, manifest: Manifest | None) -> None:
    """The packages of package-lock.json or npm-shrinkwrap.json."""
    data = json_of(reading, lines)
    if data is None:
        return
    reading.locks.append(lines.name)
    version = data.get("lockfileVersion", 1)
    if version not in VERSIONS or isinstance(version, bool):
        reading.add("XC-SUP-102", lines.name, Certainty.UNDECIDED, version=repr(version), known="1, 2, 3")
        return
    found = [] if version == 1 else list(_packages(reading, lines, table(data.get("packages"))))
    known = {(e.name, e.version, e.digests) for e in found}
    # npm 6 reads the older section of a lock of version 2, and npm 7 the newer one.
    for entry in _dependencies(reading, lines, table(data.get("dependencies")), ""):
        if version == 1 or (
            entry.origin is Origin.REGISTRY and (entry.name, entry.version, entry.digests) not in known
        ):
            found.append(entry)
    reading.entries += found
    _renamed(reading, lines, table(data.get("packages")), manifest)
    if manifest is not None:
        root = table(table(data.get("packages")).get("")) if version != 1 else None
        _covers(reading, lines, manifest, root, {e.tree: e for e in found if e.tree})


def _packages(reading: Reading, lines: Lines, packages: dict[str, Any]) -> Iterator[Locked]:
    for place, said in packages.items():
        one = table(said)
        if not place:
            continue
        where = lines.of(f'"{place}"')
        inside = place.rpartition("node_modules/")
        if ".." in place.split("/") and inside[1] and place.startswith("node_modules/"):
            reading.add("XC-SUP-101", where, detail=_("{place} leads out of the product", place=verbatim(place)))
            continue
        if one.get("link") is True:
            target = words(one.get("resolved"))
            if target not in packages:  # what it leads to has an entry of its own
                yield Locked(NPM, place.rpartition("node_modules/")[2], "", where, (), Origin.PATH, target or "..")
            continue
        if not inside[1]:
            outside = posixpath.normpath(place).startswith(("..", "/"))
            origin = Origin.PATH if outside else Origin.OWN
            yield Locked(NPM, words(one.get("name")) or place, words(one.get("version")), where, (), origin, place)
            continue
        installed = inside[2]
        name = words(one.get("name")) or installed
        if name != installed:
            reading.add("XC-SUP-114", where, Certainty.NOTE, alias=installed, module=name)
        if one.get("inBundle") is True and not _within_a_bundle(place, packages):
            one = {**one, "inBundle": False}
        yield _entry(reading, where, name, installed, one, place, one.get("hasInstallScript") is True)


def _within_a_bundle(place: str, packages: dict[str, Any]) -> bool:
    """Whether a package above says that it brings others along: what lies below it has no integrity of its own."""
    above = place
    while "/node_modules/" in above:
        above = above.rpartition("/node_modules/")[0]
        if table(packages.get(above)).get("bundleDependencies"):
            return True
    return False


def _entry(
    reading: Reading, where: str, name: str, installed: str, one: dict[str, Any], place: str, scripts: bool | None
) -> Locked:
    version, resolved = words(one.get("version")), words(one.get("resolved"))
    origin, source = of_source(resolved, name) if resolved else of_source(version, name)
    if version.startswith("npm:"):
        name, _at, version = version.removeprefix("npm:").rpartition("@")
        reading.add("XC-SUP-114", where, Certainty.NOTE, alias=installed, module=name)
        origin, source = of_source(resolved, name) if resolved else (Origin.REGISTRY, "")
    if one.get("inBundle") is True or one.get("bundled") is True:
        origin = Origin.BUNDLED
    digests = integrity(words(one.get("integrity")))
    if digests is None:
        reading.add("XC-SUP-101", where, detail=_("{text} is no integrity of SRI", text=words(one.get("integrity"))))
        digests = ()
    if origin is Origin.REGISTRY and source:
        told_url(reading, where, name, version, source)
    return Locked(
        NPM,
        name,
        version,
        where,
        (LockedFile(digests, "", source),) if origin is Origin.REGISTRY else (),
        origin,
        source,
        place,
        scripts,
        one.get("dev") is True,
    )


def told_url(reading: Reading, where: str, name: str, version: str, url: str) -> None:
    """What is wrong with the address that a lock gives for a package of the registry."""
    path = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
    leaf = f"{name.rpartition('/')[2]}-{version}.tgz"
    if f"/{name}/" not in path or path.rpartition("/")[2] != leaf:
        reading.add("XC-SUP-115", where, module=f"{name}@{version}", url=url)


def _dependencies(reading: Reading, lines: Lines, found: dict[str, Any], above: str) -> Iterator[Locked]:
    for name, said in found.items():
        one = table(said)
        if not above and one.get("bundled") is True:
            one = {**one, "bundled": False}  # nothing is above that could bring it along
        place = f"{above}node_modules/{name}"
        yield _entry(reading, lines.of(f'"{name}"'), name, name, one, place, None)
        yield from _dependencies(reading, lines, table(one.get("dependencies")), place + "/")


def _covers(
    reading: Reading, lines: Lines, manifest: Manifest, root: dict[str, Any] | None, found: dict[str, Locked]
) -> None:
    said = {n: words(s) for kind in KINDS for n, s in table((root or {}).get(kind)).items()}
    for name, spec in manifest.asked.items():
        where = manifest.lines.of(f'"{name}"')
        if root is not None and said.get(name) != spec:
            detail = _("the lock was made for {found}", found=verbatim(repr(said.get(name, ""))))
            reading.add("XC-SUP-103", where, lock=lines.name, module=f"{name}@{spec}", detail=detail)
            continue
        entry = found.get(f"node_modules/{name}")
        if entry is None:
            if name not in manifest.optional and not _linked(root, spec):
                missing(reading, where, lines.name, f"{name}@{spec}")
            continue
        fits(reading, where, lines.name, (name, spec), entry, manifest)
    for name in set(said) - set(manifest.asked):
        detail = _("the lock was made for {found}", found=verbatim(f"{name}@{said[name]}"))
        reading.add("XC-SUP-103", lines.of(f'"{name}"'), lock=lines.name, module=name, detail=detail)


def _linked(root: dict[str, Any] | None, spec: str) -> bool:
    """Whether it may be a member of the workspace, which is laid out as a link."""
    return spec.startswith(("file:", "link:", "workspace:")) or bool((root or {}).get("workspaces"))


def missing(reading: Reading, where: str, lock: str, what: str) -> None:
    """A lock without what the manifest asks for."""
    reading.add("XC-SUP-103", where, lock=lock, module=what, detail=_("the lock does not have it"))


def fits(
    reading: Reading, where: str, lock: str, asked: tuple[str, str], entry: Locked, manifest: Manifest | None
) -> None:
    """Whether a locked package is the one that is asked for, by name and range, and its version within the range."""
    name, spec = asked
    plain = spec
    if spec.startswith("npm:"):
        renamed, _at, plain = spec.removeprefix("npm:").rpartition("@")
        name = renamed or plain
    if entry.origin is not Origin.REGISTRY:
        return
    another = entry.name != name and not (manifest is not None and entry.name in manifest.renamed)
    if another or satisfies(entry.version, plain) is False:
        detail = _("the lock has {version}", version=verbatim(str(entry) if another else entry.version))
        reading.add("XC-SUP-103", where, lock=lock, module="@".join(asked), detail=detail)


def _renamed(reading: Reading, lines: Lines, packages: dict[str, Any], manifest: Manifest | None) -> None:
    """Tell of packages that lie under the name of another, which nobody asks for by the one they have."""
    kinds = (*KINDS, "peerDependencies")
    asked = {
        (name, words(spec).removeprefix("npm:").rpartition("@")[0] or words(spec).removeprefix("npm:"))
        for one in packages.values()
        for kind in kinds
        for name, spec in table(table(one).get(kind)).items()
        if words(spec).startswith("npm:")
    }
    for place, said in packages.items():
        installed = place.rpartition("node_modules/")[2]
        name = words(table(said).get("name"))
        if "node_modules/" not in place or not name or name == installed or table(said).get("link") is True:
            continue
        if (installed, name) not in asked and not (manifest is not None and name in manifest.renamed):
            detail = _("the lock has {version}", version=verbatim(f"{name}@{words(table(said).get('version'))}"))
            reading.add("XC-SUP-103", lines.of(f'"{place}"'), lock=lines.name, module=installed, detail=detail)


def sha1_of_url(url: str) -> tuple[Digest, ...]:
    """The SHA-1 that yarn 1 writes behind a URL."""
    tail = url.partition("#")[2]
    return (Digest("sha1", tail),) if re.fullmatch(r"[0-9a-f]{40}", tail) else ()


def read_manifest(reading: Reading, directory: Path) -> Manifest | None:
    """package.json, where it is there."""
    lines = text_of(reading, directory, "package.json")
    data = json_of(reading, lines) if lines is not None else None
    return Manifest(data, lines) if data is not None and lines is not None else None
