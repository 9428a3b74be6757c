"""Each failure of the table is found by the code that is named for it, and its twin that is right is not."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.finding import load_findings
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.porting import PortingRow, load_porting
from pytest_xinchuang.core.requirement import Catalogue
from pytest_xinchuang.core.verdict import Verdict
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.packages.mru.engine import MruEngine
from pytest_xinchuang.packages.registry import load_subject
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder
from tests.mutants.porting import reported  # noqa: F401  its rows add themselves
from tests.mutants.porting.planted import ROWS
from tests.mutants.porting.tools import Planted, Tools

TABLE = {row.number: row for row in load_porting(resources.conformance_dir() / "porting.yaml")}

pytestmark = pytest.mark.sandbox

BY_OTHER_TESTS = {
    49: "tests/sandbox/test_docker.py: a seccomp profile that answers EPERM to clone3",
}


def test_every_failure_that_can_be_found_here_is_planted() -> None:
    found_here = {number for number, row in TABLE.items() if set(row.ways) - {"R"}}
    assert found_here == set(ROWS) | set(BY_OTHER_TESTS)


@pytest.mark.parametrize("number", [n for n, row in TABLE.items() if "R" in row.ways])
def test_what_needs_a_board_says_what_to_run_there(number: int) -> None:
    native = TABLE[number].native
    assert native is not None and len(native.en) > 20 and native.zh


def test_every_code_of_the_table_is_in_the_catalogue(catalogue: Catalogue) -> None:
    findings = load_findings()
    for row in TABLE.values():
        for code in row.codes:
            findings.get(code)
        for requirement in row.requirements:
            assert catalogue.get(requirement) is not None


def prepared(number: int, bad: bool, where: Path, platforms: Platforms, pool: Pool) -> tuple[Planted, PortingRow]:
    if number == 5 and shutil.which("mksquashfs") is None:
        pytest.skip("needs mksquashfs: sudo apt-get install squashfs-tools")
    planted = ROWS[number](Tools(where, platforms, Builder(pool.store.cache)), bad)
    return planted, TABLE[number]


@contextlib.contextmanager
def engine_of(planted: Planted, platforms: Platforms, catalogue: Catalogue, pool: Pool) -> Iterator[MruEngine]:
    """The engine over a planted subject, whose root filesystem has the packages that the manifest asks for."""
    subject = load_subject(planted.path)
    own = pool
    if subject.file.rootfs_packages:
        own = Pool(Store(platforms, pool.store.cache, packages=subject.file.rootfs_packages), "qemu")
    try:
        yield MruEngine(platforms.get(planted.platform), subject, catalogue, own, Builder(pool.store.cache))
    finally:
        if own is not pool:
            own.close()


@pytest.mark.parametrize("number", ROWS)
def test_planted_failure_is_named(
    number: int, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool
) -> None:
    planted, row = prepared(number, True, tmp_path, platforms, pool)
    assert planted.code in row.codes or planted.requirement in row.requirements
    platform = platforms.get(planted.platform)
    if planted.requirement:
        with engine_of(planted, platforms, catalogue, pool) as engine:
            decision = engine.decision(planted.requirement)
        wanted = Verdict.INCONCLUSIVE if planted.certainty == "inconclusive" else Verdict.FAIL
        # What no code names is capped by its fidelity, and says what it needs.
        named = f"[{planted.code}]" if planted.code else "needs a kernel of the platform"
        assert (decision.verdict, named in decision.reason) == (wanted, True), decision
        return
    found = Verdicts(platform, platforms.file.architectures).of(Inspector().read(planted.path))
    mine = [f for f in found if f.code == planted.code]
    assert mine, [(f.code, f.certainty) for f in found]
    if planted.certainty:
        assert planted.certainty in {f.certainty.value for f in mine}
    else:
        assert "note" not in {f.certainty.value for f in mine}


@pytest.mark.parametrize("number", ROWS)
def test_its_twin_passes(number: int, tmp_path: Path, platforms: Platforms, catalogue: Catalogue, pool: Pool) -> None:
    planted, _ = prepared(number, False, tmp_path, platforms, pool)
    platform = platforms.get(planted.platform)
    if planted.requirement:
        with engine_of(planted, platforms, catalogue, pool) as engine:
            decisions = {r.id: engine.decision(r.id) for r in catalogue.of(frozenset({"mru"}))}
        assert not {i: d.reason for i, d in decisions.items() if d.verdict is Verdict.FAIL}
        assert decisions[planted.requirement].verdict is Verdict.PASS, decisions[planted.requirement]
        return
    findings = load_findings()
    found = Verdicts(platform, platforms.file.architectures).of(Inspector().read(planted.path))
    assert planted.code not in {f.code for f in found}
    assert not [findings.text(f) for f in found if findings.fails(f)]
