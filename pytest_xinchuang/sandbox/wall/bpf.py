"""A small assembler for seccomp filters: classic BPF over ``struct seccomp_data`` (linux/filter.h, linux/seccomp.h)."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALLOW, TRACE = 0x7FFF0000, 0x7FF00000
_ERRNO = 0x00050000
_LOAD, _RETURN, _JUMP, _AND = 0x20, 0x06, 0x05, 0x54
_EQUAL, _AT_LEAST = 0x15, 0x35
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
"""Offsets in ``struct seccomp_data``: the call's number, AUDIT_ARCH_*, and six 64-bit arguments, little-endian here."""
MAX_INSTRUCTIONS = 4096
"""BPF_MAXINSNS, linux/bpf_common.h."""

Row = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


def refusal(number: int) -> int:
    """The filter's value for a call that answers with this errno."""
    return _ERRNO | number


@dataclass(frozen=True)
class Case:
    """A condition on the low 32 bits of arguments, and what is answered where it holds.

    Attributes:
        argument: its index, 0 to 5.
        mask: of the bits that are compared.
        values: the condition holds if the masked argument is one of these.
        action: ALLOW, TRACE (a tracer is asked; without one, ENOSYS), or a ``refusal``.
        zero: an argument that has to be zero as well.
    """

    argument: int
    values: Sequence[int]
    action: int
    mask: int = 0xFFFFFFFF
    zero: int | None = None


@dataclass(frozen=True)
class Checked:
    """A call whose answer depends on its arguments: the first case that holds, else ``otherwise``."""

    cases: Sequence[Case]
    otherwise: int


Action = int | Checked


def assemble(arch: int, actions: Mapping[int, Action], otherwise: int, *, below: int = 1 << 30) -> bytes:
    """A program that decides each call by its number.

    Args:
        arch: AUDIT_ARCH_* whose calls these are; calls of any other are refused with ``otherwise``.
        actions: by number.
        otherwise: for every number that is not among them.
        below: numbers from here on have no action (on x86-64 those of x32, which begin at 2**30).

    Raises:
        ValueError: the program is longer than the kernel takes.
    """
    bounds: list[tuple[int, Action]] = [(0, otherwise)]
    for number in sorted(n for n in actions if n < below):
        if bounds[-1][0] == number:
            bounds.pop()
        if not bounds or bounds[-1][1] != actions[number]:
            bounds.append((number, actions[number]))
        bounds.append((number + 1, otherwise))
    # Neighbours with the same action are one range.
    ranges = [b for i, b in enumerate(bounds) if i == 0 or b[1] != bounds[i - 1][1]]
    rows: list[Row] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, otherwise), (_LOAD, 0, 0, _NUMBER)]
    rows += _tree(ranges)
    if len(rows) > MAX_INSTRUCTIONS:
        raise ValueError(f"{len(rows)} instructions, more than {MAX_INSTRUCTIONS}")
    return b"".join(struct.pack("<HBBI", *row) for row in rows)


def _tree(ranges: Sequence[tuple[int, Action]]) -> list[Row]:
    """A binary search over the beginnings of ranges."""
    if len(ranges) == 1:
        return _leaf(ranges[0][1])
    middle = len(ranges) // 2
    low, high = _tree(ranges[:middle]), _tree(ranges[middle:])
    # The offset of a conditional jump has 8 bits, that of a plain one 32.
    return [(_AT_LEAST, 0, 1, ranges[middle][0]), (_JUMP, 0, 0, len(low)), *low, *high]


def _leaf(action: Action) -> list[Row]:
    if isinstance(action, int):
        return [(_RETURN, 0, 0, action)]
    rows: list[Row] = []
    for case in action.cases:
        for value in case.values:
            test: list[Row] = [(_LOAD, 0, 0, _ARGUMENTS + 8 * case.argument)]
            if case.mask != 0xFFFFFFFF:
                test.append((_AND, 0, 0, case.mask))
            if case.zero is None:
                test.append((_EQUAL, 0, 1, value))
            else:
                test += [(_EQUAL, 0, 3, value), (_LOAD, 0, 0, _ARGUMENTS + 8 * case.zero), (_EQUAL, 0, 1, 0)]
            rows += [*test, (_RETURN, 0, 0, case.action)]
    return [*rows, (_RETURN, 0, 0, action.otherwise)]


def run(program: bytes, arch: int, number: int, arguments: Sequence[int] = ()) -> int:
    """What a program answers: the kernel's interpreter in little, for tests and for looking a filter up.

    Raises:
        ValueError: the program is not one of ``assemble``.
    """
    data = struct.pack("<IIQ6Q", number, arch, 0, *[*arguments, *[0] * 6][:6])
    rows = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    value, at = 0, 0
    while at < len(rows):
        code, yes, no, operand = rows[at]
        at += 1
        match code:
            case 0x20:
                (value,) = struct.unpack_from("<I", data, operand)
            case 0x54:
                value &= operand
            case 0x05:
                at += operand
            case 0x15:
                at += yes if value == operand else no
            case 0x35:
                at += yes if value >= operand else no
            case 0x06:
                return int(operand)
            case _:
                raise ValueError(f"instruction {code:#x}")
    raise ValueError("no answer")
