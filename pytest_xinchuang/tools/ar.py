"""Members of ar archives (ar(5)): static libraries and Debian packages are such."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pytest_xinchuang.messages import _

MAGIC = b"!<arch>\n"

HEADER = 60
"""Bytes before each member."""


@dataclass(frozen=True)
class ArMember:
    """Where a member is: its content is ``data[begin:end]``."""

    name: str
    begin: int
    end: int


def ar_members(data: Any) -> Iterator[ArMember]:
    """The members of an archive, in order, with the long names of System V and BSD.

    Args:
        data: bytes, or a memory map of them.

    Raises:
        ValueError: the archive is damaged; members before that were given.
    """
    at, names = len(MAGIC), b""
    while at + HEADER <= len(data):
        header = bytes(data[at : at + HEADER])
        if header[58:60] != b"`\n":
            raise ValueError(_("no member of an ar archive at byte {at}", at=at))
        size = int(header[48:58].strip() or b"0")
        begin, end = at + HEADER, at + HEADER + size
        if size < 0 or end > len(data):
            raise ValueError(_("a member of {size} bytes at byte {at} leaves the archive", size=size, at=at))
        raw = header[:16].rstrip()
        if raw == b"//":
            names = bytes(data[begin:end])
        elif raw.startswith(b"#1/"):
            length = int(raw[3:])
            raw, begin = bytes(data[begin : begin + length]).rstrip(b"\0"), begin + length
        elif raw[:1] == b"/" and raw[1:].isdigit():
            start = int(raw[1:])
            raw = names[start : names.find(b"\n", start)].rstrip(b"/")
        elif raw not in (b"/", b"/SYM64/"):
            raw = raw.rstrip(b"/")
        yield ArMember(raw.decode("utf-8", "surrogateescape") or "(no name)", begin, end)
        at = end + (size & 1)
    if at < len(data):
        raise ValueError(_("{n} bytes behind its last member", n=len(data) - at))
