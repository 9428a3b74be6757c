"""Types of columns by what they hold: whether every value of one is a value of another, and comes back the same."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

Type = Mapping[str, Any]
Relation = Literal["same", "spelling", "wider", "narrower", "other"]

_BITS = {
    "UTINYINT": (0, 8), "TINYINT": (1, 8), "USMALLINT": (0, 16), "SMALLINT": (1, 16), "UMEDIUMINT": (0, 24),
    "MEDIUMINT": (1, 24), "UINT": (0, 32), "INT": (1, 32), "UBIGINT": (0, 64), "BIGINT": (1, 64),
}  # fmt: skip
"""Whole numbers: whether they have a sign, and their bits (PostgreSQL 15, 8.1.1; MySQL 8.0, 11.1.2)."""
_BYTES = {
    "TINYTEXT": 8,
    "TEXT": 16,
    "MEDIUMTEXT": 24,
    "LONGTEXT": 32,
    "TINYBLOB": 8,
    "BLOB": 16,
    "MEDIUMBLOB": 24,
    "LONGBLOB": 32,
}
"""MySQL 8.0, 11.7: the bits of the greatest length."""
_TEXTS = frozenset({"VARCHAR", "TEXT", "NVARCHAR", "TINYTEXT", "MEDIUMTEXT", "LONGTEXT"})
_BLOBS = frozenset({"VARBINARY", "BLOB", "TINYBLOB", "MEDIUMBLOB", "LONGBLOB"})
_TIMES = frozenset({"TIMESTAMP", "TIMESTAMPTZ", "TIME", "TIMETZ", "DATETIME", "TIMESTAMPNTZ"})
_ALIASES = {"TIMESTAMPNTZ": "TIMESTAMP", "BOOL": "BOOLEAN", "NCHAR": "CHAR", "NVARCHAR": "VARCHAR"}
_SECONDS = 6
"""Digits behind the second that PostgreSQL keeps where none are named (PostgreSQL 15, 8.5); MySQL keeps none (8.0, 11.2.6)."""


def type_text(kind: Type) -> str:
    """A type as people write it."""
    args = kind.get("values") or kind["args"]
    return f"{kind['name'] or '-'}{'(' + ','.join(args) + ')' if args else ''}{'[]' * kind.get('arrays', 0)}"


def affinity(kind: Type) -> str:
    """What a column of SQLite turns values into (SQLite, "Datatypes", 3.1); INTEGER and NUMERIC store the same (3)."""
    name = kind["name"].upper()
    if "INT" in name:
        return "NUMERIC"
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if not name or "BLOB" in name or name == "VARBINARY":
        return "BLOB"
    return "REAL" if any(part in name for part in ("REAL", "FLOA", "DOUBLE")) else "NUMERIC"


def related(old: Type, new: Type, dialect: str) -> Relation:
    """How the values of two types are related, for whoever writes those of the old one and reads them again.

    ``wider``: all old values are kept, and there are new ones. ``narrower``: some are refused, or come back changed.
    ``other``: a client gets a value of another kind. ``spelling``: the database makes no difference.
    """
    if dialect == "sqlite":
        if affinity(old) == affinity(new):
            return "same" if old == new else "spelling"
        return "other"
    if old == new:
        return "same"
    if old.get("arrays", 0) != new.get("arrays", 0) or old.get("user") or new.get("user"):
        return "other"
    one, two = (_ALIASES.get(kind["name"], kind["name"]) for kind in (old, new))
    if "values" in old and "values" in new and one == two:
        return _members(old["values"], new["values"])
    if one in _BITS and two in _BITS:
        return _whole(_BITS[one], _BITS[two])
    for family in (_TEXTS, _BLOBS):
        if one in family and two in family:
            return _limited(_length(one, old, dialect), _length(two, new, dialect))
    if one in ("DECIMAL", "UDECIMAL") and two in ("DECIMAL", "UDECIMAL"):
        return _decimal(old, new, dialect)
    if (one, two) == ("FLOAT", "DOUBLE"):
        return "wider"
    if (one, two) == ("DOUBLE", "FLOAT"):
        return "narrower"
    if one != two:
        # What one writes into CHAR comes back with blanks or without them.
        return "other"
    if one in _TIMES:
        usual = 0 if dialect == "mysql" else _SECONDS
        return _limited(*(_number(kind, usual) for kind in (old, new)))
    if one in ("CHAR", "BIT", "BINARY"):
        before, after = (_number(kind, 1) for kind in (old, new))
        if before == after:
            return "spelling"
        # Of a fixed length all values change: they are padded, or PostgreSQL refuses a BIT of another length (15, 8.10).
        return "other" if one == "BIT" else _limited(before, after)
    return "spelling" if old["args"] == new["args"] else "other"


def _members(old: list[str], new: list[str]) -> Relation:
    if set(old) - set(new):
        return "narrower"
    return "wider" if set(new) - set(old) else "spelling"


def _whole(old: tuple[int, int], new: tuple[int, int]) -> Relation:
    def bounds(kind: tuple[int, int]) -> tuple[int, int]:
        signed, bits = kind
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    (low, high), (lowest, highest) = bounds(old), bounds(new)
    if (low, high) == (lowest, highest):
        return "spelling"
    return "wider" if lowest <= low and high <= highest else "narrower"


def _length(name: str, kind: Type, dialect: str) -> float:
    if dialect == "mysql" and name in _BYTES:
        # VARCHAR counts characters and TEXT bytes, of which a character has up to four.
        return float((1 << _BYTES[name]) // (1 if "BLOB" in name else 4))
    return _number(kind, float("inf"))


def _limited(old: float, new: float) -> Relation:
    return "spelling" if old == new else "wider" if new > old else "narrower"


def _number(kind: Type, usual: float) -> float:
    args = kind["args"]
    match = re.match(r"\d+", args[0]) if args else None
    return float(match[0]) if match else usual


def _decimal(old: Type, new: Type, dialect: str) -> Relation:
    (digits, behind), (more, further) = (_digits(kind, dialect) for kind in (old, new))
    if (digits, behind) == (more, further) and old["name"] == new["name"]:
        return "spelling"
    if digits - behind > more - further if digits != float("inf") else more != float("inf"):
        return "narrower"
    if behind > further or (old["name"] == "DECIMAL" and new["name"] == "UDECIMAL"):
        return "narrower"
    return "wider"


def _digits(kind: Type, dialect: str) -> tuple[float, float]:
    """Digits, and those behind the point (PostgreSQL 15, 8.1.2: any; MySQL 8.0, 11.1.3: 10 and 0)."""
    args = kind["args"]
    if not args:
        return (10.0, 0.0) if dialect == "mysql" else (float("inf"), 16383.0)
    return float(args[0]), float(args[1]) if len(args) > 1 else 0.0
