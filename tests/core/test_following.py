"""A journal is read while another process writes it: what is whole, and nothing that it did not write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.events import FaultMet, RunFinished, RunStarted
from pytest_xinchuang.core.following import Following
from pytest_xinchuang.core.journal import JournalWriter, read_journal
from pytest_xinchuang.core.reading import Reader
from tests.core.test_grade import started


@pytest.fixture
def lines(tmp_path: Path) -> list[bytes]:
    journal = JournalWriter(tmp_path / "whole")
    journal.write(RunStarted.model_validate(started()))
    for number in range(5):
        journal.write(FaultMet(what=f"fault {number}"))
    journal.evidence({"kind": "seen", "n": 1})
    journal.write(RunFinished(exit_status=0))
    journal.close()
    return (tmp_path / "whole/journal.ndjson").read_bytes().splitlines(keepends=True)


def kinds(followed: Following) -> list[str]:
    return [event.kind for event in followed.events]


def test_whole_lines_alone_are_read_however_they_come(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "journal.ndjson"
    followed = Following(path)
    followed.read()
    assert followed.events == [] and followed.journal is None
    whole = b"".join(lines)
    for n in range(0, len(whole), 97):
        with path.open("ab") as file:
            file.write(whole[n : n + 97])
        followed.read()
        assert len(followed.events) == whole[: n + 97].count(b"\n") and followed.refusal is None
    journal, again = followed.end(), read_journal(path)
    assert journal is not None and journal.problems == [] and journal.head == again.head
    assert kinds(followed) == ["run_started", *["fault"] * 5, "evidence", "run_finished"]


def test_a_line_that_was_cut_off_is_told_at_the_end(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(lines[:3]) + lines[3][:50])
    followed = Following(path)
    followed.read()
    assert kinds(followed) == ["run_started", "fault", "fault"] and followed.refusal is None
    journal = followed.end()
    assert journal is not None and [str(p)[:13] for p in journal.problems] == ["the last line", "the run did n"]


@pytest.mark.parametrize(
    "broken",
    [
        lambda lines: [*lines[:2], *lines[3:]],
        lambda lines: [*lines[:2], lines[1], *lines[2:]],
        lambda lines: [lines[0], lines[1].replace(b"fault 0", b"fault 9"), *lines[2:]],
        lambda lines: lines[1:],
        lambda lines: [b"{}\n", *lines],
        lambda lines: [b"\xff\n", *lines],
        lambda lines: [*lines, lines[-1]],
    ],
    ids=["missing", "doubled", "changed", "headless", "no event", "no text", "behind the end"],
)
def test_what_no_run_has_written_is_refused_at_once_and_nothing_behind_it_is_read(
    tmp_path: Path, lines: list[bytes], broken: Any
) -> None:
    path = tmp_path / "journal.ndjson"
    given = broken(lines)
    path.write_bytes(b"".join(given))
    followed = Following(path)
    followed.read()
    assert followed.refusal is not None
    before = list(followed.events)
    assert len(before) < len(given)
    followed.read()
    assert followed.events == before


@pytest.mark.tools
def test_a_fork_moves_nothing(tmp_path: Path, lines: list[bytes]) -> None:
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(lines[:3]))
    followed = Following(path)
    followed.read()
    path.write_bytes(b"".join(lines))
    child = os.fork()
    if not child:
        followed.read()
        os._exit(len(followed.events))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8
    followed.read()
    assert len(followed.events) == 8 and followed.refusal is None


def test_a_reading_that_was_cut_short_is_begun_again(
    tmp_path: Path, lines: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.ndjson"
    path.write_bytes(b"".join(lines))
    followed = Following(path)
    take, seen = Reader.take, 0

    def cut_short(self: Reader, line: bytes) -> object:
        nonlocal seen
        seen += 1
        event = take(self, line)
        if seen == 4:
            raise KeyboardInterrupt
        return event

    monkeypatch.setattr(Reader, "take", cut_short)
    with pytest.raises(KeyboardInterrupt):
        followed.read()
    followed.read()
    assert len(followed.events) == 8 and followed.refusal is None
