"""The journal: append-only NDJSON, flushed per event, from which every report is derived."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.chain import Chain
from pytest_xinchuang.core.clock import steady_s, utc_now
from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.events import Event, EvidenceKept, RunFinished, RunStarted
from pytest_xinchuang.core.locks import lock
from pytest_xinchuang.core.reading import evidence_id, read_journal
from pytest_xinchuang.core.record import Journal, NotAJournal
from pytest_xinchuang.core.stale import JOURNAL, LOCK, REPORT_FILES, remove_stale, set_aside
from pytest_xinchuang.messages import _, system_error, verbatim

__all__ = [
    "JOURNAL",
    "REPORT_FILES",
    "Journal",
    "JournalWriter",
    "NotAJournal",
    "evidence_id",
    "read_journal",
    "remove_stale",
    "utc_now",
]


class JournalWriter:
    """Writes one run's journal; each event is in the kernel's hands when ``write`` returns.

    Raises:
        HostFault: the directory cannot be written, or another run is writing there.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / JOURNAL
        self._chain = Chain()
        self._began_s = steady_s()
        self._size = 0
        self._written: set[str] = set()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = (directory / LOCK).open("w")
            lock(self._lock)
            # What an earlier run granted must not be taken for this one's, however this one ends.
            set_aside(directory)
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

    @property
    def head(self) -> str:
        """The chain of the last line."""
        return self._chain.head

    def write(self, event: Event) -> None:
        """Append one event, with the time and its place in the chain.

        Raises:
            HostFault: it could not be written whole (a full disk), or somebody else writes to the file; the run must not go on
                as if nothing had been.
        """
        if isinstance(event, RunStarted):
            self._chain.run_id = event.run.id
        elif isinstance(event, RunFinished):
            event = event.model_copy(update={"events": self._chain.count, "head": self._chain.head})
        raw = self._chain.line(event.model_copy(update={"t": utc_now()}), steady_s() - self._began_s)
        try:
            if self._size and os.fstat(self._file.fileno()).st_size != self._size:
                raise HostFault(_("somebody else writes to the journal {path}", path=str(self.path)))
            if self._file.write(raw) != len(raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            what = _("the journal {path} cannot be written: {why}", path=str(self.path), why=system_error(error))
            raise HostFault(what) from error
        self._size += len(raw)

    def evidence(self, data: dict[str, Any]) -> str:
        """Write an observation once; returns its id."""
        # As it will be read: an id is the digest of what stands in the file.
        kept = json.loads(json.dumps(data, default=str))
        identifier = evidence_id(kept)
        if identifier not in self._written:
            self.write(EvidenceKept(id=identifier, data=kept))
            self._written.add(identifier)
        return identifier

    def close(self) -> None:
        if not self._file.closed:
            os.fsync(self._file.fileno())
            self._file.close()
            self._lock.close()
