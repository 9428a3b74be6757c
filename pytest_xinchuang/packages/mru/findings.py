"""Findings about one unit, and how the findings of all units decide one requirement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim


@dataclass(frozen=True)
class UnitFinding:
    """Something about one unit that keeps one requirement from being a pass.

    Attributes:
        unit: the unit as reports name it.
    """

    requirement: str
    unit: Message
    verdict: Verdict
    cause: Cause
    reason: Message
    mend: Message = NOTHING


@dataclass
class UnitRecord:
    """What is known about one unit: the requirements that were checked, the findings and the observations.

    Attributes:
        title: what reports call it; its name when this is empty.
        looked_at: requirement -> fidelity of what was checked. A requirement that is missing here was not decided.
        blocked_by: the finding that kept the remaining requirements from being checked.
    """

    name: str
    title: Message = NOTHING
    looked_at: dict[str, Fidelity] = field(default_factory=dict)
    findings: list[UnitFinding] = field(default_factory=list)
    evidence: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    blocked_by: UnitFinding | None = None

    @property
    def shown(self) -> Message:
        """The unit as reports name it."""
        return self.title or verbatim(self.name)

    def saw(self, requirements: Iterable[str], fidelity: Fidelity, *observations: dict[str, Any]) -> None:
        """Note that ``requirements`` were checked, and what was observed."""
        for requirement in requirements:
            self.looked_at[requirement] = fidelity
            self.evidence.setdefault(requirement, []).extend(observations)

    def fails(self, requirement: str, reason: Message, mend: Message = NOTHING) -> UnitFinding:
        return self._add(UnitFinding(requirement, self.shown, Verdict.FAIL, Cause.SUBJECT, reason, mend))

    def undecided(self, requirement: str, cause: Cause, reason: Message, mend: Message = NOTHING) -> UnitFinding:
        return self._add(UnitFinding(requirement, self.shown, Verdict.INCONCLUSIVE, cause, reason, mend))

    def _add(self, finding: UnitFinding) -> UnitFinding:
        self.findings.append(finding)
        return finding

    def of(self, requirement: str) -> list[UnitFinding]:
        return [f for f in self.findings if f.requirement == requirement]


_WORST_FIRST = (Cause.HOST, Cause.MISSING_FACT, Cause.FIDELITY, Cause.BLOCKED)


def join_units(requirement: str, units: list[UnitRecord], default_mend: Message) -> Decision:
    """Decide ``requirement`` from the records of all units that have to show it.

    One failure fails it. It passes only when every unit was checked and nothing was found.
    """
    if not units:
        return Decision(Verdict.NOT_TESTED, reason=_("no unit of the subject covers this"), mend=default_mend)
    evidence = tuple(item for unit in units for item in unit.evidence.get(requirement, ()))
    findings = [f for unit in units for f in unit.of(requirement)]
    for unit in units:
        if requirement in unit.looked_at or unit.of(requirement):
            continue
        if unit.blocked_by is not None:
            first = unit.blocked_by
            reason = _("{requirement}: {reason}", requirement=first.requirement, reason=first.reason)
            failed = first.verdict is Verdict.FAIL
            cause, mend = (Cause.BLOCKED, NOTHING) if failed else (first.cause, first.mend)
        else:
            reason, cause, mend = _("it was not checked"), Cause.HOST, NOTHING
        findings.append(UnitFinding(requirement, unit.shown, Verdict.INCONCLUSIVE, cause, reason, mend))
    fidelity = min((unit.looked_at.get(requirement, Fidelity.STATIC) for unit in units), default=Fidelity.STATIC)
    failures = [f for f in findings if f.verdict is Verdict.FAIL]
    if failures:
        return Decision(
            Verdict.FAIL, Cause.SUBJECT, _text(failures), failures[0].mend or default_mend, fidelity, evidence
        )
    if findings:
        worst = min((f.cause for f in findings), key=_WORST_FIRST.index)
        told = [f for f in findings if f.cause is worst]
        return Decision(Verdict.INCONCLUSIVE, worst, _text(told), told[0].mend, fidelity, evidence)
    if not evidence:
        return Decision(Verdict.INCONCLUSIVE, Cause.HOST, _("nothing was observed"), fidelity=fidelity)
    return Decision(Verdict.PASS, fidelity=fidelity, evidence=evidence)


def _text(findings: list[UnitFinding]) -> Message:
    """What was found; a reason that several units share is told once."""
    units: dict[Message, list[Message]] = {}
    for finding in findings:
        units.setdefault(finding.reason, []).append(finding.unit)
    told = [_("{units}: {reason}", units=_names(names), reason=reason) for reason, names in units.items()]
    more = [_("and {n} more", n=len(told) - 3)] if len(told) > 3 else []
    return joined([*told[:3], *more])


def _names(names: list[Message]) -> Message:
    different = list(dict.fromkeys(names))
    if len(different) <= 3:
        return joined(different, _(", "))
    return _("{names} and {n} more units", names=joined(different[:2], _(", ")), n=len(different) - 2)
