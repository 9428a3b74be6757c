"""What the go command says of packages: `go list -json` (`go help list`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.toolchain.site import packages_in

_SOURCES = (
    "GoFiles",
    "CgoFiles",
    "CFiles",
    "CXXFiles",
    "MFiles",
    "FFiles",
    "SFiles",
    "SysoFiles",
    "SwigFiles",
    "SwigCXXFiles",
)
"""The fields that name what is compiled of a package."""

FIELDS = "ImportPath,Name,Dir,Standard,Module,Match,Error,Imports,Deps,IgnoredGoFiles,IgnoredOtherFiles," + ",".join(
    _SOURCES
)


@dataclass(frozen=True)
class GoPackage:
    """A package as one configuration has it.

    Attributes:
        directory: absolute; "" for one that was not found.
        files: its Go sources, those with cgo among them.
        cgo: its Go sources that import "C".
        assembly: its sources in assembler.
        sources: all that is compiled of it.
        ignored: its Go sources that constraints leave out.
        ignored_others: its other sources that constraints leave out.
        module: path and version of its module; ("", "") where it has none.
        home: the module's directory, absolute; "" where it has none.
        main_module: the module is one of those that are worked on, and not a dependency.
        matched: it is one of those that were asked about, and not needed by them alone.
        error: why the go command cannot load it.
        place: where that is, as the go command says, relative to where it ran.
        deps: all packages that it needs, by import path.
    """

    path: str
    name: str = ""
    directory: str = ""
    files: tuple[str, ...] = ()
    cgo: tuple[str, ...] = ()
    assembly: tuple[str, ...] = ()
    sources: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()
    ignored_others: tuple[str, ...] = ()
    standard: bool = False
    module: tuple[str, str] = ("", "")
    home: str = ""
    main_module: bool = False
    matched: bool = False
    error: str = ""
    place: str = ""
    imports: tuple[str, ...] = ()
    deps: tuple[str, ...] = ()

    @property
    def excluded(self) -> bool:
        """It has Go sources, and constraints leave out all of them."""
        return bool(not self.files and self.ignored)

    @property
    def is_main(self) -> bool:
        return self.name == "main"

    @property
    def within(self) -> tuple[str, ...]:
        """Itself, and what it needs."""
        return (*self.deps, self.path)


Listing = Mapping[str, GoPackage]
"""Import path -> package: those that were asked about, and all that they need."""


def listing_of(text: str) -> dict[str, GoPackage]:
    """The packages that `go list -e -deps -json` printed; those of tests are left out."""
    return {package.path: package for package in _packages(text)}


def _packages(text: str) -> Iterator[GoPackage]:
    for said in packages_in(text):
        module = said.get("Module") or {}
        error = said.get("Error") or {}
        yield GoPackage(
            path=str(said.get("ImportPath", "")),
            name=str(said.get("Name", "")),
            directory=str(said.get("Dir", "")),
            files=_names(said, "GoFiles", "CgoFiles"),
            cgo=_names(said, "CgoFiles"),
            assembly=_names(said, "SFiles"),
            sources=frozenset(_names(said, *_SOURCES)),
            ignored=_names(said, "IgnoredGoFiles"),
            ignored_others=_names(said, "IgnoredOtherFiles"),
            standard=bool(said.get("Standard")),
            module=(str(module.get("Path", "")), str(module.get("Version", ""))),
            home=str(module.get("Dir", "")),
            main_module=bool(module.get("Main")),
            matched=bool(said.get("Match")),
            error=str(error.get("Err", "")).strip(),
            place=str(error.get("Pos", "")),
            imports=_names(said, "Imports"),
            deps=_names(said, "Deps"),
        )


def _names(said: Mapping[str, Any], *fields: str) -> tuple[str, ...]:
    return tuple(str(name) for each in fields for name in said.get(each) or ())
