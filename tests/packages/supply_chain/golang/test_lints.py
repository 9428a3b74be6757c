"""Uses are found by the identity of objects: aliased, as a value, by a dot import; and nothing of the same name is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.packages.supply_chain.golang.lints import Allowances, lint
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.trees import tree

pytestmark = pytest.mark.tools

FILES: dict[str, str | bytes] = {
    "a.go": """package m

import (
	h "net/http"
	"time"
)

type T struct{}

func (T) Fetch() { fetch() }

func fetch() { h.Get("http://127.0.0.1") }

var client = h.DefaultClient

func unused() { _ = time.Now() }
""",
    "b.go": """package m

import . "time"

func Stamp() Time { f := Now; return f() }
""",
    "c.go": """package m

import "net/http"

type clock struct{}

func (clock) Now() int { return 1 }

func Shadowed() int {
	var time clock
	return time.Now()
}

func Own() *http.Client { return &http.Client{} }

func Get() {}

func Again() { Get() }
""",
    "clock/clock.go": 'package clock\n\nimport "time"\n\nfunc Checked() time.Time { return time.Now() }\n',
}


def test_four_of_four_planted_uses_and_no_shadow(tmp_path: Path) -> None:
    found = lint(Cache(), tree(tmp_path / "m", FILES), allow=Allowances(clock=("example.com/m/clock.*",)))
    assert [(f.code, f.object, f.params["used"], f.certainty) for f in found] == [
        ("XC-SUP-060", "a.go:12", "net/http.Get", Certainty.CERTAIN),
        ("XC-SUP-060", "a.go:14", "net/http.DefaultClient", Certainty.CERTAIN),
        ("XC-SUP-061", "a.go:16", "time.Now", Certainty.NOTE),
        ("XC-SUP-061", "b.go:5", "time.Now", Certainty.CERTAIN),
    ]
    ways = {f.object: f.params["way"] for f in found}
    assert ways["a.go:12"] == "(example.com/m.T).Fetch > example.com/m.fetch"
    assert ways["a.go:16"] == "-"  # nobody outside reaches it
    assert ways["b.go:5"] == "example.com/m.Stamp"


def test_a_declared_clock_is_the_only_one_that_may(tmp_path: Path) -> None:
    found = lint(Cache(), tree(tmp_path / "m", FILES))
    assert "clock/clock.go:5" in [f.object for f in found]


def test_a_source_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    found = lint(Cache(), tree(tmp_path / "m", {"a.go": "package m\n\nfunc F( {\n"}))
    assert {(f.code, f.certainty) for f in found} == {("XC-SUP-069", Certainty.UNDECIDED)}
