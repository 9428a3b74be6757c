"""Packages of languages inside of an image: by what their own installers, and their compilers, write.

Sources: Python packaging specifications (core metadata, recording installed projects); npm, package.json; Maven Archiver
(pom.properties); Go, debug/buildinfo; rust-secure-code/cargo-auditable (PARSING.md); RubyGems, Gem::Specification; Composer,
installed.json; .NET, runtime configuration files (deps.json).
"""

from __future__ import annotations

import email.parser
import hashlib
import io
import json
import re
import zipfile
import zlib
from typing import Any

from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import ElfReader
from pytest_xinchuang.messages import Message, _, told
from pytest_xinchuang.packages.supply_chain.ecosystems.cargo.locks import OSV
from pytest_xinchuang.packages.supply_chain.images.part import Inside, Part

_METADATA = re.compile(r"[^/]+\.dist-info/METADATA|[^/]+\.egg-info(?:/PKG-INFO)?")
_NODE = re.compile(r"(?:^|.*/)node_modules/(?:@[^/]+/)?[^/@.][^/]*/package\.json")
_GEM = re.compile(r"(?:^|.*/)specifications/(?:default/)?([^/]+)-(\d[^/-]*)(?:-[^/]+)?\.gemspec")
_JARS = (".jar", ".war", ".ear")
_DEPS_JSON, _INSTALLED_JSON = ".deps.json", "vendor/composer/installed.json"
_ELF = b"\x7fELF"

MOST_NESTED = 3
"""Archives of Java in one another that are opened: an .ear has a .war, which has its .jar."""
MOST_JAR = 512 << 20
"""Bytes of an archive inside of another that are expanded."""
MOST_AUDITABLE = 8 << 20
"""Bytes of a list of crates, expanded (cargo-auditable recommends a limit)."""


def is_of_language(path: str, head: bytes) -> bool:
    """Whether a file may say of packages: ``head`` are its first bytes."""
    last = path.rpartition("/")[2]
    return (
        head.startswith(_ELF)
        or path.endswith((*_JARS, _DEPS_JSON))
        or last in ("METADATA", "PKG-INFO", "package.json")
        or last.endswith(".egg-info")
        or f"/{path}".endswith(f"/{_INSTALLED_JSON}")
    )


def read(path: str, data: bytes) -> Inside:
    """What a file says of packages; ``data`` is empty where it is none of those that may say something by their content."""
    inside = Inside()
    try:
        _find(path, data, inside)
    except _Unreadable as error:
        inside.doubts.append((path, error.why))
    return inside


class _Unreadable(Exception):
    def __init__(self, why: Message) -> None:
        super().__init__(why)
        self.why = why


def _find(path: str, data: bytes, inside: Inside) -> None:
    parts = path.split("/")
    if data.startswith(_ELF):
        _program(path, data, inside)
    elif path.endswith(_JARS):
        _jar(path, data, inside, 0)
    elif _METADATA.fullmatch("/".join(parts[-2:])) or _METADATA.fullmatch(parts[-1]):
        _python(path, data, inside)
    elif _NODE.fullmatch(path):
        _node(path, data, inside)
    elif gem := _GEM.fullmatch(path):
        inside.parts.append(Part("RubyGems", "gem", gem[1], gem[2], path))
    elif f"/{path}".endswith(f"/{_INSTALLED_JSON}"):
        _composer(path, data, inside)
    elif path.endswith(_DEPS_JSON):
        _dotnet(path, data, inside)


def _python(path: str, data: bytes, inside: Inside) -> None:
    said = email.parser.BytesHeaderParser().parsebytes(data)
    name, version = said.get("Name"), said.get("Version")
    if not name or not version:
        raise _Unreadable(_("it names no package with a version"))
    licence = said.get("License-Expression") or said.get("License") or ""
    # Names are compared in this form (Python packaging specifications, name normalization).
    plain = re.sub(r"[-_.]+", "-", str(name).strip()).lower()
    inside.parts.append(Part("PyPI", "pypi", plain, str(version).strip(), path, licence=_one_line(str(licence))))


def _node(path: str, data: bytes, inside: Inside) -> None:
    said = _json(data)
    name, version = said.get("name"), said.get("version")
    if not isinstance(name, str) or not isinstance(version, str):
        return  # a directory of a package may have a package.json that only sets how its modules are read
    licence = said.get("license")
    if isinstance(licence, dict):
        licence = licence.get("type")
    namespace, _slash, plain = name.rpartition("/")
    inside.parts.append(
        Part(
            "npm", "npm", plain, version, path, namespace=namespace, licence=licence if isinstance(licence, str) else ""
        )
    )


def _jar(path: str, data: bytes, inside: Inside, depth: int) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            named = False
            for info in archive.infolist():
                if info.filename.startswith("META-INF/maven/") and info.filename.endswith("/pom.properties"):
                    named |= _coordinates(f"{path}!/{info.filename}", archive.read(info), inside)
                elif info.filename.endswith(_JARS) and depth < MOST_NESTED:
                    if info.file_size > MOST_JAR:
                        inside.doubts.append((f"{path}!/{info.filename}", _("it is too large to be read")))
                        continue
                    named = True
                    _jar(f"{path}!/{info.filename}", archive.read(info), inside, depth + 1)
            if not named:
                _nameless_jar(path, data, archive, inside)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _Unreadable(_("it is no archive of Java, or it is damaged")) from error


def _coordinates(where: str, data: bytes, inside: Inside) -> bool:
    said = {
        key.strip(): value.strip()
        for key, equals, value in (line.partition("=") for line in data.decode("latin-1").splitlines())
        if equals and not key.startswith("#")
    }
    if not all(said.get(key) for key in ("groupId", "artifactId", "version")):
        return False
    inside.parts.append(Part("Maven", "maven", said["artifactId"], said["version"], where, namespace=said["groupId"]))
    return True


def _nameless_jar(path: str, data: bytes, archive: zipfile.ZipFile, inside: Inside) -> None:
    """An archive without coordinates: its name and version are those of its file, and no advisory can be asked for it."""
    file = re.fullmatch(r"(.+?)(?:-(\d[\w.+-]*))?\.[jwe]ar", path.rpartition("/")[2])
    assert file is not None
    digest = hashlib.sha256(data).hexdigest()
    has_classes = any(name.endswith(".class") for name in archive.namelist())
    if has_classes:
        inside.parts.append(Part("", "generic", file[1], file[2] or "", path, sha256=digest))


def _program(path: str, data: bytes, inside: Inside) -> None:
    """What Go and cargo-auditable write into a program; one that says nothing is known by its digest alone."""
    try:
        reader = ElfReader(data, path)
        go = reader.go_build_info()
        crates = reader.section(".dep-v0")
    except NotElf as error:
        raise _Unreadable(told(error)) from error
    if go is not None:
        inside.parts.append(Part("Go", "golang", "stdlib", go.version.removeprefix("go"), path))
        for module in go.modules:
            taken, _space, at = module.replaced_by.partition(" ")
            name, version = (taken, at) if module.replaced_by else (module.path, module.version)
            namespace, _slash, plain = name.rpartition("/")
            if version != "(devel)":
                inside.parts.append(Part("Go", "golang", plain, version, path, namespace=namespace))
    if crates is not None:
        for crate in _crates(data[crates.offset : crates.offset + crates.size]):
            inside.parts.append(Part(OSV, "cargo", crate["name"], crate["version"], path))
    if go is None and crates is None:
        digest = hashlib.sha256(data).hexdigest()
        inside.parts.append(Part("", "generic", path.rpartition("/")[2], "", path, sha256=digest))


def _crates(data: bytes) -> list[dict[str, str]]:
    try:
        inflate = zlib.decompressobj()
        text = inflate.decompress(data, MOST_AUDITABLE)
    except zlib.error as error:
        raise _Unreadable(_("its list of crates is damaged")) from error
    crates = _json(text).get("packages")
    if not isinstance(crates, list):
        raise _Unreadable(_("its list of crates is damaged"))
    return [
        c
        for c in crates
        if isinstance(c, dict)
        and all(isinstance(c.get(k), str) for k in ("name", "version"))
        and c.get("source") == OSV
    ]


def _composer(path: str, data: bytes, inside: Inside) -> None:
    said = _json(data, lists=True)
    packages = said if isinstance(said, list) else said.get("packages")
    for package in packages if isinstance(packages, list) else []:
        if (
            isinstance(package, dict)
            and isinstance(package.get("name"), str)
            and isinstance(package.get("version"), str)
        ):
            namespace, _slash, name = package["name"].rpartition("/")
            version = re.sub(r"^v(?=\d)", "", package["version"])
            inside.parts.append(Part("Packagist", "composer", name, version, path, namespace=namespace))


def _dotnet(path: str, data: bytes, inside: Inside) -> None:
    libraries = _json(data).get("libraries")
    for name, library in libraries.items() if isinstance(libraries, dict) else ():
        plain, _slash, version = name.partition("/")
        if isinstance(library, dict) and library.get("type") == "package" and version:
            inside.parts.append(Part("NuGet", "nuget", plain, version, path))


def _json(data: bytes, *, lists: bool = False) -> Any:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _Unreadable(_("it is no JSON")) from error
    if not isinstance(said, dict) and not (lists and isinstance(said, list)):
        raise _Unreadable(_("it is no object of JSON"))
    return said


def _one_line(text: str) -> str:
    """The first line of a licence; some packages give its whole text."""
    return text.strip().split("\n", 1)[0][:200]
