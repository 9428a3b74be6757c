"""The graph of imports: who imports whom, by file and by room, and where it goes round in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

Graph = Mapping[str, frozenset[str]]


class House:
    """The modules below one directory, and what each imports of the others.

    Every import counts, in a function and for type checkers alone as well: whoever reads the module has to know the other one.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = {self._name(path): path for path in sorted(root.rglob("*.py"))}
        self.files: Graph = {name: frozenset(self._targets(name)) - {name} for name in self.paths}

    def _name(self, path: Path) -> str:
        parts = path.relative_to(self.root.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _targets(self, name: str) -> Iterator[str]:
        path = self.paths[name]
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        for module, names in imports(ast.parse(path.read_text()), package):
            inner = [f"{module}.{n}" for n in names if f"{module}.{n}" in self.paths]
            yield from inner
            if module in self.paths and len(inner) < max(len(names), 1):
                yield module

    def room(self, module: str) -> str:
        """The first folder or file of a module; below ``packages`` each package is a room; "" is the root itself."""
        parts = module.split(".")[1:]
        if parts[:1] == ["packages"] and len(parts) > 1 and (self.root / "packages" / parts[1]).is_dir():
            return f"packages.{parts[1]}"
        return parts[0] if parts else ""

    @property
    def rooms(self) -> Graph:
        found: dict[str, set[str]] = {self.room(name): set() for name in self.paths}
        for importer, target in self.crossings():
            found[self.room(importer)].add(self.room(target))
        return {room: frozenset(targets) for room, targets in found.items()}

    def crossings(self) -> Iterator[tuple[str, str]]:
        """(importer, imported) of every import from another room."""
        for name, targets in self.files.items():
            for target in sorted(targets):
                if self.room(name) != self.room(target):
                    yield name, target

    def why(self, circle: list[str]) -> str:
        """The imports behind a circle of rooms."""
        steps = set(pairwise(circle))
        return "\n".join(f"{a} imports {b}" for a, b in self.crossings() if (self.room(a), self.room(b)) in steps)


def imports(tree: ast.AST, package: str = "") -> Iterator[tuple[str, list[str]]]:
    """(module, names taken from it) of every import, those by ``import_module`` with a literal among them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            yield ".".join(p for p in (base, node.module) if p), [alias.name for alias in node.names]
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value), []


def circle(graph: Graph) -> list[str]:
    """A circle, each member of which imports the next, the first again at the end; empty where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []
