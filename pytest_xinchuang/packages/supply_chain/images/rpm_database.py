"""The packages of an RPM database, in each of the forms that it has had: SQLite, ndb and Berkeley DB.

Sources: rpm, docs/manual/format.md and tags.md (headers), lib/backend/sqlite.c, lib/backend/ndb/rpmpkg.c; Berkeley DB 5.3,
dbinc/db_page.h (hash pages, overflow pages). Kylin V10, UOS 20 and openEuler 20.03 have Berkeley DB (rpm 4.15), openEuler 22.03
and later SQLite, SUSE ndb.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pytest_xinchuang.inspect.formats import sqlite
from pytest_xinchuang.inspect.formats.contained import CannotRead
from pytest_xinchuang.messages import _

PLACES = ("var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm")
"""Where rpm keeps it: %_dbpath of rpm 4, of Fedora 36 and SUSE, and of OSTree's."""
NAMES = ("rpmdb.sqlite", "Packages.db", "Packages")

TAGS = {
    1000: "name",
    1001: "version",
    1002: "release",
    1003: "epoch",
    1011: "vendor",
    1014: "license",
    1022: "arch",
    1044: "sourcerpm",
}
_DIRINDEXES, _BASENAMES, _DIRNAMES = 1116, 1117, 1118
"""rpm, include/rpm/rpmtag.h."""
_STRINGS, _STRING_ARRAY, _INT32 = (6, 8, 9), 8, 4
"""rpmTagType: STRING, STRING_ARRAY, I18NSTRING; INT32."""
_MOST_HEADER = 256 << 20
"""Bytes of one header (rpm, HEADER_DATA_MAX)."""

_HASH_MAGIC = 0x061561
_HASH_UNSORTED, _HASH, _OVERFLOW, _HASH_META = 2, 13, 7, 8
_INLINE, _OFF_PAGE = 1, 3
_PAGE_HEADER = 26
"""dbinc/db_page.h: DB_HASHMAGIC, page types, H_KEYDATA and H_OFFPAGE, SIZEOF_PAGE."""

_NDB_HEADER, _NDB_SLOT, _NDB_BLOB = b"RpmP", b"Slot", b"BlbS"
_NDB_PAGE, _NDB_BLOCK = 4096, 16


@dataclass(frozen=True)
class RpmPackage:
    """An installed package.

    Attributes:
        tags: name of a tag (``TAGS``) -> value.
        files: paths of its files, without a leading slash.
    """

    tags: Mapping[str, str]
    files: tuple[str, ...] = ()


class BadDatabase(ValueError):
    """The database is not as its form wants it."""


def packages(files: Mapping[str, bytes]) -> Iterator[RpmPackage]:
    """The installed packages, of the database among the files of a directory.

    Args:
        files: file name -> content.

    Raises:
        BadDatabase: there is none, or it is damaged: what came before is not all.
    """
    name = next((n for n in NAMES if n in files), None)
    if name is None:
        raise BadDatabase(_("there is none of {names}", names=", ".join(NAMES)))
    data = files[name]
    try:
        blobs = {"rpmdb.sqlite": _sqlite, "Packages.db": _ndb, "Packages": _berkeley}[name](data)
        for blob in blobs:
            found = header(blob)
            # Keys of signers are kept as packages of this name, and are none.
            if found.tags["name"] != "gpg-pubkey":
                yield found
    except (struct.error, IndexError) as error:
        raise BadDatabase(_("it is cut off")) from error


def header(blob: bytes) -> RpmPackage:
    """What a header says of a package. Raises BadDatabase: it has no name or version, or leaves its bytes."""
    count, size = struct.unpack_from(">II", blob)
    begin = 8 + 16 * count
    if not count or size > _MOST_HEADER or begin + size > len(blob):
        raise BadDatabase(_("a header leaves its bytes"))
    data = blob[begin : begin + size]
    tags: dict[str, str] = {}
    lists: dict[int, list[str]] = {}
    indexes: tuple[int, ...] = ()
    for at in range(8, begin, 16):
        tag, kind, offset, number = struct.unpack_from(">IIII", blob, at)
        name = TAGS.get(tag)
        if name is not None and name not in tags and kind in _STRINGS:
            tags[name] = data[offset:].split(b"\0", 1)[0].decode(errors="replace")
        elif name is not None and name not in tags and kind == _INT32:
            tags[name] = str(struct.unpack_from(">I", data, offset)[0])
        elif tag in (_BASENAMES, _DIRNAMES) and kind == _STRING_ARRAY:
            lists[tag] = [each.decode(errors="replace") for each in data[offset:].split(b"\0", number)[:number]]
        elif tag == _DIRINDEXES and kind == _INT32:
            indexes = struct.unpack_from(f">{number}I", data, offset)
    if not tags.get("name") or "version" not in tags:
        raise BadDatabase(_("a header has no name or no version"))
    directories = lists.get(_DIRNAMES, [])
    names = zip(indexes, lists.get(_BASENAMES, []), strict=False)
    return RpmPackage(tags, tuple((directories[n] + name).lstrip("/") for n, name in names if n < len(directories)))


def _sqlite(data: bytes) -> Iterator[bytes]:
    try:
        with sqlite.opened(data) as connection:
            for (blob,) in connection.execute("SELECT blob FROM Packages ORDER BY hnum"):
                if not isinstance(blob, bytes):
                    raise BadDatabase(_("a package is no header"))
                yield blob
    except (CannotRead, OverflowError) as error:
        raise BadDatabase(_("SQLite cannot read it")) from error


def _ndb(data: bytes) -> Iterator[bytes]:
    if data[:4] != _NDB_HEADER:
        raise BadDatabase(_("it does not begin with {magic}", magic=_NDB_HEADER.decode()))
    pages = struct.unpack_from("<I", data, 12)[0]
    if pages * _NDB_PAGE > len(data):
        raise BadDatabase(_("its slots leave the file"))
    for at in range(32, pages * _NDB_PAGE, 16):
        magic, index, block, _blocks = struct.unpack_from("<4sIII", data, at)
        if magic != _NDB_SLOT:
            raise BadDatabase(_("a slot does not begin with {magic}", magic=_NDB_SLOT.decode()))
        if not index:
            continue
        start = block * _NDB_BLOCK
        magic, owner, _generation, size = struct.unpack_from("<4sIII", data, start)
        if magic != _NDB_BLOB or owner != index or start + 16 + size > len(data):
            raise BadDatabase(_("package {n} leads to no header", n=index))
        yield data[start + 16 : start + 16 + size]


def _berkeley(data: bytes) -> Iterator[bytes]:
    if len(data) < 512:
        raise BadDatabase(_("it has {n} bytes, fewer than its header", n=len(data)))
    order = next((o for o in "<>" if struct.unpack_from(f"{o}I", data, 12)[0] == _HASH_MAGIC), None)
    if order is None or data[25] != _HASH_META:
        raise BadDatabase(_("it is no hash table of Berkeley DB"))
    size = struct.unpack_from(f"{order}I", data, 20)[0]
    if not 512 <= size <= 65536 or size & (size - 1):
        raise BadDatabase(_("its pages have {n} bytes", n=size))
    last = struct.unpack_from(f"{order}I", data, 32)[0]
    if (last + 1) * size > len(data):
        raise BadDatabase(_("its pages leave the file"))
    for page in range(1, last + 1):
        start = page * size
        if data[start + 25] not in (_HASH, _HASH_UNSORTED):
            continue
        entries = struct.unpack_from(f"{order}H", data, start + 20)[0]
        offsets = struct.unpack_from(f"{order}{entries}H", data, start + _PAGE_HEADER)
        for key, value in zip(offsets[::2], offsets[1::2], strict=False):
            # A key of four zero bytes counts the packages.
            end = size if key == offsets[0] else offsets[offsets.index(key) - 1]
            if data[start + key + 1 : start + end] == b"\0\0\0\0" or value >= size:
                continue
            kind = data[start + value]
            if kind == _OFF_PAGE:
                first, length = struct.unpack_from(f"{order}II", data, start + value + 4)
                yield _overflow(data, order, size, last, first, length)
            elif kind == _INLINE:
                yield data[start + value + 1 : start + key]
            else:
                raise BadDatabase(_("a value of page {n} is of no kind that rpm writes", n=page))


def _overflow(data: bytes, order: str, size: int, last: int, first: int, length: int) -> bytes:
    """A value on pages of its own: each has how much of it there is (``hf_offset``), and the next page's number."""
    parts, have, page = [], 0, first
    while page:
        start = page * size
        if page > last or data[start + 25] != _OVERFLOW or have > length:
            raise BadDatabase(_("a header's pages lead nowhere"))
        following = struct.unpack_from(f"{order}I", data, start + 16)[0]
        here = struct.unpack_from(f"{order}H", data, start + 22)[0]
        parts.append(data[start + _PAGE_HEADER : start + _PAGE_HEADER + here])
        have += here
        page = following
    if have != length:
        raise BadDatabase(_("a header has {have} of its {length} bytes", have=have, length=length))
    return b"".join(parts)
