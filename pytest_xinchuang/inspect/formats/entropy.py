"""Programs whose code is compressed or encrypted: what can be said of them all the same."""

from __future__ import annotations

import math
import struct
from collections import Counter
from typing import Any

from pytest_xinchuang.messages import Message, _

SAMPLE = 64 << 10
MOST_BITS = 7.5
"""Bits a byte; machine code has 5.5 to 6.8, what is compressed 7.9 and more."""


def looks_encrypted(data: Any) -> Message | None:
    """Why an object's code cannot be judged: it has no sections, and its executable segments are noise; None: it can be."""
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    phoff = struct.unpack_from(order + ("Q" if wide else "I"), data, 32 if wide else 28)[0]
    _size, phentsize, phnum, _shentsize, shnum = struct.unpack_from(order + "HHHHH", data, 52 if wide else 40)
    if shnum or phentsize != (56 if wide else 32) or phoff + phentsize * phnum > len(data):
        return None
    for n in range(phnum):
        at = phoff + n * phentsize
        kind, flags = struct.unpack_from(order + ("II" if wide else "I20xI"), data, at)
        first, size = struct.unpack_from(order + ("8xQ16xQ" if wide else "4xI8xI"), data, at)
        middle = first + size // 2
        if kind == 1 and flags & 1 and size >= 2 * SAMPLE and first + size <= len(data):
            counts = Counter(bytes(data[middle : middle + SAMPLE]))
            bits = -sum(n / SAMPLE * math.log2(n / SAMPLE) for n in counts.values())
            if bits > MOST_BITS:
                return _("its code is compressed or encrypted, by nothing that is known here")
    return None


def without_code(data: Any) -> bytes:
    """The same object with nothing that would be taken for code: no sections, and no segment that is executed."""
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    phoff = struct.unpack_from(order + ("Q" if wide else "I"), data, 32 if wide else 28)[0]
    _size, phentsize, phnum = struct.unpack_from(order + "HHH", data, 52 if wide else 40)
    out = bytearray(data)
    for n in range(phnum):
        at = phoff + n * phentsize
        place = at + (4 if wide else 24)
        if place + 4 <= len(out) and struct.unpack_from(order + "I", out, at)[0] == 1:
            struct.pack_into(order + "I", out, place, struct.unpack_from(order + "I", out, place)[0] & ~1)
    where, names = (40, 58) if wide else (32, 46)
    out[where : where + (8 if wide else 4)] = bytes(8 if wide else 4)
    out[names : names + 6] = bytes(6)
    return bytes(out)
