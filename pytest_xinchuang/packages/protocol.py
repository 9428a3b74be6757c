"""What a conformance package is: the one object by which the rest of the house knows it.

A package of a third party is registered as ours are: by an entry point of the group ``pytest_xinchuang.packages`` that loads
a :class:`ConformancePackage`, or by the hook ``pytest_xc_packages`` of a pytest plugin. Loading one costs little: what it
needs to work is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pytest_xinchuang.packages.option import PackageOption

if TYPE_CHECKING:
    from pytest_xinchuang.commands.common import Commands
    from pytest_xinchuang.core.grade import ReportPart
    from pytest_xinchuang.core.platform import Platform
    from pytest_xinchuang.core.requirement import Catalogue
    from pytest_xinchuang.core.subject import Section, Subject
    from pytest_xinchuang.core.verdict import Decision
    from pytest_xinchuang.sandbox.pool import Pool
    from pytest_xinchuang.toolchain.builder import Builder


class RunContext(Protocol):
    """What a run hands to the engines of its packages."""

    @property
    def subject(self) -> Subject: ...

    @property
    def catalogue(self) -> Catalogue: ...

    @property
    def pool(self) -> Pool:
        """Opens the sandboxes of platforms; its ``store`` has root filesystems and the cache."""

    @property
    def builder(self) -> Builder: ...

    @property
    def offline(self) -> bool:
        """Nothing may be fetched."""

    def option(self, name: str) -> str | None:
        """An option's value: of the command line, else of the ini file, else None. ``name`` is as ``PackageOption.name``."""

    def option_path(self, name: str, *, directory: bool = False) -> Path | None:
        """The file that an option names.

        Raises:
            XcError: it is not there, or, with ``directory``, is none.
        """


class Engine(Protocol):
    """Decides the requirements of a package for one subject on one platform, from observations made once."""

    def decision(self, requirement_id: str) -> Decision:
        """The decision about one requirement of the package; it asks for no other (grading keeps ``needs``).

        A fault on our side is inconclusive, never the subject's failure.
        """

    def close(self) -> None:
        """Let go of what the engine holds: processes, temporary files. Called once, at the end of the run."""


@runtime_checkable
class ConformancePackage(Protocol):
    """A conformance package. Subclass :class:`~pytest_xinchuang.packages.base.Package`, and say what is yours alone."""

    name: str
    """As in ``--xc-suite``, in the catalogue and in the name of its fixture: ``[a-z][a-z0-9_]*``."""

    order: int
    """Its place in the catalogue and in reports: lower comes first, equal ones by name. Ours are 10, 20, ... ."""

    @property
    def requirements(self) -> Path | None:
        """Its part of the catalogue (``xc-requirements/1``); None where its requirements come by the hook alone."""

    @property
    def checks(self) -> Path | None:
        """The directory of its tests, which pytest collects when the package is part of a run."""

    @property
    def sections(self) -> Sequence[Section[Any]]:
        """Its sections of the manifest, with the programs and files that they name."""

    @property
    def options(self) -> Sequence[PackageOption]:
        """Its options of pytest's command line."""

    @property
    def locale(self) -> Path | None:
        """The directory of its translations, ``zh.mo``; None for ours."""

    @property
    def report(self) -> ReportPart | None:
        """Its part of each report."""

    def engine(self, run: RunContext, platform: Platform) -> Engine:
        """A new engine; it is made once for each platform and process, when the first check asks for it.

        Raises:
            XcError: an option of the package is wrong.
        """

    def check(self, run: RunContext) -> None:
        """Look at the package's options before anything runs.

        Raises:
            XcError: one is wrong.
        """

    def add_commands(self, commands: Commands) -> None:
        """Add its ``xc`` commands; what is below a name is made when somebody uses it."""
