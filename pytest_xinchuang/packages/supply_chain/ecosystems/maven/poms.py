"""pom.xml: what a Maven project asks for by itself (Maven, POM reference). What follows from it Maven alone can tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.advise.xml import Element, read_xml
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.messages import _, told
from pytest_xinchuang.packages.supply_chain.locked import Locked, Origin, Reading
from pytest_xinchuang.packages.supply_chain.textfiles import text_of

MAVEN = "maven"

_DEEPEST = 8
_FLOATING = re.compile(r"[\[\](),]|^LATEST$|^RELEASE$|-SNAPSHOT$")
"""Versions that another package may be tomorrow: ranges, and those that are looked up (Maven, POM reference)."""


@dataclass(frozen=True)
class Asked:
    """A dependency of a pom; a version that the pom does not fix is empty."""

    name: str
    version: str
    where: str
    scope: str


class Pom:
    """A pom with those above it that lie in the product.

    Attributes:
        outside: whether a parent lies elsewhere, which may fix more.
    """

    def __init__(self, reading: Reading, root: Path, name: str, depth: int = 0) -> None:
        self.name, self.tree = name, Element("", {}, 0)
        self.parent: Pom | None = None
        self.outside = False
        lines = text_of(reading, root, name)
        if lines is None:
            return
        try:
            self.tree = read_xml(lines.text)
        except ValueError as error:
            reading.add("XC-SUP-101", name, detail=told(error))
            return
        parent = self.tree.child("parent")
        if parent is None:
            return
        relative = parent.child("relativePath")
        text = relative.text if relative is not None else "../pom.xml"
        path = (Path(name).parent / text).as_posix()
        if text and not path.endswith(".xml"):
            path += "/pom.xml"
        clean = _clean(path)
        if text and clean and clean != name and depth < _DEEPEST and (root / clean).is_file():
            self.parent = Pom(Reading(MAVEN), root, clean, depth + 1)
            self.outside = self.parent.outside
        else:
            self.outside = True

    def value_of(self, key: str) -> str | None:
        """The value of ``${key}``; None where it is not known here."""
        project = {"project.version": "version", "project.groupId": "groupId", "version": "version"}
        if key in project:
            own = self.tree.said(project[key])
            parent = self.tree.child("parent")
            return own or (parent.said(project[key]) if parent is not None else None)
        if key.startswith("project.parent."):
            parent = self.tree.child("parent")
            return parent.said(key.rpartition(".")[2]) if parent is not None else None
        properties = self.tree.child("properties")
        found = properties.child(key) if properties is not None else None
        if found is not None:
            return found.text
        return self.parent.value_of(key) if self.parent is not None else None

    def filled(self, text: str) -> str:
        """A text with its properties; one that is not known stays as it is."""
        for _round in range(5):
            new = re.sub(r"\$\{([^}]+)\}", lambda m: v if (v := self.value_of(m[1])) is not None else m[0], text)
            if new == text or len(new) > 1000:
                break
            text = new
        return text

    def managed(self, name: str) -> str:
        """The version that dependencyManagement fixes; "" where it fixes none."""
        management = self.tree.child("dependencyManagement")
        for one in _dependencies(management):
            if self.name_of(one) == name and one.said("version"):
                return self.filled(one.said("version"))
        return self.parent.managed(name) if self.parent is not None else ""

    def imports(self) -> bool:
        """Whether another pom's dependencyManagement is taken over, which lies elsewhere."""
        here = any(one.said("scope") == "import" for one in _dependencies(self.tree.child("dependencyManagement")))
        return here or (self.parent is not None and self.parent.imports())

    def name_of(self, one: Element) -> str:
        """GROUP:ARTIFACT of an element; a plugin's group has a default (Maven, POM reference, plugins)."""
        group = one.said("groupId") or ("org.apache.maven.plugins" if one.name == "plugin" else "")
        return self.filled(f"{group}:{one.said('artifactId')}")

    def line(self) -> Iterator[Pom]:
        """Itself, and those above it that lie in the product."""
        yield self
        if self.parent is not None:
            yield from self.parent.line()

    def asked(self) -> Iterator[Asked]:
        """The dependencies that it declares."""
        for one in _dependencies(self.tree):
            name = self.name_of(one)
            version = self.filled(one.said("version")) or self.managed(name)
            yield Asked(name, version, f"{self.name}:{one.line}", one.said("scope"))

    @property
    def coordinates(self) -> str:
        parent = self.tree.child("parent")
        group = self.tree.said("groupId") or (parent.said("groupId") if parent is not None else "")
        return self.filled(f"{group}:{self.tree.said('artifactId')}")


def _dependencies(element: Element | None) -> list[Element]:
    listed = element.child("dependencies") if element is not None else None
    return [c for c in listed.children if c.name == "dependency"] if listed is not None else []


def _clean(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def poms(reading: Reading, root: Path) -> list[Pom]:
    """The pom of a product and those of its modules."""
    found: dict[str, Pom] = {}
    waiting = ["pom.xml"]
    while waiting and len(found) < 1000:
        name = waiting.pop(0)
        if name in found or not (root / name).is_file():
            continue
        pom = found[name] = Pom(reading, root, name)
        modules = [m.text for e in pom.tree.walk() if e.name == "modules" for m in e.children]
        for module in modules:
            inner = _clean((Path(name).parent / module).as_posix())
            if inner:
                waiting.append(inner if inner.endswith(".xml") else f"{inner}/pom.xml")
    return list(found.values())


def read_poms(reading: Reading, root: Path) -> list[Asked]:
    """What the poms of a product ask for, and what is wrong with it."""
    every = poms(reading, root)
    own = {pom.coordinates for pom in every}
    asked: list[Asked] = []
    for pom in every:
        _repositories(reading, pom)
        _of_the_build(reading, pom, own)
        for one in pom.asked():
            if one.name in own:
                continue
            what = f"{one.name}:{one.version}" if one.version else one.name
            if one.scope == "system":
                reading.entries.append(Locked(MAVEN, one.name, one.version, one.where, (), Origin.PATH, ".."))
            elif not one.version or "${" in one.version:
                if not (pom.outside or pom.imports() or "${" in one.version):
                    reading.add("XC-SUP-119", one.where, module=one.name)
                asked.append(Asked(one.name, "", one.where, one.scope))
                continue
            elif _FLOATING.search(one.version):
                reading.add("XC-SUP-119", one.where, module=what)
            asked.append(one)
    return asked


def _of_the_build(reading: Reading, pom: Pom, own: set[str]) -> None:
    """Plugins, extensions, a parent and imported poms decide what is built, too: each has to have a fixed version."""
    managed = {pom.name_of(e) for p in pom.line() for e in p.tree.walk() if e.name == "plugin" and e.said("version")}
    for element in pom.tree.walk():
        if element.name not in ("plugin", "extension", "parent") and element.said("scope") != "import":
            continue
        name, version = pom.name_of(element), pom.filled(element.said("version"))
        if element.name == "parent" and name in own:
            continue
        where = f"{pom.name}:{element.line}"
        if _FLOATING.search(version):
            reading.add("XC-SUP-119", where, module=f"{name}:{version}")
        elif element.name == "plugin" and not version and name not in managed and not pom.outside:
            detail = _("Maven chooses the version of a plugin that has none")
            reading.add("XC-SUP-160", where, Certainty.UNDECIDED, module=name, detail=detail)


def _repositories(reading: Reading, pom: Pom) -> None:
    for element in pom.tree.walk():
        if element.name not in ("repository", "pluginRepository") or not element.said("url"):
            continue
        url = pom.filled(element.said("url"))
        if not _distribution(pom.tree, element):
            reading.takes_from(f"{pom.name}:{element.line}", url, url)


def _distribution(tree: Element, element: Element) -> bool:
    """Whether it is where the product is published to, and nothing is taken from."""
    return any(element in e.children for e in tree.walk() if e.name == "distributionManagement")
