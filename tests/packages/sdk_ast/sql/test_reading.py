"""Schemas that are read otherwise than one might think, and those that cannot be: each is told, and none passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.packages.sdk_ast.sql.databases import Refused, SqliteSession
from tests.packages.sdk_ast.sql.test_rules import diff
from tests.packages.sdk_ast.trees import rules_of

pytest.importorskip("sqlglot")

TABLE = "CREATE TABLE t (a INT, b VARCHAR(9));\n"


def pair(directory: Path, old: str, new: str, dialect: str = "postgres") -> Comparison:
    for side, text in (("old", old), ("new", new)):
        (directory / side).mkdir(parents=True)
        (directory / side / "schema.sql").write_text(text, encoding="utf-8")
    return diff(directory, fast=True, dialect=dialect)


def read(directory: Path, data: str | bytes, dialect: str = "") -> dict[str, Any]:
    from pytest_xinchuang.packages.sdk_ast.sql.reader import extract_sql

    path = directory / "a.sql"
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    extract_sql(path, directory / "api.jsonl", dialect=dialect)
    package = Snapshot(directory / "api.jsonl").package("schema", "sql")
    assert package is not None
    return {name: one["facts"] for name, one in package.symbols.items()}


@pytest.mark.parametrize(
    ("data", "dialect", "expected"),
    [
        (b"\xff\xfe", "", "not UTF-8"),
        (b"", "", "create nothing"),
        (b"INSERT INTO t VALUES (1);", "", "create nothing"),
        (TABLE.encode(), "cobol", "no dialect of SQL is called 'cobol'"),
    ],
)
def test_a_file_that_is_no_schema(tmp_path: Path, data: bytes, dialect: str, expected: str) -> None:
    with pytest.raises((DataFileError, XcError), match=expected):
        read(tmp_path, data, dialect)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE u (a INT",
        "CREATE TABLE u ('",
        "ALTER TABLE nowhere ADD COLUMN a INT;",
        "ALTER TABLE t DROP COLUMN nowhere;",
        "ALTER TABLE t ADD COLUMN c INT, DROP COLUMN nowhere;",
        "DROP TABLE nowhere;",
        "CREATE TABLE u (LIKE t);",
        "CREATE TABLE u () INHERITS (t);",
        "DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$;",
        "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();",
        "SET search_path = other;",
        "REVOKE ALL ON t FROM PUBLIC;",
        "\\i other.sql\n;",
        "CREATE TABLE t2 (a INT, a INT);",
        "FROBNICATE t;",
    ],
)
def test_what_is_not_understood_is_undecided(tmp_path: Path, statement: str) -> None:
    comparison = pair(tmp_path / "new", TABLE, TABLE + statement)
    assert comparison.undecided, statement
    assert not pair(tmp_path / "both", TABLE + statement, TABLE + statement).changes


@pytest.mark.parametrize(
    "statement",
    [
        "COMMENT ON TABLE t IS 'x';",
        "INSERT INTO t (a) VALUES (1);",
        "BEGIN;\nCOMMIT;",
        "ALTER TABLE t OWNER TO me;",
        "-- a word",
    ],
)
def test_what_changes_no_schema(tmp_path: Path, statement: str) -> None:
    assert not pair(tmp_path, TABLE, TABLE + statement).changes


@pytest.mark.parametrize(
    ("old", "new", "rule", "breaks"),
    [
        ("`a` varchar(9)", "`a` varchar(8)", "SQL-COLUMN-TYPE-NARROWED", True),
        ("`a` varchar(9)", "`a` varchar(10)", "SQL-COLUMN-TYPE-WIDENED", False),
        ("`a` int(11)", "`A` int(10)", "", False),
        ("`a` int unsigned", "`a` int", "SQL-COLUMN-TYPE-NARROWED", True),
        ("`a` enum('x','y')", "`a` enum('x')", "SQL-ENUM-VALUE-REMOVED", True),
        ("`a` enum('x')", "`a` enum('x','y')", "SQL-ENUM-VALUE-ADDED", False),
        ("`a` int", "`a` int, KEY `k` (`a`)", "SQL-INDEX-ADDED", False),
        ("`a` int", "`a` int, UNIQUE KEY `k` (`a`)", "SQL-UNIQUE-ADDED", True),
        ("`a` int", "`a` int, `b` int NOT NULL", "SQL-COLUMN-ADDED-REQUIRED", True),
        ("`a` int", "`a` int, `b` int NOT NULL AUTO_INCREMENT, KEY (`b`)", "SQL-COLUMN-ADDED", False),
    ],
)
def test_mysql(tmp_path: Path, old: str, new: str, rule: str, breaks: bool) -> None:
    texts = [f"CREATE TABLE `t` ({columns}) ENGINE=InnoDB;\n" for columns in (old, new)]
    comparison = pair(tmp_path, texts[0], texts[1], dialect="oceanbase")
    assert comparison.breaking is breaks
    assert not comparison.undecided
    assert rule in rules_of(comparison) if rule else not comparison.changes


def test_dialects(tmp_path: Path) -> None:
    assert read(tmp_path, TABLE)["dialect"] == {"of": "dialect", "name": "postgres", "assumed": True}
    assert read(tmp_path, "-- dialect: TiDB\n" + TABLE)["dialect"]["name"] == "mysql"
    assert read(tmp_path, "CREATE TABLE `t` (`a` int);\n")["dialect"]["name"] == "mysql"
    old, new = "-- dialect: mysql\n" + TABLE, "-- dialect: sqlite\n" + TABLE
    assert pair(tmp_path / "two", old, new, dialect="").undecided


def test_a_schema_of_sqlite_cannot_reach_files(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"not authorized|prohibited"):
        SqliteSession([f"ATTACH DATABASE '{tmp_path / 'x.db'}' AS x"])
    assert not (tmp_path / "x.db").exists()
