"""Clients of a C++ API: what programs do with each declaration of the old version, a line each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_xinchuang.packages.sdk_ast.c.clients import Lines
from pytest_xinchuang.packages.sdk_ast.c.clients import clients_of as clients_of_macros
from pytest_xinchuang.packages.sdk_ast.cpp.view import FUNCTIONS, View
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol

PRELUDE = "template <class XcT> XcT &&xc_value() noexcept;\n"
"""A value of any type, which is never made ([declval] in ISO C++, without its header)."""

_PARAMETER = re.compile(r"type-parameter-\d+-\d+")
_INFIX = re.compile(r"operator([-+*/%^&|]|<<|>>|[=!<>]=|<|>|&&|\|\|)")
_LITERALS = (("1", r"int|long|short|unsigned|float|double|char|bool"), ("1.5", r"float|double"), ("true", r"bool|int|long"),
             ("nullptr", r"\*$"), ('""', r"^const char \*$|basic_string|string_view"))  # fmt: skip
"""Literals, and the parameters that callers give them to."""


def clients_of(name: str, symbol: Symbol, view: View) -> Iterator[Lines]:
    """What programs do with a symbol of the old version.

    Args:
        view: the old version.
    """
    kind = symbol["kind"]
    if kind == "macro":
        yield from clients_of_macros(name, symbol, None, cxx=True)
        return
    if view.kept_inside(name) or (view.access(name) == "private" and not (symbol.get("facts") or {}).get("virtual")):
        return
    if kind in FUNCTIONS:
        found = _function(name, symbol["facts"], view)
    elif kind == "class":
        found = _class(name, symbol["facts"], view)
    elif kind == "field":
        found = _field(name, symbol["facts"], view)
    elif kind == "var":
        found = _variable(name, symbol["facts"])
    elif kind == "const":
        found = _constant(name, symbol)
    elif kind == "module":
        found = _module(name, symbol["facts"])
    else:
        found = _type(name, symbol)
    for lines in found:
        if not _PARAMETER.search(lines.text):
            yield lines


def _body(statements: str) -> str:
    return f"inline void xc_client_%() {{ {statements} }}"


def _assert(condition: str) -> str:
    return f'static_assert({condition}, "xc_client");'


def _filled(text: str) -> str:
    """A type of a template with ``int`` for its parameters."""
    return _PARAMETER.sub("int", text)


def _owner(facts: Mapping[str, Any], view: View) -> tuple[str, str]:
    """The class of a method, and how a client calls it: an instance of it where it is a template."""
    owner = str(facts["base"]).rpartition("::")[0]
    about = view.symbols.get(owner)
    if about is None or about["kind"] != "class":
        return owner, owner
    template = about["facts"].get("template") is not None
    return owner, str(about["facts"].get("instance", "")) if template else owner


# -- functions


def _function(name: str, facts: Mapping[str, Any], view: View) -> Iterator[Lines]:
    if facts.get("deleted") or any("..." in p for p in facts["params"]):
        return
    base = str(facts["base"])
    also = (base, base.rpartition("::")[0])
    params = [_filled(p) for p in facts["params"]]
    values = [f"xc_value<{p}>()" for p in params]
    least = len(params) - len(facts.get("defaults") or ())
    member = base.rpartition("::")[0] in view.symbols and view.symbols[base.rpartition("::")[0]]["kind"] == "class"
    if member and not facts.get("friend"):
        yield from _method(name, facts, view, values, least)
        return
    called = base.rpartition("::")[2] if facts.get("friend") else base
    operator = base.rpartition("::")[2].startswith("operator")
    for count in range(least, len(values) + 1):
        # Who writes an operator writes it between its operands.
        yield Lines(name, "call", _body(f"(void){called}({', '.join(values[:count])});"), also, promised=not operator)
    yield from _literal_calls(name, called, _literally(params, view), values, also)
    yield from _infix(name, base, values, also)
    if not operator:
        yield from _results(name, facts, f"{called}({', '.join(values)})", also)
    if facts.get("template") is None and not facts.get("friend"):
        typed = f"using xc_f = {facts['result']}({_list(facts)}){' noexcept' * bool(facts.get('noexcept'))};"
        promised = not operator and not facts.get("inline")
        yield Lines(name, "address", _body(f"{typed} xc_f *p = &{base}; (void)p;"), also, promised)
        if len(view.sets.get(base, ())) == 1:
            yield Lines(name, "address untyped", _body(f"auto p = &{base}; (void)p;"), also, promised=False)
    if facts.get("noexcept"):
        call = f"{called}({', '.join(values)})"
        yield Lines(name, "noexcept", _body(f"char x[noexcept({call}) ? 1 : -1]; (void)x;"), also)
    if facts.get("constexpr") and not facts.get("consteval"):
        made = ", ".join(f"{p}{{}}" if re.fullmatch(r"[\w:]+", p) else f"xc_value<{p}>()" for p in params)
        yield Lines(name, "constant", _body(f"constexpr auto x = {called}({made}); (void)x;"), also)


def _list(facts: Mapping[str, Any]) -> str:
    return ", ".join([*facts["params"], *(["..."] if facts.get("variadic") else [])])


def _results(name: str, facts: Mapping[str, Any], call: str, also: tuple[str, ...]) -> Iterator[Lines]:
    result = _filled(str(facts["result"]))
    if result and result != "void" and "auto" not in result:
        yield Lines(name, "result", _body(f"using xc_r = {result}; xc_r r = {call}; (void)r;"), also)


def _literal_calls(
    name: str, called: str, params: list[str], values: list[str], also: tuple[str, ...]
) -> Iterator[Lines]:
    """Calls with literals, which convert: an overload that is added may make them ambiguous."""
    for at, parameter in enumerate(params):
        for literal, fits in _LITERALS:
            bare = parameter.removeprefix("const ").removesuffix(" &") if parameter.startswith("const ") else parameter
            if re.search(fits, parameter if "char" in fits else bare):
                given = ", ".join([*values[:at], literal, *values[at + 1 :]])
                yield Lines(name, "call", _body(f"(void){called}({given});"), also)


def _literally(params: list[str], view: View) -> list[str]:
    """Parameters as callers see them who rely on a class being made of what they give ([class.conv.ctor] in ISO C++)."""
    found = []
    for parameter in params:
        owner = parameter.removeprefix("const ").removesuffix(" &")
        ways = [
            f
            for f in view.methods.get(owner, ())
            if f.get("constructor") and not f.get("explicit") and not f.get("access")
        ]
        single = [str(f["params"][0]) for f in ways if len(f["params"]) == 1 and owner not in f["params"][0]]
        found.append(single[0] if len(single) == 1 else parameter)
    return found


def _infix(name: str, base: str, values: list[str], also: tuple[str, ...]) -> Iterator[Lines]:
    if (match := _INFIX.fullmatch(base.rpartition("::")[2])) and len(values) == 2:
        yield Lines(name, "call", _body(f"(void)({values[0]} {match[1]} {values[1]});"), also)


def _method(name: str, facts: Mapping[str, Any], view: View, values: list[str], least: int) -> Iterator[Lines]:
    owner, called = _owner(facts, view)
    if not called:
        return
    also = (str(facts["base"]), owner)
    member = str(facts["base"]).rpartition("::")[2]
    if facts.get("virtual") and view.derivable(owner) and owner == called and member[:1] != "~":
        yield Lines(name, "override", _overrider(owner, member, facts), also)
    if view.access(name) == "private":
        return
    protected = view.access(name) == "protected"
    abstract = (view.symbols[owner]["facts"].get("traits") or {}).get("abstract")
    if facts.get("constructor"):
        if not protected and not abstract:
            yield from _constructions(name, facts, called, values, least, also)
        return
    if facts.get("destructor"):
        if not protected:
            yield Lines(name, "destroy", f"inline void xc_client_%({called} *p) {{ delete p; }}", also)
        return
    if protected:
        if view.derivable(owner):
            inner = f"void xc() {{ (void)this->{member}({', '.join(values)}); }}"
            yield Lines(name, "call", f"struct xc_d_% : {called} {{ {inner} }};", also)
        return
    const = "const " * bool(facts.get("const"))
    target = f"xc_value<{const}{called} {'&&' if facts.get('ref') == '&&' else '&'}>()"
    if facts.get("conversion"):
        result = _filled(str(facts["result"]))
        given = f"static_cast<xc_r>({target})" if facts.get("explicit") else target
        yield Lines(name, "convert", _body(f"using xc_r = {result}; xc_r r = {given}; (void)r;"), also)
        return
    through = f"{called}::{member}" if facts.get("static") else f"{target}.{member}"
    for count in range(least, len(values) + 1):
        yield Lines(name, "call", _body(f"(void){through}({', '.join(values[:count])});"), also)
    params = _literally([_filled(p) for p in facts["params"]], view)
    yield from _literal_calls(name, through, params, values, also)
    yield from _infix(name, str(facts["base"]), [target, *values], also)
    yield from _results(name, facts, f"{through}({', '.join(values)})", also)
    if facts.get("noexcept"):
        call = f"{through}({', '.join(values)})"
        yield Lines(name, "noexcept", _body(f"char x[noexcept({call}) ? 1 : -1]; (void)x;"), also)
    if facts.get("template") is None:
        kind = f"{'' if facts.get('static') else called + '::'}*"
        words = "" if facts.get("static") else " const" * bool(facts.get("const")) + f" {facts.get('ref', '')}".rstrip()
        typed = f"using xc_f = {_filled(str(facts['result']))}({_filled(_list(facts))}){words};"
        yield Lines(
            name,
            "address",
            _body(f"{typed} xc_f {kind}p = &{called}::{member}; (void)p;"),
            also,
            promised=bool(facts.get("static")),
        )


def _constructions(
    name: str, facts: Mapping[str, Any], called: str, values: list[str], least: int, also: tuple[str, ...]
) -> Iterator[Lines]:
    for count in range(least, len(values) + 1):
        given = ", ".join(values[:count])
        if not given:
            yield Lines(name, "construct", _body(f"{called} x; (void)x;"), also)
            continue
        yield Lines(name, "construct", _body(f"{called} x({given}); (void)x;"), also)
        if not facts.get("explicit"):
            yield Lines(name, "convert", _body(f"{called} x = {{{given}}}; (void)x;"), also)
            if count == 1:
                yield Lines(name, "convert", _body(f"const {called} &x = {given}; (void)x;"), also)
    for at, parameter in enumerate(facts["params"]):
        for literal, fits in _LITERALS:
            if re.search(fits, parameter):
                given = ", ".join([*values[:at], literal, *values[at + 1 :]])
                yield Lines(name, "construct", _body(f"{called} x({given}); (void)x;"), also)


def _qualifiers(facts: Mapping[str, Any]) -> list[str]:
    """What stands behind the parameters of a function."""
    words = [w for w in ("const", "volatile") if facts.get(w)]
    words += [str(facts["ref"])] if facts.get("ref") else []
    return [*words, *(["noexcept"] if facts.get("noexcept") else [])]


def _overrider(owner: str, member: str, facts: Mapping[str, Any]) -> str:
    """A class that overrides one virtual function."""
    words = _qualifiers(facts)
    head = f"{member}()" if facts.get("conversion") else f"xc_r_% {member}({_list(facts)})"
    return f"using xc_r_% = {facts['result']}; struct xc_d_% : {owner} {{ {head} {' '.join(words)} override; }};"


# -- classes


def _class(name: str, facts: Mapping[str, Any], view: View) -> Iterator[Lines]:
    if "access" in facts or view.access(name) != "public" or _in_template(name, view):
        return
    called = str(facts.get("instance", "")) if facts.get("template") is not None else name
    if not called:
        return
    yield Lines(name, "point", _body(f"{called} *p = nullptr; (void)p;"))
    traits = facts.get("traits")
    if traits is None:
        return
    yield Lines(
        name, "layout", _assert(f"sizeof({called}) == {traits['size']} && alignof({called}) == {traits['align']}")
    )
    ways = {
        "default": ("construct", f"{called} x{{}}; (void)x;"),
        "copy": ("copy", f"{called} x(xc_value<const {called} &>()); (void)x;"),
        "move": ("move", f"{called} x(xc_value<{called} &&>()); (void)x;"),
        "assign": ("assign", f"xc_value<{called} &>() = xc_value<const {called} &>();"),
        "move_assign": ("assign", f"xc_value<{called} &>() = xc_value<{called} &&>();"),
    }
    for key, (relation, text) in ways.items():
        if traits[key]:
            yield Lines(name, relation, _body(text))
    yield Lines(name, "address", _body(f"{called} *p = &xc_value<{called} &>(); (void)p;"))
    if traits["copy"] and not traits["abstract"]:
        yield Lines(name, "allocate", _body(f"{called} *p = new {called}(xc_value<const {called} &>()); (void)p;"))
        yield Lines(name, "catch", _body(f"try {{ }} catch (const {called} &) {{ }}"))
    for base, access, _virtual in facts.get("bases") or ():
        if access == "public" and facts.get("template") is None:
            yield Lines(name, "convert", _body(f"{base} &x = xc_value<{called} &>(); (void)x;"), (str(base),))
    if traits["aggregate"]:
        yield Lines(name, "initialize", _body(f"{called} x{{}}; (void)x;"))
    if view.derivable(name) and facts["tag"] != "union":
        yield from _derived(name, called, facts, view)


def _derived(name: str, called: str, facts: Mapping[str, Any], view: View) -> Iterator[Lines]:
    """A class of a client's own, with all overridden that has to be: it must stay one that objects can be made of."""
    yield Lines(name, "derive", f"struct xc_d_% : {called} {{ }};")
    own, results = [], []
    for number, slot in enumerate(facts.get("pure") or ()):
        found = _pure(name, slot, view)
        if found is None:
            return
        results.append(f"using xc_r{number}_% = {found['result'] or 'void'};")
        words = _qualifiers(found)
        member = str(found["base"]).rpartition("::")[2]
        if member.startswith("~"):
            continue
        own.append(f"xc_r{number}_% {member}({_list(found)}) {' '.join(words)} override;")
    # An array of an abstract class is none ([class.abstract] in ISO C++).
    text = f"{' '.join(results)} struct xc_d_% : {called} {{ {' '.join(own)} }}; using xc_a_% = xc_d_%[1];"
    slots = tuple(n for n, s in view.symbols.items() if s["kind"] == "method" and n.startswith(f"{name}::"))
    yield Lines(name, "derive", text, slots)


def _pure(name: str, slot: str, view: View) -> Mapping[str, Any] | None:
    for owner in view.classes(name):
        if (symbol := view.symbols.get(f"{owner}::{slot}")) is not None and symbol["kind"] == "method":
            facts: Mapping[str, Any] = symbol["facts"]
            return None if facts.get("conversion") else facts
        if slot == "~":
            return {"base": "~", "result": "", "params": []}
    return None


def _in_template(name: str, view: View) -> bool:
    outers = (view.symbols.get(outer) for outer in view.within(name))
    return any(o is not None and o["kind"] == "class" and o["facts"].get("template") is not None for o in outers)


def _field(name: str, facts: Mapping[str, Any], view: View) -> Iterator[Lines]:
    owner, _colons, member = name.rpartition("::")
    if view.access(name) != "public" or _in_template(name, view):
        return
    also = (owner,)
    if facts.get("bits"):
        yield Lines(name, "field", _body(f"(void)xc_value<{owner} &>().{member};"), also)
        return
    typed = f"using xc_t = {facts['type']}; xc_t &x = xc_value<{owner} &>().{member};"
    yield Lines(name, "field", _body(f"{typed} (void)x;"), also)
    if facts["offset"] >= 0 and not facts["type"].endswith("&"):
        yield Lines(name, "layout", _assert(f"__builtin_offsetof({owner}, {member}) == {facts['offset']}"), also)


# -- the others


def _variable(name: str, facts: Mapping[str, Any]) -> Iterator[Lines]:
    if facts.get("template") is not None:
        yield Lines(name, "instantiate", _body(f"(void){name}<int>;"))
        return
    if facts.get("access"):
        return
    yield Lines(name, "address", _body(f"using xc_t = {facts['type']}; xc_t *p = &{name}; (void)p;"))
    if facts.get("constexpr"):
        yield Lines(name, "constant", _body(f"constexpr auto x = {name}; (void)x;"))
    value = str(facts.get("value", ""))
    if re.fullmatch(r"-?\d+[uUlL]*|true|false", value):
        yield Lines(name, "value", _assert(f"{name} == {value}"))


def _constant(name: str, symbol: Symbol) -> Iterator[Lines]:
    enum = str(symbol["facts"].get("enum", ""))
    also = (enum,) if enum else ()
    if enum:
        yield Lines(
            name,
            "switch",
            f"inline void xc_client_%({enum} x) {{ switch (x) {{ case {name}: default: break; }} }}",
            also,
        )
        yield Lines(name, "convert", _body(f"{enum} x = {name}; (void)x;"), also)
    if not enum or not name.startswith(f"{enum}::"):
        yield Lines(name, "convert", _body(f"long long x = {name}; (void)x;"), also)
    value = symbol["value"]
    if value != "-9223372036854775808":
        yield Lines(name, "value", _assert(f"static_cast<long long>({name}) == static_cast<long long>({value})"), also)


def _module(name: str, facts: Mapping[str, Any]) -> Iterator[Lines]:
    if not facts.get("directive"):
        yield Lines(name, "use", _body(f"using namespace {name};"))


def _type(name: str, symbol: Symbol) -> Iterator[Lines]:
    facts = symbol["facts"]
    if facts.get("access"):
        return
    if facts.get("concept") is not None:
        for argument in ("int", "double", "char *", "xc_none"):
            text = f"template <{name} T> void xc_f_%(); inline void xc_client_%() {{ xc_f_%<{argument}>(); }}"
            yield Lines(name, "constrain", f"struct xc_none; {text}" if argument == "xc_none" else text)
        return
    if facts.get("using"):
        yield Lines(name, "use", f"using {name};")
        return
    if facts.get("template") is not None:
        filled = f"{name}<{', '.join('int' for p in facts['template'] if not p['default'] and not p['pack'])}>"
        yield Lines(name, "instantiate", _body(f"{filled} *p = nullptr; (void)p;"))
        return
    yield Lines(name, "point", _body(f"{name} *p = nullptr; (void)p;"))
    if facts.get("enum"):
        yield Lines(name, "layout", _assert(f"sizeof({name}) == {symbol['size']}"))
    elif facts.get("type"):
        yield Lines(
            name, "convert", _body(f"using xc_t = {facts['type']}; xc_t *p = static_cast<{name} *>(nullptr); (void)p;")
        )
        if symbol.get("size", -1) > 0:
            yield Lines(name, "layout", _assert(f"sizeof({name}) == {symbol['size']}"))
