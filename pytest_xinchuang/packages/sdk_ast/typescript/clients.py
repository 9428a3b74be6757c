"""Writes clients of an npm package: for each exported symbol the ways in which TypeScript programs use one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_xinchuang.packages.sdk_ast.judge.client import Client
from pytest_xinchuang.packages.sdk_ast.typescript.trees import Signature, Text, Tree, Unprintable, is_basic, nodes

_TEXT = Text(strict=True)
_ONLY_ANY = "{ readonly xcOnlyAnyFits: 1 }"
"""A type that no value has but one of type any."""
_MOST_ARITIES = 6

Lines = Iterator[tuple[str, str]]
"""A relation, and declarations of a program that uses the symbol in that way."""


class Writer:
    """Writes the clients of one entry.

    Args:
        specifier: what it is imported by.
        by_require: the clients are CommonJS modules; else they are ES modules.
        implemented: whether users implement interfaces (policy ``interfaces``).
    """

    def __init__(self, specifier: str, *, by_require: bool, implemented: bool) -> None:
        self.specifier, self.by_require, self.implemented = specifier, by_require, implemented
        self.head = f'import P = require("{specifier}");' if by_require else f'import * as P from "{specifier}";'
        self.file = "client.cts" if by_require else "client.mts"

    def clients(
        self, label: str, name: str, facts: Mapping[str, Any], members: Sequence[str], *, only_in: bool, only_out: bool
    ) -> Iterator[Client]:
        """All clients of a symbol.

        Args:
            members: names of the members of both sides, by which differences are told.
        """
        value, declared = facts.get("value") or {}, facts.get("type") or {}
        at = f"P.{name}" if name != "export=" else "P"
        whole = tuple(f"{label}.{member}" for member in members)
        parts: list[tuple[str, Lines, tuple[str, ...]]] = []
        if value:
            parts += self._value(label, at, value, declared, whole)
        if (declared and name != "export=") or declared.get("form") == "class":
            parts += self._type(label, name, at, declared, whole, only_in=only_in, only_out=only_out)
        for symbol, lines, also in parts:
            yield from self._files(symbol, lines, also)

    def _files(self, symbol: str, lines: Lines, also: tuple[str, ...]) -> Iterator[Client]:
        iterator = iter(lines)
        while True:
            try:
                relation, text = next(iterator)
            except StopIteration:
                return
            except Unprintable:
                return
            relation, mark, _rest = relation.partition("?")
            body = f"{self.head}\n{text}\nexport {{}};\nvoid (P as unknown);\n"
            yield Client(symbol, relation, {self.file: body}, promised=not mark, also=also)

    # -- values

    def _value(
        self, label: str, at: str, value: Mapping[str, Any], declared: Mapping[str, Any], whole: tuple[str, ...]
    ) -> Iterator[tuple[str, Lines, tuple[str, ...]]]:
        if value["form"] == "class":
            yield from self._class(label, at, value, declared, whole)
        elif value["form"] in ("enum", "const enum"):
            for member in declared.get("values") or {}:
                yield f"{label}.{member}", iter([("read", f"export const v = {at}[{_quoted(member)}];")]), ()
            if value["form"] == "enum":
                yield label, iter([("value", f"export const v: object = {at};")]), ()
        elif "call" in value:
            yield label, functions(at, value["call"], []), ()
            yield label, self._as_value(at, value["call"]), ()
        elif "t" in value:
            yield label, self._variable(at, value["t"]), ()

    def _variable(self, at: str, tree: Tree) -> Lines:
        yield "read", f"export const v: {read_as(tree)} = {at};"

    def _as_value(self, at: str, signatures: Sequence[Signature]) -> Lines:
        for one in signatures:
            if not ("pred" in one and one["pred"]["asserts"]):
                yield "value", f"export const v: {_TEXT.shape({'call': [one]})} = {at};"

    def _class(
        self, label: str, at: str, value: Mapping[str, Any], declared: Mapping[str, Any], whole: tuple[str, ...]
    ) -> Iterator[tuple[str, Lines, tuple[str, ...]]]:
        construct, own = value["construct"], declared.get("tp") or []
        constructor = f"{label}.constructor"
        if construct["access"] == "public" and not value["abstract"]:
            yield constructor, functions(f"new {at}", construct["sigs"], own), (label,)
        if construct["access"] != "private":
            yield label, self._extend(at, value, declared), (constructor, *whole)
            for name, member in (declared.get("members") or {}).items():
                overridden = f"{label}.{name}" if value["abstract"] else f"{label}.{name} (override)"
                yield overridden, self._override(at, value, declared, name, member), ()
        for name, member in value["statics"].items():
            if not member.get("access"):
                yield f"{label}.{name}", member_uses(at, name, member, []), ()

    def _extend(self, at: str, value: Mapping[str, Any], declared: Mapping[str, Any]) -> Lines:
        own = declared.get("tp") or []
        abstract = [(n, m) for n, m in (declared.get("members") or {}).items() if m.get("abstract")]
        body = " ".join(text for name, member in abstract for text in implementation(name, member))
        head = f"export class D{_TEXT.type_parameters(own)} extends {at}{arguments(own)}"
        yield (
            "extend",
            f"{head} {{ {body} }}"
            if not _with_parameters(value)
            else f"export abstract class E{head[14:]} {{ {body} }}",
        )
        for signature in value["construct"]["sigs"]:
            if signature.get("tp"):
                continue
            for listed, given in arities(signature):
                yield "extend", f"{head} {{ constructor({listed}) {{ super({given}); }} {body} }}"

    def _override(
        self, at: str, value: Mapping[str, Any], declared: Mapping[str, Any], name: str, member: Mapping[str, Any]
    ) -> Lines:
        own = declared.get("tp") or []
        head = f"export abstract class D{_TEXT.type_parameters(own)} extends {at}{arguments(own)}"
        mark = "" if value["abstract"] else "?"
        if not (member.get("ro") and member["kind"] == "accessor"):
            yield f"override{mark}", f"{head} {{ {' '.join(implementation(name, member))} }}"
        if member.get("access") == "protected":
            yield "inherit", f"{head} {{ private xc() {{ return this[{_quoted(name)}]; }} }}"

    # -- types

    def _type(
        self,
        label: str,
        name: str,
        at: str,
        declared: Mapping[str, Any],
        whole: tuple[str, ...],
        *,
        only_in: bool,
        only_out: bool,
    ) -> Iterator[tuple[str, Lines, tuple[str, ...]]]:
        own = declared.get("tp") or []
        mine: Tree = {"k": "r", "e": self.specifier, "n": name}
        named = _TEXT.type(mine)
        form = declared["form"]
        if form == "enum":
            yield label, self._enum(named, at, declared, only_in), whole
            return
        yield label, self._used(named, own), ()
        if "members" not in declared:
            yield label, self._alias(named + arguments(own), own, declared["t"], only_in, only_out), ()
            return
        for member, one in declared["members"].items():
            if one.get("access"):
                continue
            yield (
                f"{label}.{member}",
                member_uses(f"x: {named}{arguments(own)}", member, one, own, read=not only_in, write=not only_out),
                (),
            )
        yield from self._called(label, named, own, declared, only_in=only_in, only_out=only_out, whole=whole)
        yield label, self._index(named + arguments(own), own, declared.get("index") or []), ()
        for base in declared.get("bases") or []:
            yield label, self._assigned(named + arguments(own), own, base), whole
        if (
            form != "class"
            and not only_out
            and self.implemented
            and not declared.get("call")
            and not declared.get("new")
        ):
            yield label, self._literal(named + arguments(own), own, declared), whole
            yield label, self._implement(named + arguments(own), own, declared), whole
        if form == "interface":
            yield label, self._extended(named + arguments(own), own), whole

    def _called(
        self,
        label: str,
        named: str,
        own: Sequence[Mapping[str, Any]],
        declared: Mapping[str, Any],
        *,
        only_in: bool,
        only_out: bool,
        whole: tuple[str, ...],
    ) -> Iterator[tuple[str, Lines, tuple[str, ...]]]:
        given = f"x: {named}{arguments(own)}"
        call, construct = declared.get("call") or [], declared.get("new") or []
        if not only_in:
            yield f"{label}()", functions("x", call, own, given=given), (label,)
            yield f"{label}.new", functions("new x", construct, own, given=given), (label,)
        if call and not declared["members"] and not only_out:
            yield label, self._made(named + arguments(own), own, declared), (f"{label}()", *whole)

    def _made(self, named: str, own: Sequence[Mapping[str, Any]], declared: Mapping[str, Any]) -> Lines:
        text = _TEXT.shape({"call": declared["call"]})
        yield (
            "literal",
            f"export function use{_TEXT.type_parameters(own)}(v: {text}) {{ const x: {named} = v; return x; }}",
        )

    def _used(self, named: str, own: Sequence[Mapping[str, Any]]) -> Lines:
        yield "type", f"export type U{_TEXT.type_parameters(own)} = {named}{arguments(own)};"
        required = [one for one in own if "def" not in one]
        if own and len(required) < len(own):
            yield "type", f"export type U{_TEXT.type_parameters(required)} = {named}{arguments(required)};"

    def _alias(self, named: str, own: Sequence[Mapping[str, Any]], tree: Tree, only_in: bool, only_out: bool) -> Lines:
        generic = _TEXT.type_parameters(own)
        if not only_out:
            for part in tree["of"] if tree["k"] == "u" else [tree]:
                yield "make", f"export function use{generic}(v: {given_as(part)}) {{ const x: {named} = v; return x; }}"
        if not only_in:
            yield "read", f"export function use{generic}(x: {named}) {{ const v: {read_as(tree)} = x; return v; }}"
        if not only_in and not only_out and tree["k"] == "u" and all(one["k"] == "l" for one in tree["of"]):
            cases = " ".join(f"case {one['v']}: return 1;" for one in tree["of"])
            yield "switch", _exhaustive(named, cases)

    def _enum(self, named: str, at: str, declared: Mapping[str, Any], only_in: bool) -> Lines:
        cases = " ".join(f"case {at}[{_quoted(one)}]: return 1;" for one in declared["values"])
        if not only_in and declared["values"]:
            yield "switch", _exhaustive(named, cases)

    def _index(self, named: str, own: Sequence[Mapping[str, Any]], index: Sequence[Mapping[str, Any]]) -> Lines:
        for one in index:
            generic, key = _TEXT.type_parameters(own), _TEXT.type(one["key"])
            yield (
                "read",
                f"export function use{generic}(x: {named}, k: {key}) {{ const v: {read_as(one['t'])} = x[k]; return v; }}",
            )
            if not one.get("ro"):
                yield (
                    "write",
                    f"export function use{generic}(x: {named}, k: {key}, v: {_TEXT.type(one['t'])}) {{ x[k] = v; }}",
                )

    def _assigned(self, named: str, own: Sequence[Mapping[str, Any]], base: Tree) -> Lines:
        yield (
            "assign",
            f"export function use{_TEXT.type_parameters(own)}(x: {named}) {{ const b: {_TEXT.type(base)} = x; return b; }}",
        )

    def _literal(self, named: str, own: Sequence[Mapping[str, Any]], declared: Mapping[str, Any]) -> Lines:
        generic = _TEXT.type_parameters(own)
        members = {n: m for n, m in declared["members"].items() if not n.startswith("[")}
        needed = {n: m for n, m in members.items() if not m.get("opt")}
        for chosen in (needed, members) if len(needed) < len(members) else (members,):
            yield "literal", f"export function use{generic}() {{ const x: {named} = {literal(chosen)}; return x; }}"

    def _implement(self, named: str, own: Sequence[Mapping[str, Any]], declared: Mapping[str, Any]) -> Lines:
        members = declared["members"]
        body = " ".join(
            text for name, member in members.items() if not member.get("opt") for text in implementation(name, member)
        )
        index = " ".join(f"[k: {_TEXT.type(i['key'])}]: any;" for i in declared.get("index") or [])
        yield "implement", f"export class K{_TEXT.type_parameters(own)} implements {named} {{ {index} {body} }}"

    def _extended(self, named: str, own: Sequence[Mapping[str, Any]]) -> Lines:
        yield "extend", f"export interface J{_TEXT.type_parameters(own)} extends {named} {{ xcMore: 1 }}"


def _exhaustive(named: str, cases: str) -> str:
    body = f"switch (x) {{ {cases} default: {{ const n: never = x; return n; }} }}"
    return f"export function use(x: {named}): number {{ {body} }}"


def _quoted(name: str) -> str:
    return name[1:-1] if name.startswith("[") else f'"{name}"'


def _with_parameters(value: Mapping[str, Any]) -> bool:
    return bool(value["construct"]["sigs"])


def arguments(own: Sequence[Mapping[str, Any]]) -> str:
    """Type parameters handed on as arguments."""
    return f"<{', '.join(_TEXT.type({'k': 'T', 'n': one['n'], 'i': one['i']}) for one in own)}>" if own else ""


def read_as(tree: Tree) -> str:
    """A type that what is read has to fit into: whoever reads any may do everything with it."""
    return _ONLY_ANY if is_basic(tree, "any") else _TEXT.type(tree)


def given_as(tree: Tree, *, optional: bool = False) -> str:
    """A type of what is handed over: whoever hands over any may hand over everything."""
    text = "unknown" if is_basic(tree, "any") else _TEXT.type(tree)
    return f"{text} | undefined" if optional and text != "unknown" else text


def literal(members: Mapping[str, Any]) -> str:
    """An object literal with a value of the old type for each member."""
    parts = []
    for name, member in members.items():
        if any(one["k"] == "this" for one in nodes(member)):
            raise Unprintable(name)
        text = _TEXT.shape({"call": member["call"]}) if "call" in member else _TEXT.type(member["t"])
        parts.append(f"{_TEXT.key(name)}: null as unknown as ({text})")
    return f"{{ {', '.join(parts)} }}"


def implementation(name: str, member: Mapping[str, Any]) -> list[str]:
    """The declarations of a member in a class: its overloads and a body, or a property."""
    before = "protected " if member.get("access") == "protected" else ""
    key = _TEXT.key(name)
    if "call" not in member:
        mark = "?" if member.get("opt") else "!"
        return [f"{before}{'readonly ' if member.get('ro') else ''}{key}{mark}: {_TEXT.type(member['t'])};"]
    signatures = [f"{before}{key}{_TEXT.signature(one)}" for one in member["call"]]
    if len(signatures) == 1:
        return [f"{signatures[0]} {{ throw 0; }}"]
    return [*(f"{one};" for one in signatures), f"{before}{key}(...a: any[]): any {{ throw 0; }}"]


def member_uses(
    owner: str,
    name: str,
    member: Mapping[str, Any],
    own: Sequence[Mapping[str, Any]],
    *,
    read: bool = True,
    write: bool = True,
) -> Lines:
    """Reads, writes and calls of a member; ``owner`` is an expression, or the declaration of a parameter ``x``."""
    given, at = (owner, "x") if owner.startswith("x: ") else ("", owner)
    place = f"{at}[{_quoted(name)}]" if not name.isidentifier() else f"{at}.{name}"
    if "call" in member:
        yield from functions(f"{place}{'!' if member.get('opt') else ''}", member["call"], own, given=given)
        return
    generic = _TEXT.type_parameters(own)
    if read and not member.get("wo"):
        text = (
            read_as(member["t"])
            if not member.get("opt") or is_basic(member["t"], "any")
            else f"({_TEXT.type(member['t'])}) | undefined"
        )
        yield "read", f"export function use{generic}({given}) {{ const v: {text} = {place}; return v; }}"
    if write and not member.get("ro"):
        listed = ", ".join(filter(None, [given, f"v: {given_as(member.get('w') or member['t'])}"]))
        yield "write", f"export function use{generic}({listed}) {{ {place} = v; }}"
    call = member["t"].get("call") if member["t"]["k"] == "o" else None
    if call and read and not member["t"].get("members"):
        yield from functions(f"{place}{'!' if member.get('opt') else ''}", call, own, given=given)


def arities(signature: Signature) -> Iterator[tuple[str, str]]:
    """Parameters and arguments of calls with each number of arguments."""
    params = [one for one in signature["params"] if not one.get("rest")]
    rest = next((one for one in signature["params"] if one.get("rest")), None)
    least = sum(not one.get("opt") for one in params)
    for count in itertools.islice(range(least, len(params) + 1), _MOST_ARITIES):
        taken = params[:count]
        listed = [f"p{n}: {given_as(one['t'], optional=bool(one.get('opt')))}" for n, one in enumerate(taken)]
        yield ", ".join(listed), ", ".join(f"p{n}" for n in range(count))
    if rest is not None:
        listed = [f"p{n}: {given_as(one['t'], optional=bool(one.get('opt')))}" for n, one in enumerate(params)]
        given = [f"p{n}" for n in range(len(params))]
        yield ", ".join([*listed, f"...r: {_TEXT.type(rest['t'])}"]), ", ".join([*given, "...r"])
        if rest["t"]["k"] == "a":
            yield ", ".join([*listed, f"r: {given_as(rest['t']['of'])}"]), ", ".join([*given, "r"])


def functions(at: str, signatures: Sequence[Signature], own: Sequence[Mapping[str, Any]], *, given: str = "") -> Lines:
    """Calls of a function with arguments of the old types, and uses of what it returns as the old type."""
    for signature in signatures:
        try:
            yield from _one_function(at, signature, own, given)
        except Unprintable:
            continue


def _one_function(at: str, signature: Signature, own: Sequence[Mapping[str, Any]], given: str) -> Lines:
    if "this" in signature:
        return
    mine = list(signature.get("tp") or [])
    generic = _TEXT.type_parameters([*own, *mine])
    result = signature["ret"]
    if result["k"] == "this":
        yield from _chain(at, signature, generic, given)
        return
    calls = list(arities(signature))
    for listed, passed in calls:
        yield "call", f"export function use{generic}({', '.join(filter(None, [given, listed]))}) {{ {at}({passed}); }}"
    if mine:
        listed, passed = calls[-1]
        yield (
            "typeargs",
            f"export function use{generic}({', '.join(filter(None, [given, listed]))}) {{ {at}{arguments(mine)}({passed}); }}",
        )
    params = signature["params"]
    if any(one["t"]["k"] == "o" and not {"call", "new", "index"} & set(one["t"]) for one in params):
        listed, _passed = calls[-1]
        values = [
            literal(one["t"]["members"])
            if one["t"]["k"] == "o" and "members" in one["t"] and not one["t"].get("call")
            else f"p{n}"
            for n, one in enumerate(params)
        ]
        if not any(one.get("rest") for one in params):
            yield (
                "call",
                f"export function use{generic}({', '.join(filter(None, [given, listed]))}) {{ {at}({', '.join(values)}); }}",
            )
    if "pred" in signature:
        yield from _predicate(at, signature, generic, given)
    if result["k"] == "self" or is_basic(result, "void", "never"):
        return
    for listed, passed in {calls[0]: 0, calls[-1]: 0}:
        body = f"const v: {read_as(result)} = {at}({passed}); return v;"
        yield "result", f"export function use{generic}({', '.join(filter(None, [given, listed]))}) {{ {body} }}"


def _chain(at: str, signature: Signature, generic: str, given: str) -> Lines:
    """A method that returns this returns a subtype as itself."""
    if not given:
        return
    generic = f"{generic[:-1]}, " if generic else "<"
    for listed, passed in arities(signature):
        words = ", ".join(filter(None, ["x: XcThis", listed]))
        body = f"const v: XcThis = {at}({passed}); return v;"
        for relation in ("call", "result"):
            yield relation, f"export function use{generic}XcThis extends {given[3:]}>({words}) {{ {body} }}"


def _predicate(at: str, signature: Signature, generic: str, given: str) -> Lines:
    predicate = signature["pred"]
    if predicate["index"] < 0 or predicate["t"] is None:
        return
    listed, passed = list(arities(signature))[-1]
    name = f"p{predicate['index']}"
    use = f"const n: {_TEXT.type(predicate['t'])} = {name}; void n;"
    body = f"{at}({passed}); {use}" if predicate["asserts"] else f"if ({at}({passed})) {{ {use} }}"
    yield "narrow", f"export function use{generic}({', '.join(filter(None, [given, listed]))}) {{ {body} }}"
