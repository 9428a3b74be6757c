"""Reads ELF objects as a loader does: by the program headers first, so that missing section headers hide nothing.

Own code rather than pyelftools for two reasons. Every loop here is bounded by the size of the file, whatever the fields
claim; and the symbol tables are read in one go, which makes it an order of magnitude faster. pyelftools is the oracle of
its tests.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, insort
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from pytest_xinchuang.inspect.elf import MACHINES, CodeRange, ElfObject, Function, Needed, NotElf, Segment
from pytest_xinchuang.inspect.elf_dynamic import oddities
from pytest_xinchuang.inspect.elf_notes import Notes, read_notes
from pytest_xinchuang.inspect.elf_strings import MAX_STRING, string_at
from pytest_xinchuang.inspect.elf_symbols import STT_GNU_IFUNC, Symbol, functions_in, functions_of, symbols_in
from pytest_xinchuang.inspect.elf_tags import (
    DF_1_NODEFLIB,
    DF_1_NOW,
    DF_1_PIE,
    DF_BIND_NOW,
    DF_STATIC_TLS,
    DF_TEXTREL,
    DT_BIND_NOW,
    DT_FLAGS,
    DT_FLAGS_1,
    DT_GNU_HASH,
    DT_HASH,
    DT_JMPREL,
    DT_NEEDED,
    DT_PLTREL,
    DT_PLTRELSZ,
    DT_REL,
    DT_RELA,
    DT_RELASZ,
    DT_RELR,
    DT_RELSZ,
    DT_RPATH,
    DT_RUNPATH,
    DT_SONAME,
    DT_STRSZ,
    DT_STRTAB,
    DT_SYMTAB,
    DT_TEXTREL,
    DT_VERDEF,
    DT_VERDEFNUM,
    DT_VERNEED,
    DT_VERNEEDNUM,
    DT_VERSYM,
    PT_DYNAMIC,
    PT_GNU_EH_FRAME,
    PT_GNU_PROPERTY,
    PT_GNU_RELRO,
    PT_GNU_STACK,
    PT_INTERP,
    PT_LOAD,
    PT_NOTE,
    PT_TLS,
)
from pytest_xinchuang.inspect.elf_tls import INITIAL_EXEC, own_offsets
from pytest_xinchuang.inspect.go_build_info import GoBuildInfo, read_go_build_info
from pytest_xinchuang.inspect.unwind import unwind_starts
from pytest_xinchuang.messages import Message, _

ET_CORE = 4
KINDS = {1: "rel", 2: "exec", 3: "dyn", ET_CORE: "core"}

# System V gABI: sh_type, symbol bindings, and flags.
SHT_SYMTAB, SHT_NOBITS, SHT_NOTE = 2, 8, 7
VER_FLG_WEAK, STB_WEAK = 0x2, 2
SHF_EXECINSTR = 0x4
PF_X = 0x1
R_IRELATIVE = {"EM_X86_64": 37, "EM_AARCH64": 1032, "EM_LOONGARCH": 12}

MAX_SYMBOLS = 4_000_000
"""Far above the largest known tables (Chromium's debug builds have some 1.5 million)."""


@dataclass(frozen=True)
class _Segment:
    kind: int
    flags: int
    offset: int
    address: int
    size: int
    memory: int
    align: int


@dataclass(frozen=True)
class Section:
    """A section header. ``info`` is sh_info: of relocations, the number of the section that they are for."""

    name: str
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    entry: int
    align: int = 0
    info: int = 0


def read_elf(data: bytes, name: str) -> ElfObject:
    """Read an ELF object, with where its code and its functions stand.

    Raises:
        NotElf: the bytes are no ELF object, or a broken one; the message says how.
    """
    return ElfReader(data, name).read()


class ElfReader:
    """One object. ``data`` may be bytes or a memory map."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = name
        if data[:4] != b"\x7fELF":
            raise NotElf(name, _("not an ELF object (starts with {start})", start=repr(bytes(data[:4]))))
        if len(data) < 52 or data[4] not in (1, 2) or data[5] not in (1, 2):
            raise NotElf(name, _("a damaged ELF object: its header is cut off or of no known class"))
        self.wide = data[4] == 2
        self.order = "<" if data[5] == 1 else ">"
        if self.wide and len(data) < 64:
            raise NotElf(name, _("a damaged ELF object: {n} bytes, its header has 64", n=len(data)))
        form = "HHIQQQIHHHHHH" if self.wide else "HHIIIIIHHHHHH"
        (self.type, machine, _version, self.entry, self.phoff, self.shoff, self.flags, _size, self.phentsize, self.phnum,
         self.shentsize, self.shnum, self.shstrndx) = struct.unpack_from(self.order + form, data, 16)  # fmt: skip
        self.machine = MACHINES.get(machine, f"machine {machine}")
        self.word = 8 if self.wide else 4

    def read(self, *, code: bool = True) -> ElfObject:
        """The object. ``code``: with its code and its functions, which are most of the work.

        Raises:
            NotElf: it is a broken one; the message says how.
        """
        try:
            return self._read(code=code)
        except (struct.error, IndexError, OverflowError) as error:
            raise NotElf(self.name, _("a damaged ELF object: {error}", error=error)) from error

    # -- headers

    def _table(self, offset: int, entry: int, count: int, form: str, what: Message) -> list[tuple[int, ...]]:
        if not count or not offset:
            return []
        form = self.order + form
        size = struct.calcsize(form)
        if entry < size or offset + entry * count > len(self.data):
            raise NotElf(
                self.name,
                _(
                    "a damaged ELF object: {count} {what} of {entry} bytes at {offset:#x} do not fit into {n} bytes",
                    count=count,
                    what=what,
                    entry=entry,
                    offset=offset,
                    n=len(self.data),
                ),
            )
        return [struct.unpack_from(form, self.data, offset + index * entry) for index in range(count)]

    @cached_property
    def segments(self) -> list[_Segment]:
        form = "IIQQQQQQ" if self.wide else "IIIIIIII"
        found = []
        for row in self._table(self.phoff, self.phentsize, self.phnum, form, _("program headers")):
            if self.wide:
                kind, flags, offset, address, _physical, size, memory, align = row
            else:
                kind, offset, address, _physical, size, memory, flags, align = row
            found.append(_Segment(kind, flags, offset, address, size, memory, align))
        return found

    @cached_property
    def sections(self) -> list[Section]:
        """The section headers; none where they are missing or damaged, which a loader does not mind either."""
        form = "IIQQQQIIQQ" if self.wide else "IIIIIIIIII"
        try:
            rows = self._table(self.shoff, self.shentsize, self.shnum, form, _("section headers"))
        except NotElf:
            if self.type == 1:
                raise
            return []
        names = b""
        if self.shstrndx < len(rows):
            names = bytes(self.data[rows[self.shstrndx][4] : rows[self.shstrndx][4] + rows[self.shstrndx][5]])
        return [
            Section(string_at(names, n), kind, flags, address, offset, size, link, entry, align, info)
            for n, kind, flags, address, offset, size, link, info, align, entry in rows
        ]

    def section(self, name: str) -> Section | None:
        return next((s for s in self.sections if s.name == name), None)

    def offset_of(self, address: int) -> int | None:
        """The file offset of an address, as the program headers map it."""
        for s in self.segments:
            if s.kind == PT_LOAD and s.address <= address < s.address + s.size:
                offset = s.offset + address - s.address
                return offset if offset < len(self.data) else None
        return None

    # -- the dynamic segment

    @cached_property
    def tags(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        segment = next((s for s in self.segments if s.kind == PT_DYNAMIC), None)
        if segment is None:
            return found
        form = self.order + ("qQ" if self.wide else "iI")
        size = struct.calcsize(form)
        raw = self.data[segment.offset : segment.offset + segment.size]
        if len(raw) < size:
            raise NotElf(self.name, _("a damaged ELF object: its dynamic segment lies outside of the file"))
        for tag, value in struct.iter_unpack(form, raw[: len(raw) // size * size]):
            if tag == 0:
                break
            found.setdefault(tag, []).append(value)
        return found

    def tag(self, number: int) -> int | None:
        values = self.tags.get(number)
        return values[0] if values else None

    def dynamic_bytes(self, address_tag: int, size: int | None) -> bytes:
        address = self.tag(address_tag)
        offset = self.offset_of(address) if address is not None else None
        if offset is None:
            return b""
        return bytes(self.data[offset : offset + size if size is not None else len(self.data)])

    @cached_property
    def strings(self) -> bytes:
        return self.dynamic_bytes(DT_STRTAB, self.tag(DT_STRSZ) or 0)

    def _symbol_count(self) -> int:
        """How many dynamic symbols there are: by the hash table, which the loader itself relies on."""
        table = self.tag(DT_SYMTAB)
        start = self.offset_of(table) if table is not None else None
        if start is None:
            return 0
        entry = 24 if self.wide else 16
        room = min((len(self.data) - start) // entry, MAX_SYMBOLS)
        address = self.tag(DT_HASH)
        offset = self.offset_of(address) if address is not None else None
        # Alpha and s390x have 64-bit words here; for others a count that does not fit is no count.
        if offset is not None and offset + 8 <= len(self.data):
            count = int(struct.unpack_from(self.order + "I", self.data, offset + 4)[0])
            if 0 < count <= room:
                return count
        counts = [count for count in (self._gnu_hash_count(room), self._section_count(room)) if count is not None]
        if counts:
            return max(counts)
        # Neither: the string table usually follows the symbols.
        strings = self.tag(DT_STRTAB)
        if strings is not None and table is not None and strings > table:
            return min((strings - table) // entry, room)
        return room

    def _section_count(self, room: int) -> int | None:
        found = self.section(".dynsym")
        return min(found.size // (24 if self.wide else 16), room) if found else None

    def _gnu_hash_count(self, room: int) -> int | None:
        address = self.tag(DT_GNU_HASH)
        offset = self.offset_of(address) if address is not None else None
        if offset is None or offset + 16 > len(self.data):
            return None
        buckets, first, bloom = struct.unpack_from(self.order + "III", self.data, offset)
        begin = offset + 16 + bloom * self.word
        chains = begin + 4 * buckets
        if chains > len(self.data) or buckets > room + 1:
            return None
        last = max(struct.unpack_from(f"{self.order}{buckets}I", self.data, begin), default=0)
        if last < first:
            return int(min(first, room))
        while last < room:
            place = chains + 4 * (last - first)
            if place + 4 > len(self.data):
                return None
            if struct.unpack_from(self.order + "I", self.data, place)[0] & 1:
                return int(last) + 1
            last += 1
        return None

    @cached_property
    def symbols(self) -> list[Symbol]:
        """Dynamic symbols: name, info, section index, value, size. The first is the null symbol."""
        count = self._symbol_count()
        if not count:
            return []
        raw = self.dynamic_bytes(DT_SYMTAB, count * (24 if self.wide else 16))
        return symbols_in(raw, self.strings, self.order, wide=self.wide)

    @cached_property
    def _static_table(self) -> tuple[bytes, bytes] | None:
        """The symbols that no loader reads, and their names."""
        table = next((s for s in self.sections if s.kind == SHT_SYMTAB), None)
        if table is None or table.link >= len(self.sections):
            return None
        strings = self.sections[table.link]
        size = min(table.size, MAX_SYMBOLS * 24)
        return (
            bytes(self.data[table.offset : table.offset + size]),
            bytes(self.data[strings.offset : strings.offset + strings.size]),
        )

    @cached_property
    def static_symbols(self) -> list[Symbol]:
        if self._static_table is None:
            return []
        return symbols_in(*self._static_table, self.order, wide=self.wide)

    def _paths(self, number: int) -> tuple[str, ...]:
        """The directories of DT_RPATH or DT_RUNPATH."""
        texts = [string_at(self.strings, n) for n in self.tags.get(number, [])]
        return tuple(part for text in texts for part in text.split(":") if part)

    def _needed_versions(self) -> tuple[Needed, ...]:
        raw = self.dynamic_bytes(DT_VERNEED, None) if self.tag(DT_VERNEED) is not None else b""
        by_index: dict[int, tuple[str, str, bool]] = {}
        place, left = 0, min(self.tag(DT_VERNEEDNUM) or 0, len(raw) // 16)
        while left and place + 16 <= len(raw):
            _rest, count, library, first, following = struct.unpack_from(self.order + "HHIII", raw, place)
            at = place + first
            for _rest in range(min(count, len(raw) // 16)):
                if at + 16 > len(raw):
                    raise NotElf(self.name, _("a damaged ELF object: its version needs leave the file"))
                _rest, version_flags, other, name, more = struct.unpack_from(self.order + "IHHII", raw, at)
                by_index[other & 0x7FFF] = (
                    string_at(self.strings, library),
                    string_at(self.strings, name),
                    bool(version_flags & VER_FLG_WEAK),
                )
                if not more:
                    break
                at += more
            if not following:
                break
            place += following
            left -= 1
        users: dict[int, list[str]] = {index: [] for index in by_index}
        strong = set()
        indexes = self.version_indexes() if by_index else ()
        for (name, info, section, _rest, _rest), index in zip(self.symbols, indexes, strict=False):
            if section == 0 and name and (index & 0x7FFF) in users:
                users[index & 0x7FFF].append(name)
                if info >> 4 != STB_WEAK:
                    strong.add(index & 0x7FFF)
        return tuple(
            Needed(library, version, tuple(sorted(users[index])), weak and index not in strong)
            for index, (library, version, weak) in sorted(by_index.items())
        )

    def version_indexes(self) -> tuple[int, ...]:
        """The version of each dynamic symbol, by number (LSB, symbol versioning: DT_VERSYM)."""
        count = len(self.symbols)
        raw = self.dynamic_bytes(DT_VERSYM, 2 * count)
        return struct.unpack(f"{self.order}{len(raw) // 2}H", raw[: len(raw) // 2 * 2])

    @cached_property
    def defined_versions(self) -> dict[int, str]:
        """Number of a version that the object defines -> its name, but for the one that stands for the object itself."""
        raw = self.dynamic_bytes(DT_VERDEF, None) if self.tag(DT_VERDEF) is not None else b""
        found: dict[int, str] = {}
        place, left = 0, min(self.tag(DT_VERDEFNUM) or 0, len(raw) // 20)
        while left and place + 20 <= len(raw):
            _, flags, index, _, _, first, following = struct.unpack_from(self.order + "HHHHIII", raw, place)
            if not flags & 1 and place + first + 8 <= len(raw):
                found[index] = string_at(self.strings, struct.unpack_from(self.order + "I", raw, place + first)[0])
            if not following:
                break
            place += following
            left -= 1
        return found

    # -- the whole

    def _read(self, *, code: bool) -> ElfObject:
        kind = KINDS.get(self.type, str(self.type))
        by_kind: dict[int, list[_Segment]] = {}
        for segment in self.segments:
            by_kind.setdefault(segment.kind, []).append(segment)
        interpreter = None
        if PT_INTERP in by_kind:
            s = by_kind[PT_INTERP][0]
            interpreter = (
                bytes(self.data[s.offset : s.offset + min(s.size, MAX_STRING)])
                .split(b"\0")[0]
                .decode(errors="backslashreplace")
            )
        flags, flags_1 = self.tag(DT_FLAGS) or 0, self.tag(DT_FLAGS_1) or 0
        undefined = tuple(name for name, _, index, _, _ in self.symbols if index == 0 and name)
        notes = self._notes(by_kind)
        stack = by_kind.get(PT_GNU_STACK)
        relro = "none"
        if PT_GNU_RELRO in by_kind:
            now = DT_BIND_NOW in self.tags or flags & DF_BIND_NOW or flags_1 & DF_1_NOW
            relro = "full" if now else "partial"
        tls = by_kind.get(PT_TLS)
        loose = self.static_symbols if kind == "rel" or PT_DYNAMIC not in by_kind else []
        functions = self._functions(loose) if code else ()
        return ElfObject(
            name=self.name,
            machine=self.machine,
            bits=64 if self.wide else 32,
            little_endian=self.order == "<",
            flags=self.flags,
            interpreter=interpreter,
            soname=next((string_at(self.strings, n) for n in self.tags.get(DT_SONAME, [])), None),
            libraries=tuple(string_at(self.strings, n) for n in self.tags.get(DT_NEEDED, [])),
            runpath=self._paths(DT_RUNPATH),
            rpath=self._paths(DT_RPATH),
            nodeflib=bool(flags_1 & DF_1_NODEFLIB),
            needed=self._needed_versions(),
            imports=frozenset(undefined),
            load_alignments=tuple(s.align for s in by_kind.get(PT_LOAD, [])),
            has_tls=tls is not None,
            padding=bytes(self.data[9:16]),
            kind=kind,
            provided=frozenset(self.defined_versions.values()),
            exports=frozenset(name for name, _, index, _, _ in self.symbols if index and name),
            static_tls=bool(flags & DF_STATIC_TLS) or INITIAL_EXEC.get(self.machine) in self.relocations,
            tls_size=sum(s.memory for s in tls or ()),
            tls_align=max((s.align for s in tls or ()), default=0),
            own_tls_offsets=tls is not None and own_offsets(self),
            exec_stack=bool(stack[0].flags & PF_X) if stack else None,
            text_relocations=DT_TEXTREL in self.tags or bool(flags & DF_TEXTREL),
            relro=relro,
            pie=kind == "dyn" and (bool(flags_1 & DF_1_PIE) or interpreter is not None),
            static_pie=kind == "dyn" and interpreter is None and bool(flags_1 & DF_1_PIE),
            build_id=notes.build_id.hex(),
            abi_note=notes.kernel,
            abi_system=notes.system,
            isa_needed=notes.isa_needed if self.machine == "EM_X86_64" else 0,
            compilers=self._compilers(),
            go=self.go_build_info(),
            ifuncs=any(info & 15 == STT_GNU_IFUNC for _, info, _, _, _ in (*self.symbols, *loose)) or self._irelative(),
            code=self._code(functions) if code else (),
            functions=functions,
            undefined=tuple(sorted({name for name, _, index, _, _ in loose if index == 0 and name})),
            file_size=len(self.data),
            segments=tuple(
                Segment(s.flags, s.offset, s.address, s.size, s.memory, s.align) for s in by_kind.get(PT_LOAD, [])
            ),
            header_entry=self.phentsize,
            detached=self._detached(by_kind),
            osabi=self.data[7],
            abi_version=self.data[8],
            relr=DT_RELR in self.tags,
            relocations=self.relocations,
            unversioned=self._unversioned(),
            odd=oddities(self),
        )

    def _unversioned(self) -> frozenset[str]:
        wanted = [
            (name, n)
            for n, (name, info, index, _, _) in enumerate(self.symbols)
            if not index and name and info >> 4 == 1
        ]
        indexes = self.version_indexes() if wanted and DT_VERSYM in self.tags else ()
        return frozenset(name for name, n in wanted if n >= len(indexes) or indexes[n] & 0x7FFF <= 1)

    def _detached(self, by_kind: dict[int, list[_Segment]]) -> bool:
        """What `objcopy --only-keep-debug` leaves: a dynamic segment without bytes, or code whose sections have none."""
        if any(s.size == 0 and s.memory for s in by_kind.get(PT_DYNAMIC, [])):
            return True
        code = [s for s in self.sections if s.flags & SHF_EXECINSTR and s.size]
        debug = any(s.name.startswith((".debug_", ".zdebug_")) for s in self.sections)
        return bool(debug and code and all(s.kind == SHT_NOBITS for s in code))

    def _notes(self, by_kind: dict[int, list[_Segment]]) -> Notes:
        places = [(s.offset, s.size, s.align) for kind in (PT_NOTE, PT_GNU_PROPERTY) for s in by_kind.get(kind, [])]
        places += [(s.offset, s.size, s.align) for s in self.sections if s.kind == SHT_NOTE]
        return read_notes(self.data, places, self.order, self.word)

    def _compilers(self) -> tuple[str, ...]:
        comment = self.section(".comment")
        if comment is None or comment.kind == SHT_NOBITS:
            return ()
        raw = bytes(self.data[comment.offset : comment.offset + min(comment.size, 1 << 16)])
        lines = (part.decode(errors="replace") for part in raw.split(b"\0") if part)
        return tuple(dict.fromkeys(lines))[:8]

    def go_build_info(self) -> GoBuildInfo | None:
        """What Go wrote of the build; None: it is no program of Go, or has lost it."""
        section = self.section(".go.buildinfo")
        if section is not None:
            return read_go_build_info(self.data, section.offset, section.size, self.offset_of)
        if self.sections:
            return None
        # Stripped of its section headers: Go puts it at the start of a data segment, aligned to 16 (debug/buildinfo).
        for s in self.segments:
            if s.kind == PT_LOAD and not s.flags & PF_X:
                found = read_go_build_info(self.data, s.offset, min(s.size, 1 << 20), self.offset_of)
                if found is not None:
                    return found
        return None

    @cached_property
    def relocations(self) -> frozenset[int]:
        """The types of the dynamic relocations, those of a PLT among them."""
        found: set[int] = set()
        explicit = self.tag(DT_PLTREL) != DT_REL
        tables = ((DT_RELA, DT_RELASZ, True), (DT_REL, DT_RELSZ, False), (DT_JMPREL, DT_PLTRELSZ, explicit))
        for address, size, addend in tables:
            if self.tag(address) is None:
                continue
            raw = self.dynamic_bytes(address, self.tag(size) or 0)
            step = self.word * (3 if addend else 2)
            words = array("I", raw[: len(raw) // step * step])
            if (self.order == "<") != (sys.byteorder == "little"):
                words.byteswap()
            # r_info is the second word of an entry; its type is the lower half of 64 bits, and the lowest byte of 32.
            if self.wide:
                found.update(words[2 if self.order == "<" else 3 :: step // 4])
            else:
                found.update(info & 0xFF for info in words[1 :: step // 4])
        return frozenset(found)

    def _irelative(self) -> bool:
        wanted = R_IRELATIVE.get(self.machine)
        if wanted is None or not self.wide:
            return False
        # A static program has them in a section, between __rela_iplt_start and __rela_iplt_end.
        return wanted in self.relocations or (
            not self.tags and any(s.name in (".rela.plt", ".rela.iplt") and s.size for s in self.sections)
        )

    def _code(self, functions: tuple[Function, ...]) -> tuple[CodeRange, ...]:
        found = [
            CodeRange(s.name, s.offset, s.address, min(s.size, max(len(self.data) - s.offset, 0)))
            for s in self.sections
            if s.flags & SHF_EXECINSTR and s.kind != SHT_NOBITS and s.size
        ]
        segments = [
            CodeRange("(segment)", s.offset, s.address, min(s.size, max(len(self.data) - s.offset, 0)))
            for s in self.segments
            if s.kind == PT_LOAD and s.flags & PF_X and s.size
        ]
        # What is mapped executable counts, whatever the section headers say: they are believed only where the entry point
        # and every known function lie in a section that they call executable.
        starts = [f.address for f in functions]
        if self.entry:
            insort(starts, self.entry)
        for code in found:
            del starts[bisect_left(starts, code.address) : bisect_left(starts, code.address + code.size)]
        believed = bool(found) and not starts
        return _apart(found if self.type == 1 or believed else segments)

    def _functions(self, loose: list[Symbol]) -> tuple[Function, ...]:
        """The functions that symbols and the unwind table name. ``loose``: the static symbols, where they were read."""
        static = loose
        if not loose and self._static_table is not None:
            static = functions_in(*self._static_table, self.order, wide=self.wide)
        frame = next((s for s in self.segments if s.kind == PT_GNU_EH_FRAME), None)
        listed: dict[int, int] = {}
        if frame is not None and self.wide:
            listed = dict(unwind_starts(self.data, self.order, frame.offset, frame.address, self.offset_of))
        # Relocatable sections all start at address 0: their place in the file tells them apart.
        moved = [s.offset for s in self.sections] if self.type == 1 else []
        return functions_of(chain(self.symbols, static), moved, listed)


def _apart(ranges: list[CodeRange]) -> tuple[CodeRange, ...]:
    """The same code, each byte of the file once: headers that overlap would have it read over and over."""
    found = []
    end = 0
    for r in sorted(ranges, key=lambda r: (r.offset, -r.size)):
        skip = max(end - r.offset, 0)
        if r.size > skip:
            found.append(CodeRange(r.name, r.offset + skip, r.address + skip, r.size - skip))
            end = r.offset + r.size
    return tuple(found)
