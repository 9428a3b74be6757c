"""Squashfs images (Linux, Documentation/filesystems/squashfs.rst), as snaps and AppImages are.

Images of zlib, xz and zstd are read here; those of lz4, lzo and lzma by unsquashfs.
"""

from __future__ import annotations

import lzma
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pytest_xinchuang.core.errors import MissingDependency
from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.inspect.formats.contained import Account, CannotRead, ContainedFile, Pieces, TooMuch
from pytest_xinchuang.inspect.formats.unsquashfs import unsquashed
from pytest_xinchuang.messages import _

MAGIC = b"hsqs"
SUPERBLOCK = 96
METADATA = 8192
ZLIB, XZ, ZSTD = 1, 4, 6
DIRECTORY, FILE, LINK = 1, 2, 3
EXTENDED = 7
"""What is added to the type of an inode of the longer form."""

MOST_BLOCKS = 4 << 20
MOST_DIRECTORY = 256 << 20
MOST_ENTRIES = 1_000_000
NO_FRAGMENT = 0xFFFFFFFF
ALIKE = 64


def squashfs_image(data: Any, account: Account) -> Iterator[ContainedFile]:
    """The files of an image, or of the one that an AppImage carries behind its program."""
    begin = squashfs_offset(data)
    if begin is None:
        raise CannotRead(_("an AppImage without the squashfs that belongs to it"))
    (compression,) = struct.unpack_from("<H", data, begin + 20)
    if compression in (ZLIB, XZ, ZSTD):
        yield from _Squashfs(data, begin, compression, account).files()
    else:
        yield from unsquashed(data, begin, account)


def squashfs_offset(data: Any) -> int | None:
    if bytes(data[:4]) == MAGIC:
        return 0
    # Behind the ELF program: the end of its section headers, else the magic itself.
    (shoff,) = struct.unpack_from("<Q", data, 40)
    shentsize, shnum = struct.unpack_from("<HH", data, 58)
    end = shoff + shentsize * shnum
    if bytes(data[end : end + 4]) == MAGIC:
        return int(end)
    found = data.find(MAGIC, 64)
    return found if found >= 0 else None


@dataclass(frozen=True)
class _File:
    start: int
    size: int
    blocks: tuple[int, ...]
    fragment: int
    within: int


class _Squashfs:
    def __init__(self, data: Any, begin: int, compression: int, account: Account) -> None:
        self.data = data
        self.begin = begin
        self.compression = compression
        self.account = account
        fields = struct.unpack_from("<4sIIIIHHHHHHQQQQQQQQ", data, begin)
        self.block, self.fragments, self.root, self.used = fields[3], fields[4], fields[11], fields[12]
        self.inodes, self.directories, self.fragment_table = fields[15], fields[16], fields[17]
        if (fields[9], fields[10]) != (4, 0) or not 4096 <= self.block <= 1 << 20 or self.block & self.block - 1:
            raise CannotRead(_("a squashfs of another version than 4.0, or a damaged one"))
        if begin + self.used > len(data):
            raise CannotRead(_("damaged: cut off"))
        self.entries = 0
        self._zstd: Any = None
        if compression == ZSTD:
            try:
                with optional("inspect"):
                    import zstandard
            except MissingDependency as missing:
                told = _("compressed with zstd; to look into it: {command}", command=missing.mend)
                raise CannotRead(told, "XC-BAD-006") from None
            self._zstd = zstandard.ZstdDecompressor(max_window_size=1 << 27)
        self.metadata = lru_cache(ALIKE)(self._metadata)
        self.fragment = lru_cache(4)(self._fragment)

    def _raw(self, at: int, size: int) -> bytes:
        if at < 0 or at + size > self.used:
            raise CannotRead(_("damaged: an extent leaves the image"))
        return bytes(self.data[self.begin + at : self.begin + at + size])

    def _expanded(self, raw: bytes, most: int) -> bytes:
        self.account.expanded(0, 0, 1)  # whether there is time left
        if self.compression == ZLIB:
            return zlib.decompressobj().decompress(raw, most)
        if self.compression == XZ:
            return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=256 << 20).decompress(raw, most)
        found: bytes = self._zstd.decompress(raw, max_output_size=most)
        return found

    def _metadata(self, at: int) -> tuple[bytes, int]:
        """One block of metadata, and where the next begins."""
        (header,) = struct.unpack("<H", self._raw(at, 2))
        size = header & 0x7FFF
        raw = self._raw(at + 2, size)
        content = raw if header & 0x8000 else self._expanded(raw, METADATA)
        if not size or not content or len(content) > METADATA:
            raise CannotRead(_("damaged: a block of metadata of {n} bytes", n=len(content)))
        return content, at + 2 + size

    def _fragment(self, number: int) -> bytes:
        if number >= self.fragments:
            raise CannotRead(_("damaged: an extent leaves the image"))
        (place,) = struct.unpack("<Q", self._raw(self.fragment_table + 8 * (number // 512), 8))
        entry = _Reader(self, place, 16 * (number % 512)).take(16)
        start, size = struct.unpack_from("<QI", entry)
        return self._block(start, size)

    def _block(self, start: int, size: int) -> bytes:
        raw = self._raw(start, size & 0xFFFFFF)
        content = raw if size & 1 << 24 else self._expanded(raw, self.block)
        if len(content) > self.block:
            raise CannotRead(_("damaged: a block of {n} bytes", n=len(content)))
        return content

    def _inode(self, reference: int) -> tuple[int, int, _Reader]:
        """Type, permission bits, and the reader of the rest."""
        reader = _Reader(self, self.inodes + (reference >> 16), reference & 0xFFFF)
        kind, mode = struct.unpack_from("<HH", reader.take(16))
        return kind, mode, reader

    def files(self) -> Iterator[ContainedFile]:
        stack = [("", self.root)]
        seen: set[int] = set()
        while stack:
            path, reference = stack.pop()
            if reference in seen:
                raise CannotRead(_("damaged: a directory that is in itself"))
            seen.add(reference)
            kind, _mode, reader = self._inode(reference)
            directories = []
            for name, child, basic in self._listed(kind, reader):
                inside = f"{path}{name}"
                if basic == DIRECTORY:
                    directories.append((f"{inside}/", child))
                elif basic in (FILE, LINK):
                    yield self._member(inside, child)
            stack += reversed(directories)

    def _listed(self, kind: int, reader: _Reader) -> Iterator[tuple[str, int, int]]:
        """Name, inode and type of what is in a directory."""
        if kind == DIRECTORY:
            start, _links, size, offset, _parent = struct.unpack("<IIHHI", reader.take(16))
        elif kind == DIRECTORY + EXTENDED:
            _links, size, start, _parent, _index, offset, _attributes = struct.unpack("<IIIIHHI", reader.take(24))
        else:
            raise CannotRead(_("damaged: no directory where one is due"))
        left = size - 3  # "." and ".." are counted, and not there
        if left > MOST_DIRECTORY:
            raise CannotRead(_("damaged: a directory of {n} bytes", n=size))
        listing = _Reader(self, self.directories + start, offset)
        while left > 0:
            count, block, _number = struct.unpack("<III", listing.take(12))
            left -= 12
            if count >= 256:
                raise CannotRead(_("damaged: a directory of {n} bytes", n=size))
            for _rest in range(count + 1):
                place, _difference, basic, length = struct.unpack("<HhHH", listing.take(8))
                name = listing.take(length + 1).decode("utf-8", "surrogateescape")
                left -= 9 + length
                self.entries += 1
                if self.entries > MOST_ENTRIES:
                    raise TooMuch(_("more than {members} files", members=MOST_ENTRIES))
                yield name, block << 16 | place, basic

    def _member(self, name: str, reference: int) -> ContainedFile:
        kind, mode, reader = self._inode(reference)
        if kind in (LINK, LINK + EXTENDED):
            _links, size = struct.unpack("<II", reader.take(8))
            if size > 65536:
                raise CannotRead(_("damaged: a name of {length} bytes", length=size))
            target = reader.take(size).decode("utf-8", "surrogateescape")
            return ContainedFile(name, None, self.account, link=target)
        if kind == FILE:
            start, fragment, within, size = struct.unpack("<IIII", reader.take(16))
        elif kind == FILE + EXTENDED:
            start, size, _sparse, _links, fragment, within, _attributes = struct.unpack("<QQQIIII", reader.take(40))
        else:
            raise CannotRead(_("damaged: no file where one is due"))
        count = size // self.block if fragment != NO_FRAGMENT else -(-size // self.block)
        if count > MOST_BLOCKS:
            raise CannotRead(_("damaged: a file of {n} bytes", n=size))
        blocks = struct.unpack(f"<{count}I", reader.take(4 * count))
        file = _File(start, size, blocks, fragment, within)
        bits = stat.S_IMODE(mode)
        return ContainedFile(
            name, lambda: Pieces(self._content(file)), self.account, compressed=len(self.data), mode=bits
        )

    def _content(self, file: _File) -> Iterator[bytes]:
        at, left = file.start, file.size
        for size in file.blocks:
            wanted = min(left, self.block)
            content = self._block(at, size) if size else bytes(wanted)
            if len(content) != wanted:
                raise CannotRead(_("damaged: a block of {n} bytes", n=len(content)))
            at += size & 0xFFFFFF
            left -= wanted
            yield content
        if left:
            content = self.fragment(file.fragment)[file.within : file.within + left]
            if len(content) != left:
                raise CannotRead(_("damaged: a block of {n} bytes", n=len(content)))
            yield content


class _Reader:
    """Reads metadata on from one place, over the ends of blocks."""

    def __init__(self, image: _Squashfs, at: int, offset: int) -> None:
        self._image = image
        self._content, self._next = image.metadata(at)
        self._offset = offset

    def take(self, size: int) -> bytes:
        found = self._content[self._offset : self._offset + size]
        self._offset += len(found)
        if len(found) == size:
            return found
        parts, have = [found], len(found)
        while have < size:
            self._content, self._next = self._image.metadata(self._next)
            part = self._content[: size - have]
            self._offset = len(part)
            parts.append(part)
            have += len(part)
        return b"".join(parts)
