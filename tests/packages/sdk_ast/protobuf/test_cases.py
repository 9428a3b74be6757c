"""The cases of bench/verdicts/protobuf: their truth by protoc, generated code and the codec, and what the comparison says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.cases import Case, cases
from tests.packages.sdk_ast.protobuf.exchange import axes_of
from tests.packages.sdk_ast.protobuf.test_rules import diff

pytest.importorskip("grpc_tools")
pytestmark = [pytest.mark.tools, pytest.mark.skipif(not hasattr(os, "fork"), reason="clients run in forks")]

CASES = cases("protobuf")


def test_their_truth_is_that_of_the_codec(tmp_path: Path) -> None:
    for case in CASES:
        case.write(tmp_path / case.name)
    found = axes_of([tmp_path / case.name for case in CASES])
    assert {case.name: list(case.facts.truth) for case in CASES} == dict(
        zip((case.name for case in CASES), found, strict=True)
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case(case: Case, tmp_path: Path) -> None:
    case.write(tmp_path)
    comparison = diff(tmp_path)
    assert comparison.breaking is case.breaks, [str(one.sentence()) for one in comparison.changes]
    assert not comparison.undecided
    assert not [one for one in comparison.changes if one.rule.id == "PROTO-UNEXPLAINED"]
