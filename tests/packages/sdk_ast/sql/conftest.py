"""One PostgreSQL for the tests of a worker; the judge is given it too, as it takes seconds to make one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pytest_xinchuang.packages.sdk_ast.sql import databases
from pytest_xinchuang.tools.process import Runner
from tests.packages.sdk_ast.sql.truth import Databases, program, started


@pytest.fixture(scope="session")
def truth() -> Iterator[Databases]:
    """The databases that say what is true of a case."""
    with started() as place:
        yield Databases(place)


@pytest.fixture(scope="session")
def server(truth: Databases) -> databases.PostgresServer | None:
    """The judge's connection to the PostgreSQL of the tests; None: there is none here."""
    psql = program("psql")
    if truth.host is None or psql is None:
        return None
    found = databases.PostgresServer(psql, str(truth.host), 5432, Runner())
    found.ask("postgres", "postgres", "CREATE ROLE xc_client LOGIN;")
    return found


@pytest.fixture
def shared(server: databases.PostgresServer | None, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether there is a PostgreSQL; the judge uses that of the tests."""

    @contextmanager
    def same(_directory: Path, _runner: Runner) -> Iterator[databases.PostgresServer]:
        assert server is not None
        yield server

    if server is not None:
        monkeypatch.setattr(databases, "postgres", same)
    return server is not None
