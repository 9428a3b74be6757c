"""Snapshots of jars and of directories of class files."""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, told
from pytest_xinchuang.packages.sdk_ast.java.classfile import (
    ABSTRACT,
    FINAL,
    INTERFACE,
    LARGEST,
    PROTECTED,
    PUBLIC,
    STATIC,
    SYNTHETIC,
    BadClass,
    ClassFile,
    ClassMember,
    read_class,
)
from pytest_xinchuang.packages.sdk_ast.java.signature import parse_descriptor
from pytest_xinchuang.packages.sdk_ast.problems import MALFORMED_CLASS, problem_record
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot


def _classes(place: Path) -> Iterator[tuple[str, bytes]]:
    """Class files of a jar or a directory, and of jars in the directory."""
    if place.is_file():
        try:
            with zipfile.ZipFile(place) as jar:
                for info in sorted(jar.infolist(), key=lambda i: i.filename):
                    # A class for newer Java alone (JEP 238) does not change what others compile against.
                    if info.filename.endswith(".class") and not info.filename.startswith("META-INF/"):
                        yield info.filename, jar.read(info) if info.file_size <= LARGEST else b""
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            raise XcError(_("{place}: cannot be read as a jar: {why}", place=place, why=error)) from error
        return
    for path in sorted(place.rglob("*")):
        if path.suffix == ".class" and path.is_file():
            yield path.relative_to(place).as_posix(), path.read_bytes() if path.stat().st_size <= LARGEST else b""
        elif path.suffix == ".jar" and path.is_file():
            yield from ((f"{path.name}!{name}", data) for name, data in _classes(path))


def extract_java(place: Path, output: Path, *, version: str = "") -> None:
    """Write the snapshot of a jar, or of a directory of class files and jars.

    Raises:
        XcError: there is no class in it.
    """
    packages: dict[str, dict[str, dict[str, Any]]] = {}
    problems: dict[str, list[dict[str, Any]]] = {}
    sources: dict[str, Any] = {}
    parents: dict[str, ClassFile] = {}
    seen = 0
    for name, data in _classes(place):
        seen += 1
        package = name.rpartition("!")[2].rpartition("/")[0].replace("/", ".")
        sources.setdefault(package, hashlib.sha256()).update(name.encode() + data)
        try:
            found = read_class(data)
        except BadClass as error:
            problems.setdefault(package, []).append(problem_record(name, None, MALFORMED_CLASS, why=told(error)))
            continue
        parents[found.name] = found
    for found in parents.values():
        package = found.name.rpartition(".")[0]
        if found.visible and not re.search(r"\$\d", found.name) and "module-info" not in found.name:
            packages.setdefault(package, {}).update(_symbols(found, parents))
    if not seen:
        raise XcError(
            _("{place}: there is no class file in it", place=place),
            mend=_("name a jar, or the directory that javac wrote to"),
        )
    first = {"language": "java", "name": "java", "version": version, "toolchain": "class files", "targets": ["jvm"]}
    records = [
        (
            name,
            name,
            "sha256:" + sources[name].hexdigest() if name in sources else "",
            [("jvm", packages.get(name, {}), problems.get(name, []))],
        )
        for name in sorted({*packages, *problems})
    ]
    write_snapshot(output, first, records)


def _symbols(found: ClassFile, known: Mapping[str, ClassFile]) -> Iterator[tuple[str, dict[str, Any]]]:
    short = found.name.rpartition(".")[2].replace("$", ".")
    yield (
        short,
        {
            "kind": "class",
            "facts": {
                "kind": found.kind,
                "access": _access(found.access),
                "static": bool(found.access & STATIC),
                "final": bool(found.access & FINAL),
                "abstract": bool(found.access & ABSTRACT),
                "sealed": found.permitted,
                "super": sorted(_supertypes(found, known)),
                "open": not found.access & FINAL and not found.permitted and _constructible(found),
                "signature": found.signature,
            },
            **({"deprecated": True} if found.deprecated else {}),
        },
    )
    # What javac puts in to pass a call on (a bridge) says nothing that the method itself does not.
    members = {f"{m.name}{m.descriptor}": (m, found) for m in found.methods if not m.access & SYNTHETIC}
    fields = {m.name: (m, found) for m in found.fields}
    # A member that moved to a superclass is found there all the same (JVMS 5.4.3).
    for parent in _chain(found, known):
        for m in parent.methods:
            if m.name not in ("<init>", "<clinit>"):
                members.setdefault(f"{m.name}{m.descriptor}", (m, parent))
        for m in parent.fields:
            fields.setdefault(m.name, (m, parent))
    for m, owner in members.values():
        if m.access & (PUBLIC | PROTECTED) and not m.access & SYNTHETIC and m.name != "<clinit>":
            yield f"{short}#{m.name}{m.descriptor}", _symbol("method", m, owner is not found, known)
    for m, owner in fields.values():
        if m.access & (PUBLIC | PROTECTED) and not m.access & SYNTHETIC:
            yield f"{short}#{m.name}", _symbol("field", m, owner is not found, known)


def _constructible(found: ClassFile) -> bool:
    """Whether others can write subclasses, or implementations."""
    if found.access & INTERFACE:
        return True
    return any(m.name == "<init>" and m.access & (PUBLIC | PROTECTED) for m in found.methods)


def _chain(found: ClassFile, known: Mapping[str, ClassFile]) -> Iterator[ClassFile]:
    waiting, seen = [found.parent, *found.interfaces], set()
    while waiting:
        name = waiting.pop(0)
        parent = known.get(name)
        if parent is None or name in seen:
            continue
        seen.add(name)
        yield parent
        waiting += [parent.parent, *parent.interfaces]


def _supertypes(found: ClassFile, known: Mapping[str, ClassFile]) -> set[str]:
    names = {found.parent, *found.interfaces}
    for parent in _chain(found, known):
        names |= {parent.parent, *parent.interfaces}
    return names - {"", "java.lang.Object"}


def _access(flags: int) -> str:
    return "public" if flags & PUBLIC else "protected" if flags & PROTECTED else "package"


_UNCHECKED = re.compile(
    r"java\.lang\.(RuntimeException|Error|\w+Error|IllegalArgumentException|IllegalStateException|NullPointerException"
    r"|UnsupportedOperationException|\w*IndexOutOfBoundsException|ClassCastException|ArithmeticException"
    r"|NumberFormatException|SecurityException)|java\.io\.UncheckedIOException|java\.util\.\w*(NoSuchElement|ConcurrentModification)Exception"
)
"""Exceptions that nobody has to catch (JLS 11.1.1): of the classes that are not in the jar, the common ones."""


def _checked(name: str, known: Mapping[str, ClassFile]) -> bool:
    while name in known:
        name = known[name].parent
    return _UNCHECKED.fullmatch(name) is None


def _symbol(kind: str, m: ClassMember, inherited: bool, known: Mapping[str, ClassFile]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "access": _access(m.access),
        "static": bool(m.access & STATIC),
        "final": bool(m.access & FINAL),
        "inherited": inherited,
    }
    if kind == "method":
        facts |= {"abstract": bool(m.access & ABSTRACT), "throws": [e for e in m.exceptions if _checked(e, known)]}
    if m.signature:
        facts["signature"] = m.signature
    symbol: dict[str, Any] = {"kind": kind, "type": parse_descriptor(m.descriptor), "facts": facts}
    if m.constant is not None:
        symbol["value"] = m.constant
    if m.deprecated:
        symbol["deprecated"] = True
    return symbol
