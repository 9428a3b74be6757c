"""What differs between two versions of a table: for those who read its rows, and for those who write the rows of old."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.sql.checks import Atom, atoms, implied
from pytest_xinchuang.packages.sdk_ast.sql.types import related, type_text

Facts = Mapping[str, Any]
Add = Callable[..., None]

_REFUSING = frozenset({"NO ACTION", "RESTRICT"})
_FRESH = re.compile(r"nextval|uuid|newid|sys_guid|randomblob", re.IGNORECASE)
"""Defaults that are another one in each row."""
_WIDER_SETS = {
    ("utf8", "utf8mb4"),
    ("utf8mb3", "utf8mb4"),
    ("latin1", "utf8mb4"),
    ("ascii", "utf8mb4"),
    ("ascii", "utf8"),
}


@dataclass(frozen=True)
class Side:
    """One version.

    Attributes:
        tables: all of its tables by name, which foreign keys refer to.
        dialect: its dialect's name.
    """

    tables: Mapping[str, Facts]
    dialect: str


class TableComparison:
    """Compares one table.

    Args:
        add: notes a change: rule, symbol, old, new, and ``undecided``.
    """

    def __init__(self, add: Add, label: str, old: Side, new: Side) -> None:
        self.add, self.label, self.old, self.new = add, label, old, new

    def compare(self, before: Facts, after: Facts) -> None:
        """Note all that differs."""
        self.before, self.after = before, after
        self.was = {one["name"]: one for one in before["columns"]}
        self.now = {one["name"]: one for one in after["columns"]}
        self._columns()
        self._keys()
        self._checks()
        self._references()
        self._indexes()
        self._options()
        for text in sorted({*before["other"]} ^ {*after["other"]}):
            sides = ("-", text) if text in after["other"] else (text, "-")
            why = _("this is not compared: {text}", text=verbatim(text[:80]))
            self.add("SQL-NOT-READ", self.label, *sides, undecided=why)

    # -- columns

    def _columns(self) -> None:
        gone = [name for name in self.was if name not in self.now]
        came = [name for name in self.now if name not in self.was]
        renamed = self._renamed(gone, came)
        for name in gone:
            if name in renamed:
                self.add("SQL-COLUMN-RENAMED", self._of(name), name, renamed[name])
            else:
                self.add("SQL-COLUMN-REMOVED", self._of(name), name)
        for name in came:
            if name not in renamed.values():
                self._added(self.now[name])
        for name, column in self.was.items():
            if name in self.now:
                self.column(self._of(name), column, self.now[name], bool(self._in_key(name)))
        order = [name for name in self.was if name in self.now]
        if order != (now := [name for name in self.now if name in self.was]):
            self.add("SQL-COLUMN-ORDER-CHANGED", self.label, ", ".join(order), ", ".join(now))

    def _renamed(self, gone: Sequence[str], came: Sequence[str]) -> dict[str, str]:
        """A column that stands where another one stood, and is otherwise as it was."""
        if len(gone) != 1 or len(came) != 1:
            return {}
        one, two = self.was[gone[0]], self.now[came[0]]
        same_place = list(self.was).index(gone[0]) == list(self.now).index(came[0])
        return {gone[0]: came[0]} if same_place and {**one, "name": ""} == {**two, "name": ""} else {}

    def _of(self, name: str) -> str:
        return f"{self.label}.{name}"

    def _in_key(self, name: str) -> list[Facts]:
        return [key for key in self.after["keys"] if name in key["columns"]]

    def _given(self, column: Facts) -> bool:
        """Whether a row that does not say the column gets a value of it."""
        rowid = (
            self.new.dialect == "sqlite"
            and column["type"]["name"] == "INT"
            and any(key["kind"] == "primary" and key["columns"] == [column["name"]] for key in self.after["keys"])
        )
        has_default = column["default"] and column["default"].upper() != "NULL"
        return bool(has_default or column["generated"] or column["identity"] or rowid)

    def _added(self, column: Facts) -> None:
        required = not column["null"] and not self._given(column)
        self.add(
            "SQL-COLUMN-ADDED-REQUIRED" if required else "SQL-COLUMN-ADDED",
            self._of(column["name"]),
            "",
            type_text(column["type"]),
        )

    def column(self, symbol: str, old: Facts, new: Facts, in_key: bool = False) -> None:
        """Compare two columns; of a domain, what is behind its name."""
        self._type(symbol, old, new)
        given = self._given(new)
        if old["null"] and not new["null"]:
            self.add("SQL-COLUMN-NOT-NULL", symbol, "NULL", "NOT NULL")
        elif new["null"] and not old["null"]:
            self.add("SQL-COLUMN-NULLABLE", symbol, "NOT NULL", "NULL")
        if new["generated"] and not old["generated"]:
            self.add("SQL-COLUMN-GENERATED", symbol, "", new["generated"])
        elif old["generated"] != new["generated"]:
            self.add("SQL-COLUMN-GENERATED-CHANGED", symbol, old["generated"], new["generated"] or "-")
        if new["identity"] == "always" and old["identity"] != "always" and not old["generated"]:
            self.add("SQL-COLUMN-IDENTITY-ALWAYS", symbol, old["identity"] or "-", "GENERATED ALWAYS")
        elif old["identity"] and not new["identity"] and not given and not new["null"]:
            self.add("SQL-COLUMN-DEFAULT-REMOVED", symbol, "IDENTITY", "-")
        elif old["default"] != new["default"]:
            if old["default"] and not given and not new["null"]:
                self.add("SQL-COLUMN-DEFAULT-REMOVED", symbol, old["default"], "-")
            elif old["default"] or old["null"]:
                self.add("SQL-COLUMN-DEFAULT-CHANGED", symbol, old["default"] or "-", new["default"] or "-")
        if old.get("on_update", "") != new.get("on_update", ""):
            self.add("SQL-COLUMN-DEFAULT-CHANGED", symbol, old.get("on_update", "-"), new.get("on_update", "-"))
        if old["collation"].lower() != new["collation"].lower():
            self._collation(symbol, old["collation"] or "-", new["collation"] or "-", in_key)
        self._charset(symbol, old.get("charset", ""), new.get("charset", ""))

    def _type(self, symbol: str, old: Facts, new: Facts) -> None:
        one, two = old["type"], new["type"]
        texts = type_text(one), type_text(two)
        if "values" in one and "values" in two and one["name"] == two["name"]:
            compare_values(self.add, symbol, one["values"], two["values"])
            return
        rules = {
            "spelling": "SQL-COLUMN-TYPE-SPELLED",
            "wider": "SQL-COLUMN-TYPE-WIDENED",
            "narrower": "SQL-COLUMN-TYPE-NARROWED",
            "other": "SQL-COLUMN-TYPE-CHANGED",
        }
        if self.new.dialect == "sqlite" and "strict" in self.after.get("options", {}) and one != two:
            self.add(rules["other"], symbol, *texts)
            return
        relation = related(one, two, self.new.dialect)
        if relation != "same":
            self.add(rules[relation], symbol, *texts)

    def _collation(self, symbol: str, old: str, new: str, in_key: bool) -> None:
        if not in_key or (self.new.dialect == "sqlite" and new.upper() in ("-", "BINARY")):
            self.add("SQL-COLUMN-COLLATION-CHANGED", symbol, old, new)
        elif self.new.dialect == "sqlite" and old.upper() in ("-", "BINARY"):
            # NOCASE and RTRIM call texts equal that BINARY does not (SQLite, "Datatypes", 7).
            self.add("SQL-COLLATION-UNIQUE", symbol, old, new)
        else:
            why = _("which texts {new} calls equal is not known here", new=verbatim(new))
            self.add("SQL-COLLATION-UNIQUE", symbol, old, new, undecided=why)

    def _charset(self, symbol: str, old: str, new: str) -> None:
        if old == new or (old, new) in _WIDER_SETS:
            return
        why = _("which characters {new} lacks is not known here", new=verbatim(new or "-"))
        self.add("SQL-CHARSET-CHANGED", symbol, old or "-", new or "-", undecided=why)

    # -- keys

    def _keys(self) -> None:
        old = {_identity(key): key for key in self.before["keys"]}
        new = {_identity(key): key for key in self.after["keys"]}
        for what, key in old.items():
            if what not in new and all(
                _plain(one) in self.now or _plain(one) not in self.was for one in key["columns"]
            ):
                rule = "SQL-PRIMARY-KEY-REMOVED" if key["kind"] == "primary" else "SQL-UNIQUE-REMOVED"
                self.add(rule, self._of(key["name"]), _listed(key["columns"]))
            elif what in new and key["name"] != new[what]["name"] and not key.get("unnamed"):
                self.add("SQL-CONSTRAINT-RENAMED", self._of(key["name"]), key["name"], new[what]["name"])
        for what, key in new.items():
            before = old.get(what)
            if before is None or (key.get("nulls") and not before.get("nulls")):
                rule = "SQL-INDEX-ADDED" if self._harmless(key) else "SQL-UNIQUE-ADDED"
                self.add(rule, self._of(key["name"]), "", _listed(key["columns"]))
            elif before.get("deferrable") and not key.get("deferrable"):
                self.add("SQL-DEFERRABLE-LOST", self._of(key["name"]), "DEFERRABLE", "NOT DEFERRABLE")

    def _harmless(self, key: Facts) -> bool:
        """Whether no two old rows are alike in a new key."""
        for one in self.before["keys"]:
            smaller = set(one["columns"]) <= set(key["columns"]) and one["where"] in ("", key["where"])
            if smaller and (one.get("nulls") or not key.get("nulls")):
                # Where the smaller key has nulls, the larger one has them too.
                return True
        for name in key["columns"]:
            column = self.now.get(name)
            if column is None or name in self.was:
                continue
            if column["identity"] or _FRESH.search(column["default"]):
                return True
            unset = column["default"].upper() in ("", "NULL") and not column["generated"]
            if unset and column["null"] and not key.get("nulls"):
                return True
        return False

    # -- checks

    def _checks(self) -> None:
        old, new = self.before["checks"], self.after["checks"]
        texts = {one["text"] for one in old}
        if {one["text"] for one in new} == texts:
            return
        known = self._known(old, self.before)
        for one in new:
            if one["text"] in texts:
                continue
            symbol = self._of(one["name"])
            found = [implied(atom, known + self._defaults()) for atom in atoms(one["text"], self.new.dialect)]
            related_checks = [other["text"] for other in old if {*other["columns"]} & {*one["columns"]}]
            before = " AND ".join(related_checks) or "-"
            if all(found):
                continue
            if False in found or not related_checks:
                rule = "SQL-CHECK-NARROWED" if related_checks else "SQL-CHECK-ADDED"
                if not related_checks and not any(name in self.was for name in one["columns"]) and self._unset(one):
                    continue
                self.add(rule, symbol, before, one["text"])
            else:
                why = _(
                    "whether all that was allowed is allowed still is not known: {text}", text=verbatim(one["text"])
                )
                self.add("SQL-CHECK-NARROWED", symbol, before, one["text"], undecided=why)
        kept = self._known(new, self.after)
        for one in old:
            lost = one["text"] not in {other["text"] for other in new}
            if lost and not all(implied(atom, kept) for atom in atoms(one["text"], self.new.dialect)):
                self.add("SQL-CHECK-LOOSENED", self._of(one["name"]), one["text"], "-")

    def _known(self, checks: Sequence[Facts], table: Facts) -> list[Atom]:
        found = [atom for one in checks for atom in atoms(one["text"], self.old.dialect)]
        return found + [(f"NOT {one['name']} IS NULL", "is", True) for one in table["columns"] if not one["null"]]

    def _defaults(self) -> list[Atom]:
        """What is true of the columns that old rows do not say."""
        found: list[Atom] = []
        for name, column in self.now.items():
            if name not in self.was and column["default"]:
                found += [(name, "=", atom[2]) for atom in atoms(f"{name} = {column['default']}", self.new.dialect)]
        return found

    def _unset(self, check: Facts) -> bool:
        """Whether all of its columns are null in old rows, which no check refuses but one for nulls (SQL:2016, 4.23.3)."""
        asks = re.search(r"\bIS\b|\bCOALESCE\b|\bIFNULL\b|\bNVL\b|\bCASE\b", check["text"], re.IGNORECASE)
        new = [self.now[name] for name in check["columns"] if name in self.now]
        return not asks and all(one["null"] and not self._given(one) for one in new)

    # -- references

    def _references(self) -> None:
        old = {tuple(one["columns"]): one for one in self.before["references"]}
        new = {tuple(one["columns"]): one for one in self.after["references"]}
        for what, one in old.items():
            if what not in new and all(name in self.now for name in what):
                self.add("SQL-FOREIGN-KEY-REMOVED", self._of(one["name"]), _reference(one))
        for what, one in new.items():
            symbol, before = self._of(one["name"]), old.get(what)
            if before is None:
                if not any(name not in self.was and self.now[name]["null"] and not self._given(self.now[name])
                           for name in what if name in self.now):  # fmt: skip
                    self.add("SQL-FOREIGN-KEY-ADDED", symbol, "", _reference(one))
                continue
            if (before["table"], _named(before, self.old)) != (one["table"], _named(one, self.new)):
                self.add("SQL-FOREIGN-KEY-CHANGED", symbol, _reference(before), _reference(one))
            for event in ("delete", "update"):
                if before[event] != one[event]:
                    refuses = one[event] in _REFUSING and before[event] not in _REFUSING
                    rule = "SQL-FOREIGN-KEY-REFUSES" if refuses else "SQL-FOREIGN-KEY-ACTION-CHANGED"
                    texts = (f"ON {event.upper()} {side[event]}" for side in (before, one))
                    self.add(rule, symbol, *texts)
            if before.get("deferrable") and not one.get("deferrable"):
                self.add("SQL-DEFERRABLE-LOST", symbol, "DEFERRABLE", "NOT DEFERRABLE")

    # -- indexes and options

    def _indexes(self) -> None:
        old = {one["name"]: one for one in self.before["indexes"]}
        new = {one["name"]: one for one in self.after["indexes"]}
        keys = {key["name"] for key in self.after["keys"]}
        for name, one in old.items():
            if name not in new and name not in keys:
                self.add("SQL-INDEX-REMOVED", self._of(name), _listed(one["keys"]))
            elif name in new and {**one, "unnamed": 0} != {**new[name], "unnamed": 0}:
                self.add("SQL-INDEX-CHANGED", self._of(name), _listed(one["keys"]), _listed(new[name]["keys"]))
        for name, one in new.items():
            if name not in old:
                self.add("SQL-INDEX-ADDED", self._of(name), "", _listed(one["keys"]))

    def _options(self) -> None:
        old, new = self.before["options"], self.after["options"]
        for key in sorted({*old, *new}):
            was, now = old.get(key, ""), new.get(key, "")
            if was == now:
                continue
            if key == "strict" and now:
                self.add("SQL-TABLE-STRICT", self.label, "-", "STRICT")
            elif key == "characterset":
                names = (text.lower().rpartition("=")[2].rpartition(" ")[2] for text in (was, now))
                self._charset(self.label, *names)
            else:
                self.add("SQL-TABLE-OPTION-CHANGED", self.label, was or "-", now or "-")


def compare_values(add: Add, symbol: str, old: Sequence[str], new: Sequence[str]) -> None:
    """Compare the values of an enumeration."""
    for value in old:
        if value not in new:
            add("SQL-ENUM-VALUE-REMOVED", symbol, value, ", ".join(new))
    for value in new:
        if value not in old:
            add("SQL-ENUM-VALUE-ADDED", symbol, "", value)
    kept, order = [v for v in old if v in new], [v for v in new if v in old]
    if kept != order:
        add("SQL-ENUM-ORDER-CHANGED", symbol, ", ".join(kept), ", ".join(order))


def _identity(key: Facts) -> tuple[frozenset[str], str]:
    return frozenset(key["columns"]), key["where"]


def _plain(part: str) -> str:
    match = re.match(r"[\w$]+$", part)
    return part if match else ""


def _listed(names: Sequence[str]) -> str:
    return f"({', '.join(names)})"


def _reference(one: Facts) -> str:
    return f"{_listed(one['columns'])} -> {one['table']}{_listed(one['named']) if one['named'] else ''}"


def _named(one: Facts, side: Side) -> tuple[str, ...]:
    """The columns that a foreign key refers to: the primary key where it names none (SQL:2016, 11.8)."""
    if one["named"]:
        return tuple(one["named"])
    keys = side.tables.get(one["table"], {"keys": ()})["keys"]
    return next((tuple(key["columns"]) for key in keys if key["kind"] == "primary"), ())
