"""The cache: entries that appear whole or not at all, made by one process at a time, verified by digest.

An entry is a directory ``entries/KIND/NAME`` with a directory for each of its versions, and a file ``current`` that names one.
A new version is made beside the others, and the file is replaced: no directory is ever replaced by another, which a file
system of layers (an image of a container) may refuse. Entries of earlier releases, which lie there without a version, are
still read.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

from pytest_xinchuang.core.errors import DataFileError, HostFault, XcError
from pytest_xinchuang.core.locks import lock as take
from pytest_xinchuang.core.resources import cache_dir as cache_dir
from pytest_xinchuang.messages import Message, _, system_error, verbatim
from pytest_xinchuang.provision.refs import SANDBOX_HOST_UID
from pytest_xinchuang.provision.trees import is_whole as is_whole
from pytest_xinchuang.provision.trees import note_digest as note_digest
from pytest_xinchuang.provision.trees import remove_tree as remove_tree
from pytest_xinchuang.provision.trees import stat_index as stat_index
from pytest_xinchuang.provision.trees import tree_digest as tree_digest
from pytest_xinchuang.provision.trees import writing_mend as writing_mend

IMPORTED = "imported"
"""The recipe of what a lab has brought."""

VENDOR = "vendor-"
"""What the name of such an entry starts with; the platform's follows."""

_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}")
"""What a kind or a name may be: they are the names of directories."""

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
        if not entry.is_well_formed:
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
    def is_well_formed(self) -> bool:
        """Whether every field is of its kind: what is read from a file may be anything."""
        if not isinstance(self.stand_in, bool) or not isinstance(self.facts, dict):
            return False
        texts = (self.kind, self.name, self.recipe, self.digest, self.source, *chain(*self.facts.items()))
        return all(isinstance(text, str) for text in texts) and all(_PART.fullmatch(t) for t in (self.kind, self.name))

    @property
    def says_what_it_is(self) -> bool:
        """Whether name, recipe and ``stand_in`` agree: what was imported, and nothing else, is called after a platform."""
        imported = self.recipe == IMPORTED
        return imported is self.name.startswith(VENDOR) and self.stand_in is not imported


_CURRENT = "current"
"""The file that names an entry's version."""
_VERSION = re.compile(r"[0-9a-f]{16}(\.[0-9]{1,4})?")

_UNVERSIONED_KEPT_S = 86400.0
"""Seconds for which an entry without a version stays after it was replaced: a process of an earlier release may be using it."""

_PARTS = ("entries", "locks", "tmp", "builds")


class _Held:
    """A record of the cache, locked so that nobody removes the version that it belongs to while we use it.

    Raises:
        OSError: there is none.
    """

    def __init__(self, record: Path) -> None:
        self._fd = -1
        self._fd = os.open(record, os.O_RDONLY)
        with contextlib.suppress(
            OSError
        ):  # a file system without locks; or somebody is removing it, which will be seen
            take(self._fd, shared=True)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        self.close()


@dataclass
class _Seen:
    """An entry that was verified, with what the kernel said of it then, and when it was last asked.

    Attributes:
        held: its record, locked: nobody removes the version while we use it.
    """

    entry: Entry
    place: Path
    index: str
    held: _Held
    at: float = field(default_factory=time.monotonic)

    def is_still(self) -> bool:
        if (now := time.monotonic()) - self.at < _LOOKED_AT_S:
            return True
        self.at = now
        try:
            return _index(self.place) == self.index
        except OSError:
            return False


def _index(place: Path) -> str:
    """A digest of what the kernel says of an entry's record and tree."""
    return f"{stat_index(place / 'entry.json')} {stat_index(place / 'tree')}"


@dataclass(frozen=True)
class _Failure:
    """A build that failed, and when."""

    error: XcError
    at: str

    def again(self) -> XcError:
        """The error, for who asks for the same thing another time."""
        what = _(
            "{what}; it was tried at {time}, and is not tried again in this run", what=self.error.what, time=self.at
        )
        if isinstance(self.error, HostFault):
            return HostFault(what, mend=self.error.mend, lacking=self.error.lacking)
        return DataFileError(what, mend=self.error.mend)


def _user(uid: int) -> Message:
    try:
        import pwd

        return verbatim(pwd.getpwuid(uid).pw_name)
    except (KeyError, ImportError):
        return verbatim(str(uid))


def _anything(_tree: Path) -> bool:
    return True


class Cache:
    """Entries below one directory.

    Attributes:
        root: where we write.
        below: a cache that we may only read, whose entries are used where ``root`` has none: that of an image, of a read-only
            file system. ``root`` is then a directory of our own for temporary files.

    Raises:
        HostFault: the directory cannot be made or written, or is another user's.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_dir()
        self.below: Path | None = None
        try:
            _make_parts(self.root)
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM) or not (self.root / "entries").is_dir():
                raise HostFault(
                    _("the cache {root} cannot be made: {why}", root=self.root, why=system_error(error)),
                    mend=verbatim("export XC_CACHE=/a/writable/directory"),
                ) from error
            self.below, self.root = self.root, _own_directory()
            self._check_owner(self.below)
        self._check_owner(self.root)
        self._verified: dict[tuple[str, str], _Seen] = {}
        self._failed: dict[tuple[str, str, str], _Failure] = {}

    @staticmethod
    def _check_owner(place: Path) -> None:
        """Raise where a place is neither ours nor root's, who could change anything of ours anyway."""
        if not hasattr(os, "geteuid"):
            return  # Windows: users have a directory of their own, which the system keeps from others
        owner, us = place.stat().st_uid, os.geteuid()
        # What root makes for the sandboxes' user is root's own.
        if owner not in (us, 0) and (us, owner) != (0, SANDBOX_HOST_UID):
            raise HostFault(
                _(
                    "{place} belongs to user {owner}, and we are user {us}: what another user has provisioned is not used",
                    place=verbatim(str(place)),
                    owner=_user(owner),
                    us=_user(us),
                ),
                mend=verbatim("export XC_CACHE=/a/directory/of/your/own"),
            )

    def _roots(self) -> tuple[Path, ...]:
        return (self.root,) if self.below is None else (self.root, self.below)

    def _place(self, kind: str, name: str) -> Path | None:
        """The directory of an entry's current version, whatever is in it; None: there is none."""
        for root in self._roots():
            if (place := _current(root / "entries" / kind / name)) is not None:
                return place
        return None

    def tree(self, kind: str, name: str) -> Path:
        """The tree of an entry: of the version that was verified, where one was."""
        seen = self._verified.get((kind, name))
        place = seen.place if seen else self._place(kind, name)
        return (place or self.root / "entries" / kind / name) / "tree"

    def record(self, kind: str, name: str) -> Path:
        """The file that says what an entry is."""
        return self.tree(kind, name).with_name("entry.json")

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

    @contextlib.contextmanager
    def scratch(self, purpose: str) -> Iterator[Path]:
        """A new directory that is gone afterwards, and that :meth:`clean` leaves alone until then.

        Raises:
            OSError: it cannot be made.
        """
        name = f"{purpose}-{os.getpid()}-{secrets.token_hex(4)}"
        place = self.root / "tmp" / name
        with self.lock(name):
            try:
                place.mkdir()
                yield place
            finally:
                remove_tree(place)
                (self.root / "locks" / f"{name}.lock").unlink(missing_ok=True)

    def holds(self, kind: str, name: str) -> bool:
        """Whether there is an entry of this name, whatever it says."""
        bases = (root / "entries" / kind / name for root in self._roots())
        return any(base.is_dir() and any(base.iterdir()) for base in bases)

    def peek(self, kind: str, name: str) -> Entry | None:
        """The entry as it says of itself, not verified."""
        place = self._place(kind, name)
        return Entry.read(place / "entry.json") if place is not None else None

    def verified(self, kind: str, name: str, recipe: str | None) -> Entry | None:
        """The entry, when it is there, was made by ``recipe`` (None: any), and is byte for byte what it was.

        Read as a whole once in the life of this object, and again when anything that the kernel says of it has changed.

        Raises:
            HostFault: it is another user's, or has changed while we used it.
        """
        seen = self._verified.get((kind, name))
        if seen is not None:
            entry = seen.entry if seen.is_still() else self._again(kind, name, seen)
            return entry if recipe in (None, entry.recipe) else None
        for root in self._roots():
            place = _current(root / "entries" / kind / name)
            while place is not None:
                found = self._verify(kind, name, recipe, place)
                if found is not None:
                    self._verified[kind, name] = found
                    return found.entry
                # Replaced by another process while we looked: the new one then.
                before, place = place, _current(root / "entries" / kind / name)
                if place == before:
                    break
        return None

    def _verify(self, kind: str, name: str, recipe: str | None, place: Path) -> _Seen | None:
        try:
            held = _Held(place / "entry.json")
        except OSError:
            return None
        with contextlib.ExitStack() as stack:
            stack.callback(held.close)
            entry = Entry.read(place / "entry.json")
            if entry is None or (entry.kind, entry.name) != (kind, name) or recipe not in (None, entry.recipe):
                return None
            self._check_owner(place / "entry.json")
            try:
                index = _index(place)
                if tree_digest(place / "tree") != entry.digest:
                    return None
            except OSError:
                return None
            stack.pop_all()
            return _Seen(entry, place, index, held)

    def _again(self, kind: str, name: str, seen: _Seen) -> Entry:
        """Verify an entry in which something has changed since this process verified it."""
        with contextlib.suppress(OSError):
            index = _index(seen.place)
            same = Entry.read(seen.place / "entry.json") == seen.entry
            if same and tree_digest(seen.place / "tree") == seen.entry.digest:
                seen.index, seen.at = index, time.monotonic()
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
        fits: Callable[[Path], bool] = _anything,
    ) -> Entry:
        """The verified entry, built first when it is missing, stale, damaged or ``force`` is given.

        A build that failed is not tried again in the life of this object, unless it is forced: the same error is raised.

        Args:
            build: ``build(tree)`` fills the directory ``tree`` and returns (source, facts). Only a finished tree gets its name.
            fits: whether the tree of an entry that is there can be used by us.
        """
        if not force and (entry := self.verified(kind, name, recipe)) and fits(self.tree(kind, name)):
            return entry
        if not force and (failure := self._failed.get((kind, name, recipe))):
            raise failure.again()
        with self.lock(f"{kind}-{name}", on_wait):
            # Another process may have made it while we waited.
            if not force and (entry := self.verified(kind, name, recipe)) and fits(self.tree(kind, name)):
                return entry
            scratch = self.root / "tmp" / f"{kind}-{name}"
            remove_tree(scratch)
            try:
                (scratch / "tree").mkdir(parents=True)
                source, facts = build(scratch / "tree")
                entry = Entry(kind, name, recipe, tree_digest(scratch / "tree"), source, stand_in, facts)
                entry.write(scratch / "entry.json")
                place = self._put(scratch, entry)
                seen = _Seen(entry, place, _index(place), _Held(place / "entry.json"))
            except OSError as error:
                raise self._remembered(
                    (kind, name, recipe),
                    HostFault(
                        _(
                            "{kind} {name} could not be made in {root}: {why}",
                            kind=kind,
                            name=name,
                            root=self.root,
                            why=system_error(error),
                        ),
                        mend=writing_mend(error, self.root),
                    ),
                ) from error
            except XcError as error:
                raise self._remembered((kind, name, recipe), error) from error.__cause__
            finally:
                remove_tree(scratch)
            old = self._verified.pop((kind, name), None)
            if old is not None:
                old.held.close()
            self._verified[kind, name] = seen
            self._failed.pop((kind, name, recipe), None)
            self._remove_others(place)
            return entry

    def _remembered(self, key: tuple[str, str, str], error: XcError) -> XcError:
        self._failed[key] = _Failure(error, time.strftime("%H:%M:%S"))
        return error

    def _put(self, scratch: Path, entry: Entry) -> Path:
        """Give a finished version its place and its name; returns the place."""
        base = self.root / "entries" / entry.kind / entry.name
        base.mkdir(parents=True, exist_ok=True)
        version = plain = entry.digest.removeprefix("sha256:")[:16]
        number = 1
        while (base / version).exists():
            number += 1
            version = f"{plain}.{number}"
        scratch.rename(base / version)
        pointer = base / f".{_CURRENT}"
        pointer.write_text(f"{version}\n", encoding="ascii")
        pointer.replace(base / _CURRENT)
        return base / version

    def _remove_others(self, place: Path) -> None:
        """Remove the versions beside one, but for those that somebody is using; what cannot be removed stays."""
        for other in (path.parent for path in place.parent.glob("*/entry.json")):
            if other != place and _VERSION.fullmatch(other.name):
                _remove_unused(other)
        unversioned = place.parent / "entry.json"
        with contextlib.suppress(OSError):
            if time.time() - unversioned.stat().st_ctime > _UNVERSIONED_KEPT_S:
                unversioned.unlink()
                remove_tree(place.parent / "tree")

    def entries(self) -> list[Entry]:
        """What is in the cache, as it says of itself."""
        names = {path.parts[-2:] for root in self._roots() for path in root.glob("entries/*/*") if path.is_dir()}
        found = (self.peek(kind, name) for kind, name in sorted(names))
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
        for pointer in self.root.glob(f"entries/*/*/{_CURRENT}"):
            base = pointer.parent
            if sum(_VERSION.fullmatch(path.name) is not None for path in base.iterdir()) > 1:
                lock = self.root / "locks" / f"{base.parent.name}-{base.name}.lock"
                with contextlib.suppress(BlockingIOError), lock.open("w") as file:
                    take(file)
                    if (place := _current(base)) is not None:
                        self._remove_others(place)
        return removed


def _make_parts(root: Path) -> None:
    """Make the directories of a cache.

    Raises:
        OSError: they cannot be made, or be written to.
    """
    for name in _PARTS:
        (root / name).mkdir(parents=True, exist_ok=True)
        if not os.access(root / name, os.W_OK | os.X_OK):
            read_only = hasattr(os, "statvfs") and bool(os.statvfs(root / name).f_flag & os.ST_RDONLY)
            number = errno.EROFS if read_only else errno.EACCES
            raise OSError(number, os.strerror(number), str(root / name))


def _own_directory() -> Path:
    """A directory for what cannot be written beside a cache that is read alone.

    Raises:
        HostFault: it cannot be made, or is not ours.
    """
    place = Path(tempfile.gettempdir()) / f"pytest-xinchuang-{os.geteuid()}"
    mend = verbatim("export XC_CACHE=/a/writable/directory")
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        info = place.lstat()
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o022:
            raise HostFault(_("{place} is not a directory that we alone may write", place=place), mend=mend)
        _make_parts(place)
    except OSError as error:
        raise HostFault(
            _("the cache {root} cannot be made: {why}", root=place, why=system_error(error)), mend=mend
        ) from error
    return place


def _current(base: Path) -> Path | None:
    """The current version of an entry; of an earlier release's, which has no versions, the whole."""
    try:
        version = (base / _CURRENT).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        version = ""
    if _VERSION.fullmatch(version) and (base / version).is_dir():
        return base / version
    return base if (base / "entry.json").exists() or (base / "tree").exists() else None


def _remove_unused(version: Path) -> None:
    with contextlib.suppress(OSError), (version / "entry.json").open("rb") as file:
        take(file)
        (version / "entry.json").unlink()
        remove_tree(version)
