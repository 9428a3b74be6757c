"""Compressed streams, by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from typing import IO, Any

from pytest_xinchuang.core.optional import optional

_MAGIC = ((b"\x1f\x8b", "gzip"), (b"\xfd7zX", "xz"), (b"BZh", "bzip2"), (b"\x28\xb5\x2f\xfd", "zstd"))

DAMAGE = (lzma.LZMAError, zlib.error, EOFError, OSError, ValueError)
"""What readers of damaged streams raise; that of zstd raises an error of its own besides."""


def compression(head: bytes) -> str | None:
    """How a stream that starts with these four bytes is compressed; None: in no way that is known here."""
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def decompressing(raw: IO[bytes], kind: str) -> Any:
    """A reader of what ``raw`` holds; its ``read`` raises what the decompressor of that kind raises.

    Args:
        kind: one of ``compression``, or ``lzma`` for streams of LZMA alone, which have no magic.

    Raises:
        MissingDependency: zstd cannot be read here.
    """
    match kind:
        case "gzip":
            return gzip.GzipFile(fileobj=raw)
        case "xz":
            return lzma.LZMAFile(raw)
        case "lzma":
            return lzma.LZMAFile(raw, format=lzma.FORMAT_ALONE)
        case "bzip2":
            return bz2.BZ2File(raw)
    with optional("inspect"):
        import zstandard

    return zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
