"""What one check found: the middle between an observation and a decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict

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
    wrong: list[str] = field(default_factory=list)
    undecided: str = ""
    cause: Cause = Cause.HOST
    lacking: str = ""
    mend: str = ""

    def decision(self, fidelity: Fidelity, mend: str) -> Decision:
        """A failure goes before all else, and a pass needs evidence."""
        evidence = tuple(self.evidence)
        if self.wrong:
            more = f"; and {len(self.wrong) - 3} more" if len(self.wrong) > 3 else ""
            reason = "; ".join(self.wrong[:3]) + more
            return Decision(Verdict.FAIL, Cause.SUBJECT, reason, self.mend or mend, fidelity, evidence)
        if self.undecided:
            return Decision(Verdict.INCONCLUSIVE, self.cause, self.undecided, self.mend or mend, fidelity, evidence)
        if self.lacking:
            return Decision(Verdict.NOT_APPLICABLE, reason=self.lacking, evidence=evidence)
        if not evidence:
            return Decision(Verdict.INCONCLUSIVE, Cause.HOST, "nothing was observed", fidelity=fidelity)
        return Decision(Verdict.PASS, fidelity=fidelity, evidence=evidence)
