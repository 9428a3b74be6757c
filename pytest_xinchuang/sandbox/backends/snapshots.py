"""Machines as they are after their boot, kept in the cache: one that is restored is there in a fraction of a second.

A snapshot is the memory of a machine whose agent has come up and was told nothing yet, in a file of its own, and the state of
its devices. It is found by a digest of all that went into it; a machine that is restored maps the memory privately, so that
nothing is ever written back.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.locks import lock as take
from pytest_xinchuang.provision.cache import Cache

MEMORY, STATE, RECORD, USED = "memory", "state", "record.json", "used"
SCHEMA = "xc-snapshot/1"

MOST = 24
"""Snapshots that are kept: five families of platforms, each with some variants of its CPU; 190 to 230 MiB of disk each."""
MOST_BYTES = 5 << 30
"""Bytes of disk that they take together."""
ROOM_BYTES = 2 << 30
"""Bytes that must be free in the cache's file system before one is made."""

_CELL = 1 << 20
_NOTHING = bytes(_CELL)


@dataclass(frozen=True)
class Snapshot:
    """A verified snapshot.

    Attributes:
        memory: the file that is the machine's memory.
        state: qemu's stream of the devices' state.
    """

    key: str
    memory: Path
    state: Path


class Snapshots:
    """The snapshots of a cache."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.root = cache.root / "snapshots"

    @contextlib.contextmanager
    def held(self, key: str) -> Iterator[None]:
        """Hold a snapshot: while it is looked for, made and restored from, nobody makes or removes it."""
        with self.cache.lock(f"snapshot-{key}"):
            yield

    def find(self, key: str) -> Snapshot | None:
        """The snapshot, if it is there and is byte for byte what was made; one that is not is removed. Held by the caller."""
        place = self.root / key
        found = Snapshot(key, place / MEMORY, place / STATE)
        stamp = _stamp(found)
        if stamp is None:
            self.remove(key)
            return None
        if _verified.get(str(place)) != stamp:
            try:
                record = json.loads((place / RECORD).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                record = None
            if record is None or record != _record(found):
                self.remove(key)
                return None
            _verified[str(place)] = stamp
        with contextlib.suppress(OSError):
            (place / USED).touch()
        return found

    def make(self, key: str, build: Callable[[Path, Path], None], scratch: Path) -> Snapshot | None:
        """Make a snapshot in ``scratch``, and put it in its place; None where there is no room. Held by the caller.

        ``build(memory, state)`` makes the two files.

        Raises:
            SandboxFault: it cannot be made.
        """
        self.prune()
        try:
            self.root.mkdir(exist_ok=True)
            if shutil.disk_usage(self.root).free < ROOM_BYTES:
                return None
            part = scratch / "snapshot"
            part.mkdir()
            build(part / MEMORY, part / STATE)
            made = Snapshot(key, part / MEMORY, part / STATE)
            for file in (made.memory, made.state):
                file.chmod(0o400)
            (part / RECORD).write_text(json.dumps(_record(made)), encoding="utf-8")
            self.remove(key)
            part.rename(self.root / key)
        except OSError:
            return None
        made = Snapshot(key, self.root / key / MEMORY, self.root / key / STATE)
        if (stamp := _stamp(made)) is not None:
            _verified[str(self.root / key)] = stamp  # it was read as a whole just now
        return made

    def remove(self, key: str) -> None:
        _verified.pop(str(self.root / key), None)
        shutil.rmtree(self.root / key, ignore_errors=True)

    def prune(self) -> None:
        """Remove those that were used least lately, until one more has room; those that are held stay."""
        found = []
        for place in self.root.glob("*"):
            with contextlib.suppress(OSError):
                used = max((place / name).stat().st_mtime for name in (RECORD, USED) if (place / name).exists())
                found.append((used, sum(file.stat().st_blocks * 512 for file in place.iterdir()), place.name))
        count, total = len(found), sum(size for _used, size, _name in found)
        for _used, size, name in sorted(found):
            if count < MOST and total <= MOST_BYTES:
                break
            with (self.cache.root / "locks" / f"snapshot-{name}.lock").open("w") as lock, contextlib.suppress(OSError):
                take(lock)
                self.remove(name)
                count, total = count - 1, total - size


_verified: dict[str, tuple[int, ...]] = {}
"""By its place, what the kernel said of a snapshot when this process verified it."""


def _stamp(snapshot: Snapshot) -> tuple[int, ...] | None:
    """What the kernel says of a snapshot's files: a change of any changes it. None: they are not there, or not ours."""
    found: list[int] = []
    try:
        for file in (snapshot.memory, snapshot.state):
            info = file.stat(follow_symlinks=False)
            if info.st_uid != os.geteuid() or not stat.S_ISREG(info.st_mode):
                return None
            found += (info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    except OSError:
        return None
    return tuple(found)


def _record(snapshot: Snapshot) -> dict[str, str]:
    """What is noted of a snapshot."""
    try:
        with snapshot.state.open("rb") as file:
            state = hashlib.file_digest(file, "sha256").hexdigest()
        return {"schema": SCHEMA, "key": snapshot.key, "memory": _digest(snapshot.memory), "state": state}
    except OSError:
        return {}


def _digest(path: Path) -> str:
    """SHA-256 over the size of a file and each MiB of it that is not all zeros, with its place: holes are not read."""
    total = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        total.update(str(size).encode())
        at = 0
        while at < size:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA) // _CELL * _CELL
            except OSError:  # ENXIO: nothing but a hole follows (lseek(2))
                break
            data = os.pread(file.fileno(), _CELL, at)
            if data != _NOTHING[: len(data)]:
                total.update(f" {at} {len(data)} ".encode())
                total.update(data)
            at += _CELL
    return total.hexdigest()


def key_of(parts: object) -> str:
    """The digest by which a snapshot is found: of all that goes into it, as what JSON can tell."""
    return hashlib.sha256(json.dumps([SCHEMA, parts], sort_keys=True).encode()).hexdigest()[:32]
