"""What was planned and did not decide keeps its requirement open."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.test_grade import EVIDENCE, FINISHED, PLATFORM, SANDBOX, Events, Grader, decided, grade_of, started

__all__ = ["grade_of"]


def planned(check: str, *requirements: str, state: str = "selected", **more: Any) -> dict[str, Any]:
    return {
        "kind": "planned",
        "check": check,
        "node": check,
        "platform": PLATFORM,
        "requirements": list(requirements),
        "state": state,
        "reason": "" if state == "selected" else "because",
        **more,
    }


def verdict(grade_of: Grader, plan: Events, *decisions: dict[str, Any]) -> tuple[str, str]:
    """Verdict and reason of T-1 on the only platform."""
    run = grade_of([started(), *plan, SANDBOX, EVIDENCE, *decisions, FINISHED])
    result = next(r for r in run.requirements if r.id == "T-1")
    return result.verdict.value, result.reason.render("en")


GOOD = planned("t.py::good", "T-1")
PASSED = decided("T-1", check="t.py::good")


def test_what_was_planned_and_passed_passes(grade_of: Grader) -> None:
    assert verdict(grade_of, [GOOD], PASSED)[0] == "pass"


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (planned("t.py::other", "T-1"), "was planned and decided nothing"),
        (planned("t.py::other", "T-1", state="deselected"), "was planned and deselected: because"),
        (planned("t.py", "T-1", state="not_collected", platform=""), "was not collected: because"),
        (planned("t.py::other", "T-1", state="other_platforms", alternative=True), "is for other platforms alone"),
    ],
)
def test_a_planned_check_without_a_decision_is_missed(grade_of: Grader, other: dict[str, Any], told: str) -> None:
    found, reason = verdict(grade_of, [GOOD, other], PASSED)
    assert found == "not_tested" and told in reason


def test_a_failure_stays_a_failure(grade_of: Grader) -> None:
    other = planned("t.py::other", "T-1", state="deselected")
    assert verdict(grade_of, [GOOD, other], decided("T-1", "fail", check="t.py::good"))[0] == "fail"


def test_checks_that_name_their_platforms_stand_in_for_each_other(grade_of: Grader) -> None:
    here = planned("t.py::good", "T-1", alternative=True)
    there = planned("t.py::other", "T-1", state="other_platforms", alternative=True)
    assert verdict(grade_of, [here, there], PASSED)[0] == "pass"


def test_what_another_requirement_or_platform_misses_is_not_missed(grade_of: Grader) -> None:
    elsewhere = planned("t.py::other", "T-1", state="deselected", platform="another")
    other = planned("t.py::other", "T-2", state="deselected")
    assert verdict(grade_of, [GOOD, elsewhere, other], PASSED)[0] == "pass"


def test_a_check_that_runs_once_decides_for_each_platform(grade_of: Grader) -> None:
    assert verdict(grade_of, [planned("t.py::good", "T-1", platform="")], PASSED)[0] == "pass"
