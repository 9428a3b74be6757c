"""Results of modules' own tests, as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_xinchuang.gotest.engine import _reason
from pytest_xinchuang.gotest.report import as_markdown, as_text
from pytest_xinchuang.gotest.result import ModuleResult, PackageResult, TestCase, TestVerdict
from pytest_xinchuang.messages import _, joined, verbatim
from tests.messages.english import english_in

MODULE, PLATFORM = "example.com/m@v1.0.0", "loongson_3a5000-kylin_v11"


def result() -> ModuleResult:
    why = _("{why}; on x86-64 it fails at times", why=verbatim("want 1, got 2 | 3"))
    lacks = _(
        "{why}: the emulator has no {names}", why=verbatim("EIO"), names=joined(["io_setup", "io_submit"], _(", "))
    )
    good = [TestCase("TestA", TestVerdict.PASS), TestCase("TestB", TestVerdict.SKIP, verbatim("not now"))]
    return ModuleResult(
        MODULE,
        PLATFORM,
        "go version go1.27.3",
        [
            PackageResult("example.com/m", TestVerdict.PASS, tests=good, coverage=(3, 4), wall_s=1.25),
            PackageResult(
                "example.com/m/b", TestVerdict.FAIL, why, tests=[TestCase("TestC", TestVerdict.FAIL, why)], wall_s=0.5
            ),
            PackageResult("example.com/m/c", TestVerdict.NOT_JUDGED, lacks),
            PackageResult("example.com/m/d", TestVerdict.FAILS_EVERYWHERE, _("no test was run")),
        ],
    )


def test_a_result_in_english() -> None:
    assert as_text(result()) == (
        f"{MODULE} on {PLATFORM} (emulated), coverage 75.0 %\n"
        "  pass     example.com/m  75.0 %  (1 pass, 1 skip; 1.2 s)\n"
        "  fail     example.com/m/b  (1 fail; 0.5 s)\n"
        "           want 1, got 2 | 3; on x86-64 it fails at times\n"
        "  cannot be judged under emulation example.com/m/c  (no test; 0.0 s)\n"
        "           EIO: the emulator has no io_setup, io_submit\n"
        "  fails on x86-64 too example.com/m/d  (no test; 0.0 s)\n"
        "           no test was run\n"
    )


def test_a_result_in_chinese() -> None:
    assert as_text(result(), "zh") == (
        f"{MODULE}，平台 {PLATFORM}（模拟），覆盖率 75.0 %\n"
        "  通过     example.com/m  75.0 %  （通过 1、跳过 1；1.2 秒）\n"
        "  不通过   example.com/m/b  （不通过 1；0.5 秒）\n"
        "           want 1, got 2 | 3；在 x86-64 上也时有失败\n"
        "  模拟环境下无法判定 example.com/m/c  （没有测试；0.0 秒）\n"
        "           EIO：模拟器没有 io_setup、io_submit\n"
        "  x86-64 上同样不通过 example.com/m/d  （没有测试；0.0 秒）\n"
        "           没有运行任何测试\n"
    )


def test_what_could_not_be_tried_says_why_in_both_languages() -> None:
    broken = ModuleResult(MODULE, PLATFORM, "", error=_("no module is named"))
    assert as_text(broken) == f"{MODULE} on {PLATFORM} (emulated)\n  not tried: no module is named\n"
    assert as_text(broken, "zh") == f"{MODULE}，平台 {PLATFORM}（模拟）\n  未运行：没有写明模块\n"


def data(language: str) -> dict[str, Any]:
    return {"schema": "xc-go-test/1", "results": [result().as_dict(language)]}


def test_values_in_json_are_the_same_in_both_languages() -> None:
    english, chinese = data("en"), data("zh")
    assert english == {"schema": "xc-go-test/1", "results": [result().as_dict()]}
    packages = chinese["results"][0]["packages"]
    assert [p["verdict"] for p in packages] == [v.value for v in (p.verdict for p in result().packages)]
    assert packages[1]["not_passed"] == [
        {"test": "TestC", "verdict": "fail", "reason": "want 1, got 2 | 3；在 x86-64 上也时有失败"}
    ]
    assert all(type(p["reason"]) is str for p in packages)


def test_tables_in_english() -> None:
    assert as_markdown(data("en")).splitlines() == [
        "| module | platform | coverage | packages | pass | skip | fail | fails on x86-64 too "
        "| cannot be judged under emulation |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| {MODULE} | {PLATFORM} | 75.0 % | 4 | 1 | 1 | 1 | 0 | 0 |",
        "",
        "| package | platform | verdict | why |",
        "| --- | --- | --- | --- |",
        f"| example.com/m/b | {PLATFORM} | fail | want 1, got 2 \\| 3; on x86-64 it fails at times |",
        f"| example.com/m/c | {PLATFORM} | cannot be judged under emulation | EIO: the emulator has no io_setup, io_submit |",
    ]


def test_tables_in_chinese() -> None:
    text = as_markdown(data("zh"), "zh")
    assert "| 模块 | 平台 | 覆盖率 | 包数 | 通过 | 跳过 | 不通过 | x86-64 上同样不通过 | 模拟环境下无法判定 |" in text
    assert "| 包 | 平台 | 结论 | 原因 |" in text
    assert not english_in(text)


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("=== RUN   TestA\n    a_test.go:3: want 1, got 2\n--- FAIL: TestA\n", "a_test.go:3: want 1, got 2"),
        ("\x16=== RUN   TestA\n\x0f    a_test.go:3: want 1\x0e\n\x16--- FAIL: TestA\n", "a_test.go:3: want 1"),
        ("nothing that tells\n", "程序结束：退出码 3"),
        ("", "程序结束：退出码 3"),
    ],
)
def test_a_test_that_ended_its_program_says_how_unless_it_said_more(output: str, told: str) -> None:
    assert _reason(output, _("the program ended with {end}", end=_("exit code {code}", code=3))).render("zh") == told


def test_a_reason_without_an_end_is_the_first_line() -> None:
    assert _reason("first\nsecond\n") == "first" and _reason("") == ""
