"""Archives whose members stand one after the other: zip, tar, ar, cpio."""

from __future__ import annotations

import functools
import io
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from typing import IO

from pytest_xinchuang.inspect.formats.contained import Account, CannotRead, ContainedFile, Part
from pytest_xinchuang.inspect.formats.magic import kind_of
from pytest_xinchuang.inspect.formats.streams import as_file, decompressed
from pytest_xinchuang.messages import _, told
from pytest_xinchuang.tools.ar import ar_members
from pytest_xinchuang.tools.compressed import compression


def zipped(data: bytes, account: Account) -> Iterator[ContainedFile]:
    with zipfile.ZipFile(as_file(data)) as archive:
        for info in archive.infolist():
            if info.is_dir():
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                target = archive.open(info).read(4096).decode("utf-8", "surrogateescape")
                yield ContainedFile(info.filename, None, account, link=target)
                continue
            opened = functools.partial(archive.open, info)
            yield ContainedFile(info.filename, opened, account, compressed=info.compress_size)


def tar(data: bytes, account: Account) -> Iterator[ContainedFile]:
    yield from _tar_stream(as_file(data), account)


def _tar_stream(stream: IO[bytes], account: Account) -> Iterator[ContainedFile]:
    with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as archive:
        for info in archive:
            if info.issym():
                yield ContainedFile(info.name, None, account, link=info.linkname)
            elif info.islnk():
                # The same file under another name: it was looked at under its first.
                yield ContainedFile(info.name, None, account, link="/" + info.linkname.removeprefix("./"))
            elif info.isfile():
                yield ContainedFile(info.name, lambda info=info: archive.extractfile(info), account)  # type: ignore[misc,arg-type]
            archive.members = []  # type: ignore[attr-defined]  # it would keep them all


def compressed(data: bytes, account: Account) -> Iterator[ContainedFile]:
    """A compressed stream: of a tar or cpio archive, whose members are ours, or of one file."""
    kind = compression(bytes(data[:4]))
    assert kind is not None
    yield from _inside(decompressed(data, kind, account), account)


def _inside(stream: IO[bytes], account: Account) -> Iterator[ContainedFile]:
    head = stream.peek(512)[:512]  # type: ignore[attr-defined]
    inner = kind_of(head, "")
    if inner == "tar":
        yield from _tar_stream(stream, account)
    elif inner == "cpio":
        yield from cpio(stream, account)
    else:
        yield ContainedFile("(content)", lambda: stream, account)


def ar(data: bytes, account: Account) -> Iterator[ContainedFile]:
    """A deb is an ar archive, and so is a static library."""
    try:
        for member in ar_members(data):
            content = data[member.begin : member.end]
            yield ContainedFile(member.name, lambda content=content: io.BytesIO(content), account)  # type: ignore[misc]
    except ValueError as error:
        raise CannotRead(_("damaged: {why}", why=told(error))) from error


def cpio_file(data: bytes, account: Account) -> Iterator[ContainedFile]:
    yield from cpio(as_file(data), account)


def cpio(stream: IO[bytes], account: Account) -> Iterator[ContainedFile]:
    """cpio's "new ASCII" format (cpio(5))."""
    while True:
        header = stream.read(110)
        if header[:6] not in (b"070701", b"070702"):
            raise CannotRead(_("damaged: no cpio member where one is due"))
        fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        if length > 4097:
            raise CannotRead(_("damaged: a name of {length} bytes", length=length))
        name = stream.read(length + (-(110 + length) % 4))[: length - 1].decode("utf-8", "surrogateescape")
        if name == "TRAILER!!!":
            return
        part = Part(stream, size)
        if stat.S_ISREG(mode):
            yield ContainedFile(name, lambda part=part: part, account)  # type: ignore[misc]
        elif stat.S_ISLNK(mode):
            yield ContainedFile(name, None, account, link=part.read(4096).decode("utf-8", "surrogateescape"))
        part.finish()
        stream.read(-size % 4)
