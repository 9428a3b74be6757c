"""Streams over bytes: views without a copy, and decompressing ones whose output is accounted for."""

from __future__ import annotations

import io
from typing import IO, Any

from pytest_xinchuang.core.errors import MissingDependency
from pytest_xinchuang.inspect.formats.contained import CHUNK, Account, CannotRead
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.compressed import decompressing


class Counted(io.RawIOBase):
    """A decompressing stream whose output is accounted for."""

    def __init__(self, inner: Any, account: Account, compressed: int) -> None:
        self._inner = inner
        self._account = account
        self._compressed = compressed
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._inner.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._total += len(chunk)
        self._account.expanded(len(chunk), self._total, self._compressed)
        return len(chunk)


def decompressed(data: bytes, kind: str, account: Account) -> IO[bytes]:
    raw: Any = io.BytesIO(data) if isinstance(data, bytes) else View(data)
    try:
        inner = decompressing(raw, kind)
    except MissingDependency as missing:
        told = _("compressed with zstd; to look into it: {command}", command=missing.mend)
        raise CannotRead(told, "XC-BAD-006") from None
    return io.BufferedReader(Counted(inner, account, len(data)), CHUNK)


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


def as_file(data: Any) -> IO[bytes]:
    return io.BytesIO(data) if isinstance(data, bytes) else io.BufferedReader(View(data))
