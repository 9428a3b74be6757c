"""Containers behind something else: behind a script, behind a program, behind a header of their own."""

from __future__ import annotations

import re
import struct
from typing import IO, Any

from pytest_xinchuang.inspect.formats import pyinstaller
from pytest_xinchuang.inspect.formats.contained import Account, CannotRead, ContainedFile
from pytest_xinchuang.inspect.formats.iso import is_iso
from pytest_xinchuang.inspect.formats.magic import kind_of
from pytest_xinchuang.inspect.formats.streams import as_file, behind_zeros
from pytest_xinchuang.messages import _

_PAYLOAD = re.compile(
    rb"\n(?=\x7fELF|PK\x03\x04|\x1f\x8b\x08|\xfd7zXZ\0|BZh[1-9]1AY&SY|\x28\xb5\x2f\xfd|!<arch>\n|\xed\xab\xee\xdb|07070[12]|hsqs|7z\xbc\xaf\x27\x1c"
    rb"|[^\n\0].{256}ustar)",
    re.DOTALL,
)

OVERLAY = 4096
"""Bytes behind a program's own from which on they are more than a signature or a check sum."""

SIGNED = b"~Module signature appended~\n"
"""The end of a signed kernel module (Linux, "Kernel module signing facility")."""


def payload(data: bytes, account: Account) -> ContainedFile | None:
    """What stands behind a script: a self-extracting installer (Makeself), an executable jar, a zipapp. None: it is text alone.

    Raises:
        CannotRead: there are binary data of no kind that is known here.
    """
    if data.find(b"\0") < 0:
        return None
    found = _PAYLOAD.search(data)
    if found is None:
        raise CannotRead(_("a script with binary data behind it, of no kind that is known here"), "XC-BAD-006")
    return rest_of(data, found.end(), account)


def rest_of(data: Any, begin: int, account: Account) -> ContainedFile:
    """The bytes of a file from ``begin`` on, as a file."""

    def stream() -> IO[bytes]:
        return as_file(data, begin)

    return ContainedFile("", stream, account)


def behind_program(data: bytes) -> tuple[str, int] | None:
    """The kind of container that an ELF program carries behind itself, and where that begins; None: it carries none.

    An AppImage of type 2 has AI\\2 in the padding of its identification, and a squashfs; one of type 1 is an ISO image at the
    same time. A zip archive ends with the file, and so does that of PyInstaller. What else stands behind the last section and
    segment tells what it is by its first bytes. The readers of ``squashfs``, ``zip``, ``iso`` and ``pyinstaller`` find the
    place themselves.

    Raises:
        CannotRead: there is something of no kind that is known here.
    """
    end = end_of_program(data)
    if bytes(data[8:11]) == b"AI\x02":
        return "squashfs", end
    if bytes(data[8:11]) == b"AI\x01" or is_iso(data):
        return "iso", end
    if (at := pyinstaller.cookie(data)) is not None:
        (length,) = struct.unpack_from(">I", data, at + 8) if at + 12 <= len(data) else (0,)
        return "pyinstaller", max(at + pyinstaller.COOKIE_BYTES - length, 0)
    if (begin := zip_at_end(data)) is not None:
        return "zip", begin
    begin = behind_zeros(data, end) if end < len(data) else end
    if begin >= len(data):
        return None
    head = bytes(data[begin : begin + 512])
    kind = kind_of(head, "") if head[:4] != b"PK\x05\x06" else None
    if kind == "elf":
        return None  # it is found as one among the program's data
    if kind is not None:
        return kind, begin
    own = bytes(data[-len(SIGNED) :]) == SIGNED or bytes(data[16:18]) in (b"\x04\0", b"\0\x04")
    if len(data) - begin > OVERLAY and not own:
        raise CannotRead(
            _("{n} bytes behind the program, of no kind that is known here", n=len(data) - begin), "XC-BAD-006"
        )
    return None


def zip_at_end(data: bytes) -> int | None:
    """Where a zip archive begins that ends with the file."""
    tail = bytes(data[-(1 << 16) - 22 :])
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        return None
    size, offset, comment = struct.unpack_from("<IIH", tail, at + 12)
    end = len(data) - len(tail) + at
    if size == 0xFFFFFFFF or offset == 0xFFFFFFFF:
        # The record of zip64 stands 20 bytes before, behind its own of 56 at least (APPNOTE 4.3.14).
        record = bytes(data[max(end - 76, 0) : end - 20])
        if record[:4] != b"PK\x06\x06":
            return None
        size, offset = struct.unpack_from("<QQ", record, 40)
        end -= 76
    directory = end - size
    # Programs that write zip archives have the mark among their constants: there no directory stands before it.
    whole = at + 22 + comment == len(tail) and directory > 0
    if not whole or bytes(data[directory : directory + 4]) != b"PK\x01\x02":
        return None
    return int(max(directory - offset, 0))


def end_of_program(data: bytes) -> int:
    """The first byte behind an ELF object's headers, sections and segments; the length where they leave the file."""
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    if len(data) < 64:
        return len(data)
    form = "HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"
    (_k, _m, _v, _e, phoff, shoff, _f, size, phentsize, phnum, shentsize, shnum, _n) = struct.unpack_from(
        order + form, data, 16
    )
    ends = [size, phoff + phnum * phentsize, shoff + shnum * shentsize]
    try:
        for n in range(phnum):
            first, length = struct.unpack_from(order + ("8xQ16xQ" if wide else "4xI8xI"), data, phoff + n * phentsize)
            ends.append(first + length)
        for n in range(shnum):
            at = shoff + n * shentsize
            (kind,) = struct.unpack_from(order + "I", data, at + 4)
            first, length = struct.unpack_from(order + ("QQ" if wide else "II"), data, at + (24 if wide else 16))
            ends.append(first + (0 if kind == 8 else length))  # SHT_NOBITS takes no room
    except struct.error:
        return len(data)
    return int(min(max(ends), len(data)))
