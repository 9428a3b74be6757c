"""Debian packages (deb(5)): what they install, unpacked without running anything of theirs."""

from __future__ import annotations

import hashlib
import io
import mmap
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.messages import Message, _, told
from pytest_xinchuang.provision.archive import unpack_package
from pytest_xinchuang.provision.debian import Package
from pytest_xinchuang.tools.ar import MAGIC, ar_members
from pytest_xinchuang.tools.compressed import DAMAGE, compression, decompressing
from pytest_xinchuang.tools.processors import processors
from pytest_xinchuang.tools.xz import decompressed_ahead, read_spans

_AHEAD = 2
"""Packages that are decompressed before it is their turn."""

_LARGE = 32 << 20
"""Bytes of a package that is not decompressed before its turn: it has blocks enough for every thread."""


def everything(_name: str) -> bool:
    """Every member is wanted."""
    return True


@dataclass(frozen=True)
class Wanted:
    """What of a package is wanted.

    Attributes:
        member: whether one is, by its name without a leading slash.
        most: files, after which nothing more is wanted; None: nobody knows how many there are.
    """

    member: Callable[[str], bool] = everything
    most: int | None = None


def threads() -> int:
    """How many threads decompress beside each other: as many as there are processors for us, and 8 at most."""
    return processors()


def unpack_all(
    packages: Sequence[tuple[Package, Path]],
    tree: Path,
    wanted: Callable[[Package], Wanted] = lambda _package: Wanted(),
) -> None:
    """Unpack packages into ``tree``, one after the other, whereas the next ones are being decompressed.

    Raises:
        DataFileError: a file is not the package that it should be by its SHA-256, or cannot be unpacked.
    """
    with ThreadPoolExecutor(threads()) as pool:
        waiting, opened = deque(packages), deque[tuple[Package, Path, _Opened]]()
        try:
            while waiting or opened:
                while waiting and len(opened) < _AHEAD and not (opened and waiting[0][0].size > _LARGE):
                    package, file = waiting.popleft()
                    opened.append((package, file, _Opened(package, file, pool)))
                package, file, data = opened.popleft()
                with data.stream() as stream:
                    what = wanted(package)
                    unpack_package(file, stream, tree, what.member, what.most)
        finally:
            for _package, _file, data in opened:
                data.close()


def read_members(package: Package, file: Path, spans: Sequence[tuple[int, int]]) -> list[bytes] | None:
    """The content of members whose (offset, size) in the package's ``data.tar`` are known, without decompressing the others.

    None where its compression does not allow that.

    Raises:
        DataFileError: as ``unpack_all``.
    """
    with ThreadPoolExecutor(threads()) as pool:
        return _Opened(package, file, None).read(spans, pool)


class _Opened:
    """A package whose digest was found to be right, and whose content is being decompressed."""

    def __init__(self, package: Package, file: Path, pool: Executor | None) -> None:
        self._file = file
        with file.open("rb") as opened:
            self._map = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) if package.size else b""
        found = hashlib.sha256(self._map).hexdigest()
        if found != package.sha256:
            raise DataFileError(
                _(
                    "{file}: SHA-256 {found}, where the package {name} has {wanted}",
                    file=file,
                    found=found,
                    name=package.name,
                    wanted=package.sha256,
                )
            )
        self._content = self._find()
        if pool is not None:
            self._stream = decompressed_ahead(self._content, pool) or pool.submit(self._whole, self._content)

    _stream: IO[bytes] | Future[bytes]

    def read(self, spans: Sequence[tuple[int, int]], pool: Executor) -> list[bytes] | None:
        """See ``read_members``."""
        try:
            return read_spans(self._content, spans, pool)
        except DAMAGE as error:
            raise self._damaged(error) from error

    def _find(self) -> memoryview:
        data = memoryview(self._map)
        try:
            if bytes(data[: len(MAGIC)]) != MAGIC:
                raise ValueError(_("it is no ar archive"))
            member = next((m for m in ar_members(data) if m.name.startswith("data.tar")), None)
        except ValueError as error:
            raise self._damaged(error) from error
        if member is None:
            raise self._damaged(ValueError(_("it has no data.tar")))
        return data[member.begin : member.end]

    def _whole(self, content: memoryview) -> bytes:
        kind = compression(bytes(content[:4]))
        if kind is None:
            return bytes(content)
        return bytes(decompressing(io.BytesIO(content), kind).read())

    def _damaged(self, error: Exception) -> DataFileError:
        return DataFileError(_("{archive}: cannot be unpacked: {why}", archive=self._file, why=_why(error)))

    @contextmanager
    def stream(self) -> Iterator[IO[bytes]]:
        stream = self._stream
        try:
            if isinstance(stream, Future):
                try:
                    stream = io.BytesIO(stream.result())
                except DAMAGE as error:
                    raise self._damaged(error) from error
            yield stream
        finally:
            stream.close() if not isinstance(stream, Future) else stream.cancel()

    def close(self) -> None:
        self._stream.cancel() if isinstance(self._stream, Future) else self._stream.close()


def read_index(data: bytes) -> str:
    """The text of a ``Packages`` file, decompressed.

    Raises:
        DataFileError: it is damaged.
    """
    kind = compression(data[:4])
    try:
        raw: Any = decompressing(io.BytesIO(data), kind).read() if kind else data
        return bytes(raw).decode("utf-8")
    except DAMAGE as error:
        raise DataFileError(_("the index of packages cannot be read: {why}", why=_why(error))) from error


def _why(error: Exception) -> Message:
    """What is wrong with a stream, in words of ours where the reader's are English."""
    match error:
        case EOFError():
            return _("it is cut off")
        case UnicodeDecodeError() | ValueError(args=(Message(),)):
            return told(error)
    return _("it is damaged: {why}", why=told(error))
