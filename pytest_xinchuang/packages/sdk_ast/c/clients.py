"""Clients of a C API: what programs do with each declaration of the old version, a line or three each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.packages.sdk_ast.c.comparer import RESERVED, SPARE, bare
from pytest_xinchuang.packages.sdk_ast.c.release import of_the_release
from pytest_xinchuang.packages.sdk_ast.c.types import declaration
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol, Type


@dataclass(frozen=True)
class Lines:
    """What one client adds to a source file.

    Attributes:
        name: the C symbol that it is about, as reports call it.
        text: whole lines; ``%`` stands for a number that makes its names its own.
        mentions: further symbols that it needs.
        promised: programs may count on it.
    """

    name: str
    relation: str
    text: str
    mentions: tuple[str, ...] = ()
    promised: bool = True


def mentioned(t: Any) -> set[str]:
    """Names of the declared types in a tree."""
    if isinstance(t, Mapping):
        own = {str(t["name"])} if t.get("kind") == "named" else set()
        return own.union(*(mentioned(v) for v in t.values() if isinstance(v, (Mapping, list))))
    return set().union(*(mentioned(one) for one in t)) if isinstance(t, list) else set()


def clients_of(name: str, symbol: Symbol, new: Symbol | None, *, cxx: bool) -> Iterator[Lines]:
    """What programs do with a symbol.

    Args:
        new: what the name is in the new version; None: nothing.
        cxx: for programs in C++.
    """
    if name.startswith(RESERVED):
        return
    needs = tuple(sorted(mentioned(symbol.get("type")) - {name}))
    kind = symbol["kind"]
    if kind == "func":
        yield from _function(name, symbol["type"], new, needs, cxx=cxx)
    elif kind == "var":
        if pointer := declaration({"kind": "pointer", "elem": symbol["type"]}, "p"):
            yield Lines(name, "address", _body(f"{pointer} = &{name}; (void)p;"), needs)
    elif kind == "const":
        yield Lines(name, "switch", _body(f"switch (x) {{ case {name}: break; }}", "int x"), needs)
        yield Lines(name, "value", _assert(f"({name}) == ({_number(symbol['value'])})"), needs)
        if cxx and needs:
            yield Lines(name, "convert", _body(f"{needs[0]} x = {name}; (void)x;"), needs)
    elif kind == "macro":
        yield from _macro(name, symbol)
    elif kind == "type":
        yield from _type(name, symbol, needs)


def _body(statements: str, parameters: str = "void") -> str:
    return f"static inline void xc_client_%({parameters}) {{ {statements} }}"


def _assert(condition: str) -> str:
    return f'_Static_assert({condition}, "xc_client");'


def _number(value: str) -> str:
    """A constant that any compiler reads: the least of 64 bits has no literal of its own."""
    return "-9223372036854775807 - 1" if value == "-9223372036854775808" else value


def _function(name: str, t: Type, new: Symbol | None, needs: tuple[str, ...], *, cxx: bool) -> Iterator[Lines]:
    if t.get("hidden"):
        if not cxx:
            yield Lines(name, "call", _body(f"(void){name}(1, 2);"), needs)
        return
    params = [declaration(p, f"a{n}") for n, p in enumerate(t["params"])]
    if "" in params:
        return
    listed, names = ", ".join(params) or "void", ", ".join(f"a{n}" for n in range(len(params)))
    yield Lines(name, "call", _body(f"(void){name}({names});", listed), needs)
    result = t["results"][0]
    if not (result["kind"] == "basic" and result["name"] == "void") and (kept := declaration(result, "r")):
        yield Lines(name, "result", _body(f"{kept} = {name}({names}); (void)r;", listed), needs)
    # A pointer to a function of other qualifiers is another one to a compiler, and nobody calls that a break.
    if new is None or new.get("type") is None or bare(new["type"]) != bare(t) or new["type"] == t:
        pointer = declaration(t, "(*p)")
        if pointer:
            yield Lines(name, "address", _body(f"{pointer} = {name}; (void)p;"), needs)


def _macro(name: str, symbol: Symbol) -> Iterator[Lines]:
    facts = symbol.get("facts") or {}
    # An empty macro has no other use than to be asked for.
    feature = not symbol.get("value")
    yield Lines(name, "ifdef", f"#ifndef {name}\n#error it is not defined\n#endif", promised=feature)
    if facts.get("takes"):
        yield Lines(name, "expand", _body(f"(void)({name}({', '.join('0' for _ in range(facts['params']))}));"))
    elif symbol.get("type"):
        value = str(symbol.get("value", ""))
        needs = tuple(sorted(mentioned(symbol["type"])))
        # 1.2 is a number and 1.2.3 is none: a version without quotes is made for the preprocessor's operator #.
        number = not (of_the_release(name) and "." in value)
        yield Lines(name, "expression", _body(f"(void)({name});"), needs, promised=number)
        if value.lstrip("-").isdigit() and not of_the_release(name):
            yield Lines(name, "value", _assert(f"({name}) == ({_number(value)})"))


def _type(name: str, symbol: Symbol, needs: tuple[str, ...]) -> Iterator[Lines]:
    t = symbol["type"]
    yield Lines(name, "point", _body(f"{name} *p = 0; (void)p;"), needs)
    if symbol.get("alias") and (pointer := declaration({"kind": "pointer", "elem": t}, "p")):
        yield Lines(name, "convert", _body(f"{pointer} = ({name} *)0; (void)p;"), needs)
    if t.get("hidden") or symbol.get("size", -1) < 0:
        return
    yield Lines(name, "define", _body(f"{name} x; (void)sizeof x;"), needs)
    yield Lines(name, "layout", _assert(f"sizeof({name}) == {symbol['size']}"), needs)
    if t["kind"] not in ("struct", "union"):
        return
    yield Lines(name, "layout", _assert(f"_Alignof({name}) == {symbol['align']}"), needs)
    for field in t["fields"]:
        if SPARE.fullmatch(field["name"]):
            continue
        label = f"{name}.{field['name']}"
        also = (name, *sorted(mentioned(field["type"]) - {name}))
        if field.get("bits"):
            yield Lines(label, "field", _body(f"(void)p->{field['name']};", f"{name} *p"), also)
            continue
        place = f"__builtin_offsetof({name}, {field['name']}) == {field['offset']}"
        yield Lines(label, "layout", _assert(place), also)
        if pointer := declaration({"kind": "pointer", "elem": field["type"]}, "f"):
            yield Lines(label, "field", _body(f"{pointer} = &p->{field['name']}; (void)f;", f"{name} *p"), also)
