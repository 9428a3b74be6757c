"""Writes clients of what differs: one small class of another package for each way in which callers use a symbol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.packages.sdk_ast.java.comparer import JavaComparer
from pytest_xinchuang.packages.sdk_ast.java.generics import MemberTypes, member_types
from pytest_xinchuang.packages.sdk_ast.java.jdk import OBJECT_METHODS
from pytest_xinchuang.packages.sdk_ast.java.signature import (
    ArrayOf,
    Base,
    Tree,
    Wildcard,
    member_generic,
    read_type,
    shown,
)
from pytest_xinchuang.packages.sdk_ast.judge.client import Client
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol

Bounds = Sequence[Sequence[Tree]]
_BODY = "{ throw new Error(); }"
_PLACES: Mapping[str, str] = {
    "TYPE": "@{a} class Use {{}}",
    "FIELD": "class Use {{ @{a} int x; }}",
    "METHOD": "class Use {{ @{a} void m() {{}} }}",
    "PARAMETER": "class Use {{ void m(@{a} int x) {{}} }}",
    "CONSTRUCTOR": "class Use {{ @{a} Use() {{}} }}",
    "LOCAL_VARIABLE": "class Use {{ void m() {{ @{a} int x = 0; }} }}",
    "ANNOTATION_TYPE": "@{a} @interface Use {{}}",
    "TYPE_PARAMETER": "class Use<@{a} T> {{}}",
    "TYPE_USE": "class Use {{ Object m(Object x) {{ return (@{a} String) x; }} }}",
    "RECORD_COMPONENT": "record Use(@{a} int x) {{}}",
}
"""Where an annotation may stand (JLS 9.6.4.1) -> a class with it there."""
_BY_DEFAULT = ("TYPE", "FIELD", "METHOD", "PARAMETER", "CONSTRUCTOR", "LOCAL_VARIABLE")
_CASES = {"byte", "short", "char", "int", "java.lang.String"}
"""Types of constants that a case label may have (JLS 14.11)."""


@dataclass(frozen=True)
class Use:
    """A client that is yet without its package.

    Attributes:
        text: its source; the class is called Use.
    """

    symbol: str
    relation: str
    text: str
    promised: bool = True
    also: tuple[str, ...] = ()

    def client(self, package: str) -> Client:
        """The client in a package."""
        files = {"Use.java": f"package {package};\n\n{self.text}\n"}
        return Client(self.symbol, self.relation, files, self.promised, self.also)


def write_clients(comparer: JavaComparer) -> Iterator[Use]:
    """Clients of all symbols of the old version that are gone or different, and of the classes around them."""
    for path, packages in comparer.old.snapshot.packages.items():
        if packages[0].record.internal or not path:
            continue
        old, new = comparer.before.symbols(path), comparer.after.symbols(comparer.new_path(path))
        changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        touched: dict[str, list[str]] = {}
        for name in changed:
            touched.setdefault(name.partition("#")[0], []).append(comparer.label(path, name))
        for short, labels in touched.items():
            if short in old and old[short]["kind"] == "class":
                of = _Class(comparer, path, short, old, tuple(labels))
                yield from of.uses()
                for name in changed:
                    if name.startswith(short + "#") and name in old:
                        yield from of.member_uses(name, old[name])


def _declared(*groups: tuple[str, Bounds]) -> str:
    """Type parameters as they are declared: of the class (``c``) and of the method (``m``)."""
    parts = []
    for kind, all_bounds in groups:
        for number, bounds in enumerate(all_bounds):
            limits = " & ".join(shown(bound, source=True) for bound in bounds)
            parts.append(f"{kind}{number} extends {limits}" if limits else f"{kind}{number}")
    return f"<{', '.join(parts)}> " if parts else ""


def _parameters(types: Sequence[Tree]) -> str:
    return ", ".join(f"{shown(one, source=True)} p{n}" for n, one in enumerate(types))


def _arguments(types: Sequence[Tree]) -> str:
    return ", ".join(f"p{n}" for n in range(len(types)))


def _throws(facts: Mapping[str, Any]) -> str:
    names = [shown(read_type(one), source=True) for one in facts["throws"]]
    return f" throws {', '.join(names)}" if names else ""


class _Class:
    """Writes the clients of one class."""

    def __init__(
        self, comparer: JavaComparer, path: str, short: str, symbols: Mapping[str, Symbol], labels: tuple[str, ...]
    ) -> None:
        self.comparer, self.path, self.short, self.symbols, self.labels = comparer, path, short, symbols, labels
        self.facts: Mapping[str, Any] = symbols[short]["facts"]
        self.label = comparer.label(path, short)
        self.name = f"{path}.{short}"
        self.bounds = [tuple(map(read_type, one)) for one in self.facts["bounds"]]
        names = ", ".join(f"c{n}" for n in range(len(self.bounds)))
        self.type = f"{self.name}<{names}>" if names else self.name
        self.declared = _declared(("c", self.bounds))
        self.interface = self.facts["kind"] in ("interface", "annotation")
        head = short + "#"
        self.members = {name[len(head) :]: s for name, s in symbols.items() if name.startswith(head)}

    def _use(self, relation: str, text: str) -> Use:
        return Use(self.label, relation, text, also=self.labels)

    def uses(self) -> Iterator[Use]:
        """Clients of the class itself."""
        facts = self.facts
        if facts["access"] == "public":
            yield self._use(
                "cast",
                f"class Use {{ Object use(Object x) {{ Object y = {self.name}.class; return ({self.name}) x; }} }}",
            )
            if self.bounds:
                yield self._use(
                    "generic", f"class Use {{ {self.declared}{self.type} use({self.type} x) {{ return x; }} }}"
                )
            for name in facts["super"]:
                text = facts["parents"].get(name)
                parent = shown(read_type(text), source=True) if text else name.replace("$", ".")
                yield self._use("assign", f"class Use {{ {self.declared}{parent} use({self.type} x) {{ return x; }} }}")
        if facts["kind"] == "annotation":
            yield from self._annotated()
            return
        if facts["open"]:
            yield self._use("extend", self._subclass(""))
            if facts["abstract"]:
                yield self._use("implement", self._subclass(self._implementations(), abstract=False))
        if facts["kind"] == "interface" and facts["open"]:
            yield from self._lambda()
        if "java.lang.Throwable" in self.comparer.before.closed(facts["super"]):
            yield self._use("throw", f"class Use {{ void use({self.name} x) {{ throw x; }} }}")
        if facts["kind"] == "enum":
            names = [key for key, s in self.members.items() if s["facts"].get("enum")]
            cases = " ".join(f"case {name} -> 1;" for name in names)
            yield self._use("switch", f"class Use {{ int use({self.name} x) {{ return switch (x) {{ {cases} }}; }} }}")
        if facts.get("permits"):
            cases = " ".join(f"case {n.replace('$', '.')} x{i} -> 1;" for i, n in enumerate(facts["permits"]))
            yield self._use("switch", f"class Use {{ int use({self.name} x) {{ return switch (x) {{ {cases} }}; }} }}")
        if facts.get("components") and not self.bounds:
            names = [
                f"{shown(read_type(text), source=True)} v{n}" for n, (_name, text) in enumerate(facts["components"])
            ]
            pattern = f"x instanceof {self.name}({', '.join(names)})"
            yield self._use("deconstruct", f"class Use {{ boolean use(Object x) {{ return {pattern}; }} }}")

    def _subclass(self, body: str, *, abstract: bool = True) -> str:
        """A class that extends or implements this one, with the first constructor that it may call."""
        word = "abstract " if abstract else ""
        declared = self.declared.strip()
        if self.interface:
            return f"{word}class Use{declared} implements {self.type} {{ {body} }}"
        made = sorted(key for key, s in self.members.items() if key.startswith("<init>"))
        constructor = self._constructor(made[0], self.members[made[0]]) if made else ""
        return f"{word}class Use{declared} extends {self.type} {{ {constructor} {body} }}"

    def _constructor(self, key: str, symbol: Symbol) -> str:
        types = member_types(f"{self.short}#{key}", symbol)
        declared = _declared(("m", types.bounds))
        return f"{declared}Use({_parameters(types.params)}){_throws(symbol['facts'])} {{ super({_arguments(types.params)}); }}"

    def _implementations(self) -> str:
        found = []
        for key, symbol in self.members.items():
            if symbol["kind"] == "method" and symbol["facts"]["abstract"] and key not in OBJECT_METHODS:
                found.append(self._method(key, symbol["facts"]["access"], member_types(f"{self.short}#{key}", symbol)))
        for key in self.comparer.before.abstract_of_platform(self.facts):
            if key not in self.members:
                generic = member_generic("", key[key.index("(") :], {})
                found.append(self._method(key, "public", MemberTypes((), generic.params, generic.result)))
        return " ".join(found)

    @staticmethod
    def _method(key: str, access: str, types: MemberTypes, throws: str = "") -> str:
        declared, result = _declared(("m", types.bounds)), shown(types.result, source=True)
        return f"{access} {declared}{result} {key.partition('(')[0]}({_parameters(types.params)}){throws} {_BODY}"

    def _lambda(self) -> Iterator[Use]:
        methods = {
            k for k, s in self.members.items() if s["kind"] == "method" and s["facts"]["abstract"]
        } - OBJECT_METHODS
        methods |= self.comparer.before.abstract_of_platform(self.facts).keys() - self.members.keys()
        if len(methods) == 1:
            key = next(iter(methods))
            count = len(member_generic("", key[key.index("(") :], {}).params)
            names = ", ".join(f"p{n}" for n in range(count))
            yield self._use(
                "lambda", f"class Use {{ {self.declared}{self.type} use() {{ return ({names}) -> {_BODY}; }} }}"
            )

    def _annotated(self) -> Iterator[Use]:
        values = []
        for key, symbol in self.members.items():
            if key.endswith("V") or not symbol["facts"].get("abstract") or symbol["facts"].get("default"):
                continue
            result = member_types(f"{self.short}#{key}", symbol).result
            values.append(f"{key.partition('(')[0]} = {_value(result)}")
        given = f"{self.name}({', '.join(values)})"
        places = self.facts["annotation"].get("targets", _BY_DEFAULT)
        for place in places:
            if place in _PLACES:
                yield self._use("annotate", _PLACES[place].format(a=given))
        if self.facts["annotation"].get("repeatable"):
            for place in places:
                if place in _PLACES:
                    yield self._use("annotate", _PLACES[place].format(a=f"{given} @{given}"))

    # -- members

    def member_uses(self, name: str, symbol: Symbol) -> Iterator[Use]:
        """Clients of one of its methods, constructors or fields."""
        facts, label = symbol["facts"], self.comparer.label(self.path, name)
        hidden = facts["access"] == "protected" and not self.facts["open"]
        if hidden or facts.get("bridge") or self.facts["access"] != "public" or self.facts["kind"] == "annotation":
            return
        key, types = name.partition("#")[2], member_types(name, symbol)
        if symbol["kind"] == "field":
            made = self._field(key, types.result, symbol)
        elif key.startswith("<init>"):
            made = self._made(key, types, symbol)
        else:
            made = self._called(key, types, facts)
        for relation, text, promised in made:
            yield Use(label, relation, text, promised, also=(self.label,))

    def _placed(
        self, facts: Mapping[str, Any], types: MemberTypes, result: str, params: str, throws: str, body: str
    ) -> str:
        """A method that uses a member: of any class, or of a subclass where the member is protected."""
        if facts["access"] == "protected":
            return self._subclass(f"{_declared(('m', types.bounds))}{result} use({params}){throws} {{ {body} }}")
        own: Bounds = () if facts["static"] else self.bounds
        declared = _declared(("c", own), ("m", types.bounds))
        self_ = "" if facts["static"] else f"{self.type} self" + (", " if params else "")
        return f"class Use {{ static {declared}{result} use({self_}{params}){throws} {{ {body} }} }}"

    def _through(self, facts: Mapping[str, Any]) -> str:
        return self.name if facts["static"] else "this" if facts["access"] == "protected" else "self"

    def _field(self, key: str, type_: Tree, symbol: Symbol) -> Iterator[tuple[str, str, bool]]:
        facts, types, text = symbol["facts"], MemberTypes((), (), type_), shown(type_, source=True)
        place = f"{self._through(facts)}.{key}"
        yield "read", self._placed(facts, types, text, "", "", f"return {place};"), True
        if not facts["final"]:
            yield "write", self._placed(facts, types, "void", f"{text} p0", "", f"{place} = p0;"), True
        if "value" in symbol and facts["static"] and text in _CASES and facts["access"] == "public":
            yield (
                "constant",
                f"class Use {{ int use({text} x) {{ switch (x) {{ case {place}: return 1; default: return 0; }} }} }}",
                True,
            )
        if facts.get("enum"):
            yield (
                "switch",
                f"class Use {{ int use({self.name} x) {{ switch (x) {{ case {key}: return 1; default: return 0; }} }} }}",
                True,
            )

    def _made(self, key: str, types: MemberTypes, symbol: Symbol) -> Iterator[tuple[str, str, bool]]:
        facts, arguments = symbol["facts"], _arguments(types.params)
        if not self.facts["abstract"] and facts["access"] == "public":
            diamond = "<>" if self.bounds else ""
            declared = _declared(("c", self.bounds), ("m", types.bounds))
            params, call = _parameters(types.params), f"new {self.name}{diamond}({arguments})"
            if "." in self.short and not self.facts["static"]:
                call = f"p0.new {self.short.rpartition('.')[2]}{diamond}({', '.join(arguments.split(', ')[1:])})"
            text = f"class Use {{ static {declared}Object use({params}){_throws(facts)} {{ return {call}; }} }}"
            yield "instantiate", text, True
        if self.facts["open"]:
            declared = self.declared.strip()
            yield (
                "extend",
                f"abstract class Use{declared} extends {self.type} {{ {self._constructor(key, symbol)} }}",
                True,
            )

    def _called(self, key: str, types: MemberTypes, facts: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
        name, params, arguments = key.partition("(")[0], _parameters(types.params), _arguments(types.params)
        result, call = shown(types.result, source=True), f"{self._through(facts)}.{name}({arguments})"
        back = "" if result == "void" else "return "
        throws = _throws(facts)
        yield "call", self._placed(facts, types, result, params, throws, f"{back}{call};"), True
        if facts.get("varargs") and types.params and isinstance(types.params[-1], ArrayOf):
            several = [*types.params[:-1], types.params[-1].of, types.params[-1].of]
            spread = f"{self._through(facts)}.{name}({_arguments(several)})"
            yield "call", self._placed(facts, types, result, _parameters(several), throws, f"{back}{spread};"), True
        for one in facts["throws"]:
            caught = shown(read_type(one), source=True)
            body = f"try {{ {call}; }} catch ({caught} e) {{ }}"
            others = [other for other in facts["throws"] if other != one]
            yield "catch", self._placed(facts, types, "void", params, _throws({"throws": others}), body), True
        if self.facts["open"] and not facts["final"] and not facts["static"]:
            yield "override", self._subclass("@Override " + self._method(key, facts["access"], types)), True
            if throws:
                text = self._subclass("@Override " + self._method(key, facts["access"], types, throws))
                yield "override", text, False


def _value(type_: Tree) -> str:
    """Any value of an annotation's element."""
    if isinstance(type_, Base):
        return "false" if type_.name == "boolean" else "0"
    if isinstance(type_, ArrayOf):
        return "{}"
    if not isinstance(type_, Wildcard) and shown(type_, source=True) == "java.lang.String":
        return '""'
    return "Object.class"
