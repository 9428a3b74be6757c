"""What is delivered: class files of jars and directories, module declarations, and what the manifest exports."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sdk_ast.java.classfile import LARGEST

_VERSIONED = re.compile(r"META-INF/versions/\d+/module-info\.class")
MANIFEST = "META-INF/MANIFEST.MF"


def class_files(place: Path) -> Iterator[tuple[str, bytes]]:
    """Class files and manifests of a jar or a directory, and of jars in the directory; too large ones are empty.

    Raises:
        XcError: a jar cannot be read.
    """
    if place.is_file():
        try:
            with zipfile.ZipFile(place) as jar:
                for info in sorted(jar.infolist(), key=lambda i: i.filename):
                    if _is_told(info.filename):
                        yield info.filename, jar.read(info) if info.file_size <= LARGEST else b""
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise XcError(_("{place}: cannot be read as a jar: {why}", place=place, why=error)) from error
        return
    for path in sorted(place.rglob("*")):
        name = path.relative_to(place).as_posix()
        if path.suffix == ".jar" and path.is_file():
            yield from ((f"{path.name}!{below}", data) for below, data in class_files(path))
        elif _is_told(name) and path.is_file():
            yield name, path.read_bytes() if path.stat().st_size <= LARGEST else b""


def _is_told(name: str) -> bool:
    # A class for newer Java alone (JEP 238) does not change what others compile against; a module's declaration does.
    if name.startswith("META-INF/"):
        return name == MANIFEST or _VERSIONED.fullmatch(name) is not None
    return name.endswith(".class")


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
