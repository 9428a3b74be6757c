"""Databases that statements are tried in: SQLite within this process, PostgreSQL started for it and stopped again."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pytest_xinchuang.core.errors import HostFault, ToolchainFault
from pytest_xinchuang.messages import Message, _, told, verbatim
from pytest_xinchuang.tools.process import Runner, Running, environment, last_line

START_S, RUN_S = 60, 300
POSTGRES = "XC_POSTGRES"
"""The directory that PostgreSQL's programs are in, where they are not on the PATH."""
_SOCKET = 90
"""Characters of a directory in which a Unix socket of PostgreSQL has a name that Linux takes (107, unix(7))."""
_STEPS = 20_000_000
"""Steps of SQLite's machine that one statement may take: seconds."""
_USER = "xc_client"
"""A role that is no superuser: what a schema brings cannot reach files or programs (PostgreSQL 15, COPY)."""
_MARK = "@@xc"


@dataclass(frozen=True)
class Answer:
    """What became of some statements: what the first that failed says, and the rows that they gave."""

    said: str = ""
    rows: tuple[str, ...] = ()


class Session(Protocol):
    """A database with one version's schema."""

    def tried(self, scripts: Sequence[Sequence[str]]) -> list[Answer]:
        """Run each script in a transaction of its own, which is rolled back."""


class Refused(Exception):
    """The database does not take a statement of the schema."""

    def __init__(self, what: Message) -> None:
        super().__init__(str(what))
        self.what = what


# -- SQLite

SQLITE_TOOL = f"SQLite {sqlite3.sqlite_version}"


class SqliteSession:
    """A schema in memory. Nothing in it can open a file (ATTACH), nor switch off what is checked.

    Raises:
        Refused: SQLite does not take a statement.
    """

    def __init__(self, schema: Sequence[str]) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.set_authorizer(_authorized)
        self._connection.set_progress_handler(lambda: 1, _STEPS)
        for statement in schema:
            try:
                self._connection.execute(statement)
            except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
                raise Refused(_("{statement}: {why}", statement=verbatim(statement[:120]), why=told(error))) from error

    def tried(self, scripts: Sequence[Sequence[str]]) -> list[Answer]:
        return [self._answer(script) for script in scripts]

    def _answer(self, script: Sequence[str]) -> Answer:
        rows: list[str] = []
        self._connection.execute("BEGIN")
        try:
            for statement in script:
                rows += [repr(row) for row in self._connection.execute(statement).fetchall()]
            return Answer(rows=tuple(rows))
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            return Answer(said=str(error) or type(error).__name__)
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def close(self) -> None:
        self._connection.close()


def _authorized(action: int, *_names: object) -> int:
    forbidden = (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA)
    return sqlite3.SQLITE_DENY if action in forbidden else sqlite3.SQLITE_OK


# -- PostgreSQL


class PostgresServer:
    """A server of one's own, with a directory of its own, that is asked through psql."""

    def __init__(self, psql: str, host: str, port: int, runner: Runner) -> None:
        self._psql, self._host, self._port, self._runner = psql, host, port, runner
        self._count = 0
        self.tool = f"PostgreSQL {self.ask('postgres', 'postgres', 'SHOW server_version').split()[0]}"

    def ask(self, user: str, database: str, script: str) -> str:
        """What psql prints.

        Raises:
            HostFault: it does not end, or there is no server.
        """
        argv = [self._psql, "-X", "-q", "-A", "-t", "-U", user, "-h", self._host, "-p", str(self._port), "-d", database]
        env = environment() | {"PGOPTIONS": "-c statement_timeout=10000 -c client_min_messages=error"}
        done = self._runner.run(argv, timeout_s=RUN_S, stdin=script.encode(), env=env).exited()
        if not done.ok:
            raise ToolchainFault(_("psql cannot ask PostgreSQL: {why}", why=verbatim(last_line(done.errors)[:200])))
        return done.text

    def session(self, schema: Sequence[str]) -> PostgresSession:
        """A database with a schema.

        Raises:
            Refused: PostgreSQL does not take a statement.
        """
        self._count += 1
        name = f"xc_{self._count}"
        self.ask("postgres", "postgres", f"CREATE DATABASE {name} OWNER {_USER} TEMPLATE template0 ENCODING 'UTF8';")
        self.ask("postgres", name, f"ALTER SCHEMA public OWNER TO {_USER};")
        made = PostgresSession(self, name)
        made.create(schema)
        return made


class PostgresSession:
    """One database of a server."""

    def __init__(self, server: PostgresServer, name: str) -> None:
        self._server, self._name = server, name

    def create(self, schema: Sequence[str]) -> None:
        """Make the schema.

        Raises:
            Refused: PostgreSQL does not take a statement.
        """
        if bad := next((one for one in schema if not _harmless(one)), ""):
            raise Refused(
                _(
                    "{statement}: it holds a backslash, which psql would take for a command",
                    statement=verbatim(bad[:120]),
                )
            )
        # ALTER TYPE ADD VALUE cannot be used in the transaction that it stands in: each statement is one.
        lines = [part for n, one in enumerate(schema) for part in (f"{one}\n;", _report(n))]
        for number, _row, said in _told(self._server.ask(_USER, self._name, "\n".join(lines) + "\n")):
            if said:
                raise Refused(_("{statement}: {why}", statement=verbatim(schema[number][:120]), why=verbatim(said)))

    def tried(self, scripts: Sequence[Sequence[str]]) -> list[Answer]:
        lines: list[str] = []
        for n, script in enumerate(scripts):
            lines.append("BEGIN;")
            for statement in script if all(map(_harmless, script)) else ("SELECT 1 / 0",):
                lines += [f"{statement}\n;", _report(n)]
            # What is deferred is asked for here.
            lines += ["SET CONSTRAINTS ALL IMMEDIATE;", _report(n), "ROLLBACK;"]
        rows: list[list[str]] = [[] for _script in scripts]
        said = [""] * len(scripts)
        for number, row, why in _told(self._server.ask(_USER, self._name, "\n".join(lines) + "\n")):
            rows[number] += row
            said[number] = said[number] or why
        return [Answer(said=why, rows=() if why else tuple(row)) for why, row in zip(said, rows, strict=True)]


def _harmless(statement: str) -> bool:
    """Whether psql takes nothing in it for a command of its own, which could be one of the shell."""
    return "\\" not in statement


def _report(number: int) -> str:
    return f"\\echo {_MARK} {number} :ERROR :LAST_ERROR_MESSAGE"


def _told(text: str) -> Iterator[tuple[int, list[str], str]]:
    rows: list[str] = []
    for line in text.splitlines():
        if line.startswith(_MARK + " "):
            _mark, number, failed, *why = line.split(" ", 3)
            yield int(number), rows, (" ".join(why) or "error") if failed == "true" else ""
            rows = []
        elif line:
            rows.append(line)


def _program(name: str) -> str:
    asked = os.environ.get(POSTGRES, "")
    places = (
        [Path(asked), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)] if not asked else [Path(asked)]
    )
    for place in places:
        place = place.parent if place.is_file() else place
        if str(place) != "." and (place / name).is_file():
            return str(place / name)
    found = shutil.which(name)
    if found is None:
        raise ToolchainFault(
            _("{name} of PostgreSQL is not here: the comparison is by rules alone", name=verbatim(name)),
            mend=_(
                "install PostgreSQL, or name the directory of its programs: {name}=/usr/lib/postgresql/15/bin",
                name=POSTGRES,
            ),
        )
    return found


@contextmanager
def postgres(directory: Path, runner: Runner) -> Iterator[PostgresServer]:
    """A server in a directory, which is stopped afterwards.

    PostgreSQL refuses to run as root (15, 19.1): root starts it in a user namespace, where it is somebody else.

    Raises:
        HostFault: there is none, or it does not start.
    """
    initdb, server, psql = (_program(name) for name in ("initdb", "postgres", "psql"))
    root = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"] if os.geteuid() == 0 else []
    data = directory / "data"
    made = runner.run(
        [*root, initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        timeout_s=START_S,
    ).exited()
    if not made.ok:
        raise ToolchainFault(
            _("PostgreSQL cannot make a database: {why}", why=verbatim(last_line(made.errors)[:200])),
            mend=_("run it as an ordinary user") if root else _("see: {command}", command=verbatim(f"{initdb} -D DIR")),
        )
    on_socket = len(str(directory)) <= _SOCKET
    port = 5432 if on_socket else _free_port()
    listening = (
        ["-c", "listen_addresses=", "-k", str(directory)]
        if on_socket
        else ["-c", "listen_addresses=127.0.0.1", "-k", ""]
    )
    with (directory / "log").open("wb") as log:
        options = ["-p", str(port), "-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=10"]
        running = runner.start(
            [*root, server, "-D", str(data), *listening, *options], stdout=log, stderr=log, dies_with_us=True
        )
    try:
        host = str(directory) if on_socket else "127.0.0.1"
        yield _started(running, psql, host, port, runner, directory / "log")
    finally:
        running.interrupt(10)
        running.kill()


def _started(running: Running, psql: str, host: str, port: int, runner: Runner, log: Path) -> PostgresServer:
    until = time.monotonic() + runner.seconds(START_S)
    while True:
        try:
            found = PostgresServer(psql, host, port, runner)
        except HostFault as fault:
            if running.status is not None or time.monotonic() > until:
                raise ToolchainFault(_unstarted(log)) from fault
            time.sleep(0.05)
        else:
            found.ask("postgres", "postgres", f"CREATE ROLE {_USER} LOGIN;")
            return found


def _unstarted(log: Path) -> Message:
    said = last_line(log.read_text(encoding="utf-8", errors="replace"))[:200]
    return _("PostgreSQL does not start: {why}", why=verbatim(said))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
