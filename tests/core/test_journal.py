from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.events import FaultMet, RunFinished, RunStarted
from pytest_xinchuang.core.journal import JournalWriter, NotAJournal, evidence_id, read_journal
from tests.core.test_grade import FINISHED, PLATFORM, SANDBOX, decided, required, started
from tests.journals import write_journal


def test_events_are_in_the_file_when_write_returns(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path)
    journal.write(FaultMet(what="lost"))
    written = json.loads((tmp_path / "journal.ndjson").read_text())
    assert (written["kind"], written["what"], written["t"][-1]) == ("fault", "lost", "Z")
    journal.close()


def test_the_same_observation_is_written_once(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path)
    assert journal.evidence({"a": 1}) == journal.evidence({"a": 1}) == evidence_id({"a": 1})
    journal.close()
    assert len((tmp_path / "journal.ndjson").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    "data",
    [
        {"argv": ("a", "b"), "path": Path("/x"), "n": 1.5},
        {"keys": {10: 1, 9: 2, None: 3, True: 4}},
        {"text": "\udc80 \ud83d\ude00 \U0001f600 \x00 \\udc80 \u2028"},
        {"number": float("nan"), "large": 10**300, "small": -0.0, "exp": 1e-320},
        {"nested": [[{"a": [{}]}]]},
    ],
    ids=repr,
)
def test_whatever_is_observed_is_called_by_its_digest_once_it_is_read(tmp_path: Path, data: dict[str, Any]) -> None:
    journal = JournalWriter(tmp_path)
    journal.write(RunStarted.model_validate(started()))
    identifier = journal.evidence({"kind": "seen", **data})
    journal.write(RunFinished(exit_status=0))
    journal.close()
    read = read_journal(tmp_path / "journal.ndjson", journal.head)
    assert read.problems == []
    assert list(read.evidence) == [identifier]


def test_what_an_earlier_run_granted_does_not_stay(tmp_path: Path) -> None:
    for name in ("report.json", "junit.xml", "journal.ndjson"):
        (tmp_path / name).write_text("old")
    JournalWriter(tmp_path).close()
    assert not (tmp_path / "report.json").exists()
    assert not (tmp_path / "junit.xml").exists()
    assert (tmp_path / "previous-journal.ndjson").read_text() == "old"


def test_two_runs_do_not_share_a_directory(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path)
    with pytest.raises(HostFault, match="another run"):
        JournalWriter(tmp_path)
    journal.close()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostFault, match="cannot be written"):
        JournalWriter(tmp_path / "file" / "x")


def test_a_full_disk_is_a_fault(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full")
    journal = JournalWriter(tmp_path)
    journal._file.close()
    journal._file = full.open("wb", buffering=0)
    with pytest.raises(HostFault, match="No space left"):
        journal.write(FaultMet(what="lost"))
    journal._file.close()
    journal._lock.close()


def test_a_second_writer_is_a_fault(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path)
    journal.write(FaultMet(what="lost"))
    with (tmp_path / "journal.ndjson").open("a") as file:
        file.write("{}\n")
    with pytest.raises(HostFault, match="somebody else writes"):
        journal.write(FaultMet(what="lost again"))
    journal.close()


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\xfe\x00", b'{"kind": "check", "check": "x"}\n'])
def test_a_file_that_is_no_journal(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(NotAJournal):
        read_journal(path)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotAJournal, match="No such file"):
        read_journal(tmp_path / "none")


@pytest.mark.slow
def test_a_journal_of_20000_results_is_read_quickly(tmp_path: Path) -> None:
    path = tmp_path / "journal.ndjson"
    events = [started(required=[required(f"T-{n}", "L1") for n in range(20_000)]), SANDBOX]
    for number in range(20_000):
        data = {"kind": "run", "sandbox": PLATFORM, "number": number, "stdout": "x" * 300}
        events.append({"kind": "evidence", "id": f"ev-{number}", "data": data})
        events.append(decided(f"T-{number}", evidence=[f"ev-{number}"]))
    write_journal(path, [*events, FINISHED])
    began = time.monotonic()
    journal = read_journal(path)
    assert journal.problems == [] and len(journal.decisions) == 20_000
    assert time.monotonic() - began < 30  # 2 to 4 s on two cores of 2024 that do nothing else
