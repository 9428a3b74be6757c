"""Class files as the virtual machine reads them (JVMS 4)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.messages import _

PUBLIC, PRIVATE, PROTECTED, STATIC, FINAL = 0x1, 0x2, 0x4, 0x8, 0x10
INTERFACE, ABSTRACT, SYNTHETIC, ANNOTATION, ENUM = 0x200, 0x400, 0x1000, 0x2000, 0x4000
"""Access flags (JVMS tables 4.1-B, 4.5-A, 4.6-A)."""

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
