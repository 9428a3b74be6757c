"""Functions for a CPU of x86-64's that no condition keeps from a platform: GCC decides, and without one they are open."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.c import gcc
from tests.advise.c.test_survey import survey
from tests.advise.c.trees import ARM, LOONG, X86, tree_of

pytestmark = pytest.mark.tools

_BAD = {
    "an attribute": ('\n__attribute__((target("avx2"))) int f(void) { return 1; }\n', 2),
    "with underscores": ('\n\n__attribute__((__target__("sse4.2,popcnt"))) int f(void) { return 1; }\n', 3),
    "of C++'s form": ('[[gnu::target("arch=haswell")]] int f(void) { return 1; }\n', 1),
    "a pragma": ('\n#pragma GCC target("avx2,fma")\nint f(void) { return 1; }\n', 2),
    "an operator": ('_Pragma("GCC target(\\"avx\\")")\nint f(void) { return 1; }\n', 1),
    "a macro": ('#define FAST __attribute__((target("bmi2")))\n\nFAST int f(void) { return 1; }\n', 3),
}
_GOOD = {
    "below its condition": '#ifdef __x86_64__\n#pragma GCC target("avx2")\n#endif\nint f(void) { return 1; }\n',
    "a macro that is not used": '#define FAST __attribute__((target("avx2")))\nint f(void) { return 1; }\n',
    "the platform's own": '__attribute__((target("general-regs-only"))) int f(void) { return 1; }\n',
    "a function of that name": 'int target(const char *);\nint f(void) { return target("avx2"); }\n',
    "in a text": 'const char *t = "__attribute__((target(\\"avx2\\")))";\n',
    "another pragma": '#pragma GCC optimize("O3")\nint f(void) { return 1; }\n',
}


@pytest.fixture(autouse=True)
def no_gcc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcc, "gnu_compiler", lambda _architecture: None)


@pytest.mark.parametrize(("text", "line"), _BAD.values(), ids=_BAD)
def test_what_is_for_a_cpu_of_x86(tmp_path: Path, text: str, line: int) -> None:
    told, said = survey(tree_of(tmp_path / "tree", {"a.c": text}), tmp_path, ARM, LOONG, X86)
    assert told.pop(X86) == [] and told[ARM] == [("XC-ADV-001", "undecided", f"a.c:{line}")]
    # Where clang says it itself, a macro's own text is the place.
    assert told[LOONG] == [("XC-ADV-001", "undecided", f"a.c:{line if '#define' not in text else 1}")]
    assert all(part.whole for parts in said.parts.values() for part in parts)


@pytest.mark.parametrize("text", _GOOD.values(), ids=_GOOD)
def test_its_twins(tmp_path: Path, text: str) -> None:
    told, _said = survey(tree_of(tmp_path / "tree", {"a.c": text}), tmp_path, ARM)
    assert told == {ARM: []}


def test_a_header_of_several_units_is_told_once(tmp_path: Path) -> None:
    files = {f"{n}.c": f'#include "fast.h"\nint f{n}(void) {{ return fast(); }}\n' for n in range(3)}
    files["fast.h"] = '__attribute__((target("avx2"))) static inline int fast(void) { return 1; }\n'
    told, _said = survey(tree_of(tmp_path / "tree", files), tmp_path, ARM)
    assert told == {ARM: [("XC-ADV-001", "undecided", "fast.h:1")]}
