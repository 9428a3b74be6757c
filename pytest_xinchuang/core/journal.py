"""The journal: append-only NDJSON, flushed per event, from which every report is derived."""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault, XcError

JOURNAL = "journal.ndjson"
SCHEMA = "xc-journal/1"

_BROKEN = {2: "was interrupted", 3: "ended in an internal error"}
"""pytest's exit codes (pytest.ExitCode) of runs that did not do what they set out to do."""


def utc_now() -> str:
    """The time in UTC, ISO 8601 to the millisecond."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def evidence_id(data: dict[str, Any]) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
    return "ev-" + hashlib.sha256(text.encode()).hexdigest()[:20]


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
                f"another run is writing its report to {directory}", mend="--xc-report=ANOTHER_DIRECTORY"
            ) from None
        except OSError as error:
            raise HostFault(
                f"the report directory {directory} cannot be written: {error.strerror}", mend="--xc-report=DIR"
            ) from error
        self._written: set[str] = set()

    def write(self, kind: str, **data: Any) -> None:
        """Append one event.

        Raises:
            HostFault: it could not be written whole (a full disk); the run must not go on as if it had been.
        """
        line = json.dumps({"kind": kind, "t": utc_now(), **data}, ensure_ascii=False, default=str) + "\n"
        raw = line.encode(errors="backslashreplace")
        try:
            if self._file.write(raw) != len(raw):
                raise OSError(28, "No space left on device")
        except OSError as error:
            raise HostFault(f"the journal {self.path} cannot be written: {error.strerror}") from error

    def evidence(self, data: dict[str, Any]) -> str:
        """Write an observation once; returns its id."""
        identifier = evidence_id(data)
        if identifier not in self._written:
            self.write("evidence", id=identifier, data=data)
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
        decisions: (platform, requirement) -> decisions in the order in which they were made.
        evidence: evidence id -> byte offset of its line.
        problems: why this file cannot be trusted whole; any one rules out a grade.
    """

    path: Path
    started: dict[str, Any] = field(default_factory=dict)
    finished: dict[str, Any] | None = None
    decisions: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    sandboxes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    checks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    faults: list[dict[str, Any]] = field(default_factory=list)
    evidence: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


class NotAJournal(XcError):
    """A file that is no journal."""


def read_journal(path: Path) -> Journal:
    """Read a journal, also one that a killed run left behind.

    Raises:
        NotAJournal: the file is missing, or does not start as a journal does.
    """
    journal = Journal(path)
    try:
        for offset, line in _lines(path):
            if not line.endswith(b"\n"):
                journal.problems.append(f"the last line (byte {offset}) was cut off: the run was killed")
                continue
            try:
                event = json.loads(line)
                kind = event["kind"]
            except (ValueError, KeyError, TypeError):
                journal.problems.append(f"the line at byte {offset} is damaged")
                continue
            _take(journal, kind, event, offset)
    except OSError as error:
        raise NotAJournal(f"{path}: cannot be read: {error.strerror}") from error
    if journal.started.get("schema") != SCHEMA:
        raise NotAJournal(
            f"{path}: not a journal ({SCHEMA}): it has no run_started event", mend="xc report .xc/journal.ndjson"
        )
    if journal.finished is None:
        journal.problems.append("the run did not finish")
    elif journal.finished.get("exit_status") in _BROKEN:
        journal.problems.append(f"the run {_BROKEN[journal.finished['exit_status']]}")
    return journal


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    offset = 0
    with path.open("rb") as file:
        for line in file:
            yield offset, line
            offset += len(line)


def _take(journal: Journal, kind: str, event: dict[str, Any], offset: int) -> None:
    try:
        match kind:
            case "run_started":
                if journal.started:
                    journal.problems.append(f"a second run_started at byte {offset}")
                else:
                    journal.started = event
            case "run_finished":
                journal.finished = event
            case "decision":
                journal.decisions.setdefault((event["platform"], event["requirement"]), []).append(event)
            case "sandbox":
                journal.sandboxes.setdefault(event["platform"], []).append(event)
            case "check":
                journal.checks.setdefault(event["check"], []).append(event)
            case "fault":
                journal.faults.append(event)
            case "evidence":
                journal.evidence[event["id"]] = offset
            case _:
                journal.problems.append(f"an event of unknown kind {kind!r} at byte {offset}")
    except (KeyError, TypeError):
        journal.problems.append(f"the {kind} event at byte {offset} is incomplete")
