"""The one process that writes: journal while tests run, grades and reports at the end."""

from __future__ import annotations

import platform as host
import sys
from typing import Any

import pytest

from pytest_xinchuang import __version__
from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.grade import RunResult, grade_run
from pytest_xinchuang.core.journal import JournalWriter, read_journal
from pytest_xinchuang.run.session import XcSession

EXIT_BELOW_REQUIRED = 10
"""A platform did not reach the level that the profile requires."""

EXIT_NO_REPORT = 12
"""The journal or a report could not be written."""


class Controller:
    """Writes what workers (or this very process) report."""

    def __init__(self, session: XcSession) -> None:
        self.session = session
        self.result: RunResult | None = None
        self.broken = ""
        self._attempts: dict[tuple[str, str, str], int] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self.journal = JournalWriter(session.report_dir)
        self._start()

    def _start(self) -> None:
        session = self.session
        required = [
            {**r.model_dump(mode="json"), "needs": list(r.needs)}
            for r in session.catalogue.of(frozenset(session.packages))
        ]
        self._write(
            "run_started",
            schema="xc-journal/1",
            run={
                "id": session.run_id,
                "host": {
                    "name": host.node(),
                    "machine": host.machine(),
                    "kernel": host.release(),
                    "python": host.python_version(),
                    "pytest": pytest.__version__,
                },
                "argv": sys.argv,
                "backend": session.backend,
            },
            suite={"name": "pytest-xinchuang", "version": __version__, "digest": session.catalogue.digest},
            subject={
                "name": session.subject.name,
                "version": session.subject.version,
                "digest": session.subject.digest,
                "units": [unit.name for unit in session.subject.file.units],
            },
            profile={"id": session.profile.id, **session.profile.profile.model_dump(mode="json")},
            packages=list(session.packages),
            platforms=[
                {
                    "id": p.id,
                    "digest": p.digest,
                    "arch": p.arch,
                    "uname": p.architecture.uname,
                    "facts": "overridden" if p.id in session.overridden else "shipped",
                    "cpu": p.cpu.title.model_dump(),
                    "system": p.system.title.model_dump(),
                }
                for p in session.platforms
            ],
            required=required,
            waivers=[w.model_dump(mode="json") for w in session.waivers],
        )

    def _write(self, kind: str, **data: Any) -> None:
        """Write an event; the first fault is kept, ends all writing, and decides the exit status."""
        if self.broken:
            return
        try:
            self.journal.write(kind, **data)
        except HostFault as fault:
            self.broken = fault.what

    def take(self, report: pytest.TestReport) -> None:
        """Journal one phase of one test."""
        note = getattr(report, "xc", None)
        if note is None:
            # xdist reports a test whose worker died with a phase of its own.
            if str(report.when) == "???" and report.nodeid in self._known:
                self._lost(report)
            return
        self._known[report.nodeid] = note
        for sandbox in note.get("sandboxes", []):
            self._write("sandbox", **sandbox)
        for decision in note["decisions"]:
            self._take_decision(note, decision)
        if report.when == "teardown":
            self._known.pop(report.nodeid, None)
        if report.when == "call" or not report.passed:
            self._write(
                "check",
                check=note["check"],
                platform=note["platform"],
                phase=report.when,
                outcome=report.outcome,
                duration_s=round(report.duration, 3),
                worker=note.get("worker", ""),
            )

    def _take_decision(self, note: dict[str, Any], decision: dict[str, Any]) -> None:
        key = (decision["requirement"], note["platform"], note["check"])
        self._attempts[key] = self._attempts.get(key, 0) + 1
        try:
            evidence = [self.journal.evidence(item) for item in decision["evidence"]] if not self.broken else []
        except HostFault as fault:
            self.broken = fault.what
            return
        self._write(
            "decision",
            **{**decision, "evidence": evidence},
            platform=note["platform"],
            check=note["check"],
            attempt=self._attempts[key],
        )

    def _lost(self, report: pytest.TestReport) -> None:
        """A worker died in the middle of a test: what it was about to decide is inconclusive."""
        note = self._known.pop(report.nodeid)
        what = f"the worker was lost while it ran {note['check']} on {note['platform']}"
        self._write("fault", what=what)
        for requirement in note["requirements"]:
            lost = {
                "requirement": requirement,
                "verdict": "inconclusive",
                "cause": "host",
                "reason": what,
                "mend": "",
                "fidelity": "static",
                "evidence": [],
            }
            self._take_decision(note, lost)

    def finish(self, exit_status: int) -> int:
        """Grade, write the reports, and return the exit status, which only ever gets worse."""
        from pytest_xinchuang.report.files import write_reports

        self._write("run_finished", exit_status=int(exit_status))
        try:
            self.journal.close()
            self.result = grade_run(read_journal(self.journal.path))
            if not self.broken:
                write_reports(self.result, self.session.report_dir)
        except (XcError, OSError) as error:
            self.broken = self.broken or str(error)
        if self.broken or self.result is None:
            return EXIT_NO_REPORT
        if exit_status == pytest.ExitCode.OK and not all(g.reaches_required for g in self.result.grades):
            return EXIT_BELOW_REQUIRED
        return exit_status

    def summarize(self, terminal: pytest.TerminalReporter) -> None:
        """The table of grades."""
        from pytest_xinchuang.report.terminal import write_table

        terminal.section("xinchuang grades")
        if self.broken:
            terminal.write_line(f"no grade: {self.broken}", red=True)
            return
        if self.result is None:
            return
        if self.session.config.option.xc_keep_sandbox:
            for sandbox in (s for group in self.result.journal.sandboxes.values() for s in group):
                if name := sandbox.get("extra", {}).get("container"):
                    terminal.write_line(f"kept: docker exec -it {name} sh; docker rm -f {name}")
        if not self.session.packages:
            terminal.write_line("no conformance package was run: no grade")
            return
        write_table(self.result, terminal.write_line, width=max(terminal._tw.fullwidth - 16, 60))
        terminal.write_line(f"reports: {self.session.report_dir}/report.json, junit.xml, {self.journal.path.name}")
