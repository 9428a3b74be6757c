"""Paths in a tree that is the root of something else: a link there never leads into the host."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePosixPath

MOST_LINKS = 40
"""Links on one path: more are a loop (path_resolution(7))."""


def landing(tree: Path, path: str) -> Path:
    """The place that ``path`` means when ``tree`` is the root, links followed inside it, whether anything is there or not.

    Raises:
        OSError: the links go round in a circle.
    """
    parts, place, hops = [part for part in PurePosixPath(path).parts if part != "/"], tree, 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            place = place.parent if place != tree else tree
            continue
        place = place / part
        if place.is_symlink():
            hops += 1
            if hops > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(place))
            target = PurePosixPath(place.readlink())
            place = tree if target.is_absolute() else place.parent
            parts = [part for part in target.parts if part != "/"] + parts
    return place


def in_tree(tree: Path, path: str) -> Path | None:
    """The file that ``path`` means when ``tree`` is the root, links followed inside it; None when there is none."""
    try:
        place = landing(tree, path)
    except OSError:
        return None
    return place if place.is_file() else None
