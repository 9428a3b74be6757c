"""Every rule's witness: statements of a client that a real database takes with one version of the schema alone."""

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
from tests.packages.sdk_ast.sql.truth import Databases
from tests.packages.sdk_ast.trees import rules_of

pytest.importorskip("sqlglot")
pytestmark = pytest.mark.tools

RULES = Rules()
SHIPPED = resources.conformance_dir() / "sdk_ast" / "rules" / "sql"
WITNESSED = [rule.id for rule in RULES.by_id.values() if rule.id.startswith("SQL-") and rule.breaks is not None]


def diff(directory: Path, old: str = "old", new: str = "new", *, fast: bool = False, dialect: str = "") -> Comparison:
    """The comparison of ``old/`` and ``new/``, judged unless it has to be fast."""
    policy = ApiPolicy()
    with Sources(Cache(), ReadOptions(language="sql", sql_dialect=dialect)) as sources:
        sides = [sources.read(str(directory / side)) for side in (old, new)]
        for snapshot in sides:
            for packages in snapshot.packages.values():
                assert packages[0].symbols is not None
        comparison = compare(sides[0], sides[1], RULES, policy)
        return comparison if fast else judged(comparison, sources, RULES, policy)


def speaks_postgres(directory: Path) -> bool:
    """Whether it needs a PostgreSQL."""
    return any("dialect: postgres" in path.read_text(encoding="utf-8") for path in directory.rglob("*.sql"))


@pytest.mark.parametrize("rule_id", WITNESSED)
def test_a_rules_witness(rule_id: str, truth: Databases, shared: bool) -> None:
    rule = RULES.get(rule_id)
    if speaks_postgres(SHIPPED / rule_id) and not shared:
        pytest.skip("there is no PostgreSQL")
    comparison = diff(SHIPPED / rule_id)
    assert not comparison.unjudged
    assert rule.id in rules_of(comparison)
    assert "SQL-UNEXPLAINED" not in rules_of(comparison)
    assert (truth.axes_of(SHIPPED / rule_id) == ["source"]) is rule.breaks
    assert comparison.breaking is rule.breaks
    assert not comparison.undecided
