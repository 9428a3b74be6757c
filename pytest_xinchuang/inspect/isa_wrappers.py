"""System calls whose number the caller of a small function hands over: ``syscall(425, ...)`` of a libc that is linked in, or
a wrapper of the program's own.

A function is such a wrapper by its body: one of its arguments reaches the number's register at the instruction that calls the
kernel, or the number's argument of another wrapper. Where a caller gives it a constant, that is a call of the program.
Registers, and the stack that compilers spill them to, are followed in a straight line, with what jumps forward bring along.

Sources: System V ABI for x86-64, AArch64 (AAPCS64) and LoongArch (LoongArch ELF psABI), argument registers; syscall(2),
Architecture calling conventions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np

from pytest_xinchuang.inspect.elf import ElfObject

MOST_BYTES = 4096
"""Bytes of a function that are followed up to a call."""
MOST_WRAPPERS = 64
MOST_SITES = 4096
"""Calls of wrappers that are looked at."""
ROUNDS = 3
"""Wrappers of wrappers that are followed."""
NEARBY = 512
"""Bytes before a call of the kernel in which the beginning of its function is sought where no symbol tells it."""
FARTHEST = 1 << 56
"""Where the addresses of all programs end (Linux, TASK_SIZE: 2^56 with five levels on x86-64); damaged files go beyond."""
LIMIT = 1024
"""Numbers of system calls are below (Linux, arch/*/entry/syscalls; asm-generic/unistd.h)."""

Place = int | tuple[int, int]
"""A register by its number, or what stands at (base register, offset)."""


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
    """One instruction. ``to`` and ``source``: places; ``value``: a constant, or where it leads."""

    address: int
    does: Does
    to: Place = -1
    source: Place = -1
    value: int = 0


@dataclass(frozen=True)
class Argument:
    """What was in an argument's register when the function began."""

    number: int


Value = Argument | frozenset[int]

Steps = Callable[[bytes, int], Iterator[Step]]


@dataclass(frozen=True)
class Machine:
    """How an architecture calls. ``lost``: registers that a call does not keep."""

    steps: Steps
    arguments: tuple[int, ...]
    number: int
    lost: frozenset[int]


def wrapped_calls(elf: ElfObject, data: Any, traps: Iterable[int], machine: Machine) -> list[tuple[int, int]]:
    """(address of the call, number) of the system calls that go through wrappers.

    Args:
        traps: addresses of the instructions that call the kernel with a number that is not set right before.
    """
    code = _Code(elf, data)
    wrappers: dict[int, int] = {}
    for trap in list(traps)[:MOST_WRAPPERS]:
        for start in code.starts_before(trap):
            end = trap + 8
            numbers = [v for a, v in _at_traps(code, start, end, machine) if a == trap]
            if numbers and isinstance(numbers[0], Argument):
                wrappers[start] = numbers[0].number
                break
    found: dict[int, set[int]] = {}
    fresh = dict(wrappers)
    for _round in range(ROUNDS):
        following: dict[int, int] = {}
        for site, target in code.calls_of(fresh)[:MOST_SITES]:
            for start in code.starts_before(site, whole=True):
                value = _at_call(code, start, site, machine, fresh[target])
                if isinstance(value, Argument):
                    if start not in wrappers and len(wrappers) < MOST_WRAPPERS:
                        following[start] = wrappers[start] = value.number
                elif value is not None:
                    found.setdefault(site, set()).update(n for n in value if 0 <= n < LIMIT)
                if value is not None:
                    break
        if not following:
            break
        fresh = following
    return [(site, number) for site, numbers in sorted(found.items()) for number in sorted(numbers)]


class _Code:
    """The code of an object, with the beginnings of its functions and its calls."""

    def __init__(self, elf: ElfObject, data: Any) -> None:
        self.elf, self.data = elf, data
        self.symbols = [function.address for function in elf.functions]
        self.sizes = {function.address: function.size for function in elf.functions}
        sites, targets = (
            zip(*(_direct_calls(elf, data, part) for part in elf.code), strict=True) if elf.code else ((), ())
        )
        self.sites: Any = np.concatenate(sites) if sites else np.zeros(0, dtype=np.int64)
        self.targets: Any = np.concatenate(targets) if targets else np.zeros(0, dtype=np.int64)
        self.called = [int(target) for target in np.unique(self.targets)]

    def bytes_at(self, begin: int, end: int) -> bytes:
        for part in self.elf.code:
            base = part.offset if self.elf.relocatable else part.address
            if base <= begin < base + part.size:
                first = part.offset + begin - base
                return bytes(self.data[first : min(first + end - begin, part.offset + part.size)])
        return b""

    def starts_before(self, address: int, *, whole: bool = False) -> list[int]:
        """Where the function of an address may begin: by its symbol, else where something is called before it."""
        at = bisect_right(self.symbols, address) - 1
        if at >= 0 and address < self.symbols[at] + self.sizes[self.symbols[at]]:
            return [self.symbols[at]] if address - self.symbols[at] < MOST_BYTES or not whole else []
        first = bisect_left(self.called, address - (MOST_BYTES if whole else NEARBY))
        return self.called[first : bisect_right(self.called, address)][::-1][:8]

    def calls_of(self, wrappers: Iterable[int]) -> list[tuple[int, int]]:
        chosen = np.isin(self.targets, np.fromiter(wrappers, dtype=np.int64))
        return list(zip(self.sites[chosen].tolist(), self.targets[chosen].tolist(), strict=True))


def _direct_calls(elf: ElfObject, data: Any, part: Any) -> tuple[Any, Any]:
    """Addresses and targets of the direct calls and jumps of one part: on x86-64 of all bytes that look like one."""
    base = part.offset if elf.relocatable else part.address
    if elf.machine == "EM_X86_64":
        raw = np.frombuffer(data, dtype=np.uint8, count=part.size, offset=part.offset)
        at = np.flatnonzero((raw[:-4] == 0xE8) | (raw[:-4] == 0xE9)) if part.size > 4 else np.zeros(0, dtype=np.int64)
        wide = [raw[at + n].astype(np.int64) << (8 * (n - 1)) for n in range(1, 5)]
        offset = (wide[0] | wide[1] | wide[2] | wide[3]).astype(np.int64)
        sites, targets = base + at, base + at + 5 + ((offset ^ (1 << 31)) - (1 << 31))
    else:
        words = np.frombuffer(data, dtype="<u4", count=part.size // 4, offset=part.offset)
        arm = elf.machine == "EM_AARCH64"
        top = (words >> 26) & 0x3F
        at = np.flatnonzero((top == 0x25) | (top == 0x05)) if arm else np.flatnonzero((top == 0x15) | (top == 0x14))
        some = words[at].astype(np.int64)
        offset = some & 0x3FFFFFF if arm else (some >> 10 & 0xFFFF) | (some & 0x3FF) << 16
        sites, targets = base + 4 * at, base + 4 * at + 4 * ((offset ^ (1 << 25)) - (1 << 25))
        if not arm and len(words) > 1:
            far, its_targets = _far_calls(words, base)
            sites, targets = np.concatenate([sites, far]), np.concatenate([targets, its_targets])
    inside = (targets >= base) & (targets < base + part.size)
    return sites[inside].astype(np.int64), targets[inside].astype(np.int64)


def _far_calls(words: Any, base: int) -> tuple[Any, Any]:
    """Calls of LoongArch's medium code model: PCADDU18I, and JIRL by its register (psABI, R_LARCH_CALL36)."""
    first, second = words[:-1], words[1:]
    pair = (first >> 25 == 0x0F) & (second >> 26 == 0x13) & ((first & 31) == (second >> 5 & 31))
    at = np.flatnonzero(pair)
    high, low = first[at].astype(np.int64) >> 5 & 0xFFFFF, second[at].astype(np.int64) >> 10 & 0xFFFF
    offset = ((high ^ (1 << 19)) - (1 << 19)) * (1 << 18) + 4 * ((low ^ (1 << 15)) - (1 << 15))
    return base + 4 * at + 4, base + 4 * at + offset


def _followed(code: _Code, start: int, end: int, machine: Machine) -> Iterator[tuple[Step, dict[Place, Value]]]:
    """Each instruction with what is known before it."""
    state: dict[Place, Value] = {register: Argument(n) for n, register in enumerate(machine.arguments)}
    brought: dict[int, dict[Place, Value]] = {}
    for step in machine.steps(code.bytes_at(start, min(end, start + MOST_BYTES + 16)), start):
        if step.address >= end:
            return
        if (other := brought.pop(step.address, None)) is not None:
            state = _joined(state, other)
        yield step, state
        match step.does:
            case Does.MOVES:
                if step.source in state:
                    state[step.to] = state[step.source]
                else:
                    state.pop(step.to, None)
            case Does.SETS:
                state[step.to] = frozenset({step.value})
            case Does.SPOILS:
                state.pop(step.to, None)
            case Does.CALLS | Does.TRAPS:
                for register in machine.lost if step.does is Does.CALLS else (machine.number,):
                    state.pop(register, None)
            case Does.BRANCHES | Does.JUMPS:
                if step.address < step.value < end:
                    brought[step.value] = _joined(brought[step.value], state) if step.value in brought else dict(state)
                if step.does is Does.JUMPS:
                    state = {}
            case Does.ENDS:
                state = {}


def _joined(a: dict[Place, Value], b: dict[Place, Value]) -> dict[Place, Value]:
    """What may be known after two ways: constants of either; an argument where nothing says otherwise."""
    found = dict(a)
    for place, value in b.items():
        mine = found.get(place)
        if isinstance(mine, frozenset) and isinstance(value, frozenset):
            found[place] = mine | value if len(mine) < 16 else mine
        elif mine is None or isinstance(value, frozenset):
            found[place] = value
    return found


def _at_traps(code: _Code, start: int, end: int, machine: Machine) -> Iterator[tuple[int, Value | None]]:
    for step, state in _followed(code, start, end, machine):
        if step.does is Does.TRAPS:
            yield step.address, state.get(machine.number)


def _at_call(code: _Code, start: int, site: int, machine: Machine, argument: int) -> Value | None:
    """What a call hands over as one of its arguments; None: that is not known, or no call stands there."""
    for step, state in _followed(code, start, site + 8, machine):
        if step.address == site and step.does in (Does.CALLS, Does.JUMPS):
            return state.get(machine.arguments[argument])
    return None


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
    elif word >> 26 in (0x25, 0x05):  # BL, B
        does = Does.CALLS if word >> 31 else Does.JUMPS
        yield Step(address, does, value=address + 4 * _signed(word & 0x3FFFFFF, 26))
    elif word & 0xFF000010 == 0x54000000 or word & 0x7E000000 == 0x34000000:  # B.cond, CBZ, CBNZ
        yield Step(address, Does.BRANCHES, value=address + 4 * _signed(word >> 5 & 0x7FFFF, 19))
    elif word & 0x7E000000 == 0x36000000:  # TBZ, TBNZ
        yield Step(address, Does.BRANCHES, value=address + 4 * _signed(word >> 5 & 0x3FFF, 14))
    elif word & 0xFFFFFC1F == 0xD63F0000:  # BLR
        yield Step(address, Does.CALLS)
    elif word & 0xFE000000 == 0xD6000000:  # BR, RET
        yield Step(address, Does.ENDS)
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
        return Step(address, Does.CALLS if to else Does.ENDS if base == 1 else Does.JUMPS)
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
