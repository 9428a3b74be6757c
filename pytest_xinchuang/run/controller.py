"""The one process that writes: journal while tests run, grades and reports at the end."""

from __future__ import annotations

import contextlib
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
    SandboxOpened,
    Suite,
    Surrounded,
    WaiverEntry,
    messages_of,
)
from pytest_xinchuang.core.grade import RunResult, grade_run
from pytest_xinchuang.core.journal import JOURNAL, JournalWriter, read_journal, utc_now
from pytest_xinchuang.core.proof import Known, own_catalogue, own_file, prove
from pytest_xinchuang.core.secrets import Redactor
from pytest_xinchuang.core.stale import DEFAULT_REPORTS
from pytest_xinchuang.core.subject import MANIFEST
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from pytest_xinchuang.messages import NOTHING, Message, _, displayed, n_, told, verbatim
from pytest_xinchuang.run.assessing import Assessor, assessed
from pytest_xinchuang.run.demanded import are_harmless
from pytest_xinchuang.run.options import flag
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
        self._failed: list[Note] = []
        self._redactor = Redactor()
        self.journal = JournalWriter(session.report_dir)
        self.assessor = Assessor(session)
        if self.assessor.wanted:
            session.assessed = assessed(session)
        self.had_report = (session.report_dir / f"previous-{JOURNAL}").exists()
        self._keep_out_of_git()
        self._start()

    def _keep_out_of_git(self) -> None:
        """Where reports go by default is no part of a repository. A directory of the user's own choice may be anything."""
        if self.session.report_dir.name == DEFAULT_REPORTS:
            with contextlib.suppress(OSError):  # it is a convenience; what matters is told by the journal
                (self.session.report_dir / ".gitignore").write_text("*\n", encoding="utf-8", newline="\n")

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
                    argv=self._redactor.argv(sys.argv),
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
        return [*self.session.registry.own_requirement_files(), *self.session.own_catalogues]

    def _write(self, event: Event) -> None:
        """Write an event; the first fault is kept, ends all writing, and decides the exit status."""
        if self.broken:
            return
        try:
            self.journal.write(self._without_secrets(event))
        except HostFault as fault:
            self.broken = verbatim(fault.what)

    def _without_secrets(self, event: Event) -> Event:
        text = event.model_dump_json(by_alias=True)
        if (clean := self._redactor.text(text)) == text:
            return event
        return type(event).model_validate_json(clean)

    def plan(self, plan: Sequence[Planned]) -> None:
        """Write what was planned, once: each worker plans the same."""
        if not plan or self._planned:
            return
        self._planned = True
        for planned in plan:
            self._write(planned)

    def surrounded(self, seen: Surrounded, *, wait: bool) -> None:
        """Write what ran beside the checks, once the sealed process has ended. Without ``wait`` it is ended."""
        self.assessor.end(wait=wait)
        self._copy()
        if self.session.assessed is not None and self.session.assessed.decides and self.session.assessed.refusal:
            self.broken = self.broken or self.session.assessed.refusal
        self._write(self.assessor.seen(seen))

    def _copy(self) -> None:
        """Write what the sealed process has written since: its decisions are this run's, and nothing here is between."""
        found = self.session.assessed
        for event in found.fresh() if found is not None else ():
            if isinstance(event, Decided):
                assert found is not None
                self._take_decision(event, [found.evidence[i] for i in event.evidence if i in found.evidence])
            elif isinstance(event, SandboxOpened | CheckEnded | FaultMet):
                self._write(event)

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
        self._copy()
        elsewhere = self.session.assessed_elsewhere(note.requirements)
        for decision, evidence in zip(note.decisions, note.evidence, strict=True):
            if elsewhere:
                self._miss(decision)
            else:
                self._take_decision(decision, evidence)
        if report.when == "teardown":
            self._known.pop(report.nodeid, None)
        if report.failed:
            self._failed.append(note)
        if not elsewhere and (report.when == "call" or not report.passed):
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
            kept = [self.journal.evidence(self._redactor.data(item)) for item in evidence] if not self.broken else []
        except HostFault as fault:
            self.broken = verbatim(fault.what)
            return
        self._write(decision.model_copy(update={"evidence": tuple(kept), "attempt": self._attempts[key]}))

    def _miss(self, decision: Decided) -> None:
        """A check is over here: it is inconclusive, where the sealed process has ended without having decided it."""
        found = self.session.assessed
        key = decision.check, decision.platform, decision.requirement
        if found is not None and found.over and (found.refusal or key not in found.decided):
            self._take_decision(decided(decision.requirement, decision.platform, decision.check, found.undecided()), [])

    def _lost(self, report: pytest.TestReport) -> None:
        """A worker died in the middle of a test: what it was about to decide is inconclusive."""
        note = self._known.pop(report.nodeid)
        what = _("the worker was lost while it ran {check} on {platform}", check=note.check, platform=note.platform)
        self._write(FaultMet(what=str(what), messages=messages_of(what=what)))
        if self.session.assessed_elsewhere(note.requirements):
            return
        lost = Decision(Verdict.INCONCLUSIVE, Cause.HOST, what)
        for on in note.platforms:
            for requirement in note.requirements:
                self._take_decision(decided(requirement, on, note.check, lost), [])

    def finish(self, exit_status: int, failed: int) -> int:
        """Grade, write the reports, and return the exit status.

        It only ever gets worse, but for one case: all that ``failed`` is beyond the profile, or waived.
        """
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
        if (
            exit_status == pytest.ExitCode.TESTS_FAILED
            and failed == len(self._failed)
            and are_harmless(self.session, self._failed, self.result.requirements)
        ):
            exit_status = pytest.ExitCode.OK
        if exit_status == pytest.ExitCode.OK and self.assessor.failed and not self._failed:
            exit_status = pytest.ExitCode.TESTS_FAILED  # whatever has been made of it here
        if exit_status == pytest.ExitCode.OK and not all(g.reaches_required for g in self.result.grades):
            return EXIT_BELOW_REQUIRED
        return exit_status

    def summarize(self, terminal: pytest.TerminalReporter) -> None:
        """The table of grades."""
        from pytest_xinchuang.report.terminal import write_table

        language = displayed(self.session.language)

        def line(message: Message, **markup: bool) -> None:
            terminal.write_line(message.render(language), **markup)

        terminal.section(_("xinchuang grades").render(language))
        if self.broken:
            line(_("no grade: {problems}", problems=self.broken), red=True)
            return
        if self.result is None:
            return
        if flag(self.session.config, "xc_keep_sandbox"):
            for sandbox in (s for group in self.result.journal.sandboxes.values() for s in group):
                if name := sandbox.extra.get("container"):
                    line(_("kept: docker exec -it {name} sh; docker rm -f {name}", name=str(name)))
        left_out = [p for p in self.result.journal.planned if p.state in ("deselected", "not_collected")]
        if left_out and self.had_report:
            n = len(left_out)
            line(
                n_(
                    "{n} check was left out, so this report tells less than a whole run's; the journal of the run before "
                    "is {journal}",
                    "{n} checks were left out, so this report tells less than a whole run's; the journal of the run before "
                    "is {journal}",
                    n,
                    journal=verbatim(str(self.session.report_dir / f"previous-{JOURNAL}")),
                ),
                yellow=True,
            )
        if not self.session.packages:
            line(_("no conformance package was run: no grade"))
            if not self.session.has_manifest and not self.session.option("xc_suite"):
                line(
                    _(
                        "there is no {manifest} here: `xc subject init .` writes one; `--xc-suite=all` grades the target's own "
                        "OpenSSL",
                        manifest=verbatim(MANIFEST),
                    )
                )
            return
        width = max(terminal._tw.fullwidth, 60)
        write_table(self.result, terminal.write_line, language=language, width=width)
        line(
            _(
                "reports: {directory}/report.json, junit.xml, {journal}",
                directory=str(self.session.report_dir),
                journal=self.journal.path.name,
            )
        )
