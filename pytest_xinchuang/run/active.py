"""The plugin object that is registered while ``--xc-platform`` is in force."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.verdict import Cause, Verdict
from pytest_xinchuang.messages import _, joined, verbatim
from pytest_xinchuang.run import markers
from pytest_xinchuang.run.controller import Controller
from pytest_xinchuang.run.options import usage_error
from pytest_xinchuang.run.recording import Note, note_of
from pytest_xinchuang.run.session import XcSession


class XcRun:
    """Hooks of an active run; the work is in the session, the recording and the controller."""

    def __init__(self, session: XcSession) -> None:
        self.session = session
        collecting = session.config.option.collectonly or getattr(session.config.option, "setupplan", False)
        self.controller = None if session.is_worker or collecting else Controller(session)

    def pytest_report_header(self) -> list[str]:
        session, comma = self.session, _(", ")
        header = _(
            "xinchuang: {platforms}; backend {backend}; subject {subject}; packages {packages}",
            platforms=joined([verbatim(p.id) for p in session.platforms], comma),
            backend=session.backend,
            subject=session.subject.name,
            packages=joined([verbatim(p) for p in session.packages], comma) if session.packages else _("none"),
        )
        return [header.render(session.language)]

    def pytest_sessionstart(self) -> None:
        if self.controller is not None and self.session.packages:
            try:
                self.session.provision()
            except XcError as error:
                raise usage_error(self.session.config, error) from None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "xc_platform" not in metafunc.fixturenames:
            return
        shorts = self.session.all_platforms.file.shorts
        marks = list(metafunc.definition.iter_markers("xc_platform"))
        chosen = [
            p for p in self.session.platforms if all(markers.allows(metafunc.config, m, p, shorts) for m in marks)
        ]
        metafunc.parametrize("xc_platform", chosen, ids=[p.id for p in chosen], indirect=True, scope="session")

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["xc_run_id"] = self.session.run_id
        node.workerinput["xc_packages"] = list(self.session.packages)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> object:
        from pytest_xinchuang.run.scheduler import make_scheduler

        return make_scheduler(config, log, [p.id for p in self.session.platforms])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        note = note_of(item, call, report)
        if note is not None:
            note.sandboxes = list(self.session.opened)
            self.session.opened.clear()
            note.worker = getattr(self.session.config, "workerinput", {}).get("workerid", "")
            report.xc = note.packed()  # type: ignore[attr-defined]
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if self.controller is not None:
            self.controller.take(report)

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        packed = getattr(report, "xc", None)
        if packed is None or report.when != "call":
            return None
        decisions = Note.model_validate(packed).decisions
        if any(d.verdict is Verdict.INCONCLUSIVE for d in decisions):
            return "inconclusive", "?", "INCONCLUSIVE"
        if any(d.verdict is Verdict.NOT_TESTED and d.cause is Cause.BLOCKED for d in decisions):
            return "not tested", "-", "NOT TESTED"
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self.session.close()
        if self.controller is not None:
            session.exitstatus = self.controller.finish(int(exitstatus))
            if self.controller.result is not None:
                session.config.hook.pytest_xc_grade(
                    config=session.config, result=self.controller.result, platforms=self.session.platforms
                )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.controller is not None:
            self.controller.summarize(terminalreporter)

    def pytest_unconfigure(self) -> None:
        self.session.close()
        if self.controller is not None:
            self.controller.journal.close()
