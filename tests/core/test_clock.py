"""The host's clock is set during a run, and waivers are judged by the latest time that was reached."""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path

import pytest

from pytest_xinchuang.core import clock, journal
from pytest_xinchuang.core.clock import Clock, parse_time, steady_s, youngest
from pytest_xinchuang.core.events import RunFinished, RunStarted
from pytest_xinchuang.core.grade import RunResult, grade_run
from pytest_xinchuang.core.journal import JournalWriter, read_journal
from pytest_xinchuang.core.record import Place
from tests.core.test_grade import FINISHED, WAIVER, all_pass, decided, started
from tests.journals import chained, complete, write_journal

DAY_S = 86400.0


def at(text: str) -> datetime.datetime:
    found = parse_time(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "2026-05-01T25:00:00Z"]
)
def test_what_is_no_time(text: str) -> None:
    assert parse_time(text) is None


def test_a_time_without_a_zone_is_in_utc() -> None:
    assert at("2026-05-01T00:00:00") == at("2026-05-01T00:00:00Z") == at("2026-05-01T08:00:00+08:00")


@pytest.mark.parametrize(
    ("second", "elapsed_s", "note"),
    [
        ("2026-05-01T00:01:00Z", 60.0, ""),
        ("2026-05-01T00:01:04Z", 60.0, ""),
        ("2026-05-01T10:00:10Z", 36000.0, ""),  # what a time server corrects in ten hours
        (
            "2026-05-01T01:01:00Z",
            60.0,
            "was set forward by 3600 s during the run; waivers have to be good until 2026-05-01",
        ),
        (
            "2026-04-01T00:01:00Z",
            60.0,
            "was set back by 2592000 s during the run; waivers have to be good until 2026-05-01",
        ),
        (
            "2026-05-01T00:00:01Z",
            DAY_S * 2,
            "was set back by 172799 s during the run; waivers have to be good until 2026-05-03",
        ),
        ("2026-05-01T00:00:01Z", 9e11, "was set back by"),
    ],
)
def test_a_clock_that_was_set_is_told(second: str, elapsed_s: float, note: str) -> None:
    seen = Clock()
    seen.see(at("2026-05-01T00:00:00Z"), 0.0, Place(1, 0, b""))
    seen.see(at(second), elapsed_s, Place(2, 100, b'{"kind": "check"'))
    assert len(seen.notes) == bool(note)
    assert all(f"line 2 (byte 100, check): the host's clock {note}" in str(n) for n in seen.notes)


def test_a_jump_is_told_once_and_so_is_the_way_back() -> None:
    seen = Clock()
    for number, (second, elapsed_s) in enumerate(
        [(0, 0), (1, 1), (7202, 2), (7203, 3), (4, 4), (5, 5)],
    ):
        t = at("2026-05-01T00:00:00Z") + datetime.timedelta(seconds=second)
        seen.see(t, elapsed_s, Place(number + 1, 0, b""))
    assert ["line 3" in seen.notes[0], "line 5" in seen.notes[1], len(seen.notes)] == [True, True, 2]
    assert seen.latest == at("2026-05-01T02:00:03Z")


def waived(tmp_path: Path, last: str, middle: str | None = None) -> RunResult:
    """A run of 2026-05-01 whose waiver of T-2 is good for that day, and which ends at a time."""
    events = complete([*all_pass()[:-1], FINISHED])
    events[0] = started(waivers=[{**WAIVER, "expires": "2026-05-01"}])
    failed = next(e for e in events if e.get("requirement") == "T-2")
    failed.update({k: decided("T-2", "fail")[k] for k in ("verdict", "cause", "reason")})
    if middle is not None:
        events[3]["t"] = middle
    events[-1]["t"] = last
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(chained(events)))
    return grade_run(read_journal(path))


@pytest.mark.parametrize(
    ("last", "middle", "level"),
    [
        ("2026-05-01T23:59:59Z", None, "L4"),
        ("2026-05-02T00:00:01Z", None, "L1"),
        ("2026-05-01T00:01:00Z", "2026-05-02T00:00:01Z", "L1"),
    ],
)
def test_a_waiver_has_to_be_good_at_the_latest_time_of_the_file(
    tmp_path: Path, last: str, middle: str | None, level: str
) -> None:
    result = waived(tmp_path, last, middle)
    assert [g.level for g in result.grades] == [level]
    assert ["it expired on 2026-05-01" in str(n) for n in result.waiver_notes] == ([] if level == "L4" else [True])


def test_a_clock_that_is_set_back_while_a_run_goes_on_revives_no_waiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, steady = ["2026-05-01T00:00:00.000Z"], [100.0]
    monkeypatch.setattr(journal, "utc_now", lambda: wall[0])
    monkeypatch.setattr(journal, "steady_s", lambda: steady[0])
    writer = JournalWriter(tmp_path)
    writer.write(RunStarted.model_validate(started(waivers=[{**WAIVER, "expires": "2026-05-01"}])))
    wall[0], steady[0] = "2026-04-01T00:00:00.000Z", 100.0 + 2 * DAY_S
    writer.write(RunFinished(exit_status=0))
    writer.close()
    read = read_journal(tmp_path / "journal.ndjson")
    assert read.problems == []
    assert "was set back by 2764800 s" in read.notes[0]
    assert read.day == datetime.date(2026, 5, 3)
    assert "it expired on" in str(grade_run(read).waiver_notes[0])


@pytest.mark.parametrize(
    ("not_before", "level", "told"),
    [
        ("", "L4", ""),
        ("2026-04-30T00:00:00Z", "L4", ""),
        ("2026-05-01T00:00:04Z", "L4", ""),
        (
            "2026-05-01T08:00:00Z",
            "L4",
            "line 1 (byte 0, run_started): the host's clock was at 2026-05-01T00:00:00.000Z",
        ),
        ("2026-05-02T00:00:00Z", "L1", "and a file was there from 2026-05-02T00:00:00.000Z; waivers have to be good"),
    ],
)
def test_a_clock_that_was_set_back_before_the_run(tmp_path: Path, not_before: str, level: str, told: str) -> None:
    events = complete(all_pass())
    events[0] = started(waivers=[{**WAIVER, "expires": "2026-05-01"}], not_before=not_before)
    failed = next(e for e in events if e.get("requirement") == "T-2")
    failed.update({k: decided("T-2", "fail")[k] for k in ("verdict", "cause", "reason")})
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(chained(events)))
    journal = read_journal(path)
    assert [g.level for g in grade_run(journal).grades] == [level]
    assert [told in str(note) for note in journal.notes] == ([True] if told else [])


def test_the_youngest_of_some_files(tmp_path: Path) -> None:
    for name, seconds in (("a", 1_000_000_000), ("b", 1_700_000_000)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (seconds, seconds))
    assert youngest([tmp_path / "a", tmp_path / "none"]) == "2001-09-09T01:46:40.000Z"
    assert youngest([tmp_path / "a", tmp_path / "b"]) == "2023-11-14T22:13:20.000Z"
    assert youngest([tmp_path / "none"]) == ""


def test_the_steady_clock_goes_forward() -> None:
    before = steady_s()
    time.sleep(0.01)
    assert 0.005 < steady_s() - before < 60
    assert clock.TOLERANCE_S == 5.0


def test_an_older_journal_is_judged_by_its_latest_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    write_journal(path, all_pass())
    assert read_journal(path).day == datetime.date(2026, 5, 1)
