"""ELF objects and containers inside of files that are neither: among a program's data, in resources, in texts as base64."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from pytest_xinchuang.inspect.formats.contained import CHUNK, CannotRead
from pytest_xinchuang.inspect.formats.magic import is_inert, is_plain
from pytest_xinchuang.messages import _

MAGIC = b"\x7fELF"
HOSTS = frozenset({2, 3, 8, 20, 21, 22, 40, 43, 50, 62, 183, 243, 258, 0x9026, 0x9916})
"""e_machine of the processors that run Linux (elf.h; the last two are Alpha and Sunway).

What is made for others, an eBPF program or code for a GPU, is data to all platforms alike."""

EXECUTABLE = (2, 3)
"""ET_EXEC and ET_DYN."""

_IDENT = re.compile(rb"\x7fELF[\x01\x02][\x01\x02]\x01")
_IDENT_BYTES = 7

MOST_LOOKS = 20_000
MOST_HEADERS = 256
"""Program headers; the largest known programs have some 20."""

MOST = 64
"""Hidden things of one file that are looked into."""


@dataclass(frozen=True)
class Hidden:
    """Something inside of a file: from byte ``begin`` on, ``content`` if it had to be decoded, else the file's own bytes."""

    begin: int
    end: int
    content: bytes | None = None


def embedded(data: Any, begin: int, end: int) -> Iterator[Hidden]:
    """The programs and shared libraries for any host between two bytes of a file, each with its likely end.

    Raises:
        CannotRead: more places look like the beginning of one than are looked at.
    """
    behind, looks = begin, 0
    for at in range(begin, end, CHUNK):
        chunk = bytes(data[at : min(at + CHUNK + _IDENT_BYTES - 1, end)])
        # A plain search first, for it is far faster than that of an expression.
        for found in _IDENT.finditer(chunk) if MAGIC in chunk else ():
            first = at + found.start()
            if first < behind:
                continue
            looks += 1
            if looks > MOST_LOOKS:
                raise CannotRead(_("more than {n} places that look like objects", n=MOST_LOOKS), "XC-BAD-003")
            size = _extent(bytes(data[first : min(first + 64, end)]), data, first, end)
            if size:
                yield Hidden(first, first + size)
                behind = first + size


_TAIL = (1 << 16) + 22


def begin_hidden(chunks: Iterator[bytes]) -> tuple[int, Iterator[bytes]] | None:
    """Where in a stream an ELF object seems to begin, and the stream from there on; None: it has none.

    Raises:
        CannotRead: it ends as a zip archive does, and its beginning is gone.
    """
    tail, total = b"", 0
    for chunk in chunks:
        seam = tail[-_IDENT_BYTES:] + chunk[:_IDENT_BYTES]
        for block, base in ((seam, total - min(len(tail), _IDENT_BYTES)), (chunk, total)):
            # For a plain search is far faster than that of an expression.
            found = _IDENT.search(block) if MAGIC in block else None
            if found is not None:
                rest = block[found.start() :] if block is chunk else block[found.start() :] + chunk[_IDENT_BYTES:]
                return base + found.start(), chain([rest], chunks)
        total += len(chunk)
        tail = chunk[-_TAIL:] if len(chunk) >= _TAIL else (tail + chunk)[-_TAIL:]
    at = tail.rfind(b"PK\x05\x06")
    if at >= 0 and at + 22 <= len(tail):
        count, _size, _offset, comment = struct.unpack_from("<HIIH", tail, at + 10)
        if count and at + 22 + comment == len(tail):
            raise CannotRead(_("a zip archive behind other data"), "XC-BAD-006")
    return None


def _extent(header: bytes, data: Any, at: int, end: int) -> int:
    """How many bytes an ELF object takes that begins at ``at``; 0: it is none, but bytes that look like its magic."""
    if len(header) < 64 or header[4] not in (1, 2) or header[5] not in (1, 2) or header[6] != 1:
        return 0
    order, wide = "<" if header[5] == 1 else ">", header[4] == 2
    form = "HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"
    (kind, machine, version, _entry, phoff, shoff, _flags, size, phentsize, phnum, shentsize, shnum, _names) = (
        struct.unpack_from(order + form, header, 16)
    )
    right = version == 1 and size == (64 if wide else 52) and phentsize == (56 if wide else 32)
    left = end - at
    if (
        not right
        or kind not in EXECUTABLE
        or machine not in HOSTS
        or not 0 < phnum <= MOST_HEADERS
        or phoff + phnum * phentsize > left
    ):
        return 0
    # Without the sections where they lead out of what is there: they are not needed to run it.
    extent = phoff + phnum * phentsize
    sections = shoff + shnum * shentsize
    if shnum and sections <= left:
        extent = max(extent, sections)
    table = bytes(data[at + phoff : at + phoff + phnum * phentsize])
    for n in range(phnum):
        part = table[n * phentsize : (n + 1) * phentsize]
        first, length = struct.unpack_from(order + ("8xQ16xQ" if wide else "4xI8xI"), part)
        if struct.unpack_from(order + "I", part)[0] == 1 and first + length <= left:
            extent = max(extent, first + length)
    return int(extent)


_BASE64 = re.compile(
    # The first bytes of ELF, gzip, zip, xz, zstd, bzip2, squashfs, ar, rpm and 7z, as base64 writes them.
    rb"(?<![A-Za-z0-9+/])(?:f0VMRg[EI]|H4sI|UEsDB|/Td6WFoA|KLUv/|Qlpo[MNO]|aHNxc|ITxhcmNoPgo|7avu2|N3q8ryc)"
    rb"[A-Za-z0-9+/]{40,}(?:(?:\\?\r?\n|\\n|[\"']\s{0,64}\+?\s{0,64}[\"'])[ \t]*[A-Za-z0-9+/]+)*={0,2}"
)
_LEADS = (b"f0VMR", b"H4sI", b"UEsDB", b"/Td6W", b"KLUv/", b"Qlpo", b"aHNxc", b"ITxhc", b"7avu2", b"N3q8r")
_NOT_BASE64 = re.compile(rb"\\n|[^A-Za-z0-9+/]")
_LEAST = 160
"""Characters below which there is no room for an object, nor for a container of one."""

_UU = re.compile(rb"^begin(-base64)? [0-7]{3,4} [^\r\n]+\r?\n", re.MULTILINE)
_HEX = re.compile(rb"(?<![0-9A-Fa-f])7[fF]454[cC]460[12]0[12]01[0-9A-Fa-f]{100,}(?:\\?\r?\n[0-9A-Fa-f]+)*")
_HEX_LEADS = (b"7f454c46", b"7F454C46", b"7f454C46", b"7F454c46")


def encoded(text: bytes) -> Iterator[Hidden]:
    """What a text carries as base64, in lines of uuencode or in hexadecimal digits: ELF objects and known containers."""
    if any(lead in text for lead in _LEADS):
        for found in _BASE64.finditer(text):
            content = from_base64(found.group())
            if content and len(found.group()) >= _LEAST:
                yield Hidden(found.start(), found.end(), content)
    if b"begin" in text:
        for found in islice(_UU.finditer(text), MOST):
            end = text.find(b"\n====" if found.group(1) else b"\nend", found.end())
            lines = text[found.end() : end if end >= 0 else len(text)]
            content = from_base64(lines) if found.group(1) else _from_uu(lines)
            if content:
                yield Hidden(found.start(), found.end() + len(lines), content)
    if any(lead in text for lead in _HEX_LEADS):
        for found in _HEX.finditer(text):
            digits = re.sub(rb"[^0-9A-Fa-f]", b"", found.group())
            yield Hidden(found.start(), found.end(), bytes.fromhex(digits[: len(digits) // 2 * 2].decode()))


def from_base64(text: bytes) -> bytes:
    """What the characters stand for, whatever quotes and ends of lines are among them; a rest that is no group is left out."""
    letters = _NOT_BASE64.sub(b"", text)
    return base64.b64decode(letters[: len(letters) // 4 * 4] + _last(letters[len(letters) // 4 * 4 :]))


def _last(rest: bytes) -> bytes:
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def _from_uu(text: bytes) -> bytes:
    found = bytearray()
    for line in text.splitlines():
        try:
            found += binascii.a2b_uu(line)
        except binascii.Error:
            return b""
    return bytes(found)


_DECODERS = re.compile(
    rb"\bbase64 +(?:-d|-D|--decode|-di)\b|\bopenssl +(?:enc|base64)\b[^\n]{0,200} -d\b|\buudecode\b"
    rb"|b64decode|b85decode|a85decode|\bxxd +-r|\bbasenc\b[^\n]{0,200} -d"
)
_WORDS = (b"base64", b"b64", b"openssl", b"uudecode", b"85decode", b"xxd", b"basenc")
_LONG = re.compile(rb"[A-Za-z0-9+/]{60,}(?:\r?\n[A-Za-z0-9+/]+)*={0,2}")
_CLOSED = 4096
"""Characters from which on something that a script decodes, and that is of no known kind, is worth a word."""


def decoded_by_script(text: bytes) -> bool:
    """Whether a script decodes a long text that it carries, which is of no kind that is known: it may be anything."""
    if not any(word in text for word in _WORDS) or _DECODERS.search(text) is None:
        return False
    known = [(hidden.begin, hidden.end) for hidden in islice(encoded(text), MOST)]
    for found in _LONG.finditer(text):
        inside = any(begin <= found.start() < end for begin, end in known)
        pem = text[max(found.start() - 64, 0) : found.start()].rstrip().endswith(b"-----")
        if len(found.group()) >= _CLOSED and not inside and not pem and not _is_data(from_base64(found.group())):
            return True
    return False


def _is_data(content: bytes) -> bool:
    """Whether what was decoded is a text, a picture, a font, or a certificate or key (DER)."""
    return is_plain(content) or is_inert(content, "") or content[:2] == b"\x30\x82"
