"""What an eBPF object asks of a kernel: since which release there is what it uses.

Sources: include/uapi/linux/bpf.h by release, for the numbers of helpers; bcc's docs/kernel-versions.md; libbpf's section
names; kernel commits d8eca5bbb2be (global data, 5.2), 092ed0968bb6 (32-bit jumps, 5.1) and e83b9f55448a (the kernel's own
types, 5.2).
"""

from __future__ import annotations

import struct
from typing import Any

from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import SHF_EXECINSTR, SHT_SYMTAB, ElfReader, Section

MARK = "bpf: "
"""What the names of these marks begin with."""

_HELPERS = (
    # The first number that came with a release: what is above the last is of that release or a later one.
    (84, "4.20"),
    (91, "5.0"),
    (93, "5.1"),
    (99, "5.2"),
    (109, "5.3"),
    (111, "5.5"),
    (116, "5.6"),
    (120, "5.7"),
    (126, "5.8"),
    (136, "5.9"),
    (142, "5.10"),
    (156, "5.11"),
)

_SECTIONS = {
    "fentry": "5.5",
    "fexit": "5.5",
    "freplace": "5.5",
    "tp_btf": "5.5",
    "struct_ops": "5.6",
    "fmod_ret": "5.7",
    "lsm": "5.7",
    "iter": "5.8",
    "sk_lookup": "5.9",
    "kprobe.multi": "5.18",
    "kretprobe.multi": "5.18",
    "netfilter": "6.4",
    "tcx": "6.6",
}
"""What a program section's name begins with, up to a slash -> the release whose programs of that type are."""

_PROGBITS, _REL = 1, 9
_DATA = (".data", ".rodata", ".bss")


def bpf_needs(data: Any) -> dict[str, str]:
    """What the object uses -> since which kernel that is; nothing of an object that cannot be followed.

    ``helper N``, ``type NAME`` of a program, ``data`` (global), ``btf`` (relocations against the kernel's), ``kfunc``,
    ``jmp32``, ``atomics`` (others than an addition), ``movsx``.
    """
    try:
        reader = ElfReader(data, "")
        sections = reader.sections if reader.wide else []
    except (NotElf, struct.error, IndexError, OverflowError):
        return {}
    found: dict[str, str] = {}
    # Each byte once: any number of headers can name the same ones.
    read: set[tuple[int, int]] = set()
    left = len(data)
    for section in sections:
        place = (section.offset, section.size)
        if section.kind != _PROGBITS or not section.flags & SHF_EXECINSTR or not section.size or section.size > left:
            continue
        prefix = section.name.lstrip("?").split("/")[0].removesuffix(".s")
        if prefix in _SECTIONS:
            found[f"type {prefix}"] = _SECTIONS[prefix]
        if place not in read:
            read.add(place)
            left -= section.size
            found |= _instructions(_content(reader, section), reader.order)
    if _global_data(reader, sections):
        found["data"] = "5.2"
    extension = reader.section(".BTF.ext") if sections else None
    if extension is not None and _relocated(_content(reader, extension), reader.order):
        found["btf"] = "5.2"
    return {f"{MARK}{what}": since for what, since in sorted(found.items())}


def _content(reader: ElfReader, section: Section) -> bytes:
    return bytes(reader.data[section.offset : section.offset + section.size])


def _instructions(code: bytes, order: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at + 8 <= len(code):
        opcode, registers, offset, immediate = struct.unpack_from(order + "BBhi", code, at)
        source = registers >> 4 if order == "<" else registers & 15
        at += 16 if opcode == 0x18 else 8
        if opcode == 0x85 and source == 0 and immediate > 0:
            since = next((release for first, release in reversed(_HELPERS) if immediate >= first), "")
            if since:
                found[f"helper {immediate}"] = since
        elif opcode == 0x85 and source == 2:
            found["kfunc"] = "5.13"
        elif opcode & 7 == 6:
            found["jmp32"] = "5.1"
        elif opcode in (0xDB, 0xC3) and immediate != 0:
            found["atomics"] = "5.12"
        elif opcode in (0xBF, 0xBC) and offset in (8, 16, 32):
            found["movsx"] = "6.6"
    return found


def _global_data(reader: ElfReader, sections: list[Section]) -> bool:
    """A program refers to a variable: the loader makes a map of its section, which programs address directly."""
    symbols = next((_content(reader, section) for section in sections if section.kind == SHT_SYMTAB), b"")
    left = len(reader.data)
    for section in sections:
        if section.kind != _REL or not _is_program(sections, section.info) or section.size > left:
            continue
        left -= section.size
        relocations = _content(reader, section)
        for at in range(0, len(relocations) - 15, 16):
            index = struct.unpack_from(reader.order + "Q", relocations, at + 8)[0] >> 32
            if 24 * index + 24 > len(symbols):
                continue
            place = struct.unpack_from(reader.order + "H", symbols, 24 * index + 6)[0]
            if place < len(sections) and sections[place].name.startswith(_DATA):
                return True
    return False


def _is_program(sections: list[Section], index: int) -> bool:
    return index < len(sections) and bool(sections[index].flags & SHF_EXECINSTR)


def _relocated(extension: bytes, order: str) -> bool:
    """Whether .BTF.ext has relocations of types (linux/btf.h and libbpf: struct btf_ext_header)."""
    if len(extension) < 32 or struct.unpack_from(order + "I", extension, 4)[0] < 32:
        return False
    return bool(struct.unpack_from(order + "I", extension, 28)[0] > 4)
