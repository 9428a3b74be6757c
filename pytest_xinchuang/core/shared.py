"""Results that several engines of one run share, each in a slot of its own type."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, TypeVar

SlotT = TypeVar("SlotT")


class SharedResults:
    """Slots by type and key: whoever asks first makes an empty one, and all who ask after that get the same."""

    def __init__(self) -> None:
        self._slots: dict[tuple[type[Any], Hashable], Any] = {}

    def slot(self, kind: type[SlotT], key: Hashable) -> SlotT:
        """The slot of a type for a key; ``kind()`` where nobody has asked for it before.

        Args:
            kind: a class of the asker's own that can be made without arguments; it tells its slots from all others.
            key: all that the results depend on.
        """
        found = self._slots.get((kind, key))
        if found is None:
            found = self._slots[kind, key] = kind()
        slot: SlotT = found
        return slot
