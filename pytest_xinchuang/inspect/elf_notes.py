"""Reads the GNU notes of an ELF object: the build id, the ABI tag and the properties."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

NT_GNU_ABI_TAG, NT_GNU_BUILD_ID, NT_GNU_PROPERTY_TYPE_0 = 1, 3, 5
GNU_PROPERTY_X86_ISA_1_NEEDED = 0xC0008002
"""System V ABI, x86-64 supplement: the ISA levels that must all be there."""

_MOST_NOTES = 64
_MOST_BYTES = 1 << 16


@dataclass
class Notes:
    """What the notes say.

    Attributes:
        system: of the ABI tag: 0 Linux, 1 Hurd, 2 Solaris, 3 FreeBSD; None without a tag.
        kernel: of the ABI tag, where its system is Linux.
        isa_needed: bits of the property "x86 ISA needed".
    """

    build_id: bytes = b""
    system: int | None = None
    kernel: tuple[int, int, int] | None = None
    isa_needed: int = 0


def read_notes(data: bytes, places: Iterable[tuple[int, int, int]], order: str, word: int) -> Notes:
    """The notes in ``places``: offset, size and alignment of a segment or a section. The first of a kind counts.

    Args:
        order: "<" or ">", as in :mod:`struct`.
        word: bytes of an address, which properties are padded to.
    """
    notes = Notes()
    for offset, size, align in list(places)[:_MOST_NOTES]:
        raw = bytes(data[offset : offset + min(size, _MOST_BYTES)])
        pad = 8 if align == 8 else 4
        at = 0
        while at + 12 <= len(raw):
            named, described, kind = struct.unpack_from(order + "III", raw, at)
            begin = at + _up(12 + named, pad)
            owner, content = raw[at + 12 : at + 12 + named], raw[begin : begin + described]
            if owner == b"GNU\0":
                _take(notes, kind, content, order, word)
            at = begin + _up(described, pad)
    return notes


def _take(notes: Notes, kind: int, content: bytes, order: str, word: int) -> None:
    if kind == NT_GNU_BUILD_ID:
        notes.build_id = notes.build_id or content
    elif kind == NT_GNU_ABI_TAG and len(content) >= 16 and notes.system is None:
        notes.system, *version = struct.unpack_from(order + "IIII", content)
        if notes.system == 0:
            notes.kernel = (version[0], version[1], version[2])
    elif kind == NT_GNU_PROPERTY_TYPE_0:
        at = 0
        while at + 8 <= len(content):
            property_type, size = struct.unpack_from(order + "II", content, at)
            if property_type == GNU_PROPERTY_X86_ISA_1_NEEDED and size == 4 and at + 12 <= len(content):
                notes.isa_needed |= struct.unpack_from(order + "I", content, at + 8)[0]
            at += 8 + _up(size, word)


def _up(value: int, to: int) -> int:
    return (value + to - 1) // to * to
