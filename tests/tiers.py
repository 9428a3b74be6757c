"""The tier of each test, and the guard of the lowest: a unit test starts no program, and so it compiles nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pytest

HIGHER = ("tools", "slow", "sandbox", "docker", "registry")
"""The markers of the tests that are no unit tests."""
STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"})
"""The audit events of a program that is started (Python's library reference, "Audit events table")."""
_MARK = "starts_programs"
F = TypeVar("F", bound=Callable[..., object])


def starts_programs(fixture: F) -> F:
    """Marks a fixture, below ``@pytest.fixture``: whatever uses it is of the tier ``tools``."""
    setattr(fixture, _MARK, True)
    return fixture


class ProgramStarted(BaseException):
    """A unit test starts a program. No ``except Exception`` of what is tested makes an ordinary error of it."""


class Guard:
    """Refuses to start a program while a unit test runs; ``test`` is its node id, or "" while none does."""

    def __init__(self) -> None:
        self.test = ""
        self.started: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.test and event in STARTS:
            self.started.append(repr(arguments[1:2] or arguments or event)[:300])
            raise ProgramStarted(self.complaint())

    def complaint(self) -> str:
        return (
            f"{self.test} is a unit test and starts a program: {self.started[0]}\n"
            "Mark it with @pytest.mark.tools (its fixture with @starts_programs), or put something in the program's "
            "place: CONTRIBUTING.md, Tests."
        )


GUARD = Guard()
# A hook cannot be removed: it lets everything pass while no unit test runs.
sys.addaudithook(GUARD)


def _starts_programs(item: pytest.Item) -> bool:
    used = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return any(hasattr(definition.func, _MARK) for definitions in used.values() for definition in definitions)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is of no higher tier is a unit test; said before ``-m`` looks at the markers."""
    for item in items:
        if _starts_programs(item):
            item.add_marker(pytest.mark.tools)
        if not any(item.get_closest_marker(name) for name in HIGHER):
            item.add_marker(pytest.mark.unit)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    before = GUARD.test, GUARD.started  # a test of pytest itself runs tests inside
    GUARD.test, GUARD.started = item.nodeid if item.get_closest_marker("unit") else "", []
    try:
        return (yield)
    finally:
        GUARD.test, GUARD.started = before


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fails the test also where the refusal was lost, as in a thread."""
    report = yield
    if GUARD.test == item.nodeid and GUARD.started:
        report.outcome, report.longrepr = "failed", GUARD.complaint()
        GUARD.started.clear()  # it is told once, and not again at teardown
    return report
