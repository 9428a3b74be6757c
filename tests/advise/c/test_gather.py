"""Translation units: from compile_commands.json, from what a build was seen to do, and guessed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_xinchuang.advise.c.code import CodeSurvey
from pytest_xinchuang.advise.c.database import databases, units_in
from pytest_xinchuang.advise.c.gather import Gatherer
from pytest_xinchuang.advise.c.guess import Guess
from pytest_xinchuang.advise.c.survey import CSurvey
from pytest_xinchuang.advise.c.units import Language, Unit, Units
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.messages import verbatim
from tests.advise.c.trees import tree_of, work_of

FILES = {"src/a.c": "", "src/b.cc": "", "src/c.c": "", "src/d.S": "", "src/flags.rsp": "-DR=1 -Iinc", "inc/x.h": ""}


def _units(root: Path, *entries: object, place: str = "build/compile_commands.json") -> tuple[dict[str, Unit], int]:
    tree = tree_of(root, {**FILES, place: json.dumps(entries)})
    units, lost = units_in(tree, databases(tree))
    return {unit.source: unit for unit in units}, lost


def test_commands_and_arguments(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    units, lost = _units(
        root,
        {"directory": str(root / "src"), "file": "a.c", "command": "ccache gcc -DA='x y' -I ../inc -o a.o -c a.c"},
        {
            "directory": str(root / "src"),
            "file": "b.cc",
            "arguments": ["g++", "-std=c++20", "-I", "../inc", "-c", "b.cc"],
        },
        {"directory": str(root / "src"), "file": "c.c", "arguments": ["g++", "@flags.rsp", "c.c"]},
        {"directory": str(root / "src"), "file": "d.S", "command": "gcc -c d.S"},
    )
    inc = str(root / "inc")
    assert lost == 0
    assert units["src/a.c"] == Unit("src/a.c", "src", ("-DA=x y", "-I", inc, "-c"), Language.C)
    assert units["src/b.cc"] == Unit("src/b.cc", "src", ("-std=c++20", "-I", inc, "-c"), Language.CXX)
    assert units["src/c.c"] == Unit("src/c.c", "src", ("-DR=1", "-I", str(root / "src/inc")), Language.CXX)
    assert units["src/d.S"].language is Language.ASSEMBLER_WITH_CPP


def test_paths_of_another_machine_are_brought_back(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    command = "cc -I/home/me/proj/inc -I/usr/local/include -Igen -c /home/me/proj/src/a.c"
    units, lost = _units(root, {"directory": "/home/me/proj/out", "file": "/home/me/proj/src/a.c", "command": command})
    words = ("-I", str(root / "inc"), "-I", "/usr/local/include", "-I", str(root / "out/gen"), "-c")
    assert lost == 0 and units["src/a.c"] == Unit("src/a.c", "out", words, Language.C)


def test_what_cannot_be_understood_is_counted(tmp_path: Path) -> None:
    entries: list[object] = [
        {"directory": ".", "file": "../src/a.c", "command": "cc 'unclosed"},
        {"directory": ".", "file": "generated.c", "command": "cc -c generated.c"},
        {"directory": [], "file": "../src/a.c", "command": "cc"},
        {"directory": ".", "command": "cc"},
        {"directory": ".", "file": "../src/a\0.c", "command": "cc"},
        {"directory": ".", "file": "../inc/x.h", "command": "cc -c ../inc/x.h"},
        {"directory": ".", "file": "../src/a.c", "arguments": ["cc", 3]},
        7,
        None,
    ]
    units, lost = _units(tmp_path, *entries)
    assert not units and lost == len(entries)


@pytest.mark.parametrize("text", ["", "{}", "[" * 100_000, "nul\0", '{"a": [1'])
def test_a_file_that_is_none(text: str, tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {"compile_commands.json": text})
    assert units_in(tree, databases(tree)) == ((), 1)


def test_the_nearest_file_goes_first(tmp_path: Path) -> None:
    def entry(macro: str, up: str) -> str:
        return json.dumps([{"directory": ".", "file": f"{up}src/a.c", "arguments": ["cc", f"-D{macro}"]}])

    tree = tree_of(
        tmp_path,
        {**FILES, "compile_commands.json": entry("NEAR", ""), "build/compile_commands.json": entry("FAR", "../")},
    )
    (unit,), lost = units_in(tree, databases(tree))
    assert unit.words == ("-DNEAR",) and lost == 0


def test_a_recorded_build_goes_before_a_guess(tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "tree", FILES)
    work = work_of(tmp_path)
    seen = Units((Unit("src/a.c", "", (), Language.C),), verbatim("seen"))
    assert Gatherer(tree, work, tmp_path, [lambda *_: None, lambda *_: seen]).units(work.baseline).own
    guessed = Gatherer(tree, work, tmp_path, [lambda *_: Units((), verbatim("none"))]).units(work.baseline)
    assert guessed.guessed and [unit.source for unit in guessed.units] == ["src/a.c", "src/b.cc", "src/c.c", "src/d.S"]


def test_guessed_directories_are_behind_all_others(tmp_path: Path) -> None:
    files = {
        "p/src/a.c": '#include "x.h"\n#include <lib/y.h>\n#include "nowhere.h"\n',
        "p/inc/x.h": '#include "z.h"\n',
        "q/inc/x.h": "",
        "p/api/lib/y.h": "",
        "p/z/z.h": '#include "x.h"\n',
    }
    tree = tree_of(tmp_path / "tree", files)
    (unit,) = Gatherer(tree, work_of(tmp_path), tmp_path).units(work_of(tmp_path).baseline).units
    root = SourceTree(tmp_path / "tree").root
    expected = ["p/inc", "p/api", "p/z"]
    (other,) = Gatherer(tree, work_of(tmp_path), tmp_path).another([unit])
    assert other.source == "p/src/a.c"
    assert unit.words == tuple(word for place in expected for word in ("-idirafter", str(root / place)))


def test_what_lies_beside_go_files_is_the_go_commands(tmp_path: Path) -> None:
    """Its assembler is no compiler's, and its C is cgo's."""
    go = {"go/add.go": "package go\n", "go/add_amd64.s": "TEXT ·Add(SB), 7, $0\n", "go/c.c": "", "go/c.h": ""}
    tree = tree_of(tmp_path / "both", {**go, "c/own.c": ""})
    assert [unit.source for unit in Guess(tree, tmp_path).units()] == ["c/own.c"]
    assert CSurvey().applies(tree) and CodeSurvey().applies(tree)
    alone = tree_of(tmp_path / "alone", go)
    assert not CSurvey().applies(alone) and not CodeSurvey().applies(alone)
