"""Texts of types, as snapshots have them, written as a client of the crate writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_xinchuang.packages.sdk_ast.rust.items import UNNAMED

Facts = Mapping[str, Any]

_STD = re.compile(r"\b(?:core|alloc|std)((?:::[a-z_0-9]+)+)::([A-Z]\w*)")
_KEPT = frozenset({"os", "sync", "collections", "thread", "process", "fs", "path"})
"""Modules of the standard library that have public modules with types of their own."""
_INNER = re.compile(r"&'\^+\d+ ")
_ARGUMENT = re.compile(r"'\^+\d+|'\?")
_LIFETIME = re.compile(r"'(\d+)")
_OPAQUE = re.compile(r"\bimpl (.+)$")


def written(text: str, crate: str) -> str:
    """A text of types in the words of a client."""
    text = _ARGUMENT.sub("'_", _INNER.sub("&", text))
    text = _STD.sub(_public, text.replace("crate::", f"{crate}::"))
    return _LIFETIME.sub(r"'l\1", text)


def _public(match: re.Match[str]) -> str:
    modules = match[1].strip(":").split("::")
    if modules[:2] in (["sync", "atomic"], ["sync", "mpsc"], ["os", "fd"], ["os", "raw"]):
        return f"std::{modules[0]}::{modules[1]}::{match[2]}"
    if modules[:2] == ["panic", "unwind_safe"]:
        return f"std::panic::{match[2]}"
    return f"std::{modules[0]}::{match[2]}"


def is_named(facts: Any) -> bool:
    """Whether a client can write everything that is in the facts."""
    text = str(facts)
    return UNNAMED not in text and "@" not in text


def lifetimes(texts: Iterable[str]) -> list[str]:
    """The lifetimes that texts name."""
    return sorted({f"'l{number}" for text in texts for number in _LIFETIME.findall(text)})


def generics(facts: Facts, texts: Iterable[str], crate: str, more: Iterable[str] = ()) -> tuple[str, str]:
    """The parameters of a client's function, and its where clause.

    Args:
        facts: those of the item: ``params`` and ``bounds``.
        texts: what the parameters appear in.
        more: further parameters, with their bounds.
    """
    bounds = [*facts.get("bounds", ())]
    used = lifetimes([*texts, *bounds])
    numbers = sorted({int(n) for text in [*texts, *bounds] for n in re.findall(r"\bT(\d+)\b", text)})
    kinds = [kind for kind, _default in facts.get("params", ()) if kind != "lifetime"]
    outer = outer_count(facts)
    constants = {int(name[1:]): kind for name, kind in (facts.get("consts") or {}).items()}
    constants |= {n + outer: kind.removeprefix("const ") for n, kind in enumerate(kinds) if kind.startswith("const ")}
    every = sorted({*numbers, *constants, *range(outer, outer + len(kinds))})
    named = [f"const T{n}: {written(constants[n], crate)}" if n in constants else f"T{n}" for n in every]
    types = [one for one in named if not one.startswith("const")]
    parts = [*used, *types, *more, *(one for one in named if one.startswith("const"))]
    where = ", ".join(written(one, crate) for one in bounds)
    return f"<{', '.join(parts)}>" if parts else "", f" where {where}" if where else ""


def outer_count(facts: Facts) -> int:
    """How many parameters an implementation has, before those of a method in it."""
    return len(set(re.findall(r"\bT\d+\b", str(facts.get("for", ""))))) if "inputs" in facts else 0


def opaque(inputs: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each parameter's type, with the bounds of a parameter of the client's own in the place of ``impl Trait``."""
    for text in inputs:
        match = _OPAQUE.match(text)
        yield ("", match[1]) if match else (text, "")
