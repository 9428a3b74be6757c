"""What a project or a customer allows and forbids: the allow-list, and advisories in OSV's format."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from pytest_xinchuang.core.data import FrozenData
from pytest_xinchuang.core.errors import DataFileError
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

    module: str = Field(min_length=1)
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


class Advisories:
    """Advisories of local files in OSV's JSON (https://ossf.github.io/osv-schema/): one object, a list, or a directory of such.

    Raises:
        DataFileError: a file is not that.
    """

    def __init__(self, path: Path) -> None:
        files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
        self.entries: list[dict[str, Any]] = []
        for file in files:
            try:
                data = json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise DataFileError(_("{file}: not JSON: {why}", file=file, why=error)) from error
            for entry in data if isinstance(data, list) else [data]:
                if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
                    raise DataFileError(_("{file}: not an OSV advisory: it has no id", file=file))
                self.entries.append(entry)

    def of(self, module: ModuleVersion) -> list[tuple[str, str]]:
        """Ids and summaries of the advisories that a module version is affected by."""
        found = []
        for entry in self.entries:
            if entry.get("withdrawn"):
                continue
            for affected in entry.get("affected") or ():
                package = affected.get("package") or {}
                if (
                    package.get("ecosystem") == "Go"
                    and package.get("name") == module.path
                    and _affected(affected, module)
                ):
                    found.append((str(entry["id"]), str(entry.get("summary") or entry.get("details", ""))[:200]))
                    break
        return found


def _affected(affected: dict[str, Any], module: ModuleVersion) -> bool:
    plain = module.version.removeprefix("v")
    if plain in (v.removeprefix("v") for v in affected.get("versions") or ()):
        return True
    return any(
        _within(r.get("events") or (), module)
        for r in affected.get("ranges") or ()
        if r.get("type") in ("SEMVER", "ECOSYSTEM")
    )


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
