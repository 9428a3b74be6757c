"""Where a loader finds the libraries that an object names, in the root that the object is delivered in.

Sources: ld.so(8); glibc, elf/dl-load.c (`_dl_map_object`, `open_verify`); musl, ldso/dynlink.c. A file for another machine is
passed over and the search goes on; a file that is no object ends it with an error.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from pytest_xinchuang.inspect.delivery import Doubt, Kind, Root
from pytest_xinchuang.inspect.record import ElfRecord

DEFAULT = ("lib64", "usr/lib64", "lib", "usr/lib")
"""The directories that glibc's loader knows on 64-bit systems; musl has /lib, /usr/local/lib and /usr/lib."""

OF_MUSL = re.compile(r"lib(?:c|pthread|rt|m|dl|util|xnet)\.")
"""Names that musl's loader takes for itself, and looks for no file (musl, ldso/dynlink.c, load_library: ``reserved``)."""

DEPTH = 32
"""Libraries in one another that are followed."""


class How(StrEnum):
    """How a needed library is delivered."""

    FOUND = "found"
    """On a path that the loader searches, for this machine."""
    NEARBY = "nearby"
    """In the delivery, and on no path that the loader searches by itself."""
    RENAMED = "renamed"
    """A file has this soname and another name, and no link leads to it: the loader looks for the name."""
    NO_OBJECT = "no object"
    """A file of this name stands where the loader looks, and is none."""
    NOWHERE = "nowhere"
    """A link of this name stands there and leads to nothing that is delivered beside it: it was meant to come along."""
    ABSENT = "absent"
    """Nothing of this name for this machine is delivered: the system has to bring it."""


@dataclass(frozen=True)
class Supply:
    """How one library is supplied, by whom, and what is there instead.

    Attributes:
        record: the object that supplies it, None where none does.
        instead: the place of a file that is there and does not serve: for another machine, or under another name.
        machine: the machine of that file, where it is an object.
        doubt: what a script of a package does to it, or to a link that leads to it.
    """

    how: How
    record: ElfRecord | None = None
    instead: str = ""
    machine: str = ""
    doubt: Doubt | None = None


class Search:
    """Searches one root."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self._paths = {id(record): path for path, record in root.files.items() if record is not None}
        self._by_name: dict[str, list[str]] = {}
        for path in (*root.files, *root.links):
            self._by_name.setdefault(posixpath.basename(path), []).append(path)
        self._by_soname: dict[str, list[ElfRecord]] = {}
        for record in root.records:
            if record.elf.soname:
                self._by_soname.setdefault(record.elf.soname, []).append(record)
        self._musls: dict[str, ElfRecord | None] = {}
        self._system = tuple(dict.fromkeys(self._directories()))
        self._known: dict[tuple[int, str, tuple[str, ...]], tuple[ElfRecord, Supply]] = {}
        said = re.split("[:;]", root.start.environment.get("LD_LIBRARY_PATH", ""))
        self._named = tuple(path.strip("/") for path in said if path.startswith("/"))

    @property
    def directories(self) -> tuple[str, ...]:
        """What is searched for each object: what the environment of an image names, and in a system's root the usual ones."""
        return (*self._named, *(self._system if self.root.kind is Kind.SYSTEM else ()))

    def supply(self, user: ElfRecord, name: str, inherited: tuple[str, ...] = ()) -> Supply:
        """How ``name`` is supplied to ``user``.

        Args:
            inherited: directories of DT_RPATH of the objects that have led to ``user``.
        """
        key = (id(user), name, inherited)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = user, self._supply(user, name, inherited)
        return known[1]

    def _supply(self, user: ElfRecord, name: str, inherited: tuple[str, ...]) -> Supply:
        machine, other = user.elf.machine, Supply(How.ABSENT)
        if OF_MUSL.match(name) and (itself := self._musl(machine)) is not None:
            return Supply(How.FOUND, itself)
        doubt, unsure = None, None
        for directory in self._searched(user, inherited):
            path = self.root.resolve(posixpath.join(directory, name))
            met = self.root.doubt(posixpath.join(directory, name))
            doubt = doubt or (met if _is_for(met, user) else None)
            if path is None:
                continue
            record = self.root.files[path]
            if record is None:
                return Supply(How.NO_OBJECT, instead=self._shown(path))
            if record.elf.machine == machine and record.elf.bits == user.elf.bits:
                if met is None:
                    return Supply(How.FOUND, record)
                unsure = unsure or Supply(How.FOUND, record, instead=self._shown(path), doubt=met)
                continue
            other = Supply(How.ABSENT, instead=record.place, machine=record.elf.machine)
        if unsure is not None:
            return unsure
        nearby = self._nearby(name, machine)
        doubt = doubt or self._doubt_of_soname(user, name)
        if doubt is not None and (nearby is None or nearby.how is not How.FOUND):
            return Supply(How.ABSENT, instead=doubt.record.place if doubt.record is not None else name, doubt=doubt)
        if nearby is not None:
            return nearby if nearby.record is not None or not other.instead else other
        return other

    def _musl(self, machine: str) -> ElfRecord | None:
        """musl's loader, which is its C library, where a root has it."""
        if machine not in self._musls:
            path = self.root.loader(machine, "musl") if self.root.libc(machine) == "musl" else None
            self._musls[machine] = self.root.at(path) if path is not None else None
        return self._musls[machine]

    def _nearby(self, name: str, machine: str) -> Supply | None:
        other = None
        for path in self._by_name.get(posixpath.basename(name), ()):
            found = self.root.resolve(path)
            record = self.root.files[found] if found is not None else None
            if record is not None and record.elf.machine == machine:
                return Supply(How.NEARBY, record)
            if record is not None:
                other = Supply(How.ABSENT, instead=record.place, machine=record.elf.machine)
            elif found is not None and other is None and path.endswith((".so", name)):
                other = Supply(How.NO_OBJECT, instead=self._shown(found))
            elif found is None and other is None and self._is_lost(path):
                other = Supply(How.NOWHERE, instead=self._shown(path))
        for record in self._by_soname.get(name, ()):
            if record.elf.machine == machine:
                path = self._paths[id(record)]
                # ldconfig makes the link once it is installed, in the directories that it knows; an image is installed.
                linked = (
                    self.root.kind is Kind.SYSTEM and not self.root.whole and posixpath.dirname(path) in self._system
                )
                met = self.root.doubts.get(path)
                there = Supply(How.FOUND, record, instead=record.place if met is not None else "", doubt=met)
                return there if linked else Supply(How.RENAMED, instead=record.place)
        return other

    def _doubt_of_soname(self, user: ElfRecord, name: str) -> Doubt | None:
        """What takes the file away to which ldconfig would have made a link."""
        for path, doubt in self.root.doubts.items():
            record = doubt.record
            known = doubt.sure and posixpath.dirname(path) in self._system
            if known and record is not None and record.elf.soname == name and _is_for(doubt, user):
                return doubt
        return None

    def _is_lost(self, path: str) -> bool:
        """Whether a link leads to nothing in a tree that is put anywhere; what an absolute one names may be the system's."""
        return self.root.kind is Kind.TREE and not self.root.links.get(path, "/").startswith("/")

    def _shown(self, path: str) -> str:
        return f"{self.root.place}/{path}" if self.root.kind is Kind.TREE else f"{self.root.place}!{path}"

    def _searched(self, user: ElfRecord, inherited: tuple[str, ...]) -> Iterator[str]:
        here = posixpath.dirname(self._paths.get(id(user), user.path))
        if not user.elf.runpath:
            yield from self.expanded(user.elf.rpath, here)
            yield from inherited
        yield from self._named
        yield from self.expanded(user.elf.runpath, here)
        if self.root.kind is Kind.SYSTEM and not user.elf.nodeflib:
            yield from self._system

    def expanded(self, paths: tuple[str, ...], here: str) -> Iterator[str]:
        """Search paths as directories of the root: $ORIGIN is the object's own; others lead anywhere but in a system's root."""
        for path in paths:
            whole = re.sub(r"\$(?:ORIGIN|\{ORIGIN\})", "/" + here, path)
            whole = re.sub(r"\$(?:LIB|\{LIB\})", "lib64", whole)
            if "$" in whole or not whole.startswith("/"):
                continue
            if "ORIGIN" in path or self.root.kind is Kind.SYSTEM:
                yield posixpath.normpath(whole).strip("/")

    def _directories(self) -> Iterator[str]:
        yield from DEFAULT
        # In the order of the files, for it is that of the search.
        for directory in dict.fromkeys(map(posixpath.dirname, (*self.root.files, *self.root.links))):
            # Debian's multiarch: lib/TRIPLET, which its ld.so.conf.d names.
            if re.fullmatch(r"(?:usr/(?:local/)?)?lib/[a-z0-9_]+-linux-(?:gnu|musl)[a-z0-9]*", directory):
                yield directory
        for name, text in self.root.texts.items():
            if name == "etc/ld.so.conf" or (name.startswith("etc/ld.so.conf.d/") and name.endswith(".conf")):
                for line in text.decode(errors="replace").splitlines():
                    word = line.partition("#")[0].strip()
                    if word.startswith("/"):
                        yield word.strip("/")
        yield "usr/local/lib"
        yield "usr/local/lib64"

    def closure(self, program: ElfRecord) -> Iterator[tuple[ElfRecord, str, Supply]]:
        """Each need of a program and of what it loads: (who, what, how), breadth first as the loader does."""
        seen: set[str] = set()
        queue: list[tuple[ElfRecord, tuple[str, ...], int]] = [(program, (), 0)]
        while queue:
            user, inherited, depth = queue.pop(0)
            here = posixpath.dirname(self._paths.get(id(user), user.path))
            mine = tuple(self.expanded(user.elf.rpath, here)) if not user.elf.runpath else ()
            for name in user.elf.libraries:
                if name in seen:
                    continue
                seen.add(name)
                supply = self.supply(user, name, inherited)
                yield user, name, supply
                if supply.record is not None and depth < DEPTH:
                    queue.append((supply.record, (*mine, *inherited), depth + 1))


def _is_for(doubt: Doubt | None, user: ElfRecord) -> bool:
    """Whether what a script does to a path has to do with an object that needs what is there."""
    return doubt is not None and (doubt.record is None or doubt.record.elf.machine == user.elf.machine)
