"""Each known-bad subject is caught by the requirement that the bank names for it, by a vector with its own flag."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import tests.mutants.sm.defects  # noqa: F401 - each of its modules registers its subjects
from pytest_xinchuang.packages.sm_crypto.defects import load_bank
from pytest_xinchuang.packages.sm_crypto.report import defect_table
from tests.messages.english import english_in
from tests.mutants.sm.registry import DEFECTS
from tests.mutants.sm.running import caught, remember_points

HERE = Path(__file__).parent
TABLE = yaml.safe_load((HERE / "caught_by.yaml").read_text())
BANK = load_bank()

pytestmark = pytest.mark.slow


def test_the_table_is_full() -> None:
    assert sorted(TABLE) == sorted(DEFECTS)
    assert len(DEFECTS) >= 70
    # A harness of the algorithms cannot have a defect of a TLS implementation; 2**29 bytes are too many for Python.
    without = {d.id for d in BANK.defects} - set(DEFECTS)
    assert without == {d.id for d in BANK.defects if d.where == "tls"} | {55}


def test_the_table_in_the_docs_is_this_one() -> None:
    assert (HERE.parents[2] / "docs" / "sm-defects.md").read_text() == defect_table(BANK, TABLE)


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Points of the curve that each subject would compute again."""
    file = tmp_path_factory.mktemp("points") / "points"
    remember_points(file)
    assert file.stat().st_size > 100_000
    return file


@pytest.mark.parametrize("number", sorted(DEFECTS))
def test_mutant_is_caught_by_its_requirement(number: int, points: Path) -> None:
    defect = next(d for d in BANK.defects if d.id == number)
    told, own = caught(number, points)
    assert defect.requirement in told, told
    assert own, "no vector with the defect's own flag shows it"
    for text in told.values():
        assert text.render("zh") != text and not english_in(text.render("zh"))
    # What else it breaks is known: a hash with another byte order is wrong everywhere.
    assert sorted(set(told) - {defect.requirement}) == TABLE[number].get("also", [])
