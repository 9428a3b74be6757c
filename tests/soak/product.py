"""The product that is graded while faults are injected: small, quick, and with a grade that is known."""

from __future__ import annotations

from pathlib import Path

REQUIREMENTS = """
schema: xc-requirements/1
version: "1"
requirements:
  - {id: SOAK-001, package: soak, level: L1, title: {zh: 启动, en: it starts}, clause: the manual, min_fidelity: emulated-user,
     mend: {zh: 修, en: mend it}}
  - {id: SOAK-002, package: soak, level: L2, title: {zh: 契约, en: it keeps its word}, clause: the manual,
     min_fidelity: emulated-user, mend: {zh: 修, en: mend it}}
  - {id: SOAK-003, package: soak, level: L3, title: {zh: 行为, en: it behaves}, clause: the manual, min_fidelity: emulated-user,
     mend: {zh: 修, en: mend it}}
"""
CONFTEST = """
import pathlib

def pytest_xc_requirements(config):
    return [pathlib.Path(__file__).with_name("soak.yaml")]
"""
TESTS = """
import pytest

@pytest.mark.xc_requirement("SOAK-001")
@pytest.mark.parametrize("word", ["a", "b", "c", "d"])
def test_it_starts(xc_sandbox, word):
    assert xc_sandbox.run(["echo", word]).stdout == word.encode() + b"\\n"

@pytest.mark.xc_requirement("SOAK-002")
@pytest.mark.parametrize("word", ["a", "b", "WRONG", "d"])
def test_it_keeps_its_word(xc_sandbox, word):
    xc_sandbox.put("/xc/word", word.encode())
    assert xc_sandbox.run(["cat", "/xc/word"]).stdout != b"WRONG", "the product is wrong"

@pytest.mark.xc_requirement("SOAK-003")
@pytest.mark.parametrize("word", ["a", "b"])
def test_it_behaves(xc_sandbox, word):
    assert xc_sandbox.run(["sh", "-c", "sleep 0.1; echo fine"]).stdout == b"fine\\n"
"""
RIGHT = {"SOAK-001": "pass", "SOAK-002": "fail", "SOAK-003": "pass"}
LEVEL = "L1"
"""The grade that an undisturbed run gives: its second level fails."""


def write(directory: Path) -> None:
    """A vendor's repository with the product's requirements and tests."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "soak.yaml").write_text(REQUIREMENTS)
    (directory / "conftest.py").write_text(CONFTEST)
    (directory / "test_product.py").write_text(TESTS)
    (directory / "pytest.ini").write_text("[pytest]\n")
