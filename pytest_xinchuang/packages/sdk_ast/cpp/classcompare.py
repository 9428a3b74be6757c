"""Classes of C++ in two versions: what those who construct, copy, derive, override and link notice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.comparer import place_of
from pytest_xinchuang.packages.sdk_ast.cpp.functioncompare import template_change
from pytest_xinchuang.packages.sdk_ast.cpp.text import text_of
from pytest_xinchuang.packages.sdk_ast.cpp.view import View
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol
from pytest_xinchuang.packages.sdk_ast.words import listed

_ACCESS = ("public", "protected", "private")
_LOST = {
    "default": "CPP-CLASS-NOT-DEFAULT-CONSTRUCTIBLE",
    "copy": "CPP-CLASS-NOT-COPYABLE",
    "move": "CPP-CLASS-NOT-MOVABLE",
    "assign": "CPP-CLASS-NOT-ASSIGNABLE",
    "move_assign": "CPP-CLASS-NOT-ASSIGNABLE",
    "aggregate": "CPP-CLASS-NOT-AGGREGATE",
    "trivial_copy": "CPP-CLASS-TRIVIAL-LOST",
    "standard_layout": "CPP-CLASS-LAYOUT-RULES-LOST",
    "nothrow_move": "CPP-CLASS-NOTHROW-MOVE-LOST",
}
"""What a class could and can no longer do -> the rule."""


def class_changes(name: str, old: Symbol, new: Symbol, views: tuple[View, View]) -> Iterator[Change]:
    """What differs between two versions of a class, without its members."""
    was, now = old["facts"], new["facts"]
    texts, at = (text_of(old), text_of(new)), place_of(new)
    if was.get("incomplete") or now.get("incomplete"):
        if not was.get("incomplete"):
            yield Change("CPP-CLASS-INCOMPLETE", name, *texts, at=at)
        elif not now.get("incomplete"):
            yield Change("CPP-CLASS-COMPLETED", name, *texts, at=at)
        return
    if ("union" in (was["tag"], now["tag"])) and was["tag"] != now["tag"]:
        yield Change("CPP-KIND-CHANGED", name, *texts, at=at)
        return
    if (was.get("template") is None) != (now.get("template") is None):
        yield Change("CPP-TEMPLATE-PARAMS-CHANGED", name, *texts, at=at)
        return
    if rule := template_change(was.get("template"), now.get("template")):
        yield Change(rule, name, *texts, at=at)
    if was.get("requires", "") != now.get("requires", ""):
        rule = "CPP-CONSTRAINT-CHANGED" if now.get("requires") else "CPP-CONSTRAINT-REMOVED"
        yield Change(rule, name, was.get("requires", ""), now.get("requires", ""), at=at)
    if now.get("final") and not was.get("final") and views[0].derivable(name):
        yield Change("CPP-CLASS-FINAL", name, *texts, at=at)
    yield from _bases(name, was, now, views[1].classes(name), at)
    yield from _virtuals(name, was, now, views, at)
    yield from _traits(name, was, now, at)
    yield from _layout(name, old, new, at)
    lost = sorted(set(was.get("friends") or ()) - set(now.get("friends") or ()))
    if gone := [friend for friend in lost if "(" not in friend]:  # functions are symbols of their own
        yield Change("CPP-FRIEND-REMOVED", name, listed(gone), "", at=at)


def _bases(
    name: str, was: Mapping[str, Any], now: Mapping[str, Any], reached: Sequence[str], at: str
) -> Iterator[Change]:
    before = {str(base): (access, virtual) for base, access, virtual in was["bases"]}
    after = {str(base): (access, virtual) for base, access, virtual in now["bases"]}
    for base, (access, virtual) in before.items():
        if base not in after:
            if access != "private" and base not in reached:
                yield Change("CPP-BASE-REMOVED", name, base, "", at=at)
            continue
        if _ACCESS.index(after[base][0]) > _ACCESS.index(access):
            yield Change("CPP-BASE-ACCESS-NARROWED", name, f"{access} {base}", f"{after[base][0]} {base}", at=at)
        if after[base][1] != virtual:
            yield Change("CPP-BASE-VIRTUAL-CHANGED", name, base, base, at=at)
    if came := [base for base in after if base not in before]:
        yield Change("CPP-BASE-ADDED", name, "", listed(came), at=at)
    kept = [base for base in before if base in after]
    if kept != [base for base in after if base in before]:
        yield Change("CPP-BASES-REORDERED", name, listed(before), listed(after), at=at)
    elif came and kept and list(after)[: len(kept)] != kept:
        # What stands before a base moves it, unless it is empty: then the size says nothing and the place does.
        yield Change("CPP-BASES-REORDERED", name, listed(before), listed(after), at=at)


def _virtuals(
    name: str, was: Mapping[str, Any], now: Mapping[str, Any], views: tuple[View, View], at: str
) -> Iterator[Change]:
    """The table of virtual functions (Itanium C++ ABI 2.5): old programs call by number, and derive tables of their own."""
    before, after = list(was.get("slots") or ()), list(now.get("slots") or ())
    derives = views[0].derivable(name)
    gone = [slot for slot in before if slot not in after]
    came = [slot for slot in after if slot not in before]
    for slot in gone:
        yield Change("CPP-VIRTUAL-REMOVED", f"{name}::{_member(name, slot)}", slot, "", cause=f"{name} vtable", at=at)
    for slot in came:
        symbol = f"{name}::{_member(name, slot)}"
        if slot in (now.get("pure") or ()) and derives:
            yield Change("CPP-PURE-ADDED", symbol, "", slot, cause=f"{name} vtable", at=at)
        elif not derives and before and after[: len(before)] == before:
            yield Change("CPP-VIRTUAL-ADDED-LAST", symbol, "", slot, at=at)
        else:
            yield Change("CPP-VIRTUAL-ADDED", symbol, "", slot, cause=f"{name} vtable", at=at)
    kept = [slot for slot in before if slot in after]
    if kept != [slot for slot in after if slot in before]:
        yield Change("CPP-VTABLE-REORDERED", name, listed(before), listed(after), at=at)
    for slot in kept:
        pure = slot in (was.get("pure") or ()), slot in (now.get("pure") or ())
        symbol = f"{name}::{_member(name, slot)}"
        if pure == (False, True):
            yield Change("CPP-PURE-ADDED", symbol, slot, f"{slot} = 0", at=at)
        if slot in (now.get("sealed") or ()) and slot not in (was.get("sealed") or ()) and derives:
            yield Change("CPP-VIRTUAL-FINAL", symbol, slot, f"{slot} final", at=at)


def _member(name: str, slot: str) -> str:
    return f"~{name.rpartition('::')[2]}()" if slot == "~" else slot


def _traits(name: str, was: Mapping[str, Any], now: Mapping[str, Any], at: str) -> Iterator[Change]:
    before, after = was.get("traits"), now.get("traits")
    if before is None or after is None or was.get("instance") != now.get("instance"):
        return
    told = set()
    for key, rule in _LOST.items():
        if (
            before[key]
            and not after[key]
            and rule not in told
            and not (key == "move" and "CPP-CLASS-NOT-COPYABLE" in told)
        ):
            if key in ("default", "copy", "move", "nothrow_move") and after["abstract"] and not before["abstract"]:
                continue  # the function that makes it abstract says so
            told.add(rule)
            yield Change(rule, name, at=at)
    if before["in_registers"] != after["in_registers"] and "instance" not in was and before["copy"] and after["copy"]:
        yield Change("CPP-CLASS-PASSED-OTHERWISE", name, at=at)
    if before["abstract"] < after["abstract"] and not set(now.get("pure") or ()) - set(was.get("pure") or ()):
        yield Change("CPP-CLASS-ABSTRACT", name, at=at)


def _layout(name: str, old: Symbol, new: Symbol, at: str) -> Iterator[Change]:
    before, after = old["facts"].get("traits") or old, new["facts"].get("traits") or new
    if old["facts"].get("instance") != new["facts"].get("instance"):
        return
    for key, rule in (("size", "CPP-CLASS-SIZE-CHANGED"), ("align", "CPP-CLASS-ALIGN-CHANGED")):
        if key in before and key in after and before[key] != after[key]:
            yield Change(rule, name, str(before[key]), str(after[key]), cause=f"{name} layout", at=at)


def field_change(name: str, old: Symbol, new: Symbol, views: tuple[View, View]) -> Iterator[Change]:
    """What differs between two versions of a data member."""
    was, now = old["facts"], new["facts"]
    at = place_of(new)
    owner = name.rpartition("::")[0]
    moved = (was["offset"], was.get("bits")) != (now["offset"], now.get("bits"))
    if views[0].access(name) == "private":
        if (moved or was["type"] != now["type"]) and (was.get("inlined") or _copied_by_clients(views[0], owner)):
            before, after = (f"{side['type']} {_place(side)}" for side in (was, now))
            yield Change("CPP-PRIVATE-LAYOUT-CHANGED", name, before, after, cause=f"{owner} layout", at=at)
        return
    if was["type"] != now["type"]:
        yield Change("CPP-FIELD-TYPE-CHANGED", name, was["type"], now["type"], cause=f"{owner} layout", at=at)
    elif was.get("mutable") and not now.get("mutable"):
        yield Change("CPP-FIELD-TYPE-CHANGED", name, f"mutable {was['type']}", now["type"], at=at)
    if moved:
        yield Change("CPP-FIELD-MOVED", name, _place(was), _place(now), cause=f"{owner} layout", at=at)


def _place(facts: Mapping[str, Any]) -> str:
    bits = facts.get("bits")
    return _("bit {first}, {width} wide", first=bits[0], width=bits[1]) if bits else str(facts["offset"])


def _copied_by_clients(view: View, owner: str) -> bool:
    """Whether code that a compiler makes in clients takes a class apart: it copies or destroys member by member."""
    symbol = view.symbols.get(owner)
    if symbol is None or (symbol["facts"].get("traits") or {}).get("trivial_copy"):
        return False
    own = view.methods.get(owner, [])
    outlined = [f for f in own if not f.get("inline") and not f.get("defaulted")]
    ends = any(f.get("destructor") for f in outlined)
    copies = any(f.get("constructor") and len(f["params"]) == 1 and f["params"][0].endswith("&") for f in outlined)
    refused = any(f.get("constructor") and f.get("deleted") for f in own)
    return not ends or not (copies or refused)


def access_change(name: str, views: tuple[View, View], at: str) -> Iterator[Change]:
    """Whether fewer or more clients may use a member."""
    was, now = (view.access(name) for view in views)
    if _ACCESS.index(now) > _ACCESS.index(was):
        yield Change("CPP-ACCESS-NARROWED", name, was, now, at=at)
    elif was == "protected" and now == "public":
        yield Change("CPP-ACCESS-WIDENED", name, was, now, at=at)
