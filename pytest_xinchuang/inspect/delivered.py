"""An artifact as it was read, and as one platform receives it."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_xinchuang.core.platform import Architecture, Platform
from pytest_xinchuang.inspect.artifact import Node, ReadProblem
from pytest_xinchuang.inspect.delivery import Delivery, Root
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.roles import Choice, Roles
from pytest_xinchuang.inspect.search import Search
from pytest_xinchuang.inspect.starting import startup_of


@dataclass
class Inspection:
    """What was read of one artifact.

    Attributes:
        root: the tree of containers; the objects in it are :class:`ElfRecord`.
        problems: what could not be read. Whatever depends on it is unknown.
        unread: problems beyond those that were kept.
    """

    root: Node
    problems: list[ReadProblem] = field(default_factory=list)
    unread: int = 0

    @functools.cached_property
    def records(self) -> list[ElfRecord]:
        return list(self.root.all_objects())

    @functools.cached_property
    def delivery(self) -> Delivery:
        """The roots that it becomes."""
        return Delivery(self.root)

    @functools.cached_property
    def _delivered(self) -> dict[str, Delivered]:
        return {}

    def delivered(self, platform: Platform, architectures: Mapping[Any, Architecture]) -> Delivered:
        """What a platform receives of it."""
        found = self._delivered.get(platform.id)
        if found is None or found.platform is not platform:
            found = self._delivered[platform.id] = Delivered(self, platform, architectures)
        return found

    @functools.cached_property
    def _searches(self) -> dict[int, Search]:
        return {}

    def search(self, root: Root) -> Search:
        """The search of a loader in one of its roots, which is the same on all platforms."""
        found = self._searches.get(id(root))
        if found is None:
            found = self._searches[id(root)] = Search(root)
        return found

    @functools.cached_property
    def modes(self) -> dict[int, int]:
        """The permission bits of its objects by ``id``, as far as containers have them."""
        return {id(r): node.modes[r.path] for node in self.root.walk() for r in node.objects if r.path in node.modes}


class Delivered:
    """An inspection as one platform receives it: the roots that are for it, and what becomes of each object.

    Attributes:
        platform: the one that receives it.
        roots: those that are for the platform's architecture, as far as their containers say.
        choice: what becomes of an object, by ``id``.
        taken: the objects that the platform loads or runs.
    """

    def __init__(self, inspection: Inspection, platform: Platform, architectures: Mapping[Any, Architecture]) -> None:
        self.platform = platform
        delivery = inspection.delivery
        self.roots = [root for root in delivery.roots if _is_for(root, platform, architectures)]
        mine = {id(root) for root in self.roots}
        self._root: dict[int, Root] = {}
        there: list[tuple[ElfRecord, str]] = []
        for record in inspection.records:
            found = next(((root, path) for root, path in delivery.places_of(record) if id(root) in mine), None)
            if found is not None:
                self._root[id(record)] = found[0]
                there.append((record, found[0].inside + found[1]))
            elif not delivery.is_placed(record):
                there.append((record, record.place.removeprefix(inspection.root.place)))
        self.roles = Roles(there, platform, architectures, inspection.modes)
        self.choice = {id(record): self.roles.choice(record) for record in inspection.records}
        for record in self._named(inspection.root):
            # Nobody looks further: what others are there decides nothing.
            if self.choice[id(record)] in (Choice.PASSED_OVER, Choice.UNKNOWN):
                fits = record.elf.machine == platform.architecture.elf_machine
                self.choice[id(record)] = Choice.TAKEN if fits else Choice.FOREIGN
        left = {id(record) for record in self._left(inspection.records)}
        for record in self._linked() if left else ():
            if id(record) in left:
                self.choice[id(record)] = Choice.UNKNOWN
        self.taken = self.taken_of(inspection.records)

    def _named(self, top: Node) -> list[ElfRecord]:
        """The objects that are named by themselves, whatever words are in their paths: a file that was given alone, and what an
        image starts.
        """
        alone = top.objects if top.kind == "file" else []
        return [*alone, *(program for root in self.roots for program in startup_of(root).programs)]

    def _left(self, records: Iterable[ElfRecord]) -> Iterator[ElfRecord]:
        """The objects for other machines in whose place another one is taken."""
        machine = self.platform.architecture.elf_machine
        return (r for r in records if self.choice[id(r)] is Choice.PASSED_OVER and r.elf.machine != machine)

    def _linked(self) -> Iterator[ElfRecord]:
        """The objects to which a link leads whose path names no architecture: whoever follows it chooses no more."""
        for root in self.roots:
            for path in root.links:
                record = root.at(path)
                if record is not None and not self.roles.names_any(path):
                    yield record

    def taken_of(self, records: Iterable[ElfRecord]) -> list[ElfRecord]:
        """Those of the objects that the platform takes."""
        return [record for record in records if self.choice[id(record)] is Choice.TAKEN]

    def root_of(self, record: ElfRecord) -> Root | None:
        """The root that an object is in on the platform; None for a member of a static library."""
        return self._root.get(id(record))


def _is_for(root: Root, platform: Platform, architectures: Mapping[Any, Architecture]) -> bool:
    words = {alias: name for name, architecture in architectures.items() for alias in architecture.aliases}
    here: Root | None = root
    while here is not None:
        if here.arch and words.get(here.arch, here.arch) != platform.arch:
            return False
        here = here.outer
    return True
