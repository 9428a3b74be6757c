"""What a sealed process decides, for those who wait for it: what it says, and what is said where it says nothing."""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_xinchuang.assessor.assessed import Assessed
from pytest_xinchuang.core.events import Decided, FaultMet, RunStarted, messages_of
from pytest_xinchuang.core.journal import JournalWriter
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.messages import NOTHING, Message, _
from tests.core.test_grade import PLATFORM, started
from tests.messages.english import english_in

CHECK = "conformance/mru/test_mru.py::test_units_answer"
WHY = _("it exited with {code}", code=3)


class Process:
    """A sealed process that a test plays."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self._lock = (directory / ".running").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.journal = JournalWriter(directory)

    def start(self) -> None:
        self.journal.write(RunStarted.model_validate(started()))

    def decide(self, requirement: str, verdict: Verdict = Verdict.PASS, *, evidence: bool = True) -> None:
        ids = (self.journal.evidence({"kind": "run", "of": requirement}),) if evidence else ()
        failed = verdict is not Verdict.PASS
        self.journal.write(
            Decided(
                requirement=requirement,
                verdict=verdict,
                cause=Cause.SUBJECT if failed else Cause.NONE,
                reason=str(WHY) if failed else "",
                messages=messages_of(reason=WHY) if failed else {},
                fidelity=Fidelity.EMULATED_USER,
                evidence=ids,
                platform=PLATFORM,
                check=CHECK,
            )
        )

    def end(self) -> None:
        self.journal.close()
        self._lock.close()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "sealed")
    yield process
    process.end()


def assessed(process: Process, mistake: Message = NOTHING) -> Assessed:
    return Assessed(process.directory, lambda _started: mistake)


def asked(found: Assessed, requirement: str) -> Decision | None:
    return found.decision(CHECK, PLATFORM, requirement)


def test_a_decision_is_taken_as_it_was_made(process: Process) -> None:
    found = assessed(process)
    assert found.decides and not found.over
    process.start()
    process.decide("T-1")
    process.decide("T-2", Verdict.FAIL)
    good, bad = asked(found, "T-1"), asked(found, "T-2")
    assert good is not None and bad is not None
    assert (good.verdict, good.fidelity) == (Verdict.PASS, Fidelity.EMULATED_USER)
    assert good.evidence == ({"kind": "run", "of": "T-1"},)
    assert (bad.verdict, bad.cause, bad.reason) == (Verdict.FAIL, Cause.SUBJECT, WHY)
    assert bad.reason.as_data() == WHY.as_data()
    assert [event.kind for event in found.fresh()] == ["run_started", *["evidence", "decision"] * 2]
    assert found.fresh() == []


def test_whoever_asks_waits_until_it_is_decided(process: Process) -> None:
    found = assessed(process)

    def decide() -> None:
        process.start()
        time.sleep(0.1)
        process.decide("T-1")

    thread = threading.Thread(target=decide)
    thread.start()
    decision = asked(found, "T-1")
    thread.join()
    assert decision is not None and decision.verdict is Verdict.PASS


def test_what_was_written_before_the_end_counts(process: Process) -> None:
    found = assessed(process)
    process.start()
    process.decide("T-1")
    process.end()
    decision = asked(found, "T-1")
    assert decision is not None and decision.verdict is Verdict.PASS


def test_what_is_not_decided_when_it_ends_is_ours_and_inconclusive(process: Process) -> None:
    found = assessed(process)
    process.start()
    process.decide("T-1")
    process.end()
    decision = asked(found, "T-2")
    assert decision is not None
    assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.HOST) and found.decides
    assert not english_in(decision.reason.render("zh")) and "output.txt" in decision.mend


@pytest.mark.parametrize("begun", [False, True])
def test_a_process_that_has_decided_nothing_leaves_it_to_others(process: Process, begun: bool) -> None:
    found = assessed(process)
    if begun:
        process.start()
        process.journal.write(FaultMet(what="it broke"))
    process.end()
    assert asked(found, "T-1") is None and not found.decides


def test_one_that_was_never_started_leaves_it_to_others(tmp_path: Path) -> None:
    found = Assessed(tmp_path / "none", lambda _started: NOTHING)
    assert found.over and not found.decides and asked(found, "T-1") is None and found.end() is None


def test_one_that_grades_something_else_decides_nothing(process: Process) -> None:
    found = assessed(process, _("the sealed process grades something else: {theirs}", theirs="x"))
    process.start()
    process.decide("T-1")
    assert asked(found, "T-1") is None and not found.decides and found.refusal and found.fresh() == []
    process.decide("T-1")
    assert asked(found, "T-1") is None and not found.decides


def test_a_journal_that_is_refused_decides_nothing_more(process: Process) -> None:
    found = assessed(process)
    process.start()
    process.decide("T-1")
    with process.journal.path.open("ab") as file:
        file.write(process.journal.path.read_bytes().splitlines(keepends=True)[-1])
    for requirement in ("T-1", "T-2"):
        decision = asked(found, requirement)
        assert decision is not None and (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.HOST)
        assert not english_in(decision.reason.render("zh"))
    assert found.decides and found.fresh() == []


def test_a_pass_without_evidence_is_none(process: Process) -> None:
    found = assessed(process)
    process.start()
    process.decide("T-1", evidence=False)
    decision = asked(found, "T-1")
    assert decision is not None and (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.HOST)
