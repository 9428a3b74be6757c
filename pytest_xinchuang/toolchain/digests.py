"""Digests of files that are read again and again; a file is read anew when anything that the kernel says of it has changed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

Stamp = tuple[int, int, int, int, int]


def stamp_of(path: str) -> Stamp:
    """Device, inode, time of writing and of change (ns), size (bytes): nobody but root sets the time of change at will."""
    info = os.stat(path)  # noqa: PTH116 - hundreds for each build
    return (info.st_dev, info.st_ino, info.st_mtime_ns, info.st_ctime_ns, info.st_size)


class Digests:
    """SHA-256 of files, remembered in one process and, for large ones, in a directory.

    Args:
        directory: where those of large files are kept from one process to the next.
    """

    LARGE = 4 << 20
    """Bytes from which reading a record is cheaper than reading the file: some 3 ms of SHA-256."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[str, tuple[Stamp, str]] = {}

    def of(self, path: str | Path) -> str:
        """The digest, in hexadecimal.

        Raises:
            OSError: the file cannot be read.
        """
        name = str(path)
        stamp = stamp_of(name)
        known = self._known.get(name)
        if known is None and stamp[4] >= self.LARGE:
            known = self._kept(name)
        if known is not None and known[0] == stamp:
            self._known[name] = known
            return known[1]
        with open(name, "rb") as file:  # noqa: PTH123
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if stamp_of(name) == stamp:
            self._known[name] = stamp, digest
            if stamp[4] >= self.LARGE:
                self._keep(name, stamp, digest)
        return digest

    def is_still(self, path: str, digest: str, stamp: Sequence[int]) -> bool:
        """Whether a file has this digest, which it had when the kernel said ``stamp`` of it.

        Raises:
            OSError: the file cannot be read.
        """
        return tuple(stamp) == stamp_of(path) or self.of(path) == digest

    def _place(self, name: str) -> Path:
        return self._directory / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.json"

    def _kept(self, name: str) -> tuple[Stamp, str] | None:
        try:
            path, stamp, digest = json.loads(self._place(name).read_text(encoding="utf-8"))
            dev, ino, written, changed, size = map(int, stamp)
        except (OSError, ValueError, TypeError):
            return None
        return ((dev, ino, written, changed, size), str(digest)) if path == name else None

    def _keep(self, name: str, stamp: Stamp, digest: str) -> None:
        place = self._place(name)
        part = place.with_suffix(f".{os.getpid()}")
        with contextlib.suppress(OSError):  # it is read anew the next time
            self._directory.mkdir(exist_ok=True)
            part.write_text(json.dumps([name, stamp, digest]), encoding="utf-8")
            part.replace(place)
