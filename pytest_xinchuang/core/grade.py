"""The verdict rules. A grade is never better than the evidence.

Everything here is computed from the journal alone, and from the list of required ids that stands at its start.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.core.journal import Journal
from pytest_xinchuang.core.result import RequirementResult
from pytest_xinchuang.core.verdict import Cause, Fidelity, Level, Verdict
from pytest_xinchuang.core.waivers import apply_waivers

_WORST_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NOT_TESTED, Verdict.PASS, Verdict.NOT_APPLICABLE)


@dataclass
class Grade:
    """The grade of one platform; ``level`` None: there is none, and ``capped_by`` says why."""

    platform: str
    profile: str
    packages: tuple[str, ...]
    level: str | None
    with_waivers: tuple[str, ...]
    capped_by: str
    fidelity: str
    rootfs: str
    facts: str
    differs: tuple[str, ...]
    blocking: tuple[str, ...]
    required_level: str | None

    @property
    def reaches_required(self) -> bool:
        if self.required_level is None:
            return True
        return self.level is not None and self.level >= self.required_level


@dataclass
class RunResult:
    """All that reports are made of."""

    journal: Journal
    grades: list[Grade] = field(default_factory=list)
    requirements: list[RequirementResult] = field(default_factory=list)
    waiver_notes: list[str] = field(default_factory=list)

    def of(self, platform: str) -> list[RequirementResult]:
        return [r for r in self.requirements if r.platform == platform]


def grade_run(journal: Journal) -> RunResult:
    """Verdicts and grades of a run. A run that did not finish, or whose journal is damaged, has no grade."""
    result = RunResult(journal)
    started = journal.started
    for platform in started["platforms"]:
        results = [_judge(journal, platform, item) for item in started["required"]]
        result.requirements += results
    result.waiver_notes = apply_waivers(started, result.requirements)
    for platform in started["platforms"]:
        result.grades.append(_grade(journal, platform, result.of(platform["id"])))
    return result


def _judge(journal: Journal, platform: dict[str, Any], item: dict[str, Any]) -> RequirementResult:
    """The verdict about one required id. Whatever nobody decided is not tested."""
    decisions = journal.decisions.get((platform["id"], item["id"]), [])
    result = RequirementResult(
        id=item["id"],
        package=item["package"],
        platform=platform["id"],
        level=Level(item["level"]),
        mandatory=bool(item["mandatory"]),
        title=item["title"],
        verdict=Verdict.NOT_TESTED,
        cause=Cause.NONE,
        reason="no check decided it",
        mend=item["mend"]["en"],
        attempts=len(decisions),
    )
    by_check: dict[str, list[dict[str, Any]]] = {}
    for decision in decisions:
        by_check.setdefault(str(decision.get("check", "")), []).append(decision)
    result.checks = tuple(sorted(by_check))
    offsets = {journal.evidence[e] for d in decisions for e in d.get("evidence", []) if e in journal.evidence}
    result.evidence = tuple(sorted(offsets))
    outcomes = []
    for attempts in by_check.values():
        judged = [_judge_decision(journal, platform, item, decision) for decision in attempts]
        verdict, cause, reason, mend = judged[-1]
        # Every attempt is kept: what was a failure before it was a pass is a flaky pass, and is shown as one.
        result.flaky |= verdict is Verdict.PASS and any(v is not Verdict.PASS for v, _, _, _ in judged[:-1])
        outcomes.append((verdict, cause, reason, mend))
    if outcomes:
        worst = min(outcomes, key=lambda o: _WORST_FIRST.index(o[0]))
        result.verdict, result.cause, result.reason = worst[0], worst[1], worst[2]
        result.mend = worst[3] or ("" if worst[0] is Verdict.PASS else result.mend)
        if result.verdict in (Verdict.PASS, Verdict.NOT_APPLICABLE):
            result.mend = ""
    return result


def _judge_decision(
    journal: Journal, platform: dict[str, Any], item: dict[str, Any], decision: dict[str, Any]
) -> tuple[Verdict, Cause, str, str]:
    """One decision against the rules: what is not an explicit pass with good evidence is not a pass."""
    verdict = Verdict.parse(decision.get("verdict"))
    cause = _cause(decision.get("cause"))
    reason, mend = str(decision.get("reason", "")), str(decision.get("mend", ""))
    if verdict is Verdict.WAIVED:
        return Verdict.INCONCLUSIVE, Cause.HOST, "a check cannot waive", mend
    if str(decision.get("verdict")) != verdict.value:
        return Verdict.INCONCLUSIVE, Cause.HOST, f"unknown verdict {decision.get('verdict')!r}", mend
    if verdict is Verdict.NOT_APPLICABLE and not item.get("may_not_apply"):
        return Verdict.INCONCLUSIVE, Cause.HOST, f"{item['id']} applies to every subject", mend
    if verdict is not Verdict.PASS:
        return verdict, cause, reason or "no reason was given", mend
    known = [e for e in decision.get("evidence", []) if e in journal.evidence]
    if not known:
        return Verdict.INCONCLUSIVE, Cause.HOST, "a pass without evidence in the journal", mend
    try:
        fidelity, least = Fidelity(decision.get("fidelity", "")), Fidelity(item["min_fidelity"])
    except ValueError:
        return Verdict.INCONCLUSIVE, Cause.HOST, f"unknown fidelity {decision.get('fidelity')!r}", mend
    if fidelity < least:
        return Verdict.INCONCLUSIVE, Cause.FIDELITY, f"needs {least}; the evidence is {fidelity}", mend
    if fidelity > Fidelity.STATIC and (wrong := _wrong_machine(journal, platform)):
        return Verdict.INCONCLUSIVE, Cause.HOST, wrong, mend
    return Verdict.PASS, Cause.NONE, "", ""


def _cause(text: object) -> Cause:
    try:
        return Cause(str(text))
    except ValueError:
        return Cause.HOST


def _wrong_machine(journal: Journal, platform: dict[str, Any]) -> str:
    """Why what ran was not the declared platform; a pass is believed only from a sandbox that said what it is."""
    sandboxes = journal.sandboxes.get(platform["id"], [])
    if not sandboxes:
        return "no sandbox of this platform is in the journal"
    for sandbox in sandboxes:
        observed = sandbox.get("observed", {}).get("uname_m")
        if observed != platform["uname"]:
            return f"the sandbox is {observed}, the platform {platform['uname']}"
    return ""


def _grade(journal: Journal, platform: dict[str, Any], results: list[RequirementResult]) -> Grade:
    started = journal.started
    sandboxes = journal.sandboxes.get(platform["id"], [])
    fidelities = [Fidelity.parse(s.get("fidelity")) for s in sandboxes]
    stand_in = any(s.get("stand_in", True) for s in sandboxes)
    grade = Grade(
        platform=platform["id"],
        profile=started["profile"]["id"],
        packages=tuple(started["packages"]),
        level=None,
        with_waivers=(),
        capped_by="",
        fidelity=str(min(fidelities, default=Fidelity.STATIC)),
        rootfs=("stand-in" if stand_in else "vendor") if sandboxes else "none",
        facts=str(platform.get("facts", "overridden")),
        differs=tuple(dict.fromkeys(d for s in sandboxes for d in s.get("differs", []))),
        blocking=(),
        required_level=started["profile"]["required_level"],
    )
    if journal.problems:
        grade.capped_by = "no grade: " + "; ".join(journal.problems)
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


def _capped_by(level: Level, in_the_way: list[RequirementResult]) -> str:
    if not in_the_way:
        return f"{level}: no requirement of this level was decided"
    first = min(in_the_way, key=lambda r: _WORST_FIRST.index(r.verdict))
    kind = first.verdict.value if first.verdict is not Verdict.INCONCLUSIVE else f"inconclusive ({first.cause})"
    return f"{level}: {first.id} {kind}: {first.reason}"
