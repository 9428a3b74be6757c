"""The host's clock as a journal shows it, against a clock that nobody sets."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Iterable
from pathlib import Path

from pytest_xinchuang.core.record import Place
from pytest_xinchuang.messages import Message, _

TOLERANCE_S = 5.0
"""A clock that is so far off is told of: more than what time servers correct at once, much less than a day."""

DRIFT = 0.001
"""Two clocks of one machine part by no more than this share of the time: adjtimex(2) slews by 500 ppm at most."""

_MOST_NOTES = 10


def steady_s() -> float:
    """Seconds by the clock that no one can set, and that goes on while the machine is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def utc_now() -> str:
    """The time in UTC, ISO 8601 to the millisecond."""
    return _text(datetime.datetime.now(datetime.UTC))


def parse_time(text: str) -> datetime.datetime | None:
    """A time of a journal; None: it is none. A time without a zone is in UTC."""
    try:
        found = datetime.datetime.fromisoformat(text)
        return found.replace(tzinfo=datetime.UTC) if found.tzinfo is None else found.astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None


def youngest(paths: Iterable[Path]) -> str:
    """When the youngest of some files was last changed, as a time of a journal; "" if none can be asked."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError, ValueError, OverflowError):
            found.append(datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC))
    return _text(max(found)) if found else ""


def _text(t: datetime.datetime) -> str:
    return t.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Clock:
    """Follows the times of a journal's lines.

    Attributes:
        latest: the latest time that is spoken of, or that must have been reached by the clock that nobody sets.
        notes: where the host's clock jumped.
    """

    def __init__(self) -> None:
        self.latest = datetime.datetime.min.replace(tzinfo=datetime.UTC)
        self.notes: list[Message] = []
        self._first: tuple[datetime.datetime, float] | None = None
        self._off_s = 0.0

    def begin(self, t: datetime.datetime, not_before: datetime.datetime, place: Place) -> None:
        """Take in when a run was started, and a time that had been reached by then."""
        self.latest = max(self.latest, not_before)
        if not_before - t > datetime.timedelta(seconds=TOLERANCE_S):
            self.notes.append(
                _(
                    "{place}: the host's clock was at {found}, and a file was there from {date}; waivers have to be good "
                    "until then",
                    place=place.said,
                    found=_text(t),
                    date=_text(not_before),
                )
            )

    def see(self, t: datetime.datetime, elapsed_s: float | None, place: Place) -> None:
        """Take in the time of a line, and how long the run had been going on (None: it is not known)."""
        self.latest = max(self.latest, t)
        if elapsed_s is None:
            return
        if self._first is None:
            self._first = t, elapsed_s
            return
        start, before = self._first
        passed = elapsed_s - before
        off_s = (t - start).total_seconds() - passed
        try:
            self.latest = max(self.latest, start + datetime.timedelta(seconds=passed))
        except OverflowError:
            self.latest = datetime.datetime.max.replace(tzinfo=datetime.UTC)
        if abs(off_s - self._off_s) > TOLERANCE_S + DRIFT * passed and len(self.notes) < _MOST_NOTES:
            jump = round(off_s - self._off_s)
            self.notes.append(
                _(
                    "{place}: the host's clock was set forward by {n} s during the run; waivers have to be good until {date}",
                    place=place.said,
                    n=jump,
                    date=self.latest.date().isoformat(),
                )
                if jump > 0
                else _(
                    "{place}: the host's clock was set back by {n} s during the run; waivers have to be good until {date}",
                    place=place.said,
                    n=-jump,
                    date=self.latest.date().isoformat(),
                )
            )
            self._off_s = off_s
