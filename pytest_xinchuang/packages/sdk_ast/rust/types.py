"""Types, bounds and signatures of rustdoc's JSON as text that two versions of a crate can be compared by.

Names of parameters are no part of a type, so each is written by its number: ``'0`` is a lifetime, ``T0`` a type or constant.
Lifetimes that are left out are written as the rules of elision have them (Rust reference, lifetime elision). A type of the
crate is ``crate::PATH`` by its shortest public path, one of a dependency ``NAME@MAJOR::PATH``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Node = Mapping[str, Any]
Names = Callable[[int, str], str]
"""The name of an item by its id in the index, or as the source has it where that knows none."""


@dataclass
class Scope:
    """The parameters that a text may name.

    Attributes:
        elidable: how many lifetimes of a type of this crate may be left out.
        alias: the declaration of an alias of this crate.
        own: what ``Self`` is.
        constants: names of parameters that are constants.
        lifetimes, types: name in the source -> what stands for it.
        fresh: lifetimes that were left out get numbers of their own (in parameters); else ``elided`` stands for them.
    """

    names: Names
    elidable: Callable[[int], int] = lambda _id: 0
    alias: Callable[[int], Node | None] = lambda _id: None
    lifetimes: dict[str, str] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    fresh: bool = True
    elided: str = "'?"
    prefix: str = "'"
    count: int = 0
    own: str = "Self"
    constants: frozenset[str] = frozenset()

    def lifetime(self, name: str | None) -> str:
        """A lifetime by its number; one that is left out too."""
        if name == "'static":
            return name
        if name is None or name == "'_":
            if not self.fresh:
                return self.elided
            self.count += 1
            return f"{self.prefix}{self.count - 1}"
        if name not in self.lifetimes:
            self.lifetimes[name] = f"{self.prefix}{self.count}"
            self.count += 1
        return self.lifetimes[name]

    def parameter(self, name: str) -> str:
        """A type or constant parameter by its number."""
        return self.own if name == "Self" else self.types.setdefault(name, f"T{len(self.types)}")

    def constant(self, text: str) -> str:
        """A constant argument: a parameter by its number, anything else as it is."""
        return self.parameter(text) if text in self.constants else self.types.get(text, text)

    def inner(self) -> Scope:
        """The scope of a binder within: its own lifetimes beside those of this one."""
        scope = Scope(self.names, self.elidable, self.alias, dict(self.lifetimes), self.types)
        scope.prefix, scope.own, scope.constants = self.prefix + "^", self.own, self.constants
        return scope

    def within(self) -> Scope:
        """A scope that begins as this one: that of a method."""
        return replace(self, lifetimes=dict(self.lifetimes), types=dict(self.types))

    def declare(self, generics: Node) -> None:
        """Number the parameters in the order in which they are declared."""
        for one in generics["params"]:
            if "lifetime" in one["kind"]:
                self.lifetime(one["name"])
            elif not is_synthetic(one):
                self.parameter(one["name"])


def is_synthetic(parameter: Node) -> bool:
    """Whether ``impl Trait`` in a parameter stands for it."""
    return bool((parameter["kind"].get("type") or {}).get("is_synthetic"))


def type_text(node: Any, scope: Scope) -> str:
    """A type.

    Raises:
        KeyError: rustdoc knows a kind of types that is not known here.
    """
    if node is None:
        return "()"
    if node == "infer":
        return "_"
    (kind, inner), *_rest = node.items()
    return _TYPES[kind](inner, scope)


def _path(inner: Node, scope: Scope) -> str:
    if (alias := scope.alias(inner["id"])) is not None:
        return _expanded(alias, inner.get("args"), scope)
    name = scope.names(inner["id"], inner["path"])
    args = arguments_text(inner.get("args"), scope, scope.elidable(inner["id"]))
    return name + args


def _expanded(alias: Node, args: Any, scope: Scope) -> str:
    """What an alias stands for: nobody can tell it from that."""
    given = (args or {}).get("angle_bracketed", {}).get("args", ())
    lifetimes = iter([one["lifetime"] for one in given if isinstance(one, dict) and "lifetime" in one])
    others = iter([_argument(one, scope) for one in given if one == "infer" or "lifetime" not in one])
    inside = replace(scope, lifetimes={}, types={})
    for one in alias["generics"]["params"]:
        (kind, inner), *_rest = one["kind"].items()
        if kind == "lifetime":
            inside.lifetimes[one["name"]] = scope.lifetime(next(lifetimes, None))
        else:
            default = inner.get("default")
            text = type_text(default, inside) if kind == "type" and default else str(default or "_")
            inside.types[one["name"]] = next(others, text)
    inside.count = scope.count
    found = type_text(alias["type"], inside)
    scope.count = inside.count
    return found


def _dyn(inner: Node, scope: Scope) -> str:
    first, *others = [_poly_trait(one, scope) for one in inner["traits"]]
    parts = [first, *sorted(others)]
    if inner["lifetime"] and inner["lifetime"] != "'_":
        parts.append(scope.lifetime(inner["lifetime"]))
    return f"(dyn {' + '.join(parts)})"


def _poly_trait(one: Node, scope: Scope) -> str:
    return _path(one["trait"], scope.inner() if one["generic_params"] else scope)


def _function_pointer(inner: Node, scope: Scope) -> str:
    inner_scope = scope.inner()
    header, signature = inner["header"], inner["sig"]
    inputs = ", ".join(type_text(one, inner_scope) for _name, one in signature["inputs"])
    output = output_text(signature["output"], inner_scope, inputs)
    return f"{header_text(header)}fn({inputs}) -> {output}"


def _reference(inner: Node, scope: Scope) -> str:
    mutable = "mut " if inner["is_mutable"] else ""
    lifetime = scope.lifetime(inner["lifetime"])
    return f"&{lifetime} {mutable}{type_text(inner['type'], scope)}"


def _pointer(inner: Node, scope: Scope) -> str:
    return f"*{'mut' if inner['is_mutable'] else 'const'} {type_text(inner['type'], scope)}"


def _qualified(inner: Node, scope: Scope) -> str:
    own = type_text(inner["self_type"], scope)
    trait = inner.get("trait")
    args = arguments_text(inner.get("args"), scope)
    if not trait or not trait["path"]:
        return f"{own}::{inner['name']}{args}"
    return f"<{own} as {_path(trait, scope)}>::{inner['name']}{args}"


_TYPES: dict[str, Callable[[Any, Scope], str]] = {
    "resolved_path": _path,
    "dyn_trait": _dyn,
    "generic": lambda inner, scope: scope.parameter(inner),
    "primitive": lambda inner, _scope: {"never": "!", "unit": "()"}.get(inner, str(inner)),
    "function_pointer": _function_pointer,
    "tuple": lambda inner, scope: "(" + "".join(type_text(one, scope) + ", " for one in inner).removesuffix(" ") + ")",
    "slice": lambda inner, scope: f"[{type_text(inner, scope)}]",
    "array": lambda inner, scope: f"[{type_text(inner['type'], scope)}; {scope.constant(inner['len'])}]",
    "pat": lambda inner, scope: f"{type_text(inner['type'], scope)} is {inner['__pat_unstable_do_not_use']}",
    "impl_trait": lambda inner, scope: "impl " + " + ".join(sorted(bound_text(one, scope) for one in inner)),
    "raw_pointer": _pointer,
    "borrowed_ref": _reference,
    "qualified_path": _qualified,
}


def arguments_text(args: Any, scope: Scope, elidable: int = 0) -> str:
    """The arguments of a path; ``elidable`` lifetimes may be left out of it."""
    if not args or args == "return_type_notation":
        lifetimes = [scope.lifetime(None) for _n in range(elidable)]
        return f"<{', '.join(lifetimes)}>" if lifetimes else ""
    if "parenthesized" in args:
        inner = args["parenthesized"]
        inside = scope.inner()
        inputs = ", ".join(type_text(one, inside) for one in inner["inputs"])
        return f"({inputs}) -> {output_text(inner['output'], inside, inputs)}"
    inner = args["angle_bracketed"]
    parts = [_argument(one, scope) for one in inner["args"]]
    if elidable and not any("lifetime" in one for one in inner["args"] if isinstance(one, dict)):
        parts = [scope.lifetime(None) for _n in range(elidable)] + parts
    parts += sorted(_constraint(one, scope) for one in inner["constraints"])
    return f"<{', '.join(parts)}>" if parts else ""


def _argument(one: Any, scope: Scope) -> str:
    if one == "infer":
        return "_"
    if "lifetime" in one:
        return scope.lifetime(one["lifetime"])
    if "type" in one:
        return type_text(one["type"], scope)
    told = one["const"]
    return scope.constant(told["expr"]) if not told["value"] else str(told["value"])


def _constraint(one: Node, scope: Scope) -> str:
    name = one["name"] + arguments_text(one["args"], scope)
    (kind, inner), *_rest = one["binding"].items()
    if kind == "equality":
        return f"{name} = {term_text(inner, scope)}"
    return f"{name}: {' + '.join(sorted(bound_text(b, scope) for b in inner))}"


def term_text(term: Node, scope: Scope) -> str:
    """What an associated type or constant is bound to."""
    return type_text(term["type"], scope) if "type" in term else str(term["constant"]["expr"])


def output_text(output: Any, scope: Scope, inputs: str, receiver: str = "") -> str:
    """A result. Lifetimes that it leaves out are the receiver's, or the only one of the parameters."""
    seen = dict.fromkeys(re.findall(r"'[\^\d]+|'static", receiver or inputs))
    scope.fresh, scope.elided = False, next(iter(seen)) if (receiver and seen) or len(seen) == 1 else "'?"
    text = type_text(output, scope)
    scope.fresh = True
    return text


def bound_text(bound: Node, scope: Scope) -> str:
    """A trait, ``?Sized`` or a lifetime as a bound."""
    if "outlives" in bound:
        return scope.lifetime(bound["outlives"])
    if "use" in bound:
        return "use<..>"
    inner = bound["trait_bound"]
    sign = {"maybe": "?", "maybe_const": "~const "}.get(inner["modifier"], "")
    inside = scope.inner() if inner["generic_params"] else scope
    return sign + _path(inner["trait"], inside)


def header_text(header: Node) -> str:
    """What stands before ``fn`` and is part of a function's type."""
    return ("unsafe " if header["is_unsafe"] else "") + ("" if abi(header) == "Rust" else f'extern "{abi(header)}" ')


def abi(header: Node) -> str:
    """The calling convention, as ``extern`` names it."""
    found = header["abi"]
    if isinstance(found, str):
        return found
    (name, inner), *_rest = found.items()
    if name == "Other":
        return str(inner).removeprefix('"').removesuffix('"')
    return str(name) + ("-unwind" if isinstance(inner, dict) and inner.get("unwind") else "")


def predicates(generics: Node, scope: Scope) -> list[str]:
    """All bounds of all parameters, wherever they are written, in order."""
    found = set(_inline(generics["params"], scope))
    for one in generics["where_predicates"]:
        (kind, inner), *_rest = one.items()
        if kind == "bound_predicate":
            inside = scope.inner() if inner["generic_params"] else scope
            own = type_text(inner["type"], inside)
            found |= {f"{own}: {bound_text(b, inside)}" for b in inner["bounds"]}
        elif kind == "lifetime_predicate":
            own = scope.lifetime(inner["lifetime"])
            found |= {f"{own}: {scope.lifetime(other)}" for other in inner["outlives"]}
        else:
            found.add(f"{type_text(inner['lhs'], scope)} == {term_text(inner['rhs'], scope)}")
    return sorted(found)


def _inline(parameters: Iterable[Node], scope: Scope) -> Iterator[str]:
    for one in parameters:
        (kind, inner), *_rest = one["kind"].items()
        if kind == "lifetime":
            for other in inner["outlives"]:
                yield f"{scope.lifetime(one['name'])}: {scope.lifetime(other)}"
        elif kind == "type" and not inner["is_synthetic"]:
            for bound in inner["bounds"]:
                yield f"{scope.parameter(one['name'])}: {bound_text(bound, scope)}"


def parameters(generics: Node, scope: Scope) -> list[list[str]]:
    """Kind and default of each parameter, in order; those that ``impl Trait`` stands for are left out."""
    found = []
    for one in generics["params"]:
        (kind, inner), *_rest = one["kind"].items()
        if kind == "lifetime":
            found.append(["lifetime", ""])
        elif kind == "const":
            found.append([f"const {type_text(inner['type'], scope)}", str(inner["default"] or "")])
        elif not inner["is_synthetic"]:
            found.append(["type", type_text(inner["default"], scope) if inner["default"] else ""])
    return found


FUTURE = "core::future::future::Future"


def signature(function: Node, scope: Scope) -> dict[str, Any]:
    """A function's facts: ``inputs`` and ``result`` as text, and what stands around them."""
    generics, header, told = function["generics"], function["header"], function["sig"]
    for one in generics["params"]:
        if "lifetime" not in one["kind"] and not is_synthetic(one):
            scope.parameter(one["name"])
    inputs: Sequence[Any] = told["inputs"]
    texts = [type_text(one, scope) for _name, one in inputs]
    own = bool(inputs) and inputs[0][0] == "self"
    receiver = texts[0] if own and texts[0].startswith("&") else ""
    output = output_text(told["output"], scope, ", ".join(texts), receiver)
    kinds = [one for one in parameters(generics, scope) if one[0] != "lifetime"]
    return {
        "self": own,
        "inputs": texts,
        "result": f"impl {FUTURE}<Output = {output}>" if header["is_async"] else output,
        "params": kinds,
        "bounds": predicates(generics, scope),
        "const": header["is_const"],
        "unsafe": header["is_unsafe"],
        "async": header["is_async"],
        "abi": abi(header),
        "variadic": told["is_c_variadic"],
        "body": function["has_body"],
    }
