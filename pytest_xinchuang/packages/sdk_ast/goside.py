"""One side of a comparison of Go APIs, and the place where two of its types differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_xinchuang.packages.sdk_ast.comparer import Side
from pytest_xinchuang.packages.sdk_ast.gosignatures import SignatureRules
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
