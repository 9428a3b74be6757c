"""The one process that writes: journal while tests run, grades and reports at the end."""

from __future__ import annotations

import platform as host
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang import __version__
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.clock import youngest
from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.events import (
    SCHEMA,
    CheckEnded,
    ChosenProfile,
    Decided,
    Event,
    FaultMet,
    GradedPlatform,
    GradedSubject,
    Planned,
    Required,
    Run,
    RunFinished,
    RunStarted,
    Suite,
    Surrounded,
    WaiverEntry,
    messages_of,
)
from pytest_xinchuang.core.grade import RunResult, grade_run
from pytest_xinchuang.core.journal import JOURNAL, JournalWriter, read_journal, utc_now
from pytest_xinchuang.core.proof import Known, own_catalogue, own_file, prove
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from pytest_xinchuang.messages import NOTHING, Message, _, told, verbatim
from pytest_xinchuang.run.recording import Note, decided
from pytest_xinchuang.run.session import XcSession
from pytest_xinchuang.run.stale import EXIT_NO_REPORT

EXIT_BELOW_REQUIRED = 10
"""A platform did not reach the level that the profile requires."""


class Controller:
    """Writes what workers (or this very process) report."""

    def __init__(self, session: XcSession) -> None:
        self.session = session
        self.result: RunResult | None = None
        self.broken: Message = NOTHING
        self._planned = False
        self._attempts: dict[tuple[str, str, str], int] = {}
        self._known: dict[str, Note] = {}
        self.journal = JournalWriter(session.report_dir)
        self._start()

    def _start(self) -> None:
        session = self.session
        self._write(
            RunStarted(
                t=utc_now(),
                format=SCHEMA,
                run=Run(
                    id=session.run_id,
                    host={
                        "name": host.node(),
                        "machine": host.machine(),
                        "kernel": host.release(),
                        "python": host.python_version(),
                        "pytest": pytest.__version__,
                    },
                    argv=tuple(sys.argv),
                    backend=session.backend,
                ),
                suite=Suite(name="pytest-xinchuang", version=__version__, digest=session.catalogue.digest),
                subject=GradedSubject(
                    name=session.subject.name,
                    version=session.subject.version,
                    digest=session.subject.digest,
                    units=tuple(unit.name for unit in session.subject.file.units),
                ),
                profile=ChosenProfile(
                    id=session.profile.id,
                    title=session.profile.profile.title,
                    required_level=session.profile.profile.required_level,
                ),
                packages=session.packages,
                platforms=tuple(
                    GradedPlatform(
                        id=p.id,
                        digest=p.digest,
                        arch=p.arch.value,
                        uname=p.architecture.uname,
                        facts="overridden" if p.id in session.overridden else "shipped",
                        cpu=p.cpu.title,
                        system=p.system.title,
                    )
                    for p in session.platforms
                ),
                required=tuple(
                    Required.model_validate(r.model_dump()) for r in session.catalogue.of(frozenset(session.packages))
                ),
                waivers=tuple(WaiverEntry.model_validate(w.model_dump()) for w in session.waivers),
                not_before=youngest(self._read_before()),
                own_requirements=tuple(map(own_catalogue, self._own_catalogues())),
                platform_files=tuple(map(own_file, session.all_platforms.paths[1:])),
            )
        )

    def _read_before(self) -> list[Path]:
        """Files that a clock which is right is not before."""
        session = self.session
        waivers = session.option("xc_waivers")
        own = [Path(waivers)] if waivers else []
        return [*own, session.subject.manifest, resources.platforms_file(), session.report_dir / f"previous-{JOURNAL}"]

    def _own_catalogues(self) -> list[Path]:
        session = self.session
        hook = session.config.hook.pytest_xc_requirements(config=session.config)
        return [*session.registry.own_requirement_files(), *(Path(p) for group in hook for p in group)]

    def _write(self, event: Event) -> None:
        """Write an event; the first fault is kept, ends all writing, and decides the exit status."""
        if self.broken:
            return
        try:
            self.journal.write(event)
        except HostFault as fault:
            self.broken = verbatim(fault.what)

    def plan(self, plan: Sequence[Planned]) -> None:
        """Write what was planned, once: each worker plans the same."""
        if not plan or self._planned:
            return
        self._planned = True
        for planned in plan:
            self._write(planned)

    def surrounded(self, seen: Surrounded) -> None:
        """Write what ran beside the checks."""
        self._write(seen)

    def take(self, report: pytest.TestReport) -> None:
        """Journal one phase of one test."""
        packed = getattr(report, "xc", None)
        if packed is None:
            # xdist reports a test whose worker died with a phase of its own.
            if str(report.when) == "???" and report.nodeid in self._known:
                self._lost(report)
            return
        if not self.session.marks.is_ours(report):
            # Another plugin has written it, or has written into it: it decides nothing, and its check is missed.
            what = _("{node}: what another plugin has written into the report was thrown away", node=report.nodeid)
            self._write(FaultMet(what=str(what), messages=messages_of(what=what)))
            return
        note = self._known[report.nodeid] = Note.model_validate(packed)
        self.plan(note.plan)
        for sandbox in note.sandboxes:
            self._write(sandbox)
        for decision, evidence in zip(note.decisions, note.evidence, strict=True):
            self._take_decision(decision, evidence)
        if report.when == "teardown":
            self._known.pop(report.nodeid, None)
        if report.when == "call" or not report.passed:
            self._write(
                CheckEnded(
                    check=note.check,
                    platform=note.platform,
                    phase=str(report.when),
                    outcome=report.outcome,
                    duration_s=max(round(report.duration, 3), 0.0),
                    worker=note.worker,
                )
            )

    def _take_decision(self, decision: Decided, evidence: list[dict[str, Any]]) -> None:
        key = (decision.requirement, decision.platform, decision.check)
        self._attempts[key] = self._attempts.get(key, 0) + 1
        try:
            kept = [self.journal.evidence(item) for item in evidence] if not self.broken else []
        except HostFault as fault:
            self.broken = verbatim(fault.what)
            return
        self._write(decision.model_copy(update={"evidence": tuple(kept), "attempt": self._attempts[key]}))

    def _lost(self, report: pytest.TestReport) -> None:
        """A worker died in the middle of a test: what it was about to decide is inconclusive."""
        note = self._known.pop(report.nodeid)
        what = _("the worker was lost while it ran {check} on {platform}", check=note.check, platform=note.platform)
        self._write(FaultMet(what=str(what), messages=messages_of(what=what)))
        lost = Decision(Verdict.INCONCLUSIVE, Cause.HOST, what)
        for on in note.platforms:
            for requirement in note.requirements:
                self._take_decision(decided(requirement, on, note.check, lost), [])

    def finish(self, exit_status: int) -> int:
        """Grade, write the reports, and return the exit status, which only ever gets worse."""
        from pytest_xinchuang.report.files import write_reports

        self._write(RunFinished(exit_status=int(exit_status)))
        try:
            self.journal.close()
            journal = read_journal(self.journal.path, self.journal.head)
            prove(journal, Known.installed(self.session.registry.catalogue()))
            self.result = grade_run(journal, self.session.registry.parts)
            if not self.broken:
                write_reports(self.result, self.session.report_dir, self.session.language)
        except XcError as error:
            self.broken = self.broken or error.told
        except OSError as error:
            self.broken = self.broken or told(error)
        if self.broken or self.result is None:
            return EXIT_NO_REPORT
        if exit_status == pytest.ExitCode.OK and not all(g.reaches_required for g in self.result.grades):
            return EXIT_BELOW_REQUIRED
        return exit_status

    def summarize(self, terminal: pytest.TerminalReporter) -> None:
        """The table of grades."""
        from pytest_xinchuang.report.terminal import write_table

        language = self.session.language

        def line(message: Message, **markup: bool) -> None:
            terminal.write_line(message.render(language), **markup)

        terminal.section(_("xinchuang grades").render(language))
        if self.broken:
            line(_("no grade: {problems}", problems=self.broken), red=True)
            return
        if self.result is None:
            return
        if self.session.config.option.xc_keep_sandbox:
            for sandbox in (s for group in self.result.journal.sandboxes.values() for s in group):
                if name := sandbox.extra.get("container"):
                    line(_("kept: docker exec -it {name} sh; docker rm -f {name}", name=str(name)))
        if not self.session.packages:
            line(_("no conformance package was run: no grade"))
            return
        width = max(terminal._tw.fullwidth - 16, 60)
        write_table(self.result, terminal.write_line, language=language, width=width)
        line(
            _(
                "reports: {directory}/report.json, junit.xml, {journal}",
                directory=str(self.session.report_dir),
                journal=self.journal.path.name,
            )
        )
