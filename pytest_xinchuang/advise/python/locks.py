"""Lock files of Python: which packages they pin, what files an index has of each, and who brings each in.

Sources: PEP 751 (pylock.toml); the files that uv 0.4 to 0.9, Poetry 1.0 to 2.2, PDM 2 and Pipenv write; pip's requirements
file format; PEP 508 (environment markers).
"""

from __future__ import annotations

import ast
import configparser
import functools
import json
import posixpath
import re
import tomllib
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import yaml

from pytest_xinchuang.advise.aside import is_aside
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.tools.defaults import Default, default
from pytest_xinchuang.tools.lines import of_requirements

ROOT = ""
"""The project itself, as one that brings packages in."""

MOST_PACKAGES = 20_000
"""Packages of a lock file; the largest real ones have some thousand."""

_DEPTH = 32
"""How deep requirements files may include each other."""


class Reached(StrEnum):
    """Whether a package is installed on a platform."""

    YES = "yes"
    MAYBE = "maybe"
    """By an extra, a group, or a marker that cannot be read."""
    NO = "no"


@dataclass(frozen=True)
class Pinned:
    """A package of a lock file.

    Attributes:
        name: normalized (PEP 503).
        version: "" where none is pinned.
        place: ``FILE:LINE``.
        files: the names of the wheels and source distributions that the lock has; None: it names none, an index knows.
        indexed: it comes from an index, and from no path, repository or address of its own.
        forks: markers of which one has to be true, where several versions are locked.
    """

    name: str
    version: str
    place: str
    files: tuple[str, ...] | None = None
    indexed: bool = True
    forks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Edge:
    """One who brings a package in.

    Attributes:
        version: that of several which is meant; "" where there is one alone.
        optional: by an extra, or a group that is not always installed.
    """

    source: str
    target: str
    version: str = ""
    marker: str = ""
    optional: bool = False


@dataclass
class Lock:
    """One lock file.

    Attributes:
        python: the Pythons that it is for, as a specifier; "": any.
        sure_index: its packages come from the index that pip asks, for all that is known.
        broken: it is none that can be read.
    """

    name: str
    packages: list[Pinned] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    python: str = ""
    sure_index: bool = True
    broken: bool = False

    def reached(self, environments: Iterable[Mapping[str, str]]) -> dict[tuple[str, str], Reached]:
        """(name, version) -> whether it is installed in any of some environments (PEP 508)."""
        places = list(environments)
        known: dict[tuple[str, str], Reached] = {}
        versions: dict[str, list[Pinned]] = {}
        for package in self.packages:
            versions.setdefault(package.name, []).append(package)
        below: dict[str, list[Edge]] = {}
        for edge in self.edges:
            below.setdefault(edge.source, []).append(edge)
        waiting: list[tuple[str, Reached]] = [(ROOT, Reached.YES)]
        if ROOT not in below:  # who brings what in is not said
            return {(package.name, package.version): Reached.MAYBE for package in self.packages}
        while waiting:
            source, how = waiting.pop()
            for edge in below.get(source, ()):
                allowed = _any(edge.marker, places)
                if allowed is Reached.NO:
                    continue
                sure = how is Reached.YES and allowed is Reached.YES and not edge.optional
                for package in versions.get(edge.target, ()):
                    if edge.version and edge.version != package.version:
                        continue
                    fork = _among(package.forks, places)
                    if fork is Reached.NO:
                        continue
                    now = Reached.YES if sure and fork is Reached.YES else Reached.MAYBE
                    key = (package.name, package.version)
                    before = known.get(key)
                    if before is None or (before is Reached.MAYBE and now is Reached.YES):
                        known[key] = now
                        waiting.append((package.name, now))
        return known


def _among(markers: tuple[str, ...], places: list[Mapping[str, str]]) -> Reached:
    if not markers:
        return Reached.YES
    found = {_any(marker, places) for marker in markers}
    return next((each for each in (Reached.YES, Reached.MAYBE) if each in found), Reached.NO)


def _any(marker: str, places: list[Mapping[str, str]]) -> Reached:
    """Whether a marker is true in one of some environments."""
    if not marker:
        return Reached.YES
    found = {_holds(marker, tuple(sorted(place.items()))) for place in places}
    return next((each for each in (Reached.YES, Reached.MAYBE) if each in found), Reached.NO)


_EXTRA = re.compile(r"extra\s*[=!]=\s*['\"]([^'\"]*)['\"]")
LONGEST_MARKER = 4000
"""Characters of a marker; uv's own, of many forks, have some hundred."""


@functools.lru_cache(65536)
def _holds(text: str, environment: tuple[tuple[str, str], ...]) -> Reached:
    from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName

    if len(text) > LONGEST_MARKER:
        return Reached.MAYBE
    place = dict(environment)
    try:
        marker = Marker(text)
        if marker.evaluate({**place, "extra": ""}):
            return Reached.YES
        if any(marker.evaluate({**place, "extra": extra}) for extra in set(_EXTRA.findall(text))):
            return Reached.MAYBE
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName, ValueError, RecursionError):
        return Reached.MAYBE
    return Reached.NO


def normalized(name: str) -> str:
    """A name as an index has it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


# -- reading

_BROKEN = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    IndexError,
    RecursionError,
    configparser.Error,
    yaml.YAMLError,
)
"""What reading a file raises that is not what its name says: a hostile one too."""


@functools.lru_cache(4)
def locks_of(tree: SourceTree) -> list[Lock]:
    """The lock files of a tree; a requirements file beside another lock is read too, for both may be installed from."""
    found: list[Lock] = []
    for name in tree.named(*_READERS, "pylock.*.toml"):
        if is_aside(name):
            continue
        base = posixpath.basename(name)
        reader = _READERS.get(base, _pylock)
        found.append(_guarded(name, tree, reader))
    included: set[str] = set()
    texts = [n for n in tree.named("requirements*.txt", "*.txt") if _is_requirements(n) and not is_aside(n)]
    lists = [(n, _guarded(n, tree, functools.partial(_requirements, tree=tree, name=n, seen=included))) for n in texts]
    found += [lock for n, lock in lists if n not in included and (lock.packages or lock.broken)]
    locked = {posixpath.dirname(lock.name) for lock in found}
    plain = [n for n in tree.named(*_ASKING) if not is_aside(n) and not locked.intersection((posixpath.dirname(n), ""))]
    asked = [_guarded(n, tree, _ASKING[posixpath.basename(n)]) for n in plain]
    asked += [_guarded(n, tree, _conda) for n in tree.named("environment.yml", "environment.yaml") if not is_aside(n)]
    return found + [lock for lock in asked if lock.packages or lock.broken]


def _project(lock: Lock, text: str, tree: SourceTree) -> None:
    """What a pyproject.toml asks for where no lock file pins it."""
    data = tomllib.loads(text)
    project = data.get("project") or {}
    lock.python = str(project.get("requires-python", ""))
    requirements = [str(each) for each in project.get("dependencies") or ()]
    _plain(lock, text, requirements)
    if "dependencies" in (project.get("dynamic") or ()):
        _unknown(lock, next((n for n, line in enumerate(text.splitlines(), 1) if line.startswith("dynamic")), 1))
    if not requirements:
        for name, markers in _direct(lock.name, tree).items():
            if name != "python":
                lock.packages.append(Pinned(name, "", f"{lock.name}:1"))
                lock.edges += [Edge(ROOT, name, "", marker) for marker in markers]


def _setup(lock: Lock, text: str, _tree: SourceTree) -> None:
    """What the ``install_requires`` of a setup.py says, where it is a list of texts."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except SyntaxError:
        return  # what Python cannot read is told of the sources
    for node in nodes:
        if isinstance(node, ast.keyword) and node.arg == "install_requires":
            if isinstance(node.value, ast.List | ast.Tuple):
                below = ast.walk(node.value)
                _plain(lock, text, [n.value for n in below if isinstance(n, ast.Constant) and isinstance(n.value, str)])
            else:  # put together when it is run
                _unknown(lock, node.value.lineno)


def _setup_cfg(lock: Lock, text: str, _tree: SourceTree) -> None:
    """What setup.cfg says (setuptools, Configuring setuptools using setup.cfg files)."""
    said = configparser.ConfigParser(interpolation=None)
    said.read_string(text)
    lock.python = said.get("options", "python_requires", fallback="")
    asked = said.get("options", "install_requires", fallback="")
    if asked.startswith("file:"):
        _unknown(lock, next(n for n, line in enumerate(text.splitlines(), 1) if "install_requires" in line))
    else:
        _plain(lock, text, [line.strip() for line in asked.splitlines() if line.strip()])


def _conda(lock: Lock, text: str, _tree: SourceTree) -> None:
    """An environment of conda: its packages come from channels, and those below ``pip`` from pip's index."""
    lines = text.splitlines()
    for entry in yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)).get("dependencies") or ():
        if isinstance(entry, dict):
            _plain(lock, text, [str(each) for each in entry.get("pip") or ()])
            continue
        name = normalized(re.split(r"[\s=<>!~\[]", str(entry).rpartition("::")[2].strip(), maxsplit=1)[0])
        number = next((n for n, line in enumerate(lines, 1) if str(entry) in line), 1)
        if name not in ("python", "pip"):
            lock.packages.append(Pinned(name, "", f"{lock.name}:{number}", None, indexed=False))
            lock.edges.append(Edge(ROOT, name))


def _unknown(lock: Lock, line: int) -> None:
    """Packages that are asked for, and of which nothing is known before something is run."""
    lock.packages.append(Pinned("install-requires", "", f"{lock.name}:{line}"))
    lock.edges.append(Edge(ROOT, "install-requires"))


def _plain(lock: Lock, text: str, requirements: Iterable[str]) -> None:
    lines = text.splitlines()
    for requirement in requirements:
        number = next((n for n, line in enumerate(lines, 1) if requirement in line), 1)
        for target, version, marker, extra in _required(requirement):
            lock.packages.append(Pinned(target, version, f"{lock.name}:{number}", None, " @ " not in requirement))
            lock.edges.append(Edge(ROOT, target, version, marker, extra))


def _is_requirements(name: str) -> bool:
    directory, base = posixpath.split(name)
    return base.startswith("requirements") or posixpath.basename(directory) == "requirements"


def _guarded(name: str, tree: SourceTree, reader: Callable[[Lock, str, SourceTree], None]) -> Lock:
    lock = Lock(name)
    text = tree.text(name)
    try:
        if text is None:
            raise ValueError("no text")
        reader(lock, text, tree)
    except _BROKEN:
        return Lock(name, broken=True)
    return Lock(name, broken=True) if len(lock.packages) > MOST_PACKAGES else lock


def _tables(text: str, header: str) -> list[int]:
    """The lines on which the tables of an array begin."""
    return [n for n, line in enumerate(text.splitlines(), 1) if line.strip() == f"[[{header}]]"]


def _listed(text: str, data: Mapping[str, Any], key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    tables = data.get(key) or []
    lines = _tables(text, key)
    for number, table in enumerate(tables):
        yield lines[number] if number < len(lines) else 1, dict(table)


def _file(entry: Mapping[str, Any]) -> str:
    """The name of a distribution's file by its name, address or path."""
    said = (
        entry.get("name") or entry.get("filename") or entry.get("file") or entry.get("url") or entry.get("path") or ""
    )
    return posixpath.basename(urllib.parse.unquote(urllib.parse.urlsplit(str(said)).path))


def _files(package: Mapping[str, Any]) -> list[str]:
    """The names of a package's wheels, and of its source distribution (uv.lock; pylock.toml)."""
    return [_file(one) for one in (*package.get("wheels", ()), *filter(None, [package.get("sdist")]))]


def _uv(lock: Lock, text: str, _tree: SourceTree) -> None:
    data = tomllib.loads(text)
    if not isinstance(data["version"], int):
        raise TypeError("version")
    lock.python = str(data.get("requires-python", ""))
    for line, package in _listed(text, data, "package"):
        name, source = normalized(package["name"]), package.get("source") or {}
        own = any(kind in source for kind in ("virtual", "editable", "directory"))
        files = _files(package)
        indexed = "registry" in source
        if not own:
            lock.packages.append(
                Pinned(
                    name,
                    str(package.get("version", "")),
                    f"{lock.name}:{line}",
                    tuple(files),
                    indexed,
                    tuple(map(str, package.get("resolution-markers", ()))),
                )
            )
        here = ROOT if own else name
        lists = [(package.get("dependencies", ()), False)]
        lists += [(each, True) for each in (package.get("optional-dependencies") or {}).values()]
        lists += [(each, True) for each in (package.get("dev-dependencies") or {}).values()]
        for entries, optional in lists:
            for entry in entries:
                target, version = normalized(entry["name"]), str(entry.get("version", ""))
                lock.edges.append(Edge(here, target, version, str(entry.get("marker", "")), optional))
                if entry.get("extra"):  # what an extra of it brings is brought in by the same edge
                    lock.edges += [Edge(here, target, version, str(entry.get("marker", "")), optional)]


def _poetry(lock: Lock, text: str, tree: SourceTree) -> None:
    data = tomllib.loads(text)
    lock.python = _caret(str((data.get("metadata") or {}).get("python-versions", "")))
    older = (data.get("metadata") or {}).get("files") or {}
    brought: set[str] = set()
    optional: dict[str, bool] = {}
    markers: dict[str, str] = {}
    for line, package in _listed(text, data, "package"):
        name = normalized(package["name"])
        files = package.get("files") or older.get(package["name"]) or older.get(name)
        source = package.get("source") or {}
        lock.packages.append(
            Pinned(
                name,
                str(package["version"]),
                f"{lock.name}:{line}",
                None if files is None else tuple(_file(each) for each in files),
                source.get("type", "legacy") == "legacy",
            )
        )
        groups = package.get("groups")
        aside = package.get("optional") is True or package.get("category", "main") != "main"
        optional[name] = aside or (groups is not None and "main" not in groups)
        said = package.get("markers", "")
        markers[name] = said if isinstance(said, str) else " or ".join(f"({each})" for each in said.values())
        for target, entry in (package.get("dependencies") or {}).items():
            for each in entry if isinstance(entry, list) else [entry]:
                marker = str(each.get("markers", "")) if isinstance(each, dict) else ""
                aside = isinstance(each, dict) and each.get("optional") is True
                lock.edges.append(Edge(name, normalized(target), "", marker, aside))
                brought.add(normalized(target))
    direct = _direct(lock.name, tree)
    for entry in lock.packages:
        # Poetry 2 writes to each package for whom it is; before, whoever is asked for by nobody is asked for by the project.
        roots = direct.get(entry.name)
        if roots is not None:
            lock.edges += [Edge(ROOT, entry.name, "", marker, optional[entry.name]) for marker in roots]
        elif markers[entry.name] or entry.name not in brought:
            lock.edges.append(Edge(ROOT, entry.name, "", markers[entry.name], optional[entry.name]))


def _direct(name: str, tree: SourceTree) -> dict[str, list[str]]:
    """What the pyproject.toml beside a lock asks for itself: name -> markers."""
    text = tree.text(posixpath.join(posixpath.dirname(name), "pyproject.toml"))
    found: dict[str, list[str]] = {}
    if text is None:
        return found
    try:
        data = tomllib.loads(text)
        poetry = (data.get("tool") or {}).get("poetry") or {}
        for target, entry in (poetry.get("dependencies") or {}).items():
            for each in entry if isinstance(entry, list) else [entry]:
                marker = str(each.get("markers", "")) if isinstance(each, dict) else ""
                found.setdefault(normalized(target), []).append(marker)
        for requirement in (data.get("project") or {}).get("dependencies") or ():
            for target, _version, marker, _aside in _required(str(requirement)):
                found.setdefault(target, []).append(marker)
    except _BROKEN:
        return {}
    return found


def _caret(text: str) -> str:
    """Poetry's range of Pythons as a specifier, where it is a plain one."""
    match = re.fullmatch(r"\^(3\.\d+)(?:\.\d+)*", text.strip())
    if match:
        return f">={match[1]},<4"
    return text if re.fullmatch(r"[<>=!~\d., *]+", text) else ""


def _pdm(lock: Lock, text: str, _tree: SourceTree) -> None:
    data = tomllib.loads(text)
    older = (data.get("metadata") or {}).get("files") or {}
    packages = list(_listed(text, data, "package"))
    brought: set[str] = set()
    for line, package in packages:
        name, version = normalized(package["name"]), str(package.get("version", ""))
        files = package.get("files") or older.get(f"{package['name']} {version}")
        plain = not any(key in package for key in ("git", "path", "url"))
        entry = Pinned(
            name,
            version,
            f"{lock.name}:{line}",
            None if files is None else tuple(_file(each) for each in files),
            plain,
        )
        if entry not in lock.packages:
            lock.packages.append(entry)
        for requirement in package.get("dependencies") or ():
            for target, _version, marker, aside in _required(str(requirement)):
                if target != name:
                    lock.edges.append(Edge(name, target, "", marker, aside))
                    brought.add(target)
    for _line, package in packages:
        name, marker = normalized(package["name"]), str(package.get("marker", ""))
        groups = package.get("groups")
        if groups is not None or name not in brought:
            lock.edges.append(Edge(ROOT, name, "", marker, groups is not None and "default" not in groups))


def _pylock(lock: Lock, text: str, _tree: SourceTree) -> None:
    data = tomllib.loads(text)
    if not isinstance(data["lock-version"], str):
        raise TypeError("lock-version")
    lock.python = str(data.get("requires-python", ""))
    for line, package in _listed(text, data, "packages"):
        name = normalized(package["name"])
        files = _files(package)
        indexed = bool(files)
        version = str(package.get("version", ""))
        lock.packages.append(Pinned(name, version, f"{lock.name}:{line}", tuple(files), indexed))
        marker = str(package.get("marker", ""))
        aside = re.search(r"\b(?:extras|dependency_groups)\b", marker) is not None
        lock.edges.append(Edge(ROOT, name, version, "" if aside else marker, aside))


def _pipfile(lock: Lock, text: str, _tree: SourceTree) -> None:
    data = json.loads(text)
    lines = {m[1]: n for n, line in enumerate(text.splitlines(), 1) if (m := re.match(r'\s*"([^"]+)": \{', line))}
    sources = [str(s.get("url", "")) for s in (data.get("_meta") or {}).get("sources") or ()]
    lock.sure_index = all(_is_default(url) for url in sources)
    lock.python = ""
    for section, aside in (("default", False), ("develop", True)):
        for name, entry in (data.get(section) or {}).items():
            version = str(entry.get("version", "")).removeprefix("==")
            plain = not any(key in entry for key in ("git", "path", "file"))
            lock.packages.append(Pinned(normalized(name), version, f"{lock.name}:{lines.get(name) or 1}", None, plain))
            lock.edges.append(Edge(ROOT, normalized(name), version, str(entry.get("markers", "")), aside))


def _is_default(url: str) -> bool:
    """Whether an address is of the index that pip asks by default, for all that is known."""
    usual = default("pypi")
    return isinstance(usual, Default) and usual.is_it(url) is True


def _requirements(lock: Lock, text: str, _tree: SourceTree, *, tree: SourceTree, name: str, seen: set[str]) -> None:
    _requirements_into(lock, text, tree, name, seen, _DEPTH)


def _requirements_into(lock: Lock, text: str, tree: SourceTree, name: str, seen: set[str], depth: int) -> None:
    aside = re.search(r"dev|test|doc|lint|build", posixpath.basename(name)) is not None
    for number, line in of_requirements(text):
        option = re.match(r"(-[a-z]|--[a-z-]+)(?:[= ]\s*(\S+))?", line)
        if option is not None:
            if option[1] in ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index"):
                lock.sure_index = False
            elif option[1] in ("-r", "--requirement") and option[2] and depth:
                other = tree.relative(option[2], posixpath.dirname(name))
                below = tree.text(other) if other is not None and other in tree and other not in seen else None
                if other is not None and below is not None:
                    seen.add(other)
                    _requirements_into(lock, below, tree, other, seen, depth - 1)
            continue
        for target, version, marker, extra in _required(re.split(r"\s--hash", line)[0]):
            plain = " @ " not in line
            lock.packages.append(Pinned(target, version, f"{name}:{number}", None, plain))
            lock.edges.append(Edge(ROOT, target, version, marker, aside or extra))


def _required(text: str) -> Iterator[tuple[str, str, str, bool]]:
    """Name, pinned version, marker, and whether an extra asks, of one requirement (PEP 508); none where it is none."""
    from packaging.requirements import InvalidRequirement, Requirement

    if len(text) > LONGEST_MARKER:
        return
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return
    pins = [s.version for s in requirement.specifier if s.operator in ("==", "===") and "*" not in s.version]
    marker = "" if requirement.marker is None else str(requirement.marker)
    yield normalized(requirement.name), pins[0] if len(pins) == 1 else "", marker, "extra" in marker


_ASKING: dict[str, Callable[[Lock, str, SourceTree], None]] = {
    "pyproject.toml": _project,
    "setup.py": _setup,
    "setup.cfg": _setup_cfg,
}
"""What asks for packages where no lock file pins them."""
_READERS: dict[str, Callable[[Lock, str, SourceTree], None]] = {
    "uv.lock": _uv,
    "poetry.lock": _poetry,
    "pdm.lock": _pdm,
    "pylock.toml": _pylock,
    "Pipfile.lock": _pipfile,
}
