"""Each broken bridge is caught by the requirement that is named for it, and by no unrelated one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.needs import InOrder
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.subject import Subject
from pytest_xinchuang.core.verdict import Verdict
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.packages.syscall_bridge.engine import SyscallEngine
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder
from tests.messages.english import english_in

CAUGHT_BY: dict[str, dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "caught_by.yaml").read_text())
PLATFORM = "phytium"

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]


def prepare(name: str, place: Path) -> Subject:
    """The reference bridge with one thing broken."""
    mutant = CAUGHT_BY[name]
    shutil.copytree(resources.fixtures_dir() / "bridge", place)
    source = place / "c" / mutant["in"]
    text = source.read_text()
    assert text.count(mutant["find"]) >= 1, f"{name}: the reference bridge has no such text any more"
    source.write_text(text.replace(mutant["find"], mutant["put"], 1))
    return load_subject(place)


def decisions(
    subject: Subject, platform: str, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> dict[str, Any]:
    engine = SyscallEngine(platforms.get(platform), subject, catalogue, pool, Builder(pool.store.cache))
    order = InOrder(catalogue, engine.decision)
    return {r.id: order.decision(r.id) for r in catalogue.of(frozenset({"syscall_bridge"}))}


def test_there_are_enough_of_them() -> None:
    assert len(CAUGHT_BY) >= 25
    assert sum(m.get("platform") == "loongson" for m in CAUGHT_BY.values()) >= 3  # decided by a kernel with 16K pages


def test_every_requirement_that_can_fail_here_has_a_mutant(catalogue: Catalogue) -> None:
    # The quality of clocks is decided on a real machine alone; Go structures have tests of their own.
    ids = {r.id for r in catalogue.of(frozenset({"syscall_bridge"}))} - {"XC-SYS-031", "XC-SYS-012"}
    assert ids == {m["requirement"] for m in CAUGHT_BY.values()}


@pytest.mark.parametrize("name", CAUGHT_BY)
def test_mutant_is_caught_by_its_requirement(
    name: str, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    mutant = CAUGHT_BY[name]
    found = decisions(prepare(name, tmp_path / name), mutant.get("platform", PLATFORM), platforms, catalogue, pool)
    failed = {i: d.reason for i, d in found.items() if d.verdict is Verdict.FAIL}
    assert mutant["requirement"] in failed, failed
    assert set(failed) - {mutant["requirement"]} <= set(mutant.get("also", ())), failed
    assert not [i for i, d in found.items() if d.verdict is Verdict.PASS and not d.evidence]
    told = {text.render("zh") for d in found.values() for text in (d.reason, d.mend)}
    assert not {text: english_in(text) for text in told if english_in(text)}


@pytest.mark.parametrize("name", ["phytium", "loongson", "hygon"])
def test_the_reference_bridge_fails_nothing(name: str, platforms: Platforms, catalogue: Catalogue, pool: Pool) -> None:
    found = decisions(load_subject(resources.fixtures_dir() / "bridge"), name, platforms, catalogue, pool)
    assert not {i: d.reason for i, d in found.items() if d.verdict is Verdict.FAIL}
    undecided = {i for i, d in found.items() if d.verdict is Verdict.INCONCLUSIVE}
    # A stand-in kernel with the platform's pages is there but for 64K.
    assert undecided == ({"XC-SYS-030", "XC-SYS-031"} if name == "phytium" else {"XC-SYS-031"})
