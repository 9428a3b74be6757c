"""Runs probes against a harness, and reports the result of each assertion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.packages.syscall_bridge.bridge import BridgeClient, Reply, ReplyFault
from pytest_xinchuang.packages.syscall_bridge.expect import ERRNO, agrees, evaluate, is_error
from pytest_xinchuang.packages.syscall_bridge.probes import BridgeProbe, Probes, ProbeStep, told_source

_ERROR_NAMES = {number: name for name, number in ERRNO.items()} | {95: "EOPNOTSUPP", 11: "EAGAIN", 35: "EDEADLK"}
"""Numbers that have two names get the one that manual pages use."""

_KINDS: Mapping[str, Callable[[int], bool]] = {
    "fd": lambda n: 0 <= n < 1 << 20,
    "pid": lambda n: 0 < n <= 1 << 22,
    # User space ends below 2**56 on every architecture graded here.
    "address": lambda n: 0 < n < 1 << 56,
}
"""Placeholders in place of a result that the kernel is free to choose (a pid, a descriptor), with the numbers that fit."""


class ProbeResult(StrEnum):
    """The result of one assertion."""

    PASSED = "passed"
    FAILED = "failed"
    UNDOCUMENTED = "undocumented"
    """Nobody documents the answer under this profile."""
    UNSUPPORTED = "unsupported"
    """The harness does not offer the operation."""
    NOT_REACHED = "not-reached"
    """An earlier step that it builds on failed."""

    @property
    def word(self) -> Message:
        """The result for people."""
        return _RESULTS[self]


_RESULTS = {
    ProbeResult.PASSED: _("passed"),
    ProbeResult.FAILED: _("failed"),
    ProbeResult.UNDOCUMENTED: _("undocumented"),
    ProbeResult.UNSUPPORTED: _("unsupported"),
    ProbeResult.NOT_REACHED: _("not reached"),
}


@dataclass(frozen=True)
class ProbeOutcome:
    """One assertion with its result.

    Attributes:
        source: the rule that it comes from.
        expected, found: the two answers, for people.
        error: the number of the error in the reply, 0 for none.
        fault: how the reply breaks the protocol, None for a good one.
    """

    id: str
    source: Message
    expected: Message
    found: Message
    result: ProbeResult
    requirement: str = ""
    error: int = 0
    fault: ReplyFault | None = None

    def text(self) -> Message:
        """The assertion with both answers and its rule."""
        return _(
            "{id}: {found}, expected {expected} ({source})",
            id=self.id,
            found=self.found,
            expected=self.expected,
            source=self.source,
        )


def told(reply: Reply) -> Message:
    """A reply for people: the name of an error, or the number."""
    match reply.kind:
        case ReplyKind.DIED:
            return _("died: {how}", how=reply.detail)
        case ReplyKind.HUNG:
            return _("hung: {how}", how=reply.detail)
        case ReplyKind.FAULT:
            return _("fault: {how}", how=reply.detail)
    if reply.fault is not None:
        return reply.detail
    if reply.error:
        name = verbatim(_ERROR_NAMES.get(reply.error, f"errno {reply.error}"))
        return name if reply.result == -1 else _("{result} with {error}", result=reply.result, error=name)
    return verbatim(str(reply.result))


def run_kernel(client: BridgeClient, probes: Probes, profile: str, page: int) -> list[ProbeOutcome]:
    """The kernel probes that the harness offers."""
    found = []
    for probe in probes.kernel.values():
        if probe.id not in client.hello.operations:
            continue
        reply = client.ask(probe.id) if client.alive else Reply(ReplyKind.DIED, detail=_("it died before"))
        for name, value in probe.values.items():
            expected = probes.expected(probe.id, value, profile, page)
            came = reply.values.get(name) if reply.good else None
            text = verbatim(str(came)) if came is not None else _absent(reply)
            if expected is None:
                result = ProbeResult.UNDOCUMENTED
            elif came is None:
                result = ProbeResult.FAILED
            else:
                result = ProbeResult.PASSED if agrees(expected, came, {"page": page}) else ProbeResult.FAILED
            place = f"{probe.id}.{name}"
            found.append(ProbeOutcome(place, probe.rule(name), _wanted(expected), text, result))
    return found


def _wanted(expected: object) -> Message:
    """An expectation for people."""
    return _("address") if expected == "address" else verbatim(str(expected))


def _absent(reply: Reply) -> Message:
    """Why the harness did not report a value."""
    if not reply.good:
        return told(reply)
    died = reply.values.get("died", 0)
    return _("not reached: killed by signal {number}", number=died) if died else _("not reached")


def run_bridge(
    client: BridgeClient, probes: Probes, chosen: Iterable[BridgeProbe], profile: str, page: int
) -> list[ProbeOutcome]:
    """Run bridge probes step by step; one that needs an operation the harness lacks is unsupported as a whole."""
    found: list[ProbeOutcome] = []
    for probe in chosen:
        lacking = sorted({s.do for s in probe.steps} - set(client.hello.operations))
        if lacking:
            found.append(
                ProbeOutcome(
                    probe.id,
                    told_source(probe.source),
                    NOTHING,
                    _("no operation {names}", names=joined(map(verbatim, lacking), _(", "))),
                    ProbeResult.UNSUPPORTED,
                    probe.requirement,
                )
            )
            continue
        found += _Run(client, probes, probe, profile, page).steps()
    return found


class _Run:
    """One run of one bridge probe."""

    def __init__(self, client: BridgeClient, probes: Probes, probe: BridgeProbe, profile: str, page: int) -> None:
        self.client, self.probes, self.probe, self.profile, self.page = client, probes, probe, profile, page
        self.names: dict[str, int] = {"page": page}
        self.seen: list[ProbeOutcome] = []

    def steps(self) -> list[ProbeOutcome]:
        for number, step in enumerate(self.probe.steps, 1):
            where = f"{self.probe.id}#{number} {step.do}"
            if not self.client.alive:
                self._note(where, _("a reply"), _("the harness is gone"), ProbeResult.NOT_REACHED)
                break
            try:
                arguments = {name: self._argument(value) for name, value in step.arguments.items()}
            except XcError:
                # A name that an earlier step should have kept.
                gone = _("an earlier step gave nothing to go on with")
                self._note(where, _("a reply"), gone, ProbeResult.NOT_REACHED)
                break
            if step.text is not None:
                arguments["data"] = step.text.encode().hex()
            reply = self.client.ask(step.do, **arguments)
            self._judge(where, step, reply)
            if (lost := self._keep(step, reply)) is not None:
                # A loss that no expectation of the step has noticed must not end the probe unseen.
                if all(one.result is ProbeResult.PASSED for one in self.seen if one.id.startswith(where)):
                    self._note(f"{where} kept", lost, told(reply), ProbeResult.FAILED, reply)
                break
        return self.seen

    def _argument(self, value: Any) -> Any:
        return evaluate(value[1:], self.names) if isinstance(value, str) and value.startswith("=") else value

    def _note(
        self, where: str, expected: Message, found: Message, result: ProbeResult, reply: Reply | None = None
    ) -> None:
        """Add an outcome; ``reply`` is the one that ``found`` puts into words."""
        error, fault = (reply.error, reply.fault) if reply is not None else (0, None)
        self.seen.append(
            ProbeOutcome(
                where, told_source(self.probe.source), expected, found, result, self.probe.requirement, error, fault
            )
        )

    def _expected(self, value: Any) -> Any:
        return self.probes.expected(self.probe.id, value, self.profile, self.page)

    def _judge(self, where: str, step: ProbeStep, reply: Reply) -> None:
        if step.expected is not None:
            expected = self._expected(step.expected)
            self._note(where, _wanted(expected), told(reply), self._result(expected, reply), reply)
        for name, value in step.has.items():
            expected = self._expected(value)
            found = reply.values.get(name)
            if expected is None:
                result = ProbeResult.UNDOCUMENTED
            else:
                result = ProbeResult.PASSED if agrees(expected, found, self.names) else ProbeResult.FAILED
            came = verbatim(str(found)) if found is not None else _("no value")
            self._note(f"{where} {name}", _wanted(expected), came, result)
        wanted = (
            bytes.fromhex(step.hex) if step.hex is not None else step.gives.encode() if step.gives is not None else None
        )
        if wanted is not None:
            result = ProbeResult.PASSED if reply.data == wanted else ProbeResult.FAILED
            bytes_read = verbatim(repr(reply.data)) if reply.data is not None else _("no data")
            self._note(f"{where} data", verbatim(repr(wanted)), bytes_read, result)

    def _result(self, expected: Any, reply: Reply) -> ProbeResult:
        if expected is None:
            return ProbeResult.UNDOCUMENTED
        if not reply.good:
            return ProbeResult.FAILED
        if is_error(expected):
            return ProbeResult.PASSED if reply.result == -1 and reply.error == ERRNO[expected] else ProbeResult.FAILED
        if reply.error:
            return ProbeResult.FAILED
        if expected in _KINDS:
            return ProbeResult.PASSED if _KINDS[expected](reply.result) else ProbeResult.FAILED
        return ProbeResult.PASSED if agrees(expected, reply.result, self.names) else ProbeResult.FAILED

    def _keep(self, step: ProbeStep, reply: Reply) -> Message | None:
        """Keep the values that later steps build on; returns what is missing, None when all are there."""
        if step.keep is None:
            return None if reply.good else _("a reply")
        if not reply.good or reply.error:
            return _("a result to go on with")
        if isinstance(step.keep, str):
            self.names[step.keep] = reply.result
            return None
        for name, value in step.keep.items():
            if type(reply.values.get(value)) is not int:
                return _("{name}, a number, among its values", name=value)
            self.names[name] = reply.values[value]
        return None
