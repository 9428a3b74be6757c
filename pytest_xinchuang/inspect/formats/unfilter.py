"""What UPX does to code before it compresses it, undone: the targets of calls and jumps become offsets again."""

from __future__ import annotations

import re
import struct
import sys
from array import array

_X86 = re.compile(rb"[\xe8\xe9]")
_X86_CONDITIONAL = re.compile(rb"[\xe8\xe9]|(?<=\x0f)[\x80-\x8f]")


def unfiltered(code: bytes, kind: int, parameter: int) -> bytes | None:
    """The code of a block; None where the filter is not known here."""
    match kind:
        case 0x26 | 0x46 | 0x49:
            return _x86(code, parameter, conditional=kind == 0x49)
        case 0x50 | 0x52:
            return _arm(code, wide=kind == 0x52)
    return None


def _x86(code: bytes, parameter: int, *, conditional: bool) -> bytes:
    """Behind a call or jump whose first byte is ``parameter`` stands its target, in big endian order (UPX, filter/ctok.h)."""
    pattern = _X86_CONDITIONAL if conditional else _X86
    out = bytearray(code)
    at, behind = 0, -1
    while (found := pattern.search(code, at, max(len(code) - 5, 0))) is not None:
        at = found.start()
        branch = code[at] & 0xF0 == 0x80
        if code[at + 1] == parameter and not (branch and at == behind):
            (target,) = struct.unpack_from(">I", code, at + 1)
            struct.pack_into("<I", out, at + 1, (target - at - 1 - (parameter << 24)) & 0xFFFFFFFF)
            at += 4
            behind = at + 1
        at += 1
    return bytes(out)


def _arm(code: bytes, *, wide: bool) -> bytes:
    """Calls have the word that they lead to for the distance to it (UPX, filter/ct.h)."""
    words = array("I", code[: len(code) // 4 * 4])
    if sys.byteorder == "big":
        words.byteswap()
    bits = 26 if wide else 24
    mask, opcode, call = (1 << bits) - 1, (0x7C000000 if wide else 0x0F000000), (0x14000000 if wide else 0x0B000000)
    # The last word is left as it is.
    for number, word in enumerate(words[: max(-(-(len(code) - 4) // 4), 0)]):
        if word & opcode == call:
            words[number] = word & ~mask | (word - number) & mask
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes() + code[len(words) * 4 :]
