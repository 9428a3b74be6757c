"""What was read from files is kept, as long as the files' bytes are the same."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Read = TypeVar("Read")

_MOST = 16
"""So many results of one function are kept."""


def by_content(read: Callable[..., Read]) -> Callable[..., Read]:
    """For a function of paths alone whose result nobody changes: files with the same names and bytes are read once.

    What it raises is not kept.
    """
    kept: dict[tuple[tuple[Path, bytes], ...], Read] = {}

    @functools.wraps(read)
    def reading(*paths: Path) -> Read:
        try:
            key = tuple((path, hashlib.sha256(path.read_bytes()).digest()) for path in paths)
        except OSError:
            return read(*paths)  # it says so
        found = kept.pop(key) if key in kept else read(*paths)
        kept[key] = found  # the last to go is what was asked for last
        while len(kept) > _MOST:
            del kept[next(iter(kept))]
        return found

    return reading
