"""An engine that breaks by an error of its own is asked once, and what it did not look at is inconclusive by our fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.needs import InOrder
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.messages import verbatim

TEXT = {"zh": "文", "en": "text"}


def catalogue(*ids: str) -> Catalogue:
    one = {"package": "acme", "level": "L1", "title": TEXT, "clause": "c", "min_fidelity": "static", "mend": TEXT}
    return Catalogue.model_validate(
        {"schema": "xc-requirements/1", "version": "1", "requirements": [{"id": name, **one} for name in ids]}
    )


def test_an_engine_that_broke_is_asked_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XC_CACHE", str(tmp_path))
    asked: list[str] = []

    def decide(requirement: str) -> Decision:
        asked.append(requirement)
        if requirement == "A-002":
            raise KeyError("facts")
        return Decision(Verdict.PASS, fidelity=Fidelity.STATIC, evidence=({"kind": "x"},))

    order = InOrder(catalogue("A-001", "A-002", "A-003"), decide)
    decisions = [order.decision(name) for name in ("A-001", "A-002", "A-003", "A-002")]
    assert asked == ["A-001", "A-002"]
    assert [d.verdict for d in decisions] == [Verdict.PASS, *[Verdict.INCONCLUSIVE] * 3]
    assert {d.cause for d in decisions[1:]} == {Cause.HOST}
    (report,) = tmp_path.glob("errors/*.txt")
    assert str(report) in decisions[1].mend and str(report) in decisions[2].mend
    assert (
        decisions[2].reason
        == "it was not looked at: pytest-xinchuang itself broke: KeyError: there is no facts, at A-002"
    )
    assert "自身出错" in decisions[1].reason.render("zh")


def test_an_error_in_words_is_whose_it_says_and_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XC_CACHE", str(tmp_path))

    def decide(_requirement: str) -> Decision:
        raise HostFault(verbatim("no compiler"))

    order = InOrder(catalogue("A-001"), decide)
    for _time in range(2):
        with pytest.raises(HostFault, match="no compiler"):
            order.decision("A-001")
    assert not list(tmp_path.iterdir())
