"""Dialects of SQL: what they call names, which products speak them, and what says which one a schema is written in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, verbatim


@dataclass(frozen=True)
class Dialect:
    """A dialect.

    Attributes:
        name: what sqlglot calls it.
        title: what people call it.
        case: what becomes of a name that is not quoted: ``lower`` (PostgreSQL 15, 4.1.1), ``upper`` (Oracle), ``same``.
        ignores: names of columns differ by more than their case, quoted or not (SQLite; MySQL 8.0, 9.2.3).
        space: the schema that a name without one is in.
    """

    name: str
    title: str
    case: str
    ignores: bool
    space: str

    def column(self, name: str, quoted: bool) -> str:
        """A column's name as it is compared."""
        return name.lower() if self.ignores else self.relation(name, quoted)

    def relation(self, name: str, quoted: bool) -> str:
        """A table's name as it is compared; those of MySQL keep their case (MySQL 8.0, 9.2.3, on Linux)."""
        if self.name == "sqlite":
            return name.lower()
        if quoted or self.case == "same":
            return name
        return name.upper() if self.case == "upper" else name.lower()


POSTGRES = Dialect("postgres", "PostgreSQL", "lower", False, "public")
MYSQL = Dialect("mysql", "MySQL", "same", True, "")
SQLITE = Dialect("sqlite", "SQLite", "lower", True, "main")
ORACLE = Dialect("oracle", "Oracle", "upper", False, "")
DIALECTS = {one.name: one for one in (POSTGRES, MYSQL, SQLITE, ORACLE)}

SPOKEN = {
    "postgres": "postgres", "postgresql": "postgres", "pgsql": "postgres", "pg": "postgres", "opengauss": "postgres",
    "gaussdb": "postgres", "kingbase": "postgres", "kingbasees": "postgres", "highgo": "postgres", "vastbase": "postgres",
    "mysql": "mysql", "mariadb": "mysql", "oceanbase": "mysql", "goldendb": "mysql", "tidb": "mysql", "polardb": "mysql",
    "sqlite": "sqlite", "sqlite3": "sqlite",
    "oracle": "oracle", "dm": "oracle", "dm8": "oracle", "dameng": "oracle",
}  # fmt: skip
"""What people write -> the dialect. Databases that are made here speak one of another."""

GUESSED = ("postgres", "mysql", "sqlite")
"""In which order dialects are tried where nothing names one."""

_NAMED = re.compile(r"(?:--|#|/\*)\s*(?:sql[- ]?)?dialect\s*[:=]\s*([A-Za-z0-9]+)", re.IGNORECASE)
_DUMPS = (
    (re.compile(r"PostgreSQL database dump|Dumped by pg_dump"), "postgres"),
    (re.compile(r"MySQL dump|MariaDB dump"), "mysql"),
)
_HEAD = 2000
"""Characters of a file in which a comment names its dialect."""


def named(text: str) -> Dialect:
    """The dialect of that name, or of the product.

    Raises:
        XcError: there is none.
    """
    name = SPOKEN.get(text.lower())
    if name is None:
        raise XcError(
            _("no dialect of SQL is called {name}", name=verbatim(repr(text))),
            mend=_("use one of: {names}", names=verbatim(", ".join(sorted(SPOKEN)))),
        )
    return DIALECTS[name]


def said(place: Path, files: Sequence[tuple[Path, str]]) -> Dialect | None:
    """The dialect that a comment, a dump's header or a name of a file names; None: nothing does, or they disagree."""
    found = {name for _file, text in files for name in _in_text(text[:_HEAD])}
    if not found:
        root = place if place.is_dir() else place.parent
        found = {name for file, _text in files for name in _in_path(file.relative_to(root))}
    if not found and place.is_dir():
        found = {SPOKEN[place.name.lower()]} if place.name.lower() in SPOKEN else set()
    return DIALECTS[found.pop()] if len(found) == 1 else None


def _in_text(text: str) -> list[str]:
    names = [SPOKEN[match[1].lower()] for match in _NAMED.finditer(text) if match[1].lower() in SPOKEN]
    return names or [name for pattern, name in _DUMPS if pattern.search(text)]


def _in_path(path: Path) -> list[str]:
    words = [word for part in path.parts for word in re.split(r"[^a-z0-9]+", part.lower())]
    return [SPOKEN[word] for word in words if word in SPOKEN]
