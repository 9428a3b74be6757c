"""The verdict rules, each against a planted fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.grade import Grade, RunResult, grade_run
from pytest_xinchuang.core.journal import read_journal
from pytest_xinchuang.core.needs import InOrder, all_needs
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.result import RequirementResult
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from pytest_xinchuang.messages import verbatim
from tests.journals import write_journal

PLATFORM = "kunpeng920-kylin_v10_sp3"
Events = list[dict[str, Any]]


def required(identifier: str, level: str, least: str = "static", **more: Any) -> dict[str, Any]:
    text = {"zh": identifier, "en": identifier}
    return {
        "id": identifier,
        "package": "mru",
        "level": level,
        "mandatory": True,
        "title": text,
        "mend": text,
        "min_fidelity": least,
        "may_not_apply": False,
        **more,
    }


REQUIRED = [required("T-1", "L1"), required("T-2", "L2"), required("T-3", "L3"), required("T-4", "L4", "native")]


def started(**more: Any) -> dict[str, Any]:
    return {
        "kind": "run_started",
        "t": "2026-05-01T00:00:00.000Z",
        "schema": "xc-journal/1",
        "run": {"id": "r", "host": {"name": "h"}, "argv": ["pytest"]},
        "suite": {"name": "s", "version": "1", "digest": "d"},
        "subject": {"name": "product", "version": "1", "digest": "d"},
        "profile": {"id": "finance", "required_level": "L3"},
        "packages": ["mru"],
        "platforms": [{"id": PLATFORM, "uname": "aarch64", "facts": "shipped"}],
        "required": REQUIRED,
        "waivers": [],
        **more,
    }


SANDBOX = {
    "kind": "sandbox",
    "platform": PLATFORM,
    "fidelity": "emulated-user",
    "stand_in": True,
    "differs": ["glibc 2.31 instead of 2.28"],
    "observed": {"uname_m": "aarch64"},
}
EVIDENCE = {"kind": "evidence", "id": "ev-1", "data": {"kind": "run"}}
FINISHED = {"kind": "run_finished", "t": "2026-05-01T00:01:00.000Z", "exit_status": 0}


def decided(identifier: str, verdict: str = "pass", **more: Any) -> dict[str, Any]:
    return {
        "kind": "decision",
        "platform": PLATFORM,
        "requirement": identifier,
        "verdict": verdict,
        "cause": "none" if verdict == "pass" else "subject",
        "reason": "" if verdict == "pass" else "because",
        "fidelity": "emulated-user",
        "evidence": ["ev-1"],
        "check": f"check of {identifier}",
        **more,
    }


def all_pass() -> Events:
    return [
        started(),
        SANDBOX,
        EVIDENCE,
        decided("T-1"),
        decided("T-2"),
        decided("T-3"),
        decided("T-4", fidelity="native"),
        FINISHED,
    ]


@pytest.fixture
def grade_of(tmp_path: Path) -> Callable[[Events], RunResult]:
    def grade(events: Events, odd: str = "") -> RunResult:
        path = tmp_path / "journal.ndjson"
        write_journal(path, events, odd)
        return grade_run(read_journal(path))

    return grade


Grader = Callable[..., RunResult]


def only(result: RunResult) -> Grade:
    assert len(result.grades) == 1
    return result.grades[0]


def test_all_passed_is_the_highest_level(grade_of: Grader) -> None:
    grade = only(grade_of(all_pass()))
    assert (grade.level, grade.blocking, grade.capped_by) == ("L4", (), "")


@pytest.mark.parametrize(("missing", "level"), [("T-1", "L0"), ("T-2", "L1"), ("T-3", "L2"), ("T-4", "L3")])
def test_rule_1_an_id_that_nobody_decided_blocks_its_level(grade_of: Grader, missing: str, level: str) -> None:
    result = grade_of([e for e in all_pass() if e.get("requirement") != missing])
    grade = only(result)
    assert (grade.level, grade.blocking) == (level, (missing,))
    assert next(r for r in result.requirements if r.id == missing).verdict == "not_tested"


@pytest.mark.parametrize("verdict", ["passed", "PASS", "ok", "", None, True, 1, "skip", "waived"])
def test_rule_2_an_unknown_verdict_is_no_pass(grade_of: Grader, verdict: Any) -> None:
    events = all_pass()
    events[3] = {**decided("T-1", "fail"), "verdict": verdict}
    result = grade_of(events)
    assert only(result).level == "L0"
    assert result.requirements[0].verdict == "inconclusive"


@pytest.mark.parametrize(("evidence", "level"), [([], "L0"), (["ev-unknown"], None)])
def test_rule_2_a_pass_without_evidence_is_no_pass(grade_of: Grader, evidence: list[str], level: str | None) -> None:
    events = all_pass()
    events[3] = decided("T-1", evidence=evidence)
    assert only(grade_of(events)).level == level


def test_rule_2_inconclusive_is_neither_pass_nor_fail(grade_of: Grader) -> None:
    events = all_pass()
    events[5] = decided("T-3", "inconclusive", cause="host")
    grade = only(grade_of(events))
    assert grade.level == "L2"
    assert "inconclusive (host)" in grade.capped_by


@pytest.mark.parametrize(
    ("verdict", "cause", "mend"),
    [
        ("fail", "subject", "do as it asks"),
        ("inconclusive", "fidelity", "do as it asks"),
        ("inconclusive", "host", ""),
        ("inconclusive", "missing-fact", "do as it asks"),
    ],
)
def test_a_fault_of_the_host_is_not_mended_in_the_subject(
    verdict: str, cause: str, mend: str, grade_of: Grader
) -> None:
    own = {"en": "do as it asks", "zh": "照做"}
    first = decided("T-1", verdict, cause=cause, mend="")
    events = [started(required=[{**item, "mend": own} for item in REQUIRED]), SANDBOX, EVIDENCE, first, FINISHED]
    result = result_of(grade_of(events), "T-1")
    assert (result.verdict, result.mend) == (Verdict(verdict), mend)


def test_rule_3_a_level_without_a_decided_requirement_is_not_granted(grade_of: Grader) -> None:
    events = all_pass()
    events[0] = started(required=[REQUIRED[0], REQUIRED[2]])
    grade = only(grade_of(events))
    assert grade.level == "L1"
    assert "no requirement of this level" in grade.capped_by


def test_rule_3_nothing_required_grants_nothing(grade_of: Grader) -> None:
    assert only(grade_of([started(required=[]), FINISHED])).level == "L0"


def test_rule_3_what_does_not_apply_everywhere_grants_nothing(grade_of: Grader) -> None:
    events = all_pass()
    events[0] = started(required=[required("T-1", "L1", may_not_apply=True)])
    events[3] = decided("T-1", "not_applicable")
    assert only(grade_of(events)).level == "L0"


def test_only_what_may_not_apply_can_be_said_not_to(grade_of: Grader) -> None:
    events = all_pass()
    events[4] = decided("T-2", "not_applicable")
    assert only(grade_of(events)).level == "L1"


def test_rule_4_evidence_below_the_least_fidelity_caps_the_grade(grade_of: Grader) -> None:
    events = all_pass()
    events[6] = decided("T-4", fidelity="emulated-user")
    result = grade_of(events)
    assert only(result).level == "L3"
    assert result.requirements[3].verdict == "inconclusive"
    assert "needs native" in result.requirements[3].reason


@pytest.mark.parametrize("fidelity", ["", "real", None])
def test_rule_4_an_unknown_fidelity_is_no_fidelity(grade_of: Grader, fidelity: Any) -> None:
    events = all_pass()
    events[3] = decided("T-1", fidelity=fidelity)
    assert only(grade_of(events)).level == "L0"


def test_rule_5_emulation_and_stand_in_are_on_the_grade(grade_of: Grader) -> None:
    grade = only(grade_of(all_pass()))
    assert (grade.fidelity, grade.rootfs, grade.differs) == (
        "emulated-user",
        "stand-in",
        ("glibc 2.31 instead of 2.28",),
    )


def test_rule_5_a_sandbox_that_is_another_machine_proves_nothing(grade_of: Grader) -> None:
    events = all_pass()
    events[1] = {**SANDBOX, "observed": {"uname_m": "x86_64"}}
    assert only(grade_of(events)).level == "L0"


def test_rule_5_a_sandbox_that_does_not_say_what_it_is_proves_nothing(grade_of: Grader) -> None:
    events = all_pass()
    events[1] = {**SANDBOX, "observed": {}}
    grade = only(grade_of(events))
    assert grade.level == "L0" and "does not say which machine it is" in str(grade.capped_by)


def test_rule_5_a_machine_that_contradicts_the_facts_proves_nothing(grade_of: Grader) -> None:
    """Verdicts rest on what is written of the platform: a machine that has more of something is none that it was written of."""
    events = all_pass()
    events[1] = {**SANDBOX, "contradicts": ["page_size is 65536, and 4096 on this machine"]}
    grade = only(grade_of(events))
    assert grade.level == "L0" and "page_size is 65536, and 4096 on this machine" in str(grade.capped_by)
    events[1] = {**SANDBOX, "contradicts": []}
    assert only(grade_of(events)).level != "L0"


def test_rule_5_what_ran_in_no_sandbox_proves_nothing(grade_of: Grader) -> None:
    assert only(grade_of([e for e in all_pass() if e["kind"] != "sandbox"])).level == "L0"


def test_rule_6_fail_then_pass_is_a_flaky_pass(grade_of: Grader) -> None:
    events = all_pass()
    events.insert(3, decided("T-1", "fail"))
    result = grade_of(events)
    assert only(result).level == "L4"
    assert (result.requirements[0].flaky, result.requirements[0].attempts) == (True, 2)


def test_rule_6_pass_then_fail_is_a_failure(grade_of: Grader) -> None:
    events = all_pass()
    events.insert(4, decided("T-1", "fail"))
    assert only(grade_of(events)).level == "L0"


def test_rule_6_a_pass_of_another_check_does_not_cover_a_failure(grade_of: Grader) -> None:
    events = all_pass()
    events.insert(3, decided("T-1", "fail", check="another check"))
    result = grade_of(events)
    assert (only(result).level, result.requirements[0].verdict) == ("L0", "fail")


WAIVER = {
    "requirement": "T-2",
    "subject": "product",
    "version": "1",
    "platform": PLATFORM,
    "owner": "Li Lei",
    "reason": "agreed with the lab",
    "clause": "7.3",
    "expires": "2026-12-31",
}


def test_rule_7_a_waiver_lies_over_the_result_and_is_shown(grade_of: Grader) -> None:
    events = all_pass()
    events[0] = started(waivers=[WAIVER])
    events[4] = decided("T-2", "fail")
    result = grade_of(events)
    grade = only(result)
    assert (grade.level, grade.with_waivers) == ("L4", ("T-2",))
    waived = result.requirements[1]
    assert (waived.verdict, waived.effective) == ("fail", "waived")


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"expires": "2026-04-30"}, "expired"),
        ({"subject": "other"}, "it is for other"),
        ({"version": "2"}, "it is for product 2"),
        ({"platform": "phytium_d2000-uos_20"}, "no such requirement on"),
        ({"requirement": "T-9"}, "no such requirement"),
    ],
)
def test_rule_7_an_expired_or_unmatched_waiver_has_no_effect(
    grade_of: Grader, change: dict[str, str], note: str
) -> None:
    events = all_pass()
    events[0] = started(waivers=[{**WAIVER, **change}])
    events[4] = decided("T-2", "fail")
    result = grade_of(events)
    assert only(result).level == "L1"
    assert note in result.waiver_notes[0]


def test_rule_7_what_was_not_tested_cannot_be_waived(grade_of: Grader) -> None:
    events = [e for e in all_pass() if e.get("requirement") != "T-2"]
    events[0] = started(waivers=[WAIVER])
    assert only(grade_of(events)).level == "L1"


def test_rule_9_required_level(grade_of: Grader) -> None:
    assert only(grade_of(all_pass())).reaches_required
    assert not only(grade_of([e for e in all_pass() if e.get("requirement") != "T-3"])).reaches_required


def test_a_run_that_did_not_finish_has_no_grade(grade_of: Grader) -> None:
    grade = only(grade_of(all_pass()[:-1]))
    assert grade.level is None
    assert "did not finish" in grade.capped_by
    assert not grade.reaches_required


@pytest.mark.parametrize("status", [2, 3])
def test_a_run_that_broke_has_no_grade(grade_of: Grader, status: int) -> None:
    events = all_pass()
    events[-1] = {**FINISHED, "exit_status": status}
    assert only(grade_of(events)).level is None


@pytest.mark.parametrize(
    ("odd", "problem"),
    [
        ("not json", "damaged"),
        ('{"no": "kind"}', "damaged"),
        ("[1]", "damaged"),
        ('{"kind": "decision"}', "incomplete"),
        ('{"kind": "party"}', "unknown kind"),
        (json.dumps(started()), "second run_started"),
    ],
)
def test_a_damaged_journal_has_no_grade(grade_of: Grader, odd: str, problem: str) -> None:
    grade = only(grade_of(all_pass(), odd=odd))
    assert grade.level is None
    assert problem in grade.capped_by


# -- needs: what needs a requirement that failed is not tested because of it


def chain(**more: Any) -> Events:
    """All pass; T-2 needs T-1, T-3 needs T-2, T-4 needs nothing."""
    items = [dict(item) for item in REQUIRED]
    items[1]["needs"], items[2]["needs"] = ["T-1"], ["T-2"]
    events = all_pass()
    events[0] = started(required=items, **more)
    return events


def result_of(result: RunResult, identifier: str) -> RequirementResult:
    return next(r for r in result.requirements if r.id == identifier)


def test_what_needs_a_failed_requirement_is_not_tested_because_of_it(grade_of: Grader) -> None:
    events = chain()
    events[3] = decided("T-1", "fail", mend="correct it")
    result = grade_of(events)
    for identifier in ("T-2", "T-3"):  # T-3 needs it through T-2
        blocked = result_of(result, identifier)
        assert (blocked.verdict, blocked.cause, blocked.flaky) == (Verdict.NOT_TESTED, Cause.BLOCKED, False)
        assert blocked.reason == "it needs T-1, which failed: because"
        assert blocked.mend == "correct it"
        assert (blocked.attempts, len(blocked.evidence), len(blocked.checks)) == (1, 1, 1)
    assert result_of(result, "T-4").verdict == "pass"
    assert result_of(result, "T-1").verdict == "fail"
    assert only(result).blocking == ("T-1",)


@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive", "not_applicable"])
def test_whatever_it_says_itself(grade_of: Grader, verdict: str) -> None:
    events = chain()
    events[0]["required"][1]["may_not_apply"] = True
    events[3] = decided("T-1", "fail")
    events[4] = decided("T-2", verdict)
    assert result_of(grade_of(events), "T-2").cause is Cause.BLOCKED


@pytest.mark.parametrize("verdict", ["inconclusive", "not_tested", "not_applicable", "pass"])
def test_a_need_that_has_not_failed_blocks_nothing(grade_of: Grader, verdict: str) -> None:
    events = chain()
    events[0]["required"][0]["may_not_apply"] = True
    events[3] = decided("T-1", verdict)
    result = grade_of(events)
    assert [result_of(result, i).verdict for i in ("T-2", "T-3")] == ["pass", "pass"]


def test_a_need_that_nobody_decided_or_that_is_not_asked_for_blocks_nothing(grade_of: Grader) -> None:
    without = [e for e in chain() if e.get("requirement") != "T-1"]
    assert result_of(grade_of(without), "T-2").verdict == "pass"
    events = chain()
    events[0]["required"] = events[0]["required"][1:]
    events[3] = decided("T-1", "fail")
    assert result_of(grade_of(events), "T-2").verdict == "pass"


def test_what_nobody_looked_at_was_blocked_by_nothing(grade_of: Grader) -> None:
    events = [e for e in chain(waivers=[WAIVER]) if e.get("requirement") != "T-2"]
    events[3] = decided("T-1", "fail")
    result = grade_of(events)
    left = result_of(result, "T-2")
    assert (left.verdict, left.cause, left.reason) == (Verdict.NOT_TESTED, Cause.NONE, "no check decided it")
    assert left.waived is None and "not_tested" in result.waiver_notes[0]


def test_a_need_on_another_platform_blocks_nothing_here(grade_of: Grader) -> None:
    other = {**started()["platforms"][0], "id": "other"}
    events = chain(platforms=[*started()["platforms"], other])
    events[3] = {**decided("T-1", "fail"), "platform": "other"}
    events.insert(3, decided("T-1"))
    assert result_of(grade_of(events), "T-2").verdict == "pass"


def test_fail_then_pass_is_a_need_that_was_met(grade_of: Grader) -> None:
    events = chain()
    events.insert(3, decided("T-1", "fail"))
    assert result_of(grade_of(events), "T-2").verdict == "pass"


def test_every_need_that_failed_is_named(grade_of: Grader) -> None:
    events = chain()
    events[0]["required"][2]["needs"] = ["T-1", "T-4"]
    events[3] = decided("T-1", "fail", reason="first")
    events[6] = decided("T-4", "fail", reason="second")
    assert result_of(grade_of(events), "T-3").reason == "it needs T-1, T-4, which failed: first"


def test_a_waived_need_still_blocks(grade_of: Grader) -> None:
    over_the_need = {**WAIVER, "requirement": "T-1"}
    events = chain(waivers=[over_the_need])
    events[3] = decided("T-1", "fail")
    result = grade_of(events)
    assert result_of(result, "T-1").effective is Verdict.WAIVED
    assert result_of(result, "T-2").cause is Cause.BLOCKED
    assert (only(result).level, only(result).blocking) == ("L1", ("T-2",))


def test_what_is_blocked_can_be_waived_by_its_own_name(grade_of: Grader) -> None:
    events = chain(waivers=[{**WAIVER, "requirement": name} for name in ("T-1", "T-2", "T-3")])
    events[3] = decided("T-1", "fail")
    result = grade_of(events)
    assert (only(result).level, only(result).with_waivers) == ("L4", ("T-1", "T-2", "T-3"))


def test_circles_and_long_chains_of_needs_end(grade_of: Grader) -> None:
    events = chain()
    events[0]["required"][0]["needs"] = ["T-3", "T-1"]
    events[3] = decided("T-1", "fail")
    result = grade_of(events)
    assert result_of(result, "T-1").verdict == "fail"  # it needs itself, in a circle: that hides no failure
    assert only(result).level == "L0"
    long = {f"X-{n}": (f"X-{n - 1}",) for n in range(1, 5000)} | {"X-0": ()}
    assert all_needs("X-4999", long) == tuple(f"X-{n}" for n in range(4999))


def test_needs_come_first_first() -> None:
    needs = {"D": ("B", "C"), "B": ("A",), "C": ("A", "gone"), "A": ()}
    assert all_needs("D", needs) == ("A", "B", "C")
    assert all_needs("E", needs) == ()


def test_an_engine_is_not_asked_about_what_is_blocked() -> None:
    catalogue = Catalogue.model_validate(
        {
            "schema": "xc-requirements/1",
            "version": "1",
            "requirements": [
                {
                    "id": f"{package.upper()}-00{n}",
                    "package": package,
                    "level": "L1",
                    "title": {"zh": "x", "en": "x"},
                    "clause": "x",
                    "min_fidelity": "static",
                    "mend": {"zh": "x", "en": "x"},
                    "needs": needs,
                }
                for package, n, needs in (
                    ("a", 1, []),
                    ("a", 2, ["A-001"]),
                    ("a", 3, ["A-002"]),
                    ("b", 1, ["A-001"]),
                )
            ],
        }
    )
    asked = []

    def engine(identifier: str) -> Decision:
        asked.append(identifier)
        return Decision(Verdict.FAIL, Cause.SUBJECT, verbatim("broken"), verbatim("mend it"))

    order = InOrder(catalogue, engine)
    third = order.decision("A-003")
    assert (third.verdict, third.cause) == (Verdict.NOT_TESTED, Cause.BLOCKED)
    assert (third.reason, third.mend) == ("it needs A-001, which failed: broken", "mend it")
    assert asked == ["A-001"]
    assert order.decision("A-001").verdict is Verdict.FAIL
    assert asked == ["A-001", "A-001"]  # its own check has it decided anew
    # Another package's engine knows nothing of A-001: grading keeps that need.
    assert InOrder(catalogue, engine).decision("B-001").verdict is Verdict.FAIL
    assert InOrder(catalogue, engine).decision("C-001").verdict is Verdict.FAIL


def test_native_of_a_backend_that_nothing_confirms_is_none(grade_of: Grader) -> None:
    events = all_pass()
    theirs = {**SANDBOX, "fidelity": "native", "emulated": False, "backend": "acme", "plugin": "/v/conftest.py"}
    events.insert(2, theirs)
    result = grade_of(events)
    assert (only(result).level, only(result).fidelity) == ("L3", "emulated-user")
    assert "needs native; the evidence is emulated-user" in result.requirements[3].reason
    events[2] = {**theirs, "confirmed": True}
    assert only(grade_of(events)).level == "L4"


@pytest.mark.parametrize(
    ("planned", "level"), [([], "L4"), (["T-1", "T-2", "T-3", "T-4"], "L4"), (["T-1", "T-3", "T-4"], "L1")]
)
def test_a_check_that_was_not_planned_decides_nothing_for_a_subject(
    grade_of: Grader, planned: list[str], level: str
) -> None:
    plan = [
        {"kind": "planned", "check": f"check of {i}", "platform": PLATFORM, "requirements": [i], "state": "selected"}
        for i in planned
    ]
    events = all_pass()
    events[1:1] = plan
    result = grade_of(events)
    assert only(result).level == level
    if level == "L1":
        assert "was not planned, and decided all the same" in result.requirements[1].reason
