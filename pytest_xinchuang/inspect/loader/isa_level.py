"""The x86-64 ISA levels that glibc compares with the property "x86 ISA needed" since 2.33."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.elf import ElfObject

# x86-64 psABI, micro-architecture levels, by the names of /proc/cpuinfo. LAHF/SAHF of level 2 is left out: the lists of
# features do not carry it, and every CPU with SSE4.2 and CMPXCHG16B has it.
_LEVELS: tuple[tuple[int, frozenset[str]], ...] = (
    (2, frozenset({"cx16", "popcnt", "pni", "ssse3", "sse4_1", "sse4_2"})),
    (4, frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe"})),
    (8, frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})),
)
_NAMES = {1: "x86-64-v1", 2: "x86-64-v2", 4: "x86-64-v3", 8: "x86-64-v4"}


def levels(features: Iterable[str]) -> int:
    """The bits of the levels that a CPU with these features has: 1 for the baseline, then 2, 4 and 8."""
    has, bits = set(features), 1
    for bit, wanted in _LEVELS:
        if not wanted <= has:
            break
        bits |= bit
    return bits


def name_of(bits: int) -> str:
    """The highest level in ``bits``."""
    return _NAMES.get(1 << bits.bit_length() - 1, f"{bits:#x}") if bits else "none"


def lacking(elf: ElfObject, has: int) -> int:
    """The bits that an object needs and the CPU has not."""
    return elf.isa_needed & ~has


def certainty(at_least_2_33: bool | None) -> Certainty:
    """An older loader does not look at the property: there the instructions decide."""
    if at_least_2_33 is None:
        return Certainty.UNDECIDED
    return Certainty.CERTAIN if at_least_2_33 else Certainty.NOTE
