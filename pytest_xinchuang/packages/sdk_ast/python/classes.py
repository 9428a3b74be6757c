"""Classes as those who use them see them: ancestors, members, constructors, and what decorators and bases make.

Sources: the data model and "Naming and binding" of the language reference; C3 (``type.__mro__``); PEP 557 (dataclasses),
PEP 681, PEP 544 (protocols), PEP 3119 (abstract base classes), PEP 589 (TypedDict).
"""

from __future__ import annotations

import ast
import importlib
from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.packages.sdk_ast.python.syntax import (
    EITHER,
    KEYWORD,
    VAR_POSITIONAL,
    Class,
    Function,
    Imported,
    Param,
    Value,
)
from pytest_xinchuang.packages.sdk_ast.python.world import Found, Outside, World

_STANDARD = {
    "abc", "argparse", "array", "ast", "asyncio", "builtins", "codecs", "collections", "concurrent", "configparser",
    "contextlib", "csv", "ctypes", "datetime", "decimal", "email", "enum", "fractions", "functools", "html", "http",
    "io", "ipaddress", "json", "logging", "numbers", "operator", "pathlib", "pickle", "queue", "random", "selectors",
    "socket", "socketserver", "ssl", "string", "tempfile", "threading", "types", "typing", "unittest", "urllib",
    "uuid", "warnings", "weakref", "xml", "zipfile",
}  # fmt: skip
"""Modules of the standard library whose classes are looked up as they are here."""

_OF_EVERY_CLASS = {"__dict__", "__weakref__", "__module__", "__doc__", "__slots__", "__abstractmethods__", "_abc_impl"}
_ORDER = ("__lt__", "__le__", "__gt__", "__ge__")
_DATACLASS = {"dataclass", "dataclasses.dataclass"}
_ATTRS = {"define", "attrs.define", "attr.define", "frozen", "attrs.frozen", "attr.frozen", "mutable", "attrs.mutable"}


def standard_class(path: str) -> type | None:
    """A class of the standard library by its dotted path; ``typing``'s and ``typing_extensions``' special forms are none."""
    module, _dot, name = path.rpartition(".")
    if module.partition(".")[0] not in _STANDARD:
        return None
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
    return found if isinstance(found, type) else None


@dataclass(frozen=True)
class Field:
    """A field of a dataclass or a named tuple."""

    name: str
    default: str | None
    keyword: bool = False
    init: bool = True
    annotation: str = ""


@dataclass
class Shape:
    """A class as its users see it.

    Attributes:
        line: its bases in the order of method resolution, itself first; strings are classes of elsewhere.
        unknown: bases of other distributions, of which nothing is known.
        members: name -> (class that has it, binding); of the standard library's classes the name alone (None).
        call: the parameters of its construction; None: not known.
    """

    ancestors: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    members: dict[str, tuple[str, Function | Class | Value | None]] = field(default_factory=dict)
    call: list[Param] | None = None
    abstract: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Own:
    module: str
    what: Class

    @property
    def path(self) -> str:
        return f"{self.module}.{self.what.name}"


Ancestor = _Own | str


class Classes:
    """Shapes of all classes of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._shapes: dict[tuple[str, int], Shape] = {}
        self._lines: dict[tuple[str, int], list[Ancestor]] = {}

    def shape(self, module: str, what: Class) -> Shape:
        key = (module, id(what))
        if key not in self._shapes:
            self._shapes[key] = self._made(_Own(module, what))
        return self._shapes[key]

    # -- ancestors

    def line(self, own: _Own, depth: int = 0) -> list[Ancestor]:
        """The order of method resolution."""
        key = (own.module, id(own.what))
        if key in self._lines or depth > 60:
            return self._lines.get(key, [own])
        self._lines[key] = [own]  # a class among its own bases is broken: it goes no further
        parents: list[list[Ancestor]] = []
        for text in own.what.bases:
            base = self._base(own, text)
            if base == "typing.Generic" and any("[" in b and b is not text for b in own.what.bases):
                continue
            if isinstance(base, _Own):
                parents.append(self.line(base, depth + 1))
            elif base:
                known = standard_class(base)
                parents.append([_qualified(c) for c in known.__mro__[:-1]] if known else [base])
        self._lines[key] = [own, *_merged(parents)]
        return self._lines[key]

    def _base(self, own: _Own, text: str) -> Ancestor:
        name, call, _rest = text.partition("[")[0].partition("(")
        if call and name.rpartition(".")[2] in ("namedtuple", "NamedTuple"):
            return "builtins.tuple"
        beside = own.what.outer.members.get(name) if own.what.outer is not None else None
        if isinstance(beside, Class) and beside is not own.what:
            return _Own(own.module, beside)
        target = self.world.look(own.module, name.split("."))
        if isinstance(target, Found) and isinstance(target.what, Class):
            return _Own(target.module, target.what)
        if isinstance(target, Found) and isinstance(target.what, Value):
            made = named_tuple(target.what.node)
            return "builtins.tuple" if made is not None else f"{target.module}.{name}"
        path = target.path if isinstance(target, Outside) else name
        path = path.replace("typing_extensions.", "typing.")
        if path in ("builtins.object", "object"):
            return ""
        if path == "typing.NamedTuple":
            return "builtins.tuple"
        known = standard_class(path)
        return _qualified(known) if known else path

    # -- members

    def _made(self, own: _Own) -> Shape:
        shape = Shape()
        line = self.line(own)
        special = {a for a in line if isinstance(a, str)}
        for one in reversed(line):
            if isinstance(one, _Own):
                shape.ancestors.insert(0, one.path)
                self._own_members(one, shape)
                continue
            shape.ancestors.insert(0, one)
            known = standard_class(one)
            if known is not None:
                shape.members |= {n: (one, None) for n in vars(known) if n not in _OF_EVERY_CLASS}
            elif not one.startswith("typing."):
                shape.unknown.append(one)
        facts = shape.facts
        facts["ancestors"], facts["unknown"] = shape.ancestors, shape.unknown
        facts["protocol"] = "typing.Protocol" in [self._base(own, b) for b in own.what.bases]
        facts["enum"] = "enum.Enum" in special
        facts["typed_dict"] = self._keys(line) if "typing.TypedDict" in special else None
        facts["metaclass"] = self._metaclass(line)
        facts["final"] = any(d.rpartition(".")[2] == "final" for d in own.what.decorators)
        facts["fields"] = self._tuple_fields(line)
        facts["dataclass"] = [f.name for f in self.fields(own) if not f.keyword and f.init]
        facts["frozen"] = any(self._option(o, "frozen") for o in line if isinstance(o, _Own))
        facts["hashable"] = self._hashable(line)
        facts["has_dict"] = self._has_dict(line)
        shape.abstract = self._abstract(line, facts["protocol"])
        facts["abstract"] = shape.abstract
        shape.call = self._call(line, shape)
        facts["call"] = None if shape.call is None else [p.data() for p in shape.call]
        return shape

    def _own_members(self, own: _Own, shape: Shape) -> None:
        for name, binding in own.what.members.items():
            target = binding
            if isinstance(binding, Imported):
                continue
            if (
                isinstance(binding, Value)
                and isinstance(binding.node, ast.Name)
                and binding.node.id in own.what.members
            ):
                inner = own.what.members[binding.node.id]
                target = inner if not isinstance(inner, Imported) else binding
            if isinstance(target, Value) and name.startswith("__") and target.text == "None":
                shape.members.pop(name, None)
                if name != "__hash__":
                    continue
            if isinstance(target, (Function, Class, Value)):
                shape.members[name] = (own.path, target)
        for name, line in own.what.attributes.items():
            if name not in shape.members:
                shape.members[name] = (own.path, Value(None, "", line))
        total = any(d.rpartition(".")[2] == "total_ordering" for d in own.what.decorators)
        made = _ORDER if total or self._option(own, "order") else ()
        equal = self._decorator(own) is not None and self._option(own, "eq")
        for name in (*made, "__eq__") if equal else made:
            shape.members.setdefault(name, (own.path, Function([Param("self", EITHER), Param("other", EITHER)])))

    def _decorator(self, own: _Own) -> tuple[str, dict[str, str]] | None:
        """The decorator that makes methods from fields (``dataclass`` or ``attrs``), with its arguments."""
        for text in own.what.decorators:
            name, call, _rest = text.partition("(")
            target = self.world.look(own.module, name.split("."))
            path = target.path if isinstance(target, Outside) else name
            kind = "dataclass" if path in _DATACLASS else "attrs" if path in _ATTRS else ""
            if not kind:
                continue
            options: dict[str, str] = {"frozen": "True"} if name.endswith("frozen") else {}
            if call and isinstance(node := ast.parse(text, mode="eval").body, ast.Call):
                options |= {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg}
            return kind, options
        return None

    def _option(self, own: _Own, name: str) -> bool:
        made = self._decorator(own)
        if made is None:
            return False
        default = {"eq": True, "slots": made[0] == "attrs"}.get(name, False)
        return made[1].get(name, str(default)) == "True"

    def fields(self, own: _Own) -> list[Field]:
        """The fields of a dataclass, those of its bases first."""
        found: dict[str, Field] = {}
        if self._decorator(own) is None:
            return []
        for one in reversed(self.line(own)):
            if not isinstance(one, _Own) or (made := self._decorator(one)) is None:
                continue
            keyword = made[1].get("kw_only") == "True"
            for name, annotation in one.what.annotations.items():
                head = annotation.strip("'\"").partition("[")[0].rpartition(".")[2]
                if head == "ClassVar":
                    continue
                if head == "KW_ONLY":
                    keyword = True
                    continue
                binding = one.what.members.get(name)
                found[name] = _field(name, binding.node if isinstance(binding, Value) else None, keyword, annotation)
        return list(found.values())

    def _tuple_fields(self, line: list[Ancestor]) -> list[str] | None:
        for one in line:
            if isinstance(one, _Own) and (fields := self._named(one)) is not None:
                return [f.name for f in fields]
        return None

    def _named(self, own: _Own) -> list[Field] | None:
        """The fields of a named tuple, however its class is written."""
        for text in own.what.bases:
            if text.rpartition(".")[2] == "NamedTuple":
                return [
                    _field(
                        name, b.node if isinstance(b := own.what.members.get(name), Value) else None, False, annotation
                    )
                    for name, annotation in own.what.annotations.items()
                ]
            if "(" in text and (fields := named_tuple(ast.parse(text, mode="eval").body)) is not None:
                return fields
            target = self.world.look(own.module, text.split("."))
            if isinstance(target, Found) and isinstance(target.what, Value):
                fields = named_tuple(target.what.node)
                if fields is not None:
                    return fields
        return None

    def _keys(self, line: list[Ancestor]) -> dict[str, bool]:
        keys: dict[str, bool] = {}
        for one in reversed(line):
            if isinstance(one, _Own):
                total = one.what.keywords.get("total", "True") == "True"
                for name, annotation in one.what.annotations.items():
                    keys[name] = "NotRequired[" not in annotation and (total or "Required[" in annotation)
        return keys

    def _metaclass(self, line: list[Ancestor]) -> str:
        for one in line:
            if isinstance(one, _Own) and "metaclass" in one.what.keywords:
                base = self._base(one, one.what.keywords["metaclass"])
                return base.path if isinstance(base, _Own) else base
            if isinstance(one, str) and (known := standard_class(one)) is not None and type(known) is not type:
                return _qualified(type(known))
        return ""

    # -- what instances can do

    def _hashable(self, line: list[Ancestor]) -> bool:
        for one in line:
            if isinstance(one, str):
                known = standard_class(one)
                if known is not None and "__hash__" in vars(known):
                    return known.__hash__ is not None
                continue
            members = one.what.members
            explicit = members.get("__hash__")
            if explicit is not None:
                return not (isinstance(explicit, Value) and explicit.text == "None")
            if self._option(one, "unsafe_hash"):
                return True
            if self._decorator(one) is not None and self._option(one, "eq"):
                return self._option(one, "frozen")
            if "__eq__" in members:
                return False
        return True

    def _has_dict(self, line: list[Ancestor]) -> bool:
        for one in line:
            if isinstance(one, str):
                known = standard_class(one)
                if known is None and not one.startswith("typing."):
                    return True
                if known is not None and known.__dictoffset__:
                    return True
                continue
            if any(b.rpartition(".")[2] == "NamedTuple" for b in one.what.bases):
                continue  # typing.NamedTuple makes a class with empty slots
            slots = one.what.members.get("__slots__")
            if slots is None and not self._option(one, "slots"):
                return True
            if isinstance(slots, Value) and "__dict__" in slots.text:
                return True
        return False

    def _abstract(self, line: list[Ancestor], protocol: bool) -> list[str]:
        seen: set[str] = set()
        found = []
        meta = self._metaclass(line).rpartition(".")[2]
        for one in line:
            if isinstance(one, str):
                known = standard_class(one)
                names = list(vars(known)) if known is not None else []
                found += [n for n in getattr(known, "__abstractmethods__", ()) if n in names and n not in seen]
                seen |= set(names)
                continue
            for name, binding in one.what.members.items():
                if name in seen:
                    continue
                seen.add(name)
                if isinstance(binding, Function) and any(
                    d.rpartition(".")[2].startswith("abstract") for d in binding.decorators
                ):
                    found.append(name)
        enforced = protocol or meta in ("ABCMeta", "EnumMeta", "EnumType", "_ProtocolMeta") or bool(meta)
        return sorted(found) if enforced else []

    def _call(self, line: list[Ancestor], shape: Shape) -> list[Param] | None:
        if shape.facts["typed_dict"] is not None or shape.facts["enum"] or shape.facts["protocol"]:
            return None
        meta = self._metaclass(line)
        if meta and meta not in ("abc.ABCMeta", "typing._ProtocolMeta"):
            return None
        for one in line:
            if isinstance(one, str):
                if one.startswith("typing.") or one.startswith("abc."):
                    continue
                known = standard_class(one)
                if known is not None and not {"__init__", "__new__"} & set(vars(known)):
                    continue
                if known is not None and issubclass(known, BaseException) and "__init__" in vars(known):
                    return [Param("args", VAR_POSITIONAL)] if known in _PLAIN_EXCEPTIONS else None
                return None
            for name in ("__init__", "__new__"):
                made = one.what.members.get(name)
                if isinstance(made, Function):
                    return self.world.wrapped(one.module, made).params[1:]
            fields = self._named(one)
            if fields is not None:
                return _constructor(fields)
            if (made_by := self._decorator(one)) is not None and made_by[1].get("init", "True") == "True":
                return _constructor(self.fields(one))
        return []


_PLAIN_EXCEPTIONS = {
    e
    for e in vars(importlib.import_module("builtins")).values()
    if isinstance(e, type) and issubclass(e, BaseException)
} - {
    OSError,
    UnicodeError,
    UnicodeDecodeError,
    UnicodeEncodeError,
    UnicodeTranslateError,
    ImportError,
    ModuleNotFoundError,
}


def _constructor(fields: list[Field]) -> list[Param]:
    taken = [f for f in fields if f.init]
    return [
        Param(f.name, KEYWORD if f.keyword else EITHER, f.default, f.annotation) for f in taken if not f.keyword
    ] + [Param(f.name, KEYWORD, f.default, f.annotation) for f in taken if f.keyword]


def _field(name: str, node: ast.expr | None, keyword: bool, annotation: str) -> Field:
    if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] not in ("field", "ib", "attrib"):
        return Field(name, None if node is None else ast.unparse(node), keyword, True, annotation)
    options = {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg}
    default = options.get("default") or options.get("default_factory") or options.get("factory")
    keyword = options.get("kw_only", str(keyword)) == "True"
    return Field(name, default, keyword, options.get("init", "True") == "True", annotation)


def named_tuple(node: ast.expr | None) -> list[Field] | None:
    """The fields of a call to ``collections.namedtuple`` or ``typing.NamedTuple``; None: it is none."""
    if not isinstance(node, ast.Call) or len(node.args) < 2:
        return None
    if ast.unparse(node.func).rpartition(".")[2] not in ("namedtuple", "NamedTuple"):
        return None
    try:
        given = ast.literal_eval(node.args[1])
        names = (
            given.replace(",", " ").split()
            if isinstance(given, str)
            else [n if isinstance(n, str) else n[0] for n in given]
        )
    except (ValueError, TypeError, SyntaxError, IndexError):
        elements = node.args[1].elts if isinstance(node.args[1], (ast.List, ast.Tuple)) else []
        heads = [e.elts[0] if isinstance(e, ast.Tuple) and e.elts else e for e in elements]
        names = [h.value for h in heads if isinstance(h, ast.Constant)]
        if len(names) != len(elements) or not names:
            return None
    defaults: list[str] = []
    for keyword in node.keywords:
        if keyword.arg == "defaults" and isinstance(keyword.value, (ast.Tuple, ast.List)):
            defaults = [ast.unparse(e) for e in keyword.value.elts]
    bare: list[str | None] = [None] * (len(names) - len(defaults))
    return [Field(str(n), d) for n, d in zip(names, [*bare, *defaults], strict=False)]


def _qualified(known: type) -> str:
    module = known.__module__.removeprefix("_").replace("collections_abc", "collections.abc")
    return f"{module}.{known.__qualname__}"


def _merged(parents: list[list[Ancestor]]) -> list[Ancestor]:
    """C3's merge; where the bases have no order, one after the other."""
    rest = [list(p) for p in parents] + [[p[0] for p in parents if p]]
    found: list[Ancestor] = []

    def same(a: Ancestor, b: Ancestor) -> bool:
        return a == b if isinstance(a, str) or isinstance(b, str) else a.what is b.what

    while any(rest):
        rest = [r for r in rest if r]
        head = next((r[0] for r in rest if not any(same(r[0], o) for other in rest for o in other[1:])), rest[0][0])
        found.append(head)
        rest = [[o for o in r if not same(o, head)] for r in rest]
    return found
