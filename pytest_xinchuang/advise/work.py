"""What surveys work with: programs, a wall to run the tree's own behind, a cache, and the time that they may take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.core.advice import Surveyed
from pytest_xinchuang.core.platform import Arch, Architecture, Platform
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder
from pytest_xinchuang.toolchain.jail import Jail
from pytest_xinchuang.tools.process import Runner
from pytest_xinchuang.tools.processors import processors


class Budget:
    """The time that a survey may take; what does not fit in is not judged.

    Args:
        seconds: None: as long as it takes.
    """

    def __init__(self, seconds: float | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._end = None if seconds is None else now() + seconds

    @property
    def left_s(self) -> float | None:
        """Seconds that are left, never below 0; None: no bound."""
        return None if self._end is None else max(0.0, self._end - self._now())

    @property
    def spent(self) -> bool:
        return self.left_s == 0

    def within(self, seconds: float) -> float:
        """A time-out that is within what is left."""
        return seconds if self.left_s is None else max(0.1, min(seconds, self.left_s))


@dataclass(frozen=True)
class Running:
    """Where programs of the tree are built and run: ``--run``."""

    pool: Pool
    builder: Builder


@dataclass(frozen=True)
class Work:
    """What a survey is handed beside the tree.

    Attributes:
        platforms: those that are asked about.
        baseline: the x86-64 that is compared with.
        scratch: a directory of this run's own, gone afterwards.
        kept: a directory where results are kept between runs, by content; None: nothing is kept.
        offline: nothing may be fetched, from registries either.
        build: the tree's own build may be run, behind the wall; False: it is read alone.
        running: where programs of the tree may be run; None: none is.
        tell: is told what is being done now: a name and how much of how much.
    """

    platforms: tuple[Platform, ...]
    baseline: Triple
    scratch: Path
    kept: Path | None = None
    runner: Runner = field(default_factory=Runner)
    jail: Jail = field(default_factory=Jail)
    jobs: int = field(default_factory=processors)
    budget: Budget = field(default_factory=Budget)
    offline: bool = False
    build: bool = True
    running: Running | None = None
    tell: Callable[[str, int, int], None] = lambda _what, _done, _total: None

    @property
    def architectures(self) -> dict[Arch, Architecture]:
        """Those of the platforms, and x86-64."""
        return {Arch.AMD64: self.baseline.architecture} | {p.arch: p.architecture for p in self.platforms}


class Survey(Protocol):
    """Knows one language or one kind of build."""

    @property
    def name(self) -> str:
        """A word of its own, e.g. "c"."""

    def applies(self, tree: SourceTree) -> bool:
        """Whether the tree has anything for it."""

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        """Judge its part of the tree for each platform of ``work``.

        Raises:
            XcError: our own tools are missing or broke: the part is not judged, which is never the tree's fault.
        """
