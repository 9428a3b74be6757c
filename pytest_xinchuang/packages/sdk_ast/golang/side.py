"""One side of a comparison of Go APIs, and the place where two of its types differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from pytest_xinchuang.packages.sdk_ast.comparer import Side
from pytest_xinchuang.packages.sdk_ast.golang.signatures import SignatureRules
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol, Type

Name = tuple[str, str]
"""Package path and name of a named type."""


class GoSide(Side):
    """One Go snapshot as one target sees it."""

    def symbol(self, name: Name) -> Symbol | None:
        package = self.package(name[0])
        return package.symbols.get(name[1]) if package else None

    def hidden(self, name: Name) -> bool:
        """Whether clients cannot write the type's name."""
        package = self.package(name[0])
        return package is not None and (package.record.internal or not exported(name[1]))

    def writable(self, t: Any) -> bool:
        """Whether clients can write a type down: it names nothing that is hidden from them and has no other name."""
        if isinstance(t, list):
            return all(self.writable(item) for item in t)
        if not isinstance(t, dict):
            return True
        if t.get("kind") == "named":
            full = f"{t['package']}.{t['name']}"
            outside = not self.owns(t["package"]) and internal(t["package"])
            if (outside or self.hidden((t["package"], t["name"]))) and full not in self._other_names:
                return False
        return all(self.writable(value) for value in t.values())

    @cached_property
    def _other_names(self) -> set[str]:
        """Types that an exported alias of a package that clients can import is another name of."""
        found = set()
        for path in self.snapshot.packages:
            package = self.package(path)
            if package is None or package.record.internal or package.record.name == "main":
                continue
            for name, symbol in package.symbols.items():
                if exported(name) and symbol.get("alias") and symbol["type"].get("kind") == "named":
                    found.add(f"{symbol['type']['package']}.{symbol['type']['name']}")
        return found

    def target_of(self, name: Name) -> Type | None:
        """What an exported name stands for: the type itself, or what it is an alias of; None when it is gone."""
        found = self.symbol(name)
        if found is None or found["kind"] != "type":
            return None
        if found.get("alias"):
            target: Type = found["type"]
            return target
        return {"kind": "named", "package": name[0], "name": name[1]}


def exported(name: str) -> bool:
    return name[:1].isupper()


def internal(path: str) -> bool:
    """Whether a package is for those near it alone (``go help importpath``, Internal Directories)."""
    return "internal" in path.split("/")


@dataclass(frozen=True)
class Mismatch:
    """The innermost place where two types are not the same."""

    old: Type | None
    new: Type | None
    cause: str = ""


TypeParams = Mapping[str, Sequence[str]]
"""Names of type parameters, by what declares them (``func``, ``method``, ``type``)."""


class GoCorrespondence(Protocol):
    """What a comparison of two declarations asks about the rest of the two APIs, and whom it tells of changes."""

    @property
    def old(self) -> GoSide: ...

    @property
    def new(self) -> GoSide: ...

    def new_path(self, path: str) -> str:
        """Where an old package is to be found now."""

    def label(self, path: str, name: str = "") -> str:
        """A symbol as it is called in reports."""

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
        """Note a change under a rule."""

    def same(self, old: Type, new: Type) -> Mismatch | None:
        """None when a client cannot tell ``old`` from ``new``; else the innermost difference."""

    def cause_of(self, found: Mismatch) -> str:
        """The change elsewhere that a difference follows from; "" when it follows from none."""

    def constraint(self, old: Type, new: Type) -> str:
        """What a client sees of a changed constraint: "", ``loosened`` or ``tightened``."""

    def covers(self, terms: Sequence[Type], by: Sequence[Type], *, swapped: bool = False) -> bool:
        """Whether each type of ``terms`` is in the type set ``by``."""

    def compare_signature(
        self,
        rules: SignatureRules,
        path: str,
        new_path: str,
        label: str,
        old: Type,
        new: Type,
        *,
        at: str = "",
        found: Mismatch | None = None,
        cause: str = "",
        names: tuple[TypeParams, TypeParams] = ({}, {}),
    ) -> None:
        """Compare two functions or methods, and note the change."""
