"""Clang asked for several triples: what it says, what is kept of it, and what is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pytest_xinchuang.advise.c import whole
from pytest_xinchuang.advise.c.compiler import Compilers, Question
from pytest_xinchuang.advise.c.diagnostics import Answer, Place
from pytest_xinchuang.advise.c.units import Unit, language_of
from pytest_xinchuang.advise.c.whole import Wanted
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple, triple_of
from pytest_xinchuang.advise.work import Budget
from pytest_xinchuang.core.platform import Arch
from tests.advise.c.trees import tree_of, work_of

pytestmark = pytest.mark.tools


def units_of(tree: SourceTree, *words: str) -> list[Unit]:
    return [Unit(name, "", words, language) for name in tree.files if (language := language_of(name))]


def check(tree: SourceTree, root: Path, *words: str, kept: Path | None = None) -> list[list[Answer]]:
    """The answers for x86-64, ARM64 and LoongArch64."""
    work = work_of(root, kept=kept)
    compilers = Compilers(tree, work)
    units = units_of(tree, *words)
    return [compiled(compilers, units, t) for t in (work.baseline, *map(triple_of, work.platforms))]


def compiled(compilers: Compilers, units: list[Unit], triple: Triple) -> list[Answer]:
    return whole.compiled(compilers, [Wanted(u, triple, machine=triple.arch is Arch.AMD64) for u in units])


def test_each_target_has_its_own_answer(tmp_path: Path) -> None:
    tree = tree_of(
        tmp_path / "tree",
        {
            "asm.c": 'void f(void) { __asm__ volatile("pause"); }\n',
            "plus.cc": "#include <vector>\nint f() { return int(std::vector<int>(3).size()); }\n",
            "own.s": "movq %rax, %rbx\n",
            "both.S": "#include <asm/unistd.h>\n.globl f\nf:\n",
        },
    )
    amd64, arm64, loong64 = check(tree, tmp_path)
    assert [a.ok for a in amd64] == [True] * 4, amd64
    for answers in (arm64, loong64):
        assert [(a.unit.source, a.ok) for a in answers] == [
            ("asm.c", False),
            ("both.S", True),
            ("own.s", False),
            ("plus.cc", True),
        ]
        assert answers[0].diagnostics[0].place == Place("asm.c", 1, 33)
        assert not any(a.lost for a in answers)


def test_flags_of_x86_are_for_x86(tmp_path: Path) -> None:
    text = "#ifdef __AVX2__\nint avx;\n#else\n#error no avx\n#endif\n"
    amd64, arm64, _loong64 = check(tree_of(tmp_path / "tree", {"a.c": text}), tmp_path, "-mavx2")
    assert amd64[0].ok and not arm64[0].ok and arm64[0].diagnostics[0].place.line == 4


def test_what_clang_writes_is_returned(tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "tree", {"a.c": "int answer(void) { return 42; }\n"})
    work = work_of(tmp_path, kept=tmp_path / "kept")
    asked = [Question(units_of(tree)[0], triple_of(work.platforms[0]), ("-O1", "-S", "-emit-llvm"), output=True)]
    first = Compilers(tree, work).ask(asked)
    assert b"ret i32 42" in first[0].output
    assert Compilers(tree, work).ask(asked) == first


def test_a_kept_answer_holds_while_nothing_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, kept = tmp_path / "tree", tmp_path / "kept"
    files = {"a.c": '#include "a.h"\n', "inc/a.h": "int a;\n"}
    first = check(tree_of(root, files), tmp_path, f"-I{root}/inc", kept=kept)
    assert first[1][0].ok and first[1][0].read == ("a.c", "inc/a.h")
    with monkeypatch.context() as patch:
        patch.setattr(Compilers, "_run", lambda *_: pytest.fail("it was compiled again"))
        assert check(SourceTree(root), tmp_path, f"-I{root}/inc", kept=kept) == first
    (root / "inc/a.h").write_text("#error now\n")
    assert not check(SourceTree(root), tmp_path, f"-I{root}/inc", kept=kept)[1][0].ok
    (root / "a.h").write_text("int a;\n")
    assert check(SourceTree(root), tmp_path, f"-I{root}/inc", kept=kept)[1][0].read == ("a.c", "a.h")


def test_a_kept_answer_knows_what_was_read_before_a_missing_header(tmp_path: Path) -> None:
    """Clang writes no rule for make then, and the header that named the missing one may be mended."""
    root, kept = tmp_path / "tree", tmp_path / "kept"
    files = {"a.c": '#include "b.h"\n', "b.h": '#include "c.h"\n', "c.h": "#include <asm/prctl.h>\n"}
    first = check(tree_of(root, files), tmp_path, kept=kept)
    assert [answers[0].ok for answers in first] == [True, False, False]
    assert first[1][0].read == ("a.c", "b.h", "c.h")
    (root / "c.h").write_text("#include <stddef.h>\n")
    assert [answers[0].ok for answers in check(SourceTree(root), tmp_path, kept=kept)] == [True] * 3
    (root / "c.h").write_text("#include <asm/ldt.h>\n")
    again = check(SourceTree(root), tmp_path, kept=kept)
    assert "asm/ldt.h" in again[1][0].diagnostics[0].text


def test_what_did_not_fit_into_the_time_is_lost_and_not_kept(tmp_path: Path) -> None:
    tree = tree_of(tmp_path / "tree", {"a.c": "int a;\n"})
    work = replace(work_of(tmp_path, kept=tmp_path / "kept"), budget=Budget(0))
    answer = compiled(Compilers(tree, work), units_of(tree), work.baseline)[0]
    assert answer.lost and not answer.ok
    again = work_of(tmp_path, kept=tmp_path / "kept")
    assert compiled(Compilers(tree, again), units_of(tree), again.baseline)[0].ok


def test_a_source_sees_nothing_beside_the_tree(tmp_path: Path) -> None:
    (tmp_path / "secret.h").write_text("int secret;\n")
    tree = tree_of(tmp_path / "tree", {"a.c": '#include "../secret.h"\n'})
    assert not check(tree, tmp_path)[0][0].ok


def test_one_compilation_tells_whether_it_compiles_and_what_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What IR cannot be made into is compiled once more, for the line; its IR is there all the same."""
    tree = tree_of(
        tmp_path / "tree",
        {
            "asm.c": 'int f(void)\n{\n    __asm__ volatile("cpuid");\n    return 1;\n}\n',
            "plain.c": "int f(void) { return g(); }\nchar *p = 42;\n",
            "twice.c": "int f(void) { return 1; }\nint f(void) { return 2; }\n",
        },
    )
    work = work_of(tmp_path)
    compilers, triple = Compilers(tree, work), triple_of(work.platforms[0])
    asm, plain, twice = compiled(compilers, units_of(tree), triple)
    assert not asm.ok and asm.diagnostics[0].place == Place("asm.c", 3, 22)
    assert plain.ok and [d.option for d in plain.diagnostics] == ["-Wimplicit-function-declaration"]
    assert not twice.ok and not twice.output
    monkeypatch.setattr(Compilers, "_run", lambda *_: pytest.fail("it was compiled again"))
    wanted = [Wanted(u, triple) for u in units_of(tree)]
    asm, plain, twice = whole.as_written(compilers, wanted)
    assert asm.ok and b"cpuid" in asm.output
    assert plain.ok and [d.option for d in plain.diagnostics] == ["-Wint-conversion"]
    assert not twice.ok


OF_BACK_ENDS = {
    "a statement": 'void f(void) {{\n __asm__ volatile("{}"); }}\n',
    "of a file": '\n__asm__("{}");\n',
    "a function of it alone": '__attribute__((naked)) void f(void) {{\n __asm__("{}\\n"); }}\n',
}


@pytest.mark.parametrize("text", OF_BACK_ENDS.values(), ids=OF_BACK_ENDS)
def test_what_is_refused_when_an_object_is_made(tmp_path: Path, text: str) -> None:
    tree = tree_of(tmp_path / "tree", {"bad.c": text.format("pause"), "good.c": text.format("nop")})
    amd64, *others = check(tree, tmp_path)
    assert [a.ok for a in amd64] == [True, True]
    for bad, good in others:
        assert good.ok and not bad.ok and bad.diagnostics[0].stops


def test_a_variable_in_a_register_of_another_machine(tmp_path: Path) -> None:
    tree = tree_of(
        tmp_path / "tree",
        {"bad.c": 'register unsigned long sp __asm__("rsp");\nunsigned long f(void) { return sp; }\n'},
    )
    amd64, *others = check(tree, tmp_path)
    assert amd64[0].ok and not any(answer.ok for (answer,) in others)


def test_no_object_is_made_where_none_can_be_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would break any object shows whether one was made."""
    monkeypatch.setattr(Compilers, "_object", lambda _self, argv, _written: [argv[0], "clang", "--no-such-option"])
    tree = tree_of(
        tmp_path / "tree", {"asm.c": 'void f(void) { __asm__("nop"); }\n', "plain.c": "int g(void) { return 1; }\n"}
    )
    work = work_of(tmp_path)
    compilers = Compilers(tree, work)
    asked = [whole._question(compilers, Wanted(unit, work.baseline, machine=True)) for unit in units_of(tree)]
    assert [answer.made for answer in compilers.ask(asked)] == [False, True]
