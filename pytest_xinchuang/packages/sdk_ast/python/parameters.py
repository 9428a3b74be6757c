"""What becomes of calls when parameters change (language reference, "Calls": how arguments are bound)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.packages.sdk_ast.python.syntax import EITHER, KEYWORD, POSITIONAL, VAR_KEYWORD, VAR_POSITIONAL
from pytest_xinchuang.packages.sdk_ast.words import PARAMETERS, word

Data = Mapping[str, Any]
_BY_POSITION, _BY_NAME = (POSITIONAL, EITHER), (KEYWORD, EITHER)


@dataclass(frozen=True)
class Difference:
    """One change of a parameter: the rule, its name, and both sides."""

    rule: str
    name: str
    old: str = ""
    new: str = ""


class _Side:
    def __init__(self, params: Sequence[Data]) -> None:
        self.params = params
        self.named = {p["name"]: p for p in params if p["kind"] not in (VAR_POSITIONAL, VAR_KEYWORD)}
        self.order = [p["name"] for p in params if p["kind"] in _BY_POSITION]
        kinds = {p["kind"] for p in params}
        self.any_position, self.any_name = VAR_POSITIONAL in kinds, VAR_KEYWORD in kinds


def differences(before: Sequence[Data], after: Sequence[Data]) -> Iterator[Difference]:
    """How a signature differs from what callers of the old one know."""
    old, new = _Side(before), _Side(after)
    for p in before:
        if p["kind"] in (VAR_POSITIONAL, VAR_KEYWORD):
            kept = new.any_position if p["kind"] == VAR_POSITIONAL else new.any_name
            if not kept:
                yield Difference("PY-PARAM-REMOVED", p["name"], word(PARAMETERS, p["kind"]))
        else:
            yield from _of_one(p, old, new)
    for p in after:
        if p["name"] not in old.named and p["kind"] not in (VAR_POSITIONAL, VAR_KEYWORD):
            yield from _added(p, old, new)


def _of_one(p: Data, old: _Side, new: _Side) -> Iterator[Difference]:
    name, kind = p["name"], p["kind"]
    other = new.named.get(name)
    index = old.order.index(name) if kind in _BY_POSITION else -1
    slot = new.order[index] if 0 <= index < len(new.order) else None
    by_position = kind not in _BY_POSITION or slot is not None or new.any_position
    by_name = kind not in _BY_NAME or (other is not None and other["kind"] in _BY_NAME)
    swallowed = not by_name and new.any_name and (other is None or other["kind"] == POSITIONAL)
    if other is None:
        if not by_position or not (by_name or swallowed):
            yield Difference("PY-PARAM-REMOVED", name, word(PARAMETERS, kind))
        elif swallowed:
            yield Difference("PY-PARAM-SWALLOWED", name, word(PARAMETERS, kind))
        elif kind == POSITIONAL and slot is not None and slot in old.named:
            yield Difference("PY-PARAM-REMOVED", name, word(PARAMETERS, kind))
        elif kind == POSITIONAL and slot is not None:
            # A positional-only parameter has no name for callers: the one in its place is the same.
            yield from _default(name, p, new.named[slot])
        return
    lost_place = kind in _BY_POSITION and (not by_position or (slot is None and other["kind"] not in _BY_POSITION))
    if lost_place or not (by_name or swallowed):
        yield Difference("PY-PARAM-KIND-CHANGED", name, word(PARAMETERS, kind), word(PARAMETERS, other["kind"]))
    elif kind in _BY_POSITION and slot != name:
        now = str(new.order.index(name)) if name in new.order else "-"
        yield Difference("PY-PARAM-MOVED", name, str(index), now)
    elif kind == EITHER and other["kind"] == POSITIONAL:
        yield Difference("PY-PARAM-SWALLOWED", name, word(PARAMETERS, kind), word(PARAMETERS, other["kind"]))
    yield from _default(name, p, other)


def _default(name: str, p: Data, other: Data) -> Iterator[Difference]:
    if p["default"] is not None and other["default"] is None:
        yield Difference("PY-PARAM-REQUIRED", name, p["default"])
    elif p["default"] is not None and p["default"] != other["default"]:
        yield Difference("PY-PARAM-DEFAULT-CHANGED", name, p["default"], str(other["default"]))


def _added(p: Data, old: _Side, new: _Side) -> Iterator[Difference]:
    name, kind = p["name"], word(PARAMETERS, p["kind"])
    index = new.order.index(name) if p["kind"] in _BY_POSITION else -1
    replaced = old.order[index] if 0 <= index < len(old.order) else None
    if replaced is not None and replaced not in new.named:
        before = old.named[replaced]
        if before["kind"] == POSITIONAL:
            return  # told with the one that it takes the place of
        if before["default"] is not None and p["default"] is None:
            yield Difference("PY-PARAM-ADDED-REQUIRED", name, "", kind)
        return
    if index >= len(old.order) and old.any_position:
        yield Difference("PY-PARAM-CAPTURED", name, word(PARAMETERS, VAR_POSITIONAL), kind)
    elif p["default"] is None:
        yield Difference("PY-PARAM-ADDED-REQUIRED", name, "", kind)
    elif old.any_name and p["kind"] in _BY_NAME:
        yield Difference("PY-PARAM-TAKEN", name, word(PARAMETERS, VAR_KEYWORD), kind)
    else:
        yield Difference("PY-PARAM-ADDED", name, "", kind)
