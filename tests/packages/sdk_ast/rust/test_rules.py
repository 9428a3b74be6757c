"""Every rule's witness: compiled by rustc with both versions, and compared."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.sdk_ast.rust.tool import find_cargo
from pytest_xinchuang.tools.process import Runner
from tests.packages.sdk_ast.rust.crates import RULES, compared, crate, needs_rust
from tests.packages.sdk_ast.trees import rules_of

pytestmark = [pytest.mark.tools, pytest.mark.slow, needs_rust]

SHIPPED = resources.conformance_dir() / "sdk_ast" / "rules" / "rust"
WITNESSED = [rule.id for rule in RULES.by_id.values() if rule.id.startswith("RUST-") and rule.breaks is not None]


def refused(directory: Path, side: str) -> str:
    """Why the client does not compile with a version; empty: it does."""
    compiler = [str(find_cargo(Runner()).root / "bin" / "rustc"), "--edition", "2021", "--crate-type", "lib"]
    library = directory / f"liblib-{side}.rmeta"
    words = ["--crate-name", "lib", "--emit", "metadata", "-Awarnings", "-o", str(library), f"{side}/src/lib.rs"]
    subprocess.run([*compiler, *words], cwd=directory, check=True, capture_output=True)
    words = ["--emit", "metadata", "-o", "client.rmeta", "--extern", f"lib={library}", "client.rs"]
    done = subprocess.run([*compiler, *words], cwd=directory, check=False, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


@pytest.mark.parametrize("rule_id", WITNESSED)
def test_a_rules_witness(rule_id: str, tmp_path: Path) -> None:
    rule = RULES.get(rule_id)
    shutil.copytree(SHIPPED / rule_id, tmp_path, dirs_exist_ok=True)
    for side in ("old", "new"):
        crate(tmp_path / side, {})
    assert not refused(tmp_path, "old")
    assert bool(refused(tmp_path, "new")) is rule.breaks
    found = compared(tmp_path)
    assert not found.unjudged
    assert rule_id in rules_of(found)
    assert "RUST-UNEXPLAINED" not in rules_of(found)
    assert found.breaking is rule.breaks


def test_every_rule_has_a_witness_or_says_where_it_is_shown() -> None:
    for rule in RULES.by_id.values():
        if rule.id.startswith("RUST-") and rule.breaks is None:
            assert "\n# " in (SHIPPED / rule.id / "rule.yaml").read_text()
