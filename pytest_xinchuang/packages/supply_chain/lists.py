"""What a project or a customer allows and forbids: the allow-list, and advisories in OSV's format."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from pytest_xinchuang.core.data import FrozenData, GlobPattern
from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.core.validation import mistake
from pytest_xinchuang.core.yamlfile import YamlFile
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.tools.gomod import ModuleVersion


class Allowed(FrozenData):
    """One line of the allow-list.

    Attributes:
        module: a module path or pattern (``golang.org/x/*``).
        versions: comparisons by commas (``>=v1.8.0, <v2.0.0``); empty: every version.
        certificate: the number under which it was admitted.
        expires: the last day on which that holds.
    """

    module: GlobPattern
    versions: str = ""
    certificate: str = ""
    expires: datetime.date | None = None

    @field_validator("versions")
    @classmethod
    def _readable(cls, text: str) -> str:
        for part in filter(None, (p.strip() for p in text.split(","))):
            _comparison(part)
        return text

    def covers(self, version: str) -> bool:
        """Whether a version is within the range."""
        mine = ModuleVersion("", version).key
        for part in filter(None, (p.strip() for p in self.versions.split(","))):
            sign, other = _comparison(part)
            key = ModuleVersion("", other).key
            good = {
                ">=": mine >= key,
                "<=": mine <= key,
                ">": mine > key,
                "<": mine < key,
                "=": mine == key,
                "!=": mine != key,
            }[sign]
            if not good:
                return False
        return True


def _comparison(part: str) -> tuple[str, str]:
    for sign in (">=", "<=", "!=", ">", "<", "="):
        if part.startswith(sign):
            version = part.removeprefix(sign).strip()
            break
    else:
        sign, version = "=", part
    if not ModuleVersion("", version).semantic:
        raise ValueError(_("{part}: expected a comparison with a version, as in >=v1.2.0", part=verbatim(repr(part))))
    return sign, version


class AllowList(FrozenData):
    """``xc-allow-list/1``."""

    format: Literal["xc-allow-list/1"] = Field(alias="schema")
    modules: tuple[Allowed, ...] = ()

    def of(self, path: str) -> list[Allowed]:
        """The lines for a module path, the most exact first."""
        return sorted((a for a in self.modules if fnmatchcase(path, a.module)), key=lambda a: -len(a.module))


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

    def of(self, module: ModuleVersion) -> list[tuple[str, str]]:
        """Ids and summaries of the advisories that a module version is affected by."""
        found = []
        for entry in self.entries:
            if entry.withdrawn:
                continue
            for affected in entry.affected or ():
                package = affected.package
                if package and (package.ecosystem, package.name) == ("Go", module.path) and _affected(affected, module):
                    found.append((entry.id, (entry.summary or entry.details or "")[:200]))
                    break
        return found


def _affected(affected: Affected, module: ModuleVersion) -> bool:
    plain = module.version.removeprefix("v")
    if plain in (v.removeprefix("v") for v in affected.versions or ()):
        return True
    return any(_within(r.events or (), module) for r in affected.ranges or () if r.type in ("SEMVER", "ECOSYSTEM"))


def _within(events: Sequence[dict[str, str]], module: ModuleVersion) -> bool:
    """OSV's algorithm: the last event at or below the version decides."""
    inside = False
    keyed = []
    for event in events:
        for kind in ("introduced", "fixed", "last_affected", "limit"):
            if kind in event:
                version = event[kind]
                key: tuple[Any, ...] = () if version == "0" else ModuleVersion("", "v" + version.removeprefix("v")).key
                keyed.append((key, kind))
    for key, kind in sorted(keyed, key=lambda e: (e[0] != (), e[0])):
        if kind == "introduced":
            inside = inside or not key or module.key >= key
        elif (kind in ("fixed", "limit") and module.key >= key) or (kind == "last_affected" and module.key > key):
            inside = False
    return inside
