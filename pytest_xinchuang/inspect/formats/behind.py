"""Containers behind something else: behind a script, behind a program."""

from __future__ import annotations

import re
import struct
from typing import IO

from pytest_xinchuang.inspect.formats.contained import Account, CannotRead, ContainedFile
from pytest_xinchuang.inspect.formats.streams import as_file
from pytest_xinchuang.messages import _

_PAYLOAD = re.compile(
    rb"\n(?=\x7fELF|PK\x03\x04|\x1f\x8b\x08|\xfd7zXZ\0|BZh[1-9]1AY&SY|\x28\xb5\x2f\xfd|!<arch>\n|\xed\xab\xee\xdb|07070[12]|hsqs|7z\xbc\xaf\x27\x1c"
    rb"|[^\n\0].{256}ustar)",
    re.DOTALL,
)


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
    begin = found.end()

    def stream() -> IO[bytes]:
        rest = as_file(data)
        rest.seek(begin)
        return rest

    return ContainedFile("", stream, account)


PYINSTALLER = b"MEI\x0c\x0b\x0a\x0b\x0e"
"""The cookie at the end of PyInstaller's CArchive (PyInstaller, "Advanced Topics": the CArchive); 88 bytes since 2.1."""


def behind_program(data: bytes) -> str | None:
    """The kind of container that an ELF program carries behind itself: ``squashfs``, ``zip`` or None.

    An AppImage of type 2 has AI\\2 in the padding of its identification, and a squashfs. A zip archive ends with the file.

    Raises:
        CannotRead: a container of PyInstaller, whose libraries are not read.
    """
    if bytes(data[8:11]) == b"AI\x02":
        return "squashfs"
    tail = bytes(data[-(1 << 16) - 22 :])
    if PYINSTALLER in tail[-4096:]:
        raise CannotRead(_("a program of PyInstaller: the libraries that it unpacks are not read here"), "XC-BAD-006")
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        return None
    size, _rest, comment = struct.unpack_from("<IIH", tail, at + 12)
    directory = len(data) - len(tail) + at - size
    # Programs that write zip archives have the mark among their constants: there no directory stands before it.
    whole = at + 22 + comment == len(tail) and directory > 0
    return "zip" if whole and bytes(data[directory : directory + 4]) == b"PK\x01\x02" else None
