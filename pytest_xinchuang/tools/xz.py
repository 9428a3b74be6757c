"""xz streams of several blocks, decompressed by several threads (The .xz File Format 1.2.0)."""

from __future__ import annotations

import io
import lzma
import zlib
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from itertools import accumulate
from typing import IO, Any

from pytest_xinchuang.messages import _

HEADER = 12
"""Bytes of a stream's header, and of its footer."""

_AHEAD = 3
"""Blocks that are decompressed before they are asked for: one for each thread of two, and one that is being read."""

_LZMA2 = 0x21

MOST = 1 << 30
"""Bytes of one block: xz(1) writes 24 MiB, and dpkg-deb as much."""


@dataclass(frozen=True)
class Block:
    """One block of a stream: ``data[begin:end]`` is its LZMA2 data, without header and padding."""

    begin: int
    end: int
    size: int
    dictionary: int


def xz_blocks(data: Any) -> list[Block] | None:
    """The blocks of a stream; None where it is not of the plain kind that xz(1) and dpkg-deb write."""
    end = len(data)
    if bytes(data[:6]) != b"\xfd7zXZ\0" or bytes(data[end - 2 : end]) != b"YZ" or end < 2 * HEADER:
        return None
    index_size = (int.from_bytes(data[end - 8 : end - 4], "little") + 1) * 4
    at = end - HEADER - index_size
    if (
        at < HEADER
        or data[at] != 0
        or zlib.crc32(data[at : at + index_size - 4])
        != int.from_bytes(data[at + index_size - 4 : at + index_size], "little")
    ):
        return None
    check = {0: 0, 1: 4, 4: 8, 10: 32}.get(data[7] & 0xF)
    if check is None:
        return None
    count, at = _number(data, at + 1)
    if count > index_size:
        return None
    found, begin = [], HEADER
    for _record in range(count):
        unpadded, at = _number(data, at)
        size, at = _number(data, at)
        block = _block(data, begin, begin + unpadded - check, size)
        if block is None:
            return None
        found.append(block)
        begin += (unpadded + 3) // 4 * 4
    return found if begin == end - HEADER - index_size else None


def _block(data: Any, begin: int, end: int, size: int) -> Block | None:
    header = (data[begin] + 1) * 4
    flags, at = data[begin + 1], begin + 2
    if flags & 0x3F or not 0 < size <= MOST or begin + header > end:  # more than one filter, or what no version defines
        return None
    for _size in range(bool(flags & 0x40) + bool(flags & 0x80)):
        _told, at = _number(data, at)
    if bytes(data[at : at + 2]) != bytes((_LZMA2, 1)) or (bits := data[at + 2]) > 40:
        return None
    return Block(begin + header, end, size, (2 | (bits & 1)) << (bits // 2 + 11) if bits < 40 else 0xFFFFFFFF)


def _number(data: Any, at: int) -> tuple[int, int]:
    """A number of several bytes, seven bits in each, and where it ends."""
    value = 0
    for place in range(9):
        byte = data[at + place]
        value |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            return value, at + place + 1
    raise ValueError(_("a number of more than nine bytes at byte {at}", at=at))


def _plain(data: Any, block: Block) -> bytes:
    reader = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": block.dictionary}])
    found = reader.decompress(data[block.begin : block.end], block.size + 1)
    if len(found) != block.size:
        raise lzma.LZMAError(_("a block has another size than the index says"))
    return found


class Ahead(io.RawIOBase):
    """A stream whose next blocks are being decompressed while one is read: the decompressor lets go of Python's lock.

    The checks of blocks are not made: who reads has a digest of the whole.

    Raises:
        LZMAError, ValueError, IndexError: on reading, where the stream is damaged.
    """

    def __init__(self, data: Any, blocks: list[Block], pool: Executor) -> None:
        self._data, self._pool = data, pool
        self._waiting = deque(blocks)
        self._doing: deque[Future[bytes]] = deque()
        self._part = memoryview(b"")
        self._start()

    def _start(self) -> None:
        while self._waiting and len(self._doing) < _AHEAD:
            self._doing.append(self._pool.submit(_plain, self._data, self._waiting.popleft()))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._part:
            if not self._doing:
                return 0
            self._part = memoryview(self._doing.popleft().result())
            self._start()
        chunk = self._part[: len(buffer)]
        buffer[: len(chunk)] = chunk
        self._part = self._part[len(chunk) :]
        return len(chunk)

    def close(self) -> None:
        for doing in self._doing:
            doing.cancel()
        self._doing.clear()
        self._waiting.clear()
        super().close()


def decompressed_ahead(data: Any, pool: Executor) -> IO[bytes] | None:
    """A stream over what xz data hold; None where it is not of the kind that can be read by blocks."""
    try:
        blocks = xz_blocks(data)
    except (ValueError, IndexError):
        return None
    return None if blocks is None else io.BufferedReader(Ahead(data, blocks, pool), 1 << 20)


def read_spans(data: Any, spans: Sequence[tuple[int, int]], pool: Executor) -> list[bytes] | None:
    """Parts of what xz data hold, by (offset, size): no block is decompressed but those that they lie in.

    None where the data are not of the kind that can be read by blocks, or hold less.
    """
    try:
        blocks = xz_blocks(data)
    except (ValueError, IndexError):
        return None
    begins = list(accumulate((block.size for block in blocks or ()), initial=0))
    if not blocks or any(begin < 0 or begin + size > begins[-1] for begin, size in spans):
        return None
    wanted = [
        number
        for number, start in enumerate(begins[:-1])
        if any(begin < begins[number + 1] and begin + size > start for begin, size in spans)
    ]
    plain = dict(zip(wanted, pool.map(lambda number: _plain(data, blocks[number]), wanted), strict=True))
    found = []
    for begin, size in spans:
        parts = [
            plain[n][max(begin - begins[n], 0) : begin + size - begins[n]]
            for n in wanted
            if begins[n] < begin + size and begins[n + 1] > begin
        ]
        found.append(b"".join(parts))
    return found
