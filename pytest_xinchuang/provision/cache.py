"""The cache: entries that appear whole or not at all, made by one process at a time, verified by digest."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.locks import lock as take
from pytest_xinchuang.core.resources import cache_dir as cache_dir
from pytest_xinchuang.messages import Message, _, system_error, verbatim
from pytest_xinchuang.provision.refs import SANDBOX_HOST_UID


def tree_digest(root: Path) -> str:
    """SHA-256 over every path below ``root`` with its type, permissions, attributes and content, without owners and times."""
    lines: list[str] = []
    files: list[tuple[str, str]] = []
    for directory, names, leaves in os.walk(root):
        for name in names + leaves:
            path = os.path.join(directory, name)  # noqa: PTH118 - a Path for each of thousands of files costs too much
            info = os.lstat(path)
            relative = os.path.relpath(path, root)
            lines += _attributes(path, relative)
            if stat.S_ISLNK(info.st_mode):
                lines.append(f"l {relative} {os.readlink(path)}")  # noqa: PTH115
            elif stat.S_ISDIR(info.st_mode):
                lines.append(f"d {relative} {stat.S_IMODE(info.st_mode):o}")
            elif stat.S_ISREG(info.st_mode):
                files.append((path, f"f {relative} {stat.S_IMODE(info.st_mode):o}"))
            else:
                lines.append(f"o {relative}")
    with ThreadPoolExecutor(2) as pool:
        digests = pool.map(_file_digest, [path for path, _ in files], chunksize=64)
        lines += [f"{line} {digest}" for (_, line), digest in zip(files, digests, strict=True)]
    text = "\n".join(sorted(lines)).encode(errors="surrogateescape")
    return "sha256:" + hashlib.sha256(text).hexdigest()


_OF_THE_HOST = frozenset({"security.selinux", "security.apparmor", "security.ima", "security.evm"})
"""Extended attributes that the host's security module gives to every file."""


def _attributes(path: str, relative: str) -> list[str]:
    try:
        names = os.listxattr(path, follow_symlinks=False)
        own = sorted(name for name in names if name not in _OF_THE_HOST)
        return [f"x {relative} {name} {os.getxattr(path, name, follow_symlinks=False).hex()}" for name in own]
    except (OSError, AttributeError):  # a system or a file system without them, or what nobody but root may read
        return []


def stat_index(root: Path) -> str:
    """SHA-256 over what the kernel says of every path at and below ``root``: a change of anything there changes it.

    It costs some 4 µs a path, where ``tree_digest`` reads every byte. Nobody but root sets the time of change at will.
    """
    total = hashlib.sha256()
    waiting = [os.fspath(root)]
    while waiting:
        place = waiting.pop()
        info = os.lstat(place)
        total.update(f"{place[len(os.fspath(root)) :]}\0".encode("utf-8", "surrogateescape"))
        numbers = (info.st_mode, info.st_uid, info.st_gid, info.st_dev, info.st_ino, info.st_size)
        total.update(repr((*numbers, info.st_mtime_ns, info.st_ctime_ns)).encode())
        if stat.S_ISDIR(info.st_mode):
            waiting += sorted(os.path.join(place, name) for name in os.listdir(place))  # noqa: PTH118, PTH208
    return total.hexdigest()


def _file_digest(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").hexdigest()


IMPORTED = "imported"
"""The recipe of what a lab has brought."""

VENDOR = "vendor-"
"""What the name of such an entry starts with; the platform's follows."""

_LOOKED_AT_S = 10.0
"""Seconds for which an entry is not looked at again: 10 ms for a root filesystem of 1,600 paths."""


@dataclass(frozen=True)
class Entry:
    """One thing in the cache.

    Attributes:
        recipe: digest of what it was made from; another recipe makes the entry stale.
        source: where it came from, for people.
        facts: what was read off it (versions).
    """

    kind: str
    name: str
    recipe: str
    digest: str
    source: str
    stand_in: bool = True
    facts: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def read(path: Path) -> Entry | None:
        """What an ``entry.json`` says; None when it cannot be read, or is not what was written."""
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            written = fields.pop("record", None)
            entry = Entry(**fields)
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return None
        texts = (entry.kind, entry.name, entry.recipe, entry.digest, entry.source)
        facts = entry.facts.items() if isinstance(entry.facts, dict) else ((entry.facts, None),)
        if not isinstance(entry.stand_in, bool) or not all(isinstance(text, str) for text in (*texts, *chain(*facts))):
            return None
        # Older ones have no digest of themselves.
        return entry if written in (None, entry.record) and entry.says_what_it_is else None

    def write(self, path: Path) -> None:
        text = json.dumps({**asdict(self), "record": self.record}, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")

    @property
    def record(self) -> str:
        """SHA-256 over all that it says."""
        return "sha256:" + hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def says_what_it_is(self) -> bool:
        """Whether name, recipe and ``stand_in`` agree: what was imported, and nothing else, is called after a platform."""
        imported = self.recipe == IMPORTED
        return imported is self.name.startswith(VENDOR) and self.stand_in is not imported


@dataclass
class _Seen:
    """An entry that was verified, with what the kernel said of it then, and when it was last asked."""

    entry: Entry
    index: str
    at: float = field(default_factory=time.monotonic)

    def is_still(self, place: Path) -> bool:
        if (now := time.monotonic()) - self.at < _LOOKED_AT_S:
            return True
        self.at = now
        try:
            return stat_index(place) == self.index
        except OSError:
            return False


def _user(uid: int) -> Message:
    try:
        import pwd

        return verbatim(pwd.getpwuid(uid).pw_name)
    except (KeyError, ImportError):
        return verbatim(str(uid))


class Cache:
    """Entries below one directory.

    Raises:
        HostFault: the directory cannot be made or written, or is another user's.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_dir()
        try:
            for name in ("entries", "locks", "tmp", "builds"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HostFault(
                _("the cache {root} cannot be made: {why}", root=self.root, why=system_error(error)),
                mend=verbatim("export XC_CACHE=/a/writable/directory"),
            ) from error
        self._check_owner(self.root)
        self._verified: dict[tuple[str, str], _Seen] = {}

    @staticmethod
    def _check_owner(place: Path) -> None:
        if not hasattr(os, "geteuid"):
            return  # Windows: users have a directory of their own, which the system keeps from others
        owner, us = place.stat().st_uid, os.geteuid()
        # What root makes for the sandboxes' user is root's own.
        if owner != us and (us, owner) != (0, SANDBOX_HOST_UID):
            raise HostFault(
                _(
                    "{place} belongs to user {owner}, and we are user {us}: what another user has provisioned is not used",
                    place=verbatim(str(place)),
                    owner=_user(owner),
                    us=_user(us),
                ),
                mend=verbatim("export XC_CACHE=/a/directory/of/your/own"),
            )

    def _place(self, kind: str, name: str) -> Path:
        return self.root / "entries" / kind / name

    def tree(self, kind: str, name: str) -> Path:
        return self._place(kind, name) / "tree"

    @contextlib.contextmanager
    def lock(self, key: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold ``key`` against every other process; the kernel lets go of it if we die."""
        with (self.root / "locks" / f"{key}.lock").open("w") as file:
            try:
                take(file)
            except BlockingIOError:
                on_wait()
                take(file, wait=True)
            yield

    def holds(self, kind: str, name: str) -> bool:
        """Whether there is an entry of this name, whatever it says."""
        return self._place(kind, name).exists()

    def peek(self, kind: str, name: str) -> Entry | None:
        """The entry as it says of itself, not verified."""
        return Entry.read(self._place(kind, name) / "entry.json")

    def verified(self, kind: str, name: str, recipe: str | None) -> Entry | None:
        """The entry, when it is there, was made by ``recipe`` (None: any), and is byte for byte what it was.

        Read as a whole once in the life of this object, and again when anything that the kernel says of it has changed.

        Raises:
            HostFault: it is another user's, or has changed while we used it.
        """
        place = self._place(kind, name)
        seen = self._verified.get((kind, name))
        if seen is not None:
            return seen.entry if seen.is_still(place) else self._again(kind, name, seen)
        entry = self.peek(kind, name)
        if entry is None or (entry.kind, entry.name) != (kind, name):
            return None
        if recipe is not None and entry.recipe != recipe:
            return None
        self._check_owner(place / "entry.json")
        try:
            index = stat_index(place)
            if tree_digest(self.tree(kind, name)) != entry.digest:
                return None
        except OSError:
            return None
        self._verified[kind, name] = _Seen(entry, index)
        return entry

    def _again(self, kind: str, name: str, seen: _Seen) -> Entry:
        """Verify an entry in which something has changed since this process verified it."""
        with contextlib.suppress(OSError):
            index = stat_index(self._place(kind, name))
            if self.peek(kind, name) == seen.entry and tree_digest(self.tree(kind, name)) == seen.entry.digest:
                self._verified[kind, name] = _Seen(seen.entry, index)
                return seen.entry
        raise HostFault(
            _("{kind} {name} of the cache has changed while it was in use", kind=kind, name=name),
            mend=_("run again; `xc provision --force` makes it anew"),
        )

    def make(
        self,
        kind: str,
        name: str,
        recipe: str,
        build: Callable[[Path], tuple[str, dict[str, str]]],
        *,
        stand_in: bool = True,
        force: bool = False,
        on_wait: Callable[[], None] = lambda: None,
    ) -> Entry:
        """The verified entry, built first when it is missing, stale, damaged or ``force`` is given.

        ``build(tree)`` fills the directory ``tree`` and returns (source, facts). Only a finished tree gets its name.
        """
        if not force and (entry := self.verified(kind, name, recipe)):
            return entry
        with self.lock(f"{kind}-{name}", on_wait):
            # Another process may have made it while we waited.
            if not force and (entry := self.verified(kind, name, recipe)):
                return entry
            scratch = self.root / "tmp" / f"{kind}-{name}"
            remove_tree(scratch)
            (scratch / "tree").mkdir(parents=True)
            try:
                source, facts = build(scratch / "tree")
                entry = Entry(kind, name, recipe, tree_digest(scratch / "tree"), source, stand_in, facts)
                entry.write(scratch / "entry.json")
                self._swap_in(scratch, self._place(kind, name))
                index = stat_index(self._place(kind, name))
            except OSError as error:
                raise HostFault(
                    _(
                        "{kind} {name} could not be made in {root}: {why}",
                        kind=kind,
                        name=name,
                        root=self.root,
                        why=system_error(error),
                    ),
                    mend=_("make room in {directory}, or export XC_CACHE=/another/directory", directory=self.root),
                ) from error
            finally:
                remove_tree(scratch)
            self._verified[kind, name] = _Seen(entry, index)
            return entry

    def _swap_in(self, new: Path, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        old = self.root / "tmp" / f"{place.parent.name}-{place.name}.old"
        remove_tree(old)
        if place.exists():
            place.rename(old)
        new.rename(place)
        remove_tree(old)

    def entries(self) -> list[Entry]:
        found = (Entry.read(path) for path in sorted(self.root.glob("entries/*/*/entry.json")))
        return [entry for entry in found if entry]

    def clean(self) -> list[str]:
        """Remove what a killed process left half-made; returns the names. What is being made now is left alone."""
        removed = []
        for path in sorted((self.root / "tmp").iterdir()):
            key = path.name.removesuffix(".old")
            with (self.root / "locks" / f"{key}.lock").open("w") as file:
                try:
                    take(file)
                except BlockingIOError:
                    continue
                remove_tree(path)
                removed.append(path.name)
        return removed


def note_digest(file: Path, place: Path) -> None:
    """Write the digest of ``file`` beside ``place``, where the file is about to be put, as sha256sum(1) does."""
    _note(place).write_text(f"{_file_digest(str(file))}  {place.name}\n", encoding="utf-8")


def is_whole(place: Path) -> bool:
    """Whether a file has the digest that was noted beside it."""
    try:
        return _note(place).read_text(encoding="utf-8") == f"{_file_digest(str(place))}  {place.name}\n"
    except (OSError, ValueError):
        return False


def _note(place: Path) -> Path:
    return place.with_name(f"{place.name}.sha256")


def remove_tree(path: Path) -> None:
    """Remove a directory tree, also where it holds directories without permissions."""
    opened: set[str] = set()

    def retry(_function: Callable[..., object], name: str, _error: object) -> None:
        if name in opened:
            return
        opened.add(name)
        with contextlib.suppress(OSError):
            Path(name).parent.chmod(0o700)
            if Path(name).is_dir() and not Path(name).is_symlink():
                Path(name).chmod(0o700)
                shutil.rmtree(name, onerror=retry)
            else:
                Path(name).unlink()

    if path.exists():
        shutil.rmtree(path, onerror=retry)
    if path.exists():
        shutil.rmtree(path, ignore_errors=True)
