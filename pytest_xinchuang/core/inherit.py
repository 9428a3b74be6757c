"""Entries of a data file that start from a sibling: ``inherits: NAME``, and what they say otherwise."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping
from typing import Any

from pytest_xinchuang.core.yamlfile import KeyPath, YamlFile
from pytest_xinchuang.messages import NOTHING, _, joined, verbatim

KEY = "inherits"
Tree = dict[str, Any]


class Heirs:
    """The sections of one file in which entries may inherit, with every entry whole.

    An entry that inherits starts from the named one of the same section, of this file or of those before it, and says
    what is otherwise; mappings are merged key by key. A fact (a mapping with ``value``) is replaced as a whole, so that
    no value comes under the source of another. What an earlier file says of a name that inherits here does not count.

    Args:
        source: the file.
        sections: names of the sections.
        earlier: the sections as the files before this one made them; they are left as they are.

    Attributes:
        data: the file's data with each entry whole and no ``inherits`` left.

    Raises:
        DataFileError: an entry inherits from one that is not there, or from itself by way of others.
    """

    def __init__(self, source: YamlFile, sections: tuple[str, ...], earlier: Mapping[str, Any]) -> None:
        self._source = source
        self._earlier = earlier
        self._sections = {name: source.data[name] for name in sections if isinstance(source.data.get(name), dict)}
        self._whole: dict[tuple[str, str], Tree] = {}
        self.data: Tree = copy.deepcopy(source.data)
        for section, entries in self._sections.items():
            for name in entries:
                if self._names_another(section, name):
                    self.data[section][name] = self._resolved(section, name, ())

    def replace(self, merged: Tree) -> None:
        """Take out of the merged data of earlier files what this one makes anew."""
        for section, entries in self._sections.items():
            for name in entries:
                if self._names_another(section, name) and isinstance(merged.get(section), dict):
                    merged[section].pop(name, None)

    def origin(self, where: KeyPath) -> KeyPath:
        """Where the value at a place of the whole data is written: in the entry itself, or in one that it inherits from.

        What is written nowhere belongs to the entry that inherits from none of this file: it is the one to complete.
        """
        if len(where) < 3 or where[0] not in self._sections:
            return where
        section, name, *rest = where
        entries = self._sections[str(section)]
        entry = entries.get(name)
        if not isinstance(entry, dict) or entry.get(KEY) not in entries or _is_written(entry, rest):
            return where
        return self.origin((section, entry[KEY], *rest))

    def _names_another(self, section: str, name: str) -> bool:
        entry = self._sections[section][name]
        return isinstance(entry, dict) and KEY in entry

    def _resolved(self, section: str, name: str, heirs: tuple[str, ...]) -> Tree:
        """The whole entry; ``heirs`` are those that inherit from it and wait for it."""
        if (section, name) in self._whole:
            return self._whole[section, name]
        entry = self._sections[section][name]
        before = self._earlier.get(section, {}).get(name, {})
        whole = copy.deepcopy(self._parent(section, name, heirs) if KEY in entry else before)
        _overlay(whole, {key: value for key, value in entry.items() if key != KEY}, facts_are_whole=KEY in entry)
        return self._whole.setdefault((section, name), whole)

    def _parent(self, section: str, name: str, heirs: tuple[str, ...]) -> Tree:
        parent = self._sections[section][name][KEY]
        where = (section, name, KEY)
        chain = (*heirs, name)
        if parent in chain:
            way = joined((*chain[chain.index(parent) :], parent), verbatim(" -> "))
            raise self._source.error(where, _("an entry cannot inherit from itself: {way}", way=way))
        own, before = self._sections[section], self._earlier.get(section, {})
        for entries in (own, before):
            if isinstance(parent, str) and isinstance(entries.get(parent), dict):
                return self._resolved(section, parent, chain) if entries is own else entries[parent]
        near = difflib.get_close_matches(str(parent), [*own, *before], n=3, cutoff=0.5)
        hint = _(" (did you mean {names}?)", names=joined(near, _(", "))) if near else NOTHING
        raise self._source.error(
            where,
            _("nothing in {section} is called {name}{hint}", section=section, name=verbatim(repr(parent)), hint=hint),
        )


def merge(into: Tree, new: Mapping[str, Any]) -> None:
    """Merge ``new`` over ``into``, key by key."""
    _overlay(into, new, facts_are_whole=False)


def _overlay(into: Tree, new: Mapping[str, Any], *, facts_are_whole: bool) -> None:
    for key, value in new.items():
        below = into.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and not (facts_are_whole and _is_fact(below)):
            _overlay(below, value, facts_are_whole=facts_are_whole)
        else:
            into[key] = copy.deepcopy(value)


def _is_fact(data: Mapping[str, Any]) -> bool:
    return "value" in data


def _is_written(entry: Tree, rest: list[str | int]) -> bool:
    """Whether the entry itself has the value, or a fact that it would be part of."""
    at: Any = entry
    for step in rest:
        if not isinstance(at, dict) or _is_fact(at):
            return True
        if step not in at:
            return False
        at = at[step]
    return True
