"""Headers of a version as clients include them, one by one, by libclang: what C and C++ share of reading them."""

from __future__ import annotations

import ctypes
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.c.delivered import TRIPLES, Delivered, arguments, delivered
from pytest_xinchuang.packages.sdk_ast.c.libraries import LIBRARIES, read_libraries
from pytest_xinchuang.packages.sdk_ast.c.macros import evaluated, guard_of, macro, probes
from pytest_xinchuang.packages.sdk_ast.c.types import PACKAGE
from pytest_xinchuang.packages.sdk_ast.words import listed
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot

_CLIENT = "client.c"
FATAL_FILE = "file not found"
"""Of a compiler that lacks a header: it says nothing of the header that asks for it."""


@dataclass(frozen=True)
class Error:
    """What clang complains of; its own record dies with the unit."""

    file: str
    line: int
    text: str


@dataclass
class Seen:
    """One header as a client of its own includes it."""

    header: Path
    errors: list[Error]
    reaches: set[Path]
    system: set[str]


@dataclass
class HeadersReader:
    """What the headers of one version declare, for one target, by name.

    Attributes:
        cxx: clients are written in C++.
    """

    source: Delivered
    target: str
    flags: tuple[str, ...] = ()
    cxx: bool = False
    symbols: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    _declares: dict[Path, set[str]] = field(default_factory=dict)
    _guards: dict[Path, str] = field(default_factory=dict)
    _files: dict[str, Path | None] = field(default_factory=dict)

    def _read_headers(self, headers: Sequence[Path]) -> list[Seen]:
        """Look at all headers; what each is to a client of its own."""
        # Headers that include the most come first: what a clean one brings along need not stand on its own feet.
        order = sorted(headers, key=lambda h: (-h.read_bytes().count(b"#include"), h))
        covered: set[Path] = set()
        clean: list[Seen] = []
        broken: list[Seen] = []
        for header in order:
            seen = self._seen(header)
            (broken if seen.errors else clean).append(seen)
        for seen in clean:
            if seen.header not in covered:
                self._look(seen)
                covered |= seen.reaches
        for seen in broken:
            if seen.header not in covered:
                self._look(seen)
                for error in seen.errors:
                    self._problem(error)
        return [*clean, *broken]

    def _look(self, seen: Seen) -> None:
        """Take down what a client of a header sees."""
        raise NotImplementedError

    def _arguments(self, *, cxx: bool) -> list[str]:
        return arguments(self.source, self.target, self.flags, cxx=cxx)

    def _parse(self, text: str, *, cxx: bool, macros: bool, bodies: bool = False) -> Any:
        from clang import cindex

        options = cindex.TranslationUnit.PARSE_SKIP_FUNCTION_BODIES if not bodies else 0
        if macros:
            options |= cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD
        try:
            return cindex.Index.create().parse(
                _CLIENT,
                args=self._arguments(cxx=cxx),
                unsaved_files=[(_CLIENT, text)],
                options=options,
            )
        except cindex.TranslationUnitLoadError as error:
            raise HostFault(_("libclang does not read {name}: {why}", name=verbatim(text), why=error)) from error

    def _include(self, header: Path, *, cxx: bool | None = None, macros: bool = False, bodies: bool = False) -> Any:
        text = f"#include <{self.source.name(header)}>\n"
        return self._parse(text, cxx=self.cxx if cxx is None else cxx, macros=macros, bodies=bodies)

    def _seen(self, header: Path) -> Seen:
        unit = self._include(header, bodies=True)
        errors = errors_of(unit)
        reaches, system = {header}, set()
        for inclusion in unit.get_includes():
            path = self._own(inclusion.include.name)
            if path is not None:
                reaches.add(path)
            elif name := _system_name(inclusion.include.name):
                system.add(name)
        return Seen(header, errors, reaches, system)

    def _own(self, file: str) -> Path | None:
        """The path of a file of the library; None for any other."""
        if file not in self._files:
            path = Path(file).resolve()
            self._files[file] = path if path.is_relative_to(self.source.place) else None
        return self._files[file]

    def _evaluate(self, seen: Seen, macros: dict[str, dict[str, Any]]) -> set[str]:
        """Give macros the values that they have at the end of a header; returns those that it undefined again."""
        text, order = probes(macros)
        if not order:
            return set()
        unit = self._parse(f"#include <{self.source.name(seen.header)}>\n{text}", cxx=self.cxx, macros=False)
        known = evaluated(unit, order, 2, _CLIENT)
        for name, facts in known.items():
            macros[name] |= facts
        # After a fatal error the compiler sees nothing of the probes.
        return set() if seen.errors else {name for name in order if name not in known}

    def _macro(self, cursor: Any, path: Path) -> list[tuple[str, dict[str, Any]]]:
        """A macro that is no guard of its header."""
        if path not in self._guards:
            self._guards[path] = guard_of(path)
        symbol = macro(cursor)
        return [] if not symbol["value"] and cursor.spelling == self._guards[path] else [(cursor.spelling, symbol)]

    def _declared_by(self, seen: Seen) -> set[str]:
        """What a header declares, by itself and by parts that are no headers of their own."""
        declares = set(self._declares.get(seen.header, ()))
        for header in seen.reaches - set(self.source.headers):
            declares |= self._declares.get(header, set())
        return declares

    def _at(self, path: Path, line: int) -> str:
        return f"{path.relative_to(self.source.place).as_posix()}:{line}"

    def _problem(self, error: Error) -> None:
        path = Path(error.file).resolve() if error.file else self.source.place
        place = self.source.place
        shown = path.relative_to(place).as_posix() if path.is_relative_to(place) else path.name
        record = {"file": shown, "line": error.line or None, "message": error.text}
        if record not in self.problems:
            self.problems.append(record)


def errors_of(unit: Any) -> list[Error]:
    return [
        Error(d.location.file.name if d.location.file else "", d.location.line, d.spelling)
        for d in unit.diagnostics
        if d.severity >= 3  # CXDiagnostic_Error, clang-c/Index.h
    ]


def flat(cursor: Any) -> list[Any]:
    """Declarations of a unit, those in ``extern "C"`` among them."""
    found = []
    for child in cursor.get_children():
        if child.kind.name in ("LINKAGE_SPEC", "UNEXPOSED_DECL"):
            found += flat(child)
        else:
            found.append(child)
    return found


def _system_name(path: str) -> str:
    """How a client includes a header of the system; "" for one that is a part of others."""
    match = re.search(r"/include/(?:[a-z0-9_]+-linux-[a-z]+/|generic-glibc/)?((?:[\w+-]+/)*[\w.+-]+)$", path)
    name = match[1] if match else ""
    internal = re.match(r"bits/|asm|gnu/|_|features|stdc-predef|sys/cdefs|linux/(posix_types|stddef|compiler)", name)
    return "" if internal or not name.endswith(".h") else name


def said(errors: Sequence[Error]) -> str:
    """The first error without its place; those about files that are not there come first, for they make all others."""
    texts = [error.text for error in errors]
    return next((t for t in texts if FATAL_FILE in t), texts[0] if texts else "")


def pretty(cursor: Any) -> str:
    from clang import cindex

    ask = cindex.conf.lib.clang_getCursorPrettyPrinted
    ask.argtypes, ask.restype = [cindex.Cursor, ctypes.c_void_p], cindex._CXString
    ask.errcheck = cindex._CXString.from_result
    return str(ask(cursor, None))


def write_delivered(
    root: Path,
    targets: Sequence[str],
    output: Path,
    first: Mapping[str, Any],
    read: Callable[[Delivered, str], HeadersReader],
    more: Callable[[], Mapping[str, Any]] = dict,
) -> None:
    """Write the snapshot of what is delivered: headers as ``read`` reads them for a target, and shared libraries.

    Args:
        root: a directory, or one header of which what it brings along is read.
        first: of the first record, what is not the same for C and C++.
        more: of it, what is known when all is read.

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
    readers = [(target, read(source, target)) for target in targets]
    variants = [(target, reader.symbols, reader.problems) for target, reader in readers]
    names = [source.name(header) for header in source.headers]
    packages = [(PACKAGE, "", _digest(source.place, source.every, names), variants)]
    if source.libraries and not root.is_file():
        exports, problems = read_libraries(source.place, source.libraries)
        held = [(target, exports.get(target, {}), problems) for target in targets]
        packages.append((LIBRARIES, "", _digest(source.place, source.libraries), held))
    write_snapshot(output, {**first, **more(), "name": PACKAGE, "targets": list(targets)}, packages)


def _digest(place: Path, files: Sequence[Path], names: Sequence[str] = ()) -> str:
    total = hashlib.sha256("\n".join(names).encode())
    for file in files:
        total.update(file.relative_to(place).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return "sha256:" + total.hexdigest()
