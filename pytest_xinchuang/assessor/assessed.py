"""What a sealed process decides, taken from its journal while it is written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.events import Decided, Event, EvidenceKept, RunStarted
from pytest_xinchuang.core.following import Following
from pytest_xinchuang.core.locks import lock
from pytest_xinchuang.core.record import Journal
from pytest_xinchuang.core.stale import JOURNAL, OUTPUT, RUNNING
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.messages import NOTHING, Message, _

Key = tuple[str, str, str]
"""(check, platform, requirement)."""

_LOOK_S = 0.02
"""Seconds between two looks at the journal."""


class Assessed:
    """The decisions of one sealed process.

    Args:
        directory: of its reports.
        mistaken: why a run that begins so is not what was asked for; NOTHING: it is.

    Attributes:
        decided: every check that it has decided; of several attempts the first.
        evidence: id -> observation.
    """

    def __init__(self, directory: Path, mistaken: Callable[[RunStarted], Message]) -> None:
        self.directory = directory
        self.decided: dict[Key, Decided] = {}
        self.evidence: dict[str, dict[str, Any]] = {}
        self._following = Following(directory / JOURNAL)
        self._mistaken = mistaken
        self._mistake: Message = NOTHING
        self._seen = self._handed = 0
        self._over = False

    @property
    def over(self) -> bool:
        """Whether the process has ended, or will never be started; what it wrote before is read by the next call."""
        if not self._over:
            try:
                file = os.open(self.directory / RUNNING, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._over = True
                return True
            try:
                lock(file, shared=True)
                self._over = True
            except BlockingIOError:
                pass
            finally:
                os.close(file)
        return self._over

    @property
    def refusal(self) -> Message:
        """Why nothing of it is believed; NOTHING: nothing speaks against it."""
        if why := self._following.refusal:
            return _("the journal of the sealed process is not believed: {why}", why=why)
        return self._mistake

    def end(self) -> Journal | None:
        """Its journal, once it has ended; None: it has not come so far."""
        self._read()
        return self._following.end()

    @property
    def decides(self) -> bool:
        """Whether it decides the checks of the suite. One that has ended without a single decision does not."""
        over = self.over
        self._read()
        return bool(self.decided) or not (over or self.refusal)

    def decision(self, check: str, platform: str, requirement: str) -> Decision | None:
        """Its decision, once it is there; None: the process has ended and decided nothing at all.

        What it has not decided when it ends is inconclusive, where it has decided anything.
        """
        key = check, platform, requirement
        while True:
            over = self.over
            self._read()
            if key in self.decided and not self.refusal:
                return self._as_decision(self.decided[key])
            if over or self.refusal:
                return self.undecided() if self.decided else None
            time.sleep(_LOOK_S)

    def fresh(self) -> list[Event]:
        """The events since the last call; none of a journal that is refused."""
        self._read()
        if self.refusal:
            return []
        found = self._following.events[self._handed :]
        self._handed += len(found)
        return found

    def undecided(self, why: Message = NOTHING) -> Decision:
        """What is known of a check that the process had to decide, and did not."""
        lost = _("the sealed process that decides the checks of the suite ended too early")
        mend = _("see {file}", file=str(self.directory / OUTPUT))
        return Decision(Verdict.INCONCLUSIVE, Cause.HOST, why or self.refusal or lost, mend)

    def _as_decision(self, event: Decided) -> Decision:
        evidence = tuple(self.evidence[i] for i in event.evidence if i in self.evidence)
        verdict, fidelity = event.verdict, event.fidelity
        try:
            if isinstance(verdict, Verdict) and isinstance(fidelity, Fidelity):
                return Decision(verdict, event.cause, event.said("reason"), event.said("mend"), fidelity, evidence)
        except ValueError:
            pass
        return self.undecided(_("what the sealed process has written is no decision"))

    def _read(self) -> None:
        if self._mistake:
            return
        self._following.read()
        events = self._following.events
        if len(events) < self._seen:
            self._seen = 0
        for event in events[self._seen :]:
            if isinstance(event, RunStarted):
                self._mistake = self._mistaken(event)
                if self._mistake:
                    return
            elif isinstance(event, EvidenceKept):
                self.evidence[event.id] = event.data
            elif isinstance(event, Decided):
                self.decided.setdefault((event.check, event.platform, event.requirement), event)
        self._seen = len(events)
