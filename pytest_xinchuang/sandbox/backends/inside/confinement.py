"""The supervisor's part of the wall: filter, keyring, what is hidden of /proc, the emulator's file, memory in no process.

Standard library only. What the kernel refuses is raised as OSError.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import platform
import socket
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Windows has no C library of the process, and loads this file for its numbers alone.
libc: Any = ctypes.CDLL(None, use_errno=True) if sys.platform != "win32" else None

# linux/mount.h, linux/prctl.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND = 1, 2, 4, 8, 32, 4096
PR_SET_DUMPABLE, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 4, 22, 2
KEYCTL = {"x86_64": 250, "aarch64": 219}
KEYCTL_JOIN_SESSION_KEYRING = 1
MOST_IN_A_PACKET = 64 << 10
"""Bytes: a packet has to fit the socket's buffer (net.core.wmem_default, 208 KiB); what is longer travels in a file."""


def check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def install_filter(program: bytes) -> None:
    """Put this process and all that come of it behind a seccomp filter (seccomp(2)); it needs no_new_privs."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0), "seccomp")


def leave_keyring() -> None:
    """Join a new and empty session keyring (keyctl(2)): the one of whoever started us may hold secrets."""
    number = KEYCTL.get(platform.machine())
    # A kernel without keys has none to inherit.
    if number is None or libc.syscall(number, KEYCTL_JOIN_SESSION_KEYRING, None) >= 0:
        return
    if ctypes.get_errno() != errno.ENOSYS:
        check(-1, "session keyring")


def hide(proc: str, masked: Iterable[str], read_only: Iterable[str], nothing: str) -> None:
    """Cover what a /proc tells of the host, and make what changes it read-only.

    Args:
        masked: names below ``proc``; those that are not there, and files that others cannot read, are passed over.
        nothing: a device to put over files, /dev/null.
    """
    for name in masked:
        path = f"{proc}/{name}".encode()
        if os.path.isdir(path):
            check(
                libc.mount(b"none", path, b"tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, b"size=0,mode=555"),
                name,
            )
        elif os.path.exists(path) and os.stat(path).st_mode & 0o004:
            check(libc.mount(nothing.encode(), path, None, MS_BIND, None), name)
    for name in read_only:
        path = f"{proc}/{name}".encode()
        if os.path.exists(path):
            check(libc.mount(path, path, None, MS_BIND, None), name)
            flags = MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
            check(libc.mount(None, path, None, flags, None), name)


def write_helpers(directory: str, emulator: int | None, config: Mapping[str, Any]) -> None:
    """Mount a file system of its own, write the patched emulators and the other files, and make it read-only.

    The files can be executed and not be read. An ordinary user's target code has the owner's id outside of its namespace, and
    could change their modes if they could be written.

    Args:
        emulator: an open file.
        config: ``emulators`` (directory -> patches of the copy in it: offset, hexadecimal bytes), ``emulator_name``, and
            ``helpers`` (name -> hexadecimal content).
    """
    place = directory.encode()
    check(libc.mount(b"xc-helpers", place, b"tmpfs", MS_NOSUID | MS_NODEV, b"size=96m,mode=711"), "helpers")
    for helper, content in config["helpers"].items():
        with open(f"{directory}/{helper}", "wb") as file:
            file.write(bytes.fromhex(content))
            os.fchmod(file.fileno(), 0o111)
    for name, patches in config["emulators"].items():
        assert emulator is not None
        os.mkdir(f"{directory}/{name}", 0o711)
        with open(f"{directory}/{name}/{config['emulator_name']}", "wb") as file:
            size = os.fstat(emulator).st_size
            done = 0
            while done < size and (sent := os.sendfile(file.fileno(), emulator, done, size - done)):
                done += sent
            for offset, data in patches:
                os.pwrite(file.fileno(), bytes.fromhex(data), offset)
            os.fchmod(file.fileno(), 0o111)
    check(libc.mount(None, place, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, None), "helpers")


def be_killed_first() -> None:
    """What runs out of memory is the target, not its supervisor."""
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else the file belongs to the host's root
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
        file.write("500")


def limit_shared_memory(megabytes: int) -> None:
    """Limit SysV shared memory of this IPC namespace, where its owner may (Linux >= 6.0): else the kernel's own limits hold."""
    pages = (megabytes << 20) // os.sysconf("SC_PAGE_SIZE")
    for name, value in (("shmall", pages), ("shmmax", megabytes << 20), ("shmmni", 256), ("msgmni", 256)):
        with contextlib.suppress(OSError), open(f"/proc/sys/kernel/{name}", "w", encoding="utf-8") as file:
            file.write(str(value))


def unmapped_mb(pids: Iterable[int]) -> int:
    """MiB of shared memory that the resident sets do not show: files of memfd_create(2) that are open, and SysV segments.

    What is mapped is counted twice, up to its size: a limit is then met early, never late.
    """
    seen: dict[tuple[int, int], int] = {}
    for pid in pids:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            path = f"/proc/{pid}/fd/{name}"
            with contextlib.suppress(OSError):
                if os.readlink(path).startswith("/memfd:"):
                    about = os.stat(path)
                    seen[about.st_dev, about.st_ino] = about.st_blocks * 512
    total = sum(seen.values())
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/sysvipc/shm", encoding="utf-8") as file:
        for line in file.readlines()[1:]:
            total += int(line.split()[14])  # rss, in bytes: ipc/shm.c, sysvipc_shm_proc_show
    return total >> 20


def send(control: socket.socket, message: Mapping[str, Any], fds: Sequence[int] = ()) -> None:
    """Send a message as a packet, with descriptors beside it; one that is too long for a packet as a file."""
    data = json.dumps(message).encode()
    if len(data) <= MOST_IN_A_PACKET:
        socket.send_fds(control, [data], list(fds))
        return
    with os.fdopen(os.memfd_create("xc-message"), "wb") as file:
        file.write(data)
        file.flush()
        socket.send_fds(control, [b"file"], [file.fileno(), *fds])


def receive(control: socket.socket, most: int = 8) -> tuple[dict[str, Any] | None, list[int]]:
    """A message and the descriptors beside it; None at the end."""
    data, fds, _flags, _address = socket.recv_fds(control, 1 << 20, most)
    if not data:
        return None, fds
    if data == b"file":
        with os.fdopen(fds.pop(0), "rb") as file:
            file.seek(0)
            data = file.read()
    return json.loads(data), fds
