"""Where values of a function come from and go to, in IR without passes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pytest_xinchuang.advise.c.ir import Function, Instruction

_STORE = re.compile(r"(?:atomic )?(?:volatile )?(?P<value>.*), ptr (?P<place>%[\w.$-]+|@[^\s,]+|getelementptr.*)", re.S)
_LOAD = re.compile(r"(?:atomic )?(?:volatile )?[^,]+, ptr (?P<place>%[\w.$-]+|@[^\s,]+|getelementptr.*)", re.S)
_RET = re.compile(r"(?P<type>void|.+?) ?(?P<value>%[\w.$-]+|\S+)?$", re.S)
_ELEMENT = re.compile(r"(?:inbounds |nuw |nusw |inrange\([^)]*\) )*[^,]+, ptr (%[\w.$-]+)")
_LAST_VALUE = re.compile(r"(%[\w.$-]+)(?: to \S+)?$")
HARMLESS = (
    "llvm.lifetime.",
    "llvm.dbg.",
    "llvm.assume",
    "llvm.experimental.noalias",
    "llvm.donothing",
    "llvm.invariant.",
)
"""Intrinsics that do nothing (LLVM Language Reference Manual)."""

_MOST_STEPS = 20_000
"""Instructions that are followed for one value: a generated parser has functions of 100,000."""


_ACTING = re.compile(
    r"\bfence |\bcmpxchg |\batomicrmw |\bresume |store [^\n]*, ptr (?!%)"
    r"|\b(?:call|invoke|callbr) [^\n]*?[@%](?!llvm\.)[\w.$\"-]+\("
    r"|\basm [^\"\n]*\"[^\"]*[a-zA-Z]"
)
"""What no function without an effect has: most are told by it, and never taken apart."""


class Returned(StrEnum):
    """What a function does that has no effect: it returns this, and always the same."""

    VOID = "void"
    CONSTANT = "constant"
    ARGUMENT = "argument"
    UNDEFINED = "undefined"


@dataclass(frozen=True)
class Hollow:
    """A function that has no effect and whose result does not depend on what it does.

    Attributes:
        value: the constant, or the argument's number from 0.
    """

    returned: Returned
    value: str = ""


def hollow(function: Function) -> Hollow | None:
    """What a function returns that computes nothing; None: it has an effect, or computes something."""
    if _ACTING.search(function.body):
        return None
    own: dict[str, set[str]] = {}  # a local's name -> what may be in it
    alias: dict[str, str] = {}  # a value -> the local that it points into
    held: dict[str, frozenset[str]] = {p: frozenset({f"argument {i}"}) for i, p in enumerate(function.parameters)}
    if function.structure_return:
        own[function.structure_return] = set()
        alias[function.structure_return] = function.structure_return
    result: set[str] = set()
    unknown = frozenset({"?"})

    def value(text: str) -> frozenset[str]:
        last = text.split()[-1] if text.split() else ""
        if last.startswith("%"):
            return held.get(last, unknown)
        return frozenset() if last in ("undef", "poison") else frozenset({f"constant {last}"})

    for block in function.blocks.values():
        for i in block:
            if i.code == "alloca":
                own[i.result], alias[i.result] = set(), i.result
            elif i.code == "store":
                found = _STORE.match(i.text)
                place = alias.get(found["place"]) if found else None
                if found is None or place is None:
                    return None
                own[place] |= value(found["value"])
            elif i.code == "load":
                found = _LOAD.match(i.text)
                place = alias.get(found["place"]) if found else None
                held[i.result] = frozenset(own[place]) if place is not None else unknown
            elif i.code == "getelementptr":
                found = _ELEMENT.match(i.text)
                if found and found[1] in alias:
                    alias[i.result] = alias[found[1]]
                held[i.result] = unknown
            elif i.code in ("zext", "sext", "trunc", "bitcast", "freeze", "ptrtoint", "inttoptr", "fpext", "fptrunc"):
                found = re.match(r"\S+ (\S+)(?: to |$)", i.text)
                held[i.result] = value(found[1]) if found else unknown
            elif i.code == "call":
                if i.assembler is not None:
                    if i.assembler.strip() or i.result:
                        return None
                elif i.callee.startswith(("llvm.memset.", "llvm.memcpy.")):
                    places = re.findall(r"ptr (?:[^%@,]*)(%[\w.$-]+|@[^\s,]+)", i.arguments)
                    if not places or places[0] not in alias:
                        return None
                    source = "0" if i.callee.startswith("llvm.memset.") else places[-1]
                    if source.startswith("%") and source not in alias:
                        own[alias[places[0]]] |= unknown
                    elif source.startswith("%"):
                        own[alias[places[0]]] |= own[alias[source]]
                    else:
                        own[alias[places[0]]] |= {f"constant {source}"}
                elif not i.callee.startswith(HARMLESS):
                    return None
            elif i.code in ("fence", "cmpxchg", "atomicrmw", "resume", "va_arg"):
                return None
            elif i.code in ("br", "switch", "indirectbr"):
                condition = re.match(r"i\d+ (%[\w.$-]+)", i.text)
                if condition and any(not a.startswith("constant") for a in held.get(condition[1], unknown)):
                    return None
            elif i.code == "ret":
                if i.text.strip() != "void":
                    result |= value(i.text)
            elif i.code == "unreachable":
                pass
            elif i.result:
                held[i.result] = unknown
    if function.structure_return:
        result |= own[function.structure_return]
    elif function.returns == "void":
        return Hollow(Returned.VOID)
    if not result:
        return Hollow(Returned.UNDEFINED)
    if len(result) > 1 or "?" in result:
        return None
    (only,) = result
    kind, _space, text = only.partition(" ")
    return Hollow(Returned.CONSTANT if kind == "constant" else Returned.ARGUMENT, text)


def constants_in(function: Function, local: str) -> frozenset[str] | None:
    """The constants that are all that is ever stored to a local; None: something else may be in it."""
    found: set[str] = set()
    for i in function.instructions:
        if local not in i.values or i.code == "alloca":
            continue
        store = _STORE.match(i.text) if i.code == "store" else None
        load = _LOAD.match(i.text) if i.code == "load" else None
        if store is not None and store["place"] == local:
            words = store["value"].split()
            if local in words or words[-1].startswith("%"):
                return None
            found.add(words[-1])
        elif not (load is not None and load["place"] == local) and not i.callee.startswith(HARMLESS):
            return None  # its address is handed on
    return frozenset(found)


def writers_of(function: Function, local: str) -> tuple[Instruction, ...]:
    """The calls and assembler by which what is stored to a local is computed."""
    values = []
    direct = []
    for i in function.instructions:
        if i.code == "store" and (found := _STORE.match(i.text)) and found["place"] == local:
            values += [word for word in found["value"].split()[-1:] if word.startswith("%")]
        elif i.code == "call" and local in i.values:
            direct.append(i)
    return (*direct, *(i for i in made_of(function, values) if i.code in ("call", "cmpxchg", "atomicrmw")))


def loads_of(function: Function, local: str) -> tuple[tuple[str, Instruction], ...]:
    """Where a local is read: the block and the instruction."""
    return tuple(
        (label, i)
        for label, block in function.blocks.items()
        for i in block
        if i.code == "load" and (found := _LOAD.match(i.text)) and found["place"] == local
    )


def hands_out(function: Function) -> tuple[Instruction, ...]:
    """The calls and assembler by which is computed what a function writes to memory that is not its own."""
    locals_ = {i.result for i in function.instructions if i.code == "alloca"}
    values, direct = [], []
    for i in function.instructions:
        if i.code == "store" and (found := _STORE.match(i.text)) and found["place"] not in locals_:
            values += [word for word in found["value"].split()[-1:] if word.startswith("%")]
        elif i.assembler is not None and "=*" in i.text and set(i.values) - locals_:
            direct.append(i)
    return (*direct, *(i for i in made_of(function, values) if i.code in ("call", "cmpxchg", "atomicrmw")))


def only_registers(function: Function) -> bool:
    """Whether all that a function writes for others are constants and addresses of functions: which code is to be used."""
    locals_ = {i.result for i in function.instructions if i.code == "alloca"}
    written = False
    for i in function.instructions:
        if i.code != "store" or (found := _STORE.match(i.text)) is None or found["place"] in locals_:
            continue
        written = True
        if found["value"].split()[-1].startswith("%"):
            return False
    return written


class Use(StrEnum):
    """What a value is used for."""

    CONDITION = "condition"
    """It decides what is done: it is compared with a constant, or is one itself."""
    DATA = "data"
    """It is computed with, compared with what is no constant, or handed to another function."""
    STORED = "stored"
    """It goes where this does not follow."""
    RETURNED = "returned"


_PASSING = frozenset(
    {
        "zext",
        "sext",
        "trunc",
        "bitcast",
        "freeze",
        "and",
        "or",
        "xor",
        "phi",
        "select",
        "extractvalue",
        "insertvalue",
        "lshr",
    }
)
"""What leaves a flag a flag."""
_COMPUTING = frozenset(
    {
        "add", "sub", "mul", "udiv", "sdiv", "urem", "srem", "shl", "ashr",
        "fadd", "fsub", "fmul", "fdiv", "uitofp", "sitofp", "inttoptr", "ptrtoint", "getelementptr",
    }
)  # fmt: skip


@dataclass
class Followed:
    """What becomes of some values of a function.

    Attributes:
        uses: of all kinds that were seen.
        steered: labels of blocks that end in a branch that the value decides.
    """

    uses: set[Use] = field(default_factory=set)
    steered: set[str] = field(default_factory=set)


def follow(function: Function, start: Iterable[str]) -> Followed:
    """Follow values through a function's locals to where they are used."""
    values, places = set(start), set[str]()
    arithmetic: set[str] = set()
    compared: set[str] = set()
    said = Followed()
    steps, changed = 0, True
    while changed and steps < _MOST_STEPS:
        changed = False
        for label, block in function.blocks.items():
            for i in block:
                steps += 1
                tainted = [v for v in i.values if v in values]
                if i.code == "load":
                    found = _LOAD.match(i.text)
                    if found and found["place"] in places and i.result not in values:
                        values.add(i.result)
                        changed = True
                        if found["place"] in arithmetic:
                            arithmetic.add(i.result)
                    continue
                if not tainted:
                    continue
                if i.code == "store":
                    found = _STORE.match(i.text)
                    if found is None or found["value"].split()[-1] not in values:
                        continue
                    if _is_local(function, found["place"]):
                        if found["place"] not in places:
                            places.add(found["place"])
                            changed = True
                        if found["value"].split()[-1] in arithmetic and found["place"] not in arithmetic:
                            arithmetic.add(found["place"])
                            changed = True
                    else:
                        said.uses.add(Use.STORED)
                elif i.code in ("br", "switch"):
                    said.uses.add(Use.CONDITION)
                    said.steered.add(label)
                elif i.code == "ret":
                    said.uses.add(Use.RETURNED)
                elif i.code == "call":
                    if not i.callee.startswith(HARMLESS):
                        said.uses.add(Use.CONDITION if i.callee.startswith("llvm.expect") else Use.DATA)
                        if i.callee.startswith("llvm.expect") and i.result not in values:
                            values.add(i.result)
                            changed = True
                elif i.code in ("icmp", "fcmp"):
                    constant = not i.text.rsplit(" ", 1)[-1].startswith("%")
                    if not constant or any(v in arithmetic for v in tainted):
                        said.uses.add(Use.DATA)
                    else:
                        said.uses.add(Use.CONDITION)
                    compared.add(i.result)
                    if i.result not in values:
                        values.add(i.result)
                        changed = True
                elif i.code in _COMPUTING or i.code in _PASSING:
                    if i.code in _COMPUTING:
                        said.uses.add(Use.DATA)
                    if i.result not in values:
                        values.add(i.result)
                        changed = True
                    if (i.code in _COMPUTING or any(v in arithmetic for v in tainted)) and i.result not in arithmetic:
                        arithmetic.add(i.result)
                        changed = True
                elif i.result and i.result not in values:
                    said.uses.add(Use.DATA)
                    values.add(i.result)
                    changed = True
    return said


def _is_local(function: Function, place: str) -> bool:
    return any(i.result == place and i.code == "alloca" for i in function.instructions)


def comparisons(function: Function, start: str) -> tuple[Instruction, ...]:
    """The comparisons and switches to which a value comes as it is: through locals, and wider types, and no arithmetic."""
    values, places = {start}, set[str]()
    changed = True
    while changed:
        changed = False
        for i in function.instructions:
            if (
                i.code == "load"
                and (found := _LOAD.match(i.text))
                and found["place"] in places
                and i.result not in values
            ):
                values.add(i.result)
                changed = True
            elif i.code == "store" and (found := _STORE.match(i.text)):
                held = found["value"].split()[-1] in values and found["place"] not in places
                if held and _is_local(function, found["place"]):
                    places.add(found["place"])
                    changed = True
            elif i.code in ("sext", "zext", "freeze") and i.result not in values and i.values and i.values[0] in values:
                values.add(i.result)
                changed = True
    return tuple(
        i for i in function.instructions if i.code in ("icmp", "switch") and i.values and i.values[0] in values
    )


def origins(function: Function) -> tuple[Instruction, ...]:
    """The calls from which the result of a function is computed, those among them that write to its locals."""
    starts = [v for i in function.instructions if i.code == "ret" for v in i.values]
    if function.structure_return:
        starts.append(function.structure_return)
    found = made_of(function, starts)
    seen = {i.result for i in found if i.code == "alloca"}
    calls = [i for i in found if i.code in ("call", "cmpxchg", "atomicrmw")]
    # What assembler and calls write through pointers to locals comes from them too.
    return (*calls, *(i for i in function.instructions if i.code == "call" and i not in calls and seen & set(i.values)))


def made_of(function: Function, starts: Iterable[str]) -> tuple[Instruction, ...]:
    """The instructions that values are computed by, through the locals that they were stored to."""
    makers: Mapping[str, Instruction] = {i.result: i for i in function.instructions if i.result}
    stored: dict[str, list[str]] = {}
    for i in function.instructions:
        if i.code == "store" and (found := _STORE.match(i.text)):
            words = found["value"].split()
            if words and words[-1].startswith("%"):
                stored.setdefault(found["place"], []).append(words[-1])
    todo, seen, said = list(starts), set[str](), list[Instruction]()
    while todo and len(seen) < _MOST_STEPS:
        now = todo.pop()
        if now in seen:
            continue
        seen.add(now)
        todo += stored.get(now, ())
        if (maker := makers.get(now)) is not None:
            said.append(maker)
            todo += maker.values
    return tuple(said)
