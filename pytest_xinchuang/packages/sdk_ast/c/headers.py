"""Headers of a version as clients include them, one by one, by libclang: what C and C++ share of reading them."""

from __future__ import annotations

import ctypes
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.c.delivered import STANDARD, TRIPLES, Delivered, arguments, delivered, included
from pytest_xinchuang.packages.sdk_ast.c.libraries import LIBRARIES, read_libraries
from pytest_xinchuang.packages.sdk_ast.c.macros import evaluated, guards_of, macro, probes
from pytest_xinchuang.packages.sdk_ast.c.texts import Texts
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
    """One header as a client of its own includes it.

    Attributes:
        errors: what is wrong where a client includes nothing before it.
        standard: nothing is, where it includes the standard's headers before it.
    """

    header: Path
    errors: list[Error]
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
class HeadersReader:
    """What the headers of one version declare, for one target, by name.

    Attributes:
        cxx: clients are written in C++.
        usual: includes of the standard's headers that programs have before a header that does not stand by itself.
    """

    source: Delivered
    target: str
    flags: tuple[str, ...] = ()
    cxx: bool = False
    usual: str = STANDARD
    symbols: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    texts: Texts = field(default_factory=Texts)
    _views: dict[Path, dict[Path, set[str]]] = field(default_factory=dict)
    """Header whose client was looked at -> file that it brings along -> what that declares there."""
    _meant: dict[Path, set[str]] = field(default_factory=dict)
    """Header -> the names that mean something else with it than with others."""
    _viewer: dict[Path, Path] = field(default_factory=dict)
    """Header -> the one whose client shows all that a client of its own would see."""
    _guards: dict[Path, frozenset[str]] = field(default_factory=dict)
    _files: dict[str, Path | None] = field(default_factory=dict)

    @cached_property
    def _names(self) -> dict[Path, str]:
        """Header, behind links -> what a client writes between ``<`` and ``>``."""
        return {h.resolve(): self.source.name(h) for h in reversed(self.source.headers)}

    def _read_headers(self, headers: Sequence[Path], known: Mapping[Path, Seen] = MappingProxyType({})) -> list[Seen]:
        """Look at all headers; what each is to a client of its own.

        Args:
            known: of some, what they are.
        """
        # Headers that include the most come first: what a clean one brings along need not stand on its own feet.
        order = sorted(headers, key=lambda h: (-h.read_bytes().count(b"#include"), h))
        clean: list[Seen] = []
        broken: list[Seen] = []
        for header in order:
            seen = known.get(header) or self._seen(header)
            (broken if seen.errors else clean).append(seen)
        for seen in self._chosen(clean):
            self._look(seen)
        for seen in broken:
            if seen.file not in self._viewer:
                seen.standard = FATAL_FILE not in said(seen.errors) and not errors_of(
                    self._include(seen, standard=True, bodies=True)
                )
                self._viewer[seen.file] = seen.file
                self._look(seen)
                for error in () if seen.standard else seen.errors:
                    self._problem(error)
        return [*clean, *broken]

    def _chosen(self, clean: Sequence[Seen]) -> list[Seen]:
        """The headers whose clients show all that those of the others would see; those that others bring along come first."""
        by_file = {seen.file: seen for seen in clean}
        chosen: list[Seen] = []
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

    def _head(self, seen: Seen, *, standard: bool = False) -> str:
        """The first lines of a client of a header."""
        name = self.source.name(seen.header)
        return included(f"<{name}>", standard=standard or seen.standard, usual=self.usual)

    def _include(
        self,
        seen: Seen,
        *,
        cxx: bool | None = None,
        macros: bool = False,
        bodies: bool = False,
        standard: bool = False,
    ) -> Any:
        text = self._head(seen, standard=standard)
        return self._parse(text, cxx=self.cxx if cxx is None else cxx, macros=macros, bodies=bodies)

    def _seen(self, header: Path) -> Seen:
        seen = Seen(header, [], set(), set())
        unit = self._include(seen, bodies=True)
        errors = errors_of(unit)
        reaches, system = {seen.file}, set()
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
        head = self._head(seen)
        unit = self._parse(head + text, cxx=self.cxx, macros=False)
        known = evaluated(unit, order, head.count("\n") + 1, _CLIENT)
        for name, facts in known.items():
            macros[name] |= facts
        # After a fatal error the compiler sees nothing of the probes.
        return {name for name in order if name not in known} if seen.usable else set()

    def _macro(self, cursor: Any, path: Path) -> list[tuple[str, dict[str, Any]]]:
        """A macro that is no guard of its header."""
        if path not in self._guards:
            self._guards[path] = guards_of(path)
        symbol = macro(cursor)
        return [] if not symbol["value"] and cursor.spelling in self._guards[path] else [(cursor.spelling, symbol)]

    def _declared_by(self, seen: Seen) -> set[str]:
        """What a header declares, by itself and by parts that are no headers of their own."""
        view = self._views.get(self._viewer.get(seen.file, seen.file), {})
        declares = set(view.get(seen.file, ()))
        for file in seen.reaches - self._names.keys():
            declares |= view.get(file, set())
        if seen.file in self._views:
            declares |= self._meant.get(seen.file, set())
            for file, names in view.items():
                if file != seen.file and file in self._views:
                    declares |= names - self._views[file].get(file, set())
        return declares

    def _hidden_by(self, seen: Seen) -> set[str]:
        """What headers declare by themselves that this one brings along, and its own clients do not get."""
        if not seen.usable:
            return set()
        view = self._views.get(self._viewer.get(seen.file, seen.file), {})
        shown, declared = set(view.get(seen.file, ())), set()
        for file in seen.reaches - {seen.file}:
            shown |= view.get(file, set())
            declared |= self._views.get(file, {}).get(file, set())
        return declared - shown

    def _record_of(self, seen: Seen, cxx: bool | None) -> None:
        """The record of a header: what a client that includes it alone gets; ``cxx``: whether it does in C++ as well."""
        self.symbols[f"<{self.source.name(seen.header)}>"] = {
            "kind": "header",
            "at": seen.header.relative_to(self.source.place).as_posix(),
            "facts": {
                "declares": sorted(self._declared_by(seen)),
                "hides": sorted(self._hidden_by(seen)),
                "reaches": sorted(self._names[file] for file in seen.reaches & self._names.keys() - {seen.file}),
                "system": sorted(seen.system),
                "alone": not seen.errors,
                "usable": seen.usable,
                "cxx": cxx,
                "why": said(seen.errors),
            },
        }

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
