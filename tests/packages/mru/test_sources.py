"""Source trees of a product: what `xc advise` says of them decides one requirement."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.advice import Part, Surveyed
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.finding import Certainty, Finding, load_findings
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.mru import sources
from pytest_xinchuang.packages.mru.findings import join_units
from pytest_xinchuang.packages.mru.requirements import SOURCE_BUILDS

WHOLE = Part(verbatim("C"), 2, 2)
MANIFEST = "schema: xc-subject/1\nname: p\nversion: '1'\nsource_trees: [src]\n"


class _Says:
    """A survey that says what it was told to."""

    name = "c"

    def __init__(self, part: Part | None, certainty: Certainty | None) -> None:
        self.part, self.certainty = part, certainty

    def applies(self, tree: SourceTree) -> bool:
        return self.part is not None

    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        said = Surveyed()
        assert self.part is not None
        said.add([p.id for p in work.platforms], self.part)
        if self.certainty is not None:
            params = {"error": "no", "units": "1 unit", "advice": "mend it", "advice_zh": "改正"}
            said.findings = [Finding("XC-ADV-001", self.certainty, "a.c:1", p.id, params) for p in work.platforms]
        return said


class _Breaks(_Says):
    def survey(self, tree: SourceTree, work: Work) -> Surveyed:
        raise HostFault(verbatim("no compiler is here"))


def _decided(place: Path, platforms: Platforms, monkeypatch: pytest.MonkeyPatch, survey: Any) -> Decision:
    (place / "src").mkdir(exist_ok=True)
    (place / "xinchuang.yaml").write_text(MANIFEST)
    monkeypatch.setattr(sources, "all_surveys", lambda: (survey,))
    pool: Any = SimpleNamespace(store=SimpleNamespace(platforms=platforms), runner=None)
    builder: Any = SimpleNamespace(cache=SimpleNamespace(root=place), jail=None)
    records = sources.advised(Subject(place, ()), platforms.get("loongson"), load_findings(), pool, builder)
    return join_units(SOURCE_BUILDS, records, verbatim("mend"))


def test_a_tree_that_was_judged_whole_and_has_no_stopper_passes(
    tmp_path: Path, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = _decided(tmp_path, platforms, monkeypatch, _Says(WHOLE, None))
    assert decision.verdict is Verdict.PASS and decision.evidence[0]["parts"][0]["judged"] == 2
    assert _decided(tmp_path, platforms, monkeypatch, _Says(WHOLE, Certainty.NOTE)).verdict is Verdict.PASS


def test_a_stopper_fails_it_with_place_and_mend(
    tmp_path: Path, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = _decided(tmp_path, platforms, monkeypatch, _Says(WHOLE, Certainty.CERTAIN))
    assert decision.verdict is Verdict.FAIL and decision.cause is Cause.SUBJECT
    assert "source tree src: a.c:1: no" in str(decision.reason) and "[XC-ADV-001]" in str(decision.reason)
    assert decision.mend


@pytest.mark.parametrize(
    ("part", "certainty"),
    [
        (WHOLE, Certainty.GUARDED),
        (WHOLE, Certainty.UNDECIDED),
        (Part(verbatim("C"), 1, 2, why=((verbatim("a header is missing"), 1),)), None),
        (Part(verbatim("C"), 0, 0), None),
        (None, None),
    ],
)
def test_what_was_not_judged_leaves_it_open(
    part: Part | None,
    certainty: Certainty | None,
    tmp_path: Path,
    platforms: Platforms,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _decided(tmp_path, platforms, monkeypatch, _Says(part, certainty)).verdict is Verdict.INCONCLUSIVE


def test_our_own_fault_is_never_the_subjects(
    tmp_path: Path, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    decision = _decided(tmp_path, platforms, monkeypatch, _Breaks(WHOLE, None))
    assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.HOST)
    assert "no compiler is here" in str(decision.reason)
