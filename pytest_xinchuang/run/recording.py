"""From a test's phases to notes that ride on its reports: what was decided, and on what evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.verdict import Cause, Decision, Fidelity, Verdict
from pytest_xinchuang.run.markers import least_fidelity, requirement_ids

RECORD: pytest.StashKey[ItemRecord] = pytest.StashKey()


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


def note_of(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> dict[str, Any] | None:
    """The note for one phase of a test, or None for a test that is not ours to note."""
    platform = platform_of(item)
    if platform is None:
        return None
    requirements = requirement_ids(item)
    record = record_of(item)
    note: dict[str, Any] = {"check": check_id(item, platform), "platform": platform.id, "requirements": requirements}
    decisions: dict[str, Decision] = {}
    if report.when == "setup" and not report.passed:
        decisions = dict.fromkeys(requirements, _broken(call, "its set-up"))
    elif report.when == "call":
        decisions = {r: _decision(item, r, call, record, report) for r in requirements}
    elif report.when == "teardown" and report.failed:
        decisions = dict.fromkeys(requirements, _broken(call, "its tear-down"))
    note["decisions"] = [_as_dict(r, d) for r, d in decisions.items()]
    return note


def _broken(call: pytest.CallInfo[None], where: str) -> Decision:
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, pytest.skip.Exception):
        return Decision(Verdict.NOT_TESTED, reason=f"skipped: {error.msg}")
    mend = error.mend if isinstance(error, XcError) else ""
    what = error.what if isinstance(error, XcError) else f"{type(error).__name__}: {error}"
    return Decision(Verdict.INCONCLUSIVE, Cause.HOST, f"the check broke in {where}: {what}"[:1000], mend)


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
        return Decision(Verdict.NOT_TESTED, reason=f"skipped: {error.msg}")
    if isinstance(error, (AssertionError, pytest.fail.Exception)):
        text = str(error).strip().splitlines()
        reason = text[0][:500] if text else "an assertion failed"
        return Decision(
            Verdict.FAIL,
            Cause.SUBJECT,
            reason,
            fidelity=record.fidelity or Fidelity.STATIC,
            evidence=tuple(record.evidence),
        )
    if error is not None:
        return _broken(call, "its call")
    if hasattr(report, "wasxfail"):
        return Decision(Verdict.INCONCLUSIVE, Cause.SUBJECT, f"expected to fail: {report.wasxfail}")
    if not record.evidence:
        return Decision(
            Verdict.INCONCLUSIVE,
            Cause.HOST,
            "the test passed and recorded no evidence",
            "run something in xc_sandbox, or use xc_evidence",
        )
    fidelity = record.fidelity or Fidelity.STATIC
    least = least_fidelity(item)
    if least is not None and fidelity < Fidelity(least):
        return Decision(Verdict.INCONCLUSIVE, Cause.FIDELITY, f"needs {least}; the evidence is {fidelity}")
    return Decision(Verdict.PASS, fidelity=fidelity, evidence=tuple(record.evidence))


def _as_dict(requirement: str, decision: Decision) -> dict[str, Any]:
    return {
        "requirement": requirement,
        "verdict": decision.verdict.value,
        "cause": decision.cause.value,
        "reason": decision.reason,
        "mend": decision.mend,
        "fidelity": decision.fidelity.value,
        "evidence": list(decision.evidence),
    }


class Check:
    """What a conformance test is handed: it asks an engine, keeps the decision, and ends the test accordingly."""

    def __init__(self, item: pytest.Item, decide: Any) -> None:
        self._item = item
        self._decide = decide

    def decide(self) -> None:
        """Decide the requirements that the test is marked with.

        A failure fails the test; what only a more real machine can decide is skipped, and is inconclusive in the grade;
        what we could not find out fails the test as inconclusive.
        """
        ids = requirement_ids(self._item)
        if not ids:
            raise pytest.UsageError(f"{self._item.nodeid}: a check needs @pytest.mark.xc_requirement(ID)")
        record = record_of(self._item)
        for identifier in ids:
            record.decisions[identifier] = self._decide(identifier)
        for identifier, decision in ((i, record.decisions[i]) for i in ids):
            text = f"{identifier} {decision.verdict}: {decision.reason}"
            if decision.mend:
                text += f"\nmend: {decision.mend}"
            if decision.verdict is Verdict.FAIL:
                pytest.fail(text, pytrace=False)
            if decision.verdict is Verdict.NOT_APPLICABLE or decision.cause is Cause.FIDELITY:
                pytest.skip(text)
            if decision.verdict is not Verdict.PASS:
                pytest.fail(text, pytrace=False)
