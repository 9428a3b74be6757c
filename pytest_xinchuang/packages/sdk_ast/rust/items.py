"""The facts of a crate's items, as snapshots hold them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pytest_xinchuang.packages.sdk_ast.rust import types
from pytest_xinchuang.packages.sdk_ast.rust.paths import MACRO, VALUE, inner_of, is_hidden, kind_of, public_paths
from pytest_xinchuang.packages.sdk_ast.rust.types import Scope, type_text

Node = Mapping[str, Any]
Facts = dict[str, Any]

AUTO_TRAITS = frozenset({"Send", "Sync", "Unpin", "UnwindSafe", "RefUnwindSafe"})
"""Those that stable Rust has (Rust reference, auto traits; std::panic)."""
UNNAMED = "crate::?"
"""Before the name of a type that no public path leads to."""

_STD = frozenset({"std", "core", "alloc", "proc_macro", "test"})
_KINDS = {
    "function": "func", "constant": "const", "static": "var", "macro": "macro", "proc_macro": "macro", "module": "module",
}  # fmt: skip
_BLANKET = re.compile(r"(?:&'\d+ (?:mut )?|alloc::boxed::Box<|core::pin::Pin<)?T\d+>?")
"""A type that stands for all types; references, boxes and pins are as good (``#[fundamental]``, RFC 1023)."""


class Items:
    """The public items of one crate.

    Args:
        told: rustdoc's JSON, with private and hidden items.
        versions: name of a dependency -> the part of its version that says what is compatible.
    """

    def __init__(self, told: Node, versions: Mapping[str, str]) -> None:
        self.told, self.versions = told, versions
        self.index: Mapping[str, Node] = told["index"]
        self.paths = public_paths(told, self._outside)
        self.shortest = self.paths.shortest

    # -- names

    def _outside(self, number: int | None, text: str) -> str:
        summary = self.told["paths"].get(str(number))
        if summary is None or summary["crate_id"] == 0:
            return text
        crate = self.told["external_crates"].get(str(summary["crate_id"]), {}).get("name", summary["path"][0])
        first, *rest = summary["path"]
        if crate in _STD or first in _STD:
            return "::".join(summary["path"])
        version = self.versions.get(crate, "")
        return "::".join([f"{first}@{version}" if version else first, *rest])

    def name(self, number: int, text: str) -> str:
        """What an item is called in types."""
        if number in self.shortest:
            return "crate::" + self.shortest[number].rstrip(VALUE + MACRO)
        summary = self.told["paths"].get(str(number))
        if str(number) in self.index or (summary is not None and summary["crate_id"] == 0):
            return UNNAMED + text.rpartition("::")[2]
        return self._outside(number, text)

    def _elidable(self, number: int) -> int:
        item = self.index.get(str(number))
        if item is None or kind_of(item) not in ("struct", "enum", "union"):
            return 0
        return sum("lifetime" in one["kind"] for one in inner_of(item)["generics"]["params"])

    def _alias(self, number: int) -> Node | None:
        item = self.index.get(str(number))
        if item is None or kind_of(item) != "type_alias":
            return None
        found: Node = inner_of(item)
        return found

    def scope(self) -> Scope:
        """A scope without parameters."""
        return Scope(self.name, self._elidable, self._alias)

    # -- symbols

    def symbols(self) -> dict[str, Facts]:
        """Path with the suffix of its namespace -> the symbol, with those of implementations."""
        found: dict[str, Facts] = {}
        for path, one in self.paths.found.items():
            if one.item is None:
                found[path] = _symbol("type", {"k": "outside", "to": one.outside, "hidden": one.hidden}, "")
                continue
            kind, at = kind_of(one.item), _at(one.item)
            main = self.shortest[one.item["id"]]
            if main != path:
                facts: Facts = {"k": "alias", "to": main, "hidden": one.hidden}
            elif kind == "variant":
                facts = {"k": "variant", "hidden": one.hidden}
            else:
                facts = {**self._facts(one.item), "hidden": one.hidden}
            found[path] = _symbol(_KINDS.get(kind, "type"), facts, at, bool(one.item["deprecation"]))
        found.update(self._impls())
        return found

    def _facts(self, item: Node) -> Facts:
        kind, inner, scope = kind_of(item), inner_of(item), self.scope()
        facts: Facts = {"k": kind}
        if any("must_use" in one for one in item["attrs"]):
            facts["must_use"] = True
        if generics := isinstance(inner, dict) and inner.get("generics"):
            scope.declare(generics)
            if kind != "function":
                facts |= {"params": types.parameters(generics, scope), "bounds": types.predicates(generics, scope)}
        if kind == "function":
            return facts | types.signature(inner, scope)
        if kind in ("struct", "enum", "union"):
            facts |= {"repr": _repr(item), "open": _is_open(item), "methods": self._methods.get(item["id"], {})}
        if kind == "struct":
            facts |= self._form(inner["kind"], scope)
        elif kind == "union":
            facts["fields"] = self._fields(inner["fields"], scope)
        elif kind == "enum":
            facts["variants"] = list(self._variants(inner["variants"], scope))
        elif kind == "trait":
            facts |= self._trait(item, scope)
        elif kind == "constant":
            facts |= {
                "type": type_text(inner["type"], scope),
                "value": inner["const"]["value"] or inner["const"]["expr"],
            }
        elif kind == "static":
            facts |= {"type": type_text(inner["type"], scope), "mut": inner["is_mutable"], "unsafe": inner["is_unsafe"]}
        elif kind == "type_alias":
            facts["type"] = type_text(inner["type"], scope)
        elif kind == "macro":
            facts["arms"] = _arms(inner)
        elif kind == "proc_macro":
            facts |= {"of": inner["kind"], "helpers": sorted(inner["helpers"])}
        return facts

    def _form(self, kind: Any, scope: Scope) -> Facts:
        if kind in ("unit", "plain"):
            return {"form": "unit", "fields": []}
        if "tuple" in kind:
            fields = [[str(n), *self._field(number, scope)] for n, number in enumerate(kind["tuple"])]
            return {"form": "tuple", "fields": fields}
        inner = kind.get("plain") or kind["struct"]
        return {"form": "plain", "fields": self._fields(inner["fields"], scope)}

    def _fields(self, numbers: Any, scope: Scope) -> list[list[Any]]:
        return [[self.index[str(number)]["name"], *self._field(number, scope)] for number in numbers]

    def _field(self, number: int | None, scope: Scope) -> tuple[str, bool]:
        """Type, and whether it is public."""
        item = self.index[str(number)]
        return type_text(inner_of(item), scope), item["visibility"] in ("public", "default")

    def _variants(self, numbers: Any, scope: Scope) -> Iterator[Facts]:
        value = -1
        for number in numbers:
            item = self.index[str(number)]
            inner = inner_of(item)
            value = int(inner["discriminant"]["value"]) if inner["discriminant"] else value + 1
            yield {
                "n": item["name"],
                "value": value,
                "open": _is_open(item),
                "hidden": is_hidden(item),
                **self._form(inner["kind"], scope),
            }

    def _trait(self, item: Node, scope: Scope) -> Facts:
        inner = inner_of(item)
        every = types.predicates(inner["generics"], scope)
        own = {one.removeprefix("Self: ") for one in every if one.startswith("Self: ")}
        members = {}
        for number in inner["items"]:
            member = self.index.get(str(number))
            if member is not None:
                members[member["name"]] = {**self._member(member, scope.within()), "hidden": is_hidden(member)}
        return {
            "unsafe": inner["is_unsafe"],
            "auto": inner["is_auto"],
            "dyn": inner["is_dyn_compatible"],
            "supers": sorted({types.bound_text(bound, scope) for bound in inner["bounds"]} | own),
            "bounds": [one for one in every if not one.startswith("Self: ")],
            "items": members,
            "sealed": self._is_sealed(item, members, ()),
        }

    def _member(self, member: Node, scope: Scope) -> Facts:
        kind, inner = kind_of(member), inner_of(member)
        if kind == "function":
            return {"k": kind, **types.signature(inner, scope)}
        if kind == "assoc_const":
            value = inner["value"]
            return {"k": kind, "type": type_text(inner["type"], scope), "body": value is not None, "value": value or ""}
        scope.declare(inner["generics"])
        return {
            "k": kind,
            "params": types.parameters(inner["generics"], scope),
            "where": types.predicates(inner["generics"], scope),
            "bounds": sorted(types.bound_text(bound, scope) for bound in inner["bounds"]),
            "body": inner["type"] is not None,
        }

    def _is_sealed(self, item: Node, members: Mapping[str, Facts], within: tuple[int, ...]) -> bool:
        """Whether nobody else can implement a trait: a supertrait or a type that has to be named has no public path."""
        if item["id"] in within:
            return False
        for bound in inner_of(item)["bounds"]:
            number = bound.get("trait_bound", {}).get("trait", {}).get("id")
            above = self.index.get(str(number))
            if above is None or kind_of(above) != "trait" or self._for_all(above):
                continue
            if number not in self.shortest or self._is_sealed(above, {}, (*within, item["id"])):
                return True
        return any(not one.get("body") and UNNAMED in str(one.get("inputs", "")) for one in members.values())

    def _for_all(self, trait: Node) -> bool:
        """Whether every type has a trait, by an implementation for a bare parameter."""
        impls = (inner_of(self.index[str(n)]) for n in inner_of(trait)["implementations"] if str(n) in self.index)
        return any("generic" in impl["for"] for impl in impls)

    # -- implementations

    @cached_property
    def _own_impls(self) -> list[Node]:
        return [
            item
            for item in self.index.values()
            if item["crate_id"] == 0 and "impl" in item["inner"] and item["inner"]["impl"]["blanket_impl"] is None
        ]

    def _impl_scope(self, impl: Node) -> tuple[Scope, str, str]:
        """The scope of an implementation, the type, and the trait. Parameters are numbered as they appear in these."""
        scope = self.scope()
        scope.constants = frozenset(one["name"] for one in impl["generics"]["params"] if "const" in one["kind"])
        own = type_text(impl["for"], scope)
        scope.own = own
        trait = (
            types.bound_text({"trait_bound": {"trait": impl["trait"], "generic_params": [], "modifier": ""}}, scope)
            if impl["trait"]
            else ""
        )
        return scope, own, trait

    @staticmethod
    def _constants(impl: Node, scope: Scope) -> dict[str, str]:
        """The constants among the parameters of an implementation, with their types."""
        declared = impl["generics"]["params"]
        return {
            scope.parameter(one["name"]): type_text(one["kind"]["const"]["type"], scope)
            for one in declared
            if "const" in one["kind"]
        }

    @cached_property
    def _methods(self) -> dict[int, dict[str, list[Facts]]]:
        """Type -> name -> what inherent implementations have under it."""
        found: dict[int, dict[str, list[Facts]]] = defaultdict(lambda: defaultdict(list))
        for item in self._own_impls:
            impl = inner_of(item)
            owner = (impl["for"] if isinstance(impl["for"], dict) else {}).get("resolved_path")
            if impl["trait"] or not owner:
                continue
            scope, own, _trait = self._impl_scope(impl)
            around = types.predicates(impl["generics"], scope)
            for number in impl["items"]:
                member = self.index.get(str(number))
                if member is None or member["visibility"] != "public":
                    continue
                facts = self._member(member, scope.within())
                facts |= {"for": own, "bounds": sorted({*facts.get("bounds", ()), *around})}
                facts |= {"consts": self._constants(impl, scope), "hidden": is_hidden(member)}
                facts |= {"deprecated": bool(member["deprecation"]), "at": _at(member)}
                if any("must_use" in one for one in member["attrs"]):
                    facts["must_use"] = True
                found[owner["id"]][member["name"]].append(facts)
        return {number: dict(methods) for number, methods in found.items()}

    def _impls(self) -> Iterator[tuple[str, Facts]]:
        for item in self._own_impls:
            impl = inner_of(item)
            if not impl["trait"] or impl["is_negative"]:
                continue
            scope, own, trait = self._impl_scope(impl)
            short = trait.rpartition("::")[2]
            auto = short in AUTO_TRAITS and trait.startswith("core::")
            if (
                UNNAMED in own
                or UNNAMED in trait
                or (impl["is_synthetic"] and not auto)
                or "StructuralPartialEq" in short
            ):
                continue
            if not (own.startswith("crate::") or "crate::" in own + trait or auto):
                continue
            assoc = {}
            for number in impl["items"]:
                member = self.index.get(str(number))
                if member is not None and kind_of(member) == "assoc_type":
                    assoc[member["name"]] = type_text(inner_of(member)["type"], scope.within())
            facts = {
                "k": "impl",
                "trait": trait,
                "for": own,
                "auto": auto,
                "bounds": types.predicates(impl["generics"], scope),
                "assoc": assoc,
                "consts": self._constants(impl, scope),
                "blanket": bool(_BLANKET.fullmatch(own)),
                "hidden": is_hidden(item),
            }
            yield f"impl {trait} for {own}", _symbol("type", facts, "" if auto else _at(item))


def _symbol(kind: str, facts: Facts, at: str, deprecated: bool = False) -> Facts:
    return {"kind": kind, "facts": facts, "at": at, **({"deprecated": True} if deprecated else {})}


def _at(item: Node) -> str:
    span = item.get("span")
    return f"{span['filename']}:{span['begin'][0]}" if span and not span["filename"].startswith("/") else ""


def _is_open(item: Node) -> bool:
    return "non_exhaustive" in item["attrs"]


def _repr(item: Node) -> list[str]:
    """The parts of ``#[repr]``, in order; empty: Rust's own."""
    found = []
    for one in item["attrs"]:
        if isinstance(one, dict) and "repr" in one:
            inner = one["repr"]
            found.append({"rust": "", "c": "C"}.get(inner["kind"], str(inner["kind"])))
            found.append(str(inner["int"] or ""))
            found += [f"{name}({inner[name]})" for name in ("align", "packed") if inner[name] is not None]
    return sorted(filter(None, found))


def _arms(text: str) -> list[str]:
    """The matchers of ``macro_rules!``, as rustdoc prints them."""
    found = [line.strip() for line in text.splitlines() if "=>" in line]
    return [re.sub(r"\s+", " ", line.partition("=>")[0].strip()) for line in found] or [text]
