"""What concerns whole modules, targets, and facts that are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.packages.sdk_ast.compare import compare, compare_across
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from tests.messages.english import english_in
from tests.packages.sdk_ast.trees import diff, read, rules_of, tree

pytestmark = pytest.mark.tools

ALL = ("linux/amd64", "linux/arm64", "linux/loong64")


def test_a_symbol_that_is_gone_on_one_architecture_alone(tmp_path: Path) -> None:
    plain = {"p.go": "package m\n\nfunc F() {}\n"}
    new = {"p.go": "package m\n", "p_x.go": "//go:build amd64 || arm64\n\npackage m\n\nfunc F() {}\n"}
    comparison = diff(tmp_path, plain, new, targets=ALL)
    (one,) = comparison.changes
    assert (one.rule.id, one.change.targets) == ("GO-FUNC-REMOVED", ("linux/loong64",))


def test_a_package_that_is_gone_on_one_architecture_alone(tmp_path: Path) -> None:
    old = {"x/x.go": "package x\n\nconst C = 1\n"}
    new = {"x/x_amd64.go": "package x\n\nconst C = 1\n"}
    comparison = diff(tmp_path, old, new, targets=ALL)
    assert [(j.rule.id, j.change.targets) for j in comparison.changes] == [
        ("GO-PKG-TARGET-REMOVED", ("linux/arm64", "linux/loong64"))
    ]


def test_across_architectures_finds_what_differs_and_nothing_else(tmp_path: Path) -> None:
    files = {
        "p.go": 'package m\n\nimport "unsafe"\n\nconst Size = unsafe.Sizeof(uintptr(0))\n\ntype T struct{ A int }\n',
        "p_amd64.go": "package m\n\nconst Page = 4096\n",
        "p_arm64.go": "package m\n\nconst Page = 65536\n",
        "p_loong64.go": "package m\n\nconst Page = 16384\n\nfunc Extra() {}\n",
    }
    snapshot = read(tree(tmp_path / "m", files), targets=ALL)
    comparison = compare_across(snapshot, Rules())
    assert rules_of(comparison) == {"GO-CONST-VALUE-CHANGED": ["Page", "Page"], "GO-SYMBOL-ADDED": ["Extra"]}
    assert {j.change.targets for j in comparison.of("breaking")} == {("linux/arm64",), ("linux/loong64",)}


def test_a_package_that_is_the_same_everywhere_is_written_once(tmp_path: Path) -> None:
    snapshot = read(tree(tmp_path / "m", {"p.go": "package m\n\nfunc F() {}\n"}), targets=ALL)
    ((package,),) = snapshot.packages.values()
    assert package.record.targets == ALL


@pytest.mark.parametrize(
    ("requires", "rule"), [("", "GO-PKG-NESTED-MODULE"), ("v0.1.0", "GO-PKG-NESTED-MODULE-REQUIRED")]
)
def test_a_package_that_went_into_a_nested_module(tmp_path: Path, requires: str, rule: str) -> None:
    sub = {"sub/s.go": "package sub\n\nconst S = 1\n"}
    new = {**sub, "sub/go.mod": "module example.com/m/sub\n"}
    if requires:
        new["go.mod"] = f"module example.com/m\n\ngo 1.21\n\nrequire example.com/m/sub {requires}\n"
    comparison = diff(tmp_path, sub, new)
    assert list(rules_of(comparison)) == [rule]
    assert comparison.breaking is not bool(requires)


def test_the_go_directive(tmp_path: Path) -> None:
    comparison = diff(
        tmp_path, {"p.go": "package m\n"}, {"p.go": "package m\n", "go.mod": "module example.com/m\n\ngo 1.23.0\n"}
    )
    assert rules_of(comparison, "fragile") == {"GO-MOD-GO-RAISED": ["go.mod"]}


def test_a_major_version_without_its_suffix(tmp_path: Path) -> None:
    old = read(tree(tmp_path / "old", {"p.go": "package m\n"}))
    new = read(tree(tmp_path / "new", {"p.go": "package m\n"}))
    object.__setattr__(new.header, "version", "v2.0.0")
    assert list(rules_of(compare(old, new, Rules()))) == ["GO-MOD-MAJOR-WITHOUT-SUFFIX"]
    object.__setattr__(new.header, "version", "v2.0.0+incompatible")
    assert not compare(old, new, Rules()).changes


def test_a_module_that_moved_is_compared_under_its_new_path(tmp_path: Path) -> None:
    old = {
        "p.go": "package m\n\ntype T struct{ A int }\n\nfunc F(*T) {}\n",
        "sub/s.go": 'package sub\n\nimport "example.com/m"\n\nfunc G(m.T) {}\n',
    }
    new = {
        "go.mod": "module example.com/m/v2\n\ngo 1.21\n",
        "p.go": "package m\n\ntype T struct{ A int }\n\nfunc F(*T, int) {}\n",
        "sub/s.go": 'package sub\n\nimport "example.com/m/v2"\n\nfunc G(m.T) {}\n',
    }
    assert rules_of(diff(tmp_path, old, new)) == {"GO-FUNC-PARAM-ADDED": ["F"], "GO-MOD-PATH-CHANGED": ["go.mod"]}


P = {"p.go": "package m\n\nfunc F() {}\n"}
NAMELESS: dict[str, str | bytes | None] = {
    "without the directive": "go 1.21\n\nrequire example.org/dep v1.0.0\n",
    "empty": "",
    "comments alone": "// module example.com/m\n",
    "a directory": None,
    "a line without an end": b"module example.com/m\n// " + b"x" * (2 << 20),
}
TAKEN = "go.mod: the module's path is not known and is taken to be "


def _module(directory: Path, go_mod: str | bytes | None) -> Snapshot:
    if go_mod is None:
        tree(directory, P)
        (directory / "go.mod").unlink()
        (directory / "go.mod").mkdir()
    else:
        tree(directory, {**P, "go.mod": go_mod})
    return read(directory)


@pytest.mark.parametrize("bad", ["old", "new"])
@pytest.mark.parametrize("name", NAMELESS)
def test_a_go_mod_without_its_module_leaves_the_path_open(name: str, bad: str, tmp_path: Path) -> None:
    """A path that is taken from the directory is no path that anybody imports."""
    sides = {
        side: _module(tmp_path / side, NAMELESS[name] if side == bad else "module example.com/m\n\ngo 1.21\n")
        for side in ("old", "new")
    }
    told = [str(p) for p in sides[bad].problems]
    assert len(told) == 2 and told[1] == f"{TAKEN}{bad}" and not [t for t in told if "there is none" in t]
    comparison = compare(sides["old"], sides["new"], Rules())
    assert not comparison.breaking and not comparison.of("fragile")
    assert "GO-MOD-PATH-CHANGED" in rules_of(comparison, "undecided")
    (moved,) = [c for c in comparison.changes if c.rule.id == "GO-MOD-PATH-CHANGED"]
    assert f"no go.mod gives the module's path on the {bad} side" in moved.sentence()
    assert not english_in(moved.sentence().render("zh"))


def test_its_well_formed_twin_has_moved(tmp_path: Path) -> None:
    old, new = (_module(tmp_path / side, f"module example.com/{side}\n") for side in ("old", "new"))
    assert not old.problems and not new.problems
    assert rules_of(compare(old, new, Rules()), "breaking") == {"GO-MOD-PATH-CHANGED": ["go.mod"]}


def test_what_a_go_mod_without_its_module_requires_is_known(tmp_path: Path) -> None:
    header = _module(tmp_path / "m", NAMELESS["without the directive"]).header
    assert (header.name, header.minimum, header.requires) == ("m", "1.21", {"example.org/dep": "v1.0.0"})


def test_a_path_that_is_taken_may_be_the_right_one_by_chance(tmp_path: Path) -> None:
    old, new = _module(tmp_path / "a" / "m", "module m\n"), _module(tmp_path / "b" / "m", "")
    assert rules_of(compare(old, new, Rules())) == {"GO-UNVERIFIABLE": ["go.mod"]}
    new = _module(tmp_path / "c" / "m", "module m\n")
    assert not compare(old, new, Rules()).changes


@pytest.mark.parametrize(("go_mod", "weight"), [("go 1.21\n", "undecided"), ("module example.com/b\n", "breaking")])
def test_a_module_of_go_work_that_is_not_read_takes_no_package_away(go_mod: str, weight: str, tmp_path: Path) -> None:
    files = {
        "go.work": "go 1.21\n\nuse (\n\t./a\n\t./b\n)\n",
        "a/go.mod": "module example.com/a\n",
        "a/a.go": "package a\n\nfunc A() {}\n",
        "b/go.mod": "module example.com/a/b\n",
        "b/b.go": "package b\n\nfunc B() {}\n",
    }
    comparison = diff(tmp_path, files, {**files, "b/go.mod": go_mod})
    assert rules_of(comparison, weight)["GO-PKG-REMOVED"] == ["./b"]
    assert comparison.breaking is (weight == "breaking")


def test_one_sdk_in_the_place_of_another_by_a_package_map(tmp_path: Path) -> None:
    old = {"sm2/s.go": "package sm2\n\ntype Key struct{ D int }\n\nfunc Sign(*Key) {}\nfunc Verify(*Key) {}\n"}
    new = {
        "go.mod": "module other.org/gm\n\ngo 1.21\n",
        "v1/sm2/s.go": "package sm2\n\ntype Key struct{ D int }\n\nfunc Sign(*Key) {}\n",
    }
    policy = ApiPolicy(package_map={"example.com/m/sm2": "other.org/gm/v1/sm2"})
    found = rules_of(diff(tmp_path, old, new, policy), "breaking")
    assert found == {"GO-FUNC-REMOVED": ["./sm2.Verify"], "GO-MOD-PATH-CHANGED": ["go.mod"]}


def test_a_package_that_became_internal_is_gone(tmp_path: Path) -> None:
    old = {"a/a.go": "package a\n\nfunc F() {}\n"}
    new = {"internal/a/a.go": "package a\n\nfunc F() {}\n"}
    policy = ApiPolicy(package_map={"example.com/m/a": "example.com/m/internal/a"})
    assert rules_of(diff(tmp_path, old, new, policy), "breaking") == {"GO-PKG-REMOVED": ["./a"]}


def test_many_changes_with_one_cause_stand_together(tmp_path: Path) -> None:
    old = {"p.go": "package m\n\ntype Key struct{ a int }\n" + "".join(f"func F{n}(*Key) {{}}\n" for n in range(9))}
    new = {"p.go": "package m\n\ntype Other struct{ a int }\n" + "".join(f"func F{n}(*Other) {{}}\n" for n in range(9))}
    groups = [(cause, len(group)) for cause, group in diff(tmp_path, old, new).groups if cause]
    assert groups == [("- Key", 10)]


def test_a_method_of_an_embedded_interface_is_one_cause(tmp_path: Path) -> None:
    text = "package m\n\ntype A interface{ M()%s }\n\ntype B interface{ A }\n\ntype C interface{ B; X() }\n"
    comparison = diff(tmp_path, {"p.go": text % ""}, {"p.go": text % "; N()"})
    assert [(cause, len(group)) for cause, group in comparison.groups] == [("A.N", 3)]


class TestStubs:
    MISSING = "module example.com/m\n\ngo 1.21\n\nrequire example.org/lost %s\n"
    EMBEDS = 'package m\n\nimport "example.org/lost"\n\ntype T struct{ lost.Base }\n'

    def test_a_mention_by_name_is_no_unknown_fact(self, tmp_path: Path) -> None:
        old = {
            "go.mod": self.MISSING % "v1.0.0",
            "p.go": 'package m\n\nimport "example.org/lost"\n\nfunc F(*lost.T) {}\n',
        }
        new = {
            "go.mod": self.MISSING % "v1.1.0",
            "p.go": 'package m\n\nimport "example.org/lost"\n\nfunc F(lost.T) {}\n',
        }
        comparison = diff(tmp_path, old, new)
        assert rules_of(comparison) == {"GO-FUNC-PARAM-TYPE-CHANGED": ["F"]}
        assert comparison.old.grade == "stubbed"
        assert any("example.org/lost@v1.0.0 is not in the module cache" in str(p) for p in comparison.old.problems)

    def test_an_embedded_stub_of_the_same_version_hides_the_same(self, tmp_path: Path) -> None:
        files = {"go.mod": self.MISSING % "v1.0.0", "p.go": self.EMBEDS}
        assert not diff(tmp_path, files, {**files, "doc.go": "package m\n\nfunc G() {}\n"}).of("undecided")

    def test_an_embedded_stub_of_another_version_is_undecided(self, tmp_path: Path) -> None:
        comparison = diff(
            tmp_path,
            {"go.mod": self.MISSING % "v1.0.0", "p.go": self.EMBEDS},
            {"go.mod": self.MISSING % "v1.1.0", "p.go": self.EMBEDS},
        )
        assert rules_of(comparison, "undecided") == {"GO-UNVERIFIABLE": ["T"]}
        assert "example.org/lost" in comparison.changes[0].change.undecided
        assert not comparison.breaking

    def test_a_c_type_in_the_api_is_undecided(self, tmp_path: Path) -> None:
        old = {
            "p.go": 'package m\n\n/* struct s { int a; }; */\nimport "C"\n\ntype T struct{ S C.struct_s }\n\nfunc Plain() {}\n'
        }
        comparison = diff(tmp_path, old, {**old, "q.go": "package m\n"})
        assert rules_of(comparison) == {"GO-UNVERIFIABLE": ["T"]}
        assert not diff(tmp_path / "same", old, old).changes
        assert not diff(tmp_path / "no", old, old, cgo=False).old.packages
