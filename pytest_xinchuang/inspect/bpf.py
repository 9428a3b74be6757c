"""What an eBPF object asks of a kernel: since which release there is what it uses.

Sources: include/uapi/linux/bpf.h by release, for the numbers of helpers; bcc's docs/kernel-versions.md; libbpf's section
names; kernel commits d8eca5bbb2be (global data, 5.2), 092ed0968bb6 (32-bit jumps, 5.1) and e83b9f55448a (the kernel's own
types, 5.2).
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

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

_MOST = 4096
_PROGBITS, _SYMTAB, _REL, _EXEC = 1, 2, 9, 4
_DATA = (".data", ".rodata", ".bss")


class _Section(NamedTuple):
    name: str
    kind: int
    flags: int
    data: bytes
    link: int
    info: int


def bpf_needs(data: Any) -> dict[str, str]:
    """What the object uses -> since which kernel that is; nothing of an object that cannot be followed.

    ``helper N``, ``type NAME`` of a program, ``data`` (global), ``btf`` (relocations against the kernel's), ``kfunc``,
    ``jmp32``, ``atomics`` (others than an addition), ``movsx``.
    """
    order = "<" if bytes(data[5:6]) == b"\x01" else ">"
    try:
        sections = _sections(data, order)
    except (struct.error, IndexError):
        return {}
    found: dict[str, str] = {}
    for section in sections:
        if section.kind == _PROGBITS and section.flags & _EXEC and section.data:
            prefix = section.name.lstrip("?").split("/")[0].removesuffix(".s")
            if prefix in _SECTIONS:
                found[f"type {prefix}"] = _SECTIONS[prefix]
            found |= _instructions(section.data, order)
    if _global_data(sections, order):
        found["data"] = "5.2"
    if any(section.name == ".BTF.ext" and _relocated(section.data, order) for section in sections):
        found["btf"] = "5.2"
    return {f"{MARK}{what}": since for what, since in sorted(found.items())}


def _sections(data: Any, order: str) -> list[_Section]:
    at = struct.unpack_from(order + "Q", data, 40)[0]
    size, count, names_at = struct.unpack_from(order + "3H", data, 58)
    headers = [struct.unpack_from(order + "IIQQQQIIQQ", data, at + size * n) for n in range(min(count, _MOST))]

    def content(header: tuple[int, ...]) -> bytes:
        return bytes(data[header[4] : header[4] + header[5]]) if header[1] != 8 else b""

    names = content(headers[names_at])
    return [
        _Section(_name(names, h[0]), h[1], h[2], content(h) if h[1] in (1, 2, 9) else b"", h[6], h[7]) for h in headers
    ]


def _name(names: bytes, at: int) -> str:
    return names[at : names.find(b"\0", at)].decode(errors="replace")


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


def _global_data(sections: list[_Section], order: str) -> bool:
    """A program refers to a variable: the loader makes a map of its section, which programs address directly."""
    for section in sections:
        if section.kind != _REL or not _is_program(sections, section.info) or section.link >= len(sections):
            continue
        symbols = sections[section.link].data
        for at in range(0, len(section.data) - 15, 16):
            index = struct.unpack_from(order + "Q", section.data, at + 8)[0] >> 32
            if 24 * index + 24 > len(symbols):
                continue
            place = struct.unpack_from(order + "H", symbols, 24 * index + 6)[0]
            if place < len(sections) and sections[place].name.startswith(_DATA):
                return True
    return False


def _is_program(sections: list[_Section], index: int) -> bool:
    return index < len(sections) and bool(sections[index].flags & _EXEC)


def _relocated(extension: bytes, order: str) -> bool:
    """Whether .BTF.ext has relocations of types (linux/btf.h and libbpf: struct btf_ext_header)."""
    if len(extension) < 32 or struct.unpack_from(order + "I", extension, 4)[0] < 32:
        return False
    return bool(struct.unpack_from(order + "I", extension, 28)[0] > 4)
