"""What cannot be read: it is named with file and line, the rest is kept, and the verdict knows of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from tests.packages.sdk_ast.test_snapshot import FILES
from tests.packages.sdk_ast.trees import diff, read, rules_of, tree

pytestmark = pytest.mark.tools

GOOD = "package m\n\nfunc Good() {}\n"


def told(directory: Path, files: dict[str, Any]) -> str:
    snapshot = read(tree(directory / "m", files))
    return "\n".join(map(str, snapshot.problems))


def test_a_syntax_error_in_one_file(tmp_path: Path) -> None:
    bad = {"a.go": GOOD, "b.go": "package m\n\nfunc Lost(\n\nfunc Also() {}\n"}
    text = told(tmp_path, bad)
    assert "b.go:" in text and "syntax error" in text
    comparison = diff(tmp_path / "d", {"a.go": GOOD, "b.go": "package m\n\nfunc Lost() {}\nfunc Also() {}\n"}, bad)
    assert set(rules_of(comparison, "undecided").get("GO-FUNC-REMOVED", [])) <= {"Lost", "Also"}
    assert "Good" not in str(rules_of(comparison))
    assert comparison.undecided and not comparison.breaking


def test_a_baseline_that_could_not_be_read_whole_is_never_kept(tmp_path: Path) -> None:
    """What is lost of the old side cannot be missed in the new one: that is no pass."""
    comparison = diff(tmp_path, {"a.go": GOOD, "b.go": "package m\n\nfunc (\n"}, {"a.go": GOOD})
    assert rules_of(comparison, "undecided") == {"GO-UNVERIFIABLE": ["."]}


def test_a_method_in_an_unreadable_file_is_not_taken_for_removed(tmp_path: Path) -> None:
    plain = "package m\n\ntype T struct{ a int }\n"
    old = {"a.go": plain, "b.go": "package m\n\nfunc (T) M() {}\n"}
    comparison = diff(tmp_path, old, {"a.go": plain, "b.go": "package m\n\nfunc (T) M( {}\n"})
    assert not comparison.breaking
    assert comparison.undecided or not comparison.changes


def test_an_import_cycle(tmp_path: Path) -> None:
    files = {
        "a/a.go": 'package a\n\nimport "example.com/m/b"\n\ntype A struct{ B *b.B }\n',
        "b/b.go": 'package b\n\nimport "example.com/m/a"\n\ntype B struct{ A *a.A }\n',
        "c/c.go": "package c\n\nfunc C() {}\n",
    }
    snapshot = read(tree(tmp_path / "m", files))
    assert any("import cycle" in str(p) for p in snapshot.problems)
    assert "C" in snapshot.packages["example.com/m/c"][0].symbols


def test_a_generated_file_of_200_megabytes(tmp_path: Path) -> None:
    row = b"var _ = [...]string{" + b'"' + b"x" * 1000 + b'"' + b"}\n"
    big = b"package m\n\n" + row * (200 * 1024 * 1024 // len(row))
    text = told(tmp_path, {"a.go": GOOD, "big.go": big})
    assert "big.go: has 19" in text or "big.go: has 200 MiB" in text
    (tmp_path / "m" / "big.go").unlink()


def test_a_large_file_of_bodies_and_comments_is_read(tmp_path: Path) -> None:
    big = (
        b"package m\n\n" + b"// a line of comment\n" * 2_000_000 + b"func Big() {\n" + b"\t_ = 1\n" * 1_000_000 + b"}\n"
    )
    snapshot = read(tree(tmp_path / "m", {"big.go": big}))
    assert not snapshot.problems
    assert "Big" in snapshot.packages["example.com/m"][0].symbols


def test_a_missing_module(tmp_path: Path) -> None:
    text = told(tmp_path, {"a.go": 'package m\n\nimport "example.org/none"\n\nfunc F(none.T) {}\n'})
    assert "imports example.org/none: no required module provides it" in text


def test_what_is_no_module(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.go").write_text(GOOD)
    snapshot = read(tmp_path / "plain")
    assert snapshot.header.name == "plain"
    assert "go.mod: there is none" in str(snapshot.problems[0])
    empty = tmp_path / "empty"
    empty.mkdir()
    with Sources(Cache(), ReadOptions(offline=True)) as sources, pytest.raises(XcError, match="no Go file"):
        sources.read(str(empty))


def test_binary_files_and_odd_names(tmp_path: Path) -> None:
    files = {"a.go": GOOD, "b.go": b"package m\n\x00\x01", "data.bin": b"\x00" * 100, "c.go": b"\xff\xfe broken"}
    text = told(tmp_path, files)
    assert "b.go:2: is a binary file" in text
    assert "c.go:1: syntax error" in text


def test_symbolic_links_that_loop(tmp_path: Path) -> None:
    root = tree(tmp_path / "m", {"a.go": GOOD})
    (root / "loop").symlink_to(root)
    (root / "self.go").symlink_to("self.go")
    snapshot = read(root)
    assert list(snapshot.packages) == ["example.com/m"]
    assert any("self.go" in str(p) for p in snapshot.problems)


def test_a_module_of_a_newer_go(tmp_path: Path) -> None:
    text = told(tmp_path, {"go.mod": "module example.com/m\n\ngo 1.99\n", "a.go": GOOD})
    assert "go.mod: declares go 1.99, newer than the Go that reads it" in text


def test_files_of_two_packages(tmp_path: Path) -> None:
    text = told(
        tmp_path,
        {
            "a.go": GOOD,
            "b.go": "package m\n",
            "c.go": "package other\n",
            "gen.go": "//go:build ignore\n\npackage main\n",
        },
    )
    assert "c.go:1: is of package other, while the others are of m" in text
    assert "gen.go" not in text


def test_a_type_error_lowers_the_grade_of_its_symbol_alone(tmp_path: Path) -> None:
    files = {"a.go": "package m\n\nfunc Good() {}\n\nvar Bad Nowhere\n"}
    snapshot = read(tree(tmp_path / "m", files))
    assert "a.go:5: undefined: Nowhere" in str(snapshot.problems[0])
    symbols = snapshot.packages["example.com/m"][0].symbols
    assert symbols["Bad"]["grade"] == "stubbed" and "grade" not in symbols["Good"]
    comparison = diff(tmp_path / "d", {"a.go": "package m\n\nfunc Good() {}\n\nvar Bad int\n"}, files)
    assert rules_of(comparison) == {"GO-UNVERIFIABLE": ["Bad"]}


def test_what_names_no_source(tmp_path: Path) -> None:
    with Sources(Cache(), ReadOptions(offline=True), tmp_path) as sources:
        with pytest.raises(XcError, match="is neither a snapshot nor a directory, MODULE@VERSION or git revision"):
            sources.read("nothing-like-this")
        with pytest.raises(XcError, match=r"example\.com/none@v1\.0\.0 cannot be had"):
            sources.read("example.com/none@v1.0.0")


class TestWithoutGo:
    """Declarations by their syntax alone, labelled so: changes are shown, and nothing is decided."""

    @pytest.fixture(autouse=True)
    def _no_go(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(*_: object) -> None:
            raise ToolchainFault(verbatim("Go is not installed"))

        monkeypatch.setattr("pytest_xinchuang.tools.go.find_go", missing)

    def test_it_is_read_by_its_syntax(self, tmp_path: Path) -> None:
        files = {
            **FILES,
            "b/b.go": "package b\n\nfunc F(x, y int, z ...[]string) (a map[string]chan<- int, err error) { return }\n",
        }
        snapshot = read(tree(tmp_path / "m", files))
        assert snapshot.grade == "syntactic" and snapshot.header.toolchain == "tree-sitter"
        symbols = snapshot.packages["example.com/m/b"][0].symbols
        integer = {"kind": "basic", "name": "int"}
        assert symbols["F"]["type"] == {
            "kind": "func",
            "params": [
                integer,
                integer,
                {"kind": "slice", "elem": {"kind": "slice", "elem": {"kind": "basic", "name": "string"}}},
            ],
            "variadic": True,
            "results": [
                {
                    "kind": "map",
                    "key": {"kind": "basic", "name": "string"},
                    "elem": {"kind": "chan", "direction": "send", "elem": integer},
                },
                {"kind": "basic", "name": "error"},
            ],
        }
        t = snapshot.packages["example.com/m/a"][0].symbols["T"]
        assert [m["name"] for m in t["methods"]] == ["M"]
        assert t["type"]["fields"][0] | {"type": None} == {
            "name": "Reader",
            "embedded": True,
            "tag": 'json:"r"',
            "type": None,
        }

    def test_changes_are_shown_and_nothing_is_decided(self, tmp_path: Path) -> None:
        old = {"p.go": "package m\n\nfunc F(int) {}\n\ntype I interface{ A() }\n"}
        comparison = diff(tmp_path, old, {"p.go": "package m\n\nfunc F(string) {}\n\ntype I interface{ A(); B() }\n"})
        found = rules_of(comparison, "undecided")
        assert {"GO-FUNC-PARAM-TYPE-CHANGED", "GO-IFACE-METHOD-ADDED"} <= set(found)
        assert not comparison.breaking
        assert diff(tmp_path / "same", old, old).undecided


def test_a_package_of_which_nothing_could_be_read(tmp_path: Path) -> None:
    comparison = diff(tmp_path, {"x/x.go": "package x\n\nfunc F() {}\n"}, {"x/x.go": b"package x\n\x00"})
    assert comparison.undecided and not comparison.breaking
