"""What a run made, removed or changed outside its own place, though nothing of it is left: by its system calls."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field

from pytest_xinchuang.sandbox.call_log import CallLog
from pytest_xinchuang.sandbox.protocol import WORK_DIR
from pytest_xinchuang.sandbox.strace import MAKING, OPENING, Call, as_number, has_flag

_PATHS = re.compile(r'(?:(?P<at>AT_FDCWD|-?\d+|0x[0-9a-f]+),)?"(?P<path>[^"]*)"')
_OF_LINKS = frozenset(
    {
        *("mkdir", "mkdirat", "mknod", "mknodat", "rmdir", "unlink", "unlinkat", "lchown", "lsetxattr", "lremovexattr"),
        *("link", "linkat", "symlink", "symlinkat", "rename", "renameat", "renameat2"),
    }
)
"""What is done to a link itself, and not to what it leads to."""
_CHANGE = _OF_LINKS | {
    *("creat", "truncate", "chmod", "fchmodat", "fchmodat2", "chown", "fchownat", "setxattr", "removexattr"),
    *("utime", "utimes", "futimesat", "utimensat"),
}
_BY_DESCRIPTOR = frozenset({"fchmod", "fchown", "fsetxattr", "fremovexattr", "ftruncate", "futimesat", "utimensat"})
_MAKES = re.compile(r"O_(?:CREAT|TRUNC|TMPFILE)")
_COPIES = frozenset({"dup", "dup2", "dup3"})
_CLONE_FS, _CLONE_FILES = ("CLONE_FS", 0x200), ("CLONE_FILES", 0x400)
"""linux/sched.h, as qemu-user and the agent log it."""
_COPY = re.compile(r"F_DUPFD(?:_CLOEXEC)?$|0x0$|0x406$")
"""fcntl(2), by name and by number."""
_MAGIC = re.compile(
    r"(?:/proc/(?:self|thread-self|[0-9]+)(?:/task/[0-9]+)?/(?:root|cwd|fd/(?P<n>\d+))|/dev/fd/(?P<d>\d+))(?=/|$)"
)
"""Links of proc(5) that lead to where a process is, and to what it has open."""
_TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/shm/", "/proc/", "/dev/")
"""Where what is gone at the end was rightly made (FHS 3.0, 3.18 and 5.15), and what is no file of the system."""
_MOST_HOPS = 40
"""As the kernel follows links (MAXSYMLINKS)."""


@dataclass
class _Place:
    """Where a process is. Threads share it (CLONE_FS), a child has a copy."""

    path: str = f"{WORK_DIR}/unit"


@dataclass
class _Holder:
    """What a thread has open, by number, and where it is."""

    opened: dict[int, str] = field(default_factory=dict)
    at: _Place = field(default_factory=_Place)


def touched_outside(log: CallLog) -> tuple[str, ...]:
    """Paths outside ``WORK_DIR`` and the directories for temporary files that calls made, removed or changed."""
    followed = _Followed()
    for call in log.calls:
        if (answer := call.returned) is not None and call.errno is None:
            followed.take(call, answer)
    return tuple(path for path in followed.found if path.startswith("/") and not _is_own(path))


class _Followed:
    """Follows descriptors, working directories and links, so that each call's paths are known from the root."""

    def __init__(self) -> None:
        self._holders: dict[int | None, _Holder] = {}
        self._links: dict[str, str] = {}
        self.found: dict[str, None] = {}

    def take(self, call: Call, answer: int) -> None:
        """Take in a call that succeeded with ``answer``."""
        name, words = call.name, [word.strip() for word in call.arguments.rstrip(")").split(",")]
        holder = self._holders.setdefault(call.thread, _Holder())
        first = as_number(words[0])
        paths = [self._resolve(holder, found["at"], found["path"], name) for found in _PATHS.finditer(call.arguments)]
        if name == "chdir" and paths:
            holder.at.path = paths[0]
        elif name == "fchdir" and first in holder.opened:
            holder.at.path = holder.opened[first]
        elif name in MAKING and answer:
            at = holder.at if has_flag(words[0], *_CLONE_FS) else _Place(holder.at.path)
            shared = has_flag(words[0], *_CLONE_FILES)
            self._holders[answer] = _Holder(holder.opened if shared else dict(holder.opened), at)
        elif name in _COPIES or (name == "fcntl" and len(words) > 1 and _COPY.match(words[1])):
            self._reuse(holder, answer, holder.opened.get(-1 if first is None else first))
        elif name == "close" and first is not None:
            holder.opened.pop(first, None)
        elif name in OPENING and paths:
            self._reuse(holder, answer, paths[0])
            unnamed = "O_TMPFILE" in call.arguments  # in the directory that is opened
            if _MAKES.search(call.arguments) and not (unnamed and _is_own(paths[0] + "/")):
                self.found[paths[0]] = None
        elif name in _BY_DESCRIPTOR and not paths and first in holder.opened:
            self.found[holder.opened[first]] = None
        elif name in _CHANGE and paths:
            if name.startswith("symlink"):
                self._links[paths[-1]] = self._walk(posixpath.dirname(paths[-1]), _PATHS.findall(call.arguments)[0][1])
                paths = paths[-1:]
            self.found |= dict.fromkeys(paths)

    @staticmethod
    def _reuse(holder: _Holder, at: int, path: str | None) -> None:
        holder.opened.pop(at, None)
        if path is not None:
            holder.opened[at] = path

    def _resolve(self, holder: _Holder, at: str | None, path: str, call: str) -> str:
        """A path from the root; one that is relative to what is not known is below the own place."""
        directory = None if at in (None, "AT_FDCWD") else as_number(at or "")
        start = holder.at.path if directory is None or directory == -100 else holder.opened.get(directory, WORK_DIR)
        if (magic := _MAGIC.match(path)) is not None:
            opened = magic["n"] or magic["d"]
            leads = holder.opened.get(int(opened)) if opened else "/" if magic[0].endswith("root") else holder.at.path
            if leads is None:
                return path
            start, path = leads, path[magic.end() :].lstrip("/")
        return self._walk(start, path, last=call not in _OF_LINKS)

    def _walk(self, start: str, path: str, *, last: bool = True) -> str:
        """Go from ``start`` along ``path``, through the links that the run has made; ``last``: through the last one too."""
        place, hops = "/" if path.startswith("/") else start, 0
        parts = [part for part in path.split("/") if part not in ("", ".")][::-1]
        while parts:
            part = parts.pop()
            place = posixpath.dirname(place) if part == ".." else posixpath.join(place, part)
            if place in self._links and (parts or last) and hops < _MOST_HOPS:
                place, hops = self._links[place], hops + 1
        return place


def _is_own(path: str) -> bool:
    return path == WORK_DIR or path.startswith((WORK_DIR + "/", *_TEMPORARY))
