"""Kinds of artifact, ABI worlds and hardening as people read them."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_xinchuang.messages import Message, _, both, verbatim

_KINDS: Mapping[str, Message] = {
    "file": _("file"),
    "directory": _("directory"),
    "image": _("image"),
    "compressed": _("compressed file"),
    "static-archive": _("static-archive"),
    "embedded": _("embedded data"),
}
"""The kinds that are words; the others are names of formats."""

# Here, for "old" of a version is another word in Chinese.
_WORLDS = {
    "old": both({"en": "old", "zh": "旧"}),
    "new": both({"en": "new", "zh": "新"}),
    "one": both({"en": "one", "zh": "某一"}),
}
_RELRO = {"none": _("none"), "partial": _("partial"), "full": _("full")}


def kind_word(kind: str) -> Message:
    return _KINDS.get(kind, verbatim(kind))


def world_word(world: str) -> Message:
    """An ABI world of LoongArch."""
    return _WORLDS.get(world, verbatim(world))


def relro_word(relro: str) -> Message:
    """How far relocations are made read-only."""
    return _RELRO.get(relro, verbatim(relro))
