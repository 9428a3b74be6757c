"""From a test's phases to notes that ride on its reports: what was decided, and on what evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.events import Decided, SandboxOpened, messages_of
from pytest_xinchuang.core.grade import needs_fidelity
from pytest_xinchuang.core.needs import InOrder
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.messages import Message, _, joined, verbatim
from pytest_xinchuang.run.markers import least_fidelity, requirement_ids
from pytest_xinchuang.run.options import usage_error

RECORD: pytest.StashKey[ItemRecord] = pytest.StashKey()
ORDERS: pytest.StashKey[dict[tuple[str, str], InOrder]] = pytest.StashKey()
"""(package, platform) -> what was decided there, so that what needs a failed requirement is not asked about."""


class Note(BaseModel):
    """What rides on the report of one phase of a test, from the process that ran it to the one that writes.

    Attributes:
        decisions: as they go into the journal, but for evidence and attempt, which the writer knows.
        evidence: the observations of each of the decisions.
    """

    model_config = ConfigDict(extra="forbid")

    check: str
    platform: str
    requirements: list[str]
    decisions: list[Decided] = []
    evidence: list[list[dict[str, Any]]] = []
    sandboxes: list[SandboxOpened] = []
    worker: str = ""

    def packed(self) -> dict[str, Any]:
        """As plain data: xdist carries nothing else."""
        packed: dict[str, Any] = json.loads(json.dumps(self.model_dump(), default=str))
        return packed


@dataclass
class ItemRecord:
    """What a test has recorded so far.

    Attributes:
        fidelity: of the poorest sandbox that the test ran something in.
    """

    decisions: dict[str, Decision] = field(default_factory=dict)
    evidence: list[dict[str, Any]] = field(default_factory=list)
    fidelity: Fidelity | None = None

    def add(self, observation: dict[str, Any], fidelity: Fidelity) -> None:
        self.evidence.append(observation)
        self.fidelity = fidelity if self.fidelity is None else min(self.fidelity, fidelity)


def record_of(item: pytest.Item) -> ItemRecord:
    return item.stash.setdefault(RECORD, ItemRecord())


def platform_of(item: pytest.Item) -> Platform | None:
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("xc_platform") if callspec else None
    return found if isinstance(found, Platform) else None


def check_id(item: pytest.Item, platform: Platform) -> str:
    """A name of the test that is the same wherever the suite is installed, without the platform."""
    root = resources.conformance_dir().parent
    place = item.path.relative_to(root).as_posix() if item.path.is_relative_to(root) else item.nodeid.split("::")[0]
    return f"{place}::{item.name.replace(f'[{platform.id}]', '').replace(f'{platform.id}-', '').replace(f'-{platform.id}', '')}"


def note_of(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> Note | None:
    """The note for one phase of a test, or None for a test that is not ours to note."""
    platform = platform_of(item)
    if platform is None:
        return None
    requirements = requirement_ids(item)
    record = record_of(item)
    decisions: dict[str, Decision] = {}
    if report.when == "setup" and not report.passed:
        decisions = dict.fromkeys(requirements, _broken(call, _("its set-up")))
    elif report.when == "call":
        decisions = {r: _decision(item, r, call, record, report) for r in requirements}
    elif report.when == "teardown" and report.failed:
        decisions = dict.fromkeys(requirements, _broken(call, _("its tear-down")))
    check = check_id(item, platform)
    return Note(
        check=check,
        platform=platform.id,
        requirements=list(requirements),
        decisions=[decided(r, platform.id, check, d) for r, d in decisions.items()],
        evidence=[list(d.evidence) for d in decisions.values()],
    )


def decided(requirement: str, platform: str, check: str, decision: Decision) -> Decided:
    """A decision as the journal has it, without the ids of its evidence."""
    return Decided(
        requirement=requirement,
        verdict=decision.verdict,
        cause=decision.cause,
        reason=str(decision.reason),
        mend=str(decision.mend),
        fidelity=decision.fidelity,
        platform=platform,
        check=check,
        messages=messages_of(reason=decision.reason, mend=decision.mend),
    )


def _broken(call: pytest.CallInfo[None], where: Message) -> Decision:
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, pytest.skip.Exception):
        return _skipped(error.msg)
    mend = error.mend if isinstance(error, XcError) else ""
    what = error.what if isinstance(error, XcError) else f"{type(error).__name__}: {error}"[:1000]
    reason = _("the check broke in {where}: {what}", where=where, what=verbatim(what))
    return Decision(Verdict.INCONCLUSIVE, Cause.HOST, reason, verbatim(mend))


def _skipped(why: object) -> Decision:
    return Decision(Verdict.NOT_TESTED, reason=_("skipped: {why}", why=str(why)))


def _decision(
    item: pytest.Item, requirement: str, call: pytest.CallInfo[None], record: ItemRecord, report: pytest.TestReport
) -> Decision:
    """What the call phase says about one requirement.

    A check of ours has decided by itself. A vendor's test decides by its outcome: a failed assertion fails, any other
    exception is a fault, and passing is a pass only with evidence from a sandbox.
    """
    explicit = record.decisions.get(requirement)
    error = call.excinfo.value if call.excinfo else None
    if explicit is not None and (explicit.verdict is not Verdict.PASS or error is None):
        return explicit
    if isinstance(error, pytest.skip.Exception):
        return _skipped(error.msg)
    if isinstance(error, (AssertionError, pytest.fail.Exception)):
        text = str(error).strip().splitlines()
        reason = verbatim(text[0][:500]) if text else _("an assertion failed")
        return Decision(
            Verdict.FAIL,
            Cause.SUBJECT,
            reason,
            fidelity=record.fidelity or Fidelity.STATIC,
            evidence=tuple(record.evidence),
        )
    if error is not None:
        return _broken(call, _("its call"))
    if hasattr(report, "wasxfail"):
        return Decision(Verdict.INCONCLUSIVE, Cause.SUBJECT, _("expected to fail: {why}", why=str(report.wasxfail)))
    if not record.evidence:
        return Decision(
            Verdict.INCONCLUSIVE,
            Cause.HOST,
            _("the test passed and recorded no evidence"),
            _("run something in xc_sandbox, or use xc_evidence"),
        )
    fidelity = record.fidelity or Fidelity.STATIC
    least = least_fidelity(item)
    if least is not None and fidelity < Fidelity(least):
        return Decision(Verdict.INCONCLUSIVE, Cause.FIDELITY, needs_fidelity(Fidelity(least), fidelity))
    return Decision(Verdict.PASS, fidelity=fidelity, evidence=tuple(record.evidence))


class Check:
    """What a conformance test is handed: it asks an engine, keeps the decision, and ends the test accordingly."""

    def __init__(self, item: pytest.Item, decide: Callable[[str], Decision]) -> None:
        self._item = item
        self._decide = decide

    def decide(self) -> None:
        """Decide the requirements that the test is marked with.

        A failure fails the test; what only a more real machine can decide is skipped, and is inconclusive in the grade;
        what we could not find out fails the test as inconclusive. What needs a requirement that has failed is not tested: the
        engine is not asked, and the test fails as not tested.
        """
        ids = requirement_ids(self._item)
        if not ids:
            raise usage_error(
                self._item.config,
                _("{nodeid}: a check needs @pytest.mark.xc_requirement(ID)", nodeid=self._item.nodeid),
            )
        record = record_of(self._item)
        for identifier in ids:
            record.decisions[identifier] = self._order(identifier).decision(identifier)
        for identifier, decision in ((i, record.decisions[i]) for i in ids):
            text = self._told(identifier, decision)
            if decision.verdict is Verdict.FAIL:
                pytest.fail(text, pytrace=False)
            if decision.verdict is Verdict.NOT_APPLICABLE or decision.cause is Cause.FIDELITY:
                pytest.skip(text)
            if decision.verdict is not Verdict.PASS:
                pytest.fail(text, pytrace=False)

    def _order(self, requirement_id: str) -> InOrder:
        """The engine of this check, asked in the order of what its requirements need."""
        from pytest_xinchuang.run.session import SESSION

        session, platform = self._item.config.stash[SESSION], platform_of(self._item)
        asked = session.catalogue.get(requirement_id)
        key = (asked.package if asked else "", platform.id if platform else "")
        orders = self._item.config.stash.setdefault(ORDERS, {})
        return orders.setdefault(key, InOrder(session.catalogue, self._decide))

    def _told(self, requirement_id: str, decision: Decision) -> str:
        from pytest_xinchuang.run.session import SESSION

        text = _(
            "{requirement} {verdict}: {reason}",
            requirement=requirement_id,
            verdict=decision.verdict.word,
            reason=decision.reason,
        )
        lines = [text, *([_("mend: {mend}", mend=decision.mend)] if decision.mend else [])]
        return joined(lines, verbatim("\n")).render(self._item.config.stash[SESSION].language)
