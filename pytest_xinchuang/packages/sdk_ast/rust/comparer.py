"""Compares crates as their callers, implementers and matchers see them (Rust reference; Cargo book, SemVer compatibility)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules, place_of
from pytest_xinchuang.packages.sdk_ast.rust.crates import MANIFEST, SETS
from pytest_xinchuang.packages.sdk_ast.rust.functions import compare_functions, function_text, tightened
from pytest_xinchuang.packages.sdk_ast.rust.paths import MACRO, VALUE
from pytest_xinchuang.packages.sdk_ast.rust.promises import compare_promises
from pytest_xinchuang.packages.sdk_ast.rust.shapes import (
    compare_enums,
    compare_fields,
    compare_parameters,
    compare_structs,
)
from pytest_xinchuang.packages.sdk_ast.rust.traits import compare_traits
from pytest_xinchuang.packages.sdk_ast.snapshot import ApiPackage, Symbol
from pytest_xinchuang.packages.sdk_ast.words import sides

Facts = Mapping[str, Any]
Found = tuple[str, str, str, str]
"""A rule, a symbol, and both sides."""

_LOCAL = re.compile(r"crate::([A-Za-z0-9_]+(?:::[A-Za-z0-9_]+)*)")
_LIST = {"struct", "enum", "union"}


def crate_of(path: str) -> str:
    """The crate of a package of a snapshot, without the features that it was read with."""
    for suffix in SETS:
        if suffix and path.endswith(suffix):
            return path.removesuffix(suffix)
    return path.removesuffix("/" + MANIFEST)


def label_of(crate: str, name: str) -> str:
    """What reports call a symbol."""
    return f"{crate}::{name.removesuffix(VALUE)}"


class RustComparer(Comparer):
    """Compares the libraries of a workspace, with each set of features, and what Cargo.toml promises."""

    package_rules = PackageRules(
        unverifiable="RUST-UNVERIFIABLE",
        added="RUST-CRATE-ADDED",
        removed="RUST-CRATE-REMOVED",
        target_removed="RUST-CRATE-REMOVED",
        name_changed="RUST-CRATE-RENAMED",
    )

    def new_path(self, path: str) -> str:
        crate = crate_of(path)
        return super().new_path(crate) + path[len(crate) :]

    def label(self, path: str, name: str = "") -> str:
        crate = crate_of(path)
        if path.endswith("/" + MANIFEST):
            return f"{crate}({name})" if name else MANIFEST
        return label_of(crate, name) if name else crate

    def add(self, rule: str, symbol: str, old: str = "", new: str = "", **more: Any) -> None:
        """Note a change; of a crate that is gone or new once, and not for each set of features."""
        if rule in (self.package_rules.removed, self.package_rules.added, self.package_rules.name_changed):
            if any((one.rule, one.symbol) == (rule, symbol) for one in self.changes):
                return
            old, new = crate_of(old), crate_of(new)
            if rule == self.package_rules.removed and (unread := self._unread):
                more["undecided"] = _("the {sides} package could not be read whole", sides=sides(unread))
        super().add(rule, symbol, old, new, **more)

    @cached_property
    def _unread(self) -> list[str]:
        """The sides of which nobody knows what crates they have: no name stands with what could not be read."""
        return [
            name
            for name, side in (("old", self.old), ("new", self.new))
            if any(p.record.partial and not p.record.name for many in side.snapshot.packages.values() for p in many)
        ]

    def compare_package(self, old: ApiPackage, new: ApiPackage) -> None:
        before, after, path = old.symbols, new.symbols, old.record.path
        if new.record.partial or old.record.partial:
            return
        if path.endswith("/" + MANIFEST):
            self._told("", compare_promises(before["manifest"]["facts"], after["manifest"]["facts"]), path=path)
            return
        self._before, self._after = before, after
        for name, symbol in before.items():
            facts = symbol["facts"]
            if facts["k"] == "impl":
                continue
            if (now := after.get(name)) is None:
                self.removed(path, name, symbol)
            else:
                self.compare_symbol(path, new.record.path, name, symbol, now)
        for name, symbol in after.items():
            if name not in before and symbol["facts"]["k"] != "impl":
                self.added(new.record.path, name, symbol)
        self._impls(path, before, after)

    # -- names

    def moved(self, text: str) -> str:
        """A text of the old side, with the names that the new side has for the same paths."""

        def now(match: re.Match[str]) -> str:
            for suffix in ("", VALUE, MACRO):
                there = self._after.get(match[1] + suffix)
                if there is not None:
                    to = there["facts"].get("to") if there["facts"]["k"] in ("alias", "outside") else None
                    if to is None:
                        return match[0]
                    return f"crate::{to.rstrip(VALUE + MACRO)}" if there["facts"]["k"] == "alias" else str(to)
            return match[0]

        return _LOCAL.sub(now, text)

    def moved_facts(self, facts: Any) -> Any:
        """Facts with every text in them moved."""
        if isinstance(facts, str):
            return self.moved(facts) if "crate::" in facts else facts
        if isinstance(facts, list):
            return [self.moved_facts(one) for one in facts]
        if isinstance(facts, dict):
            return {name: self.moved_facts(one) for name, one in facts.items()}
        return facts

    def _real(self, symbols: Mapping[str, Symbol], symbol: Symbol) -> Symbol:
        """The symbol that an alias stands for."""
        facts = symbol["facts"]
        return symbols.get(facts["to"], symbol) if facts["k"] == "alias" else symbol

    # -- symbols

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        holders = name.rstrip(VALUE + MACRO).split("::")
        around = ["::".join(holders[:n]) for n in range(1, len(holders))]
        if any(holder in self._before and holder not in self._after for holder in around):
            return
        label = self.label(path, name)
        if symbol["facts"]["hidden"]:
            self.add("RUST-HIDDEN-CHANGED", label, text_of(symbol), "", at=place_of(symbol))
            return
        other = next((name.rstrip(VALUE + MACRO) + suffix for suffix in ("", VALUE, MACRO)
                      if name.rstrip(VALUE + MACRO) + suffix in self._after), "")  # fmt: skip
        real = self._real(self._before, symbol)
        if other and not name.endswith(MACRO) and not other.endswith(MACRO) and other not in self._before:
            self.add("RUST-KIND-CHANGED", label, text_of(real), text_of(self._after[other]), at=place_of(symbol))
            return
        self.add("RUST-REMOVED", label, text_of(real), "", at=place_of(symbol))

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        if not symbol["facts"]["hidden"]:
            self.add("RUST-ADDED", self.label(path, name), "", text_of(symbol), at=place_of(symbol))

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        label, at = self.label(path, name), place_of(new)
        first = len(self.changes)
        hidden = old["facts"]["hidden"]
        if new["facts"]["hidden"] and not hidden:
            self.add("RUST-HIDDEN", label, text_of(old), at=at)
        was_alias = old["facts"]["k"] == "alias"
        old, new = self._real(self._before, old), self._real(self._after, new)
        before, after = self.moved_facts(old["facts"]), new["facts"]
        if was_alias and old["facts"]["k"] != "outside" and self._is_told(old, new):
            return
        if before["k"] != after["k"]:
            self._kind(label, old, new, at)
        else:
            self._told(label, self._compared(label, before, after), at=at)
            if new.get("deprecated") and not old.get("deprecated"):
                self.add("RUST-DEPRECATED", label, at=at)
            if after.get("must_use") and not before.get("must_use"):
                self.add("RUST-MUST-USE-ADDED", label, at=at)
        if hidden and len(self.changes) > first:
            del self.changes[first:]
            self.add("RUST-HIDDEN-CHANGED", label, text_of(old), text_of(new), at=at)

    def _is_told(self, old: Symbol, new: Symbol) -> bool:
        """Whether the item is compared under its own path already, so that another path of it has nothing to add."""
        name = next((n for n, symbol in self._before.items() if symbol is old), "")
        return name in self._after and self._real(self._after, self._after[name]) is new

    def _kind(self, label: str, old: Symbol, new: Symbol, at: str) -> None:
        kinds = old["facts"]["k"], new["facts"]["k"]
        rule = {
            ("constant", "static"): "RUST-CONST-TO-STATIC",
            ("static", "constant"): "RUST-STATIC-TO-CONST",
        }.get(kinds, "RUST-KIND-CHANGED")
        if "outside" in kinds:
            rule = "RUST-REEXPORT-CHANGED"
        self.add(rule, label, text_of(old), text_of(new), at=at)

    def _compared(self, label: str, before: Facts, after: Facts) -> Iterator[Found]:
        kind = before["k"]
        if "params" in before and kind != "function":
            yield from compare_parameters(label, before, after)
        if kind == "function":
            yield from compare_functions(label, before, after)
        elif kind == "struct":
            yield from compare_structs(label, before, after)
        elif kind == "enum":
            yield from compare_enums(label, before, after)
        elif kind == "union":
            yield from compare_fields(label, before, after)
        elif kind == "trait":
            yield from compare_traits(label, before, after)
        elif kind in ("constant", "static"):
            yield from _values(label, before, after)
        elif kind == "type_alias" and before["type"] != after["type"]:
            yield "RUST-ALIAS-TARGET-CHANGED", label, before["type"], after["type"]
        elif kind == "outside" and before["to"] != after["to"]:
            yield "RUST-REEXPORT-CHANGED", label, before["to"], after["to"]
        elif kind in ("macro", "proc_macro"):
            yield from _macros(label, before, after)
        if kind in _LIST:
            yield from _methods(label, before, after)

    def _told(self, label: str, found: Iterator[Found], *, at: str = "", path: str = "") -> None:
        for rule, symbol, was, now in found:
            undecided = _("nobody knows whether calls of it still match") if rule == "RUST-MACRO-CHANGED" else ""
            self.add(rule, symbol or label, was, now, at=at, undecided=undecided)

    # -- implementations

    def _impls(self, path: str, before: Mapping[str, Symbol], after: Mapping[str, Symbol]) -> None:
        crate = crate_of(path)
        old = {self.moved(name): symbol for name, symbol in before.items() if symbol["facts"]["k"] == "impl"}
        new = {name: symbol for name, symbol in after.items() if symbol["facts"]["k"] == "impl"}
        for name, symbol in old.items():
            facts = self.moved_facts(symbol["facts"])
            if facts["hidden"] or self._gone(symbol["facts"]):
                continue
            label = impl_label(crate, symbol["facts"])
            rule = "RUST-AUTO-TRAIT-LOST" if facts["auto"] else "RUST-IMPL-REMOVED"
            if name not in new:
                if not self._widened(facts, new):
                    self.add(rule, label, name, "", at=place_of(symbol))
                continue
            now = new[name]["facts"]
            known = self._bounds(after, facts["for"])
            more = [one for one in tightened(facts["bounds"], now["bounds"])[0] if one not in known]
            if more:
                self.add(
                    rule if facts["auto"] else "RUST-BOUND-ADDED", label, name, ", ".join(more), at=place_of(new[name])
                )
            for member, text in facts["assoc"].items():
                if now["assoc"].get(member, text) != text:
                    self.add(
                        "RUST-IMPL-TYPE-CHANGED", label, f"{member} = {text}", f"{member} = {now['assoc'][member]}"
                    )
        for name, symbol in new.items():
            if name not in old and not symbol["facts"]["hidden"]:
                self._impl_added(crate, symbol, name, before)

    def _gone(self, facts: Facts) -> bool:
        """Whether a type or the trait itself is gone, or is no more what it was, which is told by itself."""
        return any(
            name in self._before and name not in self._after
            for name in _LOCAL.findall(facts["trait"]) + _LOCAL.findall(facts["for"])
        )

    def _widened(self, facts: Facts, new: Mapping[str, Symbol]) -> bool:
        """Whether it is there for a type that takes more parameters by now, which have defaults."""
        own = _LOCAL.match(facts["for"])
        sides = [symbols.get(own[1]) if own else None for symbols in (self._before, self._after)]
        if any(side is None for side in sides):
            return False
        counts = [len(side["facts"].get("params", ())) for side in sides if side is not None]
        if counts[0] >= counts[1]:
            return False
        start = facts["for"].removesuffix(">") + (", " if facts["for"].endswith(">") else "<")
        return any(
            one["facts"]["trait"] == facts["trait"] and one["facts"]["for"].startswith(start) for one in new.values()
        )

    @staticmethod
    def _bounds(symbols: Mapping[str, Symbol], own: str) -> list[str]:
        match = _LOCAL.match(own)
        symbol = symbols.get(match[1]) if match else None
        return list(symbol["facts"].get("bounds", ())) if symbol is not None else []

    def _impl_added(self, crate: str, symbol: Symbol, name: str, before: Mapping[str, Symbol]) -> None:
        facts = symbol["facts"]
        if any(own not in before for own in _LOCAL.findall(f"{facts['for']} {facts['trait']}")):
            return
        label, at = impl_label(crate, facts), place_of(symbol)
        trait = next((before[own]["facts"] for own in _LOCAL.findall(facts["trait"])[:1]), None)
        if facts["blanket"] and trait is not None and trait["k"] == "trait" and not trait["sealed"]:
            self.add("RUST-IMPL-BLANKET-ADDED", label, "", name, at=at)
        elif facts["trait"] == "core::ops::drop::Drop" and self._is_open(before, facts["for"]):
            self.add("RUST-DROP-ADDED", label, "", name, at=at)
        elif not facts["auto"]:
            self.add("RUST-IMPL-ADDED", label, "", name, at=at)

    @staticmethod
    def _is_open(before: Mapping[str, Symbol], own: str) -> bool:
        match = _LOCAL.match(own)
        facts = before[match[1]]["facts"] if match and match[1] in before else {}
        fields = [*facts.get("fields", ()), *(f for v in facts.get("variants", ()) for f in v["fields"])]
        return any(public for _name, _type, public in fields)


def impl_label(crate: str, facts: Facts) -> str:
    """What reports call an implementation: after the type, or where that is another crate's after the trait."""
    trait, own = (_LOCAL.sub(rf"{crate}::\1", facts[name]) for name in ("trait", "for"))
    return f"{own}: {trait}"


def text_of(symbol: Symbol) -> str:
    """A symbol in a few words."""
    facts = symbol["facts"]
    kind = facts["k"]
    texts: dict[str, Callable[[], str]] = {
        "function": lambda: function_text(facts),
        "constant": lambda: f"const {facts['type']} = {facts['value']}",
        "static": lambda: f"static {'mut ' if facts['mut'] else ''}{facts['type']}",
        "type_alias": lambda: f"type = {facts['type']}",
        "outside": lambda: f"pub use {facts['to']}",
        "alias": lambda: f"pub use {facts['to'].rstrip(VALUE + MACRO)}",
        "macro": lambda: "macro_rules!",
        "proc_macro": lambda: f"{facts['of']} macro",
        "module": lambda: "mod",
        "struct": lambda: {"plain": "struct { .. }", "tuple": "struct(..)", "unit": "struct"}[facts["form"]],
    }
    return texts[kind]() if kind in texts else str(kind)


def _values(label: str, before: Facts, after: Facts) -> Iterator[Found]:
    if before["type"] != after["type"]:
        yield "RUST-CONST-TYPE-CHANGED", label, before["type"], after["type"]
    elif before["k"] == "constant" and before["value"] != after["value"]:
        yield "RUST-CONST-VALUE-CHANGED", label, before["value"], after["value"]
    if before["k"] == "static" and (before["mut"], before["unsafe"]) != (after["mut"], after["unsafe"]):
        yield "RUST-STATIC-MUT-CHANGED", label, f"mut: {before['mut']}", f"mut: {after['mut']}"


def _macros(label: str, before: Facts, after: Facts) -> Iterator[Found]:
    if before["k"] == "proc_macro":
        if before["of"] != after["of"]:
            yield "RUST-KIND-CHANGED", label, f"{before['of']} macro", f"{after['of']} macro"
        if lost := sorted(set(before["helpers"]) - set(after["helpers"])):
            yield "RUST-DERIVE-HELPER-REMOVED", label, ", ".join(lost), ""
        return
    old, new = before["arms"], after["arms"]
    if old == new:
        return
    lost = [arm for arm in old if arm not in new]
    came = [arm for arm in new if arm not in old]
    kept = [arm for arm in new if arm in old]
    if lost and not came:
        yield "RUST-MACRO-ARM-REMOVED", label, " ".join(lost), ""
    elif not lost and new[: len(old)] == old:
        yield "RUST-MACRO-ARM-ADDED", label, "", " ".join(came)
    else:
        yield "RUST-MACRO-CHANGED", label, " ".join(lost) or " ".join(kept), " ".join(came) or " ".join(kept)


def _methods(label: str, before: Facts, after: Facts) -> Iterator[Found]:
    old, new = before["methods"], after["methods"]
    for name, many in old.items():
        symbol, others = f"{label}::{name}", new.get(name, [])
        for was in many:
            alone = len(many) == len(others) == 1
            now = next((one for one in others if alone or one["for"] == was["for"]), None)
            if was["hidden"]:
                continue
            if now is None:
                yield "RUST-METHOD-REMOVED", symbol, member_text(was), ""
                continue
            if was["k"] != now["k"]:
                yield "RUST-KIND-CHANGED", symbol, member_text(was), member_text(now)
                continue
            if was["for"] != now["for"]:
                yield "RUST-METHOD-TYPE-CHANGED", symbol, was["for"], now["for"]
            if was["k"] == "function":
                inherited = {"bounds": sorted({*was["bounds"], *after["bounds"]})}
                yield from compare_functions(symbol, {**was, **inherited}, now)
            elif was.get("type") != now.get("type"):
                yield "RUST-CONST-TYPE-CHANGED", symbol, was["type"], now["type"]
            elif was.get("value") != now.get("value"):
                yield "RUST-CONST-VALUE-CHANGED", symbol, was["value"], now["value"]
            if now["hidden"]:
                yield "RUST-HIDDEN", symbol, member_text(was), ""
            if now["deprecated"] and not was["deprecated"]:
                yield "RUST-DEPRECATED", symbol, "", ""
            if now.get("must_use") and not was.get("must_use"):
                yield "RUST-MUST-USE-ADDED", symbol, "", ""
    for name, many in new.items():
        if name not in old and not all(one["hidden"] for one in many):
            yield "RUST-METHOD-ADDED", f"{label}::{name}", "", member_text(many[0])


def member_text(facts: Facts) -> str:
    """A method or constant in a few words."""
    return function_text(facts) if facts["k"] == "function" else f"const {facts.get('type', '')}"
