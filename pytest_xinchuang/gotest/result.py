"""Results of a module's tests on a platform."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from pytest_xinchuang.messages import LANGUAGES, NOTHING, Message, _


class TestVerdict(StrEnum):
    """What a test says about the platform."""

    __test__ = False

    PASS = "pass"
    SKIP = "skip"
    FAIL = "fail"
    """It passes on x86-64 and fails here, again and again."""
    FAILS_EVERYWHERE = "fails on x86-64 too"
    """It says nothing about the platform: it wants a network, a database, or is broken."""
    NOT_JUDGED = "cannot be judged under emulation"

    @property
    def word(self) -> Message:
        """The verdict for people."""
        return _WORDS[self]


_WORDS = {
    TestVerdict.PASS: _("pass"),
    TestVerdict.SKIP: _("skip"),
    TestVerdict.FAIL: _("fail"),
    TestVerdict.FAILS_EVERYWHERE: _("fails on x86-64 too"),
    TestVerdict.NOT_JUDGED: _("cannot be judged under emulation"),
}


class EndOfTest(NamedTuple):
    """How one top-level test ended in a run of its package's test program.

    Attributes:
        action: test2json's ``pass``, ``fail`` or ``skip``; ``unfinished`` when it never ended.
        output: what the test printed.
        ended: how the program ended, when this test ended it.
    """

    action: str
    output: str
    ended: Message = NOTHING


@dataclass
class TestCase:
    """One top-level test."""

    __test__ = False

    name: str
    verdict: TestVerdict
    reason: Message = NOTHING


@dataclass
class PackageResult:
    """One package.

    Attributes:
        verdict: the worst of its tests, or what kept the package from being built or run.
        coverage: statements covered and statements in all.
    """

    path: str
    verdict: TestVerdict = TestVerdict.PASS
    reason: Message = NOTHING
    tests: list[TestCase] = field(default_factory=list)
    coverage: tuple[int, int] | None = None
    wall_s: float = 0.0

    def count(self, verdict: TestVerdict) -> int:
        return sum(test.verdict is verdict for test in self.tests)

    @property
    def percent(self) -> float | None:
        return 100.0 * self.coverage[0] / self.coverage[1] if self.coverage and self.coverage[1] else None


@dataclass
class ModuleResult:
    """One module on one platform.

    Attributes:
        go: what ``go version`` prints.
        error: why the module could not be tried.
    """

    module: str
    platform: str
    go: str
    packages: list[PackageResult] = field(default_factory=list)
    error: Message = NOTHING

    @property
    def percent(self) -> float | None:
        """Statements covered by the tests of their own package, over all packages with tests."""
        measured = [p.coverage for p in self.packages if p.coverage]
        total = sum(statements for _covered, statements in measured)
        return 100.0 * sum(covered for covered, _all in measured) / total if total else None

    def has(self, verdict: TestVerdict) -> bool:
        return any(p.verdict is verdict for p in self.packages)

    def as_dict(self, language: str = LANGUAGES[0]) -> dict[str, Any]:
        """The result as JSON has it: reasons in ``language``, verdicts as their values."""
        return {
            "module": self.module,
            "platform": self.platform,
            "go": self.go,
            "error": self.error.render(language),
            "coverage_percent": round(self.percent, 1) if self.percent is not None else None,
            "packages": [
                {
                    "package": p.path,
                    "verdict": p.verdict.value,
                    "reason": p.reason.render(language),
                    "coverage_percent": round(p.percent, 1) if p.percent is not None else None,
                    "wall_s": round(p.wall_s, 1),
                    "tests": {v.value: p.count(v) for v in TestVerdict},
                    "not_passed": [
                        {"test": t.name, "verdict": t.verdict.value, "reason": t.reason.render(language)}
                        for t in p.tests
                        if t.verdict not in (TestVerdict.PASS, TestVerdict.SKIP)
                    ],
                }
                for p in self.packages
            ],
        }


def coverage_of(profile: bytes) -> tuple[int, int] | None:
    """(covered, all) statements of a cover profile (``go tool cover``'s format); blocks that appear twice count once."""
    blocks: dict[bytes, tuple[int, bool]] = {}
    for line in profile.splitlines():
        found = re.match(rb"^(\S+:\d+\.\d+,\d+\.\d+) (\d{1,18}) (\d{1,18})$", line)
        if found:
            seen = blocks.get(found.group(1), (0, False))[1]
            blocks[found.group(1)] = (int(found.group(2)), seen or int(found.group(3)) > 0)
    if not blocks:
        return None
    return sum(n for n, hit in blocks.values() if hit), sum(n for n, _hit in blocks.values())


def ends_of(events: Iterable[dict[str, Any]]) -> dict[str, EndOfTest]:
    """How each top-level test ended, by test2json's events."""
    actions: dict[str, str] = {}
    output: dict[str, list[str]] = {}
    for event in events:
        name = str(event.get("Test", "")).partition("/")[0]
        if not name:
            continue
        action = event.get("Action")
        if action == "output":
            output.setdefault(name, []).append(str(event.get("Output", "")))
        elif action in ("pass", "fail", "skip") and event.get("Test") == name:
            actions[name] = str(action)
        else:
            actions.setdefault(name, "unfinished")
    return {name: EndOfTest(action, "".join(output.get(name, []))) for name, action in actions.items()}
