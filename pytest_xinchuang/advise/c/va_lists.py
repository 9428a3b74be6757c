"""Lists of arguments that are read on after another function has had them.

What a ``va_list`` is worth then is not determined (ISO C 7.16, 3). On x86-64 it is an array of one structure, and the caller
goes on behind what the callee has read (psABI 3.5.7). On ARM64 the callee has a copy of it (AAPCS64, appendix B), and on
LoongArch64 it is a pointer that is handed by value, so that both read the same arguments again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_xinchuang.advise.c.ir import Function, Instruction

_LIST = re.compile(r"\[1 x %struct\.__va_list_tag\]")
_DECAYED = re.compile(r"(?:inbounds |nuw |nusw )*\[1 x %struct\.__va_list_tag\], ptr (%[\w.$-]+)")
_FIELD = re.compile(r"(?:inbounds |nuw |nusw )*%struct\.__va_list_tag, ptr (%[\w.$-]+)")
_LOADED = re.compile(r"ptr, ptr (%[\w.$-]+)")
_POINTERS = re.compile(r"ptr (?:noundef |nonnull |\w+\(\d+\) )*(%[\w.$-]+)")
_TAKES_ONE = re.compile(
    r"_{0,2}v(?:f|s|sn|d|as|w|fw|sw)?(?:printf|scanf)(?:_chk)?|v(?:syslog|warnx?|errx?)",
)
"""Functions of libc whose last argument is such a list (ISO C 7.23.6; err(3), syslog(3))."""


@dataclass(frozen=True)
class ReadOn:
    """A list that is read on.

    Attributes:
        instruction: where that is; ``callee``: the function that had it before.
    """

    instruction: Instruction
    callee: str


def read_on(function: Function) -> Iterator[ReadOn]:
    """Those of a function, in its IR for x86-64."""
    if "__va_list_tag" not in function.body and not _TAKES_ONE.search(function.body):
        return
    makers = {i.result: i for i in function.instructions if i.result}
    lists = _lists(function, makers)
    if not lists:
        return
    before: dict[str, Mapping[str, str]] = {}
    todo: list[tuple[str, Mapping[str, str]]] = [(next(iter(function.blocks)), {})]
    told: set[Instruction] = set()
    while todo:
        label, state = todo.pop()
        known = before.get(label)
        merged = {**state, **known} if known is not None else dict(state)
        if known is not None and merged.keys() == known.keys():
            continue
        before[label] = merged
        handed = dict(merged)
        for i in function.blocks.get(label, ()):
            for found in _step(i, handed, lists, makers):
                if found.instruction not in told:
                    told.add(found.instruction)
                    yield found
        todo += [(after, handed) for after in function.follows.get(label, ())]


def _step(
    i: Instruction, handed: dict[str, str], lists: frozenset[str], makers: Mapping[str, Instruction]
) -> Iterator[ReadOn]:
    """What an instruction does to the lists; ``handed``: list -> who has had it."""
    if i.code == "getelementptr" and (field := _FIELD.match(i.text)):
        name = _root(field[1], makers)
        if name in handed:
            yield ReadOn(i, handed[name])
        return
    if i.code != "call":
        return
    named = [name for value in _POINTERS.findall(i.arguments) if (name := _root(value, makers)) in lists]
    if i.callee.startswith("llvm.va_"):
        for name in named[:1]:  # started, ended, or written over by a copy
            handed.pop(name, None)
        named = named[1:] if "copy" in i.callee else []
        for name in named:
            if name in handed:
                yield ReadOn(i, handed[name])
    elif not i.callee.startswith("llvm."):
        for name in named:
            if name in handed:
                yield ReadOn(i, handed[name])
            handed[name] = i.callee or "a function"


def _root(value: str, makers: Mapping[str, Instruction]) -> str:
    """The local variable whose value or address it is; "" for another."""
    maker = makers.get(value)
    if maker is None:
        return ""
    pattern = {"getelementptr": _DECAYED, "load": _LOADED}.get(maker.code)
    found = pattern.match(maker.text) if pattern else None
    return found[1] if found else ""


def _lists(function: Function, makers: Mapping[str, Instruction]) -> frozenset[str]:
    """The local variables that are such lists, and those that hold a parameter that is one."""
    found = {name for name, i in makers.items() if i.code == "alloca" and _LIST.match(i.text)}
    for i in function.instructions:
        field = _FIELD.match(i.text) if i.code == "getelementptr" else None
        values = [field[1]] if field else []
        if i.code == "call" and _TAKES_ONE.fullmatch(i.callee):
            values = _POINTERS.findall(i.arguments)[-1:]
        for value in values:
            name = _root(value, makers)
            if name and makers.get(name) is not None and makers[name].code == "alloca":
                found.add(name)
    return frozenset(found)
