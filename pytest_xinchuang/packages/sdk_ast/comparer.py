"""What the comparers of all languages share: two sides, names, and changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.snapshot import ApiPackage, Snapshot, Symbol


@dataclass(frozen=True)
class PackageRules:
    """Ids of a language's rules about packages as a whole; ``unverifiable`` alone where there is one package.

    Attributes:
        certain: rules whose findings hold though a package could not be read whole.
    """

    unverifiable: str
    added: str = ""
    removed: str = ""
    target_removed: str = ""
    name_changed: str = ""
    certain: frozenset[str] = frozenset()


class Side:
    """One snapshot as one target sees it."""

    def __init__(self, snapshot: Snapshot, target: str) -> None:
        self.snapshot, self.target = snapshot, target
        self.module = snapshot.header.name

    def package(self, path: str) -> ApiPackage | None:
        return self.snapshot.package(path, self.target)

    def owns(self, path: str) -> bool:
        """Whether a package belongs to what the snapshot describes."""
        return path in self.snapshot.packages


class Comparer:
    """Compares packages of ``old`` with those of ``new``.

    Args:
        package_map: old package path -> new package path, beyond the change of the module's own path.

    Attributes:
        package_rules: the language's rules about whole packages.
    """

    package_rules: PackageRules

    def __init__(self, old: Side, new: Side, package_map: Mapping[str, str]) -> None:
        self.old, self.new, self.package_map = old, new, package_map
        self.changes: list[Change] = []

    def new_path(self, path: str) -> str:
        """Where an old package is to be found now."""
        if path in self.package_map:
            return self.package_map[path]
        module = self.old.module
        if path == module or path.startswith(module + "/"):
            return self.new.module + path[len(module) :]
        return path

    def label(self, path: str, name: str = "") -> str:
        """A symbol as it is called in reports: relative to the module."""
        module = self.old.module if path == self.old.module or path.startswith(self.old.module + "/") else ""
        if not module and (path == self.new.module or path.startswith(self.new.module + "/")):
            module = self.new.module
        short = ("." + path[len(module) :]) if module else path
        if short == "." and name:
            return name
        return f"{short}.{name}" if name else short

    def add(
        self,
        rule: str,
        symbol: str,
        old: str = "",
        new: str = "",
        *,
        cause: str = "",
        undecided: str = "",
        at: str = "",
        **params: str,
    ) -> None:
        """Note a change under the rule of that id."""
        change = Change(rule, symbol, old, new, cause=cause, undecided=undecided, at=at, params=params)
        self.changes.append(self.placed(change))

    def placed(self, change: Change) -> Change:
        """The change under the rule that it comes under in this language."""
        return change

    def compare_package(self, old: ApiPackage, new: ApiPackage) -> None:
        """Compare all symbols of a package: those that went, came, and changed."""
        path = old.record.path
        for name, symbol in old.symbols.items():
            other = new.symbols.get(name)
            if other is None:
                self.removed(path, name, symbol)
            else:
                self.compare_symbol(path, new.record.path, name, symbol, other)
        for name, symbol in new.symbols.items():
            if name not in old.symbols:
                self.added(new.record.path, name, symbol)

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        raise NotImplementedError

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        raise NotImplementedError

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        raise NotImplementedError

    def compare_whole(self) -> None:
        """Compare what no package tells."""

    def compare_internal(self, old: ApiPackage, new: ApiPackage) -> None:
        """Compare a package that is not offered to others."""

    def compare_exposed(self, ids: Sequence[str]) -> None:
        """Compare hidden types that a package shows, when the package itself is unchanged."""


def place_of(symbol: Symbol) -> str:
    """File and line."""
    return str(symbol.get("at", ""))
