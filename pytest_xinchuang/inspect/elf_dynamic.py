"""What is odd in an object's headers and dynamic segment, as far as a loader looks at it."""

from __future__ import annotations

import struct

from pytest_xinchuang.inspect.elf_odd import Odd, Tables
from pytest_xinchuang.inspect.elf_tags import (
    DF_1_NOOPEN,
    DF_1_PIE,
    DT_FLAGS_1,
    DT_GNU_HASH,
    DT_PLTREL,
    DT_RELA,
    DT_RELAENT,
    DT_RELR,
    DT_RELRENT,
    DT_VERDEF,
    DT_VERNEED,
    PT_DYNAMIC,
)

RELA_BYTES, RELR_BYTES = 24, 8
"""Bytes of a relocation and of a word of DT_RELR in objects of 64 bits (System V gABI)."""


def oddities(reader: Tables) -> frozenset[Odd]:
    """What is odd in an object of 64 bits."""
    if not reader.wide or reader.type not in (2, 3):
        return frozenset()
    found = set()
    if reader.data[6] != 1 or struct.unpack_from(reader.order + "I", reader.data, 20)[0] != 1:
        found.add(Odd.VERSION)
    if not any(segment.kind == PT_DYNAMIC for segment in reader.segments):
        found.add(Odd.NO_DYNAMIC)
    if reader.tag(DT_RELA) is not None and reader.tag(DT_RELAENT) not in (None, RELA_BYTES):
        found.add(Odd.RELA_ENTRY)
    if reader.tag(DT_PLTREL) not in (None, DT_RELA):
        found.add(Odd.PLT_KIND)
    if reader.tag(DT_RELR) is not None and reader.tag(DT_RELRENT) not in (None, RELR_BYTES):
        found.add(Odd.RELR_ENTRY)
    for tag, odd in ((DT_VERNEED, Odd.NEEDS), (DT_VERDEF, Odd.DEFINITIONS)):
        record = reader.dynamic_bytes(tag, 2)
        if len(record) == 2 and struct.unpack(reader.order + "H", record)[0] != 1:
            found.add(odd)
    table = reader.dynamic_bytes(DT_GNU_HASH, 16)
    if len(table) == 16:
        words = struct.unpack_from(reader.order + "I", table, 8)[0]
        if words & (words - 1):  # of none at all the assertion says nothing (glibc, elf/dl-setup_hash.c)
            found.add(Odd.BLOOM)
    flags = reader.tag(DT_FLAGS_1) or 0
    found |= {odd for flag, odd in ((DF_1_NOOPEN, Odd.NO_OPEN), (DF_1_PIE, Odd.PIE)) if flags & flag}
    return frozenset(found)
