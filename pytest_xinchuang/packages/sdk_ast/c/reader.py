"""C headers, read by libclang for each target."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import HostFault, ToolchainFault, XcError
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.words import listed
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot
from pytest_xinchuang.toolchain.builder import find_zig

TRIPLES = {
    "linux/amd64": ("x86_64-linux-gnu", "x86"),
    "linux/arm64": ("aarch64-linux-gnu", "aarch64"),
    "linux/loong64": ("loongarch64-linux-gnu", "loongarch"),
}
"""Target -> clang's triple, and what zig calls its headers."""

PACKAGE = "include"
"""All headers of a library are one package: a client that includes one gets what it includes."""


@dataclass
class _HeaderReader:
    """The declarations of one directory of headers, for one target."""

    root: Path
    symbols: dict[str, dict[str, Any]] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)

    def read(self, headers: Sequence[Path], arguments: list[str]) -> None:
        from clang import cindex

        index = cindex.Index.create()
        options = (
            cindex.TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD | cindex.TranslationUnit.PARSE_SKIP_FUNCTION_BODIES
        )
        # Headers that include the most come first: what a clean one brings along need not stand on its own feet.
        order = sorted(headers, key=lambda h: (-h.read_bytes().count(b"#include"), h))
        covered: set[Path] = set()
        broken: list[tuple[Path, Any, list[Any]]] = []
        for header in order:
            if header in covered:
                continue
            name = header.relative_to(self.root).as_posix()
            try:
                unit = index.parse(
                    "client.c", args=arguments, unsaved_files=[("client.c", f'#include "{name}"\n')], options=options
                )
            except cindex.TranslationUnitLoadError as error:
                raise HostFault(_("libclang does not read {name}: {why}", name=name, why=error)) from error
            errors = [d for d in unit.diagnostics if d.severity >= cindex.Diagnostic.Error]
            if errors:
                broken.append((header, unit, errors))
                continue
            self._unit(unit)
            covered |= {header, *(Path(i.include.name).resolve() for i in unit.get_includes())}
        for header, unit, errors in broken:
            if header not in covered:
                self._unit(unit)
                for diagnostic in errors:
                    self._problem(diagnostic)

    def _unit(self, unit: Any) -> None:
        for cursor in unit.cursor.get_children():
            if self._mine(cursor):
                self._declaration(cursor)

    def _problem(self, diagnostic: Any) -> None:
        file = diagnostic.location.file
        path = Path(file.name) if file else self.root
        shown = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name
        record = {"file": shown, "line": diagnostic.location.line or None, "message": diagnostic.spelling}
        if record not in self.problems:
            self.problems.append(record)

    def _mine(self, cursor: Any) -> bool:
        file = cursor.location.file
        return file is not None and Path(file.name).resolve().is_relative_to(self.root)

    def _at(self, cursor: Any) -> str:
        return f"{Path(cursor.location.file.name).resolve().relative_to(self.root).as_posix()}:{cursor.location.line}"

    def _declaration(self, cursor: Any) -> None:
        kind = cursor.kind.name
        name = cursor.spelling
        if kind == "FUNCTION_DECL":
            self._add(name, {"kind": "func", "type": self.type(cursor.type)}, cursor)
        elif kind == "VAR_DECL":
            self._add(name, {"kind": "var", "type": self.type(cursor.type)}, cursor)
        elif kind == "TYPEDEF_DECL":
            self._typedef(cursor)
        elif kind in ("STRUCT_DECL", "UNION_DECL") and not _unnamed(cursor):
            self._record(f"{kind[:-5].lower()} {name}", cursor)
        elif kind == "ENUM_DECL":
            self._enum(cursor)
        elif kind == "MACRO_DEFINITION":
            self._macro(cursor)

    def _add(self, name: str, symbol: dict[str, Any], cursor: Any) -> None:
        if name.startswith("__"):
            return
        self.symbols.setdefault(name, {**symbol, "at": self._at(cursor)})

    def _typedef(self, cursor: Any) -> None:
        declared = cursor.underlying_typedef_type.get_canonical().get_declaration()
        unnamed = declared.kind.name in ("STRUCT_DECL", "UNION_DECL", "ENUM_DECL") and _unnamed(declared)
        if unnamed and declared.kind.name != "ENUM_DECL":
            self._record(cursor.spelling, declared)
            return
        self._add(
            cursor.spelling, {"kind": "type", "alias": True, "type": self.type(cursor.underlying_typedef_type)}, cursor
        )

    def _record(self, name: str, cursor: Any) -> None:
        what = "union" if cursor.kind.name == "UNION_DECL" else "struct"
        definition = cursor.get_definition()
        if definition is None:
            if name not in self.symbols:
                self._add(name, {"kind": "type", "type": {"kind": what, "fields": [], "hidden": True}}, cursor)
            return
        t = definition.type
        fields = list(self._fields(t, t))
        symbol = {
            "kind": "type",
            "type": {"kind": what, "fields": fields},
            "size": t.get_size(),
            "align": t.get_align(),
        }
        if self.symbols.get(name, {}).get("type", {}).get("hidden"):
            del self.symbols[name]
        self._add(name, symbol, definition)

    def _fields(self, whole: Any, part: Any) -> Iterator[dict[str, Any]]:
        """Members, those of anonymous structs and unions flattened: a client names them alike."""
        for member in part.get_fields():
            # libclang calls an anonymous member by its type's place; a named one of an unnamed type is "anonymous" to it.
            if not re.fullmatch(r"[A-Za-z_]\w*", member.spelling):
                yield from self._fields(whole, member.type.get_canonical())
                continue
            bits = whole.get_offset(member.spelling)
            found: dict[str, Any] = {"name": member.spelling, "type": self.type(member.type), "offset": bits // 8}
            if member.is_bitfield():
                found["bits"] = [bits, member.get_bitfield_width()]
            yield found

    def _enum(self, cursor: Any) -> None:
        name = "" if _unnamed(cursor) else f"enum {cursor.spelling}"
        for constant in cursor.get_children():
            if constant.kind.name == "ENUM_CONSTANT_DECL":
                owner = (
                    {"kind": "named", "package": PACKAGE, "name": name} if name else {"kind": "basic", "name": "int"}
                )
                self._add(
                    constant.spelling, {"kind": "const", "type": owner, "value": str(constant.enum_value)}, constant
                )
        if name:
            under = self.type(cursor.enum_type)
            self._add(
                name, {"kind": "type", "type": {"kind": "enum", "elem": under}, "size": cursor.type.get_size()}, cursor
            )

    def _macro(self, cursor: Any) -> None:
        tokens = [t.spelling for t in cursor.get_tokens()][1:]
        if not tokens and re.search(r"_H_*$|_INCLUDED$", cursor.spelling):
            return  # a guard
        if tokens[:1] == ["("] and _touches(cursor):
            self._add(cursor.spelling, {"kind": "macro", "value": " ".join(tokens), "facts": {"takes": True}}, cursor)
            return
        self._add(cursor.spelling, {"kind": "macro", "value": _number(tokens) or " ".join(tokens)}, cursor)

    def type(self, t: Any) -> dict[str, Any]:
        """A canonical type as a tree."""
        t = t.get_canonical()
        kind = t.kind.name
        found: dict[str, Any]
        if kind == "POINTER":
            found = {"kind": "pointer", "elem": self.type(t.get_pointee())}
        elif kind in ("CONSTANTARRAY", "INCOMPLETEARRAY", "VARIABLEARRAY"):
            length = t.element_count if kind == "CONSTANTARRAY" else -1
            found = {"kind": "array", "length": length, "elem": self.type(t.element_type)}
        elif kind in ("FUNCTIONPROTO", "FUNCTIONNOPROTO"):
            params = [self.type(p) for p in t.argument_types()] if kind == "FUNCTIONPROTO" else []
            for p in params:
                p.pop("qualifiers", None)  # of the parameter itself: no part of the function's type (C17 6.7.6.3)
            found = {"kind": "func", "params": params, "results": [self.type(t.get_result())]}
            if kind == "FUNCTIONPROTO" and t.is_function_variadic():
                found["variadic"] = True
        elif kind in ("RECORD", "ENUM"):
            declared = t.get_declaration()
            word = {"STRUCT_DECL": "struct", "UNION_DECL": "union", "ENUM_DECL": "enum"}[declared.kind.name]
            if not _unnamed(declared):
                found = {"kind": "named", "package": PACKAGE, "name": f"{word} {declared.spelling}"}
            elif word == "enum":
                found = {"kind": "basic", "name": "int"}
            elif typedef := re.fullmatch(r"[A-Za-z_]\w*", declared.type.spelling):
                found = {"kind": "named", "package": PACKAGE, "name": typedef[0]}
            else:
                found = {"kind": word, "fields": list(self._fields(t, t))}
        elif kind == "INVALID":
            found = {"kind": "unknown"}
        else:
            found = {"kind": "basic", "name": re.sub(r"\b(const|volatile|restrict) ", "", t.spelling)}
        qualifiers = [
            q for q, has in (("const", t.is_const_qualified()), ("volatile", t.is_volatile_qualified())) if has
        ]
        return {**found, "qualifiers": qualifiers} if qualifiers else found


def _unnamed(cursor: Any) -> bool:
    """Whether a struct, union or enum has no tag; clang calls one by its typedef then, without the keyword."""
    return cursor.is_anonymous() or not re.fullmatch(r"(struct|union|enum) [A-Za-z_]\w*", cursor.type.spelling)


def _touches(cursor: Any) -> bool:
    """Whether the parenthesis stands right behind the name: the macro takes arguments."""
    tokens = list(cursor.get_tokens())
    return bool(tokens[1].extent.start.offset == tokens[0].extent.end.offset)


def _number(tokens: list[str]) -> str:
    """An integer macro as a decimal number; "" for anything else."""
    text = "".join(tokens)
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1]
    match = re.fullmatch(r"(-?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)[uUlL]*", text)
    # No compiler has numbers of more than 128 bits, in base 8 of 43 digits.
    if match is None or len(match[2]) > 45:
        return ""
    digits = match[2]
    value = int(digits, 16) if digits[:2].lower() == "0x" else int(digits, 8) if digits[0] == "0" else int(digits)
    return f"{match[1]}{value}"


def _system_headers(name: str) -> list[str]:
    """glibc's and the kernel's headers for an architecture, as zig carries them; none where zig is not installed."""
    try:
        lib = Path(find_zig()).parent / "lib"
    except ToolchainFault:
        return []
    places = [
        lib / "include",
        *(
            lib / "libc/include" / d
            for d in (f"{name}-linux-gnu", "generic-glibc", f"{name}-linux-any", "any-linux-any")
        ),
    ]
    # The oldest glibc of the platforms graded here: what only newer ones declare is not there.
    return ["-nostdinc", "-D__GLIBC_MINOR__=28", *(word for p in places if p.is_dir() for word in ("-isystem", str(p)))]


def extract_c(
    root: Path, targets: Sequence[str], output: Path, *, version: str = "", flags: Sequence[str] = ()
) -> None:
    """Write the snapshot of a directory of headers, or of what one header of it brings along.

    Raises:
        XcError: there is no header, or a target that is not known.
        HostFault: libclang is not there.
    """
    with optional("sdk_ast"):
        import clang.cindex  # noqa: F401
    place = root.resolve()
    root = place.parent if place.is_file() else place
    every = sorted(p for p in root.rglob("*.h") if p.is_file())
    headers = [place] if place.is_file() else every
    if not headers:
        raise XcError(
            _("{root}: there is no header in it", root=root),
            mend=_("name the directory of the headers that are delivered"),
        )
    source = hashlib.sha256()
    for header in every:
        source.update(header.relative_to(root).as_posix().encode() + b"\0" + header.read_bytes() + b"\0")
    variants = []
    for target in targets:
        if target not in TRIPLES:
            raise XcError(
                _("{target} is no target that C can be read for", target=verbatim(repr(target))),
                mend=_("one of {names}", names=listed(TRIPLES)),
            )
        triple, name = TRIPLES[target]
        reader = _HeaderReader(root)
        arguments = ["-x", "c", "-std=gnu17", f"--target={triple}", *_system_headers(name), f"-I{root}", *flags]
        reader.read(headers, arguments)
        variants.append((target, reader.symbols, reader.problems))
    first = {"language": "c", "name": PACKAGE, "version": version, "toolchain": "libclang", "targets": list(targets)}
    write_snapshot(output, first, [(PACKAGE, "", "sha256:" + source.hexdigest(), variants)])
