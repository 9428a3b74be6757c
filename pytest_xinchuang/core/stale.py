"""What earlier runs have left in a report directory: it never stays beside a run that has no report."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.locks import lock as take
from pytest_xinchuang.messages import _, system_error, verbatim

JOURNAL = "journal.ndjson"
LOCK = ".lock"
REPORTS = ("report.json", "junit.xml", "report.html", "ctrf.json")
DEFAULT_REPORTS = ".xc"
"""Where reports go that nobody sends elsewhere."""
SEALED = "sealed"
"""The directory, below a run's reports, of those of the sealed process that it has started."""
RUNNING = ".running"
"""A file there that is locked until the process has ended."""
OUTPUT = "output.txt"
"""A file there with what the process has said."""
SELECTION = "selection.txt"
"""A file there with the tests that the process was started for."""
REPORT_FILES = (JOURNAL, f"previous-{JOURNAL}", *REPORTS, LOCK, ".gitignore")
"""What runs write into the report directory."""


def written_by_runs(directory: Path) -> list[Path]:
    """The files that a run writes which reports there, whether it starts a sealed process or is that process."""
    places = [directory, directory / SEALED, *([directory.parent] if directory.name == SEALED else [])]
    return [place / name for place in places for name in (*REPORT_FILES, RUNNING, OUTPUT, SELECTION)]


def set_aside(directory: Path) -> None:
    """Remove the reports of an earlier run, and give its journal another name; reports can be made from it again.

    So it is done with those of the sealed process that it has started. None of it needs a new file: it works on a disk without
    room or inodes.

    Raises:
        OSError: a file is there, and cannot be removed.
    """
    for name in REPORTS:
        (directory / name).unlink(missing_ok=True)
    journal = directory / JOURNAL
    if journal.is_file() and not journal.is_symlink():
        journal.replace(directory / f"previous-{JOURNAL}")
    else:
        journal.unlink(missing_ok=True)
    if directory.name != SEALED and (directory / SEALED).is_dir():
        set_aside(directory / SEALED)


def remove_stale(directory: Path) -> None:
    """Do so before a run has come so far as to write, unless another run is writing there.

    Raises:
        HostFault: a file is there, and cannot be removed.
    """
    if not directory.is_dir():
        return
    try:
        lock = (directory / LOCK).open("w")
    except OSError:
        lock = None  # A run that writes there would have made it.
    try:
        if lock is not None:
            take(lock)
        set_aside(directory)
    except BlockingIOError:
        return
    except OSError as error:
        what = _(
            "the report of an earlier run in {directory} cannot be removed: {why}",
            directory=str(directory),
            why=system_error(error),
        )
        raise HostFault(what, mend=verbatim("--xc-report=DIR")) from error
    finally:
        if lock is not None:
            lock.close()
