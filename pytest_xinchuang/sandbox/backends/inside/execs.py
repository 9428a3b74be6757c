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
import stat
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

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
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_AT_FDCWD, _AT_SYMLINK_NOFOLLOW, _AT_EMPTY_PATH = -100, 0x100, 0x1000
_PATH_MAX = 4096
_HEAD = 256
"""BINPRM_BUF_SIZE, linux/binfmts.h."""
_SCRIPTS = 4
"""A script may be the interpreter of a script: five files before the emulator, as exec_binprm allows (fs/exec.c)."""
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

Seen = tuple[bool, "bytes | None"]
"""Whether a file is an emulator of ours, and its head if it can be read."""
Look = Callable[[bytes], Seen]
"""Looks at a file. Raises OSError where it cannot be executed."""


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("len", ctypes.c_size_t))


class GoneError(Exception):
    """A process that was traced has ended, by SIGKILL or with its sandbox."""


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
                _refuse(errno.ENOEXEC)
            return Plan("own", program)
        if head is None:
            return Plan("emulator", program, words)  # who cannot either, and says so
        for kind, formats in kinds.items():
            if any(_matches(head, magic, mask) for magic, mask in formats):
                return Plan(kind, program, words)
        interpreter, more = _interpreter(head)
        words = (interpreter, *more, program, *(words or ())[1:])
        program = interpreter
    _refuse(errno.ELOOP)
    raise AssertionError


def _refuse(number: int) -> None:
    raise OSError(number, os.strerror(number))


def _matches(head: bytes, magic: str, mask: str) -> bool:
    care, want = bytes.fromhex(mask), bytes.fromhex(magic)
    found = head.ljust(len(care), b"\0")
    return all(f & c == w & c for f, c, w in zip(found, care, want, strict=False))


def _interpreter(head: bytes) -> tuple[bytes, tuple[bytes, ...]]:
    """The interpreter of a script, and its one argument if there is one."""
    if not head.startswith(b"#!"):
        _refuse(errno.ENOEXEC)
    line, newline, _rest = head[2 : _HEAD - 1].ljust(_HEAD - 3, b"\0").partition(b"\n")
    if not newline and not any(end in line.lstrip(b" \t") for end in (b" ", b"\t", b"\0")):
        _refuse(errno.ENOEXEC)  # cut off within the path
    text = line.strip(b" \t")
    if not text:
        _refuse(errno.ENOEXEC)
    length = min(at for at in (len(text), *map(text.find, (b" ", b"\t", b"\0"))) if at >= 0)
    if not length:
        _refuse(errno.EACCES)
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
            _refuse(errno.EACCES)  # ours: we may look there, they may not
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
            _refuse(errno.ELOOP)
        owner = about.st_uid == self._user
        bit = 0o100 if owner else 0o010 if about.st_gid in self._groups else 0o001
        if not stat.S_ISREG(about.st_mode) or not about.st_mode & bit or os.fstatvfs(file).f_flag & os.ST_NOEXEC:
            _refuse(errno.EACCES)
        if (about.st_dev, about.st_ino) in self._ours:
            return True, b""
        return False, head_of(file)


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
        self._files = Files(root, user, ours)
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
                _refuse(errno.EINVAL)
            if not path.startswith(b"/") and number != _AT_FDCWD:
                directory = f"fd/{number}"
                # As bprm->filename is made (fs/exec.c, alloc_bprm).
                name = b"/dev/fd/%d" % number + (b"/" + path if path else b"")
        if not path and not flags & _AT_EMPTY_PATH:
            _refuse(errno.ENOENT)

        def see(wanted: bytes) -> Seen:
            if wanted is not name:
                return look(thread, "cwd", wanted)
            if path:
                found = look(thread, directory, path, not flags & _AT_SYMLINK_NOFOLLOW)
            elif directory == "cwd":
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
            else:
                found = self._opened(thread, int(directory[3:]))
            if directory != "cwd" and not found[0] and self._closes(thread, directory[3:]):
                _refuse(errno.ENOENT)  # BINPRM_FLAGS_PATH_INACCESSIBLE: the emulator would not find it
            return found

        planned = plan(name, see, self._kinds)
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
            _refuse(errno.E2BIG)
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

    def _opened(self, thread: int, number: int) -> Seen:
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
            _refuse(errno.EFAULT)
        return local.raw[:got]

    @staticmethod
    def _poke(thread: int, address: int, data: bytes) -> None:
        """Write to memory; a stack grows for it (proc(5), /proc/PID/mem)."""
        file = os.open(f"/proc/{thread}/mem", os.O_WRONLY | os.O_CLOEXEC)
        try:
            if os.pwrite(file, data, address) != len(data):
                _refuse(errno.E2BIG)
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


def look_here(ours: Mapping[tuple[int, int], str]) -> Look:
    """For a process that is one of the target's already."""

    def look(path: bytes) -> Seen:
        file = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            about = os.fstat(file)
            if not stat.S_ISREG(about.st_mode) or not os.access(path, os.X_OK):
                _refuse(errno.EACCES)
            return (about.st_dev, about.st_ino) in ours, head_of(file)
        finally:
            os.close(file)

    return look
