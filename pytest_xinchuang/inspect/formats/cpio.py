"""cpio archives, and the file systems that a kernel unpacks at its start."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from typing import IO, Any

from pytest_xinchuang.inspect.formats.contained import Account, CannotRead, ContainedFile, Part
from pytest_xinchuang.inspect.formats.magic import unread_format
from pytest_xinchuang.inspect.formats.streams import as_file, behind_zeros, decompressed
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.compressed import compression

MAGIC = (b"070701", b"070702")
MOST_PENDING = 100_000
"""Names of hard links whose content has not come yet."""


def cpio(stream: IO[bytes], account: Account) -> Iterator[ContainedFile]:
    """cpio's "new ASCII" format (cpio(5)), up to its trailer."""
    pending: dict[tuple[int, int, int], list[str]] = {}
    names = 0
    while True:
        header = stream.read(110)
        if header[:6] not in MAGIC:
            raise CannotRead(_("damaged: no cpio member where one is due"))
        fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        if length > 4097:
            raise CannotRead(_("damaged: a name of {length} bytes", length=length))
        name = stream.read(length + (-(110 + length) % 4))[: length - 1].decode("utf-8", "surrogateescape")
        if name == "TRAILER!!!":
            # A file of several names whose content never came is empty.
            for first, *others in filter(None, pending.values()):
                yield from _linked(first, others, account)
            return
        part = Part(stream, size)
        if stat.S_ISREG(mode):
            # Of a file with several names, the last member alone has the content.
            inode = (fields[0], fields[7], fields[8])
            others = pending.setdefault(inode, []) if fields[4] > 1 else []
            if fields[4] > 1 and not size and names < MOST_PENDING:
                names += 1
                others.append(name)
            else:
                opened: Callable[[], IO[bytes]] = lambda part=part: part  # type: ignore[misc]  # noqa: E731
                yield ContainedFile(name, opened, account, mode=stat.S_IMODE(mode), shared=True)
                yield from _linked(name, pending.pop(inode, []), account)
        elif stat.S_ISLNK(mode):
            yield ContainedFile(name, None, account, link=part.read(4096).decode("utf-8", "surrogateescape"))
        part.finish()
        stream.read(-size % 4)


def _linked(name: str, others: list[str], account: Account) -> Iterator[ContainedFile]:
    for other in others:
        yield ContainedFile(other, None, account, link="/" + name.removeprefix("./").lstrip("/"))


def initrd(data: Any, account: Account) -> Iterator[ContainedFile]:
    """Archives behind one another, each plain or compressed, with zeros between (Linux, "initramfs buffer format").

    Raises:
        CannotRead: something else stands among them.
    """
    at = 0
    while at < len(data):
        head = bytes(data[at : at + 512])
        kind = compression(head[:4]) or ("lzma" if head[:3] == b"\x5d\0\0" else None)
        if head[:6] in MAGIC:
            stream = as_file(data, at)
            yield from cpio(stream, account)
            at = behind_zeros(data, stream.tell())
        elif kind is not None:
            stream = decompressed(data, kind, account, at)
            while _more(stream):
                yield from cpio(stream, account)
            at = behind_zeros(data, stream.raw.end)  # type: ignore[attr-defined]
        else:
            closed = unread_format(head)
            if closed is not None:
                told = _("{closed}, which is not read here, behind byte {at}", closed=closed, at=at)
                raise CannotRead(told, "XC-BAD-006")
            raise CannotRead(_("data of no kind that is known here, behind byte {at}", at=at), "XC-BAD-006")


def _more(stream: IO[bytes]) -> bool:
    """Whether anything but zeros is left; the stream stands before it."""
    while head := stream.peek(512)[:512]:  # type: ignore[attr-defined]
        rest = len(head) - len(head.lstrip(b"\0"))
        if rest < len(head):
            stream.read(rest)
            return True
        stream.read(len(head))
    return False
