"""Compares Python packages as callers see them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_xinchuang.messages import NOTHING, Message, _
from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules, place_of
from pytest_xinchuang.packages.sdk_ast.python.parameters import differences
from pytest_xinchuang.packages.sdk_ast.python.reader import DISTRIBUTION, TOP
from pytest_xinchuang.packages.sdk_ast.python.returned import PLAIN, return_rule
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol
from pytest_xinchuang.packages.sdk_ast.words import KINDS, listed, word

Facts = Mapping[str, Any]

_DEFAULTED = {
    "__repr__", "__str__", "__format__", "__eq__", "__ne__", "__reduce__", "__reduce_ex__", "__getstate__",
    "__setstate__", "__sizeof__", "__dir__", "__setattr__", "__delattr__", "__getattribute__", "__init_subclass__",
    "__subclasshook__", "__bool__", "__copy__", "__deepcopy__", "__getnewargs__", "__getnewargs_ex__",
    "__length_hint__", "__instancecheck__", "__subclasscheck__", "__set_name__", "__match_args__", "__prepare__",
}  # fmt: skip
"""Special methods that every object has a substitute for (data model, "Basic customization"; pickle; copy): without them
programs behave otherwise and do not stop."""
FALLBACKS: Mapping[str, tuple[str, ...]] = {
    "__contains__": ("__iter__", "__getitem__"),
    "__iter__": ("__getitem__",),
    "__reversed__": ("__getitem__",),
    "__int__": ("__index__",),
    "__float__": ("__index__",),
    "__complex__": ("__float__", "__index__"),
    "__trunc__": ("__int__",),
    "__lt__": ("__gt__",), "__gt__": ("__lt__",), "__le__": ("__ge__",), "__ge__": ("__le__",),
    **{f"__i{op}__": (f"__{op}__",) for op in (
        "add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and", "xor", "or")},
}  # fmt: skip
"""Special method -> those of which one takes its place (data model, "Emulating container types", "Emulating numeric types")."""


class PythonComparer(Comparer):
    """Compares packages."""

    package_rules = PackageRules(
        added="PY-PKG-ADDED",
        removed="PY-PKG-REMOVED",
        target_removed="PY-PKG-TARGET-REMOVED",
        name_changed="PY-PKG-NAME-CHANGED",
        unverifiable="PY-UNVERIFIABLE",
    )

    def new_path(self, path: str) -> str:
        return self.package_map.get(path, path)

    def placed(self, change: Change) -> Change:
        if change.rule == self.package_rules.removed:
            described = self.new.package(DISTRIBUTION)
            if described is not None and described.record.partial:
                # It may stand in a directory that only this file names.
                return replace(change, undecided=_("what describes the new version could not be read"))
        return change

    def compare_package(self, old: Any, new: Any) -> None:
        self._old_symbols, self._new_symbols = old.symbols, new.symbols
        super().compare_package(old, new)

    def label(self, path: str, name: str = "") -> str:
        return f"{path}.{name}" if name and name != TOP else path

    # -- what went and came

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        label, facts = self.label(path, name), symbol["facts"]
        if path == DISTRIBUTION:
            self._promise(name, str(symbol.get("value", "")), "")
            return
        owner = name.rpartition(".")[0]
        above = owner
        while above:
            if above in self._old_symbols and above not in self._new_symbols:
                return  # told of what held it
            above = above.rpartition(".")[0]
        if not facts["public"]:
            self.add("PY-PRIVATE-REMOVED", label, _text(symbol), "")
            return
        last, holder = name.rpartition(".")[2], self._new_symbols.get(owner or TOP)
        if holder is None:
            self.add("PY-REMOVED", label, _text(symbol), "")
            return
        held = holder["facts"]
        if holder["kind"] == "class" and facts.get("member"):
            if last.startswith("__"):
                self._special_lost(label, last, owner, symbol)
            elif holder["kind"] == "class":
                if held.get("has_getattr") or f"{owner}.__getattr__" in self._new_symbols:
                    self.add("PY-LAZILY", label, _text(symbol), "__getattr__", at=place_of(holder))
                else:
                    self.add("PY-REMOVED", label, _text(symbol), "", undecided=_foreign(held))
            return
        if holder["kind"] != "module":
            return  # it is told that the holder is of another kind
        if last in held.get("lazily", ()):
            self.add("PY-LAZILY", label, _text(symbol), "__getattr__", at=place_of(holder))
        elif held.get("form") == "extension":
            why = _("{module} is compiled, and has no stub", module=self.label(path, owner))
            self.add("PY-REMOVED", label, _text(symbol), "", undecided=why)
        else:
            self.add("PY-REMOVED", label, _text(symbol), "")

    def _special_lost(self, label: str, last: str, owner: str, symbol: Symbol) -> None:
        has = {key.rpartition(".")[2] for key in self._new_symbols if key.startswith(f"{owner}.__")}
        facts = self._new_symbols[owner]["facts"]
        if last in ("__hash__",):
            return  # by whether it can be hashed
        if last in _DEFAULTED or any(other in has for other in FALLBACKS.get(last, ())):
            self.add("PY-SPECIAL-DEFAULTED", label, _text(symbol), "")
        else:
            self.add("PY-SPECIAL-REMOVED", label, _text(symbol), "", undecided=_foreign(facts))

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        if path == DISTRIBUTION:
            if name == "python" and self._old_symbols["metadata"]["facts"]["known"]:
                self._promise(name, "", str(symbol.get("value", "")))
            return
        owner = name.rpartition(".")[0]
        facts = symbol["facts"]
        if not facts["public"] or (owner and owner not in self._old_symbols):
            return
        holder = self._old_symbols.get(owner)
        if holder is not None and holder["facts"].get("protocol") and facts.get("member") and holder["kind"] == "class":
            self.add("PY-PROTOCOL-MEMBER-ADDED", self.label(path, name), "", _text(symbol), at=place_of(symbol))
        if name.endswith(".__init_subclass__"):
            self._parameters(self.label(path, name), (), facts["params"] or (), place_of(symbol))
        self.add("PY-ADDED", self.label(path, name), "", _text(symbol), at=place_of(symbol))

    def _promise(self, name: str, old: str, new: str) -> None:
        if not (self._new_symbols["metadata"]["facts"]["known"] and self._old_symbols["metadata"]["facts"]["known"]):
            return
        label, what = self.label(DISTRIBUTION, name), name.partition(" ")[0]
        if name == "python":
            if _raised(old, new):
                self.add("PY-PYTHON-RAISED", label, old or "-", new)
        elif what == "extra":
            self.add("PY-EXTRA-REMOVED", label, name.partition(" ")[2])
        elif what == "entry-point":
            group = name.partition(" ")[2].partition(":")[0]
            rule = "PY-SCRIPT-REMOVED" if group in ("console_scripts", "gui_scripts") else "PY-ENTRY-POINT-REMOVED"
            self.add(rule, label, old)

    # -- what changed

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        before, after = old["facts"], new["facts"]
        if path == DISTRIBUTION:
            if name == "python":
                self._promise(name, str(old.get("value", "")), str(new.get("value", "")))
            return
        if not before["public"]:
            return
        label, at, texts = self.label(path, name), place_of(new), (_text(old), _text(new))
        if not after["public"]:
            self.add("PY-NOT-EXPORTED", label, *texts, at=at)
        if new.get("deprecated") and not old.get("deprecated"):
            self.add("PY-DEPRECATED", label, at=at)
        if "alias" in before or "alias" in after:
            self._alias(label, old, new, at)
            return
        if old["kind"] != new["kind"]:
            self._kinds(label, old, new, at)
        elif old["kind"] == "func":
            self._functions(label, old, new, at)
        elif old["kind"] == "class":
            self._classes(label, before, after, at)
        elif old["kind"] == "module":
            self._modules(label, name, before, after)
        elif old["kind"] == "var":
            self._variables(label, name, old, new, at)

    def _alias(self, label: str, old: Symbol, new: Symbol, at: str) -> None:
        before, after = old["facts"], new["facts"]
        if before.get("alias") == after.get("alias") or before.get("member"):
            return
        self.add("PY-ALIAS-CHANGED", label, str(before.get("alias", "-")), str(after.get("alias", "-")), at=at)

    def _kinds(self, label: str, old: Symbol, new: Symbol, at: str) -> None:
        before, after = old["facts"], new["facts"]
        kinds = word(KINDS, old["kind"]), word(KINDS, new["kind"])
        step = (old["kind"], new["kind"])
        if step == ("func", "class") and not before["async"] and not before["generates"]:
            if after.get("call") is not None:
                self._parameters(label, before["params"] or [], after["call"], at)
            return
        if step == ("func", "var") and after.get("call") is not None and not before["async"]:
            self._parameters(label, before["params"] or [], after["call"], at)
            return
        if (
            step == ("var", "func")
            and not before["property"]
            and not before.get("literal", False)
            and not before.get("annotation")
        ):
            if before.get("call") is not None and after["params"] is not None:
                self._parameters(label, before["call"], after["params"], at)
            return
        if step == ("var", "class") and not before["property"] and not before.get("literal", False):
            return
        self.add("PY-KIND-CHANGED", label, *kinds, at=at)

    def _functions(self, label: str, old: Symbol, new: Symbol, at: str) -> None:
        before, after = old["facts"], new["facts"]
        texts = _text(old), _text(new)
        if before["params"] is None or after["params"] is None:
            return  # one of the standard library's own
        if before["async"] != after["async"]:
            self.add("PY-ASYNC-CHANGED", label, *texts, at=at)
        if before.get("manages") and after["generates"]:
            self.add("PY-GENERATOR-CHANGED", label, _("a context manager"), _yields(after), at=at)
        elif before["generates"] != after["generates"] and _really(before, after):
            self.add("PY-GENERATOR-CHANGED", label, *(_yields(f) for f in (before, after)), at=at)
        elif (rule := return_rule(before["returns"], after["returns"])) and before["async"] == after["async"]:
            self.add(rule, label, before["returns"], after["returns"], at=at)
        if before.get("manages") and not after.get("manages") and after["returns"] in PLAIN | {"Generator"}:
            self.add("PY-GENERATOR-CHANGED", label, _("a context manager"), after["returns"], at=at)
        bound = before["binding"], after["binding"]
        if bound[0] != bound[1] and bound != ("static", "class") and bound != ("class", "static"):
            rule = "PY-METHOD-BINDING-CHANGED" if bound[1] == "instance" else "PY-METHOD-UNBOUND"
            self.add(rule, label, *bound, at=at)
        special = label.rpartition(".")[2].startswith("__") and not label.endswith(".__call__")
        if special and before.get("member"):
            before_n, after_n = _required(before["params"]), _required(after["params"])
            if after_n <= before_n:
                return
        self._parameters(label, before["params"], after["params"], at)

    def _parameters(self, label: str, before: Sequence[Facts], after: Sequence[Facts], at: str) -> None:
        for one in differences(before, after):
            self.add(one.rule, f"{label}({one.name})", one.old, one.new, at=at)

    def _variables(self, label: str, name: str, old: Symbol, new: Symbol, at: str) -> None:
        before, after = old["facts"], new["facts"]
        if before.get("property") and after.get("property"):
            if before.get("writable") and not after.get("writable"):
                self.add("PY-SETTER-REMOVED", label, _("writable"), _("read-only"), at=at)
            elif before.get("deletable") and not after.get("deletable"):
                self.add("PY-SETTER-REMOVED", label, _("deletable"), "", at=at)
            return
        if after.get("property") and not before.get("property"):
            if not after.get("writable"):
                self.add("PY-SETTER-REMOVED", label, _("attribute"), _("read-only"), at=at)
            return
        if before.get("property") or after.get("property"):
            return
        if before.get("call") is not None and after.get("call") is not None:
            self._parameters(label, before["call"], after["call"], at)
            return
        if old.get("value") == new.get("value") or ("value" not in old and "value" not in new):
            return
        values = str(old.get("value", "-")), str(new.get("value", "-"))
        if before.get("enum") and after.get("enum") and "auto()" not in values:
            self.add("PY-ENUM-VALUE-CHANGED", label, *values, at=at)
            return
        version = re.search(r"version", name, re.I) is not None
        self.add("PY-VERSION-CHANGED" if version else "PY-VALUE-CHANGED", label, *values, at=at)

    def _modules(self, label: str, name: str, before: Facts, after: Facts) -> None:
        prefix = "" if name == TOP else f"{name}."
        if before.get("typed") and not after.get("typed"):
            self.add("PY-TYPED-LOST", label)
        for child in before.get("loads", ()):
            inner = self._new_symbols.get(prefix + child)
            if child in after.get("loads", ()) or child.startswith("_") or inner is None or inner["kind"] != "module":
                continue
            if "form" not in inner["facts"] or child in after.get("lazily", ()):
                continue
            rule = "PY-SUBMODULE-NOT-LOADED" if child in before["names"] else "PY-SUBMODULE-BYPRODUCT"
            self.add(rule, f"{label}.{child}", f"import {label}", f"import {label}.{child}")
        if before.get("digest") and after.get("form") == "extension" and before.get("digest") != after.get("digest"):
            why = _("{module} is compiled, and has no stub", module=label)
            self.add("PY-UNVERIFIABLE", label, undecided=why)

    def _classes(self, label: str, before: Facts, after: Facts, at: str) -> None:
        if "ancestors" not in before or "ancestors" not in after:
            return
        self._ancestors(label, before, after, at)
        if added := sorted(set(after["abstract"]) - set(before["abstract"])):
            self.add("PY-ABSTRACT-ADDED", label, ", ".join(before["abstract"]) or "-", ", ".join(added), at=at)
        if before["metaclass"] != after["metaclass"]:
            plain = not before["metaclass"] or after["metaclass"] == "abc.ABCMeta"
            rule = "PY-METACLASS-ADDED" if plain else "PY-METACLASS-CHANGED"
            self.add(rule, label, before["metaclass"] or "type", after["metaclass"] or "type", at=at)
        if before["hashable"] and not after["hashable"]:
            self.add("PY-HASH-REMOVED", label, "__hash__", "None", at=at)
        if before["has_dict"] and not after["has_dict"]:
            self.add("PY-SLOTS-ADDED", label, "__dict__", "__slots__", at=at)
        if after["frozen"] and not before["frozen"]:
            self.add("PY-FROZEN", label, at=at)
        if after["final"] and not before["final"]:
            self.add("PY-FINAL-ADDED", label, at=at)
        if before["fields"] is not None and before["fields"] != after["fields"] and after["fields"] is not None:
            self.add("PY-TUPLE-FIELDS-CHANGED", label, ", ".join(before["fields"]), ", ".join(after["fields"]), at=at)
        self._keys(label, before["typed_dict"], after["typed_dict"], at)
        if before["call"] is not None and after["call"] is not None:
            self._parameters(label, before["call"], after["call"], at)
        elif before["call"] is not None and after["call"] is None and (why := _foreign(after)) and not _foreign(before):
            self.add("PY-UNVERIFIABLE", label, undecided=why)

    def _ancestors(self, label: str, before: Facts, after: Facts, at: str) -> None:
        now = {a.rpartition(".")[2] for a in after["ancestors"]}
        lost = [a for a in before["ancestors"][1:] if a.rpartition(".")[2] not in now]
        lost = [a for a in lost if not a.startswith("typing.") and not any(p.startswith("_") for p in a.split("."))]
        # Nobody asks for abc.ABC, which is another way to write a metaclass.
        lost = [a for a in lost if a != "abc.ABC"]
        if lost:
            new = ", ".join(after["ancestors"][1:])
            gained = [u for u in after["unknown"] if u not in before["unknown"]]
            self.add(
                "PY-BASE-REMOVED", label, ", ".join(lost), new, at=at, undecided=_foreign(after) if gained else NOTHING
            )

    def _keys(self, label: str, before: Facts | None, after: Facts | None, at: str) -> None:
        if before is None or after is None:
            return
        if lost := [k for k in before if k not in after]:
            self.add("PY-KEY-REMOVED", label, ", ".join(lost), at=at)
        if needed := [k for k, required in after.items() if required and not before.get(k)]:
            self.add("PY-KEY-REQUIRED", label, "", ", ".join(needed), at=at)


def _really(before: Facts, after: Facts) -> bool:
    """Whether one that yields gives callers something else: both may be written as iterators."""
    plain = after if before["generates"] else before
    return not re.search(r"Iterator|Generator|Iterable", plain["returns"])


def _yields(facts: Facts) -> Message | str:
    return _("a generator") if facts["generates"] else facts["returns"] or _("no generator")


def _required(params: Sequence[Facts]) -> int:
    return sum(p["default"] is None and not p["kind"].startswith("variadic") for p in params)


def _foreign(facts: Facts) -> Message:
    """Why nobody knows all that a class has; empty: all of it is known."""
    unknown = facts.get("unknown") or []
    return _("{classes} of another distribution is its base", classes=listed(unknown)) if unknown else NOTHING


def _raised(old: str, new: str) -> bool:
    """Whether a Python that was enough no longer is (version specifiers: the least of ``>=``, ``>``, ``~=``, ``==``, ``^``)."""

    def least(text: str) -> tuple[int, ...]:
        found = re.findall(r"(?:>=|>|~=|==|\^|~)\s*([0-9]+(?:\.[0-9]+)*)", text)
        versions = [tuple(int(n) for n in v.split(".")) for v in found]
        # 3.8 and 3.8.0 are one version.
        return max((v + (0,) * (4 - len(v)) for v in versions), default=())

    def most(text: str) -> tuple[int, ...]:
        found = re.findall(r"<=?\s*([0-9]+(?:\.[0-9]+)*)", text)
        return min((tuple(int(n) for n in v.split(".")) for v in found), default=(10**9,))

    return least(new) > least(old) or most(new) < most(old) or len(re.findall("!=", new)) > len(re.findall("!=", old))


def _text(symbol: Symbol) -> str:
    facts = symbol.get("facts") or {}
    if symbol["kind"] == "func":
        params = facts["params"] or ()
        shown = [p["name"] + (f"={p['default']}" if p["default"] is not None else "") for p in params]
        return f"{'async ' if facts.get('async') else ''}({', '.join(shown)})"
    if symbol["kind"] == "class":
        return f"class ({', '.join(facts.get('bases', ()))})"
    return str(symbol["value"]) if "value" in symbol else word(KINDS, symbol["kind"])
