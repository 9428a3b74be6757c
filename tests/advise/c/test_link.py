"""Symbols that a platform's code needs, and what defines them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.c.libc_symbols import LibcSymbols
from pytest_xinchuang.advise.triple import Triple, triple_of
from tests.advise.c.comparing import surveyed, told
from tests.advise.c.test_hollow import both
from tests.advise.c.trees import ARM, LOONG, X86, platforms

_SUM_S = ".text\n.globl sum_fast\nsum_fast:\n  lea (%rdi,%rsi), %rax\n  ret\n"
_MAIN = "long sum_fast(long, long);\nint main(int argc, char **argv) {\n  (void)argv;\n  return (int)sum_fast(argc, 2);\n}\n"


@pytest.mark.tools
def test_assembler_of_x86_alone_that_is_needed(tmp_path: Path) -> None:
    said = surveyed(tmp_path, {"sum.S": _SUM_S, "main.c": _MAIN})
    assert told(said) == both("XC-ADV-025", "certain", "main.c:4")
    assert all(f.params["definers"] == "sum.S" for f in said.findings)


@pytest.mark.tools
def test_its_twin_with_a_body_for_other_machines(tmp_path: Path) -> None:
    other = "#ifndef __x86_64__\nlong sum_fast(long a, long b) { return a + b; }\n#endif\n"
    assert told(surveyed(tmp_path, {"sum.S": _SUM_S, "main.c": _MAIN, "other.c": other})) == set()


@pytest.mark.tools
def test_its_twin_that_needs_it_for_x86_alone(tmp_path: Path) -> None:
    main = "#ifdef __x86_64__\n" + _MAIN + "#else\nint main(void) { return 3; }\n#endif\n"
    assert told(surveyed(tmp_path, {"sum.S": _SUM_S, "main.c": main})) == set()


@pytest.mark.tools
def test_a_body_that_stands_behind_a_condition(tmp_path: Path) -> None:
    body = "#ifdef __x86_64__\nlong sum_fast(long a, long b) { return a + b; }\n#endif\nint x;\n"
    assert told(surveyed(tmp_path, {"sum.c": body, "main.c": _MAIN})) == both("XC-ADV-025", "certain", "main.c:4")


@pytest.mark.tools
def test_an_arm_that_calls_what_is_nowhere(tmp_path: Path) -> None:
    main = """\
long sum_neon(long);
int main(int n, char **v) {
  (void)v;
#ifdef __aarch64__
  return (int)sum_neon(n);
#endif
  return n;
}
"""
    assert told(surveyed(tmp_path, {"main.c": main})) == {(ARM, "XC-ADV-026", "certain", "main.c:5")}


@pytest.mark.tools
def test_a_unit_that_does_not_compile_is_not_told_again_for_each_of_its_functions(tmp_path: Path) -> None:
    body = "#include <immintrin.h>\nlong sum_fast(long a, long b) { return a + b; }\nlong more(void) { return 1; }\n"
    main = _MAIN.replace("return (int)sum", "extern long more(void); return (int)more() + (int)sum")
    assert told(surveyed(tmp_path, {"sum.c": body, "main.c": main})) == set()
    (tmp_path / "x86").mkdir()
    said = surveyed(tmp_path / "x86", {"sum_avx2.c": body, "main.c": main})
    assert told(said) == both("XC-ADV-025", "certain", "main.c:4")
    assert said.findings[0].params["symbol"] == "more, sum_fast"


@pytest.mark.tools
def test_a_source_that_is_no_unit_may_define_it(tmp_path: Path) -> None:
    files = {"sum.S": _SUM_S, "main.c": _MAIN, "arm/sum.S": ".globl sum_fast\nsum_fast:\n  add x0, x0, x1\n  ret\n"}
    said = surveyed(tmp_path, files, leave=("arm/sum.S",))
    assert told(said) == both("XC-ADV-025", "guarded?", "main.c:4")
    assert all("arm/sum.S" in f.params["named"] for f in said.findings)


@pytest.mark.tools
def test_what_is_weak_or_dead_or_of_the_library_is_not_needed(tmp_path: Path) -> None:
    main = """\
#include <math.h>
#include <stdlib.h>
long there(long) __attribute__((weak));
long never(long);
int main(int n, char **v) {
  (void)v;
#ifndef __x86_64__
  if (there) n = (int)there(n);
  if (sizeof(void *) == 4) n = (int)never(n);
  n += (int)cbrt(n);
  return atexit(0) + n;
#endif
  return n;
}
"""
    assert told(surveyed(tmp_path, {"main.c": main})) == set()


@pytest.mark.tools
def test_a_library_of_others_is_missing_on_both_sides(tmp_path: Path) -> None:
    main = "int BN_one(void);\nint main(void) { return BN_one(); }\n"
    assert told(surveyed(tmp_path, {"main.c": main})) == set()


@pytest.mark.tools
def test_a_function_of_a_newer_glibc(tmp_path: Path) -> None:
    main = "unsigned arc4random(void);\nint main(void) {\n  return (int)arc4random();\n}\n"
    place = ("XC-ADV-027", "certain", "main.c:3")
    (libc,) = {triple_of(p).libc_version for p in platforms(ARM)}
    assert tuple(map(int, libc.split("."))) < (2, 36)
    assert told(surveyed(tmp_path, {"main.c": main}, ARM)) == {(ARM, *place)}
    assert told(surveyed(tmp_path, {"main.c": main.replace("arc4random", "rand")}, ARM)) == set()
    assert told(surveyed(tmp_path, {"main.c": main}, X86)) == {(X86, *place)}


def _abilists(root: Path) -> Path:
    """A list with one library, two versions and two targets."""
    place = root / "libc/glibc"
    place.mkdir(parents=True)
    head = (
        bytes([1])
        + b"c\0"
        + bytes([2, 2, 17, 0, 2, 36, 0])
        + bytes([2])
        + b"aarch64-linux-gnu\0loongarch64-linux-gnu\0"
    )
    functions = (
        bytes([3, 0]) + b"old\0" + bytes([1, 0, 0x80]) + bytes([2, 0x80, 0x81]) + b"new\0" + bytes([3, 0x80, 0x81])
    )
    objects = bytes([1, 0]) + b"environ\0" + bytes([1, 8, 0x80, 0x80])
    (place / "abilists").write_bytes(head + functions + objects)
    return root


@pytest.mark.unit
def test_the_list_of_zig(tmp_path: Path) -> None:
    symbols = LibcSymbols(_abilists(tmp_path))
    arm, loong = (triple_of(p) for p in platforms(ARM, LOONG))
    old = Triple(arm.arch, arm.architecture, "glibc", "2.28")
    assert {"old", "environ", "atexit"} <= (symbols.of(old) or set()) and "new" not in (symbols.of(old) or set())
    assert "new" in (symbols.of(Triple(arm.arch, arm.architecture, "glibc", "2.38")) or set())
    # The first glibc of LoongArch that upstream has stands for the older ones of its distributions.
    assert {"old", "new"} <= (symbols.of(Triple(loong.arch, loong.architecture, "glibc", "2.28")) or set())
    assert symbols.of(Triple(arm.arch, arm.architecture, "musl", "")) is None
