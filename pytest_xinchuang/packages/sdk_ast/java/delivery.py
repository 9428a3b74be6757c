"""What is delivered: class files of jars and directories, module declarations, and what the manifest exports."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sdk_ast.java.classfile import (
    ABSTRACT,
    FINAL,
    LARGEST,
    PRIVATE,
    PROTECTED,
    PUBLIC,
    STATIC,
    ClassFile,
    ClassMember,
)

_VERSIONED = re.compile(r"META-INF/versions/(?P<release>\d+)/(?P<name>.+\.class)")
MANIFEST = "META-INF/MANIFEST.MF"


def class_files(place: Path) -> Iterator[tuple[str, bytes]]:
    """Class files and manifests of a jar or a directory, and of jars in the directory; too large ones are empty.

    Raises:
        XcError: a jar cannot be read.
    """
    if place.is_file():
        try:
            with zipfile.ZipFile(place) as jar:
                several = _has_releases(jar)
                for info in sorted(jar.infolist(), key=lambda i: i.filename):
                    if _is_told(info.filename, several=several):
                        yield info.filename, jar.read(info) if info.file_size <= LARGEST else b""
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise XcError(_("{place}: cannot be read as a jar: {why}", place=place, why=error)) from error
        return
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if path.suffix == ".jar" and path.is_file():
            yield from ((f"{path.name}!{below}", data) for below, data in class_files(path))
        elif _is_told(name, several=False) and path.is_file():
            yield name, path.read_bytes() if path.stat().st_size <= LARGEST else b""


def _has_releases(jar: zipfile.ZipFile) -> bool:
    """Whether newer Java takes classes from ``META-INF/versions`` (JEP 238)."""
    if MANIFEST not in jar.namelist() or jar.getinfo(MANIFEST).file_size > LARGEST:
        return False
    return manifest_of(jar.read(MANIFEST)).get("Multi-Release", "").lower() == "true"


def _is_told(name: str, *, several: bool) -> bool:
    if name.startswith("META-INF/"):
        versioned = _VERSIONED.fullmatch(name)
        return name == MANIFEST or (versioned is not None and (several or versioned["name"] == "module-info.class"))
    return name.endswith(".class")


def is_of_release(name: str) -> bool:
    """Whether newer Java alone takes a class from there."""
    return _VERSIONED.fullmatch(name.rpartition("!")[2]) is not None


def on_every_release(base: ClassFile, others: Sequence[ClassFile]) -> ClassFile:
    """What a class offers to users of every release of Java, where newer ones take another form of it."""
    for one in others:
        base = replace(
            base,
            access=_least(base.access, one.access),
            parent=base.parent if base.parent == one.parent else "java.lang.Object",
            interfaces=tuple(name for name in base.interfaces if name in one.interfaces),
            fields=_in_both(base.fields, one.fields),
            methods=_in_both(base.methods, one.methods),
        )
    return base


def _in_both(mine: Sequence[ClassMember], theirs: Sequence[ClassMember]) -> tuple[ClassMember, ...]:
    other = {(m.name, m.descriptor): m for m in theirs}
    return tuple(
        replace(m, access=_least(m.access, other[m.name, m.descriptor].access))
        for m in mine
        if (m.name, m.descriptor) in other and (m.access ^ other[m.name, m.descriptor].access) & STATIC == 0
    )


def _least(mine: int, other: int) -> int:
    """Access flags with which both can be used: as far as both are visible, final or abstract where one is."""
    seen = min((mine, other), key=lambda flags: 2 if flags & PUBLIC else 1 if flags & PROTECTED else 0)
    flags = mine & ~(PUBLIC | PROTECTED | PRIVATE) | seen & (PUBLIC | PROTECTED | PRIVATE)
    return flags | other & (FINAL | ABSTRACT)


def manifest_of(data: bytes) -> dict[str, str]:
    """The main attributes of a manifest (JAR File Specification): lines that begin with a space go on."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").replace("\n ", "")
    main = text.partition("\n\n")[0]
    return {
        name.strip(): value.strip() for name, mark, value in (line.partition(":") for line in main.split("\n")) if mark
    }


def exported_by(manifest: Mapping[str, str]) -> frozenset[str] | None:
    """Packages of ``Export-Package`` (OSGi Core 3.6.5); None: it is no bundle that says so."""
    header = manifest.get("Export-Package", "")
    if not header:
        return None
    bare = re.sub(r'"[^"]*"', "", header)
    found = {part.strip() for clause in bare.split(",") for part in clause.split(";") if "=" not in part}
    return frozenset(found - {""})


@dataclass
class Exports:
    """Which packages a delivery offers.

    Attributes:
        packages: those that a module declaration or a bundle's manifest exports; None: nothing says so.
        automatic: ``Automatic-Module-Name`` of the manifest.
    """

    packages: set[str] | None = None
    automatic: str = ""
    modules: list[str] = field(default_factory=list)

    def add(self, packages: frozenset[str] | None) -> None:
        """Note what one more part of the delivery exports."""
        if packages is not None:
            self.packages = (self.packages or set()) | packages

    def hides(self, package: str) -> bool:
        """Whether a package is not offered, or calls itself internal."""
        if self.packages is not None:
            return package not in self.packages
        return "internal" in package.split(".")
