"""Thread-local storage of an object that a loader has to place in the block which every thread is begun with."""

from __future__ import annotations

import struct

from pytest_xinchuang.inspect.elf_odd import Tables

DT_RELA, DT_RELASZ, DT_JMPREL, DT_PLTRELSZ = 7, 8, 23, 2
TPOFF = {"EM_X86_64": 18, "EM_AARCH64": 1030, "EM_LOONGARCH": 11}
"""Relocations that are the distance of a variable from the thread's own pointer: the initial-exec model."""

MOST = 4_000_000


def own_offsets(reader: Tables) -> bool:
    """Whether a relocation asks for the place of the object's own thread-local storage in that block.

    One that names another object's variable asks for that one's place. DF_STATIC_TLS does not say which.
    """
    wanted = TPOFF.get(reader.machine)
    if wanted is None or not reader.wide or wanted not in reader.relocations:
        return False
    for address, size in ((DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)):
        raw = reader.dynamic_bytes(address, min(reader.tag(size) or 0, 24 * MOST))
        for _place, info, _addend in struct.iter_unpack(reader.order + "QQq", raw[: len(raw) // 24 * 24]):
            if info & 0xFFFFFFFF == wanted and _is_own(reader, info >> 32):
                return True
    return False


def _is_own(reader: Tables, number: int) -> bool:
    return number == 0 or (number < len(reader.symbols) and reader.symbols[number][2] != 0)
