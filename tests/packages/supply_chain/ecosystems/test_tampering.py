"""Each way to tamper with a product is caught under its own code, and a good product has no finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty, load_findings
from tests.messages.english import english_in
from tests.packages.supply_chain.ecosystems.conftest import Check
from tests.packages.supply_chain.ecosystems.tampering import EVERY, TAMPERINGS
from tests.packages.supply_chain.ecosystems.worlds import WORLDS

COMPARED = {"npm": (2, 4), "pypi": (2, 6), "cargo": (1, 2), "maven": (1, 1)}
"""Packages verified, and files compared, of each good product."""


@pytest.mark.parametrize("ecosystem", COMPARED)
def test_a_good_product_has_no_finding(ecosystem: str, tmp_path: Path, check: Check) -> None:
    WORLDS[ecosystem](tmp_path)
    done = check(ecosystem)
    assert [f for f in done.findings if f.certainty is not Certainty.NOTE] == []
    assert (done.verified, done.checked_files) == COMPARED[ecosystem]


@pytest.mark.parametrize(("ecosystem", "name"), EVERY, ids=[f"{e}-{n}" for e, n in EVERY])
def test_what_was_tampered_with_is_named_in_both_languages(
    ecosystem: str, name: str, tmp_path: Path, check: Check
) -> None:
    WORLDS[ecosystem](tmp_path)
    tamper, expected = TAMPERINGS[ecosystem][name]
    tamper(tmp_path)
    found = [f for f in check(ecosystem).findings if f.certainty is not Certainty.NOTE]
    assert {f.code for f in found} == set(expected)
    for code, place in expected.items():
        assert place in [f.object for f in found if f.code == code]
    texts = load_findings()
    for finding in found:
        assert not english_in(texts.text(finding).render("zh").replace(str(tmp_path), "")), finding


@pytest.mark.parametrize("ecosystem", COMPARED)
def test_what_cannot_be_had_is_undecided(ecosystem: str, tmp_path: Path, check: Check) -> None:
    WORLDS[ecosystem](tmp_path)
    done = check(ecosystem, place=None)
    found = [f for f in done.findings if f.certainty is not Certainty.NOTE]
    assert {f.code for f in found} == {"XC-SUP-108", "XC-SUP-124"}
    assert {f.certainty for f in found} == {Certainty.UNDECIDED}
    assert done.verified == 0


@pytest.mark.parametrize("ecosystem", ["conan", "vcpkg"])
def test_recipes_are_locked_and_nobody_vouches_for_them(ecosystem: str, tmp_path: Path, check: Check) -> None:
    WORLDS[ecosystem](tmp_path)
    found = check(ecosystem).findings
    assert {(f.code, f.certainty) for f in found} == {("XC-SUP-108", Certainty.UNDECIDED)}
