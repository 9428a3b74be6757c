"""h1: the hash of go.sum (golang.org/x/mod/sumdb/dirhash, Hash1)."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _


def h1(files: Iterable[tuple[str, str]]) -> str:
    """The hash over names with the SHA-256, in hexadecimal, of their contents."""
    total = hashlib.sha256()
    for name, digest in sorted(files):
        total.update(f"{digest}  {name}\n".encode())
    return "h1:" + base64.b64encode(total.digest()).decode()


def h1_of_go_mod(content: bytes) -> str:
    """The hash of a line ``MODULE VERSION/go.mod``."""
    return h1([("go.mod", hashlib.sha256(content).hexdigest())])


def digests_of_zip(path: Path) -> dict[str, str]:
    """Each file of a module zip, by its whole name, with its SHA-256.

    Raises:
        XcError: it is no zip, or two of its files have one name.
    """
    found: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.filename.endswith("/"):
                    continue
                if info.filename in found:
                    raise XcError(_("{path}: it has the file {name} twice", path=path, name=info.filename))
                with archive.open(info) as file:
                    found[info.filename] = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError) as error:
        raise XcError(_("{path}: not a module zip: {why}", path=path, why=error)) from error
    return found
