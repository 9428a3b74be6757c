"""A private copy of a root filesystem in memory, for where the kernel lets no ordinary user mount an overlay (Linux < 5.11).

It tells the same changes as the overlay's upper layer, and is restored by them. A file has changed when its number, its size,
its times or its rights are others: what writes to a file changes its ctime, which no program can set. What writes to memory
that is mapped need not, on a file system in memory; so files that were opened to be written count too (inotify(7)), as an
overlay copies them up then. Where inotify has no room or has lost count, contents are compared.

Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import stat
import struct
import time
from collections.abc import Collection
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)
_CLOSE_WRITE, _OVERFLOW, _ONLYDIR = 0x8, 0x4000, 0x01000000
"""linux/inotify.h."""
_EVENT = struct.Struct("iIII")
_PASSED_OVER = (OSError, ValueError)


class State(NamedTuple):
    """What is compared of a file; ``entries``, of a directory, is when a name in it was last made or removed, in ns.

    The ctime of a directory changes with its entries, so that its attributes are compared by themselves.
    """

    number: int
    rights: tuple[int, int, int]
    attributes: tuple[tuple[str, bytes], ...]
    content: tuple[int, ...]
    entries: int


def _state(path: str, found: os.stat_result) -> State:
    directory = stat.S_ISDIR(found.st_mode)
    return State(
        found.st_ino,
        (found.st_mode, found.st_uid, found.st_gid),
        _attributes(path) if directory else (),
        () if directory else (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_rdev),
        found.st_mtime_ns if directory else 0,
    )


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _attributes(path: str) -> tuple[tuple[str, bytes], ...]:
    try:
        return tuple((name, os.getxattr(path, name)) for name in sorted(os.listxattr(path)))
    except OSError:
        return ()  # there are none there


class Copy:
    """A copy of the tree ``source`` in the empty directory ``place``.

    Args:
        apart: names in the root of what is no part of it: places to mount, and the command's own directory.
    """

    def __init__(self, source: str, place: str, apart: Collection[str]) -> None:
        self._source, self._place, self._apart = source, place, frozenset(apart)
        self._made: dict[str, State] = {}
        self._watched: dict[int, str] = {}
        self._written: set[str] = set()
        self._blind = False
        self._linked: dict[tuple[int, int], str] = {}
        self._inotify = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._copy("")
        self._linked.clear()

    # -- copying

    def _copy(self, path: str) -> None:
        """Copy a file or directory with all that is in it, as root of the sandbox can."""
        source, there = self._source + path, self._place + path
        about = os.lstat(source)
        if stat.S_ISDIR(about.st_mode):
            if path:
                os.mkdir(there)
            for name in os.listdir(source):
                if path or name not in self._apart:
                    self._copy(f"{path}/{name}")
                elif _is_directory(f"{source}/{name}"):
                    os.mkdir(f"{there}/{name}")
        elif stat.S_ISREG(about.st_mode):
            first = self._linked.setdefault((about.st_dev, about.st_ino), there) if about.st_nlink > 1 else there
            if first != there:
                os.link(first, there)
                return
            shutil.copyfile(source, there)
        elif stat.S_ISLNK(about.st_mode):
            os.symlink(os.readlink(source), there)
        else:
            with contextlib.suppress(*_PASSED_OVER):
                os.mknod(there, about.st_mode, about.st_rdev)
            if not os.path.lexists(there):
                return
        self._dress(there, about)

    @staticmethod
    def _dress(there: str, about: os.stat_result) -> None:
        """Give a file the owner, rights and times of another. What is provisioned has no attributes."""
        with contextlib.suppress(*_PASSED_OVER):  # an id that is not mapped here
            os.chown(there, about.st_uid, about.st_gid, follow_symlinks=False)
        if not stat.S_ISLNK(about.st_mode):
            os.chmod(there, stat.S_IMODE(about.st_mode))
        os.utime(there, ns=(about.st_atime_ns, about.st_mtime_ns), follow_symlinks=False)

    # -- states

    def _walk(self) -> dict[str, State]:
        found = {"": _state(self._place, os.lstat(self._place))}
        left, prefix = [self._place], len(self._place)
        while left:
            directory = left.pop()
            with os.scandir(directory) as entries:
                for entry in entries:
                    if directory == self._place and entry.name in self._apart:
                        continue
                    path = entry.path
                    found[path[prefix:]] = _state(path, entry.stat(follow_symlinks=False))
                    if entry.is_dir(follow_symlinks=False):
                        left.append(path)
        return found

    def settle(self) -> None:
        """Changes are told from here on."""
        self._blind = self._inotify < 0
        self._made = self._walk()
        for path, state in self._made.items():
            if stat.S_ISDIR(state.rights[0]) and not self._blind:
                wanted = _CLOSE_WRITE | _ONLYDIR
                number = _libc.inotify_add_watch(self._inotify, os.fsencode(self._place + path), wanted)
                self._watched[number] = path
                self._blind = number < 0
        # What comes has a ctime of its own: the clock of file systems goes on by ticks (CLOCK_REALTIME_COARSE).
        last = max(state.content[2] for state in self._made.values() if state.content)
        while time.clock_gettime_ns(5) <= last < time.time_ns():
            time.sleep(0.001)
        self._listen()
        self._written.clear()

    def _listen(self) -> None:
        """Take what inotify has to tell."""
        while self._inotify >= 0:
            try:
                data = os.read(self._inotify, 1 << 16)
            except OSError:
                return
            at = 0
            while at + _EVENT.size <= len(data):
                number, mask, _cookie, size = _EVENT.unpack_from(data, at)
                name = data[at + _EVENT.size : at + _EVENT.size + size].rstrip(b"\0")
                at += _EVENT.size + size
                self._blind |= bool(mask & _OVERFLOW)
                if mask & _CLOSE_WRITE and number in self._watched:
                    self._written.add(f"{self._watched[number]}/{os.fsdecode(name)}")

    def _is_another(self, path: str, state: State) -> bool:
        """Whether a file that looks like what it was is not."""
        if path in self._written:
            return True
        if not self._blind or not stat.S_ISREG(state.rights[0]) or not os.path.isfile(self._source + path):
            return False
        with open(self._source + path, "rb") as one, open(self._place + path, "rb") as other:
            while (data := one.read(1 << 20)) == other.read(1 << 20):
                if not data:
                    return False
        return True

    def compare(self) -> tuple[set[str], set[str]]:
        """Paths that were made, written, removed or given other rights; and directories in which a name was."""
        self._listen()
        now = self._walk()
        passing, changed = set(), set()
        for path, state in now.items():
            was = self._made.get(path)
            if was is None or was._replace(entries=state.entries) != state or self._is_another(path, state):
                changed.add(path)
            elif was.entries != state.entries:
                passing.add(path)
        # Of a directory that is gone, or another, the overlay tells its name alone.
        for path in sorted(self._made.keys() - now.keys()):
            parent = path.rpartition("/")[0]
            if parent in now and (parent not in self._made or now[parent].number == self._made[parent].number):
                changed.add(path)
        return changed, passing

    def restore(self) -> bool:
        """Undo all changes; returns whether there were any. Then ``settle`` is for the end of what is made anew.

        Nothing of the target's may run: links are not followed, but names could be changed between two steps.
        """
        changed, passing = self.compare()
        if not changed and not passing:
            return False
        for path in sorted(changed):  # a directory before what is in it
            there, was = self._place + path, self._made.get(path)
            about = os.lstat(there) if os.path.lexists(there) else None
            if about is not None and was is not None and was.number == about.st_ino and stat.S_ISDIR(about.st_mode):
                passing.add(path)  # its rights or attributes are others
                for name, _value in _attributes(there):
                    os.removexattr(there, name)
                continue
            if about is not None:
                self.remove(there)
            parent = os.path.dirname(path)
            if was is not None and os.path.lexists(self._source + path) and _is_directory(self._place + parent):
                self._copy(path)
            passing.add(parent)
        for path in sorted(passing, reverse=True):
            there, was = self._place + path, self._made.get(path)
            if was is not None and _is_directory(there):
                mode, user, group = was.rights
                os.chown(there, user, group)
                os.chmod(there, stat.S_IMODE(mode))
                os.utime(there, ns=(was.entries, was.entries))
        self._watched.clear()
        return True

    @classmethod
    def empty(cls, path: str) -> None:
        """Leave an empty directory, or nothing where there is none."""
        if not _is_directory(path):
            if os.path.lexists(path):
                os.unlink(path)
            return
        for name in os.listdir(path):
            cls.remove(f"{path}/{name}")
        os.chmod(path, 0o755)
        for name, _value in _attributes(path):
            os.removexattr(path, name)

    @staticmethod
    def remove(path: str) -> None:
        """Remove whatever is there, directories without rights for their owner too."""
        if _is_directory(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def size_of(tree: str) -> int:
    """Bytes of a file system in memory that a copy of a tree needs: whole pages, and what the names take."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for directory, names, files in os.walk(tree):
        total += page * (1 + (len(names) + len(files)) // 64)
        for name in files:
            found = os.lstat(f"{directory}/{name}")
            if stat.S_ISREG(found.st_mode):
                total += -(-found.st_size // page) * page
    return total
