"""A file of a container, who bounds how much is read of it, and what a reader raises."""

from __future__ import annotations

import io
import lzma
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, Protocol

from pytest_xinchuang.messages import Message, _, told
from pytest_xinchuang.tools.process import Runner

CHUNK = 1 << 20


class TooMuch(Exception):
    """A bound of the walk was reached."""

    def __init__(self, text: Message) -> None:
        super().__init__(text)


class CannotRead(Exception):
    """A container or member that cannot be read; ``code`` is its XC-BAD code."""

    def __init__(self, text: Message, code: str = "XC-BAD-002") -> None:
        super().__init__(text)
        self.code = code


class Account(Protocol):
    """Who bounds the walk, and runs programs for it."""

    runner: Runner

    def expanded(self, size: int, so_far: int, compressed: int) -> None: ...


class ContainedFile:
    """One file of a container. ``peek`` before ``chunks``; each is read once.

    Attributes:
        link: where it leads, if it is a symbolic link; a hard link leads to a path that begins with ``/``, the
            container's root.
        mode: its permission bits; None where the container has none.
        shared: others read on from the same stream: it is not to be closed.
    """

    def __init__(
        self,
        name: str,
        stream: Callable[[], IO[bytes]] | None,
        account: Account,
        *,
        link: str | None = None,
        compressed: int | None = None,
        mode: int | None = None,
        shared: bool = False,
    ) -> None:
        self.name = name
        self.link = link
        self.mode = mode
        self.shared = shared
        self._open = stream
        self._account = account
        self._compressed = compressed
        self._stream: IO[bytes] | None = None
        self._head = b""

    def peek(self, size: int) -> bytes:
        assert self._open is not None
        with translated():
            self._stream = self._open()
            self._head = self._stream.read(size) or b""
        return self._head

    def chunks(self) -> Iterator[bytes]:
        assert self._stream is not None
        total = len(self._head)
        yield self._head
        with translated():
            while chunk := self._stream.read(CHUNK):
                total += len(chunk)
                if self._compressed is not None:
                    self._account.expanded(len(chunk), total, self._compressed)
                yield chunk

    def close(self) -> None:
        if self._stream is not None and not self.shared:
            self._stream.close()


class translated:  # noqa: N801  (a context manager that reads as a word)
    """Whatever a decompressor or archive reader raises on damaged input, as CannotRead."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None or isinstance(error, (CannotRead, TooMuch)) or not isinstance(error, Exception):
            return
        # zipfile raises these for compressions that it does not know, and for encrypted members.
        if type(error) in (NotImplementedError, RuntimeError):
            raise CannotRead(
                _("encrypted, or of an unsupported compression: {why}", why=told(error)), "XC-BAD-006"
            ) from error
        # What zstandard raises is no ValueError, and the name of its module differs between versions.
        zstd = getattr(sys.modules.get("zstandard"), "ZstdError", ())
        if isinstance(error, (_DAMAGE, zstd)):
            raise CannotRead(_("damaged: {error}", error=error)) from error


_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    struct.error,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    RuntimeError,
    OverflowError,
)


class Part(io.RawIOBase):
    """The next ``size`` bytes of a stream."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        chunk = self._stream.read(wanted)
        if wanted and not chunk:
            raise CannotRead(_("damaged: cut off"))
        self._left -= len(chunk)
        return chunk

    def finish(self) -> None:
        while self._left:
            self.read(CHUNK)


class Pieces(io.BufferedReader):
    """A stream of what an iterator gives."""

    def __init__(self, found: Iterator[bytes]) -> None:
        super().__init__(_Pieces(found))


class _Pieces(io.RawIOBase):
    def __init__(self, found: Iterator[bytes]) -> None:
        self._found = found
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._found, None)
            if piece is None:
                return 0
            self._left = piece
        chunk, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)
