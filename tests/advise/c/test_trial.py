"""``--run``: what runs that differ, or are alike, say of a finding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_xinchuang.advise.c.compiler import Compilers
from pytest_xinchuang.advise.c.deeds import Deeds
from pytest_xinchuang.advise.c.trial import Program, Ran, tried
from pytest_xinchuang.advise.c.units import Language, Unit, Units
from pytest_xinchuang.advise.work import Running
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder
from tests.advise.c.comparing import told
from tests.advise.c.trees import ARM, tree_of, work_of

_DOUBT = Finding("XC-ADV-020", Certainty.GUARDED, "tick.c:2", "kunpeng")
_PROGRAM = Program("main.c", ("main.c", "tick.c"), (), frozenset({"tick.c:2"}))


def _judged(
    here: Ran | None,
    finding: Finding = _DOUBT,
    program: Program = _PROGRAM,
    *others: Finding,
    x86: tuple[bytes, ...] = (b"1",),
) -> Finding:
    outputs = list(x86)

    def bench(_program: Program, platform: str, _arguments: tuple[str, ...]) -> Ran | None:
        if platform:
            return here
        outputs.append(outputs.pop(0))
        return Ran(0, outputs[-1])

    findings = [finding, *others]
    return tried(findings, {f.object: program for f in findings}, bench)[0]


def test_runs_that_differ_make_it_certain() -> None:
    found = _judged(Ran(0, b"0"))
    assert found.certainty is Certainty.CERTAIN
    assert found.evidence["x86_64"]["output"] == "1" and found.evidence["here"]["output"] == "0"


def test_where_two_doubts_stand_in_a_program_nobody_knows_which_it_was() -> None:
    found = _judged(Ran(0, b"0"), _DOUBT, _PROGRAM, replace(_DOUBT, object="tick.c:9"))
    assert found.certainty is Certainty.GUARDED and found.evidence["here"]["output"] == "0"


def test_runs_that_are_alike_settle_what_was_surely_run() -> None:
    assert _judged(Ran(0, b"1")).certainty is Certainty.NOTE
    assert _judged(Ran(0, b"1"), _DOUBT, replace(_PROGRAM, reached=frozenset())).certainty is Certainty.GUARDED


def test_what_no_emulator_shows_stays_open() -> None:
    for code in ("XC-ADV-022", "XC-ADV-033", "XC-ADV-034", "XC-ADV-035"):
        assert _judged(Ran(0, b"1"), replace(_DOUBT, code=code)).certainty is Certainty.GUARDED


def test_what_does_not_run_or_is_never_the_same_says_nothing() -> None:
    assert _judged(None) == _DOUBT
    assert _judged(Ran(0, b"1"), x86=(b"1", b"2")) == _DOUBT


@pytest.mark.sandbox
def test_a_program_that_counts_otherwise(tmp_path: Path, pool: Pool) -> None:
    step = """\
#include <stdio.h>
static int step(int n) {
#ifdef __x86_64__
  __asm__("addl $3, %0" : "+r"(n));
#endif
  return n;
}
int (*volatile chosen)(int) = step;
int main(void) {
  printf("%d\\n", chosen(4));
  return 0;
}
"""
    tree, work = tree_of(tmp_path / "tree", {"step.c": step}), work_of(tmp_path, ARM)
    units = Units((Unit("step.c", "", (), Language.C),), verbatim("test"))
    assert told(Deeds(tree, work, Compilers(tree, work), lambda _triple: units).surveyed()) == {
        (ARM, "XC-ADV-020", "guarded?", "step.c:2")
    }
    running = Running(pool, Builder(Cache()))
    ran = replace(work, running=running)
    said = Deeds(tree, ran, Compilers(tree, ran), lambda _triple: units).surveyed()
    assert told(said) == {(ARM, "XC-ADV-020", "certain", "step.c:2")}
    assert said.findings[0].evidence["x86_64"]["output"] == "7\n"
    assert said.findings[0].evidence["here"]["output"] == "4\n"
