"""C headers, read by libclang for each target: what each brings along, in C and as C++ sees it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_xinchuang.packages.sdk_ast.c.delivered import CXX_SUFFIXES, Delivered
from pytest_xinchuang.packages.sdk_ast.c.headers import (
    FATAL_FILE,
    Error,
    HeadersReader,
    Seen,
    errors_of,
    flat,
    pretty,
    said,
    write_delivered,
)
from pytest_xinchuang.packages.sdk_ast.c.types import PACKAGE, fields, tree, unnamed

_ATTRIBUTES = {
    "noreturn": re.compile(r"\b_?_?[Nn]oreturn\b"),
    "nodiscard": re.compile(r"\b(warn_unused_result|nodiscard)\b"),
    "deprecated": re.compile(r"\bdeprecated\b"),
    "unavailable": re.compile(r"\bunavailable\b|__attribute__\(\(error\("),
    "weak": re.compile(r"__attribute__\(\(weak\)\)"),
}
"""Facts of a declaration, as clang writes its attributes down."""


@dataclass
class HeaderReader(HeadersReader):
    """The declarations of one version's headers, for one target."""

    _mangled: dict[str, str] = field(default_factory=dict)
    _read: dict[tuple[Any, ...], list[tuple[str, dict[str, Any]]]] = field(default_factory=dict)
    _in_cxx: dict[Path, list[Error]] = field(default_factory=dict)

    def read(self) -> None:
        """Read all headers.

        Raises:
            HostFault: libclang does not read at all.
        """
        plain = [h for h in self.source.headers if h.suffix not in CXX_SUFFIXES]
        every = self._read_headers(plain)
        for seen in every:
            self._header(seen)
        for header in self.source.headers:
            if header.suffix in CXX_SUFFIXES:
                self._unread(header)
        for name, mangled in self._mangled.items():
            if name in self.symbols and self.symbols[name]["kind"] in ("func", "var"):
                self.symbols[name].setdefault("facts", {})["cxx"] = mangled

    # -- one client for each header

    def _look(self, seen: Seen) -> None:
        """Take down what a client of a header sees, in C, and how C++ calls it."""
        found: dict[str, tuple[dict[str, Any], Path]] = {}
        macros: dict[str, dict[str, Any]] = {}
        view = self._views.setdefault(seen.file, {})
        for cursor in self._include(seen, macros=True).cursor.get_children():
            location = cursor.location
            if location.is_in_system_header or location.file is None:
                continue
            path = self._own(location.file.name)
            if path is None:
                continue
            for name, declared in self._once(cursor, location.offset, path):
                symbol = dict(declared)
                if symbol["kind"] == "macro":
                    macros[name] = symbol
                symbol["at"] = self._at(path, location.line)
                kept = found.get(name)
                if kept is not None and kept[0]["kind"] == "macro" != symbol["kind"]:
                    # A declaration that a macro of its name hides from callers, and not from whoever takes its address.
                    symbol["facts"] = {**(symbol.get("facts") or {}), "macro": kept[0]["value"]}
                    macros.pop(name, None)
                    found[name] = (symbol, path)
                elif kept is None or symbol["kind"] == "macro" or _better(kept[0], symbol):
                    found[name] = (symbol, path)
                view.setdefault(path, set()).add(name)
        gone = self._evaluate(seen, macros)
        for name, (symbol, path) in found.items():
            if name in gone:
                view[path].discard(name)
                continue
            # What a header has another meaning for where it is brought along is that of whoever brings it along.
            self._keep(name, symbol, seen.file if path in self._views else path)
        if seen.usable:
            self._as_cxx(seen)

    def _once(self, cursor: Any, offset: int, path: Path) -> list[tuple[str, dict[str, Any]]]:
        """What a cursor declares, read once for all headers that bring it along: what its type says may differ among them."""
        kind = cursor.kind.name
        key = [path, offset, kind, cursor.spelling]
        if kind not in ("MACRO_DEFINITION", "INCLUSION_DIRECTIVE", "MACRO_INSTANTIATION"):
            t = cursor.type.get_canonical()
            key += [t.spelling, t.get_size() if kind != "FUNCTION_DECL" else 0]
        known = tuple(key)
        if known not in self._read:
            self._read[known] = self._declaration(cursor, path)
        return self._read[known]

    def _keep(self, name: str, symbol: dict[str, Any], path: Path) -> None:
        """A symbol under its name; under that of its header too where another header gives the name another meaning."""
        kept = self.symbols.get(name)
        if kept is None or _better(kept, symbol):
            self.symbols[name] = symbol
        elif _bare(kept) != _bare(symbol) and not _better(symbol, kept):
            self.symbols.setdefault(f"{name} <{self._names.get(path) or self.source.name(path)}>", symbol)
            self._meant.setdefault(path, set()).add(name)

    def _as_cxx(self, seen: Seen) -> None:
        unit = self._include(seen, cxx=True)
        self._in_cxx[seen.file] = errors_of(unit)
        if self._in_cxx[seen.file]:
            return
        for cursor in flat(unit.cursor):
            if cursor.kind.name in ("FUNCTION_DECL", "VAR_DECL") and not cursor.location.is_in_system_header:
                self._mangled.setdefault(cursor.spelling, cursor.mangled_name)

    def _header(self, seen: Seen) -> None:
        """The record of a header: what a client that includes it alone gets."""
        cxx: bool | None = False
        if seen.usable:
            if seen.file not in self._in_cxx:
                self._in_cxx[seen.file] = errors_of(self._include(seen, cxx=True))
            errors = self._in_cxx[seen.file]
            cxx = None if FATAL_FILE in said(errors) else not errors
        self._record_of(seen, cxx)

    def _unread(self, header: Path) -> None:
        """The record of a header of C++ alone: its text, so that a difference is not passed over."""
        digest = hashlib.sha256(header.read_bytes()).hexdigest()
        facts = {"declares": [], "reaches": [], "system": [], "alone": False, "usable": False,
                 "cxx": None, "why": "", "text": digest}  # fmt: skip
        at = header.relative_to(self.source.place).as_posix()
        self.symbols[f"<{self.source.name(header)}>"] = {"kind": "header", "at": at, "facts": facts}

    # -- declarations

    def _declaration(self, cursor: Any, path: Path) -> list[tuple[str, dict[str, Any]]]:
        kind, name = cursor.kind.name, cursor.spelling
        if kind == "FUNCTION_DECL":
            return [(name, _with_facts({"kind": "func", "type": tree(cursor.type)}, cursor))]
        if kind == "VAR_DECL":
            return [
                (name, _with_facts({"kind": "var", "type": tree(cursor.type), "size": cursor.type.get_size()}, cursor))
            ]
        if kind == "TYPEDEF_DECL":
            return self._typedef(cursor)
        if kind in ("STRUCT_DECL", "UNION_DECL") and not unnamed(cursor):
            return self._record(f"{kind[:-5].lower()} {name}", cursor)
        if kind == "ENUM_DECL":
            return _enum(cursor)
        if kind == "MACRO_DEFINITION":
            return self._macro(cursor, path)
        return []

    def _typedef(self, cursor: Any) -> list[tuple[str, dict[str, Any]]]:
        declared = cursor.underlying_typedef_type.get_canonical().get_declaration()
        under = cursor.underlying_typedef_type
        direct = under.get_canonical() == cursor.type.get_canonical() and under.kind.name in ("ELABORATED", "RECORD")
        if (
            declared.kind.name in ("STRUCT_DECL", "UNION_DECL")
            and unnamed(declared)
            and direct
            and self._ours(declared)
        ):
            return self._record(cursor.spelling, declared)
        return [(cursor.spelling, {"kind": "type", "alias": True, "type": tree(under), "size": under.get_size()})]

    def _record(self, name: str, cursor: Any) -> list[tuple[str, dict[str, Any]]]:
        what = "union" if cursor.kind.name == "UNION_DECL" else "struct"
        definition = cursor.get_definition()
        if definition is None:
            return [(name, {"kind": "type", "type": {"kind": what, "fields": [], "hidden": True}})]
        if not self._ours(definition):
            return []  # the system's, which only its own header completes
        t = definition.type
        symbol = {"kind": "type", "type": {"kind": what, "fields": list(fields(t, t))},
                  "size": t.get_size(), "align": t.get_align()}  # fmt: skip
        return [(name, symbol)]

    def _ours(self, cursor: Any) -> bool:
        file = cursor.location.file
        return file is not None and self._own(file.name) is not None


def _better(kept: dict[str, Any], symbol: dict[str, Any]) -> bool:
    """Whether a declaration tells more than the one before it: a struct with its members, a function that is defined."""
    if kept["kind"] != symbol["kind"]:
        return False
    if kept["kind"] == "type":
        return bool(kept["type"].get("hidden")) and not symbol["type"].get("hidden")
    if kept["kind"] == "func":
        facts, more = kept.get("facts") or {}, symbol.get("facts") or {}
        if bool(kept["type"].get("hidden")) > bool(symbol["type"].get("hidden")):
            return True
        # What one header has for itself is no definition of what another declares for a library.
        return len(more) > len(facts) and facts.get("static") == more.get("static")
    return bool(kept["kind"] == "var" and kept.get("size", 0) < symbol.get("size", 0))


def _bare(symbol: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
    static = bool((symbol.get("facts") or {}).get("static"))
    return static, {key: value for key, value in symbol.items() if key not in ("at", "facts")}


def _enum(cursor: Any) -> list[tuple[str, dict[str, Any]]]:
    name = "" if unnamed(cursor) else f"enum {cursor.spelling}"
    owner = {"kind": "named", "package": PACKAGE, "name": name} if name else {"kind": "basic", "name": "int"}
    found = [
        (constant.spelling, {"kind": "const", "type": owner, "value": str(constant.enum_value)})
        for constant in cursor.get_children()
        if constant.kind.name == "ENUM_CONSTANT_DECL"
    ]
    if name and (found or cursor.is_definition()):
        symbol = {
            "kind": "type",
            "type": {"kind": "enum", "elem": tree(cursor.enum_type)},
            "size": cursor.type.get_size(),
        }
        found.append((name, symbol))
    return found


def _with_facts(symbol: dict[str, Any], cursor: Any) -> dict[str, Any]:
    """A function or variable with what its attributes and its storage say."""
    from clang import cindex

    # The body of a function is none of it; of a variable, what it begins with is.
    printed = pretty(cursor).partition("{" if symbol["kind"] == "func" else "\0")[0]
    text = f"{printed} {cursor.type.spelling}"
    facts: dict[str, Any] = {name: True for name, pattern in _ATTRIBUTES.items() if pattern.search(text)}
    if match := re.search(r'visibility\("(hidden|internal|protected)"\)', printed):
        facts["visibility"] = match[1]
    if cursor.storage_class == cindex.StorageClass.STATIC:
        facts["static"] = True
        if symbol["kind"] == "var" and "const" in (symbol["type"].get("qualifiers") or ()) and " = " in printed:
            facts["value"] = _plain(printed.partition(" = ")[2])
    elif re.search(r"\binline\b", printed):
        facts["inline"] = True
    if symbol["kind"] == "var" and cursor.tls_kind != cindex.TLSKind.NONE:
        facts["tls"] = True
    if cursor.mangled_name != cursor.spelling:
        facts["link"] = cursor.mangled_name  # an assembler's name (GNU C, asm labels)
    return {**symbol, "facts": facts} if facts else symbol


def _plain(value: str) -> str:
    """An initializer, a number of which is decimal."""
    digits = value.strip(" ()")
    try:
        return str(int(digits.rstrip("uUlL"), 0))
    except ValueError:
        return value.strip()


def extract_c(
    root: Path, targets: Sequence[str], output: Path, *, version: str = "", flags: Sequence[str] = ()
) -> None:
    """Write the snapshot of what is delivered: headers, and the shared libraries beside them.

    Args:
        root: a directory, or one header of which what it brings along is read.

    Raises:
        XcError: there is no header, or a target that is not known.
        HostFault: libclang is not there.
    """

    def read(source: Delivered, target: str) -> HeadersReader:
        reader = HeaderReader(source, target, tuple(flags))
        reader.read()
        return reader

    first = {"language": "c", "version": version, "toolchain": "libclang"}
    write_delivered(root, targets, output, first, read)
