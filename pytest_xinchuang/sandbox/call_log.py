"""A log of system calls that the command could neither see, write nor close: calls and signals in the order they began."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

from pytest_xinchuang.messages import NOTHING, Message, _
from pytest_xinchuang.sandbox.strace import NOT_IMPLEMENTED, Call

_HEADER = struct.Struct("<II")
"""As ``tracer.HEADER``: thread, bytes."""
_TOO_LONG = 4096
"""Bytes: what qemu-user prints at once and is as long may be cut anywhere by its buffer."""

_BEGINS = re.compile(rb"(\d+) (?:Unknown syscall (\d+)|([a-z_][a-z_0-9]*)\()")
_MEMORY = re.compile(r'"(?:/proc/[^"]*/|(?:\.{1,2}/|self/|thread-self/|task/|[0-9]+/)*)mem"')
"""A file by which a process is written into from outside of its program: its emulator too."""
_TAKEN = re.compile(rb"--- (SIG\w+)")


@dataclass(frozen=True, slots=True)
class Taken:
    """A signal that a thread took. ``before``: how many calls had begun by then."""

    thread: int
    signal: str
    before: int


@dataclass(frozen=True, slots=True)
class CallLog:
    """What was logged of a command and of all that it started.

    Attributes:
        lost: why it is not whole; empty where it is.
    """

    calls: tuple[Call, ...] = ()
    taken: tuple[Taken, ...] = ()
    lost: Message = NOTHING


def read_pieces(data: bytes, lost: Message = NOTHING) -> CallLog:
    """The log that ``tracer.Tracer`` took down.

    qemu-user prints a call piece by piece: its name, each argument, its answer. Each piece is told with its thread, so that
    nothing is torn, and what a program puts into its strings stays in the piece of that string.
    """
    calls: list[Call] = []
    taken: list[Taken] = []
    open_calls: dict[int, Call] = {}
    answers: dict[int, list[bytes]] = {}
    at = 0
    while at + _HEADER.size <= len(data):
        thread, size = _HEADER.unpack_from(data, at)
        piece = data[at + _HEADER.size : at + _HEADER.size + size]
        at += _HEADER.size + size
        if size >= _TOO_LONG:
            lost = lost or _("an argument is too long to be told from the log")
        begins = _BEGINS.match(piece)
        if begins is not None and int(begins[1]) == thread:
            name = (begins[2] or begins[3]).decode()
            call = Call(thread, name, _text(piece[begins.end() :]), NOT_IMPLEMENTED if begins[2] else None)
            calls.append(call)
            answers.pop(thread, None)
            if begins[2] or piece.endswith(b"\n"):
                open_calls.pop(thread, None)
            else:
                open_calls[thread] = call
        elif (signal := _TAKEN.match(piece)) is not None:
            taken.append(Taken(thread, signal[1].decode(), len(calls)))
            open_calls.pop(thread, None)
        elif (asked := open_calls.get(thread)) is None:
            continue  # a new process's end of the call that made it, or the particulars of a signal
        elif (parts := answers.get(thread)) is not None:
            parts.append(piece)
            if piece.endswith(b"\n"):
                asked.answer = _text(b"".join(parts))
                del open_calls[thread], answers[thread]
        elif piece.startswith(b" = "):
            answers[thread] = [piece[3:]]
            if piece.endswith(b"\n"):
                asked.answer = _text(piece[3:])
                del open_calls[thread], answers[thread]
        else:
            asked.arguments += _text(piece)
    if any(c.name.startswith("open") and _MEMORY.search(c.arguments) and "O_RDONLY" not in c.arguments for c in calls):
        lost = lost or _("it opened the memory of a process, and so of its emulator, to write")
    return CallLog(tuple(calls), tuple(taken), lost or (NOTHING if at == len(data) else _("it is cut off")))


def _text(piece: bytes) -> str:
    return "".join(c if c.isprintable() else "?" for c in piece.decode(errors="replace").rstrip("\n"))
