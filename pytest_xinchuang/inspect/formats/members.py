"""The members of any container that is known here."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_xinchuang.inspect.formats import archives, asar, cpio, iso, pyinstaller, rpm, squashfs
from pytest_xinchuang.inspect.formats.contained import Account, CannotRead, ContainedFile, translated
from pytest_xinchuang.messages import _


def members(kind: str, data: bytes, account: Account) -> Iterator[ContainedFile]:
    """The members of a container, in order.

    Raises:
        CannotRead: it is damaged, encrypted or of an unknown variant; members before that were given.
        TooMuch: a bound was reached.
    """
    reader = {
        "zip": archives.zipped,
        "wheel": archives.zipped,
        "jar": archives.zipped,
        "tar": archives.tar,
        "deb": archives.ar,
        "static-archive": archives.ar,
        "rpm": rpm.rpm_package,
        "cpio": cpio.initrd,
        "compressed": archives.compressed,
        "squashfs": squashfs.squashfs_image,
        "iso": iso.iso,
        "asar": asar.asar,
        "pyinstaller": pyinstaller.carchive,
    }.get(kind)
    if reader is None:
        raise CannotRead(_("of no kind that is known here"), "XC-BAD-006")
    found = reader(data, account)
    while True:
        with translated():
            member = next(found, None)
        if member is None:
            return
        yield member
