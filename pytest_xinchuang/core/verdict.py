"""Verdicts, fidelities, levels: the small vocabulary in which everything is decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytest_xinchuang.messages import NOTHING, Message, _, verbatim


class Verdict(StrEnum):
    """What is known about one requirement. Only ``PASS`` is a pass."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    NOT_APPLICABLE = "not_applicable"
    NOT_TESTED = "not_tested"
    WAIVED = "waived"

    @classmethod
    def parse(cls, text: object) -> Verdict:
        """The verdict named ``text``; anything that is not a verdict is ``INCONCLUSIVE``, never a pass."""
        try:
            return cls(str(text))
        except ValueError:
            return cls.INCONCLUSIVE

    @property
    def word(self) -> Message:
        """The verdict for people."""
        return _VERDICTS[self]


_VERDICTS = {
    Verdict.PASS: _("pass"),
    Verdict.FAIL: _("fail"),
    Verdict.INCONCLUSIVE: _("inconclusive"),
    Verdict.NOT_APPLICABLE: _("not_applicable"),
    Verdict.NOT_TESTED: _("not_tested"),
    Verdict.WAIVED: _("waived"),
}


class Fidelity(StrEnum):
    """How real the evidence is, from reading a file to running on the real machine."""

    STATIC = "static"
    EMULATED_USER = "emulated-user"
    EMULATED_SYSTEM = "emulated-system"
    NATIVE = "native"

    @classmethod
    def parse(cls, text: object) -> Fidelity:
        """The fidelity named ``text``; anything else is the least, ``STATIC``."""
        try:
            return cls(str(text))
        except ValueError:
            return cls.STATIC

    @property
    def word(self) -> Message:
        """The fidelity for people."""
        return _FIDELITIES[self]

    @property
    def rank(self) -> int:
        return list(Fidelity).index(self)

    # All four: str brings its own, which would compare the words by their letters.
    def __lt__(self, other: object) -> bool:
        return self.rank < other.rank if isinstance(other, Fidelity) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self.rank <= other.rank if isinstance(other, Fidelity) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self.rank > other.rank if isinstance(other, Fidelity) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self.rank >= other.rank if isinstance(other, Fidelity) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.value)


_FIDELITIES = {
    Fidelity.STATIC: _("static"),
    Fidelity.EMULATED_USER: _("emulated-user"),
    Fidelity.EMULATED_SYSTEM: _("emulated-system"),
    Fidelity.NATIVE: _("native"),
}


class Level(StrEnum):
    """The levels of a grade: connects, keeps its contract, behaves, keeps its service level."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"


class Cause(StrEnum):
    """Why a verdict is not a pass: whose side it is on. Reports and exit status depend on this, not on texts."""

    NONE = "none"
    SUBJECT = "subject"
    """The subject was seen to break the requirement."""
    BLOCKED = "blocked"
    """A requirement that comes first has failed, so that this one could not be looked at."""
    FIDELITY = "fidelity"
    """What is at hand is not real enough to decide (an emulator where a board is asked for)."""
    MISSING_FACT = "missing-fact"
    """platforms.yaml does not know the value that this requirement compares with."""
    HOST = "host"
    """A fault on our side: a missing tool, a time-out of ours, a crash of the emulator, a lost worker."""

    @property
    def word(self) -> Message:
        """The cause for people."""
        return _CAUSES[self]

    @property
    def is_beyond_here(self) -> bool:
        """Whether trying again on this machine decides no more: it takes another machine, or a fact that is not known yet.

        A check that is open for such a cause leaves the exit status alone. Both are the same in this, as the way that a
        program is run decides which of them is met first: more real evidence never ends a run worse.
        """
        return self in (Cause.FIDELITY, Cause.MISSING_FACT)


_CAUSES = {
    Cause.NONE: _("none"),
    Cause.SUBJECT: _("subject"),
    Cause.BLOCKED: _("blocked"),
    Cause.FIDELITY: _("fidelity"),
    Cause.MISSING_FACT: _("missing-fact"),
    Cause.HOST: _("host"),
}

Said = Message
"""A text for users that is kept as a message. A plain string is taken as it is, in every language: once every engine hands in
messages, this is ``Message``."""


@dataclass(frozen=True)
class Decision:
    """What one check decided about one requirement on one platform, and on what evidence.

    Attributes:
        reason, mend: why it is no pass, and what puts it right; messages, whatever they were given as.
        evidence: observations, each a JSON-serialisable mapping with at least a ``kind``.
    """

    verdict: Verdict
    cause: Cause = Cause.NONE
    reason: Said = NOTHING
    mend: Said = NOTHING
    fidelity: Fidelity = Fidelity.STATIC
    evidence: tuple[dict[str, Any], ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", verbatim(self.reason))
        object.__setattr__(self, "mend", verbatim(self.mend))
        if self.verdict is Verdict.PASS and not self.evidence:
            raise ValueError("a pass without evidence is not a pass")
        if self.verdict is not Verdict.PASS and not self.reason:
            raise ValueError(f"the verdict {self.verdict} needs a reason")
