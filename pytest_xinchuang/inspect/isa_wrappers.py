"""System calls whose number the caller of a small function hands over: of libc's function ``syscall``, be it linked in or
brought by the loader, or of a wrapper of the program's own.

A function is such a wrapper by its body: one of its arguments reaches the number's register at the instruction that calls the
kernel, or the number's argument of another wrapper. Where a caller gives it a constant, that is a call of the program.
Registers, and the stack that compilers spill them to, are followed in a straight line, with what jumps forward bring along. A
call goes to the wrapper, to its stub in the procedure linkage table, or through the slot that the loader fills in.

Sources: System V gABI, dynamic linking (procedure linkage table, global offset table); what instructions do:
:mod:`pytest_xinchuang.inspect.isa_steps`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.isa_image import Image
from pytest_xinchuang.inspect.isa_references import FAR, Index
from pytest_xinchuang.inspect.isa_steps import ABSOLUTE, UNKNOWN, Does, Machine, Place, Step

OF_LIBC = "syscall"
"""The function of C libraries that makes the system call of its first argument (syscall(2))."""

MOST_BYTES = 4096
"""Bytes of code that are followed up to a call where no symbol tells where its function begins."""
MOST_FUNCTION = 1 << 16
"""Bytes of a function that are followed."""
MOST_IN_ALL = 4 << 20
"""Bytes of an object that are followed: some seconds' on x86-64."""
MOST_WRAPPERS = 64
MOST_SITES = 4096
"""Calls of wrappers that are looked at."""
ROUNDS = 4
"""Wrappers of wrappers that are followed; a stub is one of them."""
NEARBY = 512
"""Bytes before a call of the kernel in which the beginning of its function is sought where no symbol tells it."""
STUB = 16
"""Bytes of a stub around the instruction that reads its slot (x86-64: endbr64 and bnd before it; AArch64 and LoongArch64: two
instructions before it and two behind it)."""
FARTHEST = 1 << 56
"""Where the addresses of all programs end (Linux, TASK_SIZE: 2^56 with five levels on x86-64); damaged files go beyond."""
LIMIT = 1024
"""Numbers of system calls are below (Linux, arch/*/entry/syscalls; asm-generic/unistd.h)."""


@dataclass(frozen=True)
class Argument:
    """What was in an argument's register when the function began."""

    number: int


@dataclass(frozen=True)
class Pointer:
    """The address of a wrapper, from the slot that holds it."""

    target: int


Value = Argument | Pointer | frozenset[int]

FOREIGN = -1
"""In the place of a wrapper's address: the function of another object."""


def calls_libc(elf: ElfObject) -> bool:
    """Whether an object has the loader bring it libc's function."""
    return OF_LIBC in elf.imports and not elf.relocatable


def wrapped_calls(elf: ElfObject, data: Any, traps: Iterable[int], machine: Machine) -> list[tuple[int, int]]:
    """(address of the call, number) of the system calls that go through wrappers.

    Args:
        traps: addresses of the instructions that call the kernel with a number that is not set right before.
    """
    code = _Code(elf, data)
    wrappers: dict[int, int] = {FOREIGN: 0} if FOREIGN in code.slots.values() else {}
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
        for user in code.users_of(fresh):
            for start in user.starts:
                handed = list(_handed(code, start, user, machine, fresh))
                for site, value in handed:
                    if isinstance(value, Argument):
                        if start not in wrappers and len(wrappers) < MOST_WRAPPERS:
                            following[start] = wrappers[start] = value.number
                    elif isinstance(value, frozenset):
                        found.setdefault(site, set()).update(n for n in value if 0 <= n < LIMIT)
                if handed:
                    break
        if not following:
            break
        fresh = following
    return [(site, number) for site, numbers in sorted(found.items()) for number in sorted(numbers)]


@dataclass
class _User:
    """Code that calls wrappers.

    Attributes:
        starts: where its function may begin, the likeliest first.
        end: up to where it is followed.
        direct: the place of a call or jump -> the wrapper that it names.
    """

    starts: list[int]
    end: int
    direct: dict[int, int] = field(default_factory=dict)


class _Code:
    """The code of an object, with the beginnings of its functions and its calls."""

    def __init__(self, elf: ElfObject, data: Any) -> None:
        self.elf, self.data = elf, data
        self.parts = [c for c in elf.code if c.address + c.size < FARTHEST]
        self.left = MOST_IN_ALL
        self.symbols = [function.address for function in elf.functions]
        self.sizes = {function.address: function.size for function in elf.functions}
        sites, targets = (
            zip(*(_direct_calls(elf, data, p) for p in self.parts), strict=True) if self.parts else ((), ())
        )
        self.sites: Any = np.concatenate(sites) if sites else np.zeros(0, dtype=np.int64)
        self.targets: Any = np.concatenate(targets) if targets else np.zeros(0, dtype=np.int64)
        self.image = Image(elf, data) if elf.dynamic or elf.soname is not None else None
        self.slots = self._slots(self.image) if self.image is not None else {}
        """The address of a slot -> the object's own function whose address it holds, or that of libc."""
        self.called = [int(target) for target in np.unique(self.targets)]

    @staticmethod
    def _slots(image: Image) -> dict[int, int]:
        own = {place: address for place, address in image.own_slots.items() if image.is_code(address)}
        return own | {place: FOREIGN for place, name in image.slots.items() if name == OF_LIBC}

    def bytes_at(self, begin: int, end: int) -> bytes:
        for part in self.parts:
            base = part.offset if self.elf.relocatable else part.address
            if base <= begin < base + part.size:
                first = part.offset + begin - base
                return bytes(self.data[first : min(first + end - begin, part.offset + part.size)])
        return b""

    def function_of(self, address: int) -> tuple[int, int] | None:
        """Where the function of an address begins and ends, by its symbol."""
        at = bisect_right(self.symbols, address) - 1
        if at < 0 or address >= self.symbols[at] + self.sizes[self.symbols[at]]:
            return None
        return self.symbols[at], self.symbols[at] + self.sizes[self.symbols[at]]

    def starts_before(self, address: int, reach: int = NEARBY) -> list[int]:
        """Where the function of an address may begin: by its symbol, else where something is called before it."""
        function = self.function_of(address)
        return [function[0]] if function is not None else self.called_before(address, reach)

    def called_before(self, address: int, reach: int) -> list[int]:
        """Where something is called in the bytes before an address, the nearest first."""
        first = bisect_left(self.called, address - reach)
        return self.called[first : bisect_right(self.called, address)][::-1][:8]

    def users_of(self, wrappers: Mapping[int, int]) -> Iterator[_User]:
        """The code that calls wrappers, each function once."""
        chosen = np.isin(self.targets, np.fromiter(wrappers, dtype=np.int64))
        sites = dict(zip(self.sites[chosen].tolist()[:MOST_SITES], self.targets[chosen].tolist(), strict=False))
        functions: dict[int, _User] = {}
        for site, target in sites.items():
            yield from self._user(functions, site, site + 8, {site: target})
        for read in self._reads(wrappers)[:MOST_SITES]:
            if stubs := self.called_before(read, STUB):
                yield _User(stubs, read + STUB)
            yield from self._user(functions, read, read + NEARBY, {})
        yield from functions.values()

    def _user(self, functions: dict[int, _User], place: int, end: int, direct: dict[int, int]) -> Iterator[_User]:
        """What is known of the function of a place is gathered; where no symbol tells of it, it is handed out at once."""
        function = self.function_of(place)
        if function is None:
            if starts := self.called_before(place, MOST_BYTES):
                yield _User(starts, end, direct)
            return
        user = functions.setdefault(function[0], _User([function[0]], end))
        user.end = max(user.end, end if direct else function[1])
        user.direct.update(direct)

    def _reads(self, wrappers: Mapping[int, int]) -> list[int]:
        """Where slots are read that hold the addresses of wrappers."""
        slots = [slot for slot, target in self.slots.items() if target in wrappers]
        if self.image is None or not slots or max(slots) >= FARTHEST or max(slots) - min(slots) > FAR:
            return []
        index = Index(self.image, slots)
        return sorted({site for slot in slots for site in index.to(slot)})


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
    # Of a linked object to another part as well, where the stubs are.
    parts = [part] if elf.relocatable else [c for c in elf.code if c.address + c.size < FARTHEST]
    begins = [c.offset if elf.relocatable else c.address for c in parts]
    low, high = min(begins), max(b + c.size for b, c in zip(begins, parts, strict=True))
    inside = (targets >= low) & (targets < high)
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
    end = min(end, start + MOST_FUNCTION)
    raw = code.bytes_at(start, end + 16) if code.left > 0 else b""
    code.left -= len(raw)
    for step in machine.steps(raw, start):
        if step.address >= end:
            return
        if (other := brought.pop(step.address, None)) is not None:
            state = _joined(state, other)
        yield step, state
        match step.does:
            case Does.MOVES:
                value = _value(state, step.source, code.slots)
                if value is None or step.to == UNKNOWN or (isinstance(step.to, tuple) and step.to[0] == ABSOLUTE):
                    state.pop(step.to, None)
                else:
                    state[step.to] = value
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


def _value(state: dict[Place, Value], place: Place, slots: Mapping[int, int]) -> Value | None:
    """What stands at a place; of a slot, whose address it holds."""
    if slots and isinstance(place, tuple):
        base = frozenset({0}) if place[0] == ABSOLUTE else state.get(place[0])
        if isinstance(base, frozenset) and len(base) == 1:
            target = slots.get(next(iter(base)) + place[1])
            if target is not None:
                return Pointer(target)
    return state.get(place)


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


def _handed(
    code: _Code, start: int, user: _User, machine: Machine, wrappers: Mapping[int, int]
) -> Iterator[tuple[int, Value]]:
    """The calls of wrappers in a function, and what each is handed as the number, where that is known."""
    for step, state in _followed(code, start, user.end, machine):
        if step.does not in (Does.CALLS, Does.JUMPS, Does.ENDS):
            continue
        target = user.direct.get(step.address)
        if target is None and isinstance(pointer := _value(state, step.source, code.slots), Pointer):
            target = pointer.target
        if target is not None and target in wrappers:
            value = state.get(machine.arguments[wrappers[target]])
            if value is not None:
                yield step.address, value
