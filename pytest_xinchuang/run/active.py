"""The plugin object that is registered while ``--xc-platform`` is in force."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import Any

import pytest

from pytest_xinchuang.core.elsewhere import is_linux, no_sandbox
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.events import Planned, Surrounded
from pytest_xinchuang.core.verdict import Cause, Verdict
from pytest_xinchuang.messages import _, displayed, joined, verbatim
from pytest_xinchuang.run import markers
from pytest_xinchuang.run.assessing import assessed, select
from pytest_xinchuang.run.controller import Controller
from pytest_xinchuang.run.demanded import is_harmless_skip, skip_what_is_beyond
from pytest_xinchuang.run.handles import LASTING, RUNNING
from pytest_xinchuang.run.marks import NOTE
from pytest_xinchuang.run.options import usage_error
from pytest_xinchuang.run.own_fixtures import OwnFixtures, is_shipped
from pytest_xinchuang.run.planning import Planner
from pytest_xinchuang.run.platforms import FIXTURE, NONE_CHOSEN, POSITIONS, function_of, platform_of
from pytest_xinchuang.run.recording import (
    Note,
    begin,
    calling,
    decides,
    note_of,
    record_of,
    returning,
    take_part,
    told_of,
    told_plainly,
)
from pytest_xinchuang.run.sealing import Watch
from pytest_xinchuang.run.session import XcSession
from pytest_xinchuang.run.summary import write_open


class XcRun:
    """Hooks of an active run; the work is in the session, the recording and the controller."""

    def __init__(self, session: XcSession) -> None:
        self.session = session
        collecting = session.config.option.collectonly or getattr(session.config.option, "setupplan", False)
        self.controller = None if session.is_worker or collecting else Controller(session)
        if session.is_worker and session.config.workerinput["xc_assessed"]:  # type: ignore[attr-defined]
            session.assessed = assessed(session)
        self.planner = Planner(session)
        session.config.pluginmanager.register(self.planner, "xinchuang-plan")
        self.fixtures = OwnFixtures([*OwnFixtures.shipped(), *(f"xc_{name}" for name in session.registry.names)])
        session.config.pluginmanager.register(self.fixtures, "xinchuang-fixtures")
        self.watch = Watch(session.config, session.distributed)
        self.problems = ""
        """Errors of use that a worker has met at collection."""
        self._untold = True
        self._reported: dict[str, pytest.Item] = {}

    def pytest_report_header(self) -> list[str]:
        session, comma = self.session, _(", ")
        header = _(
            "xinchuang: {platforms}; backend {backend}; subject {subject}; packages {packages}",
            platforms=joined([verbatim(p.id) for p in session.platforms], comma),
            backend=session.backend,
            subject=session.subject.name,
            packages=joined([verbatim(p) for p in session.packages], comma) if session.packages else _("none"),
        )
        told = [header]
        if session.backend == "auto" and session.packages and self.controller is not None:
            from pytest_xinchuang.sandbox.ways import foreseen

            told.append(_("xinchuang: sandboxes by {way}", way=foreseen()))
        if not is_linux():
            told.append(_("xinchuang: {text}", text=no_sandbox().told))
        if session.assessed is not None and self.controller is not None:
            reports = verbatim(str(self.controller.assessor.directory))
            told.append(
                _(
                    "xinchuang: a sealed process decides the checks of the suite; it reports to {reports}",
                    reports=reports,
                )
            )
        return [line.render(displayed(session.language)) for line in told]

    def pytest_sessionstart(self) -> None:
        if self.controller is not None and self.session.packages:
            try:
                self.session.provision()
            except XcError as error:
                raise usage_error(self.session.config, error) from None

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if FIXTURE not in metafunc.fixturenames:
            # A test that decides something decides it for each platform, also one that asks for its sandbox as it runs.
            if next(metafunc.definition.iter_markers("xc_requirement"), None) is None:
                return
            metafunc.fixturenames.append(FIXTURE)
        chosen = markers.platforms_for(metafunc.definition, self.session.platforms, self.session.all_platforms)
        positions = metafunc.config.stash.setdefault(POSITIONS, {})
        positions[function_of(metafunc.definition)] = (
            len(getattr(metafunc._calls[0], "_idlist", ())) if metafunc._calls else 0
        )
        cases: list[Any] = [pytest.param(p, id=p.id) for p in chosen]
        if not chosen:
            # Whatever a vendor's ini says of empty parameter sets: it is for other platforms, and that is no mistake.
            why = _("for other platforms alone").render(self.session.language)
            cases = [pytest.param(None, id=NONE_CHOSEN, marks=pytest.mark.skip(reason=why))]
        metafunc.parametrize(FIXTURE, cases, indirect=True, scope="session")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, session: pytest.Session, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        yield
        if self.session.distributed:
            return
        select(self.session, items)
        if self.controller is not None:
            self.controller.plan(self.planner.plan)
            if not session.testsfailed or session.config.option.continue_on_collection_errors:
                self.controller.assessor.start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """A worker has selected; all select the same."""
        if self.controller is not None:
            self.controller.assessor.start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        node.workerinput["xc_run_id"] = self.session.run_id
        node.workerinput["xc_key"] = self.session.marks.key
        node.workerinput["xc_packages"] = list(self.session.packages)
        node.workerinput["xc_assessed"] = self.session.assessed is not None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> object:
        from pytest_xinchuang.run.scheduler import make_scheduler

        return make_scheduler(config, log, [p.id for p in self.session.platforms])

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """What a worker planned, also one that ran nothing."""
        if self.controller is not None:
            output = getattr(node, "workeroutput", {})
            self.controller.plan([Planned.model_validate(each) for each in output.get("xc_plan", ())])
            if "xc_surroundings" in output:
                self.watch.take(Surrounded.model_validate(output["xc_surroundings"]))
            self.problems = self.problems or str(output.get("xc_problems", ""))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, object, object]:
        begin(item)
        item.config.stash[RUNNING] = item
        with record_of(item).phase():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        platform = platform_of(item)
        if "xc_sandbox_session" in getattr(item, "fixturenames", ()) and platform is not None:
            item.config.stash[LASTING][platform.id].hand_on()
        with calling(item):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        with returning(pyfuncitem):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, object, object]:
        with record_of(item).phase():
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "call" and is_shipped(item):
            self.watch.look()
        if record_of(item).inside:
            take_part(item, call)
            return report
        note = note_of(item, call, report)
        if note is not None:
            if report.failed and (told := told_plainly(call)) is not None:
                report.longrepr = told
            self._reported[item.nodeid] = item
            note.plan, self._untold = self._untold_plan(), False
            note.sandboxes = list(self.session.opened)
            self.session.opened.clear()
            if self.session.assessed_elsewhere(note.requirements):
                note.evidence = [[] for _decision in note.decisions]  # the controller has it from the sealed process
            note.worker = getattr(self.session.config, "workerinput", {}).get("workerid", "")
            self.session.marks.put(report, note.packed())
            skip_what_is_beyond(self.session, item, report, note)
        return report

    def _untold_plan(self) -> list[Planned]:
        """The plan of a worker, once: the first note carries it."""
        return self.planner.plan if self.session.is_worker and self._untold else []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, NOTE) and report.nodeid in self._reported:
            if decides(report):
                told_of(self._reported[report.nodeid])
            if report.when == "teardown":
                del self._reported[report.nodeid]
        if self.controller is not None:
            self.controller.take(report)

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, str] | None:
        packed = getattr(report, "xc", None)
        if packed is None or report.when != "call":
            return None
        decisions = Note.model_validate(packed).decisions
        if is_harmless_skip(report, decisions):
            return None
        if any(d.verdict is Verdict.INCONCLUSIVE for d in decisions):
            # What came by an exception is shown with its traceback, as pytest shows any other.
            shown = "failed" if report.failed and not isinstance(report.longrepr, str) else "inconclusive"
            return shown, "?", "INCONCLUSIVE"
        if any(d.verdict is Verdict.NOT_TESTED and d.cause is Cause.BLOCKED for d in decisions):
            return "not tested", "-", "NOT TESTED"
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        self.session.close()
        if self.session.is_worker:
            output = session.config.workeroutput  # type: ignore[attr-defined]
            output["xc_plan"] = [json.loads(planned.model_dump_json()) for planned in self.planner.plan]
            output["xc_surroundings"] = json.loads(self.watch.surroundings(self.fixtures).model_dump_json())
            output["xc_problems"] = joined(self.planner.problems, verbatim("\n")).render(self.session.language)
        if self.problems:
            exitstatus = pytest.ExitCode.USAGE_ERROR
        if self.controller is not None:
            ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
            wait = ended and not session.shouldstop and not session.shouldfail
            self.controller.surrounded(self.watch.surroundings(self.fixtures), wait=wait)
            if self.controller.assessor.interrupted:
                exitstatus = pytest.ExitCode.INTERRUPTED
            session.exitstatus = self.controller.finish(int(exitstatus), session.testsfailed)
            if self.controller.result is not None:
                session.config.hook.pytest_xc_grade(
                    config=session.config, result=self.controller.result, platforms=self.session.platforms
                )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.problems:
            terminalreporter.write_line(f"ERROR: {self.problems}", red=True)
        if self.controller is not None:
            write_open(terminalreporter, displayed(self.session.language))
            self.controller.summarize(terminalreporter)

    def pytest_unconfigure(self) -> None:
        self.session.close()
        if self.controller is not None:
            self.controller.assessor.end(wait=False)
            self.controller.journal.close()
