"""What clients are asked for: every symbol of Go that differs, and what a project's policy excludes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.golang.comparer import GoComparer
from pytest_xinchuang.packages.sdk_ast.golang.side import GoSide, exported
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.snapshot import ApiPackage, Symbol

_MEMBER_ADDED = {"GO-METHOD-ADDED", "GO-METHOD-SPECIAL-ADDED", "GO-FIELD-ADDED"}


@dataclass
class Question:
    """A symbol that clients are written of.

    Attributes:
        name: empty for the package itself.
        label: the symbol as reports call it.
        added: members that the new version has, and the old one has not.
    """

    package: str
    name: str
    label: str
    added: list[str] = field(default_factory=list)


class Asked:
    """The questions of one comparison.

    Attributes:
        changed: labels of all symbols that a rule has found something about.
    """

    def __init__(self, comparison: Comparison, policy: ApiPolicy) -> None:
        self.comparison = comparison
        target = comparison.targets[0]
        old, new = GoSide(comparison.old, target), GoSide(comparison.new, target)
        self._comparer = GoComparer(old, new, policy.package_map)
        found = [*comparison.changes, *(one for one, _suppression in comparison.accepted)]
        self.changed = {one.change.symbol for one in found}
        self._owners = {owner for symbol in self.changed for owner in _owners(symbol)}
        self._added: dict[str, list[str]] = {}
        for one in found:
            if one.rule.id in _MEMBER_ADDED:
                owner, _dot, member = one.change.symbol.rpartition(".")
                self._added.setdefault(owner, []).append(member)

    @property
    def moved(self) -> dict[str, str]:
        """Import path -> where it is now: those of the policy, and that of the module."""
        names = dict(self._comparer.package_map)
        if self.comparison.old.header.name != self.comparison.new.header.name:
            names[self.comparison.old.header.name] = self.comparison.new.header.name
        return names

    def label(self, name: str) -> str:
        """A symbol ``path.Name`` as reports call it."""
        path, _dot, last = name.rpartition(".")
        return self._comparer.label(path, last)

    def within(self, label: str) -> list[str]:
        """The changed members of a symbol."""
        return sorted(one for one in self.changed if one.startswith(f"{label}."))

    def __iter__(self) -> Iterator[Question]:
        for path, packages in self.comparison.old.packages.items():
            record = packages[0].record
            if record.internal or record.name == "main" or self._elsewhere(path):
                continue
            label = self._comparer.label(path)
            if label in self.changed:
                yield Question(path, "", label)
            names = sorted({name for pair in self._pairs(path) for name in self._differing(path, *pair)})
            for name in names:
                own = self._comparer.label(path, name)
                yield Question(path, name, own, sorted(set(self._added.get(own, ()))))

    def _elsewhere(self, path: str) -> bool:
        """Whether the package is of another module now, which its users may have."""
        module = self.comparison.new.header.name
        relative = self._comparer.new_path(path)[len(module) + 1 :]
        return any(relative == n or relative.startswith(f"{n}/") for n in self.comparison.new.header.nested or ())

    def _pairs(self, path: str) -> Iterator[tuple[ApiPackage, ApiPackage]]:
        seen = set()
        for target in self.comparison.targets:
            before = self.comparison.old.package(path, target)
            after = self.comparison.new.package(self._comparer.new_path(path), target)
            if before is not None and after is not None and (id(before), id(after)) not in seen:
                seen.add((id(before), id(after)))
                yield before, after

    def _differing(self, path: str, before: ApiPackage, after: ApiPackage) -> Iterator[str]:
        same = before.record.path == after.record.path and before.record.hash == after.record.hash
        package = self._comparer.label(path, "X")[:-1]
        if same and not any(symbol.startswith(package) for symbol in self.changed):
            return
        for name, symbol in before.symbols.items():
            if not exported(name):
                continue
            label = self._comparer.label(path, name)
            if label in self._owners or _told(symbol) != _told(after.symbols.get(name)):
                yield name
        before.forget()
        after.forget()


def _owners(symbol: str) -> Iterator[str]:
    """A label, and all that it may be a member of."""
    parts = symbol.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _told(symbol: Symbol | None) -> dict[str, object]:
    return {key: value for key, value in (symbol or {}).items() if key not in ("at", "id")}


def excluded(policy: ApiPolicy) -> Sequence[str]:
    """Relations that a policy says nobody is hurt by."""
    found = []
    if policy.interfaces == "provider":
        found.append("implement")
    if policy.unkeyed_literals == "ignore":
        found += ["unkeyed", "convert-struct"]
    if policy.embedding == "ignore":
        found.append("beside")
    return found
