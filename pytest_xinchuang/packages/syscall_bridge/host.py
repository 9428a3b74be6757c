"""What of a host a subject needs: system calls, sysctls, and the limits of its control group."""

from __future__ import annotations

import ctypes
import errno
import os
import platform as host
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pytest_xinchuang.core.kernel_calls import LATE_CALLS, release_key
from pytest_xinchuang.core.syscall_names import tables
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.syscall_bridge.manifest import HostNeeds
from pytest_xinchuang.sandbox.circumstances import HOST_ARCH


class State(StrEnum):
    """Whether a need is met."""

    OK = "ok"
    MISSING = "missing"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class HostNeed:
    """One need against what was found."""

    what: str
    state: State
    found: str
    wanted: str
    mend: str = ""


Probe = Callable[[int], str]


def probe_call(number: int) -> str:
    """How the kernel answers a call with arguments that no call takes: the name of its errno, ``0``, or of a signal.

    It is made in a child: a seccomp filter may kill (OpenHarmony does, with SIGSYS).
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        answer = b"?"
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            minus = ctypes.c_long(-1)
            result = libc.syscall(ctypes.c_long(number), minus, minus, minus, minus, minus, minus)
            answer = (errno.errorcode.get(ctypes.get_errno(), "?") if result < 0 else "0").encode()
        finally:
            os.write(write, answer)
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else said


def check_host(needs: HostNeeds, root: Path = Path("/"), probe: Probe = probe_call) -> list[HostNeed]:
    """Each need of ``needs`` against this host.

    Args:
        root: where /proc and /sys are.
    """
    found = [*_kernel(needs, root), *(_call(name, probe) for name in needs.calls)]
    found += [_sysctl(name, value, root) for name, value in needs.sysctls.items()]
    return [*found, *_cgroup(needs, root)]


def _kernel(needs: HostNeeds, root: Path) -> Iterator[HostNeed]:
    if not needs.kernel:
        return
    release = _text(root / "proc/sys/kernel/osrelease") or host.release()
    numbers = release.split("-")[0]
    state = State.OK if release_key(numbers) >= release_key(needs.kernel) else State.MISSING
    yield HostNeed(
        "kernel", state, release, f"at least {needs.kernel}", "" if state is State.OK else _("a newer kernel")
    )


def _call(name: str, probe: Probe) -> HostNeed:
    number = tables()[HOST_ARCH.value].get(name) if HOST_ARCH else None
    if number is None or name not in LATE_CALLS:
        # What every kernel since 4.4 has is not asked for by arguments that it might take.
        return HostNeed(f"call {name}", State.UNKNOWN, _("not a call that came after Linux 4.4"), "present")
    since = LATE_CALLS[name]
    said = probe(number)
    wanted = f"present (Linux {since})"
    if said == "ENOSYS":
        return HostNeed(
            f"call {name}", State.MISSING, said, wanted, _("Linux {since}, or a program that does without", since=since)
        )
    if said == "EPERM":
        return HostNeed(
            f"call {name}",
            State.UNKNOWN,
            _("EPERM: there, or forbidden by a filter or a sysctl"),
            wanted,
            "see seccomp",
        )
    if said.startswith("SIG"):
        return HostNeed(f"call {name}", State.MISSING, f"killed by {said}", wanted, _("allow it in the seccomp filter"))
    if said == "?":
        return HostNeed(f"call {name}", State.UNKNOWN, "no answer", wanted)
    return HostNeed(f"call {name}", State.OK, said, wanted)


def _sysctl(name: str, wanted: int, root: Path) -> HostNeed:
    text = _text(root / "proc/sys" / name.replace(".", "/"))
    told = f"at least {wanted}"
    value = text.split()[0] if text else ""
    if not value.lstrip("-").isdigit():
        return HostNeed(f"sysctl {name}", State.UNKNOWN, "not there" if not text else f"{text!r}", told)
    if int(value) >= wanted:
        return HostNeed(f"sysctl {name}", State.OK, value, told)
    return HostNeed(f"sysctl {name}", State.MISSING, value, told, f"sudo sysctl -w {name}={wanted}")


def _cgroup(needs: HostNeeds, root: Path) -> Iterator[HostNeed]:
    group = read_cgroup(root)
    if needs.memory_mb:
        total = _memory_mb(root)
        limits = [m for m in (group.memory_mb, total) if m is not None]
        told = f"at least {needs.memory_mb} MiB"
        if not limits:
            yield HostNeed("memory", State.UNKNOWN, _("neither the control group nor /proc/meminfo says"), told)
        else:
            least = min(limits)
            where = group.source if group.memory_mb == least else "/proc/meminfo"
            state = State.OK if least >= needs.memory_mb else State.MISSING
            mend = (
                ""
                if state is State.OK
                else f"raise memory.max of {group.source}"
                if group.source in where
                else "more memory"
            )
            yield HostNeed("memory", state, f"{least} MiB ({where})", told, mend)
    if needs.cpus:
        seen = len(os.sched_getaffinity(0))
        allowed = min(float(seen), group.cpus) if group.cpus is not None else float(seen)
        state = State.OK if allowed >= needs.cpus else State.MISSING
        found = f"{allowed:g} ({group.source})" if group.cpus is not None else _("{seen}, and no limit", seen=seen)
        # A program that counts processors starts as many threads as it sees, and is throttled.
        if group.cpus is not None and seen > group.cpus:
            found += _("; a program that counts processors sees {seen}", seen=seen)
        yield HostNeed(
            "processors", state, found, f"at least {needs.cpus:g}", "" if state is State.OK else "raise cpu.max"
        )


@dataclass(frozen=True)
class ControlGroup:
    """The limits of this process's control group and of those above it; None: no limit."""

    source: str
    memory_mb: int | None = None
    cpus: float | None = None


def read_cgroup(root: Path = Path("/")) -> ControlGroup:
    """The limits that are in force: version 2's files (Documentation/admin-guide/cgroup-v2.rst), else version 1's."""
    memory: list[int] = []
    cpus: list[float] = []
    source: str = _("no control group")
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        base = root / "sys/fs/cgroup"
        if number == "0" and not controllers:
            source = "cgroup v2"
            for place in _upward(base, path):
                _v2(place, memory, cpus)
        elif "memory" in controllers.split(",") or "cpu" in controllers.split(","):
            source = "cgroup v1"
            for controller in controllers.split(","):
                for place in _upward(base / controller, path):
                    _v1(place, memory, cpus)
    return ControlGroup(source, min(memory) >> 20 if memory else None, min(cpus) if cpus else None)


def _upward(base: Path, path: str) -> Iterator[Path]:
    place = base / path.lstrip("/")
    while place.is_relative_to(base):
        yield place
        if place == base:
            return
        place = place.parent


def _v2(place: Path, memory: list[int], cpus: list[float]) -> None:
    text = _text(place / "memory.max")
    if text.isdigit():
        memory.append(int(text))
    quota, _, period = _text(place / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit() and int(period):
        cpus.append(int(quota) / int(period))


NO_LIMIT = 1 << 62
"""Version 1 writes "no limit" as the largest multiple of a page below 2**63 (mm/page_counter.c, PAGE_COUNTER_MAX)."""


def _v1(place: Path, memory: list[int], cpus: list[float]) -> None:
    text = _text(place / "memory.limit_in_bytes")
    if text.isdigit() and int(text) < NO_LIMIT:
        memory.append(int(text))
    quota, period = _text(place / "cpu.cfs_quota_us"), _text(place / "cpu.cfs_period_us")
    if quota.isdigit() and period.isdigit() and int(period):
        cpus.append(int(quota) / int(period))


def _memory_mb(root: Path) -> int | None:
    for line in _text(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) >> 10
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
