"""The journal: append-only NDJSON, flushed per event, from which every report is derived."""

from __future__ import annotations

import datetime
import errno
import fcntl
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.events import (
    KINDS,
    SCHEMA,
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
from pytest_xinchuang.messages import Message, _, system_error, verbatim

JOURNAL = "journal.ndjson"
MAX_DEPTH = 500
"""Levels of objects and lists in a line. Python 3.11 reads some 1000, Python 3.13 more than 5000: all grade alike."""

_BROKEN = {2: _("the run was interrupted"), 3: _("the run ended in an internal error")}
"""pytest's exit codes (pytest.ExitCode) of runs that did not do what they set out to do."""

_CHECKSUM = re.compile(rb', "crc32": "([0-9a-f]{8})"\}\n\Z')
"""The end of a line: CRC-32 of the line without this field and without its newline; it finds every byte that has changed."""


def utc_now() -> str:
    """The time in UTC, ISO 8601 to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def evidence_id(data: dict[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
    return "ev-" + hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:20]


def line_of(event: Event) -> bytes:
    """An event as a line of a journal, with its checksum."""
    data = event.model_dump(by_alias=True)
    raw = json.dumps(data, ensure_ascii=False, default=str).encode(errors="backslashreplace")
    return raw[:-1] + b', "crc32": "%08x"}\n' % zlib.crc32(raw)


class JournalWriter:
    """Writes one run's journal; each event is in the kernel's hands when ``write`` returns.

    Raises:
        HostFault: the directory cannot be written, or another run is writing there.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / JOURNAL
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = (directory / ".lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # What an earlier run granted must not be taken for this one's, however this one ends.
            for stale in ("report.json", "junit.xml"):
                (directory / stale).unlink(missing_ok=True)
            if self.path.exists():
                self.path.replace(directory / f"previous-{JOURNAL}")
            self._file = self.path.open("xb", buffering=0)
        except BlockingIOError:
            self._lock.close()
            raise HostFault(
                _("another run is writing its report to {directory}", directory=str(directory)),
                mend=verbatim("--xc-report=ANOTHER_DIRECTORY"),
            ) from None
        except OSError as error:
            what = _(
                "the report directory {directory} cannot be written: {why}",
                directory=str(directory),
                why=system_error(error),
            )
            raise HostFault(what, mend=verbatim("--xc-report=DIR")) from error
        self._written: set[str] = set()

    def write(self, event: Event) -> None:
        """Append one event, with the time.

        Raises:
            HostFault: it could not be written whole (a full disk); the run must not go on as if it had been.
        """
        raw = line_of(event.model_copy(update={"t": utc_now()}))
        try:
            if self._file.write(raw) != len(raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            what = _("the journal {path} cannot be written: {why}", path=str(self.path), why=system_error(error))
            raise HostFault(what) from error

    def evidence(self, data: dict[str, Any]) -> str:
        """Write an observation once; returns its id."""
        identifier = evidence_id(data)
        if identifier not in self._written:
            self.write(EvidenceKept(id=identifier, data=data))
            self._written.add(identifier)
        return identifier

    def close(self) -> None:
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()
            self._lock.close()


@dataclass
class Journal:
    """A journal as read: what happened, and what is wrong with the file itself.

    Attributes:
        planned: the checks that were planned, of every platform.
        decisions: (platform, requirement) -> decisions in the order in which they were made.
        sandboxes: platform -> its sandboxes. checks: name of a check -> its phases.
        surroundings: what ran beside the checks; None in journals of older releases.
        evidence: evidence id -> byte offset of its line.
        problems: why this file cannot be trusted whole; any one rules out a grade.
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
    problems: list[Message] = field(default_factory=list)


class NotAJournal(XcError):
    """A file that is no journal."""


def read_journal(path: Path) -> Journal:
    """Read a journal, also one that a killed run left behind.

    Raises:
        NotAJournal: the file is missing, or does not start as a journal does.
    """
    problems: list[Message] = []
    journal: Journal | None = None
    early: list[tuple[int, Event]] = []
    try:
        for offset, event in _events(path, problems):
            if journal is not None:
                _take(journal, event, offset)
            elif isinstance(event, RunStarted):
                journal = Journal(path, event, problems=problems)
                for place, before in early:
                    _take(journal, before, place)
            else:
                early.append((offset, event))
    except OSError as error:
        raise NotAJournal(_("{path}: cannot be read: {why}", path=str(path), why=system_error(error))) from error
    if journal is None or journal.started.format != SCHEMA:
        what = _("{path}: not a journal ({schema}): it has no run_started event", path=str(path), schema=SCHEMA)
        raise NotAJournal(what, mend=verbatim("xc report .xc/journal.ndjson"))
    if journal.finished is None:
        problems.append(_("the run did not finish"))
    elif journal.finished.exit_status in _BROKEN:
        problems.append(_BROKEN[journal.finished.exit_status])
    return journal


def _events(path: Path, problems: list[Message]) -> Iterator[tuple[int, Event]]:
    """The events of a file with their byte offsets; what is wrong with it goes to ``problems``."""
    with_checksum, without = 0, []
    offset = 0
    with path.open("rb") as file:
        for line in file:
            here, offset = offset, offset + len(line)
            if not line.endswith(b"\n"):
                problems.append(_("the last line (byte {offset}) was cut off: the run was killed", offset=here))
                continue
            if checksum := _CHECKSUM.search(line):
                with_checksum += 1
                line = line[: checksum.start()] + b"}"
                if int(checksum[1], 16) != zlib.crc32(line):
                    problems.append(_("the line at byte {offset} is damaged", offset=here))
                    continue
            else:
                without.append(here)
            if (event := _event(line, here, problems)) is not None:
                yield here, event
    # Older journals have no checksums at all. In one that has them, a line without is a line that was changed.
    if with_checksum:
        problems += [_("the line at byte {offset} has no checksum", offset=here) for here in without]


def _event(line: bytes, offset: int, problems: list[Message]) -> Event | None:
    kind = None
    try:
        data = json.loads(line)
        if line.count(b"{") + line.count(b"[") > MAX_DEPTH and _is_too_deep(data):
            raise RecursionError
        kind = data["kind"]
        if not isinstance(kind, str) or kind not in KINDS:
            problems.append(_("an event of unknown kind {kind} at byte {offset}", kind=repr(kind)[:100], offset=offset))
            return None
        return KINDS[kind].model_validate(data)
    # Recursion: nested deeper than anything that we write. Overflow: numbers that no field can hold.
    except (ValidationError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
        known = isinstance(kind, str) and kind in KINDS
        damaged = _("the line at byte {offset} is damaged", offset=offset)
        incomplete = _("the {kind} event at byte {offset} is incomplete", kind=kind, offset=offset)
        problems.append(incomplete if known else damaged)
        return None


def _is_too_deep(data: object) -> bool:
    level = [data]
    for _depth in range(MAX_DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, (dict, list))
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _take(journal: Journal, event: Event, offset: int) -> None:
    match event:
        case RunStarted():
            journal.problems.append(_("a second run_started at byte {offset}", offset=offset))
        case RunFinished():
            journal.finished = event
        case Planned():
            journal.planned.append(event)
        case Decided():
            journal.decisions.setdefault((event.platform, event.requirement), []).append(event)
        case SandboxOpened():
            journal.sandboxes.setdefault(event.platform, []).append(event)
        case CheckEnded():
            journal.checks.setdefault(event.check, []).append(event)
        case FaultMet():
            journal.faults.append(event)
        case Surrounded():
            if journal.surroundings is not None:
                journal.problems.append(_("a second surroundings event at byte {offset}", offset=offset))
            journal.surroundings = event
        case EvidenceKept():
            journal.evidence[event.id] = offset
