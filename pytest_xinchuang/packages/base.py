"""What a conformance package starts from. Every pytest run that has the plugin comes here, so it costs next to nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, distributions
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.packages.option import PackageOption

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_xinchuang.commands.common import Commands
    from pytest_xinchuang.core.grade import ReportPart
    from pytest_xinchuang.core.platform import Platform
    from pytest_xinchuang.core.subject import Section, SubjectFile
    from pytest_xinchuang.packages.protocol import ConformancePackage, Engine, RunContext

GROUP = "pytest_xinchuang.packages"
"""The group of entry points; ours are in ``pyproject.toml``."""

ONLY = "XC_ONLY_PACKAGES"
"""The environment variable that names the packages of others that take part, separated by commas; unset: all of them."""

OURS = "pytest-xinchuang"
"""The distribution whose packages always take part."""


def N_(template: str) -> str:  # noqa: N802 - gettext's own name for it
    """Marks a text to be translated when it is shown."""
    return template


class Package:
    """A package that has nothing yet: override what yours has."""

    name: str
    order: int = 1000
    requirements: Path | None = None
    checks: Path | None = None
    options: Sequence[PackageOption] = ()
    locale: Path | None = None
    report: ReportPart | None = None
    modules: Sequence[str] = ()
    """What it imports of its optional dependencies; for ours the extra of the package's name brings them."""

    @property
    def sections(self) -> Sequence[Section[Any]]:
        return ()

    def engine(self, run: RunContext, platform: Platform) -> Engine:
        raise NotImplementedError(f"the package {self.name} has requirements and no engine")

    def check(self, run: RunContext) -> None:
        """Nothing to look at."""

    def concerns(self, subject: SubjectFile) -> bool:
        """Whether a manifest has something for this package, so that it is part of a run that names no packages.

        A package without sections of its own is asked of every subject.
        """
        own = {section.key for section in self.sections}
        return not own or any(section.key in own for section, _value in subject.given)

    def add_commands(self, commands: Commands) -> None:
        """No commands."""


def entry_points() -> Iterator[EntryPoint]:
    """Those of the group that take part. Files without the group's name are read and not parsed."""
    only = os.environ.get(ONLY)
    named = None if only is None else set(only.split(","))
    seen: set[tuple[str, str]] = set()
    for distribution in distributions():
        if GROUP not in (distribution.read_text("entry_points.txt") or ""):
            continue
        for point in distribution.entry_points:
            # One that is installed twice (a checkout over a wheel) is one.
            if point.group != GROUP or (point.name, point.value) in seen:
                continue
            if named is None or point.name in named or is_ours(point):
                seen.add((point.name, point.value))
                yield point


def is_ours(point: EntryPoint) -> bool:
    """Whether the suite's own distribution has registered it."""
    return point.dist is not None and point.dist.name == OURS and point.value.startswith("pytest_xinchuang.")


def load(point: EntryPoint) -> ConformancePackage:
    """What an entry point names: the object, or the class that makes it. It may raise anything."""
    target = point.load()
    package: ConformancePackage = target() if isinstance(target, type) else target
    return package


def loadable() -> list[ConformancePackage]:
    """The registered packages that can be loaded, for option parsers and fixtures: a run tells of those that cannot be."""
    found: list[ConformancePackage] = []
    flags: set[str] = set()
    for point in entry_points():
        try:
            package = load(point)
            own = {option.flag for option in package.options}
            if package.name.isidentifier() and not own & flags:
                found.append(package)
                flags |= own
        except Exception:
            continue
    return found
