"""Where x86-64 code may have an instruction of an extension: by bytes that each such instruction has in it.

Most functions have none of them, and need not be decoded. What has them may be anything: an address can look the same.
Sources: Intel SDM volume 2, 2.1 to 2.7 and appendix A; AMD64 volume 3, 1.1 and appendix A. The tests hold it against the
tables of iced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any


def _some(wanted: Iterable[int] | Callable[[int], bool]) -> bytes:
    """A character class of single bytes."""
    values = [b for b in range(256) if wanted(b)] if callable(wanted) else wanted
    return b"[" + b"".join(b"\\x%02x" % value for value in values) + b"]"


_TWO_BYTES = (
    # Behind 0F, with whatever prefix: femms, 3DNow!, SSE3's moves, cldemote, movnts of SSE4a, the maps 0F38 and 0F3A, SSE4a,
    # the sums of SSE3, cpuid, PadLock's, clwb and its kin, popcnt, tzcnt, lzcnt, the group of cmpxchg16b and rdrand, lddqu.
    0x0E, 0x0F, 0x12, 0x16, 0x1C, 0x2B, 0x38, 0x3A, 0x78, 0x79, 0x7C, 0x7D, 0xA2, 0xA6, 0xA7, 0xAE, 0xB8, 0xBC, 0xBD, 0xC7,
    0xD0, 0xF0,
)  # fmt: skip

_VEX_MAP_1 = (
    *range(0x10, 0x18), *range(0x28, 0x30), *range(0x41, 0x4C), *range(0x50, 0x80), *range(0x90, 0x9A), 0xAE, 0xC2, 0xC4, 0xC5,
    0xC6, *range(0xD0, 0xFF),
)  # fmt: skip

_MARKS = tuple(
    # One pattern for each first byte: the search for that goes at the speed of memory. Nothing is consumed but that byte.
    re.compile(b"%b(?=%b)" % (re.escape(first), rest), re.DOTALL)
    for first, rest in (
        (b"\x0f", _some(_TWO_BYTES)),
        (b"\x0f", b"\x01[\xd5\xd6]"),  # xend, xtest
        (b"\xc5", b"." + _some(_VEX_MAP_1)),
        (b"\xc4", _some(lambda b: b & 0x1F in (1, 2, 3))),
        (b"\x62", _some(lambda b: b & 7 in (1, 2, 3, 5, 6)) + _some(lambda b: b & 4 != 0)),
        (b"\x8f", _some(lambda b: b & 0x1F in (8, 9, 10))),  # XOP; pop has 0 in these bits
        # fisttp: the second form in memory
        *((bytes([first]), _some(lambda b: b < 0xC0 and b & 0x38 == 8)) for first in (0xDB, 0xDD, 0xDF)),
        (b"\xc6", b"\xf8"),  # xabort
        (b"\xc7", b"\xf8"),  # xbegin
    )
)


def marks_in(data: Any, begin: int, end: int) -> list[int]:
    """The places in a file, in order, where an instruction of an extension has one of the bytes that tell it."""
    return sorted([found.start() for mark in _MARKS for found in mark.finditer(data, begin, end)])
