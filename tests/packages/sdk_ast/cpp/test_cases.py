"""The cases of ``bench/verdicts/cpp``: what compilers, linkers and the loader say of them, and what we say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cases import Case, cases
from bench.ccases import build_libraries, truth
from pytest_xinchuang.packages.sdk_ast.compare import compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.cpp.pairs import RULES

pytestmark = [pytest.mark.tools, pytest.mark.slow]


@pytest.fixture(scope="module")
def sources() -> Iterator[Sources]:
    with Sources(Cache(), ReadOptions(language="cpp", offline=True)) as found:
        yield found


@pytest.mark.parametrize("case", cases("cpp"), ids=lambda c: c.name)
def test_a_case(case: Case, tmp_path: Path, sources: Sources) -> None:
    case.write(tmp_path)
    build_libraries(tmp_path)
    assert truth(tmp_path) == case.facts.truth
    old, new = (sources.read(str(tmp_path / side)) for side in ("old", "new"))
    found = judged(compare(old, new, RULES), sources, RULES, ApiPolicy())
    assert not found.unjudged
    told = sorted(f"{one.rule.id} {one.change.symbol}" for one in found.changes if one.weight == "breaking")
    assert bool(told) is case.breaks, told or [f"{one.rule.id} {one.weight}" for one in found.changes]
