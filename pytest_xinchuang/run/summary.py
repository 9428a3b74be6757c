"""What stayed open, in the short form of pytest's own summary."""

from __future__ import annotations

import pytest

from pytest_xinchuang.core.verdict import Cause, Verdict
from pytest_xinchuang.messages import Message, n_, verbatim
from pytest_xinchuang.run.recording import Note

MOST = 20
"""Reasons that are told: the reports have all of them."""


def write_open(terminal: pytest.TerminalReporter, language: str) -> None:
    """A line for each reason why checks were inconclusive, with the first check that it kept open.

    What only a more real machine can decide is not told here: the table of grades has it.
    """
    groups: dict[str, list[str]] = {}
    reports = [report for found in terminal.stats.values() for report in found]
    for report in reports:
        packed = getattr(report, "xc", None)
        if packed is None or (report.failed and (report.when != "call" or not isinstance(report.longrepr, str))):
            continue  # pytest's own summary has what came by an exception
        for decision in Note.model_validate(packed).decisions:
            if decision.verdict is Verdict.INCONCLUSIVE and decision.cause is not Cause.FIDELITY:
                reason = next(iter(decision.said("reason").render(language).splitlines()), "")
                tests = groups.setdefault(reason, [])
                if report.nodeid not in tests:
                    tests.append(report.nodeid)
    for reason, tests in list(groups.items())[:MOST]:
        more = len(tests) - 1
        test: Message = verbatim(tests[0])
        if more:
            test = n_("{test} and {n} more", "{test} and {n} more", more, test=test)
        terminal.write_line(f"INCONCLUSIVE {test.render(language)} - {reason}", yellow=True)
    if len(groups) > MOST:
        rest = len(groups) - MOST
        text = n_("... and {n} more in report.json", "... and {n} more in report.json", rest)
        terminal.write_line(text.render(language))
