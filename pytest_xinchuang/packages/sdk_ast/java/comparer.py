"""Compares packages of classes, as callers, subclasses and the linker see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, PackageRules, Side
from pytest_xinchuang.packages.sdk_ast.java.classes import compare_class
from pytest_xinchuang.packages.sdk_ast.java.classfile import PROTECTED, PUBLIC, STATIC, ClassMember
from pytest_xinchuang.packages.sdk_ast.java.generics import accepts, erased, loosened, member_types, returns
from pytest_xinchuang.packages.sdk_ast.java.hierarchy import Hierarchy
from pytest_xinchuang.packages.sdk_ast.java.jdk import platform
from pytest_xinchuang.packages.sdk_ast.java.reader import MODULE, TOOLCHAIN
from pytest_xinchuang.packages.sdk_ast.java.signature import ClassType, parse_descriptor, read_type
from pytest_xinchuang.packages.sdk_ast.java.signature import shown as type_shown
from pytest_xinchuang.packages.sdk_ast.java.text import JavaText, shown
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol

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

    def __init__(self, old: Side, new: Side, package_map: Mapping[str, str]) -> None:
        super().__init__(old, new, package_map)
        self.before, self.after = Hierarchy(old, platform()), Hierarchy(new, platform())
        self.generics = {old.snapshot.header.toolchain, new.snapshot.header.toolchain} == {TOOLCHAIN}

    def compare_whole(self) -> None:
        """What no package tells: the release of Java, modules, and snapshots that say less than is compared."""
        old, new = self.old.snapshot.header, self.new.snapshot.header
        if not self.generics:
            why = _("a snapshot is of an earlier version of this suite, and says nothing of generic types")
            self.add("JAVA-UNVERIFIABLE", ".", undecided=why)
        elif 0 < _release(old.minimum) < _release(new.minimum):
            self.add("JAVA-RELEASE-RAISED", ".", old.minimum, new.minimum)
        self._modules()

    def _modules(self) -> None:
        before, after = self.before.symbols(MODULE), self.after.symbols(MODULE)
        for name, symbol in before.items():
            now = after.get(name)
            if now is None:
                self.add("JAVA-MODULE-REMOVED", name, name, ", ".join(after))
                continue
            for key, rule in (
                ("exports", "JAVA-MODULE-EXPORTS-LOST"),
                ("opens", "JAVA-MODULE-OPENS-LOST"),
                ("requires", "JAVA-MODULE-REQUIRES-LOST"),
                ("provides", "JAVA-MODULE-PROVIDES-LOST"),
            ):
                lost = sorted(set(symbol["facts"].get(key, ())) - set(now["facts"].get(key, ())))
                if lost and "automatic" not in now["facts"]:
                    self.add(rule, name, ", ".join(lost), "")

    def compare_internal(self, old: Any, new: Any) -> None:
        """A package that is not offered: who uses it all the same may break."""
        gone = [name for name in old.symbols if name not in new.symbols or old.symbols[name] != new.symbols[name]]
        if gone:
            self.add("JAVA-INTERNAL-CHANGED", self.label(old.record.path), shown(gone[0]), "")

    def compare_package(self, old: Any, new: Any) -> None:
        if old.record.path == MODULE:
            return  # told by compare_whole
        self._old_symbols, self._new_symbols = old.symbols, new.symbols
        super().compare_package(old, new)

    def label(self, path: str, name: str = "") -> str:
        return f"{path}.{shown(name)}" if name else path

    def _class_of(self, name: str, symbols: Mapping[str, Symbol]) -> Mapping[str, Any]:
        owner = symbols.get(name.partition("#")[0])
        return (owner or {}).get("facts") or {}

    def members(self, owner: str, *, new: bool) -> dict[str, Symbol]:
        """Members of a class by their keys (``m(I)V``)."""
        symbols, head = self._new_symbols if new else self._old_symbols, owner + "#"
        return {name[len(head) :]: symbol for name, symbol in symbols.items() if name.startswith(head)}

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        owner, _mark, key = name.partition("#")
        if symbol["kind"] != "class" and owner not in self._new_symbols:
            return  # told of the class
        facts = symbol["facts"]
        if facts.get("bridge"):
            return  # callers were compiled with the method that it passes on to
        if facts["access"] == "protected" and not self._class_of(name, self._old_symbols).get("open"):
            return  # nobody else could see it
        text, label = JavaText().symbol(symbol), self.label(path, name)
        unknown: Message = NOTHING
        if symbol["kind"] != "class":
            now = self._class_of(name, self._new_symbols)
            own = key.startswith("<init>")  # constructors are not inherited (JLS 8.8)
            kept = None if own else self.after.inherited(now, key)
            if kept is not None and bool(kept.access & STATIC) == facts["static"] and self._reaches(facts, kept):
                return  # its class has it from the platform
            if self.after.has_from_object(key) and not facts["static"]:
                return
            if not own and (names := self.after.unknown_supertypes(now)):
                unknown = _("nothing is known of {type}, which may have it", type=verbatim(names[0]))
        if symbol["kind"] == "method":
            method = key.partition("(")[0]
            same = [n for n in self._new_symbols if n.startswith(f"{owner}#{method}(") and n not in self._old_symbols]
            if same:
                changed = JavaText().symbol(self._new_symbols[same[0]])
                self.add("JAVA-METHOD-CHANGED", label, text, changed, undecided=unknown)
                return
        self.add(_REMOVED[symbol["kind"]], label, text, "", cause=f"- {label}", undecided=unknown)

    @staticmethod
    def _reaches(facts: Mapping[str, Any], kept: ClassMember) -> bool:
        """Whether whoever saw a member sees what takes its place."""
        return bool(kept.access & (PUBLIC if facts["access"] == "public" else PUBLIC | PROTECTED))

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        owner, _mark, key = name.partition("#")
        facts = symbol["facts"]
        if (symbol["kind"] != "class" and owner not in self._old_symbols) or facts.get("bridge"):
            return
        before = self._class_of(name, self._old_symbols)
        text = JavaText().symbol(symbol)
        rule = "JAVA-SYMBOL-ADDED"
        if symbol["kind"] == "method":
            rule = self._method_added(owner, key, before, facts)
        elif facts.get("enum") and before.get("kind") == "enum":
            rule = "JAVA-ENUM-CONSTANT-ADDED"
        self.add(rule, self.label(path, name), "", text)

    def _method_added(self, owner: str, key: str, before: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
        now = self._new_symbols[owner]["facts"]
        had = self.before.has_from_object(key) or self.before.inherited(before, key) is not None
        if before["kind"] == "annotation":
            return "JAVA-SYMBOL-ADDED" if facts.get("default") else "JAVA-ABSTRACT-METHOD-ADDED"
        if facts["abstract"] and before.get("open") and now["abstract"] and not had:
            return "JAVA-ABSTRACT-METHOD-ADDED"
        if before.get("kind") == "interface" and not facts["static"] and not had:
            return "JAVA-DEFAULT-METHOD-ADDED"
        if not had and self._may_be_ambiguous(owner, key):
            return "JAVA-OVERLOAD-ADDED"
        return "JAVA-SYMBOL-ADDED"

    def _may_be_ambiguous(self, owner: str, key: str) -> bool:
        """Whether a call with ``null`` or a lambda fits an old method as well as the new one (JLS 15.12.2)."""
        name, _mark, rest = key.partition("(")
        mine = parse_descriptor(f"({rest}")["params"]
        for other in self.members(owner, new=False):
            if other.startswith(f"{name}("):
                theirs = parse_descriptor(other[other.index("(") :])["params"]
                differ = [(a, b) for a, b in zip(mine, theirs, strict=False) if a != b]
                if (
                    len(mine) == len(theirs)
                    and differ
                    and all("basic" not in (a["kind"], b["kind"]) for a, b in differ)
                ):
                    return True
        return False

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        label = self.label(path, name)
        before, after = old["facts"], new["facts"]
        texts = JavaText().symbol(old), JavaText().symbol(new)
        owner = self._class_of(name, self._old_symbols)
        seen = old["kind"] == "class" or before["access"] == "public" or bool(owner.get("open"))
        if seen and _RANK[after["access"]] < _RANK[before["access"]]:
            self.add("JAVA-ACCESS-REDUCED", label, *texts)
        if old["kind"] == "class":
            compare_class(self, label, name, before, after)
        elif seen and not before.get("bridge"):
            self._member(label, name, old, new, texts)
        if new.get("deprecated") and not old.get("deprecated"):
            self.add("JAVA-DEPRECATED", label)

    def _member(self, label: str, name: str, old: Symbol, new: Symbol, texts: tuple[str, str]) -> None:
        before, after = old["facts"], new["facts"]
        if before["static"] != after["static"]:
            self.add("JAVA-STATIC-CHANGED", label, *texts)
        if old["kind"] == "field":
            self._field(label, name, old, new, texts)
            return
        owner = self._class_of(name, self._old_symbols)
        overridable = bool(owner.get("open")) and not before["final"] and not before["static"] and "#<init>" not in name
        if after.get("bridge"):
            if overridable:  # it returns something narrower now, which overrides do not (JLS 8.4.5)
                self.add("JAVA-METHOD-CHANGED", label, *texts)
            return
        if after["final"] and not before["final"] and owner.get("open"):
            self.add("JAVA-METHOD-FINAL-ADDED", label, *texts)
        if after["abstract"] and not before["abstract"]:
            self.add("JAVA-METHOD-ABSTRACT-ADDED", label, *texts)
        if overridable and _RANK[after["access"]] > _RANK[before["access"]]:
            self.add("JAVA-ACCESS-RAISED", label, *texts)
        if before.get("varargs") and not after.get("varargs"):
            self.add("JAVA-VARARGS-LOST", label, *texts)
        if before.get("default") and not after.get("default"):
            self.add("JAVA-ANNOTATION-DEFAULT-LOST", label, *texts)
        self._throws(label, before, after, overridable=overridable)
        if self.generics:
            self._generic_method(label, name, old, new, overridable=overridable)

    def _field(self, label: str, name: str, old: Symbol, new: Symbol, texts: tuple[str, str]) -> None:
        before, after = old["facts"], new["facts"]
        if old["type"] != new["type"]:
            self.add("JAVA-FIELD-TYPE-CHANGED", label, *texts)
            return
        if after["final"] and not before["final"]:
            self.add("JAVA-FIELD-FINAL-ADDED", label, *texts)
        elif "value" in old and "value" not in new:
            self.add("JAVA-CONSTANT-LOST", label, *texts)
        elif "value" in old and old.get("value") != new.get("value"):
            self.add("JAVA-CONSTANT-CHANGED", label, *texts)
        if before.get("enum") and not after.get("enum"):
            self.add("JAVA-CONSTANT-LOST", label, *texts)
        if self.generics:
            was, now = member_types(name, old).result, member_types(name, new).result
            if erased(was, now):
                self.add("JAVA-TYPE-ERASED", label, type_shown(was), type_shown(now))
            elif was != now and not (before["final"] and returns(was, now, self.after.supertypes)):
                self.add("JAVA-GENERIC-FIELD-CHANGED", label, type_shown(was), type_shown(now))

    def _generic_method(self, label: str, name: str, old: Symbol, new: Symbol, *, overridable: bool) -> None:
        was, now = member_types(name, old), member_types(name, new)
        if was == now:
            return
        above = self.after.supertypes
        texts = was.shown(), now.shown()
        takes = all(accepts(n, w, above) for n, w in zip(now.params, was.params, strict=True))
        tightened = len(was.bounds) == len(now.bounds) and not all(
            loosened(w, n, above) for w, n in zip(was.bounds, now.bounds, strict=True)
        )
        # An override has the same parameters, or their erasure (JLS 8.4.2).
        overrides = (was.params, was.result) == (now.params, now.result) and (
            was.bounds == now.bounds or not was.bounds
        )
        if erased(was.result, now.result):
            self.add("JAVA-TYPE-ERASED", label, *texts)
        elif not takes or tightened or not returns(was.result, now.result, above):
            self.add("JAVA-GENERICS-CHANGED", label, *texts)
        if was.bounds and now.bounds and len(was.bounds) != len(now.bounds):
            self.add("JAVA-TYPE-PARAMETERS-CHANGED", label, *texts)
        if overridable and not overrides:
            self.add("JAVA-GENERICS-OVERRIDDEN", label, *texts)

    def _throws(self, label: str, before: Mapping[str, Any], after: Mapping[str, Any], *, overridable: bool) -> None:
        old, new = ([read_type(_signature(one)) for one in facts["throws"]] for facts in (before, after))
        was, now = ([one.name for one in trees if isinstance(one, ClassType)] for trees in (old, new))
        variables = {one for one in new if not isinstance(one, ClassType)}
        added = [n for n in now if not any(o in self.after.supertypes(n) for o in was)]
        self._exceptions("JAVA-EXCEPTION-ADDED", label, self.after, added, "")
        if variables:
            return
        caught = [o for o in was if o not in ("java.lang.Exception", "java.lang.Throwable")]
        gone = [
            o for o in caught if not any(o in self.after.supertypes(n) or n in self.before.supertypes(o) for n in now)
        ]
        self._exceptions("JAVA-EXCEPTION-REMOVED", label, self.before, gone, None)
        narrowed = [o for o in was if o not in gone and not any(n in self.before.supertypes(o) for n in now)]
        if overridable:
            self._exceptions("JAVA-EXCEPTION-NARROWED", label, self.before, narrowed, ", ".join(now))

    def _exceptions(self, rule: str, label: str, side: Hierarchy, names: Sequence[str], new: str | None) -> None:
        told = [name for name in names if side.checked(name)]
        unsure = [name for name in names if side.checked(name) is None]
        why = (
            _("nobody knows whether {type} has to be caught", type=verbatim(unsure[0]))
            if unsure and not told
            else NOTHING
        )
        text = ", ".join(told or unsure)
        if text:
            sides = ("", text) if rule == "JAVA-EXCEPTION-ADDED" else (text, new or "")
            self.add(rule, label, *sides, undecided=why)


def _release(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _signature(text: str) -> str:
    # Snapshots of earlier versions name the class alone.
    return text if text.endswith(";") else f"L{text.replace('.', '/')};"
