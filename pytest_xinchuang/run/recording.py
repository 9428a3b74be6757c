"""From a test's phases to notes that ride on its reports: what was decided, and on what evidence."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.events import Decided, Planned, SandboxOpened, messages_of
from pytest_xinchuang.core.grade import WORST_FIRST, needs_fidelity
from pytest_xinchuang.core.needs import InOrder
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.messages import Message, _, joined, verbatim
from pytest_xinchuang.run.blame import failing_plugin
from pytest_xinchuang.run.markers import least_fidelity, requirement_ids
from pytest_xinchuang.run.options import usage_error
from pytest_xinchuang.run.platforms import CHECKED, Checked, check_of, platform_of

RECORD: pytest.StashKey[ItemRecord] = pytest.StashKey()
UNTOLD: pytest.StashKey[list[ItemRecord]] = pytest.StashKey()
"""Attempts of a test whose notes have not come out."""
ORDERS: pytest.StashKey[dict[tuple[str, str], InOrder]] = pytest.StashKey()
"""(package, platform) -> what was decided there, so that what needs a failed requirement is not asked about."""

_UNEXPECTED = "[XPASS(strict)]"
"""How pytest begins its report of a pass where a failure was demanded."""


class Note(BaseModel):
    """What rides on the report of one phase of a test, from the process that ran it to the one that writes.

    Attributes:
        decisions: as they go into the journal, but for evidence and attempt, which the writer knows.
        evidence: the observations of each of the decisions.
        platforms: those that the test runs for, for a test that decides something.
        plan: what was planned, on the first note of a process.
    """

    model_config = ConfigDict(extra="forbid")

    check: str
    platform: str
    platforms: list[str] = []
    requirements: list[str]
    plan: list[Planned] = []
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
        parts: what its subtests said, but for those that passed; also those of its fixtures.
        inside: a phase has begun and has not ended: what is reported now is a part of it.
        running: the phase is the call.
        outcomes: requirement -> what its phases came to.
        denied: the test returned False, where a test asserts.
        called: its call has ended.
        error: what ended the call, if it was an exception.
        fidelity: of the poorest sandbox that the test ran something in.
    """

    _decisions: dict[str, Decision] = field(default_factory=dict)
    parts: list[Decision] = field(default_factory=list)
    inside: bool = False
    running: bool = False
    outcomes: dict[str, Decision] = field(default_factory=dict)
    denied: bool = False
    called: bool = False
    error: pytest.ExceptionInfo[BaseException] | None = None
    evidence: list[dict[str, Any]] = field(default_factory=list)
    fidelity: Fidelity | None = None

    @contextlib.contextmanager
    def phase(self) -> Iterator[None]:
        """While it lasts, set-up, call or tear-down are running."""
        self.inside = True
        try:
            yield
        finally:
            self.inside = False

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """What a check has decided by itself; it cannot be written from outside."""
        return MappingProxyType(self._decisions)

    def settle(self, requirement: str, decision: Decision) -> None:
        """Keep what a check has decided; a decision that is there already is not replaced by a better one."""
        before = self._decisions.get(requirement)
        self._decisions[requirement] = decision if before is None else _worst([before, decision])

    def add(self, observation: dict[str, Any], fidelity: Fidelity) -> None:
        self.evidence.append(observation)
        self.fidelity = fidelity if self.fidelity is None else min(self.fidelity, fidelity)


def record_of(item: pytest.Item) -> ItemRecord:
    return item.stash.setdefault(RECORD, ItemRecord())


def begin(item: pytest.Item) -> None:
    """A new attempt begins: nothing that an earlier one has seen is evidence of it.

    An earlier one whose report never came out (plugins repeat a test within its report, or keep it back) is told with the next.
    """
    before = item.stash.get(RECORD, None)
    if before is not None and before.called:
        item.stash.setdefault(UNTOLD, []).append(before)
    item.stash[RECORD] = ItemRecord()


def decides(report: pytest.TestReport) -> bool:
    """Whether a phase says what a test came to: its call, or another one that failed."""
    return report.when == "call" or not report.passed


def told_of(item: pytest.Item) -> None:
    """The note of the last attempt came out, and with it those of the earlier ones."""
    record_of(item).called = False
    item.stash.setdefault(UNTOLD, []).clear()


@contextlib.contextmanager
def calling(item: pytest.Item) -> Iterator[None]:
    """While it lasts, the test's call is running."""
    record = record_of(item)
    record.running = True
    try:
        with record.phase():
            yield
    except BaseException as error:
        record.error = pytest.ExceptionInfo.from_exception(error)
        raise
    finally:
        record.running, record.called = False, True


@contextlib.contextmanager
def returning(item: pytest.Function) -> Iterator[None]:
    """While it lasts, what the function of a marked test returns is looked at: pytest itself only warns of it."""
    function = item.obj
    if (
        item.stash.get(CHECKED, None) is None
        or inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
    ):
        yield
        return

    @functools.wraps(function)
    def seen(*args: Any, **kwargs: Any) -> object:
        __tracebackhide__ = True
        returned = function(*args, **kwargs)
        record_of(item).denied = returned is False
        return returned

    item.obj = seen
    try:
        yield
    finally:
        item.obj = function


def note_of(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> Note | None:
    """The note for one phase of a test, or None for a test that is not ours to note."""
    checked = _checked(item)
    platform = platform_of(item)
    if checked is None:
        if platform is None:
            return None
        return Note(check=check_of(item), platform=platform.id, requirements=[])
    earlier = item.stash.get(UNTOLD, []) if decides(report) else []
    attempts = [_attempt(item, checked, record) for record in earlier]
    error = call.excinfo
    if error is not None and any(one.error is not None and one.error.value is error.value for one in earlier):
        error = record_of(item).error  # it was repeated within the report of its first attempt
    attempts.append(_decisions(item, checked, error, report))
    each = [(p.id, requirement, d) for one in attempts for p in checked.platforms for requirement, d in one.items()]
    return Note(
        check=checked.check,
        platform=checked.platforms[0].id if len(checked.platforms) == 1 else "",
        platforms=[p.id for p in checked.platforms],
        requirements=list(checked.requirements),
        decisions=[decided(requirement, on, checked.check, d) for on, requirement, d in each],
        evidence=[list(d.evidence) for _on, _requirement, d in each],
    )


def _checked(item: pytest.Item) -> Checked | None:
    """What a test checks: as it was planned, and by markers that were added as it ran."""
    planned = item.stash.get(CHECKED, None)
    late = [each for each in requirement_ids(item) if planned is None or each not in planned.requirements]
    if not late:
        return planned
    if planned is not None:
        return replace(planned, requirements=(*planned.requirements, *late))
    from pytest_xinchuang.run.session import SESSION

    platform = platform_of(item)
    platforms = (platform,) if platform else tuple(item.config.stash[SESSION].platforms)
    return Checked(check_of(item), platforms, tuple(late))


Error = pytest.ExceptionInfo[BaseException] | None


def _attempt(item: pytest.Item, checked: Checked, record: ItemRecord) -> dict[str, Decision]:
    """What an attempt came to that had no report, or whose report was kept back."""
    return {r: _worst([*record.parts, _decision(item, r, record.error, record, None)]) for r in checked.requirements}


def _decisions(item: pytest.Item, checked: Checked, error: Error, report: pytest.TestReport) -> dict[str, Decision]:
    """What a phase of a test says of each requirement. No later phase betters what an earlier one has said."""
    record = record_of(item)
    found = list(record.parts)
    record.parts.clear()
    if report.when == "setup" and not report.passed:
        found.append(_broken(error, _("its set-up")))
    elif report.when == "teardown" and report.failed:
        found.append(_broken(error, _("its tear-down")))
    elif report.when == "setup":
        record.parts += found  # what a part of a set-up says is decided with the call
        return {}
    elif report.when == "teardown" and not found:
        return {}
    for r in checked.requirements:
        # A call that another plugin repeats is an attempt of its own; a tear-down belongs to the last.
        before = record.outcomes.pop(r, None) if report.when == "teardown" else None
        own = _decision(item, r, error, record, report) if report.when == "call" else before
        record.outcomes[r] = _worst([*([own] if own else []), *found])
    return dict(record.outcomes)


def told_plainly(call: pytest.CallInfo[None]) -> str | None:
    """What a call that was ended without a traceback says: later versions of pytest make a traceback's shape of it."""
    error = call.excinfo.value if call.excinfo else None
    return str(error) if isinstance(error, pytest.fail.Exception) and not error.pytrace else None


def is_of_the_suite(item: pytest.Item) -> bool:
    """Whether the suite ships the test: its engines decide, and that it passed says nothing."""
    return item.path.resolve().is_relative_to(resources.conformance_dir().resolve())


def take_part(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """What a subtest says: it is a part of its check, and the worst of them counts."""
    record = record_of(item)
    if call.excinfo is not None:
        record.parts.append(_by_outcome(item, call.excinfo, record))


def _worst(decisions: Sequence[Decision]) -> Decision:
    """The first of the worst."""
    return min(decisions, key=lambda decision: WORST_FIRST.index(decision.verdict))


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


def _broken(info: Error, where: Message) -> Decision:
    error = info.value if info else None
    if isinstance(error, pytest.skip.Exception):
        return _skipped(error.msg)
    if isinstance(error, pytest.xfail.Exception):
        return _expected_to_fail(error.msg or "")
    mend = error.mend if isinstance(error, XcError) else ""
    what = error.what if isinstance(error, XcError) else f"{type(error).__name__}: {error}"[:1000]
    reason = _("the check broke in {where}: {what}", where=where, what=verbatim(what))
    return Decision(Verdict.INCONCLUSIVE, Cause.HOST, reason, verbatim(mend))


def _expected_to_fail(why: str) -> Decision:
    """What is marked, or said, to fail says nothing good of the subject, whatever came of it."""
    return Decision(Verdict.INCONCLUSIVE, Cause.SUBJECT, _("expected to fail: {why}", why=why))


def _skipped(why: object) -> Decision:
    return Decision(Verdict.NOT_TESTED, reason=_("skipped: {why}", why=str(why)))


def _decision(
    item: pytest.Item, requirement: str, info: Error, record: ItemRecord, report: pytest.TestReport | None
) -> Decision:
    """What the call phase says about one requirement.

    A check of ours has decided by itself. A vendor's test decides by its outcome: a failed assertion fails, any other
    exception is a fault, and passing is a pass only with evidence from a sandbox.
    """
    explicit = record.decisions.get(requirement)
    error = info.value if info else None
    if explicit is not None and (explicit.verdict is not Verdict.PASS or error is None):
        return explicit
    if error is not None:
        return _by_outcome(item, info, record)
    if report is not None and (marked := _as_reported(report)) is not None:
        return marked
    if record.denied:
        return Decision(
            Verdict.INCONCLUSIVE,
            Cause.HOST,
            _("the test returned False, and asserted nothing of it"),
            _("write `assert` in the place of `return`"),
        )
    if is_of_the_suite(item):
        return Decision(
            Verdict.INCONCLUSIVE,
            Cause.HOST,
            _("the check of the suite has decided nothing: something has taken its place"),
            _("grade with {command}", command=verbatim("xc grade")),
        )
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


def _as_reported(report: pytest.TestReport) -> Decision | None:
    """What a report says of a call that raised nothing, where it is not that it passed."""
    if report.failed and isinstance(report.longrepr, str) and report.longrepr.startswith(_UNEXPECTED):
        return _expected_to_fail(report.longrepr.removeprefix(_UNEXPECTED).strip())
    if report.failed:
        return Decision(Verdict.INCONCLUSIVE, Cause.HOST, _("another plugin has made a failure of what did not fail"))
    if hasattr(report, "wasxfail"):
        return _expected_to_fail(str(report.wasxfail))
    return None


def _by_outcome(item: pytest.Item, info: Error, record: ItemRecord) -> Decision:
    """What an exception says of the subject: a failed assertion, and what the test itself calls a failure, fail it."""
    error = info.value if info else None
    if isinstance(error, pytest.skip.Exception):
        return _skipped(error.msg)
    if isinstance(error, pytest.xfail.Exception):
        return _expected_to_fail(error.msg or "")
    plugin = failing_plugin(item.config, info) if info else None
    if isinstance(error, (AssertionError, pytest.fail.Exception)) and plugin is None:
        text = str(error).strip().splitlines()
        reason = verbatim(text[0][:500]) if text else _("an assertion failed")
        return Decision(
            Verdict.FAIL,
            Cause.SUBJECT,
            reason,
            fidelity=record.fidelity or Fidelity.STATIC,
            evidence=tuple(record.evidence),
        )
    if plugin is not None:
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        reason = _("{plugin} ended the test: {what}", plugin=verbatim(plugin), what=verbatim(first[:500]))
        return Decision(Verdict.INCONCLUSIVE, Cause.HOST, reason)
    return _broken(info, _("its call"))


class Check:
    """What a conformance test is handed: it asks an engine, keeps the decision, and ends the test accordingly."""

    def __init__(self, item: pytest.Item, decide: Callable[[str], Decision]) -> None:
        self._item = item
        self._decide = decide

    def decide(self) -> None:
        """Decide the requirements that the test is marked with.

        A failure fails the test; what nobody can decide here, however it is run, is skipped, and is inconclusive in the
        grade (:attr:`Cause.is_beyond_here`); what we could not find out fails the test as inconclusive. What needs a
        requirement that has failed is not tested: the engine is not asked, and the test fails as not tested.
        """
        ids = requirement_ids(self._item)
        if not ids:
            raise usage_error(
                self._item.config,
                _("{nodeid}: a check needs @pytest.mark.xc_requirement(ID)", nodeid=self._item.nodeid),
            )
        record = record_of(self._item)
        for identifier in ids:
            record.settle(identifier, self._decision(identifier))
        for identifier, decision in ((i, record.decisions[i]) for i in ids):
            text = self._told(identifier, decision)
            if decision.verdict is Verdict.FAIL:
                pytest.fail(text, pytrace=False)
            if decision.verdict is Verdict.NOT_APPLICABLE or decision.cause.is_beyond_here:
                pytest.skip(text)
            if decision.verdict is not Verdict.PASS:
                pytest.fail(text, pytrace=False)

    def _decision(self, requirement_id: str) -> Decision:
        """What the sealed process has decided, where there is one; else what the engine decides here."""
        from pytest_xinchuang.run.session import SESSION

        session, checked = self._item.config.stash[SESSION], self._item.stash.get(CHECKED, None)
        if checked is not None and session.assessed_elsewhere(checked.requirements):
            assert session.assessed is not None
            there = [
                session.assessed.decision(checked.check, platform.id, requirement_id) for platform in checked.platforms
            ]
            if there and (found := [decision for decision in there if decision is not None]):
                return _worst(found)
        return self._order(requirement_id).decision(requirement_id)

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
