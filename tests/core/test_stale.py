"""What an earlier run has left never stays beside a run that has no report."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.journal import REPORT_FILES, JournalWriter, remove_stale
from pytest_xinchuang.core.stale import SEALED, written_by_runs

KEPT = {".gitignore", ".lock", "previous-journal.ndjson"}


def filled(directory: Path) -> None:
    directory.mkdir(exist_ok=True)
    for name in REPORT_FILES:
        (directory / name).write_text(f"old {name}")


def left(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_every_report_is_removed_and_the_journal_is_set_aside(tmp_path: Path) -> None:
    filled(tmp_path)
    remove_stale(tmp_path)
    assert left(tmp_path) == KEPT
    assert (tmp_path / "previous-journal.ndjson").read_text() == "old journal.ndjson"
    remove_stale(tmp_path)
    assert (tmp_path / "previous-journal.ndjson").read_text() == "old journal.ndjson"


def test_where_there_is_nothing_nothing_is_made(tmp_path: Path) -> None:
    remove_stale(tmp_path / "none")
    assert left(tmp_path) == set()


def test_what_another_run_is_writing_stays(tmp_path: Path) -> None:
    journal = JournalWriter(tmp_path)
    (tmp_path / "report.json").write_text("of the other run")
    remove_stale(tmp_path)
    assert left(tmp_path) == {".lock", "journal.ndjson", "report.json"}
    journal.close()


def test_links_go_and_what_they_lead_to_stays(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("x")
    directory = tmp_path / ".xc"
    directory.mkdir()
    for name in ("report.json", "journal.ndjson"):
        (directory / name).symlink_to(elsewhere)
    remove_stale(directory)
    assert left(directory) == {".lock"} and elsewhere.read_text() == "x"


@pytest.mark.parametrize("name", ["report.json", "junit.xml"])
def test_what_cannot_be_removed_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(HostFault, match=r"the report of an earlier run in .* cannot be removed: Is a directory"):
        remove_stale(tmp_path)


def test_without_room_for_a_lock_it_is_removed_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.json").write_text("old")
    opened = Path.open

    def full(self: Path, mode: str = "r", **more: object) -> object:
        if self.name == ".lock":
            raise OSError(28, os.strerror(28))
        return opened(self, mode, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    remove_stale(tmp_path)
    assert left(tmp_path) == set()


def test_the_lock_is_given_back(tmp_path: Path) -> None:
    filled(tmp_path)
    remove_stale(tmp_path)
    with (tmp_path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_those_of_the_sealed_process_go_as_well(tmp_path: Path) -> None:
    filled(tmp_path)
    filled(tmp_path / SEALED)
    (tmp_path / SEALED / SEALED).symlink_to(tmp_path)
    remove_stale(tmp_path)
    assert left(tmp_path) == {*KEPT, SEALED} and left(tmp_path / SEALED) == {*KEPT, SEALED}
    assert (tmp_path / SEALED / "previous-journal.ndjson").read_text() == "old journal.ndjson"


def test_what_runs_write_is_known_from_either_side(tmp_path: Path) -> None:
    ours, theirs = set(written_by_runs(tmp_path)), set(written_by_runs(tmp_path / SEALED))
    assert ours <= theirs and {tmp_path / SEALED / ".running", tmp_path / "report.json"} <= ours
