"""C++ APIs, compared as source and as binary: what clients name, what they compiled in, and what linkers bind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.packages.sdk_ast.c.deliverycompare import DeliveredComparer, Headers
from pytest_xinchuang.packages.sdk_ast.c.libraries import LIBRARIES
from pytest_xinchuang.packages.sdk_ast.c.linker import Libraries
from pytest_xinchuang.packages.sdk_ast.c.macrocompare import macro_change
from pytest_xinchuang.packages.sdk_ast.c.types import PACKAGE
from pytest_xinchuang.packages.sdk_ast.change import Change
from pytest_xinchuang.packages.sdk_ast.comparer import PackageRules, place_of
from pytest_xinchuang.packages.sdk_ast.cpp.classcompare import access_change, class_changes, field_change
from pytest_xinchuang.packages.sdk_ast.cpp.functioncompare import FunctionComparer, template_change
from pytest_xinchuang.packages.sdk_ast.cpp.standard import year
from pytest_xinchuang.packages.sdk_ast.cpp.text import text_of
from pytest_xinchuang.packages.sdk_ast.cpp.view import FUNCTIONS, View
from pytest_xinchuang.packages.sdk_ast.snapshot import ApiPackage, Symbol
from pytest_xinchuang.packages.sdk_ast.words import KINDS, word

_REMOVED = {
    "var": "CPP-VAR-REMOVED",
    "const": "CPP-ENUMERATOR-REMOVED",
    "macro": "C-MACRO-REMOVED",
    "class": "CPP-CLASS-REMOVED",
    "field": "CPP-FIELD-REMOVED",
    "module": "CPP-NAMESPACE-REMOVED",
}
"""Kind of a symbol -> the rule about its removal; other kinds are types."""

_LINKED = (
    "CPP-LINK-NAME-CHANGED",
    "CPP-FUNC-INLINED",
    "CPP-SYMBOL-HIDDEN",
    "CPP-CLASS-SIZE-CHANGED",
    "CPP-CLASS-ALIGN-CHANGED",
    "CPP-PRIVATE-LAYOUT-CHANGED",
)
"""What programs have compiled in, whosoever the name is: code in headers brought it to them."""

_BUILT_IN = re.compile(r"::operator(?:&|,| new| delete| new\[\]| delete\[\])$")
"""Operators that every class has without a declaration ([over.oper] in ISO C++)."""

_TABLES = re.compile(r"_ZT[ISTV]|_ZGV")
"""Tables of virtual functions, type information and its names, tables of virtual bases, guards of variables (Itanium C++ ABI
5.1.4.1 and 5.1.5.2)."""

_OF_THE_STANDARD = re.compile(r"_Z(?:T[ISTV]|GV|L)?(?:N?K?St|N?K?9__gnu_cxx|N?K?10__cxxabiv1)")
"""Names of the standard library's own code (Itanium C++ ABI 5.1.10), which each program that uses it has its own copy of."""


class CppComparer(DeliveredComparer):
    """Compares what two versions of a library in C++ deliver."""

    package_rules = PackageRules(
        unverifiable="CPP-UNVERIFIABLE",
        added="C-LIBRARY-ADDED",
        removed="C-LIBRARY-REMOVED",
        target_removed="C-LIBRARY-REMOVED",
        certain=frozenset({"C-HEADER-BROKEN", "C-HEADER-REMOVED"}),
    )

    def placed(self, change: Change) -> Change:
        of_cpp = change.rule.startswith("CPP-") and change.rule not in _LINKED and change.rule != "CPP-SYMBOL-ADDED"
        if of_cpp and self._inner(change.symbol):
            return replace(change, rule="CPP-INTERNAL-CHANGED", cause="")
        if change.rule.startswith("C-EXPORT-"):
            return replace(change, symbol=self._by_link.get(change.symbol, change.symbol))
        return change

    def _inner(self, symbol: str) -> bool:
        return any(view.kept_inside(symbol) for view in self._views) and all(
            view.kept_inside(symbol) for view in self._views if symbol in view.symbols
        )

    def note(self, changes: Iterator[Change]) -> None:
        """Add changes that others found."""
        for change in changes:
            self.add(change.rule, change.symbol, change.old, change.new, cause=change.cause, at=change.at)

    _views: tuple[View, View] = (View({}), View({}))

    def compare_whole(self) -> None:
        before, after = self.old.snapshot.header, self.new.snapshot.header
        if before.toolchain != after.toolchain:
            why = _("they were read with {old} and {new}", old=before.toolchain, new=after.toolchain)
            self.add("CPP-UNVERIFIABLE", PACKAGE, undecided=why)
        if year(after.minimum) > year(before.minimum):
            self.add("CPP-STANDARD-RAISED", PACKAGE, before.minimum, after.minimum)
        if self._was.known and self._is.known and _strings(self._was) == {False} and _strings(self._is) == {True}:
            self.add("CPP-STRING-ABI-CHANGED", PACKAGE)

    def compare_package(self, old: ApiPackage, new: ApiPackage) -> None:
        if old.record.path == LIBRARIES:
            self._libraries()
            return
        self._views = (
            View.of(old.symbols, _named_otherwise(old.symbols, new.symbols)),
            View.of(new.symbols, _named_otherwise(new.symbols, old.symbols)),
        )
        before, after = (view.symbols for view in self._views)
        functions = FunctionComparer(*self._views, self._bound_link)
        gone = self._removed_scopes(before, after)
        for base, overloads in self._views[0].sets.items():
            if not self._inside(base, gone):
                self._overloads(functions, base, overloads)
        for name, symbol in before.items():
            if symbol["kind"] in (*FUNCTIONS, "header") or self._inside(name, gone):
                continue
            if (other := after.get(name)) is None:
                self.removed(PACKAGE, name, symbol)
            else:
                self.compare_symbol(PACKAGE, PACKAGE, name, symbol, other)
        self._headers(Headers(old.symbols), Headers(new.symbols), new.symbols)
        came = {n for n, s in after.items() if n not in before and s["kind"] in ("class", "module")}
        for base, overloads in self._views[1].sets.items():
            if base not in self._views[0].sets and _BUILT_IN.search(base) and not self._inside(base, gone):
                deleted = {
                    n: s
                    for n, s in overloads.items()
                    if s["facts"].get("deleted") or self._views[1].access(n) != "public"
                }
                for name, symbol in deleted.items():
                    self.add("CPP-OVERLOAD-DELETED-ADDED", name, "", text_of(symbol), at=place_of(symbol))
        for name, symbol in after.items():
            base = (symbol.get("facts") or {}).get("base", name)
            if name not in before and base not in self._views[0].sets and not self._inside(name, came):
                self.added(PACKAGE, name, symbol)

    def _removed_scopes(self, before: Mapping[str, Symbol], after: Mapping[str, Symbol]) -> set[str]:
        """Classes and namespaces that went: what is in them is not told of again."""
        return {
            name
            for name, symbol in before.items()
            if symbol["kind"] in ("class", "module") and (name not in after or after[name]["kind"] != symbol["kind"])
        }

    def _inside(self, name: str, scopes: set[str]) -> bool:
        return bool(scopes) and any(outer in scopes for outer in self._views[0].within(name))

    def _overloads(self, functions: FunctionComparer, base: str, overloads: Mapping[str, Symbol]) -> None:
        """An overload set: those that clients may use, and private ones as far as they are compiled in or overridden."""
        old, new = self._views
        shown = {n: s for n, s in overloads.items() if self._offered(old, n, s)}
        after = {n: s for n, s in new.sets.get(base, {}).items() if self._offered(new, n, s) or n in shown}
        other = new.symbols.get(base)
        if shown and not after and other is not None and other["kind"] not in FUNCTIONS:
            symbol = next(iter(shown.values()))
            self._kind(base, symbol, other)
            return
        for name in shown:
            if name in after:
                self.note(access_change(name, (old, new), place_of(after[name])))
        self.note(functions.compare(base, shown, after))

    @staticmethod
    def _offered(view: View, name: str, symbol: Symbol) -> bool:
        facts = symbol["facts"]
        return view.access(name) != "private" or bool(facts.get("virtual") or facts.get("inlined"))

    # -- libraries

    def _bound_link(self, link: str) -> bool | None:
        if not self._was.known or not self._is.known:
            return None
        return link not in self._was.exports or link in self._is.exports

    def _declared(self) -> set[str]:
        """The names that old programs may refer to: of what is not compiled in with them, and of the tables of classes."""
        package = self.old.package(PACKAGE)
        symbols = View.of(package.symbols if package else {}).symbols
        view, found = View.of(symbols), set()
        for name, symbol in symbols.items():
            facts = symbol.get("facts") or {}
            if (code := facts.get("encoded")) and not view.kept_inside(name):
                if facts.get("slots") or any(base[2] for base in facts.get("bases") or ()):
                    found |= {f"_ZT{kind}{code}" for kind in "ISTV"}
                else:
                    found |= {f"_ZT{kind}{code}" for kind in "IS"}
            if "link" not in facts or (facts.get("static") and symbol["kind"] in ("var", "func")):
                continue
            if symbol["kind"] in FUNCTIONS and (facts.get("inline") or not self._offered(view, name, symbol)):
                continue
            if not facts.get("inlined") and view.kept_inside(name):
                continue
            if symbol["kind"] == "var" and facts.get("inline"):
                continue
            found |= set(_forms(facts["link"]))
        return found

    @cached_property
    def _held(self) -> set[str]:
        """How linkers begin the names of instances that the headers say a library holds (Itanium C++ ABI 5.1.5)."""
        package = self.old.package(PACKAGE)
        symbols = package.symbols if package else {}
        own = {n.rpartition("::")[2] for n, s in symbols.items() if (s.get("facts") or {}).get("extern")}
        return {f"{len(name)}{name}I" for name in own}

    @cached_property
    def _by_link(self) -> dict[str, str]:
        """Names of linkers -> the declarations of the old version that they are of."""
        package = self.old.package(PACKAGE)
        found: dict[str, str] = {}
        for name, symbol in (package.symbols if package else {}).items():
            for link in _forms((symbol.get("facts") or {}).get("link", "")):
                found.setdefault(link, name)
        return found

    def _export(self, old: Symbol, scope: frozenset[str], came: list[str], declared: set[str]) -> None:
        name = old["facts"]["name"]
        if name not in declared and _OF_THE_STANDARD.match(name):
            return
        if name not in declared and any(code in name for code in self._held):
            declared = declared | {name}
        if _TABLES.match(name):  # nobody has their sizes compiled in: what stands in them is compared by the headers
            old = {**old, "facts": {key: value for key, value in old["facts"].items() if key != "size"}}
        super()._export(old, scope, came, declared)

    # -- headers

    def _include_dropped(self, header: str, name: str, lost: set[str], old: Headers, at: str) -> None:
        self.add("CPP-INCLUDE-DROPPED", header, name, "", at=at)

    # -- symbols

    def removed(self, path: str, name: str, symbol: Symbol) -> None:
        old, new = self._views
        facts = symbol.get("facts") or {}
        at = place_of(symbol)
        owner, _colons, member = name.rpartition("::")
        kind = symbol["kind"]
        if kind == "field" and old.access(name) == "private":
            return
        if kind in ("field", "var", "type", "const", "class") and owner and new.inherited(owner, member) is not None:
            return
        takes = facts.get("params") if kind == "macro" and facts.get("takes") else None
        if takes is not None and any(len(s["facts"]["params"]) == takes for s in new.sets.get(name, {}).values()):
            self.add("C-MACRO-BODY-CHANGED", name, text_of(symbol), name, at=at)
        elif kind == "class" and "<" in name.rpartition("::")[2]:
            self.add("CPP-SPECIALIZATION-REMOVED", name, text_of(symbol), "", at=at)
        elif old.access(name) != "private":
            rule = _REMOVED.get(kind, "CPP-TYPE-REMOVED")
            if facts.get("directive"):
                rule = "CPP-USING-DIRECTIVE-REMOVED"
            elif facts.get("using"):
                rule = "CPP-USING-REMOVED"
            enum = facts.get("enum")
            gone = enum if kind == "const" and enum and enum not in new.symbols else name
            cause = f"{owner} layout" if kind == "field" else f"- {gone}"
            self.add(rule, name, text_of(symbol), "", cause=cause, at=at)

    def added(self, path: str, name: str, symbol: Symbol) -> None:
        facts = symbol.get("facts") or {}
        at = place_of(symbol)
        owner = name.rpartition("::")[0]
        enum = facts.get("enum")
        if (
            symbol["kind"] == "class"
            and "<" in name.rpartition("::")[2]
            and name.partition("<")[0] in self._views[0].symbols
        ):
            self.add("CPP-SPECIALIZATION-ADDED", name, "", text_of(symbol), at=at)
            self._lacking(name, at)
        elif symbol["kind"] == "method" and (hidden := self._hides(name, symbol)):
            self.add("CPP-MEMBER-HIDES", name, hidden, text_of(symbol), at=at)
        elif symbol["kind"] == "const" and enum and enum in self._views[0].symbols:
            self.add("CPP-ENUMERATOR-ADDED", name, "", text_of(symbol), at=at)
        elif self._views[1].access(name) == "private":
            return
        elif symbol["kind"] == "field" and owner in self._views[0].symbols:
            self.add("CPP-FIELD-ADDED", name, "", text_of(symbol), cause=f"{owner} layout", at=at)
        else:
            self.add("CPP-SYMBOL-ADDED", name, "", text_of(symbol), at=at)

    def _lacking(self, name: str, at: str) -> None:
        """What a new specialization lacks of what its template gave, where the arguments are not as new as it is."""
        old, new = self._views
        template, _angle, given = name.partition("<")
        if any(word in new.symbols and word not in old.symbols for word in re.findall(r"[\w:]+", given)):
            return
        for member, symbol in old.symbols.items():
            if not member.startswith(f"{template}::") or old.access(member) != "public" or symbol["kind"] == "header":
                continue
            rest = member[len(template) :]
            base = name + str((symbol.get("facts") or {}).get("base", member))[len(template) :]
            own = rest.partition("(")[0].rpartition("::")[2].lstrip("~") == template.rpartition("::")[2]
            if not own and base not in new.sets and name + rest not in new.symbols:
                rule = (
                    "CPP-FUNC-REMOVED"
                    if symbol["kind"] in FUNCTIONS
                    else _REMOVED.get(symbol["kind"], "CPP-TYPE-REMOVED")
                )
                self.add(rule, name + rest, text_of(symbol), "", cause=f"+ {name}", at=at)

    def _hides(self, name: str, symbol: Symbol) -> str:
        """What a new member function takes away from callers of one that a base class has ([class.member.lookup] in ISO
        C++); "" where it is the same, or a using declaration brings the others along."""
        old = self._views[0]
        owner, _colons, member = str(symbol["facts"]["base"]).rpartition("::")
        mine = self._views[1].sets.get(str(symbol["facts"]["base"]), {})
        for base in old.classes(owner)[1:]:
            for other in old.sets.get(f"{base}::{member}", ()):
                same = f"{owner}::{other[len(base) + 2 :]}"
                if old.access(other) != "private" and same not in mine:
                    return other
        return ""

    def compare_symbol(self, path: str, new_path: str, name: str, old: Symbol, new: Symbol) -> None:
        kind, at = old["kind"], place_of(new)
        if self._views[0].access(name) == "private" and kind not in ("field", "class"):
            return
        was, now = old.get("facts") or {}, new.get("facts") or {}
        if was.get("using") or now.get("using"):
            return  # what is brought stands under its own kind; what nobody could resolve is the clients' to tell
        if kind != new["kind"]:
            self._kind(name, old, new)
            return
        if kind != "macro":
            self.note(access_change(name, self._views, at))
        if kind == "class":
            self.note(class_changes(name, old, new, self._views))
        elif kind == "field":
            self.note(field_change(name, old, new, self._views))
        elif kind == "var":
            self._variable(name, was, now, at)
        elif kind == "const":
            if old["value"] != new["value"]:
                self.add("CPP-ENUMERATOR-VALUE-CHANGED", name, old["value"], new["value"], at=at)
            if now.get("unavailable") and not was.get("unavailable"):
                self.add("CPP-SYMBOL-UNAVAILABLE", name, at=at)
        elif kind == "macro":
            if rule := macro_change(name, old, new):
                self.add(rule, name, str(old.get("value", "")), str(new.get("value", "")), at=at)
        elif kind == "module":
            if was != now and was.get("alias"):
                self.add("CPP-NAMESPACE-ALIAS-CHANGED", name, text_of(old), text_of(new), at=at)
        else:
            self._type(name, old, new, at)

    def _kind(self, name: str, old: Symbol, new: Symbol) -> None:
        texts = (_of_kind(symbol["kind"], text_of(symbol)) for symbol in (old, new))
        if old["kind"] == "class" and new.get("alias"):
            # Another class has its name; what differs for clients is what differs between both.
            self.add("CPP-CLASS-TO-ALIAS", name, *texts, at=place_of(new))
        elif old.get("alias") and new["kind"] == "class":
            self.add("CPP-ALIAS-CHANGED", name, *texts, at=place_of(new))
        elif old["kind"] == "macro" and old.get("value") in (new.get("value"), (new.get("facts") or {}).get("value")):
            self.add("C-MACRO-TO-CONST", name, *texts, at=place_of(new))
        else:
            self.add("CPP-KIND-CHANGED", name, *texts, at=place_of(new))

    def _type(self, name: str, old: Symbol, new: Symbol, at: str) -> None:
        was, now = old["facts"], new["facts"]
        texts = text_of(old), text_of(new)
        target = self._views[1].symbols.get(str(now.get("type", "")))
        if was.get("enum") and new.get("alias") and target is not None and (target.get("facts") or {}).get("enum"):
            self._type(name, old, target, at)
        elif bool(old.get("alias")) != bool(new.get("alias")) or bool(was.get("enum")) != bool(now.get("enum")):
            self.add("CPP-KIND-CHANGED", name, *texts, at=at)
        elif was.get("enum"):
            if bool(was.get("scoped")) != bool(now.get("scoped")):
                self.add("CPP-ENUM-SCOPED-CHANGED", name, *texts, at=at)
            if was["underlying"] != now["underlying"]:
                # Without a type of its own an enumeration may hold what its constants need ([dcl.enum] in ISO C++).
                rule = "CPP-ENUM-UNDERLYING-CHANGED"
                if not was.get("fixed") and not now.get("fixed") and old.get("size") == new.get("size"):
                    rule = "CPP-ENUM-SIGN-CHANGED"
                self.add(rule, name, *texts, at=at)
        elif was.get("concept") is not None:
            if was["concept"] != now.get("concept"):
                self.add("CPP-CONCEPT-CHANGED", name, *texts, at=at)
        elif rule := template_change(was.get("template"), now.get("template")):
            self.add(rule, name, *texts, at=at)
        elif was.get("type") != now.get("type"):
            self.add("CPP-ALIAS-CHANGED", name, *texts, at=at)

    def _variable(self, name: str, was: Mapping[str, Any], now: Mapping[str, Any], at: str) -> None:
        if was["type"] != now["type"]:
            self.add("CPP-VAR-TYPE-CHANGED", name, was["type"], now["type"], at=at)
        if was.get("constexpr") and not now.get("constexpr"):
            self.add("CPP-CONSTEXPR-REMOVED", name, was["type"], now["type"], at=at)
        elif was.get("value") is not None and now.get("value") is not None and was["value"] != now["value"]:
            self.add("CPP-CONST-VALUE-CHANGED", name, was["value"], now["value"], at=at)
        if bool(was.get("thread_local")) != bool(now.get("thread_local")):
            self.add("CPP-VAR-TLS-CHANGED", name, at=at)
        if now.get("unavailable") and not was.get("unavailable"):
            self.add("CPP-SYMBOL-UNAVAILABLE", name, at=at)
        link = was.get("link")
        if not link or was.get("inline") or self._bound_link(link) is not None:
            return
        if now.get("static") or now.get("inline"):
            self.add("CPP-FUNC-INLINED", name, at=at)
        elif now.get("link") != link:
            self.add("CPP-LINK-NAME-CHANGED", name, link, now.get("link", ""), at=at)
        elif now.get("visibility") in ("hidden", "internal") and not was.get("visibility"):
            self.add("CPP-SYMBOL-HIDDEN", name, at=at)


def _named_otherwise(symbols: Mapping[str, Symbol], others: Mapping[str, Symbol]) -> dict[str, str]:
    """Namespaces and enumerations of the other version that are names of others here."""
    found = {}
    for name, symbol in symbols.items():
        facts = symbol.get("facts") or {}
        target = str(facts.get("alias", "") if symbol["kind"] == "module" else facts.get("type", ""))
        before = others.get(name, {"kind": ""})
        was = before.get("facts") or {}
        if (
            target
            and symbol["kind"] == before["kind"]
            and ((symbol["kind"] == "module" and not was.get("alias")) or (symbol.get("alias") and was.get("enum")))
        ):
            found[name] = target
    return found


def _forms(link: str) -> Iterator[str]:
    """A name and those of the further forms of a constructor or destructor: for a base, and with deletion (Itanium C++ ABI
    5.1.4.3)."""
    yield link
    if match := re.search(r"([CD])1(?=E)", link):
        for number in "02":
            yield f"{link[: match.start()]}{match[1]}{number}{link[match.end() :]}"


def _strings(libraries: Libraries) -> set[bool]:
    """Whether names of a library have the present std::string in them, the old one, or either."""
    found = set()
    for name in libraries.exports:
        if _OF_THE_STANDARD.match(name):
            continue
        if "__cxx11" in name:
            found.add(True)
        elif re.search(r"(?:E|[A-Za-z])(?:RK|R|PK|P)?Ss", name):
            found.add(False)
    return found


def _of_kind(kind: str, text: str) -> Message:
    return _("{kind} {text}", kind=word(KINDS, kind), text=text)
