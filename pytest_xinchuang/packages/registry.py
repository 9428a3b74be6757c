"""Which conformance packages there are: ours and those of other distributions, registered in one way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_xinchuang.core.errors import UnknownName, XcError
from pytest_xinchuang.messages import _, add_catalogue, joined, verbatim
from pytest_xinchuang.packages.base import entry_points, load
from pytest_xinchuang.packages.option import PackageOption
from pytest_xinchuang.packages.protocol import ConformancePackage

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pytest_xinchuang.core.grade import ReportPart
    from pytest_xinchuang.core.requirement import Catalogue
    from pytest_xinchuang.core.subject import Section, Subject

_OURS = "pytest_xinchuang."


class Registry:
    """The conformance packages of a process, in the order of the catalogue.

    Raises:
        XcError: an object is no conformance package, or two have one name.
    """

    def __init__(self, packages: Iterable[ConformancePackage]) -> None:
        self._packages: dict[str, ConformancePackage] = {}
        for package in sorted(packages, key=lambda p: (getattr(p, "order", 0), str(getattr(p, "name", "")))):
            self._add(package)

    def _add(self, package: ConformancePackage) -> None:
        if not isinstance(package, ConformancePackage):
            raise XcError(
                _("{object} is registered as a conformance package and is none", object=verbatim(repr(package))),
                mend=_("subclass {base}", base=verbatim("pytest_xinchuang.api.Package")),
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", package.name):
            raise XcError(_("{name} is no name of a conformance package", name=verbatim(repr(package.name))))
        if package.name in self._packages:
            raise XcError(_("two conformance packages are called {name}", name=verbatim(package.name)))
        taken = {option.flag: other.name for other in self for option in other.options}
        for option in package.options:
            if option.flag in taken:
                raise XcError(
                    _(
                        "the conformance packages {one} and {other} both have the option {option}",
                        one=verbatim(taken[option.flag]),
                        other=verbatim(package.name),
                        option=verbatim(option.flag),
                    )
                )
        self._packages[package.name] = package
        if package.locale is not None:
            add_catalogue(package.locale)

    def __iter__(self) -> Iterator[ConformancePackage]:
        return iter(self._packages.values())

    def __contains__(self, name: object) -> bool:
        return name in self._packages

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._packages)

    def get(self, name: str) -> ConformancePackage:
        """The package of a name.

        Raises:
            UnknownName: there is none.
        """
        if name not in self._packages:
            raise UnknownName(
                _(
                    "there is no conformance package {name}; there are {known}",
                    name=verbatim(name),
                    known=joined(self._packages, _(", ")),
                )
            )
        return self._packages[name]

    @property
    def options(self) -> tuple[PackageOption, ...]:
        return tuple(option for package in self for option in package.options)

    @property
    def sections(self) -> tuple[Section[Any], ...]:
        """The sections of the manifest that packages have."""
        return tuple(section for package in self for section in package.sections)

    @property
    def parts(self) -> dict[str, ReportPart]:
        """Package -> what it adds to reports."""
        return {package.name: package.report for package in self if package.report is not None}

    def subject(self, path: Path, unseen: Iterable[Path] = ()) -> Subject:
        """Read a manifest with the sections of these packages; ``unseen`` files are no part of the subject.

        Raises:
            DataFileError: it is malformed, or names what is not there.
        """
        from pytest_xinchuang.core.subject import Subject

        return Subject(path, self.sections, unseen)

    def requirement_files(self) -> list[Path]:
        """The files of the catalogue."""
        return [package.requirements for package in self if package.requirements is not None]

    def own_requirement_files(self) -> list[Path]:
        """The catalogue files of packages that are not of this distribution."""
        return [p.requirements for p in self if p.requirements is not None and not is_shipped(p)]

    def catalogue(self, *more: Path) -> Catalogue:
        """The catalogue of these packages, and of further files.

        Raises:
            DataFileError: a file is malformed, or an id is given twice.
        """
        from pytest_xinchuang.core.requirement import load_catalogue

        return load_catalogue(*self.requirement_files(), *more)


def installed(more: Sequence[ConformancePackage] = ()) -> Registry:
    """The packages that distributions have registered, and ``more``.

    Raises:
        XcError: one cannot be loaded, or this distribution was installed before it registered its own.
    """
    found = [_load(point) for point in entry_points()]
    if not any(map(is_shipped, found)):
        raise XcError(
            _(
                "this installation of pytest-xinchuang has registered no conformance package: it is older than its source"
            ),
            mend=verbatim("pip install -e ."),
        )
    return Registry([*found, *more])


def shipped() -> Registry:
    """The packages of this distribution alone.

    Raises:
        XcError: they are not registered.
    """
    return Registry(filter(is_shipped, installed()))


def load_subject(path: Path) -> Subject:
    """Read a manifest with the sections of all installed packages; see :meth:`Registry.subject`."""
    return installed().subject(path)


def is_shipped(package: ConformancePackage) -> bool:
    """Whether it is one of this distribution's."""
    return type(package).__module__.startswith(_OURS)


def _load(point: EntryPoint) -> ConformancePackage:
    """What an entry point names: the object, or the class that makes it."""
    try:
        return load(point)
    except Exception as error:  # a third party's module may raise anything
        distribution = verbatim(point.dist.name if point.dist else "?")
        raise XcError(
            _(
                "the conformance package {name} of {distribution} cannot be loaded: {error}",
                name=verbatim(point.name),
                distribution=distribution,
                error=verbatim(f"{type(error).__name__}: {error}"),
            ),
            mend=_("mend it, or uninstall {distribution}", distribution=distribution),
        ) from error
