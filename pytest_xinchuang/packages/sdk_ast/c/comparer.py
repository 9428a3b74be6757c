"""C APIs, compared as source and as binary: headers by what a client of each gets, libraries by what programs bind."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.packages.sdk_ast.c.deliverycompare import DeliveredComparer, Headers
from pytest_xinchuang.packages.sdk_ast.c.libraries import LIBRARIES
from pytest_xinchuang.packages.sdk_ast.c.macrocompare import macro_change
from pytest_xinchuang.packages.sdk_ast.c.text import CText
from pytest_xinchuang.packages.sdk_ast.c.types import PACKAGE
from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.comparer import PackageRules, place_of
from pytest_xinchuang.packages.sdk_ast.snapshot import ApiPackage, Symbol, Type
from pytest_xinchuang.packages.sdk_ast.words import KINDS, listed, word

_REMOVED = {
    "func": "C-FUNC-REMOVED",
    "var": "C-VAR-REMOVED",
    "const": "C-CONST-REMOVED",
    "macro": "C-MACRO-REMOVED",
}
"""Kind of a symbol -> the rule about its removal; other kinds are types."""

RESERVED = "__"
"""Names that begin so are the implementation's (C17 7.1.3): a library that declares some promises nothing of them."""

SPARE = re.compile(r"_*(reserved|unused|pad|padding|spare|rsvd)[0-9]*_*", re.I)
"""Members that hold space for later versions, by the names that libraries give them."""

_ATTRIBUTES = ("noreturn", "nodiscard", "deprecated", "weak", "macro")
_RECORDS = ("struct", "union")


class CComparer(DeliveredComparer):
    """Compares what two versions of a library in C deliver."""

    package_rules = PackageRules(
        unverifiable="C-UNVERIFIABLE",
        added="C-LIBRARY-ADDED",
        removed="C-LIBRARY-REMOVED",
        target_removed="C-LIBRARY-REMOVED",
        certain=frozenset({"C-HEADER-BROKEN", "C-HEADER-REMOVED"}),
    )

    def placed(self, change: Change) -> Change:
        if change.symbol.startswith(RESERVED) and change.rule != "C-SYMBOL-ADDED":
            return replace(change, rule="C-RESERVED-CHANGED", cause="")
        return change

    def compare_package(self, old: ApiPackage, new: ApiPackage) -> None:
        if old.record.path == LIBRARIES:
            self._libraries()
            return
        self._renamed = _renames(old.symbols, new.symbols)
        before, after = Headers(old.symbols), Headers(new.symbols)
        pairs = {}
        for name, symbol in old.symbols.items():
            if symbol["kind"] == "header" or " <" in name:
                continue
            if (other := new.symbols.get(name)) is None:
                self.removed(PACKAGE, name, symbol)
            else:
                pairs[(name, name)] = (name, symbol, other)
        for header in before.names:
            for name in before.declares(header):
                was, now = before.key(header, name), after.key(header, name)
                if name in new.symbols and now in new.symbols and (was, now) != (name, name):
                    pairs[(was, now)] = (name, old.symbols[was], new.symbols[now])
        for name, symbol, other in pairs.values():
            self.compare_symbol(PACKAGE, PACKAGE, name, symbol, other)
        self._headers(before, after, new.symbols)
        for name, symbol in new.symbols.items():
            if " <" not in name and name not in old.symbols and symbol["kind"] != "header":
                self.added(PACKAGE, name, symbol)
            elif symbol["kind"] == "header" and name not in old.symbols:
                self.add("C-SYMBOL-ADDED", name, "", name, at=place_of(symbol))

    # -- symbols

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        rule = _REMOVED.get(symbol["kind"], "C-TYPE-REMOVED")
        if (symbol.get("facts") or {}).get("visibility") in ("hidden", "internal"):
            rule = "C-RESERVED-CHANGED"
        self.add(rule, name, CText().symbol(symbol), "", cause=f"- {name}")

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        self.add("C-SYMBOL-ADDED", name, "", CText().symbol(symbol), at=place_of(symbol))

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        texts = CText().symbol(old), CText().symbol(new)
        at = place_of(new)
        kind = old["kind"]
        if kind != new["kind"]:
            self._kind(name, old, new, texts, at)
        elif kind in ("func", "var"):
            self._linkage(name, old, new, at)
            if kind == "func":
                self._function(name, old["type"], self._map(new["type"]), texts, at)
            elif old["type"] != self._map(new["type"]):
                self.add("C-VAR-TYPE-CHANGED", name, *texts, at=at)
        elif kind == "const":
            if old.get("value") != new.get("value"):
                self.add("C-CONST-VALUE-CHANGED", name, *texts, at=at)
        elif kind == "macro":
            if rule := macro_change(name, old, new):
                self.add(rule, name, *texts, at=at)
        else:
            self._type(name, old, new, at)

    def _map(self, t: Any) -> Any:
        """A new type in the words of the old version: where a typedef names both, a tag is no difference."""
        if not self._renamed:
            return t
        if isinstance(t, Mapping):
            found = {key: self._map(value) for key, value in t.items()}
            if found.get("kind") == "named":
                found["name"] = self._renamed.get(found["name"], found["name"])
            return found
        return [self._map(one) for one in t] if isinstance(t, list) else t

    def _kind(self, name: str, old: Symbol, new: Symbol, texts: tuple[str, str], at: str) -> None:
        kinds = old["kind"], new["kind"]
        equal = "value" in old and old.get("value") == new.get("value")
        if equal and kinds == ("const", "macro"):
            self.add("C-CONST-TO-MACRO", name, *texts, at=at)
        elif equal and kinds == ("macro", "const"):
            self.add("C-MACRO-TO-CONST", name, *texts, at=at)
        elif kinds == ("type", "macro") and old.get("alias"):
            self.add("C-TYPEDEF-TO-MACRO", name, *texts, at=at)
        elif kinds[0] == "macro" and kinds[1] == "func" and (old.get("facts") or {}).get("takes"):
            if len(new["type"]["params"]) == old["facts"]["params"] or new["type"].get("variadic"):
                self.add("C-MACRO-BODY-CHANGED", name, *texts, at=at)
            else:
                self.add("C-MACRO-ARITY-CHANGED", name, *texts, at=at)
        else:
            self.add("C-KIND-CHANGED", name, _of_kind(kinds[0], texts[0]), _of_kind(kinds[1], texts[1]), at=at)

    def _linkage(self, name: str, old: Symbol, new: Symbol, at: str) -> None:
        """How a function or variable is found and bound: storage, visibility, names, threads, attributes."""
        was, now = old.get("facts") or {}, new.get("facts") or {}
        bound = self._bound(name, old)
        hides = ("hidden", "internal")
        if now.get("static") and not was.get("static") and bound is None:
            self.add("C-FUNC-INLINED", name, at=at)
        elif now.get("inline") and not was.get("inline") and not was.get("static") and bound is None:
            why = _("no library is delivered that says whether it is exported still")
            self.add("C-FUNC-INLINED", name, undecided=why, at=at)
        elif now.get("visibility") in hides and was.get("visibility") not in hides and bound is None:
            self.add("C-SYMBOL-HIDDEN", name, at=at)
        elif bound is None and not was.get("static") and now.get("link", name) != was.get("link", name):
            self.add("C-LINK-NAME-CHANGED", name, was.get("link", name), now.get("link", name), at=at)
        if (
            was.get("static")
            and not now.get("static")
            and self._is.known
            and not self._is.exported(now.get("link", name))
        ):
            self.add("C-DECLARED-NOT-EXPORTED", name, at=at)
        cxx = was.get("cxx"), now.get("cxx")
        if cxx[0] == was.get("link", name) and cxx[1] not in (None, now.get("link", name)) and not now.get("static"):
            self.add("C-CXX-LINKAGE-LOST", name, str(cxx[0]), str(cxx[1]), at=at)
        if "value" in was and "value" in now and was["value"] != now["value"]:
            self.add("C-CONST-VALUE-CHANGED", name, str(was["value"]), str(now["value"]), at=at)
        if bool(was.get("tls")) != bool(now.get("tls")):
            self.add("C-VAR-TLS-CHANGED", name, at=at)
        if now.get("unavailable") and not was.get("unavailable"):
            self.add("C-SYMBOL-UNAVAILABLE", name, at=at)
        changed = [a for a in _ATTRIBUTES if was.get(a) != now.get(a)]
        if changed:
            texts = (listed(a for a in changed if side.get(a)) for side in (was, now))
            self.add("C-ATTRIBUTE-CHANGED", name, *texts, at=at)

    def _function(self, name: str, old: Type, new: Type, texts: tuple[str, str], at: str) -> None:
        if old == new:
            return
        before, after = old.get("params") or [], new.get("params") or []
        if old.get("name") != new.get("name"):
            self.add("C-FUNC-CONVENTION-CHANGED", name, old.get("name", ""), new.get("name", ""), at=at)
            old, new = ({k: v for k, v in t.items() if k != "name"} for t in (old, new))
        if bool(old.get("hidden")) != bool(new.get("hidden")):
            if old.get("hidden"):
                self.add("C-FUNC-PROTOTYPED", name, *texts, at=at)
                return
            if before:
                self.add("C-FUNC-PARAMS-CHANGED", name, *texts, at=at)
                return
            new = {k: v for k, v in new.items() if k != "hidden"}
        if old == new:
            return
        if len(before) != len(after) or bool(old.get("variadic")) != bool(new.get("variadic")):
            self.add("C-FUNC-PARAMS-CHANGED", name, *texts, at=at)
        elif bare(old) == bare(new):
            looser = all(_const(b) >= _const(a) for a, b in zip(before, after, strict=True))
            result = old["results"] == new["results"]
            self.add("C-FUNC-CONST-ADDED" if looser and result else "C-FUNC-CONST-REMOVED", name, *texts, at=at)
        elif [bare(p) for p in before] != [bare(p) for p in after]:
            self.add("C-FUNC-PARAM-TYPE-CHANGED", name, *texts, at=at)
        else:
            self.add("C-FUNC-RESULT-TYPE-CHANGED", name, *texts, at=at)

    def _type(self, name: str, old: Symbol, new: Symbol, at: str) -> None:
        old, new = self._behind(old, self.old), self._behind(new, self.new)
        before, after = old["type"], self._map(new["type"])
        if bool(old.get("alias")) != bool(new.get("alias")) or (
            before["kind"] != after["kind"] and before["kind"] in _RECORDS
        ):
            self.add("C-TYPE-CHANGED", name, CText().type(before), CText().type(after), at=at)
        elif old.get("alias"):
            if before != after:
                self.add("C-TYPEDEF-CHANGED", name, CText().type(before), CText().type(after), at=at)
        elif before["kind"] in _RECORDS:
            self._record(name, old, {**new, "type": after}, at)
        elif old.get("size") != new.get("size") or before != after:
            self.add("C-TYPE-CHANGED", name, CText().type(before), CText().type(after), at=at)

    def _behind(self, symbol: Symbol, side: Any) -> Symbol:
        """What a typedef of a tag of ours stands for, where the other version has a struct without a tag."""
        t = symbol["type"]
        if (
            symbol.get("alias")
            and t["kind"] == "named"
            and not t.get("qualifiers")
            and t["name"] in self._tags[side is self.new]
        ):
            return dict(side.package(PACKAGE).symbols[t["name"]])
        return symbol

    @property
    def _tags(self) -> tuple[set[str], set[str]]:
        """Tags that only one version gives to what a typedef names: of the old and of the new one."""
        return set(self._renamed.values()), set(self._renamed)

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
            if _spare(n) and old.get("size") == new.get("size"):
                continue
            self.add("C-FIELD-REMOVED", f"{name}.{n}", CText().type(fields[n]["type"]), "", cause=cause, at=at)
        for n in came:
            flexible = now[n]["type"]["kind"] == "array" and now[n]["type"]["length"] < 0
            rule = "C-FLEX-ARRAY-ADDED" if flexible else "C-FIELD-ADDED"
            self.add(rule, f"{name}.{n}", "", CText().type(now[n]["type"]), cause=cause, at=at)
        for n, field_ in fields.items():
            other = now.get(n)
            if other is None or (_spare(n) and field_ != other and old.get("size") == new.get("size")):
                continue
            texts = CText().type(field_["type"]), CText().type(other["type"])
            if bare(field_["type"]) != bare(other["type"]) or _gained_const(field_["type"], other["type"]):
                self.add("C-FIELD-TYPE-CHANGED", f"{name}.{n}", *texts, cause=cause, at=at)
            elif field_["type"] != other["type"]:
                self.add("C-FIELD-CONST-CHANGED", f"{name}.{n}", *texts, cause=cause, at=at)
            if (field_["offset"], field_.get("bits")) != (other["offset"], other.get("bits")):
                self.add("C-FIELD-MOVED", f"{name}.{n}", _offset(field_), _offset(other), cause=cause, at=at)
        if old.get("size") != new.get("size"):
            self.add("C-STRUCT-SIZE-CHANGED", name, str(old.get("size")), str(new.get("size")), cause=cause, at=at)
        if old.get("align") != new.get("align"):
            self.add("C-STRUCT-ALIGN-CHANGED", name, str(old.get("align")), str(new.get("align")), cause=cause, at=at)


def _renames(old: Mapping[str, Symbol], new: Mapping[str, Symbol]) -> dict[str, str]:
    """New name of a record -> its old one, where a typedef says that they are the same."""
    found: dict[str, str] = {}
    for name, symbol in old.items():
        other = new.get(name)
        if symbol["kind"] != "type" or other is None or other["kind"] != "type":
            continue
        was, now = (_tag(name, one) for one in (symbol, other))
        if was and now and was != now and now not in old:
            found[now] = was
    return found


def _tag(name: str, symbol: Symbol) -> str:
    t = symbol["type"]
    if not symbol.get("alias"):
        return name if t["kind"] in _RECORDS else ""
    return str(t["name"]) if t["kind"] == "named" and not t.get("qualifiers") else ""


def _spare(name: str) -> bool:
    """Whether a member is space that later versions may use."""
    return bool(SPARE.fullmatch(name))


def _of_kind(kind: str, text: str) -> Message:
    return _("{kind} {text}", kind=word(KINDS, kind), text=text)


def _offset(member: Mapping[str, Any]) -> str:
    bits = member.get("bits")
    return _("bit {first}, {width} wide", first=bits[0], width=bits[1]) if bits else str(member["offset"])


def bare(t: Any) -> Any:
    """A type without qualifiers."""
    if isinstance(t, Mapping):
        return {k: bare(v) for k, v in t.items() if k != "qualifiers"}
    return [bare(v) for v in t] if isinstance(t, list) else t


def _gained_const(old: Type, new: Type) -> bool:
    return "const" in (new.get("qualifiers") or ()) and "const" not in (old.get("qualifiers") or ())


def _const(t: Type) -> int:
    """How many levels of what a parameter points to are const."""
    count = 0
    while t["kind"] == "pointer":
        t = t["elem"]
        count += "const" in (t.get("qualifiers") or ())
    return count
