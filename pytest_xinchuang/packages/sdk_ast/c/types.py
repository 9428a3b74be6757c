"""Types of C, from libclang's into trees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

PACKAGE = "include"
"""The package of a library's headers."""

IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_WORDS = {"STRUCT_DECL": "struct", "UNION_DECL": "union", "ENUM_DECL": "enum"}
_ARRAYS = ("CONSTANTARRAY", "INCOMPLETEARRAY", "VARIABLEARRAY", "DEPENDENTSIZEDARRAY")
_CONVENTIONS = {1: "", 2: "stdcall", 3: "fastcall", 4: "thiscall", 10: "ms_abi", 11: "sysv_abi", 12: "vectorcall",
                14: "preserve_most", 15: "preserve_all", 16: "aarch64_vector_pcs"}  # fmt: skip
"""clang-c/Index.h, CXCallingConv."""


def unnamed(cursor: Any) -> bool:
    """Whether a struct, union or enum has no tag; clang calls one by its typedef then, without the keyword."""
    return cursor.is_anonymous() or not re.fullmatch(r"(struct|union|enum) [A-Za-z_]\w*", cursor.type.spelling)


def convention(t: Any) -> str:
    """A function's calling convention; "" for that of the platform."""
    from clang import cindex

    ask = cindex.conf.lib.clang_getFunctionTypeCallingConv
    ask.argtypes, ask.restype = [cindex.Type], int
    number = ask(t)
    return _CONVENTIONS.get(number, f"convention {number}")


def fields(whole: Any, part: Any) -> Iterator[dict[str, Any]]:
    """Members, those of anonymous structs and unions flattened: a client names them alike."""
    for member in part.get_fields():
        # libclang calls an anonymous member by its type's place; a named one of an unnamed type is "anonymous" to it.
        if not IDENTIFIER.fullmatch(member.spelling):
            yield from fields(whole, member.type.get_canonical())
            continue
        bits = whole.get_offset(member.spelling)
        found: dict[str, Any] = {"name": member.spelling, "type": tree(member.type), "offset": bits // 8}
        if member.is_bitfield():
            found["bits"] = [bits, member.get_bitfield_width()]
        yield found


def tree(t: Any) -> dict[str, Any]:
    """A canonical type as a tree."""
    t = t.get_canonical()
    kind = t.kind.name
    found: dict[str, Any]
    if kind == "POINTER":
        found = {"kind": "pointer", "elem": tree(t.get_pointee())}
    elif kind in _ARRAYS:
        length = t.element_count if kind == "CONSTANTARRAY" else -1
        found = {"kind": "array", "length": length, "elem": tree(t.element_type)}
    elif kind in ("FUNCTIONPROTO", "FUNCTIONNOPROTO"):
        found = _function(t, kind)
    elif kind in ("RECORD", "ENUM"):
        found = _declared(t)
    elif kind == "INVALID":
        found = {"kind": "unknown"}
    else:
        found = {"kind": "basic", "name": re.sub(r"\b(const|volatile|restrict) ", "", t.spelling)}
    qualifiers = [q for q, has in (("const", t.is_const_qualified()), ("volatile", t.is_volatile_qualified())) if has]
    return {**found, "qualifiers": qualifiers} if qualifiers else found


def _function(t: Any, kind: str) -> dict[str, Any]:
    params = [tree(p) for p in t.argument_types()] if kind == "FUNCTIONPROTO" else []
    for p in params:
        p.pop("qualifiers", None)  # of the parameter itself: no part of the function's type (C17 6.7.6.3)
    found: dict[str, Any] = {"kind": "func", "params": params, "results": [tree(t.get_result())]}
    if kind == "FUNCTIONPROTO" and t.is_function_variadic():
        found["variadic"] = True
    if kind == "FUNCTIONNOPROTO":
        found["hidden"] = True  # it takes what it is given (C17 6.7.6.3 paragraph 14)
    if how := convention(t):
        found["name"] = how
    return found


def _declared(t: Any) -> dict[str, Any]:
    declared = t.get_declaration()
    word = _WORDS[declared.kind.name]
    if not unnamed(declared):
        return {"kind": "named", "package": PACKAGE, "name": f"{word} {declared.spelling}"}
    if word == "enum":
        return {"kind": "basic", "name": "int"}
    if typedef := IDENTIFIER.fullmatch(declared.type.spelling):
        return {"kind": "named", "package": PACKAGE, "name": typedef[0]}
    return {"kind": word, "fields": list(fields(t, t))}


def declaration(t: Any, name: str) -> str:
    """A declaration of ``name`` in C, of a type tree; "" for one that cannot be spelled."""
    kind = t["kind"]
    words = " ".join([*(t.get("qualifiers") or []), ""])
    if kind in ("basic", "named"):
        return f"{words}{t['name']} {name}"
    if kind == "pointer":
        inner = f"*{words}{name}"
        return declaration(t["elem"], f"({inner})" if t["elem"]["kind"] in ("array", "func") else inner)
    if kind == "array":
        return declaration({**t["elem"], "qualifiers": t["elem"].get("qualifiers") or t.get("qualifiers")},
                           f"{name}[{t['length'] if t['length'] >= 0 else ''}]")  # fmt: skip
    if kind == "func":
        if t.get("name"):
            return ""
        listed = [declaration(p, "") for p in t["params"]]
        if "" in listed:
            return ""
        more = ["..."] if t.get("variadic") else []
        text = ", ".join([*listed, *more]) or ("" if t.get("hidden") else "void")
        return declaration(t["results"][0], f"{name}({text})")
    return ""
