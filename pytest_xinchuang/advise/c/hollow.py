"""Functions that have a body for x86-64 and none for a platform: they compile, link, and do nothing.

That a function is hollow is measured, in the compiler's IR for both. Whether that is a fault is another question: a probe that
says "this machine has no AVX2", a hint that others need not give, and an arm that somebody wrote for others are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pytest_xinchuang.advise.c.flow import (
    Hollow,
    Returned,
    Use,
    constants_in,
    follow,
    hands_out,
    hollow,
    loads_of,
    only_registers,
    origins,
    writers_of,
)
from pytest_xinchuang.advise.c.ir import Function, Module
from pytest_xinchuang.advise.c.machine import COUNTERPART, Purpose, mend, purpose_of, purposes, words_of
from pytest_xinchuang.advise.c.pairs import Pair, Pairs, in_tree, place_of
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.messages import Message, _, verbatim

NOTHING_DONE = "XC-ADV-020"
LEFT_OUT = "XC-ADV-021"
NO_BARRIER = "XC-ADV-022"
UNSET = "XC-ADV-023"

_MOST_USERS = 200
"""Places at which a function is called that are looked at."""


@dataclass
class Users:
    """How a platform's code uses a function.

    Attributes:
        uses: of what it returns.
        calls: how many; ``always``: those on each way through their function.
        address: it is called through pointers, too.
        places: of calls, as findings name them.
    """

    uses: set[Use] = field(default_factory=set)
    calls: int = 0
    always: int = 0
    address: bool = False
    places: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Empty:
    """A hollow function, and what is known of it.

    Attributes:
        place: ``FILE:LINE`` of its definition.
        purposes: what its body for x86-64 does that only such a machine can.
        words: that body's assembler and intrinsics.
        forgotten: nobody wrote anything for other machines: each line that is compiled is one of x86-64's too.
    """

    code: str
    certainty: Certainty
    name: str
    symbol: str
    place: str
    hollow: Hollow
    purposes: frozenset[Purpose]
    words: tuple[str, ...]
    users: Users
    forgotten: bool
    arch: Arch

    @property
    def returns(self) -> Message:
        """What it does."""
        match self.hollow.returned:
            case Returned.VOID:
                return _("does nothing")
            case Returned.CONSTANT:
                return _("always returns {value}", value=verbatim(str(self.hollow.value)))
            case Returned.ARGUMENT:
                return _("returns its argument unchanged")
            case _:
                return _("returns an undefined value")

    @property
    def mend(self) -> Message:
        """What to write for this machine."""
        return mend(self.purposes, self.arch)


def candidates(pair: Pair) -> list[str]:
    """The functions of a unit that compute nothing for the platform and something for x86-64."""
    if pair.here is None or pair.base is None:
        return []
    base = pair.base.module.functions
    return [
        name
        for name, function in pair.here.module.functions.items()
        if name in base and hollow(function) is not None and hollow(base[name]) is None
    ]


def empties(pairs: Pairs, found: Mapping[int, Sequence[str]]) -> list[Empty]:
    """The hollow functions of a tree for one triple, each place once.

    Args:
        found: the number of a unit -> its candidates.
    """
    said: dict[tuple[str, str], Empty] = {}
    for number, names in found.items():
        for empty in _of(pairs, pairs[number], names):
            known = said.get((empty.place, empty.name))
            if known is None or _RANK.index(empty.certainty) < _RANK.index(known.certainty):
                said[empty.place, empty.name] = empty
    return list(said.values())


_RANK = (Certainty.CERTAIN, Certainty.GUARDED, Certainty.UNDECIDED, Certainty.NOTE)


def _of(pairs: Pairs, pair: Pair, names: Sequence[str]) -> Iterator[Empty]:
    if pair.here is None or pair.base is None:
        return
    here, base = pair.here.module, pair.base.module
    for name in names:
        function, other = here.functions[name], base.functions[name]
        what = hollow(function)
        file, line = here.place(function)
        if what is None or not in_tree(file):
            continue
        does = frozenset(purposes(base, other, pairs.base_of))
        users = _users(pairs, pair, function)
        own, theirs = here.lines(function), base.lines(other)
        if (
            not does
            and own == theirs
            and not any(i.callee and not i.callee.startswith("llvm.") for i in other.instructions)
        ):
            continue  # the same statements: what differs is how the two machines hand over structures
        forgotten = pairs.forgotten(here, function, base, other)
        judged = _judged(does, what, other, users, forgotten)
        if judged is not None:
            code, certainty = judged
            yield Empty(
                code, certainty, here.title(function), name, place_of(file, line), what, does,
                tuple(words_of(other)[:6]), users, forgotten, pairs.arch,
            )  # fmt: skip


def _users(pairs: Pairs, pair: Pair, function: Function) -> Users:
    said = Users()
    for _pair, module, user, label, instruction in pairs.users(function.name, pair if function.local else None):
        if user.name == function.name:
            continue
        if instruction.callee != function.name or function.name in instruction.arguments:
            said.address = True
            continue
        said.calls += 1
        said.always += user.always(label)
        file, line = module.spot(instruction)
        if len(said.places) < 12:
            said.places.append(place_of(file, line))
        if instruction.result:
            said.uses |= follow(user, [instruction.result]).uses
        if said.calls >= _MOST_USERS:
            break
    if pair.here is not None and pair.here.module.named_by_data(function.name):
        said.address = True
    return said


def _judged(
    does: frozenset[Purpose], what: Hollow, other: Function, users: Users, forgotten: bool
) -> tuple[str, Certainty] | None:
    """Under which code, and how surely, a hollow function is told; None: it is right.

    Args:
        other: its body for x86-64.
    """
    void = what.returned is Returned.VOID
    if does and does <= {Purpose.HINT}:
        return None
    if not does:
        # No instruction of x86-64: an arm that somebody wrote is a decision, one that nobody wrote may be forgotten.
        chooses = void and only_registers(other)
        return (NOTHING_DONE, Certainty.GUARDED) if forgotten and not chooses else (LEFT_OUT, Certainty.NOTE)
    if Purpose.PROBE in does and not does & COUNTERPART:
        return LEFT_OUT, Certainty.NOTE
    if not void and users.uses and users.uses <= {Use.CONDITION}:
        return LEFT_OUT, Certainty.NOTE
    if void and does <= {Purpose.FENCE, Purpose.HINT}:
        return NO_BARRIER, Certainty.GUARDED
    results = hands_out(other) if void else origins(other)
    if users.address or not any(purpose_of(i) & COUNTERPART - {Purpose.FENCE} for i in results):
        return NOTHING_DONE, Certainty.GUARDED
    if void:
        computed = users.always and forgotten
    else:
        computed = users.always and Use.DATA in users.uses and not users.uses & {Use.CONDITION, Use.STORED}
    offered = not users.calls and not other.local and forgotten
    return NOTHING_DONE, Certainty.CERTAIN if computed or offered else Certainty.GUARDED


@dataclass(frozen=True)
class Unset:
    """A variable that an instruction of x86-64 sets, and that is a constant on the platform.

    Attributes:
        place: ``FILE:LINE`` where it is first read.
        name: of the function; ``variable``: its own.
    """

    certainty: Certainty
    place: str
    name: str
    variable: str
    value: str
    words: tuple[str, ...]
    purposes: frozenset[Purpose]
    arch: Arch

    @property
    def mend(self) -> Message:
        """What to write for this machine."""
        return mend(self.purposes, self.arch)


def unset(pairs: Pairs, pair: Pair) -> Iterator[Unset]:
    """The variables of a unit that only x86-64 sets, in functions that do other things as well."""
    if pair.here is None or pair.base is None:
        return
    here, base = pair.here.module, pair.base.module
    for function in here.functions.values():
        other = base.functions.get(function.name)
        if other is None or not _MACHINE.search(other.body) or hollow(function) is not None:
            continue
        for local in (i.result for i in other.instructions if i.code == "alloca" and i.result):
            yield from _unset(pairs, here, function, base, other, local)


_MACHINE = re.compile(r"\basm |@llvm\.(?:x86|readcyclecounter)")


def _unset(
    pairs: Pairs, here: Module, function: Function, base: Module, other: Function, local: str
) -> Iterator[Unset]:
    constants, loads = constants_in(function, local), loads_of(function, local)
    if constants is None or len(constants) != 1 or not loads:
        return
    writers = [i for i in writers_of(other, local) if purpose_of(i)]
    does = frozenset(p for i in writers for p in purpose_of(i))
    uses = follow(function, [i.result for _label, i in loads]).uses
    if not does & COUNTERPART - {Purpose.FENCE} or (Purpose.PROBE in does - COUNTERPART and Purpose.CLOCK not in does):
        return
    file, line = here.spot(loads[0][1])
    if not uses or uses <= {Use.CONDITION} or not in_tree(file):
        return
    forgotten = pairs.forgotten(here, function, base, other)
    sure = forgotten and Use.DATA in uses and not uses & {Use.CONDITION} and any(function.always(b) for b, _i in loads)
    words = tuple(" ".join((i.assembler or i.callee).split()) for i in writers)
    yield Unset(
        Certainty.CERTAIN if sure else Certainty.GUARDED, place_of(file, line), here.title(function),
        local.strip('%"').partition(".addr")[0], min(constants), words[:6], does, pairs.arch,
    )  # fmt: skip
