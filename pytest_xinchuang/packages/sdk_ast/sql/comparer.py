"""What differs between two schemas: tables, views, types, sequences, functions, and what of either was not understood."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules
from pytest_xinchuang.packages.sdk_ast.snapshot import ApiPackage, Symbol
from pytest_xinchuang.packages.sdk_ast.sql.tables import Side, TableComparison, compare_values
from pytest_xinchuang.packages.sdk_ast.sql.types import type_text

Facts = Mapping[str, Any]

_GIVES = re.compile(r"^(?:GRANT|CREATE\s+(?:EXTENSION|ROLE|USER|SCHEMA))\b", re.IGNORECASE)
"""Statements that take nothing from anybody."""


_BESIDE = re.compile(
    r"^(?:GRANT|REVOKE|COMMENT|CREATE\s+(?:OR\s+REPLACE\s+)?(?:CONSTRAINT\s+)?"
    r"(?:TRIGGER|POLICY|RULE|FUNCTION|PROCEDURE|INDEX|EVENT|EXTENSION|ROLE|USER))\b",
    re.IGNORECASE,
)
"""Statements that do not change what a table's columns are."""


class SqlComparer(Comparer):
    """Compares schemas."""

    package_rules = PackageRules(unverifiable="SQL-NOT-READ")

    def label(self, path: str, name: str = "") -> str:
        return name.partition(" ")[2] or name or path

    def new_path(self, path: str) -> str:
        return path

    def compare_package(self, old: ApiPackage, new: ApiPackage) -> None:
        facts = [{name: one["facts"] for name, one in side.symbols.items()} for side in (old, new)]
        self._facts = facts
        names = [str(one.get("dialect", {}).get("name", "postgres")) for one in facts]
        self._sides = [
            Side({key.removeprefix("table "): one for key, one in side.items() if one["of"] == "table"}, name)
            for side, name in zip(facts, names, strict=True)
        ]
        self._names = {key.partition(" ")[2].rpartition(".")[2] for side in facts for key in side}
        self._unread = _opaque(facts[0], facts[1]) + _opaque(facts[1], facts[0])
        self._renamed = dict(self._renames())
        super().compare_package(old, new)
        self._assumed()

    def placed(self, change: Change) -> Change:
        """The change; what a statement is about that one side alone has, and that was not understood, is undecided."""
        words = [step for step in change.symbol.split(".") if step in self._names]
        about = next((text for text in self._unread if words and _mentions(text, words[0])), "")
        if not about or change.undecided:
            return change
        return replace(change, undecided=_("this statement was not understood: {text}", text=verbatim(about[:80])))

    def _assumed(self) -> None:
        one, two = (side.get("dialect") for side in self._facts)
        if one is None or two is None:
            return
        if one["name"] != two["name"]:
            why = _("the dialects are {old} and {new}; name them with --sql-dialect", old=one["name"], new=two["name"])
            self.add("SQL-NOT-READ", "dialect", one["name"], two["name"], undecided=why)
        elif one["assumed"] or two["assumed"]:
            self.add("SQL-DIALECT-ASSUMED", "dialect", "", two["name"])

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        facts, label = symbol["facts"], self.label(path, name)
        of = facts["of"]
        other = self._facts[1].get(f"{'view' if of == 'table' else 'table'} {label}")
        if of == "opaque":
            self._opaque_changed(facts["text"], "", symbol)
        elif of in ("table", "view") and other is not None:
            self._became(label, facts, other)
        elif name in self._renamed:
            self.add("SQL-TABLE-RENAMED", label, label, self._renamed[name].removeprefix("table "))
        elif of == "function":
            self._function_gone(name, label, facts)
        else:
            rules = {"table": "SQL-TABLE-REMOVED", "view": "SQL-VIEW-REMOVED", "sequence": "SQL-SEQUENCE-REMOVED"}
            self.add(rules.get(of, "SQL-TYPE-REMOVED"), label)

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        facts, label = symbol["facts"], self.label(path, name)
        if facts["of"] == "opaque":
            self._opaque_changed("", facts["text"], symbol)
        elif name not in self._renamed.values() and not any(
            f"{kind} {label}" in self._facts[0] for kind in ("table", "view")
        ):
            self.add("SQL-ADDED", label, "", facts["of"])

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        before, after, label = old["facts"], new["facts"], self.label(path, name)
        if before == after:
            return
        of = before["of"]
        if of != after["of"]:
            self.add("SQL-TYPE-CHANGED", label, of, after["of"])
        elif of == "table":
            TableComparison(self.add, label, *self._sides).compare(before, after)
        elif of == "view":
            self._view(label, before, after)
        elif of == "enum":
            compare_values(self.add, label, before["values"], after["values"])
        elif of == "composite":
            if [one["name"] for one in before["columns"]] != [one["name"] for one in after["columns"]]:
                self.add("SQL-TYPE-CHANGED", label, _names(before), _names(after))
            else:
                self._as_table(label, before["columns"], after["columns"], (), ())
        elif of == "domain":
            self._as_table(label, [before["column"]], [after["column"]], before["checks"], after["checks"])
        elif of == "sequence":
            self.add("SQL-SEQUENCE-CHANGED", label, before["text"] or "-", after["text"] or "-")
        elif of == "function":
            self._function(label, before, after)

    # -- kinds of objects

    def _as_table(self, label: str, old: Any, new: Any, checks: Any, now: Any) -> None:
        empty: dict[str, Any] = {"keys": (), "references": (), "indexes": (), "other": (), "options": {}}
        one, two = ({**empty, "columns": c, "checks": k} for c, k in ((old, checks), (new, now)))
        TableComparison(self.add, label, *self._sides).compare(one, two)

    def _view(self, label: str, before: Facts, after: Facts) -> None:
        self._view_columns(label, before["names"], after["names"], same=before["query"] == after["query"])
        if before["stored"] != after["stored"]:
            texts = ("MATERIALIZED" if side["stored"] else "-" for side in (before, after))
            self.add("SQL-VIEW-QUERY-CHANGED", label, *texts)
        if before["query"] == after["query"] or before["names"] != after["names"]:
            return
        if (before["shown"], before["tables"]) == (after["shown"], after["tables"]):
            self.add("SQL-VIEW-QUERY-CHANGED", label, before["query"], after["query"])
        else:
            why = _("the types of what a view computes are not known here")
            self.add("SQL-VIEW-COLUMNS-CHANGED", label, before["query"], after["query"], undecided=why)

    def _view_columns(self, label: str, old: list[str] | None, new: list[str] | None, *, same: bool) -> None:
        if old is None or new is None:
            if not same:
                why = _("the names of what the view shows cannot be told from its query")
                self.add("SQL-VIEW-COLUMNS-CHANGED", label, undecided=why)
            return
        for name in old:
            if name not in new:
                self.add("SQL-COLUMN-REMOVED", f"{label}.{name}", name)
        for name in new:
            if name not in old:
                self.add("SQL-COLUMN-ADDED", f"{label}.{name}", "", name)
        kept, order = [n for n in old if n in new], [n for n in new if n in old]
        if kept != order:
            self.add("SQL-COLUMN-ORDER-CHANGED", label, ", ".join(kept), ", ".join(order))

    def _became(self, label: str, before: Facts, after: Facts) -> None:
        """A table that is a view now, or the other way round."""
        if before["of"] == "view":
            self.add("SQL-VIEW-QUERY-CHANGED", label, before["query"], "TABLE")
            self._view_columns(label, before["names"], [one["name"] for one in after["columns"]], same=False)
            why = _("the types of what a view computes are not known here")
            self.add("SQL-VIEW-COLUMNS-CHANGED", label, before["query"], "TABLE", undecided=why)
            return
        below = self._sides[1].tables.get(after["over"])
        if below is None or self._sides[1].dialect == "sqlite":
            self.add("SQL-TABLE-BECAME-VIEW", label, "TABLE", "VIEW")
            names = [one["name"] for one in before["columns"]]
            self._view_columns(label, names, after["names"], same=False)
            return
        self.add("SQL-TABLE-BECAME-UPDATABLE", label, "TABLE", f"VIEW {after['query']}")
        self._view_columns(label, [one["name"] for one in before["columns"]], after["names"], same=False)
        shown = set(after["names"] or ())
        TableComparison(self._unless_told, label, *self._sides).compare(
            before, {**below, "columns": [one for one in below["columns"] if one["name"] in shown or _must(one)]}
        )

    def _unless_told(self, rule: str, symbol: str, *texts: str, **more: str) -> None:
        if not any(one.rule == rule and one.symbol == symbol for one in self.changes):
            self.add(rule, symbol, *texts, **more)

    def _renames(self) -> Iterator[tuple[str, str]]:
        """Tables that are there under another name, with the same columns."""
        old, new = self._facts
        came = {name: one for name, one in new.items() if one["of"] == "table" and name not in old}
        for name, one in old.items():
            if one["of"] == "table" and name not in new:
                same = [other for other, two in came.items() if two["columns"] == one["columns"]]
                if len(same) == 1 and f"view {name.removeprefix('table ')}" not in new:
                    yield name, same[0]

    # -- functions

    def _function_gone(self, name: str, label: str, facts: Facts) -> None:
        """A function may have more parameters, if those have defaults; one of other types is another one."""
        for other, one in self._facts[1].items():
            if one["of"] != "function" or one["name"] != facts["name"] or other.split()[0] != name.split()[0]:
                continue
            old, new = facts["parameters"], one["parameters"]
            more = new[len(old) :]
            if [p["type"] for p in new[: len(old)]] == [p["type"] for p in old] and all(p["default"] for p in more):
                self._function(label, facts, one)
                return
        others = [
            other for other, one in self._facts[1].items() if one["of"] == "function" and one["name"] == facts["name"]
        ]
        if others and not any(other in self._facts[0] for other in others):
            self.add("SQL-FUNCTION-SIGNATURE-CHANGED", label, label, ", ".join(o.partition(" ")[2] for o in others))
        else:
            self.add("SQL-FUNCTION-REMOVED", label, label)

    def _function(self, label: str, before: Facts, after: Facts) -> None:
        if before["result"] != after["result"]:
            self.add("SQL-FUNCTION-RESULT-CHANGED", label, before["result"] or "-", after["result"] or "-")
        for was, now in zip(before["parameters"], after["parameters"], strict=False):
            symbol = f"{label}.{was['name']}"
            if was["name"] != now["name"]:
                self.add("SQL-FUNCTION-PARAMETER-RENAMED", symbol, was["name"], now["name"])
            if was["default"] and not now["default"]:
                self.add("SQL-FUNCTION-SIGNATURE-CHANGED", symbol, was["default"], "-")
            elif was["default"] != now["default"] and was["default"]:
                self.add("SQL-COLUMN-DEFAULT-CHANGED", symbol, was["default"], now["default"])
            if was["type"] != now["type"]:
                self.add("SQL-FUNCTION-SIGNATURE-CHANGED", symbol, type_text(was["type"]), type_text(now["type"]))
        if before["body"] != after["body"]:
            self.add("SQL-FUNCTION-BODY-CHANGED", label)

    # -- what was not understood

    def _opaque_changed(self, old: str, new: str, symbol: Symbol) -> None:
        text = old or new
        if new and _GIVES.match(new):
            self.add("SQL-ADDED", _brief(text), "", "statement")
            return
        why: Message = _("this statement was not understood: {text}", text=verbatim(text[:80]))
        self.add("SQL-NOT-READ", _brief(text), old[:80], new[:80], undecided=why, at=str(symbol.get("at", "")))


def _opaque(one: Mapping[str, Facts], two: Mapping[str, Facts]) -> list[str]:
    found = (facts["text"] for name, facts in one.items() if facts["of"] == "opaque" and name not in two)
    return [text for text in found if not _BESIDE.match(text)]


def _mentions(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w$]){re.escape(word)}(?![\w$])", text, re.IGNORECASE) is not None


def _brief(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _names(facts: Facts) -> str:
    return ", ".join(one["name"] for one in facts["columns"])


def _must(column: Facts) -> bool:
    """Whether rows have to say it."""
    return not (column["null"] or column["default"] or column["generated"] or column["identity"])
