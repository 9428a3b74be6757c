"""The verdict rules. A grade is never better than the evidence.

Everything here is computed from the journal alone, and from the list of required ids that stands at its start.

A requirement may need others (``needs`` of the catalogue, a vendor's own too). When one of these, directly or through others,
has the verdict ``fail`` on the same platform, the requirement is ``not_tested``, its cause is ``blocked``, and its reason names
the need. The rule in full:

- Only a failure blocks. A need that is inconclusive, not tested, does not apply, or is not on the run's list says nothing
  against the subject: the requirement keeps what its own evidence says.
- It holds whatever the requirement's own checks say. A pass that was got on top of a failure may mean anything, and a failure
  is most likely the same one seen again. What the checks decided stays in the journal, with evidence and attempts.
- A requirement that nobody looked at stays what it is, not tested: nothing but a check could have been blocked.
- Waivers come later and change no result. One over the need lets nothing through that needs it: whoever answers for that as
  well waives it by its own name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from pytest_xinchuang.core.events import Decided, GradedPlatform, Planned, Required, Unreadable
from pytest_xinchuang.core.journal import Journal
from pytest_xinchuang.core.needs import all_needs, blocked_reason
from pytest_xinchuang.core.order import key_of
from pytest_xinchuang.core.plan import missed, plan_of, why_missed
from pytest_xinchuang.core.result import RequirementResult
from pytest_xinchuang.core.trust import believed, ceiling, more_than_seen
from pytest_xinchuang.core.verdict import Cause, Fidelity, Level, Verdict
from pytest_xinchuang.core.waivers import apply_waivers
from pytest_xinchuang.messages import NOTHING, Message, _, joined

WORST_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_TESTED, Verdict.PASS, Verdict.NOT_APPLICABLE)


@dataclass
class Grade:
    """The grade of one platform; ``level`` None: there is none, and ``capped_by`` says why."""

    platform: str
    profile: str
    packages: tuple[str, ...]
    level: str | None
    with_waivers: tuple[str, ...]
    capped_by: Message
    fidelity: str
    rootfs: str
    facts: str
    differs: tuple[Message, ...]
    passed_over: tuple[Message, ...]
    blocking: tuple[str, ...]
    required_level: str | None

    @property
    def reaches_required(self) -> bool:
        if self.required_level is None:
            return True
        return self.level is not None and self.level >= self.required_level

    def does_not_demand(self, result: RequirementResult) -> bool:
        """Whether a requirement is more than the profile asks for. A profile without a required level only reports."""
        if self.required_level is None:
            return False
        return not result.mandatory or result.level.value > self.required_level


class ReportPart(Protocol):
    """What a conformance package adds to each report of a graded run: a pure function of what the journal says."""

    def as_json(self, result: RunResult, grade: Grade) -> Mapping[str, Any] | None:
        """Goes into ``report.json``, under ``details`` and the package's name in the grade; None: nothing."""

    def lines(self, result: RunResult, grade: Grade) -> Sequence[Message]:
        """Lines below the platform's grade in the terminal."""

    def properties(self, result: RunResult, grade: Grade) -> Mapping[str, str]:
        """Properties of the package's suite in ``junit.xml``."""


@dataclass
class RunResult:
    """All that reports are made of.

    Attributes:
        parts: package -> what it adds to reports; set by whoever writes them.
    """

    journal: Journal
    grades: list[Grade] = field(default_factory=list)
    requirements: list[RequirementResult] = field(default_factory=list)
    waiver_notes: list[Message] = field(default_factory=list)
    parts: Mapping[str, ReportPart] = field(default_factory=dict)

    def of(self, platform: str) -> list[RequirementResult]:
        return [r for r in self.requirements if r.platform == platform]


class _Judged(NamedTuple):
    """One decision after the rules."""

    verdict: Verdict
    cause: Cause = Cause.NONE
    reason: Message = NOTHING
    mend: Message = NOTHING


def grade_run(journal: Journal, parts: Mapping[str, ReportPart] | None = None) -> RunResult:
    """Verdicts and grades of a run. A run that did not finish, or whose journal is damaged, has no grade.

    Args:
        parts: what packages add to reports; no verdict asks them.
    """
    result = RunResult(journal, parts=parts or {})
    started = journal.started
    for platform in started.platforms:
        planned = plan_of(journal.planned, platform.id)
        results = [_judge(journal, platform, item, planned.get(item.id, ())) for item in started.required]
        _block(started.required, results)
        result.requirements += results
    result.waiver_notes = apply_waivers(started, result.requirements, journal.day)
    for platform in started.platforms:
        result.grades.append(_grade(journal, platform, result.of(platform.id)))
    return result


def _judge(journal: Journal, platform: GradedPlatform, item: Required, planned: Sequence[Planned]) -> RequirementResult:
    """The verdict about one required id. Whatever nobody decided is not tested, and so is what one planned check left open."""
    decisions = journal.decisions.get((platform.id, item.id), [])
    result = RequirementResult(
        id=item.id,
        package=item.package,
        platform=platform.id,
        level=item.level,
        mandatory=item.mandatory,
        title=item.title.model_dump(),
        verdict=Verdict.NOT_TESTED,
        cause=Cause.NONE,
        reason=_("no check decided it"),
        mend=item.mend.message(),
        attempts=len(decisions),
    )
    by_check: dict[str, list[Decided]] = {}
    for decision in decisions:
        by_check.setdefault(decision.check, []).append(decision)
    result.checks = tuple(sorted(by_check))
    offsets = {journal.evidence[e] for d in decisions for e in d.evidence if e in journal.evidence}
    result.evidence = tuple(sorted(offsets))
    outcomes: list[_Judged] = []
    expected = {check.check for check in planned}
    for name, attempts in by_check.items():
        judged = [_judge_decision(journal, platform, item, decision) for decision in attempts]
        if journal.planned and name not in expected:
            judged = [_unplanned(name, one) for one in judged]
        # Every attempt is kept: what was a failure before it was a pass is a flaky pass, and is shown as one.
        result.flaky |= judged[-1].verdict is Verdict.PASS and any(j.verdict is not Verdict.PASS for j in judged[:-1])
        outcomes.append(judged[-1])
    outcomes += [_Judged(Verdict.NOT_TESTED, reason=why_missed(check)) for check in missed(planned, by_check)]
    if outcomes:
        worst = min(outcomes, key=lambda judged: WORST_FIRST.index(judged.verdict))
        result.verdict, result.cause, result.reason = worst.verdict, worst.cause, worst.reason
        # What a requirement has for a mend is for a subject that fails: a fault of the host is none of the subject's.
        own = NOTHING if worst.verdict is Verdict.INCONCLUSIVE and worst.cause is Cause.HOST else result.mend
        result.mend, result.advised = worst.mend or own, bool(worst.mend)
        if result.verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE):
            result.mend = NOTHING
    return result


def _unplanned(check: str, judged: _Judged) -> _Judged:
    """What a check that was not planned says for a subject counts for nothing: no test of the run is it."""
    if judged.verdict not in (Verdict.PASS, Verdict.NOT_APPLICABLE):
        return judged
    return _Judged(
        Verdict.INCONCLUSIVE, Cause.HOST, _("{check} was not planned, and decided all the same", check=check)
    )


def _judge_decision(journal: Journal, platform: GradedPlatform, item: Required, decision: Decided) -> _Judged:
    """One decision against the rules: what is not an explicit pass with good evidence is not a pass."""
    mend = decision.said("mend")

    def open_(reason: Message, cause: Cause = Cause.HOST) -> _Judged:
        return _Judged(Verdict.INCONCLUSIVE, cause, reason, mend)

    if isinstance(decision.verdict, Unreadable):
        return open_(_("unknown verdict {verdict}", verdict=decision.verdict.text))
    if decision.verdict is Verdict.WAIVED:
        return open_(_("a check cannot waive"))
    if decision.verdict is Verdict.NOT_APPLICABLE and not item.may_not_apply:
        return open_(_("{id} applies to every subject", id=item.id))
    if decision.verdict is not Verdict.PASS:
        return _Judged(decision.verdict, decision.cause, decision.said("reason") or _("no reason was given"), mend)
    if not any(e in journal.evidence for e in decision.evidence):
        return open_(_("a pass without evidence in the journal"))
    if isinstance(decision.fidelity, Unreadable):
        return open_(_("unknown fidelity {fidelity}", fidelity=decision.fidelity.text))
    if decision.fidelity < item.min_fidelity:
        return open_(needs_fidelity(item.min_fidelity, decision.fidelity), Cause.FIDELITY)
    if decision.fidelity > Fidelity.STATIC and (wrong := _wrong_machine(journal, platform)):
        return open_(wrong)
    if decision.fidelity > Fidelity.STATIC and (against := _contradictions(journal, platform.id)):
        told = _("the machine is not what is written of {platform}: {what}", platform=platform.id, what=joined(against))
        right = _("take a machine that is as it is written; if this one is right, docs/probe.md says what to do")
        return _Judged(Verdict.INCONCLUSIVE, Cause.HOST, told, right)
    best = ceiling(journal, platform.id)
    if best is not None and decision.fidelity > max(best, Fidelity.STATIC):
        if best < item.min_fidelity:
            return open_(needs_fidelity(item.min_fidelity, best), Cause.FIDELITY)
        return open_(more_than_seen(decision.fidelity, best))
    if why := journal.doubts.get(key_of(decision)):
        return open_(why)
    return _Judged(Verdict.PASS)


def needs_fidelity(least: Fidelity, seen: Fidelity) -> Message:
    """Why evidence does not do: it is of another kind than the requirement asks for."""
    return _("needs {least}; the evidence is {fidelity}", least=least.word, fidelity=seen.word)


def _contradictions(journal: Journal, platform: str) -> tuple[Message, ...]:
    """What real machines say against the facts of a platform, on which the verdicts rest."""
    sandboxes = journal.sandboxes.get(platform, [])
    return tuple(dict.fromkeys(each for s in sandboxes for each in s.said_all("contradicts")))


def _wrong_machine(journal: Journal, platform: GradedPlatform) -> Message | None:
    """Why what ran was not the declared platform; a pass is believed only from a sandbox that said what it is."""
    sandboxes = journal.sandboxes.get(platform.id, [])
    if not sandboxes:
        return _("no sandbox of this platform is in the journal")
    for sandbox in sandboxes:
        observed = sandbox.observed.get("uname_m")
        if observed is None:
            return _("the sandbox does not say which machine it is (uname_m)")
        if observed != platform.uname:
            return _(
                "the sandbox is {observed}, the platform {declared}", observed=str(observed), declared=platform.uname
            )
    return None


def _block(required: Iterable[Required], results: list[RequirementResult]) -> None:
    """Keep ``needs`` among the results of one platform; see the head of this file."""
    needs = {item.id: item.needs for item in required}
    failed = {r.id: r for r in results if r.verdict is Verdict.FAIL}
    for result in results:
        in_the_way = [need for need in all_needs(result.id, needs) if need in failed]
        if not in_the_way or result.verdict is Verdict.NOT_TESTED:
            continue
        first = failed[in_the_way[0]]
        reason = blocked_reason(in_the_way, first.reason)
        result.verdict, result.cause, result.flaky = Verdict.NOT_TESTED, Cause.BLOCKED, False
        result.reason, result.mend, result.advised = reason, first.mend, False


def _grade(journal: Journal, platform: GradedPlatform, results: list[RequirementResult]) -> Grade:
    started = journal.started
    sandboxes = journal.sandboxes.get(platform.id, [])
    fidelities = [believed(sandbox) for sandbox in sandboxes]
    stand_in = any(s.stand_in for s in sandboxes)
    grade = Grade(
        platform=platform.id,
        profile=started.profile.id,
        packages=started.packages,
        level=None,
        with_waivers=(),
        capped_by=NOTHING,
        fidelity=str(min(fidelities, default=Fidelity.STATIC)),
        rootfs=("stand-in" if stand_in else "vendor") if sandboxes else "none",
        facts=platform.facts,
        differs=tuple(dict.fromkeys(d for s in sandboxes for d in s.said_all("differs"))),
        passed_over=tuple(dict.fromkeys(w for s in sandboxes for w in s.said_all("passed_over"))),
        blocking=(),
        required_level=started.profile.required_level,
    )
    if journal.problems:
        grade.capped_by = _("no grade: {problems}", problems=joined(journal.problems))
        grade.blocking = tuple(r.id for r in results if r.mandatory and not r.clears)
        return grade
    granted = "L0"
    for level in Level:
        of_level = [r for r in results if r.level is level and r.mandatory]
        in_the_way = [r for r in of_level if not r.clears]
        decided = [r for r in of_level if r.effective in (Verdict.PASS, Verdict.WAIVED)]
        if in_the_way or not decided:
            grade.blocking = tuple(r.id for r in in_the_way)
            grade.capped_by = _capped_by(level, in_the_way)
            break
        granted = level.value
    grade.level = granted
    reached = [r for r in results if r.level.value <= granted]
    grade.with_waivers = tuple(r.id for r in reached if r.waived is not None)
    return grade


def _capped_by(level: Level, in_the_way: list[RequirementResult]) -> Message:
    if not in_the_way:
        return _("{level}: no requirement of this level was decided", level=level.value)
    first = min(in_the_way, key=lambda r: WORST_FIRST.index(r.verdict))
    kind = first.verdict.word
    if first.verdict is Verdict.INCONCLUSIVE:
        kind = _("{verdict} ({cause})", verdict=kind, cause=first.cause.word)
    return _(
        "{level}: {requirement} {verdict}: {reason}",
        level=level.value,
        requirement=first.id,
        verdict=kind,
        reason=first.reason,
    )
