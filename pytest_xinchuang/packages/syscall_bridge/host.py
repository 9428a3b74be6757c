"""Checks what a subject needs of a host: system calls, sysctls, and the limits of its control group."""

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
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.packages.syscall_bridge.manifest import HostNeeds
from pytest_xinchuang.sandbox.circumstances import HOST_ARCH
from pytest_xinchuang.tools.host import situation


class State(StrEnum):
    """Whether a need is met."""

    OK = "ok"
    MISSING = "missing"
    UNKNOWN = "unknown"

    @property
    def word(self) -> Message:
        """The state for people."""
        return _STATES[self]


_STATES = {State.OK: _("ok"), State.MISSING: _("missing"), State.UNKNOWN: _("unknown")}


@dataclass(frozen=True)
class HostNeed:
    """One need with what was found; all texts are for people."""

    what: Message
    state: State
    found: Message
    wanted: Message
    mend: Message = NOTHING


Probe = Callable[[int], str]


def probe_call(number: int) -> str:
    """Make a call with arguments that no call takes; returns the name of its errno or of a signal, ``0``, or ``?``.

    A child makes it: a seccomp filter may kill (OpenHarmony does, with SIGSYS).
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
    """Check each need of ``needs`` on this host.

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
    mend = NOTHING if state is State.OK else _("a newer kernel")
    yield HostNeed(_("kernel"), state, verbatim(release), _at_least(needs.kernel), mend)


def _call(name: str, probe: Probe) -> HostNeed:
    what = _("call {name}", name=name)
    number = tables()[HOST_ARCH.value].get(name) if HOST_ARCH else None
    if number is None or name not in LATE_CALLS:
        # Calls that every kernel since 4.4 has might take the odd arguments of the probe.
        return HostNeed(what, State.UNKNOWN, _("not a call that came after Linux 4.4"), _("present"))
    since = LATE_CALLS[name]
    said = probe(number)
    wanted = _("present (Linux {release})", release=since)
    if said == "ENOSYS":
        mend = _("Linux {release}, or a program that does without", release=since)
        return HostNeed(what, State.MISSING, verbatim(said), wanted, mend)
    if said == "EPERM":
        found = _("EPERM: there, or forbidden by a filter or a sysctl")
        return HostNeed(what, State.UNKNOWN, found, wanted, _("see the seccomp filter"))
    if said.startswith("SIG"):
        found = _("killed by {signal}", signal=said)
        return HostNeed(what, State.MISSING, found, wanted, _("allow it in the seccomp filter"))
    if said == "?":
        return HostNeed(what, State.UNKNOWN, _("no answer"), wanted)
    return HostNeed(what, State.OK, verbatim(said), wanted)


def _at_least(value: object) -> Message:
    return _("at least {value}", value=verbatim(str(value)))


def _sysctl(name: str, wanted: int, root: Path) -> HostNeed:
    text = _text(root / "proc/sys" / name.replace(".", "/"))
    what, told = verbatim(f"sysctl {name}"), _at_least(wanted)
    value = text.split()[0] if text else ""
    if not value.lstrip("-").isdigit():
        return HostNeed(what, State.UNKNOWN, verbatim(repr(text)) if text else _("not there"), told)
    if int(value) >= wanted:
        return HostNeed(what, State.OK, verbatim(value), told)
    return HostNeed(
        what, State.MISSING, verbatim(value), told, verbatim(situation().as_root(f"sysctl -w {name}={wanted}"))
    )


def _cgroup(needs: HostNeeds, root: Path) -> Iterator[HostNeed]:
    group = read_cgroup(root)
    if needs.memory_mb:
        total = _memory_mb(root)
        limits = [m for m in (group.memory_mb, total) if m is not None]
        told = _at_least(f"{needs.memory_mb} MiB")
        if not limits:
            found = _("neither the control group nor /proc/meminfo has a number")
            yield HostNeed(_("memory"), State.UNKNOWN, found, told)
        else:
            least = min(limits)
            limited = group.memory_mb == least
            found = _("{n} MiB ({source})", n=least, source=group.source if limited else verbatim("/proc/meminfo"))
            more = _("raise memory.max of {group}", group=group.source) if limited else _("more memory")
            state = State.OK if least >= needs.memory_mb else State.MISSING
            yield HostNeed(_("memory"), state, found, told, NOTHING if state is State.OK else more)
    if needs.cpus:
        seen = len(os.sched_getaffinity(0))
        allowed = min(float(seen), group.cpus) if group.cpus is not None else float(seen)
        state = State.OK if allowed >= needs.cpus else State.MISSING
        if group.cpus is None:
            found = _("{n}, and no limit", n=seen)
        else:
            found = _("{n:g} ({source})", n=allowed, source=group.source)
            # A program that counts processors starts as many threads as it sees, and is throttled.
            if seen > group.cpus:
                found = joined([found, _("a program that counts processors sees {n}", n=seen)])
        mend = NOTHING if state is State.OK else _("raise cpu.max")
        yield HostNeed(_("processors"), state, found, _at_least(f"{needs.cpus:g}"), mend)


@dataclass(frozen=True)
class ControlGroup:
    """The limits of this process's control group and of those above it; None: no limit."""

    source: Message
    memory_mb: int | None = None
    cpus: float | None = None


def read_cgroup(root: Path = Path("/")) -> ControlGroup:
    """The limits that are in force: version 2's files (Documentation/admin-guide/cgroup-v2.rst), else version 1's."""
    memory: list[int] = []
    cpus: list[float] = []
    source = _("no control group")
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        base = root / "sys/fs/cgroup"
        if number == "0" and not controllers:
            source = verbatim("cgroup v2")
            for place in _upward(base, path):
                _v2(place, memory, cpus)
        elif "memory" in controllers.split(",") or "cpu" in controllers.split(","):
            source = verbatim("cgroup v1")
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
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
