from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_xinchuang.core.events import Decided, messages_of
from pytest_xinchuang.core.grade import RunResult, grade_run
from pytest_xinchuang.core.journal import read_journal
from pytest_xinchuang.messages import _
from pytest_xinchuang.report import terminal
from pytest_xinchuang.report.columns import padded, shortened, width_of, wrapped
from pytest_xinchuang.report.json_report import report_schema, report_text
from pytest_xinchuang.report.junit import junit_text
from pytest_xinchuang.report.terminal import write_table
from tests.core.test_grade import FINISHED, PLATFORM, SANDBOX, WAIVER, all_pass, chain, decided, started
from tests.journals import line_of, write_journal

ENGLISH = re.compile("[A-Za-z]{2,}")


@pytest.fixture
def result_of(tmp_path: Path) -> Callable[[list[dict[str, Any]]], RunResult]:
    def make(events: list[dict[str, Any]]) -> RunResult:
        path = tmp_path / "journal.ndjson"
        write_journal(path, events)
        return grade_run(read_journal(path))

    return make


Make = Callable[[list[dict[str, Any]]], RunResult]


def mixed() -> list[dict[str, Any]]:
    events = all_pass()
    events[0] = started(waivers=[WAIVER])
    events[4] = decided("T-2", "fail", reason="wrong <&> \x00\x1b[31m answer\ud800", mend="mend it")
    events[5] = decided("T-3", "inconclusive", cause="host", reason="lost")
    return [e for e in events if e.get("requirement") != "T-4"]


def test_report_json_fits_its_schema(result_of: Make) -> None:
    for events in (all_pass(), mixed(), all_pass()[:-1], [started(), FINISHED]):
        jsonschema.validate(json.loads(report_text(result_of(events))), report_schema())


def test_the_same_journal_gives_the_same_bytes(result_of: Make) -> None:
    assert report_text(result_of(mixed())) == report_text(result_of(mixed()))
    assert junit_text(result_of(mixed())) == junit_text(result_of(mixed()))


def test_junit_has_no_harmless_place_for_what_is_open(result_of: Make) -> None:
    root = ElementTree.fromstring(junit_text(result_of(mixed())))
    (suite,) = root
    assert suite.get("name") == f"mru.{PLATFORM}"
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "0",
        "errors": "1",
        "skipped": "2",
    }
    kinds = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert kinds == {"T-1": [], "T-2": ["skipped"], "T-3": ["error"], "T-4": ["skipped"]}
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert properties["grade"] == "L2"
    assert properties["grade.with_waivers"] == "T-2"
    assert properties["requirement.T-4"] == "L4 not_tested"


def test_junit_skips_what_is_beyond_the_profile_and_says_so(result_of: Make) -> None:
    text = junit_text(result_of(mixed()))
    assert 'message="beyond the profile finance (L3): not_tested: no check decided it"' in text
    events = mixed()
    events[0]["profile"] = {"id": "report", "required_level": None}
    kinds = {
        case.get("name"): [child.tag for child in case]
        for case in ElementTree.fromstring(junit_text(result_of(events))).iter("testcase")
    }
    assert kinds == {"T-1": [], "T-2": ["skipped"], "T-3": ["error"], "T-4": ["error"]}


# The strict core that JUnit readers agree on: these elements, in these places, with these attributes.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": ({"testsuite"}, set()),
    "testsuite": (
        {"properties", "testcase", "system-out", "system-err"},
        {
            "name",
            "tests",
            "failures",
            "errors",
            "skipped",
            "time",
            "timestamp",
            "hostname",
            "id",
            "package",
        },
    ),
    "properties": ({"property"}, set()),
    "property": (set(), {"name", "value"}),
    "testcase": ({"skipped", "error", "failure", "system-out", "system-err"}, {"name", "classname", "time"}),
    "skipped": (set(), {"message"}),
    "error": (set(), {"message", "type"}),
    "failure": (set(), {"message", "type"}),
    "system-out": (set(), set()),
    "system-err": (set(), set()),
}


def test_junit_keeps_to_the_strict_core(result_of: Make) -> None:
    for events in (all_pass(), mixed()):
        for element in ElementTree.fromstring(junit_text(result_of(events))).iter():
            children, attributes = ALLOWED[element.tag]
            assert {c.tag for c in element} <= children, element.tag
            assert set(element.attrib) <= attributes, element.attrib
            if element.tag == "testsuite":
                tags = [c.tag for c in element]
                assert (tags[0], *tags[-2:]) == ("properties", "system-out", "system-err")
                assert set(element.attrib) == attributes
            if element.tag == "testcase":
                assert set(element.attrib) == attributes
                assert len([c for c in element if c.tag in ("skipped", "error", "failure")]) <= 1


def test_the_table_shows_what_blocks_and_what_mends(result_of: Make) -> None:
    lines: list[str] = []
    events = all_pass()
    events[4] = decided("T-2", "fail", reason="wrong answer", mend="correct it")
    write_table(result_of(events), lambda text, **_: lines.append(text))
    text = "\n".join(lines)
    assert "L1" in text
    assert "T-2 L2 fail" in text
    assert "wrong answer" in text
    assert "mend: correct it" in text
    assert "stand-in root filesystem" in text
    assert "not a certificate" in text


def test_the_table_of_a_broken_run_says_so(result_of: Make) -> None:
    lines: list[str] = []
    write_table(result_of(all_pass()[:-1]), lambda text, **_: lines.append(text))
    assert any("no grade: the run did not finish" in line for line in lines)


def test_the_columns_of_the_table_stand_apart(result_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "level_cell", lambda _: "FAIL 130/132")
    lines: list[str] = []
    write_table(result_of(all_pass()), lambda text, **_: lines.append(text))
    head, row = lines[1:3]
    assert (
        row.split().count("130/132") == 4 and row.count("FAIL 130/132 ") >= 3 and row.index("FAIL") == head.index("L1")
    )


# -- the same journal in the other language


def chinese() -> list[dict[str, Any]]:
    """Everything that core says, on texts without English of their own."""
    events = chain(waivers=[{**WAIVER, "reason": "与实验室商定", "owner": "李雷", "expires": "2026-04-30"}])
    for item in events[0]["required"]:
        item["title"] = {"zh": f"要求 {item['id']}", "en": "a title"}
        item["mend"] = {"zh": "改正", "en": "mend it"}
    reason = _("the test passed and recorded no evidence")
    said = Decided(
        requirement="T-1",
        platform=PLATFORM,
        reason=str(reason),
        mend="",
        messages=messages_of(reason=reason),
        check="check of T-1",
    )
    told = json.loads(line_of(said))
    events[1] = {**SANDBOX, "differs": []}
    events[3] = {**decided("T-1", "fail"), "reason": told["reason"], "messages": told["messages"]}
    return events


def table(result: RunResult, language: str) -> list[str]:
    lines: list[str] = []
    write_table(result, lambda text, **_: lines.append(text), language=language)
    return lines


def without_names(text: str) -> str:
    """A report's text without what is the same in every language: ids, options, file names."""
    for name in (
        PLATFORM,
        "`xc grade`",
        "finance",
        "product",
        "mru",
        "report.json",
        "T-",
        "L1",
        "L2",
        "L3",
        "L4",
        "run_started",
    ):
        text = text.replace(name, "")
    return text


def test_how_a_machine_differs_stands_below_the_grade(result_of: Make) -> None:
    """Of an emulated run it does not: what stands in differs always, and report.json has it."""
    differs = "systems.x.kernel is 4.19.90 by platforms.yaml (sourced), and 5.10.0 on this machine"
    for fidelity in ("native", "emulated-user"):
        events = [
            {**e, "fidelity": fidelity, "differs": [differs]} if e["kind"] == "sandbox" else e for e in all_pass()
        ]
        told = " ".join("\n".join(table(result_of(events), "en")).split())
        assert ("the machine differs from what is written of it: systems.x.kernel is 4.19.90" in told) is (
            fidelity == "native"
        )


def test_one_journal_gives_the_terminal_in_either_language(result_of: Make) -> None:
    result = result_of(chinese())
    english, told = "\n".join(table(result, "en")), "\n".join(table(result, "zh"))
    assert "T-1 L1 fail: a title" in english and "mend: mend it" in english
    assert "T-1 L1 不通过：要求 T-1" in told
    assert "测试通过了，但没有记录证据" in told
    assert "修正：改正" in told
    assert "李雷对 T-2 的豁免无效：已于 2026-04-30 到期" in told
    assert "阻碍升级的要求" in told and "替代根文件系统" in told
    assert ENGLISH.findall(without_names(told)) == []


def test_the_head_names_the_profile_in_either_language(result_of: Make) -> None:
    events = all_pass()
    title = {"en": "Finance", "zh": "金融核心"}
    events[0] = started(profile={"id": "finance", "title": title, "required_level": "L3"})
    result = result_of(events)
    assert ", profile finance (Finance), suite" in table(result, "en")[0]
    assert "，等级方案 finance（金融核心），" in table(result, "zh")[0]
    assert ", profile finance, suite" in table(result_of(all_pass()), "en")[0], "a journal of before has no title"


def test_the_table_calls_a_failure_as_the_verdict_does(result_of: Make) -> None:
    events = all_pass()
    events[3] = decided("T-1", "fail", reason="wrong")
    told = table(result_of(events), "zh")
    assert "不通过 0/1" in told[2] and not [line for line in told if "失败" in line]


def test_a_run_without_a_grade_says_so_in_either_language(result_of: Make) -> None:
    told = "\n".join(table(result_of(chinese()[:-1]), "zh"))
    assert "没有等级：运行没有结束" in told
    assert ENGLISH.findall(without_names(told)) == []


TEXTS = {"reason", "mend", "capped_by"}


def test_report_json_has_the_same_names_and_other_texts(result_of: Make) -> None:
    result = result_of(chinese())
    english, told = (json.loads(report_text(result, language)) for language in ("en", "zh"))
    jsonschema.validate(told, report_schema())
    assert english.keys() == told.keys()
    for one, other in zip(english["requirements"], told["requirements"], strict=True):
        assert {k: v for k, v in one.items() if k not in TEXTS} == {k: v for k, v in other.items() if k not in TEXTS}
    assert told["requirements"][1]["reason"] == "它以 T-1 为前提，而该项不通过：测试通过了，但没有记录证据"
    assert told["requirements"][1]["verdict"] == "not_tested" and told["requirements"][1]["cause"] == "blocked"
    assert told["requirements"][0]["mend"] == "改正"
    assert told["grades"][0]["capped_by"] == "L1：T-1 不通过：测试通过了，但没有记录证据"
    texts = [r[key] for r in told["requirements"] for key in ("reason", "mend")] + told["waiver_notes"]
    assert ENGLISH.findall(without_names("\n".join(texts))) == []


def test_junit_has_the_same_names_and_other_texts(result_of: Make) -> None:
    root = ElementTree.fromstring(junit_text(result_of(chinese()), "zh"))
    cases = {case.get("name"): case for case in root.iter("testcase")}
    failure, error = cases["T-1"].find("failure"), cases["T-2"].find("error")
    assert failure is not None and error is not None
    assert failure.get("message") == "测试通过了，但没有记录证据" and failure.get("type") == "fail"
    assert failure.text == "测试通过了，但没有记录证据\n修正：改正"
    assert error.get("message", "").startswith("未测试：它以 T-1 为前提") and error.get("type") == "not_tested"
    properties = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert properties["requirement.T-2"] == "L2 not_tested"
    assert properties["grade.capped_by"] == "L1：T-1 不通过：测试通过了，但没有记录证据"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_same_journal_and_language_give_the_same_bytes(result_of: Make, language: str) -> None:
    for make in (report_text, junit_text, table):
        assert make(result_of(chinese()), language) == make(result_of(chinese()), language)


def test_what_is_blocked_is_an_error_of_junit_and_no_failure(result_of: Make) -> None:
    (suite,) = ElementTree.fromstring(junit_text(result_of(chinese())))
    assert (suite.get("failures"), suite.get("errors")) == ("1", "2")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_columns_stand_under_their_heads(result_of: Make, language: str) -> None:
    lines = table(result_of(chinese()), language)
    head, row = lines[1:3]
    ends = [width_of(head[: head.index(f"L{n}")]) for n in range(1, 5)]
    cells = [
        width_of(row[: match.start()])
        for match in re.finditer(r"(?<=  )\S+ [0-9]+/[0-9]+|(?<= )\S+ [0-9]+/[0-9]+", row)
    ]
    assert cells == ends


def test_wide_characters_take_two_columns() -> None:
    assert [width_of(text) for text in ("", "abc", "平台", "e\u0301", "ＡＢ")] == [0, 3, 4, 1, 4]
    assert padded("平台", 6) == "平台  " and padded("platform", 2) == "platform"


def test_texts_are_cut_by_what_they_take() -> None:
    assert shortened("a  b\nc", 9) == "a b c"
    assert shortened("abcdefgh", 7) == "abcd..."
    assert shortened("平台平台平台", 8) == "平台..."
    assert width_of(shortened("平" * 100, 41)) <= 41


def test_at_80_columns_nothing_is_broken_and_a_mend_is_whole(result_of: Make) -> None:
    mend = "build it against glibc 2.28, e.g. `zig cc -target aarch64-linux-gnu.2.28 -O2 -o tool tool.c`, or ask the vendor"
    events = all_pass()
    events[4] = decided("T-2", "fail", reason="wrong answer " * 20, mend=mend)
    for language in ("en", "zh"):
        lines: list[str] = []
        write_table(result_of(events), lambda text, **_: lines.append(text), language=language, width=80)  # noqa: B023
        assert max(width_of(line) for line in lines) <= 80
        assert "`zig cc -target aarch64-linux-gnu.2.28 -O2 -o tool tool.c`," in "\n".join(lines)
    wide: list[str] = []
    write_table(result_of(events), lambda text, **_: wide.append(text), width=140)
    assert any(line.startswith(PLATFORM) and line.endswith("stand-in root filesystem") for line in wide)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 10, []),
        ("one two three", 8, ["one two", "three"]),
        ("a-word-that-is-longer than", 5, ["a-word-that-is-longer", "than"]),
        ("用 zig 构建，不要用更新的", 12, ["用 zig 构", "建，不要用更", "新的"]),
        ("说明 `xc provision --system` 即可", 10, ["说明", "`xc provision --system`", "即可"]),
    ],
)
def test_texts_are_broken_between_words_and_never_within_a_command(text: str, width: int, lines: list[str]) -> None:
    assert wrapped(text, width) == lines
