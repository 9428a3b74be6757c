"""What the Java platform's own classes are: read from the JDK of this machine, as javac's ``--release`` reads them.

``lib/ct.sym`` is a zip archive with a class file without code (``.sig``) for each public class of each release (JEP 247); the
first part of a path names the releases that it is for, a letter each.
"""

from __future__ import annotations

import functools
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

from pytest_xinchuang.packages.sdk_ast.java.classfile import (
    PRIVATE,
    STATIC,
    BadClass,
    ClassFile,
    ClassMember,
    read_class,
)

OBJECT_METHODS = frozenset(
    {
        "toString()Ljava/lang/String;",
        "equals(Ljava/lang/Object;)Z",
        "hashCode()I",
        "getClass()Ljava/lang/Class;",
        "notify()V",
        "notifyAll()V",
        "wait()V",
        "wait(J)V",
        "wait(JI)V",
    }
)
"""Public methods of java.lang.Object, which every class and interface has (JLS 4.3.2, 9.2)."""


class Platform:
    """Classes of the platform by name.

    Args:
        archive: ``lib/ct.sym`` of a JDK; None: there is none, and nothing is known.
    """

    def __init__(self, archive: Path | None) -> None:
        self._names: dict[str, tuple[str, str]] = {}
        self._archive: zipfile.ZipFile | None = None
        self._read: dict[str, ClassFile | None] = {}
        try:
            if archive is not None:
                self._archive = zipfile.ZipFile(archive)
                for entry in self._archive.namelist():
                    self._note(entry)
        except (OSError, zipfile.BadZipFile):
            self._archive = None

    def _note(self, entry: str) -> None:
        releases, _rest, path = entry.partition("/")
        if not path.endswith(".sig"):
            return
        first, _rest, below = path.partition("/")
        name = (below if "." in first else path).removesuffix(".sig").replace("/", ".")
        newest = max(releases)
        if newest > self._names.get(name, ("", ""))[0]:
            self._names[name] = (newest, entry)

    @property
    def known(self) -> bool:
        """Whether there is a JDK to ask."""
        return self._archive is not None

    def find(self, name: str) -> ClassFile | None:
        """A class of the platform; None: it has none of the name, or nothing is known."""
        if name not in self._read:
            self._read[name] = None
            if self._archive is not None and name in self._names:
                try:
                    self._read[name] = read_class(self._archive.read(self._names[name][1]))
                except (BadClass, OSError, zipfile.BadZipFile):
                    return None
        return self._read[name]

    def lineage(self, name: str) -> Iterator[ClassFile]:
        """A class with all that it inherits from, superclasses first."""
        waiting, interfaces, seen = name, list[str](), set[str]()
        while (found := self.find(waiting)) is not None:
            yield found
            interfaces += found.interfaces
            waiting = found.parent
        while interfaces:
            one = interfaces.pop(0)
            if one not in seen and (found := self.find(one)) is not None:
                seen.add(one)
                yield found
                interfaces += found.interfaces

    def supertypes(self, name: str) -> frozenset[str]:
        """All supertypes of a class, itself among them."""
        found = {name}
        for one in self.lineage(name):
            found |= {one.name, one.parent, *one.interfaces}
        return frozenset(found - {""})

    def method(self, name: str, key: str) -> ClassMember | None:
        """The method ``m(I)V`` of a class, inherited or its own; static methods of interfaces are not inherited (JLS 8.4.8)."""
        for one in self.lineage(name):
            for m in one.methods:
                of_interface = one.kind in ("interface", "annotation") and one.name != name
                if m.name + m.descriptor == key and not m.access & PRIVATE and not (of_interface and m.access & STATIC):
                    return m
        return None

    def field(self, name: str, key: str) -> ClassMember | None:
        """A field of a class, inherited or its own."""
        fields = (m for one in self.lineage(name) for m in one.fields)
        return next((m for m in fields if m.name == key and not m.access & PRIVATE), None)


def platform() -> Platform:
    """That of the first JDK on PATH, or of JAVA_HOME."""
    found = shutil.which("javac")
    home = Path(os.path.realpath(found)).parent.parent if found else Path(os.environ.get("JAVA_HOME", "/nonexistent"))
    archive = home / "lib" / "ct.sym"
    return _read(archive if archive.is_file() else None)


_read = functools.cache(Platform)
"""A JDK says the same as long as it is there; which one is asked, PATH says each time."""
