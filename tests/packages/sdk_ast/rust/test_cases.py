"""The cases of ``bench/verdicts/rust``: what cargo says of their clients, and what we say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cases import Case, cases
from bench.rustcases import truth
from tests.packages.sdk_ast.rust.crates import compared, needs_rust

pytestmark = [pytest.mark.tools, pytest.mark.slow, needs_rust]


@pytest.mark.parametrize("case", cases("rust"), ids=lambda case: case.name)
def test_a_case(case: Case, tmp_path: Path) -> None:
    case.write(tmp_path)
    found = compared(tmp_path)
    assert not found.unjudged
    told = sorted(f"{one.rule.id} {one.change.symbol}" for one in found.changes if one.weight == "breaking")
    assert bool(told) is case.breaks, told or [f"{one.rule.id} {one.weight}" for one in found.changes]
    assert truth(tmp_path) == case.facts.truth
