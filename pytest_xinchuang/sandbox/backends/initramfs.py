"""Archives that a kernel unpacks as its first file system: cpio in the "newc" format.

Documentation/driver-api/early-userspace/buffer-format.rst of the kernel: several archives may follow each other, and a later
one adds to what an earlier one brought.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import IO

_HEADER = 110
_ALIGN = 4

DIRECTORIES = ("dev", "proc", "sys", "run", "tmp", "var/tmp", "xc", ".xc")


class Archive:
    """Writes one archive to ``file``; everything in it belongs to root."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inode = 0
        self._written = 0

    def add(self, name: str, mode: int, data: bytes = b"", *, device: tuple[int, int] = (0, 0)) -> None:
        """Add an entry; ``mode`` holds the type as well (inode(7))."""
        self._inode += 1
        path = name.encode("utf-8", "surrogateescape") + b"\0"
        major, minor = device
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(path), 0)
        header = b"070701" + b"".join(b"%08x" % value for value in fields)
        self._put(header + path)
        self._put(data)

    def _put(self, data: bytes) -> None:
        self._file.write(data)
        self._written += len(data)
        padding = -self._written % _ALIGN
        self._file.write(b"\0" * padding)
        self._written += padding

    def close(self) -> None:
        self.add("TRAILER!!!", 0)
        # The next archive starts where the kernel looks for one: at a multiple of four; 512 is what cpio writes.
        self._file.write(b"\0" * (-self._written % 512))


def write_tree(tree: Path, file: IO[bytes]) -> None:
    """Write a root filesystem as an archive: directories, files and symbolic links, set-id bits dropped."""
    archive = Archive(file)
    for name in DIRECTORIES:
        if not (tree / name).is_dir():
            for parent in reversed([*Path(name).parents][:-1]):
                archive.add(str(parent), stat.S_IFDIR | 0o755)
            archive.add(name, stat.S_IFDIR | (0o1777 if name.endswith("tmp") else 0o755))
    # What the kernel opens for the first process (Documentation/admin-guide/devices.txt: 5,1 is /dev/console).
    archive.add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))
    for directory, names, leaves in os.walk(tree):
        names.sort()
        for name in sorted(names + leaves):
            path = Path(directory, name)
            relative = path.relative_to(tree).as_posix()
            info = path.lstat()
            kind, permissions = stat.S_IFMT(info.st_mode), stat.S_IMODE(info.st_mode) & 0o1777
            if stat.S_ISLNK(info.st_mode):
                archive.add(relative, kind | 0o777, str(path.readlink()).encode("utf-8", "surrogateescape"))
            elif stat.S_ISDIR(info.st_mode):
                archive.add(relative, kind | (0o1777 if relative.endswith("tmp") else permissions))
            elif stat.S_ISREG(info.st_mode):
                archive.add(relative, kind | permissions, path.read_bytes())
    archive.close()


def write_files(files: Mapping[str, tuple[bytes, int]], file: IO[bytes]) -> None:
    """Write an archive of these absolute paths -> (content, permissions), with their directories."""
    archive = Archive(file)
    made: set[str] = set()
    for name, (data, permissions) in sorted(files.items()):
        relative = name.lstrip("/")
        for parent in reversed([*Path(relative).parents][:-1]):
            if str(parent) not in made:
                made.add(str(parent))
                archive.add(str(parent), stat.S_IFDIR | 0o755)
        archive.add(relative, stat.S_IFREG | permissions, data)
    archive.close()
