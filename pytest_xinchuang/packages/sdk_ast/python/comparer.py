"""Compares Python packages as callers see them."""

from __future__ import annotations

import re
from typing import Any

from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules, place_of
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol
from pytest_xinchuang.packages.sdk_ast.words import KINDS, PARAMETERS, word

_POSITIONAL = ("positional-only", "positional or keyword")
_KEYWORD = ("keyword-only", "positional or keyword")


class PythonComparer(Comparer):
    """Compares packages."""

    package_rules = PackageRules(
        added="PY-PKG-ADDED",
        removed="PY-PKG-REMOVED",
        target_removed="PY-PKG-TARGET-REMOVED",
        name_changed="PY-PKG-NAME-CHANGED",
        unverifiable="PY-UNVERIFIABLE",
    )

    def compare_package(self, old: Any, new: Any) -> None:
        self._old_symbols, self._new_symbols = old.symbols, new.symbols
        super().compare_package(old, new)

    def label(self, path: str, name: str = "") -> str:
        return f"{path}.{name}" if name else path

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        owner = name.rpartition(".")[0]
        if owner in self._old_symbols and owner not in self._new_symbols:
            return  # told of what held it
        rule = "PY-REMOVED" if symbol["facts"]["public"] else "PY-PRIVATE-REMOVED"
        self.add(rule, self.label(path, name), _text(symbol), "")

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        owner = name.rpartition(".")[0]
        if symbol["facts"]["public"] and (not owner or owner in self._old_symbols):
            self.add("PY-ADDED", self.label(path, name), "", _text(symbol), at=place_of(symbol))

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        before, after = old["facts"], new["facts"]
        if not before["public"]:
            return
        label, at, texts = self.label(path, name), place_of(new), (_text(old), _text(new))
        if not after["public"]:
            self.add("PY-NOT-EXPORTED", label, *texts, at=at)
        if new.get("deprecated") and not old.get("deprecated"):
            self.add("PY-DEPRECATED", label, at=at)
        if "alias" in before or "alias" in after:
            if before.get("alias") != after.get("alias"):
                self.add("PY-ALIAS-CHANGED", label, str(before.get("alias", "-")), str(after.get("alias", "-")), at=at)
            return
        if old["kind"] != new["kind"]:
            self.add("PY-KIND-CHANGED", label, word(KINDS, old["kind"]), word(KINDS, new["kind"]), at=at)
        elif old["kind"] == "func":
            if before["async"] != after["async"]:
                self.add("PY-ASYNC-CHANGED", label, *texts, at=at)
            self._parameters(label, before["params"], after["params"], at)
        elif old["kind"] == "class":
            lost = [b for b in before["bases"] if b not in after["bases"]]
            if lost:
                self.add("PY-BASE-REMOVED", label, ", ".join(lost), ", ".join(after["bases"]), at=at)
        elif old["kind"] == "var" and not before["property"] and old.get("value") != new.get("value"):
            version = re.search(r"version", name, re.I) is not None
            self.add(
                "PY-VERSION-CHANGED" if version else "PY-VALUE-CHANGED",
                label,
                str(old.get("value")),
                str(new.get("value")),
                at=at,
            )

    def _parameters(self, label: str, before: list[dict[str, Any]], after: list[dict[str, Any]], at: str) -> None:
        now = {p["name"]: p for p in after}
        takes = {kind for p in after if (kind := p["kind"]) in ("variadic positional", "variadic keyword")}
        order = [p["name"] for p in after if p["kind"] in _POSITIONAL]
        old_order = [p["name"] for p in before if p["kind"] in _POSITIONAL]
        for p in before:
            member = f"{label}({p['name']})"
            other = now.get(p["name"])
            if p["kind"].startswith("variadic"):
                if p["kind"] not in takes:
                    self.add("PY-PARAM-REMOVED", member, word(PARAMETERS, p["kind"]), "", at=at)
                continue
            if other is None:
                swallowed = "variadic keyword" in takes if p["kind"] == "keyword-only" else False
                rule = "PY-PARAM-SWALLOWED" if swallowed else "PY-PARAM-REMOVED"
                self.add(rule, member, word(PARAMETERS, p["kind"]), "", at=at)
                continue
            narrowed = (p["kind"] in _POSITIONAL and other["kind"] not in _POSITIONAL) or (
                p["kind"] in _KEYWORD and other["kind"] not in _KEYWORD
            )
            if narrowed:
                kinds = word(PARAMETERS, p["kind"]), word(PARAMETERS, other["kind"])
                self.add("PY-PARAM-KIND-CHANGED", member, *kinds, at=at)
            elif p["name"] in order and p["name"] in old_order and order.index(p["name"]) != old_order.index(p["name"]):
                self.add("PY-PARAM-MOVED", member, str(old_order.index(p["name"])), str(order.index(p["name"])), at=at)
            if p["default"] is not None and other["default"] is None:
                self.add("PY-PARAM-REQUIRED", member, p["default"], "", at=at)
            elif p["default"] is not None and p["default"] != other["default"]:
                self.add("PY-PARAM-DEFAULT-CHANGED", member, p["default"], str(other["default"]), at=at)
        known = {p["name"] for p in before}
        for p in after:
            if p["name"] not in known and not p["kind"].startswith("variadic"):
                rule = "PY-PARAM-ADDED-REQUIRED" if p["default"] is None else "PY-PARAM-ADDED"
                self.add(rule, f"{label}({p['name']})", "", word(PARAMETERS, p["kind"]), at=at)


def _text(symbol: Symbol) -> str:
    facts = symbol.get("facts") or {}
    if symbol["kind"] == "func":
        shown = [p["name"] + (f"={p['default']}" if p["default"] is not None else "") for p in facts["params"]]
        return f"{'async ' if facts.get('async') else ''}({', '.join(shown)})"
    if symbol["kind"] == "class":
        return f"class ({', '.join(facts.get('bases', ()))})"
    return str(symbol["value"]) if "value" in symbol else word(KINDS, symbol["kind"])
