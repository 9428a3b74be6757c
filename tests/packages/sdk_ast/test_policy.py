"""What a project decides for itself: contested rules, and accepted changes with an end."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy, load_policy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from tests.packages.sdk_ast.trees import diff, read, rules_of, tree

pytestmark = pytest.mark.tools

OLD: dict[str, str | bytes] = {
    "p.go": 'package m\n\ntype I interface{ A() }\n\ntype T struct {\n\tX int `json:"x"`\n}\n\nfunc F() {}\n\nfunc G() {}\n'
}
NEW: dict[str, str | bytes] = {
    "p.go": 'package m\n\nfunc (T) M() {}\n\ntype I interface{ A(); B() }\n\ntype T struct {\n\tX int `json:"y"`\n\tY int\n}\n'
}


def weights(comparison: Comparison) -> dict[str, str]:
    return {j.rule.id: j.weight for j in comparison.changes}


@pytest.mark.parametrize(
    ("policy", "rule", "weight"),
    [
        ({}, "GO-IFACE-METHOD-ADDED", "breaking"),
        ({"interfaces": "provider"}, "GO-IFACE-METHOD-ADDED", "compatible"),
        ({}, "GO-FIELD-ADDED-UNKEYED", "compatible"),
        ({"unkeyed_literals": "fragile"}, "GO-FIELD-ADDED-UNKEYED", "fragile"),
        ({"unkeyed_literals": "breaking"}, "GO-FIELD-ADDED-UNKEYED", "breaking"),
        ({}, "GO-METHOD-ADDED", "compatible"),
        ({"embedding": "fragile"}, "GO-METHOD-ADDED", "fragile"),
        ({"embedding": "breaking"}, "GO-METHOD-ADDED", "breaking"),
        ({}, "GO-FIELD-TAG-CHANGED", "fragile"),
        ({"tags": "breaking"}, "GO-FIELD-TAG-CHANGED", "breaking"),
        ({"tags": "ignore"}, "GO-FIELD-TAG-CHANGED", "compatible"),
    ],
)
def test_contested_rules(tmp_path: Path, policy: dict[str, Any], rule: str, weight: str) -> None:
    assert weights(diff(tmp_path, OLD, NEW, ApiPolicy(**policy)))[rule] == weight


class TestSuppressions:
    TODAY = datetime.date(2026, 6, 1)

    def compared(self, tmp_path: Path, *lines: dict[str, str]) -> Comparison:
        policy = ApiPolicy.model_validate({"suppress": [{"reason": "nobody called it", **line} for line in lines]})
        old, new = read(tree(tmp_path / "old", OLD)), read(tree(tmp_path / "new", NEW))
        return compare(old, new, Rules(), policy, self.TODAY)

    def test_one_covers_its_rule_and_symbol_alone(self, tmp_path: Path) -> None:
        found = self.compared(tmp_path, {"rule": "GO-FUNC-REMOVED", "symbol": "F", "expires": "2026-06-01"})
        assert rules_of(found)["GO-FUNC-REMOVED"] == ["G"]
        assert [(j.change.symbol, s.reason) for j, s in found.accepted] == [("F", "nobody called it")]

    def test_an_expired_one_has_no_effect_and_is_told(self, tmp_path: Path) -> None:
        found = self.compared(tmp_path, {"rule": "GO-FUNC-*", "symbol": "*", "expires": "2026-05-31"})
        assert rules_of(found)["GO-FUNC-REMOVED"] == ["F", "G"]
        assert [(s.count, s.expired) for s in found.suppressions] == [(2, True)]

    def test_one_that_matches_nothing_is_told(self, tmp_path: Path) -> None:
        found = self.compared(tmp_path, {"rule": "GO-FUNC-REMOVED", "symbol": "H", "expires": "2027-01-01"})
        assert [(s.count, s.expired) for s in found.suppressions] == [(0, False)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schema: xc-api-policy/1\ntags: maybe\n", "tags"),
        (
            "schema: xc-api-policy/1\nsuppress:\n  - {rule: X, symbol: Y, reason: short, expires: 2027-01-01}\n",
            "reason",
        ),
        ("schema: xc-api-policy/1\nsuppress:\n  - {rule: X, symbol: Y, reason: long enough it is}\n", "expires"),
    ],
)
def test_a_malformed_policy_is_told_by_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "xc-api.yaml"
    path.write_text(text)
    with pytest.raises(DataFileError, match=expected):
        load_policy(path)


def test_the_next_version(tmp_path: Path) -> None:
    old, new = read(tree(tmp_path / "old", OLD)), read(tree(tmp_path / "new", NEW))

    def after(version: str, *sides: Any) -> str:
        object.__setattr__(sides[0].header, "version", version)
        return compare(sides[0], sides[1], Rules()).next_version

    assert after("v1.4.2", old, new) == "v2.0.0"
    assert after("v0.4.2", old, new) == "v0.5.0"
    more = read(tree(tmp_path / "more", {"p.go": str(OLD["p.go"]) + "\nfunc More() {}\n"}))
    assert after("v1.4.2", old, more) == "v1.5.0"
    assert after("v1.4.2", old, old) == "v1.4.3"
    assert after("v1.5.0-rc.1", old, old) == "v1.5.0"
    assert after("main", old, more) == ""
