"""Starts programs by the emulator where the kernel has no binfmt_misc for us: a tracer of execve and execveat alone.

The filter of a command answers these two calls with SECCOMP_RET_TRACE (seccomp(2)), and the supervisor traces all processes of
a command (ptrace(2)). It looks at the file as the kernel would, scripts through their interpreters, and has the process execute
``/proc/self/exe``, which is its emulator, with the words that binfmt_misc would give it (wall/formats.py has the same rules
for both). Nothing of the target's leads there but what leads there anyway.

The look is not what keeps programs of the host out: a thread may change a path, or somebody a file, between it and the kernel's
own. What does: every successful exec stops the process before the first instruction of its new program, and one whose file is
none of our emulators is killed. The words may be anything: an emulator has its CPU model within itself (wall/pinned.py). A
process that has no tracer (CLONE_UNTRACED) can execute nothing: without one the kernel answers SECCOMP_RET_TRACE with ENOSYS.

Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING or __package__:
    from pytest_xinchuang.sandbox.backends.inside import programs
else:
    import programs

_MACHINE = os.uname().machine
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)

WALL = 0x40000000
"""__WALL, linux/wait.h: threads too."""
# linux/ptrace.h
_CONT, _SYSCALL, _GETEVENTMSG, _GETREGSET, _SETREGSET, _SEIZE, _LISTEN = 7, 24, 0x4201, 0x4204, 0x4205, 0x4206, 0x4208
_OPTIONS = 0x01 | 0x02 | 0x04 | 0x08 | 0x10 | 0x80 | 0x100000
"""TRACESYSGOOD, TRACEFORK, TRACEVFORK, TRACECLONE, TRACEEXEC, TRACESECCOMP, EXITKILL."""
_EVENT_EXEC, _EVENT_SECCOMP, _EVENT_STOP = 4, 7, 128
_SYSCALL_STOP = signal.SIGTRAP | 0x80
_GROUP_STOPS = frozenset({signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})
# linux/elf.h: notes that hold the general registers, and arm64's number of the call
_NT_PRSTATUS, _NT_ARM_SYSTEM_CALL = 1, 0x404
_PR_SET_DUMPABLE = 4
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x1000
_PATH_MAX = 4096
_MOST_WORDS = 1 << 20
_RED_ZONE = 256
"""Bytes below the stack pointer that are left alone: 128 by the x86-64 psABI, 3.2.2."""
_ON_ANY_STACK = 4096
_NAME = 64
"""Bytes below the stack pointer at which a process finds its name (wall/pinned.py)."""
EMULATOR = b"/proc/self/exe"


class _Registers(NamedTuple):
    """Indices among the general registers, as NT_PRSTATUS has them."""

    total: int
    number: int
    result: int
    arguments: tuple[int, ...]
    stack: int
    place: int


_REGISTERS = {
    # struct user_regs_struct of asm/user_64.h, and user_pt_regs of asm/ptrace.h: x0 to x30, sp, pc, pstate
    "x86_64": _Registers(27, 15, 10, (14, 13, 12, 7, 9, 8), 19, 16),
    "aarch64": _Registers(34, 8, 0, (0, 1, 2, 3, 4, 5), 31, 32),
}
_EXECVE = {"x86_64": 59, "aarch64": 221}
_EXECVEAT = {"x86_64": 322, "aarch64": 281}


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("len", ctypes.c_size_t))


class GoneError(Exception):
    """A process that was traced has ended, by SIGKILL or with its sandbox."""


class _Pending(NamedTuple):
    """A call that was rewritten: its own arguments, and what is to come of it."""

    arguments: tuple[int, ...]
    refused: bool
    name: bytes


class Execs:
    """The tracer. All is done by the thread that has made it.

    Args:
        root, user: see ``Files``.
        config: ``kinds``, ``doors`` and ``called`` of ``wall.emulation``.
        ours: device and inode -> ``plain``, ``logging`` or ``refuser``.

    Attributes:
        escaped: how many processes were killed because they had got past us.
    """

    def __init__(self, root: str, user: int, config: Mapping[str, Any], ours: Mapping[tuple[int, int], str]) -> None:
        self.escaped = 0
        self._files = programs.Files(root, user, ours)
        self._kinds, self._doors, self._called = config["kinds"], config["doors"], config["called"]
        self._ours = ours
        self._fresh: dict[int, bytes] = {}
        self._pending: dict[int, _Pending] = {}
        self._registers = _REGISTERS[_MACHINE]
        self._format = f"<{self._registers.total}Q"

    # -- whom

    def take(self, pid: int, gate: socket.socket, name: bytes) -> None:
        """Begin to trace a child that waits at the other side of ``gate``; it will become ``name``, by an emulator of ours.

        Raises:
            OSError: it may not be traced.
        """
        if not gate.recv(1):
            return
        self._ptrace(_SEIZE, pid, 0, _OPTIONS)
        self._fresh[pid] = name
        gate.send(b"g")

    def ended(self, pid: int) -> None:
        """Forget a process or thread."""
        self._fresh.pop(pid, None)
        self._pending.pop(pid, None)

    # -- stops

    def stopped(self, pid: int, status: int) -> None:
        """Answer a stop that wait(2) has told of."""
        event, number = status >> 16, os.WSTOPSIG(status)
        with contextlib.suppress(GoneError):
            if event == _EVENT_SECCOMP:
                self._asked(pid)
            elif event == _EVENT_EXEC:
                self._began(pid)
            elif event == _EVENT_STOP and number in _GROUP_STOPS:
                self._ptrace(_LISTEN, pid, 0, 0)  # stopped it stays, until SIGCONT
            elif event:
                self._ptrace(_CONT, pid, 0, 0)
            elif number == _SYSCALL_STOP:
                self._failed(pid)
            else:
                self._ptrace(_CONT, pid, 0, number)

    def _asked(self, thread: int) -> None:
        registers = self._get(thread)
        number = registers[self._registers.number] & 0xFFFFFFFF
        wanted = number in (_EXECVE[_MACHINE], _EXECVEAT[_MACHINE])
        if not wanted or thread in self._fresh:  # a call that only its own filter asks for; our own first one
            self._ptrace(_CONT, thread, 0, 0)
            return
        arguments = tuple(registers[index] for index in self._registers.arguments)
        try:
            goes_on = self._rewrite(thread, registers, arguments, number == _EXECVEAT[_MACHINE])
        except OSError as error:
            self._answer(thread, registers, -(error.errno or errno.EIO))
            goes_on = _CONT
        except (ValueError, OverflowError, struct.error):  # addresses that are none
            self._answer(thread, registers, -errno.EFAULT)
            goes_on = _CONT
        self._ptrace(goes_on, thread, 0, 0)

    def _rewrite(self, thread: int, registers: list[int], arguments: tuple[int, ...], at: bool) -> int:
        """Change a call; returns how the process is to go on."""
        path = self._string(thread, arguments[at])
        directory, flags = "cwd", 0
        name, look = path, self._files.look
        if at:
            number = ctypes.c_int(arguments[0]).value
            flags = arguments[4] & 0xFFFFFFFF
            if flags & ~(_AT_EMPTY_PATH | _AT_SYMLINK_NOFOLLOW):
                programs.refuse(errno.EINVAL)
            if not path.startswith(b"/") and number != _AT_FDCWD:
                directory = f"fd/{number}"
                # As bprm->filename is made (fs/exec.c, alloc_bprm).
                name = b"/dev/fd/%d" % number + (b"/" + path if path else b"")
        if not path and not flags & _AT_EMPTY_PATH:
            programs.refuse(errno.ENOENT)

        def see(wanted: bytes) -> programs.Seen:
            if wanted is not name:
                return look(thread, "cwd", wanted)
            if path:
                found = look(thread, directory, path, not flags & _AT_SYMLINK_NOFOLLOW)
            elif directory == "cwd":
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
            else:
                found = self._opened(thread, int(directory[3:]))
            if directory != "cwd" and not found[0] and self._closes(thread, directory[3:]):
                programs.refuse(errno.ENOENT)  # BINPRM_FLAGS_PATH_INACCESSIBLE: the emulator would not find it
            return found

        planned = programs.plan(name, see, self._kinds)
        if planned.kind == "own":
            return _CONT
        pointers = self._pointers(thread, arguments[at + 1])
        strings = [EMULATOR, self._called.format(kind=self._kind(thread)).encode(), planned.program]
        # Without an argv[0] it is empty (since Linux 5.18: bprm->argc == 0).
        more = list(planned.words or ()) or ([] if pointers else [b""])
        strings += more
        kept = pointers if planned.words is None else pointers[1:]
        place, block = self._block(thread, registers[self._registers.stack], strings, kept)
        self._poke(thread, place, block)
        changed = list(registers)
        indices = self._registers.arguments
        changed[indices[at]] = place + 8 * (len(strings) + len(kept))
        changed[indices[at + 1]] = place
        if at:
            changed[indices[4]] = 0
        self._set(thread, changed)
        self._pending[thread] = _Pending(arguments, planned.kind == "refuser", name.rsplit(b"/", 1)[-1])
        return _SYSCALL

    def _block(self, thread: int, stack: int, strings: Sequence[bytes], kept: Sequence[int]) -> tuple[int, bytes]:
        """Where and what: the new argv, without the first of ``strings``, with ``kept`` behind, then the strings themselves.

        It stands below the stack pointer, where a thread has nothing to lose, and not even one that shares its memory.
        """
        table = 8 * (len(strings) + len(kept))
        size = table + sum(len(string) + 1 for string in strings)
        if size > _ON_ANY_STACK and size + _ON_ANY_STACK > self._room(thread, stack):
            programs.refuse(errno.E2BIG)
        place = stack - _RED_ZONE - size & ~15
        at, addresses = place + table, []
        for string in strings:
            addresses.append(at)
            at += len(string) + 1
        argv = struct.pack(f"<{len(strings) + len(kept)}Q", *addresses[1:], *kept, 0)
        return place, argv + b"".join(string + b"\0" for string in strings)

    @staticmethod
    def _room(thread: int, stack: int) -> int:
        """Bytes that a stack has left."""
        with open(f"/proc/{thread}/maps", "rb") as file:
            for line in file:
                start, end = (int(word, 16) for word in line.split(b" ", 1)[0].split(b"-"))
                if start <= stack < end:
                    grows = line.rstrip().endswith(b"[stack]")
                    return max(stack - start, stack - end + (4 << 20)) if grows else stack - start
        return 0

    def _answer(self, thread: int, registers: Sequence[int], value: int) -> None:
        """Have a call not made, and answer ``value``."""
        changed = list(registers)
        changed[self._registers.result] = value & (1 << 64) - 1
        if _MACHINE == "x86_64":
            changed[self._registers.number] = (1 << 64) - 1
        else:
            self._regset(_SETREGSET, thread, _NT_ARM_SYSTEM_CALL, struct.pack("<i", -1))
        self._set(thread, changed)

    def _failed(self, thread: int) -> None:
        """A rewritten call has failed: its arguments are what they were (on x86-64 and arm64 calls keep them)."""
        pending = self._pending.pop(thread, None)
        if pending is not None:
            registers = self._get(thread)
            for index, value in zip(self._registers.arguments, pending.arguments, strict=True):
                if index != self._registers.result:
                    registers[index] = value
            self._set(thread, registers)
        self._ptrace(_CONT, thread, 0, 0)

    def _began(self, pid: int) -> None:
        """A process has a new program, of which no instruction has run."""
        former = ctypes.c_ulong()
        self._ptrace(_GETEVENTMSG, pid, 0, ctypes.addressof(former))
        pending = self._pending.pop(former.value, None)
        name = self._fresh.pop(pid, None)
        kind = self._kind(pid)
        if not kind:
            self.escaped += 1
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return
        doors = self._doors.get(kind)
        if doors is not None and (pending is not None or name is not None):
            registers = self._get(pid)
            if pending is not None and pending.refused:
                registers[self._registers.place] += doors["refused"]
            else:
                called = (name if pending is None else pending.name) or b""
                with contextlib.suppress(OSError):
                    self._poke(pid, registers[self._registers.stack] - _NAME, called[:15].ljust(16, b"\0"))
                    registers[self._registers.place] += doors["named"]
            self._set(pid, registers)
        self._ptrace(_CONT, pid, 0, 0)

    def _kind(self, pid: int) -> str:
        """Which of our programs a process runs; nothing if it is another."""
        try:
            about = os.stat(f"/proc/{pid}/exe")
        except OSError:
            return ""
        return self._ours.get((about.st_dev, about.st_ino), "")

    # -- a process's memory, registers and files

    def _opened(self, thread: int, number: int) -> programs.Seen:
        try:
            return self._files.opened(thread, number)
        except FileNotFoundError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None

    @staticmethod
    def _closes(thread: int, number: str) -> bool:
        """Whether a descriptor is closed when the program begins."""
        with contextlib.suppress(OSError), open(f"/proc/{thread}/fdinfo/{number}", "rb") as file:
            for line in file:
                if line.startswith(b"flags:"):
                    return bool(int(line.split()[1], 8) & os.O_CLOEXEC)
        return False

    def _string(self, thread: int, address: int) -> bytes:
        found = b""
        while len(found) < _PATH_MAX:
            part = self._peek(thread, address + len(found), 4096 - (address + len(found)) % 4096)
            end = part.find(b"\0")
            if end >= 0:
                found += part[:end]
                if len(found) >= _PATH_MAX:
                    break
                return found
            found += part
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))

    def _pointers(self, thread: int, address: int) -> list[int]:
        found: list[int] = []
        if not address:
            return found
        rest = b""
        while len(found) < _MOST_WORDS:
            at = address + 8 * len(found) + len(rest)
            rest += self._peek(thread, at, 4096 - at % 4096)
            whole = len(rest) // 8
            for value in struct.unpack_from(f"<{whole}Q", rest):
                if not value:
                    return found
                found.append(value)
            rest = rest[8 * whole :]
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))

    @staticmethod
    def _peek(thread: int, address: int, size: int) -> bytes:
        local = ctypes.create_string_buffer(size)
        ours, theirs = _Vector(ctypes.addressof(local), size), _Vector(address & (1 << 64) - 1, size)
        got = _libc.process_vm_readv(thread, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
        if got <= 0:
            if ctypes.get_errno() == errno.ESRCH:
                raise GoneError
            programs.refuse(errno.EFAULT)
        return local.raw[:got]

    @staticmethod
    def _poke(thread: int, address: int, data: bytes) -> None:
        """Write to memory; a stack grows for it (proc(5), /proc/PID/mem)."""
        file = os.open(f"/proc/{thread}/mem", os.O_WRONLY | os.O_CLOEXEC)
        try:
            if os.pwrite(file, data, address) != len(data):
                programs.refuse(errno.E2BIG)
        except OSError:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG)) from None
        finally:
            os.close(file)

    def _get(self, thread: int) -> list[int]:
        raw = self._regset(_GETREGSET, thread, _NT_PRSTATUS, bytes(8 * self._registers.total))
        return list(struct.unpack(self._format, raw))

    def _set(self, thread: int, registers: Sequence[int]) -> None:
        self._regset(_SETREGSET, thread, _NT_PRSTATUS, struct.pack(self._format, *registers))

    def _regset(self, request: int, thread: int, note: int, data: bytes) -> bytes:
        local = ctypes.create_string_buffer(data, len(data))
        vector = _Vector(ctypes.addressof(local), len(data))
        self._ptrace(request, thread, note, ctypes.addressof(vector))
        return local.raw

    @staticmethod
    def _ptrace(request: int, pid: int, address: int, data: int) -> None:
        if _libc.ptrace(request, pid, address, data) < 0:
            number = ctypes.get_errno()
            if number == errno.ESRCH:
                raise GoneError
            raise OSError(number, os.strerror(number))


def wait_to_be_taken(gate: socket.socket) -> None:
    """In a child: wait for ``Execs.take``.

    Raises:
        OSError: we are not traced.
    """
    _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # else only the host's root may trace us
    gate.send(b"r")
    if not gate.recv(1):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
