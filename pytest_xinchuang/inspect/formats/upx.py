"""Programs that UPX packed: what is mapped from the file is a decompressor, and the program stands behind it, compressed.

The format was read from UPX 4.2's sources (p_lx_elf.cpp, p_unix.cpp, filter/ctok.h, filter/ct.h) and from UCL's documentation.
"""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from pytest_xinchuang.inspect.formats.contained import Account, CannotRead
from pytest_xinchuang.inspect.formats.entropy import looks_encrypted
from pytest_xinchuang.inspect.formats.nrv import nrv
from pytest_xinchuang.inspect.formats.unfilter import unfiltered
from pytest_xinchuang.inspect.formats.upx_library import Broken, first_block, rebuilt
from pytest_xinchuang.messages import Message, _, verbatim

MAGIC = b"UPX!"
TAIL = 2 * 4096 + 73
"""Where UPX itself looks for its last header."""

MOST_UNPACKED = 256 << 20
MOST_RATIO = 250
"""Of a library to its packed file: its room is made before its blocks are read."""
MOST_NRV = 24 << 20
"""Compressed bytes of UCL's methods that are expanded here, at about 1 MiB a second; the others are many times as fast."""

MOST_ATTEMPTS = 4096
"""Places at which the number may stand with which a block begins; of a few zeros there are many."""

BLOCK = 12
NRV = {2: "b", 3: "b", 5: "d", 6: "d", 8: "e", 9: "e"}
LZMA, DEFLATE = 14, 15


class CannotUnpack(CannotRead):
    def __init__(self, why: Message) -> None:
        super().__init__(_("packed by UPX, and cannot be unpacked here: {why}", why=why), "XC-BAD-011")


def is_packed(data: Any) -> bool:
    """Whether an ELF object is what UPX made: its mark stands behind the program headers, or in its header at the end."""
    return _info(data) is not None or _tail(data) is not None


def is_code_packed(data: Any) -> bool:
    """Whether what an object's headers name as code is none: UPX made it, or another packer."""
    if len(data) < 64 or bytes(data[:4]) != b"\x7fELF":
        return False
    try:
        return is_packed(data) or looks_encrypted(data) is not None
    except struct.error:
        return False


def _headers(data: Any) -> tuple[str, bool, int, int, int]:
    """Byte order, whether it is of 64 bits, and where the program headers are, their size and number."""
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    phoff = struct.unpack_from(order + ("Q" if wide else "I"), data, 32 if wide else 28)[0]
    phentsize, phnum = struct.unpack_from(order + "HH", data, 54 if wide else 42)
    return order, wide, phoff, phentsize, phnum


def _info(data: Any) -> int | None:
    """Where UPX's l_info begins: behind the program headers, some versions with twelve blank bytes between."""
    if len(data) < 64:
        return None
    _order, _wide, phoff, phentsize, phnum = _headers(data)
    end = phoff + phentsize * phnum
    near = bytes(data[end : end + 64])
    at = near.find(MAGIC)
    return end + at - 4 if at >= 4 else None


def _tail(data: Any) -> int | None:
    """Where UPX's last header begins, by its own check sum (packhead.cpp)."""
    begin = max(len(data) - TAIL, 0)
    tail = bytes(data[begin:])
    at = tail.rfind(MAGIC)
    header = tail[at : at + 32]
    return begin + at if at >= 0 and len(header) == 32 and sum(header[4:31]) % 251 == header[31] else None


def unpacked(data: Any, account: Account) -> bytes:
    """The program that is mapped once the decompressor is done: all that its segments load; and what stands between them and
    behind them, the section headers among it, where that was packed too.

    Raises:
        CannotRead: it is damaged, or of a variant that is not known here.
        TooMuch: a bound was reached.
    """
    order, wide, _phoff, _size, _n = _headers(data)
    info = _info(data)
    tail = _tail(data)
    if tail is None:
        raise CannotUnpack(_("its last header is not there: it is cut off, or was changed"))
    try:
        first = info + 12 if info is not None else first_block(data, tail)
    except Broken as error:
        raise CannotUnpack(error.what) from error
    total, block = struct.unpack_from(order + "II", data, first + 4)
    if not 0 < total <= MOST_UNPACKED or not block:
        raise CannotUnpack(_("{n} bytes, at most {most} are unpacked", n=total, most=MOST_UNPACKED))
    if info is None and total > len(data) * MOST_RATIO:
        raise CannotUnpack(_("{n} bytes, at most {most} are unpacked", n=total, most=len(data) * MOST_RATIO))
    blocks = _Blocks(data, order, first + 12, min(block, MOST_UNPACKED), account)
    if info is None:
        try:
            return _without_sections(bytearray(rebuilt(data, first, total, blocks.read)), wide=wide)
        except Broken as error:
            raise CannotUnpack(error.what) from error
    head = blocks.read()
    if bytes(head[:6]) != bytes(data[:6]) or bytes(head[16:20]) != bytes(data[16:20]) or len(head) < 64:
        raise CannotUnpack(_("it begins with no header of the same machine"))
    out = bytearray()
    for number, (first, size) in enumerate(_loads(head, order, wide=wide)):
        if first + size > total:
            raise CannotUnpack(_("a segment leaves the program"))
        content = head if not number else b""
        parts, have = [content], len(content)
        while have < size:
            parts.append(blocks.read())
            have += len(parts[-1])
        if have != size:
            raise CannotUnpack(_("its blocks are not those of its segments"))
        out += bytes(max(first + size - len(out), 0))
        out[first : first + size] = b"".join(parts)
    if not out:
        raise CannotUnpack(_("it begins with no header of the same machine"))
    if _filled(out, _gaps(list(_loads(head, order, wide=wide)), total), blocks, tail):
        return bytes(out)
    return _without_sections(out, wide=wide)


def _gaps(loads: list[tuple[int, int]], total: int) -> list[tuple[int, int]]:
    """Begin and size of what stands in the file behind each segment, up to the next one or the end."""
    ends = [(first + size, min([f for f, _size in loads if f >= first + size] + [total])) for first, size in loads]
    return [(begin, end - begin) for begin, end in ends if end > begin]


def _filled(out: bytearray, gaps: list[tuple[int, int]], blocks: _Blocks, tail: int) -> bool:
    """Put in what no segment loads: its blocks stand behind the decompressor, and behind them one that ends them (pack3)."""
    if not gaps or not blocks.seek(gaps[0][1], [size for _begin, size in gaps], tail):
        return False
    try:
        for begin, size in gaps:
            parts: list[bytes] = []
            while sum(len(part) for part in parts) < size:
                parts.append(blocks.read())
            out += bytes(max(begin + size - len(out), 0))
            out[begin : begin + size] = b"".join(parts)
    except CannotUnpack:
        return False
    return True


def _without_sections(out: bytearray, *, wide: bool) -> bytes:
    """Where what is not loaded was not unpacked: the section headers are among it."""
    where, names = (40, 58) if wide else (32, 46)
    out[where : where + (8 if wide else 4)] = bytes(8 if wide else 4)
    out[names : names + 6] = bytes(6)
    return bytes(out)


def _loads(head: bytes, order: str, *, wide: bool) -> Iterator[tuple[int, int]]:
    """Offset and size in the file of what is loaded."""
    _o, _w, phoff, phentsize, phnum = _headers(head)
    if phentsize != (56 if wide else 32) or phoff + phentsize * phnum > len(head):
        raise CannotUnpack(_("it begins with no header of the same machine"))
    for n in range(phnum):
        at = phoff + n * phentsize
        if struct.unpack_from(order + "I", head, at)[0] == 1:
            first, size = struct.unpack_from(order + ("8xQ16xQ" if wide else "4xI8xI"), head, at)
            yield first, size


class _Blocks:
    """The compressed blocks, one after the other."""

    def __init__(self, data: Any, order: str, at: int, most: int, account: Account) -> None:
        self._data = data
        self._order = order
        self._at = at
        self._most = most
        self._account = account
        self._total = self._slow = 0
        self._begin = at

    def seek(self, first: int, sizes: list[int], limit: int) -> bool:
        """Go to blocks further on that have these sizes, and before ``limit`` the one that ends them; whether they are there.

        Args:
            first: bytes that the first of them gives, unless it is larger than a block.
        """
        wanted = struct.pack(self._order + "I", min(first, self._most))
        at = self._data.find(wanted, self._at, limit)
        for _attempt in range(MOST_ATTEMPTS):
            if at < 0:
                return False
            if self._fits(at, sizes, limit):
                self._at = at
                return True
            at = self._data.find(wanted, at + 1, limit)
        return False

    def _fits(self, at: int, sizes: list[int], limit: int) -> bool:
        for size in sizes:
            left = size
            while left > 0:
                if at + BLOCK > limit:
                    return False
                plain, packed = struct.unpack_from(self._order + "II", self._data, at)
                if not 0 < packed <= plain <= left:
                    return False
                at += BLOCK + packed
                left -= plain
        return at + BLOCK <= limit and bytes(self._data[at : at + 8]) == bytes(4) + MAGIC

    def read(self) -> bytes:
        if self._at + BLOCK > len(self._data):
            raise CannotUnpack(_("it is cut off"))
        plain, packed, method, kind, parameter = struct.unpack_from(self._order + "IIBBB", self._data, self._at)
        self._at += BLOCK
        if not 0 < packed <= plain <= self._most or self._at + packed > len(self._data):
            raise CannotUnpack(_("a block of {n} bytes from {packed}", n=plain, packed=packed))
        raw = bytes(self._data[self._at : self._at + packed])
        self._at += packed
        self._total += plain
        self._account.expanded(plain, self._total, self._at - self._begin)
        if packed == plain:
            return raw
        content = self._expanded(raw, plain, method)
        if len(content) != plain:
            raise CannotUnpack(_("a block of {n} bytes from {packed}", n=len(content), packed=packed))
        if not kind:
            return content
        done = unfiltered(content, kind, parameter)
        if done is None:
            raise CannotUnpack(_("filter {number}", number=verbatim(hex(kind))))
        return done

    def _expanded(self, raw: bytes, size: int, method: int) -> bytes:
        try:
            if method in NRV:
                self._slow += len(raw)
                if self._slow > MOST_NRV:
                    raise CannotUnpack(_("more than {value} MiB that expand slowly", value=MOST_NRV >> 20))
                return nrv(raw, size, NRV[method], wide=method in (2, 5, 8))
            if method == LZMA:
                # UPX has the properties of LZMA in two bytes of its own (compress_lzma.cpp).
                properties = {"lc": raw[1] & 15, "lp": raw[1] >> 4, "pb": raw[0] & 7, "dict_size": max(size, 4096)}
                decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, **properties}])
                return decoder.decompress(raw[2:], size)
            if method == DEFLATE:
                return zlib.decompressobj(-15).decompress(raw, size)
        except (IndexError, ValueError, zlib.error, lzma.LZMAError) as error:
            raise CannotUnpack(_("a damaged block")) from error
        raise CannotUnpack(_("compression {number}", number=method))
