"""What clients say about changes, and what their silence says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.sdk_ast import report
from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, Judged
from pytest_xinchuang.packages.sdk_ast.judge import court
from pytest_xinchuang.packages.sdk_ast.judge.client import Client, Outcome, Trial
from pytest_xinchuang.packages.sdk_ast.judge.court import hear, hindrance, judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rule, Rules
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache

HOLDS, FAILS, UNTRIED = Outcome.HOLDS, Outcome.FAILS, Outcome.UNTRIED
POLICY = ApiPolicy()


@pytest.fixture(scope="module")
def rules() -> Rules:
    found = Rules()
    rule = found.by_id["C-FUNC-REMOVED"]
    # One that clients may refute, whatever the shipped one says.
    found.by_id["C-FUNC-REMOVED"] = rule.model_copy(update={"relations": ("call", "link")})
    found.by_id["C-VAR-REMOVED"] = found.by_id["C-VAR-REMOVED"].model_copy(update={"relations": ()})
    return found


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    (tmp_path / "lib.h").write_text("int f(void);\n")
    with Sources(Cache(tmp_path / "cache"), ReadOptions(language="c")) as sources:
        return sources.read(str(tmp_path))


def comparison(snapshot: Snapshot, rules: Rules, *ids: str, symbol: str = "f") -> Comparison:
    def one(rule: Rule) -> Judged:
        return Judged(Change(rule.id, symbol, "int f(void)", ""), rule, rule.level, False)

    return Comparison(snapshot, snapshot, ("linux/amd64",), [one(rules.get(i)) for i in ids])


def trial(
    relation: str, source: Outcome = UNTRIED, binary: Outcome = UNTRIED, old: Outcome = HOLDS, *, promised: bool = True
) -> Trial:
    client = Client("f", relation, {"c.c": "int use(void) { return f(); }"}, promised)
    return Trial(client, old, source, binary, "undeclared function 'f'", "clang 21", "linux/amd64")


def test_a_client_confirms_a_change(snapshot: Snapshot, rules: Rules) -> None:
    found = hear(comparison(snapshot, rules, "C-FUNC-REMOVED"), [trial("call", FAILS)], rules, POLICY)
    (one,) = found.changes
    assert one.breaking and one.trial is not None and one.trial.axes == ("source",)
    assert "call" in report.as_text(found)


def test_the_silence_of_all_that_were_asked_makes_it_fragile(snapshot: Snapshot, rules: Rules) -> None:
    silent = [trial("call", HOLDS), trial("link", UNTRIED, HOLDS)]
    found = hear(comparison(snapshot, rules, "C-FUNC-REMOVED"), silent, rules, POLICY)
    (one,) = found.changes
    assert one.weight == "fragile" and one.unconfirmed and found.level == "minor"
    assert "2 clients were tried" in report.as_text(found)


@pytest.mark.parametrize(
    "trials",
    [
        [trial("call", HOLDS)],  # nobody linked
        [trial("call", HOLDS), trial("link", UNTRIED, HOLDS, FAILS)],  # the one who linked did not build before
        [trial("call", HOLDS), trial("link")],  # the one who linked was not tried
        [],
    ],
)
def test_silence_of_some_says_nothing(snapshot: Snapshot, rules: Rules, trials: list[Trial]) -> None:
    (one,) = hear(comparison(snapshot, rules, "C-FUNC-REMOVED"), trials, rules, POLICY).changes
    assert one.breaking and not one.unconfirmed


def test_silence_says_nothing_about_a_rule_that_names_no_way(snapshot: Snapshot, rules: Rules) -> None:
    (one,) = hear(comparison(snapshot, rules, "C-VAR-REMOVED"), [trial("call", HOLDS)], rules, POLICY).changes
    assert one.breaking


def test_a_grade_does_not_trust_the_silence_beside_the_products_own_code(snapshot: Snapshot, rules: Rules) -> None:
    silent = [replace(trial("call", HOLDS), alongside=True), trial("link", UNTRIED, HOLDS)]
    found = comparison(snapshot, rules, "C-FUNC-REMOVED")
    assert hear(found, silent, rules, POLICY).changes[0].weight == "fragile"
    assert hear(found, silent, rules, POLICY, trusting=False).changes[0].breaking
    failing = [replace(trial("call", FAILS), alongside=True)]
    assert hear(comparison(snapshot, rules), failing, rules, POLICY, trusting=False).changes[0].breaking


def test_what_no_rule_explains_breaks(snapshot: Snapshot, rules: Rules) -> None:
    found = hear(comparison(snapshot, rules, "C-SYMBOL-ADDED"), [trial("call", FAILS)], rules, POLICY)
    assert [(one.rule.id, one.weight) for one in found.changes] == [
        ("C-UNEXPLAINED", "breaking"),
        ("C-SYMBOL-ADDED", "compatible"),
    ]
    assert found.level == "major"
    assert "undeclared function" in found.changes[0].sentence()


def test_what_nobody_may_count_on_is_fragile(snapshot: Snapshot, rules: Rules) -> None:
    found = hear(comparison(snapshot, rules), [trial("call", FAILS, promised=False)], rules, POLICY)
    assert [one.weight for one in found.changes] == ["fragile"] and found.level == "minor"


def test_a_client_that_never_built_is_no_evidence(snapshot: Snapshot, rules: Rules) -> None:
    assert not hear(comparison(snapshot, rules), [trial("call", FAILS, old=FAILS)], rules, POLICY).changes


def test_baselines_are_not_judged(snapshot: Snapshot, rules: Rules) -> None:
    found = comparison(snapshot, rules)
    found.old.place = None
    court_of_c = {"c": lambda _sources: pytest.fail("asked")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(court, "JUDGES", court_of_c)
        assert "is a snapshot" in str(hindrance(found))


def test_tools_that_are_not_there_leave_the_rules_alone(snapshot: Snapshot, rules: Rules, tmp_path: Path) -> None:
    class Broken:
        def __init__(self, _sources: Sources) -> None: ...

        def trials(self, _comparison: Comparison, _policy: ApiPolicy) -> list[Trial]:
            raise HostFault(verbatim("there is no compiler"))

    found = comparison(snapshot, rules, "C-FUNC-REMOVED")
    with pytest.MonkeyPatch.context() as patch, Sources(Cache(tmp_path / "other"), ReadOptions()) as sources:
        patch.setattr(court, "JUDGES", {"c": Broken})
        heard = judged(found, sources, rules, POLICY)
    assert heard.changes[0].breaking and "there is no compiler" in report.as_text(heard)
