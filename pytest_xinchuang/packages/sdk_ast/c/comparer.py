"""C headers, compared as source and as binary interface."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.packages.sdk_ast.c.text import CText
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules, place_of
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol, Type
from pytest_xinchuang.packages.sdk_ast.words import KINDS, word

_MACRO_VERSION = re.compile(r"VERSION|SOVER|RELEASE|BUILD", re.I)

_REMOVED = {
    "func": "C-FUNC-REMOVED",
    "var": "C-VAR-REMOVED",
    "const": "C-CONST-REMOVED",
    "macro": "C-MACRO-REMOVED",
}
"""Kind of a symbol -> the rule about its removal; other kinds are types."""


class CComparer(Comparer):
    """Compares headers."""

    package_rules = PackageRules(unverifiable="C-UNVERIFIABLE")

    def label(self, path: str, name: str = "") -> str:
        return name or "include"

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        rule = _REMOVED.get(symbol["kind"], "C-TYPE-REMOVED")
        self.add(rule, name, CText().symbol(symbol), "", cause=f"- {name}")

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        self.add("C-SYMBOL-ADDED", name, "", CText().symbol(symbol), at=place_of(symbol))

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        texts = CText().symbol(old), CText().symbol(new)
        at = place_of(new)
        kind = old["kind"]
        if kind != new["kind"]:
            self.add("C-KIND-CHANGED", name, _of_kind(kind, texts[0]), _of_kind(new["kind"], texts[1]), at=at)
        elif kind == "func":
            self._function(name, old["type"], new["type"], texts, at)
        elif kind == "var":
            if old["type"] != new["type"]:
                self.add("C-VAR-TYPE-CHANGED", name, *texts, at=at)
        elif kind == "const":
            if old.get("value") != new.get("value"):
                self.add("C-CONST-VALUE-CHANGED", name, *texts, at=at)
        elif kind == "macro":
            self._macro(name, old, new, texts, at)
        else:
            self._type(name, old, new, at)

    def _macro(self, name: str, old: Symbol, new: Symbol, texts: tuple[str, str], at: str) -> None:
        if old.get("value") == new.get("value"):
            return
        if _MACRO_VERSION.search(name):
            rule = "C-MACRO-VERSION-CHANGED"
        elif old.get("facts") or new.get("facts"):
            rule = "C-MACRO-BODY-CHANGED"
        else:
            rule = "C-MACRO-VALUE-CHANGED"
        self.add(rule, name, *texts, at=at)

    def _function(self, name: str, old: Type, new: Type, texts: tuple[str, str], at: str) -> None:
        if old == new:
            return
        before, after = old.get("params") or [], new.get("params") or []
        if len(before) != len(after) or bool(old.get("variadic")) != bool(new.get("variadic")):
            self.add("C-FUNC-PARAMS-CHANGED", name, *texts, at=at)
        elif _bare(old) == _bare(new):
            looser = all(_const(b) >= _const(a) for a, b in zip(before, after, strict=True))
            result = old["results"] == new["results"]
            self.add("C-FUNC-CONST-ADDED" if looser and result else "C-FUNC-CONST-REMOVED", name, *texts, at=at)
        elif [_bare(p) for p in before] != [_bare(p) for p in after]:
            self.add("C-FUNC-PARAM-TYPE-CHANGED", name, *texts, at=at)
        else:
            self.add("C-FUNC-RESULT-TYPE-CHANGED", name, *texts, at=at)

    def _type(self, name: str, old: Symbol, new: Symbol, at: str) -> None:
        before, after = old["type"], new["type"]
        records = ("struct", "union")
        if bool(old.get("alias")) != bool(new.get("alias")) or (
            before["kind"] != after["kind"] and before["kind"] in records
        ):
            self.add("C-TYPE-CHANGED", name, CText().type(before), CText().type(after), at=at)
        elif old.get("alias"):
            if before != after:
                self.add("C-TYPEDEF-CHANGED", name, CText().type(before), CText().type(after), at=at)
        elif before["kind"] in records:
            self._record(name, old, new, at)
        elif old.get("size") != new.get("size") or before != after:
            self.add("C-TYPE-CHANGED", name, CText().type(before), CText().type(after), at=at)

    def _record(self, name: str, old: Symbol, new: Symbol, at: str) -> None:
        before, after = old["type"], new["type"]
        if before.get("hidden") or after.get("hidden"):
            if not before.get("hidden"):
                self.add("C-STRUCT-OPAQUE", name, at=at)
            elif not after.get("hidden"):
                self.add("C-STRUCT-COMPLETED", name, at=at)
            return
        fields = {f["name"]: f for f in before["fields"]}
        now = {f["name"]: f for f in after["fields"]}
        came = [n for n in now if n not in fields]
        gone = [n for n in fields if n not in now]
        cause = f"{name}: {', '.join([*(f'+ {n}' for n in came), *(f'- {n}' for n in gone)])}" if came or gone else name
        for n in gone:
            self.add("C-FIELD-REMOVED", f"{name}.{n}", CText().type(fields[n]["type"]), "", cause=cause, at=at)
        for n in came:
            self.add("C-FIELD-ADDED", f"{name}.{n}", "", CText().type(now[n]["type"]), cause=cause, at=at)
        for n, field_ in fields.items():
            other = now.get(n)
            if other is None:
                continue
            if _bare(field_["type"]) != _bare(other["type"]):
                texts = CText().type(field_["type"]), CText().type(other["type"])
                self.add("C-FIELD-TYPE-CHANGED", f"{name}.{n}", *texts, cause=cause, at=at)
            if (field_["offset"], field_.get("bits")) != (other["offset"], other.get("bits")):
                self.add("C-FIELD-MOVED", f"{name}.{n}", _offset(field_), _offset(other), cause=cause, at=at)
        if old.get("size") != new.get("size"):
            self.add("C-STRUCT-SIZE-CHANGED", name, str(old.get("size")), str(new.get("size")), cause=cause, at=at)
        if old.get("align") != new.get("align"):
            self.add("C-STRUCT-ALIGN-CHANGED", name, str(old.get("align")), str(new.get("align")), cause=cause, at=at)


def _of_kind(kind: str, text: str) -> Message:
    return _("{kind} {text}", kind=word(KINDS, kind), text=text)


def _offset(member: Mapping[str, Any]) -> str:
    bits = member.get("bits")
    return _("bit {first}, {width} wide", first=bits[0], width=bits[1]) if bits else str(member["offset"])


def _bare(t: Any) -> Any:
    """A type without qualifiers."""
    if isinstance(t, dict):
        return {k: _bare(v) for k, v in t.items() if k != "qualifiers"}
    return [_bare(v) for v in t] if isinstance(t, list) else t


def _const(t: Type) -> int:
    """How many levels of what a parameter points to are const."""
    count = 0
    while t["kind"] == "pointer":
        t = t["elem"]
        count += "const" in (t.get("qualifiers") or ())
    return count
