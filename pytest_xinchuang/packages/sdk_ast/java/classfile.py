"""Class files as the virtual machine reads them (JVMS 4)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.messages import _

PUBLIC, PRIVATE, PROTECTED, STATIC, FINAL = 0x1, 0x2, 0x4, 0x8, 0x10
INTERFACE, ABSTRACT, SYNTHETIC, ANNOTATION, ENUM = 0x200, 0x400, 0x1000, 0x2000, 0x4000
BRIDGE, VARARGS, MODULE, TRANSITIVE = 0x40, 0x80, 0x8000, 0x20
"""Access flags (JVMS tables 4.1-B, 4.5-A, 4.6-A, and of modules 4.7.25)."""

LARGEST = 16 << 20
"""A class file has constants of 64 KiB and methods of 64 KiB; nothing that a compiler makes is near this."""


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
    default: bool = False


@dataclass(frozen=True)
class Module:
    """A module's declaration (JVMS 4.7.25): what everybody may use of it.

    Attributes:
        exports, opens: packages, without those that are for named modules alone.
        requires: the modules that it hands on (``requires transitive``).
        provides: the services that it implements.
    """

    name: str
    exports: tuple[str, ...]
    opens: tuple[str, ...]
    requires: tuple[str, ...]
    provides: tuple[str, ...]


@dataclass(frozen=True)
class ClassFile:
    """What a class file says that others can see.

    Attributes:
        release: the version of Java SE that it is for (JVMS table 4.1-A: the major version less 44).
        permits: the classes that may extend it; None: it is not sealed.
        components: name and type of each component of a record; None: it is none.
        annotations: what is known of its annotations: type -> element -> value.
    """

    name: str
    access: int
    parent: str
    interfaces: tuple[str, ...]
    fields: tuple[ClassMember, ...]
    methods: tuple[ClassMember, ...]
    permits: tuple[str, ...] | None
    components: tuple[tuple[str, str], ...] | None
    signature: str
    deprecated: bool
    release: int
    annotations: Mapping[str, Mapping[str, Any]]
    module: Module | None = None

    @property
    def visible(self) -> bool:
        return bool(self.access & (PUBLIC | PROTECTED)) and not self.access & SYNTHETIC

    @property
    def kind(self) -> str:
        if self.access & ANNOTATION:
            return "annotation"
        if self.access & INTERFACE:
            return "interface"
        return "enum" if self.access & ENUM else "record" if self.components is not None else "class"


class _Pool:
    """The constant pool (JVMS 4.4)."""

    def __init__(self, data: _Bytes) -> None:
        count = data.u2()
        self.entries: list[Any] = [None] * count
        index = 1
        while index < count:
            tag = data.u1()
            if tag == 1:
                # Java's own UTF-8 (JVMS 4.4.7) writes NUL as two bytes, and halves of what is beyond the BMP each by itself.
                raw = data.take(data.u2()).replace(b"\xc0\x80", b"\0")
                self.entries[index] = raw.decode("utf-8", "replace")
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

    def plain(self, index: int) -> Any:
        """A constant as it is."""
        return self._entry(index)

    def constant(self, index: int) -> str:
        found = self._entry(index)
        return repr(self.text(found[1])) if isinstance(found, tuple) else repr(found)


def release_of(data: bytes) -> int:
    """The version of Java SE that a class file is for, by its head alone.

    Raises:
        BadClass: it has none.
    """
    return _release(_Bytes(data))


def _release(reader: _Bytes) -> int:
    if reader.u4() != 0xCAFEBABE:
        raise BadClass(_("it does not begin with CAFEBABE"))
    reader.take(2)  # the minor version
    return reader.u2() - 44


def read_class(data: bytes) -> ClassFile:
    """
    Raises:
        BadClass: it is malformed.
    """
    reader = _Bytes(data)
    release = _release(reader)
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
        _names(attributes["PermittedSubclasses"], pool) if "PermittedSubclasses" in attributes else None,
        _components(attributes["Record"], pool) if "Record" in attributes else None,
        _signature(attributes, pool),
        "Deprecated" in attributes,
        release,
        _annotations(attributes, pool),
        _module(attributes["Module"], pool) if "Module" in attributes else None,
    )


def _names(raw: bytes, pool: _Pool) -> tuple[str, ...]:
    listed = _Bytes(raw)
    return tuple(sorted(pool.name(listed.u2()) for _rest in range(listed.u2())))


def _components(raw: bytes, pool: _Pool) -> tuple[tuple[str, str], ...]:
    listed, found = _Bytes(raw), []
    for _rest in range(listed.u2()):
        name, descriptor = pool.text(listed.u2()), pool.text(listed.u2())
        found.append((name, _signature(_attributes(listed, pool), pool) or descriptor))
    return tuple(found)


def _module(raw: bytes, pool: _Pool) -> Module:
    data = _Bytes(raw)
    name = pool.name(data.u2())
    data.take(4)  # flags and version
    requires = []
    for _rest in range(data.u2()):
        required, flags = pool.name(data.u2()), data.u2()
        data.take(2)
        if flags & TRANSITIVE:
            requires.append(required)

    def packages() -> tuple[str, ...]:
        found = []
        for _rest in range(data.u2()):
            package = pool.name(data.u2())
            data.take(2)
            to = data.u2()
            data.take(2 * to)
            if not to:
                found.append(package)
        return tuple(sorted(found))

    exports, opens = packages(), packages()
    data.take(2 * data.u2())  # uses
    provides = []
    for _rest in range(data.u2()):
        provides.append(pool.name(data.u2()))
        data.take(2 * data.u2())
    return Module(name, exports, opens, tuple(sorted(requires)), tuple(sorted(provides)))


def _annotations(attributes: Mapping[str, bytes], pool: _Pool) -> dict[str, dict[str, Any]]:
    """The annotations that stay in the class file (JVMS 4.7.16, 4.7.17): type -> element -> value."""
    found: dict[str, dict[str, Any]] = {}
    for kind in ("RuntimeVisibleAnnotations", "RuntimeInvisibleAnnotations"):
        if kind in attributes:
            data = _Bytes(attributes[kind])
            for _rest in range(data.u2()):
                name, values = _annotation(data, pool)
                found[name] = values
    return found


def _annotation(data: _Bytes, pool: _Pool) -> tuple[str, dict[str, Any]]:
    name = pool.text(data.u2())[1:-1].replace("/", ".")
    return name, {pool.text(data.u2()): _element(data, pool) for _rest in range(data.u2())}


def _element(data: _Bytes, pool: _Pool) -> Any:
    """An element's value (JVMS 4.7.16.1)."""
    tag = chr(data.u1())
    if tag == "e":
        data.take(2)
        return pool.text(data.u2())
    if tag == "@":
        return _annotation(data, pool)
    if tag == "[":
        return [_element(data, pool) for _rest in range(data.u2())]
    return pool.plain(data.u2())


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
        exceptions = tuple(pool.name(listed.u2()) for _rest in range(listed.u2()))
    return ClassMember(
        name,
        descriptor,
        access,
        constant,
        exceptions,
        _signature(attributes, pool),
        "Deprecated" in attributes,
        "AnnotationDefault" in attributes,
    )
