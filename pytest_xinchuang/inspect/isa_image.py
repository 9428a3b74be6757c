"""An object's memory as its loader lays it out: what stands behind an address, a slot or a stub, and where running begins."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.elf_reader import ElfReader
from pytest_xinchuang.inspect.elf_tags import (
    DT_JMPREL,
    DT_PLTRELSZ,
    DT_RELA,
    DT_RELASZ,
    DT_STRSZ,
    DT_STRTAB,
    DT_SYMTAB,
)
from pytest_xinchuang.inspect.isa_hits import Functions

# System V gABI, d_tag.
DT_INIT, DT_INIT_ARRAY, DT_INIT_ARRAYSZ, DT_PREINIT_ARRAY, DT_PREINIT_ARRAYSZ = 12, 25, 27, 32, 33

RELATIVE: Mapping[str, int] = {"EM_X86_64": 8, "EM_AARCH64": 1027, "EM_LOONGARCH": 3}
"""R_X86_64_RELATIVE, R_AARCH64_RELATIVE, R_LARCH_RELATIVE: the pointer is the addend."""

TO_SYMBOL: Mapping[str, tuple[int, ...]] = {
    # R_X86_64_64, GLOB_DAT, JUMP_SLOT; R_AARCH64_ABS64, GLOB_DAT, JUMP_SLOT; R_LARCH_64, JUMP_SLOT.
    "EM_X86_64": (1, 6, 7),
    "EM_AARCH64": (257, 1025, 1026),
    "EM_LOONGARCH": (2, 5),
}

LOADED_BY_NAME = (
    "JNI_OnLoad",
    "PyInit_",
    "Init_",
    "boot_",
    "luaopen_",
    "napi_register_module",
    "sqlite3_extension_init",
)
"""Functions that whoever opens the library calls first: of Java, Python, Ruby, Perl, Lua, Node and SQLite."""

MAX_RELOCATIONS = 8_000_000
"""Far above the largest known tables: Chromium's has some 2.5 million."""

_RELA = np.dtype([("offset", "<u8"), ("info", "<u8"), ("addend", "<i8")])
_SYMBOL = np.dtype(
    [("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8")]
)


@dataclass(frozen=True)
class Root:
    """A function that runs although nothing in the object calls it."""

    address: int
    name: str


class Pointers:
    """Slots and what they hold, in two arrays: large libraries have millions."""

    def __init__(self, places: Any, targets: Any) -> None:
        order = np.argsort(places, kind="stable")
        self._places, self._targets = places[order], targets[order]

    def get(self, slot: int) -> int:
        """What is in a slot; 0 where there is none."""
        at = int(np.searchsorted(self._places, slot)) if 0 <= slot < 1 << 63 else len(self._places)
        return int(self._targets[at]) if at < len(self._places) and int(self._places[at]) == slot else 0

    def hold(self, target: int) -> bool:
        """Whether some slot holds ``target``."""
        return bool((self._targets == target).any())


class Image:
    """One linked object of 64 bits, little-endian."""

    def __init__(self, elf: ElfObject, data: bytes) -> None:
        self.elf = elf
        self.data = data
        self.reader = ElfReader(data, elf.name)
        self.functions = Functions(elf.functions)
        self.starts = frozenset(self.functions.starts)
        self.names = {f.name: f.address for f in elf.functions if f.name}

    def bytes_at(self, address: int, size: int) -> bytes:
        offset = self.reader.offset_of(address)
        return bytes(self.data[offset : offset + size]) if offset is not None else b""

    def is_mapped_as_one(self, begin: int, end: int) -> bool:
        """Whether the bytes from ``begin`` to ``end`` stand in the file as they do in memory."""
        place = self.reader.offset_of
        first = place(begin)
        return first is not None and all(
            place(edge) == first + edge - begin
            for edge in (end - 1, *(s.address for s in self.reader.segments if begin < s.address < end))
        )

    def word_at(self, address: int) -> int:
        raw = self.bytes_at(address, 8)
        return int(struct.unpack("<Q", raw)[0]) if len(raw) == 8 else 0

    def is_code(self, address: int) -> bool:
        return any(c.address <= address < c.address + c.size for c in self.elf.code)

    # -- relocations

    @cached_property
    def _relocations(self) -> Any:
        parts = []
        for address_tag, size_tag in ((DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)):
            address, size = self.reader.tag(address_tag), self.reader.tag(size_tag) or 0
            offset = self.reader.offset_of(address) if address is not None else None
            if offset is None:
                continue
            count = min(size // 24, (len(self.data) - offset) // 24, MAX_RELOCATIONS)
            parts.append(np.frombuffer(self.data, dtype=_RELA, count=count, offset=offset))
        return np.concatenate(parts) if parts else np.zeros(0, dtype=_RELA)

    @cached_property
    def _symbols(self) -> Any:
        address = self.reader.tag(DT_SYMTAB)
        offset = self.reader.offset_of(address) if address is not None else None
        if offset is None or not len(self._relocations):
            return np.zeros(0, dtype=_SYMBOL)
        most = int((self._relocations["info"] >> np.uint64(32)).max()) + 1
        count = min(most, (len(self.data) - offset) // 24)
        return np.frombuffer(self.data, dtype=_SYMBOL, count=count, offset=offset)

    @cached_property
    def _strings(self) -> bytes:
        address = self.reader.tag(DT_STRTAB)
        offset = self.reader.offset_of(address) if address is not None else None
        return bytes(self.data[offset : offset + (self.reader.tag(DT_STRSZ) or 0)]) if offset is not None else b""

    @cached_property
    def slots(self) -> dict[int, str]:
        """Address of a slot -> the name of the foreign symbol that the loader puts there."""
        found = {}
        for place, index, _addend in self._symbolic:
            symbol = self._symbols[index]
            if int(symbol["section"]) == 0:
                found[place] = self._name(int(symbol["name"]))
        return found

    @cached_property
    def own_slots(self) -> dict[int, int]:
        """Address of a slot -> the address of the object's own symbol that the loader puts there, where nobody has another."""
        return {
            place: int(self._symbols[index]["value"]) + addend
            for place, index, addend in self._symbolic
            if int(self._symbols[index]["section"])
        }

    @cached_property
    def _symbolic(self) -> list[tuple[int, int, int]]:
        rows = self._relocations
        kinds = rows["info"] & np.uint64(0xFFFFFFFF)
        wanted = rows[np.isin(kinds, np.array(TO_SYMBOL.get(self.elf.machine, ()), dtype=np.uint64))]
        limit = len(self._symbols)
        return [
            (place, index, addend)
            for place, index, addend in zip(
                wanted["offset"].tolist(),
                (wanted["info"] >> np.uint64(32)).tolist(),
                wanted["addend"].tolist(),
                strict=True,
            )
            if index < limit
        ]

    def _name(self, offset: int) -> str:
        end = self._strings.find(b"\0", offset)
        return self._strings[offset : end if end >= 0 else None].decode(errors="backslashreplace")

    @cached_property
    def pointers(self) -> Pointers:
        """Address of a slot -> the address in the object that the loader puts there."""
        rows = self._relocations
        own = rows[(rows["info"] & np.uint64(0xFFFFFFFF)) == np.uint64(RELATIVE.get(self.elf.machine, 0))]
        places, targets = [own["offset"].astype(np.int64)], [own["addend"]]
        named = [
            (p, int(self._symbols[i]["value"]) + a) for p, i, a in self._symbolic if int(self._symbols[i]["section"])
        ]
        fitting = [(p, t) for p, t in named if p < 1 << 63 and t < 1 << 63]
        places.append(np.array([p for p, _t in fitting], dtype=np.int64))
        targets.append(np.array([t for _p, t in fitting], dtype=np.int64))
        return Pointers(np.concatenate(places), np.concatenate(targets))

    def pointer_at(self, slot: int) -> int:
        """The pointer in a slot: by its relocation, else as it stands in the file (packed or no relocations)."""
        return self.pointers.get(slot) or self.word_at(slot)

    # -- where running begins

    @cached_property
    def constructors(self) -> list[Root]:
        """What the loader runs when it opens the object, in its order."""
        found = []
        tag = self.reader.tag
        begins = [(tag(DT_PREINIT_ARRAY), tag(DT_PREINIT_ARRAYSZ)), (tag(DT_INIT_ARRAY), tag(DT_INIT_ARRAYSZ))]
        if not self.reader.tags:  # a static program: between __init_array_start and __init_array_end
            begins = [(s.address, s.size) for n in (".preinit_array", ".init_array") if (s := self.reader.section(n))]
        first = tag(DT_INIT)
        if first and self.is_code(first):
            found.append(first)
        for begin, size in begins:
            for slot in range(begin or 0, (begin or 0) + min(size or 0, 8 * 4096), 8):
                address = self.pointer_at(slot)
                if self.is_code(address):
                    found.append(address)
        return [Root(a, self._called(a)) for a in dict.fromkeys(found)]

    @cached_property
    def opened(self) -> list[Root]:
        """Exported functions that run as soon as the library is used at all."""
        names = sorted(name for name in self.names if name.startswith(LOADED_BY_NAME) and name in self.elf.exports)
        return [Root(self.names[name], name) for name in names]

    def _called(self, address: int) -> str:
        function = self.functions.of(address)
        return function.name if function is not None and function.name else f"{address:#x}"
