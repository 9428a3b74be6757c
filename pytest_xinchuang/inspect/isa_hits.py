"""What the scanners of instructions hand back, whichever architecture they read."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Hits:
    """What a scanner of one architecture saw: the hits, and how the code asks for features (empty when it does not)."""

    found: list[Hit]
    asks: str
    reads_cpucfg: bool = False


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
