"""Directory trees and files of the cache: their digests, their removal, and what a failure of the file system means."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pytest_xinchuang.messages import Message, _, verbatim


def tree_digest(root: Path) -> str:
    """SHA-256 over every path below ``root`` with its type, permissions, attributes and content, without owners and times."""
    lines: list[str] = []
    files: list[tuple[str, str]] = []
    for directory, names, leaves in os.walk(root):
        for name in names + leaves:
            path = os.path.join(directory, name)  # noqa: PTH118 - a Path for each of thousands of files costs too much
            info = os.lstat(path)
            relative = os.path.relpath(path, root)
            lines += _attributes(path, relative)
            if stat.S_ISLNK(info.st_mode):
                lines.append(f"l {relative} {os.readlink(path)}")  # noqa: PTH115
            elif stat.S_ISDIR(info.st_mode):
                lines.append(f"d {relative} {stat.S_IMODE(info.st_mode):o}")
            elif stat.S_ISREG(info.st_mode):
                files.append((path, f"f {relative} {stat.S_IMODE(info.st_mode):o}"))
            else:
                lines.append(f"o {relative}")
    with ThreadPoolExecutor(2) as pool:
        digests = pool.map(_file_digest, [path for path, _ in files], chunksize=64)
        lines += [f"{line} {digest}" for (_, line), digest in zip(files, digests, strict=True)]
    text = "\n".join(sorted(lines)).encode(errors="surrogateescape")
    return "sha256:" + hashlib.sha256(text).hexdigest()


_OF_THE_HOST = frozenset({"security.selinux", "security.apparmor", "security.ima", "security.evm"})
"""Extended attributes that the host's security module gives to every file."""


def _attributes(path: str, relative: str) -> list[str]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
        own = sorted(name for name in names if name not in _OF_THE_HOST)
        return [f"x {relative} {name} {os.getxattr(path, name, follow_symlinks=False).hex()}" for name in own]
    except (OSError, AttributeError):  # a system or a file system without them, or what nobody but root may read
        return []


def stat_index(root: Path) -> str:
    """SHA-256 over what the kernel says of every path at and below ``root``: a change of anything there changes it.

    It costs some 4 µs a path, where ``tree_digest`` reads every byte. Nobody but root sets the time of change at will.
    """
    total = hashlib.sha256()
    waiting = [os.fspath(root)]
    while waiting:
        place = waiting.pop()
        info = os.lstat(place)
        total.update(f"{place[len(os.fspath(root)) :]}\0".encode("utf-8", "surrogateescape"))
        numbers = (info.st_mode, info.st_uid, info.st_gid, info.st_dev, info.st_ino, info.st_size)
        total.update(repr((*numbers, info.st_mtime_ns, info.st_ctime_ns)).encode())
        if stat.S_ISDIR(info.st_mode):
            waiting += sorted(os.path.join(place, name) for name in os.listdir(place))  # noqa: PTH118, PTH208
    return total.hexdigest()


def _file_digest(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").hexdigest()


def note_digest(file: Path, place: Path) -> None:
    """Write the digest of ``file`` beside ``place``, where the file is about to be put, as sha256sum(1) does."""
    _note(place).write_text(f"{_file_digest(str(file))}  {place.name}\n", encoding="utf-8")


def is_whole(place: Path) -> bool:
    """Whether a file has the digest that was noted beside it."""
    try:
        return _note(place).read_text(encoding="utf-8") == f"{_file_digest(str(place))}  {place.name}\n"
    except (OSError, ValueError):
        return False


def _note(place: Path) -> Path:
    return place.with_name(f"{place.name}.sha256")


def remove_tree(path: Path) -> None:
    """Remove a directory tree, also where it holds directories without permissions."""
    opened: set[str] = set()

    def retry(_function: Callable[..., object], name: str, _error: object) -> None:
        if name in opened:
            return
        opened.add(name)
        with contextlib.suppress(OSError):
            Path(name).parent.chmod(0o700)
            if Path(name).is_dir() and not Path(name).is_symlink():
                Path(name).chmod(0o700)
                shutil.rmtree(name, onerror=retry)
            else:
                Path(name).unlink()

    if path.exists():
        shutil.rmtree(path, onerror=retry)
    if path.exists():
        shutil.rmtree(path, ignore_errors=True)


def make_directory(place: Path) -> None:
    """Make a directory with those above it that are missing; their permissions do not depend on who makes them (umask(2))."""
    if not place.is_dir():
        make_directory(place.parent)
        place.mkdir(exist_ok=True)
        place.chmod(0o755)


def writing_mend(error: OSError, directory: Path) -> Message:
    """How to mend that something could not be written below a directory: it depends on what the system says."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return _("make room in {directory}, or export XC_CACHE=/another/directory", directory=directory)
        case errno.EROFS:
            return _("{directory} is read-only: export XC_CACHE=/a/writable/directory", directory=directory)
        case errno.EACCES | errno.EPERM:
            return _(
                "{directory} may not be written by us: export XC_CACHE=/a/directory/of/your/own", directory=directory
            )
        case errno.EXDEV:
            return _(
                "{directory} lies on several file systems: export XC_CACHE=/a/directory/on/one/file/system",
                directory=directory,
            )
        case errno.EMFILE | errno.ENFILE:
            return verbatim("ulimit -n 4096")
    return verbatim("export XC_CACHE=/another/directory")
