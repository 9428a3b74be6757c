"""Rules about packages whose libraries are for other systems alone: what is for Linux was forgotten, or is fetched."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.inspect.artifact import Node, above
from pytest_xinchuang.inspect.roles import OTHERS
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.inspect.rules.npm import accepts

SYSTEMS = frozenset({"windows", "win", "win32", "win64", "macos", "macosx", "mac", "osx", "darwin"})
"""How names of jars spell the other systems (Maven classifiers of os-maven-plugin, JavaFX, LWJGL and SWT)."""

ONLY_THERE = ("netty-transport-native-kqueue", "netty-resolver-dns-native-macos", "netty-resolver-dns-classes-macos")
"""Jars for what only the other system has, which have no counterpart of the same name."""

_SHARED = frozenset({"64", "32", "86", "natives", "native"})


def check_elsewhere(judge: Judge, nodes: Sequence[Node], architectures: Mapping[Any, Architecture]) -> None:
    """All containers of a delivery that the platform takes."""
    words = {*OTHERS, *(alias for a in architectures.values() for alias in a.aliases)}
    words = {part for word in words for part in re.split(r"[-_.]", word.lower())} | _SHARED
    linux = {_role(node.name, words) for node in nodes if "linux" in _words(node.name)}
    for node in nodes:
        if node.natives and node.kind in ("jar", "wheel"):
            _check_package(judge, node, linux, words)
        elif node.natives:
            _check_modules(judge, node)


def _words(name: str) -> list[str]:
    return re.split(r"[-_.]", name.rpartition("/")[2].lower())


def _role(name: str, words: Iterable[str]) -> tuple[str, ...]:
    """What a jar is for: its name without the words for systems and architectures."""
    return tuple(word for word in _words(name) if word not in SYSTEMS and word not in words and word != "linux")


def _check_package(judge: Judge, node: Node, linux: set[tuple[str, ...]], words: set[str]) -> None:
    if next(node.all_objects(), None) is not None:
        return  # which of its objects the platform takes, the roles say
    last = node.name.rpartition("/")[2].lower()
    named = not SYSTEMS.isdisjoint(_words(last))
    if named and (last.startswith(ONLY_THERE) or _role(last, words) in linux):
        return
    judge.find(
        "XC-JAR-024" if node.kind == "jar" else "XC-PKG-032",
        Certainty.GUARDED,
        node.place,
        {"files": sorted(node.natives)[:50]},
        package=node.package,
        have=", ".join(sorted(set(node.natives.values()))),
        example=min(node.natives),
    )


def _check_modules(judge: Judge, node: Node) -> None:
    """Modules of Node.js in a directory, an archive or a package for npm: of each package there, what is for Linux."""
    modules: dict[str, list[str]] = {}
    for path in sorted(node.natives):
        if path.endswith(".node"):
            modules.setdefault(_package_of(node, path), []).append(path)
    for package, paths in modules.items():
        prefix = f"{package}/" if package else ""
        said = node.json(f"{prefix}package.json")
        said = said if isinstance(said, dict) else {}
        if "os" in said and not accepts(said["os"], "linux"):
            continue  # npm installs it on the other system alone; here it was left behind, and nobody asks for it
        if any(record.path.startswith(prefix) for record in node.objects):
            continue
        judge.find(
            "XC-PKG-032",
            Certainty.GUARDED,
            node.within(package) if package else node.place,
            {"files": paths[:50]},
            package=package or node.package,
            have=", ".join(sorted({node.natives[path] for path in paths})),
            example=paths[0],
        )


def _package_of(node: Node, path: str) -> str:
    """The directory of the package that a module is part of: the nearest with a package.json."""
    return next((directory for directory in above(path) if posixpath.join(directory, "package.json") in node.texts), "")
