"""Functions of C++, from libclang's cursors into records: what a call, an address, an overrider and a linker see of each."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from pytest_xinchuang.packages.sdk_ast.c.headers import pretty

FUNCTIONS = ("FUNCTION_DECL", "CXX_METHOD", "CONSTRUCTOR", "DESTRUCTOR", "FUNCTION_TEMPLATE", "CONVERSION_FUNCTION")

ATTRIBUTES = {
    "nodiscard": re.compile(r"\b(warn_unused_result|nodiscard)\b"),
    "deprecated": re.compile(r"\bdeprecated\b"),
    "noreturn": re.compile(r"\b_?_?[Nn]oreturn\b"),
    "unavailable": re.compile(r"\bunavailable\b|__attribute__\(\(error\("),
    "weak": re.compile(r"__attribute__\(\(weak\)\)"),
}
"""Facts of a declaration, as clang writes its attributes down."""

_VISIBILITY = re.compile(r'visibility\("(hidden|internal|protected)"\)')


_PLACE = re.compile(r" at [^()]*:\d+:\d+\)")
"""Where a type without a name stands, as clang calls it by: no part of the type."""


def spelled_type(t: Any) -> str:
    """A canonical type as clang writes it."""
    return _PLACE.sub(")", t.get_canonical().spelling)


def access_of(cursor: Any) -> str:
    """``public``, ``protected`` or ``private``; what no class holds is public."""
    name = cursor.access_specifier.name.lower()
    return name if name in ("protected", "private") else "public"


def attributes(text: str) -> dict[str, Any]:
    """What attributes say, in the text that clang makes of a declaration."""
    found: dict[str, Any] = {name: True for name, pattern in ATTRIBUTES.items() if pattern.search(text)}
    if match := _VISIBILITY.search(text):
        found["visibility"] = match[1]
    return found


def template_parameters(cursor: Any) -> list[dict[str, Any]]:
    """The parameters of a template: ``kind`` (``typename``, a type, ``template``, or the concept), ``pack``, ``default``."""
    found = []
    for child in cursor.get_children():
        name = child.kind.name
        if name not in ("TEMPLATE_TYPE_PARAMETER", "TEMPLATE_NON_TYPE_PARAMETER", "TEMPLATE_TEMPLATE_PARAMETER"):
            continue
        text, _equals, default = pretty(child).partition(" = ")
        if name == "TEMPLATE_NON_TYPE_PARAMETER":
            kind = child.type.get_canonical().spelling.removesuffix("...")
        elif name == "TEMPLATE_TEMPLATE_PARAMETER":
            kind = "template " + " ".join(p["kind"] + "..." * p["pack"] for p in template_parameters(child))
        else:
            head = text.replace("...", " ").split()
            kind = "typename" if head[:1] in (["class"], ["typename"], []) else head[0]
        # clang prints no default of a type parameter: its tokens have it.
        default = default or " ".join(t.spelling for t in child.get_tokens()).partition(" = ")[2]
        found.append({"kind": kind, "pack": "..." in text, "default": default})
    return found


def constraint(cursor: Any) -> str:
    """The requires clauses of a declaration ([temp.constr] in ISO C++), as they are written."""
    if not _asks(cursor):
        return ""
    words: list[str] = []
    depth, on = 0, False
    for token in cursor.get_tokens():
        word = token.spelling
        if word == "requires":
            on = True
        elif not depth and (word in ("{", ";") or (on and words[1:] and word in ("class", "struct", "union"))):
            break
        depth += (word in "([{") - (word in ")]}")
        if on:
            words.append(word)
    return " ".join(words)


def _asks(cursor: Any) -> bool:
    """Whether the text of a declaration has a requires clause at all: tokens are slow to come by."""
    start, end = cursor.extent.start, cursor.extent.end
    if start.file is None or end.file is None or start.file.name != end.file.name:
        return True
    try:
        about = Path(start.file.name).stat()
    except OSError:
        return True  # a client of ours, which is in no file
    text = _text(start.file.name, about.st_size, about.st_mtime_ns)
    return text.find(b"requires", start.offset, end.offset) >= 0


@lru_cache(maxsize=256)
def _text(file: str, _size: int, _changed: int) -> bytes:
    return Path(file).read_bytes()


def function_facts(cursor: Any) -> dict[str, Any]:
    """What is known of a function, without its name and scope.

    Facts that are false are left out: ``params`` (canonical types), ``defaults`` (their texts, of the last parameters),
    ``result``, ``const``, ``ref`` (``&``, ``&&``), ``noexcept``, ``virtual``, ``pure``, ``final``, ``static``, ``inline``,
    ``constexpr``, ``explicit``, ``deleted``, ``defaulted``, ``access``, ``link`` (the name that a linker knows), ``template``.
    """
    printed = pretty(cursor)
    head = _before_body(printed)
    t = cursor.type.get_canonical()
    name = cursor.kind.name
    spelled = t.spelling
    tail = spelled.rpartition(")")[2] if "noexcept(" not in spelled else spelled
    params = [spelled_type(p) for p in t.argument_types()]
    facts: dict[str, Any] = {"params": params, "result": spelled_type(t.get_result()), **attributes(head)}
    if name in ("CONSTRUCTOR", "DESTRUCTOR"):
        facts["result"] = ""
    defaults = _defaults(cursor)
    signature = head.partition("(")[0]
    checks = {
        "variadic": spelled.partition(")")[0].endswith("...") and t.is_function_variadic(),
        "const": " const" in tail,
        "volatile": " volatile" in tail,
        "noexcept": "noexcept" in tail,
        "virtual": cursor.is_virtual_method(),
        "pure": cursor.is_pure_virtual_method(),
        "final": any(c.kind.name == "CXX_FINAL_ATTR" for c in cursor.get_children()),
        "override": any(c.kind.name == "CXX_OVERRIDE_ATTR" for c in cursor.get_children()),
        "static": bool(re.search(r"\bstatic\b", signature)),
        "constexpr": bool(re.search(r"\bconstexpr\b", signature)),
        "consteval": bool(re.search(r"\bconsteval\b", signature)),
        "explicit": bool(re.search(r"\bexplicit\b", signature)),
        "deleted": head.rstrip().endswith("= delete"),
        "defaulted": head.rstrip().endswith("= default"),
        "conversion": name == "CONVERSION_FUNCTION",
        "constructor": name == "CONSTRUCTOR" or (name == "FUNCTION_TEMPLATE" and _constructs(cursor)),
        "destructor": name == "DESTRUCTOR",
    }
    facts |= {key: True for key, holds in checks.items() if holds}
    if defaults:
        facts["defaults"] = defaults
    if "&&" in tail or " &" in tail:
        facts["ref"] = "&&" if "&&" in tail else "&"
    if (access := access_of(cursor)) != "public":
        facts["access"] = access
    template = name == "FUNCTION_TEMPLATE"
    if template:
        facts["template"] = template_parameters(cursor)
    if text := constraint(cursor):
        facts["requires"] = text
    defined = cursor.is_definition() and not facts.get("deleted")
    in_class = defined and cursor.lexical_parent is not None and cursor.lexical_parent.kind.name not in _SPACES
    spelled_inline = re.search(r"\b(inline|constexpr|consteval)\b", signature)
    if (
        spelled_inline
        or "_GLOBAL__N_" in cursor.mangled_name
        or in_class
        or (template and defined)
        or _in_template(cursor)
    ):
        facts["inline"] = True
    if not template and not _in_template(cursor) and cursor.mangled_name:
        facts["link"] = cursor.mangled_name
    return facts


_SPACES = ("NAMESPACE", "TRANSLATION_UNIT", "LINKAGE_SPEC", "UNEXPOSED_DECL")


def _constructs(cursor: Any) -> bool:
    parent = cursor.semantic_parent
    return (
        parent is not None and parent.kind.name not in _SPACES and cursor.spelling.partition("<")[0] == parent.spelling
    )


def _in_template(cursor: Any) -> bool:
    """Whether a class template is around a declaration: it is compiled by whoever uses it."""
    parent = cursor.semantic_parent
    while parent is not None and parent.kind.name != "TRANSLATION_UNIT":
        if parent.kind.name in ("CLASS_TEMPLATE", "CLASS_TEMPLATE_PARTIAL_SPECIALIZATION"):
            return True
        parent = parent.semantic_parent
    return False


def _before_body(text: str) -> str:
    """A printed declaration without the function's body: its brace stands outside of all parentheses."""
    depth = 0
    for at, letter in enumerate(text):
        if letter == "{" and not depth:
            return text[:at]
        depth += (letter in "(") - (letter in ")")
    return text


def _defaults(cursor: Any) -> list[str]:
    """The default arguments of the last parameters."""
    found = []
    for child in cursor.get_children():
        if child.kind.name == "PARM_DECL":
            text = pretty(child)
            if " = " in text:
                found.append(text.partition(" = ")[2])
            elif found:
                found.append("")
    return found


def signature(facts: dict[str, Any]) -> str:
    """What tells an overload from others: parameters and qualifiers ([over.load] in ISO C++)."""
    listed = ", ".join([*facts["params"], *(["..."] if facts.get("variadic") else [])])
    words = [word for word in ("const", "volatile") if facts.get(word)]
    if facts.get("ref"):
        words.append(facts["ref"])
    return f"({listed})" + "".join(f" {word}" for word in words)


def heads(parameters: list[dict[str, Any]]) -> str:
    """The parameters of a template, as a part of a name."""
    return "<" + ", ".join(p["kind"] + ("..." if p["pack"] else "") for p in parameters) + ">"
