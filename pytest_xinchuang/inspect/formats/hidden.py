"""ELF objects inside of files that are none: among a program's data, in resources."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pytest_xinchuang.inspect.formats.contained import CHUNK, CannotRead
from pytest_xinchuang.messages import _

MAGIC = b"\x7fELF"
HOSTS = frozenset({2, 3, 8, 20, 21, 22, 40, 43, 50, 62, 183, 243, 258, 0x9026, 0x9916})
"""e_machine of the processors that run Linux (elf.h; the last two are Alpha and Sunway).

What is made for others, as code for a GPU, is data to all platforms alike. eBPF objects are taken for what they ask of kernels.
"""
BPF = 247
RELOCATABLE = 1

EXECUTABLE = (2, 3)
"""ET_EXEC and ET_DYN."""

_IDENT = re.compile(rb"\x7fELF[\x01\x02][\x01\x02]\x01")
_IDENT_BYTES = 7

MOST_LOOKS = 20_000
MOST_HEADERS = 256
"""Program headers; the largest known programs have some 20."""

MOST = 64
"""Hidden things of one file that are looked into."""


@dataclass(frozen=True)
class Hidden:
    """Something inside of a file: from byte ``begin`` on, ``content`` if it had to be decoded, else the file's own bytes.

    ``name``: how a person finds what has no place of its own in the file.
    """

    begin: int
    end: int
    content: bytes | None = None
    name: str = ""


def embedded(data: Any, begin: int, end: int, magics: Iterable[int] | None = None) -> Iterator[Hidden]:
    """The programs, shared libraries and eBPF objects between two bytes of a file, each with its likely end.

    Args:
        magics: where ELF's magic stands, there and maybe around, where that is known already.

    Raises:
        CannotRead: more places look like the beginning of one than are looked at.
    """
    behind, looks = begin, 0
    for first in _idents(data, begin, end) if magics is None else magics:
        if first < behind or _IDENT.match(bytes(data[first : min(first + _IDENT_BYTES, end)])) is None:
            continue
        looks += 1
        if looks > MOST_LOOKS:
            raise CannotRead(_("more than {n} places that look like objects", n=MOST_LOOKS), "XC-BAD-003")
        size = _extent(bytes(data[first : min(first + 64, end)]), data, first, end)
        if size:
            yield Hidden(first, first + size)
            behind = first + size


def _idents(data: Any, begin: int, end: int) -> Iterator[int]:
    for at in range(begin, end, CHUNK):
        chunk = bytes(data[at : min(at + CHUNK + _IDENT_BYTES - 1, end)])
        # A plain search first, for it is far faster than that of an expression.
        for found in _IDENT.finditer(chunk) if MAGIC in chunk else ():
            yield at + found.start()


_TAIL = (1 << 16) + 22


def begin_hidden(chunks: Iterator[bytes]) -> tuple[int, Iterator[bytes]] | None:
    """Where in a stream an ELF object seems to begin, and the stream from there on; None: it has none.

    Raises:
        CannotRead: it ends as a zip archive does, and its beginning is gone.
    """
    tail, total = b"", 0
    for chunk in chunks:
        seam = tail[-_IDENT_BYTES:] + chunk[:_IDENT_BYTES]
        for block, base in ((seam, total - min(len(tail), _IDENT_BYTES)), (chunk, total)):
            # For a plain search is far faster than that of an expression.
            found = _IDENT.search(block) if MAGIC in block else None
            if found is not None:
                rest = block[found.start() :] if block is chunk else block[found.start() :] + chunk[_IDENT_BYTES:]
                return base + found.start(), chain([rest], chunks)
        total += len(chunk)
        tail = chunk[-_TAIL:] if len(chunk) >= _TAIL else (tail + chunk)[-_TAIL:]
    at = tail.rfind(b"PK\x05\x06")
    if at >= 0 and at + 22 <= len(tail):
        count, _size, _offset, comment = struct.unpack_from("<HIIH", tail, at + 10)
        if count and at + 22 + comment == len(tail):
            raise CannotRead(_("a zip archive behind other data"), "XC-BAD-006")
    return None


def _extent(header: bytes, data: Any, at: int, end: int) -> int:
    """How many bytes an ELF object takes that begins at ``at``; 0: it is none, but bytes that look like its magic."""
    if len(header) < 64 or header[4] not in (1, 2) or header[5] not in (1, 2) or header[6] != 1:
        return 0
    order, wide = "<" if header[5] == 1 else ">", header[4] == 2
    form = "HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"
    (kind, machine, version, _entry, phoff, shoff, _flags, size, phentsize, phnum, shentsize, shnum, _names) = (
        struct.unpack_from(order + form, header, 16)
    )
    right = version == 1 and size == (64 if wide else 52) and phentsize == (56 if wide else 32)
    left = end - at
    if machine == BPF and kind == RELOCATABLE and wide and version == 1 and size == 64 and shentsize == 64:
        return shoff + shnum * shentsize if 0 < shnum <= MOST_HEADERS and 0 < shoff <= left - shnum * shentsize else 0
    if (
        not right
        or kind not in EXECUTABLE
        or machine not in HOSTS
        or not 0 < phnum <= MOST_HEADERS
        or phoff + phnum * phentsize > left
    ):
        return 0
    # Without the sections where they lead out of what is there: they are not needed to run it.
    extent = phoff + phnum * phentsize
    sections = shoff + shnum * shentsize
    if shnum and sections <= left:
        extent = max(extent, sections)
    table = bytes(data[at + phoff : at + phoff + phnum * phentsize])
    for n in range(phnum):
        part = table[n * phentsize : (n + 1) * phentsize]
        first, length = struct.unpack_from(order + ("8xQ16xQ" if wide else "4xI8xI"), part)
        if struct.unpack_from(order + "I", part)[0] == 1 and first + length <= left:
            extent = max(extent, first + length)
    return int(extent)
