"""The cases of ``bench/verdicts/c``: what compilers, linkers and the loader say of them, and what we say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cases import Case, cases
from bench.ccases import build_libraries, truth
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache

pytestmark = [pytest.mark.tools, pytest.mark.slow]

RULES = Rules()
CASES = cases("c")


@pytest.fixture(scope="module")
def sources() -> Iterator[Sources]:
    with Sources(Cache(), ReadOptions(language="c")) as found:
        yield found


def said(case: Case, directory: Path, sources: Sources) -> Comparison:
    """Our verdict, with that of clients."""
    case.write(directory)
    build_libraries(directory)
    old, new = (sources.read(str(directory / side)) for side in ("old", "new"))
    return judged(compare(old, new, RULES), sources, RULES, ApiPolicy())


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_case(case: Case, tmp_path: Path, sources: Sources) -> None:
    found = said(case, tmp_path, sources)
    assert truth(tmp_path) == case.facts.truth
    told = sorted(f"{one.rule.id} {one.change.symbol}" for one in found.changes if one.weight == "breaking")
    assert bool(told) is case.breaks, told or [f"{one.rule.id} {one.weight}" for one in found.changes]
