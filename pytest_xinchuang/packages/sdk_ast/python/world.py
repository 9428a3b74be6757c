"""The modules of one distribution, and what a name in one of them stands for in the end."""

from __future__ import annotations

import ast
import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_xinchuang.messages import told, verbatim
from pytest_xinchuang.packages.sdk_ast.problems import SYNTAX_ERROR, UNREADABLE, problem_record
from pytest_xinchuang.packages.sdk_ast.python.delivered import Delivered, Form, Module
from pytest_xinchuang.packages.sdk_ast.python.syntax import (
    EITHER,
    KEYWORD,
    VAR_POSITIONAL,
    Binding,
    Class,
    Function,
    Imported,
    Param,
    Scope,
    Value,
    module_scope,
    parameters,
)

_DEPTH = 40
"""Names that are passed on more often than this go round in a circle."""


@dataclass(frozen=True)
class Outside:
    """A name of another distribution."""

    path: str


@dataclass(frozen=True)
class ModuleOf:
    """A module of this distribution."""

    name: str


@dataclass
class Found:
    """What a name stands for: where it is bound, and to what."""

    module: str
    what: Function | Class | Value


Resolved = Found | Outside | ModuleOf | None


@dataclass
class World:
    """All modules that a place delivers; sources are read when they are asked for."""

    here: Delivered
    problems: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _scopes: dict[str, Scope] = field(default_factory=dict)
    _bound: dict[str, dict[str, Binding]] = field(default_factory=dict)

    def scope(self, module: str) -> Scope:
        """What a module binds; empty for an extension, and for what cannot be read."""
        if module not in self._scopes:
            self._scopes[module] = self._read(self.here.modules[module])
        return self._scopes[module]

    def _read(self, module: Module) -> Scope:
        if module.form in (Form.NAMESPACE, Form.EXTENSION):
            return Scope()
        path = module.source or module.stub
        assert path is not None
        scope = self._parsed(module, path)
        if module.source is not None and module.stub is not None:
            # A stub beside a source tells of names that the source makes as it runs.
            for name, binding in self._parsed(module, module.stub).names.items():
                scope.names.setdefault(name, binding)
        return scope

    def _parsed(self, module: Module, path: Path) -> Scope:
        top, line = module.name.partition(".")[0], None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(path.read_bytes(), filename="")
            return module_scope(tree, module.name, module.package)
        except (SyntaxError, ValueError) as error:
            line, why = getattr(error, "lineno", None), verbatim(str(getattr(error, "msg", error)))
            problem = problem_record(self.relative(path), line, SYNTAX_ERROR, why=why)
        except (OSError, RecursionError, MemoryError) as error:
            problem = problem_record(self.relative(path), None, UNREADABLE, why=told(error))
        self.problems.setdefault(top, []).append(problem)
        return Scope()

    def relative(self, path: Path) -> str:
        """A file's path below the directory that its package is imported from."""
        for root in self.here.roots:
            if path.is_relative_to(root):
                return path.relative_to(root).as_posix()
        return path.name

    def digest(self, top: str) -> str:
        """SHA-256 over the files of a package, and whether it says that it is typed."""
        total = hashlib.sha256(b"typed" if self.here.modules[top].typed else b"")
        for name, module in self.here.modules.items():
            if name.partition(".")[0] == top:
                for path in module.files:
                    data = path.read_bytes() if path.is_file() else b""
                    total.update(self.relative(path).encode() + b"\0" + data + b"\0")
        return "sha256:" + total.hexdigest()

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """A package's name -> the last names of its submodules."""
        found: dict[str, list[str]] = {}
        for name in self.here.modules:
            parent, _dot, last = name.rpartition(".")
            if parent:
                found.setdefault(parent, []).append(last)
        return found

    def own(self, module: str) -> bool:
        """Whether a module's name begins as this distribution's packages do."""
        return module.partition(".")[0] in self._tops

    @cached_property
    def _tops(self) -> frozenset[str]:
        return frozenset(self.here.tops)

    # -- names

    def names(self, module: str) -> dict[str, Binding]:
        """All names that a module has when it was imported, with those of ``import *`` in their order."""
        if module in self._bound or module not in self.here.modules:
            return self._bound.get(module, {})
        # Modules that pass each other on with a star see what is bound so far, as when they run.
        found = self._bound[module] = {}
        for name, binding in self.scope(module).names.items():
            if isinstance(binding, Imported) and binding.name == "*":
                if binding.module in self.here.modules and binding.module != module:
                    passed = self.names(binding.module)
                    listed = self.exports(binding.module)
                    for one in listed if listed is not None else [n for n in passed if not n.startswith("_")]:
                        found[one] = Imported(binding.module, one, explicit=True)
            else:
                found[name] = binding
        return found

    def exports(self, module: str, depth: int = 0) -> list[str] | None:
        """What ``__all__`` lists, also through the lists of other modules; None: there is none."""
        if module not in self.here.modules or depth > _DEPTH:
            return None
        scope = self.scope(module)
        listed = scope.exports
        if listed is None and not scope.export_modules:
            for name in scope.names:
                # A star passes no __all__ on, and an import by name does.
                binding = scope.names[name]
                if name == "__all__" and isinstance(binding, Imported):
                    return self.exports(binding.module, depth + 1)
            return None
        found = list(listed or [])
        for other in scope.export_modules:
            where: Resolved = ModuleOf(other[1:]) if other.startswith("=") else self.look(module, other.split("."))
            if isinstance(where, ModuleOf):
                found += self.exports(where.name, depth + 1) or []
        return list(dict.fromkeys(found))

    def resolve(self, module: str, name: str, depth: int = 0) -> Resolved:
        """What a module's name stands for; None: the module has no such name."""
        if depth > _DEPTH:
            return None
        if module not in self.here.modules:
            return Outside(f"{module}.{name}") if not self.own(module) else None
        binding = (
            self.names(module).get(name)
            if depth
            else self.scope(module).names.get(name) or self.names(module).get(name)
        )
        if binding is None:
            if f"{module}.{name}" in self.here.modules:
                return ModuleOf(f"{module}.{name}")
            if self.here.modules[module].form is Form.EXTENSION:
                return Outside(f"{module}.{name}")
            return None
        return self.follow(module, binding, depth)

    def follow(self, module: str, binding: Binding, depth: int = 0) -> Resolved:
        """What a binding stands for: imports and plain aliases are followed."""
        if isinstance(binding, Imported):
            if not binding.name:
                if binding.module in self.here.modules:
                    return ModuleOf(binding.module)
                return Outside(binding.module) if not self.own(binding.module) else None
            if binding.module == module:  # `from . import x` in an __init__
                inner = f"{module}.{binding.name}"
                return ModuleOf(inner) if inner in self.here.modules else None
            return self.resolve(binding.module, binding.name, depth + 1)
        if isinstance(binding, Value) and isinstance(binding.node, (ast.Name, ast.Attribute)):
            path = ast.unparse(binding.node).split(".")
            if path[0].isidentifier() and path != [""]:
                target = self.look(module, path, depth + 1)
                if target is not None:
                    return target
        return Found(module, binding)

    def look(self, module: str, path: list[str], depth: int = 0) -> Resolved:
        """What a dotted expression in a module stands for."""
        if depth > _DEPTH:
            return None
        found = self.resolve(module, path[0], depth + 1) if module in self.here.modules else None
        if found is None:
            return Outside(f"builtins.{path[0]}") if len(path) == 1 and path[0] in _BUILTINS else None
        for name in path[1:]:
            if isinstance(found, ModuleOf):
                found = self.resolve(found.name, name, depth + 1)
            elif isinstance(found, Outside):
                found = Outside(f"{found.path}.{name}")
            elif isinstance(found, Found) and isinstance(found.what, Class) and name in found.what.members:
                found = self.follow(found.module, found.what.members[name], depth + 1)
            else:
                return None
        return found

    # -- imports

    def loads(self, module: str) -> set[str]:
        """Own modules that are there when a module was imported."""
        seen: set[str] = set()
        todo = [module]
        while todo:
            name = todo.pop()
            while name and name not in self.here.modules:
                name = name.rpartition(".")[0]
            if not name or name in seen or not self.own(name):
                continue
            seen.add(name)
            todo.append(name.rpartition(".")[0])
            for other in self.scope(name).imports:
                if self.own(other):
                    todo.append(other)
        return seen

    def lazily(self, module: str) -> set[str] | None:
        """Names that a module's ``__getattr__`` gives; None: it may give any."""
        scope = self.scope(module)
        if scope.getter is None:
            return set() if not scope.dynamic else None
        found = set(scope.strings)
        for node in ast.walk(scope.getter):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and node.args:
                target = self.look(module, ast.unparse(node.args[0]).split("."))
                if isinstance(target, ModuleOf):
                    found |= {name for name in self.names(target.name) if not name.startswith("_")}
        return found

    def called(self, module: str, value: Value) -> Function | None:
        """The signature of a value that is a lambda, or a ``functools.partial`` of a function that is known."""
        node = value.node
        if isinstance(node, ast.Lambda):
            return Function(parameters(node.args), line=value.line)
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func) in ("partial", "functools.partial"):
            target = self.look(module, ast.unparse(node.args[0]).split("."))
            if isinstance(target, Found) and isinstance(target.what, Function):
                return _partial(
                    target.what, len(node.args) - 1, {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg}
                )
        return None

    def wrapped(self, module: str, made: Function) -> Function:
        """A function as its callers see it behind decorators of this distribution."""
        for text in reversed(made.decorators):
            name, call, _rest = text.partition("(")
            target = self.look(module, name.split("."))
            if not (isinstance(target, Found) and isinstance(target.what, Function) and target.what.gives):
                continue
            gives = target.what.gives
            if call and gives.gives:
                gives = gives.gives
            elif call:
                continue
            if not any(p.kind.startswith("variadic") for p in gives.params):
                made = Function(
                    **{**made.__dict__, "params": gives.params, "awaits": gives.awaits, "returns": gives.returns}
                )
        return made


def _partial(made: Function, given: int, named: dict[str, str]) -> Function:
    params: list[Param] = []
    behind = False
    for p in made.params[min(given, len(made.params)) :]:
        if p.name in named:
            behind = True  # functools.partial: what follows a name that is given takes names alone
            params.append(Param(p.name, KEYWORD, named[p.name]))
        elif behind and p.kind == EITHER:
            params.append(Param(p.name, KEYWORD, p.default))
        elif not (behind and p.kind == VAR_POSITIONAL):
            params.append(p)
    return Function(**{**made.__dict__, "params": params, "decorators": []})


_BUILTINS = frozenset(dir(__import__("builtins")))


def public(parts: Iterable[str]) -> bool:
    """Whether no part of a dotted name is private (PEP 8)."""
    return not any(part.startswith("_") and not (part.startswith("__") and part.endswith("__")) for part in parts)
