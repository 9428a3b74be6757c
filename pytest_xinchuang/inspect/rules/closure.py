"""Rules about an artifact's objects together: who needs whom, and whether it fits."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.elf import Needed
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import _, joined


class Closure:
    """The objects of one machine, and the libraries among them by the names that others need them by."""

    def __init__(self, records: Iterable[ElfRecord]) -> None:
        self.records = [r for r in records if r.elf.kind != "rel"]
        self.by_name: dict[str, ElfRecord] = {}
        for record in self.records:
            for name in record.names:
                self.by_name.setdefault(name, record)
        self.needed_by: dict[str, list[ElfRecord]] = {}
        for record in self.records:
            for name in record.elf.libraries:
                provider = self.by_name.get(name)
                if provider is not None and provider is not record:
                    self.needed_by.setdefault(provider.place, []).append(record)

    @cached_property
    def exports(self) -> frozenset[str]:
        """What they define, all together."""
        return frozenset().union(*(record.elf.exports for record in self.records))

    @cached_property
    def shipped(self) -> frozenset[str]:
        return frozenset(self.by_name)

    @cached_property
    def glibc(self) -> tuple[int, ...] | None:
        """The release of the glibc among them, by the newest version that it defines."""
        libc = self.by_name.get("libc.so.6")
        defined = libc.elf.provided if libc is not None else ()
        return max((n for version in defined if (n := Needed("", version, ()).number)), default=None)

    def pulled(self, record: ElfRecord) -> str:
        """Who brings this object in, as a chain from a program or module that nothing else needs."""
        chain = [record]
        while users := [u for u in self.needed_by.get(chain[-1].place, ()) if u not in chain]:
            chain.append(users[0])
            if len(chain) > 8:
                break
        if len(chain) == 1:
            return ""
        return _(" (pulled in by {names})", names=" -> ".join(r.file_name for r in reversed(chain[1:])))

    def comes_at_start(self, record: ElfRecord) -> bool:
        """Whether all that needs a library comes from programs that are linked with it: it is loaded when they start.

        What a library needs that nothing is linked with is opened late along with it.
        """
        seen, todo, started = {record.place}, [record], False
        while todo:
            here = todo.pop()
            users = self.needed_by.get(here.place, ())
            if not users and here is not record:
                if here.elf.interpreter is None and here.elf.kind != "exec":
                    return False
                started = True
            todo += [user for user in users if user.place not in seen]
            seen |= {user.place for user in users}
        return started

    def reach(self, root: ElfRecord) -> dict[str, tuple[str, ...]]:
        """Every library name in the closure of ``root``, with the chain of objects that leads to it."""
        found: dict[str, tuple[str, ...]] = {}
        queue: list[tuple[ElfRecord, tuple[str, ...]]] = [(root, (root.file_name,))]
        while queue:
            record, chain = queue.pop(0)
            for name in record.elf.libraries:
                if name in found:
                    continue
                found[name] = chain
                provider = self.by_name.get(name)
                if provider is not None and len(chain) < 32:
                    queue.append((provider, (*chain, provider.file_name)))
        return found


_VERSIONED = re.compile(r"^(lib[A-Za-z0-9_+-]+?)(?:-[0-9.]+)?\.so\.([0-9][0-9.]*)$")


def check_closure(judge: Judge, closure: Closure) -> None:
    """Versions that a shipped library lacks, two versions of one library, and what the system has to bring."""
    for record in closure.records:
        for needed in record.elf.needed:
            provider = closure.by_name.get(needed.library)
            if provider is None or not provider.elf.provided or needed.weak:
                continue
            if needed.version not in provider.elf.provided:
                judge.find(
                    "XC-ELF-014",
                    Certainty.CERTAIN,
                    record.place,
                    version=needed.version,
                    library=needed.library,
                    provider=provider.place,
                )
    roots = [r for r in closure.records if r.place not in closure.needed_by]
    told: set[tuple[str, str]] = set()
    for root in roots:
        reached = closure.reach(root)
        majors: dict[str, dict[str, str]] = {}
        for name in reached:
            match = _VERSIONED.match(name)
            if match:
                majors.setdefault(match.group(1), {})[match.group(2)] = name
        for versions in majors.values():
            if len(versions) > 1:
                first, second = sorted(versions.values())[:2]
                if (first, second) in told:
                    continue
                told.add((first, second))
                judge.find(
                    "XC-ELF-015",
                    Certainty.CERTAIN,
                    root.place,
                    first=first,
                    second=second,
                    first_chain=" -> ".join(reached[first]),
                    second_chain=" -> ".join(reached[second]),
                )


LIBC = re.compile(
    r"^(lib(c|m|pthread|dl|rt|util|resolv|gcc_s|stdc\+\+|anl|nsl)\.so\.\d+|ld-linux.*|ld\.so\.1|ld64\.so\..*|libc\.so|ld-musl-.*)$"
)


def check_from_system(judge: Judge, closure: Closure, place: str) -> None:
    """A note of the libraries that neither the artifact nor libc brings."""
    wanted: dict[str, list[str]] = {}
    for record in closure.records:
        for name in record.elf.libraries:
            if name not in closure.by_name and not LIBC.match(name):
                wanted.setdefault(name, []).append(record.place)
    if wanted:
        first = sorted(wanted.items())[:6]
        users = [_("{name} (for {user})", name=name, user=places[0].rpartition("/")[2]) for name, places in first]
        shown = joined(users, _(", "))
        if len(wanted) > 6:
            shown = _("{names} and {n} more", names=shown, n=len(wanted) - 6)
        judge.find(
            "XC-ELF-016",
            Certainty.NOTE,
            place,
            {"libraries": {n: u[:5] for n, u in sorted(wanted.items())}},
            libraries=shown,
        )
