"""What stands at a place of a source."""

from __future__ import annotations

import pytest

from pytest_xinchuang.advise.c.machines import header_of, machines_of
from pytest_xinchuang.advise.c.sources import Text
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Arch, load_platforms

TEXT = Text(
    """\
#if defined(HAVE_A) && \\
    defined(HAVE_B) /* HAVE_C */
#  include <a.h>
#elif HAVE_D
# error "no"
#else
int x;
#endif
#ifdef Z
#endif
#define RELAX(x) do { \\
    __asm__("pause"); (void)(x); \\
} while (0)
int é = foo(bar);
static_assert(sizeof(long) == 4,
    "x");
"""
)


def test_directives() -> None:
    assert TEXT.included(3) == "a.h" and not TEXT.included(4) and TEXT.includes(3)
    assert TEXT.is_error(5) and not TEXT.is_error(4)
    macro = TEXT.macro(12)
    assert macro and (macro.name, macro.line) == ("RELAX", 11) and TEXT.macro(14) is None
    assert TEXT.in_assembly(12) and TEXT.in_assembly(11) and not TEXT.in_assembly(14)
    assert TEXT.in_assertion(15) and TEXT.in_assertion(16) and not TEXT.in_assertion(14)
    assert TEXT.defines() == {"RELAX"}


def test_conditions_are_those_around_a_line() -> None:
    assert TEXT.conditions(3) == {"HAVE_A", "HAVE_B"}
    assert TEXT.conditions(7) == {"HAVE_A", "HAVE_B", "HAVE_D"}
    assert TEXT.conditions(14) == frozenset()
    assert Text("#endif\n#else\n#if A\nx").conditions(4) == {"A"}


def test_columns_count_bytes() -> None:
    assert TEXT.name_at(14, 10) == "foo" and TEXT.name_at(14, 14) == "bar"
    assert TEXT.name_at(14, 99) == TEXT.name_at(99, 1) == TEXT.line(0) == ""


@pytest.mark.parametrize(
    ("path", "machines"),
    [
        ("src/x86/a.c", {"amd64"}),
        ("crc32_sse42.c", {"amd64"}),
        ("xxh_x86dispatch.c", {"amd64"}),
        ("asm-x86_64.S", {"amd64"}),
        ("arch/arm64/crc.c", {"arm64"}),
        ("row_neon64.cc", {"arm64"}),
        ("row_lsx.cc", {"loong64"}),
        ("loongarch/a.c", {"loong64"}),
        ("powerpc/a.c", {"other"}),
        ("src/power_management.c", set()),
        ("farm/alarm.c", set()),
        ("asset.c", set()),
        ("session.c", set()),
    ],
)
def test_machines_by_names(path: str, machines: set[str]) -> None:
    known = load_platforms(resources.platforms_file()).file.architectures
    assert machines_of(path, dict(known)) == machines


def test_the_compilers_own_headers() -> None:
    assert header_of("immintrin.h") is header_of("cpuid.h") is Arch.AMD64
    assert header_of("arm_neon.h") is Arch.ARM64 and header_of("lsxintrin.h") is Arch.LOONG64
    assert header_of("stdio.h") is None
