"""SQLite databases: what stands in their values, which a database cuts into pages.

Source: SQLite, Database File Format, 1.3 (header), 1.6 (overflow pages), 2.6 (the schema table). The library reads it, from a
copy and with all switched off that a file could have it do: triggers, views, virtual tables, computed columns.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from pytest_xinchuang.inspect.formats.contained import CHUNK, Account, CannotRead, translated
from pytest_xinchuang.inspect.formats.encoded import encoded
from pytest_xinchuang.inspect.formats.hidden import Hidden, begin_hidden
from pytest_xinchuang.inspect.formats.magic import is_plain, kind_of, unread_format
from pytest_xinchuang.inspect.formats.streams import decompressed
from pytest_xinchuang.messages import _, told
from pytest_xinchuang.tools.compressed import compression

MAGIC = b"SQLite format 3\0"
LEAST = 64
"""Bytes of the shortest object (its header; System V gABI): shorter values hold none."""
MOST_VALUES = 1_000_000
MOST_TABLES = 10_000
IN_MEMORY = 64 << 20
"""Bytes of a database that is read from a copy in memory; a larger one is read from a file without a name of its own."""
SECONDS = 60.0
"""How long one query may run: a damaged tree of pages may lead in circles."""
STEPS = 100_000
"""Instructions of SQLite's machine between two looks at the clock."""


def is_sqlite(data: Any) -> bool:
    return bytes(data[:16]) == MAGIC


def values(data: Any, account: Account) -> Iterator[Hidden]:
    """The values of a database that are an object or a container, or have an object among their bytes.

    Raises:
        CannotRead: it is damaged, or no sqlite3 is there, or it has more than is looked at.
    """
    with opened(data) as connection:
        yield from _values(connection, account)


@contextlib.contextmanager
def opened(data: Any) -> Iterator[Any]:
    """A connection to a copy of a database, which can read its tables and do nothing else.

    Raises:
        CannotRead: it is damaged, which may show when it is asked, or no sqlite3 is there.
    """
    try:
        import sqlite3
    except ImportError as error:
        raise CannotRead(_("a database of SQLite, which this Python cannot read"), "XC-BAD-006") from error
    try:
        with contextlib.ExitStack() as stack:
            yield _opened(sqlite3, data, stack)
    except (sqlite3.Error, sqlite3.Warning, UnicodeError, MemoryError) as error:
        raise CannotRead(_("damaged: {error}", error=told(error))) from error


def _opened(sqlite3: Any, data: Any, stack: contextlib.ExitStack) -> Any:
    # A database with a write-ahead log says so in two bytes (1.3.3); alone it is read without one.
    header = bytes(data[:18]) + (b"\1\1" if bytes(data[18:20]) == b"\2\2" else bytes(data[18:20]))
    if len(data) <= IN_MEMORY:
        connection = stack.enter_context(contextlib.closing(sqlite3.connect(":memory:")))
        connection.deserialize(header + bytes(data[20:]))
    else:
        file = stack.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115  (the stack closes it)
        file.write(header)
        for at in range(20, len(data), CHUNK):
            file.write(bytes(data[at : at + CHUNK]))
        file.flush()
        uri = f"{Path(file.name).as_uri()}?mode=ro&immutable=1"
        connection = stack.enter_context(contextlib.closing(sqlite3.connect(uri, uri=True)))
    for pragma in ("trusted_schema=OFF", "query_only=ON", "cell_size_check=ON", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")
    allowed = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
    # Of pragmas the one that lists columns.
    connection.set_authorizer(
        lambda action, name, *_rest: (
            sqlite3.SQLITE_OK
            if action in allowed or (action == sqlite3.SQLITE_PRAGMA and name == "table_xinfo")
            else sqlite3.SQLITE_DENY
        )
    )
    return connection


def _values(connection: Any, account: Account) -> Iterator[Hidden]:
    count = 0
    tables = _asked(connection, "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0").fetchmany(
        MOST_TABLES + 1
    )
    if len(tables) > MOST_TABLES:
        raise CannotRead(_("more than {members} files", members=MOST_TABLES), "XC-BAD-003")
    for (table,) in tables:
        # Hidden columns are of virtual tables, or computed.
        columns = [
            name
            for _n, name, *_more, hidden in _asked(connection, f"PRAGMA table_xinfo({_quoted(table)})")
            if not hidden
        ]
        for column in columns:
            value = _quoted(column)
            query = f"SELECT {value} FROM {_quoted(table)} WHERE typeof({value}) IN ('blob', 'text') AND length({value}) >= ?"
            for row, (content,) in enumerate(_asked(connection, query, LEAST), 1):
                count += 1
                if count > MOST_VALUES:
                    raise CannotRead(_("more than {members} files", members=MOST_VALUES), "XC-BAD-003")
                raw = content.encode(errors="surrogateescape") if isinstance(content, str) else bytes(content)
                account.expanded(len(raw), 0, len(raw))
                held = _held(raw, account)
                if held is not None:
                    yield Hidden(count, count + len(raw), held, name=f"{table}.{column}[{row}]")


def _asked(connection: Any, query: str, *parameters: int) -> Any:
    begun = time.monotonic()
    connection.set_progress_handler(lambda: time.monotonic() - begun > SECONDS, STEPS)
    connection.text_factory = lambda raw: raw.decode(errors="surrogateescape")
    return connection.execute(query, parameters)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _held(value: bytes, account: Account) -> bytes | None:
    """A value that is or has an object or container, an object that is compressed as what it expands to; None for any other."""
    kind = compression(value[:4])
    if kind is None:
        known = (
            kind_of(value, "") is not None
            or unread_format(value) is not None
            or begin_hidden(iter([value])) is not None
        )
        return value if known or (is_plain(value) and any(True for _each in encoded(value, script=False))) else None
    try:
        with translated():
            stream = decompressed(value, kind, account)
            head = stream.read(512) or b""
            inside = kind_of(head, "")
            if inside == "elf":
                return head + b"".join(_chunks(stream))
            return value if inside is not None or begin_hidden(chain([head], _chunks(stream))) is not None else None
    except CannotRead:
        return value  # whoever reads it tells what is wrong


def _chunks(stream: Any) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk
