"""Runs one compiler behind a wall: it sees what it is shown, read-only, and writes where it may. It has no network.

Started as ``python -I -S jailer.py ORDERS STATUS``: ORDERS is JSON (see ``jail.py``), STATUS a file that is written before the
compiler starts: ``{"isolation": WAY, "refused": {WAY: WHY, ...}}``. It uses the standard library alone, and imports nothing of
this package: what runs beside a compiler is to be small. The exit code is the compiler's, 128 + n for a signal n.

The ways, best first: ``namespaces`` (a root directory of its own), ``landlock`` (the host's files, with an allow-list that the
kernel enforces, where a container forbids namespaces), ``none``.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any

# linux/sched.h
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
# linux/mount.h
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 8, 4096, 16384, 1 << 18, 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
# linux/prctl.h
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "loongarch64": 41}
# The same number on every architecture (asm-generic/unistd.h).
MOUNT_SETATTR, LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 442, 444, 445, 446

LARGEST_FILE = 2 << 30
"""Bytes of the largest file that a compiler may write."""

libc = ctypes.CDLL(None, use_errno=True)


class Refused(Exception):
    """A system call that the kernel refused."""


def call(step: str, result: int) -> int:
    """Raises Refused when a system call failed; ``step`` is its name."""
    if result < 0:
        raise Refused(f"{step}: {os.strerror(ctypes.get_errno())}")
    return result


def mount(step: str, source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    words = os.fsencode(source), os.fsencode(target), kind.encode(), flags, os.fsencode(data) or None
    call(f"mount {step}", libc.mount(*words))


def write(path: str, data: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(data)


def own_ids(inside: int, outside: tuple[int, int]) -> None:
    """Map ourselves, ``outside`` as the parent namespace has us, and nobody else (user_namespaces(7))."""
    uid, gid = outside
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{inside} {uid} 1")
    write("/proc/self/gid_map", f"{inside} {gid} 1")


def show(path: str, root: str, *, writable: bool = False) -> None:
    """Bind a directory or file of the host at its own place below ``root``; links on the way stay links."""
    made = root
    parts = path.strip("/").split("/")
    for index, part in enumerate(parts):
        of_host = "/" + "/".join(parts[: index + 1])
        made = f"{made}/{part}"
        if os.path.lexists(made):
            continue
        if os.path.islink(of_host):
            os.symlink(os.readlink(of_host), made)
            rest = "/".join(parts[index + 1 :])
            show(os.path.realpath(of_host) + (f"/{rest}" if rest else ""), root, writable=writable)
            return
        if index < len(parts) - 1 or os.path.isdir(of_host):
            os.mkdir(made)
        else:
            os.close(os.open(made, os.O_CREAT | os.O_WRONLY))
    mount(path, path, made, "", MS_BIND | MS_REC)
    wanted = MOUNT_ATTR_NOSUID | (0 if path.startswith("/dev/") else MOUNT_ATTR_NODEV)
    wanted |= 0 if writable else MOUNT_ATTR_RDONLY
    attributes = struct.pack("QQQQ", wanted, 0, 0, 0)
    done = libc.syscall(MOUNT_SETATTR, AT_FDCWD, os.fsencode(made), AT_RECURSIVE, attributes, len(attributes))
    call(f"mount_setattr {path}", done)


def layer(path: str, above: str, root: str) -> None:
    """Show a directory that can be written to, while what is written stays in ``above``."""
    lower = os.path.realpath(path)
    place = f"{root}{path}"
    os.makedirs(place, exist_ok=True)
    for name in ("upper", "work"):
        os.makedirs(f"{above}/{name}", exist_ok=True)
    options = f"lowerdir={lower},upperdir={above}/upper,workdir={above}/work,userxattr"
    try:
        mount("overlay", "overlay", place, "overlay", MS_NOSUID | MS_NODEV, options)
    except Refused:  # what is above is itself an overlay, as in containers
        memory = f"{root}/.above{abs(hash(path))}"
        os.mkdir(memory)
        mount("tmpfs", "xc", memory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=700")
        for name in ("upper", "work"):
            os.mkdir(f"{memory}/{name}")
        options = f"lowerdir={lower},upperdir={memory}/upper,workdir={memory}/work,userxattr"
        mount("overlay", "overlay", place, "overlay", MS_NOSUID | MS_NODEV, options)


def namespaces(orders: dict[str, Any]) -> None:
    """A root directory of our own that holds what the compiler may see, in namespaces without a network."""
    root = orders["root"]
    call("mount_private", libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    mount("tmpfs", "xc", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=16m,mode=755")
    for name in ("proc", "dev", "old", "tmp"):
        os.mkdir(f"{root}/{name}")
    for path in orders["write"]:
        show(path, root, writable=True)
    for path in orders["read"]:
        if os.path.lexists(path):
            show(path, root)
    for path, above in orders["layers"].items():
        layer(path, above, root)
    for name in ("null", "zero", "random", "urandom"):
        show(f"/dev/{name}", root, writable=True)
    mount("/proc", "proc", f"{root}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for path, shown in orders["instead"].items():
        mount(path, shown, f"{root}{path}", "", MS_BIND)
    os.chdir(root)
    call("pivot_root", libc.syscall(PIVOT_ROOT[os.uname().machine], b".", b"old"))
    call("umount2", libc.umount2(b"/old", MNT_DETACH))
    os.rmdir("/old")
    call("mount_setattr", libc.syscall(MOUNT_SETATTR, AT_FDCWD, b"/", 0, struct.pack("QQQQ", 1, 0, 0, 0), 32))
    os.chdir(orders["cwd"])
    # Whose mounts these are can undo them: the compiler is in a user namespace below, without any right here.
    call("unshare", libc.unshare(CLONE_NEWUSER))
    dies_with_parent()
    own_ids(1000, (0, 0))


def landlock(orders: dict[str, Any]) -> None:
    """The kernel's allow-list of files and of TCP (Linux 5.13, 6.7; Documentation/userspace-api/landlock.rst)."""
    version = call("landlock_create_ruleset", libc.syscall(LANDLOCK_CREATE, None, 0, 1))
    # Truncation is judged since the third version, TCP since the fourth: less would not keep what is promised.
    if version < 4:
        raise Refused(f"landlock_create_ruleset: {version} < 4")
    everything, tcp = (1 << 15) - 1, 3
    reading, of_files = 1 | 4 | 8, 1 | 2 | 4 | 1 << 14
    attributes = struct.pack("QQ", everything, tcp)
    rules = call("landlock_create_ruleset", libc.syscall(LANDLOCK_CREATE, attributes, len(attributes), 0))
    places = [(path, reading) for path in orders["read"]]
    places += [(path, everything) for path in (*orders["write"], *orders["layers"])]
    places += [(f"/dev/{name}", 2 | 4) for name in ("null", "zero", "random", "urandom")] + [("/proc/self", reading)]
    for path, rights in places:
        if not os.path.exists(path):
            continue
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        allowed = rights if os.path.isdir(path) else rights & of_files
        rule = struct.pack("=Qi", allowed, place)
        call(f"landlock_add_rule {path}", libc.syscall(LANDLOCK_ADD, rules, 1, rule, 0))
        os.close(place)
    call("prctl", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    call("landlock_restrict_self", libc.syscall(LANDLOCK_RESTRICT, rules, 0))
    os.close(rules)
    os.chdir(orders["cwd"])


def become(orders: dict[str, Any], told: int) -> None:
    """Become the compiler. Never returns; what fails is told."""
    try:
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        os.closerange(3, told)
        os.closerange(told + 1, 256)
        os.execv(orders["argv"][0], orders["argv"])
    except OSError as error:
        os.write(told, f"{orders['argv'][0]}: {error.strerror}".encode()[:4096])
    finally:
        os._exit(127)


def in_namespaces(orders: dict[str, Any], told: int) -> int:
    """Start the compiler in namespaces of its own; returns its exit code."""
    outside = os.geteuid(), os.getegid()
    kinds = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS
    call("unshare", libc.unshare(kinds))
    dies_with_parent()
    own_ids(0, outside)
    first = os.fork()
    if first == 0:
        guarded(told, lambda: first_process(orders, told))
    os.close(told)
    return exit_code(os.waitpid(first, 0)[1])


def first_process(orders: dict[str, Any], told: int) -> int:
    """The first process of the PID namespace: makes the root, starts the compiler, and waits for all."""
    dies_with_parent()
    namespaces(orders)
    compiler = os.fork()
    if compiler == 0:
        guarded(told, lambda: become(orders, told))
    os.close(told)
    while True:
        ended, status = os.wait()
        if ended == compiler:
            return exit_code(status)


def without_namespaces(orders: dict[str, Any], told: int, way: str) -> int:
    """Become the compiler behind Landlock, or behind nothing. Never returns."""
    dies_with_parent()
    if way == "landlock":
        landlock(orders)
    else:
        os.chdir(orders["cwd"])
    become(orders, told)
    return 127


def dies_with_parent() -> None:
    """Ask for SIGKILL when the parent ends; a new user namespace has forgotten it, and is not dumpable (prctl(2))."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)


def guarded(told: int, work: Callable[[], int | None]) -> None:
    """The life of a child: ``work``, and its exit code; what the kernel refused is told. Never returns."""
    code = 127
    try:
        code = work() or 0
    except Refused as refused:
        os.write(told, refused.args[0].encode()[:4096])
    except OSError as error:
        os.write(told, f"{error.filename or type(error).__name__}: {error.strerror}".encode()[:4096])
    finally:
        os._exit(code)


def exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def attempt(orders: dict[str, Any], way: str, report: Callable[[], None]) -> tuple[int, str]:
    """Compile in one way; returns the exit code, and why the way is barred here."""
    told_r, told_w = os.pipe2(os.O_CLOEXEC)
    us = os.getpid()
    child = os.fork()
    if child == 0:
        dies_with_parent()
        if os.getppid() != us:  # it has ended before we asked
            os._exit(1)
        os.close(told_r)
        if way == "namespaces":
            guarded(told_w, lambda: in_namespaces(orders, told_w))
        guarded(told_w, lambda: without_namespaces(orders, told_w, way))
    os.close(told_w)
    # The other end closes when the compiler starts: until then somebody may say what went wrong.
    problem = b""
    while piece := os.read(told_r, 4096):
        problem += piece
    os.close(told_r)
    if not problem:
        report()
    code = exit_code(os.waitpid(child, 0)[1])
    return code, problem.decode(errors="replace")


def main() -> None:
    orders: dict[str, Any] = json.loads(sys.argv[1])
    refused: dict[str, str] = {}
    for way in orders["ways"]:

        def report(way: str = way) -> None:
            write(sys.argv[2], json.dumps({"isolation": way, "refused": refused}))

        code, problem = attempt(orders, way, report)
        if not problem:
            sys.exit(code)
        refused[way] = problem
    write(sys.argv[2], json.dumps({"isolation": None, "refused": refused}))
    sys.exit(127)


if __name__ == "__main__":
    main()
