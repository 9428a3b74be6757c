"""The cases of bench/verdicts/openapi: their truth by a validator of whole exchanges, and what the comparison says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cases import Case, cases
from tests.packages.sdk_ast.openapi.exchange import axes_of
from tests.packages.sdk_ast.openapi.test_rules import diff

pytest.importorskip("jsonschema")

CASES = cases("openapi")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case(case: Case, tmp_path: Path) -> None:
    pytest.importorskip("openapi_core")
    case.write(tmp_path)
    assert axes_of(tmp_path) == list(case.facts.truth)
    comparison = diff(tmp_path)
    assert comparison.breaking is case.breaks, [str(one.sentence()) for one in comparison.changes]
    assert not comparison.undecided
    assert not [one for one in comparison.changes if one.rule.id == "OPENAPI-UNEXPLAINED"]
