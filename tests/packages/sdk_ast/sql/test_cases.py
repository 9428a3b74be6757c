"""The cases of bench/verdicts/sql: their truth by a database, and what the comparison says, with clients and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cases import Case, cases
from tests.packages.sdk_ast.sql.test_rules import diff, speaks_postgres
from tests.packages.sdk_ast.sql.truth import Databases

pytest.importorskip("sqlglot")
pytestmark = pytest.mark.tools

CASES = cases("sql")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case(case: Case, tmp_path: Path, truth: Databases, shared: bool) -> None:
    case.write(tmp_path)
    if speaks_postgres(tmp_path) and not shared:
        pytest.skip("there is no PostgreSQL")
    assert truth.axes_of(tmp_path) == list(case.facts.truth)
    for comparison in (diff(tmp_path), diff(tmp_path, fast=True)):
        found = [str(one.sentence()) for one in comparison.changes]
        assert comparison.breaking is case.breaks, found
        assert not comparison.undecided, found
        assert not [one for one in comparison.changes if one.rule.id == "SQL-UNEXPLAINED"], found
