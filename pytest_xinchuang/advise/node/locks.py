"""Lock files of npm, pnpm and Yarn: which packages they pin, and for which machines these say that they are.

Sources: npm's documentation of package-lock.json (versions 2 and 3: ``cpu``, ``os``, ``libc``, ``optional``,
``hasInstallScript``); the files that pnpm 6 to 10, Yarn 1 and Yarn 2 to 4 (``conditions``) write.
"""

from __future__ import annotations

import fnmatch
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from pytest_xinchuang.advise.aside import is_aside
from pytest_xinchuang.advise.tree import SourceTree

MOST_PACKAGES = 50_000
"""Packages of a lock file; the largest real ones have some ten thousand."""
_SCRIPTS_UNTOLD = 9.0
"""pnpm 9: the lock file's version that has no ``requiresBuild`` any more."""
FETCHERS = frozenset({"prebuild-install", "node-pre-gyp", "@mapbox/node-pre-gyp", "node-gyp-build", "node-gyp", "cmake-js",
    "prebuildify", "@discordjs/node-pre-gyp", "pkg-prebuilds"})  # fmt: skip
"""Packages whose programs fetch or build a native module when another package is installed."""


@dataclass(frozen=True)
class Package:
    """A pinned package.

    Attributes:
        place: ``FILE:LINE``.
        limits: "cpu", "os" and "libc" -> what it says, where it does; None: the lock does not tell what packages say.
        optional: it may fail to be installed, and the rest is.
        script: something is run when it is installed; None: not told.
        needs: the names that it depends on.
        variants: those of them that are optional: often one for each machine.
    """

    name: str
    version: str
    place: str
    limits: tuple[tuple[str, tuple[str, ...]], ...] | None = ()
    optional: bool = False
    script: bool | None = None
    needs: frozenset[str] = frozenset()
    variants: tuple[str, ...] = ()


@dataclass
class Lock:
    """One lock file.

    Attributes:
        told: it says what packages say of machines.
        broken: it is none that can be read.
        refused: what is not for a machine is refused there by who installs it.
    """

    name: str
    packages: list[Package] = field(default_factory=list)
    told: bool = True
    broken: bool = False
    refused: bool = True


_BROKEN = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, yaml.YAMLError)


def locks_of(tree: SourceTree) -> list[Lock]:
    """The lock files of a tree."""
    found = [_read(name, tree) for name in tree.named(*_READERS) if not is_aside(name)]
    locked = {posixpath.dirname(lock.name) for lock in found}
    manifests = [
        n for n in tree.named("package.json") if not is_aside(n) and not _is_below(posixpath.dirname(n), locked)
    ]
    asked = [lock for n in manifests if (lock := _manifest(n, tree)).packages or lock.broken]
    return found + asked + [own for n in _projects(tree) if (own := _own(n, tree)).packages]


def _projects(tree: SourceTree) -> list[str]:
    """The manifests of projects that are installed by themselves, and of the workspaces that these name.

    Others below them are of packages that are published, as those for each machine are, and installed by nobody here.
    """
    named = {posixpath.dirname(name): name for name in tree.named("package.json") if not is_aside(name)}
    found = []
    for directory, name in named.items():
        above = directory
        while above and (above := posixpath.dirname(above)) not in named:
            pass
        if not directory or above not in named:
            found.append(name)
            patterns = [posixpath.join(directory, p) for p in _workspaces(tree.text(name) or "")]
            found += [own for place, own in named.items() if any(fnmatch.fnmatchcase(place, p) for p in patterns)]
    return found


def _workspaces(text: str) -> list[str]:
    try:
        said = json.loads(text).get("workspaces") or []
        patterns = said.get("packages") or [] if isinstance(said, dict) else said
        return [posixpath.normpath(each) for each in patterns if not each.startswith("!")]
    except _BROKEN:
        return []


def _own(name: str, tree: SourceTree) -> Lock:
    """The project itself where it says for which machines it is: npm refuses to install it elsewhere (EBADPLATFORM).

    pnpm warns, and goes on (package-is-installable).
    """
    of_others = {posixpath.dirname(lock) for lock in tree.named("pnpm-lock.yaml", "yarn.lock")}
    lock, text = Lock(name, refused=not _is_below(posixpath.dirname(name), of_others)), tree.text(name) or ""
    try:
        data = json.loads(text)
        if limits := _limits(data):
            lines = _lines(text, r'\s*"([^"]+)":')
            place = f"{name}:{lines.get(limits[0][0]) or 1}"
            lock.packages.append(Package(str(data.get("name") or name), str(data.get("version", "")), place, limits))
    except _BROKEN:
        return Lock(name)
    return lock


def _is_below(directory: str, locked: set[str]) -> bool:
    """Whether a directory, or one above it, has a lock file: that of a workspace locks all of it."""
    return directory in locked or (directory != "" and _is_below(posixpath.dirname(directory), locked))


def _manifest(name: str, tree: SourceTree) -> Lock:
    """What a package.json asks for where no lock file says which versions are installed."""
    lock, text = Lock(name, told=False), tree.text(name)
    try:
        data = json.loads(text or "")
        asked = {**(data.get("dependencies") or {}), **(data.get("optionalDependencies") or {})}
        variants = tuple(data.get("optionalDependencies") or ())
        own = str(data.get("name") or name)
        lines = _lines(text or "", r'\s*"([^"]+)":')
        for needed in asked:
            lock.packages.append(Package(str(needed), "", f"{name}:{lines.get(needed) or 1}", None))
        if variants:
            place = f"{name}:{lines.get('optionalDependencies') or 1}"
            lock.packages.append(Package(own, str(data.get("version", "")), place, None, variants=variants))
    except _BROKEN:
        return Lock(name, broken=True)
    return lock


def _read(name: str, tree: SourceTree) -> Lock:
    reader = _READERS[posixpath.basename(name)]
    # pnpm warns of what is not for the machine, and Yarn leaves it out (YN0076): both go on.
    lock, text = Lock(name, refused=reader is _npm), tree.text(name)
    try:
        if text is None:
            raise ValueError("no text")
        reader(lock, text)
    except _BROKEN:
        return Lock(name, broken=True)
    return Lock(name, broken=True) if len(lock.packages) > MOST_PACKAGES else lock


def _words(said: Any) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(map(str, said))


def _limits(entry: Mapping[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((key, _words(entry[key])) for key in ("cpu", "os", "libc") if entry.get(key))


def _npm(lock: Lock, text: str) -> None:
    data = json.loads(text)
    lines = _lines(text, r'\s*"([^"]+)": \{')
    if int(data["lockfileVersion"]) < 2:
        lock.told = False
        lock.packages = list(_npm_old(lock, data.get("dependencies") or {}, lines))
        return
    for path, entry in data["packages"].items():
        name = entry.get("name") or path.rpartition("node_modules/")[2]
        if not path or entry.get("link") or "node_modules/" not in path:
            continue  # the project itself, and its workspaces
        needs = frozenset([*(entry.get("dependencies") or ()), *(entry.get("optionalDependencies") or ())])
        lock.packages.append(
            Package(
                name,
                str(entry.get("version", "")),
                f"{lock.name}:{lines.get(path) or 1}",
                _limits(entry),
                entry.get("optional") is True or entry.get("devOptional") is True,
                entry.get("hasInstallScript") is True,
                needs,
                tuple(entry.get("optionalDependencies") or ()),
            )
        )


def _npm_old(lock: Lock, entries: Mapping[str, Any], lines: Mapping[str, int]) -> Iterator[Package]:
    for name, entry in entries.items():
        place = f"{lock.name}:{lines.get(name) or 1}"
        needs = frozenset(entry.get("requires") or ())
        yield Package(name, str(entry.get("version", "")), place, None, entry.get("optional") is True, None, needs)
        yield from _npm_old(lock, entry.get("dependencies") or {}, lines)


def _lines(text: str, pattern: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(pattern, line)
        if match is not None:
            found.setdefault(match[1], number)
    return found


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _pnpm(lock: Lock, text: str) -> None:
    data = _yaml(text)
    if "lockfileVersion" not in data:
        raise ValueError("no lock of pnpm")
    lines = _lines(text, r"  '?(/?@?[^':]+(?:@[^':]+)?)'?:$")
    # From 9.0 on the file does not say which packages run something when they are installed.
    tells = float(data["lockfileVersion"]) < _SCRIPTS_UNTOLD
    snapshots = data.get("snapshots") or {}
    whose: dict[str, list[Mapping[str, Any]]] = {}
    for key, entry in snapshots.items():
        whose.setdefault(re.sub(r"\(.*", "", key), []).append(entry or {})
    for key, entry in (data.get("packages") or {}).items():
        name, version = _pnpm_name(str(key))
        parts = [entry, *whose.get(key, ())]
        needs = frozenset(n for part in parts for kind in _KINDS for n in part.get(kind) or ())
        lock.packages.append(
            Package(
                name,
                version,
                f"{lock.name}:{lines.get(key) or 1}",
                _limits(entry),
                any(part.get("optional") is True for part in parts),
                entry.get("requiresBuild") is True if tells or "requiresBuild" in entry else None,
                needs,
                tuple(n for part in parts for n in part.get("optionalDependencies") or ()),
            )
        )


_KINDS = ("dependencies", "optionalDependencies")


def _pnpm_name(key: str) -> tuple[str, str]:
    """``/@esbuild/linux-x64@0.17.0``, ``@esbuild/linux-x64@0.25.0`` and ``/@esbuild/linux-x64/0.17.0`` of old ones."""
    plain = re.sub(r"\(.*", "", key.removeprefix("/"))
    name, at, version = plain.rpartition("@")
    if not at or not name:
        name, _slash, version = plain.rpartition("/")
    return name, version


def _yarn(lock: Lock, text: str) -> None:
    if "__metadata:" in text:
        _berry(lock, text)
        return
    if "yarn lockfile v1" not in text:
        raise ValueError("no lock of Yarn")
    lock.told = False
    blocks = re.split(r"\n(?=\S)", text)
    line = 1
    for block in blocks:
        head = re.match(r'"?(@?[^@"\s]+)@[^\n]*:\n', block)
        if head is not None:
            version = re.search(r'^  version "([^"]+)"', block, re.M)
            lists = {kind: _yarn_list(block, kind) for kind in _KINDS}
            lock.packages.append(
                Package(
                    head[1],
                    version[1] if version else "",
                    f"{lock.name}:{line}",
                    None,
                    needs=frozenset(n for names in lists.values() for n in names),
                    variants=tuple(lists["optionalDependencies"]),
                )
            )
        line += block.count("\n") + 1


def _yarn_list(block: str, kind: str) -> list[str]:
    match = re.search(rf"^  {kind}:\n((?:    [^\n]*\n?)+)", block, re.M)
    return re.findall(r'^    "?(@?[^"\s]+)"?\s', match[1], re.M) if match else []


def _berry(lock: Lock, text: str) -> None:
    data = _yaml(text)
    lines = _lines(text, r'"?([^"\n]+?)"?:$')
    for key, entry in data.items():
        resolution = str(entry.get("resolution", ""))
        name, _at, _rest = resolution.rpartition("@npm:")
        if not name:
            continue
        said = dict[str, tuple[str, ...]]()
        for kind, value in re.findall(r"\b(os|cpu|libc)=([\w\-]+)", str(entry.get("conditions", ""))):
            said[kind] = (*said.get(kind, ()), value)
        meta = entry.get("dependenciesMeta") or {}
        variants = [n for n, m in meta.items() if isinstance(m, dict) and m.get("optional") is True]
        lock.packages.append(
            Package(
                name,
                str(entry.get("version", "")),
                f"{lock.name}:{lines.get(key) or 1}",
                tuple(said.items()),
                bool(entry.get("conditions")),
                None,
                frozenset(entry.get("dependencies") or ()),
                tuple(variants),
            )
        )


_READERS: dict[str, Callable[[Lock, str], None]] = {
    "package-lock.json": _npm,
    "npm-shrinkwrap.json": _npm,
    "pnpm-lock.yaml": _pnpm,
    "yarn.lock": _yarn,
}
