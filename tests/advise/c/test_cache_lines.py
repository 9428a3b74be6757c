"""Sizes of cache lines that a tree writes down are told where the platform's are longer, and not where they are dead."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.advise.c.comparing import surveyed, told
from tests.advise.c.trees import ARM

pytestmark = pytest.mark.tools


_SHORT = {
    "a macro": ("#define CACHE_LINE_SIZE 64\n", 1),
    "in brackets": ("\n#define L1_CACHE_BYTES (64U)\n", 2),
    "shifted": ("#define CACHELINE (1 << 6)\n", 1),
    "an enumerator": ("\nenum { kCacheLine = 0x40 };\n", 2),
    "an arm of its own": (
        "#if defined(__aarch64__)\n#define CACHE_LINE 32\n#else\n#define CACHE_LINE 128\n#endif\n",
        2,
    ),
}
_RIGHT = {
    "as long": "#define CACHE_LINE_SIZE 128\n",
    "longer on ARM64": "#ifdef __aarch64__\n#define CACHE_LINE_SIZE 128\n#else\n#define CACHE_LINE_SIZE 64\n#endif\n",
    "no size": "#define CACHE_LINE_SHIFT 6\n#define CACHE_LINES_MOST 100\n",
    "asked for": "long sysconf(int);\n#define CACHE_LINE_SIZE sysconf(190)\n",
    "another word": "#define ALIGNMENT 64\n#define CACHE_SIZE 64\n",
    "in a comment": "/* #define CACHE_LINE_SIZE 64 */\n// CACHE_LINE_SIZE = 64\n",
    "compared": "int cache_line_size;\nint g(void) { return cache_line_size == 64; }\n",
}


@pytest.mark.parametrize(("text", "line"), _SHORT.values(), ids=_SHORT)
def test_a_size_that_is_too_short(tmp_path: Path, text: str, line: int) -> None:
    said = surveyed(
        tmp_path, {"a.c": '#include "size.h"\nint f(void) { return 1; }\n', "inc/size.h": text}, words=("-Iinc",)
    )
    assert told(said, notes=True) == {(ARM, "XC-ADV-038", "note", f"inc/size.h:{line}")}, (
        "Kunpeng's alone: the others' are not known"
    )
    assert said.findings[0].params["line"] == "128"


@pytest.mark.parametrize("text", _RIGHT.values(), ids=_RIGHT)
def test_its_twins(tmp_path: Path, text: str) -> None:
    assert told(surveyed(tmp_path, {"a.c": text + "int f(void) { return 1; }\n"}), notes=True) == set()


def test_cxx(tmp_path: Path) -> None:
    files = {
        "a.cc": "#include <cstddef>\nnamespace n {\nconstexpr std::size_t kCacheLineSize = 64;\n"
        "inline constexpr unsigned false_sharing_range{64u};\n}\nint f() { return n::kCacheLineSize; }\n",
        "b.cc": "struct s { alignas(64) int kept; };\nint g(int cache_line_size = 0) { return cache_line_size; }\n",
    }
    assert {place for _n, _code, _c, place in told(surveyed(tmp_path, files), notes=True)} == {"a.cc:3", "a.cc:4"}


def test_one_header_of_many_units_is_told_once(tmp_path: Path) -> None:
    files = {f"{n}.c": f'#include "line.h"\nint f{n}(void) {{ return CACHE_LINE; }}\n' for n in range(3)}
    said = surveyed(tmp_path, files | {"line.h": "#define CACHE_LINE 64\n"})
    assert [f.object for f in said.findings] == ["line.h:1"]
