"""The cache: entries that appear whole or not at all, made by one process at a time, verified by digest."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.resources import cache_dir as cache_dir
from pytest_xinchuang.messages import _, system_error, verbatim


def tree_digest(root: Path) -> str:
    """SHA-256 over every path below ``root`` with its type, permissions and content; owners and times do not count."""
    lines: list[str] = []
    files: list[tuple[str, str]] = []
    for directory, names, leaves in os.walk(root):
        for name in names + leaves:
            path = os.path.join(directory, name)  # noqa: PTH118 - a Path for each of thousands of files costs too much
            info = os.lstat(path)
            relative = os.path.relpath(path, root)
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


def _file_digest(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        """The entry of a file; None where there is none, or what stands there is none."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            found = Entry(**data)
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        texts = (found.kind, found.name, found.recipe, found.digest, found.source)
        facts = found.facts.items() if isinstance(found.facts, dict) else ((found.facts, None),)
        whole = isinstance(found.stand_in, bool) and all(isinstance(text, str) for text in (*texts, *chain(*facts)))
        return found if whole else None


class Cache:
    """Entries below one directory.

    Raises:
        HostFault: the directory cannot be made or written.
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
        self._verified: dict[tuple[str, str], Entry] = {}

    def _place(self, kind: str, name: str) -> Path:
        return self.root / "entries" / kind / name

    def tree(self, kind: str, name: str) -> Path:
        return self._place(kind, name) / "tree"

    @contextlib.contextmanager
    def lock(self, key: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold ``key`` against every other process; the kernel lets go of it if we die."""
        with (self.root / "locks" / f"{key}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def peek(self, kind: str, name: str) -> Entry | None:
        """The entry as it says of itself, not verified."""
        return Entry.read(self._place(kind, name) / "entry.json")

    def verified(self, kind: str, name: str, recipe: str | None) -> Entry | None:
        """The entry, when it is there, was made by ``recipe`` (None: any), and is byte for byte what it was.

        Verified once in the life of this object: it is read through a private mount that shows it read-only.
        """
        if (kind, name) in self._verified:
            return self._verified[kind, name]
        entry = self.peek(kind, name)
        if entry is None or (recipe is not None and entry.recipe not in (recipe, "imported")):
            return None
        try:
            if tree_digest(self.tree(kind, name)) != entry.digest:
                return None
        except OSError:
            return None
        self._verified[kind, name] = entry
        return entry

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
                (scratch / "entry.json").write_text(json.dumps(asdict(entry), indent=1, ensure_ascii=False) + "\n")
                self._swap_in(scratch, self._place(kind, name))
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
            self._verified[kind, name] = entry
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
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                remove_tree(path)
                removed.append(path.name)
        return removed


def remove_tree(path: Path) -> None:
    """Remove a directory tree, also where it holds directories without permissions."""

    def retry(function: Callable[[str], object], name: str, _error: object) -> None:
        with contextlib.suppress(OSError):
            Path(name).parent.chmod(0o700)
            Path(name).chmod(0o700)
            function(name)

    if path.exists():
        shutil.rmtree(path, onerror=retry)
    if path.exists():
        shutil.rmtree(path, ignore_errors=True)
