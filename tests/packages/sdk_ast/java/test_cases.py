"""Cases of Java: the truth that javac and the virtual machine find is the one that is written, and the comparison finds it."""

from __future__ import annotations

import pytest

from bench.cases import cases
from pytest_xinchuang.packages.sdk_ast.compare import Judged
from tests.packages.sdk_ast.java.truth import JAVAC, said, truths

pytestmark = [pytest.mark.tools, pytest.mark.slow, pytest.mark.skipif(JAVAC is None, reason="needs javac")]

CASES = cases("java")


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return truths(CASES, tmp_path_factory.mktemp("truths"))


@pytest.fixture(scope="module", params=[True, False], ids=["clients", "rules"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Judged]]:
    return said(CASES, tmp_path_factory.mktemp("libraries"), clients=request.param)


def test_the_truth_is_what_the_tools_find(truth: dict[str, str]) -> None:
    written = {case.name: " ".join(["truth", *case.facts.truth]) for case in CASES}
    assert written == {name: text.strip() for name, text in truth.items()}


def test_what_breaks_is_told_and_nothing_else(found: dict[str, list[Judged]]) -> None:
    told = {case.name: any(one.breaking for one in found[case.name]) for case in CASES}
    missed = [case.name for case in CASES if case.breaks and not told[case.name]]
    false = [case.name for case in CASES if told[case.name] and not case.breaks]
    assert len(CASES) >= 150
    assert (missed, false) == ([], [])
    assert not [one for changes in found.values() for one in changes if one.weight == "undecided"]
