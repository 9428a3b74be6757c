"""The cases of Python: what a run of the client shows is what a comparison has to tell."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cases import Case, cases
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare
from pytest_xinchuang.packages.sdk_ast.judge.court import judged
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache

pytestmark = pytest.mark.tools

CASES = cases("python")


def shown(directory: Path, side: str) -> str:
    """How the client fares with one version: nothing, ``behaviour`` (it sees something else), or ``source`` (it stops)."""
    root = directory / side
    code = (directory / "client/client.py").read_text()
    words = [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {[str(root), str(root / 'src')]!r}\n{code}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    last = (done.stderr.strip().splitlines() or [""])[-1]
    return "" if done.returncode == 0 else "behaviour" if last.startswith("AssertionError") else "source"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    with Sources(Cache(tmp_path_factory.mktemp("cache")), ReadOptions(language="python")) as opened:
        yield opened


def compared(sources: Sources, directory: Path, *, fast: bool) -> Comparison:
    rules, policy = Rules(), ApiPolicy()
    found = compare(sources.read(str(directory / "old")), sources.read(str(directory / "new")), rules, policy)
    return found if fast else judged(found, sources, rules, policy)


def weighed(case: Case, found: Comparison) -> str:
    """``right``, ``missed`` or ``false``. A change of behaviour alone has to be told, and need not be breaking."""
    if case.breaks:
        return "right" if found.breaking else "missed"
    if case.facts.truth:
        return "right" if found.breaking or found.of("fragile") else "missed"
    return "false" if found.breaking or found.undecided else "right"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case(case: Case, sources: Sources, tmp_path: Path) -> None:
    case.write(tmp_path)
    assert shown(tmp_path, "old") == ""
    assert shown(tmp_path, "new") == "".join(case.facts.truth)
    found = compared(sources, tmp_path, fast=False)
    assert not found.unjudged
    assert weighed(case, found) == "right", [(one.rule.id, one.change.symbol, one.weight) for one in found.changes]
