"""A control group for one sandbox, where one can be had: it counts memory that is in no process, as files of memfd_create are.

Version 2 of control groups and version 1 (Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst). Root has one nearly
everywhere; an ordinary user has one in a tree that systemd has handed over. Without one the supervisor counts itself.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "xc-"


@dataclass(frozen=True)
class _Version:
    limit: str
    swap: str
    events: str
    processes: str = "pids.max"


_V2 = _Version("memory.max", "memory.swap.max", "memory.events")
_V1 = _Version("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control")


class MemoryGroup:
    """A group of its own; see ``of``."""

    def __init__(self, place: Path, version: _Version) -> None:
        self._place, self._version = place, version
        self._limit_mb = self._processes = 0
        self._kills = self._count()

    @classmethod
    def of(cls, pid: int, mounts: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup") -> MemoryGroup | None:
        """A new group with a process in it and all that come of it, or None where none can be had."""
        for parent, version in _parents(_text(mounts), _text(own)):
            _remove_stale(parent)
            place = parent / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
            try:
                place.mkdir()
            except OSError:
                continue
            try:
                if (place / version.limit).exists():
                    (place / "cgroup.procs").write_text(str(pid))
                    return cls(place, version)
            except OSError:
                pass
            with contextlib.suppress(OSError):
                place.rmdir()
        return None

    def allow(self, memory_mb: int, processes: int) -> None:
        """Let the group have this much at least: what ran before may run still."""
        if memory_mb > self._limit_mb:
            size, swap = str(memory_mb << 20), self._version.swap
            # Version 1 limits memory with swap, which is never below the limit of memory alone.
            steps = (
                [(self._version.limit, size), (swap, "0")]
                if self._version is _V2
                else [(swap, size), (self._version.limit, size)]
            )
            for name, value in (*steps, *(steps if self._version is _V1 else ())):
                with contextlib.suppress(OSError):
                    (self._place / name).write_text(value)
            self._limit_mb = memory_mb
        if processes > self._processes:
            with contextlib.suppress(OSError):
                (self._place / self._version.processes).write_text(str(processes))
            self._processes = processes

    def was_full(self) -> bool:
        """Whether the kernel has ended a process for the limit since this was asked last."""
        before, self._kills = self._kills, self._count()
        return self._kills > before

    @property
    def limit_mb(self) -> int:
        return self._limit_mb

    def _count(self) -> int:
        for line in _text(self._place / self._version.events).splitlines():
            name, _space, value = line.partition(" ")
            if name == "oom_kill" and value.isdigit():
                return int(value)
        return 0

    def close(self) -> None:
        """Remove the group; its processes have ended."""
        with contextlib.suppress(OSError):
            self._place.rmdir()


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _parents(mountinfo: str, cgroup: str) -> list[tuple[Path, _Version]]:
    """Directories in which a group may be made, nearest first."""
    own = {name: path for line in cgroup.splitlines() for _number, name, path in [line.split(":", 2)]}
    found: list[tuple[Path, _Version]] = []
    for line in mountinfo.splitlines():
        words, _dash, rest = line.partition(" - ")
        kind, *more = rest.split()
        root, mount = words.split()[3:5]
        version, path = None, None
        if kind == "cgroup2":
            version, path = _V2, own.get("")
        elif kind == "cgroup" and more and "memory" in more[-1].split(","):
            version = _V1
            path = next((p for name, p in own.items() if "memory" in name.split(",")), None)
        if version is None or path is None:
            continue
        inside = path if root == "/" else path.removeprefix(root)
        at = Path(mount) / inside.lstrip("/")
        for place in (at, *at.parents):
            if not place.is_relative_to(mount):
                break
            # In version 2 a group with processes of its own hands nothing on to others below it.
            if place.is_dir() and (version is _V1 or "memory" in _text(place / "cgroup.subtree_control").split()):
                found.append((place, version))
    return found


def _remove_stale(parent: Path) -> None:
    """Remove groups whose owner has died; one that has processes cannot be removed."""
    for place in parent.glob(f"{_PREFIX}*-*"):
        pid = place.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            with contextlib.suppress(OSError):
                place.rmdir()
