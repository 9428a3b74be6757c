"""Extensions of AArch64 and LoongArch64 in an object's code: 32-bit words against tables of encodings, all at once."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.isa_arm64 import ARM64
from pytest_xinchuang.inspect.isa_hits import (
    EMULATED,
    MAX_CALLS,
    MAX_QUESTIONS,
    NUMBER_BEFORE,
    Functions,
    Hit,
    Hits,
    Question,
)
from pytest_xinchuang.inspect.isa_loong64 import LOONG64
from pytest_xinchuang.inspect.isa_steps import ARM64 as OF_ARM64
from pytest_xinchuang.inspect.isa_steps import LOONG64 as OF_LOONG64
from pytest_xinchuang.inspect.isa_wrappers import calls_libc, wrapped_calls

CHUNK = 1 << 22
"""Words looked at in one go: 16 MiB of code, so that temporaries stay small."""

MAX_HITS = 20_000
"""Instructions of one extension in one chunk that are looked at one by one; beyond, the verdict has long been the same."""

NEIGHBOURS = 8
MAX_LOOSE = 64
"""Words of tables outside of every known function that are looked at one by one, for each extension: one that is everywhere
must not use up the looks at another."""


@dataclass(frozen=True)
class Encoding:
    """Words with ``word & mask == value`` belong to ``feature``."""

    feature: str
    name: str
    mask: int
    value: int


ASK = "?"
"""The pseudo-feature of instructions that ask the CPU what it has."""


class EncodingTable:
    """Encodings with a look-up by the upper half of a word, which most words fail at once."""

    def __init__(self, rows: Sequence[tuple[str, str, int, int]]) -> None:
        self.encodings = [Encoding(*row) for row in rows]
        self._masks = np.array([e.mask >> 16 for e in self.encodings], dtype=np.uint16)
        self._values = np.array([e.value >> 16 for e in self.encodings], dtype=np.uint16)
        tops = np.arange(1 << 16, dtype=np.uint16)
        self.lookup = np.zeros(1 << 16, dtype=bool)
        for mask, value in zip(self._masks, self._values, strict=True):
            self.lookup |= (tops & mask) == value

    def find(self, words: Any) -> list[tuple[int, Encoding]]:
        """(index, encoding) of the words that are in the table, in order; a word belongs to its first encoding."""
        found: list[tuple[int, Encoding]] = []
        for start in range(0, len(words), CHUNK):
            part = words[start : start + CHUNK]
            # Clipped, for a number of 16 bits is always in the table: without a look whether it is.
            candidates = np.flatnonzero(np.take(self.lookup, part.view("<u2")[1::2], mode="clip"))
            left = part[candidates]
            for number in self._possible(left):
                e = self.encodings[number]
                if not len(left):
                    break
                matches = (left & np.uint32(e.mask)) == np.uint32(e.value)
                if not matches.any():
                    continue
                found += [(start + int(i), e) for i in candidates[matches][:MAX_HITS]]
                candidates, left = candidates[~matches], left[~matches]
        return sorted(found, key=lambda item: item[0])

    def _possible(self, words: Any) -> list[int]:
        """The numbers of the encodings that the upper half of any of the words fits, in their order."""
        seen = np.zeros(1 << 16, dtype=bool)
        seen[words >> np.uint32(16)] = True
        tops = np.flatnonzero(seen).astype(np.uint16)
        possible: list[int] = np.flatnonzero(((tops[:, None] & self._masks) == self._values).any(axis=0)).tolist()
        return possible


@functools.cache
def table_of(machine: str) -> EncodingTable:
    """The encodings of AArch64 or LoongArch64."""
    return EncodingTable(ARM64 if machine == "EM_AARCH64" else LOONG64)


def scan_fixed(elf: ElfObject, data: bytes) -> Hits:
    """The hits of ``elf``, and the instructions by which its code asks the CPU."""
    table = table_of(elf.machine)
    functions = Functions(elf.functions)
    arm = elf.machine == "EM_AARCH64"
    questions: list[Question] = []
    calls: list[tuple[int, int]] = []
    unset: list[int] = []
    uses: dict[int, str] = {}
    helpers: list[int] = []
    tables: Counter[str] = Counter()
    grouped: dict[tuple[str, int | None], Hit] = {}
    counts: Counter[tuple[str, int | None]] = Counter()
    for part in elf.code:
        base = part.offset if elf.relocatable else part.address
        words = np.frombuffer(data, dtype="<u4", count=part.size // 4, offset=part.offset)
        calls += _kernel_calls(words, base, arm)
        traps = np.flatnonzero(words == np.uint32(SVC if arm else SYSCALL)).tolist()
        unset += {base + 4 * at for at in traps} - dict(calls).keys()
        known = _Known(words)
        seen_there = table.find(words)
        places = np.array([index for index, _encoding in seen_there], dtype=np.int64)
        there, before = words[places].tolist(), words[np.maximum(places - 1, 0)].tolist()
        for (index, encoding), word, previous in zip(seen_there, there, before, strict=True):
            address = base + 4 * index
            function = functions.of(address)
            feature = encoding.feature
            if feature == ASK:
                if function is not None or not functions.all:
                    questions.append(Question(address, encoding.name, word))
                if not arm:
                    continue
                feature = EMULATED
            helper = function is not None and function.name.startswith(("__aarch64_", "__arm_"))
            if arm and index and is_outlined(previous):
                helpers.append(address)
                continue
            if arm and (helper or word == UNWINDER_CNTD):
                continue
            if feature == "mte" and function is not None and UNWINDER_UNTAGS in function.name:
                continue
            uses[address] = feature
            key = (feature, function.address if function else None)
            seen = grouped.get(key)
            text, sure = encoding.name, True
            if function is None and functions.all and tables[feature] >= MAX_LOOSE:
                continue  # between functions stand tables: nothing there is ever certain, and some looks are enough
            if arm and (seen is None or function is None):
                text, sure = _verify(known, index, address, function, first_of_them=seen is None)
            if function is None and functions.all and not sure:
                tables[feature] += 1  # a table between functions: its words are data
                continue
            counts[key] += 1
            if seen is None:
                grouped[key] = Hit(feature, address, text or encoding.name, function, sure=sure)
    if (unset or calls_libc(elf)) and not elf.is_go:
        calls += wrapped_calls(elf, data, sorted(unset), OF_ARM64 if arm else OF_LOONG64)
    few = tuple(questions[:MAX_QUESTIONS])
    found = [replace(hit, count=counts[key]) for key, hit in grouped.items()]
    return Hits(found, few, len(questions) > len(few), tuple(calls[:MAX_CALLS]), tuple(helpers), uses)


SVC, SYSCALL = 0xD4000001, 0x002B0000
"""``svc #0`` and ``syscall 0``, by which programs call Linux."""


def _kernel_calls(words: Any, base: int, arm: bool) -> list[tuple[int, int]]:
    """System calls whose number is set by one of the few instructions before: ``mov w8, #n`` or ``li.w $a7, n``."""
    found = []
    instruction = SVC if arm else SYSCALL
    for index in np.flatnonzero(words == np.uint32(instruction)).tolist():
        for before in range(index - 1, max(index - 1 - NUMBER_BEFORE, -1), -1):
            word = int(words[before])
            if arm and word & 0x7F80001F == 0x52800008:
                found.append((base + 4 * index, word >> 5 & 0xFFFF))
                break
            if not arm and word & 0xFF8003FF in (0x0280000B, 0x0380000B):
                found.append((base + 4 * index, word >> 10 & 0xFFF))
                break
            if int(words[before]) == instruction or (arm and word & 31 == 8 and word & 0x1C000000 == 0x10000000):
                break  # another call, or another way to set the number
    return found


UNWINDER_CNTD = 0x04E0E3E0
"""``cntd x0``, by which libgcc's unwinder reads the vector length, for frames that have saved it alone (libgcc,
config/aarch64/aarch64-unwind.h)."""

UNWINDER_UNTAGS = "stepWithDwarf"
"""A function of LLVM's libunwind, which each static program of Rust's has: it takes tags off a frame that is said to be tagged,
and whose function has set them by the same instructions before (DwarfInstructions.hpp, the augmentation "G")."""

CBZ_W16, CBZ_W16_MASK = 0x34000010, 0xFF00001F


def is_outlined(before: int) -> bool:
    """A helper of -moutline-atomics: `cbz w16, ...` on __aarch64_have_lse_atomics stands right before (libgcc, lse.S)."""
    return before & CBZ_W16_MASK == CBZ_W16


@functools.cache
def _capstone() -> Any:
    with optional("inspect"):
        import capstone

    return capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)


@functools.lru_cache(1 << 16)
def _is_instruction(word: int) -> bool:
    """Whether capstone knows a word, wherever it stands: no instruction of A64 depends on those before it."""
    return next(iter(_capstone().disasm_lite(word.to_bytes(4, "little"), 0)), None) is not None


class _Known:
    """Which words of some code are instructions. The last ones in a row that are all such are not asked about again."""

    def __init__(self, words: Any) -> None:
        self.words = words
        self._begin = self._end = 0

    def are_all(self, first: int, last: int) -> bool:
        """Whether the words from ``first`` to before ``last`` are instructions."""
        goes_on = self._begin <= first <= self._end
        left = self.words[max(first, self._end) if goes_on else first : last]
        if not all(map(_is_instruction, left.tolist())):
            return False
        self._begin, self._end = (self._begin, max(self._end, last)) if goes_on else (first, last)
        return True


def _verify(known: _Known, index: int, address: int, function: Any, *, first_of_them: bool) -> tuple[str, bool]:
    """A second reader: the text of the instruction, and whether all words around it are instructions as well.

    A constant between instructions may look like one; its neighbours rarely do.

    Args:
        first_of_them: its text is wanted.
    """
    first = max(index - NEIGHBOURS, 0)
    last = min(index + NEIGHBOURS + 1, len(known.words))
    if function is not None:
        begin = index - (address - function.address) // 4
        first, last = max(first, begin), min(last, begin + (function.size + 3) // 4)
    # Where capstone ends, it met a word that is none, or one newer than it knows: then the table alone has spoken.
    text = ""
    if first_of_them and first <= index < last and known.are_all(first, index + 1):
        word = known.words[index : index + 1].tobytes()
        for _at, _size, mnemonic, operands in _capstone().disasm_lite(word, address):
            text = f"{mnemonic} {operands}".strip()
    return text, known.are_all(first, last)
