"""What a run's journal becomes: the terminal, report.json and junit.xml, and what ``xc report`` says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from pytest_xinchuang.core import proof
from pytest_xinchuang.core.events import Decided, messages_of
from pytest_xinchuang.core.grade import RunResult, grade_run
from pytest_xinchuang.core.journal import read_journal
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.report.json_report import report_text
from pytest_xinchuang.report.junit import junit_text
from pytest_xinchuang.report.terminal import write_table
from tests.core.test_grade import EVIDENCE, FINISHED, PLATFORM, SANDBOX, WAIVER, Events, decided, required, started
from tests.journals import line_of, write_journal
from tests.outputs.conftest import Said

OTHER = "loongson_3a5000-kylin_v11"


def titled(identifier: str, level: str, least: str = "static", **more: Any) -> dict[str, Any]:
    """A requirement with a title and a mend in both languages."""
    title = {"en": f"What {identifier} asks", "zh": f"{identifier} 所要求的"}
    mend = {"en": f"Do as {identifier} asks", "zh": f"按 {identifier} 的要求改正"}
    return {**required(identifier, level, least, **more), "title": title, "mend": mend}


def told(identifier: str, verdict: str, cause: str, **more: Any) -> dict[str, Any]:
    """A decision with its reason in both languages."""
    reason = _("{program} needs {library}", program=verbatim("bin/tool"), library=verbatim("libssl.so.3"))
    said = json.loads(
        line_of(
            Decided(
                requirement=identifier,
                platform=PLATFORM,
                reason=str(reason),
                mend="",
                messages=messages_of(reason=reason),
                check=f"check of {identifier}",
            )
        )
    )
    return {**decided(identifier, verdict, cause=cause), "reason": said["reason"], "messages": said["messages"], **more}


def everything() -> Events:
    """Every verdict, every cause, waivers that hold and that do not, and three fidelities."""
    asked = [
        titled("T-1", "L1"),
        titled("T-2", "L1"),
        titled("T-3", "L2", may_not_apply=True),
        titled("T-4", "L2"),
        titled("T-5", "L2", needs=["T-4"]),
        titled("T-6", "L3"),
        titled("T-7", "L3"),
        titled("T-8", "L3"),
        titled("T-9", "L4", "native"),
        titled("T-10", "L4", "emulated-system"),
        titled("T-11", "L4", mandatory=False),
    ]
    expired = {**WAIVER, "requirement": "T-6", "expires": "2026-04-30"}
    platforms = [{"id": one, "uname": "aarch64", "facts": "shipped"} for one in (PLATFORM, OTHER)]
    there = {"platform": OTHER, "fidelity": "emulated-system"}
    return [
        started(required=asked, waivers=[WAIVER, expired], platforms=platforms),
        SANDBOX,
        {**SANDBOX, **there, "stand_in": False, "differs": []},
        EVIDENCE,
        decided("T-1"),
        told("T-2", "fail", "subject"),
        decided("T-3", "not_applicable", cause="none", reason=""),
        told("T-4", "fail", "subject"),
        decided("T-5"),
        told("T-6", "inconclusive", "missing-fact"),
        told("T-7", "inconclusive", "host"),
        told("T-9", "inconclusive", "fidelity"),
        decided("T-10"),
        told("T-11", "fail", "subject"),
        *(decided(f"T-{n}", **there) for n in (1, 2, 4, 5, 6, 7, 8, 9, 11)),
        decided("T-3", "not_applicable", cause="none", reason="", **there),
        decided("T-10", **there),
        FINISHED,
    ]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "journal.ndjson"
    write_journal(path, everything())
    return path


@pytest.fixture
def result(journal: Path) -> RunResult:
    return grade_run(read_journal(journal))


def test_the_terminal(result: RunResult, language: str, snapshot: SnapshotAssertion) -> None:
    lines: list[str] = []
    write_table(result, lambda text, **_: lines.append(text), language=language)
    assert "\n".join(lines) == snapshot


def test_the_terminal_of_a_run_that_did_not_finish(journal: Path, language: str, snapshot: SnapshotAssertion) -> None:
    journal.write_text("".join(journal.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    lines: list[str] = []
    write_table(grade_run(read_journal(journal)), lambda text, **_: lines.append(text), language=language)
    assert "\n".join(lines) == snapshot


@pytest.mark.parametrize("make", [report_text, junit_text])
def test_the_files(
    make: Callable[..., str],
    result: RunResult,
    language: str,
    normal: Callable[[str], str],
    snapshot: SnapshotAssertion,
) -> None:
    assert normal(make(result, language)) == snapshot


def test_xc_report(journal: Path, said: Said, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said("report", journal.name) == snapshot(name="of another suite")
    monkeypatch.setattr(proof, "prove", lambda *_of: None)
    assert said("report", journal.name) == snapshot
    words = ("--format", "markdown", "--artifacts", "https://ci.example/1")
    assert said("report", journal.name, *words) == snapshot(name="a comment")
    whole = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    journal.write_text("".join(whole[:5]) + whole[5][:40], encoding="utf-8")
    assert said("report", journal.name) == snapshot(name="cut off")
    assert said("report", "none.ndjson") == snapshot(name="not there")
