"""A report of an earlier run stays beside no run that has none, however early that one ends; and what ``xc report`` refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.run.stale import EXIT_NO_REPORT
from tests.core.test_grade import all_pass
from tests.integration.planned import CATALOGUE
from tests.integration.test_plugin import CONFTEST, run
from tests.journals import write_bare, write_journal

pytestmark = pytest.mark.tools

GRANTED = '{"schema": "xc-report/1", "grades": [{"level": "L3"}]}'
REPORTS = ("report.json", "junit.xml", "report.html", "ctrf.json")


@pytest.fixture
def granted(pytester: pytest.Pytester) -> Path:
    """The report directory, with an earlier run's reports in it."""
    directory = pytester.path / ".xc"
    directory.mkdir()
    for name in REPORTS:
        (directory / name).write_text(GRANTED)
    return directory


def gone(directory: Path) -> bool:
    return not any((directory / name).exists() for name in REPORTS)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--xc-platform=kunpen"], 4),
        (["--xc-platform=kunpeng", "--xc-suite=mruu"], 4),
        (["--xc-platform=kunpeng", "--no-such-option"], 4),
        (["--xc-platform=kunpeng", "--xc-subject=none"], 4),
        (["--xc-platform=kunpeng", "--xc-suite=none", "--collect-only"], 5),
        (["--xc-platform=kunpeng", "--xc-suite=none", "no_such_file.py"], 4),
    ],
)
def test_an_error_of_use_leaves_no_earlier_report(
    pytester: pytest.Pytester, granted: Path, arguments: list[str], status: int
) -> None:
    result = run(pytester, *arguments)
    assert result.ret == status
    # A run that has come as far as to find nothing has a report of its own.
    assert all(path.read_text() != GRANTED for path in granted.iterdir())


def test_a_broken_conftest_leaves_no_earlier_report(pytester: pytest.Pytester, granted: Path) -> None:
    pytester.makeconftest("raise RuntimeError('broken')")
    assert run(pytester, "--xc-platform=kunpeng", "--xc-suite=none").ret == 4
    assert gone(granted)


def test_a_run_that_a_worker_starts_is_no_worker(
    pytester: pytest.Pytester, granted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    assert run(pytester, "--xc-platform=kunpeng", "--no-such-option").ret == 4
    assert gone(granted)


def test_the_directory_of_the_ini_file_and_of_the_option(pytester: pytest.Pytester, granted: Path) -> None:
    for name in ("ini", "option"):
        shutil.copytree(granted, pytester.path / name)
    pytester.makeini("[pytest]\nxc_report = ini\nxc_platform = kunpeng\n")
    run(pytester, "--xc-suite=mruu")
    assert gone(pytester.path / "ini") and not gone(pytester.path / "option")
    run(pytester, "--xc-suite=mruu", "--xc-report=option")
    assert gone(pytester.path / "option") and not gone(granted)


@pytest.mark.parametrize("arguments", [[], ["--help", "--xc-platform=kunpeng"], ["--version", "--xc-platform=kunpeng"]])
def test_what_grades_nothing_removes_nothing(pytester: pytest.Pytester, granted: Path, arguments: list[str]) -> None:
    pytester.makepyfile("def test_x(): pass")
    run(pytester, *arguments)
    assert not gone(granted)


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_a_run_keeps_its_own_reports(pytester: pytest.Pytester, granted: Path, workers: str) -> None:
    pytester.makefile(".yaml", own=CATALOGUE)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile("def test_x(xc_platform): pass\ndef test_y(): pass")
    run(pytester, "--xc-platform=kunpeng", "--xc-suite=none", workers)
    report = json.loads((granted / "report.json").read_text())
    assert [g["level"] for g in report["grades"]] == ["L0"] and report["run"]["problems"] == []
    assert "not requirements of the suite, but of own.yaml (sha256:" in report["run"]["notes"][0]


@pytest.mark.parametrize("arguments", [["--xc-platform=kunpen"], ["--xc-platform=kunpeng", "--collect-only"]])
def test_a_report_that_cannot_be_removed_ends_the_run(
    pytester: pytest.Pytester, granted: Path, arguments: list[str]
) -> None:
    (granted / "report.json").unlink()
    (granted / "report.json").mkdir()
    result = run(pytester, *arguments)
    assert result.ret == EXIT_NO_REPORT
    result.stderr.fnmatch_lines(["the report of an earlier run in *.xc cannot be removed: Is a directory"])


def test_an_own_file_is_told_with_its_digest(pytester: pytest.Pytester) -> None:
    (pytester.path / "lab.yaml").write_text("schema: xc-platforms/1\nreference: null\n")
    pytester.makepyfile("def test_x(xc_platform): pass")
    run(pytester, "--xc-platform=kunpeng", "--xc-suite=none", "--xc-platforms-file=lab.yaml")
    report = json.loads((pytester.path / ".xc/report.json").read_text())
    assert [g["facts"] for g in report["grades"]] == ["overridden"]
    assert "facts of lab.yaml (sha256:" in report["run"]["notes"][0]


# -- xc report


@pytest.mark.parametrize("language", ["en", "zh"])
def test_xc_report_says_which_line_is_wrong(tmp_path: Path, language: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "journal.ndjson"
    raw = write_journal(path, all_pass())
    path.write_bytes(raw.replace(b'"verdict": "pass"', b'"verdict": "fail"', 1))
    assert main(["report", str(path), "--language", language]) == 3
    told = capsys.readouterr().out
    line = raw[: raw.index(b'"verdict"')].count(b"\n") + 1
    assert (f"line {line} (byte " if language == "en" else f"第 {line} 行（字节 ") in told
    assert json.loads((tmp_path / "report.json").read_text())["grades"][0]["level"] is None


def test_xc_report_of_an_older_journal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "journal.ndjson"
    write_bare(path, all_pass(), checksums=True)
    assert main(["report", str(path)]) == 3
    assert "its grade is unproved" in capsys.readouterr().out


def test_what_xc_report_refuses_leaves_no_earlier_report(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    path.write_text("no journal\n")
    (tmp_path / "report.json").write_text(GRANTED)
    (tmp_path / "junit.xml").write_text("<testsuite/>")  # of somebody else
    assert main(["report", str(path)]) == 2
    assert {p.name for p in tmp_path.iterdir()} == {"journal.ndjson", "junit.xml"}


def test_a_report_that_is_named_by_mistake_stays(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(GRANTED)
    assert main(["report", str(tmp_path / "report.json")]) == 2
    assert main(["report", str(tmp_path / "none.ndjson")]) == 2
    assert (tmp_path / "report.json").read_text() == GRANTED
