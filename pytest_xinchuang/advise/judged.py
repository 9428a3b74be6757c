"""What is said of one module or workspace for one target, before it is told for each platform."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.core.advice import Part
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import Message


@dataclass(frozen=True)
class Found:
    """A finding before it is told for each platform.

    Attributes:
        params: what its text is filled in with.
    """

    code: str
    certainty: Certainty
    place: str
    params: Mapping[str, str]
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def on(self, platform: str) -> Finding:
        """The finding for a platform, by its id."""
        return Finding(self.code, self.certainty, self.place, platform, dict(self.params), dict(self.evidence))


@dataclass
class Judged:
    """What is said of one module or workspace for one target.

    Attributes:
        why: why parts of it were not judged -> how many.
    """

    total: int = 0
    judged: int = 0
    why: Counter[Message] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)


def part_of(name: Message, judged: Iterable[Judged], *, by: Message, found: Message) -> Part:
    """All of them as one part."""
    whole = Judged()
    for one in judged:
        whole.total += one.total
        whole.judged += one.judged
        whole.why += one.why
    return Part(name, whole.judged, whole.total, by=by, found=found, why=tuple(whole.why.items()))
