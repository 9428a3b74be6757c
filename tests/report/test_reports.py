from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pytest_xinchuang.core.grade import RunResult, grade_run
from pytest_xinchuang.core.journal import read_journal
from pytest_xinchuang.report import terminal
from pytest_xinchuang.report.json_report import report_schema, report_text
from pytest_xinchuang.report.junit import junit_text
from pytest_xinchuang.report.terminal import write_table
from tests.core.test_grade import FINISHED, PLATFORM, WAIVER, all_pass, decided, started


@pytest.fixture
def result_of(tmp_path: Path) -> Callable[[list[dict[str, Any]]], RunResult]:
    def make(events: list[dict[str, Any]]) -> RunResult:
        path = tmp_path / "journal.ndjson"
        path.write_text("".join(json.dumps(e) + "\n" for e in events))
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
        "errors": "2",
        "skipped": "1",
    }
    kinds = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert kinds == {"T-1": [], "T-2": ["skipped"], "T-3": ["error"], "T-4": ["error"]}
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert properties["grade"] == "L2"
    assert properties["grade.with_waivers"] == "T-2"
    assert properties["requirement.T-4"] == "L4 not_tested"


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
    monkeypatch.setattr(terminal, "_cell", lambda _: "FAIL 130/132")
    lines: list[str] = []
    write_table(result_of(all_pass()), lambda text, **_: lines.append(text))
    head, row = lines[1:3]
    assert row.count("FAIL 130/132 ") == 4 and row.index("FAIL") == head.index("L1")
