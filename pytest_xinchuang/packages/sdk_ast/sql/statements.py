"""Files of SQL as statements in the order in which they are run: migrations by their numbers, without those that undo."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import _, system_error
from pytest_xinchuang.packages.sdk_ast.sql.dialects import Dialect

MOST_BYTES = 32 << 20
"""Bytes of one file; a dump with its data may be larger, and its data is no schema."""
_UNDOES = re.compile(r"(\.|_|-)(down|undo|rollback|revert)\.sql$|^U\d[\w.]*__", re.IGNORECASE)
_REPEATABLE = re.compile(r"^R__", re.IGNORECASE)
_DOWN_PART = re.compile(
    r"^--\s*(?:\+goose Down|migrate:down|\+migrate Down|(?://)?@UNDO).*", re.MULTILINE | re.IGNORECASE | re.DOTALL
)
_COPIED = re.compile(r"^COPY\b[^;]*\bFROM\s+stdin\b[^;]*;\n.*?^\\\.$", re.MULTILINE | re.IGNORECASE | re.DOTALL)
_CLIENTS = re.compile(r"^\\(?:connect|c|restrict|unrestrict|set|unset|echo|encoding|timing|pset)\b.*$", re.MULTILINE)
_DELIMITER = re.compile(r"^\s*DELIMITER\s+(\S+)\s*$", re.IGNORECASE)
_CONDITIONAL = re.compile(r"/\*!\d*\s*(.*?)\*/", re.DOTALL)
_PROGRAM = re.compile(
    r"^\s*CREATE\b(?:\s+(?:OR\s+REPLACE|TEMP|TEMPORARY|DEFINER\s*=\s*\S+|EDITIONABLE|CONSTRAINT))*\s+"
    r"(TRIGGER|PROCEDURE|FUNCTION|EVENT|PACKAGE)\b",
    re.IGNORECASE,
)


_USUAL = re.compile(r"\bNULLS\s+DISTINCT\b", re.IGNORECASE)
"""What says the usual, and sqlglot does not know (PostgreSQL 15, CREATE TABLE)."""


@dataclass(frozen=True)
class Statement:
    """One statement.

    Attributes:
        text: as it was written.
        tree: what sqlglot made of it; None: it is not understood.
        why: what sqlglot says, where it does not understand.
    """

    file: str
    line: int
    text: str
    tree: Any = None
    why: str = ""


def schema_files(place: Path) -> list[tuple[Path, str]]:
    """The files of a schema with their texts, in the order in which they are run.

    Versions are ordered by their numbers (``V2__x.sql`` before ``V10__x.sql``), what is repeatable (``R__x.sql``) comes last.
    What undoes a migration is left out: files that are called so, and the second part of one.

    Raises:
        XcError: there is none.
        DataFileError: one cannot be read.
    """
    found = [place] if place.is_file() else [p for p in place.rglob("*.sql") if not _UNDOES.search(p.name)]
    if not found:
        raise XcError(
            _("{place}: there is no .sql file in it", place=place),
            mend=_("name the directory of the schema's files, or of its migrations"),
        )
    root = place if place.is_dir() else place.parent
    found.sort(key=lambda path: _order(path.relative_to(root)))
    return [(path, _read(path)) for path in found]


def _order(path: Path) -> tuple[bool, list[tuple[int, int, str]]]:
    parts = [part for step in path.parts for part in re.split(r"(\d+)", step.lower())]
    return bool(_REPEATABLE.match(path.name)), [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p]


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DataFileError(_("{path}: holds more than {n} MiB", path=path, n=MOST_BYTES >> 20))
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=path, why=system_error(error))) from error
    except UnicodeDecodeError as error:
        raise DataFileError(_("{path}: not UTF-8 (byte {n})", path=path, n=error.start)) from error
    return _DOWN_PART.sub("", text)


def statements(files: Sequence[tuple[Path, str]], root: Path, dialect: Dialect) -> Iterator[Statement]:
    """All statements of the files, parsed.

    Raises:
        MissingDependency: there is no sqlglot.
    """
    for path, text in files:
        name = path.relative_to(root).as_posix()
        for line, one in _split(_prepared(text, dialect), dialect):
            tree, why = parse(one, dialect)
            yield Statement(name, line, one, tree, why)


def parse(text: str, dialect: Dialect) -> tuple[Any, str]:
    """The tree of a statement, or None and why there is none."""
    with optional("sdk_ast"):
        import sqlglot
        from sqlglot import exp
        from sqlglot.errors import SqlglotError

    logger = logging.getLogger("sqlglot")
    before, logger.disabled = logger.disabled, True
    try:
        tree = sqlglot.parse_one(text, read=dialect.name)
    except (SqlglotError, RecursionError, ValueError, AttributeError, TypeError) as error:
        if _USUAL.search(text):
            return parse(_USUAL.sub("", text), dialect)
        return None, re.sub(r"\x1b\[\d*m", "", str(error).splitlines()[0])[:200]
    finally:
        logger.disabled = before
    if isinstance(tree, exp.Command | exp.Block):
        return None, ""
    return tree, ""


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


def _prepared(text: str, dialect: Dialect) -> str:
    """Without what is said to a command line client, lines kept."""
    if dialect.name == "postgres":
        text = _CLIENTS.sub("", _COPIED.sub(_blank, text))
    if dialect.name == "mysql":
        text = _CONDITIONAL.sub(lambda match: match[1], text)
    return text


def _split(text: str, dialect: Dialect) -> Iterator[tuple[int, str]]:
    line, delimiter = 1, ";"
    chunk: list[str] = []
    start = 1
    for row in text.splitlines():
        if match := _DELIMITER.match(row):
            yield from _chunk("\n".join(chunk), start, delimiter, dialect)
            chunk, start, delimiter = [], line + 1, match[1]
        else:
            chunk.append(row)
        line += 1
    yield from _chunk("\n".join(chunk), start, delimiter, dialect)


def _chunk(text: str, line: int, delimiter: str, dialect: Dialect) -> Iterator[tuple[int, str]]:
    if delimiter != ";":
        for part in text.split(delimiter):
            if part.strip():
                yield line, part.strip()
            line += part.count("\n")
        return
    with optional("sdk_ast"):
        from sqlglot import tokens as known
        from sqlglot.dialects.dialect import Dialect as Known
        from sqlglot.errors import SqlglotError
    try:
        tokens = Known.get_or_raise(dialect.name).tokenize(text)
    except (SqlglotError, ValueError):
        # Nothing says where its statements end: it is one that is not understood.
        if text.strip():
            yield line, text.strip()
        return
    TokenType: Any = known.TokenType  # type: ignore[attr-defined]  # noqa: N806
    first: Any = None
    depth, program, previous = 0, False, ""
    for token in tokens:
        if first is None:
            if token.token_type is TokenType.SEMICOLON:
                continue
            first, depth, program = token, 0, bool(_PROGRAM.match(text[token.start : token.start + 300]))
            previous = ""
        word = token.text.upper()
        if program and token.token_type not in (TokenType.STRING, TokenType.HEREDOC_STRING, TokenType.IDENTIFIER):
            if word in ("BEGIN", "CASE") and previous != "END":
                depth += 1
            elif word in ("IF", "LOOP", "WHILE", "REPEAT") and previous == "END":
                depth += 1  # it was no END of a block
            elif word == "END":
                depth = max(0, depth - 1)
        previous = word
        if token.token_type is TokenType.SEMICOLON and depth <= 0:
            yield line + first.line - 1, text[first.start : token.start].strip()
            first = None
    if first is not None:
        yield line + first.line - 1, text[first.start :].strip()
