"""The programs that a tree's units are linked to, and what each way through them comes to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_xinchuang.advise.c.ir import Function, Module
from pytest_xinchuang.advise.c.link import closures
from pytest_xinchuang.advise.c.pairs import Pair, Pairs, place_of
from pytest_xinchuang.advise.c.trial import Program
from pytest_xinchuang.advise.c.units import Language

_MOST_SOURCES = 200
"""Sources of a program that is built to be run."""


def programs(pairs: Pairs, places: Iterable[str]) -> dict[str, Program]:
    """The places of findings -> the smallest program in C that is linked of the source in which the place is."""
    units = {p.unit.source: p for p in pairs if p.here is not None}
    built: list[Program] = []
    for main, sources in sorted(closures(pairs).items(), key=lambda item: len(item[1])):
        linked = [units[s] for s in (main, *sorted(sources - {main})) if s in units]
        if len(linked) > _MOST_SOURCES or any(p.unit.language is not Language.C for p in linked):
            continue
        words = tuple(dict.fromkeys(word for p in linked for word in p.unit.words))
        reached = frozenset(_reached(linked))
        built.append(Program(main, tuple(p.unit.source for p in linked), words, reached))
    found = {}
    for place in places:
        file = place.rpartition(":")[0]
        program = next((p for p in built if file in p.sources), None)
        if program is not None:
            found[place] = program
    return found


def _reached(linked: list[Pair]) -> Iterator[str]:
    """The places that are come to on each way through ``main``: of functions' definitions, and of statements."""
    modules = [p.here.module for p in linked if p.here is not None]
    owners: dict[str, tuple[Module, Function]] = {}
    for module in modules:
        for function in module.functions.values():
            if not function.local:
                owners.setdefault(function.name, (module, function))
    todo, seen = [owners["main"]] if "main" in owners else [], set[tuple[int, str]]()
    while todo:
        module, function = todo.pop()
        if (id(module), function.name) in seen:
            continue
        seen.add((id(module), function.name))
        yield place_of(*module.place(function))
        for label, block in function.blocks.items():
            if not function.always(label, ends=("ret", "unreachable", "resume")):
                continue
            for i in block:
                if i.at:
                    yield place_of(*module.spot(i))
                own = module.functions.get(i.callee)
                called = (module, own) if own is not None else owners.get(i.callee)
                if called is not None:
                    todo.append(called)
