"""What `go build` writes into a program: the version, the modules, and the settings of the build."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

MAGIC = b"\xff Go buildinf:"
_SENTINEL = 16
"""Bytes of a random mark before and after the module text (runtime/debug, modinfo)."""
_LIMIT = 1 << 20


@dataclass(frozen=True)
class LinkedModule:
    """A module that a program was built from."""

    path: str
    version: str
    replaced_by: str = ""


@dataclass(frozen=True)
class GoBuildInfo:
    """What `go version -m` prints: the version, the main module, its dependencies and the build settings."""

    version: str
    path: str = ""
    modules: tuple[LinkedModule, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()

    def setting(self, key: str) -> str | None:
        return dict(self.settings).get(key)

    @cached_property
    def number(self) -> tuple[int, ...]:
        """``go1.22.3`` as (1, 22, 3), empty for a development version."""
        found = re.match(r"go(\d+(?:\.\d+)*)", self.version)
        return tuple(map(int, found.group(1).split("."))) if found else ()

    @cached_property
    def forked(self) -> bool:
        """Whether the version carries a vendor's mark, as Loongson's forks do (`go1.15.6-loongson`, `loongnix`)."""
        return bool(re.search(r"loongson|loongnix|\.lnd\.|abi1", self.version, re.IGNORECASE))


def read_go_build_info(data: bytes, start: int, size: int, at: Callable[[int], int | None]) -> GoBuildInfo | None:
    """The build information in ``size`` bytes at ``start`` of a program; ``at`` makes a file offset of an address.

    Layout: Go's debug/buildinfo. Since 1.18 the two strings stand inline; before, the header points to them.
    """
    here = data.find(MAGIC, start, min(start + size, len(data)))
    if here < 0 or here + 32 > len(data):
        return None
    pointer_size, flags = data[here + 14], data[here + 15]
    if flags & 2:
        version, after = _inline(data, here + 32)
        text, _ = _inline(data, after)
    else:
        order = ">" if flags & 1 else "<"
        kind = {4: "I", 8: "Q"}.get(pointer_size)
        if kind is None:
            return None
        version = _by_pointer(data, here + 16, order + kind, at)
        text = _by_pointer(data, here + 16 + pointer_size, order + kind, at)
    shown = version.decode(errors="replace")
    if not shown.startswith(("go", "devel")):
        return None
    text = text[_SENTINEL:-_SENTINEL] if len(text) >= 2 * _SENTINEL + 1 and text[-_SENTINEL - 1] == 10 else b""
    return _parse(shown, text.decode(errors="replace"))


def _inline(data: bytes, place: int) -> tuple[bytes, int]:
    length = shift = 0
    for index in range(10):
        if place + index >= len(data):
            return b"", place
        byte = data[place + index]
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            begin = place + index + 1
            return bytes(data[begin : begin + min(length, _LIMIT)]), begin + length
    return b"", place


def _by_pointer(data: bytes, place: int, form: str, at: Callable[[int], int | None]) -> bytes:
    """A Go string (pointer and length) that a pointer at ``place`` leads to."""
    width = struct.calcsize(form)

    def word(offset: int | None) -> int | None:
        if offset is None or offset < 0 or offset + width > len(data):
            return None
        return int(struct.unpack_from(form, data, offset)[0])

    header = word(place)
    where = at(header) if header is not None else None
    begin, length = word(where), word(where + width if where is not None else None)
    offset = at(begin) if begin is not None else None
    if offset is None or length is None:
        return b""
    return bytes(data[offset : offset + min(length, _LIMIT)])


def _parse(version: str, text: str) -> GoBuildInfo:
    path = ""
    modules: list[LinkedModule] = []
    settings: list[tuple[str, str]] = []
    for line in text.splitlines():
        words = line.split("\t")
        if words[0] == "path" and len(words) > 1:
            path = words[1]
        elif words[0] in ("mod", "dep") and len(words) > 2:
            modules.append(LinkedModule(words[1], words[2]))
        elif words[0] == "=>" and len(words) > 1 and modules:
            last = modules.pop()
            modules.append(LinkedModule(last.path, last.version, " ".join(w for w in words[1:3] if w)))
        elif words[0] == "build" and len(words) > 1:
            key, _, value = words[1].partition("=")
            settings.append((key, value.strip('"')))
    return GoBuildInfo(version, path, tuple(modules), tuple(settings))
