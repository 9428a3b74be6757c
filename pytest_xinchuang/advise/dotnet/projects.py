"""Projects of .NET: for which machines they say that they are.

Sources: Microsoft's documentation of MSBuild properties for .NET SDK projects (RuntimeIdentifier, RuntimeIdentifiers,
PlatformTarget), of the RID catalogue (linux-x64, linux-arm64, linux-loongarch64, linux-musl-*, unix, any), and of
packages.lock.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.xml import Element, read_xml
from pytest_xinchuang.core.platform import Architecture

PROJECTS = ("*.csproj", "*.fsproj", "*.vbproj", "Directory.Build.props", "Directory.Build.targets", "*.pubxml")

_ARCH = {"x86_64": "x64", "aarch64": "arm64", "loongarch64": "loongarch64"}
"""`uname -m` -> the architecture's name in runtime identifiers."""
TARGETS = frozenset({"x64", "x86", "arm", "arm64", "loongarch64"})
"""PlatformTarget: what a compiler is told to make code for; AnyCPU is for all."""


def rid_arch(architecture: Architecture) -> str:
    """An architecture's name in runtime identifiers."""
    return _ARCH.get(architecture.uname, architecture.uname)


def rids_of(architecture: Architecture, libc: str) -> tuple[str, ...]:
    """The runtime identifiers whose files a machine takes, the best first (the RID graph)."""
    arch = rid_arch(architecture)
    own = (f"linux-musl-{arch}", "linux-musl") if libc == "musl" else ()
    return (*own, f"linux-{arch}", "linux", f"unix-{arch}", "unix", "any")


@dataclass(frozen=True)
class Said:
    """What a project says of machines. Attributes: key: the property; value: one word of it; conditional: under a condition."""

    place: str
    key: str
    value: str
    conditional: bool


@dataclass
class Project:
    """A project file. Attributes: packages: names of what it refers to; broken: it cannot be read."""

    name: str
    said: list[Said] = field(default_factory=list)
    packages: set[str] = field(default_factory=set)
    broken: bool = False


_KEYS = frozenset({"RuntimeIdentifier", "RuntimeIdentifiers", "PlatformTarget"})


def projects_of(tree: SourceTree) -> list[Project]:
    """The project files of a tree."""
    found = []
    for name in tree.named(*PROJECTS):
        project = Project(name)
        try:
            root = read_xml((tree.text(name) or "").lstrip("\ufeff"))
        except ValueError:
            project.broken = True
        else:
            project.said = list(_said(name, root, conditional=False))
            project.packages = {
                e.attributes["Include"]
                for e in root.walk()
                if e.name == "PackageReference" and "Include" in e.attributes
            }
        found.append(project)
    return found


def _said(name: str, element: Element, *, conditional: bool) -> Iterator[Said]:
    for child in element.children:
        asked = conditional or "Condition" in child.attributes or child.name in ("When", "Otherwise")
        if child.name in _KEYS:
            for word in re.split(r"[;\s]+", child.text):
                if word:
                    yield Said(f"{name}:{child.line}", child.name, word, asked)
        yield from _said(name, child, conditional=asked)


def locked_rids(text: str) -> dict[str, set[str]]:
    """Framework -> the runtime identifiers for which a packages.lock.json has a graph.

    Raises:
        ValueError, TypeError, AttributeError, KeyError: it is none.
    """
    data: Mapping[str, Mapping[str, object]] = json.loads(text)["dependencies"]
    found: dict[str, set[str]] = {}
    for key in data:
        framework, _slash, rid = key.partition("/")
        found.setdefault(framework, set())
        if rid:
            found[framework].add(rid)
    return found
