"""What differs between two traits, for those who use them and for those who implement them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_xinchuang.packages.sdk_ast.rust.functions import compare_functions, function_text
from pytest_xinchuang.packages.sdk_ast.rust.items import UNNAMED

Facts = Mapping[str, Any]
Found = tuple[str, str, str, str]


def compare_traits(label: str, before: Facts, after: Facts) -> Iterator[Found]:
    """The differences of items, supertraits, and of who may implement them."""
    mine = not before["sealed"]
    if mine and after["sealed"]:
        yield "RUST-TRAIT-SEALED", label, ", ".join(before["supers"]), ", ".join(after["supers"])
    elif before["sealed"] and not after["sealed"]:
        yield "RUST-TRAIT-UNSEALED", label, ", ".join(before["supers"]), ", ".join(after["supers"])
    if before["unsafe"] != after["unsafe"] and mine:
        yield "RUST-TRAIT-UNSAFE-CHANGED", label, f"unsafe: {before['unsafe']}", f"unsafe: {after['unsafe']}"
    if before["dyn"] and not after["dyn"]:
        yield "RUST-TRAIT-DYN-LOST", label, f"dyn {label}", ""
    if before["auto"] != after["auto"]:
        yield "RUST-KIND-CHANGED", label, f"auto: {before['auto']}", f"auto: {after['auto']}"
    more, less = (
        sorted(set(after["supers"]) - set(before["supers"])),
        sorted(set(before["supers"]) - set(after["supers"])),
    )
    if more and not after["sealed"]:
        yield "RUST-TRAIT-SUPER-ADDED", label, "", ", ".join(more)
    less = [one for one in less if not one.startswith(UNNAMED)]
    if less:
        yield "RUST-TRAIT-SUPER-REMOVED", label, ", ".join(less), ""
    old, new = before["items"], after["items"]
    for name, was in old.items():
        symbol, now = f"{label}::{name}", new.get(name)
        if was["hidden"] and not mine:
            continue
        if now is None:
            yield "RUST-TRAIT-ITEM-REMOVED", symbol, item_text(was), ""
        elif was["k"] != now["k"]:
            yield "RUST-KIND-CHANGED", symbol, item_text(was), item_text(now)
        else:
            yield from _item(symbol, was, now, mine=mine)
    for name, now in new.items():
        if name not in old:
            rule = "RUST-TRAIT-ITEM-ADDED-PROVIDED" if now["body"] else "RUST-TRAIT-ITEM-ADDED"
            yield "RUST-TRAIT-ITEM-ADDED-SEALED" if not mine else rule, f"{label}::{name}", "", item_text(now)


def _item(symbol: str, was: Facts, now: Facts, *, mine: bool) -> Iterator[Found]:
    if was["body"] and not now["body"] and mine:
        yield "RUST-TRAIT-ITEM-REQUIRED", symbol, item_text(was), item_text(now)
    elif now["body"] and not was["body"]:
        yield "RUST-TRAIT-ITEM-PROVIDED", symbol, item_text(was), item_text(now)
    if was["k"] == "function":
        yield from compare_functions(symbol, was, now, implemented=mine)
    elif was["k"] == "assoc_const":
        if was["type"] != now["type"]:
            yield "RUST-CONST-TYPE-CHANGED", symbol, was["type"], now["type"]
        elif was["body"] and now["body"] and was["value"] != now["value"]:
            yield "RUST-CONST-VALUE-CHANGED", symbol, was["value"], now["value"]
    else:
        sides = [{*side["bounds"], *side["where"]} for side in (was, now)]
        lost, came = sorted(sides[0] - sides[1]), sorted(sides[1] - sides[0])
        if was["params"] != now["params"] or lost or (came and mine):
            yield "RUST-TRAIT-TYPE-BOUNDS-CHANGED", symbol, item_text(was), item_text(now)


def item_text(facts: Facts) -> str:
    """An item of a trait as people read it."""
    if facts["k"] == "function":
        return function_text(facts) + (" { .. }" if facts["body"] else "")
    if facts["k"] == "assoc_const":
        return f"const {facts['type']}"
    return "type" + (f": {' + '.join(facts['bounds'])}" if facts["bounds"] else "")
