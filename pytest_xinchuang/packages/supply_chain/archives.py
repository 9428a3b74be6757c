"""The files of published archives: names below their root, with SHA-256, nothing unpacked."""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _

LARGEST = 8 << 30
"""Bytes that an archive may unpack to, in all: what would never end is refused."""

FAULTS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    RuntimeError,
)


class BadArchive(XcError):
    """An archive that cannot be read, or that no client would unpack in one way."""


Contents = dict[str, str]
"""Name -> SHA-256."""

Keep = Callable[[str], bool]
"""Whether a file's bytes are wanted too."""


def read_archive(path: Path, wanted: Keep = lambda _name: False) -> tuple[Contents, dict[str, bytes]]:
    """The digests of all files of a zip or tar, and the bytes of those that are ``wanted``.

    A later member of the same name replaces an earlier one, as it does when it is unpacked.

    Raises:
        BadArchive: it is neither, leads out of its directory, or is too large.
    """
    found: Contents = {}
    texts: dict[str, bytes] = {}
    left = LARGEST
    try:
        for name, opened, size in _members(path):
            left -= size
            if left < 0:
                raise BadArchive(_("{path}: it unpacks to more than {most} GiB", path=path, most=LARGEST >> 30))
            parts = name.split("/")
            if name.startswith("/") or "\\" in name or ".." in parts or "\0" in name:
                raise BadArchive(_("{path}: {name} leads out of the archive", path=path, name=repr(name)))
            clean = "/".join(p for p in parts if p not in ("", "."))
            made = hashlib.sha256()
            kept = bytearray()
            keep = wanted(clean)
            while block := opened.read(1 << 20):
                made.update(block)
                if keep and len(kept) < 16 << 20:
                    kept += block
            found[clean] = made.hexdigest()
            if keep:
                texts[clean] = bytes(kept)
    except FAULTS as error:
        raise BadArchive(_("{path}: the archive cannot be read: {why}", path=path, why=error)) from error
    return found, texts


def _members(path: Path) -> Iterator[tuple[str, IO[bytes], int]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    with archive.open(info) as opened:
                        yield info.filename, opened, info.file_size
        return
    with tarfile.open(path, "r:*") as tar:
        for member in tar:
            if member.isfile():
                stream = tar.extractfile(member)
                if stream is not None:
                    yield member.name, stream, member.size
