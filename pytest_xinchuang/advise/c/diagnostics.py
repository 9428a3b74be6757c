"""What a compiler says of a translation unit."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_xinchuang.advise.c.units import Unit
from pytest_xinchuang.advise.triple import Triple
from pytest_xinchuang.messages import NOTHING, Message


@dataclass(frozen=True)
class Place:
    """A place in a source.

    Attributes:
        file: a name in the tree; an absolute path for what lies outside, as a compiler's own headers do.
    """

    file: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class Diagnostic:
    """One message of a compiler.

    Attributes:
        severity: "fatal error", "error" or "warning".
        text: in its own words, without the option behind them.
        option: the warning option that governs it, e.g. "-Wconstant-conversion"; "" for an error.
        included: how the compiler came there, the unit's own ``#include`` first.
        notes: the places of the notes behind it: where a macro is defined, what else was declared.
    """

    severity: str
    place: Place
    text: str
    option: str = ""
    included: tuple[Place, ...] = ()
    notes: tuple[Place, ...] = ()

    @property
    def stops(self) -> bool:
        return self.severity != "warning"


@dataclass(frozen=True)
class Answer:
    """What a compiler made of one unit for one triple.

    Attributes:
        ok: it compiles.
        diagnostics: in their order.
        output: what it wrote (LLVM IR, an object), where that was asked for.
        read: the files that it read, the source first, without the compiler's own: names in the tree, and absolute paths.
        made: an object could be made of the IR that it wrote; False where that was not asked for.
        lost: why nothing is known: the compiler broke or did not end in time, which is never the source's fault.
    """

    unit: Unit
    triple: Triple
    ok: bool
    diagnostics: tuple[Diagnostic, ...] = ()
    output: bytes = b""
    read: tuple[str, ...] = ()
    made: bool = False
    lost: Message = NOTHING
