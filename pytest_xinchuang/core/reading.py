"""Reading a journal: every line is checked against the one before it, against its model, and against what came earlier."""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pytest_xinchuang.core.chain import CHECKSUM, GENESIS, Seal, seal_of
from pytest_xinchuang.core.clock import Clock, parse_time
from pytest_xinchuang.core.depth import is_too_deep
from pytest_xinchuang.core.events import KINDS, SCHEMA, Event, EvidenceKept, RunFinished, RunStarted
from pytest_xinchuang.core.order import Order
from pytest_xinchuang.core.record import Journal, NotAJournal, Place
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.messages import Message, _, n_, system_error, verbatim

_BROKEN = {2: _("the run was interrupted"), 3: _("the run ended in an internal error")}
"""pytest's exit codes (pytest.ExitCode) of runs that did not do what they set out to do."""

_MOST_PROBLEMS = 20
"""So many problems of one journal are told; a file that somebody has edited may have one in each line."""

NOT_CHAINED = _(
    "the journal is not chained, as those of earlier releases are: nothing shows that its lines are what the run wrote, "
    "and its grade is unproved"
)


def evidence_id(data: dict[str, Any]) -> str:
    """What an observation is called: a digest of it as canonical JSON."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
    return "ev-" + hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:20]


def read_journal(path: Path, head: str | None = None) -> Journal:
    """Read a journal, also one that a killed run left behind.

    Args:
        head: the chain of the last line that was written, where the reader knows it.

    Raises:
        NotAJournal: the file is missing, or does not start as a journal does.
    """
    try:
        journal = _read(path)
    except OSError as error:
        raise NotAJournal(_("{path}: cannot be read: {why}", path=str(path), why=system_error(error))) from error
    if journal is None or journal.started.format != SCHEMA:
        what = _("{path}: not a journal ({schema}): it has no run_started event", path=str(path), schema=SCHEMA)
        raise NotAJournal(what, mend=verbatim("xc report .xc/journal.ndjson"))
    if head is not None and head != journal.head:
        journal.refuse(_("the file is not the one that this run wrote: somebody has put another in its place"))
    return journal


def _read(path: Path) -> Journal | None:
    reader = Reader(path)
    with path.open("rb") as file:
        for line in file:
            reader.take(line)
    return reader.end()


class Reader:
    """Reads a journal line by line, in the order of the file; each line is checked against all that stood before it.

    Args:
        path: for what is told; the lines are handed in.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._number = self._offset = 0
        self._problems: list[Message] = []
        self._more = 0
        self._refused = False
        self._clock = Clock()
        self._order: Order | None = None
        self._journal: Journal | None = None
        self._ahead = self._before = GENESIS
        self._expected = 0
        self._elapsed_s = 0.0
        self._run_id: str | None = None
        self._chained = False
        self._with_checksum = False
        self._bare: list[Place] = []
        self._early: list[tuple[Event, Place]] = []

    @property
    def journal(self) -> Journal | None:
        """What was read so far; None before its first event. What is wrong with it is known at its end."""
        return self._journal

    @property
    def refusal(self) -> Message | None:
        """Why the lines so far are not what a run has written; None: nothing speaks against it."""
        if self._number and not self._chained:
            return NOT_CHAINED
        return self._problems[0] if self._refused and self._problems else None

    def take(self, line: bytes) -> Event | None:
        """Read the next line of the file; its event, where it has one that is as it was written."""
        if not self._number:
            self._chained = _is_chained(line)
        self._number += 1
        place = Place(self._number, self._offset, line[:40])
        self._offset += len(line)
        if line.endswith(b"\n"):
            return self._line(line, place)
        if self._journal is not None and self._journal.finished is not None:
            self._refuse(
                _("{place} follows the end of the run; run_finished has to be the last line", place=place.said)
            )
        else:
            what = _("the last line (byte {offset}) was cut off: the run was killed", offset=place.offset)
            self._problems.append(what)
        return None

    def end(self) -> Journal | None:
        """The journal, with all that is wrong with it; None: no line of it was a ``run_started``."""
        journal = self._journal
        if journal is None or self._order is None:
            return None
        self._order.end()
        if self._with_checksum:
            # Older journals have no checksums at all. In one that has them, a line without is a line that was changed.
            for place in self._bare:
                self._refuse(_("{place} has no checksum", place=place.said))
        if not self._chained:
            self._refuse(NOT_CHAINED)
        if self._more:
            self._problems.append(n_("and {n} problem more", "and {n} problems more", self._more))
        if journal.finished is None:
            self._problems.append(_("the run did not finish"))
        elif journal.finished.exit_status in _BROKEN:
            self._problems.append(_BROKEN[journal.finished.exit_status])
        journal.problems, journal.refused = self._problems, self._refused
        journal.notes, journal.latest = self._clock.notes, self._clock.latest
        journal.head = self._before if self._chained else ""
        return journal

    def _refuse(self, why: Message) -> None:
        self._refused = True
        if len(self._problems) < _MOST_PROBLEMS:
            self._problems.append(why)
        else:
            self._more += 1

    def _line(self, line: bytes, place: Place) -> Event | None:
        good = True
        if checksum := CHECKSUM.search(line):
            self._with_checksum = True
            line = line[: checksum.start()] + b"}"
            if int(checksum[1], 16) != zlib.crc32(line):
                self._refuse(_("{place} is damaged: its checksum is that of other bytes", place=place.said))
                good = False
        else:
            self._bare.append(place)
        seal = seal_of(line.rstrip(b"\n").removesuffix(b"}")) if self._chained else None
        if self._chained:
            good = self._sealed(seal, place, told=not good)
        event = self._event(line, place, told=not good)
        # A line that was damaged says nothing any more, but for the first, without which nothing can be shown.
        if event is None or not (good or isinstance(event, RunStarted)):
            return None
        self._time(event, seal, place)
        if isinstance(event, RunFinished) and seal is not None:
            self._count(event, seal, place)
        self._take(event, place)
        return event

    def _sealed(self, seal: Seal | None, place: Place, *, told: bool) -> bool:
        """Check a line's place in the chain; whether it is as it was written. ``told``: that it is not was said already."""
        if seal is None:
            if not told:
                self._refuse(_("{place} has no chain: this run did not write it", place=place.said))
            return False
        before = self._ahead = self._before
        self._before = seal.chain
        expected, self._expected = self._expected, seal.seq + 1
        earlier, self._elapsed_s = self._elapsed_s, max(seal.elapsed_s, self._elapsed_s)
        if self._run_id is None:
            self._run_id = seal.run_id
        if seal.run_id != self._run_id:
            what = _(
                "{place} is of the run {found}, this journal of the run {expected}",
                place=place.said,
                found=seal.run_id,
                expected=self._run_id,
            )
            self._refuse(what)
            return False
        if seal.seq > expected:
            self._refuse(
                n_(
                    "{place} is event {found}, and event {expected} was expected: {n} event is missing before it",
                    "{place} is event {found}, and event {expected} was expected: {n} events are missing before it",
                    seal.seq - expected,
                    place=place.said,
                    found=seal.seq,
                    expected=expected,
                )
            )
            return not told
        if seal.seq < expected:
            what = _(
                "{place} is event {found}, and event {expected} was expected: it is doubled or out of order",
                place=place.said,
                found=seal.seq,
                expected=expected,
            )
            self._refuse(what)
            return not told
        if not seal.follows(before):
            if not told:
                self._refuse(
                    _(
                        "{place} was changed, or put in: its chain does not follow from the line before",
                        place=place.said,
                    )
                )
            return False
        if seal.elapsed_s < earlier:
            what = _(
                "{place} was written {found} s after the start of the run, and the line before it {earlier} s after it: "
                "it is out of order",
                place=place.said,
                found=verbatim(f"{seal.elapsed_s:.3f}"),
                earlier=verbatim(f"{earlier:.3f}"),
            )
            self._refuse(what)
        return not told

    def _event(self, line: bytes, place: Place, *, told: bool) -> Event | None:
        """What a line says, checked against the model of its kind; ``told``: that it is damaged was said already."""
        kind = None
        try:
            data = json.loads(line)
            if is_too_deep(line, data):
                raise RecursionError
            kind = data["kind"]
            if not isinstance(kind, str) or kind not in KINDS:
                if not told:
                    self._refuse(_("{place}: an event of unknown kind {kind}", place=place.said, kind=repr(kind)[:100]))
                return None
            event = KINDS[kind].model_validate(data)
            if isinstance(event, EvidenceKept) and self._chained and not told and evidence_id(event.data) != event.id:
                what = _(
                    "{place}: the evidence is called {found}, and its digest is {expected}: it was changed",
                    place=place.said,
                    found=event.id[:100],
                    expected=evidence_id(event.data),
                )
                self._refuse(what)
            return event
        # Recursion: nested deeper than anything that we write. Overflow: numbers that no field can hold.
        except (ValidationError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            if told:
                return None
            if not (isinstance(kind, str) and kind in KINDS):
                self._refuse(_("{place} is damaged: it is no event", place=place.said))
                return None
            self._refuse(
                _("{place}: the {kind} event is incomplete: {why}", place=place.said, kind=kind, why=_why(error))
            )
            return None

    def _time(self, event: Event, seal: Seal | None, place: Place) -> None:
        t = parse_time(event.t)
        if t is not None:
            if isinstance(event, RunStarted) and (not_before := parse_time(event.not_before)):
                self._clock.begin(t, not_before, place)
            self._clock.see(t, seal.elapsed_s if seal else None, place)
        elif self._chained:
            self._refuse(_("{place}: {t} is no time", place=place.said, t=repr(event.t)[:100]))

    def _count(self, event: RunFinished, seal: Seal, place: Place) -> None:
        if event.events != seal.seq:
            what = _(
                "{place}: run_finished ends {found} events, and {expected} stand before it",
                place=place.said,
                found=str(event.events),
                expected=seal.seq,
            )
            self._refuse(what)
        elif event.head != self._ahead:
            self._refuse(_("{place}: run_finished names another line as the last before it", place=place.said))

    def _take(self, event: Event, place: Place) -> None:
        if self._order is not None:
            self._order.take(event, place)
        elif isinstance(event, RunStarted):
            self._journal = Journal(self._path, event)
            self._order = Order(self._journal, self._refuse, strict=self._chained)
            if self._chained and event.run.id != self._run_id:
                what = _(
                    "{place}: run_started is of the run {found}, its line of the run {expected}",
                    place=place.said,
                    found=event.run.id,
                    expected=str(self._run_id),
                )
                self._refuse(what)
            for early in self._early:
                self._order.take(*early)
        else:
            if self._chained:
                self._refuse(_("{place} stands before run_started, which has to be the first line", place=place.said))
            self._early.append((event, place))


def _is_chained(first: bytes) -> bool:
    return b'"chain": "' in first[-300:]


def _why(error: Exception) -> Message:
    """The first thing that is wrong with an event, in a few words."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        name = verbatim(".".join(map(str, first["loc"]))[:100])
        return _("{field}: {problem}", field=name, problem=mistake(first))
    return verbatim(type(error).__name__)
