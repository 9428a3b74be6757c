"""Takes down what qemu-user logs of a command's system calls, where the command can neither see, write nor close it.

qemu-user logs from within the process that it emulates: whatever descriptor it has, the program has. So it gets none. The
emulators of a traced command are started with ``-D PATH``, and a seccomp filter hands two calls of the command's processes to
us (seccomp_unotify(2)): the opening of that path, which we answer with a number that no descriptor table holds, and writes
to such numbers, whose bytes we read from the process's memory. To the program the numbers are not open (``EBADF``, no entry in
/proc/self/fd, nothing for close_range), and no signal or redirection loses a byte.

The program's own calls would come here too. They are told by what the emulator did before the program's first instruction:
it opens and writes from two places of its code, which are not those that calls of the program are made from, and writes from
one buffer for as long as it lives, for which the program has no address. What comes from elsewhere is answered as without us.

This holds against programs, not against what has taken over its emulator: whoever writes into the emulator's own memory is
capable of anything. Opening /proc/PID/mem to write makes the log one that is not whole (call_log.py).

This file is loaded by the supervisor, and uses the standard library alone.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from typing import Any

FIRST = 0x40000000
"""The first of our numbers: above any RLIMIT_NOFILE (fs.nr_open is at most 0x7fffffc0, and 1048576 by default)."""
LAST = FIRST + (1 << 20)
KEPT = 64 << 20
"""Bytes of a log that are kept; what comes then is dropped, and told."""
HEADER = struct.Struct("<II")
"""Before each piece of the log: thread, bytes."""

# linux/seccomp.h
_SET_MODE_FILTER = 1
_NEW_LISTENER, _WAIT_KILLABLE_RECV = 1 << 3, 1 << 5
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _SEND, _ID_VALID, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40082102, 0x40082104
_SYNC_WAKE_UP = 1
_CONTINUES = (5, 5)
"""The first kernel with SECCOMP_USER_NOTIF_FLAG_CONTINUE: on 5.0 to 5.4 a call that is none of ours would wait for ever."""
_CONTINUE = 1
# struct seccomp_notif: id, pid, flags, then struct seccomp_data: number, architecture, instruction, six arguments
_REQUEST = struct.Struct("<QIIiIQ6Q")
_RESPONSE = struct.Struct("<QqiI")

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_WRITE = {"x86_64": 1, "aarch64": 64}
_OPENAT = {"x86_64": 257, "aarch64": 56}
_FOPEN_FLAGS, _FOPEN_MODE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666
"""What fopen(path, "w") opens with; qemu-user opens its log so (util/log.c)."""

# linux/bpf_common.h: load a word of seccomp_data; jump if equal; jump if greater or equal; return
_LOAD, _EQUALS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06

_MACHINE = os.uname().machine
_libc = ctypes.CDLL(None, use_errno=True)


Text = dict[str, Any]
"""A text for users, as the journal holds messages."""


def _(template: str) -> Text:
    """A text of the host's catalogues."""
    return {"id": template, "params": {}}


class _Row(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.POINTER(_Row)))


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("len", ctypes.c_size_t))


def hand_over() -> int:
    """Install the filter in this process; returns the descriptor on which its calls are announced.

    Raises:
        OSError: the kernel has no such thing, or another filter of ours has a listener already.
    """
    if tuple(map(int, os.uname().release.split("-")[0].split(".")[:2])) < _CONTINUES:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    number, argument = 0, 16
    rows = (
        (_LOAD, 0, 0, number),
        (_EQUALS, 3, 0, _WRITE[_MACHINE]),
        (_EQUALS, 0, 6, _OPENAT[_MACHINE]),
        (_LOAD, 0, 0, argument + 16),
        (_EQUALS, 3, 4, _FOPEN_FLAGS),
        (_LOAD, 0, 0, argument),
        (_AT_LEAST, 0, 2, FIRST),
        (_AT_LEAST, 1, 0, LAST),
        (_RETURN, 0, 0, _NOTIFY),
        (_RETURN, 0, 0, _ALLOW),
    )
    program = _Program(len(rows), (_Row * len(rows))(*(_Row(*row) for row in rows)))
    for flags in (_NEW_LISTENER | _WAIT_KILLABLE_RECV, _NEW_LISTENER):
        listener = _libc.syscall(_SECCOMP[_MACHINE], _SET_MODE_FILTER, flags, ctypes.byref(program))
        if listener >= 0:
            return int(listener)
        if ctypes.get_errno() != errno.EINVAL:
            break
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Tracer:
    """The log of one command.

    Args:
        listener: what ``hand_over`` gave to the command.
        path: of the log, as the emulators are told it.
        out: a file that gets the log: pieces with a ``HEADER`` each. Owned, as ``listener`` is.

    Attributes:
        lost: why the log is not whole, as the journal holds messages; None while it is.
        opened: how many emulators have begun to log.
    """

    def __init__(self, listener: int, path: str, out: int) -> None:
        self.listener, self.opened = listener, 0
        self.lost: Text | None = None
        self._path, self._out = path.encode() + b"\0", out
        self._buffers: dict[int, int] = {}
        self._places: dict[int, int] = {}
        self._pieces = bytearray()
        self._size = 0
        self._request = bytearray(_REQUEST.size)
        try:
            fcntl.ioctl(listener, _SET_FLAGS, _SYNC_WAKE_UP)
        except OSError:
            pass  # before Linux 6.6: slower

    def answer(self) -> None:
        """Answer one call that waits."""
        self._request[:] = bytes(_REQUEST.size)
        try:
            fcntl.ioctl(self.listener, _RECEIVE, self._request)
        except OSError:
            return  # its process was killed meanwhile
        cookie, thread, _flags, call, _arch, at, first, second, third, *_rest = _REQUEST.unpack(self._request)
        # The emulator is loaded anywhere, by whole pages.
        known = self._places.get(call, at & 0xFFF) == at & 0xFFF
        if call == _WRITE[_MACHINE]:
            written = self._written(cookie, thread, first, second, third) if known else (0, -errno.EBADF)
            value, error, flags = *written, 0
        elif known:
            value, error, flags = self._open(thread, second)
        else:
            value, error, flags = 0, 0, _CONTINUE
        if not error and not flags:
            self._places[call] = at & 0xFFF
        try:
            fcntl.ioctl(self.listener, _SEND, _RESPONSE.pack(cookie, value, error, flags))
        except OSError:
            pass

    def _open(self, thread: int, address: int) -> tuple[int, int, int]:
        if self._read(thread, address, len(self._path)) != self._path:
            return 0, 0, _CONTINUE
        self.opened += 1
        if FIRST + self.opened >= LAST:
            self.lost = _("too many programs were started")
            return 0, -errno.EMFILE, 0
        return FIRST + self.opened, 0, 0

    def _written(self, cookie: int, thread: int, number: int, address: int, size: int) -> tuple[int, int]:
        if number > FIRST + self.opened:
            return 0, -errno.EBADF
        if self._buffers.setdefault(number, address) != address:
            return 0, -errno.EBADF
        data = self._read(thread, address, size)
        if data is None or len(data) != size:
            if self._waits(cookie):
                self.lost = self.lost or _("the memory of a process cannot be read")
            return size, 0
        self._size += size
        if self._size > KEPT:
            self.lost = _("it is too long")
        else:
            self._pieces += HEADER.pack(thread, size) + data
            if len(self._pieces) > 1 << 18:
                self._flush()
        return size, 0

    def _waits(self, cookie: int) -> bool:
        """Whether a call still waits for its answer: one whose process was killed meanwhile takes nothing out of the log.

        qemu-user prints a call before it makes it, so that what was not printed to its end was not called.
        """
        try:
            fcntl.ioctl(self.listener, _ID_VALID, struct.pack("<Q", cookie))
        except OSError:
            return False
        return True

    @staticmethod
    def _read(thread: int, address: int, size: int) -> bytes | None:
        """Memory of a process; what ends within it is shorter, None where there is none (process_vm_readv(2))."""
        local = ctypes.create_string_buffer(size)
        ours, theirs = _Vector(ctypes.addressof(local), size), _Vector(address, size)
        got = _libc.process_vm_readv(thread, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
        return local.raw[:got] if got >= 0 else None

    def _flush(self) -> None:
        try:
            os.write(self._out, self._pieces)
        except OSError:
            self.lost = _("it cannot be written")
        self._pieces.clear()

    def close(self) -> None:
        """Write what is left of the log; a call that still waits fails from here on."""
        self._flush()
        os.close(self.listener)
        os.close(self._out)
