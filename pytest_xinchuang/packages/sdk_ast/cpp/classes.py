"""Classes of C++, from libclang's cursors into records: bases, virtual functions, layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_xinchuang.packages.sdk_ast.c.headers import pretty
from pytest_xinchuang.packages.sdk_ast.cpp.functions import (
    access_of,
    attributes,
    constraint,
    function_facts,
    signature,
    spelled_type,
    template_parameters,
)

CLASSES = ("CLASS_DECL", "STRUCT_DECL", "UNION_DECL", "CLASS_TEMPLATE", "CLASS_TEMPLATE_PARTIAL_SPECIALIZATION")
_TAGS = {"CLASS_DECL": "class", "STRUCT_DECL": "struct", "UNION_DECL": "union"}
_METHODS = ("CXX_METHOD", "DESTRUCTOR", "CONVERSION_FUNCTION")


def class_facts(cursor: Any) -> dict[str, Any]:
    """What is known of a class beside its members.

    ``tag``, ``bases`` (type, access, whether virtual), ``slots`` (virtual functions in order of their first declaration),
    ``pure`` and ``sealed`` (those that are pure or final), ``own`` (those that the class itself declares), ``final``,
    ``template``, ``friends``, ``incomplete``.
    """
    facts: dict[str, Any] = {
        "tag": _TAGS.get(cursor.kind.name, "class"),
        **attributes(pretty(cursor).partition("{")[0]),
    }
    if cursor.kind.name.startswith("CLASS_TEMPLATE"):
        facts["template"] = template_parameters(cursor)
        if text := constraint(cursor):
            facts["requires"] = text
    if not cursor.is_definition():
        return {**facts, "incomplete": True}
    facts["bases"] = [
        [spelled_type(base.type), access_of(base), _virtual_base(base)]
        for base in cursor.get_children()
        if base.kind.name == "CXX_BASE_SPECIFIER"
    ]
    virtuals = dict(virtual_functions(cursor))
    if virtuals:
        facts["slots"] = list(virtuals)
        facts["pure"] = [name for name, one in virtuals.items() if one.get("pure")]
        facts["sealed"] = [name for name, one in virtuals.items() if one.get("final")]
    if any(child.kind.name == "CXX_FINAL_ATTR" for child in cursor.get_children()):
        facts["final"] = True
    friends = [pretty(c).replace("friend ", "").strip() for c in cursor.get_children() if c.kind.name == "FRIEND_DECL"]
    if friends:
        facts["friends"] = sorted(friends)
    return facts


def _virtual_base(base: Any) -> bool:
    from clang import cindex

    ask = cindex.conf.lib.clang_isVirtualBase
    ask.argtypes, ask.restype = [cindex.Cursor], int
    return bool(ask(base))


def virtual_functions(cursor: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Virtual functions by name and parameters, those of bases first; an overrider stands where the function was first declared
    (Itanium C++ ABI 2.5.2)."""
    found: dict[str, dict[str, Any]] = {}
    for child in cursor.get_children():
        if child.kind.name == "CXX_BASE_SPECIFIER":
            base = child.type.get_canonical().get_declaration()
            if (definition := base.get_definition()) is not None:
                for name, facts in virtual_functions(definition):
                    found.setdefault(name, facts)
    for child in cursor.get_children():
        if child.kind.name in _METHODS:
            facts = function_facts(child)
            name = "~" if child.kind.name == "DESTRUCTOR" else f"{child.spelling}{signature(facts)}"
            if facts.get("virtual") or name in found:
                found[name] = facts
    yield from found.items()


def fields(cursor: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Data members with their places; those of anonymous structs and unions as clients name them.

    ``type`` (canonical), ``offset`` in bytes (-1: it depends on a template's arguments), ``bits`` as in C, ``access``,
    ``mutable``, ``init``.
    """
    for member in cursor.type.get_fields() if not _template(cursor) else _declared_fields(cursor):
        name = member.spelling
        if not name or not name.isidentifier():
            declared = member.type.get_canonical().get_declaration()
            if declared.kind.name in CLASSES:
                start = _offset(cursor, member)
                for inner, facts in fields(declared):
                    moved = facts["offset"] + max(start, 0) // 8 if facts["offset"] >= 0 else -1
                    yield inner, {**facts, "offset": moved}
            continue
        bits = _offset(cursor, member)
        facts = {"type": spelled_type(member.type), "offset": bits // 8 if bits >= 0 else -1}
        if member.is_bitfield():
            facts["bits"] = [bits, member.get_bitfield_width()]
        if (access := access_of(member)) != "public":
            facts["access"] = access
        printed = pretty(member)
        if printed.startswith("mutable "):
            facts["mutable"] = True
        if " = " in printed or printed.endswith("}"):
            facts["init"] = True
        yield name, facts


def _template(cursor: Any) -> bool:
    return bool(cursor.kind.name.startswith("CLASS_TEMPLATE"))


def _declared_fields(cursor: Any) -> Iterator[Any]:
    return (child for child in cursor.get_children() if child.kind.name == "FIELD_DECL")


def _offset(_cursor: Any, member: Any) -> int:
    """Bits from the start of the class that declares it; negative where a template's arguments decide."""
    return int(member.get_field_offsetof())


TRAITS = {
    "size": "sizeof({0})",
    "align": "alignof({0})",
    "default": "__is_constructible({0})",
    "copy": "__is_constructible({0}, const {0} &)",
    "move": "__is_constructible({0}, {0} &&)",
    "assign": "__is_assignable({0} &, const {0} &)",
    "move_assign": "__is_assignable({0} &, {0} &&)",
    "aggregate": "__is_aggregate({0})",
    "trivial_copy": "__is_trivially_copyable({0})",
    "in_registers": "__is_trivially_constructible({0}, const {0} &) && __has_trivial_destructor({0})",
    "standard_layout": "__is_standard_layout({0})",
    "abstract": "__is_abstract({0})",
    "polymorphic": "__is_polymorphic({0})",
    "empty": "__is_empty({0})",
    "nothrow_move": "__is_nothrow_constructible({0}, {0} &&)",
}
"""What a compiler says of a whole class ([meta.unary.prop] in ISO C++), by clang's own words, which need no header.

``in_registers``: it may be passed in registers (Itanium C++ ABI 3.1.1: what is trivial for the purposes of calls).
"""
