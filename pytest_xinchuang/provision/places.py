"""Paths in a tree that is the root of something else: a link there never leads into the host."""

from __future__ import annotations

from pathlib import Path, PurePosixPath


def in_tree(tree: Path, path: str) -> Path | None:
    """The file that ``path`` means when ``tree`` is the root, links followed inside it; None when there is none."""
    parts, place, hops = list(PurePosixPath(path).parts), tree, 0
    while parts:
        part = parts.pop(0)
        if part == "/":
            place = tree
        elif part == "..":
            place = place.parent if place != tree else tree
        else:
            place = place / part
            if place.is_symlink():
                hops += 1
                if hops > 40:
                    return None
                target = PurePosixPath(place.readlink())
                place = place.parent
                parts = [*target.parts, *parts]
    return place if place.is_file() else None
