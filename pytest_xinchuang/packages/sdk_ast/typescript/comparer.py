"""Compares npm packages as their callers, implementers and readers see them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules, Side, place_of
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol
from pytest_xinchuang.packages.sdk_ast.typescript.functions import (
    Differences,
    compare_overloads,
    compare_type_parameters,
)
from pytest_xinchuang.packages.sdk_ast.typescript.manifests import compare_promises
from pytest_xinchuang.packages.sdk_ast.typescript.positions import IN, OUT, Positions
from pytest_xinchuang.packages.sdk_ast.typescript.reader import GLOBAL, MANIFEST, REQUIRE
from pytest_xinchuang.packages.sdk_ast.typescript.trees import Relation, Text, Tree, nodes, same

UNSTABLE = frozenset({"internal", "alpha", "beta", "experimental"})
"""Tags of TSDoc that promise nothing."""

_TEXT = Text()
_ACCESS = {None: 0, "protected": 1}


def unstable(facts: Mapping[str, Any]) -> bool:
    """Whether documentation says that a symbol may change at any time."""
    return bool(UNSTABLE & set(facts.get("tags") or ()))


def resolver(side: Side) -> Any:
    """What an exported alias without parameters stands for on a side."""

    def resolve(tree: Tree) -> Tree | None:
        package = side.package(tree["e"]) if tree.get("e") else None
        symbol = package.symbols.get(tree["n"]) if package is not None else None
        declared = ((symbol or {}).get("facts") or {}).get("type") or {}
        if declared.get("form") != "alias" or declared.get("tp"):
            return None
        found: Tree = declared.get("t", {**declared, "k": "o"})
        return found

    return resolve


class TypeScriptComparer(Comparer):
    """Compares the entries of a package, what it adds to others, and what package.json promises."""

    package_rules = PackageRules(
        added="TS-ENTRY-ADDED",
        removed="TS-ENTRY-REMOVED",
        target_removed="TS-ENTRY-REMOVED",
        name_changed="TS-PKG-NAME-CHANGED",
        unverifiable="TS-UNVERIFIABLE",
    )

    def __init__(self, old: Side, new: Side, package_map: Mapping[str, str]) -> None:
        super().__init__(old, new, package_map)
        self.reading = Relation(resolver(new), resolver(old))
        self.making = Relation(resolver(old), resolver(new))

    @cached_property
    def positions(self) -> Positions:
        """Of the old side: what its callers could do."""
        return Positions(self.old.snapshot, self.old.target)

    def new_path(self, path: str) -> str:
        suffix = REQUIRE if path.endswith(REQUIRE) else ""
        return super().new_path(path.removesuffix(REQUIRE)) + suffix

    def label(self, path: str, name: str = "") -> str:
        if path.endswith(REQUIRE) and name:
            path = path.removesuffix(REQUIRE)
        if path.endswith("/" + GLOBAL) or path.endswith("/" + MANIFEST):
            return name if path.endswith(GLOBAL) else MANIFEST
        return super().label(path, name)

    # -- symbols

    def _owner(self, name: str, symbols: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
        """Whether what holds it is on one side alone, which is told once."""
        parts = name.split(".")
        holders = [".".join(parts[:n]) for n in range(1, len(parts))]
        return any(holder in symbols and holder not in others for holder in holders)

    def compare_package(self, old: Any, new: Any) -> None:
        self._before, self._after = old.symbols, new.symbols
        super().compare_package(old, new)

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        if self._owner(name, self._before, self._after):
            return
        facts, label = symbol["facts"], self.label(path, name)
        if path.endswith(GLOBAL):
            rule = "TS-AUGMENTATION-REMOVED"
        elif unstable(facts):
            rule = "TS-UNSTABLE-CHANGED"
        elif name == "export=":
            rule = "TS-EXPORT-ASSIGNMENT-CHANGED"
        elif name == "default":
            rule = "TS-DEFAULT-REMOVED"
        else:
            rule = "TS-EXPORT-REMOVED" if facts.get("value") else "TS-TYPE-REMOVED"
        self.add(rule, label, summary(facts), "", at=place_of(symbol))

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        if self._owner(name, self._after, self._before):
            return
        rule = "TS-AUGMENTATION-ADDED" if path.endswith(GLOBAL) else "TS-EXPORT-ADDED"
        if name == "export=" and "default" not in self._before:
            rule = "TS-EXPORT-ASSIGNMENT-CHANGED"
        self.add(rule, self.label(path, name), "", summary(symbol["facts"]), at=place_of(symbol))

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        before, after, label, at = old["facts"], new["facts"], self.label(path, name), place_of(new)
        if path.endswith("/" + MANIFEST):
            entries = {name.partition("/")[2].removesuffix(REQUIRE) for name in self.new.snapshot.packages}
            for rule, symbol, was, now in compare_promises(before, after, entries):
                self.add(rule, symbol, was, now)
            return
        first = len(self.changes)
        self._tags(label, before, after, at)
        stable = len(self.changes)
        value, now = before.get("value"), after.get("value")
        if value and not now:
            self.add("TS-VALUE-LOST", label, summary(before), summary(after), at=at)
        elif value:
            self._value(label, value, now, at)
        declared, redeclared = before.get("type"), after.get("type")
        if declared and not redeclared:
            if not (value and not now):
                self.add("TS-TYPE-REMOVED", label, summary(before), summary(after), at=at)
        elif declared:
            self._type(path.removesuffix(REQUIRE), name, label, declared, redeclared, at)
        if unstable(before) and len(self.changes) > stable:
            del self.changes[first:]
            self.add("TS-UNSTABLE-CHANGED", label, summary(before), summary(after), at=at)
        missing = [one["s"] for one in nodes([before, after]) if one["k"] == "e"]
        if missing and (old["facts"] != new["facts"]):
            why = _("a type of another package was not found: {name}", name=missing[0])
            self.add("TS-UNVERIFIABLE", label, undecided=why, at=at)

    def _tags(self, label: str, before: Mapping[str, Any], after: Mapping[str, Any], at: str) -> None:
        if "deprecated" in after.get("tags", ()) and "deprecated" not in before.get("tags", ()):
            self.add("TS-DEPRECATED", label, at=at)
        if unstable(after) and not unstable(before):
            self.add("TS-MADE-UNSTABLE", label, "", ", ".join("@" + t for t in after["tags"] if t in UNSTABLE), at=at)

    # -- values

    def _value(self, label: str, old: Mapping[str, Any], new: Mapping[str, Any], at: str) -> None:
        if old["form"] == "enum" and new["form"] == "const enum":
            self.add("TS-ENUM-CONST-ADDED", label, old["form"], new["form"], at=at)
        if old["form"] == "class" and new["form"] == "class":
            self._class(label, old, new, at)
        elif "call" in old and "call" in new:
            self._told(label, compare_overloads(old["call"], new["call"], self.making, self.reading), at)
        elif old["form"] != new["form"] and ("class" in (old["form"], new["form"]) or "t" not in old or "t" not in new):
            if {old["form"], new["form"]} - {"enum", "const enum"}:
                self.add("TS-KIND-CHANGED", label, summary({"value": old}), summary({"value": new}), at=at)
        elif "t" in old and "t" in new and not same(old["t"], new["t"]):
            self._variable(label, old, new, at)

    def _variable(self, label: str, old: Mapping[str, Any], new: Mapping[str, Any], at: str) -> None:
        texts = _TEXT.type(old["t"]), _TEXT.type(new["t"])
        kept = self.reading.holds(new["t"], old["t"])
        rule = "TS-VAR-NARROWED" if kept else "TS-VAR-TYPE-CHANGED"
        self.add(rule, label, *texts, at=at)

    def _class(self, label: str, old: Mapping[str, Any], new: Mapping[str, Any], at: str) -> None:
        if new["abstract"] and not old["abstract"]:
            self.add("TS-CLASS-ABSTRACT-ADDED", label, at=at)
        was, now = old["construct"], new["construct"]
        order = ("public", "protected", "private")
        constructor = f"{label}.constructor"
        if order.index(now["access"]) > order.index(was["access"]):
            self.add("TS-CTOR-ACCESS-REDUCED", constructor, was["access"], now["access"], at=at)
        elif was["access"] != "private":
            self._told(constructor, compare_overloads(was["sigs"], now["sigs"], self.making, self.reading), at)
        self._members(label, old["statics"], new["statics"], at, form="class")

    def _told(self, label: str, differences: Differences, at: str) -> None:
        for rule, old, new in differences:
            self.add(rule, label, old, new, at=at)

    # -- types

    def _type(self, path: str, name: str, label: str, old: Mapping[str, Any], new: Mapping[str, Any], at: str) -> None:
        if old["form"] == "enum" and new["form"] == "enum":
            self._enum(label, old["values"], new["values"], self.positions.only(path, name, IN), at)
            return
        if old["form"] != new["form"]:
            self._form(label, old, new, at)
        self._told(
            label, compare_type_parameters(old.get("tp") or [], new.get("tp") or [], self.making, of_type=True), at
        )
        only_in, only_out = (self.positions.only(path, name, one) for one in (IN, OUT))
        if "members" in old and "members" in new:
            self._bases(label, old, new, at)
            form = old["form"] if old["form"] == new["form"] else "interface"
            if form == "class" and new.get("hidden") and not old.get("hidden"):
                self.add("TS-CLASS-PRIVATE-ADDED", label, at=at)
            self._members(label, old["members"], new["members"], at, form=form, only_in=only_in, only_out=only_out)
            self._calls(label, old, new, only_in, at)
            self._index(label, old.get("index") or [], new.get("index") or [], at)
            return
        was, now = (one.get("t", {**one, "k": "o"}) for one in (old, new))
        if old["form"] == "enum" or new["form"] == "enum" or not {"t", "members"} & set(old) or same(was, now):
            return
        self._alias(label, was, now, only_in, only_out, at)

    def _calls(self, label: str, old: Mapping[str, Any], new: Mapping[str, Any], only_in: bool, at: str) -> None:
        for part, suffix in (("call", "()"), ("new", ".new")):
            was, now = old.get(part) or [], new.get(part) or []
            if same(was, now):
                continue
            if not only_in:
                self._told(label + suffix, compare_overloads(was, now, self.making, self.reading), at)
                continue
            # Callers write such functions, and call none.
            texts = ["; ".join(map(_TEXT.signature, one)) for one in (was, now)]
            made = self.making.overloads(was, now)
            self.add("TS-ALIAS-WIDENED-INPUT" if made else "TS-CALLBACK-CHANGED", label + suffix, *texts, at=at)

    def _form(self, label: str, old: Mapping[str, Any], new: Mapping[str, Any], at: str) -> None:
        forms = (old["form"], new["form"])
        if "enum" in forms:
            self.add("TS-TYPE-FORM-CHANGED", label, *forms, at=at)
        elif "members" in new and "members" in old:
            self.add("TS-TYPE-DECLARED-OTHERWISE", label, *forms, at=at)

    def _alias(self, label: str, old: Tree, new: Tree, only_in: bool, only_out: bool, at: str) -> None:
        texts = _TEXT.type(old), _TEXT.type(new)
        made, read = self.making.holds(old, new), self.reading.holds(new, old)
        if made and not read:
            self.add(
                "TS-ALIAS-WIDENED-INPUT" if only_in and read is False else "TS-ALIAS-WIDENED", label, *texts, at=at
            )
        elif read and not made:
            self.add(
                "TS-ALIAS-NARROWED-OUTPUT" if only_out and made is False else "TS-ALIAS-NARROWED", label, *texts, at=at
            )
        elif not (made and read):
            self.add("TS-ALIAS-CHANGED", label, *texts, at=at)

    def _enum(self, label: str, old: Mapping[str, Any], new: Mapping[str, Any], only_in: bool, at: str) -> None:
        for name, value in old.items():
            if name not in new:
                self.add("TS-ENUM-MEMBER-REMOVED", f"{label}.{name}", str(value), "", at=at)
            elif value != new[name]:
                self.add("TS-ENUM-VALUE-CHANGED", f"{label}.{name}", repr(value), repr(new[name]), at=at)
        for name in new:
            if name not in old:
                rule = "TS-ENUM-MEMBER-ADDED-INPUT" if only_in else "TS-ENUM-MEMBER-ADDED"
                self.add(rule, f"{label}.{name}", "", repr(new[name]), at=at)

    def _bases(self, label: str, old: Mapping[str, Any], new: Mapping[str, Any], at: str) -> None:
        now = [_TEXT.type(one) for one in new.get("bases") or []]
        for base in old.get("bases") or []:
            if not any(same(base, one) for one in new.get("bases") or []):
                rule = "TS-CLASS-BASE-REMOVED" if old["form"] == "class" else "TS-INTERFACE-BASE-REMOVED"
                self.add(rule, label, _TEXT.type(base), ", ".join(now), at=at)

    def _index(self, label: str, old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]], at: str) -> None:
        for one in old:
            text = f"[{_TEXT.type(one['key'])}]: {_TEXT.type(one['t'])}"
            other = next((n for n in new if same(n["key"], one["key"])), None)
            if other is None:
                self.add("TS-INDEX-REMOVED", label, text, "", at=at)
            elif not same(one, other):
                self.add(
                    "TS-INDEX-CHANGED", label, text, f"[{_TEXT.type(other['key'])}]: {_TEXT.type(other['t'])}", at=at
                )
        for one in new:
            if not any(same(n["key"], one["key"]) for n in old):
                self.add("TS-INDEX-ADDED", label, "", f"[{_TEXT.type(one['key'])}]: {_TEXT.type(one['t'])}", at=at)

    # -- members

    def _members(
        self,
        label: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        at: str,
        *,
        form: str,
        only_in: bool = False,
        only_out: bool = False,
    ) -> None:
        for name, member in old.items():
            symbol = f"{label}.{name}"
            if name not in new:
                rule = "TS-UNSTABLE-CHANGED" if unstable(member) else "TS-MEMBER-REMOVED"
                self.add(rule, symbol, _member(name, member), "", at=at)
            elif not same(member, new[name]) or member.get("tags") != new[name].get("tags"):
                self._member(symbol, name, member, new[name], form, only_in, only_out, at)
        for name, member in new.items():
            if name not in old:
                self.add(_added(member, form, only_out), f"{label}.{name}", "", _member(name, member), at=at)

    def _member(
        self,
        symbol: str,
        name: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        form: str,
        only_in: bool,
        only_out: bool,
        at: str,
    ) -> None:
        first = len(self.changes)
        self._tags(symbol, old, new, at)
        texts = _member(name, old), _member(name, new)
        if _ACCESS[new.get("access")] > _ACCESS[old.get("access")]:
            self.add("TS-MEMBER-ACCESS-REDUCED", symbol, *texts, at=at)
        elif new.get("access") != old.get("access"):
            self.add("TS-MEMBER-ACCESS-WIDENED", symbol, *texts, at=at)
        if new.get("ro") and not old.get("ro"):
            self.add("TS-MEMBER-READONLY-ADDED", symbol, *texts, at=at)
        if new.get("wo") and not old.get("wo"):
            self.add("TS-MEMBER-GETTER-LOST", symbol, *texts, at=at)
        if new.get("abstract") and not old.get("abstract"):
            self.add("TS-MEMBER-ABSTRACT-ADDED", symbol, *texts, at=at)
        if new.get("opt") and not old.get("opt"):
            self.add("TS-MEMBER-OPTIONAL-INPUT" if only_in else "TS-MEMBER-OPTIONAL", symbol, *texts, at=at)
        elif old.get("opt") and not new.get("opt"):
            read_alone = only_out or form == "class"
            self.add("TS-MEMBER-REQUIRED-OUTPUT" if read_alone else "TS-MEMBER-REQUIRED", symbol, *texts, at=at)
        if form == "class" and old["kind"] != new["kind"]:
            self.add("TS-MEMBER-KIND-CHANGED", symbol, *texts, at=at)
        if "call" in old and "call" in new:
            self._told(symbol, compare_overloads(old["call"], new["call"], self.making, self.reading, method=form), at)
        else:
            self._property(symbol, old, new, form, only_in, only_out, at)
        if unstable(old) and len(self.changes) > first:
            del self.changes[first:]
            self.add("TS-UNSTABLE-CHANGED", symbol, *texts, at=at)

    def _property(
        self,
        symbol: str,
        old: Mapping[str, Any],
        new: Mapping[str, Any],
        form: str,
        only_in: bool,
        only_out: bool,
        at: str,
    ) -> None:
        was, now = (one.get("t") or {"k": "o", "members": {}, "call": one["call"]} for one in (old, new))
        if "w" in old and self.making.holds(old["w"], new.get("w") or now) is not True and not new.get("ro"):
            self.add("TS-MEMBER-SETTER-NARROWED", symbol, _TEXT.type(old["w"]), _TEXT.type(new.get("w") or now), at=at)
        if same(was, now):
            return
        texts = _TEXT.type(was), _TEXT.type(now)
        made, read = self.making.holds(was, now), self.reading.holds(now, was)
        written = not only_out and not (form == "class" and old.get("ro"))
        if made and read is False:
            self.add("TS-MEMBER-WIDENED-INPUT" if only_in else "TS-MEMBER-WIDENED", symbol, *texts, at=at)
        elif read and made is False:
            self.add("TS-MEMBER-NARROWED" if written else "TS-MEMBER-NARROWED-OUTPUT", symbol, *texts, at=at)
        elif not (made and read):
            self.add("TS-MEMBER-TYPE-CHANGED", symbol, *texts, at=at)


def _added(member: Mapping[str, Any], form: str, only_out: bool) -> str:
    if member.get("abstract"):
        return "TS-ABSTRACT-MEMBER-ADDED"
    if form == "class" or member.get("opt"):
        return "TS-MEMBER-ADDED"
    return "TS-MEMBER-ADDED-OUTPUT" if only_out else "TS-MEMBER-ADDED-REQUIRED"


def _member(name: str, member: Mapping[str, Any]) -> str:
    words = [word for word in (member.get("access"), "abstract" if member.get("abstract") else "") if word]
    return " ".join([*words, "; ".join(_TEXT.member(name, member))])


def summary(facts: Mapping[str, Any]) -> str:
    """A symbol in one line."""
    value, declared = facts.get("value") or {}, facts.get("type") or {}
    if "call" in value:
        return "; ".join("function" + _TEXT.signature(one) for one in value["call"])
    if "t" in value:
        return f"{value['form']}: {_TEXT.type(value['t'])}"
    if value:
        return str(value["form"])
    if "t" in declared:
        return f"type = {_TEXT.type(declared['t'])}"
    text = str(declared.get("form") or ("namespace" if facts.get("namespace") else ""))
    return re.sub(r"\balias\b", "type", text)
