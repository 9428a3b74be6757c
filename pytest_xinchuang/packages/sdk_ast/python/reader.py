"""Reads Python packages without importing them: what callers may count on, weighted by ``__all__``, as a snapshot.

What is public: names without a leading underscore in modules without one; where a module has ``__all__``, what it lists.
An import is API where it says so (``import x as x``, ``__all__``), in an ``__init__`` where it is of the distribution's own,
and in a module that does not use it itself. Imports of the standard library and of other distributions are not.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_xinchuang.packages.sdk_ast.problems import UNREADABLE, problem_record
from pytest_xinchuang.packages.sdk_ast.python.classes import Classes
from pytest_xinchuang.packages.sdk_ast.python.delivered import Delivered, Distribution, Form, delivered, opened
from pytest_xinchuang.packages.sdk_ast.python.syntax import Binding, Class, Function, Imported, Value
from pytest_xinchuang.packages.sdk_ast.python.world import Found, ModuleOf, Outside, Resolved, World, public
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot

DISTRIBUTION = "dist-info"
"""The path of the record of what the distribution promises: no package can have a name with a hyphen."""
TOP = "__init__"
"""The name of the symbol that stands for a package itself."""

_LONGEST = 500
"""Characters of a value that is kept."""
_SILENT = {
    "__init__",
    "__new__",
    "__module__",
    "__doc__",
    "__slots__",
    "__annotations__",
    "__qualname__",
    "__post_init__",
    "__del__",
}
"""Members that callers see by what they do to others, or not at all."""

Symbols = dict[str, dict[str, Any]]


def extract_python(place: Path, output: Path, *, version: str = "") -> None:
    """Write the snapshot of a wheel, or of a directory of packages (its ``src`` is looked into).

    Raises:
        XcError: there is no package in it.
    """
    with opened(place) as directory:
        here = delivered(directory)
        write_python(here, output, version)


def write_python(here: Delivered, output: Path, version: str) -> None:
    """Write the snapshot of what is delivered."""
    reader = Reader(World(here))
    records: list[Any] = []
    for top in here.tops:
        symbols = reader.symbols(top)
        records.append((top, top, reader.world.digest(top), [("python", symbols, reader.world.problems.get(top, []))]))
    unread = [problem_record(file, None, UNREADABLE, why=why) for file, why in here.distribution.problems.items()]
    records.append((DISTRIBUTION, DISTRIBUTION, "", [("python", promises(here.distribution), unread)]))
    first = {
        "language": "python",
        "name": here.distribution.name or here.tops[0],
        "version": version or here.distribution.version,
        "minimum": here.distribution.requires_python,
        "toolchain": "ast",
        "targets": ["python"],
    }
    write_snapshot(output, first, records)


def promises(found: Distribution) -> Symbols:
    """What metadata promise, as symbols."""
    symbols: Symbols = {"metadata": {"kind": "var", "facts": {"public": True, "known": found.known}}}
    if found.requires_python:
        symbols["python"] = {"kind": "var", "value": found.requires_python, "facts": {"public": True}}
    for name, value in found.entry_points.items():
        symbols[f"entry-point {name}"] = {"kind": "var", "value": value, "facts": {"public": True}}
    for name in found.extras:
        symbols[f"extra {name}"] = {"kind": "var", "facts": {"public": True}}
    return symbols


class Reader:
    """Describes the names of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.classes = Classes(world)
        self._described: dict[tuple[str, int], Symbols] = {}

    def symbols(self, top: str) -> Symbols:
        """Everything below a package or module, by dotted path below it."""
        found: Symbols = {TOP: self._module(top, True)}
        for name in self.world.here.modules:
            if name.partition(".")[0] != top:
                continue
            path = name.removeprefix(top).removeprefix(".")
            if path:
                found.setdefault(path, self._module(name, public(path.split("."))))
            for key, symbol in self._members(name, f"{path}." if path else ""):
                found.setdefault(key, symbol)
        return found

    def _module(self, name: str, shown: bool) -> dict[str, Any]:
        module = self.world.here.modules[name]
        facts: dict[str, Any] = {"public": shown, "form": module.form.value}
        if module.typed and "." not in name:
            facts["typed"] = True
        if module.package and module.form is Form.SOURCE:
            loaded = self.world.loads(name)
            facts["loads"] = [c for c in self.world.children.get(name, ()) if f"{name}.{c}" in loaded]
            bound = (c for c in facts["loads"] if self.world.resolve(name, c) == ModuleOf(f"{name}.{c}"))
            facts["names"] = [
                c for c in bound if c in self.world.names(name) or f"{name}.{c}" in self.world.scope(name).modules
            ]
        if module.form is Form.EXTENSION and module.extension is not None and shown:
            facts["digest"] = _digest(module.extension)
        if module.source is not None:
            lazily = self.world.lazily(name)
            if lazily is None:
                facts["dynamic"] = True
            elif lazily:
                facts["lazily"] = sorted(lazily)
        return {"kind": "module", "facts": facts}

    def _members(self, module: str, prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        scope, exports = self.world.scope(module), self.world.exports(module)
        shown = public(prefix.split("."))
        names: dict[str, Binding] = self.world.names(module)
        for name, binding in names.items():
            if name in scope.typing_only or (name.startswith("__") and name.endswith("__") and name != "__version__"):
                continue
            target = self.world.follow(module, binding)
            if isinstance(binding, Imported) and not self._passed_on(module, name, binding, exports):
                continue
            if isinstance(target, ModuleOf) and target.name == f"{module}.{name}":
                continue
            mine = shown and (name in exports if exports is not None else not name.startswith("_"))
            yield from self._symbols_of(prefix + name, target, mine)
        given = scope.strings if not scope.dynamic else set(exports or ())
        for name in exports or ():
            if name not in names and f"{module}.{name}" not in self.world.here.modules and shown and name in given:
                # The list names what the source does not bind: it is made as the module runs, or __getattr__ gives it.
                yield prefix + name, {"kind": "var", "facts": {"public": True, "alias": "?"}}

    def _passed_on(self, module: str, name: str, binding: Imported, exports: list[str] | None) -> bool:
        if exports is not None:
            return name in exports
        if binding.explicit:
            return True
        own = self.world.own(binding.module)
        if not own or name.startswith("_"):
            return False
        return self.world.here.modules[module].package or name not in self.world.scope(module).used

    def _symbols_of(self, path: str, target: Resolved, shown: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        facts: dict[str, Any] = {"public": shown}
        if isinstance(target, Outside) or target is None:
            text = target.path if isinstance(target, Outside) else "?"
            yield path, {"kind": "var", "facts": {**facts, "alias": text}}
        elif isinstance(target, ModuleOf):
            yield path, {"kind": "module", "facts": facts}
        elif isinstance(target.what, Class):
            for name, symbol in self._class(target, target.what).items():
                mine = shown and symbol["facts"]["public"]
                yield path + name, {**symbol, "facts": {**symbol["facts"], "public": mine}}
        elif isinstance(target.what, Function):
            yield path, self._function(target.module, target.what, facts)
        else:
            yield path, self._value(target.module, target.what, facts)

    # -- what there is

    def _class(self, found: Found, what: Class) -> Symbols:
        key = (found.module, id(what))
        if key not in self._described:
            self._described[key] = self._class_symbols(found.module, what)
        return self._described[key]

    def _class_symbols(self, module: str, what: Class) -> Symbols:
        shape = self.classes.shape(module, what)
        facts = {"public": True, "bases": what.bases, **shape.facts}
        symbols: Symbols = {"": self._at(module, what.line, {"kind": "class", "facts": facts}, what.decorators)}
        for name, (owner, member) in shape.members.items():
            if name in _SILENT or (name.startswith("_") and not (name.startswith("__") and name.endswith("__"))):
                continue
            inner: dict[str, Any] = {"public": True, "member": True}
            if member is None:
                if name.startswith("__"):
                    symbols[f".{name}"] = {"kind": "func", "facts": {**inner, "params": None, "from": owner}}
                else:
                    symbols[f".{name}"] = {"kind": "var", "facts": {**inner, "alias": f"{owner}.{name}"}}
            elif isinstance(member, Function):
                symbols[f".{name}"] = self._function(owner.rpartition(".")[0], member, inner)
            elif isinstance(member, Class):
                if member is not what:
                    nested = self._class(Found(module, member), member)
                    symbols |= {f".{name}{key}": symbol for key, symbol in nested.items()}
            else:
                enum = bool(facts["enum"]) and member.node is not None and not name.startswith("__")
                symbols[f".{name}"] = self._value(module, member, {**inner, "enum": enum})
        return symbols

    def _function(self, module: str, made: Function, facts: dict[str, Any]) -> dict[str, Any]:
        made = self.world.wrapped(module, made)
        params, binding = made.params, ""
        if facts.get("member"):
            binding = (
                "static" if made.decorated("staticmethod") else "class" if made.decorated("classmethod") else "instance"
            )
            if binding != "static" and params and not params[0].kind.startswith("variadic"):
                params = params[1:]
        described = {**facts, "params": [p.data() for p in params], "async": made.awaits, "generates": made.generates}
        if made.generates and made.decorated("contextmanager", "asynccontextmanager"):
            described["generates"], described["manages"] = False, True
        described |= {"binding": binding, "returns": made.returns, "overloads": made.overloads}
        if made.decorated("property", "cached_property", "abstractproperty"):
            cached = made.decorated("cached_property")
            described = {**facts, "property": True, "writable": cached or "property.setter" in made.decorators}
            described["deletable"] = cached or "property.deleter" in made.decorators
            return self._at(module, made.line, {"kind": "var", "facts": described}, made.decorators)
        return self._at(module, made.line, {"kind": "func", "facts": described}, made.decorators)

    def _value(self, module: str, value: Value, facts: dict[str, Any]) -> dict[str, Any]:
        called = self.world.called(module, value)
        if called is not None:
            return self._function(module, called, {**facts, "made": True})
        described: dict[str, Any] = {**facts, "property": False}
        if value.node is not None:
            described["literal"] = _is_literal(value)
        if facts.get("member") and (written := _written(value)) is not None:
            return self._at(module, value.line, {"kind": "var", "facts": {**facts, "property": True, **written}})
        made = self._instance_call(module, value)
        if made is not None:
            described["call"] = made
        elif value.annotation:
            described["annotation"] = value.annotation
        symbol: dict[str, Any] = {"kind": "var", "facts": described}
        if value.node is not None and len(text := value.text) < _LONGEST:
            symbol["value"] = text
        return self._at(module, value.line, symbol)

    def _instance_call(self, module: str, value: Value) -> list[dict[str, Any]] | None:
        """The parameters of an instance whose class has ``__call__``."""
        if not isinstance(value.node, ast.Call):
            return None
        target = self.world.look(module, ast.unparse(value.node.func).split("."))
        if not (isinstance(target, Found) and isinstance(target.what, Class)):
            return None
        member = self.classes.shape(target.module, target.what).members.get("__call__")
        if member is None or not isinstance(member[1], Function):
            return None
        return [p.data() for p in member[1].params[1:]]

    def _at(self, module: str, line: int, symbol: dict[str, Any], decorators: Any = ()) -> dict[str, Any]:
        known = self.world.here.modules.get(module)
        path = None if known is None else known.source or known.stub
        if path is not None and line:
            symbol["at"] = f"{self.world.relative(path)}:{line}"
        if any("deprecated" in d.lower() for d in decorators):
            symbol["deprecated"] = True
        return symbol


def _written(value: Value) -> dict[str, bool] | None:
    """What a call of ``property`` allows: its second argument sets, its third deletes; None: it is another value."""
    if not isinstance(value.node, ast.Call) or ast.unparse(value.node.func) != "property":
        return None
    given = {k.arg for k in value.node.keywords} | set(("fget", "fset", "fdel")[: len(value.node.args)])
    return {"writable": "fset" in given, "deletable": "fdel" in given}


def _is_literal(value: Value) -> bool:
    literals = (
        ast.Constant,
        ast.List,
        ast.Tuple,
        ast.Dict,
        ast.Set,
        ast.JoinedStr,
        ast.ListComp,
        ast.DictComp,
        ast.SetComp,
    )
    return isinstance(value.node, literals)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
