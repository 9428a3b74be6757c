"""Classes of a snapshot and those of the Java platform as one hierarchy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pytest_xinchuang.packages.sdk_ast.comparer import Side
from pytest_xinchuang.packages.sdk_ast.java.classfile import ABSTRACT, PRIVATE, STATIC, ClassMember
from pytest_xinchuang.packages.sdk_ast.java.jdk import OBJECT_METHODS, Platform
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol

UNCHECKED = frozenset({"java.lang.RuntimeException", "java.lang.Error"})
"""What nobody has to catch, with all that extends it (JLS 11.1.1)."""

_OF_THE_LANGUAGE: Mapping[str, frozenset[str]] = {
    **{
        f"java.lang.{name}": frozenset({"java.lang.RuntimeException"})
        for name in (
            "IllegalArgumentException", "IllegalStateException", "NullPointerException", "UnsupportedOperationException",
            "IndexOutOfBoundsException", "ClassCastException", "ArithmeticException", "NumberFormatException",
            "SecurityException",
        )
    },
    **{
        f"java.lang.{name}": frozenset({"java.lang.Exception"})
        for name in ("InterruptedException", "CloneNotSupportedException", "ReflectiveOperationException")
    },
    "java.io.IOException": frozenset({"java.lang.Exception"}),
    "java.io.FileNotFoundException": frozenset({"java.io.IOException", "java.lang.Exception"}),
    "java.io.UncheckedIOException": frozenset({"java.lang.RuntimeException"}),
    "java.util.NoSuchElementException": frozenset({"java.lang.RuntimeException"}),
    "java.util.concurrent.TimeoutException": frozenset({"java.lang.Exception"}),
    "java.util.concurrent.ExecutionException": frozenset({"java.lang.Exception"}),
    "java.lang.Exception": frozenset(), "java.lang.Throwable": frozenset(), "java.lang.Object": frozenset(),
    "java.lang.RuntimeException": frozenset({"java.lang.Exception"}), "java.lang.Error": frozenset(),
}  # fmt: skip
"""Supertypes of common exceptions, for where there is no JDK to ask (API specification of Java SE 17)."""


class Hierarchy:
    """What the classes of one side are.

    Args:
        side: its snapshot.
        platform: the classes of the JDK.
    """

    def __init__(self, side: Side, platform: Platform) -> None:
        self.side, self.platform = side, platform

    @cached_property
    def _packages(self) -> frozenset[str]:
        return frozenset(self.side.snapshot.packages)

    def symbols(self, package: str) -> Mapping[str, Symbol]:
        found = self.side.package(package)
        return found.symbols if found is not None else {}

    def facts(self, name: str) -> Mapping[str, Any] | None:
        """Facts of a class by its binary name; None: it is not offered here."""
        package, _mark, short = name.rpartition(".")
        symbol = self.symbols(package).get(short.replace("$", "."))
        return symbol["facts"] if symbol is not None else None

    def hides(self, name: str) -> bool:
        """Whether a class is in a package of ours, and others cannot name it."""
        return name.rpartition(".")[0] in self._packages and self.facts(name) is None

    def is_generic(self, name: str) -> bool:
        """Whether a class has type parameters."""
        facts, platforms = self.facts(name), self.platform.find(name)
        return (
            bool(facts["bounds"])
            if facts is not None
            else platforms is not None and platforms.signature.startswith("<")
        )

    def known(self, name: str) -> bool:
        """Whether it is known what a class extends."""
        return self.facts(name) is not None or name in _OF_THE_LANGUAGE or self.platform.find(name) is not None

    def supertypes(self, name: str) -> frozenset[str]:
        """All that are known, itself among them."""
        facts = self.facts(name)
        if facts is not None:
            return self.closed({name, *facts["super"]})
        return self.platform.supertypes(name) | _OF_THE_LANGUAGE.get(name, frozenset())

    def closed(self, names: Iterator[str] | set[str] | list[str]) -> frozenset[str]:
        """Classes with what the platform's among them extend."""
        return frozenset().union(*(self.platform.supertypes(n) | _OF_THE_LANGUAGE.get(n, frozenset()) for n in names))

    def checked(self, name: str) -> bool | None:
        """Whether an exception has to be caught; None: nobody knows what it extends."""
        above = self.supertypes(name)
        if above & UNCHECKED:
            return False
        return True if all(self.known(one) for one in above) else None

    def inherited(self, facts: Mapping[str, Any], key: str) -> ClassMember | None:
        """A method or field that a class has from the platform."""
        names = ["java.lang.Object", *facts["super"]]
        if "(" in key:
            return next((m for name in names if (m := self.platform.method(name, key)) is not None), None)
        return next((m for name in names if (m := self.platform.field(name, key)) is not None), None)

    def has_from_object(self, key: str) -> bool:
        return key in OBJECT_METHODS

    def unknown_supertypes(self, facts: Mapping[str, Any]) -> list[str]:
        """Supertypes of which nothing is known: they may have any member."""
        return [n for n in facts["super"] if n.rpartition(".")[0] not in self._packages and not self.platform.find(n)]

    def abstract_of_platform(self, facts: Mapping[str, Any]) -> dict[str, ClassMember]:
        """Abstract methods that a class has from the platform, and that no class of the platform implements for it."""
        found: dict[str, ClassMember] = {}
        done: set[str] = set()
        for name in facts["super"]:
            for one in self.platform.lineage(name):
                for m in one.methods:
                    key = m.name + m.descriptor
                    if m.access & (STATIC | PRIVATE):
                        continue
                    if m.access & ABSTRACT:
                        found.setdefault(key, m)
                    else:
                        done.add(key)
        return {key: m for key, m in found.items() if key not in done and key not in OBJECT_METHODS}
