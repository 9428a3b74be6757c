"""Clients of Go: what they show, what a policy leaves out, and what says nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.golang import judge
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.trees import rules_of, tree

pytestmark = pytest.mark.tools

RULES = Rules()


def compared(tmp_path: Path, old: Any, new: Any, policy: ApiPolicy | None = None, *without: str) -> Comparison:
    """Two modules with clients; ``without`` leaves out what rules say."""
    sides = [str(tree(tmp_path / name, files)) for name, files in (("old", old), ("new", new))]
    policy = policy or ApiPolicy()
    with Sources(Cache(), ReadOptions(targets=(), offline=True)) as sources:
        found = compare(*sources.pair(*sides), RULES, policy)
        found.changes = [one for one in found.changes if one.rule.id not in without]
        return judged(found, sources, RULES, policy)


def p(text: str) -> dict[str, str]:
    return {"p.go": f"package m\n\n{text}\n"}


def relations(comparison: Comparison) -> set[str]:
    return {trial.client.relation for trial in comparison.trials}


def test_a_client_shows_a_change_and_is_told(tmp_path: Path) -> None:
    (one,) = compared(tmp_path, p("func F(a int) {}"), p("func F(a int64) {}")).changes
    assert one.breaking and one.trial is not None
    assert one.trial.client.relation in ("value", "call") and "int" in one.trial.said
    assert one.trial.tool.startswith("go/types of go1.")


def test_what_no_rule_tells_a_client_does(tmp_path: Path) -> None:
    found = compared(tmp_path, p("func F(a int) {}"), p("func F(a int64) {}"), None, "GO-FUNC-PARAM-TYPE-CHANGED")
    assert {one.rule.id for one in found.of("breaking")} == {"GO-UNEXPLAINED"}


def test_what_no_rule_tells_is_told_for_its_targets(tmp_path: Path) -> None:
    old = {**p("const C = 1"), "f_arm64.go": p("func F() int { return 0 }")["p.go"]}
    new = {**p("const C = 1"), "f_arm64.go": p("func F() int8 { return 0 }")["p.go"]}
    found = compared(tmp_path, old, new, None, "GO-FUNC-RESULT-TYPE-CHANGED")
    assert {one.change.targets for one in found.of("breaking")} == {("linux/arm64",)}


def test_the_silence_of_all_refutes_a_rule(tmp_path: Path) -> None:
    """A rule that the new version does not deserve: here, that of another pair."""
    old = [
        str(tree(tmp_path / name, files))
        for name, files in (("a", p("func F(a int) {}")), ("b", p("func F(a int) {}")))
    ]
    wrong = compared(tmp_path, p("func F(a int) {}"), p("func F(a int64) {}")).changes
    with Sources(Cache(), ReadOptions(offline=True)) as sources:
        found = compare(*sources.pair(*old), RULES)
        found.changes = [type(one)(one.change, one.rule, one.level, one.harmless) for one in wrong]
        (heard,) = judged(found, sources, RULES, ApiPolicy()).changes
    assert heard.unconfirmed and heard.weight == "fragile"


IFACE = p("type I interface{ A() }"), p("type I interface {\n\tA()\n\tB()\n}")
STRUCT = p("type T struct{ A int }"), p("type T struct{ A, B int }\n\nfunc (T) M() {}")


@pytest.mark.parametrize(
    ("sides", "policy", "left_out"),
    [
        (IFACE, {"interfaces": "provider"}, {"implement"}),
        (STRUCT, {"unkeyed_literals": "ignore"}, {"unkeyed", "convert-struct"}),
        (STRUCT, {"embedding": "ignore"}, {"beside"}),
    ],
)
def test_a_policy_leaves_clients_out(
    sides: tuple[Any, Any], policy: dict[str, Any], left_out: set[str], tmp_path: Path
) -> None:
    every = ApiPolicy(unkeyed_literals="fragile", embedding="fragile")
    assert relations(compared(tmp_path / "a", *sides, every)) >= left_out
    found = compared(tmp_path / "b", *sides, every.model_copy(update=policy))
    assert not relations(found) & left_out and "GO-UNEXPLAINED" not in rules_of(found)
    assert not found.breaking


def test_clients_follow_a_module_that_moved(tmp_path: Path) -> None:
    old = {**p("func F() {}\n\nfunc G(a int) {}"), "sub/s.go": "package sub\n\nfunc S() {}\n"}
    new = {
        **p("func F() {}\n\nfunc G(a string) {}"),
        "go.mod": "module example.com/m/v2\n\ngo 1.21\n",
        "sub/s.go": "package sub\n\nfunc S(a int) {}\n",
    }
    found = compared(tmp_path, old, new)
    shown = {one.change.symbol for one in found.changes if one.trial is not None}
    assert shown == {"G", "./sub.S"} and "GO-UNEXPLAINED" not in rules_of(found)


def test_what_stands_behind_a_stub_is_no_evidence(tmp_path: Path) -> None:
    lost = "module example.com/m\n\ngo 1.21\n\nrequire example.org/lost v1.0.0\n"
    old = {"go.mod": lost, "p.go": 'package m\n\nimport "example.org/lost"\n\nfunc F(lost.T) {}\n\nfunc G() {}\n'}
    new = {"go.mod": lost, "p.go": 'package m\n\nimport "example.org/lost"\n\nfunc F(*lost.T) {}\n'}
    found = compared(tmp_path, old, new)
    assert rules_of(found, "breaking") == {"GO-FUNC-PARAM-TYPE-CHANGED": ["F"], "GO-FUNC-REMOVED": ["G"]}
    assert not [trial for trial in found.trials if trial.client.symbol == "F" and trial.counts]


def test_a_file_that_cannot_be_parsed_is_no_evidence(tmp_path: Path) -> None:
    found = compared(tmp_path, p("func F() {}"), {**p("func G() {}"), "q.go": "package m\n\nfunc (\n"})
    assert not found.breaking and found.undecided
    assert not [trial for trial in found.trials if trial.counts]


def test_a_package_that_has_a_module_of_its_own_is_not_asked_for(tmp_path: Path) -> None:
    old = {**p("func F() {}"), "sub/s.go": "package sub\n"}
    found = compared(tmp_path, old, {**old, "sub/go.mod": "module example.com/m/sub\n"})
    assert rules_of(found) == {"GO-PKG-NESTED-MODULE": ["./sub"]} and not found.trials


def test_generic_code_is_tried_with_all_that_the_constraint_admits(tmp_path: Path) -> None:
    found = compared(tmp_path, p("func F[T ~int | ~string](x T) {}"), p("func F[T ~int | string](x T) {}"))
    assert [(one.rule.id, one.weight) for one in found.changes] == [("GO-FUNC-CONSTRAINT-TIGHTENED", "breaking")]
    assert found.changes[0].trial is not None


def test_a_reader_that_breaks_leaves_the_rules_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise HostFault(verbatim("the reader broke"))

    monkeypatch.setattr(judge, "clients", broken)
    found = compared(tmp_path, p("func F() {}"), p("func G() {}"))
    assert found.breaking and "the reader broke" in str(found.unjudged)


def test_nothing_that_differs_asks_for_nothing(tmp_path: Path) -> None:
    found = compared(tmp_path, p("func F() {}"), p("func F() {}"))
    assert not found.trials and not found.unjudged and not found.changes
