"""Go where there is no Go: declarations by their syntax alone (tree-sitter), labelled so, and never enough for a verdict."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.packages.sdk_ast.golang.extractor import GoRequest
from pytest_xinchuang.packages.sdk_ast.problems import UNPARSED, problem_record
from pytest_xinchuang.packages.sdk_ast.writer import write_snapshot

_BASIC = frozenset(
    {
        "bool",
        "string",
        "error",
        "any",
        "comparable",
        "byte",
        "rune",
        "uintptr",
        "float32",
        "float64",
        "complex64",
        "complex128",
    }
    | {f"{sign}int{size}" for sign in ("", "u") for size in ("", "8", "16", "32", "64")}
)
_SAME = {"byte": "uint8", "rune": "int32"}
_DIRECTIONS = {"chan<-": "send", "<-chan": "receive"}


class _File:
    """One source file: its declarations as symbols."""

    def __init__(self, package: str, root: Any, relative: str) -> None:
        self.package, self.root, self.relative = package, root, relative
        self.imports: dict[str, str] = {}
        self.params: list[tuple[str, list[str]]] = []

    def symbols(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for node in self.root.children:
            if node.type == "import_declaration":
                self._import(node)
        for node in self.root.children:
            if node.type == "function_declaration":
                yield (
                    _text(node.child_by_field_name("name")),
                    self._at(node, {"kind": "func", "type": self.signature(node, "func")}),
                )
            elif node.type == "method_declaration":
                yield self._method(node)
            elif node.type in ("const_declaration", "var_declaration"):
                yield from self._values(node)
            elif node.type == "type_declaration":
                for spec in node.children:
                    if spec.type in ("type_spec", "type_alias"):
                        yield self._type_spec(spec)

    def _at(self, node: Any, symbol: dict[str, Any]) -> dict[str, Any]:
        return {**symbol, "grade": "syntactic", "at": f"{self.relative}:{node.start_point[0] + 1}"}

    def _import(self, node: Any) -> None:
        for spec in _all(node, "import_spec"):
            path = _text(spec.child_by_field_name("path")).strip('"`')
            name = spec.child_by_field_name("name")
            last = re.sub(r"/v\d+$", "", path).rpartition("/")[2]
            self.imports[_text(name) if name else last] = path

    def _method(self, node: Any) -> tuple[str, dict[str, Any]]:
        receiver = next(iter(_all(node.child_by_field_name("receiver"), "parameter_declaration")))
        t = receiver.child_by_field_name("type")
        pointer = t.type == "pointer_type"
        base = t.children[-1] if pointer else t
        names: list[str] = []
        if base.type == "generic_type":
            names = [_text(a) for a in base.child_by_field_name("type_arguments").named_children]
            base = base.child_by_field_name("type")
        self.params.append(("type", names))
        signature = self.signature(node, "method")
        self.params.pop()
        method: dict[str, Any] = {"name": _text(node.child_by_field_name("name")), "type": signature}
        if pointer:
            method["pointer"] = True
        return f"{_text(base)}()", method

    def _values(self, node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        kind = "const" if node.type == "const_declaration" else "var"
        for spec in _all(node, f"{kind}_spec"):
            t = spec.child_by_field_name("type")
            value = spec.child_by_field_name("value")
            for name in spec.children_by_field_name("name"):
                symbol: dict[str, Any] = {"kind": kind, "type": self.type(t) if t else {"kind": "unknown"}}
                if kind == "const":
                    symbol["unknown"] = ["value"]
                    if (
                        value is not None
                        and len(value.named_children) == 1
                        and value.named_children[0].type.endswith("_literal")
                    ):
                        symbol = {k: v for k, v in symbol.items() if k != "unknown"} | {"value": _text(value)}
                if t is None:
                    symbol["unknown"] = sorted({*symbol.get("unknown", ()), "type"})
                yield _text(name), self._at(spec, symbol)

    def _type_spec(self, spec: Any) -> tuple[str, dict[str, Any]]:
        name = _text(spec.child_by_field_name("name"))
        params = spec.child_by_field_name("type_parameters")
        declared = self._type_params(params, "type") if params else []
        symbol: dict[str, Any] = {"kind": "type", "type": self.type(spec.child_by_field_name("type"))}
        if declared:
            self.params.pop()
            symbol["typeparams"] = declared
        if spec.type == "type_alias":
            symbol["alias"] = True
        return name, self._at(spec, symbol)

    def _type_params(self, node: Any, owner: str) -> list[dict[str, Any]]:
        pairs = [
            (_text(name), p.child_by_field_name("type"))
            for p in _all(node, "type_parameter_declaration")
            for name in p.children_by_field_name("name")
        ]
        self.params.append((owner, [name for name, _ in pairs]))
        return [{"name": name, "constraint": self.type(constraint)} for name, constraint in pairs]

    def signature(self, node: Any, owner: str) -> dict[str, Any]:
        """Parameters and results."""
        found: dict[str, Any] = {"kind": "func"}
        generic = node.child_by_field_name("type_parameters")
        if generic is not None:
            found["typeparams"] = self._type_params(generic, owner)
        params = node.child_by_field_name("parameters")
        listed = self._listed(params)
        if listed:
            found["params"] = listed
        if any(c.type == "variadic_parameter_declaration" for c in params.children):
            found["variadic"] = True
        result = node.child_by_field_name("result")
        if result is not None:
            found["results"] = self._listed(result) if result.type == "parameter_list" else [self.type(result)]
        if generic is not None:
            self.params.pop()
        return found

    def _listed(self, node: Any) -> list[dict[str, Any]]:
        found = []
        for p in node.children:
            if p.type in ("parameter_declaration", "variadic_parameter_declaration"):
                t = self.type(p.child_by_field_name("type"))
                if p.type.startswith("variadic"):
                    t = {"kind": "slice", "elem": t}
                found += [t] * max(1, len(p.children_by_field_name("name")))
        return found

    def type(self, node: Any) -> dict[str, Any]:
        """A type expression as a tree; what is not understood is unknown."""
        kind = node.type
        if kind in ("type_identifier", "identifier"):
            return self._named(_text(node))
        if kind == "qualified_type":
            package = _text(node.child_by_field_name("package"))
            return {
                "kind": "named",
                "package": self.imports.get(package, package),
                "name": _text(node.child_by_field_name("name")),
            }
        if kind == "generic_type":
            base = self.type(node.child_by_field_name("type"))
            args = [self.type(a) for a in node.child_by_field_name("type_arguments").named_children]
            return {**base, "args": args}
        if (
            kind in ("parenthesized_type", "type_elem", "constraint_elem", "type_constraint")
            and len(node.named_children) == 1
        ):
            return self.type(node.named_children[0])
        if kind == "pointer_type":
            return {"kind": "pointer", "elem": self.type(node.named_children[0])}
        if kind == "slice_type":
            return {"kind": "slice", "elem": self.type(node.child_by_field_name("element"))}
        if kind == "array_type":
            length = _text(node.child_by_field_name("length"))
            if not re.fullmatch("[0-9]{1,18}", length):
                return {"kind": "unknown"}
            return {"kind": "array", "length": int(length), "elem": self.type(node.child_by_field_name("element"))}
        if kind == "map_type":
            return {
                "kind": "map",
                "key": self.type(node.child_by_field_name("key")),
                "elem": self.type(node.child_by_field_name("value")),
            }
        if kind == "channel_type":
            words = _text(node)
            direction = next((d for w, d in _DIRECTIONS.items() if words.startswith(w)), "both")
            return {"kind": "chan", "direction": direction, "elem": self.type(node.child_by_field_name("value"))}
        if kind == "function_type":
            return self.signature(node, "func")
        if kind == "struct_type":
            return self._struct(node)
        if kind == "interface_type":
            return self._interface(node)
        return {"kind": "unknown"}

    def _named(self, name: str) -> dict[str, Any]:
        for owner, names in reversed(self.params):
            if name in names:
                return {"kind": "typeparam", "of": owner, "index": names.index(name)}
        if name == "any":
            return {"kind": "interface"}
        if name in _BASIC:
            return {"kind": "basic", "name": _SAME.get(name, name)}
        return {"kind": "named", "package": self.package, "name": name}

    def _struct(self, node: Any) -> dict[str, Any]:
        fields: list[dict[str, Any]] = []
        hidden = False
        for f in _all(node, "field_declaration"):
            names = [_text(n) for n in f.children_by_field_name("name")]
            t = self.type(f.child_by_field_name("type"))
            tag = f.child_by_field_name("tag")
            extra: dict[str, Any] = (
                {"tag": json.loads(_text(tag)) if _text(tag)[:1] == '"' else _text(tag).strip("`")} if tag else {}
            )
            if not names:
                if any(c.type == "*" for c in f.children):
                    t = {"kind": "pointer", "elem": t}
                inner = t["elem"] if t["kind"] == "pointer" else t
                names, extra = [str(inner.get("name", ""))], {**extra, "embedded": True}
            for name in names:
                if name[:1].isupper():
                    fields.append({"name": name, "type": t, **extra})
                else:
                    hidden = True
        return {"kind": "struct", "fields": fields, **({"hidden": True} if hidden else {})}

    def _interface(self, node: Any) -> dict[str, Any]:
        methods, hidden = [], []
        for member in node.named_children:
            if member.type in ("method_elem", "method_spec"):
                name = _text(member.child_by_field_name("name"))
                if name[:1].isupper():
                    methods.append({"name": name, "type": self.signature(member, "method")})
                else:
                    hidden.append(name)
            elif member.type != "comment":
                return {"kind": "unknown"}  # embedded: its type set is not known from here
        found: dict[str, Any] = {"kind": "interface"}
        if methods:
            found["methods"] = sorted(methods, key=lambda m: str(m["name"]))
        if hidden:
            found["hidden"] = sorted(hidden)
        return found


def _text(node: Any) -> str:
    return str(node.text.decode("utf-8", "replace")) if node is not None else ""


def _all(node: Any, kind: str) -> Iterator[Any]:
    """The nodes of a kind below a node, not looking into those found."""
    for child in node.children:
        if child.type == kind:
            yield child
        elif child.type not in ("function_type", "struct_type", "interface_type", "block"):
            yield from _all(child, kind)


def extract_syntax(request: GoRequest, output: Path) -> None:
    """Write the snapshot of a module by its syntax.

    Raises:
        HostFault: tree-sitter is not there either.
    """
    with optional("sdk_ast"):
        import tree_sitter
        import tree_sitter_go
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_go.language()))
    root = request.directory
    match = re.search(r"^module\s+(\S+)", _read(root / "go.mod"), re.M)
    module = match[1] if match else request.path or root.name
    go = re.search(r"^go\s+(\S+)", _read(root / "go.mod"), re.M)
    records = []
    for directory in sorted({p.parent for p in (root / request.below).rglob("*.go")}):
        relative = directory.relative_to(root).as_posix()
        parts = relative.split("/") if relative != "." else []
        if any(p in ("vendor", "testdata") or p[:1] in "._" for p in parts):
            continue
        path = "/".join([module, *parts])
        record = _package(parser, directory, root, path, request.targets)
        if record is not None:
            records.append(record)
    first = {
        "language": "go",
        "name": module,
        "version": request.version,
        "minimum": go[1] if go else "",
        "toolchain": "tree-sitter",
        "targets": list(request.targets),
    }
    write_snapshot(output, first, records, grade="syntactic")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _package(parser: Any, directory: Path, root: Path, path: str, targets: Sequence[str]) -> Any:
    found: dict[str, dict[str, Any]] = {}
    methods: dict[str, list[dict[str, Any]]] = {}
    source = hashlib.sha256()
    problems = []
    name = ""
    for file in sorted(directory.glob("*.go")):
        if file.name.endswith("_test.go") or not file.is_file():
            continue
        data = file.read_bytes()
        source.update(file.name.encode() + b"\0" + data + b"\0")
        tree = parser.parse(data)
        relative = file.relative_to(root).as_posix()
        if tree.root_node.has_error:
            problems.append(problem_record(relative, None, UNPARSED))
        clause = next(iter(_all(tree.root_node, "package_identifier")), None)
        name = name or _text(clause)
        for key, symbol in _File(path, tree.root_node, relative).symbols():
            if key.endswith("()"):
                methods.setdefault(key[:-2], []).append(symbol)
            else:
                found.setdefault(key, symbol)
    for owner, listed in methods.items():
        if owner in found and found[owner]["kind"] == "type" and not found[owner].get("alias"):
            public = [m for m in listed if m["name"][:1].isupper()]
            found[owner]["methods"] = sorted(public, key=lambda m: str(m["name"]))
    if not found and not problems:
        return None
    return path, name, "sha256:" + source.hexdigest(), [(target, found, problems) for target in targets]
