"""The public paths of a crate's items, through modules, re-exports and globs (Rust reference, use declarations, visibility)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Node = Mapping[str, Any]

_VALUES = frozenset({"function", "constant", "static"})
_MACROS = frozenset({"macro", "proc_macro"})
VALUE, MACRO = "=", "!"
"""Behind the path of a symbol: its namespace, where that is not the one of types and modules."""


def kind_of(item: Node) -> str:
    """What an item is: the one key of ``inner``."""
    return str(next(iter(item["inner"])))


def inner_of(item: Node) -> Any:
    """What rustdoc tells of an item of its kind."""
    return item["inner"][kind_of(item)]


def namespace(kind: str) -> str:
    """The suffix of a kind's namespace; types and modules have none (Rust reference, namespaces)."""
    return VALUE if kind in _VALUES else MACRO if kind in _MACROS else ""


def is_hidden(item: Node) -> bool:
    """Whether ``#[doc(hidden)]`` stands before it: by convention it is no part of the API."""
    return any("doc(hidden" in str(one).replace(" ", "") for one in item["attrs"])


@dataclass
class Found:
    """An item at a path.

    Attributes:
        outside: what a re-export names in another crate; then there is no item.
        hidden: it, a module around it or the re-export is hidden from documentation.
    """

    item: Node | None
    outside: str = ""
    hidden: bool = False


@dataclass
class Paths:
    """Where everything public is.

    Attributes:
        found: path with the suffix of its namespace -> what is there.
        of: id -> its paths, shortest first; those that are hidden after the others.
    """

    found: dict[str, Found] = field(default_factory=dict)
    of: dict[int, list[str]] = field(default_factory=dict)

    @property
    def shortest(self) -> dict[int, str]:
        """id -> its first path."""
        return {number: paths[0] for number, paths in self.of.items()}


def public_paths(told: Node, name_of: Any) -> Paths:
    """Every public path of a crate.

    Args:
        told: rustdoc's JSON, with private and hidden items.
        name_of: the name of an item of another crate, by its id and by the text in the source.
    """
    walker = _Walker(told["index"], name_of)
    for path, found in walker.module(told["index"][str(told["root"])], "", False, ()):
        known = walker.paths.found.get(path)
        if known is None or (known.hidden and not found.hidden):
            walker.paths.found[path] = found
    by_item: dict[int, list[str]] = defaultdict(list)
    for path, found in walker.paths.found.items():
        if found.item is not None:
            by_item[found.item["id"]].append(path)
    for number, paths in by_item.items():
        paths.sort(key=lambda path: (walker.paths.found[path].hidden, path.count("::"), path))
        walker.paths.of[number] = paths
    return walker.paths


class _Walker:
    def __init__(self, index: Mapping[str, Node], name_of: Any) -> None:
        self.index, self.name_of = index, name_of
        self.paths = Paths()

    def module(self, module: Node, path: str, hidden: bool, within: tuple[int, ...]) -> Iterator[tuple[str, Found]]:
        """What a module offers, and what the modules in it do. Names that it declares go before those that globs bring."""
        if module["id"] in within:
            return
        within = (*within, module["id"])
        named: set[str] = set()
        globs = []
        for item, name, concealed in self._offered(module):
            if item["id"] is not None and kind_of(item) == "use":
                globs.append((item, concealed))
                continue
            for key, found in self._one(item, name, path, hidden or concealed, within):
                named.add(key)
                yield key, found
        for use, concealed in globs:
            for key, found in self._glob(use, path, hidden or concealed, within):
                direct = key.removeprefix(f"{path}::" if path else "")
                if "::" in direct and f"{path}::{direct.partition('::')[0]}".removeprefix("::") in named:
                    continue
                if key not in named:
                    yield key, found

    def _offered(self, module: Node) -> Iterator[tuple[Node, str, bool]]:
        for number in module["inner"]["module"]["items"]:
            item = self.index.get(str(number))
            if item is None or item["visibility"] != "public":
                continue
            if kind_of(item) != "use":
                yield item, item["name"] or "", is_hidden(item)
            elif item["inner"]["use"]["is_glob"]:
                yield item, "", is_hidden(item)
            else:
                yield from self._use(item)

    def _use(self, use: Node) -> Iterator[tuple[Node, str, bool]]:
        inner = use["inner"]["use"]
        target = None if inner["id"] is None else self.index.get(str(inner["id"]))
        if target is not None and kind_of(target) == "use":
            target = None
        yield target or {"id": None, "source": inner, "attrs": use["attrs"]}, inner["name"], is_hidden(use)

    def _one(
        self, item: Any, name: str, path: str, hidden: bool, within: tuple[int, ...]
    ) -> Iterator[tuple[str, Found]]:
        key = f"{path}::{name}" if path else name
        if item["id"] is None:
            source = item["source"]
            yield key, Found(None, self.name_of(source["id"], source["source"]), hidden)
            return
        kind = kind_of(item)
        concealed = hidden or is_hidden(item)
        if kind in ("impl", "extern_crate", "primitive", "keyword"):
            return
        yield key + namespace(kind), Found(item, hidden=concealed)
        if kind == "module":
            yield from self.module(item, key, concealed, within)

    def _glob(self, use: Node, path: str, hidden: bool, within: tuple[int, ...]) -> Iterator[tuple[str, Found]]:
        inner = use["inner"]["use"]
        target = None if inner["id"] is None else self.index.get(str(inner["id"]))
        if target is None:
            outside = self.name_of(inner["id"], inner["source"])
            yield f"{path}::{outside}::*".removeprefix("::"), Found(None, outside, hidden)
        elif kind_of(target) == "module":
            yield from self.module(target, path, hidden, within)
        elif kind_of(target) == "enum":
            for number in target["inner"]["enum"]["variants"]:
                variant = self.index[str(number)]
                key = f"{path}::{variant['name']}" if path else variant["name"]
                yield key, Found(variant, hidden=hidden or is_hidden(variant))
