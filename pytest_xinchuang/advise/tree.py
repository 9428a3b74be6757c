"""The source tree: its files, and their texts, each read once and never without a bound."""

from __future__ import annotations

import fnmatch
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.inputs import UNSEEN
from pytest_xinchuang.messages import _, verbatim

LARGEST_TEXT = 8 << 20
"""Bytes of a source file that is read; a larger one is no text that somebody wrote."""
MOST_FILES = 400_000
"""Files of a tree: Linux has some 90,000 and Chromium some 400,000."""

FOREIGN = frozenset({"node_modules", "__pycache__", ".tox", ".venv", "venv", ".mypy_cache", ".gradle"}) | UNSEEN
"""Directories of what tools have put there: no source of the tree's own."""


def text_of(path: Path) -> str | None:
    """A file's text, of a tree or of what it depends on; None for one that is too large or cannot be read."""
    try:
        if path.stat().st_size > LARGEST_TEXT:
            return None
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return None


class SourceTree:
    """A directory of sources.

    Attributes:
        root: the directory, absolute and without links.
        files: its regular files relative to ``root``, with ``/``, sorted; links to files within the tree among them.
        links: the links to a file that is not there, or lies outside of the tree.

    Raises:
        XcError: it is no directory, or holds more than we read.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise XcError(
                _("{path} is no directory with sources", path=verbatim(str(root))), mend=verbatim("xc advise DIRECTORY")
            )
        self.root = root.resolve()
        self._lost: list[str] = []
        self.files: tuple[str, ...] = tuple(sorted(self._walk()))
        self.links: tuple[str, ...] = tuple(sorted(self._lost))
        self._known = frozenset(self.files)

    def _walk(self) -> Iterator[str]:
        number = 0
        for directory, below, names in os.walk(self.root):
            below[:] = sorted(name for name in below if name not in FOREIGN)
            for name in names:
                path = Path(directory, name)
                if not path.is_file() or not path.resolve().is_relative_to(self.root):
                    if path.is_symlink():
                        self._lost.append(path.relative_to(self.root).as_posix())
                    continue
                number += 1
                if number > MOST_FILES:
                    raise XcError(
                        _("{path} holds more than {n} files", path=verbatim(str(self.root)), n=MOST_FILES),
                        mend=_("name the directory of one project"),
                    )
                yield path.relative_to(self.root).as_posix()

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def named(self, *patterns: str) -> list[str]:
        """The files whose last name matches one of some shell patterns."""
        return [f for f in self.files if any(fnmatch.fnmatchcase(f.rpartition("/")[2], p) for p in patterns)]

    @functools.lru_cache(4096)  # noqa: B019 - a tree lives as long as its survey
    def text(self, name: str) -> str | None:
        """A file's text; None for one that is too large, cannot be read, or holds NUL bytes."""
        path = self.root / name
        try:
            if path.stat().st_size > LARGEST_TEXT:
                return None
            data = path.read_bytes()
        except OSError:
            return None
        return None if b"\0" in data else data.decode(errors="replace")

    def relative(self, path: str | Path, start: str | Path = "") -> str | None:
        """A path as a name of this tree, where ``start`` is what it is relative to; None: it lies outside."""
        whole = Path(os.path.normpath(self.root / start / path))
        if whole.is_relative_to(self.root):
            return whole.relative_to(self.root).as_posix()
        real = whole.resolve()
        return real.relative_to(self.root).as_posix() if real.is_relative_to(self.root) else None
