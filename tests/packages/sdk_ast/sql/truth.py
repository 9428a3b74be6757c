"""What a database makes of a client's statements with either version of a schema, started and asked without the judge."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DIALECT = re.compile(r"-- dialect: (\w+)")


class Databases:
    """SQLite, and one PostgreSQL for all who ask."""

    def __init__(self, host: Path | None) -> None:
        self.host = host
        self._count = 0

    def axes_of(self, directory: Path) -> list[str]:
        """``source`` where a statement fails with the new schema alone; ``wire`` where what it wrote comes back
        as another type, ``behaviour`` where other rows differ.

        The client has to be right with the old one.
        """
        client = next(
            path for path in (directory / "client.sql", directory / "client" / "client.sql") if path.is_file()
        )
        statements = client.read_text(encoding="utf-8")
        found = []
        for side in ("old", "new"):
            files = sorted(
                (directory / side).rglob("*.sql"), key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)]
            )
            schema = "\n".join(path.read_text(encoding="utf-8") for path in files if ".down." not in path.name)
            match = DIALECT.search(schema)
            assert match is not None, f"{directory}: nothing names the dialect"
            asked = self._sqlite if match[1] == "sqlite" else self._postgres
            found.append(asked(schema, statements))
        (old_said, old_rows), (new_said, new_rows) = found
        assert not old_said, f"{directory}: the client is wrong with the old schema: {old_said}"
        if new_said or old_rows == new_rows:
            return ["source"] if new_said else []
        return ["wire"] if "typeof(" in statements else ["behaviour"]

    @staticmethod
    def _sqlite(schema: str, client: str) -> tuple[str, list[str]]:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(schema)
        rows: list[str] = []
        try:
            for statement in client.split(";\n"):
                rows += [repr(row) for row in connection.execute(statement).fetchall()]
        except sqlite3.Error as error:
            return str(error), rows
        finally:
            connection.close()
        return "", rows

    def _postgres(self, schema: str, client: str) -> tuple[str, list[str]]:
        self._count += 1
        name = f"truth_{self._count}"
        assert self.host is not None
        self.psql("postgres", f"CREATE DATABASE {name} TEMPLATE template0;")
        made = self.psql(name, schema)
        assert not made.stderr, made.stderr
        done = self.psql(name, client)
        return done.stderr, done.stdout.splitlines()

    def psql(self, database: str, script: str) -> subprocess.CompletedProcess[str]:
        argv = ["psql", "-X", "-q", "-A", "-t", "-U", "postgres", "-h", str(self.host), "-d", database]
        return subprocess.run(argv, input=script, capture_output=True, text=True, check=False, timeout=60)


def program(name: str) -> str | None:
    """A program of PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(found[-1]) if found else shutil.which(name)


@contextmanager
def started() -> Iterator[Path | None]:
    """The directory that a PostgreSQL listens in; None: there is none here."""
    initdb, server = program("initdb"), program("postgres")
    if initdb is None or server is None or shutil.which("psql") is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="xcpg") as name:
        place = Path(name)
        root = ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--"] if os.geteuid() == 0 else []
        argv = [
            *root,
            initdb,
            "-D",
            str(place / "data"),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]
        if subprocess.run(argv, capture_output=True, check=False).returncode:
            yield None
            return
        argv = [
            *root,
            server,
            "-D",
            str(place / "data"),
            "-k",
            str(place),
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
        ]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            databases = Databases(place)
            for _attempt in range(200):
                if not databases.psql("postgres", "SELECT 1;").returncode:
                    break
                time.sleep(0.05)
            try:
                yield place
            finally:
                process.terminate()
                process.wait(30)
