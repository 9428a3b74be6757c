"""What the body of a module or class binds, as it would when it runs (language reference, "Naming and binding").

Conditions on ``TYPE_CHECKING`` and on the interpreter are decided; of others, and of ``try``, the first branch that binds a
name has it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

POSITIONAL, EITHER, KEYWORD = "positional-only", "positional or keyword", "keyword-only"
VAR_POSITIONAL, VAR_KEYWORD = "variadic positional", "variadic keyword"


_NAMESPACES = ("globals()", "vars()", "locals()", "sys.modules")


@dataclass(frozen=True)
class Param:
    """A parameter; ``kind`` is one of the five of :mod:`inspect`, in words."""

    name: str
    kind: str
    default: str | None = None
    annotation: str = ""

    def data(self) -> dict[str, str | None]:
        return {"name": self.name, "kind": self.kind, "default": self.default}


@dataclass
class Function:
    """A function as it is written.

    Attributes:
        overloads: how many signatures ``typing.overload`` gives it.
        returns: its annotation, or the type of what it returns where that is a literal.
        gives: the local function that it returns, as decorators do.
    """

    params: list[Param]
    decorators: list[str] = field(default_factory=list)
    awaits: bool = False
    generates: bool = False
    returns: str = ""
    overloads: int = 0
    gives: Function | None = None
    line: int = 0

    def decorated(self, *names: str) -> bool:
        return any(d.partition("(")[0].rpartition(".")[2] in names for d in self.decorators)


@dataclass
class Class:
    """A class as it is written.

    Attributes:
        members: in order.
        outer: the class whose body it stands in.
    """

    name: str
    bases: list[str]
    keywords: dict[str, str]
    decorators: list[str]
    members: dict[str, Binding]
    annotations: dict[str, str]
    attributes: dict[str, int]
    scope: Scope
    line: int = 0
    outer: Class | None = field(default=None, repr=False)


@dataclass
class Value:
    """Anything else; ``node`` is the expression, None where a name is only annotated."""

    node: ast.expr | None
    annotation: str = ""
    line: int = 0

    @property
    def text(self) -> str:
        return "" if self.node is None else ast.unparse(self.node)


@dataclass
class Imported:
    """A name of another module, or a module itself (``name`` is empty)."""

    module: str
    name: str = ""
    explicit: bool = False
    line: int = 0


Binding = Function | Class | Value | Imported


@dataclass
class Scope:
    """What a body binds.

    Attributes:
        names: in order of their first binding; a later one replaces it.
        stars: modules of ``from m import *``, with how many names were bound before.
        imports: modules that the body imports, and ``module.name`` of each ``from module import name``.
        modules: those of ``import module``.
        exports: what ``__all__`` lists; None: there is none, or not all of it can be told.
        getter: the module's ``__getattr__`` (PEP 562).
        dynamic: the body makes names that cannot be read (``globals()[...] = ...``).
        used: names that the module's own code reads.
    """

    names: dict[str, Binding] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    modules: set[str] = field(default_factory=set)
    exports: list[str] | None = None
    export_modules: list[str] = field(default_factory=list)
    typing_only: set[str] = field(default_factory=set)
    getter: ast.FunctionDef | None = None
    dynamic: bool = False
    used: set[str] = field(default_factory=set)
    strings: set[str] = field(default_factory=set)


def module_scope(tree: ast.Module, name: str, package: bool) -> Scope:
    """What a module binds.

    Args:
        name: its dotted name, and whether it is a package: relative imports begin there.
    """
    reader = _Body(name, package)
    reader.run(tree.body)
    scope = reader.scope
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            scope.used.add(node.id)
        elif scope.getter is not None and isinstance(node, ast.Constant) and isinstance(node.value, str):
            scope.strings.add(node.value)
    return scope


class _Body:
    """Runs through one body in order."""

    def __init__(self, module: str, package: bool, in_class: bool = False) -> None:
        self.module, self.package, self.in_class = module, package, in_class
        self.scope = Scope()
        self.attributes: dict[str, int] = {}
        self.annotations: dict[str, str] = {}
        self.weak = 0
        self.overloads: dict[str, int] = {}

    def bind(self, name: str, binding: Binding) -> None:
        before = self.scope.names.get(name)
        if (
            self.weak
            and before is not None
            and not (isinstance(before, Imported) and isinstance(binding, (Function, Class)))
        ):
            return  # what is written here tells more than an import that may fail
        self.scope.typing_only.discard(name)
        self.scope.names[name] = binding

    def run(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def weakly(self, body: Sequence[ast.stmt]) -> None:
        self.weak += 1
        self.run(body)
        self.weak -= 1

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self.function(node)
        elif isinstance(node, ast.ClassDef):
            self.bind(node.name, self.class_(node))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self.scope.imports.append(alias.name)
                self.scope.modules.add(alias.name)
                explicit = alias.asname == alias.name
                self.bind(alias.asname or top, Imported(alias.name if alias.asname else top, "", explicit, node.lineno))
        elif isinstance(node, ast.ImportFrom):
            self.import_from(node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self.assign(target, node.value, node.lineno)
        elif isinstance(node, ast.AnnAssign):
            self.annotated(node)
        elif isinstance(node, ast.AugAssign):
            if isinstance(node.target, ast.Name) and node.target.id == "__all__":
                self.export(node.value, more=True)
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self.scope.names.pop(target.id, None)
        elif isinstance(node, ast.Expr):
            self.expression(node.value)
        else:
            self.compound(node)

    def compound(self, node: ast.stmt) -> None:
        if isinstance(node, ast.If):
            self.condition(node)
        elif isinstance(node, (ast.Try, ast.TryStar)):
            self.run(node.body)
            self.run(node.orelse)
            for handler in node.handlers:
                self.weakly(handler.body)
            self.run(node.finalbody)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                if isinstance(item.optional_vars, ast.Name):
                    self.bind(item.optional_vars.id, Value(item.context_expr, "", node.lineno))
            self.run(node.body)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            if not isinstance(node, ast.While):
                for target in ast.walk(node.target):
                    if isinstance(target, ast.Name):
                        self.bind(target.id, Value(None, "", node.lineno))
            self.run(node.body)
            self.weakly(node.orelse)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                self.weakly(case.body)

    def condition(self, node: ast.If) -> None:
        truth = decided(node.test)
        if truth is None:
            self.run(node.body)
            self.weakly(node.orelse)
            return
        if _of_type_checkers(node.test):
            typed = _Body(self.module, self.package, self.in_class)
            typed.run(node.body if not truth else node.orelse)
            self.scope.typing_only |= set(typed.scope.names) - set(self.scope.names)
        self.run(node.body if truth else node.orelse)

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        made = function(node)
        if made.decorated("overload"):
            self.overloads[node.name] = self.overloads.get(node.name, 0) + 1
            if node.name in self.scope.names:
                return
        if made.decorated("setter", "deleter", "getter", "register") and "." in made.decorators[-1]:
            first = made.decorators[-1].partition("(")[0]
            owner, _dot, what = first.rpartition(".")
            base = self.scope.names.get(owner)
            if isinstance(base, Function) and what != "register":
                base = Function(**{**base.__dict__, "decorators": [*base.decorators, f"property.{what}"]})
                self.bind(node.name, base)
                return
            if what == "register" and node.name == "_":
                return
        if node.name == "__getattr__" and not self.in_class and isinstance(node, ast.FunctionDef):
            self.scope.getter = node
        made.overloads = self.overloads.get(node.name, 0)
        if self.in_class:
            self.self_attributes(node)
        self.bind(node.name, made)

    def self_attributes(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args]
        if not arguments:
            return
        first = arguments[0].arg
        for inner in ast.walk(node):
            if (
                isinstance(inner, ast.Attribute)
                and isinstance(inner.ctx, ast.Store)
                and isinstance(inner.value, ast.Name)
                and inner.value.id == first
            ):
                self.attributes.setdefault(inner.attr, inner.lineno)

    def class_(self, node: ast.ClassDef) -> Class:
        body = _Body(self.module, self.package, in_class=True)
        body.run(node.body)
        made = Class(
            node.name,
            [ast.unparse(b) for b in node.bases],
            {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg},
            [ast.unparse(d) for d in node.decorator_list],
            body.scope.names,
            body.annotations,
            body.attributes,
            body.scope,
            node.lineno,
        )
        for inner in made.members.values():
            if isinstance(inner, Class):
                inner.outer = made
        return made

    def import_from(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level:
            parts = self.module.split(".")
            parts = parts[: len(parts) - node.level + (1 if self.package else 0)]
            module = ".".join([*parts, *([module] if module else [])])
        self.scope.imports.append(module)
        for alias in node.names:
            if alias.name == "*":
                self.scope.stars.append(module)
                self.scope.names.pop(f"*{module}", None)
                self.scope.names[f"*{module}"] = Imported(module, "*", line=node.lineno)
                continue
            self.scope.imports.append(f"{module}.{alias.name}")
            self.bind(alias.asname or alias.name, Imported(module, alias.name, alias.asname == alias.name, node.lineno))

    def assign(self, target: ast.expr, value: ast.expr, line: int) -> None:
        if isinstance(target, ast.Name):
            if target.id == "__all__":
                self.export(value)
            made = self.made_class(target.id, value, line)
            self.bind(target.id, made or Value(value, self.annotations.get(target.id, ""), line))
        elif isinstance(target, (ast.Tuple, ast.List)):
            values: Sequence[ast.expr | None] = [None] * len(target.elts)
            if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
                values = value.elts
            for one, given in zip(target.elts, values, strict=True):
                for name in ast.walk(one):
                    if isinstance(name, ast.Name):
                        self.bind(name.id, Value(given, "", line))
        elif isinstance(target, ast.Subscript) and ast.unparse(target.value) in _NAMESPACES:
            if (
                isinstance(target.slice, ast.Constant)
                and isinstance(target.slice.value, str)
                and target.slice.value.isidentifier()
            ):
                self.bind(target.slice.value, Value(value, "", line))
            else:
                self.scope.dynamic = True

    def made_class(self, name: str, value: ast.expr, line: int) -> Class | None:
        """A class that a call makes: of a named tuple, ``Enum("E", "A B")``, ``type("T", (B,), {})``."""
        if not isinstance(value, ast.Call) or len(value.args) < 2 or not isinstance(value.args[0], ast.Constant):
            return None
        called = ast.unparse(value.func).rpartition(".")[2]
        bases, members = [ast.unparse(value)], dict[str, Binding]()
        if called in ("namedtuple", "NamedTuple"):
            members["__slots__"] = Value(ast.Tuple([], ast.Load()), "", line)
        elif called in ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"):
            bases, given = [ast.unparse(value.func)], value.args[1]
            names = (
                given.value.replace(",", " ").split()
                if isinstance(given, ast.Constant) and isinstance(given.value, str)
                else []
            )
            if isinstance(given, (ast.List, ast.Tuple)):
                names = [e.value for e in given.elts if isinstance(e, ast.Constant) and isinstance(e.value, str)]
            if not names:
                return None
            members |= {n: Value(ast.Constant(number), "", line) for number, n in enumerate(names, 1)}
        elif called == "type" and len(value.args) == 3 and isinstance(value.args[1], ast.Tuple):
            bases = [ast.unparse(b) for b in value.args[1].elts]
        else:
            return None
        return Class(name, bases, {}, [], members, {}, {}, Scope(), line)

    def annotated(self, node: ast.AnnAssign) -> None:
        if not isinstance(node.target, ast.Name):
            return
        text = ast.unparse(node.annotation)
        self.annotations[node.target.id] = text
        if node.target.id == "__all__" and node.value is not None:
            self.export(node.value)
        if node.value is not None or node.target.id not in self.scope.names:
            self.bind(node.target.id, Value(node.value, text, node.lineno))

    def expression(self, node: ast.expr) -> None:
        if not isinstance(node, ast.Call):
            return
        called = ast.unparse(node.func)
        if called in ("globals().update", "vars().update", "locals().update"):
            given = node.args[0] if node.args else None
            if not isinstance(given, ast.Dict):
                self.scope.dynamic = True
                return
            for key, value in zip(given.keys, given.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    self.bind(key.value, Value(value, "", node.lineno))
                else:
                    self.scope.dynamic = True
        elif called in ("__all__.extend", "__all__ += ") and node.args:
            self.export(node.args[0], more=True)
        elif called in ("__all__.append", "__all__.remove") and node.args and isinstance(node.args[0], ast.Constant):
            listed = self.scope.exports or []
            name = str(node.args[0].value)
            self.scope.exports = [*listed, name] if called.endswith("append") else [n for n in listed if n != name]

    def export(self, node: ast.expr, more: bool = False) -> None:
        names = self.exported(node)
        if names is None:
            self.scope.exports = self.scope.exports if more else None
            return
        self.scope.exports = [*((self.scope.exports or []) if more else []), *names]

    def exported(self, node: ast.expr) -> list[str] | None:
        """The names of an expression for ``__all__``; those of other modules' lists are noted to be looked up."""
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            found = []
            for element in node.elts:
                if isinstance(element, ast.Starred):
                    found += self.exported(element.value) or []
                elif isinstance(element, ast.Constant) and isinstance(element.value, str):
                    found.append(element.value)
                elif isinstance(element, ast.Attribute) and element.attr == "__name__":
                    found.append(ast.unparse(element.value).rpartition(".")[2])
                else:
                    return None
            return found
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.exported(node.left), self.exported(node.right)
            return None if left is None or right is None else [*left, *right]
        if isinstance(node, ast.Attribute) and node.attr == "__all__":
            self.scope.export_modules.append(ast.unparse(node.value))
            return []
        if isinstance(node, ast.Name):
            if node.id == "__all__":
                return self.scope.exports
            bound = self.scope.names.get(node.id)
            if isinstance(bound, Value) and bound.node is not None and bound.node is not node:
                return self.exported(bound.node)
            if isinstance(bound, Imported) and bound.name == "__all__":
                self.scope.export_modules.append(f"={bound.module}")
                return []
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("list", "tuple", "sorted", "set")
            and len(node.args) == 1
        ):
            return self.exported(node.args[0])
        return None


def _of_type_checkers(test: ast.expr) -> bool:
    return any(
        (isinstance(n, ast.Name) and n.id == "TYPE_CHECKING")
        or (isinstance(n, ast.Attribute) and n.attr == "TYPE_CHECKING")
        for n in ast.walk(test)
    )


def decided(test: ast.expr) -> bool | None:
    """A condition's truth where it follows from the interpreter alone; None: it does not.

    Versions are compared with that of the interpreter that runs this, as clients on it would see.
    """
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = decided(test.operand)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp):
        parts = [decided(v) for v in test.values]
        stop = isinstance(test.op, ast.Or)
        return stop if stop in parts else None if None in parts else not stop
    text = ast.unparse(test)
    if text.rpartition(".")[2] == "TYPE_CHECKING" or text == "PY2" or text.endswith(".PY2"):
        return False
    if text == "PY3" or text.endswith(".PY3"):
        return True
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        return _version(test)
    return None


def _version(test: ast.Compare) -> bool | None:
    left = ast.unparse(test.left)
    if not left.startswith(("sys.version_info", "version_info")):
        return None
    have: object = tuple(sys.version_info[:3])
    if left.endswith("[0]") or left.endswith(".major"):
        have = sys.version_info[0]
    elif left.endswith("[:2]"):
        have = tuple(sys.version_info[:2])
    elif not left.endswith("version_info"):
        return None
    try:
        than = ast.literal_eval(test.comparators[0])
    except (ValueError, TypeError, SyntaxError):
        return None
    op = test.ops[0]
    try:
        if isinstance(op, ast.GtE):
            return bool(have >= than)
        if isinstance(op, ast.Gt):
            return bool(have > than)
        if isinstance(op, ast.Lt):
            return bool(have < than)
        if isinstance(op, ast.LtE):
            return bool(have <= than)
        if isinstance(op, (ast.Eq, ast.NotEq)):
            return (have == than) is isinstance(op, ast.Eq)
    except TypeError:
        return None
    return None


def parameters(arguments: ast.arguments) -> list[Param]:
    """The parameters in order."""
    found = []
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults)) + list(arguments.defaults)
    for number, (one, default) in enumerate(zip(positional, defaults, strict=True)):
        kind = POSITIONAL if number < len(arguments.posonlyargs) else EITHER
        found.append(_param(one, kind, default))
    if arguments.vararg:
        found.append(_param(arguments.vararg, VAR_POSITIONAL, None))
    for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(_param(one, KEYWORD, default))
    if arguments.kwarg:
        found.append(_param(arguments.kwarg, VAR_KEYWORD, None))
    return found


def _param(node: ast.arg, kind: str, default: ast.expr | None) -> Param:
    annotation = "" if node.annotation is None else ast.unparse(node.annotation)
    return Param(node.arg, kind, None if default is None else ast.unparse(default), annotation)


def _own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function's own body, without those of functions and classes inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        yield child
        yield from _own_nodes(child)


_LITERALS = {
    ast.List: "list", ast.ListComp: "list", ast.Dict: "dict", ast.DictComp: "dict", ast.Set: "set", ast.SetComp: "set",
    ast.Tuple: "tuple", ast.JoinedStr: "str", ast.GeneratorExp: "Generator",
}  # fmt: skip


def _literal_type(node: ast.expr | None) -> str:
    if node is None:
        return "None"
    if isinstance(node, ast.Constant):
        return "None" if node.value is None else type(node.value).__name__
    return _LITERALS.get(type(node), "")


def function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Function:
    """A function as it is written."""
    body = list(_own_nodes(node))
    generates = any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in body)
    given = [n.value for n in body if isinstance(n, ast.Return)]
    returns = "" if node.returns is None else ast.unparse(node.returns)
    if not returns and given and not generates:
        types = {_literal_type(value) for value in given}
        returns = " | ".join(sorted(types)) if "" not in types else ""
    inner = {s.name: s for s in node.body if isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef))}
    gives = next((inner[v.id] for v in given if isinstance(v, ast.Name) and v.id in inner), None)
    return Function(
        parameters(node.args),
        [ast.unparse(d) for d in node.decorator_list],
        isinstance(node, ast.AsyncFunctionDef),
        generates,
        returns,
        0,
        None if gives is None else function(gives),
        node.lineno,
    )
