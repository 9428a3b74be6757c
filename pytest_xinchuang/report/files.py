"""Writing the reports of a journal beside it."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.grade import RunResult
from pytest_xinchuang.messages import LANGUAGES, _, system_error, verbatim
from pytest_xinchuang.report.json_report import report_text
from pytest_xinchuang.report.junit import junit_text

_MARK_WITHIN = 8192
"""Bytes at the start of a report that have the name of its format."""


def remove_reports(directory: Path, *, but: Path) -> None:
    """Remove the reports that an earlier command has written; what others have written under these names stays.

    Args:
        but: a file that stays in any case: whoever names a report by mistake has not asked for its end.

    Raises:
        HostFault: one cannot be removed.
    """
    for name, mark in (("report.json", b"xc-report/1"), ("junit.xml", b"xc-junit/1")):
        path = directory / name
        try:
            if not path.is_file() or path.samefile(but):
                continue
            with path.open("rb") as file:
                ours = mark in file.read(_MARK_WITHIN)
            if ours:
                path.unlink()
        except OSError as error:
            what = _("{path} cannot be removed: {why}", path=str(path), why=system_error(error))
            raise HostFault(what, mend=verbatim("--output DIR")) from error


def write_reports(result: RunResult, directory: Path, language: str = LANGUAGES[0]) -> list[Path]:
    """Write ``report.json`` and ``junit.xml`` in a language, each whole or not at all.

    Raises:
        HostFault: one could not be written.
    """
    written: list[Path] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = _("{path} cannot be made: {why}", path=str(directory), why=system_error(error))
        raise HostFault(what, mend=verbatim("--xc-report=DIR")) from error
    for name, make in (("report.json", report_text), ("junit.xml", junit_text)):
        path, part = directory / name, directory / f".{name}.part"
        try:
            with part.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.write(make(result, language))
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            # One report without the other would be taken for a run that ended well.
            for left in (part, *written):
                left.unlink(missing_ok=True)
            what = _("{path} cannot be written: {why}", path=str(path), why=system_error(error))
            raise HostFault(what, mend=verbatim("--xc-report=DIR")) from error
        written.append(path)
    return written
