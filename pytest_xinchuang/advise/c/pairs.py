"""Units as IR for x86-64 and for a platform, side by side."""

from __future__ import annotations

import functools
import posixpath
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pytest_xinchuang.advise.c.diagnostics import Answer
from pytest_xinchuang.advise.c.ir import Function, Instruction, Module
from pytest_xinchuang.advise.c.units import ASSEMBLERS, Unit
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.core.platform import Arch


class Side:
    """One unit's IR for one triple, kept small: a large tree's would fill the memory."""

    def __init__(self, text: bytes) -> None:
        self._packed = zlib.compress(text, 1)
        self._linked: tuple[frozenset[str], frozenset[str]] | None = None

    @property
    def module(self) -> Module:
        """It, as it is read; the last few are kept."""
        module = _module(self)
        if self._linked is None:
            self._linked = module.exported, module.declared - module.weak
        return module

    def read(self) -> Module:
        """Read it anew."""
        return Module(zlib.decompress(self._packed).decode(errors="replace"))

    @property
    def exported(self) -> frozenset[str]:
        """What others may link with."""
        return (self._linked or (self.module.exported, frozenset[str]()))[0]

    @property
    def needed(self) -> frozenset[str]:
        """What it needs of others and cannot do without."""
        if self._linked is None:
            return self.module.declared - self.module.weak
        return self._linked[1]


@functools.lru_cache(8)
def _module(side: Side) -> Module:
    return side.read()


@dataclass(frozen=True)
class Pair:
    """One unit.

    Attributes:
        base: for x86-64; None where it does not compile, or is assembler.
        here: for the platform.
    """

    unit: Unit
    base: Side | None
    here: Side | None

    @property
    def both(self) -> bool:
        return self.base is not None and self.here is not None


class Pairs(Sequence[Pair]):
    """All units of a tree for one triple.

    Args:
        base: answers with IR for x86-64, in the order of the units.
        here: those for the triple.
        conditions: the macros that decide whether a line of a file of the tree is compiled.
    """

    def __init__(
        self,
        triple: Triple,
        base: Sequence[Answer],
        here: Sequence[Answer],
        conditions: Callable[[str, int], frozenset[str]] = lambda _file, _line: frozenset(),
    ) -> None:
        self.triple = triple
        self._conditions = conditions
        self._pairs = tuple(Pair(b.unit, _side(b), _side(h)) for b, h in zip(base, here, strict=True))

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self._pairs[index]

    def __len__(self) -> int:
        return len(self._pairs)

    @property
    def arch(self) -> Arch:
        return self.triple.arch

    @functools.cached_property
    def _definers(self) -> dict[str, int]:
        return {name: n for n, pair in enumerate(self._pairs) if pair.base is not None for name in pair.base.exported}

    def base_of(self, name: str) -> Module | None:
        """The module that defines a function for x86-64."""
        index = self._definers.get(name)
        side = None if index is None else self._pairs[index].base
        return side.module if side else None

    def forgotten(self, here: Module, function: Function, base: Module, other: Function) -> bool:
        """Whether lines of a function are compiled for x86-64 alone, and nobody wrote any for other machines in their place.

        A line that x86-64 never comes to, and that stands below no condition of its own, was not written for others.
        """
        if here.place(function) != base.place(other):
            return False
        own, theirs = here.lines(function), base.lines(other)
        file, line = here.place(function)
        around = self._conditions(posixpath.normpath(file), line)
        alone = all(self._conditions(posixpath.normpath(f), n) <= around for f, n in own - theirs)
        return alone and not theirs <= own

    def users(self, name: str, only: Pair | None = None) -> Iterator[tuple[Pair, Module, Function, str, Instruction]]:
        """Where the platform's code names a function or variable: in one unit, or in all."""
        for pair in [only] if only is not None else self._pairs:
            if pair.here is None or (only is None and name not in pair.here.exported | pair.here.needed):
                continue
            module = pair.here.module
            for function, label, instruction in module.users(name):
                yield pair, module, function, label, instruction


def _side(answer: Answer) -> Side | None:
    asm = answer.unit.language in ASSEMBLERS
    return Side(answer.output) if answer.ok and answer.output and not asm else None


def place_of(file: str, line: int) -> str:
    """A place in the tree as findings name it."""
    name = posixpath.normpath(file) if file else ""
    return f"{name}:{line}" if line else name


def in_tree(file: str) -> bool:
    """Whether a file of debugging information is one of the tree: its root was cut off."""
    name = posixpath.normpath(file) if file else ""
    return bool(name) and not name.startswith(("/", "../", "<")) and not re.fullmatch(r"\.\.?", name)
