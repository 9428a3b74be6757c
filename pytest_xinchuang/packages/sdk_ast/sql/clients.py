"""Statements of clients of the old schema: rows with values at the edges of types, written, read, replaced and deleted."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_xinchuang.packages.sdk_ast.sql.databases import Session

Facts = Mapping[str, Any]
Row = dict[str, str]

MOST_ROWS = 300
"""Rows that are tried until the old schema takes one."""
_DEEPEST = 6
_WHOLE = {"TINYINT": 7, "SMALLINT": 15, "MEDIUMINT": 23, "INT": 31, "BIGINT": 63}
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


@dataclass(frozen=True)
class Script:
    """Statements of one client.

    Attributes:
        before: statements that make what it needs; where they fail it says nothing.
        also: further symbols that it is about.
    """

    symbol: str
    relation: str
    statements: tuple[str, ...]
    before: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.before, *self.statements)


def quoted(name: str) -> str:
    """A table's or column's name as statements of clients have it; names that were folded are written so."""
    return ".".join(step if _PLAIN.fullmatch(step) else '"' + step.replace('"', '""') + '"' for step in name.split("."))


@dataclass
class Clients:
    """Makes clients of a schema.

    Args:
        objects: the old schema's facts by name.
        hints: numbers and texts that checks of either version speak of.
        session: a database with the old schema, which says what is a right row.
    """

    objects: Mapping[str, Facts]
    hints: Sequence[str]
    dialect: str
    session: Session
    _rows: dict[str, Row | None] = field(default_factory=dict)

    def scripts(self) -> Iterator[Script]:
        """All clients."""
        for key, facts in self.objects.items():
            kind, _space, name = key.partition(" ")
            if facts["of"] == "table":
                types = {one["type"]["name"] for one in facts["columns"] if one["type"].get("user")}
                more = (name, *sorted(types), *sorted({one["table"] for one in facts["references"]}))
                for script in self._table(name, facts):
                    yield replace(script, also=tuple(dict.fromkeys((*script.also, *more))))
            elif facts["of"] == "view":
                for column in facts["names"] or ():
                    text = f"SELECT {quoted(column)} FROM {quoted(name)}"
                    yield Script(f"{name}.{column}", "select", (text,), also=(name,))
            elif facts["of"] == "enum":
                for value in facts["values"]:
                    yield Script(name, "cast", (f"SELECT CAST({literal(value)} AS {quoted(name)})",))
            elif kind == "sequence":
                yield Script(name, "nextval", (f"SELECT nextval({literal(quoted(name))})",))

    # -- rows

    def values(self, column: Facts) -> list[str]:
        """Literals that a column may take, the plainest first."""
        kind = column["type"]
        if kind.get("arrays"):
            return ["'{}'"]
        found = self._of_type(kind)
        return [*dict.fromkeys([*found, *(one for one in self.hints if self._hinted(kind, one)), "NULL"])]

    def _hinted(self, kind: Facts, hint: str) -> bool:
        text = kind["name"] in ("VARCHAR", "TEXT", "CHAR", "BPCHAR", "")
        return hint.startswith("'") is text or self.dialect == "sqlite"

    def _of_type(self, kind: Facts) -> list[str]:
        name, args = kind["name"], kind["args"]
        known = self.objects.get(f"type {name}", {})
        if "values" in kind or known.get("of") == "enum":
            return [literal(value) for value in kind.get("values") or known["values"]]
        if known.get("of") == "domain":
            return self._of_type(known["column"]["type"])
        if name in _WHOLE:
            top = (1 << _WHOLE[name]) - 1
            return ["1", "2", "0", "-1", str(top), str(-top - 1)]
        if name in ("DECIMAL", "DOUBLE", "FLOAT", "REAL"):
            digits, behind = (
                (int(args[0]), int(args[1]) if len(args) > 1 else 0) if args and name == "DECIMAL" else (9, 2)
            )
            most = "9" * (digits - behind) + ("." + "9" * behind if behind else "")
            return ["1", "2", "0", most or "0", f"-{most or '0'}"]
        if name in ("VARCHAR", "TEXT", "CHAR", "BPCHAR"):
            size = int(args[0]) if args and args[0].isdecimal() else 300
            return [literal(one[:size]) for one in ("a", "b", "A", "x" * size, "")]
        if name == "BOOLEAN":
            return ["TRUE", "FALSE"] if self.dialect != "sqlite" else ["1", "0"]
        dates = {
            "DATE": ["'2024-02-29'", "'1970-01-01'"],
            "TIME": ["'12:34:56.789012'", "'00:00:00'"],
            "UUID": ["'00000000-0000-0000-0000-000000000001'", "'00000000-0000-0000-0000-000000000002'"],
            "JSON": ["'{}'", "'[]'"],
            "JSONB": ["'{}'", "'[]'"],
            "VARBINARY": ["''", "'a'"],
            "INET": ["'10.0.0.1'", "'10.0.0.2'"],
            "INTERVAL": ["'1 day'", "'2 days'"],
        }
        if name in dates:
            return dates[name]
        if name.startswith(("TIMESTAMP", "DATETIME")):
            return ["'2024-02-29 12:34:56.789012'", "'1970-01-01 00:00:00'"]
        return ["1", "'a'"] if self.dialect == "sqlite" else ["'1'", "'a'"]

    def _columns(self, facts: Facts) -> list[Facts]:
        """Those that a client may write."""
        return [one for one in facts["columns"] if not one["generated"] and one["identity"] != "always"]

    def row(self, name: str, depth: int = 0) -> Row | None:
        """A row that the old schema takes; None: none was found."""
        if name not in self._rows:
            self._rows[name] = None  # a circle of references ends here
            self._rows[name] = self._found(name, depth)
        return self._rows[name]

    def _found(self, name: str, depth: int) -> Row | None:
        facts = self.objects[f"table {name}"]
        fixed = self._fixed(facts, depth)
        columns = self._columns(facts)
        choices = {one["name"]: [fixed[one["name"]]] if one["name"] in fixed else self.values(one) for one in columns}
        rows = itertools.islice(self._tries(choices), MOST_ROWS)
        first = next(rows, None)
        if first is None:
            return None
        before = self.before(name, depth)
        for batch in ([first], list(rows)):
            answers = self.session.tried([(*before, insert(name, row)) for row in batch])
            for row, answer in zip(batch, answers, strict=True):
                if not answer.said:
                    return row
        return None

    @staticmethod
    def _tries(choices: Mapping[str, list[str]]) -> Iterator[Row]:
        base = {name: values[0] for name, values in choices.items()}
        yield base
        for name, values in choices.items():
            for value in values[1:]:
                yield {**base, name: value}
        chance = random.Random(0)
        while choices:
            yield {name: chance.choice(values) for name, values in choices.items()}

    def _fixed(self, facts: Facts, depth: int) -> Row:
        """Values of columns that refer to another row."""
        found: Row = {}
        for one in facts["references"]:
            target = self.objects.get(f"table {one['table']}")
            parent = self.row(one["table"], depth + 1) if target is not None and depth < _DEEPEST else None
            named = self._named(one)
            for column, other in zip(one["columns"], named, strict=False):
                found[column] = "NULL" if parent is None else parent.get(other, "NULL")
        return found

    def _named(self, one: Facts) -> Sequence[str]:
        if one["named"]:
            return list(one["named"])
        keys = self.objects.get(f"table {one['table']}", {"keys": ()})["keys"]
        return next((list(key["columns"]) for key in keys if key["kind"] == "primary"), [])

    def before(self, name: str, depth: int = 0) -> tuple[str, ...]:
        """Statements that write the rows that a table's row refers to."""
        found: dict[str, None] = {}
        for one in self.objects[f"table {name}"]["references"]:
            table = one["table"]
            if table != name and f"table {table}" in self.objects and depth < _DEEPEST:
                row = self.row(table, depth + 1)
                if row is not None:
                    found |= dict.fromkeys((*self.before(table, depth + 1), insert(table, row)))
        return tuple(found)

    # -- clients of a table

    def _table(self, name: str, facts: Facts) -> Iterator[Script]:
        for column in facts["columns"]:
            yield Script(
                f"{name}.{column['name']}",
                "select",
                (f"SELECT {quoted(column['name'])} FROM {quoted(name)}",),
                also=(name,),
            )
        row = self.row(name)
        if row is None:
            return
        before = self.before(name)
        yield Script(name, "insert", (insert(name, row),), before)
        columns = self._columns(facts)
        needed = {c["name"] for c in columns if not (c["null"] or c["default"] or c["identity"])}
        yield Script(name, "insert", (insert(name, {key: one for key, one in row.items() if key in needed}),), before)
        for column in columns:
            yield from self._column(name, column, row, before)
        yield from self._twice(name, facts, row, before)
        for key in facts["keys"]:
            if not key["where"] and all(part in row for part in key["columns"]):
                listed = ", ".join(map(quoted, key["columns"]))
                text = f"{insert(name, row)} ON CONFLICT ({listed}) DO NOTHING"
                yield Script(f"{name}.{key['name']}", "upsert", (text,), before, also=(name,))
        for one in facts["references"]:
            parent = self._rows.get(one["table"])
            if parent and one["table"] != name and row.get(one["columns"][0]) != "NULL":
                keys = [f"{quoted(k)} = {parent[k]}" for k in self._named(one) if k in parent]
                text = f"DELETE FROM {quoted(one['table'])} WHERE {' AND '.join(keys)}"
                if keys:
                    yield Script(f"{name}.{one['name']}", "delete", (insert(name, row), text), before)

    def _column(self, name: str, column: Facts, row: Row, before: tuple[str, ...]) -> Iterator[Script]:
        part = column["name"]
        for value in self.values(column):
            text = insert(name, {**row, part: value})
            same = f"{quoted(part)} = {value}" if value != "NULL" else f"{quoted(part)} IS NULL"
            asked = f"SELECT {same} FROM {quoted(name)}"
            statements = [text, asked]
            if self.dialect == "sqlite":
                statements.append(f"SELECT typeof({quoted(part)}) FROM {quoted(name)}")
            elif used := self._use(column):
                statements.append(f"SELECT {used} IS NULL FROM {quoted(name)}")
            yield Script(f"{name}.{part}", "write", tuple(statements), before, also=(name,))

    def _use(self, column: Facts) -> str:
        """An expression that takes a value of the column's type alone."""
        part, kind = quoted(column["name"]), column["type"]["name"]
        if column["type"].get("arrays"):
            return ""
        if kind in _WHOLE:
            return f"{part} % 2"
        if kind in ("DECIMAL", "DOUBLE", "FLOAT"):
            return f"{part} * 1"
        if kind in ("VARCHAR", "TEXT"):
            return f"lower({part})"
        return f"NOT {part}" if kind == "BOOLEAN" else ""

    def _twice(self, name: str, facts: Facts, row: Row, before: tuple[str, ...]) -> Iterator[Script]:
        """Two rows that are alike in one column, or in as many as the old keys let them be."""
        keyed = {part for key in facts["keys"] for part in key["columns"]}
        fixed = {part for one in facts["references"] for part in one["columns"]}
        columns = [c for c in self._columns(facts) if c["name"] not in fixed]
        other = {**row}
        for column in columns:
            values = [value for value in self.values(column) if value not in (row[column["name"]], "NULL")]
            if values:
                other[column["name"]] = values[0]
        alike = {**row, **{part: other[part] for part in keyed if part in other}}
        yield Script(name, "insert twice", (insert(name, row), insert(name, alike)), before)
        for column in columns:
            one = {**other, column["name"]: row[column["name"]]}
            text = (insert(name, row), insert(name, one))
            yield Script(f"{name}.{column['name']}", "insert twice", text, before, also=(name,))
            if column["type"]["name"] in ("VARCHAR", "TEXT"):
                cased = [{**row, column["name"]: "'k'"}, {**other, column["name"]: "'K'"}]
                text = (insert(name, cased[0]), insert(name, cased[1]))
                yield Script(f"{name}.{column['name']}", "insert twice", text, before, also=(name,))


def insert(name: str, row: Row) -> str:
    """An INSERT that names its columns."""
    if not row:
        return f"INSERT INTO {quoted(name)} DEFAULT VALUES"
    return f"INSERT INTO {quoted(name)} ({', '.join(map(quoted, row))}) VALUES ({', '.join(row.values())})"


def literal(text: str) -> str:
    """A text as SQL writes it (SQL:2016, 5.3)."""
    return "'" + text.replace("'", "''") + "'"


def hints(*sides: Mapping[str, Facts]) -> list[str]:
    """Literals that checks speak of, and numbers beside them."""
    found: dict[str, None] = {}
    for objects in sides:
        for facts in objects.values():
            for check in facts.get("checks", ()):
                for one in re.findall(r"'(?:[^']|'')*'", check["text"]):
                    found[one] = None
                for number in re.findall(r"(?<![\w.'])-?\s?\d{1,15}(?![\w.'])", check["text"]):
                    value = int(number.replace(" ", ""))
                    found |= {str(n): None for n in (value, value + 1, value - 1)}
                    if 0 <= value <= 300:
                        found |= {literal("y" * n): None for n in (value, value + 1, max(0, value - 1))}
    return list(found)[:40]
