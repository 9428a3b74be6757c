"""Thread-local storage of an object that a loader has to place in the block which every thread is begun with."""

from __future__ import annotations

import sys
from array import array

from pytest_xinchuang.inspect.elf_odd import Tables
from pytest_xinchuang.inspect.elf_tags import DT_JMPREL, DT_PLTRELSZ, DT_RELA, DT_RELASZ

INITIAL_EXEC = {"EM_X86_64": 18, "EM_AARCH64": 1030, "EM_LOONGARCH": 11}
"""The relocation that is the distance of a variable from the thread pointer: the initial-exec model (ELF psABIs:
R_X86_64_TPOFF64, R_AARCH64_TLS_TPREL, R_LARCH_TLS_TPREL64)."""

WORDS = 6
"""32-bit words of a relocation with an addend, in objects of 64 bits (System V gABI, Elf64_Rela)."""


def own_offsets(reader: Tables) -> bool:
    """Whether a relocation asks for the place of the object's own thread-local storage in that block.

    One that names another object's variable asks for that one's place. DF_STATIC_TLS does not say which.
    """
    wanted = INITIAL_EXEC.get(reader.machine)
    if wanted is None or not reader.wide or wanted not in reader.relocations:
        return False
    for address, size in ((DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)):
        raw = reader.dynamic_bytes(address, reader.tag(size) or 0)
        words = array("I", raw[: len(raw) // (4 * WORDS) * 4 * WORDS])
        little = reader.order == "<"
        if little != (sys.byteorder == "little"):
            words.byteswap()
        types, symbols = (words[2::WORDS], words[3::WORDS]) if little else (words[3::WORDS], words[2::WORDS])
        if any(_is_own(reader, symbol) for symbol in {s for t, s in zip(types, symbols, strict=True) if t == wanted}):
            return True
    return False


def _is_own(reader: Tables, number: int) -> bool:
    return number == 0 or (number < len(reader.symbols) and reader.symbols[number][2] != 0)
