"""Looks at programs as the kernel does before it starts them, and tells how they are started in a sandbox.

Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import stat
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, NoReturn

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_HEAD = 256
"""BINPRM_BUF_SIZE, linux/binfmts.h."""
_SCRIPTS = 4
"""A script may be the interpreter of a script: five files before the emulator, as exec_binprm allows (fs/exec.c)."""

Seen = tuple[bool, "bytes | None"]
"""Whether a file is an emulator of ours, and its head if it can be read."""
Look = Callable[[bytes], Seen]
"""Looks at a file. Raises OSError where it cannot be executed."""


class Plan(NamedTuple):
    """How a program is started.

    Attributes:
        kind: ``emulator``, ``refuser``, or ``own``: an emulator of ours, executed by way of /proc/PID/exe.
        program: what the emulator is to run.
        words: what stands in the place of argv[0]; None leaves it.
    """

    kind: str
    program: bytes
    words: tuple[bytes, ...] | None = None


def plan(path: bytes, look: Look, kinds: Mapping[str, Sequence[Sequence[str]]]) -> Plan:
    """What the kernel would do with our registrations (fs/exec.c, fs/binfmt_script.c, fs/binfmt_misc.c).

    Args:
        kinds: of ``formats.kinds``.

    Raises:
        OSError: the call fails with this.
    """
    program, words = path, None
    for _hop in range(_SCRIPTS + 1):
        ours, head = look(program)
        if ours:
            if words is not None:
                refuse(errno.ENOEXEC)
            return Plan("own", program)
        if head is None:
            return Plan("emulator", program, words)  # who cannot either, and says so
        for kind, formats in kinds.items():
            if any(_matches(head, magic, mask) for magic, mask in formats):
                return Plan(kind, program, words)
        interpreter, more = _interpreter(head)
        words = (interpreter, *more, program, *(words or ())[1:])
        program = interpreter
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def refuse(number: int) -> NoReturn:
    raise OSError(number, os.strerror(number))


def _matches(head: bytes, magic: str, mask: str) -> bool:
    care, want = bytes.fromhex(mask), bytes.fromhex(magic)
    found = head.ljust(len(care), b"\0")
    return all(f & c == w & c for f, c, w in zip(found, care, want, strict=False))


def _interpreter(head: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The interpreter of a script, and its one argument if there is one."""
    if not head.startswith(b"#!"):
        refuse(errno.ENOEXEC)
    line, newline, _rest = head[2 : _HEAD - 1].ljust(_HEAD - 3, b"\0").partition(b"\n")
    if not newline and not any(end in line.lstrip(b" \t") for end in (b" ", b"\t", b"\0")):
        refuse(errno.ENOEXEC)  # cut off within the path
    text = line.strip(b" \t")
    if not text:
        refuse(errno.ENOEXEC)
    length = min(at for at in (len(text), *map(text.find, (b" ", b"\t", b"\0"))) if at >= 0)
    if not length:
        refuse(errno.EACCES)
    argument = text[length:].lstrip(b" \t").split(b"\0", 1)[0]
    return text[:length], (argument,) if argument else ()


def head_of(fd: int) -> bytes | None:
    """The head of an opened file; None where we cannot read it."""
    try:
        reading = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.pread(reading, _HEAD, 0)
    finally:
        os.close(reading)


class Capabilities:
    """The effective capabilities of this thread (capset(2)), without those that pass by the rights of files, and back."""

    _VERSION = 0x20080522
    _RIGHTS = 1 << 1 | 1 << 2
    """CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH."""

    def __init__(self) -> None:
        self._header = struct.pack("<Ii", self._VERSION, 0)
        found = ctypes.create_string_buffer(24)
        _libc.capget(self._header, found)
        self._all = found.raw
        (effective,) = struct.unpack_from("<I", self._all)
        self._few = struct.pack("<I", effective & ~self._RIGHTS) + self._all[4:]

    def lay_down(self) -> None:
        _libc.capset(self._header, self._few)

    def take_up(self) -> None:
        _libc.capset(self._header, self._all)


class Files:
    """Looks at files as a process of the target does: from its root and its directory, with its rights.

    Args:
        root: the root filesystem of the target.
        user: its id as we see it.
        ours: device and inode of our emulators.
    """

    def __init__(self, root: str, user: int, ours: Mapping[tuple[int, int], str]) -> None:
        self._root, self._user, self._ours = root, user, ours
        self._top = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._capabilities = Capabilities()
        self._groups = frozenset({user, *os.getgroups()})

    @contextlib.contextmanager
    def _as(self, directory: int) -> Iterator[None]:
        os.chroot(self._root)
        try:
            os.fchdir(directory)
            if self._user:
                _libc.setfsgid(self._user)
                _libc.setfsuid(self._user)
            else:
                self._capabilities.lay_down()
            yield
        finally:
            if self._user:
                _libc.setfsuid(0)
                _libc.setfsgid(0)
                _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a change of ids has cleared it
            else:
                self._capabilities.take_up()
            os.fchdir(self._top)
            os.chroot(".")

    def look(self, thread: int, directory: str, path: bytes, follow: bool = True) -> Seen:
        """See ``Look``.

        Args:
            directory: that a relative path begins at: ``cwd``, or ``fd/N``.
        """
        if path.startswith(b"/proc/1/"):
            refuse(errno.EACCES)  # ours: we may look there, they may not
        for link, there in (
            (b"/dev/fd/", b"fd/"),
            (b"/proc/self/", b""),
            (b"/proc/thread-self/", b""),
            (b"/dev/std", b""),
        ):
            if path.startswith(link):
                rest = path[len(link) :]
                if link == b"/dev/std":
                    there, rest = b"fd/", {b"in": b"0", b"out": b"1", b"err": b"2"}.get(rest, rest)
                path = b"/proc/%d/%s%s" % (thread, there, rest)
                break
        try:
            place = os.open(f"/proc/{thread}/{directory}", os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None
        try:
            with self._as(self._top if path.startswith(b"/") else place):
                file = os.open(path, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
        finally:
            os.close(place)
        try:
            return self._judged(file)
        finally:
            os.close(file)

    def opened(self, thread: int, number: int) -> Seen:
        """The same of an open file of the process."""
        file = os.open(f"/proc/{thread}/fd/{number}", os.O_PATH | os.O_CLOEXEC)
        try:
            return self._judged(file)
        finally:
            os.close(file)

    def _judged(self, file: int) -> Seen:
        about = os.fstat(file)
        if stat.S_ISLNK(about.st_mode):
            refuse(errno.ELOOP)
        owner = about.st_uid == self._user
        bit = 0o100 if owner else 0o010 if about.st_gid in self._groups else 0o001
        if not stat.S_ISREG(about.st_mode) or not about.st_mode & bit or os.fstatvfs(file).f_flag & os.ST_NOEXEC:
            refuse(errno.EACCES)
        if (about.st_dev, about.st_ino) in self._ours:
            return True, b""
        return False, head_of(file)


def look_here(ours: Mapping[tuple[int, int], str]) -> Look:
    """For a process that is one of the target's already."""

    def look(path: bytes) -> Seen:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            about = os.fstat(file)
            if not stat.S_ISREG(about.st_mode) or not os.access(path, os.X_OK):
                refuse(errno.EACCES)
            return (about.st_dev, about.st_ino) in ours, head_of(file)
        finally:
            os.close(file)

    return look
