"""Clients of a Python API, as data that a probe can try: what callers could do with the old version's names."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_xinchuang.packages.sdk_ast.judge.client import Client
from pytest_xinchuang.packages.sdk_ast.python.comparer import FALLBACKS
from pytest_xinchuang.packages.sdk_ast.python.reader import TOP
from pytest_xinchuang.packages.sdk_ast.python.syntax import EITHER, KEYWORD, POSITIONAL, VAR_KEYWORD, VAR_POSITIONAL
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol

Data = Mapping[str, Any]

_TRIED_SPECIALS = {
    f"__{prefix}{op}__"
    for op in ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "pow", "lshift", "rshift", "and", "xor", "or")
    for prefix in ("", "r")
} | {
    "__call__", "__iter__", "__next__", "__len__", "__getitem__", "__setitem__", "__delitem__", "__contains__",
    "__enter__", "__exit__", "__aenter__", "__aexit__", "__aiter__", "__anext__", "__await__", "__int__", "__float__",
    "__complex__", "__index__", "__neg__", "__pos__", "__abs__", "__invert__", "__round__", "__fspath__", "__bytes__",
    "__reversed__", "__divmod__", "__rdivmod__", "__class_getitem__", "__buffer__",
}  # fmt: skip
"""Special methods without which an expression or a statement fails (data model, sections 3.3 and 3.4)."""
_OF_INSTANCES = {"static", "class"}


@dataclass
class Probe:
    """A client with what the probe is told of it."""

    client: Client
    order: dict[str, Any] = field(default_factory=dict)


def clients_of(top: str, symbols: Mapping[str, Symbol], new: Mapping[str, Symbol]) -> Iterator[Probe]:
    """All clients of the public names of a package, those of a name before those of what it holds."""
    modules = {TOP} | {n for n, s in symbols.items() if s["kind"] == "module" and "form" in s["facts"]}
    for name, symbol in sorted(symbols.items()):
        facts = symbol["facts"]
        if not facts["public"]:
            continue
        holder, path = _holder(name, modules)
        module = top if holder == TOP else f"{top}.{holder}"
        label = top if name == TOP else f"{top}.{name}"
        place = {"module": module, "path": path}
        if not _is_read(symbol, name):
            continue
        yield _probe(label, "name", place, "{object}")
        if name == TOP or (symbol["kind"] == "module" and "form" in facts):
            for child in facts.get("loads", ()) if name == TOP else ():
                if not child.startswith("_"):
                    one = _probe(f"{label}.{child}", "loaded", {"module": module, "path": [child]}, f"{label}.{child}")
                    # PEP 8: what an import leaves behind is no interface, unless the package names it.
                    one.client = replace(one.client, promised=child in facts.get("names", ()))
                    yield one
            continue
        yield from _of_kind(label, symbol, new.get(name), place)


def _holder(name: str, modules: set[str]) -> tuple[str, list[str]]:
    if name == TOP or name in modules:
        return name, []
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        if ".".join(parts[:length]) in modules:
            return ".".join(parts[:length]), parts[length:]
    return TOP, parts


def _is_read(symbol: Symbol, name: str) -> bool:
    """Whether a name can be read without an instance."""
    facts = symbol["facts"]
    last = name.rpartition(".")[2]
    if not facts.get("member"):
        return symbol["kind"] != "var" or "value" in symbol or "alias" in facts or facts.get("literal", False)
    if last.startswith("__"):
        return False
    return symbol["kind"] in ("func", "class") or bool(facts.get("property") or facts.get("enum"))


def _probe(label: str, relation: str, place: Data, use: str, also: Sequence[str] = (), **more: Any) -> Probe:
    shown = ".".join([place["module"], *place["path"]])
    head = f"import {place['module']}\n\n"
    client = Client(label, relation, {"client.py": head + use.replace("{object}", shown) + "\n"}, also=tuple(also))
    return Probe(client, {"relation": relation, **place, **more})


def _of_kind(label: str, symbol: Symbol, other: Symbol | None, place: Data) -> Iterator[Probe]:
    facts, kind = symbol["facts"], symbol["kind"]
    if kind == "func" and facts["params"] is not None:
        yield _probe(label, "use", place, "callable({object})", kind="func")
        yield from _calls(label, facts["params"], other, place)
        if facts["binding"] in _OF_INSTANCES:
            yield _probe(label, "bound", place, "{object}(...)")
    elif kind == "class" and "ancestors" in facts:
        yield from _of_class(label, facts, other, place)
    elif kind == "var" and facts.get("property") and facts.get("writable"):
        yield _probe(label, "assign", place, "{object}.fset(...)")
    elif kind == "var" and facts.get("enum"):
        value = _literal(str(symbol.get("value", "")))
        if value:
            owner = label.rpartition(".")[0]
            yield _probe(label, "value", place, f"{owner}({value})", value=value)


def _literal(text: str) -> str:
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return ""


def _of_class(label: str, facts: Data, other: Symbol | None, place: Data) -> Iterator[Probe]:
    yield _probe(label, "use", place, "class Mine({object}): ...", kind="class")
    # Nobody asks for an instance of what only gives a metaclass or describes types.
    given = [a for a in facts["ancestors"][1:] if not a.startswith("typing.") and a != "abc.ABC" and "._" not in a]
    bases = [a.rpartition(".")[2] for a in given]
    yield _probe(label, "base", place, f"isinstance(x, ({', '.join(bases)}))", names=[b for b in bases if b[:1] != "_"])
    yield _probe(label, "implement", place, "class Mine({object}): ...\n\nMine()", names=list(facts["abstract"]))
    if facts["hashable"]:
        yield _probe(label, "hash", place, "hash({object}(...))")
    if facts["has_dict"] and not facts["unknown"]:
        yield _probe(label, "attribute", place, "{object}(...).an_attribute = 1")
    if facts["dataclass"] and not facts["frozen"]:
        yield _probe(label, "frozen", place, "{object}(...)." + facts["dataclass"][0] + " = 1")
    if facts["fields"]:
        yield _probe(label, "unpack", place, f"{', '.join(facts['fields'])} = {{object}}(...)", names=facts["fields"])
    if facts["call"] is not None:
        yield from _calls(label, facts["call"], other, place)


def specials(top: str, symbols: Mapping[str, Symbol]) -> Iterator[Probe]:
    """Clients of special methods: each by the expression that needs it."""
    modules = {TOP} | {n for n, s in symbols.items() if s["kind"] == "module" and "form" in s["facts"]}
    for name, symbol in sorted(symbols.items()):
        owner, _dot, last = name.rpartition(".")
        if last in _TRIED_SPECIALS and symbol["facts"]["public"] and symbol["facts"].get("member"):
            holder, path = _holder(owner, modules)
            place = {"module": top if holder == TOP else f"{top}.{holder}", "path": path}
            names = [last, *FALLBACKS.get(last, ())]
            yield _probe(f"{top}.{name}", "special", place, f"{{object}}(...).{last}", names=names)


def _calls(label: str, params: Sequence[Data], other: Symbol | None, place: Data) -> Iterator[Probe]:
    now: Sequence[Data] = ()
    if other is not None:
        now = other["facts"].get("params") or other["facts"].get("call") or ()
    also = [f"{label}({p['name']})" for p in (*params, *now)]
    variadic = any(p["kind"] in (VAR_POSITIONAL, VAR_KEYWORD) for p in (*params, *now))
    for positional, named in shapes(params):
        given = [*(["..."] * positional), *(f"{n}=..." for n in named)]
        use = f"{{object}}({', '.join(given)})"
        yield _probe(label, "call", place, use, also, positional=positional, named=named, variadic=variadic)

    moved = [p["name"] for p in now if p["kind"] in (POSITIONAL, EITHER)]
    for index, p in enumerate(p for p in params if p["kind"] in (POSITIONAL, EITHER)):
        if p["kind"] == EITHER and p["name"] in moved and moved[index : index + 1] != [p["name"]]:
            use = f"{{object}}({', '.join(['...'] * index + [p['name']])})"
            one = f"{label}({p['name']})"
            yield _probe(one, "position", place, use, positional=index + 1, name=p["name"])


def shapes(params: Sequence[Data]) -> list[tuple[int, list[str]]]:
    """Calls that a signature takes: how many arguments by position, and which by name.

    Each required one by position and by name; each optional one, by position up to it and by name; one more than the list has
    where it takes any.
    """
    positional = [p for p in params if p["kind"] in (POSITIONAL, EITHER)]
    needed = [p for p in positional if p["default"] is None]
    names = [p["name"] for p in params if p["kind"] == KEYWORD and p["default"] is None]
    bare = sum(p["kind"] == POSITIONAL for p in needed)
    found: list[tuple[int, list[str]]] = [(len(needed), names)]
    by_name = [p["name"] for p in needed if p["kind"] == EITHER]
    found.append((bare, [*by_name, *names]))
    for index, p in enumerate(positional[len(needed) :], len(needed)):
        found.append((index + 1, names))
        if p["kind"] == EITHER:
            found.append((bare, [*by_name, p["name"], *names]))
    found += [(len(needed), [*names, p["name"]]) for p in params if p["kind"] == KEYWORD and p["default"] is not None]
    if any(p["kind"] == VAR_POSITIONAL for p in params):
        found.append((len(positional) + 2, names))
    if any(p["kind"] == VAR_KEYWORD for p in params):
        found.append((len(needed), [*names, "any_other_name"]))
    return list({repr(one): one for one in found}.values())
