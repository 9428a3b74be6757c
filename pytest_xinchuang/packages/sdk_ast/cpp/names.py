"""Names of declarations in C++: what clients write, and what a policy takes for an implementation's own."""

from __future__ import annotations

import re
from typing import Any

INTERNAL = re.compile(
    r"(?:^|::)(?:\w*_)?(?:detail|details|internal|internals|impl|implementation|priv|private|aux|dont_use)(?:_\w*)?::"
    r"|(?:^|::)(?:_[A-Z]|\w*__)",
    re.I,
)
"""Namespaces that libraries keep for themselves, and names that are the implementation's ([lex.name] in ISO C++)."""


def internal(name: str) -> bool:
    """Whether a qualified name, without parameters, is in a namespace that libraries keep for themselves."""
    head = name.partition("(")[0].partition("<")[0]
    return bool(INTERNAL.search(head)) and "operator" not in head.rpartition("::")[2]


def scope_of(cursor: Any) -> tuple[str, ...] | None:
    """The names of the namespaces and classes around a declaration, without those that are inline or have no name; None: nobody
    can name it."""
    found: list[str] = []
    parent = cursor.semantic_parent
    while parent is not None and parent.kind.name != "TRANSLATION_UNIT":
        kind = parent.kind.name
        if kind == "NAMESPACE":
            if parent.spelling and not is_inline(parent):
                found.append(parent.spelling)
        elif kind in ("LINKAGE_SPEC", "UNEXPOSED_DECL"):
            pass
        elif not parent.spelling or not re.match(r"[A-Za-z_]", parent.spelling) or "(" in parent.spelling:
            return None
        else:
            found.append(display(parent))
        parent = parent.semantic_parent
    return tuple(reversed(found))


def is_inline(namespace: Any) -> bool:
    """Whether a namespace is inline ([namespace.def] in ISO C++)."""
    from clang import cindex

    ask = cindex.conf.lib.clang_Cursor_isInlineNamespace
    ask.argtypes, ask.restype = [cindex.Cursor], int
    return bool(ask(namespace))


def display(cursor: Any) -> str:
    """A class as it is called: a specialization with its arguments, the template itself without."""
    if cursor.kind.name == "CLASS_TEMPLATE":
        return str(cursor.spelling)
    return str(cursor.displayname)


def joined_name(scope: tuple[str, ...], name: str) -> str:
    """A qualified name."""
    return "::".join((*scope, name))


def encoded(cursor: Any) -> str:
    """A class as linkers' names have it (Itanium C++ ABI 5.1); "" for what is in a template or has no name."""
    found: list[str] = []
    while cursor is not None and cursor.kind.name != "TRANSLATION_UNIT":
        if cursor.kind.name in ("LINKAGE_SPEC", "UNEXPOSED_DECL"):
            cursor = cursor.semantic_parent
            continue
        if not cursor.spelling.isidentifier() or "<" in cursor.displayname:
            return ""
        found.append(f"{len(cursor.spelling)}{cursor.spelling}")
        cursor = cursor.semantic_parent
    text = "".join(reversed(found))
    return f"N{text}E" if len(found) > 1 else text
