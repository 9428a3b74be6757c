"""Streams over bytes: views without a copy, and decompressing ones that are accounted for and know where they end."""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

from pytest_xinchuang.core.errors import MissingDependency
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.inspect.formats.contained import CHUNK, Account, CannotRead
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.compressed import compression

FED = 256 << 10
"""Bytes of a compressed stream that are handed to its decompressor at once."""

FED_ZSTD = 2048
"""zstandard gives all that its input expands to at once, up to 128 KiB for four bytes."""


class View(io.RawIOBase):
    """A seekable stream over a memory map, without a copy of it."""

    def __init__(self, data: Any) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, len(self._data))[whence]
        self._at = max(base + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        chunk = self._data[self._at : self._at + len(buffer)]
        buffer[: len(chunk)] = chunk
        self._at += len(chunk)
        return len(chunk)


def as_file(data: Any, at: int = 0) -> IO[bytes]:
    """A stream over ``data`` that stands at byte ``at``."""
    file: IO[bytes] = io.BytesIO(data) if isinstance(data, bytes) else io.BufferedReader(View(data))
    file.seek(at)
    return file


class Chained(io.RawIOBase):
    """What was read of a stream already, and the rest of it."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = head
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._head[: len(buffer)]
        self._head = self._head[len(chunk) :]
        chunk = chunk or self._rest.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _Zstd:
    """zstandard's decompressor with the interface that lzma's and bz2's have."""

    def __init__(self) -> None:
        with optional("inspect"):
            import zstandard

        self._inner = zstandard.ZstdDecompressor(max_window_size=1 << 27).decompressobj()
        self._kept = b""
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof) and not self._kept

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)

    def decompress(self, data: bytes, most: int) -> bytes:
        kept = self._kept or bytes(self._inner.decompress(data) if data else b"")
        self._kept = kept[most:]
        self.needs_input = not self._kept
        return kept[:most]


class _Gzip:
    """zlib's decompressor with the interface that lzma's and bz2's have."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, most: int) -> bytes:
        given = self._inner.decompress(self._inner.unconsumed_tail + data, most)
        # What was given up to the bound may not be all that its input expands to.
        self.needs_input = not self._inner.unconsumed_tail and len(given) < most
        return given


_DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    "gzip": _Gzip,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE),
    "bzip2": bz2.BZ2Decompressor,
    "zstd": _Zstd,
}


class Decompressed(io.RawIOBase):
    """What the frames of one compression that stand behind one another expand to; accounted for.

    Attributes:
        end: where the last frame that was read wholly ends. Once nothing more is given, whatever stands behind it but zeros is
            not of that compression.
    """

    def __init__(self, data: Any, kind: str, account: Account, begin: int = 0) -> None:
        self._data = data
        self._kind = kind
        self._account = account
        self._begin = self._at = self.end = begin
        self._fed = FED_ZSTD if kind == "zstd" else FED
        self._total = 0
        try:
            self._frame: Any = _DECOMPRESSORS[kind]()
        except MissingDependency as missing:
            told = _("compressed with zstd; to look into it: {command}", command=missing.mend)
            raise CannotRead(told, "XC-BAD-006") from None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._frame.eof and not self._next_frame():
                return 0
            chunk = b""
            if self._frame.needs_input:
                chunk = bytes(self._data[self._at : self._at + self._fed])
                self._at += len(chunk)
                if not chunk:
                    raise CannotRead(_("damaged: cut off"))
            given = self._frame.decompress(chunk, len(buffer))
            if given:
                buffer[: len(given)] = given
                self._total += len(given)
                self._account.expanded(len(given), self._total, self._at - self._begin)
                return len(given)

    def _next_frame(self) -> bool:
        self.end = self._at = self._at - len(self._frame.unused_data)
        # Multiples of four zeros may stand between the streams of an xz file, and any number between those of gzip.
        at = behind_zeros(self._data, self.end)
        if compression(bytes(self._data[at : at + 4])) != self._kind:
            self._frame = _Ended()
            return False
        self._frame = _DECOMPRESSORS[self._kind]()
        self._at = at
        return True


class _Ended:
    """Behind the last frame."""

    eof = True
    unused_data = b""


def decompressed(data: Any, kind: str, account: Account, begin: int = 0) -> IO[bytes]:
    """A stream of what the compressed bytes from ``begin`` on expand to; its ``raw`` is the :class:`Decompressed`."""
    return io.BufferedReader(Decompressed(data, kind, account, begin), CHUNK)


def behind_zeros(data: Any, at: int) -> int:
    """The first byte from ``at`` on that is not zero; the length of the data if there is none."""
    for begin in range(at, len(data), CHUNK):
        chunk = bytes(data[begin : begin + CHUNK])
        rest = chunk.lstrip(b"\0")
        if rest:
            return begin + len(chunk) - len(rest)
    return len(data)


def pieces(data: Any, begin: int, end: int) -> Iterator[bytes]:
    """The bytes of a range, in pieces."""
    for at in range(begin, end, CHUNK):
        yield bytes(data[at : min(at + CHUNK, end)])
