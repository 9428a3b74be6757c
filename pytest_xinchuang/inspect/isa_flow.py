"""Control flow of single functions: which blocks of code follow which, what they call, and where they end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple, Protocol

from pytest_xinchuang.inspect.isa_image import Image

MAX_OPERATIONS = 6000
"""Instructions of one function that are followed; a longer one stays unknown."""

MAX_BLOCKS = 1000
"""Blocks of one function among which that are sought which every way goes through; in a larger one it is the first alone."""

MAX_STUB = 5
"""Instructions of a stub up to its jump: a landing pad, a page, a load, an addition, the jump."""

MAX_TAIL = 4
"""Jumps from function to function that are followed to learn whether a call comes back."""

NEVER_RETURN = frozenset(
    {
        "abort", "exit", "_exit", "_Exit", "quick_exit", "__assert_fail", "__assert", "__assert_rtn", "longjmp", "_longjmp",
        "siglongjmp", "__longjmp_chk", "__fortify_fail", "__chk_fail", "__stack_chk_fail", "__cxa_throw", "__cxa_rethrow",
        "__cxa_bad_cast", "__cxa_bad_typeid", "__cxa_pure_virtual", "__cxa_throw_bad_array_new_length", "_Unwind_Resume",
        "_ZSt9terminatev", "err", "errx", "verr", "verrx", "pthread_exit", "thrd_exit", "Py_FatalError", "Py_Exit",
        "_Py_FatalErrorFunc", "__libc_fatal", "__pthread_unwind_next",
    }
)  # fmt: skip
"""Functions of libc, the C++ runtime, libgcc and Python that do not come back."""

_SOUND_LIKE_ENDS = (
    "abort",
    "panic",
    "fatal",
    "throw",
    "terminat",
    "unreachable",
    "_fail",
    "assert",
    "_die",
    "bad_alloc",
)


class Kind(Enum):
    """What an instruction does to the flow of control."""

    NEXT = auto()
    JUMP = auto()
    BRANCH = auto()
    CALL = auto()
    RETURN = auto()
    STOP = auto()


class Operation(NamedTuple):
    """One instruction. ``target``: of a jump or call where it is known; ``slot``: the place that it is read from instead."""

    address: int
    size: int
    kind: Kind
    target: int | None = None
    slot: int | None = None
    features: tuple[str, ...] = ()


class Decoding(Protocol):
    """Reads the instructions of one architecture."""

    def operations(self, address: int) -> Iterator[Operation]:
        """Instructions from ``address`` on, until what is no instruction."""

    def stubs(self, begin: int, end: int) -> Iterable[int]:
        """The addresses of a procedure linkage table at which a stub may begin."""

    def text(self, address: int) -> str:
        """The instruction at ``address``."""


@dataclass(frozen=True)
class Call:
    """A call: of a function of the object, of a foreign one, or of what only running tells (neither)."""

    address: int
    target: int | None = None
    name: str = ""


@dataclass
class Block:
    """Instructions that run one after the other.

    Attributes:
        calls: in order, tail calls among them.
        uses: (address, extension) of instructions beyond the baseline.
        leaves: control comes back to the caller, or may.
        ends: the program ends, or control goes where it cannot be followed.
        canary: it tells of an overwritten stack and ends the program: no way of the program's own.
    """

    begin: int
    end: int = 0
    calls: list[Call] = field(default_factory=list)
    uses: list[tuple[int, str]] = field(default_factory=list)
    following: list[int] = field(default_factory=list)
    leaves: bool = False
    ends: bool = False
    canary: bool = False


@dataclass
class Flow:
    """One function. ``whole``: all of it was followed."""

    entry: int
    blocks: dict[int, Block] = field(default_factory=dict)
    whole: bool = True

    def comes_back(self) -> bool:
        return not self.whole or any(b.leaves for b in self.blocks.values())


class Flows:
    """The flows of an object's functions, each made once.

    Attributes:
        left: instructions that may still be read; what comes after that stays unknown.
    """

    def __init__(self, image: Image, decoding: Decoding, budget: int) -> None:
        self.image = image
        self.decoding = decoding
        self.left = budget
        self._flows: dict[int, Flow] = {}
        self._back: dict[int, bool] = {}
        self._stubs: dict[int, str] = {}

    def of(self, address: int) -> Flow:
        if address not in self._flows:
            self._flows[address] = self._made(address, deep=True)
        return self._flows[address]

    def comes_back(self, address: int, depth: int = 0) -> bool:
        """Whether a call of ``address`` may return."""
        if address not in self._back:
            self._back[address] = True  # a function that calls itself
            function = self.image.functions.of(address)
            if function is not None and function.name in NEVER_RETURN:
                self._back[address] = False
            else:
                self._back[address] = self._made(address, deep=False, depth=depth).comes_back()
        return self._back[address]

    def stub(self, address: int) -> str:
        """The foreign function behind a stub of the procedure linkage table; empty where there is none."""
        if address not in self._stubs:
            self._stubs[address] = ""
            for count, operation in enumerate(self.decoding.operations(address)):
                if operation.kind is Kind.JUMP and operation.slot is not None:
                    self._stubs[address] = self.image.slots.get(operation.slot, "")
                if operation.kind is not Kind.NEXT or count >= MAX_STUB - 1:
                    break
        return self._stubs[address]

    def _returns(self, call: Call, *, deep: bool, depth: int) -> bool:
        if call.name:
            return call.name not in NEVER_RETURN and not any(s in call.name.lower() for s in _SOUND_LIKE_ENDS)
        if call.target is None or not deep:
            return True
        return self.comes_back(call.target, depth)

    def _call(self, operation: Operation) -> Call:
        if operation.target is not None:
            if name := self.stub(operation.target):
                return Call(operation.address, None, name)
            return Call(operation.address, operation.target)
        if operation.slot is not None:
            if name := self.image.slots.get(operation.slot, ""):
                return Call(operation.address, None, name)
            if target := self.image.pointers.get(operation.slot):
                # What the loader alone writes stays what it is; a table of pointers that is written later does not.
                return Call(operation.address, target if self._constant(operation.slot) else None)
        return Call(operation.address)

    def _constant(self, slot: int) -> bool:
        return any(s.name == ".got" and s.address <= slot < s.address + s.size for s in self.image.reader.sections)

    def _tail(self, target: int, bounds: tuple[int, int]) -> bool:
        """Whether a jump leaves the function: to a stub, or to where another one begins."""
        return not bounds[0] <= target < bounds[1] and (target in self.image.starts or bool(self.stub(target)))

    def _made(self, entry: int, *, deep: bool, depth: int = 0) -> Flow:
        """Follow a function. ``deep``: calls in it that do not come back are found too."""
        function = self.image.functions.of(entry)
        bounds = (function.address, function.address + function.size) if function is not None else (entry, entry + 4096)
        flow = Flow(entry)
        read: dict[int, Operation] = {}
        calls: dict[int, Call] = {}
        stops: set[int] = set()
        tails: dict[int, Call] = {}
        leaders = {entry}
        todo = [entry]
        while todo:
            at = todo.pop()
            if at in read:
                continue
            inside = bounds[0] <= at < bounds[1]
            last: Operation | None = None
            for operation in self.decoding.operations(at):
                here = operation.address
                if here in read:
                    break
                if inside and here >= bounds[1]:
                    break  # behind the function's end
                if len(read) >= MAX_OPERATIONS or self.left <= 0:
                    flow.whole = False
                    return flow
                self.left -= 1
                read[here] = last = operation
                if operation.kind is Kind.NEXT:
                    continue
                following = here + operation.size
                if operation.kind is Kind.CALL:
                    calls[here] = call = self._call(operation)
                    if self._returns(call, deep=deep, depth=depth):
                        continue
                    stops.add(here)
                    leaders.add(following)
                    break
                if operation.kind is Kind.BRANCH:
                    leaders.add(following)
                    todo.append(following)
                if operation.target is not None and operation.kind in (Kind.BRANCH, Kind.JUMP):
                    if self._tail(operation.target, bounds):
                        tails[here] = self._call(operation)
                    else:
                        leaders.add(operation.target)
                        todo.append(operation.target)
                elif operation.kind is Kind.JUMP:
                    tails[here] = self._call(operation)
                break
            else:
                if last is not None:
                    stops.add(last.address)
        return self._blocks(flow, read, leaders, calls, tails, stops, deep=deep, depth=depth)

    def _blocks(
        self,
        flow: Flow,
        read: dict[int, Operation],
        leaders: set[int],
        calls: dict[int, Call],
        tails: dict[int, Call],
        stops: set[int],
        *,
        deep: bool,
        depth: int,
    ) -> Flow:
        block: Block | None = None
        end = 0
        for address in sorted(read):
            operation = read[address]
            if block is not None and (address in leaders or address != end):
                if address == end:
                    block.following.append(address)
                else:
                    block.ends = True  # what follows was not read
                block = None
            if block is None:
                block = flow.blocks[address] = Block(address)
            end = address + operation.size
            block.end = end
            block.uses += [(address, feature) for feature in operation.features]
            if address in calls:
                block.calls.append(calls[address])
            closed = True
            if address in stops or operation.kind is Kind.STOP:
                block.ends = True
                block.canary = address in calls and calls[address].name == "__stack_chk_fail"
            elif operation.kind is Kind.RETURN:
                block.leaves = True
            elif operation.kind in (Kind.JUMP, Kind.BRANCH):
                if operation.kind is Kind.BRANCH:
                    block.following.append(end)
                if address in tails:
                    self._tail_call(block, tails[address], deep=deep, depth=depth)
                elif operation.target is not None:
                    block.following.append(operation.target)
            else:
                closed = False
            if closed:
                block = None
        if block is not None:
            block.ends = True
        for each in flow.blocks.values():
            if any(f not in flow.blocks for f in each.following):
                each.ends = True
                each.following = [f for f in each.following if f in flow.blocks]
        flow.whole = flow.entry in flow.blocks
        return flow

    def _tail_call(self, block: Block, call: Call, *, deep: bool, depth: int) -> None:
        block.calls.append(call)
        if call.target is not None and depth < MAX_TAIL:
            back = self.comes_back(call.target, depth + 1)
        else:
            back = self._returns(call, deep=deep, depth=depth)
        if back:
            block.leaves = True
        else:
            block.ends = True


def on_every_way(flow: Flow) -> frozenset[int]:
    """The blocks that every way from the entry to any end of the function goes through, the entry among them.

    A block from which no end is reached (an endless loop) is taken for an end.
    """
    following = {b: [f for f in block.following if not flow.blocks[f].canary] for b, block in flow.blocks.items()}
    previous: dict[int, list[int]] = {b: [] for b in following}
    for begin, others in following.items():
        for other in others:
            previous[other].append(begin)
    ends = {b for b, block in flow.blocks.items() if block.leaves or block.ends}
    ending, todo = set(ends), list(ends)
    while todo:
        for begin in previous[todo.pop()]:
            if begin not in ending:
                ending.add(begin)
                todo.append(begin)
    ends |= following.keys() - ending
    found = {flow.entry}
    if len(following) > MAX_BLOCKS:
        return frozenset(found)
    here = flow.entry
    # The next block of the chain is the first one without which no end can be reached from here.
    for candidate in _ordered(flow.entry, following):
        if candidate not in found and not _avoidable(here, candidate, following, ends):
            found.add(candidate)
            here = candidate
    return frozenset(found)


def _ordered(entry: int, following: dict[int, list[int]]) -> list[int]:
    """The blocks in reverse postorder: what every way goes through comes in the order in which it is gone through."""
    seen, order = {entry}, []
    stack = [(entry, iter(following[entry]))]
    while stack:
        begin, others = stack[-1]
        for other in others:
            if other not in seen:
                seen.add(other)
                stack.append((other, iter(following[other])))
                break
        else:
            order.append(begin)
            stack.pop()
    return order[::-1]


def _avoidable(begin: int, block: int, following: dict[int, list[int]], ends: set[int]) -> bool:
    """Whether an end is reached from ``begin`` without ``block``."""
    seen, todo = {begin, block}, [begin]
    while todo:
        here = todo.pop()
        if here in ends:
            return True
        for other in following[here]:
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return False
