"""Where several short byte strings occur in a file: all of them are found in one pass over it (multi-pattern search)."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BLOCK = 1 << 18
"""Bytes that are looked at in one go, so that temporaries stay in a processor's cache."""

WORTH = 1 << 16
"""Bytes from which on one pass for all is faster than a plain search for each."""

MOST = 1 << 20
"""Places that are kept; beyond, each pattern is searched for by itself once more."""


class Occurrences:
    """The places of byte strings between two bytes of a file, those that overlap one another among them.

    Two bytes of a pattern that stand together at an even place are looked up in a table of all pairs, by numpy; what has one is
    compared. Where numpy is not loaded, each pattern is searched for by itself: the places are the same.

    Args:
        patterns: three bytes each, or more; and the first of three in it that are rare, of which two stand at an even place.
    """

    def __init__(self, patterns: Mapping[bytes, int], data: Any, begin: int, end: int) -> None:
        self._data, self._begin, self._end = data, begin, end
        self._places: dict[bytes, list[int]] | None = None
        numpy = sys.modules.get("numpy")
        if numpy is not None and sys.byteorder == "little" and end - begin >= WORTH:
            self._places = self._all(numpy, patterns)

    def known(self, pattern: bytes) -> Sequence[int] | None:
        """The places of one of the patterns, in order; None where they were not found at once."""
        return None if self._places is None else self._places[pattern]

    def of(self, pattern: bytes) -> Iterator[int]:
        """The places of one of the patterns, in order."""
        if self._places is not None:
            yield from self._places[pattern]
            return
        rest = len(pattern) - 1
        for at in range(self._begin, self._end, BLOCK):
            block = bytes(self._data[at : min(at + BLOCK + rest, self._end)])
            found = block.find(pattern)
            while found >= 0:
                yield at + found
                found = block.find(pattern, found + 1)

    def _all(self, numpy: Any, patterns: Mapping[bytes, int]) -> dict[bytes, list[int]] | None:
        """The places of all patterns; None: there are too many to keep them."""
        pairs = {
            (pattern, at): int.from_bytes(pattern[at : at + 2], "little")
            for pattern, first in patterns.items()
            for at in (first, first + 1)
        }
        table = numpy.zeros(1 << 16, dtype=bool)
        table[list(pairs.values())] = True
        rest = max(map(len, patterns))
        places: dict[bytes, list[int]] = {pattern: [] for pattern in patterns}
        kept = 0
        for begin in range(self._begin, self._end, BLOCK):
            block = bytes(self._data[begin : min(begin + BLOCK + rest, self._end)])
            words = numpy.frombuffer(block, dtype="<u2", count=len(block) // 2)
            likely = numpy.flatnonzero(numpy.take(table, words, mode="clip"))
            if not len(likely):
                continue
            values = words[likely]
            for pattern in patterns:
                here = sorted(
                    place
                    for at in (patterns[pattern], patterns[pattern] + 1)
                    for place in (2 * likely[values == pairs[pattern, at]] - at).tolist()
                    if 0 <= place < BLOCK and block.startswith(pattern, place)
                )
                places[pattern] += [begin + place for place in here]
                kept += len(here)
            if kept > MOST:
                return None
        return places
