"""What a file is, by its first bytes."""

from __future__ import annotations

import re

from pytest_xinchuang.inspect.formats.asar import is_asar
from pytest_xinchuang.inspect.formats.iso import is_iso
from pytest_xinchuang.inspect.names import is_blob
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.compressed import compression

ZIPS = (b"PK\x03\x04", b"PK\x05\x06", b"JM\1\0", b"Cr24")
"""Java's modules and Chromium's extensions are zip archives behind a header of their own."""


def kind_of(data: bytes, name: str) -> str | None:
    """What kind of container (or ``elf``) starts with ``data``; None for anything else.

    512 bytes are enough for all but ISO images, which need 32,774."""
    head = bytes(data[:4])
    if head == b"\x7fELF":
        return "elf"
    if head in ZIPS:
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
    if is_asar(data):
        return "asar"
    if is_iso(data):
        return "iso"
    if compression(head):
        return "compressed"
    return "tar" if _is_empty_tar(data, name) else None


def _is_empty_tar(data: bytes, name: str) -> bool:
    """Two blocks of zeros end a tar archive and are all of one without members (tar(5)), as ``WORKDIR /`` makes a layer."""
    return (name.endswith(".tar") or is_blob(name)) and bytes(data[:1024]) == bytes(1024)


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
    b"\x02\x21\x4c\x18": _("compressed with lz4"),
    b"\x89LZO\0": _("compressed with lzop"),
    b"\x1f\x9d\x90": _("compressed with compress"),
    b"\x5d\0\0": _("compressed with lzma"),
    b"flatpak\0": _("a Flatpak bundle"),
    b"QFI\xfb": "a qcow2 disk image",
    b"KDMV": "a VMDK disk image",
    b"vhdxfile": "a VHDX disk image",
    b"conectix": "a VHD disk image",
    b"<<< ": "a VDI disk image",
    b"\x3a\xff\x26\xed": _("a sparse image of Android's"),
    b"LUKS\xba\xbe": _("an encrypted disk (LUKS)"),
    b"Salted__": _("encrypted by OpenSSL"),
    b"XFSB": _("a file system ({name})", name="XFS"),
    b"-rom1fs-": _("a file system ({name})", name="romfs"),
    b"\x45\x3d\xcd\x28": _("a file system ({name})", name="cramfs"),
    b"UBI#": _("a file system ({name})", name="UBI"),
    b"\x31\x18\x10\x06": _("a file system ({name})", name="UBIFS"),
    b"\x85\x19\x03\x20": _("a file system ({name})", name="JFFS2"),
    b"sqsh": _("a squashfs in big endian order"),
    b"\x27\x05\x19\x56": _("an image of U-Boot's"),
    b"PACK\0\0\0\x02": _("a pack of Git's"),
}
"""First bytes of containers that are known and not read (file(1)'s magic): what they hold is unknown, and may be anything.

Those of Windows and macOS alone (cabinet, MSI, xar) are left out: to ship them beside one's packages is no fault."""

ENCRYPTED = (
    b"-----BEGIN PGP MESSAGE-----",
    b"age-encryption.org/v1\n",
    b"-----BEGIN AGE ENCRYPTED FILE-----",
    b"$ANSIBLE_VAULT;",
)
"""First words of encrypted files (RFC 9580, 6.2; age's format, 1; Ansible Vault's), most of them texts."""

FILE_SYSTEMS = (
    (1080, b"\x53\xef", "ext4"),
    (1024, b"\xe2\xe1\xf5\xe0", "EROFS"),
    (1024, b"\x10\x20\xf5\xf2", "F2FS"),
    (65600, b"_BHRfS_M", "btrfs"),
    (32769, b"BEA01", "UDF"),
    (82, b"FAT32   ", "FAT"),
    (54, b"FAT1", "FAT"),
    (3, b"NTFS    ", "NTFS"),
    (3, b"EXFAT   ", "exFAT"),
)
"""Where file systems have their mark (file(1)'s magic), and what it is."""

PROBED = 65608
"""Bytes from which any kind can be told."""


_PRINTABLE = re.compile(rb"[\t\n\r\x20-\x7e]+")


def unread_format(data: bytes) -> str | None:
    """The name of a container format that is known here but cannot be read; ``PROBED`` bytes are enough, 16 for most."""
    head = bytes(data[:256])
    if head.startswith(ENCRYPTED):
        return _("encrypted")
    if _PRINTABLE.fullmatch(head):
        return None
    found = next((text for magic, text in UNREAD_FORMATS.items() if head.startswith(magic)), None)
    if found is not None:
        return found
    if head[:2] == b"\xc7\x71" and head[26:27].isascii() and 1 < int.from_bytes(head[20:22], "little") < 256:
        return _("a cpio archive in the old binary format")
    system = next((name for at, magic, name in FILE_SYSTEMS if bytes(data[at : at + len(magic)]) == magic), None)
    if system == "ext4":
        # Its mark has two bytes: the logarithm of its block size is small besides, and its revision 0 or 1.
        system = system if data[1048] <= 6 and data[1100] <= 1 and not any(bytes(data[1049:1052])) else None
    if system is not None:
        return _("a file system ({name})", name=system)
    kernel = bytes(data[514:518]) == b"HdrS"  # Linux's for x86 begins as a boot sector
    if (
        bytes(data[510:512]) == b"\x55\xaa"
        and not kernel
        and (bytes(data[512:520]) == b"EFI PART" or _is_partitioned(bytes(data[446:510])))
    ):
        return _("a disk image with partitions")
    return None


def _is_partitioned(table: bytes) -> bool:
    """Whether four records of a partition table can be such: inactive or active, and at least one of a kind and a size."""
    parts = [table[at : at + 16] for at in range(0, len(table) - 15, 16)]
    return all(p[0] in (0, 0x80) for p in parts) and any(p[4] and any(p[12:16]) for p in parts)


_INERT = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF8",
    b"\xca\xfe\xba\xbe\0\0\0",  # a Java class, or an object of macOS
    b"wOFF",
    b"wOF2",
    b"\0\1\0\0\0",  # TrueType
    b"OTTO",
    b"OggS",
    b"ID3",
    b"\0asm",
    b"\0\0\1\0",  # icons
)
_INERT_NAMES = (".mo", ".class")


def is_inert(data: bytes, name: str) -> bool:
    """Whether a file is of a kind that hides no program: pictures, fonts, sounds, byte code."""
    return bytes(data[:8]).startswith(_INERT) or name.endswith(_INERT_NAMES)


def is_plain(data: bytes) -> bool:
    """Whether the beginning of a file is text."""
    return b"\0" not in bytes(data[:512])


def is_script(data: bytes) -> bool:
    return bytes(data[:2]) == b"#!"
