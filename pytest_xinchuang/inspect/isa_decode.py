"""Instructions of AArch64 and LoongArch64 as the flow of control sees them.

Encodings: Arm Architecture Reference Manual for A-profile, chapter C4; LoongArch Reference Manual volume 1, appendix B.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.inspect.isa_fixed import table_of
from pytest_xinchuang.inspect.isa_flow import MAX_STUB, Kind, Operation
from pytest_xinchuang.inspect.isa_image import Image

RUN = 64
"""Words that are read in one go."""


def signed(value: int, bits: int) -> int:
    """The number in the lowest ``bits`` bits of ``value``, in two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


class FixedDecoding:
    """What both architectures share: words.

    Args:
        uses: address -> the extension that the scan has found there.
    """

    def __init__(self, image: Image, uses: Mapping[int, str]) -> None:
        self.image = image
        self.uses = uses

    def operations(self, address: int) -> Iterator[Operation]:
        registers: dict[int, tuple[int, int | None]] = {}
        while True:
            raw = self.image.bytes_at(address, 4 * RUN)
            count = len(raw) // 4
            if not count:
                return
            for (word,) in struct.iter_unpack("<I", raw[: 4 * count]):
                operation = self._read(word, address, registers)
                feature = self.uses.get(address)
                yield operation if feature is None else operation._replace(features=(feature,))
                address += 4

    def _read(self, word: int, here: int, registers: dict[int, tuple[int, int | None]]) -> Operation:
        raise NotImplementedError

    def stubs(self, begin: int, end: int) -> Iterable[int]:
        return range(begin, end, 4)

    def text(self, address: int) -> str:
        words = np.frombuffer(self.image.bytes_at(address, 4), dtype="<u4")
        return next((e.name for _index, e in table_of(self.image.elf.machine).find(words)), "")


@functools.cache
def _capstone() -> object:
    with optional("inspect"):
        import capstone

    return capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)


class Arm64Decoding(FixedDecoding):
    """AArch64."""

    def stubs(self, begin: int, end: int) -> Iterable[int]:
        """As many instructions before a jump through a register as a stub has, where one of them names a page: ADRP."""
        if not self.image.is_mapped_as_one(begin, end):
            return super().stubs(begin, end)
        raw = self.image.bytes_at(begin, end - begin + 4 * MAX_STUB)
        words = np.frombuffer(raw, dtype="<u4", count=len(raw) // 4)
        paged = (words & np.uint32(0x9F000000)) == np.uint32(0x90000000)
        last = min(len(words), (end - begin + 3) // 4)
        found: set[int] = set()
        for jump in np.flatnonzero((words & np.uint32(0xFEDFF000)) == np.uint32(0xD61F0000)).tolist():
            for first in range(max(jump - MAX_STUB + 1, 0), min(jump, last)):
                if paged[first:jump].any():
                    found.add(begin + 4 * first)
        return sorted(found)

    def _read(self, word: int, here: int, registers: dict[int, tuple[int, int | None]]) -> Operation:
        top = word >> 26
        if top in (0b000101, 0b100101):
            kind = Kind.JUMP if top == 0b000101 else Kind.CALL
            return Operation(here, 4, kind, here + 4 * signed(word, 26))
        if word & 0xFF000000 == 0x54000000:
            kind = Kind.JUMP if word & 0xE == 0xE else Kind.BRANCH
            return Operation(here, 4, kind, here + 4 * signed(word >> 5, 19))
        if word & 0x7E000000 == 0x34000000:
            return Operation(here, 4, Kind.BRANCH, here + 4 * signed(word >> 5, 19))
        if word & 0x7E000000 == 0x36000000:
            return Operation(here, 4, Kind.BRANCH, here + 4 * signed(word >> 5, 14))
        if word & 0xFFFFFC1F == 0xD65F0000 or word in (0xD65F0BFF, 0xD65F0FFF):
            return Operation(here, 4, Kind.RETURN)
        if word & 0xFEDFF000 == 0xD61F0000:  # BR, BLR, and their forms with a pointer authentication
            kind = Kind.CALL if word & 0x00200000 else Kind.JUMP
            return Operation(here, 4, kind, None, self._slot(registers, word >> 5 & 31, here))
        if word & 0xFFE0001F == 0xD4200000 or not word >> 16:
            return Operation(here, 4, Kind.STOP)
        if word & 0x9F000000 == 0x90000000:  # ADRP
            pages = signed(word >> 5 << 2 | word >> 29 & 3, 21)
            registers[word & 31] = ((here & ~0xFFF) + (pages << 12), None)
        elif word & 0xFFC00000 == 0xF9400000:  # LDR of 64 bits
            base = registers.get(word >> 5 & 31)
            registers.pop(word & 31, None)
            if base is not None and base[1] is None:
                registers[word & 31] = (base[0] + 8 * (word >> 10 & 0xFFF), here)
        return Operation(here, 4, Kind.NEXT)

    @staticmethod
    def _slot(registers: dict[int, tuple[int, int | None]], number: int, here: int) -> int | None:
        """The slot that a register was loaded from, a few instructions before."""
        loaded = registers.get(number)
        return loaded[0] if loaded is not None and loaded[1] is not None and here - loaded[1] <= 16 else None

    def text(self, address: int) -> str:
        for _at, _size, mnemonic, operands in _capstone().disasm_lite(self.image.bytes_at(address, 4), address):  # type: ignore[attr-defined]
            return f"{mnemonic} {operands}".strip()
        return super().text(address)


class Loong64Decoding(FixedDecoding):
    """LoongArch64."""

    def _read(self, word: int, here: int, registers: dict[int, tuple[int, int | None]]) -> Operation:
        top = word >> 26
        if top in (0x14, 0x15):  # B, BL
            offset = signed((word & 0x3FF) << 16 | word >> 10 & 0xFFFF, 26)
            return Operation(here, 4, Kind.JUMP if top == 0x14 else Kind.CALL, here + 4 * offset)
        if top in (0x10, 0x11, 0x12):  # BEQZ, BNEZ, BCEQZ, BCNEZ
            return Operation(here, 4, Kind.BRANCH, here + 4 * signed((word & 0x1F) << 16 | word >> 10 & 0xFFFF, 21))
        if 0x16 <= top <= 0x1B:  # BEQ to BGEU
            return Operation(here, 4, Kind.BRANCH, here + 4 * signed(word >> 10, 16))
        if top == 0x13:  # JIRL
            return self._jirl(word, here, registers)
        if word & 0xFFFF8000 == 0x002A0000:  # BREAK
            return Operation(here, 4, Kind.STOP)
        high, to, base = word >> 25, word & 31, word >> 5 & 31
        if high in (0x0D, 0x0E):  # PCALAU12I, PCADDU12I
            origin = here & ~0xFFF if high == 0x0D else here
            registers[to] = (origin + (signed(word >> 5, 20) << 12), None)
        elif high == 0x0F:  # PCADDU18I
            registers[to] = (here + (signed(word >> 5, 20) << 18), None)
        elif word & 0xFFC00000 == 0x28C00000:  # LD.D
            found = registers.get(base)
            registers.pop(to, None)
            if found is not None and found[1] is None:
                registers[to] = (found[0] + signed(word >> 10, 12), here)
        return Operation(here, 4, Kind.NEXT)

    @staticmethod
    def _jirl(word: int, here: int, registers: dict[int, tuple[int, int | None]]) -> Operation:
        to, base = word & 31, word >> 5 & 31
        offset = 4 * signed(word >> 10, 16)
        if to == 0 and base == 1 and not offset:
            return Operation(here, 4, Kind.RETURN)
        found = registers.get(base)
        # A stub of the procedure linkage table links into $t1, and does not come back to itself.
        kind = Kind.CALL if to == 1 else Kind.JUMP
        if found is None:
            return Operation(here, 4, kind)
        if found[1] is None:
            return Operation(here, 4, kind, found[0] + offset)
        return Operation(here, 4, kind, None, found[0] if here - found[1] <= 16 else None)
