"""The symbol tables of ELF objects, and which functions they and the unwind table name."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping

from pytest_xinchuang.inspect.elf import Function
from pytest_xinchuang.inspect.elf_strings import strings_of

Symbol = tuple[str, int, int, int, int]
"""Name, info, section index, value, size."""

STT_FUNC, STT_GNU_IFUNC = 2, 10
"""System V gABI, and its supplement for GNU: types of symbols."""

STT_CODE = (STT_FUNC, STT_GNU_IFUNC)


def _rows(raw: bytes, order: str, *, wide: bool) -> Iterator[tuple[int, ...]]:
    """Offset of the name, info, visibility, section index, value, size."""
    if wide:
        return struct.iter_unpack(order + "IBBHQQ", raw[: len(raw) // 24 * 24])
    rows = struct.iter_unpack(order + "IIIBBH", raw[: len(raw) // 16 * 16])
    return ((name, info, other, index, value, size) for name, value, size, info, other, index in rows)


def symbols_in(raw: bytes, strings: bytes, order: str, *, wide: bool) -> list[Symbol]:
    """All symbols of a table."""
    name = strings_of(strings)
    return [(name(n), info, index, value, size) for n, info, _, index, value, size in _rows(raw, order, wide=wide)]


def functions_in(raw: bytes, strings: bytes, order: str, *, wide: bool) -> list[Symbol]:
    """The defined functions of a table alone: the others, which are most of a static one, need not be named."""
    name = strings_of(strings)
    return [
        (name(n), info, index, value, size)
        for n, info, _, index, value, size in _rows(raw, order, wide=wide)
        if size and index and info & 15 in STT_CODE
    ]


def functions_of(symbols: Iterable[Symbol], moved: list[int], listed: Mapping[int, int]) -> tuple[Function, ...]:
    """The functions of an object, in order of address, one for each.

    Args:
        moved: what is added to the addresses of each section's symbols; nothing where there is no such section.
        listed: address -> size of those of the unwind table.
    """
    defined = [s for s in symbols if s[4] and s[2] and s[1] & 15 in STT_CODE]
    if moved:
        defined = [
            (name, info, index, value + (moved[index] if index < len(moved) else 0), size)
            for name, info, index, value, size in defined
        ]
    # The first name of an address counts, and the last size where there is no name.
    found: dict[int, tuple[int, int, str]] = {
        value: (value, size, name) for name, _, _, value, size in defined if not name
    }
    found |= {value: (value, size, name) for name, _, _, value, size in reversed(defined) if name}
    found |= {address: (address, listed[address], "") for address in listed.keys() - found.keys()}
    return tuple(map(Function._make, sorted(found.values())))
