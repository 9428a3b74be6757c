"""h1: the hash of go.sum (golang.org/x/mod/sumdb/dirhash, Hash1)."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.supply_chain.golang.modzip import MAX_FILE, entry_name

HEAD = 1 << 16
"""Bytes of a file's beginning that are shown to who looks on; of a Go source up to ``MAX_FILE``."""


def h1(files: Iterable[tuple[str, str]]) -> str:
    """The hash over names with the SHA-256, in hexadecimal, of their contents."""
    total = hashlib.sha256()
    for name, digest in sorted(files, key=lambda f: f[0].encode("utf-8", "surrogateescape")):
        total.update(f"{digest}  {name}\n".encode("utf-8", "surrogateescape"))
    return "h1:" + base64.b64encode(total.digest()).decode()


def h1_of_go_mod(content: bytes) -> str:
    """The hash of a line ``MODULE VERSION/go.mod``."""
    return h1([("go.mod", hashlib.sha256(content).hexdigest())])


def digests_of_zip(path: Path, look: Callable[[str, bytes], None] | None = None) -> dict[str, str]:
    """Each file of a module zip, by its whole name, with its SHA-256.

    Args:
        look: is shown each file's name and beginning.

    Raises:
        XcError: it is no zip, or two of its files have one name.
    """
    found: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = entry_name(info) or info.filename
                if name.endswith("/"):
                    continue
                if name in found:
                    raise XcError(_("{path}: it has the file {name} twice", path=path, name=name))
                with archive.open(info) as file:
                    digest = hashlib.sha256()
                    head = file.read(MAX_FILE if name.endswith(".go") else HEAD)
                    if look is not None:
                        look(name, head)
                    digest.update(head)
                    while more := file.read(1 << 20):
                        digest.update(more)
                    found[name] = digest.hexdigest()
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise XcError(_("{path}: not a module zip: {why}", path=path, why=error)) from error
    return found
