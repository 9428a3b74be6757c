"""Judges differences between C++ APIs: clients of the old version, compiled with either, and linked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_xinchuang.packages.sdk_ast.c.batches import Batch, linked, tried
from pytest_xinchuang.packages.sdk_ast.c.delivered import Delivered, delivered, included
from pytest_xinchuang.packages.sdk_ast.c.deliverycompare import given
from pytest_xinchuang.packages.sdk_ast.c.libraries import LIBRARIES
from pytest_xinchuang.packages.sdk_ast.c.linker import Libraries
from pytest_xinchuang.packages.sdk_ast.c.types import PACKAGE
from pytest_xinchuang.packages.sdk_ast.compare import Comparison
from pytest_xinchuang.packages.sdk_ast.cpp.clients import PRELUDE, clients_of
from pytest_xinchuang.packages.sdk_ast.cpp.standard import STANDARD, arguments, year
from pytest_xinchuang.packages.sdk_ast.cpp.view import View
from pytest_xinchuang.packages.sdk_ast.judge.client import Trial
from pytest_xinchuang.packages.sdk_ast.policy import ApiPolicy
from pytest_xinchuang.packages.sdk_ast.snapshot import Snapshot, Symbol
from pytest_xinchuang.packages.sdk_ast.source import Sources


class CppJudge:
    """Tries clients of every declaration."""

    def __init__(self, sources: Sources) -> None:
        self.flags = tuple(sources.options.c_flags)

    def trials(self, comparison: Comparison, _policy: ApiPolicy) -> Sequence[Trial]:
        """Every client of every declaration of the old version, for each target.

        Raises:
            HostFault: libclang does not read at all.
        """
        old, new = comparison.old, comparison.new
        if old.place is None or new.place is None or _sources(old) == _sources(new):
            return ()
        found: list[Trial] = []
        sides = (delivered(old.place), old), (delivered(new.place), new)
        for target in comparison.targets:
            packages = [side.package(PACKAGE, target) for side in (old, new)]
            before, after = (dict(package.symbols) if package else {} for package in packages)
            view = View.of(before)
            for batch in _batches(view, before, after):
                words = [self._words(place, snapshot, target) for place, snapshot in sides]
                found += tried(batch, words[0], words[1], target=target)
            libraries = [Libraries.of(side.package(LIBRARIES, target)) for side in (old, new)]
            found += linked(_links(view), libraries[0], libraries[1], target)
        return found

    def _words(self, place: Delivered, snapshot: Snapshot, target: str) -> list[str]:
        return [*arguments(place, target, self.flags, year(snapshot.header.minimum)), "-Wno-everything"]


def _batches(view: View, old: Mapping[str, Symbol], new: Mapping[str, Symbol]) -> Iterator[Batch]:
    """The clients of each header that stands by itself, and of what only it brings along."""
    brought = [name for name in view.symbols if name not in old]
    for header, facts, names in given(old, new):
        if brought and names & {n for n, s in old.items() if (s.get("facts") or {}).get("using")}:
            names |= set(brought)
        lines = [
            line
            for name in sorted(names)
            if name in view.symbols
            for line in clients_of(name, view.symbols[name], view)
        ]
        head = included(header, standard=not facts["alone"], usual=STANDARD)
        yield Batch.of(header, head, lines, cxx=True, prelude=PRELUDE)


def _sources(snapshot: Snapshot) -> set[str]:
    """The digests of what was read. Declarations alone do not tell what templates ask of their arguments in their bodies."""
    return {package.record.source for packages in snapshot.packages.values() for package in packages}


def _links(view: View) -> Iterator[tuple[str, str]]:
    """Functions and variables that programs do not compile in, with the names that linkers know."""
    for name, symbol in view.symbols.items():
        facts = symbol.get("facts") or {}
        if "link" not in facts or facts.get("inline"):
            continue
        if not facts.get("inlined") and (view.kept_inside(name) or view.access(name) == "private"):
            continue
        yield name, str(facts["link"])
