"""A journal as read: what happened, and what is wrong with the file itself."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.events import (
    CheckEnded,
    Decided,
    FaultMet,
    Planned,
    RunFinished,
    RunStarted,
    SandboxOpened,
    Surrounded,
)
from pytest_xinchuang.messages import Message, _

DecisionKey = tuple[str, str, str, int]
"""(platform, requirement, check, attempt) of a decision."""


_KIND = re.compile(rb'\{"kind": "([a-z_]{1,20})"')
"""How our lines begin."""


class Place(NamedTuple):
    """Where a line of a journal stands.

    Attributes:
        line: from 1. offset: in bytes. start: the first bytes of the line.
    """

    line: int
    offset: int
    start: bytes

    @property
    def said(self) -> Message:
        """The place, and what the line says that it is, for people."""
        if kind := _KIND.match(self.start):
            return _("line {line} (byte {offset}, {kind})", line=self.line, offset=self.offset, kind=kind[1].decode())
        return _("line {line} (byte {offset})", line=self.line, offset=self.offset)


class NotAJournal(XcError):
    """A file that is no journal."""


@dataclass
class Journal:
    """A journal as read: what happened, and what is wrong with the file itself.

    Attributes:
        planned: the checks that were planned, of every platform.
        decisions: (platform, requirement) -> decisions in the order in which they were made.
        sandboxes: platform -> its sandboxes. checks: name of a check -> its phases.
        surroundings: what ran beside the checks; None in journals of older releases.
        evidence: evidence id -> byte offset of its line. sandbox_of: evidence id -> the sandbox that it names.
        problems: why this file cannot be trusted whole; any one rules out a grade.
        refused: a problem is more than that the run did not come to its end: the file is not what a run has written.
        doubts: decision -> why it cannot be a pass, whatever it says.
        notes: what a reader has to know, and what rules out nothing.
        latest: the latest time that anything in the file speaks of; waivers have to be good until then.
        head: the chain of the last line; "" without a chain.
    """

    path: Path
    started: RunStarted
    finished: RunFinished | None = None
    planned: list[Planned] = field(default_factory=list)
    decisions: dict[tuple[str, str], list[Decided]] = field(default_factory=dict)
    sandboxes: dict[str, list[SandboxOpened]] = field(default_factory=dict)
    checks: dict[str, list[CheckEnded]] = field(default_factory=dict)
    faults: list[FaultMet] = field(default_factory=list)
    surroundings: Surrounded | None = None
    evidence: dict[str, int] = field(default_factory=dict)
    sandbox_of: dict[str, str] = field(default_factory=dict)
    problems: list[Message] = field(default_factory=list)
    refused: bool = False
    doubts: dict[DecisionKey, Message] = field(default_factory=dict)
    notes: list[Message] = field(default_factory=list)
    latest: datetime.datetime | None = None
    head: str = ""

    def refuse(self, why: Message) -> None:
        """Keep a problem that shows that the file is not what a run has written."""
        self.problems.append(why)
        self.refused = True

    @property
    def day(self) -> datetime.date:
        """The day, in UTC, up to which a waiver has to be good: never before that on which the run was started."""
        return self.started.day if self.latest is None else max(self.started.day, self.latest.date())
