from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.requirement import Catalogue, load_catalogue
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict

SHIPPED = resources.conformance_dir() / "requirements.yaml"


def test_every_requirement_has_a_check_that_is_marked_with_it(catalogue: Catalogue) -> None:
    text = "".join(p.read_text() for p in resources.conformance_dir().rglob("test_*.py"))
    for requirement in catalogue.requirements:
        assert text.count(f'"{requirement.id}"') == 1, requirement.id


def test_every_level_has_requirements(catalogue: Catalogue) -> None:
    assert {r.level for r in catalogue.requirements} == {"L1", "L2", "L3", "L4"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("id: XC-MRU-001", "id: XC-MRU-004"), "already defined"),
        (("needs: [XC-MRU-004]", "needs: [XC-MRU-999]"), "not a requirement that stands before"),
        (("level: L1", "level: L9"), "found 'L9'"),
        (("min_fidelity: static", "min_fidelity: paper"), "found 'paper'"),
        (("id: XC-MRU-001", "id: mru"), "found 'mru'"),
    ],
)
def test_a_wrong_catalogue_is_told_by_line(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    path = tmp_path / "requirements.yaml"
    path.write_text(SHIPPED.read_text().replace(*change))
    with pytest.raises(DataFileError, match=expected):
        load_catalogue(path)


def test_the_digest_follows_what_is_demanded(tmp_path: Path, catalogue: Catalogue) -> None:
    path = tmp_path / "requirements.yaml"
    path.write_text(SHIPPED.read_text().replace("level: L3", "level: L2", 1))
    assert load_catalogue(path).digest != catalogue.digest


def test_a_decision_without_evidence_cannot_be_a_pass() -> None:
    with pytest.raises(ValueError, match="without evidence"):
        Decision(Verdict.PASS)


def test_a_decision_that_is_no_pass_has_a_reason() -> None:
    with pytest.raises(ValueError, match="needs a reason"):
        Decision(Verdict.FAIL, Cause.SUBJECT)


def test_fidelities_are_ordered() -> None:
    assert Fidelity.STATIC < Fidelity.EMULATED_USER < Fidelity.EMULATED_SYSTEM < Fidelity.NATIVE
    assert max(Fidelity) is Fidelity.NATIVE
    assert Fidelity.EMULATED_USER > Fidelity.STATIC
    assert Fidelity.NATIVE >= Fidelity.STATIC
    assert Fidelity.parse("real") is Fidelity.STATIC
