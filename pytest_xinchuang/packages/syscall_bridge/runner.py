"""Puts a harness through probes, and says what came back of each assertion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.packages.syscall_bridge.bridge import BridgeClient, Came, Reply
from pytest_xinchuang.packages.syscall_bridge.expect import ERRNO, agrees, evaluate, is_error
from pytest_xinchuang.packages.syscall_bridge.probes import BridgeProbe, Probes, ProbeStep

_ERROR_NAMES = {number: name for name, number in ERRNO.items()} | {95: "EOPNOTSUPP", 11: "EAGAIN", 35: "EDEADLK"}
"""Numbers that have two names get the one that manual pages use."""

_KINDS: Mapping[str, Callable[[int], bool]] = {
    "fd": lambda n: 0 <= n < 1 << 20,
    "pid": lambda n: 0 < n <= 1 << 22,
    # User space ends below 2**56 on every architecture graded here.
    "address": lambda n: 0 < n < 1 << 56,
}
"""What a result is that is a number of the kernel's own choice."""


class Result(StrEnum):
    """What became of one assertion."""

    PASSED = "passed"
    FAILED = "failed"
    UNDOCUMENTED = "undocumented"
    """Nobody says what has to come back under this profile."""
    UNSUPPORTED = "unsupported"
    """The harness does not offer the operation."""
    NOT_REACHED = "not-reached"
    """What it builds on did not come about."""


@dataclass(frozen=True)
class Seen:
    """One assertion: its id, the rule, what was expected and what came back."""

    id: str
    source: str
    expected: str
    found: str
    result: Result
    requirement: str = ""

    def text(self) -> str:
        return f"{self.id}: {self.found}, expected {self.expected} ({self.source})"


def told(reply: Reply) -> str:
    """A result as people read it: the name of an error, or the number."""
    if reply.came is not Came.REPLY:
        return f"{reply.came}: {reply.detail}"
    if reply.wrong:
        return reply.wrong
    if reply.error:
        name = _ERROR_NAMES.get(reply.error, f"errno {reply.error}")
        return name if reply.result == -1 else f"{reply.result} with {name}"
    return str(reply.result)


def run_kernel(client: BridgeClient, probes: Probes, profile: str, page: int) -> list[Seen]:
    """The kernel probes that the harness offers."""
    found = []
    for probe in probes.kernel.values():
        if probe.id not in client.hello.operations:
            continue
        reply = client.ask(probe.id) if client.alive else Reply(Came.DIED, detail="it died before")
        for name, value in probe.values.items():
            expected = probes.expected(probe.id, value, profile, page)
            source = value.get("source", probe.source) if isinstance(value, dict) else probe.source
            came = reply.values.get(name) if reply.came is Came.REPLY and not reply.wrong else None
            text = str(came) if came is not None else _absent(reply)
            if expected is None:
                result = Result.UNDOCUMENTED
            elif came is None:
                result = Result.FAILED
            else:
                result = Result.PASSED if agrees(expected, came, {"page": page}) else Result.FAILED
            found.append(Seen(f"{probe.id}.{name}", source, str(expected), text, result))
    return found


def _absent(reply: Reply) -> str:
    """Why a value was not said."""
    if reply.came is not Came.REPLY or reply.wrong:
        return told(reply)
    died = reply.values.get("died", 0)
    return f"not reached: killed by signal {died}" if died else "not reached"


def run_bridge(
    client: BridgeClient, probes: Probes, chosen: Iterable[BridgeProbe], profile: str, page: int
) -> list[Seen]:
    """Bridge probes, step by step; one that needs an operation that the harness has not got is unsupported as a whole."""
    found: list[Seen] = []
    for probe in chosen:
        lacking = sorted({s.do for s in probe.steps} - set(client.hello.operations))
        if lacking:
            found.append(
                Seen(
                    probe.id,
                    probe.source,
                    "",
                    f"no operation {', '.join(lacking)}",
                    Result.UNSUPPORTED,
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
        self.seen: list[Seen] = []

    def steps(self) -> list[Seen]:
        for number, step in enumerate(self.probe.steps, 1):
            where = f"{self.probe.id}#{number} {step.do}"
            if not self.client.alive:
                self._note(where, "a reply", "the harness is gone", Result.NOT_REACHED)
                break
            try:
                arguments = {name: self._argument(value) for name, value in step.arguments.items()}
            except XcError:
                # A name that an earlier step should have kept.
                self._note(where, "a reply", "an earlier step gave nothing to go on with", Result.NOT_REACHED)
                break
            if step.text is not None:
                arguments["data"] = step.text.encode().hex()
            reply = self.client.ask(step.do, **arguments)
            self._judge(where, step, reply)
            if (lost := self._keep(step, reply)) is not None:
                # What no expectation of the step has noticed must not take the rest of the probe with it unseen.
                if all(one.result is Result.PASSED for one in self.seen if one.id.startswith(where)):
                    self._note(f"{where} kept", lost, told(reply), Result.FAILED)
                break
        return self.seen

    def _argument(self, value: Any) -> Any:
        return evaluate(value[1:], self.names) if isinstance(value, str) and value.startswith("=") else value

    def _note(self, where: str, expected: str, found: str, result: Result) -> None:
        self.seen.append(Seen(where, self.probe.source, expected, found, result, self.probe.requirement))

    def _expected(self, value: Any) -> Any:
        return self.probes.expected(self.probe.id, value, self.profile, self.page)

    def _judge(self, where: str, step: ProbeStep, reply: Reply) -> None:
        if step.expected is not None:
            expected = self._expected(step.expected)
            self._note(where, str(expected), told(reply), self._result(expected, reply))
        for name, value in step.has.items():
            expected = self._expected(value)
            found = reply.values.get(name)
            if expected is None:
                result = Result.UNDOCUMENTED
            else:
                result = Result.PASSED if agrees(expected, found, self.names) else Result.FAILED
            self._note(f"{where} {name}", str(expected), str(found), result)
        wanted = (
            bytes.fromhex(step.hex) if step.hex is not None else step.gives.encode() if step.gives is not None else None
        )
        if wanted is not None:
            result = Result.PASSED if reply.data == wanted else Result.FAILED
            self._note(f"{where} data", repr(wanted), repr(reply.data), result)

    def _result(self, expected: Any, reply: Reply) -> Result:
        if expected is None:
            return Result.UNDOCUMENTED
        if reply.came is not Came.REPLY or reply.wrong:
            return Result.FAILED
        if is_error(expected):
            return Result.PASSED if reply.result == -1 and reply.error == ERRNO[expected] else Result.FAILED
        if reply.error:
            return Result.FAILED
        if expected in _KINDS:
            return Result.PASSED if _KINDS[expected](reply.result) else Result.FAILED
        return Result.PASSED if agrees(expected, reply.result, self.names) else Result.FAILED

    def _keep(self, step: ProbeStep, reply: Reply) -> str | None:
        """Keep what later steps build on; what was to come and did not, None when all is there."""
        if step.keep is None:
            return None if reply.came is Came.REPLY and not reply.wrong else "a reply"
        if reply.came is not Came.REPLY or reply.wrong or reply.error:
            return "a result to go on with"
        if isinstance(step.keep, str):
            self.names[step.keep] = reply.result
            return None
        for name, value in step.keep.items():
            if type(reply.values.get(value)) is not int:
                return f"{value}, a number, among its values"
            self.names[name] = reply.values[value]
        return None
