"""What is said of a source tree: which parts of it were judged for a platform, by what, and what stops the port."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import NOTHING, Message


class Standing(StrEnum):
    """Whether a source tree builds for a platform."""

    BUILDS = "builds"
    """Everything was judged, and nothing stops it."""
    STOPPED = "stopped"
    """Something was seen that stops it."""
    WRONG = "wrong"
    """Nothing was seen that stops it, and what it builds does something else there than on x86-64, for certain."""
    OPEN = "open"
    """Nothing was seen that stops it, and not everything was judged."""


OF_WHAT_IT_DOES = frozenset(
    {"XC-ADV-020", "XC-ADV-022", "XC-ADV-023", "XC-ADV-030", "XC-ADV-031", "XC-ADV-032", "XC-ADV-033", "XC-ADV-034",
     "XC-ADV-035", "XC-ADV-036", "XC-ADV-037", "XC-ADV-038"}
)  # fmt: skip
"""Codes of findings about what compiled code does: they stop no build (their level is above L1)."""


@dataclass(frozen=True)
class Part:
    """One part of a tree, as it was judged for one platform.

    Attributes:
        name: what it is, e.g. "C and C++" or "Go".
        judged: how many of its units (translation units, packages, crates, files) were judged.
        total: how many it has.
        by: what judged them, e.g. a compiler with its version.
        found: how the units were found, e.g. from compile_commands.json, or guessed.
        why: why the others were not judged -> how many.
        guessed: the tree says how it is built, and that was not known: its units, and how they are compiled, are a guess.
    """

    name: Message
    judged: int
    total: int
    by: Message = NOTHING
    found: Message = NOTHING
    why: tuple[tuple[Message, int], ...] = ()
    guessed: bool = False

    @property
    def whole(self) -> bool:
        """Whether all of it was judged as it is built, and there was something to judge."""
        return 0 < self.judged == self.total and not self.guessed


@dataclass(frozen=True)
class Advice:
    """What is said of one tree for one platform.

    Attributes:
        platform: its id.
        findings: those for this platform; ``object`` is ``FILE:LINE`` or ``FILE`` relative to the tree, with ``/``.
        minutes: how long mending the certain ones may take, each cause once; an estimate.
    """

    platform: str
    parts: tuple[Part, ...] = ()
    findings: tuple[Finding, ...] = ()
    minutes: int = 0

    @property
    def stoppers(self) -> tuple[Finding, ...]:
        """The findings that stop a build, or make what was built useless, for certain."""
        return tuple(f for f in self.certain if f.code not in OF_WHAT_IT_DOES)

    @property
    def certain(self) -> tuple[Finding, ...]:
        """Those that are certain, whether they stop it or make it wrong."""
        return tuple(f for f in self.findings if f.certainty is Certainty.CERTAIN)

    @property
    def standing(self) -> Standing:
        """Whether it builds: what was not judged is never said to build."""
        if self.stoppers:
            return Standing.STOPPED
        if self.certain:
            return Standing.WRONG
        undecided = any(f.certainty in (Certainty.UNDECIDED, Certainty.GUARDED) for f in self.findings)
        if undecided or not self.parts or not all(part.whole for part in self.parts):
            return Standing.OPEN
        return Standing.BUILDS


@dataclass
class Surveyed:
    """What one survey says: parts and findings by platform id."""

    parts: dict[str, list[Part]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def join(self, other: Surveyed) -> None:
        """Take over what another one says."""
        for platform, parts in other.parts.items():
            self.parts.setdefault(platform, []).extend(parts)
        self.findings += other.findings

    def add(self, platforms: Iterable[str], part: Part) -> None:
        """Note a part for each of some platforms."""
        for platform in platforms:
            self.parts.setdefault(platform, []).append(part)
