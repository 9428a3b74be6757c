"""Archives whose members stand one after the other: zip, tar, ar; and compressed streams of them."""

from __future__ import annotations

import functools
import io
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from typing import IO

from pytest_xinchuang.inspect.formats.contained import CHUNK, Account, CannotRead, ContainedFile
from pytest_xinchuang.inspect.formats.cpio import initrd
from pytest_xinchuang.inspect.formats.magic import kind_of
from pytest_xinchuang.inspect.formats.streams import Chained, as_file, behind_zeros, decompressed
from pytest_xinchuang.messages import _, told
from pytest_xinchuang.tools.ar import ar_members
from pytest_xinchuang.tools.compressed import compression


def zipped(data: bytes, account: Account) -> Iterator[ContainedFile]:
    with zipfile.ZipFile(as_file(data)) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            mode = info.external_attr >> 16
            if stat.S_ISLNK(mode):
                target = archive.open(info).read(4096).decode("utf-8", "surrogateescape")
                yield ContainedFile(info.filename, None, account, link=target)
                continue
            opened = functools.partial(archive.open, info)
            bits = stat.S_IMODE(mode) if mode else None
            yield ContainedFile(info.filename, opened, account, compressed=info.compress_size, mode=bits)


def tar(data: bytes, account: Account) -> Iterator[ContainedFile]:
    yield from _tar_stream(as_file(data), account)


def _tar_stream(stream: IO[bytes], account: Account) -> Iterator[ContainedFile]:
    """An archive, and those that stand behind its end: ``tar --ignore-zeros`` and loaders of layers unpack them."""
    rest: IO[bytes] | None = stream
    while rest is not None:
        with tarfile.open(fileobj=rest, mode="r|", errorlevel=2) as archive:
            for info in archive:
                if info.issym():
                    yield ContainedFile(info.name, None, account, link=info.linkname)
                elif info.islnk():
                    # The same file under another name: it was looked at under its first.
                    yield ContainedFile(info.name, None, account, link="/" + info.linkname.removeprefix("./"))
                elif info.isfile():
                    opened = functools.partial(archive.extractfile, info)
                    yield ContainedFile(info.name, opened, account, mode=stat.S_IMODE(info.mode))  # type: ignore[arg-type]
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
            rest = _behind_end(archive.fileobj)  # type: ignore[arg-type]


def _behind_end(stream: IO[bytes]) -> IO[bytes] | None:
    """The archive behind the zeros that end one; None where there are zeros alone.

    Raises:
        CannotRead: there is something else: a header in the middle is damaged, or something hides there.
    """
    while chunk := stream.read(CHUNK):
        at = behind_zeros(chunk, 0)
        if at == len(chunk):
            continue
        block = chunk[at - at % 512 :] + stream.read(512)
        if kind_of(block, "") != "tar":
            raise CannotRead(_("damaged: there are data behind the end of the archive"))
        return io.BufferedReader(Chained(block, stream))
    return None


def compressed(data: bytes, account: Account) -> Iterator[ContainedFile]:
    """A compressed stream: of a tar archive, whose members are ours, of an initrd, or of one file."""
    kind = compression(bytes(data[:4]))
    assert kind is not None
    stream = decompressed(data, kind, account)
    head = stream.peek(512)[:512]  # type: ignore[attr-defined]
    inner = kind_of(head, "")
    if inner == "cpio":
        yield from initrd(data, account)
        return
    if inner == "tar":
        yield from _tar_stream(stream, account)
    else:
        yield ContainedFile("(content)", lambda: stream, account, shared=True)
    while stream.read(CHUNK):
        pass
    if behind_zeros(data, end := stream.raw.end) < len(data):  # type: ignore[attr-defined]
        raise CannotRead(_("{n} bytes behind its compressed stream", n=len(data) - end))


def ar(data: bytes, account: Account) -> Iterator[ContainedFile]:
    """A deb is an ar archive, and so is a static library."""
    try:
        for member in ar_members(data):
            content = data[member.begin : member.end]
            yield ContainedFile(member.name, lambda content=content: io.BytesIO(content), account)  # type: ignore[misc]
    except ValueError as error:
        raise CannotRead(_("damaged: {why}", why=told(error))) from error
