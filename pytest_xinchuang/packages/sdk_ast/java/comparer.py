"""Compares packages of classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules
from pytest_xinchuang.packages.sdk_ast.java.signature import parse_descriptor
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol, Type


class JavaText:
    """Writes Java types."""

    def type(self, t: Type | None) -> str:
        if t is None:
            return "?"
        if t["kind"] == "slice":
            return self.type(t["elem"]) + "[]"
        if t["kind"] == "func":
            return f"{self.type(t['results'][0])} ({', '.join(self.type(p) for p in t['params'])})"
        return str(t["name"]).replace("$", ".")

    def symbol(self, s: Symbol) -> str:
        facts = s.get("facts") or {}
        words = [w for w in (facts.get("access"), *(w for w in ("static", "abstract", "final") if facts.get(w))) if w]
        if s["kind"] == "class":
            return " ".join([*words, facts["kind"]])
        return " ".join([*words, self.type(s.get("type"))]) + (f" = {s['value']}" if "value" in s else "")


_RANK = {"package": 0, "protected": 1, "public": 2}


_REMOVED = {"class": "JAVA-CLASS-REMOVED", "method": "JAVA-METHOD-REMOVED", "field": "JAVA-FIELD-REMOVED"}
"""Kind of a symbol -> the rule about its removal."""


class JavaComparer(Comparer):
    """Compares packages of classes."""

    package_rules = PackageRules(
        added="JAVA-PKG-ADDED",
        removed="JAVA-PKG-REMOVED",
        target_removed="JAVA-PKG-TARGET-REMOVED",
        name_changed="JAVA-PKG-NAME-CHANGED",
        unverifiable="JAVA-UNVERIFIABLE",
    )

    def compare_package(self, old: Any, new: Any) -> None:
        self._old_symbols, self._new_symbols = old.symbols, new.symbols
        super().compare_package(old, new)

    def label(self, path: str, name: str = "") -> str:
        return f"{path}.{_shown(name)}" if name else path

    def _class_of(self, name: str, symbols: Mapping[str, Symbol]) -> Mapping[str, Any]:
        owner = symbols.get(name.partition("#")[0])
        return (owner or {}).get("facts") or {}

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        owner = name.partition("#")[0]
        if symbol["kind"] != "class" and owner not in self._new_symbols:
            return  # told of the class
        facts = symbol["facts"]
        if facts["access"] == "protected" and not self._class_of(name, self._old_symbols).get("open"):
            return  # nobody else could see it
        text = JavaText().symbol(symbol)
        if symbol["kind"] == "method":
            method = name.partition("#")[2].partition("(")[0]
            same = [n for n in self._new_symbols if n.startswith(f"{owner}#{method}(") and n not in self._old_symbols]
            if same:
                now = JavaText().symbol(self._new_symbols[same[0]])
                self.add("JAVA-METHOD-CHANGED", self.label(path, name), text, now)
                return
        self.add(_REMOVED[symbol["kind"]], self.label(path, name), text, "", cause=f"- {self.label(path, name)}")

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        owner = name.partition("#")[0]
        if symbol["kind"] != "class" and owner not in self._old_symbols:
            return
        facts = symbol["facts"]
        before = self._class_of(name, self._old_symbols)
        text = JavaText().symbol(symbol)
        rule = "JAVA-SYMBOL-ADDED"
        if symbol["kind"] == "method" and facts["abstract"] and before.get("open"):
            rule = "JAVA-ABSTRACT-METHOD-ADDED"
        elif symbol["kind"] == "method" and before.get("kind") == "interface" and not facts["static"]:
            rule = "JAVA-DEFAULT-METHOD-ADDED"
        self.add(rule, self.label(path, name), "", text)

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        label = self.label(path, name)
        before, after = old["facts"], new["facts"]
        texts = JavaText().symbol(old), JavaText().symbol(new)
        if _RANK[after["access"]] < _RANK[before["access"]]:
            self.add("JAVA-ACCESS-REDUCED", label, *texts)
        if old["kind"] == "class":
            self._class(label, before, after, texts)
        elif before["access"] == "public" or self._class_of(name, self._old_symbols).get("open"):
            self._member(label, name, old, new, texts)
        if new.get("deprecated") and not old.get("deprecated"):
            self.add("JAVA-DEPRECATED", label)

    def _class(self, label: str, before: Mapping[str, Any], after: Mapping[str, Any], texts: tuple[str, str]) -> None:
        if before["kind"] != after["kind"]:
            self.add("JAVA-CLASS-KIND-CHANGED", label, before["kind"], after["kind"])
            return
        if after["final"] and not before["final"] and before["open"]:
            self.add("JAVA-CLASS-FINAL-ADDED", label, *texts)
        if after["sealed"] and not before["sealed"] and before["open"]:
            self.add("JAVA-CLASS-SEALED", label, *texts)
        if after["abstract"] and not before["abstract"]:
            self.add("JAVA-CLASS-ABSTRACT-ADDED", label, *texts)
        lost = sorted(set(before["super"]) - set(after["super"]))
        if lost:
            self.add("JAVA-SUPERTYPE-REMOVED", label, ", ".join(lost), "")
        if before["static"] != after["static"]:
            self.add("JAVA-CLASS-STATIC-CHANGED", label, *texts)
        if before["signature"].startswith("<") and not after["signature"].startswith("<"):
            self.add("JAVA-CLASS-GENERIC-LOST", label, before["signature"], after["signature"])

    def _member(self, label: str, name: str, old: Symbol, new: Symbol, texts: tuple[str, str]) -> None:
        before, after = old["facts"], new["facts"]
        if before["static"] != after["static"]:
            self.add("JAVA-STATIC-CHANGED", label, *texts)
        if old["kind"] == "field":
            if old["type"] != new["type"]:
                self.add("JAVA-FIELD-TYPE-CHANGED", label, *texts)
            elif after["final"] and not before["final"]:
                self.add("JAVA-FIELD-FINAL-ADDED", label, *texts)
            elif "value" in old and old.get("value") != new.get("value"):
                self.add("JAVA-CONSTANT-CHANGED", label, *texts)
            return
        owner = self._class_of(name, self._old_symbols)
        if after["final"] and not before["final"] and owner.get("open"):
            self.add("JAVA-METHOD-FINAL-ADDED", label, *texts)
        if after["abstract"] and not before["abstract"]:
            self.add("JAVA-METHOD-ABSTRACT-ADDED", label, *texts)
        thrown = sorted(set(after["throws"]) - set(before["throws"]))
        if thrown:
            self.add("JAVA-EXCEPTION-ADDED", label, "", ", ".join(thrown))
        elif gone := sorted(set(before["throws"]) - set(after["throws"])):
            self.add("JAVA-EXCEPTION-REMOVED", label, ", ".join(gone), "")


def _shown(name: str) -> str:
    """``T#m(IJ)V`` as ``T#m(int, long)``."""
    owner, mark, member = name.partition("#")
    if not mark or "(" not in member:
        return name
    method, _, rest = member.partition("(")
    params = parse_descriptor(f"({rest}")["params"]
    shown = owner.rpartition(".")[2] if method == "<init>" else method
    return f"{owner}#{shown}({', '.join(JavaText().type(p) for p in params)})"
