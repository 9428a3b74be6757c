"""Macros of headers: which are guards, which take arguments, and what a compiler makes of the others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pytest_xinchuang.packages.sdk_ast.c.texts import without_comments
from pytest_xinchuang.packages.sdk_ast.c.types import tree

_DIRECTIVE = re.compile(r"\s*#\s*(\w+)(.*)", re.S)
_NOT_DEFINED = re.compile(r"!\s*defined\s*\(?\s*(\w+)")
_PROBE = "xc_probe_"


def guards_of(header: Path) -> frozenset[str]:
    """The macros by which a header keeps its parts from being read twice: asked for, defined next, and used for nothing else.

    What one guards are declarations, or all that is in the header.
    """
    lines = [_line(text) for text in without_comments(header).replace("\\\n", " ").split("\n")]
    code = "\n".join(rest for word, rest in lines if not word)
    words = frozenset(re.findall(r"\w+", code))
    directives = [(n, word, rest) for n, (word, rest) in enumerate(lines) if word]
    found = set()
    for place, (n, word, rest) in enumerate(directives):
        asked = {rest.strip()} if word == "ifndef" else set(_NOT_DEFINED.findall(rest)) if word == "if" else set()
        name = _defined_next(lines[n + 1 :]) if asked else ""
        if name not in asked or name in words:
            continue
        guarded = lines[n : _end(directives[place:], len(lines))]
        if any(not w and r.strip() for w, r in guarded) or not any(w or r.strip() for w, r in lines[:n]):
            found.add(name)
    return frozenset(found)


def _line(text: str) -> tuple[str, str]:
    """The name of a directive and what follows it; "" and the line, where it is none."""
    match = _DIRECTIVE.match(text)
    return (match[1], match[2]) if match else ("", text)


def _defined_next(lines: Sequence[tuple[str, str]]) -> str:
    """The macro that is defined before anything but another directive stands; "" without one."""
    for word, rest in lines:
        if word == "define":
            return next(iter(re.findall(r"\w+", rest)), "")
        if not word and rest.strip():
            return ""
    return ""


def _end(directives: Sequence[tuple[int, str, str]], last: int) -> int:
    """The line on which the condition ends that the first directive begins."""
    depth = 0
    for n, word, _rest in directives:
        depth += word.startswith("if")
        depth -= word == "endif"
        if depth == 0:
            return n
    return last


def macro(cursor: Any) -> dict[str, Any]:
    """A macro as it is written: arguments, if it takes any, and tokens."""
    tokens = list(cursor.get_tokens())
    words = [t.spelling for t in tokens][1:]
    # A parenthesis right behind the name: the macro takes arguments (C17 6.10.3).
    if words[:1] == ["("] and tokens[1].extent.start.offset == tokens[0].extent.end.offset and ")" in words:
        end = words.index(")")
        taken = [w for w in words[1:end] if w != ","]
        facts = {"takes": True, "params": len([w for w in taken if w != "..."]), "variadic": "..." in taken}
        if facts["variadic"] and taken[-2:-1] and words[end - 2 : end - 1] != [","] and taken[-1] == "...":
            facts["params"] = max(0, len(taken) - 2)  # GNU's `args...` is the variadic one itself
        body = _renamed(words[end + 1 :], [w for w in taken if w != "..."])
        return {"kind": "macro", "value": f"({', '.join(taken)}) {' '.join(words[end + 1 :])}".strip(),
                "facts": {**facts, "body": body}}  # fmt: skip
    if len(words) > 1 and all(re.fullmatch(r'"(\\.|[^"\\])*"', word) for word in words):
        words = ['"' + "".join(word[1:-1] for word in words) + '"']  # strings beside each other are one (C17 5.1.1.2)
    return {"kind": "macro", "value": " ".join(words)}


def _renamed(words: Sequence[str], parameters: Sequence[str]) -> str:
    """A body without the names of its parameters: they are nobody's concern."""
    number = {name: f"${n}" for n, name in enumerate(parameters)}
    return " ".join(number.get(w, w) for w in words)


def _expression(value: str) -> bool:
    """Whether tokens may be an expression that leaves the rest of a file whole."""
    return (
        bool(value)
        and not re.search(r"[{};#\\]", re.sub(r"\"(\\.|[^\"\\])*\"|'(\\.|[^'\\])*'", "0", value))
        and (value.count("(") == value.count(")"))
    )


def probes(names: Mapping[str, Mapping[str, Any]]) -> tuple[str, list[str]]:
    """The text that has a compiler evaluate macros, four lines each, and the macros in order."""
    order = sorted(name for name in names if not names[name].get("facts"))
    lines = []
    for n, name in enumerate(order):
        lines.append(f"#ifdef {name}")
        usable = _expression(str(names[name].get("value", "")))
        lines.append(f"enum {{ {_PROBE}v{n} = ({name}) }};" if usable else f"enum {{ {_PROBE}d{n} }};")
        lines.append(f"extern __typeof__({name}) {_PROBE}t{n};" if usable else "")
        lines.append("#endif")
    return "\n".join(lines) + "\n", order


def evaluated(unit: Any, order: Sequence[str], first_line: int, file: str) -> dict[str, dict[str, Any]]:
    """What a compiler made of probes: name -> ``value`` and ``type``, as far as there are; a name that is missing was
    undefined again."""
    wrong = {
        d.location.line - first_line
        for d in unit.diagnostics
        if d.severity >= 3 and d.location.file and d.location.file.name == file  # CXDiagnostic_Error, clang-c/Index.h
    }
    found: dict[str, dict[str, Any]] = {}
    for cursor in unit.cursor.get_children():
        location = cursor.location
        if location.is_in_system_header or location.line < first_line:
            continue
        if location.file is None or location.file.name != file:
            continue
        n = (location.line - first_line) // 4
        if n >= len(order):
            continue
        entry = found.setdefault(order[n], {})
        if location.line - first_line in wrong:
            continue
        if cursor.kind.name == "ENUM_DECL":
            constant = next(iter(cursor.get_children()), None)
            if constant is not None and constant.spelling.startswith(f"{_PROBE}v"):
                entry["value"] = str(constant.enum_value)
        elif cursor.kind.name == "VAR_DECL":
            entry["type"] = tree(cursor.type)
    return found
