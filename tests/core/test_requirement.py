from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.requirement import Catalogue, load_catalogue
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.packages.registry import shipped

SHIPPED = resources.conformance_dir() / "mru" / "requirements.yaml"


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
    changed = load_catalogue(*(path if p == SHIPPED else p for p in shipped().requirement_files()))
    assert len(changed.requirements) == len(catalogue.requirements)
    assert changed.digest != catalogue.digest


def test_the_shipped_catalogue_demands_what_it_did(catalogue: Catalogue) -> None:
    """Who changes a requirement changes this line with it: reports of two suites can be compared while it is the same."""
    assert catalogue.digest == "sha256:44d90f9f2dc747e1a891b3127c08a68427f210fdb921f12807dccc3cd1badae2"
    assert catalogue.packages == ("mru", "sm_crypto", "sdk_ast", "supply_chain", "syscall_bridge")


def test_each_package_holds_its_own_requirements() -> None:
    for path in shipped().requirement_files():
        assert {r["package"] for r in YamlFile(path).data["requirements"]} == {path.parent.name}


def test_an_id_of_another_file_is_told_by_both(tmp_path: Path) -> None:
    path = tmp_path / "requirements.yaml"
    path.write_text(SHIPPED.read_text())
    with pytest.raises(DataFileError, match=rf"{path}:\d+: .*XC-MRU-004 is already defined in {SHIPPED}"):
        load_catalogue(*shipped().requirement_files(), path)


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
