"""What a project or a customer allows and forbids: the allow-list, and advisories in OSV's format."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from pytest_xinchuang.core.data import FrozenData, GlobPattern
from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.supply_chain.versions import Key, comparisons, loose, maven, pep440, semver, within
from pytest_xinchuang.tools.gomod import ModuleVersion

EcosystemName = Literal["npm", "pypi", "cargo", "maven", "conan", "vcpkg"]

ORDERS: dict[str, Key] = {
    "npm": semver,
    "pypi": pep440,
    "cargo": semver,
    "maven": maven,
    "conan": loose,
    "vcpkg": loose,
}
"""How the versions of each ecosystem are ordered."""


class _Admission(FrozenData):
    """Under which number something was admitted, and until when.

    Attributes:
        versions: comparisons by commas (``>=v1.8.0, <v2.0.0``); empty: every version.
        certificate: the number under which it was admitted.
        expires: the last day on which that holds.
    """

    versions: str = ""
    certificate: str = ""
    expires: datetime.date | None = None


class Allowed(_Admission):
    """A Go module of the allow-list.

    Attributes:
        module: a module path or pattern (``golang.org/x/*``).
    """

    module: GlobPattern

    @field_validator("versions")
    @classmethod
    def _readable(cls, text: str) -> str:
        comparisons(text, _semantic)
        return text

    def covers(self, version: str) -> bool:
        """Whether a version is within the range."""
        return within(version, self.versions, _go_key)


class AllowedPackage(_Admission):
    """A package of the allow-list.

    Attributes:
        ecosystem: ``npm``, ``pypi``, ``cargo``, ``maven``, ``conan`` or ``vcpkg``.
        name: a name or pattern (``@babel/*``, ``org.apache.commons:*``).
    """

    ecosystem: EcosystemName
    name: GlobPattern

    @model_validator(mode="after")
    def _readable(self) -> AllowedPackage:
        comparisons(self.versions, ORDERS[self.ecosystem])
        return self

    def covers(self, version: str) -> bool:
        """Whether a version is within the range, in the order of its ecosystem.

        Raises:
            ValueError: it is no version.
        """
        return not self.versions or within(version, self.versions, ORDERS[self.ecosystem])


def _semantic(text: str) -> object:
    if not ModuleVersion("", text).semantic:
        raise ValueError(text)
    return _go_key(text)


def _go_key(text: str) -> object:
    return ModuleVersion("", text).key


def lapsed(fitting: Sequence[_Admission], today: datetime.date) -> tuple[str, str] | None:
    """Certificate and last day of the first of admissions that have all run out; None: one of them holds."""
    if not all(line.expires and line.expires < today for line in fitting):
        return None
    return fitting[0].certificate or "-", str(fitting[0].expires)


class AllowList(FrozenData):
    """``xc-allow-list/1``."""

    format: Literal["xc-allow-list/1"] = Field(alias="schema")
    modules: tuple[Allowed, ...] = ()
    packages: tuple[AllowedPackage, ...] = ()

    def of(self, path: str) -> list[Allowed]:
        """The lines for a module path, the most exact first."""
        return sorted((a for a in self.modules if fnmatchcase(path, a.module)), key=lambda a: -len(a.module))

    def packages_of(self, ecosystem: str, name: str) -> list[AllowedPackage]:
        """The lines for a package, the most exact first."""
        mine = (a for a in self.packages if a.ecosystem == ecosystem and fnmatchcase(name, _named(a)))
        return sorted(mine, key=lambda a: -len(a.name))


def _named(line: AllowedPackage) -> str:
    """A name as its registry compares it: PyPI's is the same with hyphens, underscores and capitals (PEP 503)."""
    return re.sub(r"[-_.]+", "-", line.name).lower() if line.ecosystem == "pypi" else line.name


def load_allow_list(path: Path) -> AllowList:
    """
    Raises:
        DataFileError: it is malformed.
    """
    return YamlFile(path).parse(AllowList)


class AffectedPackage(BaseModel):
    """The name of a package in its ecosystem."""

    ecosystem: str = ""
    name: str = ""


class Range(BaseModel):
    """A range of versions: the events that open and close it."""

    type: str = ""
    events: tuple[dict[str, str], ...] | None = None


class Affected(BaseModel):
    """A package with the versions that are affected."""

    package: AffectedPackage | None = None
    versions: tuple[str, ...] | None = None
    ranges: tuple[Range, ...] | None = None


class Advisory(BaseModel):
    """An advisory of OSV's schema, as far as it is read."""

    id: str
    withdrawn: str | None = None
    summary: str | None = None
    details: str | None = None
    affected: tuple[Affected, ...] | None = None


class Advisories:
    """Advisories of local files in OSV's JSON (https://ossf.github.io/osv-schema/): one object, a list, or a directory of such.

    Raises:
        DataFileError: a file is not that.
    """

    def __init__(self, path: Path) -> None:
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        self.entries: list[Advisory] = []
        for file in files:
            try:
                data = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError) as error:
                raise DataFileError(_("{file}: not JSON: {why}", file=file, why=error)) from error
            for entry in data if isinstance(data, list) else [data]:
                if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
                    raise DataFileError(_("{file}: not an OSV advisory: it has no id", file=file))
                try:
                    self.entries.append(Advisory.model_validate(entry))
                except ValidationError as error:
                    first = error.errors()[0]
                    where = verbatim(".".join(map(str, first["loc"])))
                    raise DataFileError(
                        _("{file}: not an OSV advisory: {where}: {why}", file=file, where=where, why=mistake(first))
                    ) from error

    @property
    def ecosystems(self) -> frozenset[str]:
        """The ecosystems that they have packages of."""
        packages = (affected.package for entry in self.entries for affected in entry.affected or ())
        return frozenset(package.ecosystem for package in packages if package)

    def of(self, module: ModuleVersion) -> list[tuple[str, str]]:
        """Ids and summaries of the advisories that a module version is affected by."""
        return self.of_package("Go", module.path, module.version, str, _go_loose)

    def of_package(
        self, ecosystem: str, name: str, version: str, same: Callable[[str], str], key: Key
    ) -> list[tuple[str, str]]:
        """Ids and summaries of the advisories that a package is affected by.

        Args:
            ecosystem: as OSV names it; what follows a colon, as in ``Debian:12``, is its release. An advisory for another
                release does not count; one without a release, or asked about without one, is of each.
            same: a name in the form in which the ecosystem compares names.
            key: a version in the ecosystem's order.

        Raises:
            Unordered: an advisory names the package, and the version is none that can be compared.
        """
        found = []
        for entry in self.entries:
            if entry.withdrawn:
                continue
            for affected in entry.affected or ():
                package = affected.package
                if package and _of_ecosystem(package.ecosystem, ecosystem) and same(package.name) == same(name):
                    try:
                        hit = _affected(affected, version, key)
                    except ValueError as error:
                        raise Unordered(
                            _(
                                "{id} names versions of {name} that cannot be compared with {version}",
                                id=entry.id,
                                name=verbatim(name),
                                version=verbatim(version),
                            )
                        ) from error
                    if hit:
                        found.append((entry.id, (entry.summary or entry.details or "")[:200]))
                        break
        return found


def _of_ecosystem(theirs: str, mine: str) -> bool:
    if ":" in theirs and ":" in mine:
        return theirs == mine
    return theirs.partition(":")[0] == mine.partition(":")[0]


class Unordered(XcError):
    """Versions of an advisory and of a package that cannot be compared."""


def _go_loose(text: str) -> object:
    return ModuleVersion("", "v" + text.removeprefix("v")).key


def _affected(affected: Affected, version: str, key: Key) -> bool:
    plain = version.removeprefix("v")
    if plain in (v.removeprefix("v") for v in affected.versions or ()):
        return True
    ranges = [r for r in affected.ranges or () if r.type in ("SEMVER", "ECOSYSTEM")]
    return any(_within(r.events or (), version, key) for r in ranges)


def _within(events: Sequence[dict[str, str]], version: str, key: Key) -> bool:
    """OSV's algorithm: the last event at or below the version decides."""
    mine = key(version)
    inside = False
    # "0" is before every version, and a limit of "*" after each.
    keyed: list[tuple[bool, Any, str]] = [
        (event[kind] != "0", key(event[kind]) if event[kind] != "0" else None, kind)
        for event in events
        for kind in ("introduced", "fixed", "last_affected", "limit")
        if kind in event and event[kind] != "*"
    ]
    first = [k for k in keyed if not k[0]]
    for known, at, kind in [*first, *sorted((k for k in keyed if k[0]), key=lambda e: e[1])]:
        if kind == "introduced":
            inside = inside or not known or mine >= at
        elif not known or (kind in ("fixed", "limit") and mine >= at) or (kind == "last_affected" and mine > at):
            inside = False
    return inside
