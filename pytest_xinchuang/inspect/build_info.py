"""What an object says of its own build: GCC's recorded switches, the producers in DWARF, the comments of compilers.

Every loop is bounded by the size of the file, whatever its fields claim.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.inspect.elf_reader import ElfReader
from pytest_xinchuang.inspect.go_build_info import GoBuildInfo

MOST_UNITS = 100_000
"""Units of DWARF that are looked at; Chromium's debug build has some 30,000."""

LARGEST_SECTION = 1 << 30
"""Bytes that a compressed section may have; beyond, it is not read."""

_SHT_SYMTAB, _SHT_RELA, _SHF_COMPRESSED = 2, 4, 0x800

_ROW = 24
"""Bytes of a symbol, and of a relocation, in 64-bit objects."""

_PLAIN = frozenset({1, 2, 10, 257, 258})
"""Types of relocations that put a value where they are: R_X86_64_64, _32, R_AARCH64_ABS64, _ABS32, R_LARCH_32, _64."""

_AT_PRODUCER, _AT_STR_OFFSETS_BASE = 0x25, 0x72
_FIXED = {
    0x01: 0, 0x0B: 1, 0x0C: 1, 0x11: 1, 0x25: 1, 0x29: 1, 0x05: 2, 0x12: 2, 0x26: 2, 0x2A: 2, 0x27: 3, 0x2B: 3, 0x06: 4,
    0x13: 4, 0x28: 4, 0x2C: 4, 0x1C: 4, 0x07: 8, 0x14: 8, 0x20: 8, 0x24: 8, 0x1E: 16, 0x19: 0, 0x21: 0,
}  # fmt: skip
"""Forms of a fixed size (DWARF 5, 7.5.6); 0x01 is an address, whose size the unit says."""
_LEB = frozenset({0x0D, 0x0F, 0x15, 0x1A, 0x1B, 0x22, 0x23})
_OFFSETS = frozenset({0x0E, 0x17, 0x1F, 0x10, 0x1D})
_STRP, _LINE_STRP, _STRING, _IMPLICIT = 0x0E, 0x1F, 0x08, 0x21
_STRX = {0x1A: 0, 0x25: 1, 0x26: 2, 0x27: 3, 0x28: 4}


@dataclass
class BuildInfo:
    """What was found.

    Attributes:
        machine: e_machine, as pyelftools names it.
        linked: it is a program or a shared library, and may have parts that tell nothing.
        switches: the strings of ``.GCC.command.line``.
        producers: DW_AT_producer of each unit, each once.
        units: how many units its debugging information has.
        silent_units: units whose producer could not be read.
        comments: the strings of ``.comment``.
    """

    machine: str
    linked: bool
    switches: list[str] = field(default_factory=list)
    producers: list[str] = field(default_factory=list)
    units: int = 0
    silent_units: int = 0
    comments: list[str] = field(default_factory=list)
    go: GoBuildInfo | None = None


def read_build_info(data: bytes, name: str) -> BuildInfo:
    """Read what an ELF object says of its build.

    Raises:
        NotElf: the bytes are no ELF object, or a broken one.
    """
    reader = ElfReader(data, name)
    elf = reader.read()
    info = BuildInfo(elf.machine, linked=elf.kind in ("exec", "dyn"), go=elf.go)
    sections = _Sections(reader)
    info.switches = _strings(sections.get(".GCC.command.line"))
    info.comments = _strings(sections.get(".comment"))
    try:
        _read_units(sections, info)
    except (struct.error, IndexError, ValueError, OverflowError):
        info.silent_units += 1
    return info


def _strings(data: bytes) -> list[str]:
    return list(dict.fromkeys(part.decode(errors="replace") for part in data.split(b"\0") if part))


class _Sections:
    """Sections by name, uncompressed, with the relocations of an object that is not linked yet."""

    def __init__(self, reader: ElfReader) -> None:
        self._reader = reader
        self._found: dict[str, bytes] = {}
        self.order = reader.order

    def get(self, name: str) -> bytes:
        if name not in self._found:
            self._found[name] = self._read(name)
        return self._found[name]

    def _read(self, name: str) -> bytes:
        section: Any = next((s for s in self._reader.sections if s.name == name), None)
        if section is None or section.kind == 8:  # SHT_NOBITS
            return b""
        data = bytes(self._reader.data[section.offset : section.offset + section.size])
        if section.flags & _SHF_COMPRESSED:
            data = self._unpacked(data)
        return self._relocated(name, data) if self._reader.type == 1 else data

    def _rows(self, section: Any) -> bytes:
        raw = bytes(self._reader.data[section.offset : section.offset + section.size])
        return raw[: len(raw) // _ROW * _ROW]

    def _symbols(self) -> list[int]:
        """The value of each symbol."""
        table: Any = next((s for s in self._reader.sections if s.kind == _SHT_SYMTAB), None)
        if table is None:
            return []
        return [row[4] for row in struct.iter_unpack(self.order + "IBBHQQ", self._rows(table))]

    def _unpacked(self, data: bytes) -> bytes:
        form = "IIQQ" if self._reader.wide else "III"
        head = struct.calcsize(self.order + form)
        if len(data) < head:
            return b""
        values = struct.unpack_from(self.order + form, data)
        size = values[2] if self._reader.wide else values[1]
        if values[0] != 1 or size > LARGEST_SECTION:  # ELFCOMPRESS_ZLIB
            return b""
        try:
            return zlib.decompressobj().decompress(data[head:], size)
        except zlib.error:
            return b""

    def _relocated(self, name: str, data: bytes) -> bytes:
        """With its relocations, which are offsets into other sections here: the value of a symbol and an addend."""
        section: Any = next((s for s in self._reader.sections if s.name == f".rela{name}"), None)
        if section is None or section.kind != _SHT_RELA or not self._reader.wide:
            return data
        changed = bytearray(data)
        values = self._symbols()
        for offset, info, addend in struct.iter_unpack(self.order + "QQq", self._rows(section)):
            value = addend + (values[info >> 32] if info >> 32 < len(values) else 0)
            if 0 <= value < 1 << 32 and offset + 4 <= len(changed) and info & 0xFFFFFFFF in _PLAIN:
                struct.pack_into(self.order + "I", changed, offset, value)
        return bytes(changed)


def _read_units(sections: _Sections, info: BuildInfo) -> None:
    data, order = sections.get(".debug_info"), sections.order
    at = units = 0
    seen: dict[str, None] = {}
    while at + 11 <= len(data):
        units += 1
        if units > MOST_UNITS:
            info.silent_units += 1
            break
        (length,) = struct.unpack_from(order + "I", data, at)
        wide, head = length == 0xFFFFFFFF, at + 4
        if wide:
            (length,) = struct.unpack_from(order + "Q", data, at + 4)
            head = at + 12
        end = head + length
        if end > len(data) or length < 7:
            info.silent_units += 1
            break
        producer = _producer(sections, data, head, wide)
        if producer is None:
            info.silent_units += 1
        elif producer:
            seen[producer] = None
        at = end
    info.producers, info.units = list(seen), units


def _producer(sections: _Sections, data: bytes, at: int, wide: bool) -> str | None:
    """The producer of the unit whose version stands at ``at``; empty: its first entry has none; None: it cannot be read."""
    order, width = sections.order, 8 if wide else 4
    word = order + ("Q" if wide else "I")
    (version,) = struct.unpack_from(order + "H", data, at)
    if version >= 5:
        kind, size = data[at + 2], data[at + 3]
        (table,) = struct.unpack_from(word, data, at + 4)
        at += 4 + width
        at += {4: 8, 5: 8, 2: 8 + width, 6: 8 + width}.get(kind, 0)  # skeleton and split units, type units
        if kind in (2, 6):
            return ""
    else:
        (table,) = struct.unpack_from(word, data, at + 2)
        size, at = data[at + 2 + width], at + 3 + width
    code, at = _leb(data, at)
    attributes = _abbreviation(sections.get(".debug_abbrev"), table, code) if code else []
    base, found = width * 2, None
    for name, form, _value in attributes:
        if name == _AT_PRODUCER:
            found = (form, at)
        elif name == _AT_STR_OFFSETS_BASE:
            (base,) = struct.unpack_from(word, data, at)
        after = _after(data, at, form, size, width)
        if after is None:
            break
        at = after
    if found is None:
        return "" if attributes else None
    return _text(sections, data, found, base, wide)


def _text(sections: _Sections, data: bytes, found: tuple[int, int], base: int, wide: bool) -> str | None:
    form, at = found
    word = sections.order + ("Q" if wide else "I")
    if form == _STRING:
        return _string(data, at)
    if form in (_STRP, _LINE_STRP):
        (offset,) = struct.unpack_from(word, data, at)
        return _string(sections.get(".debug_str" if form == _STRP else ".debug_line_str"), offset)
    if form in _STRX:
        width = _STRX[form]
        index = int.from_bytes(data[at : at + width], "little") if width else _leb(data, at)[0]
        (offset,) = struct.unpack_from(word, sections.get(".debug_str_offsets"), base + index * struct.calcsize(word))
        return _string(sections.get(".debug_str"), offset)
    return None


def _abbreviation(table: bytes, at: int, wanted: int) -> list[tuple[int, int, int]]:
    """(attribute, form, implicit value) of one code."""
    while at < len(table):
        code, at = _leb(table, at)
        if not code:
            return []
        _tag, at = _leb(table, at)
        at += 1
        attributes = []
        while True:
            name, at = _leb(table, at)
            form, at = _leb(table, at)
            value = 0
            if form == _IMPLICIT:
                value, at = _leb(table, at)
            if not name and not form:
                break
            attributes.append((name, form, value))
        if code == wanted:
            return attributes
    return []


def _after(data: bytes, at: int, form: int, address: int, width: int) -> int | None:
    """Where the value of a form ends; None: a form that is not known."""
    if form == 0x01:
        return at + address
    if form in _FIXED:
        return at + _FIXED[form]
    if form in _OFFSETS:
        return at + width
    if form in _LEB:
        return _leb(data, at)[1]
    if form == _STRING:
        return data.index(b"\0", at) + 1
    if form in (0x09, 0x18):
        length, at = _leb(data, at)
        return at + length
    block = {0x0A: 1, 0x03: 2, 0x04: 4}.get(form)
    if block:
        return at + block + int.from_bytes(data[at : at + block], "little")
    return None


def _leb(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return value, at + index + 1
    raise ValueError("a number of more than ten bytes")


def _string(data: bytes, at: int) -> str | None:
    end = data.find(b"\0", at) if 0 <= at < len(data) else -1
    return data[at:end].decode(errors="replace") if end >= 0 else None
