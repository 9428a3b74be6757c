"""The fuzzer finds what was planted: exceptions, endless loops, memory without bound, and the death of the process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import NOTHING, verbatim
from tests.fuzz import drive
from tests.fuzz.drive import Case, Target, fuzz, minimised

pytestmark = pytest.mark.tools


def planted(run: Callable[[bytes], object]) -> Target:
    return Target(
        "planted", lambda case, place: run(case.data), lambda: [Case("x.json", b'{"a": [1, "two", {"b": null}]}\n')]
    )


def raises(error: BaseException) -> None:
    raise error


FAULTS: dict[str, tuple[Callable[[bytes], object], str]] = {
    "exception": (lambda data: raises(KeyError("a")) if b"\xff" in data else None, "KeyError"),
    "exit": (lambda data: raises(SystemExit(2)) if b"\xff" in data else None, "SystemExit"),
    "hang": (lambda data: time.sleep(60) if b"\xff" in data else None, "TooSlow"),
    "memory": (lambda data: b"x" * (4 << 30) if b"\xff" in data else None, "MemoryError"),
    "death": (
        lambda data: os.kill(os.getpid(), signal.SIGKILL) if b"\xff" in data else None,
        "the process ended: signal 9",
    ),
    "no word": (lambda data: raises(XcError(NOTHING)) if b"\xff" in data else None, "ValueError"),
    "surrogates": (lambda data: print("\ud800") if b"\xff" in data else None, "UnicodeEncodeError"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_planted_fault_is_found(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "SECONDS", 0.5)
    run, sign = FAULTS[kind]
    score = fuzz(planted(run), first=0, number=120, seed=1, seconds=0, batch=40)
    assert score.number == 120
    assert any(found.startswith(sign) for found in score.finds), score.finds


def test_what_is_accepted_or_refused_in_words_is_none() -> None:
    score = fuzz(
        planted(lambda data: raises(XcError(verbatim("no"))) if len(data) % 2 else None),
        first=0,
        number=80,
        seed=1,
        seconds=0,
    )
    assert (score.number, score.finds) == (80, {})


def test_a_find_is_made_small() -> None:
    target = planted(FAULTS["exception"][0])
    score = fuzz(target, first=0, number=120, seed=1, seconds=0)
    find = minimised(target, next(iter(score.finds.values())))
    assert find.case.data == b"\xff"


def test_a_find_is_kept_where_the_corpus_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drive, "CORPUS", tmp_path)
    find = drive.Find("planted", Case("x.json", b"\xff"), "KeyError in x.py:f", "")
    path = drive.keep(find)
    assert path is not None
    assert planted(print).corpus() == [Case("x.json", b"\xff")]


def test_the_script_tells_what_it_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert drive.main(["agent", "go", "--number", "40", "--no-keep"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [["agent", "40", "mutants"], ["go", "40", "mutants"]]
