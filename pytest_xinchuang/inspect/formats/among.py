"""Compressed programs and archives among the data of an object: what a program writes out and starts, or unpacks in memory."""

from __future__ import annotations

import heapq
import re
import struct
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import ElfReader
from pytest_xinchuang.inspect.formats.contained import CHUNK, Account, CannotRead, translated
from pytest_xinchuang.inspect.formats.hidden import EXECUTABLE, HOSTS, MAGIC, MOST_LOOKS, Hidden
from pytest_xinchuang.inspect.formats.magic import kind_of
from pytest_xinchuang.inspect.formats.occurrences import Occurrences
from pytest_xinchuang.inspect.formats.streams import Decompressed
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.compressed import compression

HEAD = 512
"""Bytes of what is expanded from which its kind is told."""

LEAST = 64
"""Bytes of an ELF header."""

NO_MATTER = (None, "compressed", "static-archive")
"""Kinds of what is expanded that no program starts: an ar archive holds what is linked, or code for Intel's GPUs."""

_BEGINS = {
    # RFC 1952: method, flags, time, extra flags, system; xz's stream flags; bzip2's first block.
    b"\x1f\x8b\x08": re.compile(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04][\x00-\x0d\xff]", re.DOTALL),
    b"\xfd7zXZ\0": re.compile(rb"\xfd7zXZ\0\0[\x00\x01\x04\x0a]", re.DOTALL),
    b"\x28\xb5\x2f\xfd": re.compile(rb"\x28\xb5\x2f\xfd.{5}", re.DOTALL),
    b"1AY&SY": re.compile(rb"BZh[1-9]1AY&SY", re.DOTALL),
}
_BEFORE = {b"1AY&SY": 4}
"""Bytes before the word at which the stream begins."""

_LONGEST = 16
"""Bytes in which each of the forms fits."""


MARKS = {MAGIC: 0, **dict.fromkeys(_BEGINS, 0)}
"""The marks of objects and of compressed streams, as :class:`Occurrences` takes them."""


def among(
    data: Any, begin: int, end: int, marks: Occurrences, taken: Sequence[tuple[int, int]], account: Account
) -> Iterator[Hidden]:
    """The compressed objects and containers between two bytes; what else is compressed there is data.

    Args:
        marks: where the ``MARKS`` stand, between these or more bytes.
        taken: ranges that are looked into by themselves.

    Raises:
        CannotRead: more places look like the beginning of one than are looked at, or one is damaged.
    """
    behind = begin
    places = list(islice(_candidates(data, begin, end, marks), MOST_LOOKS + 1))
    for first in places[:MOST_LOOKS]:
        if (
            first < behind
            or any(low <= first < high for low, high in taken)
            or not _leads_somewhere(data, first, account)
        ):
            continue
        behind = _end(data, first, account)
        yield Hidden(first, behind)
    if len(places) > MOST_LOOKS:
        raise CannotRead(_("more than {n} places that look like compressed data", n=MOST_LOOKS), "XC-BAD-003")


def debug_data(data: Any) -> list[tuple[int, int]]:
    """Where the compressed symbols of an object's functions begin (MiniDebugInfo), which are an object that nobody loads.

    Only what begins there is one: a section header can name any bytes.
    """
    try:
        section = ElfReader(data, "").section(".gnu_debugdata")
    except (NotElf, struct.error, IndexError, OverflowError):
        return []
    return [(section.offset, section.offset + 1)] if section is not None else []


def _candidates(data: Any, begin: int, end: int, marks: Occurrences) -> Iterator[int]:
    """Where a compressed stream seems to begin, in the order of the file."""
    return heapq.merge(*(_begins(data, begin, end, word, marks) for word in _BEGINS))


def _begins(data: Any, begin: int, end: int, word: bytes, marks: Occurrences) -> Iterator[int]:
    form, before = _BEGINS[word], _BEFORE.get(word, 0)
    for place in marks.of(word):
        first = place - before
        if begin <= first <= end - _LONGEST and form.match(bytes(data[first : first + _LONGEST])):
            yield first


def _stream(data: Any, first: int, account: Account) -> Decompressed:
    kind = compression(bytes(data[first : first + 4]))
    assert kind is not None
    return Decompressed(data, kind, account, first)


def _leads_somewhere(data: Any, first: int, account: Account) -> bool:
    """Whether what begins there expands to the beginning of an object or of a container."""
    stream, head = _stream(data, first, account), bytearray()
    block = bytearray(HEAD)
    try:
        with translated():
            while len(head) < HEAD and (n := stream.readinto(block)):
                head += block[:n]
    except CannotRead as error:
        if error.code == "XC-BAD-006":
            raise  # it cannot be read here at all
        if len(head) < LEAST:
            return False
    kind = kind_of(bytes(head), "")
    return _is_for_host(head) if kind == "elf" else kind not in NO_MATTER


def _is_for_host(head: bytearray) -> bool:
    """Whether an object is a program or library for a processor that runs Linux: code for a GPU is data to all alike."""
    if len(head) < LEAST or head[5] not in (1, 2):
        return False
    kind, machine = struct.unpack_from("<HH" if head[5] == 1 else ">HH", head, 16)
    return kind in EXECUTABLE and machine in HOSTS


def _end(data: Any, first: int, account: Account) -> int:
    stream, block = _stream(data, first, account), bytearray(CHUNK)
    with translated():
        while stream.readinto(block):
            pass
    return int(stream.end)
