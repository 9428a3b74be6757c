"""Where a package's types stand in its own API: what callers hand over, what they are handed, or both.

A type that callers only make may be asked for less, and one that they only read may have more, without breaking them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot
from pytest_xinchuang.packages.sdk_ast.typescript.trees import NAMED

Key = tuple[str, str]
"""The entry that exports a type, and its name there."""

IN, OUT = "in", "out"
_TURNED = {IN: OUT, OUT: IN}


class Positions:
    """The positions of every exported type of a snapshot."""

    def __init__(self, snapshot: Snapshot, target: str) -> None:
        self._types: dict[Key, Mapping[str, Any]] = {}
        self._found: dict[Key, set[str]] = {}
        roots = []
        for path in snapshot.packages:
            package = snapshot.package(path, target)
            if package is None:
                continue
            for name, symbol in package.symbols.items():
                facts = symbol.get("facts") or {}
                if facts.get("type"):
                    self._types[path, name] = facts["type"]
                if facts.get("value"):
                    roots.append((path, name, facts))
        for path, name, facts in roots:
            value = facts["value"]
            self._visit(value.get("call"), OUT)
            self._visit(value.get("t"), OUT)
            self._visit(list((value.get("statics") or {}).values()), OUT)
            self._visit((value.get("construct") or {}).get("sigs"), OUT)
            if value["form"] == "class":
                self._reach((path, name), OUT)

    def only(self, path: str, name: str, position: str) -> bool:
        """Whether a type stands there, and nowhere else."""
        return self._found.get((path.removesuffix(" [require]"), name)) == {position}

    def _reach(self, key: Key, position: str) -> None:
        seen = self._found.setdefault(key, set())
        if position in seen:
            return
        seen.add(position)
        declared = self._types.get(key)
        if declared is not None:
            self._visit(list((declared.get("members") or {}).values()), position)
            for part in ("call", "new", "index", "t", "bases"):
                self._visit(declared.get(part), position)

    def _visit(self, node: Any, position: str) -> None:
        for found, at in _references(node, position):
            self._reach(found, at)


def _references(node: Any, position: str) -> Iterator[tuple[Key, str]]:
    if isinstance(node, list):
        for one in node:
            yield from _references(one, position)
    elif isinstance(node, Mapping):
        if node.get("k") in ("r", "q") and node.get("e"):
            yield (node["e"], node["n"]), position
        if "params" in node:
            yield from _references([one["t"] for one in node["params"]], _TURNED[position])
        for key, value in node.items():
            if key != "params":
                yield from _references(list(value.values()) if key in NAMED else value, position)
