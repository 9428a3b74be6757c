"""What is told of APIs exists in both languages: problems of readers, sentences of rules, every form of a report."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.sdk_ast import words
from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.compare import Comparison, Judged
from pytest_xinchuang.packages.sdk_ast.problems import MALFORMED_CLASS, UNPARSED, problem_told
from pytest_xinchuang.packages.sdk_ast.report import as_json, as_junit, as_markdown, as_sarif, as_text
from pytest_xinchuang.packages.sdk_ast.rules import Rules
from pytest_xinchuang.packages.sdk_ast.snapshot import Problem, Snapshot
from pytest_xinchuang.packages.sdk_ast.source import ReadOptions, Sources
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain import goproblems
from pytest_xinchuang.toolchain.goproblems import GoProblemCode, failure_told
from tests.messages.english import english_in
from tests.packages.sdk_ast.trees import diff, read, tree

CHINESE = re.compile(r"[\u4e00-\u9fff]")


# -- what could not be read


def of_go() -> dict[str, str]:
    """Code -> English, as the reader of Go has them."""
    source = (Path(goproblems.__file__).parent / "goapi" / "problems.go").read_text()
    table = source[source.index("var texts") : source.index("\n}", source.index("var texts"))]
    return dict(re.findall(r'^\t"([a-z-]+)":\s+"(.*)",$', table, re.M))


def test_both_tables_have_the_same_codes_and_texts() -> None:
    theirs = of_go()
    assert set(theirs) == set(GoProblemCode)
    for code, english in theirs.items():
        names = re.findall(r"\{(\w+)\}", english)
        told = goproblems.problem_told(code, {name: f"<{name}>" for name in names}, english)
        if english == "{why}":
            continue  # Go's own words, in every language
        assert told == re.sub(r"\{(\w+)\}", r"<\1>", english)
        assert CHINESE.search(told.render("zh")) and not english_in(told.render("zh")), code


UNREADABLE: dict[str, tuple[Mapping[str, str | bytes], set[GoProblemCode]]] = {
    "modules": (
        {
            "go.mod": "module example.com/m\n\ngo 1.21\n\nrequire example.org/lost v1.0.0\n",
            "a.go": 'package m\n\nimport (\n\t"example.org/lost/x"\n\t"example.org/none"\n)\n\nvar A x.T\n\nvar B none.T\n',
        },
        {GoProblemCode.MODULE_NOT_HERE, GoProblemCode.MODULE_NOT_REQUIRED},
    ),
    "files": (
        {
            "a.go": "package m\n\nfunc A() {}\n",
            "b.go": "package other\n",
            "c.go": b"package m\n\x00",
            "d.go/e.txt": "",
        },
        {GoProblemCode.OTHER_PACKAGE, GoProblemCode.BINARY_FILE, GoProblemCode.IRREGULAR_FILE},
    ),
    "syntax": (
        {"a.go": "package m\n\n" + "type 1\n" * 9},
        {GoProblemCode.SYNTAX_ERROR, GoProblemCode.MORE_SYNTAX_ERRORS},
    ),
    "later": (
        {"go.mod": "module example.com/m\n\ngo 1.999\n", "a.go": "package m\n"},
        {GoProblemCode.NEWER_GO},
    ),
    "cycle": (
        {
            "a/a.go": 'package a\n\nimport "example.com/m/b"\n\ntype A struct{ B *b.B }\n',
            "b/b.go": 'package b\n\nimport "example.com/m/a"\n\ntype B struct{ A *a.A }\n',
        },
        {GoProblemCode.IMPORT_CYCLE},
    ),
    "unnamed": ({"go.mod": "go 1.21\n", "a.go": "package m\n"}, {GoProblemCode.NO_MODULE_DIRECTIVE}),
    "workspace": (
        {
            "go.work": "go 1.21\n\nuse ./a\nuse ./gone\nuse ./unnamed\n",
            "a/go.mod": "module example.com/a\n\ngo 1.21\n",
            "a/a.go": "package a\n",
            "unnamed/go.mod": "go 1.21\n",
        },
        {GoProblemCode.UNUSABLE_DIRECTORY, GoProblemCode.UNNAMED_MODULE},
    ),
}


@pytest.mark.tools
@pytest.mark.parametrize("name", UNREADABLE)
def test_a_problem_says_the_same_by_its_code_and_by_its_message(name: str, tmp_path: Path) -> None:
    files, codes = UNREADABLE[name]
    problems = read(tree(tmp_path / "m", files)).problems
    assert codes <= {p.code for p in problems}, problems
    for problem in problems:
        place = f"{problem.file}:{problem.line}" if problem.line else problem.file
        assert problem.told == f"{place}: {problem.message}"
        if problem.code in codes:
            # What the parser says stands behind the colon, in its own words.
            ours = problem.told.render("zh").removesuffix(str(problem.params.get("why", "")))
            assert CHINESE.search(ours) and not english_in(ours)


@pytest.mark.tools
def test_a_directory_without_go_mod_is_told(tmp_path: Path) -> None:
    directory = tree(tmp_path / "m", {"a.go": "package m\n"})
    (directory / "go.mod").unlink()
    (problem,) = read(directory).problems
    assert (problem.code, problem.told) == (
        GoProblemCode.NO_GO_MOD,
        "go.mod: there is none; the module's path is taken to be m",
    )
    assert problem.told.render("zh") == "go.mod：没有该文件；模块路径取为 m"


def test_a_snapshot_of_before_tells_its_message() -> None:
    """Problems had no code then."""
    old = Problem.model_validate_json('{"file":"a.go","line":3,"message":"cannot be read: it is gone"}')
    assert (old.code, str(old), old.told.render("zh")) == (
        "",
        "a.go:3: cannot be read: it is gone",
        "a.go:3：cannot be read: it is gone",
    )


@pytest.mark.parametrize("code", ["", "no-such-code"])
def test_a_code_that_is_not_known_is_told_by_its_message(code: str) -> None:
    assert problem_told(code, {"why": "x"}, "as it was said").render("zh") == "as it was said"


def test_a_problem_without_its_parameters_is_told_all_the_same() -> None:
    assert problem_told("newer-go", {}, "") == "declares go (go?), newer than the Go that reads it ((have?))"


@pytest.mark.parametrize(
    "errors", ["", "panic: x\n\ngoroutine 1 [running]:\n", "[]", '"x"', "{}", '{"code": "failed"}', "null", "5"]
)
def test_a_reader_that_broke_gives_no_reason(errors: str) -> None:
    assert failure_told(errors) is None


@pytest.mark.tools
def test_a_target_that_is_none_is_told_in_both_languages(tmp_path: Path) -> None:
    directory = tree(tmp_path / "m", {"a.go": "package m\n"})
    with pytest.raises(XcError) as caught:
        read(directory, targets=("linux/z80",))
    assert str(caught.value).endswith('cannot be read: "linux/z80" is not a target: GOOS/GOARCH is expected')
    assert caught.value.render("zh").endswith('"linux/z80" 不是目标：应为 GOOS/GOARCH')
    assert not english_in(caught.value.render("zh"))


def test_problems_of_the_other_languages_have_codes(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/__init__.py").write_text("def (\n")
    (tmp_path / "classes").mkdir()
    (tmp_path / "classes/L.class").write_bytes(b"junk")
    with Sources(Cache(), ReadOptions()) as sources:
        (of_python,) = sources.read(str(tmp_path / "lib")).problems
        (of_java,) = sources.read(str(tmp_path / "classes")).problems
    assert (of_python.code, of_java.code) == ("syntax-error", MALFORMED_CLASS)
    assert of_python.told.render("zh").startswith("lib/__init__.py:1：语法错误：")
    assert of_java.told == f"L.class: {of_java.message}"
    assert not english_in(of_java.told.render("zh"))
    assert problem_told(UNPARSED, {}, "").render("zh") == "语法错误"


# -- rules and words


@pytest.mark.parametrize(
    "names",
    [words.LEVELS, words.GRADES, words.AXES, words.KINDS, words.FACTS, words.PARAMETERS],
    ids=["levels", "grades", "axes", "kinds", "facts", "parameters"],
)
def test_a_word_is_its_value_in_english(names: Mapping[str, words.Message]) -> None:
    for value, word in names.items():
        assert word == value
        assert CHINESE.search(word.render("zh"))


def test_a_word_that_is_not_known_stays() -> None:
    assert words.word(words.KINDS, "planet").render("zh") == "planet"


def test_every_rule_is_told_in_both_languages() -> None:
    for rule in Rules().by_id.values():
        change = Change(rule.id, "S", "old", "new", undecided="?", params={"embedded": "E", "package": "fmt"})
        one = Judged(change, rule, rule.level, False)
        for text in (one.sentence(), rule.title.message(), rule.mend.message()):
            assert "?)" not in text.replace("(?)", ""), f"{rule.id}: {text}"
            assert not english_in(text.render("zh")), f"{rule.id}: {text.render('zh')}"


@pytest.mark.tools
def test_a_sentence_keeps_its_braces_and_its_fingerprint(tmp_path: Path) -> None:
    comparison = diff(tmp_path, {"a.go": "package m\n\nvar V struct{}\n"}, {"a.go": "package m\n\nvar V [1]struct{}\n"})
    (one,) = comparison.changes
    assert one.sentence() == "V was var struct{} and is var [1]struct{}"
    assert one.sentence().as_data()["params"]["old"] == "var struct{}"
    assert len(one.change.fingerprint) == 16


# -- reports

OLD: Mapping[str, str] = {
    "go.mod": "module example.com/m\n\ngo 1.21\n\nrequire example.org/lost v1.0.0\n",
    "a.go": """package m

import "example.org/lost/x"

type T struct{ A int; B string }

type Gone int

func Use(Gone) {}

func Again(Gone) {}

var V x.T

type S struct { x.T; N int }
""",
}
NEW: Mapping[str, str] = {
    **OLD,
    "a.go": """package m

import "example.org/lost/x"

type T struct{ B string; A int; D bool }

func (T) Scan(v any) error { return nil }

func Use(int) {}

func Again(int) {}

var V x.U

type S struct { x.T; N int64 }

func New() {}
""",
}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return diff(tmp_path_factory.mktemp("texts"), OLD, NEW)


@pytest.mark.tools
def test_a_text_for_people_is_chinese(comparison: Comparison) -> None:
    text = as_text(comparison, "zh", everything=True)
    assert not english_in(text), text
    for part in (
        "同一原因：Gone（3 处）",
        "database/sql 或 fmt",
        "可比较性、提升的成员未知：未找到 example.org/lost/x@v1.0.0",
        "兼容   GO-SYMBOL-ADDED",
        "new：.：导入了 example.org/lost/x",
    ):
        assert part in text
    assert re.search(r"^破坏 \d+，未定 \d+，脆弱 \d+，兼容 \d+；应发布新的主版本$", text, re.M)


@pytest.mark.tools
def test_a_migration_guide_is_chinese(comparison: Comparison) -> None:
    text = as_markdown(comparison, "zh")
    assert not english_in(text.replace("\\", "")), text
    assert (
        "## 破坏性变更（" in text
        and "### 同一原因：`Gone`" in text
        and "已知程度：部分已知（旧），部分已知（新）" in text
    )


@pytest.mark.tools
def test_junit_and_sarif_are_chinese(comparison: Comparison) -> None:
    junit = as_junit(comparison, "zh")
    assert not [m for m in re.findall(r'message="([^"]*)"|>([^<>\n]+)<', junit) if english_in(" ".join(m))]
    run = json.loads(as_sarif(comparison, "zh"))["runs"][0]
    told = [result["message"]["text"] for result in run["results"]]
    told += [rule[key]["text"] for rule in run["tool"]["driver"]["rules"] for key in ("shortDescription", "help")]
    assert told and not [text for text in told if english_in(text)]
    assert all(CHINESE.search(text) for text in told)


@pytest.mark.tools
def test_json_has_both_languages_and_the_codes(comparison: Comparison) -> None:
    data = json.loads(as_json(comparison))
    (problem,) = data["new"]["problems"]
    assert problem["code"] == "module-not-here"
    assert problem["text"]["en"] == f".: {problem['message']}"
    assert problem["text"]["zh"].startswith(".：导入了 example.org/lost/x：")
    assert all(CHINESE.search(change["text"]["zh"]) for change in data["changes"])


def test_what_is_no_snapshot_is_told_in_both_languages(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    for text in ("", '{"record":"end","packages":0,"symbols":0}\n', '{"record":"symbol","id":"a"}\n'):
        path.write_text(text)
        with pytest.raises(XcError) as caught:
            Snapshot(path)
        told = caught.value.render("zh")
        assert CHINESE.search(told) and not english_in(told), told
