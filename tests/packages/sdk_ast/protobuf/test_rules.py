"""Every rule's witness: compiled by protoc, with data that generated code of one version writes and that of the other reads."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.protobuf.exchange import axes_of
from tests.packages.sdk_ast.trees import rules_of

pytest.importorskip("grpc_tools")
pytestmark = [pytest.mark.tools, pytest.mark.skipif(not hasattr(os, "fork"), reason="clients run in forks")]

RULES = Rules()
SHIPPED = resources.conformance_dir() / "sdk_ast" / "rules" / "protobuf"
WITNESSED = [rule.id for rule in RULES.by_id.values() if rule.id.startswith("PROTO-") and rule.breaks is not None]


def diff(directory: Path) -> Comparison:
    """The judged comparison of ``old/`` and ``new/``."""
    policy = ApiPolicy()
    with Sources(Cache(), ReadOptions(language="protobuf")) as sources:
        old, new = (sources.read(str(directory / side)) for side in ("old", "new"))
        for snapshot in (old, new):
            for packages in snapshot.packages.values():
                assert packages[0].symbols is not None
        return judged(compare(old, new, RULES, policy), sources, RULES, policy)


@pytest.fixture(scope="module")
def truths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    places = [Path(shutil.copytree(SHIPPED / rule, tmp_path_factory.mktemp("w") / rule)) for rule in WITNESSED]
    return dict(zip(WITNESSED, axes_of(places), strict=True))


@pytest.mark.parametrize("rule_id", WITNESSED)
def test_a_rules_witness(rule_id: str, truths: dict[str, list[str]]) -> None:
    rule = RULES.get(rule_id)
    comparison = diff(SHIPPED / rule_id)
    assert not comparison.unjudged
    assert rule.id in rules_of(comparison)
    assert "PROTO-UNEXPLAINED" not in rules_of(comparison)
    assert bool(truths[rule_id]) is rule.breaks, truths[rule_id]
    assert comparison.breaking is rule.breaks
