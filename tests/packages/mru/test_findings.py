from __future__ import annotations

from pytest_xinchuang.core.verdict import Cause, Fidelity, Verdict
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.mru.findings import UnitRecord, join_units

SEEN = {"kind": "run"}


def record(name: str = "u", *looked: str) -> UnitRecord:
    made = UnitRecord(name)
    made.saw(looked, Fidelity.EMULATED_USER, SEEN)
    return made


def test_all_looked_at_and_nothing_found_is_a_pass() -> None:
    decision = join_units("R", [record("a", "R"), record("b", "R")], verbatim(""))
    assert (decision.verdict, len(decision.evidence)) == (Verdict.PASS, 2)


def test_no_unit_is_not_tested() -> None:
    assert join_units("R", [], verbatim("")).verdict is Verdict.NOT_TESTED


def test_one_failure_fails() -> None:
    bad = record("b", "R")
    bad.fails("R", verbatim("broken"))
    assert join_units("R", [record("a", "R"), bad], verbatim("mend")).verdict is Verdict.FAIL


def test_a_unit_that_was_not_looked_at_is_inconclusive() -> None:
    assert join_units("R", [record("a", "R"), record("b")], verbatim("")).verdict is Verdict.INCONCLUSIVE


def test_a_unit_that_is_blocked_says_by_what() -> None:
    blocked = record("b")
    blocked.blocked_by = blocked.fails("FIRST", verbatim("wrong machine"))
    decision = join_units("R", [record("a", "R"), blocked], verbatim(""))
    assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.BLOCKED)
    assert "FIRST: wrong machine" in decision.reason


def test_what_a_fault_of_the_host_blocks_has_its_mend() -> None:
    blocked = record("b")
    blocked.blocked_by = blocked.undecided("FIRST", Cause.HOST, verbatim("no sandbox"), verbatim("start it otherwise"))
    decision = join_units("R", [blocked], verbatim("look at char signedness"))
    assert (decision.cause, decision.mend) == (Cause.HOST, "start it otherwise")


def test_a_fault_of_ours_is_told_before_what_only_needs_a_board() -> None:
    one, two = record("a", "R"), record("b", "R")
    one.undecided("R", Cause.FIDELITY, verbatim("needs native"))
    two.undecided("R", Cause.HOST, verbatim("no disk"))
    assert join_units("R", [one, two], verbatim("")).cause is Cause.HOST


def test_looked_at_without_an_observation_is_no_pass() -> None:
    empty = UnitRecord("a")
    empty.looked_at["R"] = Fidelity.NATIVE
    assert join_units("R", [empty], verbatim("")).verdict is Verdict.INCONCLUSIVE


def test_the_poorest_fidelity_counts() -> None:
    native = UnitRecord("b")
    native.saw(("R",), Fidelity.NATIVE, SEEN)
    assert join_units("R", [record("a", "R"), native], verbatim("")).fidelity is Fidelity.EMULATED_USER


def test_the_same_reason_is_told_once() -> None:
    units = [record(n, "R") for n in "abcde"]
    for unit in units:
        unit.fails("R", verbatim("the same"))
    assert join_units("R", units, verbatim("")).reason == "a, b and 3 more units: the same"
