"""Waivers as an overlay: they lie over a result and never change it."""

from __future__ import annotations

import datetime

from pytest_xinchuang.core.events import RunStarted, WaiverEntry
from pytest_xinchuang.core.result import RequirementResult, WaiverUse
from pytest_xinchuang.core.verdict import Cause, Verdict
from pytest_xinchuang.messages import Message, _


def apply_waivers(started: RunStarted, results: list[RequirementResult], day: datetime.date) -> list[Message]:
    """Lay each waiver of the run over the result that it is for; returns notes on those without effect.

    A waiver can lie over ``fail``, over ``inconclusive``, and over what was not tested because a requirement that it needs
    has failed: each of these is waived by its own name. What nobody looked at cannot be waived.

    Args:
        day: until when a waiver has to be good.
    """
    notes = []
    for waiver in started.waivers:
        matching = [r for r in results if r.id == waiver.requirement and r.platform == waiver.platform]
        if why := _without_effect(started, waiver, matching, day):
            notes.append(_told(waiver, why))
            continue
        for result in matching:
            if not _can_be_waived(result):
                why = _("the verdict on {platform} is {verdict}", platform=result.platform, verdict=result.verdict.word)
                notes.append(_told(waiver, why))
                continue
            result.waived = WaiverUse(waiver.owner, waiver.reason, waiver.clause, waiver.expires.isoformat())
    return notes


def _can_be_waived(result: RequirementResult) -> bool:
    blocked = result.verdict is Verdict.NOT_TESTED and result.cause is Cause.BLOCKED
    return blocked or result.verdict in (Verdict.FAIL, Verdict.INCONCLUSIVE)


def _without_effect(
    started: RunStarted, waiver: WaiverEntry, matching: list[RequirementResult], day: datetime.date
) -> Message | None:
    if waiver.expires < day:
        return _("it expired on {date}", date=waiver.expires.isoformat())
    if (waiver.subject, waiver.version) != (started.subject.name, started.subject.version):
        return _("it is for {subject} {version}", subject=waiver.subject, version=waiver.version)
    if not matching:
        return _("no such requirement on {platform} in this run", platform=waiver.platform)
    return None


def _told(waiver: WaiverEntry, why: Message) -> Message:
    return _(
        "waiver of {requirement} by {owner} has no effect: {why}",
        requirement=waiver.requirement,
        owner=waiver.owner,
        why=why,
    )
