"""What C and C++ share when two versions of a library are compared: headers by what each gives, libraries by what is bound."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.packages.sdk_ast.c.headers import FATAL_FILE
from pytest_xinchuang.packages.sdk_ast.c.libraries import LIBRARIES
from pytest_xinchuang.packages.sdk_ast.c.linker import Libraries
from pytest_xinchuang.packages.sdk_ast.c.types import PACKAGE
from pytest_xinchuang.packages.sdk_ast.comparer import Comparer, place_of
from pytest_xinchuang.packages.sdk_ast.snapshot import Symbol
from pytest_xinchuang.packages.sdk_ast.words import listed


class DeliveredComparer(Comparer):
    """Compares headers and shared libraries, whichever of both languages their declarations are in."""

    def label(self, path: str, name: str = "") -> str:
        return name or path

    # -- headers

    def _headers(self, old: Headers, new: Headers, symbols: Mapping[str, Symbol]) -> None:
        lost: set[str] = set()
        moved: set[str] = set()
        for header in old.names:
            if header not in new.names:
                self.add("C-HEADER-REMOVED", header, old.place(header), "", undecided=old.refused(header))
                continue
            was, now = old.facts(header), new.facts(header)
            at = new.place(header)
            if was.get("text") != now.get("text"):
                why = _("declarations of C++ are read by --kind cpp alone, and the header's text differs")
                self.add("C-UNVERIFIABLE", header, undecided=why, at=at)
                continue
            if was["alone"] > now["alone"] or usable(was) > usable(now):
                said = str(now.get("why", ""))
                missing = _("a header that it includes was not found") if FATAL_FILE in said else ""
                self.add("C-HEADER-BROKEN", header, "", said, undecided=missing, at=at)
                continue
            if was["cxx"] and not now["cxx"]:
                missing = _("a header that it includes in C++ was not found") if now["cxx"] is None else ""
                self.add("C-HEADER-CXX-LOST", header, undecided=missing, at=at)
            if not usable(now):
                continue
            gives = new.gives(header)
            for name in sorted((set(old.declares(header)) - gives) | (old.gives(header) & new.hides(header))):
                if name in symbols and name not in moved:
                    moved.add(name)
                    self.add("C-HEADER-NAME-LOST", name, header, new.where(name), cause=f"- {header}", at=at)
            for other in sorted(set(was["reaches"]) - set(now["reaches"])):
                name = f"<{other}>"
                gone = old.declared(name) - gives - moved
                if name in new.names and gone & set(symbols):
                    self._include_dropped(header, name, lost, old, at)
            for name in sorted(set(was["system"]) - set(now["system"])):
                self._include_dropped(header, f"<{name}>", lost, old, at)

    def _include_dropped(self, header: str, name: str, lost: set[str], old: Headers, at: str) -> None:
        """Tell it of a header alone that stands lowest: those that include it lose the same by it."""
        if any(f"{name} <{other}>" in lost for other in old.facts(header)["reaches"]):
            return
        lost.add(f"{name} {header}")
        self.add("C-INCLUDE-DROPPED", header, name, "", at=at)

    # -- libraries

    @cached_property
    def _was(self) -> Libraries:
        return Libraries.of(self.old.package(LIBRARIES))

    @cached_property
    def _is(self) -> Libraries:
        return Libraries.of(self.new.package(LIBRARIES))

    def _libraries(self) -> None:
        if self.old.target != self.new.target and not self._is.known:
            return  # of one version, what is delivered for one architecture says nothing of another
        declared = self._declared()
        for soname, library in self._was.sonames.items():
            if soname not in self._is.sonames:
                stem = soname.partition(".so")[0]
                now = sorted(n for n in self._is.sonames if n.partition(".so")[0] == stem)
                rule = "C-SONAME-CHANGED" if now else "C-LIBRARY-REMOVED"
                self.add(rule, soname, soname, listed(now), cause=f"- {soname}", at=place_of(library))
                continue
            scope, foreign = self._is.scope(soname), self._is.foreign(soname)
            came = [n for n in foreign if n not in self._was.foreign(soname)]
            for symbols in self._was.exports.values():
                for symbol in symbols:
                    if symbol["facts"]["library"] == soname:
                        self._export(symbol, scope, came, declared)
        for name, symbols in self._is.exports.items():
            if name not in self._was.exports and self._was.known and name not in declared:
                self.add("C-EXPORT-ADDED", export_label(symbols[0]), "", symbols[0]["facts"]["library"])

    def _declared(self) -> set[str]:
        """The names that the old headers promise, as a linker knows them."""
        package = self.old.package(PACKAGE)
        found = set()
        for name, symbol in (package.symbols if package else {}).items():
            if symbol["kind"] in ("func", "var"):
                facts = symbol.get("facts") or {}
                found |= {name.partition(" <")[0], facts.get("link", ""), facts.get("cxx", "")}
        return found - {""}

    def _export(self, old: Symbol, scope: frozenset[str], came: list[str], declared: set[str]) -> None:
        facts = old["facts"]
        label, name = export_label(old), facts["name"]
        new = self._is.binds(facts, scope)
        if new is None:
            if came:
                why = _("it may come from {libraries}, which are not delivered", libraries=listed(came))
                self.add("C-EXPORT-REMOVED", name, label, "", undecided=why)
            elif self._is.binds({**facts, "version": ""}, scope) is not None:
                self.add("C-EXPORT-VERSION-LOST", name, label, self._versions(name))
            elif name in declared:
                self.add("C-EXPORT-REMOVED", name, label, "", cause=f"- {name}")
            else:
                self.add("C-EXPORT-UNDECLARED-REMOVED", name, label, "")
            return
        now = new["facts"]
        if now["type"] != facts["type"]:
            self.add("C-EXPORT-TYPE-CHANGED", name, f"{label}: {facts['type']}", f"{export_label(new)}: {now['type']}")
        elif facts.get("size") and now.get("size") != facts["size"]:
            rule = "C-EXPORT-SIZE-CHANGED" if name in declared else "C-EXPORT-UNDECLARED-REMOVED"
            self.add(rule, name, f"{facts['size']}", f"{now.get('size')}", at=place_of(new))
        if facts["default"] and not self._is.exported(name):
            self.add("C-EXPORT-NOT-DEFAULT", name, label, self._versions(name))

    def _versions(self, name: str) -> str:
        return listed(export_label(symbol) for symbol in self._is.exports.get(name, ()))

    def _bound(self, name: str, old: Symbol) -> bool | None:
        """Whether programs that were linked with a name of the old library find it still; None: no library says."""
        link = str((old.get("facts") or {}).get("link", name))
        if not self._was.known or not self._is.known:
            return None
        return link not in self._was.exports or link in self._is.exports


def given(old: Mapping[str, Symbol], new: Mapping[str, Symbol]) -> Iterator[tuple[str, Mapping[str, Any], set[str]]]:
    """Each old header that some client gets all of, its facts, and the names that clients of the new one can expect of it."""
    headers = {name: s["facts"] for name, s in old.items() if s["kind"] == "header"}
    for header, facts in headers.items():
        if not usable(facts):
            continue
        names = set(facts["declares"]) if header in new else set()
        for other in facts["reaches"] if header in new else ():
            if not usable(headers.get(f"<{other}>", facts)):
                names |= set(headers[f"<{other}>"]["declares"])
        yield header, facts, names


def usable(header: Mapping[str, Any]) -> bool:
    """Whether some client gets all of a header, by its facts: alone, or after the standard's headers."""
    return bool(header.get("usable", header["alone"]))


class Headers:
    """The records of a version's headers."""

    def __init__(self, symbols: Mapping[str, Symbol]) -> None:
        self._symbols = symbols
        self.names = [name for name, symbol in symbols.items() if symbol["kind"] == "header"]

    def facts(self, header: str) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = self._symbols[header]["facts"]
        return facts

    def place(self, header: str) -> str:
        return place_of(self._symbols[header])

    def declares(self, header: str) -> list[str]:
        return list(self.facts(header)["declares"])

    def declared(self, header: str) -> set[str]:
        return set(self.declares(header)) if header in self.names else set()

    def key(self, header: str, name: str) -> str:
        """Under which key a header's meaning of a name stands."""
        own = f"{name} {header}"
        return own if own in self._symbols else name

    def gives(self, header: str) -> set[str]:
        """All names that a client gets that includes it."""
        found = self.declared(header)
        for other in self.facts(header)["reaches"]:
            found |= self.declared(f"<{other}>")
        return found - self.hides(header)

    def hides(self, header: str) -> set[str]:
        """What a client does not get by it of what headers declare that it brings along."""
        return set(self.facts(header).get("hides", ()))

    def refused(self, header: str) -> Message:
        """Why nobody could include a header for this target, by itself or with another; empty: somebody could."""
        facts = self.facts(header)
        brought = any(header.strip("<>") in f["reaches"] for f in map(self.facts, self.names) if usable(f))
        if usable(facts) or brought or not facts["why"]:
            return NOTHING
        return _("no client could include it by itself: {why}", why=verbatim(str(facts["why"])))

    def where(self, name: str) -> str:
        return next((header for header in self.names if name in self.declared(header)), "")


def export_label(symbol: Symbol) -> str:
    facts = symbol["facts"]
    return f"{facts['name']}@{facts['version']}" if facts["version"] else str(facts["name"])
