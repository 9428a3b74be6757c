"""Shared libraries compared as a dynamic linker binds programs that were linked with the old ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.packages.sdk_ast.snapshot import ApiPackage, Symbol


@dataclass
class Libraries:
    """The libraries of one version for one target."""

    exports: dict[str, list[Symbol]] = field(default_factory=dict)
    sonames: dict[str, Symbol] = field(default_factory=dict)

    @classmethod
    def of(cls, package: ApiPackage | None) -> Libraries:
        """Those of a package of libraries; none where there is no such package."""
        found = cls()
        for name, symbol in (package.symbols if package else {}).items():
            if symbol["kind"] == "library":
                found.sonames[name] = symbol
            elif symbol["kind"] == "export":
                found.exports.setdefault(symbol["facts"]["name"], []).append(symbol)
        return found

    @property
    def known(self) -> bool:
        """Whether anything is known of what is exported."""
        return bool(self.sonames)

    def exported(self, name: str) -> bool:
        """Whether a new program can link with a name (of a version that is the default)."""
        return any(s["facts"]["default"] for s in self.exports.get(name, ()))

    def binds(self, wanted: Mapping[str, Any], scope: frozenset[str]) -> Symbol | None:
        """What a program that was linked with an export of an old library gets from libraries of a scope.

        A version that is asked for has to be there; a library without versions answers for any; who asks for none gets the
        default one (glibc, elf/dl-lookup.c, check_match).
        """
        for symbol in self.exports.get(str(wanted["name"]), ()):
            facts = symbol["facts"]
            if facts["library"] not in scope:
                continue
            if wanted["version"]:
                if facts["version"] == wanted["version"] or not self.sonames[facts["library"]]["facts"]["versions"]:
                    return symbol
            elif facts["default"] or not facts["version"]:
                return symbol
        return None

    def scope(self, soname: str) -> frozenset[str]:
        """A library and those that come with it, as far as they are delivered."""
        found: set[str] = set()
        waiting = [soname]
        while waiting:
            name = waiting.pop()
            if name in self.sonames and name not in found:
                found.add(name)
                waiting += self.sonames[name]["facts"]["needed"]
        return frozenset(found)

    def foreign(self, soname: str) -> list[str]:
        """What a library and those that come with it need, and what is not delivered."""
        return sorted(
            {need for name in self.scope(soname) for need in self.sonames[name]["facts"]["needed"]} - set(self.sonames)
        )
