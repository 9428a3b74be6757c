"""A file of Python as it is read: where it asks for the machine, decides by it, and loads native libraries.

Sources: the documentation of platform, os.uname, sysconfig.get_platform and ctypes of Python 3, and of cffi's ``dlopen``.
"""

from __future__ import annotations

import ast
import posixpath
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pytest_xinchuang.advise.arms import KNOWN_X86, names_machine

_SOURCES = {
    "platform": {"machine", "processor", "uname"},
    "os": {"uname"},
    "sysconfig": {"get_platform"},
    "distutils.util": {"get_platform"},
}
_RUNS = {"check_output", "run", "Popen", "popen", "getoutput", "getstatusoutput", "call"}
_UNAME = re.compile(r"\buname\b.*\s-[mpia]\b|\bdpkg\b.*--print-architecture")
"""A program that says which machine it is (uname(1), dpkg(1))."""
_LOADERS = {"CDLL", "PyDLL", "LoadLibrary", "load_library", "dlopen"}


@dataclass(frozen=True)
class Decision:
    """Where a file decides by the machine, and has nothing for some.

    Attributes:
        names: the machines that it knows, in lower case.
        kind: "table" (a look-up) or "refusal" (what is left is refused).
        end: the last line.
    """

    line: int
    end: int
    names: frozenset[str]
    kind: str

    def knows(self, uname: str, aliases: frozenset[str]) -> bool:
        """Whether a machine is among them."""
        return names_machine(self.names, uname, aliases)


@dataclass(frozen=True)
class Load:
    """Where a native library is loaded.

    Attributes:
        library: the last part of its path.
        guarded: somebody catches what goes wrong, or asks something before.
    """

    line: int
    library: str
    guarded: bool


@dataclass
class Source:
    """What was read of one file.

    Attributes:
        broken: Python cannot read it (a file of Python 2, a template).
        asks: it asks for the machine.
        calls: name of what is called -> whether every call is within a ``try`` or asks for the machine before.
        imports: the last part of a module's name -> the same of imports.
        unsure: (first, last line) of what refuses by the machine, and compares it with what is not known here.
        gives: names at the top of the file that hold the machine's name, or an answer about it, and what was compared.
    """

    name: str
    broken: bool = False
    asks: bool = False
    decisions: list[Decision] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    calls: dict[str, bool] = field(default_factory=dict)
    imports: dict[str, bool] = field(default_factory=dict)
    unsure: list[tuple[int, int]] = field(default_factory=list)
    gives: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def module(self) -> str:
        """The last part of its name as a module."""
        *above, stem = self.name.removesuffix(".py").split("/")
        return above[-1] if stem == "__init__" and above else stem


def read_source(name: str, text: str, given: Mapping[str, Mapping[str, frozenset[str]]] | None = None) -> Source:
    """Read one file.

    Args:
        given: module -> what it gives to those who import it (``Source.gives``).
    """
    found = Source(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        _Reader(found, given or {}).whole(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Source(name, broken=True)
    return found


class _Reader:
    """Reads one file.

    Attributes:
        functions: those that return the machine's name, or an answer about it -> the names that the answer is about.
        tainted: the same of variables, and of attributes with their object (``self.machine``).
        constants: what else is assigned to names: what is compared with may be written there.
    """

    def __init__(self, found: Source, given: Mapping[str, Mapping[str, frozenset[str]]]) -> None:
        self.found = found
        self.given = given
        self.modules: dict[str, str] = {}
        self.functions: dict[str, frozenset[str]] = {}
        self.tainted: dict[str, frozenset[str]] = {}
        self.constants: dict[str, ast.expr] = {}

    def whole(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name in _SOURCES:
                        self.modules[alias.asname or alias.name] = alias.name
                    for name, about in self.given.get(alias.name.rpartition(".")[2], {}).items():
                        self.tainted[f"{alias.asname or alias.name}.{name}"] = about
            elif isinstance(node, ast.ImportFrom):
                own = self.given.get((node.module or "").rpartition(".")[2], {})
                for alias in node.names:
                    sources = _SOURCES.get(node.module or "", set())
                    if alias.name == "*":
                        self.functions |= dict.fromkeys(sources, frozenset())
                    elif alias.name in sources:
                        self.functions[alias.asname or alias.name] = frozenset()
                    if alias.name in own:
                        self.tainted[alias.asname or alias.name] = own[alias.name]
                    for name, about in self.given.get(alias.name, {}).items():
                        self.tainted[f"{alias.asname or alias.name}.{name}"] = about
        for _again in range(3):  # what is derived from what is derived
            for node in nodes:
                self._derived(node)
        top = {t for node in tree.body for t in _bound(node)}
        self.found.gives = {name: about for name, about in (self.tainted | self.functions).items() if name in top}
        self.found.asks = bool(self.tainted) or any(self._is_source(node) for node in nodes)
        tables = self._tables(nodes)
        for node in nodes:
            if isinstance(node, ast.Subscript | ast.Call) and self.found.asks:
                self._table(node, tables)
        self._blocks(tree.body, guarded=False)

    def _derived(self, node: ast.AST) -> None:
        """Take over what is made of the machine's name: variables, attributes, and what functions return."""
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [name for target in targets if (name := _dotted(target))]
            if node.value is None:
                return
            if isinstance(node.value, ast.Attribute | ast.Name) and self._is_source(ast.Call(node.value, [], [])):
                self.functions |= dict.fromkeys(names, frozenset())  # the function by another name
            elif self.of_machine(node.value):
                self.tainted |= dict.fromkeys(names, self._about(node.value))
            else:
                self.constants |= dict.fromkeys(names, node.value)
        elif isinstance(node, ast.ClassDef):
            own = [name for each in node.body for name in _bound(each) if name in self.tainted]
            self.tainted |= {
                f"{whose}.{name}": self.tainted[name] for name in own for whose in ("self", "cls", node.name)
            }
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            returned = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
            told = [value for value in returned if self.of_machine(value)]
            if told:
                self.functions[node.name] = frozenset().union(*map(self._about, told))

    def _about(self, value: ast.expr) -> frozenset[str]:
        """The names that an answer about the machine is about; none where it is the machine's name, or made of it."""
        answers = ast.Compare | ast.BoolOp | ast.UnaryOp
        asked = isinstance(value, ast.Call) and _dotted(value.func).rpartition(".")[2] in ("startswith", "endswith")
        return (
            frozenset(self._names(value))
            if asked or isinstance(value, answers) or self._answers(value)
            else frozenset()
        )

    def _answers(self, value: ast.expr) -> bool:
        """Whether it is no more than an answer that was had before."""
        return isinstance(value, ast.Name | ast.Attribute) or (isinstance(value, ast.Call) and not value.args)

    def _names(self, node: ast.AST) -> Iterator[str]:
        """The machines that something is compared with, in lower case, those of answers that were had before among them."""
        yield from map(_machine, _texts(node))
        for below in ast.walk(node):
            if isinstance(below, ast.Call):
                yield from self.functions.get(_own_function(below), ())
            elif isinstance(below, ast.Name | ast.Attribute):
                name = _dotted(below)
                yield from self.tainted.get(name, ())
                if name in self.constants and name not in self.tainted:
                    yield from map(_machine, _texts(self.constants[name]))

    def _is_source(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        function = node.func
        if _own_function(node) in self.functions:
            return True
        if _dotted(function).rpartition(".")[2] in _RUNS and _UNAME.search(" ".join(_texts(node))):
            return True
        if not isinstance(function, ast.Attribute):
            return False
        return function.attr in _SOURCES.get(self.modules.get(_dotted(function.value), ""), ())

    def of_machine(self, node: ast.AST) -> bool:
        """Whether an expression is made of the machine's name."""
        return any(
            self._is_source(below) or (isinstance(below, ast.Name | ast.Attribute) and _dotted(below) in self.tainted)
            for below in ast.walk(node)
        )

    def _tables(self, nodes: list[ast.AST]) -> dict[str, ast.Dict]:
        return {
            target.id: node.value
            for node in nodes
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
            for target in node.targets
            if isinstance(target, ast.Name)
        }

    def _table(self, node: ast.Subscript | ast.Call, tables: dict[str, ast.Dict]) -> None:
        """A table that is looked up by the machine's name: ``TABLE[name]``, or ``TABLE.get(name)`` with nothing for others."""
        if isinstance(node, ast.Subscript):
            given, key = node.value, node.slice
            if not isinstance(node.ctx, ast.Load):
                return
        elif (
            isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and len(node.args) == 1
            and not node.keywords
        ):
            given, key = node.func.value, node.args[0]
        else:
            return
        table = given if isinstance(given, ast.Dict) else tables.get(_dotted(given).rpartition(".")[2])
        if table is None or not self.of_machine(key):
            return
        names = frozenset(_machine(text) for key in table.keys if key is not None for text in _texts(key))
        if names & KNOWN_X86:
            self.found.decisions.append(Decision(node.lineno, node.end_lineno or node.lineno, names, "table"))

    # -- statements

    def _blocks(self, body: list[ast.stmt], *, guarded: bool) -> None:
        for index, node in enumerate(body):
            if isinstance(node, ast.Try):
                caught = bool(node.handlers)
                self._blocks(node.body, guarded=guarded or caught)
                for handler in node.handlers:
                    self._blocks(handler.body, guarded=True)
                self._blocks(node.orelse, guarded=guarded)
                self._blocks(node.finalbody, guarded=guarded)
                continue
            if isinstance(node, ast.If):
                asks = self.of_machine(node.test)
                if asks:
                    self._chain(node, body[index + 1 :])
                self._expressions(node.test, guarded=guarded)
                self._blocks(node.body, guarded=guarded or asks)
                self._blocks(node.orelse, guarded=guarded or asks)
                continue
            if isinstance(node, ast.With):
                caught = any("suppress" in ast.dump(item.context_expr) for item in node.items)
                self._blocks(node.body, guarded=guarded or caught)
            self._imports(node, guarded=guarded)
            below = [getattr(node, name) for name in ("body", "orelse") if isinstance(getattr(node, name, None), list)]
            if below:
                for block in below if not isinstance(node, ast.With) else []:
                    self._blocks([each for each in block if isinstance(each, ast.stmt)], guarded=guarded)
                for value in ast.iter_child_nodes(node):
                    if isinstance(value, ast.expr):
                        self._expressions(value, guarded=guarded)
            elif isinstance(node, ast.Assert):
                if self.of_machine(node.test) and not _negated(node.test):
                    self._decide(node, frozenset(self._names(node.test)))
                self._expressions(node, guarded=guarded)
            elif isinstance(node, ast.Match):
                self._match(node)
                for case in node.cases:
                    self._blocks(case.body, guarded=guarded or self.of_machine(node.subject))
            else:
                self._expressions(node, guarded=guarded)

    def _imports(self, node: ast.stmt, *, guarded: bool) -> None:
        if isinstance(node, ast.Import):
            names = [alias.name.rpartition(".")[2] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").rpartition(".")[2], *(alias.name for alias in node.names)]
        else:
            return
        for name in filter(None, names):
            self.found.imports[name] = self.found.imports.get(name, True) and guarded

    def _expressions(self, node: ast.AST, *, guarded: bool) -> None:
        for below in ast.walk(node):
            if not isinstance(below, ast.Call):
                continue
            name = _dotted(below.func).rpartition(".")[2]
            if not name:
                continue
            self.found.calls[name] = self.found.calls.get(name, True) and guarded
            if name in _LOADERS and below.args:
                library = _last_text(below.args[0])
                if re.search(r"\.so(\.[0-9]+)*$", library):
                    self.found.loads.append(Load(below.lineno, posixpath.basename(library), guarded))

    def _chain(self, node: ast.If, after: list[ast.stmt]) -> None:
        """An if-chain on the machine whose rest refuses."""
        names: set[str] = set()
        here: ast.If = node
        while True:
            if _negated(here.test):
                # `if machine not in (...): raise` refuses what it does not name.
                if _refuses(here.body):
                    self._decide(node, frozenset(self._names(here.test)))
                return
            names |= set(self._names(here.test))
            if len(here.orelse) == 1 and isinstance(here.orelse[0], ast.If) and self.of_machine(here.orelse[0].test):
                here = here.orelse[0]
                continue
            break
        if here.orelse:
            if _refuses(here.orelse):
                self._decide(node, frozenset(names))
        elif after and _refuses(after[:1]) and _leaves(node):
            self._decide(node, frozenset(names))

    def _match(self, node: ast.Match) -> None:
        if not self.of_machine(node.subject):
            return
        names: set[str] = set()
        for case in node.cases:
            values = [p.value for p in ast.walk(case.pattern) if isinstance(p, ast.MatchValue)]
            names |= {_machine(text) for value in values for text in _texts(value)}
            if not values and _refuses(case.body):
                self._decide(node, frozenset(names))

    def _decide(self, node: ast.stmt, names: frozenset[str]) -> None:
        if not names:
            self.found.unsure.append((node.lineno, node.end_lineno or node.lineno))
        if names & KNOWN_X86 or any(n.startswith("x86") for n in names):
            known = {(d.line, d.end) for d in self.found.decisions}
            if not any(line <= node.lineno and (node.end_lineno or 0) <= end for line, end in known):
                self.found.decisions.append(Decision(node.lineno, node.end_lineno or node.lineno, names, "refusal"))


def _machine(text: str) -> str:
    """A machine's name as it is compared: without the system before it."""
    return re.sub(r"^linux[-_]", "", text.lower())


def _own_function(call: ast.Call) -> str:
    """The name of a function of the file, or of a method of one's own, that is called; "" for another one."""
    function = call.func
    if isinstance(function, ast.Attribute) and _dotted(function.value) in ("self", "cls"):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _bound(node: ast.stmt) -> Iterator[str]:
    """The names that a statement at the top of a file binds."""
    for below in ast.walk(node) if isinstance(node, ast.If | ast.Try | ast.With) else (node,):
        if isinstance(below, ast.Assign | ast.AnnAssign):
            targets = below.targets if isinstance(below, ast.Assign) else [below.target]
            yield from (t.id for t in targets if isinstance(t, ast.Name))
        elif isinstance(below, ast.FunctionDef | ast.AsyncFunctionDef):
            yield below.name


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}" if _dotted(node.value) else node.attr
    return ""


def _texts(node: ast.AST) -> Iterator[str]:
    for below in ast.walk(node):
        if isinstance(below, ast.Constant) and isinstance(below.value, str):
            yield below.value


def _last_text(node: ast.AST) -> str:
    """The text that a path ends with: of a join, a division or an f-string the last part."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.BinOp):
        return _last_text(node.right)
    if isinstance(node, ast.Call) and node.args:
        return _last_text(node.args[-1])
    return ""  # what an f-string is put together to is not known before it runs


def _negated(test: ast.expr) -> bool:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return True
    return isinstance(test, ast.Compare) and all(isinstance(op, ast.NotIn | ast.NotEq) for op in test.ops)


def _refuses(body: list[ast.stmt]) -> bool:
    """Whether a block ends what goes on: it raises, or exits with something that is not 0."""
    for node in body:
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            name = _dotted(node.value.func)
            clean = (
                bool(node.value.args) and isinstance(node.value.args[0], ast.Constant) and not node.value.args[0].value
            )
            if name in ("sys.exit", "exit", "quit", "os._exit") and node.value.args and not clean:
                return True
    return False


def _leaves(node: ast.If) -> bool:
    """Whether every arm of a chain returns, so that what stands behind it is for the others."""
    here: ast.stmt = node
    while isinstance(here, ast.If):
        if not here.body or not isinstance(here.body[-1], ast.Return | ast.Continue):
            return False
        if not here.orelse:
            return True
        here = here.orelse[0]
    return False
