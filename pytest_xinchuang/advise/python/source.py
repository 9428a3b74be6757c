"""A file of Python as it is read: where it asks for the machine, decides by it, and loads native libraries.

Sources: the documentation of platform, os.uname, sysconfig.get_platform and ctypes of Python 3, and of cffi's ``dlopen``.
"""

from __future__ import annotations

import ast
import posixpath
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_xinchuang.advise.arms import KNOWN_X86, names_machine

_SOURCES = {
    "platform": {"machine", "processor", "uname"},
    "os": {"uname"},
    "sysconfig": {"get_platform"},
    "distutils.util": {"get_platform"},
}
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
    """

    name: str
    broken: bool = False
    asks: bool = False
    decisions: list[Decision] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)
    calls: dict[str, bool] = field(default_factory=dict)
    imports: dict[str, bool] = field(default_factory=dict)


def read_source(name: str, text: str) -> Source:
    """Read one file."""
    found = Source(name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
        _Reader(found).whole(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Source(name, broken=True)
    return found


class _Reader:
    def __init__(self, found: Source) -> None:
        self.found = found
        self.modules: dict[str, str] = {}
        self.functions: set[str] = set()
        self.tainted: set[str] = set()

    def whole(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name in _SOURCES:
                        self.modules[alias.asname or alias.name] = alias.name
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if alias.name in _SOURCES.get(node.module or "", ()):
                        self.functions.add(alias.asname or alias.name)
        for _again in range(3):  # what is derived from what is derived
            for node in nodes:
                if isinstance(node, ast.Assign) and self.of_machine(node.value):
                    self.tainted |= {t.id for t in node.targets if isinstance(t, ast.Name)}
        self.found.asks = any(self._is_source(node) for node in nodes)
        tables = self._tables(nodes)
        for node in nodes:
            if isinstance(node, ast.Subscript) and self.found.asks:
                self._table(node, tables)
        self._blocks(tree.body, guarded=False)

    def _is_source(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        function = node.func
        if isinstance(function, ast.Name):
            return function.id in self.functions
        if not isinstance(function, ast.Attribute):
            return False
        return function.attr in _SOURCES.get(self.modules.get(_dotted(function.value), ""), ())

    def of_machine(self, node: ast.AST) -> bool:
        """Whether an expression is made of the machine's name."""
        return any(
            self._is_source(below) or (isinstance(below, ast.Name) and below.id in self.tainted)
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

    def _table(self, node: ast.Subscript, tables: dict[str, ast.Dict]) -> None:
        table = node.value if isinstance(node.value, ast.Dict) else None
        if isinstance(node.value, ast.Name):
            table = tables.get(node.value.id)
        if table is None or not isinstance(node.ctx, ast.Load) or not self.of_machine(node.slice):
            return
        names = frozenset(text.lower() for key in table.keys if key is not None for text in _texts(key))
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
                    self._decide(node, frozenset(t.lower() for t in _texts(here.test)))
                return
            names |= {text.lower() for text in _texts(here.test)}
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
            names |= {text.lower() for value in values for text in _texts(value)}
            if not values and _refuses(case.body):
                self._decide(node, frozenset(names))

    def _decide(self, node: ast.stmt, names: frozenset[str]) -> None:
        if names & KNOWN_X86 or any(n.startswith("x86") for n in names):
            known = {(d.line, d.end) for d in self.found.decisions}
            if not any(line <= node.lineno and (node.end_lineno or 0) <= end for line, end in known):
                self.found.decisions.append(Decision(node.lineno, node.end_lineno or node.lineno, names, "refusal"))


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
