"""Every rule's witness: requests and responses that a validator of whole exchanges allows in one version alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.openapi.exchange import axes_of
from tests.packages.sdk_ast.trees import rules_of

pytest.importorskip("jsonschema")

RULES = Rules()
SHIPPED = resources.conformance_dir() / "sdk_ast" / "rules" / "openapi"
WITNESSED = [rule.id for rule in RULES.by_id.values() if rule.id.startswith("OPENAPI-") and rule.breaks is not None]


def diff(directory: Path, old: str = "old", new: str = "new") -> Comparison:
    """The judged comparison of ``old/`` and ``new/``."""
    policy = ApiPolicy()
    with Sources(Cache(), ReadOptions(language="openapi")) as sources:
        sides = [sources.read(str(directory / side)) for side in (old, new)]
        for snapshot in sides:
            for packages in snapshot.packages.values():
                assert packages[0].symbols is not None
        return judged(compare(sides[0], sides[1], RULES, policy), sources, RULES, policy)


@pytest.mark.parametrize("rule_id", WITNESSED)
def test_a_rules_witness(rule_id: str) -> None:
    pytest.importorskip("openapi_core")
    rule = RULES.get(rule_id)
    comparison = diff(SHIPPED / rule_id)
    assert not comparison.unjudged
    assert rule.id in rules_of(comparison)
    assert "OPENAPI-UNEXPLAINED" not in rules_of(comparison)
    assert bool(axes_of(SHIPPED / rule_id)) is rule.breaks
    assert comparison.breaking is rule.breaks
    assert not comparison.undecided
