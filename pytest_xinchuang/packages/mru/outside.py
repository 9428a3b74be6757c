"""What a run made, removed or changed outside its own place, though nothing of it is left: by its system calls."""

from __future__ import annotations

import contextlib
import posixpath
import re

from pytest_xinchuang.sandbox.call_log import CallLog
from pytest_xinchuang.sandbox.protocol import WORK_DIR
from pytest_xinchuang.sandbox.strace import Call

_PATHS = re.compile(r'(?:(?P<at>AT_FDCWD|-?\d+),)?"(?P<path>[^"]*)"')
_CHANGE = frozenset(
    {
        *("creat", "mkdir", "mkdirat", "mknod", "mknodat", "rmdir", "unlink", "unlinkat", "truncate"),
        *("link", "linkat", "symlink", "symlinkat", "rename", "renameat", "renameat2"),
        *("chmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchownat"),
        *("setxattr", "lsetxattr", "removexattr", "lremovexattr"),
    }
)
_OPEN = frozenset({"open", "openat", "openat2"})
_TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/shm/", "/proc/", "/dev/")
"""Where what is gone at the end was rightly made (FHS 3.0, 3.18 and 5.15), and what is no file of the system."""


def touched_outside(log: CallLog) -> tuple[str, ...]:
    """Paths outside ``WORK_DIR`` and the directories for temporary files that calls made, removed or changed."""
    directories: dict[tuple[int | None, int], str] = {}
    current: dict[int | None, str] = {}
    found: dict[str, None] = {}
    for call in log.calls:
        answer = _answer(call)
        if answer is None:
            continue
        named = [_resolve(call, at, path, current, directories) for at, path in _named(call)]
        if call.name == "chdir" and named:
            current[call.thread] = named[0]
        elif call.name == "fchdir":
            with contextlib.suppress(ValueError, KeyError):
                current[call.thread] = directories[call.thread, int(call.arguments.rstrip(")"))]
        elif call.name in ("clone", "fork", "vfork") and answer:
            if call.thread in current:
                current[answer] = current[call.thread]
        elif call.name in _OPEN and named:
            directories[call.thread, answer] = named[0]
            if "O_CREAT" in call.arguments or "O_TRUNC" in call.arguments:
                found |= dict.fromkeys(named[:1])
        elif call.name in _CHANGE:
            found |= dict.fromkeys(named[1:] if call.name.startswith("symlink") else named)
    return tuple(path for path in found if path.startswith("/") and not _is_own(path))


def _answer(call: Call) -> int | None:
    with contextlib.suppress(ValueError):
        return int(call.answer or "", 0)
    return None


def _named(call: Call) -> list[tuple[str, str]]:
    return [(found["at"] or "AT_FDCWD", found["path"]) for found in _PATHS.finditer(call.arguments)]


def _resolve(
    call: Call,
    at: str,
    path: str,
    current: dict[int | None, str],
    directories: dict[tuple[int | None, int], str],
) -> str:
    """A path as it is from the root; one that is relative to what is not known is below the own place."""
    start = current.get(call.thread, WORK_DIR + "/.") if at == "AT_FDCWD" else directories.get((call.thread, int(at)))
    return posixpath.normpath(posixpath.join(start or WORK_DIR, path))


def _is_own(path: str) -> bool:
    return path == WORK_DIR or path.startswith((WORK_DIR + "/", *_TEMPORARY))
