"""A client of an API, and what became of it with the new version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What a tool made of a client."""

    HOLDS = "holds"
    FAILS = "fails"
    UNTRIED = "untried"
    """The language has no such step, or the tool for it is not there."""


@dataclass(frozen=True)
class Client:
    """A program that uses one symbol in one way, as a caller may.

    Attributes:
        symbol: what it uses, as reports call it (see :attr:`Change.symbol`).
        relation: the way: ``call``, ``override``, ``implement``, ``extend``, ``lambda``, ``switch``, ``unpack``, ``convert``,
            ``include``, ``import``, ``link`` and the like.
        files: path -> text; relative to a directory that is the client's own.
        promised: the language's users may count on it. Where they may not (an unkeyed literal in Go, a name that a wildcard
            import brings in), a failure is ``fragile`` and not ``breaking``.
        also: further symbols that it says something about.
    """

    symbol: str
    relation: str
    files: Mapping[str, str]
    promised: bool = True
    also: tuple[str, ...] = ()

    def about(self, symbol: str) -> bool:
        """Whether its result counts for a symbol."""
        return symbol == self.symbol or symbol in self.also


@dataclass(frozen=True)
class Trial:
    """A client tried with both versions.

    Attributes:
        old: built with the old version. One that does not build there is a fault of ours, and evidence of nothing.
        source: built with the new version.
        binary: built with the old version, then linked or run with the new one.
        said: the first complaint of the tool, without places of this machine.
        tool: which tool said it, with its version.
        target: the target that it was built for; empty where there are none.
        alongside: the product's own code ran in the process that said it, and may have said it.
    """

    client: Client
    old: Outcome
    source: Outcome = Outcome.UNTRIED
    binary: Outcome = Outcome.UNTRIED
    said: str = ""
    tool: str = ""
    target: str = ""
    alongside: bool = False

    @property
    def counts(self) -> bool:
        """Whether it is evidence: it builds with the old version, and was tried with the new one."""
        return self.old is Outcome.HOLDS and (self.source, self.binary) != (Outcome.UNTRIED, Outcome.UNTRIED)

    @property
    def breaks(self) -> bool:
        """Whether what was right with the old version is wrong with the new one."""
        return self.counts and Outcome.FAILS in (self.source, self.binary)

    @property
    def axes(self) -> tuple[str, ...]:
        """For whom it breaks: those who build again (source), those who do not (binary)."""
        return tuple(axis for axis in ("source", "binary") if self.breaks and getattr(self, axis) is Outcome.FAILS)
