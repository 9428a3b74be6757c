"""Every rule's witness in C++, compiled and compared."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.ccases import compiler
from pytest_xinchuang.packages.sdk_ast.rules import Rule
from tests.packages.sdk_ast.cpp.pairs import RULES, diff

pytestmark = pytest.mark.tools

OWN = [rule for rule in RULES.by_id.values() if rule.id.startswith("CPP-")]
WITNESSED = [rule for rule in OWN if rule.witness]
SHOWN_ELSEWHERE = {
    "CPP-USING-REMOVED", "CPP-CONSTEVAL-ADDED", "CPP-CONSTRAINT-CHANGED", "CPP-CONSTRAINT-REMOVED", "CPP-CONCEPT-CHANGED",
    "CPP-STANDARD-RAISED", "CPP-STRING-ABI-CHANGED", "CPP-UNVERIFIABLE", "CPP-UNEXPLAINED",
}  # fmt: skip
"""They take another standard, a library, or what is not there: test_reading and the cases show them."""


def compiles(directory: Path, header: str, client: str) -> bool:
    """Whether a client of a header compiles as C++17."""
    directory.mkdir()
    (directory / "lib.hpp").write_text(header + "\n")
    (directory / "client.cc").write_text(f'#include "lib.hpp"\n{client}\n')
    argv = [*compiler(cxx=True), "-std=c++17", "-fsyntax-only", "-I.", "client.cc"]
    return subprocess.run(argv, cwd=directory, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("rule", WITNESSED, ids=lambda r: r.id)
def test_a_rules_witness(tmp_path: Path, rule: Rule) -> None:
    witness = rule.witness
    assert witness is not None
    assert compiles(tmp_path / "a", witness.old, witness.client)
    assert compiles(tmp_path / "b", witness.new, witness.client) is not witness.breaks
    found = diff(tmp_path, {"lib.hpp": witness.old}, {"lib.hpp": witness.new})
    assert rule.id in {one.rule.id for one in found.changes}
    assert not witness.breaks or found.breaking
    if not rule.breaking:
        assert not witness.breaks


def test_every_rule_has_a_witness_or_is_shown_elsewhere() -> None:
    assert {rule.id for rule in OWN if rule.witness is None} == SHOWN_ELSEWHERE
