"""The translation units of a tree: as it says itself, as its build was seen to run, or guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pytest_xinchuang.advise.c.database import databases, units_in
from pytest_xinchuang.advise.c.guess import Guess
from pytest_xinchuang.advise.c.units import Unit, Units
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.messages import _, verbatim

Recorder = Callable[[SourceTree, Work, Triple], Units | None]
"""Runs the tree's build for a triple and says which units it compiles; None: there is no build that it could run."""


class Gatherer:
    """Finds the units of one tree for each triple.

    Args:
        lib: the directory of zig's headers.
        recorders: asked in their order, where the tree has no compile_commands.json.
    """

    def __init__(self, tree: SourceTree, work: Work, lib: Path, recorders: Sequence[Recorder] = ()) -> None:
        self._tree, self._work, self._lib, self._recorders = tree, work, lib, recorders
        self._same: Units | None = None
        self._other: Guess | None = None

    def units(self, triple: Triple) -> Units:
        """The units for a triple; the same object for all triples where they are the same."""
        names = databases(self._tree)
        if not names:
            for recorder in self._recorders:
                recorded = recorder(self._tree, self._work, triple)
                if recorded is not None and recorded.units:
                    return replace(recorded, own=True)
        if self._same is None:
            self._same = self._of_database(names) or self._guessed()
        return self._same

    def _of_database(self, names: Sequence[str]) -> Units | None:
        units, lost = units_in(self._tree, names)
        if not units:
            return None
        told = _("from {file}", file=verbatim(names[0]))
        return Units(units, told, lost=lost)

    def _guessed(self) -> Units:
        guess = Guess(self._tree, self._lib)
        found = _("guessed: every source, with no configuration")
        return Units(guess.units(), found, guessed=True, parts=guess.parts)

    def another(self, units: Sequence[Unit]) -> list[Unit]:
        """The same sources by another guess of where their headers are."""
        if self._other is None:
            self._other = Guess(self._tree, self._lib, popular=True)
        return [self._other.unit(unit.source) for unit in units]
