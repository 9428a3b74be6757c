"""Electron's archives: resources/app.asar."""

from __future__ import annotations

import json
import stat
import struct
from collections.abc import Iterator
from typing import Any

from pytest_xinchuang.inspect.formats.contained import Account, CannotRead, ContainedFile, Pieces
from pytest_xinchuang.inspect.formats.streams import pieces
from pytest_xinchuang.messages import _, told

MOST_HEADER = 16 << 20


def is_asar(data: bytes) -> bool:
    """Whether it begins with two pickles of Chromium's, the second of which is a string of JSON."""
    if len(data) < 32 or bytes(data[:4]) != b"\x04\0\0\0":
        return False
    outer, inner, text = struct.unpack_from("<III", data, 4)
    return outer == inner + 4 and text <= inner - 4 <= text + 3 and bytes(data[16:17]) == b"{"


def asar(data: Any, account: Account) -> Iterator[ContainedFile]:
    """The files in it. Those that it says are unpacked stand beside it, in ``app.asar.unpacked``."""
    outer, _rest, length = struct.unpack_from("<III", data, 4)
    begin = 8 + outer
    if length > MOST_HEADER or begin > len(data):
        raise CannotRead(_("damaged: its header leaves the file"))
    try:
        tree = json.loads(bytes(data[16 : 16 + length]))
    except (ValueError, RecursionError) as error:
        raise CannotRead(_("damaged: {why}", why=told(error))) from error
    stack: list[tuple[str, Any]] = [("", tree)]
    while stack:
        path, node = stack.pop()
        if not isinstance(node, dict):
            raise CannotRead(_("damaged: {name} is neither a file nor a directory", name=path))
        if isinstance(node.get("files"), dict):
            stack += [(f"{path}/{name}".lstrip("/"), child) for name, child in reversed(node["files"].items())]
        elif "link" in node:
            # Links are told from the archive's root.
            yield ContainedFile(path, None, account, link=f"/{node['link']}")
        elif not node.get("unpacked"):
            yield _file(data, begin, path, node, account)


def _file(data: Any, begin: int, path: str, node: dict[str, Any], account: Account) -> ContainedFile:
    try:
        first, size = begin + int(node["offset"]), int(node["size"])
    except (KeyError, ValueError, TypeError) as error:
        raise CannotRead(_("damaged: {name} has no place in the archive", name=path)) from error
    if first < begin or size < 0 or first + size > len(data):
        raise CannotRead(_("damaged: {name} leaves the archive", name=path))
    mode = 0o755 if node.get("executable") else 0o644
    return ContainedFile(path, lambda: Pieces(pieces(data, first, first + size)), account, mode=stat.S_IMODE(mode))
