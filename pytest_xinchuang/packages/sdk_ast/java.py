"""Java: class files are read as the virtual machine reads them (JVMS 4), and compared as callers and subclasses see them."""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, told, verbatim
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules
from pytest_xinchuang.packages.sdk_ast.problems import MALFORMED_CLASS, problem_record
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol, Type
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot

PUBLIC, PRIVATE, PROTECTED, STATIC, FINAL = 0x1, 0x2, 0x4, 0x8, 0x10
INTERFACE, ABSTRACT, SYNTHETIC, ANNOTATION, ENUM = 0x200, 0x400, 0x1000, 0x2000, 0x4000
"""Access flags (JVMS tables 4.1-B, 4.5-A, 4.6-A)."""

LARGEST = 16 << 20
"""A class file has constants of 64 KiB and methods of 64 KiB; nothing that a compiler makes is near this."""

_BASE = {
    "B": "byte", "C": "char", "D": "double", "F": "float", "I": "int", "J": "long", "S": "short", "Z": "boolean", "V": "void",
}  # fmt: skip


class BadClass(ValueError):
    """It is no class file."""


class _Bytes:
    """Reads big-endian numbers; raises BadClass at the end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise BadClass(_("it is cut off"))
        self.at += size
        return self.data[self.at - size : self.at]

    def u1(self) -> int:
        return self.take(1)[0]

    def u2(self) -> int:
        return int.from_bytes(self.take(2))

    def u4(self) -> int:
        return int.from_bytes(self.take(4))


@dataclass(frozen=True)
class ClassMember:
    """A field or method."""

    name: str
    descriptor: str
    access: int
    constant: str | None
    exceptions: tuple[str, ...]
    signature: str
    deprecated: bool


@dataclass(frozen=True)
class ClassFile:
    """What a class file says that others can see."""

    name: str
    access: int
    parent: str
    interfaces: tuple[str, ...]
    fields: tuple[ClassMember, ...]
    methods: tuple[ClassMember, ...]
    permitted: bool
    record: bool
    signature: str
    deprecated: bool

    @property
    def visible(self) -> bool:
        return bool(self.access & (PUBLIC | PROTECTED)) and not self.access & SYNTHETIC

    @property
    def kind(self) -> str:
        if self.access & ANNOTATION:
            return "annotation"
        if self.access & INTERFACE:
            return "interface"
        return "enum" if self.access & ENUM else "record" if self.record else "class"


class _Pool:
    """The constant pool (JVMS 4.4)."""

    def __init__(self, data: _Bytes) -> None:
        count = data.u2()
        self.entries: list[Any] = [None] * count
        index = 1
        while index < count:
            tag = data.u1()
            if tag == 1:
                # Java's own UTF-8 (JVMS 4.4.7) differs for NUL and beyond the BMP: both are shown, not compared with others.
                self.entries[index] = data.take(data.u2()).decode("utf-8", "replace")
            elif tag in (3, 4):
                raw = data.take(4)
                self.entries[index] = struct.unpack(">i" if tag == 3 else ">f", raw)[0]
            elif tag in (5, 6):
                raw = data.take(8)
                self.entries[index] = struct.unpack(">q" if tag == 5 else ">d", raw)[0]
                index += 1  # takes two places
            elif tag in (7, 8, 16, 19, 20):
                self.entries[index] = ("index", data.u2())
            elif tag in (9, 10, 11, 12, 17, 18):
                data.take(4)
            elif tag == 15:
                data.take(3)
            else:
                raise BadClass(_("its constant pool has the unknown tag {tag}", tag=tag))
            index += 1

    def _entry(self, index: int) -> Any:
        if not 0 < index < len(self.entries):
            raise BadClass(_("it names the constant {index}, which is not there", index=index))
        return self.entries[index]

    def text(self, index: int) -> str:
        found = self._entry(index)
        if not isinstance(found, str):
            raise BadClass(_("the constant {index} is no text", index=index))
        return found

    def name(self, index: int) -> str:
        """A class's name with dots."""
        found = self._entry(index)
        if not isinstance(found, tuple):
            raise BadClass(_("the constant {index} is no class", index=index))
        return self.text(found[1]).replace("/", ".")

    def constant(self, index: int) -> str:
        found = self._entry(index)
        return repr(self.text(found[1])) if isinstance(found, tuple) else repr(found)


def read_class(data: bytes) -> ClassFile:
    """
    Raises:
        BadClass: it is malformed.
    """
    reader = _Bytes(data)
    if reader.u4() != 0xCAFEBABE:
        raise BadClass(_("it does not begin with CAFEBABE"))
    reader.take(4)  # versions
    pool = _Pool(reader)
    access, name = reader.u2(), pool.name(reader.u2())
    parent_index = reader.u2()
    parent = pool.name(parent_index) if parent_index else ""
    interfaces = tuple(pool.name(reader.u2()) for _rest in range(reader.u2()))
    fields = tuple(_member(reader, pool) for _rest in range(reader.u2()))
    methods = tuple(_member(reader, pool) for _rest in range(reader.u2()))
    attributes = _attributes(reader, pool)
    if "InnerClasses" in attributes:
        # The access that the source gave a nested class stands here alone (JVMS 4.7.6).
        inner = _Bytes(attributes["InnerClasses"])
        for _rest in range(inner.u2()):
            index, _outer, _name, flags = inner.u2(), inner.u2(), inner.u2(), inner.u2()
            if pool.name(index) == name:
                access = (access & ~(PUBLIC | PRIVATE | PROTECTED | STATIC)) | flags
    return ClassFile(
        name,
        access,
        parent,
        interfaces,
        fields,
        methods,
        "PermittedSubclasses" in attributes,
        "Record" in attributes,
        _signature(attributes, pool),
        "Deprecated" in attributes,
    )


def _attributes(reader: _Bytes, pool: _Pool) -> dict[str, bytes]:
    found = {}
    for _entry in range(reader.u2()):
        name = pool.text(reader.u2())
        found[name] = reader.take(reader.u4())
    return found


def _signature(attributes: Mapping[str, bytes], pool: _Pool) -> str:
    raw = attributes.get("Signature")
    return pool.text(_Bytes(raw).u2()) if raw else ""


def _member(reader: _Bytes, pool: _Pool) -> ClassMember:
    access, name, descriptor = reader.u2(), pool.text(reader.u2()), pool.text(reader.u2())
    attributes = _attributes(reader, pool)
    constant = pool.constant(_Bytes(attributes["ConstantValue"]).u2()) if "ConstantValue" in attributes else None
    exceptions: tuple[str, ...] = ()
    if "Exceptions" in attributes:
        listed = _Bytes(attributes["Exceptions"])
        exceptions = tuple(sorted(pool.name(listed.u2()) for _ in range(listed.u2())))
    return ClassMember(
        name, descriptor, access, constant, exceptions, _signature(attributes, pool), "Deprecated" in attributes
    )


# -- snapshots


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


def parse_descriptor(text: str) -> dict[str, Any]:
    """A field or method descriptor (JVMS 4.3) as a tree.

    Raises:
        BadClass: it is malformed.
    """
    if not text.startswith("("):
        found, rest = _field_type(text)
        if rest:
            raise BadClass(_("{text} is no descriptor", text=verbatim(repr(text))))
        return found
    rest = text[1:]
    params = []
    while rest and not rest.startswith(")"):
        one, rest = _field_type(rest)
        params.append(one)
    result, rest = _field_type(rest[1:])
    if rest:
        raise BadClass(_("{text} is no descriptor", text=verbatim(repr(text))))
    return {"kind": "func", "params": params, "results": [result]}


def _field_type(text: str) -> tuple[dict[str, Any], str]:
    if text[:1] in _BASE:
        return {"kind": "basic", "name": _BASE[text[0]]}, text[1:]
    if text[:1] == "[":
        inner, rest = _field_type(text[1:])
        return {"kind": "slice", "elem": inner}, rest
    if text[:1] == "L" and ";" in text:
        name, _rest, rest = text[1:].partition(";")
        package, _rest, short = name.replace("/", ".").rpartition(".")
        return {"kind": "named", "package": package, "name": short}, rest
    raise BadClass(_("{text} is no descriptor", text=verbatim(repr(text))))


# -- comparing


class JavaText:
    """Writes Java types."""

    def type(self, t: Type | None) -> str:
        if t is None:
            return "?"
        if t["kind"] == "slice":
            return self.type(t["elem"]) + "[]"
        if t["kind"] == "func":
            return f"{self.type(t['results'][0])} ({', '.join(self.type(p) for p in t['params'])})"
        return str(t["name"]).replace("$", ".")

    def symbol(self, s: Symbol) -> str:
        facts = s.get("facts") or {}
        words = [w for w in (facts.get("access"), *(w for w in ("static", "abstract", "final") if facts.get(w))) if w]
        if s["kind"] == "class":
            return " ".join([*words, facts["kind"]])
        return " ".join([*words, self.type(s.get("type"))]) + (f" = {s['value']}" if "value" in s else "")


_RANK = {"package": 0, "protected": 1, "public": 2}


_REMOVED = {"class": "JAVA-CLASS-REMOVED", "method": "JAVA-METHOD-REMOVED", "field": "JAVA-FIELD-REMOVED"}
"""Kind of a symbol -> the rule about its removal."""


class JavaComparer(Comparer):
    """Compares packages of classes."""

    package_rules = PackageRules(
        added="JAVA-PKG-ADDED",
        removed="JAVA-PKG-REMOVED",
        target_removed="JAVA-PKG-TARGET-REMOVED",
        name_changed="JAVA-PKG-NAME-CHANGED",
        unverifiable="JAVA-UNVERIFIABLE",
    )

    def compare_package(self, old: Any, new: Any) -> None:
        self._old_symbols, self._new_symbols = old.symbols, new.symbols
        super().compare_package(old, new)

    def label(self, path: str, name: str = "") -> str:
        return f"{path}.{_shown(name)}" if name else path

    def _class_of(self, name: str, symbols: Mapping[str, Symbol]) -> Mapping[str, Any]:
        owner = symbols.get(name.partition("#")[0])
        return (owner or {}).get("facts") or {}

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        owner = name.partition("#")[0]
        if symbol["kind"] != "class" and owner not in self._new_symbols:
            return  # told of the class
        facts = symbol["facts"]
        if facts["access"] == "protected" and not self._class_of(name, self._old_symbols).get("open"):
            return  # nobody else could see it
        text = JavaText().symbol(symbol)
        if symbol["kind"] == "method":
            method = name.partition("#")[2].partition("(")[0]
            same = [n for n in self._new_symbols if n.startswith(f"{owner}#{method}(") and n not in self._old_symbols]
            if same:
                now = JavaText().symbol(self._new_symbols[same[0]])
                self.add("JAVA-METHOD-CHANGED", self.label(path, name), text, now)
                return
        self.add(_REMOVED[symbol["kind"]], self.label(path, name), text, "", cause=f"- {self.label(path, name)}")

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        owner = name.partition("#")[0]
        if symbol["kind"] != "class" and owner not in self._old_symbols:
            return
        facts = symbol["facts"]
        before = self._class_of(name, self._old_symbols)
        text = JavaText().symbol(symbol)
        rule = "JAVA-SYMBOL-ADDED"
        if symbol["kind"] == "method" and facts["abstract"] and before.get("open"):
            rule = "JAVA-ABSTRACT-METHOD-ADDED"
        elif symbol["kind"] == "method" and before.get("kind") == "interface" and not facts["static"]:
            rule = "JAVA-DEFAULT-METHOD-ADDED"
        self.add(rule, self.label(path, name), "", text)

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        label = self.label(path, name)
        before, after = old["facts"], new["facts"]
        texts = JavaText().symbol(old), JavaText().symbol(new)
        if _RANK[after["access"]] < _RANK[before["access"]]:
            self.add("JAVA-ACCESS-REDUCED", label, *texts)
        if old["kind"] == "class":
            self._class(label, before, after, texts)
        elif before["access"] == "public" or self._class_of(name, self._old_symbols).get("open"):
            self._member(label, name, old, new, texts)
        if new.get("deprecated") and not old.get("deprecated"):
            self.add("JAVA-DEPRECATED", label)

    def _class(self, label: str, before: Mapping[str, Any], after: Mapping[str, Any], texts: tuple[str, str]) -> None:
        if before["kind"] != after["kind"]:
            self.add("JAVA-CLASS-KIND-CHANGED", label, before["kind"], after["kind"])
            return
        if after["final"] and not before["final"] and before["open"]:
            self.add("JAVA-CLASS-FINAL-ADDED", label, *texts)
        if after["sealed"] and not before["sealed"] and before["open"]:
            self.add("JAVA-CLASS-SEALED", label, *texts)
        if after["abstract"] and not before["abstract"]:
            self.add("JAVA-CLASS-ABSTRACT-ADDED", label, *texts)
        lost = sorted(set(before["super"]) - set(after["super"]))
        if lost:
            self.add("JAVA-SUPERTYPE-REMOVED", label, ", ".join(lost), "")
        if before["static"] != after["static"]:
            self.add("JAVA-CLASS-STATIC-CHANGED", label, *texts)
        if before["signature"].startswith("<") and not after["signature"].startswith("<"):
            self.add("JAVA-CLASS-GENERIC-LOST", label, before["signature"], after["signature"])

    def _member(self, label: str, name: str, old: Symbol, new: Symbol, texts: tuple[str, str]) -> None:
        before, after = old["facts"], new["facts"]
        if before["static"] != after["static"]:
            self.add("JAVA-STATIC-CHANGED", label, *texts)
        if old["kind"] == "field":
            if old["type"] != new["type"]:
                self.add("JAVA-FIELD-TYPE-CHANGED", label, *texts)
            elif after["final"] and not before["final"]:
                self.add("JAVA-FIELD-FINAL-ADDED", label, *texts)
            elif "value" in old and old.get("value") != new.get("value"):
                self.add("JAVA-CONSTANT-CHANGED", label, *texts)
            return
        owner = self._class_of(name, self._old_symbols)
        if after["final"] and not before["final"] and owner.get("open"):
            self.add("JAVA-METHOD-FINAL-ADDED", label, *texts)
        if after["abstract"] and not before["abstract"]:
            self.add("JAVA-METHOD-ABSTRACT-ADDED", label, *texts)
        thrown = sorted(set(after["throws"]) - set(before["throws"]))
        if thrown:
            self.add("JAVA-EXCEPTION-ADDED", label, "", ", ".join(thrown))
        elif gone := sorted(set(before["throws"]) - set(after["throws"])):
            self.add("JAVA-EXCEPTION-REMOVED", label, ", ".join(gone), "")


def _shown(name: str) -> str:
    """``T#m(IJ)V`` as ``T#m(int, long)``."""
    owner, mark, member = name.partition("#")
    if not mark or "(" not in member:
        return name
    method, _, rest = member.partition("(")
    params = parse_descriptor(f"({rest}")["params"]
    shown = owner.rpartition(".")[2] if method == "<init>" else method
    return f"{owner}#{shown}({', '.join(JavaText().type(p) for p in params)})"
