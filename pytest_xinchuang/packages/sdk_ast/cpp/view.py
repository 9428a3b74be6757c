"""What clients of headers in C++ can name: using declarations and aliases stand for what they bring."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pytest_xinchuang.packages.sdk_ast.cpp.names import internal
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol

FUNCTIONS = ("func", "method")


@dataclass
class View:
    """The symbols of one version as clients find them.

    Attributes:
        symbols: by name; what using declarations of namespaces bring stands under the new name as well.
    """

    symbols: dict[str, Symbol]
    sets: dict[str, dict[str, Symbol]] = field(default_factory=dict)

    @classmethod
    def of(cls, symbols: Mapping[str, Symbol], aliases: Mapping[str, str] | None = None) -> View:
        """The view of a version's symbols.

        Args:
            aliases: namespaces and enumerations that are names of others, whose members stand under both.
        """
        found = cls(dict(symbols))
        for name, target in (aliases or {}).items():
            found._bring(name, target)
        for name, symbol in symbols.items():
            if (using := (symbol.get("facts") or {}).get("using")) and "access" not in symbol["facts"]:
                found._bring(name, str(using))
        for name, symbol in found.symbols.items():
            if symbol["kind"] in FUNCTIONS:
                found.sets.setdefault(symbol["facts"]["base"], {})[name] = symbol
        return found

    def _bring(self, name: str, target: str) -> None:
        scope = name.rpartition("::")[0]
        for candidate in _candidates(target, scope):
            brought = {n: s for n, s in self.symbols.items() if _within(n, s, candidate)}
            if candidate == name or not brought:
                continue
            if name in self.symbols and (self.symbols[name].get("facts") or {}).get("using"):
                del self.symbols[name]
            for one, symbol in brought.items():
                renamed = name + one[len(candidate) :]
                facts = dict(symbol.get("facts") or {})
                if "base" in facts:
                    facts["base"] = name + str(facts["base"])[len(candidate) :]
                if facts.get("enum") == candidate:
                    facts["enum"] = name
                self.symbols.setdefault(renamed, {**symbol, "facts": facts})
            return

    @cached_property
    def exposed(self) -> set[str]:
        """Types of a library's own namespaces that declarations for clients mention, and those that these mention in turn."""
        texts: dict[str, set[str]] = {}
        for name, symbol in self.symbols.items():
            owner = next(
                (o for o in reversed(list(self.within(name))) if self.symbols.get(o, _NONE)["kind"] == "class"), ""
            )
            if symbol["kind"] not in ("header", "macro", "module") and self.access(name) != "private":
                texts.setdefault(owner or name, set()).update(_mentioned(symbol))
        found: set[str] = set()
        waiting = [word for name, words in texts.items() if not internal(name) for word in words]
        while waiting:
            word = waiting.pop()
            if word not in found and word in self.symbols and internal(word):
                found.add(word)
                waiting += texts.get(word, ())
        return found

    def kept_inside(self, name: str) -> bool:
        """Whether a name is the library's own, and no declaration for clients brings it to them."""
        head = name.partition("(")[0]
        return (
            internal(name)
            and head not in self.exposed
            and not any(outer in self.exposed for outer in self.within(name))
        )

    def within(self, name: str) -> Iterator[str]:
        """The classes and namespaces around a name."""
        for at, letter in enumerate(name):
            if letter == "(":
                return
            if name.startswith("::", at):
                yield name[:at]

    @cached_property
    def methods(self) -> dict[str, list[Mapping[str, Any]]]:
        """The facts of the methods of each class."""
        found: dict[str, list[Mapping[str, Any]]] = {}
        for symbol in self.symbols.values():
            if symbol["kind"] == "method":
                found.setdefault(str(symbol["facts"]["base"]).rpartition("::")[0], []).append(symbol["facts"])
        return found

    @cached_property
    def _named(self) -> dict[str, str]:
        return {name: str((s.get("facts") or {}).get("access", "public")) for name, s in self.symbols.items()}

    def access(self, name: str) -> str:
        """How far a name reaches: that of itself and of all classes around it."""
        words = [self._named.get(name, "public")]
        for outer in self.within(name):
            if self.symbols.get(outer, _NONE)["kind"] == "class":
                words.append(self._named[outer])
        return next((word for word in ("private", "protected") if word in words), "public")

    def classes(self, name: str) -> list[str]:
        """A class and its bases that are known, the class first."""
        found, waiting = [], [name]
        while waiting:
            one = waiting.pop(0)
            symbol = self.symbols.get(one)
            if symbol is None or symbol["kind"] != "class" or one in found:
                continue
            found.append(one)
            waiting += [str(base[0]) for base in symbol["facts"].get("bases") or () if base[1] != "private"]
        return found

    def inherited(self, owner: str, member: str) -> tuple[str, Symbol] | None:
        """A member of that name in a base of a class."""
        for base in self.classes(owner)[1:]:
            if (symbol := self.symbols.get(f"{base}::{member}")) is not None:
                return f"{base}::{member}", symbol
        return None

    def derivable(self, owner: str) -> bool:
        """Whether a client may derive from a class: it is not final, and has a constructor and destructor for that."""
        symbol = self.symbols.get(owner)
        if symbol is None or symbol["facts"].get("final"):
            return False
        own = self.methods.get(owner, [])
        closed = [f for f in own if f.get("constructor") and (f.get("access") == "private" or f.get("deleted"))]
        ways = [f for f in own if f.get("constructor")]
        private_end = any(f.get("destructor") and f.get("access") == "private" for f in own)
        return not private_end and not (ways and len(ways) == len(closed))


_NONE: dict[str, Any] = {"kind": ""}
_QUALIFIED = re.compile(r"[A-Za-z_]\w*(?:::[A-Za-z_]\w*)+")


def _mentioned(symbol: Symbol) -> set[str]:
    """The qualified names in the types of a declaration."""
    facts = symbol.get("facts") or {}
    texts = [str(facts.get(key, "")) for key in ("type", "result", "using")]
    texts += map(str, facts.get("params") or ())
    texts += [str(base) for base, access, _virtual in facts.get("bases") or () if access != "private"]
    return {word for text in texts for word in _QUALIFIED.findall(text)}


def _candidates(target: str, scope: str) -> Iterator[str]:
    """What a name in a scope may mean, the innermost first."""
    if target.startswith("::"):
        yield target[2:]
        return
    while scope:
        yield f"{scope}::{target}"
        scope = scope.rpartition("::")[0]
    yield target


def _within(name: str, symbol: Symbol, candidate: str) -> bool:
    base = (symbol.get("facts") or {}).get("base")
    return name == candidate or base == candidate or name.startswith(f"{candidate}::")
