"""What a program of PyInstaller carries behind itself: libraries and modules that it unpacks when it starts."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

from pytest_xinchuang.inspect.formats.contained import CHUNK, Account, CannotRead, ContainedFile, Pieces
from pytest_xinchuang.inspect.formats.streams import pieces
from pytest_xinchuang.messages import _

COOKIE = b"MEI\x0c\x0b\x0a\x0b\x0e"
"""At the end of PyInstaller's CArchive (PyInstaller, "Advanced Topics": the CArchive); 88 bytes since 2.1, big endian."""

COOKIE_BYTES = 88
SEARCHED = 4096
"""A signature may stand behind the cookie."""

ENTRY = 18
"""Bytes of an entry of the table before its name."""


def cookie(data: Any) -> int | None:
    """Where the cookie stands, if one does."""
    begin = max(len(data) - SEARCHED, 0)
    at = bytes(data[begin:]).rfind(COOKIE)
    return begin + at if at >= 0 else None


def carchive(data: Any, account: Account) -> Iterator[ContainedFile]:
    """The files of the archive; what it says to the interpreter (options) is none.

    Raises:
        CannotRead: it is damaged, or of a version with another table.
    """
    at = cookie(data)
    if at is None or at + COOKIE_BYTES > len(data):
        raise CannotRead(_("a program of PyInstaller whose table cannot be read"), "XC-BAD-006")
    length, table, size = struct.unpack_from(">III", data, at + 8)
    begin = at + COOKIE_BYTES - length
    if begin < 0 or not ENTRY < size <= length or table + size > length:
        raise CannotRead(_("damaged: the table of PyInstaller's archive leaves the file"))
    raw = bytes(data[begin + table : begin + table + size])
    place = 0
    while place + ENTRY <= len(raw):
        entry, offset, packed, unpacked, compressed, kind = struct.unpack_from(">IIIIBc", raw, place)
        if entry < ENTRY or place + entry > len(raw) or offset + packed > length:
            raise CannotRead(_("damaged: the table of PyInstaller's archive leaves the file"))
        name = raw[place + ENTRY : place + entry].split(b"\0")[0].decode("utf-8", "surrogateescape")
        place += entry
        first = begin + offset
        if kind == b"n":
            target = zlib.decompressobj().decompress(bytes(data[first : first + packed]), 4096) if compressed else b""
            link = target or bytes(data[first : first + min(packed, 4096)])
            yield ContainedFile(name, None, account, link=link.split(b"\0")[0].decode("utf-8", "surrogateescape"))
        elif kind not in (b"o", b"d"):
            yield _file(data, name, (first, packed, unpacked), account, compressed=bool(compressed))


def _file(data: Any, name: str, place: tuple[int, int, int], account: Account, *, compressed: bool) -> ContainedFile:
    first, packed, unpacked = place

    def found() -> Iterator[bytes]:
        if not compressed:
            yield from pieces(data, first, first + packed)
            return
        stream, total = zlib.decompressobj(), 0
        for piece in pieces(data, first, first + packed):
            given = stream.decompress(piece, CHUNK)
            while given:
                total += len(given)
                yield given
                given = stream.decompress(stream.unconsumed_tail, CHUNK)
        if not stream.eof or total != unpacked:
            raise CannotRead(_("damaged: {name} does not expand to its size", name=name))

    return ContainedFile(name, lambda: Pieces(found()), account, compressed=packed if compressed else None)
