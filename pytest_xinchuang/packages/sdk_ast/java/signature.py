"""Descriptors (JVMS 4.3)."""

from __future__ import annotations

from typing import Any

from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sdk_ast.java.classfile import BadClass

_BASE = {
    "B": "byte", "C": "char", "D": "double", "F": "float", "I": "int", "J": "long", "S": "short", "Z": "boolean", "V": "void",
}  # fmt: skip


def parse_descriptor(text: str) -> dict[str, Any]:
    """A field or method descriptor (JVMS 4.3) as a tree.

    Raises:
        BadClass: it is malformed.
    """
    if not text.startswith("("):
        found, rest = _field_type(text)
        if rest:
            raise BadClass(_("{text} is no descriptor", text=verbatim(repr(text))))
        return found
    rest = text[1:]
    params = []
    while rest and not rest.startswith(")"):
        one, rest = _field_type(rest)
        params.append(one)
    result, rest = _field_type(rest[1:])
    if rest:
        raise BadClass(_("{text} is no descriptor", text=verbatim(repr(text))))
    return {"kind": "func", "params": params, "results": [result]}


def _field_type(text: str) -> tuple[dict[str, Any], str]:
    if text[:1] in _BASE:
        return {"kind": "basic", "name": _BASE[text[0]]}, text[1:]
    if text[:1] == "[":
        inner, rest = _field_type(text[1:])
        return {"kind": "slice", "elem": inner}, rest
    if text[:1] == "L" and ";" in text:
        name, _rest, rest = text[1:].partition(";")
        package, _rest, short = name.replace("/", ".").rpartition(".")
        return {"kind": "named", "package": package, "name": short}, rest
    raise BadClass(_("{text} is no descriptor", text=verbatim(repr(text))))
