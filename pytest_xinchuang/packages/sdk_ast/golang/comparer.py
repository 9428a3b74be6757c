"""Compares two Go APIs as clients see them: by correspondence of types, not by text."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules, place_of
from pytest_xinchuang.packages.sdk_ast.golang.side import GoSide, Mismatch, Name, TypeParams, exported
from pytest_xinchuang.packages.sdk_ast.golang.signatures import FUNCTION, SignatureRules
from pytest_xinchuang.packages.sdk_ast.golang.types import TypeComparison
from pytest_xinchuang.packages.sdk_ast.snapshot import ApiPackage, Symbol, Type
from pytest_xinchuang.packages.sdk_ast.typetext import GoText
from pytest_xinchuang.packages.sdk_ast.words import FACTS, listed, word

_VERSION = re.compile(r'"v?\d+(\.\d+)+[-+.0-9A-Za-z]*"')


class GoComparer(Comparer):
    """Compares Go packages."""

    package_rules = PackageRules(
        added="GO-PKG-ADDED",
        removed="GO-PKG-REMOVED",
        target_removed="GO-PKG-TARGET-REMOVED",
        name_changed="GO-PKG-NAME-CHANGED",
        unverifiable="GO-UNVERIFIABLE",
    )
    old: GoSide
    new: GoSide

    def __init__(self, old: GoSide, new: GoSide, package_map: Mapping[str, str]) -> None:
        super().__init__(old, new, package_map)
        self._pairs: dict[Name, Name] = {}
        self._waiting: list[tuple[Name, Name]] = []
        self._done: set[tuple[Name, Name]] = set()

    # -- packages

    def compare_package(self, old: ApiPackage, new: ApiPackage) -> None:
        """Compare all exported symbols of a package."""
        path, new_path = old.record.path, new.record.path
        for name, symbol in old.symbols.items():
            if exported(name):
                other = new.symbols.get(name)
                if other is None:
                    self.removed(path, name, symbol)
                else:
                    self.compare_symbol(path, new_path, name, symbol, other)
        for name, symbol in new.symbols.items():
            if exported(name) and name not in old.symbols:
                self.added(new_path, name, symbol)
        self._run_waiting()

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        rule = {"func": "GO-FUNC-REMOVED", "var": "GO-VAR-REMOVED", "const": "GO-CONST-REMOVED"}.get(
            symbol["kind"], "GO-TYPE-REMOVED"
        )
        label = self.label(path, name)
        self.add(rule, label, GoText(path).symbol(symbol), "", cause=f"- {label}")

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        self.add("GO-SYMBOL-ADDED", self.label(path, name), "", GoText(path).symbol(symbol), at=place_of(symbol))

    def compare_exposed(self, ids: Sequence[str]) -> None:
        """Compare internal types that a package shows, when the package itself is unchanged."""
        for full in ids:
            path, _, name = full.rpartition(".")
            target = self.new.target_of((self.new_path(path), name))
            if target is not None and target["kind"] == "named":
                self._pair((path, name), (target["package"], target["name"]))
        self._run_waiting()

    def _run_waiting(self) -> None:
        while self._waiting:
            old, new = self._waiting.pop(0)
            before, after = self.old.symbol(old), self.new.symbol(new)
            if before is not None and after is not None:
                self._compare_types(old, new, before, after)

    # -- the same type?

    def same(self, old: Type, new: Type) -> Mismatch | None:
        """None when a client cannot tell ``old`` from ``new``; else the innermost difference."""
        kind, other = old["kind"], new["kind"]
        if kind == "unknown" or other == "unknown":
            return None if kind == other else Mismatch(old, new)
        if kind == "named":
            return self._same_named(old, new)
        if kind != other:
            return Mismatch(old, new)
        if kind == "basic":
            return None if old["name"] == new["name"] else Mismatch(old, new)
        if kind == "typeparam":
            return None if old["index"] == new["index"] and old["of"] == new["of"] else Mismatch(old, new)
        if kind in ("pointer", "slice"):
            return self.same(old["elem"], new["elem"])
        if kind == "array":
            return Mismatch(old, new) if old["length"] != new["length"] else self.same(old["elem"], new["elem"])
        if kind == "map":
            return self.same(old["key"], new["key"]) or self.same(old["elem"], new["elem"])
        if kind == "chan":
            if old["direction"] != new["direction"]:
                return Mismatch(old, new)
            return self.same(old["elem"], new["elem"])
        if kind == "func":
            return self._same_signature(old, new)
        if kind == "struct":
            return self._same_struct(old, new)
        if kind == "interface":
            return self._same_interface(old, new)
        return self._same_list(old.get("elems") or [], new.get("elems") or [], old, new)

    def _same_list(self, old: Sequence[Type], new: Sequence[Type], outer: Type, other: Type) -> Mismatch | None:
        if len(old) != len(new):
            return Mismatch(outer, other)
        for a, b in zip(old, new, strict=True):
            if found := self.same(a, b):
                return found
        return None

    def _same_signature(self, old: Type, new: Type) -> Mismatch | None:
        if bool(old.get("variadic")) != bool(new.get("variadic")):
            return Mismatch(old, new)
        before, after = old.get("typeparams") or [], new.get("typeparams") or []
        if len(before) != len(after):
            return Mismatch(old, new)
        for a, b in zip(before, after, strict=True):
            if found := self.same(a["constraint"], b["constraint"]):
                return found
        return self._same_list(old.get("params") or [], new.get("params") or [], old, new) or self._same_list(
            old.get("results") or [], new.get("results") or [], old, new
        )

    def _same_struct(self, old: Type, new: Type) -> Mismatch | None:
        if len(old["fields"]) != len(new["fields"]) or bool(old.get("hidden")) != bool(new.get("hidden")):
            return Mismatch(old, new)
        for a, b in zip(old["fields"], new["fields"], strict=True):
            if any(a.get(key) != b.get(key) for key in ("name", "embedded", "tag")):
                return Mismatch(old, new)
            if found := self.same(a["type"], b["type"]):
                return found
        return None

    def _same_interface(self, old: Type, new: Type) -> Mismatch | None:
        if bool(old.get("comparable")) != bool(new.get("comparable")) or old.get("hidden") != new.get("hidden"):
            return Mismatch(old, new)
        before, after = old.get("methods") or [], new.get("methods") or []
        if [m["name"] for m in before] != [m["name"] for m in after]:
            return Mismatch(old, new)
        for a, b in zip(before, after, strict=True):
            if found := self.same(a["type"], b["type"]):
                return found
        terms, others = old.get("terms"), new.get("terms")
        if terms is None or others is None:
            return None if terms is others else Mismatch(old, new)
        if not self.covers(terms, others) or not self.covers(others, terms, swapped=True):
            return Mismatch(old, new)
        return None

    def covers(self, terms: Sequence[Any], by: Sequence[Any], *, swapped: bool = False) -> bool:
        """Whether each type of ``terms`` is in the type set ``by``."""
        return all(any(self._term_within(term, other, swapped) for other in by) for term in terms)

    def _term_within(self, term: Mapping[str, Any], other: Mapping[str, Any], swapped: bool) -> bool:
        if term["tilde"] and not other["tilde"]:
            return False
        old, new = (other, term) if swapped else (term, other)
        if self.same(old["type"], new["type"]) is None:
            return True
        # ~int covers each defined type whose underlying type is int.
        side = self.new if swapped else self.old
        if other["tilde"] and term["type"]["kind"] == "named":
            symbol = side.symbol((term["type"]["package"], term["type"]["name"]))
            if symbol is not None and symbol.get("type"):
                inner, outer = symbol["type"], other["type"]
                return (self.same(outer, inner) if swapped else self.same(inner, outer)) is None
        return False

    def _same_named(self, old: Type, new: Type) -> Mismatch | None:
        name = (old["package"], old["name"])
        if self.old.owns(name[0]) and self.old.hidden(name):
            return self._same_hidden(old, new, name)
        path = self.new_path(name[0])
        if not self.old.owns(name[0]):
            # A type of another module. Its own path may be the moved one.
            if new["kind"] == "named" and (new["package"], new["name"]) in ((path, name[1]), name):
                return self._same_args(old, new)
            return Mismatch(old, new)
        expected = self.new.target_of((path, name[1]))
        if expected is None:
            return Mismatch(old, new, cause=f"- {self.label(*name)}")
        if expected["kind"] != "named":
            # The defined type became an alias of a type literal or a basic type.
            return None if _equal(expected, new) else Mismatch(old, new)
        if new["kind"] != "named" or (new["package"], new["name"]) != (expected["package"], expected["name"]):
            return Mismatch(old, new)
        return self._same_args(old, new)

    def _same_args(self, old: Type, new: Type) -> Mismatch | None:
        return self._same_list(old.get("args") or [], new.get("args") or [], old, new)

    def _same_hidden(self, old: Type, new: Type, name: Name) -> Mismatch | None:
        """A type that clients cannot name may be called otherwise, as long as what it offers stays."""
        if new["kind"] != "named":
            symbol = self.old.symbol(name)
            if symbol is None or symbol.get("methods") or symbol.get("alias"):
                return Mismatch(old, new)
            # Merged with a type literal or a basic type: as good as before when that is what it was made of.
            return self.same(symbol["type"], new) and Mismatch(old, new)
        other = (new["package"], new["name"])
        before, after = self.old.symbol(name), self.new.symbol(other)
        if after is None or before is None or before["type"]["kind"] != after.get("type", {}).get("kind"):
            return Mismatch(old, new)
        if self._pairs.get(name, other) != other:
            return Mismatch(old, new, cause=_("{label} is two types now", label=self.label(*name)))
        self._pair(name, other)
        return self._same_args(old, new)

    def _pair(self, old: Name, new: Name) -> None:
        self._pairs.setdefault(old, new)
        if (old, new) not in self._done:
            self._done.add((old, new))
            self._waiting.append((old, new))

    # -- symbols

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        """Compare two declarations of one name."""
        label = self.label(path, name)
        unknown = sorted({*old.get("unknown", ()), *new.get("unknown", ())})
        if unknown:
            self._undecided(path, name, old, new, unknown)
            if "type" in unknown or "value" in unknown:
                return
        if old["kind"] != new["kind"]:
            self._kind_changed(path, new_path, label, old, new)
        elif old["kind"] == "const":
            self._compare_const(path, new_path, label, old, new)
        elif old["kind"] == "var":
            self._compare_var(path, new_path, label, old, new)
        elif old["kind"] == "func":
            self.compare_signature(FUNCTION, path, new_path, label, old["type"], new["type"], at=place_of(new))
        else:
            self._compare_type_names(path, new_path, name, old, new)
        if new.get("deprecated") and not old.get("deprecated"):
            self.add("GO-DEPRECATED", label, at=place_of(new))

    def _undecided(self, path: str, name: str, old: Symbol, new: Symbol, unknown: Sequence[str]) -> None:
        """Facts behind a stub: the same version of the same package hides the same facts."""
        before, after = self.old.package(path), self.new.package(self.new_path(path))
        stubs = {**(before.record.stubs if before else {}), **(after.record.stubs if after else {})}
        same_stubs = before is not None and after is not None and before.record.stubs == after.record.stubs
        plain = {k: v for k, v in old.items() if k != "at"} == {k: v for k, v in new.items() if k != "at"}
        if plain and same_stubs and "type" not in unknown and "value" not in unknown:
            return
        if plain and same_stubs and stubs:
            return
        facts = listed(word(FACTS, fact) for fact in unknown)
        why = _("{facts} not known", facts=facts)
        if stubs:
            modules = (f"{path}@{version}" if version else path for path, version in sorted(stubs.items()))
            lacking = listed(_not_found(module) for module in modules)
            why = _("{facts} not known: {lacking}", facts=facts, lacking=lacking)
        self.add("GO-UNVERIFIABLE", self.label(path, name), undecided=why, at=place_of(new))

    def _kind_changed(self, path: str, new_path: str, label: str, old: Symbol, new: Symbol) -> None:
        pair = (old["kind"], new["kind"])
        rule = {
            ("func", "var"): "GO-FUNC-TO-VAR",
            ("var", "func"): "GO-VAR-TO-FUNC",
            ("const", "var"): "GO-CONST-TO-VAR",
            ("var", "const"): "GO-VAR-TO-CONST",
        }.get(pair, "GO-KIND-CHANGED")
        at = place_of(new)
        if rule == "GO-FUNC-TO-VAR" and (found := self.same(old["type"], new["type"])):
            self.compare_signature(FUNCTION, path, new_path, label, old["type"], new["type"], at=at, found=found)
            return
        self.add(rule, label, GoText(path).symbol(old), GoText(new_path).symbol(new), at=at)

    def _compare_const(self, path: str, new_path: str, label: str, old: Symbol, new: Symbol) -> None:
        before, after = GoText(path).symbol(old), GoText(new_path).symbol(new)
        at = place_of(new)
        if found := self.same(old["type"], new["type"]):
            self.add("GO-CONST-TYPE-CHANGED", label, before, after, cause=self.cause_of(found), at=at)
        elif old.get("value") != new.get("value"):
            values = str(old.get("value", "")), str(new.get("value", ""))
            told = "version" in label.lower() and all(_VERSION.fullmatch(value) for value in values)
            self.add("GO-CONST-VERSION-CHANGED" if told else "GO-CONST-VALUE-CHANGED", label, before, after, at=at)

    def _compare_var(self, path: str, new_path: str, label: str, old: Symbol, new: Symbol) -> None:
        found = self.same(old["type"], new["type"])
        if found is None:
            return
        rule = "GO-VAR-TYPE-CHANGED"
        if old["type"]["kind"] == new["type"]["kind"] == "struct":
            names = [f["name"] for f in old["type"]["fields"]]
            still = [f for f in new["type"]["fields"] if f["name"] in names]
            kept = len(new["type"]["fields"]) > len(names) and not self._same_struct(
                old["type"], {**new["type"], "fields": still}
            )
            rule = "GO-VAR-STRUCT-FIELD-ADDED" if kept else rule
        before, after = GoText(path).symbol(old), GoText(new_path).symbol(new)
        self.add(rule, label, before, after, cause=self.cause_of(found), at=place_of(new))

    def cause_of(self, found: Mismatch) -> str:
        if found.cause:
            return found.cause
        if found.old and found.new and (found.old["kind"] == "named" or found.new["kind"] == "named"):
            return f"{GoText().type(found.old)} -> {GoText().type(found.new)}"
        return ""

    # -- functions and methods

    def compare_signature(
        self,
        rules: SignatureRules,
        path: str,
        new_path: str,
        label: str,
        old: Type,
        new: Type,
        *,
        at: str = "",
        found: Mismatch | None = None,
        cause: str = "",
        names: tuple[TypeParams, TypeParams] = ({}, {}),
    ) -> None:
        before = "func" + GoText(path).signature(old, names[0], rules.noun)
        after = "func" + GoText(new_path).signature(new, names[1], rules.noun)
        own, others = old.get("typeparams") or [], new.get("typeparams") or []

        def add(rule: str, found: Mismatch | None = None) -> None:
            why = (self.cause_of(found) if found else "") or cause
            self.add(rule, label, before, after, cause=why, at=at)

        if len(own) != len(others):
            add(rules.to_generic if not own else rules.type_params_changed)
            return
        plain_old = {k: v for k, v in old.items() if k != "typeparams"}
        plain_new = {k: v for k, v in new.items() if k != "typeparams"}
        mismatch = self._same_signature(plain_old, plain_new)
        if mismatch is None:
            judged = [self.constraint(a["constraint"], b["constraint"]) for a, b in zip(own, others, strict=True)]
            if "tightened" in judged:
                add(rules.constraint_tightened)
            elif "loosened" in judged:
                add(rules.constraint_loosened)
            elif found is not None:
                add(rules.param_type_changed, found)
            return
        if own and self._permuted(plain_old, plain_new, len(own)):
            add(rules.type_params_reordered)
            return
        params, others_params = old.get("params") or [], new.get("params") or []
        results, others_results = old.get("results") or [], new.get("results") or []
        variadic, other_variadic = bool(old.get("variadic")), bool(new.get("variadic"))
        same_results = self._same_list(results, others_results, old, new)
        if variadic != other_variadic:
            tail = other_variadic and len(others_params) == len(params) + 1
            if tail and self._same_list(params, others_params[:-1], old, new) is None and same_results is None:
                add(rules.variadic_added)
            else:
                add(rules.slice_to_variadic if other_variadic else rules.variadic_to_slice)
        elif len(params) != len(others_params):
            add(rules.param_added if len(others_params) > len(params) else rules.param_removed)
        elif found := self._same_list(params, others_params, old, new):
            add(rules.param_type_changed, found)
        elif len(results) != len(others_results):
            add(rules.result_added if len(others_results) > len(results) else rules.result_removed)
        else:
            add(rules.result_type_changed, same_results)

    def _permuted(self, old: Type, new: Type, count: int) -> bool:
        """Whether the signatures are the same once the type parameters stand in another order."""
        from itertools import permutations

        if count > 5:
            return False
        return any(
            self._same_signature(_renumbered(old, order), new) is None
            for order in permutations(range(count))
            if order != tuple(range(count))
        )

    def constraint(self, old: Type, new: Type) -> str:
        """What a client of a function sees of a changed constraint: "", ``loosened`` or ``tightened``."""
        if self.same(old, new) is None:
            return ""
        a, b = self._expanded(old, self.old), self._expanded(new, self.new)
        if a is None or b is None:
            return "tightened"
        if self._implied(a, b):
            return "" if self._implied_back(a, b) else "loosened"
        return "tightened"

    @staticmethod
    def _expanded(t: Type, side: GoSide) -> Type | None:
        if t["kind"] == "named":
            symbol = side.symbol((t["package"], t["name"]))
            t = symbol["type"] if symbol is not None and symbol.get("type") else t
        if t["kind"] == "basic" and t["name"] == "comparable":
            return {"kind": "interface", "comparable": True}
        return t if t["kind"] == "interface" else None

    def _implied(self, old: Type, new: Type) -> bool:
        """Whether every type that keeps the old constraint keeps the new one."""
        has = {m["name"]: m["type"] for m in old.get("methods") or []}
        for method in new.get("methods") or []:
            if method["name"] not in has or self.same(has[method["name"]], method["type"]) is not None:
                return False
        if not set(new.get("hidden") or ()) <= set(old.get("hidden") or ()):
            return False
        if new.get("terms") is not None and not (
            old.get("terms") is not None and self.covers(old["terms"], new["terms"])
        ):
            return False
        # A type set of comparable types is comparable without saying so.
        return not new.get("comparable") or bool(old.get("comparable")) or old.get("terms") is not None

    def _implied_back(self, old: Type, new: Type) -> bool:
        terms, others = old.get("terms"), new.get("terms")
        if (terms is None) != (others is None) or bool(old.get("comparable")) != bool(new.get("comparable")):
            return False
        if terms is not None and others is not None and not self.covers(others, terms, swapped=True):
            return False
        return len(old.get("methods") or []) == len(new.get("methods") or [])

    # -- types

    def _compare_type_names(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        label = self.label(path, name)
        texts = GoText(path).symbol(old), GoText(new_path).symbol(new)
        at = place_of(new)
        if old.get("alias"):
            now: Type = new["type"] if new.get("alias") else {"kind": "named", "package": new_path, "name": name}
            if found := self.same(old["type"], now):
                rule = "GO-ALIAS-TARGET-CHANGED" if new.get("alias") else "GO-ALIAS-TO-DEFINED"
                self.add(rule, label, *texts, cause=self.cause_of(found), at=at)
            return
        if not new.get("alias"):
            self._pair((path, name), (new_path, name))
            return
        target: Type = new["type"]
        if target["kind"] == "named" and self.new.owns(target["package"]):
            other = (target["package"], target["name"])
            before = self.old.target_of(self._old_name(other)) if not self.new.hidden(other) else None
            was: Type = {"kind": "named", "package": path, "name": name}
            if before is not None and not _equal(before, was) and not _constrains(old["type"]):
                self.add("GO-DEFINED-TO-ALIAS", label, *texts, at=at)
            self._pair((path, name), other)
            return
        if not _constrains(old["type"]):
            self.add("GO-DEFINED-TO-ALIAS", label, *texts, at=at)
        if target["kind"] != "named":
            merged = {"id": new["id"], "kind": "type", "type": target, "comparable": old.get("comparable")}
        elif "underlying" in new:
            merged = {**new, "type": new["underlying"], "alias": False}
        else:
            self.add("GO-UNVERIFIABLE", label, *texts, undecided=_not_found(target["package"]), at=at)
            return
        self._compare_types((path, name), (new_path, name), old, merged)

    def _old_name(self, new: Name) -> Name:
        module = self.new.module
        if new[0] == module or new[0].startswith(module + "/"):
            return (self.old.module + new[0][len(module) :], new[1])
        return new

    def _compare_types(self, old_name: Name, new_name: Name, old: Symbol, new: Symbol) -> None:
        if old.get("alias") or new.get("alias") or old["kind"] != "type" or new["kind"] != "type":
            return
        TypeComparison(self, old_name, new_name, old, new).run()


def _not_found(module: str) -> Message:
    return _("{module} was not found", module=module)


def _equal(a: Type, b: Type) -> bool:
    return dict(a) == dict(b)


def _constrains(t: Type) -> bool:
    """Whether it is for constraints alone, and no case of a switch (Go specification, Interface types)."""
    return t["kind"] == "interface" and (t.get("terms") is not None or bool(t.get("comparable")))


def _renumbered(t: Any, order: Sequence[int]) -> Any:
    if isinstance(t, dict):
        if t.get("kind") == "typeparam" and t.get("of") in ("func", "method"):
            return {**t, "index": order[t["index"]] if t["index"] < len(order) else t["index"]}
        return {key: _renumbered(value, order) for key, value in t.items()}
    if isinstance(t, list):
        return [_renumbered(item, order) for item in t]
    return t
