"""Writing the reports of a journal beside it."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.grade import RunResult
from pytest_xinchuang.messages import LANGUAGES, _, system_error, verbatim
from pytest_xinchuang.report.json_report import report_text
from pytest_xinchuang.report.junit import junit_text


def write_reports(result: RunResult, directory: Path, language: str = LANGUAGES[0]) -> list[Path]:
    """Write ``report.json`` and ``junit.xml`` in a language, each whole or not at all.

    Raises:
        HostFault: one could not be written.
    """
    written = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = _("{path} cannot be made: {why}", path=str(directory), why=system_error(error))
        raise HostFault(what, mend=verbatim("--xc-report=DIR")) from error
    for name, make in (("report.json", report_text), ("junit.xml", junit_text)):
        path, part = directory / name, directory / f".{name}.part"
        try:
            with part.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(make(result, language))
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as error:
            part.unlink(missing_ok=True)
            what = _("{path} cannot be written: {why}", path=str(path), why=system_error(error))
            raise HostFault(what, mend=verbatim("--xc-report=DIR")) from error
        written.append(path)
    return written
