"""What a file is, by its first bytes."""

from __future__ import annotations

from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.compressed import compression


def kind_of(data: bytes, name: str) -> str | None:
    """What kind of container (or ``elf``) starts with ``data``; None for anything else. 512 bytes are enough."""
    head = bytes(data[:4])
    if head == b"\x7fELF":
        return "elf"
    if head in (b"PK\x03\x04", b"PK\x05\x06"):
        lower = name.lower()
        for kind, endings in (("wheel", (".whl",)), ("jar", (".jar", ".war", ".ear", ".aar"))):
            if lower.endswith(endings):
                return kind
        return "zip"
    if bytes(data[:8]) == b"!<arch>\n":
        return "deb" if bytes(data[8:21]) == b"debian-binary" else "static-archive"
    if head == b"\xed\xab\xee\xdb":
        return "rpm"
    if head == b"hsqs":
        return "squashfs"
    if bytes(data[:6]) in (b"070701", b"070702"):
        return "cpio"
    if bytes(data[257:262]) == b"ustar" or _is_old_tar(data):
        return "tar"
    if compression(head):
        return "compressed"
    return None


def _is_old_tar(data: bytes) -> bool:
    """Before POSIX.1-1988 a tar archive had no magic, but the same sum of its header (tar(5), "Old-Style Archive Format")."""
    header = bytes(data[:512])
    told = header[148:156].strip(b" \0")
    if len(header) < 512 or not header[0] or not told.isdigit() or told.strip(b"01234567"):
        return False
    return int(told, 8) == sum(header) - sum(header[148:156]) + 8 * ord(" ")


UNREAD_FORMATS = {
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"070707": _('a cpio archive in the "old ASCII" format'),
    b"LZIP": _("compressed with lzip"),
    b"LRZI": _("compressed with lrzip"),
    b"\x04\x22\x4d\x18": _("compressed with lz4"),
    b"\x89LZO\0": _("compressed with lzop"),
    b"\x1f\x9d\x90": _("compressed with compress"),
    b"\x5d\0\0": _("compressed with lzma"),
    b"flatpak\0": _("a Flatpak bundle"),
    b"QFI\xfb": "a qcow2 disk image",
}
"""First bytes of containers that are known and not read (file(1)'s magic): what they hold is unknown, and may be anything.

Those of Windows and macOS alone (cabinet, MSI, xar) are left out: to ship them beside one's packages is no fault."""


def unread_format(data: bytes) -> str | None:
    """The name of a container format that is known here but cannot be read; 512 bytes are enough."""
    head = bytes(data[:16])
    return next((text for magic, text in UNREAD_FORMATS.items() if head.startswith(magic)), None)


def is_script(data: bytes) -> bool:
    return bytes(data[:2]) == b"#!"
