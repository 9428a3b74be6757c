"""Shared libraries that UPX packed: what the loader reads stands there plain, and the rest is unpacked by DT_INIT or the first
constructor.

The format was read from UPX 4.2's sources (p_lx_elf.cpp, un_shlib_1 and un_DT_INIT): the headers are compressed once more, so
that the old ones are known; segments without a right to write are compressed from the first code on; others stand elsewhere.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_xinchuang.inspect.elf_tags import DT_INIT, DT_RELA, DT_RELASZ, PT_DYNAMIC, PT_LOAD
from pytest_xinchuang.messages import Message, _

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[], bytes]

PF_W = 2
HEADER, ENTRY = 64, 56
"""Bytes of an ELF header and of a program header of 64 bits."""
OLD_BEGIN = 12
"""Bytes before the decompressor's entry where the address stands that the loader ran before: the old DT_INIT or constructor."""
RELATION = 24


class Broken(Exception):
    """It is no such library, or a damaged one: ``what`` is wrong."""

    def __init__(self, what: Message) -> None:
        super().__init__(what)
        self.what = what


class Load(NamedTuple):
    kind: int
    flags: int
    offset: int
    address: int
    size: int


def first_block(data: Any, tail: int) -> int:
    """Where the information about the whole begins (p_info), by the word behind UPX's last header.

    Raises:
        Broken: it is not of 64 bits, or leads nowhere.
    """
    if data[4] != 2 or data[5] != 1 or struct.unpack_from("<Q", data, 32)[0] != HEADER:
        raise Broken(_("a library of 32 bits, or one that was changed"))
    place = bytes(data[tail + 32 : tail + 36])
    at = int(struct.unpack("<I", place)[0]) if len(place) == 4 else 0
    if not HEADER + 12 <= at < len(data) - 12 or bytes(data[at - 8 : at - 4]) != b"UPX!":
        raise Broken(_("its last header does not lead to its first"))
    entry, sections = struct.unpack_from("<Q8xQ", data, 24)
    count = struct.unpack_from("<H", data, 60)[0]
    # Releases until 2023 marked so what had its section headers copied in.
    copied = sections and sections + HEADER * count + 36 < len(data) and 20 <= entry <= len(data)
    if copied and data[entry - 20] & 1:
        raise Broken(_("packed with --android-shlib"))
    return at


def rebuilt(data: Any, first: int, total: int, read: Read) -> bytes:
    """The library as its loader and its decompressor leave it in memory, by its old headers.

    Args:
        first: where ``p_info`` begins.
        read: the next block, unpacked.

    Raises:
        Broken: its blocks are not those of its segments.
    """
    plain = first - 12  # up to l_info it stands there as it was
    head = read()
    if len(head) < HEADER or head[:6] != bytes(data[:6]) or head[16:20] != bytes(data[16:20]):
        raise Broken(_("it begins with no header of the same machine"))
    loads, packed = list(_loads(head)), list(_loads(data))
    size = HEADER + ENTRY * struct.unpack_from("<H", head, 56)[0]
    if len(head) < size or len(packed) < len(loads) or plain < size:
        raise Broken(_("it begins with no header of the same machine"))
    out = bytearray(total)
    done = len(head)
    _put(out, 0, head)
    if done == size:  # releases from 2018 on pack the headers alone
        _put(out, done, bytes(data[done:plain]))
        done = plain
    begun = False
    for each in loads:
        if each.kind != PT_LOAD or each.flags & PF_W:
            continue
        at, left = (each.offset, each.size) if begun else (done, each.size - done)
        begun = True
        while left > 0:
            block = read()
            _put(out, at, block)
            at, left = at + len(block), left - len(block)
        if left < 0 and at > done:
            raise Broken(_("its blocks are not those of its segments"))
    for each, moved in zip(loads, packed, strict=False):
        if each.kind == PT_LOAD and each.flags & PF_W:
            content = bytes(data[moved.offset : moved.offset + each.size])
            if len(content) != each.size:
                raise Broken(_("a segment leaves the program"))
            _put(out, each.offset, content)
    _restore_begin(out, data, loads)
    return bytes(out)


def _put(out: bytearray, at: int, content: bytes) -> None:
    if at < 0 or at + len(content) > len(out):
        raise Broken(_("a segment leaves the program"))
    out[at : at + len(content)] = content


def _loads(head: Any) -> list[Load]:
    count = struct.unpack_from("<H", head, 56)[0]
    if HEADER + ENTRY * count > len(head):
        raise Broken(_("it begins with no header of the same machine"))
    rows = (struct.unpack_from("<IIQQQQ", head, HEADER + ENTRY * n) for n in range(count))
    return [Load(kind, flags, offset, address, size) for kind, flags, offset, address, _physical, size in rows]


def _restore_begin(out: bytearray, data: Any, loads: list[Load]) -> None:
    """Put the old DT_INIT, or the old first constructor, where the decompressor's entry was put."""
    entry = struct.unpack_from("<Q", data, 24)[0]
    dynamic = next((each for each in loads if each.kind == PT_DYNAMIC), None)
    old = _old_begin(data, entry)
    if dynamic is None or old is None:
        return
    tags: dict[int, int] = {}
    for at in range(dynamic.offset, min(dynamic.offset + dynamic.size, len(out)) - 15, 16):
        tag, value = struct.unpack_from("<QQ", out, at)
        if not tag:
            break
        tags.setdefault(tag, value)
        if tag == DT_INIT and value == entry:
            struct.pack_into("<Q", out, at + 8, old)
    first = _offset(loads, tags.get(DT_RELA, 0))
    for at in range(first, min(first + tags.get(DT_RELASZ, 0), len(out)) - RELATION + 1, RELATION):
        if struct.unpack_from("<q", out, at + 16)[0] == entry:
            struct.pack_into("<q", out, at + 16, old)


def _old_begin(data: Any, entry: int) -> int | None:
    if not OLD_BEGIN <= entry <= len(data):
        return None
    return int(struct.unpack_from("<I", data, entry - OLD_BEGIN)[0]) or None


def _offset(loads: list[Load], address: int) -> int:
    for each in loads:
        if each.kind == PT_LOAD and each.address <= address < each.address + each.size:
            return each.offset + address - each.address
    return 0
