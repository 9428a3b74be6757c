"""C headers: every rule's witness compiled, layouts on three architectures, and what cannot be read."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, compare, compare_across
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import find_zig
from tests.packages.sdk_ast.trees import rules_of

ALL = ("linux/amd64", "linux/arm64", "linux/loong64")
WITNESSED = [r for r in Rules().by_id.values() if r.id.startswith("C-") and r.witness]


def diff(directory: Path, old: dict[str, str], new: dict[str, str], targets: tuple[str, ...] = ALL[:1]) -> Comparison:
    with Sources(Cache(), ReadOptions(targets=targets, language="c")) as sources:
        sides = []
        for name, files in (("old", old), ("new", new)):
            for file, text in files.items():
                path = directory / name / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            sides.append(sources.read(str(directory / name)))
        comparison = compare(sides[0], sides[1], Rules())
        for snapshot in sides:  # parsed while the files are there
            for packages in snapshot.packages.values():
                assert packages[0].symbols is not None
        return comparison


def builds(directory: Path, header: str, client: str) -> bool:
    """Whether a client compiles, warnings about types being errors as distributions have them."""
    directory.mkdir()
    (directory / "lib.h").write_text(header + "\n")
    (directory / "client.c").write_text(f'#include "lib.h"\n{client}\n')
    argv = [find_zig(), "cc", "-target", "x86_64-linux-gnu.2.28", "-c", "-o", "client.o", "-Werror", "-I.", "client.c"]
    return subprocess.run(argv, cwd=directory, capture_output=True, check=False).returncode == 0


@pytest.mark.tools
@pytest.mark.parametrize("rule", WITNESSED, ids=lambda r: r.id)
def test_a_rules_witness(tmp_path: Path, rule: object) -> None:
    witness = rule.witness  # type: ignore[attr-defined]
    assert builds(tmp_path / "a", witness.old, witness.client)
    assert builds(tmp_path / "b", witness.new, witness.client) is not witness.breaks
    found = {j.rule.id: j.weight for j in diff(tmp_path, {"lib.h": witness.old}, {"lib.h": witness.new}).changes}
    assert rule.id in found  # type: ignore[attr-defined]
    if not witness.breaks:
        assert found[rule.id] != "breaking"  # type: ignore[attr-defined]


def test_a_member_in_the_middle_is_one_cause(tmp_path: Path) -> None:
    old = {"s.h": "struct s { int a; union { int b; char c; }; long d; };"}
    new = {"s.h": "struct s { int a; int x; union { int b; char c; }; long d; };"}
    comparison = diff(tmp_path, old, new)
    assert rules_of(comparison) == {
        "C-FIELD-ADDED": ["struct s.x"],
        "C-FIELD-MOVED": ["struct s.b", "struct s.c", "struct s.d"],
        "C-STRUCT-SIZE-CHANGED": ["struct s"],
    }
    assert [(cause, len(group)) for cause, group in comparison.groups] == [("struct s: + x", 5)]


@pytest.mark.tools
def test_layouts_of_the_systems_own_structs_differ_by_architecture(tmp_path: Path) -> None:
    """x86-64's struct stat has 144 bytes, arm64's and loong64's 128; epoll_event is packed on x86-64 alone."""
    (tmp_path / "h").mkdir()
    (tmp_path / "h/api.h").write_text(
        "#include <sys/stat.h>\n#include <sys/epoll.h>\n"
        "struct mine { struct stat st; };\nstruct ev { struct epoll_event e; };\nstruct same { long a; void *b; };\n"
    )
    with Sources(Cache(), ReadOptions(targets=ALL, language="c")) as sources:
        snapshot = sources.read(str(tmp_path / "h"))
        sizes = {
            target: {
                n: snapshot.package("include", target).symbols[f"struct {n}"]["size"]  # type: ignore[union-attr]
                for n in ("mine", "ev", "same")
            }
            for target in ALL
        }
        assert not snapshot.problems
        across = rules_of(compare_across(snapshot, Rules()))
    assert sizes == {
        "linux/amd64": {"mine": 144, "ev": 12, "same": 16},
        "linux/arm64": {"mine": 128, "ev": 16, "same": 16},
        "linux/loong64": {"mine": 128, "ev": 16, "same": 16},
    }
    assert set(across["C-STRUCT-SIZE-CHANGED"]) == {"struct mine", "struct ev"}


def test_what_is_no_change(tmp_path: Path) -> None:
    old = {
        "a.h": "#define N 0x10\ntypedef unsigned int u;\nint f(u x, const int n);\nenum { A = 1 };",
        "b.h": "int g(void);",
    }
    new = {
        "a.h": "/* moved */\n#define N (4 * 4)\ntypedef unsigned u;\nint f(unsigned y, int m);\nenum { A = 2 - 1 };",
        "b.h": "int g(void);",
    }
    assert not diff(tmp_path, old, new).changes


def test_a_header_that_needs_another_before_it(tmp_path: Path) -> None:
    """As Python's own: only Python.h is to be included."""
    files = {"all.h": '#include "base.h"\n#include "part.h"\n', "base.h": "typedef int t;", "part.h": "t f(void);"}
    comparison = diff(tmp_path, files, {**files, "part.h": "t f(int);"})
    assert rules_of(comparison) == {"C-FUNC-PARAMS-CHANGED": ["f"]}
    assert not comparison.old.problems


def test_one_header_and_what_it_brings_along(tmp_path: Path) -> None:
    files = {"all.h": '#include "base.h"\nint f(t);', "base.h": "typedef int t;", "internal.h": "#error not for you"}
    assert diff(tmp_path, files, files).old.problems
    with Sources(Cache(), ReadOptions(targets=ALL[:1])) as sources:
        found = sources.read(str(tmp_path / "old/all.h"))
        assert not found.problems
        assert set(found.packages["include"][0].symbols) == {"<all.h>", "f", "t"}


def test_what_cannot_be_read_is_named_and_undecided(tmp_path: Path) -> None:
    comparison = diff(tmp_path, {"a.h": "int f(void);"}, {"a.h": "#include <nowhere.h>\nint f(void);"})
    assert comparison.undecided and not comparison.breaking
    assert "a.h:1: 'nowhere.h' file not found" in str(comparison.new.problems[0])
    with Sources(Cache(), ReadOptions(targets=("linux/mips",), language="c")) as sources:
        with pytest.raises(XcError, match="is no target that C can be read for"):
            sources.read(str(tmp_path / "old"))
        (tmp_path / "none").mkdir()
        with pytest.raises(XcError, match="no header"):
            sources.read(str(tmp_path / "none"))
