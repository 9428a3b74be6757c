"""The survey of what code does, beside the one of what compiles."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.engine import advise
from pytest_xinchuang.advise.surveys import all_surveys
from pytest_xinchuang.core.advice import Standing
from tests.advise.c.trees import ARM, LOONG, X86, tree_of, work_of

_TICK = """\
unsigned long ticks(void) {
#ifdef __x86_64__
  return __builtin_ia32_rdtsc();
#endif
  return 0;
}
"""


@pytest.mark.tools
def test_what_compiles_everywhere_and_does_nothing_is_wrong_there(tmp_path: Path) -> None:
    work = work_of(tmp_path, ARM, LOONG, X86)
    arm, loong, x86 = advise(tree_of(tmp_path / "bad", {"tick.c": _TICK}), work, all_surveys())
    assert [(f.code, f.object) for f in arm.findings] == [("XC-ADV-020", "tick.c:1")]
    assert (arm.standing, loong.standing, x86.standing) == (Standing.WRONG, Standing.WRONG, Standing.BUILDS)


@pytest.mark.tools
def test_its_twin_builds_on_each(tmp_path: Path) -> None:
    good = _TICK.replace("#endif\n  return 0;", "#else\n  return __builtin_readcyclecounter();\n#endif")
    said = advise(tree_of(tmp_path / "good", {"tick.c": good}), work_of(tmp_path), all_surveys())
    assert [a.standing for a in said] == [Standing.BUILDS, Standing.BUILDS]
    assert all(part.whole for a in said for part in a.parts)
