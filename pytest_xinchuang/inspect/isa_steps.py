"""What single instructions do to registers and to what is spilled to the stack, as far as system calls are followed by it.

Sources: System V ABI for x86-64, AArch64 (AAPCS64) and LoongArch (LoongArch ELF psABI), argument registers; syscall(2),
Architecture calling conventions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

Place = int | tuple[int, int]
"""A register by its number, or what stands at (base register, offset)."""
UNKNOWN = -2
"""A place of which nothing is ever known."""
ABSOLUTE = -3
"""In the place of a base register: what stands at an address that the instruction names by itself."""


class Does(Enum):
    """What an instruction does to what is followed."""

    MOVES = auto()
    SETS = auto()
    SPOILS = auto()
    CALLS = auto()
    JUMPS = auto()
    BRANCHES = auto()
    TRAPS = auto()
    ENDS = auto()
    NOTHING = auto()


@dataclass(frozen=True)
class Step:
    """One instruction. ``to`` and ``source``: places, the latter of a call or jump that which its target is read from;
    ``value``: a constant, or where it leads.
    """

    address: int
    does: Does
    to: Place = -1
    source: Place = -1
    value: int = 0


Steps = Callable[[bytes, int], Iterator[Step]]


@dataclass(frozen=True)
class Machine:
    """How an architecture calls. ``lost``: registers that a call does not keep."""

    steps: Steps
    arguments: tuple[int, ...]
    number: int
    lost: frozenset[int]


# -- AArch64 and LoongArch64, whose instructions are words of 32 bits


def _signed(value: int, bits: int) -> int:
    return (value ^ (1 << (bits - 1))) - (1 << (bits - 1))


def _steps_of_arm64(raw: bytes, begin: int) -> Iterator[Step]:
    for at, word in enumerate(np.frombuffer(raw, dtype="<u4", count=len(raw) // 4).tolist()):
        yield from _step_of_arm64(begin + 4 * at, word)


def _step_of_arm64(address: int, word: int) -> Iterator[Step]:
    """By the A64 instruction set encoding (Arm ARM, C4)."""
    to, base = word & 31, word >> 5 & 31
    if word == 0xD4000001:  # SVC #0
        yield Step(address, Does.TRAPS)
    elif word & 0x9F000000 == 0x90000000:  # ADRP
        pages = _signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
        yield Step(address, Does.SETS, to, value=(address & ~0xFFF) + (pages << 12))
    elif word >> 26 in (0x25, 0x05):  # BL, B
        does = Does.CALLS if word >> 31 else Does.JUMPS
        yield Step(address, does, value=address + 4 * _signed(word & 0x3FFFFFF, 26))
    elif word & 0xFF000010 == 0x54000000 or word & 0x7E000000 == 0x34000000:  # B.cond, CBZ, CBNZ
        yield Step(address, Does.BRANCHES, value=address + 4 * _signed(word >> 5 & 0x7FFFF, 19))
    elif word & 0x7E000000 == 0x36000000:  # TBZ, TBNZ
        yield Step(address, Does.BRANCHES, value=address + 4 * _signed(word >> 5 & 0x3FFF, 14))
    elif word & 0xFFFFFC1F == 0xD63F0000:  # BLR
        yield Step(address, Does.CALLS, source=base)
    elif word & 0xFE000000 == 0xD6000000:  # BR, RET
        yield Step(address, Does.ENDS, source=base)
    elif word & 0x7F800000 == 0x52800000:  # MOVZ
        yield Step(address, Does.SETS, to, value=(word >> 5 & 0xFFFF) << (16 * (word >> 21 & 3)))
    elif word & 0x7FE0FFE0 == 0x2A0003E0:  # MOV of a register
        source = word >> 16 & 31
        yield Step(address, Does.SETS, to) if source == 31 else Step(address, Does.MOVES, to, source)  # 31: zero
    elif word & 0xFFFFFC00 in (0x93407C00, 0xD3407C00):  # SXTW, UXTW
        yield Step(address, Does.MOVES, to, base)
    elif word & 0xBFC00000 in (0xB9000000, 0xB9400000) or word & 0xFFC00000 == 0xB9800000:  # STR, LDR, LDRSW
        place = base, (word >> 10 & 0xFFF) << (word >> 30)
        yield Step(address, Does.MOVES, *((to, place) if word & 0x00C00000 else (place, to)))
    elif word & 0xBFE00C00 in (0xB8000000, 0xB8400000) or word & 0xFFE00C00 == 0xB8800000:  # STUR, LDUR, LDURSW
        place = base, _signed(word >> 12 & 0x1FF, 9)
        yield Step(address, Does.MOVES, *((to, place) if word & 0x00C00000 else (place, to)))
    elif word & 0xFE000000 == 0xA8000000:  # STP, LDP of doublewords
        first = (base, 8 * _signed(word >> 15 & 0x7F, 7)) if word & 0x01800000 == 0x01000000 else (base, 1 << 20)
        second, other = (first[0], first[1] + 8), word >> 10 & 31
        load = bool(word & 0x00400000)
        yield Step(address, Does.MOVES, *((to, first) if load else (first, to)))
        yield Step(address, Does.MOVES, *((other, second) if load else (second, other)))
    else:
        yield Step(address, Does.SPOILS, to)


def _steps_of_loong64(raw: bytes, begin: int) -> Iterator[Step]:
    for at, word in enumerate(np.frombuffer(raw, dtype="<u4", count=len(raw) // 4).tolist()):
        yield _step_of_loong64(begin + 4 * at, word)


def _step_of_loong64(address: int, word: int) -> Step:
    """By the LoongArch Reference Manual, volume 1, appendix B."""
    to, base, top = word & 31, word >> 5 & 31, word >> 26
    if word & 0xFFFF8000 == 0x002B0000:  # SYSCALL
        return Step(address, Does.TRAPS)
    if top in (0x14, 0x15):  # B, BL
        offset = _signed(word >> 10 & 0xFFFF | (word & 0x3FF) << 16, 26)
        return Step(address, Does.CALLS if top == 0x15 else Does.JUMPS, value=address + 4 * offset)
    if top == 0x13:  # JIRL: a call where it keeps the way back
        source = UNKNOWN if word >> 10 & 0xFFFF else base
        return Step(address, Does.CALLS if to else Does.ENDS if base == 1 else Does.JUMPS, source=source)
    if word >> 25 in (0x0D, 0x0E):  # PCALAU12I, PCADDU12I
        origin = address & ~0xFFF if word >> 25 == 0x0D else address
        return Step(address, Does.SETS, to, value=origin + (_signed(word >> 5 & 0xFFFFF, 20) << 12))
    if top in (0x10, 0x11):  # BEQZ, BNEZ
        return Step(address, Does.BRANCHES, value=address + 4 * _signed(word >> 10 & 0xFFFF | (word & 31) << 16, 21))
    if 0x16 <= top <= 0x1B:  # BEQ to BGEU
        return Step(address, Does.BRANCHES, value=address + 4 * _signed(word >> 10 & 0xFFFF, 16))
    immediate, kind = word >> 10 & 0xFFF, word >> 22
    if kind in (0x0A, 0x0B, 0x0E):  # ADDI.W, ADDI.D, ORI
        if base == 0:
            return Step(address, Does.SETS, to, value=immediate if kind == 0x0E else _signed(immediate, 12))
        return Step(address, Does.MOVES, to, base) if immediate == 0 else Step(address, Does.SPOILS, to)
    if word & 0xFFFFFC00 in (0x00150000, 0x00408000):  # OR with $zero, SLLI.W by 0
        return Step(address, Does.SETS, to, value=0) if base == 0 else Step(address, Does.MOVES, to, base)
    if kind in (0xA2, 0xA3, 0xA6, 0xA7, 0xAA):  # LD.W, LD.D, ST.W, ST.D, LD.WU
        place = base, _signed(immediate, 12)
        return Step(address, Does.MOVES, *((place, to) if kind in (0xA6, 0xA7) else (to, place)))
    if word >> 24 in (0x24, 0x25, 0x26, 0x27):  # LDPTR.W, STPTR.W, LDPTR.D, STPTR.D
        place = base, 4 * _signed(word >> 10 & 0x3FFF, 14)
        return Step(address, Does.MOVES, *((place, to) if word >> 24 & 1 else (to, place)))
    return Step(address, Does.SPOILS, to)


ARM64 = Machine(_steps_of_arm64, tuple(range(8)), 8, frozenset(range(19)))
"""x0 to x7, the number in x8; x0 to x18 are lost in a call."""
LOONG64 = Machine(_steps_of_loong64, tuple(range(4, 11)), 11, frozenset(range(4, 21)))
"""$a0 to $a6, the number in $a7; $a0 to $t8 are lost in a call."""
