"""What clang prints, as diagnostics."""

from __future__ import annotations

from pytest_xinchuang.advise.c.diagnostics import Place
from pytest_xinchuang.advise.c.said import diagnostics_in

SAID = """\
In file included from /t/a.c:3:
In file included from /t/x.h:1:
/lib/immintrin.h:14:2: error: "only for x86"
/lib/immintrin.h:20:5: error: two
/t/a.c:9:3: error: three
/t/x.h:7:9: note: expanded from macro 'RELAX'
/t/a.c:10:3: warning: comparison is always false [-Wtautological-constant-out-of-range-compare]
zig: error: unsupported argument 'haswell' to option '-march='
2 warnings and 3 errors generated.
"""


def test_places_and_how_the_compiler_came_there() -> None:
    first, second, third, fourth, last = diagnostics_in(SAID, "/t/a.c", lambda path: path.removeprefix("/t/"))
    assert first.place == Place("/lib/immintrin.h", 14, 2) and first.stops
    assert first.included == second.included == (Place("a.c", 3), Place("x.h", 1))
    assert third.included == () and third.notes == (Place("x.h", 7, 9),) and third.text == "three"
    assert fourth.severity == "warning" and not fourth.stops
    assert (
        fourth.option == "-Wtautological-constant-out-of-range-compare" and fourth.text == "comparison is always false"
    )
    assert last.stops and last.place == Place("")


def test_what_a_source_says_in_gb18030_is_read() -> None:
    said = "/t/a.c:2:2: error: <B2><BB>֧<B3>ִ˴<A6><C0><ED><C6><F7>\n/t/a.c:3:2: error: <AB> and <FF>\n/t/a.c:4:2: error: é <b>\n"
    first, second, third = (d.text for d in diagnostics_in(said, "/t/a.c", str))
    assert (first, second, third) == ("不支持此处理器", "<AB> and <FF>", "é <b>")


def test_what_has_no_such_shape_is_nothing() -> None:
    assert diagnostics_in("1 error generated.\n\n  int x;\n", "/t/a.c", str) == ()
    assert [d.place for d in diagnostics_in("/t/a:1:2: b.c:3:4: error: x\n", "/t/a.c", str)] == [
        Place("/t/a:1:2: b.c", 3, 4)
    ]
