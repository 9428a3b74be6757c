"""The survey of what compiled code does."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_xinchuang.advise.c.baseline import Baseline, all_of_x86
from pytest_xinchuang.advise.c.causes import Reader
from pytest_xinchuang.advise.c.compiler import Compilers
from pytest_xinchuang.advise.c.deeds import Deeds
from pytest_xinchuang.advise.c.gather import Gatherer, Recorder
from pytest_xinchuang.advise.c.units import Unit, language_of, of_c
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Surveyed


class CodeSurvey:
    """Compares what each unit's code does for x86-64 and for each platform of another architecture.

    Args:
        recorders: what runs builds and says which units they compile.
    """

    name = "code"

    def __init__(self, recorders: Sequence[Recorder] = ()) -> None:
        self._recorders = recorders

    def applies(self, tree: SourceTree) -> bool:
        return any(language_of(f) for f in of_c(tree.files))

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        compilers = Compilers(tree, work)
        lib = compilers.targets.lib
        gatherer = Gatherer(tree, work, lib, self._recorders)
        base = Baseline(compilers, Reader(tree, lib), all_of_x86(work))

        def words(units: Sequence[Unit]) -> list[tuple[str, ...]]:
            return [() if c.stubs else c.words for c in base.compile(units, machine=True)]

        return Deeds(tree, work, compilers, gatherer.units, words).surveyed()
