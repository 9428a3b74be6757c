"""What the profile of a run demands: a requirement beyond it is graded and told, and fails no run."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from pytest_xinchuang.core.events import Decided
from pytest_xinchuang.core.result import RequirementResult
from pytest_xinchuang.core.verdict import Cause, Level, Verdict
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.run.recording import Note
from pytest_xinchuang.run.session import XcSession


def is_beyond(level: Level, mandatory: bool, required: Level | None) -> bool:
    """Whether a requirement is more than a profile demands. A profile without a required level only reports."""
    return required is not None and (not mandatory or level > required)


def skip_what_is_beyond(session: XcSession, item: pytest.Item, report: pytest.TestReport, note: Note) -> None:
    """Make a failure of what the profile does not demand a skip with its reason. What was decided stays as it is.

    Only a failure that was meant is made one: an exception keeps its traceback.
    """
    required = session.profile.profile.required_level
    if not report.failed or report.when != "call" or not note.requirements or required is None:
        return
    found = [session.catalogue.get(identifier) for identifier in note.requirements]
    if not all(r is not None and is_beyond(r.level, r.mandatory, required) for r in found):
        return
    if not isinstance(report.longrepr, str) and not all(d.verdict is Verdict.FAIL for d in note.decisions):
        return
    first = next((decision for decision in note.decisions), None)
    reason = first.said("reason") if first is not None else verbatim(str(report.longrepr))
    text = beyond(session.profile.id, required, reason).render(session.language)
    report.outcome = "skipped"
    report.longrepr = (str(item.path), (item.location[1] or 0) + 1, text)


def is_harmless_skip(report: pytest.TestReport, decisions: Iterable[Decided]) -> bool:
    """Whether a report was made a skip by :func:`skip_what_is_beyond`."""
    return report.skipped and any(d.verdict is Verdict.FAIL or d.cause is Cause.HOST for d in decisions)


def beyond(profile: str, required: Level, reason: Message) -> Message:
    """Why what did not pass harms nothing."""
    return _(
        "beyond the profile {profile} ({level}): {reason}",
        profile=verbatim(profile),
        level=verbatim(required.value),
        reason=reason,
    )


def are_harmless(session: XcSession, failed: Iterable[Note], results: Iterable[RequirementResult]) -> bool:
    """Whether nothing of what failed stands in the way of the profile: it is beyond it, or waived."""
    required = session.profile.profile.required_level
    if required is None:
        return False
    by_key = {(result.id, result.platform): result for result in results}
    for note in failed:
        found = [by_key.get((requirement, on)) for requirement in note.requirements for on in note.platforms]
        if not found or not all(
            r is not None and (is_beyond(r.level, r.mandatory, required) or r.waived is not None) for r in found
        ):
            return False
    return True
