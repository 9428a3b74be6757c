"""What one check found: the middle between an observation and a decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Said, Verdict
from pytest_xinchuang.messages import NOTHING, _, joined

_TOLD = 3
"""So many faults are told in a reason; the evidence has them all."""

Observation = dict[str, Any]


@dataclass
class Found:
    """What a check saw.

    Attributes:
        wrong: what the subject was seen to do wrong.
        undecided: why nothing could be said.
        cause: whose side that is on.
        lacking: what the harness does not offer, so that the check does not apply.
    """

    evidence: list[Observation] = field(default_factory=list)
    wrong: list[Said] = field(default_factory=list)
    undecided: Said = NOTHING
    cause: Cause = Cause.HOST
    lacking: Said = NOTHING
    mend: Said = NOTHING

    def decision(self, fidelity: Fidelity, mend: Said) -> Decision:
        """A failure goes before all else, and a pass needs evidence.

        Args:
            mend: the requirement's, which is for what the subject does wrong.
        """
        evidence = tuple(self.evidence)
        if self.wrong:
            more = len(self.wrong) - _TOLD
            reason = joined([*self.wrong[:_TOLD], *([_("and {n} more", n=more)] if more > 0 else [])])
            return Decision(Verdict.FAIL, Cause.SUBJECT, reason, self.mend or mend, fidelity, evidence)
        if self.undecided:
            own = NOTHING if self.cause is Cause.HOST else mend
            return Decision(Verdict.INCONCLUSIVE, self.cause, self.undecided, self.mend or own, fidelity, evidence)
        if self.lacking:
            return Decision(Verdict.NOT_APPLICABLE, reason=self.lacking, evidence=evidence)
        if not evidence:
            return Decision(Verdict.INCONCLUSIVE, Cause.HOST, _("nothing was observed"), fidelity=fidelity)
        return Decision(Verdict.PASS, fidelity=fidelity, evidence=evidence)
