"""What differs between two structures, unions or enumerations, and between the parameters of two types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_xinchuang.packages.sdk_ast.rust.functions import tightened

Facts = Mapping[str, Any]
Found = tuple[str, str, str, str]


def compare_parameters(label: str, before: Facts, after: Facts) -> Iterator[Found]:
    """The differences of lifetimes, types and constants that a type or trait takes."""
    old, new = before["params"], after["params"]
    kinds = [kind for kind, _default in old]
    if kinds != [kind for kind, _default in new[: len(old)]] or any(not default for _kind, default in new[len(old) :]):
        yield "RUST-TYPE-PARAMS-CHANGED", label, parameters_text(old), parameters_text(new)
        return
    if len(new) > len(old):
        yield "RUST-TYPE-PARAM-ADDED-DEFAULT", label, parameters_text(old), parameters_text(new)
    for (_kind, was), (_same, now) in zip(old, new, strict=False):
        if was and was != now:
            yield "RUST-PARAM-DEFAULT-CHANGED", label, was, now
    more, less = tightened(before["bounds"], after["bounds"])
    if more:
        yield "RUST-BOUND-ADDED", label, "", ", ".join(more)
    if less:
        yield "RUST-TRAIT-BOUND-REMOVED" if before["k"] == "trait" else "RUST-BOUND-REMOVED", label, ", ".join(less), ""


def parameters_text(parameters: Sequence[Sequence[str]]) -> str:
    """Parameters as people read them."""
    return "<" + ", ".join(kind + (f" = {default}" if default else "") for kind, default in parameters) + ">"


def is_exhaustive(facts: Facts) -> bool:
    """Whether others can make a value by naming all fields, and match on all of them."""
    return not facts["open"] and all(public for _name, _type, public in facts["fields"])


def compare_structs(label: str, before: Facts, after: Facts) -> Iterator[Found]:
    """The differences of fields, form, and what may be assumed of them."""
    yield from _openness(label, before, after, exposed=is_exhaustive(before) or _public(before))
    exposed = _public(before) or is_exhaustive(before)
    if before["form"] != after["form"] and exposed and not _is_same_by_name(before, after):
        yield "RUST-STRUCT-FORM-CHANGED", label, fields_text(before), fields_text(after)
    else:
        yield from compare_fields(label, before, after)
    yield from _layout(label, before, after)


def _is_same_by_name(before: Facts, after: Facts) -> bool:
    """Whether only the braces of a structure that nobody can make without them are others."""
    return {before["form"], after["form"]} == {"plain", "unit"} and before["form"] == "plain" and not before["fields"]


def _public(facts: Facts) -> bool:
    return any(public for _name, _type, public in facts["fields"])


def compare_fields(label: str, before: Facts, after: Facts) -> Iterator[Found]:
    """The differences of public fields, and of whether there are others."""
    old, new = ({name: (text, public) for name, text, public in side["fields"]} for side in (before, after))
    for name, (text, public) in old.items():
        if not public:
            continue
        if name not in new or not new[name][1]:
            yield "RUST-FIELD-REMOVED", f"{label}.{name}", text, "private" if name in new else ""
        elif new[name][0] != text:
            yield "RUST-FIELD-TYPE-CHANGED", f"{label}.{name}", text, new[name][0]
    came = [name for name in new if name not in old]
    if came and is_exhaustive(before) and before["k"] != "union":
        yield "RUST-FIELD-ADDED", label, fields_text(before), fields_text(after)
    else:
        for name in came:
            if new[name][1]:
                yield "RUST-FIELD-ADDED-OPEN", f"{label}.{name}", "", new[name][0]
    for name, (text, public) in old.items():
        if not public and name in new and new[name][1]:
            yield "RUST-FIELD-ADDED-OPEN", f"{label}.{name}", "", text
    if before["k"] == "union":
        yield from _layout(label, before, after)


def fields_text(facts: Facts) -> str:
    """Fields as people read them."""
    if facts["form" if "form" in facts else "k"] == "unit":
        return ";"
    named = [f"{'pub ' if public else ''}{name}: {text}" for name, text, public in facts["fields"]]
    return "{ " + ", ".join(named) + " }"


def _openness(label: str, before: Facts, after: Facts, *, exposed: bool) -> Iterator[Found]:
    if after["open"] and not before["open"] and exposed:
        yield "RUST-NON-EXHAUSTIVE-ADDED", label, "", "#[non_exhaustive]"
    elif before["open"] and not after["open"]:
        yield "RUST-NON-EXHAUSTIVE-REMOVED", label, "#[non_exhaustive]", ""


def _layout(label: str, before: Facts, after: Facts) -> Iterator[Found]:
    if before["repr"] == after["repr"]:
        if "C" in before["repr"] and before["k"] == "struct" and _moved(before, after):
            yield "RUST-REPR-CHANGED", label, fields_text(before), fields_text(after)
        return
    texts = ", ".join(before["repr"]) or "Rust", ", ".join(after["repr"]) or "Rust"
    if before["repr"] == ["transparent"] and not _public(before):
        yield "RUST-REPR-PRIVATE-CHANGED", label, *texts
    elif before["repr"] or any(one.startswith(("packed", "align")) for one in after["repr"]):
        yield "RUST-REPR-CHANGED", label, *texts
    else:
        yield "RUST-REPR-ADDED", label, *texts


def _moved(before: Facts, after: Facts) -> bool:
    """Whether a public field of a structure of C stands behind other fields than before (Rust reference, the C repr)."""
    old, new = _preceding(before), _preceding(after)
    return any(name in new and new[name] != types for name, types in old.items())


def _preceding(facts: Facts) -> dict[str, list[str]]:
    types = [text for _name, text, _public in facts["fields"]]
    return {name: types[:n] for n, (name, _text, public) in enumerate(facts["fields"]) if public}


def compare_enums(label: str, before: Facts, after: Facts) -> Iterator[Found]:
    """The differences of variants, of their values, and of what may be assumed of them."""
    yield from _openness(label, before, after, exposed=True)
    old, new = ({one["n"]: one for one in side["variants"]} for side in (before, after))
    for name, was in old.items():
        now, symbol = new.get(name), f"{label}::{name}"
        if now is None:
            if not was["hidden"]:
                yield "RUST-VARIANT-REMOVED", symbol, was["form"], ""
            continue
        if now["hidden"] and not was["hidden"]:
            yield "RUST-HIDDEN", symbol, name, ""
        yield from _variant(symbol, was, now)
    for name, now in new.items():
        if name not in old:
            rule = "RUST-VARIANT-ADDED-OPEN" if before["open"] else "RUST-VARIANT-ADDED"
            yield rule, f"{label}::{name}", "", now["form"]
    castable = _is_castable(before)
    if castable and not _is_castable(after):
        yield "RUST-ENUM-CAST-LOST", label, "", ", ".join(v["n"] for v in after["variants"] if v["form"] != "unit")
    told = castable or any(one not in ("C",) for one in before["repr"])
    for name, was in old.items():
        if told and name in new and new[name]["value"] != was["value"]:
            yield "RUST-VARIANT-VALUE-CHANGED", f"{label}::{name}", str(was["value"]), str(new[name]["value"])
    names, now_names = [n for n in old if n in new], [n for n in new if n in old]
    if names != now_names:
        yield "RUST-VARIANT-ORDER-CHANGED", label, ", ".join(names), ", ".join(now_names)
    yield from _layout_of_enum(label, before, after)


def _layout_of_enum(label: str, before: Facts, after: Facts) -> Iterator[Found]:
    yield from _layout(label, {**before, "fields": [["", "", True]]}, {**after, "fields": []})


def _is_castable(facts: Facts) -> bool:
    """Whether ``as`` takes it: no variant has fields (Rust reference, enumeration casts)."""
    return bool(facts["variants"]) and all(one["form"] == "unit" and not one["open"] for one in facts["variants"])


def _variant(label: str, was: Facts, now: Facts) -> Iterator[Found]:
    if now["open"] and not was["open"]:
        yield "RUST-NON-EXHAUSTIVE-ADDED", label, "", "#[non_exhaustive]"
    if was["form"] != now["form"]:
        yield "RUST-VARIANT-FORM-CHANGED", label, fields_text(was), fields_text(now)
        return
    yield from compare_fields(label, {**was, "k": "variant"}, {**now, "k": "variant"})
