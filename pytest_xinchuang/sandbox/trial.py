"""Tries what the rootless sandbox is made of, and prints the steps that the kernel refuses as JSON: [[step, errno], ...].

Run by its path, in a process of its own: ``python -I -S trial.py``. Standard library only. The steps have the names of the
supervisor's. It ends at the first that nothing works without; binfmt_misc and overlay are both tried, and both may be lacking.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x20000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
"""linux/sched.h."""
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
"""linux/mount.h."""
PIVOT_ROOT = 41 if sys.platform == "win32" or os.uname().machine != "x86_64" else 155
"""Numbers of pivot_root(2): of x86-64, and of asm-generic/unistd.h."""
PLACE = "/tmp"
"""Where a private tmpfs is put in the trial's own mount namespace; FHS 3.0 demands the directory."""


def refused() -> list[tuple[str, int]]:
    """The steps that are refused; this process, and its child, are in the namespaces afterwards."""
    libc = ctypes.CDLL(None, use_errno=True)
    found: list[tuple[str, int]] = []

    def works(step: str, result: int) -> bool:
        if result < 0:
            found.append((step, ctypes.get_errno()))
        return result >= 0

    def mount(step: str, kind: str, target: str, options: str = "") -> bool:
        flags = MS_NOSUID | MS_NODEV | (MS_NOEXEC if kind == "proc" else 0)
        return works(step, libc.mount(kind.encode(), target.encode(), kind.encode(), flags, options.encode() or None))

    user, group = os.geteuid(), os.getegid()
    flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC
    if not works("create a user namespace", libc.unshare(flags)):
        return found
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - as the supervisor: functions of os alone
                file.write(text)
    except OSError as error:
        return [*found, ("map user ids into the namespace", error.errno or 0)]
    # A new /proc shows the processes of the namespace, of which this is none: the first child is.
    end_r, end_w = os.pipe()
    child = os.fork()
    if child == 0:
        if works("make mounts private", libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None)) and mount(
            "mount a private tmpfs", "tmpfs", PLACE
        ):
            for name in ("proc", "binfmt", "lower", "upper", "work", "root", "old"):
                os.mkdir(f"{PLACE}/{name}")  # noqa: PTH102
            if mount("mount /proc", "proc", f"{PLACE}/proc"):
                mount("mount a private binfmt_misc", "binfmt_misc", f"{PLACE}/binfmt")
                layers = f"lowerdir={PLACE}/lower,upperdir={PLACE}/upper,workdir={PLACE}/work,userxattr"
                mount("mount the writable layer (overlay)", "overlay", f"{PLACE}/root", layers)
                os.chdir(PLACE)
                works("make the sandbox the root", libc.syscall(PIVOT_ROOT, b".", b"old"))
        os.write(end_w, json.dumps(found).encode())
        os._exit(0)
    os.close(end_w)
    told = os.read(end_r, 65536)
    os.waitpid(child, 0)
    return [(str(step), int(number)) for step, number in json.loads(told or b"[]")]


if __name__ == "__main__":
    json.dump(refused(), sys.stdout)
