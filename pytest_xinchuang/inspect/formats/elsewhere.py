"""What is no object of Linux and still tells for whom a package is: Java's classes, libraries of Windows and macOS."""

from __future__ import annotations

import struct

from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.formats.magic import is_plain

JAVA_8 = 52
"""The class file format of Java 8; each Java since has the next number (JVMS 4.1, table 4.1-A)."""

MOST_CLASSES = 100_000
"""Classes of one container that are told apart."""

LIBRARIES = (".dll", ".pyd", ".dylib", ".jnilib", ".node", ".so")
"""Ends of names by which libraries are looked for there."""

_MACHO = (b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe")
_FAT = b"\xca\xfe\xba\xbe"
_CLR = 14
"""The data directory of managed code (PE format, optional header data directories): such a library is for every system."""


def note_elsewhere(node: Node, name: str, head: bytes) -> None:
    """Keep of a file in ``node`` what its beginning says: its class file format above Java 8's, or another system."""
    if name.endswith(".class"):
        version = class_version(head)
        if version is not None and version > JAVA_8 and len(node.classes) < MOST_CLASSES:
            node.classes[name] = version
    elif name.endswith(LIBRARIES) and (system := library_of(head)):
        node.natives[name] = system


LINE = 256
"""Bytes of a script's beginning that the kernel looks at (Linux 5.1, BINPRM_BUF_SIZE; 128 before)."""
MOST_SCRIPTS = 100_000
"""Scripts of one container that are kept."""


def note_script(node: Node, name: str, head: bytes) -> None:
    """Keep the first line of a script, and that a text has none that its mode lets the kernel execute."""
    if len(node.scripts) >= MOST_SCRIPTS:
        return
    if head[:2] == b"#!":
        node.scripts[name] = head[:LINE].partition(b"\n")[0] + (b"\n" if b"\n" in head[:LINE] else b"")
    elif node.modes.get(name, 0) & 0o111 and head and is_plain(head):
        node.scripts[name] = b""


def class_version(head: bytes) -> int | None:
    """The format of a class file; None where it is none."""
    if head[:4] != _FAT or len(head) < 8:
        return None
    return int.from_bytes(head[6:8], "big")


def library_of(head: bytes) -> str | None:
    """``windows`` or ``macos`` of a library with machine code for that system; None for anything else, programs as well."""
    if head[:4] in _MACHO and len(head) >= 16:
        # mach/loader.h: MH_DYLIB 6, MH_BUNDLE 8.
        return "macos" if struct.unpack_from("<I", head, 12)[0] in (6, 8) else None
    if head[:4] == _FAT and len(head) >= 28:
        count, kind = struct.unpack_from(">II", head, 4)
        # A class file has its version there, and no processor's number behind it (mach-o/fat.h, mach/machine.h).
        return "macos" if 0 < count < 16 and kind in (7, 12, 18, 0x01000007, 0x0100000C, 0x01000012) else None
    return "windows" if head[:2] == b"MZ" and _is_dll(head) else None


def _is_dll(head: bytes) -> bool:
    if len(head) < 64:
        return False
    at = int.from_bytes(head[60:64], "little")
    if head[at : at + 4] != b"PE\0\0" or len(head) < at + 24 + 2:
        return False
    size, flags, magic = struct.unpack_from("<HHH", head, at + 20)
    if not flags & 0x2000:  # IMAGE_FILE_DLL
        return False
    directories = at + 24 + (112 if magic == 0x20B else 96)
    managed = directories + 8 * _CLR
    if managed + 8 > min(len(head), at + 24 + size):
        return True
    address: int = struct.unpack_from("<I", head, managed)[0]
    return address == 0
