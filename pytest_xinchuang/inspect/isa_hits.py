"""What the scanners of instructions hand back, whichever architecture they read."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pytest_xinchuang.inspect.elf import Function


@dataclass(frozen=True)
class Hit:
    """Instructions of one extension in one function, or in no known one.

    Attributes:
        address: of the first of them, and ``text`` what it is.
        sure: they are instructions, and no data that looks like some.
    """

    feature: str
    address: int
    text: str
    function: Function | None
    sure: bool = True
    count: int = 1


EMULATED = "cpuid"
"""Linux's name (HWCAP_CPUID) of what it gives to programs that read ID registers on arm64: an answer instead of SIGILL."""

MAX_CALLS = 4096
"""System calls of one object that are looked at."""

NUMBER_BEFORE = 8
"""Instructions before a system call among which that one is searched which sets its number."""

MAX_QUESTIONS = 512
"""Instructions that ask the CPU which are understood one by one."""


@dataclass(frozen=True)
class Question:
    """An instruction that asks the CPU what it has: its name, and on AArch64 and LoongArch the word that it is."""

    address: int
    name: str
    word: int = 0


@dataclass(frozen=True)
class Hits:
    """What a scanner of one architecture saw.

    Attributes:
        questions: the instructions that ask the CPU; ``uncounted``: there are more of them.
        calls: (address, number) of system calls whose number stands right before them.
        helpers: addresses of LSE instructions in the helpers of outline atomics, which are no hits.
        uses: address -> extension of single instructions, where the architecture's words are found all at once.
    """

    found: list[Hit]
    questions: tuple[Question, ...] = ()
    uncounted: bool = False
    calls: tuple[tuple[int, int], ...] = ()
    helpers: tuple[int, ...] = ()
    uses: Mapping[int, str] = field(default_factory=dict)


class Functions:
    """Finds the function of an address."""

    def __init__(self, functions: Iterable[Function]) -> None:
        self.all = tuple(functions)
        self.starts = [f.address for f in self.all]

    def of(self, address: int) -> Function | None:
        index = bisect.bisect_right(self.starts, address) - 1
        if index < 0:
            return None
        function = self.all[index]
        return function if address < function.address + function.size else None
