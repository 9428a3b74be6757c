"""Writes clients of a crate: each uses one symbol in one way, as the old version allows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.packages.sdk_ast.judge.client import Client
from pytest_xinchuang.packages.sdk_ast.rust.comparer import impl_label, label_of
from pytest_xinchuang.packages.sdk_ast.rust.paths import MACRO, VALUE
from pytest_xinchuang.packages.sdk_ast.rust.shapes import is_exhaustive
from pytest_xinchuang.packages.sdk_ast.rust.source import generics, is_named, lifetimes, opaque, outer_count, written
from pytest_xinchuang.packages.sdk_ast.rust.types import FUTURE
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol

Facts = Mapping[str, Any]

FILE = "client.rs"
_PLAIN = "pub struct N;\n"
_RICH = "#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]\npub struct N;\n"
_SAMPLES = {
    "expr": "1", "literal": "1", "ident": "x", "ty": "u8", "tt": "x", "pat": "_", "block": "{}", "path": "u8",
    "lifetime": "'static", "vis": "pub", "stmt": "let _x = 1",
}  # fmt: skip
"""What stands for a fragment of a macro (Rust reference, macros by example)."""


@dataclass
class Writer:
    """Writes the clients of one crate.

    Attributes:
        crate: what clients call it.
        symbols, after: those of the old version, and of the new one.
    """

    crate: str
    symbols: Mapping[str, Symbol]
    after: Mapping[str, Symbol]
    found: list[Client] = field(default_factory=list)

    def clients(self) -> list[Client]:
        """All of them."""
        for name, symbol in self.symbols.items():
            facts = symbol["facts"]
            if facts["hidden"]:
                continue
            if facts["k"] == "impl":
                self._impl(facts)
                continue
            label = label_of(self.crate, name)
            path = f"{self.crate}::{name.rstrip(VALUE + MACRO)}"
            if "*" not in path:
                self._add(label, "name", f"pub use {path} as _named;\n")
            writer = {
                "function": self._function,
                "struct": self._struct,
                "enum": self._enum,
                "trait": self._trait,
                "constant": self._value,
                "static": self._value,
                "macro": self._macro,
            }.get(facts["k"])
            if writer is not None:
                writer(label, path, facts)
        return self.found

    def _add(self, label: str, relation: str, text: str, *also: str, promised: bool = True) -> None:
        self.found.append(Client(label, relation, {FILE: text}, promised, self._mentioned(text, also)))

    def _mentioned(self, text: str, also: tuple[str, ...]) -> tuple[str, ...]:
        """The types of the crate that a client names: what changed in them may be why it fails."""
        names = re.findall(rf"\b{self.crate}((?:::\w+)+)", text)
        found = []
        for name in names:
            parts = name.strip(":").split("::")
            found += [f"{self.crate}::{'::'.join(parts[:n])}" for n in range(1, len(parts) + 1)]
        return tuple(dict.fromkeys([*also, *found, self.crate]))

    def _now(self, path: str, fact: str) -> Any:
        """A fact of what the new version has under a path."""
        symbol = self.after.get(path.partition("::")[2])
        return symbol["facts"].get(fact, ()) if symbol is not None else ()

    # -- functions

    def _function(self, label: str, path: str, facts: Facts) -> None:
        self._calls(label, path, facts, "")

    def _calls(self, label: str, path: str, facts: Facts, receiver: str, own: str = "") -> None:
        """Calls of a function, and its use as a value.

        Args:
            receiver: the name of a method that is called with a dot.
            own: a parameter that stands for ``Self``, with its bounds.
        """
        if not is_named(facts["inputs"]) or not is_named(facts["bounds"]):
            return
        texts, more = [], [own] if own else []
        for number, (text, bounds) in enumerate(opaque(facts["inputs"])):
            if bounds:
                more.append(f"I{number}: {written(bounds, self.crate)}")
            texts.append(f"I{number}" if bounds else text)
        returned = facts["result"]
        declared, where = generics(facts, [*texts, returned], self.crate, more)
        inputs = [written(text, self.crate) for text in texts]
        given = ", ".join(f"a{n}: {text}" for n, text in enumerate(inputs))
        names = [f"a{n}" for n in range(len(inputs))]
        call = (
            f"{names[0]}.{receiver}({', '.join(names[1:])})"
            if receiver and facts["self"]
            else f"{path}({', '.join(names)})"
        )
        if facts["unsafe"]:
            call = f"unsafe {{ {call} }}"
        head = f"pub fn c{declared}({given}){where}"
        self._add(label, "call", f"{head} {{ let _r = {call}; }}\n")
        if "impl " not in returned and is_named(returned):
            result = written(returned, self.crate)
            self._add(label, "result", f"{head} {{ let _r: {result} = {call}; }}\n")
            if not any(one.startswith("I") and ": " in one for one in more):
                self._as_value(label, path, facts, inputs, result, more)
        elif returned.startswith("impl ") and is_named(returned):
            self._opaque(label, head, call, returned)

    def _as_value(self, label: str, path: str, facts: Facts, inputs: list[str], result: str, more: list[str]) -> None:
        bound = lifetimes(facts["bounds"])
        free = [one for one in lifetimes([*facts["inputs"], facts["result"]]) if one not in bound]
        around = [one for one in free if one.replace("'l", "'") in str(facts.get("for", ""))]
        late = [one for one in free if one not in around]
        declared, where = generics({**facts, "bounds": facts["bounds"]}, [facts.get("for", "")], self.crate, more)
        header = ("unsafe " if facts["unsafe"] else "") + (
            f'extern "{facts["abi"]}" ' if facts["abi"] != "Rust" else ""
        )
        binder = f"for<{', '.join(late)}> " if late else ""
        text = f"{binder}{header}fn({', '.join(inputs)}) -> {result}"
        self._add(label, "value", f"pub fn c{declared}(){where} {{ let _f: {text} = {path}; }}\n")
        if facts["params"]:
            arguments = ", ".join(f"T{n + outer_count(facts)}" for n in range(len(facts["params"])))
            self._add(
                label, "instantiate", f"pub fn c{declared}(){where} {{ let _f: {text} = {path}::<{arguments}>; }}\n"
            )

    def _opaque(self, label: str, head: str, call: str, returned: str) -> None:
        bounds = written(returned.removeprefix("impl "), self.crate)
        self._add(label, "result", f"fn need<X: {bounds}>(_x: X) {{}}\n{head} {{ need({call}) }}\n")
        for trait in ("Send", "Sync", "Unpin") if FUTURE not in returned else ("Send", "Sync"):
            # Parameters that may be anything take these traits away by themselves.
            given = re.sub(r"\b(T\d+)(?=[,>])", r"\1: Send + Sync + Unpin", head.partition("(")[0])
            given = re.sub(r"\b(I\d+: )", r"\1Send + Sync + Unpin + ", given) + "(" + head.partition("(")[2]
            self._add(label, trait.lower(), f"fn need<X: {trait}>(_x: X) {{}}\n{given} {{ need({call}) }}\n")

    # -- types

    def _typed(self, path: str, facts: Facts) -> tuple[str, str, str]:
        """Parameters, where clause and the type with them."""
        kinds = [kind for kind, _default in facts["params"]]
        count = sum(kind == "lifetime" for kind in kinds)
        arguments = [f"'{n}" for n in range(count)] + [f"T{n}" for n in range(len(kinds) - count)]
        own = f"{path}<{', '.join(arguments)}>" if arguments else path
        declared, where = generics(facts, [own], self.crate)
        return declared, where, written(own, self.crate)

    def _struct(self, label: str, path: str, facts: Facts) -> None:
        declared, where, own = self._typed(path, facts)
        fields = [(name, text) for name, text, public in facts["fields"] if public]
        for name, text in fields:
            if is_named(text):
                kind, member = written(text, self.crate), f"{label}.{name}"
                self._add(
                    member, "field", f"pub fn c{declared}(s: &{own}){where} {{ let _f: &{kind} = &s.{name}; }}\n", label
                )
                self._add(member, "move", f"pub fn c{declared}(s: {own}) -> {kind}{where} {{ s.{name} }}\n", label,
                          *self._drop(facts, path))  # fmt: skip
        if is_exhaustive(facts) and is_named(fields):
            members = [f"{label}.{name}" for name, _text in fields]
            given = ", ".join(f"a{name}: {written(text, self.crate)}" for name, text in fields)
            made = {
                "unit": path,
                "tuple": f"{path}({', '.join(f'a{name}' for name, _text in fields)})",
                "plain": f"{path} {{ {', '.join(f'{name}: a{name}' for name, _text in fields)} }}",
            }[facts["form"]]
            self._add(label, "construct", f"pub fn c{declared}({given}) -> {own}{where} {{ {made} }}\n", *members)
            pattern = made.replace(": a", ": _a") if facts["form"] == "plain" else made.replace("(a", "(_a")
            self._add(label, "match", f"pub fn c{declared}(s: &{own}){where} {{ let {pattern} = s; }}\n", *members)
        self._common(label, path, facts)

    def _drop(self, facts: Facts, path: str) -> tuple[str, ...]:
        own = path.partition("::")[2]
        return tuple(
            impl_label(self.crate, {"trait": "core::ops::drop::Drop", "for": f"crate::{own}{arguments}"})
            for arguments in ("", "<" + ", ".join(f"T{n}" for n in range(len(facts["params"]))) + ">")
        )

    def _common(self, label: str, path: str, facts: Facts) -> None:
        """What can be done with every type: methods, and longer lifetimes for shorter ones."""
        kinds = [kind for kind, _default in facts["params"]]
        for at, kind in enumerate(kinds):
            if kind.startswith("const"):
                continue
            short, long = (
                [("'" + which if kind == "lifetime" else f"&'{which} u8") if n == at else "'static" if k == "lifetime"
                 else "u8" if k == "type" else "1" for n, k in enumerate(kinds)]
                for which in ("b", "a")
            )  # fmt: skip
            text = f"pub fn c<'a: 'b, 'b>(s: {path}<{', '.join(long)}>) -> {path}<{', '.join(short)}> {{ s }}\n"
            self._add(label, "vary", text)
        for name, many in facts["methods"].items():
            if len(many) == 1 and not many[0]["hidden"] and is_named(many[0]["for"]):
                method, symbol = many[0], f"{label}::{name}"
                own = f"<{written(method['for'], self.crate)}>::{name}"
                if method["k"] == "function":
                    self._calls(symbol, own, method, name)
                elif is_named(method.get("type", "")):
                    declared, where = generics(method, [method["for"]], self.crate)
                    kind = written(method["type"], self.crate)
                    self._add(symbol, "value", f"pub fn c{declared}(){where} {{ let _c: {kind} = {own}; }}\n")

    def _enum(self, label: str, path: str, facts: Facts) -> None:
        declared, where, own = self._typed(path, facts)
        arms, plain = [], all(one["form"] == "unit" and not one["open"] for one in facts["variants"])
        for one in facts["variants"]:
            variant, symbol = f"{path}::{one['n']}", f"{label}::{one['n']}"
            arms.append(f"{variant} {{ .. }} => {{}}")
            if one["hidden"]:
                continue
            if not one["open"] and is_named(one["fields"]):
                given = ", ".join(f"a{name}: {written(text, self.crate)}" for name, text, _public in one["fields"])
                made = {
                    "unit": variant,
                    "tuple": f"{variant}({', '.join(f'a{name}' for name, _text, _public in one['fields'])})",
                    "plain": f"{variant} {{ {', '.join(f'{name}: a{name}' for name, _text, _public in one['fields'])} }}",
                }[one["form"]]
                members = [f"{symbol}.{name}" for name, _text, _public in one["fields"]]
                self._add(
                    symbol, "construct", f"pub fn c{declared}({given}) -> {own}{where} {{ {made} }}\n", label, *members
                )
                if plain:
                    self._add(symbol, "cast", f"const _: () = assert!({variant} as i128 == {one['value']});\n", label)
        members = [f"{label}::{one['n']}" for one in [*facts["variants"], *self._now(path, "variants")]]
        if not facts["open"] and arms and not any(one["hidden"] for one in facts["variants"]):
            self._add(
                label, "match", f"pub fn c{declared}(e: {own}){where} {{ match e {{ {', '.join(arms)} }} }}\n", *members
            )
        if plain and facts["variants"]:
            self._add(label, "cast", f"pub fn c{declared}(e: {own}) -> i128{where} {{ e as i128 }}\n", *members)
        self._common(label, path, facts)

    def _impl(self, facts: Facts) -> None:
        if not is_named([facts["for"], facts["trait"], facts["bounds"]]) or facts["trait"].endswith("::Drop"):
            return
        bounds = sorted({*facts["bounds"], *self._needed(facts["for"])})
        around = {"bounds": bounds, "consts": facts["consts"]}
        declared, where = generics(around, [facts["for"], facts["trait"]], self.crate)
        own, trait = written(facts["for"], self.crate), written(facts["trait"], self.crate)
        text = f"pub fn c{declared}(){where} {{ fn need<X: ?Sized + {trait}>() {{}} need::<{own}>() }}\n"
        if "'l" in trait:
            named = ", ".join(lifetimes([facts["trait"]]))
            need = f"fn need<{named}, X: ?Sized + {trait}>(_x: &X) {{}}"
            text = f"pub fn c{declared}(x: &{own}){where} {{ {need} need(x) }}\n"
        self._add(impl_label(self.crate, facts), "bound", text)

    def _needed(self, own: str) -> list[str]:
        """What a type asks of its parameters, where they stand in its own order."""
        symbol = self.symbols.get(own.removeprefix("crate::").partition("<")[0])
        return list(symbol["facts"].get("bounds", ())) if symbol is not None else []

    # -- traits

    def _trait(self, label: str, path: str, facts: Facts) -> None:
        kinds = [kind for kind, _default in facts["params"]]
        arguments = ["'static" if kind == "lifetime" else "u8" if kind == "type" else "1" for kind in kinds]
        trait = f"{path}<{', '.join(arguments)}>" if arguments else path
        members = [f"{label}::{name}" for name in [*facts["items"], *self._now(path, "items")]]
        if facts["dyn"]:
            self._add(label, "dyn", f"pub fn c(_x: &dyn {trait}) {{}}\n")
        self._add(label, "bound", f"pub fn c<X: {trait}>(_x: &X) {{}}\n")
        for above in facts["supers"]:
            if is_named(above) and "'" not in above and "?" not in above:
                text = f"fn need<X: ?Sized + {self._filled(above)}>() {{}}\npub fn c<X: {trait}>() {{ need::<X>() }}\n"
                self._add(label, "super", text)
        if not facts["sealed"] and is_named(facts["items"]):
            body = "".join(self._items(facts, sum(kind != "lifetime" for kind in kinds)))
            word = "unsafe " if facts["unsafe"] else ""
            for kind in (_PLAIN, _RICH):
                self._add(label, "implement", f"{kind}{word}impl {trait} for N {{\n{body}}}\n", *members,
                          f"T0: {label}", f"&'0 T0: {label}")  # fmt: skip
        if not kinds:
            for name, item in facts["items"].items():
                if item["k"] == "function" and not item["hidden"]:
                    self._trait_call(f"{label}::{name}", f"<X as {trait}>::{name}", trait, item)

    def _filled(self, text: str) -> str:
        return re.sub(r"\bT\d+\b", "u8", written(text, self.crate))

    def _trait_call(self, symbol: str, path: str, trait: str, item: Facts) -> None:
        mine = {
            **item,
            "inputs": [re.sub(r"\bSelf\b", "X", text) for text in item["inputs"]],
            "result": re.sub(r"\bSelf\b", "X", item["result"]),
            "bounds": [re.sub(r"\bSelf\b", "X", text) for text in item["bounds"]],
        }
        self._calls(symbol, path, mine, "", f"X: {trait}")

    def _items(self, facts: Facts, outer: int) -> Iterator[str]:
        """What an implementation has to have; the trait's own ``outer`` parameters are ``u8``."""
        own = [f"T{n}" for n in range(outer)]
        for name, item in facts["items"].items():
            if item["body"]:
                continue
            if item["k"] == "assoc_const":
                yield f"    const {name}: {self._filled(item['type'])} = unimplemented!();\n"
            elif item["k"] == "assoc_type":
                yield f"    type {name} = u8;\n"
            else:
                names = re.compile(rf"\b(?:{'|'.join(own)})\b") if own else re.compile(r"(?!)")
                texts = {
                    "inputs": [names.sub("u8", text) for text in item["inputs"]],
                    "result": names.sub("u8", item["result"]),
                    "bounds": [names.sub("u8", text) for text in item["bounds"]],
                    "for": " ".join(own),
                }
                yield f"    {self._implemented(name, {**item, **texts})}\n"

    def _implemented(self, name: str, item: Facts) -> str:
        texts = [*item["inputs"], item["result"]]
        declared, where = generics(item, texts, self.crate)
        inputs = [written(text, self.crate) for text in item["inputs"]]
        names = ["self" if item["self"] and not n else f"_a{n}" for n in range(len(inputs))]
        given = ", ".join(f"{one}: {text}" for one, text in zip(names, inputs, strict=True))
        words = ("unsafe " if item["unsafe"] else "") + (f'extern "{item["abi"]}" ' if item["abi"] != "Rust" else "")
        return f"{words}fn {name}{declared}({given}) -> {written(item['result'], self.crate)}{where} {{ loop {{}} }}"

    # -- values and macros

    def _value(self, label: str, path: str, facts: Facts) -> None:
        if not is_named(facts["type"]):
            return
        kind = written(facts["type"], self.crate).replace("'l0", "'static")
        if facts["k"] == "constant":
            self._add(label, "value", f"pub const C: {kind} = {path};\n")
        elif facts["mut"] or facts["unsafe"]:
            self._add(label, "borrow", f"pub fn c() {{ let _p: *const {kind} = unsafe {{ &raw const {path} }}; }}\n")
        else:
            self._add(label, "borrow", f"pub fn c() -> &'static {kind} {{ &{path} }}\n")

    def _macro(self, label: str, path: str, facts: Facts) -> None:
        for arm in facts["arms"]:
            text = re.sub(r"\$\w+ ?: ?(\w+)", lambda match: _SAMPLES.get(match[1].partition("_")[0], "$"), arm)
            if "$" not in text:
                self._add(label, "call", f"pub fn c() {{ let _r = {path}! {text}; }}\n")
                self._add(label, "call", f"{path}! {text}{'' if text.startswith('{') else ';'}\n")
