"""Clients of a schema tried in a real database: the old schema has to take their statements, and the new one too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.judge.client import Client, Outcome, Trial
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.source import Sources
from pytest_xinchuang.packages.sdk_ast.sql import databases
from pytest_xinchuang.packages.sdk_ast.sql.clients import Clients, Script, hints
from pytest_xinchuang.packages.sdk_ast.sql.databases import SQLITE_TOOL, Answer, Refused, Session, SqliteSession
from pytest_xinchuang.packages.sdk_ast.sql.dialects import DIALECTS
from pytest_xinchuang.packages.sdk_ast.sql.reader import PACKAGE, TARGET
from pytest_xinchuang.packages.sdk_ast.sql.statements import schema_files, statements

Facts = Mapping[str, Any]
_MAKES = re.compile(r"^\s*(?:CREATE|ALTER|DROP|RENAME)\b", re.IGNORECASE)
_BESIDE = re.compile(
    r"^\s*(?:(?:CREATE|DROP|ALTER)\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?(?:TRIGGER|EVENT\s+TRIGGER|POLICY|ROLE|USER|DATABASE"
    r"|SYSTEM|SUBSCRIPTION|PUBLICATION|SERVER|FOREIGN|DEFAULT\s+PRIVILEGES|TABLESPACE)\b|.*\bOWNER\s+TO\b)",
    re.IGNORECASE,
)
"""Statements that are about users and servers, or that would run the schema's own code when rows are written."""


class SqlJudge:
    """Writes rows that the old schema takes, reads them, and does the same with the new one."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def trials(self, comparison: Comparison, policy: ApiPolicy) -> Sequence[Trial]:  # noqa: ARG002
        """Raises HostFault: there is no such database here, or it does not take one of the schemas."""
        sides = [_facts(snapshot) for snapshot in (comparison.old, comparison.new)]
        names = {str(side["dialect"]["name"]) for side in sides}
        if len(names) != 1:
            raise HostFault(_("the two sides are of two dialects"))
        dialect = names.pop()
        places = [snapshot.place for snapshot in (comparison.old, comparison.new)]
        schemas = [_schema(place, dialect) for place in places if place is not None]
        with self._sources.scratch() as place, self._opener(dialect, place) as (tool, opened):
            sessions = []
            for side, schema in zip((comparison.old, comparison.new), schemas, strict=True):
                try:
                    sessions.append(opened(schema))
                except Refused as error:
                    raise HostFault(
                        _("{tool} does not take {side}: {why}", tool=tool, side=side.label, why=error.what)
                    ) from error
            clients = Clients(sides[0], hints(*sides), dialect, sessions[0])
            scripts = list(dict.fromkeys(clients.scripts()))
            old, new = (session.tried([script.all for script in scripts]) for session in sessions)
            ready = [answer.said for answer in sessions[1].tried([script.before for script in scripts])]
        known = sorted({one.change.symbol for one in comparison.changes})
        return list(_trials(scripts, old, new, ready, known, tool))

    @contextmanager
    def _opener(self, dialect: str, place: Path) -> Iterator[tuple[str, Callable[[Sequence[str]], Session]]]:
        if dialect == "sqlite":
            yield SQLITE_TOOL, SqliteSession
        elif dialect == "postgres":
            with databases.postgres(place, self._sources.runner) as server:
                yield server.tool, server.session
        else:
            raise HostFault(_("no database of {dialect} is started here", dialect=DIALECTS[dialect].title))


def _facts(snapshot: Any) -> dict[str, Facts]:
    package = snapshot.package(PACKAGE, TARGET)
    return {} if package is None else {name: one["facts"] for name, one in package.symbols.items()}


def _schema(place: Path, dialect: str) -> list[str]:
    root = place if place.is_dir() else place.parent
    found = (one.text for one in statements(schema_files(place), root, DIALECTS[dialect]))
    return [text for text in found if _MAKES.match(text) and not _BESIDE.match(text)]


def _trials(
    scripts: Sequence[Script],
    old: Sequence[Answer],
    new: Sequence[Answer],
    ready: Sequence[str],
    known: Sequence[str],
    tool: str,
) -> Iterator[Trial]:
    for script, before, after, unready in zip(scripts, old, new, ready, strict=True):
        if before.said or unready:
            continue
        outcome, said = Outcome.HOLDS, ""
        if after.said:
            outcome, said = Outcome.FAILS, after.said
        elif script.relation == "write" and before.rows != after.rows:
            outcome = Outcome.FAILS
            said = f"found {', '.join(after.rows)}, expected {', '.join(before.rows)}"
        also = (*script.also, *_named((script.symbol, *script.also), said, known)) if said else script.also
        text = "".join(f"{one};\n" for one in script.all)
        client = Client(script.symbol, script.relation, {"client.sql": text}, also=tuple(dict.fromkeys(also)))
        yield Trial(client, Outcome.HOLDS, binary=outcome, said=said[:300], tool=tool)


def _named(symbols: Sequence[str], said: str, known: Sequence[str]) -> Iterator[str]:
    """Changes that a complaint names, and those of what the client is about.

    SQLite names no foreign key, and PostgreSQL no column that is too short: what is said is not enough.
    """
    words = set(re.findall(r"[\w$]+", said))
    about = [one for symbol in symbols for one in (symbol, symbol.rpartition(".")[0]) if one]
    for name in known:
        if name.rpartition(".")[2].partition("(")[0] in words or any(
            name == one or name.startswith(f"{one}.") for one in about
        ):
            yield name
