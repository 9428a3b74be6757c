"""ISO 9660 images: installation media, and AppImages of type 1. With the names and links of Rock Ridge, or those of Joliet."""

from __future__ import annotations

import itertools
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from pytest_xinchuang.inspect.formats.contained import Account, CannotRead, ContainedFile, Pieces, TooMuch
from pytest_xinchuang.messages import _

SECTOR = 2048
DESCRIPTORS = 16 * SECTOR
"""ECMA-119 6.2.1: sixteen sectors are the system's, then come the volume descriptors."""

MOST_DESCRIPTORS = 64
DEPTH = 64
MOST_DIRECTORY = 64 << 20
MOST_ENTRIES = 1_000_000


@dataclass(frozen=True)
class _Volume:
    block: int
    root: bytes
    joliet: bool


@dataclass
class _Record:
    """One directory record with what its system use area says."""

    name: str
    directory: bool
    extents: list[tuple[int, int]]
    more: bool = False
    mode: int | None = None
    link: str | None = None
    relocated: int | None = None
    real_size: int | None = None
    moved: bool = False


def is_iso(data: bytes) -> bool:
    """Whether a volume descriptor stands where one is due; 32,774 bytes are enough."""
    return bytes(data[DESCRIPTORS + 1 : DESCRIPTORS + 6]) == b"CD001"


def iso(data: Any, account: Account) -> Iterator[ContainedFile]:
    """The files of an image, directories in the order of their names."""
    reader = _Iso(data)
    volume = reader.volume()
    yield from reader.files(volume, account)


class _Iso:
    def __init__(self, data: Any) -> None:
        self.data = data
        self.block = SECTOR
        self.seen: set[int] = set()
        self.entries = 0

    def volume(self) -> _Volume:
        """The primary volume if it has Rock Ridge's names, else Joliet's, else the primary one."""
        primary, joliet = None, None
        for number in range(MOST_DESCRIPTORS):
            at = DESCRIPTORS + number * SECTOR
            raw = bytes(self.data[at : at + SECTOR])
            if len(raw) < SECTOR or raw[1:6] != b"CD001" or raw[0] == 255:
                break
            if raw[0] not in (1, 2):
                continue
            (block,) = struct.unpack_from("<H", raw, 128)
            volume = _Volume(block, raw[156:190], raw[88:91] in (b"%/@", b"%/C", b"%/E"))
            if raw[0] == 1:
                primary = primary or volume
            elif volume.joliet:
                joliet = joliet or volume
        if primary is None:
            raise CannotRead(_("damaged: an ISO 9660 image without a primary volume"))
        if primary.block not in (512, 1024, 2048):
            raise CannotRead(_("damaged: blocks of {n} bytes", n=primary.block))
        self.block = primary.block
        first, size = self._extent(primary.root)
        rock = b"SP\x07\x01\xbe\xef" in self._read(first, min(size, SECTOR))
        return primary if rock or joliet is None else joliet

    def _extent(self, raw: bytes) -> tuple[int, int]:
        first, size = struct.unpack_from("<I4xI", raw, 2)
        return first + raw[1], size

    def _read(self, block: int, size: int) -> bytes:
        begin = block * self.block
        if begin + size > len(self.data):
            raise CannotRead(_("damaged: an extent leaves the image"))
        return bytes(self.data[begin : begin + size])

    def files(self, volume: _Volume, account: Account) -> Iterator[ContainedFile]:
        stack = [("", *self._extent(volume.root), 0)]
        while stack:
            path, block, size, depth = stack.pop()
            if block in self.seen:
                continue
            self.seen.add(block)
            if depth > DEPTH:
                raise TooMuch(_("more than {depth} directories in one another", depth=DEPTH))
            directories = []
            for record in self._records(block, size, joliet=volume.joliet):
                inside = f"{path}{record.name}"
                if record.relocated is not None:
                    # A directory that stands elsewhere for its depth; its own size stands in its first record.
                    first = self._read(record.relocated, SECTOR)
                    directories.append((f"{inside}/", record.relocated, self._extent(first[: first[0]])[1], depth + 1))
                elif record.directory:
                    directories.append((f"{inside}/", *record.extents[0], depth + 1))
                elif record.link is not None:
                    yield ContainedFile(inside, None, account, link=record.link)
                else:
                    yield self._file(inside, record, account)
            stack += reversed(directories)

    def _records(self, block: int, size: int, *, joliet: bool) -> Iterator[_Record]:
        if size > MOST_DIRECTORY:
            raise CannotRead(_("damaged: a directory of {n} bytes", n=size))
        raw = self._read(block, size)
        at = 0
        held: _Record | None = None
        while at < len(raw):
            length = raw[at]
            if not length:
                # Records do not cross sectors.
                at = (at // SECTOR + 1) * SECTOR
                continue
            entry = raw[at : at + length]
            at += length
            if len(entry) < 34 or 33 + entry[32] > len(entry):
                raise CannotRead(_("damaged: a directory record that leaves its directory"))
            self.entries += 1
            if self.entries > MOST_ENTRIES:
                raise TooMuch(_("more than {members} files", members=MOST_ENTRIES))
            name = entry[33 : 33 + entry[32]]
            if name in (b"\0", b"\1"):
                continue
            record = self._record(entry, name, joliet=joliet)
            if held is not None:
                # A file of several extents has a record for each.
                record.extents = held.extents + record.extents
                record.name = held.name
            held = record if record.more else None
            if held is None and not record.moved:
                yield record

    def _record(self, entry: bytes, name: bytes, *, joliet: bool) -> _Record:
        text = name.decode("utf-16-be", "replace") if joliet else name.decode("latin-1")
        text = text.partition(";")[0].rstrip(".") or text
        record = _Record(text, bool(entry[25] & 2), [self._extent(entry)], more=bool(entry[25] & 0x80))
        if not joliet:
            self._system_use(record, entry[33 + len(name) + (1 - len(name) % 2) :])
        record.name = record.name.replace("/", "_")
        return record

    def _system_use(self, record: _Record, area: bytes) -> None:
        """Rock Ridge's fields (IEEE P1282): the real name, links, permissions, directories that stand elsewhere, zisofs."""
        name, whole = "", True
        target: list[str] = []
        found_name = False
        areas = 0
        at = 0
        while at + 4 <= len(area) and areas < 32:
            kind, length = area[at : at + 2], area[at + 2]
            field = area[at + 4 : at + length]
            if length < 4 or at + length > len(area):
                break
            at += length
            if kind == b"NM" and field and not field[0] & 6:
                name, found_name = name + field[1:].decode("utf-8", "surrogateescape"), True
            elif kind == b"PX" and len(field) >= 4:
                record.mode = struct.unpack_from("<I", field)[0]
            elif kind == b"SL" and field:
                whole = self._target(target, field[1:], whole=whole)
            elif kind == b"CL" and len(field) >= 4:
                record.relocated = struct.unpack_from("<I", field)[0]
            elif kind == b"RE":
                record.moved = True
            elif kind == b"ZF" and len(field) >= 12 and field[:2] == b"pz":
                record.real_size = struct.unpack_from("<I", field, 4)[0]
            elif kind == b"CE" and len(field) >= 24:
                block, offset, size = struct.unpack_from("<I4xI4xI", field)
                area = self._read(block, min(offset + size, 1 << 16))[offset:]
                at, areas = 0, areas + 1
            elif kind == b"ST":
                break
        if found_name and name not in ("", ".", ".."):
            record.name = name
        if target:
            record.link = "/".join(target) or "/"

    @staticmethod
    def _target(parts: list[str], raw: bytes, *, whole: bool) -> bool:
        """Add the components of a link's target; whether the last one is whole."""
        at = 0
        while at + 2 <= len(raw) and len(parts) < 256:
            flags, length = raw[at], raw[at + 1]
            text = {2: ".", 4: "..", 8: ""}.get(flags & 0xE) or raw[at + 2 : at + 2 + length].decode(
                "utf-8", "surrogateescape"
            )
            at += 2 + length
            if flags & 8 and not parts:
                parts.append("")
            elif whole:
                parts.append(text)
            else:
                parts[-1] += text
            whole = not flags & 1
        return whole

    def _file(self, name: str, record: _Record, account: Account) -> ContainedFile:
        for block, size in record.extents:
            if block * self.block + size > len(self.data):
                raise CannotRead(_("damaged: an extent leaves the image"))
        mode = stat.S_IMODE(record.mode) if record.mode is not None else None

        def opened() -> IO[bytes]:
            if record.real_size is not None:
                return Pieces(self._zisofs(record))
            return Pieces(
                bytes(self.data[at : min(at + SECTOR * 512, block * self.block + size)])
                for block, size in record.extents
                for at in range(block * self.block, block * self.block + size, SECTOR * 512)
            )

        compressed = sum(size for _rest, size in record.extents) if record.real_size is not None else None
        return ContainedFile(name, opened, account, mode=mode, compressed=compressed)

    def _zisofs(self, record: _Record) -> Iterator[bytes]:
        """A file that is compressed in blocks (zisofs, version 1): a header, pointers to each block, zlib's streams."""
        raw = b"".join(self._read(block, size) for block, size in record.extents)
        if raw[:8] != b"\x37\xe4\x53\x96\xc9\xdb\xd6\x07" or len(raw) < 16:
            raise CannotRead(_("damaged: no header of zisofs"))
        size, header, shift = struct.unpack_from("<IBB", raw, 8)
        if not 15 <= shift <= 17:
            raise CannotRead(_("damaged: no header of zisofs"))
        count = -(-size // (1 << shift))
        if 4 * header + 4 * (count + 1) > len(raw):
            raise CannotRead(_("damaged: no header of zisofs"))
        pointers = struct.unpack_from(f"<{count + 1}I", raw, 4 * header)
        left = size
        for begin, end in itertools.pairwise(pointers):
            wanted = min(left, 1 << shift)
            block = zlib.decompressobj().decompress(raw[begin:end], 1 << shift) if end > begin else bytes(wanted)
            if len(block) != wanted:
                raise CannotRead(_("damaged: a block of zisofs of {n} bytes", n=len(block)))
            left -= wanted
            yield block
