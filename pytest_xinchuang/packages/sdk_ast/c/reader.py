"""C headers, read by libclang for each target: what each brings along, in C and as C++ sees it."""

from __future__ import annotations

import ctypes
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.c.delivered import (
    CXX_SUFFIXES,
    TRIPLES,
    Delivered,
    arguments,
    delivered,
    included,
)
from pytest_xinchuang.packages.sdk_ast.c.libraries import LIBRARIES, read_libraries
from pytest_xinchuang.packages.sdk_ast.c.macros import evaluated, guards_of, macro, probes
from pytest_xinchuang.packages.sdk_ast.c.texts import Texts
from pytest_xinchuang.packages.sdk_ast.c.types import PACKAGE, fields, tree, unnamed
from pytest_xinchuang.packages.sdk_ast.words import listed
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot

_CLIENT = "client.c"
FATAL_FILE = "file not found"
"""Of a compiler that lacks a header: it says nothing of the header that asks for it."""
_ATTRIBUTES = {
    "noreturn": re.compile(r"\b_?_?[Nn]oreturn\b"),
    "nodiscard": re.compile(r"\b(warn_unused_result|nodiscard)\b"),
    "deprecated": re.compile(r"\bdeprecated\b"),
    "unavailable": re.compile(r"\bunavailable\b|__attribute__\(\(error\("),
    "weak": re.compile(r"__attribute__\(\(weak\)\)"),
}
"""Facts of a declaration, as clang writes its attributes down."""


@dataclass(frozen=True)
class _Error:
    """What clang complains of; its own record dies with the unit."""

    file: str
    line: int
    text: str


@dataclass
class _Seen:
    """One header as a client of its own includes it.

    Attributes:
        errors: what is wrong where a client includes nothing before it.
        standard: nothing is, where it includes the standard's headers before it.
    """

    header: Path
    errors: list[_Error]
    reaches: set[Path]
    system: set[str]
    standard: bool = False

    @property
    def file(self) -> Path:
        """The header itself, behind a link."""
        return self.header.resolve()

    @property
    def usable(self) -> bool:
        """Whether there is a client that gets all of it."""
        return self.standard or not self.errors


@dataclass
class HeaderReader:
    """The declarations of one version's headers, for one target."""

    source: Delivered
    target: str
    flags: tuple[str, ...] = ()
    symbols: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    _views: dict[Path, dict[Path, set[str]]] = field(default_factory=dict)
    """Header whose client was looked at -> file that it brings along -> what that declares there."""
    _meant: dict[Path, set[str]] = field(default_factory=dict)
    """Header -> the names that mean something else with it than with others."""
    _viewer: dict[Path, Path] = field(default_factory=dict)
    """Header -> the one whose client shows all that a client of its own would see."""
    texts: Texts = field(default_factory=Texts)
    _guards: dict[str, frozenset[str]] = field(default_factory=dict)
    _mangled: dict[str, str] = field(default_factory=dict)
    _files: dict[str, Path | None] = field(default_factory=dict)
    _read: dict[tuple[Any, ...], list[tuple[str, dict[str, Any]]]] = field(default_factory=dict)
    _in_cxx: dict[Path, list[_Error]] = field(default_factory=dict)

    @cached_property
    def _names(self) -> dict[Path, str]:
        """Header, behind links -> what a client writes between ``<`` and ``>``."""
        return {h.resolve(): self.source.name(h) for h in reversed(self.source.headers)}

    def read(self) -> None:
        """Read all headers.

        Raises:
            HostFault: libclang does not read at all.
        """
        plain = [h for h in self.source.headers if h.suffix not in CXX_SUFFIXES]
        # Headers that include the most come first: what a clean one brings along need not stand on its own feet.
        order = sorted(plain, key=lambda h: (-h.read_bytes().count(b"#include"), h))
        clean: list[_Seen] = []
        broken: list[_Seen] = []
        for header in order:
            seen = self._seen(header)
            (broken if seen.errors else clean).append(seen)
        for seen in self._chosen(clean):
            self._look(seen)
        for seen in broken:
            if seen.file not in self._viewer:
                seen.standard = FATAL_FILE not in _said(seen.errors) and not _errors(self._include(seen, standard=True))
                self._viewer[seen.file] = seen.file
                self._look(seen)
                for error in () if seen.standard else seen.errors:
                    self._problem(error)
        for seen in (*clean, *broken):
            self._header(seen)
        for header in self.source.headers:
            if header.suffix in CXX_SUFFIXES:
                self._unread(header)
        for name, mangled in self._mangled.items():
            if name in self.symbols and self.symbols[name]["kind"] in ("func", "var"):
                self.symbols[name].setdefault("facts", {})["cxx"] = mangled

    def _chosen(self, clean: Sequence[_Seen]) -> list[_Seen]:
        """The headers whose clients show all that those of the others would see; those that others bring along come first."""
        by_file = {seen.file: seen for seen in clean}
        chosen: list[_Seen] = []
        for seen in clean:
            if seen.file in self._viewer:
                continue
            chosen.append(seen)
            self._viewer[seen.file] = seen.file
            for file in seen.reaches:
                inner = by_file.get(file)
                around = seen.reaches - inner.reaches if inner else set()
                if inner is None or not any(self.texts.touches(a, b) for a in around for b in inner.reaches):
                    self._viewer.setdefault(file, seen.file)
        brought = {file for seen in chosen for file in seen.reaches - {seen.file}}
        return sorted(chosen, key=lambda seen: seen.file not in brought)

    # -- one client for each header

    def _parse(self, text: str, *, cxx: bool, macros: bool) -> Any:
        from clang import cindex

        options = cindex.TranslationUnit.PARSE_SKIP_FUNCTION_BODIES
        if macros:
            options |= cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD
        try:
            return cindex.Index.create().parse(
                _CLIENT,
                args=arguments(self.source, self.target, self.flags, cxx=cxx),
                unsaved_files=[(_CLIENT, text)],
                options=options,
            )
        except cindex.TranslationUnitLoadError as error:
            raise HostFault(_("libclang does not read {name}: {why}", name=verbatim(text), why=error)) from error

    def _include(self, seen: _Seen, *, cxx: bool = False, macros: bool = False, standard: bool = False) -> Any:
        text = included(f"<{self.source.name(seen.header)}>", standard=standard or seen.standard)
        return self._parse(text, cxx=cxx, macros=macros)

    def _seen(self, header: Path) -> _Seen:
        seen = _Seen(header, [], set(), set())
        unit = self._include(seen)
        errors = _errors(unit)
        reaches, system = {seen.file}, set()
        for inclusion in unit.get_includes():
            path = self._own(inclusion.include.name)
            if path is not None:
                reaches.add(path)
            elif name := _system_name(inclusion.include.name):
                system.add(name)
        return _Seen(header, errors, reaches, system)

    def _look(self, seen: _Seen) -> None:
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

    def _own(self, file: str) -> Path | None:
        """The path of a file of the library; None for any other."""
        if file not in self._files:
            path = Path(file).resolve()
            self._files[file] = path if path.is_relative_to(self.source.place) else None
        return self._files[file]

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

    def _evaluate(self, seen: _Seen, macros: dict[str, dict[str, Any]]) -> set[str]:
        """Give macros the values that they have at the end of a header; returns those that it undefined again."""
        text, order = probes(macros)
        if not order:
            return set()
        head = included(f"<{self.source.name(seen.header)}>", standard=seen.standard)
        unit = self._parse(head + text, cxx=False, macros=False)
        known = evaluated(unit, order, head.count("\n") + 1, _CLIENT)
        for name, facts in known.items():
            macros[name] |= facts
        # After a fatal error the compiler sees nothing of the probes.
        return {name for name in order if name not in known} if seen.usable else set()

    def _as_cxx(self, seen: _Seen) -> None:
        unit = self._include(seen, cxx=True)
        self._in_cxx[seen.file] = _errors(unit)
        if self._in_cxx[seen.file]:
            return
        for cursor in _flat(unit.cursor):
            if cursor.kind.name in ("FUNCTION_DECL", "VAR_DECL") and not cursor.location.is_in_system_header:
                self._mangled.setdefault(cursor.spelling, cursor.mangled_name)

    def _header(self, seen: _Seen) -> None:
        """The record of a header: what a client that includes it alone gets."""
        place, known = self.source.place, self._names.keys()
        view = self._views.get(self._viewer.get(seen.file, seen.file), {})
        declares = set(view.get(seen.file, ()))
        for file in seen.reaches - known:
            declares |= view.get(file, set())
        if seen.file in self._views:
            declares |= self._meant.get(seen.file, set())
            for file, names in view.items():
                if file != seen.file and file in self._views:
                    declares |= names - self._views[file].get(file, set())
        cxx: bool | None = False
        if seen.usable:
            if seen.file not in self._in_cxx:
                self._in_cxx[seen.file] = _errors(self._include(seen, cxx=True))
            errors = self._in_cxx[seen.file]
            cxx = None if FATAL_FILE in _said(errors) else not errors
        self.symbols[f"<{self.source.name(seen.header)}>"] = {
            "kind": "header",
            "at": seen.header.relative_to(place).as_posix(),
            "facts": {
                "declares": sorted(declares),
                "reaches": sorted(self._names[file] for file in seen.reaches & known - {seen.file}),
                "system": sorted(seen.system),
                "alone": not seen.errors,
                "usable": seen.usable,
                "cxx": cxx,
                "why": _said(seen.errors),
            },
        }

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
            if str(path) not in self._guards:
                self._guards[str(path)] = guards_of(path)
            symbol = macro(cursor)
            return [] if not symbol["value"] and name in self._guards[str(path)] else [(name, symbol)]
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

    def _at(self, path: Path, line: int) -> str:
        return f"{path.relative_to(self.source.place).as_posix()}:{line}"

    def _problem(self, error: _Error) -> None:
        path = Path(error.file).resolve() if error.file else self.source.place
        place = self.source.place
        shown = path.relative_to(place).as_posix() if path.is_relative_to(place) else path.name
        record = {"file": shown, "line": error.line or None, "message": error.text}
        if record not in self.problems:
            self.problems.append(record)


def _errors(unit: Any) -> list[_Error]:
    return [
        _Error(d.location.file.name if d.location.file else "", d.location.line, d.spelling)
        for d in unit.diagnostics
        if d.severity >= 3  # CXDiagnostic_Error, clang-c/Index.h
    ]


def _flat(cursor: Any) -> list[Any]:
    """Declarations of a unit, those in ``extern "C"`` among them."""
    found = []
    for child in cursor.get_children():
        if child.kind.name in ("LINKAGE_SPEC", "UNEXPOSED_DECL"):
            found += _flat(child)
        else:
            found.append(child)
    return found


def _system_name(path: str) -> str:
    """How a client includes a header of the system; "" for one that is a part of others."""
    match = re.search(r"/include/(?:[a-z0-9_]+-linux-[a-z]+/|generic-glibc/)?((?:[\w+-]+/)*[\w.+-]+)$", path)
    name = match[1] if match else ""
    internal = re.match(r"bits/|asm|gnu/|_|features|stdc-predef|sys/cdefs|linux/(posix_types|stddef|compiler)", name)
    return "" if internal or not name.endswith(".h") else name


def _said(errors: Sequence[_Error]) -> str:
    """The first error without its place; those about files that are not there come first, for they make all others."""
    texts = [error.text for error in errors]
    return next((t for t in texts if FATAL_FILE in t), texts[0] if texts else "")


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
    printed = _pretty(cursor).partition("{" if symbol["kind"] == "func" else "\0")[0]
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


def _pretty(cursor: Any) -> str:
    from clang import cindex

    ask = cindex.conf.lib.clang_getCursorPrettyPrinted
    ask.argtypes, ask.restype = [cindex.Cursor, ctypes.c_void_p], cindex._CXString
    ask.errcheck = cindex._CXString.from_result
    return str(ask(cursor, None))


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
    with optional("sdk_ast"):
        import clang.cindex  # noqa: F401
    source = delivered(root)
    for target in targets:
        if target not in TRIPLES:
            raise XcError(
                _("{target} is no target that C can be read for", target=verbatim(repr(target))),
                mend=_("one of {names}", names=listed(TRIPLES)),
            )
    variants = []
    for target in targets:
        reader = HeaderReader(source, target, tuple(flags))
        reader.read()
        variants.append((target, reader.symbols, reader.problems))
    packages = [
        (PACKAGE, "", _digest(source.place, source.every, [source.name(header) for header in source.headers]), variants)
    ]
    if source.libraries and not root.is_file():
        exports, problems = read_libraries(source.place, source.libraries)
        held = [(target, exports.get(target, {}), problems) for target in targets]
        packages.append((LIBRARIES, "", _digest(source.place, source.libraries), held))
    first = {"language": "c", "name": PACKAGE, "version": version, "toolchain": "libclang", "targets": list(targets)}
    write_snapshot(output, first, packages)


def _digest(place: Path, files: Sequence[Path], names: Sequence[str] = ()) -> str:
    total = hashlib.sha256("\n".join(names).encode())
    for file in files:
        total.update(file.relative_to(place).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return "sha256:" + total.hexdigest()
