"""The plan of a run: every check that has to decide, as it stood at collection before anything was deselected."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.events import Planned, messages_of
from pytest_xinchuang.core.near import near
from pytest_xinchuang.messages import NOTHING, Message, _, joined, told, verbatim
from pytest_xinchuang.run.collecting import ConformanceCollector
from pytest_xinchuang.run.hidden import hidden, tested_by
from pytest_xinchuang.run.markers import platforms_for, requirement_ids, unknown_markers
from pytest_xinchuang.run.options import usage_error
from pytest_xinchuang.run.platforms import CHECKED, FIXTURE, Checked, check_of, function_of, platform_of
from pytest_xinchuang.run.session import XcSession
from pytest_xinchuang.run.unittests import for_each_platform, is_case
from pytest_xinchuang.run.unread import ids_in, left_out, places_of

_DESELECTING = {
    "keyword": "-k",
    "markexpr": "-m",
    "deselect": "--deselect",
    "lf": "--lf",
    "stepwise": "--sw",
}
"""Options of pytest that deselect: dest -> as it is given."""


class Planner(ConformanceCollector):
    """Hooks that see everything that is collected, and write down what was planned.

    Attributes:
        plan: known once collection has ended.
        problems: errors of use that only collection shows.
    """

    def __init__(self, session: XcSession) -> None:
        super().__init__(session.registry)
        self.session = session
        self.plan: list[Planned] = []
        self.problems: list[Message] = []
        self._seen: dict[pytest.Collector, list[Any]] = {}
        self._unread: dict[Path, Message] = {}
        self._taken: dict[tuple[str, str], int] = {}
        self._functions: set[object] = set()
        answered = {r.id: r.package for r in session.catalogue.of(frozenset(session.packages))}
        self._own = {i for i, package in answered.items() if self._home(package) is None}
        self._answered = set(answered)

    def _home(self, package: str) -> Path | None:
        """The directory of the tests that alone decide a package's requirements; None: the package has none of its own."""
        if package not in self.session.registry.names:
            return None
        return self.session.registry.get(package).checks

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self, collector: pytest.Collector
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        report = yield
        if report.passed and is_case(collector):
            report.result = [one for item in report.result for one in self._cases(item)]
        if report.passed:
            self._seen[collector] = list(report.result)
        else:
            self._unread[collector.path] = _why_unread(report)
        return report

    def _cases(self, item: Any) -> list[Any]:
        """A test of a TestCase, for each platform that it is for."""
        marked = next(item.iter_markers("xc_requirement"), None) is not None
        if not isinstance(item, pytest.Function) or not (marked or FIXTURE in item.fixturenames):
            return [item]
        return for_each_platform(item, platforms_for(item, self.session.platforms, self.session.all_platforms)) or [
            item
        ]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None, None, None]:
        everything = list(dict.fromkeys((*items, *self._collected())))
        asked_for = set(items)
        yield
        everything = list(dict.fromkeys((*everything, *items)))
        selected = set(items)
        groups: dict[str, list[tuple[pytest.Item, Planned]]] = {}
        for item in everything:
            self._functions |= tested_by(item)
            requirements = tuple(self._requirements(item))
            if not requirements:
                continue
            planned = self._planned(item, requirements, item in selected, item in asked_for)
            groups.setdefault(function_of(item), []).append((item, planned))
        self.plan = [planned for group in groups.values() for planned in self._of_every_platform(group)]
        self.plan += self._not_collected(config)
        if self.problems and not self.session.is_worker:
            raise usage_error(config, joined(self.problems, verbatim("\n")))
        if self.problems:
            items[:] = []

    def _collected(self) -> Iterator[pytest.Item]:
        """Every test of every file that was read, also where a file was asked for one of them, or was passed over."""
        for collector in [c for c in self._seen if isinstance(c, pytest.File)]:
            yield from self._below(collector)

    def _below(self, node: Any) -> Iterator[pytest.Item]:
        if isinstance(node, pytest.Item):
            yield node
            return
        if node not in self._seen and node.path not in self._unread:
            node.ihook.pytest_make_collect_report(collector=node)
        children = self._seen.get(node, [])
        if not children and isinstance(node, pytest.Module):
            # Another plugin may have answered for it (--lf passes over files without a failure).
            try:
                children = list(node.collect())
            except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:
                self._unread[node.path] = told(error)
        for child in children:
            yield from self._below(child)

    def _requirements(self, item: pytest.Item) -> list[str]:
        """The ids of a test's markers; what is wrong with them is kept as a problem."""
        for unknown in unknown_markers(item):
            self._problem(unknown)
        found = requirement_ids(item)
        taken: dict[str, list[Message]] = {}
        for identifier in found:
            requirement = self.session.catalogue.get(identifier)
            if requirement is None:
                known = [r.id for r in self.session.catalogue.requirements]
                self._problem(
                    _(
                        "{test}: {requirement} is in no catalogue{hint}; what nobody demands is not decided",
                        test=verbatim(item.nodeid),
                        requirement=verbatim(identifier),
                        hint=near(identifier, known),
                    )
                )
                continue
            home = self._home(requirement.package)
            if home is not None and not item.path.resolve().is_relative_to(home.resolve()):
                taken.setdefault(requirement.package, []).append(verbatim(identifier))
        for package, ids in taken.items():
            self._problem(
                _(
                    "{test}: {requirements}: of the package {package}, whose own tests alone decide it; give yours an id of a "
                    "catalogue of yours (the hook pytest_xc_requirements)",
                    test=verbatim(item.nodeid),
                    requirements=joined(ids, _(", ")),
                    package=verbatim(package),
                )
            )
        return found

    def _problem(self, problem: Message) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def _planned(self, item: pytest.Item, requirements: tuple[str, ...], selected: bool, asked_for: bool) -> Planned:
        """A test as it was planned; one that has a platform of the run is marked with what it checks."""
        platform, check = platform_of(item), check_of(item)
        alternative = any(True for _mark in item.iter_markers("xc_platform"))
        if platform is None and FIXTURE in getattr(getattr(item, "callspec", None), "params", {}):
            return self._elsewhere(item.nodeid, check, "", requirements, _for_whom(item))
        # A test that knows of no platform runs once and says something of all of them.
        platforms = self.session.platforms if platform is None else (platform,)
        key = (check, platform.id if platform else "")
        self._taken[key] = self._taken.get(key, 0) + 1
        if self._taken[key] > 1:
            check = f"{check} ({self._taken[key]})"
        item.stash[CHECKED] = Checked(check, tuple(platforms), requirements)
        reason = NOTHING if selected else self._why_not(asked_for)
        return Planned(
            check=check,
            node=item.nodeid,
            platform=platform.id if platform else "",
            requirements=requirements,
            state="selected" if selected else "deselected",
            alternative=alternative,
            reason=str(reason),
            messages=messages_of(reason=reason),
        )

    def _of_every_platform(self, group: list[tuple[pytest.Item, Planned]]) -> Iterator[Planned]:
        """The plan of one test function: also for the platforms that its marker leaves out."""
        checks: dict[str, pytest.Item] = {}
        for item, planned in group:
            if planned.platform or planned.state != "other_platforms":
                yield planned
            checks.setdefault(planned.check, item)
        there = {planned.platform for _item, planned in group}
        if "" in there and any(planned.state != "other_platforms" for _item, planned in group):
            return
        for check, item in checks.items():
            for platform in self.session.platforms:
                if platform.id not in there:
                    yield self._elsewhere(
                        item.nodeid, check, platform.id, tuple(requirement_ids(item)), _for_whom(item)
                    )

    def _elsewhere(
        self, node: str, check: str, platform: str, requirements: tuple[str, ...], reason: Message
    ) -> Planned:
        return Planned(
            check=check,
            node=node,
            platform=platform,
            requirements=requirements,
            state="other_platforms",
            alternative=True,
            reason=str(reason),
            messages=messages_of(reason=reason),
        )

    def _not_collected(self, config: pytest.Config) -> Iterator[Planned]:
        """Files that could not be read, and files that were left out, as far as they may decide a requirement."""
        files = [c for c in self._seen if isinstance(c, pytest.File)]
        unread = dict(self._unread)
        for directory in [path for path in unread if path.is_dir()]:
            unread |= dict.fromkeys(directory.rglob("*.py"), unread[directory])
        found = {
            path: (ids_in(path, self._answered if self.is_ours(path) else self._own, places_of(config, path)), why)
            for path, why in unread.items()
            if not path.is_dir()
        }
        if self._own:
            for path, asked_for in left_out(config, {c.path.resolve() for c in files}):
                ids = ids_in(path, self._own, places_of(config, path), guess=asked_for)
                found.setdefault(path, (ids, _("it was left out")))
        for path, (ids, why) in sorted(found.items()):
            if ids:
                name = _within(config, path)
                yield _uncollected(name, name, ids, why)
        for module in [c for c in files if isinstance(c, pytest.Module) and not self.is_ours(c.path)]:
            for name, ids, why in hidden(module, self._functions, set(self._own)):
                yield _uncollected(f"{_within(config, module.path)}::{name}", f"{module.nodeid}::{name}", ids, why)

    def _why_not(self, asked_for: bool) -> Message:
        if not asked_for and not self.session.config.getoption(
            "lf", None
        ):  # --lf does not even read files without a failure
            return _("it is not among what was asked for")
        options = [text for dest, text in _DESELECTING.items() if self.session.config.getoption(dest, None)]
        if not options:
            return _("by a plugin or a hook")
        return _("by {options}, a plugin or a hook", options=joined([verbatim(text) for text in options], _(", ")))


def _within(config: pytest.Config, path: Path) -> str:
    return path.relative_to(config.rootpath).as_posix() if path.is_relative_to(config.rootpath) else str(path)


def _uncollected(check: str, node: str, requirements: Iterable[str], why: Message) -> Planned:
    return Planned(
        check=check,
        node=node,
        platform="",
        requirements=tuple(sorted(requirements)),
        state="not_collected",
        reason=str(why),
        messages=messages_of(reason=why),
    )


def _for_whom(item: pytest.Item) -> Message:
    """What the markers of a test say about platforms."""
    found = []
    for mark in item.iter_markers("xc_platform"):
        words = [*map(repr, mark.args), *(f"{name}={value!r}" for name, value in mark.kwargs.items())]
        found.append(verbatim(f"xc_platform({', '.join(words)})"))
    return joined(found, _(", ")) if found else _("it has no case for this platform")


def _why_unread(report: pytest.CollectReport) -> Message:
    """Why a file was not collected: what a skip says, or the last line of an error."""
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or report.outcome)
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return verbatim(lines[-1].strip()[:300] if lines else report.outcome)
