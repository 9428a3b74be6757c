"""Which instructions run whatever the CPU has: from where running begins, along ways on which nothing has asked.

The way of a program through its constructors, its entry point and the functions that they call is followed in two states.
As long as nothing on any way to a place can have asked about an extension, no branch can depend on the answer, and every block
is reached for all that is known. Once something may have asked, any branch may be the guard: then those blocks count alone that
every way through a function goes through, up to the first call that may throw because of the answer.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from pytest_xinchuang.inspect.isa_asks import Ask, Asks
from pytest_xinchuang.inspect.isa_flow import Block, Call, Flow, Flows, on_every_way
from pytest_xinchuang.inspect.isa_image import Image, Root
from pytest_xinchuang.inspect.isa_references import Index, references

MAX_DEPTH = 60
"""Calls within calls that are followed."""

CALLS_BACK = frozenset(
    {
        "pthread_once", "call_once", "std::call_once", "pthread_create", "thrd_create", "qsort", "qsort_r", "bsearch", "lfind",
        "dl_iterate_phdr", "dlopen", "dlmopen", "scandir", "ftw", "nftw", "glob", "makecontext", "swapcontext", "setcontext",
        "raise", "kill", "syscall",
    }
)  # fmt: skip
"""Foreign functions that run code of the object's, which may ask."""


THROWS = frozenset({"__cxa_throw", "__cxa_rethrow", "longjmp", "_longjmp", "siglongjmp", "__longjmp_chk"})

MAX_BELOW = 200
"""Functions below one that are looked at; below more anything may be."""


@dataclass(frozen=True)
class Reached:
    """An instruction that runs, and the functions from a root to it."""

    feature: str
    address: int
    way: tuple[str, ...]


@dataclass
class _Search:
    """The search for one extension."""

    feature: str
    sites: list[int]
    asking: frozenset[int]
    leading: frozenset[int]
    open: bool
    visited: set[tuple[int, bool]] = field(default_factory=set)
    found: dict[int, Reached] = field(default_factory=dict)


class Paths:
    """Ways through one linked object.

    Args:
        index: references to every function of the object, and to what it asks by.
    """

    def __init__(self, image: Image, flows: Flows, asks: Asks, index: Index) -> None:
        self.image = image
        self.flows = flows
        self.asks = asks
        self.index = index
        self._leading: dict[frozenset[int], frozenset[int]] = {}
        self._throws: dict[int, bool] = {}
        self._unknown: dict[int, bool] = {}
        self._every: dict[int, frozenset[int]] = {}

    # -- the graph of calls

    @cached_property
    def _edges(self) -> Any:
        """Pairs of functions, by their numbers: whose code names which."""
        starts: Any = np.array(self.image.functions.starts, dtype=np.int64)
        ends = starts + np.array([min(f.size, 1 << 40) for f in self.image.functions.all], dtype=np.int64)
        if not len(starts):
            return starts, starts
        numbers: Any = np.searchsorted(starts, self.index.sites, side="right") - 1
        named: Any = np.minimum(np.searchsorted(starts, self.index.targets), len(starts) - 1)
        good = (
            (numbers >= 0) & (self.index.sites < ends[np.maximum(numbers, 0)]) & (starts[named] == self.index.targets)
        )
        return numbers[good], named[good]

    @cached_property
    def reachable(self) -> frozenset[int]:
        """The functions that the code of some root names, or that of what it names, and so on."""
        first, then = self._roots
        callers, callees = self._edges
        return self._closure(callers, callees, (f for r in (*first, *then) if (f := self._of(r.address)) is not None))

    @cached_property
    def _callers(self) -> Any:
        """The edges between reachable functions, turned around."""
        callers, callees = self._edges
        mask = np.zeros(len(self.image.functions.starts), dtype=bool)
        mask[[self._number(f) for f in self.reachable]] = True
        among = np.flatnonzero(mask[callers] & mask[callees])
        return callees[among], callers[among]

    def _number(self, function: int) -> int:
        return bisect.bisect_left(self.image.functions.starts, function)

    def _closure(self, begins: Any, ends: Any, functions: Iterable[int]) -> frozenset[int]:
        """The functions to which edges lead from some, these among them."""
        count = len(self.image.functions.starts)
        mask = np.zeros(count, dtype=bool)
        mask[[self._number(f) for f in functions]] = True
        known = 0
        while (now := int(mask.sum())) != known:
            known = now
            mask[ends[mask[begins]]] = True
        return frozenset(self.image.functions.starts[i] for i in np.flatnonzero(mask).tolist())

    def _leading_to(self, functions: Iterable[int]) -> frozenset[int]:
        wanted = frozenset(functions) & self.reachable
        if wanted not in self._leading:
            callees, callers = self._callers
            self._leading[wanted] = self._closure(callees, callers, wanted) if wanted else frozenset()
        return self._leading[wanted]

    def _of(self, address: int) -> int | None:
        function = self.image.functions.of(address)
        return function.address if function is not None else None

    # -- where running begins

    @cached_property
    def _roots(self) -> tuple[list[Root], list[Root]]:
        return self.roots()

    def roots(self) -> tuple[list[Root], list[Root]]:
        """What runs first in this order, and then one of these."""
        first = list(self.image.constructors)
        then = [r for root in self.image.opened for r in (root, *self._module_slots(root))]
        entry = self.image.reader.entry
        if (
            entry
            and self.image.elf.soname is None
            and (self.image.elf.interpreter is not None or self.image.elf.kind == "exec")
        ):
            then.append(Root(entry, "_start"))
            main = self.image.names.get("main")
            started = [main] if main is not None else self._started(entry)
            then += [Root(a, self._name(a)) for a in started]
        return first, then

    def _started(self, entry: int) -> list[int]:
        """The functions whose addresses the entry point passes on: ``main`` among them."""
        function = self.image.functions.of(entry)
        end = entry + min(function.size if function is not None and function.size else 64, 256)
        _sites, named = references(self.image, entry, end)
        found = []
        for address in named.tolist():
            pointed = self.image.pointer_at(address)
            found += [a for a in (address, pointed) if a in self.image.starts and a != entry]
        return list(dict.fromkeys(found))

    def _module_slots(self, root: Root) -> list[Root]:
        """What the import of a Python module runs after its PyInit: Py_mod_create and Py_mod_exec of its definition."""
        function = self.image.functions.of(root.address)
        if function is None or not root.name.startswith("PyInit_"):
            return []
        _sites, named = references(self.image, function.address, function.address + min(function.size, 512))
        found = []
        for definition in dict.fromkeys(named.tolist()):
            # struct PyModuleDef (Include/moduleobject.h): m_slots is its tenth word; a slot is a number and a pointer.
            slots = self.image.pointers.get(definition + 72)
            for number in range(8 if slots else 0):
                place = slots + 16 * number
                raw = self.image.bytes_at(place, 4)
                kind = struct.unpack("<i", raw)[0] if len(raw) == 4 else 0
                if kind not in (1, 2):
                    break
                address = self.image.pointer_at(place + 8)
                if self.image.is_code(address):
                    found.append(Root(address, self._name(address)))
        return list(dict.fromkeys(found))

    def _name(self, address: int) -> str:
        function = self.image.functions.of(address)
        if function is not None and function.name:
            return function.name
        return f"{address:#x}"

    # -- the search

    def reached(self, feature: str, asks: Iterable[Ask], used_in: Iterable[int]) -> list[Reached]:
        """Instructions of ``feature`` that run whatever the CPU has.

        Args:
            asks: the ways in which the object asks about it.
            used_in: the functions that hold instructions of it.
        """
        used_in = frozenset(used_in) & self.reachable
        if not used_in:
            return []
        asks = list(asks)
        sites = sorted({s for a in asks for s in a.sites})
        known = {f for s in sites if (f := self._of(s)) is not None}
        search = _Search(feature, sites, self._leading_to(known), self._leading_to(used_in), bool(asks))
        # Where nobody knows from where it asks, it may have asked before anything.
        asked = any(not a.sites for a in asks)
        first, then = self._roots
        for root in first:
            self._run(search, root, asked)
            asked = asked or self._may_ask(search, root.address)
        for root in then:
            self._run(search, root, asked)
        return list(search.found.values())

    def _run(self, search: _Search, root: Root, asked: bool) -> None:
        start = self._of(root.address)
        if start in search.leading or root.address in search.leading:
            self._walk(search, root.address, asked, (root.name,))

    def _may_ask(self, search: _Search, address: int) -> bool:
        """Whether a function may ask: itself, what it calls, or what it calls and nobody can tell."""
        if not search.open:
            return False
        return address in search.asking or self._of(address) in search.asking or self._calls_unknown(address)

    def _calls_unknown(self, address: int) -> bool:
        """Whether a function calls, or its callees call, what only running tells."""
        if address not in self._unknown:
            seen: set[int] = set()
            found = self._unknown_below(address, seen)
            if not found:
                self._unknown.update(dict.fromkeys(seen, False))
            self._unknown[address] = found
        return self._unknown[address]

    def _unknown_below(self, address: int, seen: set[int]) -> bool:
        todo = [address]
        while todo:
            here = todo.pop()
            if here in seen or self._unknown.get(here) is False:
                continue
            seen.add(here)
            if self._unknown.get(here) or len(seen) > MAX_BELOW:
                return True
            flow = self.flows.of(here)
            if not flow.whole:
                return True
            for block in flow.blocks.values():
                for call in block.calls:
                    if call.name in CALLS_BACK or (not call.name and call.target is None):
                        return True
                    if call.target is not None:
                        todo.append(call.target)
        return False

    def _may_throw(self, address: int) -> bool:
        """Whether a function, or what it calls, may go back to one further up."""
        if address not in self._throws:
            seen: set[int] = set()
            todo = [address]
            found = False
            while todo and not found:
                here = todo.pop()
                if here in seen:
                    continue
                seen.add(here)
                flow = self.flows.of(here)
                found = not flow.whole or len(seen) > MAX_BELOW
                for block in flow.blocks.values():
                    found = found or any(c.name in THROWS for c in block.calls)
                    todo += [c.target for c in block.calls if c.target is not None]
            self._throws[address] = found
        return self._throws[address]

    def _asks_at(self, search: _Search, begin: int, end: int) -> bool:
        at = bisect.bisect_left(search.sites, begin)
        return at < len(search.sites) and search.sites[at] < end

    def _call_asks(self, search: _Search, call: Call) -> bool:
        if not search.open:
            return False
        if call.target is not None:
            return self._may_ask(search, call.target)
        return not call.name or call.name in CALLS_BACK

    def _walk(self, search: _Search, address: int, asked: bool, way: tuple[str, ...]) -> None:
        if (address, asked) in search.visited or len(way) > MAX_DEPTH:
            return
        search.visited.add((address, asked))
        flow = self.flows.of(address)
        if not flow.whole:
            return
        states = self._states(search, flow, asked)
        every = self._ways(flow)
        behind = self._behind_throws(search, flow, states)
        for begin, state in states.items():
            if not state or (begin in every and begin not in behind):
                self._block(search, flow.blocks[begin], state, way)

    def _behind_throws(self, search: _Search, flow: Flow, states: dict[int, bool]) -> set[int]:
        """The blocks that come after a call which may have left the function because of an answer."""
        todo = [
            f
            for b in states
            for f in flow.blocks[b].following
            if any(self._leaves(search, c) for c in flow.blocks[b].calls)
        ]
        found = set()
        while todo:
            begin = todo.pop()
            if begin not in found:
                found.add(begin)
                todo += flow.blocks[begin].following
        return found

    def _after(self, search: _Search, block: Block, asked: bool) -> bool:
        """Whether something may have asked when a block is over."""
        return (
            asked
            or self._asks_at(search, block.begin, block.end)
            or any(self._call_asks(search, c) for c in block.calls)
        )

    def _ways(self, flow: Flow) -> frozenset[int]:
        if flow.entry not in self._every:
            self._every[flow.entry] = on_every_way(flow)
        return self._every[flow.entry]

    def _states(self, search: _Search, flow: Flow, asked: bool) -> dict[int, bool]:
        """Block -> whether something may have asked before it."""
        states = {flow.entry: asked}
        todo = [flow.entry]
        while todo:
            begin = todo.pop()
            block = flow.blocks[begin]
            after = self._after(search, block, states[begin])
            for follower in block.following:
                if follower not in states or (after and not states[follower]):
                    states[follower] = after
                    todo.append(follower)
        return states

    def _block(self, search: _Search, block: Block, asked: bool, way: tuple[str, ...]) -> None:
        """One block: up to the first call that may leave the function for an answer."""
        events: list[tuple[int, Call | None]] = [(a, None) for a, f in block.uses if f == search.feature]
        events += [(c.address, c) for c in block.calls]
        at = block.begin
        for address, call in sorted(events, key=lambda e: e[0]):
            asked = asked or self._asks_at(search, at, address)
            at = address
            if call is None:
                search.found.setdefault(address, Reached(search.feature, address, way))
                continue
            if call.target is not None and call.target in search.leading:
                self._walk(search, call.target, asked, (*way, self._name(call.target)))
            asked = asked or self._call_asks(search, call)
            if self._leaves(search, call):
                return

    def _leaves(self, search: _Search, call: Call) -> bool:
        """Whether a call asks and may not come back for it.

        Who ends the program for want of an extension runs no better on the CPU; who throws may be caught, and done without.
        """
        return call.target is not None and call.target in search.asking and self._may_throw(call.target)
