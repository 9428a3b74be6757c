"""The faults: each disturbs one run, by a signal at some moment, or by the place in which it runs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

FULL = 'mount -t tmpfs -o size={size} none {place} && exec "$@"'
FEW_INODES = 'mount -t tmpfs -o size=64m,nr_inodes={inodes} none {place} && exec "$@"'
READ_ONLY = 'mount --bind {place} {place} && mount -o remount,ro,bind {place} && exec "$@"'


@dataclass(frozen=True)
class Fault:
    """One way to disturb a run.

    Attributes:
        name: as it is counted.
        wrap: shell that prepares the place in a mount namespace of its own and ends in ``exec "$@"``; "" for none.
        target: what of the command lines of its processes names the one to kill; "" for none, ``run`` for pytest itself.
        environment: changes.
        workers: of pytest-xdist.
        twice: whether a second run is started in the same place at the same time.
        unprivileged: whether it runs as another user, with the cache of this one.
    """

    name: str
    wrap: str = ""
    target: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    workers: int = 0
    twice: bool = False
    unprivileged: bool = False


def faults(backend: str, shim: Path | None) -> list[Fault]:
    """Those that can be tried on a backend here."""
    killed = {"qemu": ["supervisor", "guest"], "docker": ["dockerd"], "system": ["qemu-system"]}[backend]
    found = [Fault("SIGKILL of the run", target="run"), Fault("SIGKILL of a worker", target="xdist", workers=2)]
    found += [Fault(f"SIGKILL of {name}", target=name) for name in killed]
    if os.geteuid() == 0:
        found += [
            Fault("disk full", wrap=FULL),
            Fault("out of inodes", wrap=FEW_INODES),
            Fault("read-only", wrap=READ_ONLY),
            Fault("TMPDIR full", wrap=FULL, environment={"TMPDIR": "{scratch}"}),
            Fault("another user's cache", unprivileged=True),
        ]
    if shim is not None:
        found += [
            Fault("clock back", environment={"LD_PRELOAD": str(shim), "SOAK_JUMP_S": "-86400"}),
            Fault("clock forth", environment={"LD_PRELOAD": str(shim), "SOAK_JUMP_S": "86400"}),
        ]
    return [*found, Fault("out of memory"), Fault("two runs in one place", twice=True)]


def descendants(root: int) -> Iterator[tuple[int, str]]:
    """The processes below one, with their command lines."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    left = list(parents.get(root, []))
    while left:
        process = left.pop()
        left += parents.get(process, [])
        try:
            line = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        yield process, line


def kill(root: int, target: str, chance: random.Random) -> bool:
    """Send SIGKILL to the run or to one of its processes; False where there is none of that kind.

    ``guest`` is a program of the target, under its emulator.
    """
    if target == "run":
        os.kill(root, signal.SIGKILL)
        return True
    if target == "dockerd":
        found = [p for p, line in descendants(1) if line.startswith("dockerd") or "/dockerd" in line.split(" ")[0]]
    elif target == "xdist":
        found = [
            p for p, line in descendants(root) if "execnet" in line or "xdist" in line or "-c import sys;exec" in line
        ]
    elif target == "guest":
        supervisors = [p for p, line in descendants(root) if "supervisor" in line]
        found = [p for top in supervisors for p, line in descendants(top) if "supervisor" not in line]
    else:
        found = [p for p, line in descendants(root) if target in line]
    if not found:
        return False
    try:
        os.kill(chance.choice(found), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


Run = Callable[[Sequence[str]], subprocess.Popen[bytes]]

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <sys/time.h>
/* The clock on the wall jumps SOAK_AFTER_S seconds after the process began, by SOAK_JUMP_S. */
static int (*real)(clockid_t, struct timespec *);
static long jump(void) {
    static long begun; struct timespec now;
    real(CLOCK_MONOTONIC, &now);
    const char *text = getenv("SOAK_BEGUN"), *by = getenv("SOAK_JUMP_S");
    if (!begun) begun = text ? atol(text) : now.tv_sec;
    return by && now.tv_sec >= begun ? atol(by) : 0;
}
int clock_gettime(clockid_t clock, struct timespec *out) {
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int got = real(clock, out);
    if (!got && clock == CLOCK_REALTIME) out->tv_sec += jump();
    return got;
}
time_t time(time_t *out) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); if (out) *out = t.tv_sec; return t.tv_sec; }
int gettimeofday(struct timeval *restrict out, void *restrict zone) {
    struct timespec t; (void)zone; clock_gettime(CLOCK_REALTIME, &t);
    out->tv_sec = t.tv_sec; out->tv_usec = t.tv_nsec / 1000; return 0;
}
"""
