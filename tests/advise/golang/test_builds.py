"""What the go command prints, as it is read."""

from __future__ import annotations

import json

from pytest_xinchuang.advise.golang.builds import GoProblem, built_of, problems_in
from pytest_xinchuang.advise.golang.packages import listing_of


def _events(*events: tuple[str, str, str]) -> str:
    return "\n".join(json.dumps({"ImportPath": p, "Action": a, "Output": o}) for p, a, o in events)


def test_a_package_fails_when_the_go_command_says_so() -> None:
    text = _events(
        ("m/a", "build-output", "# m/a\n"),
        ("m/a", "build-output", "./a.go:2:33: undefined: sum [go.dev/e/UndeclaredName]\n"),
        ("m/a", "build-fail", ""),
        ("m/b", "build-output", "b.c:1:2: warning: unused\n"),
    )
    built = built_of(f'{text}\nno JSON\n[1]\n"x"\n{{"Action": "build-fail"}}')
    assert built.failed == {"m/a": "# m/a\n./a.go:2:33: undefined: sum [go.dev/e/UndeclaredName]\n"}


def test_an_error_of_the_compiler_has_its_kind() -> None:
    assert problems_in("# m\n./a.go:2:33: undefined: sum [go.dev/e/UndeclaredName]\n\t./b.go:1:1: other\n") == [
        GoProblem("undefined: sum", "./a.go", 2, 33, "UndeclaredName")
    ]
    assert problems_in('a_amd64.s:3: unrecognized instruction "ADCX"\n') == [
        GoProblem('unrecognized instruction "ADCX"', "a_amd64.s", 3)
    ]


def test_an_error_in_a_header_has_the_place_of_its_include() -> None:
    text = "In file included from cg/c.go:2:\nIn file included from /z/immintrin.h:19:\n/z/mmintrin.h:14:2: error: no\n"
    assert problems_in(text) == [GoProblem("no", "/z/mmintrin.h", 14, 2, of_c=True, included=("cg/c.go", 2))]


def test_a_warning_is_no_error_and_what_has_no_place_is_told() -> None:
    assert problems_in("x.c:1:2: warning: unused\nx.c:3:4: fatal error: 'y.h' file not found\n") == [
        GoProblem("'y.h' file not found", "x.c", 3, 4, of_c=True)
    ]
    text = "# m\nmain.main: relocation target m.f not defined\n"
    assert problems_in(text) == [GoProblem("main.main: relocation target m.f not defined")]


def test_a_listing_knows_what_is_left_out() -> None:
    one = {
        "ImportPath": "m",
        "Dir": "/t",
        "IgnoredGoFiles": ["x_amd64.go"],
        "Error": {"Err": "none", "Pos": "a.go:1:2"},
    }
    other = {"ImportPath": "n", "GoFiles": ["a.go"], "CgoFiles": ["c.go"], "Match": ["./..."], "Name": "main"}
    listing = listing_of(json.dumps(one) + "\n" + json.dumps(other))
    assert listing["m"].excluded and not listing["m"].matched
    assert listing["n"].files == ("a.go", "c.go") and listing["n"].is_main and listing["n"].matched
    assert listing_of("no JSON") == {}
