"""How a reply came about and how a harness ended, as enumerations: verdicts depend on these and on no text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pytest_xinchuang.core.linux import LinuxSignal
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.sandbox.protocol import Ended, Outcome


class ReplyKind(StrEnum):
    """How an answer came about."""

    REPLY = "reply"
    DIED = "died"
    """The harness ended instead of answering."""
    HUNG = "hung"
    """No reply within the time-out."""
    FAULT = "fault"
    """Our side broke: the sandbox, the emulator; or it was never asked. Never the subject's failure."""


class EndKind(StrEnum):
    """How a harness came to its end."""

    EXITED = "exited"
    SIGNALED = "signaled"
    KILLED = "killed"
    """By SIGKILL, which no program sends to itself without need: the host may have run out of memory."""
    CLOSED = "closed"
    """It closed its output and went on."""
    SILENT = "silent"
    """It said nothing within the time-out, and was ended by us."""
    FLOODED = "flooded"
    """It wrote without end what nobody had asked for, and was ended by us."""

    @property
    def may_be_the_hosts(self) -> bool:
        """Whether a slow or a full host can do the same to a harness without fault."""
        return self in (EndKind.KILLED, EndKind.SILENT)


OURS = frozenset({Ended.EMULATOR_FAULT, Ended.HOST_FAULT, Ended.OVER_LIMIT})
"""Ends of a process that are faults on our side."""


@dataclass(frozen=True)
class HarnessEnd:
    """The end of a harness.

    Attributes:
        outcome: of its process; None where we ended it.
        said: the last line of its stderr, for people.
        timeout_s: seconds of silence, where that was it.
    """

    kind: EndKind
    outcome: Outcome | None = None
    said: str = ""
    timeout_s: float = 0.0

    @classmethod
    def of(cls, outcome: Outcome, said: str) -> HarnessEnd:
        """The end of a process that ended by itself, and not on our side."""
        if outcome.ended is Ended.SIGNALED:
            kind = EndKind.KILLED if outcome.signal == LinuxSignal.SIGKILL else EndKind.SIGNALED
        else:
            kind = EndKind.EXITED
        return cls(kind, outcome, said)

    def text(self) -> Message:
        """The end in a few words."""
        if self.kind is EndKind.SILENT:
            return _("no reply for {seconds:g} s", seconds=self.timeout_s)
        if self.kind is EndKind.FLOODED:
            how = _("it writes without end what answers no request")
        elif self.kind is EndKind.CLOSED:
            how = _("it closed its output and went on")
        else:
            how = self.outcome.describe() if self.outcome else verbatim(self.kind.value)
        return _("{how}: {said}", how=how, said=verbatim(self.said)) if self.said else how
