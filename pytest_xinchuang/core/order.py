"""The order in which a run writes its events, kept while a journal is read.

What cannot come about in any run is a problem, and the journal has no grade. What a check of somebody else's may
have written in good faith, and what still proves nothing, is a doubt about one decision.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from pytest_xinchuang.core.events import (
    CheckEnded,
    Decided,
    Event,
    EvidenceKept,
    FaultMet,
    Planned,
    RunFinished,
    RunStarted,
    SandboxOpened,
    Surrounded,
)
from pytest_xinchuang.core.record import DecisionKey, Journal, Place
from pytest_xinchuang.core.verdict import Fidelity, Verdict
from pytest_xinchuang.messages import Message, _, joined

Refuse = Callable[[Message], None]


_CONTRADICTS = {
    "failed": _("its check failed, and it says pass"),
    "skipped": _("its check was skipped, and it says pass"),
}
"""How a check ended in which nothing but passes was decided -> why these are none."""


def _fidelity_of(sandbox: SandboxOpened) -> Fidelity:
    """What can be seen in a sandbox at most: an emulator is no real machine, whatever it says."""
    said = sandbox.fidelity if isinstance(sandbox.fidelity, Fidelity) else Fidelity.STATIC
    return Fidelity.EMULATED_SYSTEM if said is Fidelity.NATIVE and sandbox.emulated else said


def key_of(decision: Decided) -> DecisionKey:
    """What names a decision among all of a journal."""
    return decision.platform, decision.requirement, decision.check, decision.attempt


def foreign(journal: Journal, decision: Decided, platforms: Collection[str]) -> Message | None:
    """Why the evidence of a decision is none for its platform: it is of a sandbox of another of ``platforms``."""
    for identifier in decision.evidence:
        sandbox = journal.sandbox_of.get(identifier, decision.platform)
        if sandbox != decision.platform and sandbox in platforms:
            return _("its evidence {id} is of a sandbox of {sandbox}", id=identifier, sandbox=sandbox)
    return None


class Order:
    """Puts events into a journal, and says what is wrong with their order.

    Args:
        refuse: takes what is wrong.
        strict: the journal is chained: everything that its writer keeps to is asked for. Earlier ones are read as they are.
    """

    def __init__(self, journal: Journal, refuse: Refuse, *, strict: bool) -> None:
        self._journal = journal
        self._refuse = refuse
        self._strict = strict
        self._platforms = {platform.id for platform in journal.started.platforms}
        self._best: dict[str, Fidelity] = {}
        self._attempts: dict[tuple[str, str, str], int] = {}
        self._pending: dict[str, list[Decided]] = {}

    def take(self, event: Event, place: Place) -> None:
        """Put one event into the journal."""
        journal = self._journal
        if journal.finished is not None and self._strict:
            self._refuse(
                _("{place} follows the end of the run; run_finished has to be the last line", place=place.said)
            )
        match event:
            case RunStarted():
                self._refuse(_("{place}: a second run_started; a journal has one, as its first line", place=place.said))
            case RunFinished():
                journal.finished = event
            case Planned():
                if event.platform:
                    self._known(event.platform, place)
                journal.planned.append(event)
            case Decided():
                self._decision(event, place)
                journal.decisions.setdefault((event.platform, event.requirement), []).append(event)
            case SandboxOpened():
                best = self._best.get(event.platform, Fidelity.STATIC)
                self._best[event.platform] = max(best, _fidelity_of(event), key=lambda fidelity: fidelity.rank)
                journal.sandboxes.setdefault(event.platform, []).append(event)
            case CheckEnded():
                if event.platform:
                    self._known(event.platform, place)
                self._ended(event)
                journal.checks.setdefault(event.check, []).append(event)
            case FaultMet():
                journal.faults.append(event)
            case Surrounded():
                if journal.surroundings is not None:
                    self._refuse(_("{place}: surroundings are there already; a run has them once", place=place.said))
                journal.surroundings = event
            case EvidenceKept():
                if event.id in journal.evidence and self._strict:
                    self._refuse(
                        _(
                            "{place}: the evidence {id} is there already; it is written once",
                            place=place.said,
                            id=event.id,
                        )
                    )
                journal.evidence[event.id] = place.offset
                if isinstance(sandbox := event.data.get("sandbox"), str):
                    journal.sandbox_of[event.id] = sandbox

    def _known(self, platform: str, place: Place) -> None:
        if self._strict and platform not in self._platforms:
            what = _(
                "{place}: the platform {platform} is not in this run; it has {known}",
                place=place.said,
                platform=platform,
                known=joined(sorted(self._platforms), _(", ")),
            )
            self._refuse(what)

    def _decision(self, decision: Decided, place: Place) -> None:
        if not self._strict:
            return
        self._known(decision.platform, place)
        for identifier in decision.evidence:
            if identifier not in self._journal.evidence:
                what = _(
                    "{place}: the decision about {requirement} names the evidence {id}, which does not stand before it",
                    place=place.said,
                    requirement=decision.requirement,
                    id=identifier,
                )
                self._refuse(what)
                break
        self._attempt(decision, place)
        self._pending.setdefault(decision.check, []).append(decision)
        if decision.verdict is Verdict.PASS and (why := self._doubt(decision)):
            self._journal.doubts[key_of(decision)] = why

    def _attempt(self, decision: Decided, place: Place) -> None:
        key = (decision.requirement, decision.platform, decision.check)
        before = self._attempts.get(key, 0)
        if decision.attempt != before + 1:
            what = _(
                "{place}: attempt {found} at {requirement} where attempt {expected} was expected",
                place=place.said,
                found=decision.attempt,
                requirement=decision.requirement,
                expected=before + 1,
            )
            self._refuse(what)
        self._attempts[key] = max(before, decision.attempt)

    def _doubt(self, decision: Decided) -> Message | None:
        """Why a pass is none, by what stands before it."""
        best = self._best.get(decision.platform, Fidelity.STATIC)
        if isinstance(decision.fidelity, Fidelity) and decision.fidelity > best:
            return _(
                "it says {fidelity}, and no sandbox of the platform that was open by then is more than {best}",
                fidelity=decision.fidelity.word,
                best=best.word,
            )
        return foreign(self._journal, decision, self._platforms)

    def _ended(self, event: CheckEnded) -> None:
        # A check that is not of one platform alone ends for all of them at once.
        waiting = self._pending.pop(event.check, [])
        decisions = [d for d in waiting if event.platform in ("", d.platform)]
        if left := [d for d in waiting if event.platform not in ("", d.platform)]:
            self._pending[event.check] = left
        why = _CONTRADICTS.get(event.outcome) if event.phase == "call" else None
        if why is not None and all(d.verdict is Verdict.PASS for d in decisions):
            for decision in decisions:
                self._journal.doubts[key_of(decision)] = why

    def end(self) -> None:
        """Say what is missing once all lines were read."""
        left = (decision for decisions in self._pending.values() for decision in decisions)
        for decision in (d for d in left if d.verdict is Verdict.PASS):
            self._journal.doubts[key_of(decision)] = _("the end of its check is not in the journal")
