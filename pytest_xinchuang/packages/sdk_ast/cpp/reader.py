"""C++ headers, read by libclang for each target: what a client of each header gets, by its qualified name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_xinchuang.packages.sdk_ast.c.delivered import CXX_SUFFIXES, Delivered
from pytest_xinchuang.packages.sdk_ast.c.headers import (
    FATAL_FILE,
    HeadersReader,
    Seen,
    errors_of,
    pretty,
    said,
    write_delivered,
)
from pytest_xinchuang.packages.sdk_ast.cpp.classes import CLASSES, TRAITS, class_facts, fields
from pytest_xinchuang.packages.sdk_ast.cpp.functions import (
    FUNCTIONS,
    access_of,
    attributes,
    function_facts,
    heads,
    signature,
    spelled_type,
    template_parameters,
)
from pytest_xinchuang.packages.sdk_ast.cpp.names import display, encoded, is_inline, joined_name, scope_of
from pytest_xinchuang.packages.sdk_ast.cpp.standard import STANDARD, arguments, chosen, library

Named = tuple[str, dict[str, Any]]

_PROBE = "xc_probe_"
_REFERENCES = ("DECL_REF_EXPR", "MEMBER_REF_EXPR", "CALL_EXPR", "MEMBER_REF", "OVERLOADED_DECL_REF")
_EXTERN = re.compile(
    r"\bextern\s+template\s+(?:class|struct)\s+(?:\[\[\w+\]\]\s*)?(?:[A-Z_][A-Z0-9_]*\s+)?([\w:]+)\s*<"
)


@dataclass
class CppReader(HeadersReader):
    """The declarations of one version's headers in C++, for one target."""

    standard: int = 17
    _usr: dict[str, str] = field(default_factory=dict)
    _inlined: set[str] = field(default_factory=set)
    _unresolved: set[str] = field(default_factory=set)
    _reached: set[tuple[str, int]] = field(default_factory=set)
    _tried: dict[int, dict[Path, Seen]] = field(default_factory=dict)
    """Standard -> header -> what it is to a client of its own."""

    def read(self) -> None:
        """Read all headers.

        Raises:
            HostFault: libclang does not read at all.
        """
        self.cxx, self.usual = True, STANDARD
        for seen in self._read_headers(self.source.headers, self._tried.get(self.standard, {})):
            self._record_of(seen, None)
        self._instantiated()
        for usr, name in self._usr.items():
            symbol = self.symbols.get(name)
            if symbol is None or symbol["kind"] not in ("func", "method", "var", "field"):
                continue
            if usr in self._inlined or symbol["facts"].get("base", name).rpartition("::")[2] in self._unresolved:
                symbol["facts"]["inlined"] = True

    def broken(self, standard: int) -> int:
        """How many headers do not compile as a standard; those that lack another header are as good in any."""
        trial = replace(self, standard=standard, cxx=True)
        self._tried[standard] = {header: trial._seen(header) for header in self.source.headers}
        found = [seen.errors for seen in self._tried[standard].values()]
        return sum(bool(errors) and FATAL_FILE not in said(errors) for errors in found)

    def _arguments(self, *, cxx: bool) -> list[str]:
        del cxx  # they are never read as C
        return arguments(self.source, self.target, self.flags, self.standard)

    def _look(self, seen: Seen) -> None:
        found: dict[str, tuple[dict[str, Any], Path]] = {}
        macros: dict[str, dict[str, Any]] = {}
        view = self._views.setdefault(seen.file, {})
        for cursor in self._include(seen, macros=True, bodies=True).cursor.get_children():
            location = cursor.location
            if location.is_in_system_header or location.file is None:
                continue
            path = self._own(location.file.name)
            if path is None:
                continue
            if cursor.kind.name == "MACRO_DEFINITION":
                for name, symbol in self._macro(cursor, path):
                    macros[name] = symbol
                    found[name] = ({**symbol, "at": self._at(path, location.line)}, path)
                    view.setdefault(path, set()).add(name)
                continue
            for name, symbol, line in self._declared(cursor):
                symbol["at"] = self._at(path, line)
                kept = found.get(name)
                if kept is None or kept[0]["kind"] != "macro":
                    found[name] = (_merged(kept[0], symbol) if kept else symbol, path)
                view.setdefault(path, set()).add(name)
        for name in macros:
            macros[name] = found[name][0]
        gone = self._evaluate(seen, macros)
        if seen.usable:
            self._ask(seen, {name: symbol for name, (symbol, _path) in found.items() if symbol["kind"] == "class"})
        for name, (symbol, path) in found.items():
            if name in gone:
                view[path].discard(name)
                continue
            kept_symbol = self.symbols.get(name)
            self.symbols[name] = _by_headers(kept_symbol, symbol) if kept_symbol else symbol

    def _instantiated(self) -> None:
        """Mark the templates whose instances a library holds ([temp.explicit] in ISO C++): clients do not compile these."""
        text = "\n".join(h.read_text(encoding="utf-8", errors="replace") for h in self.source.headers)
        for match in _EXTERN.finditer(text):
            own = match[1].rpartition("::")[2]
            for name, symbol in self.symbols.items():
                if symbol["kind"] == "class" and name.rpartition("::")[2] == own:
                    symbol["facts"]["extern"] = True

    # -- declarations

    def _declared(self, cursor: Any) -> Iterator[tuple[str, dict[str, Any], int]]:
        """All that a cursor declares: name, record, line."""
        kind = cursor.kind.name
        if kind in ("LINKAGE_SPEC", "UNEXPOSED_DECL"):
            variable = _variable_template(cursor)
            if variable is not None:
                yield *variable, cursor.location.line
            for child in cursor.get_children():
                yield from self._declared(child)
            return
        scope = scope_of(cursor)
        if scope is None:
            return
        if kind == "NAMESPACE":
            if cursor.spelling and not is_inline(cursor):
                yield joined_name(scope, cursor.spelling), {"kind": "module", "facts": {}}, cursor.location.line
            for child in cursor.get_children():
                yield from self._declared(child)
        elif kind in CLASSES:
            yield from self._class(cursor, scope)
        else:
            for name, symbol in self._single(cursor, scope):
                yield name, symbol, cursor.location.line

    def _single(self, cursor: Any, scope: tuple[str, ...]) -> Iterator[Named]:
        kind = cursor.kind.name
        name = joined_name(scope, cursor.spelling)
        if kind in FUNCTIONS:
            yield self._function(cursor, scope)
        elif kind == "VAR_DECL":
            self._usr[cursor.get_usr()] = name
            self._reach(cursor)
            yield name, {"kind": "var", "facts": _variable(cursor)}
        elif kind in ("TYPEDEF_DECL", "TYPE_ALIAS_DECL"):
            under = cursor.underlying_typedef_type.get_canonical()
            facts = {"type": spelled_type(under), **_shown(cursor)}
            yield name, {"kind": "type", "alias": True, "facts": facts, "size": under.get_size()}
        elif kind == "TYPE_ALIAS_TEMPLATE_DECL":
            alias = next((c for c in cursor.get_children() if c.kind.name == "TYPE_ALIAS_DECL"), None)
            text = spelled_type(alias.underlying_typedef_type) if alias is not None else ""
            facts = {"type": text, "template": template_parameters(cursor), **_shown(cursor)}
            yield name, {"kind": "type", "alias": True, "facts": facts}
        elif kind == "ENUM_DECL":
            yield from _enum(cursor, scope)
        elif kind == "CONCEPT_DECL":
            yield name, {"kind": "type", "facts": {"concept": pretty(cursor).partition(" = ")[2]}}
        elif kind == "NAMESPACE_ALIAS":
            yield name, {"kind": "module", "facts": {"alias": pretty(cursor).partition(" = ")[2]}}
        elif kind == "USING_DECLARATION":
            facts = {"using": pretty(cursor).removeprefix("using ").strip(), **_shown(cursor)}
            yield name, {"kind": "type", "alias": True, "facts": facts}
        elif kind == "USING_DIRECTIVE":
            directive = pretty(cursor).strip()
            yield joined_name(scope, directive), {"kind": "module", "facts": {"directive": directive}}

    def _function(self, cursor: Any, scope: tuple[str, ...]) -> Named:
        facts = function_facts(cursor)
        self._reach(cursor)
        base = joined_name(scope, cursor.spelling.partition("<")[0] if facts.get("constructor") else cursor.spelling)
        parameters = heads(facts["template"]) if facts.get("template") is not None else ""
        name = f"{base}{parameters}{signature(facts)}"
        member = cursor.kind.name not in ("FUNCTION_DECL",) and scope and cursor.semantic_parent.kind.name in CLASSES
        self._usr[cursor.get_usr()] = name
        return name, {"kind": "method" if member else "func", "facts": {**facts, "base": base}}

    def _class(self, cursor: Any, scope: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any], int]]:
        own = display(cursor)
        if not re.match(r"[A-Za-z_]", own) or "(" in own:
            # No name of its own: what a typedef calls it, which C programs do.
            own = cursor.type.spelling.rpartition("::")[2]
            if not own.isidentifier():
                return
        name = joined_name(scope, own)
        facts = class_facts(cursor)
        if (access := access_of(cursor)) != "public":
            facts["access"] = access
        symbol: dict[str, Any] = {"kind": "class", "facts": facts}
        if not facts.get("incomplete") and not cursor.kind.name.startswith("CLASS_TEMPLATE"):
            symbol |= {"size": cursor.type.get_size(), "align": cursor.type.get_align()}
            if code := encoded(cursor):
                facts["encoded"] = code
        yield name, symbol, cursor.location.line
        if facts.get("incomplete"):
            return
        for member, member_facts in fields(cursor):
            yield f"{name}::{member}", {"kind": "field", "facts": member_facts}, cursor.location.line
        for child in cursor.get_children():
            kind = child.kind.name
            if kind == "FIELD_DECL":
                self._usr[child.get_usr()] = f"{name}::{child.spelling}"
                self._reach(child)
            elif kind == "FRIEND_DECL":
                for friend in child.get_children():
                    if friend.kind.name in ("FUNCTION_DECL", "FUNCTION_TEMPLATE"):
                        key, record = self._function(friend, _namespace(cursor))
                        record["facts"]["friend"] = name
                        yield key, record, child.location.line
            elif kind in CLASSES:
                yield from self._class(child, (*scope, own))
            elif kind in ("VAR_DECL", "ENUM_DECL", "TYPEDEF_DECL", "TYPE_ALIAS_DECL", "TYPE_ALIAS_TEMPLATE_DECL", *FUNCTIONS,
                          "USING_DECLARATION"):  # fmt: skip
                for key, record in self._single(child, (*scope, own)):
                    yield key, record, child.location.line

    def _reach(self, cursor: Any) -> None:
        """Note what code in headers uses: a client has that code compiled in."""
        location = cursor.location
        key = (location.file.name if location.file else "", location.offset)
        if key in self._reached:
            return
        self._reached.add(key)
        for inner in cursor.walk_preorder():
            if inner.kind.name not in _REFERENCES:
                continue
            referenced = inner.referenced
            if referenced is not None and referenced.get_usr():
                self._inlined.add(referenced.get_usr())
            if referenced is None or inner.kind.name == "OVERLOADED_DECL_REF":
                self._unresolved.add(inner.spelling)

    # -- what a compiler says of whole classes

    def _ask(self, seen: Seen, classes: dict[str, dict[str, Any]]) -> None:
        """Have the compiler say of classes what follows from all their members; of templates, with ``int`` for each type."""
        asked = {}
        for name, symbol in classes.items():
            facts = symbol["facts"]
            if not facts.get("incomplete") and "access" not in facts and (called := instance(name, facts, classes)):
                asked[name] = called
        order = sorted(asked)
        lines = []
        for n, name in enumerate(order):
            traits = ", ".join(f"{_PROBE}{n}_{key} = {text.format(asked[name])}" for key, text in TRAITS.items())
            lines.append(f"enum {{ {traits} }};")
        if not lines:
            return
        head = self._head(seen)
        first = head.count("\n") + 1
        unit = self._parse(head + "\n".join(lines) + "\n", cxx=True, macros=False)
        wrong = {error.line - first for error in errors_of(unit) if error.file == "client.c"}
        for cursor in unit.cursor.get_children():
            location = cursor.location
            if cursor.kind.name != "ENUM_DECL" or location.file is None or location.file.name != "client.c":
                continue
            n = location.line - first
            if n in wrong or n >= len(order):
                continue
            values = {c.spelling.partition(f"{_PROBE}{n}_")[2]: c.enum_value for c in cursor.get_children()}
            classes[order[n]]["facts"]["traits"] = values
            if asked[order[n]] != order[n]:
                classes[order[n]]["facts"]["instance"] = asked[order[n]]


def instance(name: str, facts: dict[str, Any], classes: dict[str, dict[str, Any]]) -> str:
    """A class as a type: its name, or that of a template with ``int`` for each type; "" where that cannot be said."""
    for at, _colons in enumerate(name):
        outer = name[:at]
        if name.startswith("::", at) and outer in classes:
            about = classes[outer]["facts"]
            if about.get("template") is not None or "access" in about:
                return ""
    if facts.get("template") is None:
        return name
    if "<" in name.rpartition("::")[2]:
        return ""
    arguments_ = []
    for parameter in facts["template"]:
        if parameter["default"] or parameter["pack"]:
            break
        if parameter["kind"] == "typename":
            arguments_.append("int")
        elif re.fullmatch(r"(unsigned |long |short |int|char|bool|long)+", parameter["kind"]):
            arguments_.append("1")
        else:
            return ""
    return f"{name}<{', '.join(arguments_)}>"


def _namespace(cursor: Any) -> tuple[str, ...]:
    """The namespace around a class: where its friends are ([namespace.memdef] in ISO C++)."""
    parent = cursor
    while parent.semantic_parent is not None and parent.semantic_parent.kind.name in CLASSES:
        parent = parent.semantic_parent
    return scope_of(parent) or ()


def _shown(cursor: Any) -> dict[str, Any]:
    access = access_of(cursor)
    return {"access": access} if access != "public" else {}


def _variable_template(cursor: Any) -> Named | None:
    """libclang shows a variable template by its text alone."""
    text = pretty(cursor) if cursor.kind.name == "UNEXPOSED_DECL" and cursor.spelling else ""
    scope = scope_of(cursor)
    if not text.startswith("template <") or scope is None:
        return None
    name = joined_name(scope, cursor.spelling)
    head = text.partition(" = ")[0]
    return name, {
        "kind": "var",
        "facts": {"type": head, "template": [], "value": text.partition(" = ")[2], "inline": True},
    }


def _variable(cursor: Any) -> dict[str, Any]:
    """What is known of a variable.

    ``type``, ``size``, ``constexpr``, ``inline``, ``static``, ``thread_local``, ``value``, ``link``.
    """
    from clang import cindex

    text = pretty(cursor)
    head = text.partition(" = ")[0]
    t = cursor.type.get_canonical()
    facts: dict[str, Any] = {"type": spelled_type(t), "size": t.get_size(), **attributes(head), **_shown(cursor)}
    member = cursor.semantic_parent is not None and cursor.semantic_parent.kind.name in CLASSES
    for word in ("constexpr", "inline"):
        if re.search(rf"\b{word}\b", head):
            facts[word] = True
    if facts.get("constexpr") and member:
        facts["inline"] = True  # [dcl.constexpr] in ISO C++17
    if cursor.tls_kind != cindex.TLSKind.NONE:
        facts["thread_local"] = True
    if member:
        facts["member"] = True
    elif re.search(r"\bstatic\b", head) or (t.is_const_qualified() and cursor.storage_class.name != "EXTERN"):
        # Of internal linkage: each client has its own ([basic.link] in ISO C++).
        facts["static"] = True
    if " = " in text and (t.is_const_qualified() or facts.get("constexpr")):
        facts["value"] = text.partition(" = ")[2]
    if cursor.mangled_name and not facts.get("static"):
        facts["link"] = cursor.mangled_name
    return facts


def _enum(cursor: Any, scope: tuple[str, ...]) -> Iterator[Named]:
    scoped = cursor.is_scoped_enum()
    named = bool(re.fullmatch(r"[A-Za-z_]\w*", cursor.spelling)) and not cursor.is_anonymous()
    own = joined_name(scope, cursor.spelling) if named else ""
    constants = [c for c in cursor.get_children() if c.kind.name == "ENUM_CONSTANT_DECL"]
    shown = _shown(cursor)
    for constant in constants:
        inside = (*scope, cursor.spelling) if scoped else scope
        about = {"enum": own, **shown, **attributes(pretty(constant))}
        record = {"kind": "const", "value": str(constant.enum_value), "facts": about}
        yield joined_name(inside, constant.spelling), record
    if own and (constants or cursor.is_definition()):
        facts: dict[str, Any] = {"enum": True, "underlying": cursor.enum_type.get_canonical().spelling}
        facts["constants"] = [c.spelling for c in constants]
        if scoped:
            facts["scoped"] = True
        if " : " in pretty(cursor).partition("{")[0]:
            facts["fixed"] = True
        facts |= shown
        yield own, {"kind": "type", "facts": facts, "size": cursor.type.get_size()}


def _merged(kept: dict[str, Any], symbol: dict[str, Any]) -> dict[str, Any]:
    """Two declarations of a name: the definition tells more, and what either says of a function holds."""
    if kept["kind"] != symbol["kind"]:
        return kept if kept["kind"] in ("func", "method", "class") else symbol
    was, now = kept.get("facts", {}), symbol.get("facts") or {}
    if kept["kind"] in ("func", "method"):
        facts = {**now, **was}
        facts["defaults"] = max(was.get("defaults") or [], now.get("defaults") or [], key=len)
        if not facts["defaults"]:
            del facts["defaults"]
        if now.get("deleted") or was.get("deleted"):
            facts["deleted"] = True
        return {**kept, "facts": facts}
    if kept["kind"] == "class":
        return symbol if was.get("incomplete") else kept
    if kept["kind"] == "var":
        return symbol if len(now) > len(was) else kept
    return kept if was or not now else symbol


def _by_headers(kept: dict[str, Any], symbol: dict[str, Any]) -> dict[str, Any]:
    """What a name means by two headers: programs link what is inline by one of them alone."""
    merged = _merged(kept, symbol)
    if merged["kind"] in ("func", "method") and not (kept["facts"].get("inline") and symbol["facts"].get("inline")):
        return {**merged, "facts": {key: value for key, value in merged["facts"].items() if key != "inline"}}
    return merged


def extract_cpp(
    root: Path, targets: Sequence[str], output: Path, *, version: str = "", flags: Sequence[str] = ()
) -> None:
    """Write the snapshot of what a library in C++ delivers: headers, and the shared libraries beside them.

    Args:
        root: a directory, or one header of which what it brings along is read.

    Raises:
        XcError: there is no header, or a target that is not known.
        HostFault: libclang is not there.
    """
    standards: list[int] = []

    def read(source: Delivered, target: str) -> HeadersReader:
        reader = CppReader(source, target, tuple(flags))
        if not standards:
            standards.append(chosen(source, flags, reader.broken))
        reader.standard = standards[0]
        reader.read()
        return reader

    first = {"language": "cpp", "version": version}
    write_delivered(root, targets, output, first, read, lambda: _how(standards[0]))


def _how(standard: int) -> dict[str, str]:
    return {"toolchain": f"libclang, {library()[0] or 'nostdinc++'}", "minimum": f"C++{standard}"}


def only_in_cpp(directory: Path) -> bool:
    """Whether headers are for C++ by their names, or by words of it that nothing keeps from a compiler of C."""
    for path in sorted(directory.rglob("*")):
        if path.suffix in CXX_SUFFIXES and path.is_file():
            return True
        if path.suffix == ".h" and path.is_file() and _speaks_cpp(path.read_text(encoding="utf-8", errors="replace")):
            return True
    return False


_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", re.S)
_GUARDED = re.compile(r"^\s*#\s*if(?:def\s+__cplusplus|\s+defined\s*\(?\s*__cplusplus\b)[^\n]*$", re.M)
_WORDS = re.compile(
    r"^\s*(?:inline\s+)?namespace\s+\w*\s*[{:=]|^\s*template\s*<|^\s*(?:class|struct)\s+(?:\w+\s+)*\w+\s*(?:final\s*)?:\s*\w"
    r"|^\s*class\s+\w+|^\s*(?:public|private|protected)\s*:|\boperator\s*[-+=<>(\[!*&]|^\s*using\s+\w"
    r"|^#\s*include\s*<[a-z_0-9]+>|\bconstexpr\b",
    re.M,
)


def _speaks_cpp(text: str) -> bool:
    """Whether words of C++ stand in a header outside of what asks for ``__cplusplus``."""
    text = _COMMENT.sub(" ", text)
    kept, depth, hidden = [], 0, 0
    for line in text.splitlines():
        if re.match(r"\s*#\s*if", line):
            depth += 1
            if not hidden and _GUARDED.match(line):
                hidden = depth
        elif re.match(r"\s*#\s*endif", line):
            if hidden == depth:
                hidden = 0
            depth -= 1
        elif re.match(r"\s*#\s*el", line) and hidden == depth:
            hidden = 0
        elif not hidden:
            kept.append(line)
    return bool(_WORDS.search("\n".join(kept)))
