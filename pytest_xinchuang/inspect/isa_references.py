"""Which code names which address: calls, jumps, and addresses that are computed to be passed on or read through."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from pytest_xinchuang.inspect.isa_image import Image

CHUNK = 1 << 22
"""Bytes of code looked at in one go, so that temporaries stay small."""

NEAR = 6
"""Instructions after the one that computes a page's address in which its offset is added: compilers write both together."""

FAR = 1 << 30
"""How far behind the code its data may lie."""

EXTREME = 0xFFC003E0
"""LoongArch's extreme code model, and its crt1.o, put the offset into a register of its own: ADDI.D of the zero register."""

Pairs = tuple[Any, Any]
"""Two arrays of one length: the places of instructions, and the addresses that they name."""


def references(image: Image, begin: int, end: int) -> Pairs:
    """What the code from ``begin`` to ``end`` names. On x86-64 a place is that of the last four bytes of an instruction."""
    raw = image.bytes_at(begin, end - begin)
    if image.elf.machine == "EM_X86_64":
        return _x86(raw, begin)
    if image.elf.machine == "EM_AARCH64":
        return _arm64(raw, begin)
    return _loong64(raw, begin)


class Index:
    """The references of a whole object to addresses that matter.

    Attributes:
        sites, targets: arrays of the places and of what they name, in order of the latter.
    """

    def __init__(self, image: Image, wanted: Iterable[int]) -> None:
        code_ends = [c.address + c.size for c in image.elf.code]
        limit = max(code_ends, default=0) + FAR
        known = np.unique(np.array([a for a in wanted if 0 <= a < limit], dtype=np.int64))
        sites, targets = [], []
        if len(known):
            span = _Span(known)
            for code in image.elf.code:
                for begin in range(code.address, code.address + code.size, CHUNK):
                    # What stands across the edge of two pieces is read with the first of them.
                    end = min(begin + CHUNK + 4 * (NEAR + 2), code.address + code.size)
                    found = _x86_into(image, begin, end, span) if _is_x86(image) else references(image, begin, end)
                    place, target = span.exact(*found)
                    sites.append(place)
                    targets.append(target)
        self.sites, self.targets = _joined(sites, targets)
        order = np.argsort(self.targets, kind="stable")
        self.sites, self.targets = self.sites[order], self.targets[order]

    def to(self, target: int) -> list[int]:
        """The places that name ``target``."""
        first, last = np.searchsorted(self.targets, [target, target + 1])
        return sorted(set(self.sites[first:last].tolist()))


class _Span:
    """Addresses to be found: most others fail one look into a table of sixteen bytes a row, the rest is compared."""

    def __init__(self, known: Any) -> None:
        self.known = known
        self.low, self.high = int(known[0]), int(known[-1])
        self.rows = np.zeros((self.high - self.low >> 4) + 1, dtype=bool)
        self.rows[(known - self.low) >> 4] = True

    def exact(self, sites: Any, named: Any) -> Pairs:
        inside = (named >= self.low) & (named <= self.high)
        sites, named = sites[inside], named[inside]
        likely = self.rows[(named - self.low) >> 4]
        sites, named = sites[likely], named[likely]
        places = np.minimum(np.searchsorted(self.known, named), len(self.known) - 1)
        same = self.known[places] == named
        return sites[same], named[same]


def _is_x86(image: Image) -> bool:
    return image.elf.machine == "EM_X86_64"


def _x86_into(image: Image, begin: int, end: int, span: _Span) -> Pairs:
    """As :func:`references`, but of what lies within the span alone, in arithmetic of 32 bits, which is twice as fast."""
    raw = image.bytes_at(begin, end - begin)
    sites, named = [], []
    for shift in range(4):
        count = (len(raw) - shift) // 4
        if count <= 0:
            continue
        distances = np.frombuffer(raw, dtype="<u4", count=count, offset=shift)
        offsets = distances + np.arange(0, 4 * count, 4, dtype=np.uint32)
        offsets += np.uint32((begin + shift + 4 - span.low) & 0xFFFFFFFF)
        found = np.flatnonzero(offsets <= np.uint32(min(span.high - span.low, 0xFFFFFFFF)))
        found = found[span.rows[offsets[found] >> np.uint32(4)]]
        sites.append(found * 4 + (begin + shift))
        named.append(offsets[found].astype(np.int64) + span.low)
    return _joined(sites, named)


def _x86(raw: bytes, begin: int) -> Pairs:
    """Four bytes that hold the distance from their end: of calls, jumps, and operands relative to the instruction pointer."""
    sites, named = [], []
    for shift in range(4):
        count = (len(raw) - shift) // 4
        if count <= 0:
            continue
        distances = np.frombuffer(raw, dtype="<i4", count=count, offset=shift).astype(np.int64)
        places = np.arange(begin + shift, begin + shift + 4 * count, 4, dtype=np.int64)
        sites.append(places)
        named.append(places + 4 + distances)
    return _joined(sites, named)


def _joined(sites: list[Any], named: list[Any]) -> Pairs:
    if not sites:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.concatenate(sites), np.concatenate(named)


def _words(raw: bytes, begin: int) -> Pairs:
    """The words of some code, and their places."""
    words = np.frombuffer(raw, dtype="<u4", count=len(raw) // 4)
    return words, np.arange(begin, begin + 4 * len(words), 4, dtype=np.int64)


def _those(words: Any, mask: int, value: int) -> Any:
    """Where the words of one form stand. In 32 bits, for that is the whole of the code."""
    return np.flatnonzero((words & np.uint32(mask)) == np.uint32(value))


def _signed(values: Any, bits: int) -> Any:
    values = values & ((1 << bits) - 1)
    return values - ((values >> (bits - 1)) << bits)


def _pairs(
    words: Any, places: Any, first: Any, registers: Any, pages: Any, forms: Iterable[tuple[int, int, Any]]
) -> Pairs:
    """Pages' addresses, and the instructions right behind that add to them or read through them."""
    sites, named = [], []
    for near in range(1, NEAR + 1):
        there = first + near
        fits = there < len(words)
        there, register, page = there[fits], registers[fits], pages[fits]
        word = words[there].astype(np.int64)
        for mask, value, offset in forms:
            same = ((word & mask) == value) & (((word >> 5 & 31) == register) | (mask == EXTREME))
            sites.append(places[there[same]])
            named.append(page[same] + offset(word[same]))
    return _joined(sites, named)


def _arm64(raw: bytes, begin: int) -> Pairs:
    words, places = _words(raw, begin)
    jumps = _those(words, 0x7C000000, 0x14000000)  # B, BL
    near = _those(words, 0x9F000000, 0x10000000)  # ADR
    first = _those(words, 0x9F000000, 0x90000000)  # ADRP
    forms = (
        (0xFFC00000, 0x91000000, lambda w: w >> 10 & 0xFFF),  # ADD
        (0xFFC00000, 0xF9400000, lambda w: 8 * (w >> 10 & 0xFFF)),  # LDR of 64 bits
        (0xFFC00000, 0x39400000, lambda w: w >> 10 & 0xFFF),  # LDRB
    )
    jumping, upper = words[jumps].astype(np.int64), words[first].astype(np.int64)
    pages = (places[first] & ~0xFFF) + (_immediate(upper) << 12)
    sites, named = _pairs(words, places, first, upper & 31, pages, forms)
    return _joined(
        [places[jumps], places[near], sites],
        [places[jumps] + 4 * _signed(jumping, 26), places[near] + _immediate(words[near].astype(np.int64)), named],
    )


def _immediate(words: Any) -> Any:
    """The distance in ADR and ADRP (Arm ARM, C6.2.10)."""
    return _signed((words >> 5 & 0x7FFFF) << 2 | words >> 29 & 3, 21)


def _loong64(raw: bytes, begin: int) -> Pairs:
    words, places = _words(raw, begin)
    jumps = _those(words, 0xF8000000, 0x50000000)  # B, BL
    jumping = words[jumps].astype(np.int64)
    distance = 4 * _signed((jumping & 0x3FF) << 16 | jumping >> 10 & 0xFFFF, 26)
    near = _those(words, 0xFE000000, 0x18000000)  # PCADDI
    first = _those(words, 0xFC000000, 0x1C000000)  # PCADDU12I, PCADDU18I
    aligned = _those(words, 0xFE000000, 0x1A000000)  # PCALAU12I
    both = np.concatenate([first, aligned])
    adding = words[both].astype(np.int64)
    upper = _signed(adding >> 5, 20)
    wide = (adding & 0xFE000000) == 0x1E000000
    origin = np.where((adding & 0xFE000000) == 0x1A000000, places[both] & ~0xFFF, places[both])
    pages = origin + np.where(wide, upper << 18, upper << 12)
    forms = (
        (0xFFC00000, 0x02C00000, lambda w: _signed(w >> 10, 12)),  # ADDI.D
        (0xFFC00000, 0x28C00000, lambda w: _signed(w >> 10, 12)),  # LD.D
        (EXTREME, 0x02C00000, lambda w: _signed(w >> 10, 12)),  # ADDI.D of the zero register
        (0xFC000000, 0x4C000000, lambda w: 4 * _signed(w >> 10, 16)),  # JIRL
    )
    sites, named = _pairs(words, places, both, adding & 31, pages, forms)
    return _joined(
        [places[jumps], places[near], sites],
        [places[jumps] + distance, places[near] + 4 * _signed(words[near].astype(np.int64) >> 5, 20), named],
    )
