"""What people call the values that snapshots, rules and comparisons have in JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pytest_xinchuang.messages import Message, _, joined, verbatim

LEVELS: Mapping[str, Message] = {"major": _("major"), "minor": _("minor"), "patch": _("patch")}
"""What the next version has to be (semantic versioning 2.0.0)."""

GRADES: Mapping[str, Message] = {
    "typed": _("typed"),
    "stubbed": _("stubbed"),
    "syntactic": _("syntactic"),
}
"""How much of a snapshot was known."""

AXES: Mapping[str, Message] = {
    "source": _("source"),
    "binary": _("binary"),
    "wire": _("wire"),
    "behaviour": _("behaviour"),
}
"""For whom a change can break something."""

KINDS: Mapping[str, Message] = {
    "func": _("func"),
    "var": _("var"),
    "const": _("const"),
    "type": _("type"),
    "macro": _("macro"),
    "class": _("class"),
    "field": _("field"),
    "method": _("method"),
    "module": _("module"),
    "header": _("header"),
    "library": _("library"),
    "export": _("export"),
}
"""Kinds of symbols."""

FACTS: Mapping[str, Message] = {
    "type": _("type"),
    "value": _("value"),
    "methods": _("methods"),
    "promoted": _("promoted"),
    "comparable": _("comparable"),
}
"""Facts of a Go symbol that a stub may hide."""

PARAMETERS: Mapping[str, Message] = {
    "positional-only": _("positional-only"),
    "positional or keyword": _("positional or keyword"),
    "keyword-only": _("keyword-only"),
    "variadic positional": _("variadic positional"),
    "variadic keyword": _("variadic keyword"),
}
"""Kinds of Python's parameters."""

_SIDES: Mapping[str, Message] = {"old": _("old"), "new": _("new")}


def word(words: Mapping[str, Message], value: str) -> Message:
    """A value as people call it; one that is not known as it is."""
    return words.get(value) or verbatim(value)


def sides(names: Iterable[str]) -> Message:
    """``old``, ``new`` or both sides of a comparison."""
    return joined((_SIDES[name] for name in names), _(" and the "))


def listed(words: Iterable[str]) -> Message:
    """Names after each other, by commas."""
    return joined(words, _(", "))
