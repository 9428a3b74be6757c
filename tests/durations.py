"""How long each test takes: written down at the end of a run, and the slowest begin first in the next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

TABLE = Path(__file__).with_name("slowest.json")
"""The slowest tests of the last run that somebody has written down, by ``scripts/slowest update``: node id -> seconds."""
KEPT = "xc/durations"
"""Where pytest's cache has those of the last runs on this machine: node id -> seconds."""
LEAST_S = 0.5
"""Seconds that a test takes which is kept there."""
FIRST_S = 8.0
"""Seconds that a test takes which begins before its module does."""


def table() -> dict[str, float]:
    """Node id -> seconds, the slowest first."""
    found: dict[str, float] = json.loads(TABLE.read_text(encoding="utf-8"))
    return found


def in_order(names: Sequence[str], seconds: dict[str, float], halves: int = 2) -> list[int]:
    """The places of ``names`` in the order in which they had best begin.

    ``--dist=worksteal`` gives each of ``halves`` workers an equal part of the list: the slowest go to the beginning of each
    in turn, so that none of them is the last that runs. All others keep their order, and with it what they share.
    """
    slow = sorted(
        (n for n, name in enumerate(names) if seconds.get(name, 0) >= FIRST_S), key=lambda n: -seconds[names[n]]
    )
    left = [n for n in range(len(names)) if n not in set(slow)]
    found: list[int] = []
    for part in range(halves):
        own = slow[part::halves]
        end = len(names) * (part + 1) // halves - len(found) - len(own)
        found += own + left[:end]
        left = left[end:]
    return found + left


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share them; the same in each worker."""
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        order = in_order([item.nodeid for item in items], table(), worker["workercount"])
        items[:] = [items[n] for n in order]


class Durations:
    """Adds up what each test takes with its setup and its teardown, in the process that gets all reports."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] = self._seconds.get(report.nodeid, 0.0) + report.duration

    def pytest_sessionfinish(self) -> None:
        cache = self._config.cache
        if cache is None or not self._seconds:
            return
        known: dict[str, float] = cache.get(KEPT, {})
        known.update(self._seconds)
        cache.set(KEPT, dict(slowest(known.items())))


def slowest(seconds: Iterable[tuple[str, float]], least: float = LEAST_S) -> list[tuple[str, float]]:
    """Those that take ``least`` seconds or more, the slowest first."""
    kept = [(name, round(found, 1)) for name, found in seconds if found >= least]
    return sorted(kept, key=lambda one: (-one[1], one[0]))


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and hasattr(config, "cache") and config.rootpath == TABLE.parent.parent:
        config.pluginmanager.register(Durations(config), "xc-durations")
