"""RPM packages."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from pytest_xinchuang.inspect.formats.contained import Account, CannotRead, ContainedFile
from pytest_xinchuang.inspect.formats.cpio import cpio
from pytest_xinchuang.inspect.formats.streams import decompressed
from pytest_xinchuang.messages import _
from pytest_xinchuang.tools.compressed import compression


def rpm_package(data: bytes, account: Account) -> Iterator[ContainedFile]:
    """An RPM package (LSB, rpm file format): lead, signature, header, and a compressed cpio archive."""
    at, _rest = _rpm_header(data, 96)
    at = (at + 7) // 8 * 8
    begin, (at, tags) = at, _rpm_header(data, at)
    text = "".join(f"{key}: {value}\n" for key, value in tags.items())
    yield ContainedFile("control", lambda: io.BytesIO(text.encode()), account)
    for name, script in _scripts(data, begin).items():
        yield ContainedFile(name, lambda script=script: io.BytesIO(script), account)  # type: ignore[misc]
    payload = data[at:]
    kind = compression(bytes(payload[:4])) or ("lzma" if payload[:1] == b"\x5d" else None)
    stream = decompressed(payload, kind, account) if kind else io.BufferedReader(io.BytesIO(bytes(payload)))
    if bytes(stream.peek(6)[:6]) not in (b"070701", b"070702"):  # type: ignore[attr-defined]
        raise CannotRead(_("its payload is no cpio archive that is known here"), "XC-BAD-006")
    yield from cpio(stream, account)


RPM_TAGS = {1000: "Package", 1001: "Version", 1002: "Release", 1022: "Architecture", 1125: "Compressor", 1000000: ""}


SCRIPTS = {"preinst": ((1151, 1153), (1023, 1085)), "postinst": ((1024, 1086), (1152, 1154))}
"""A script's name as a deb has it -> the tags of %pretrans and %pre, of %post and %posttrans, and of what runs each."""

MOST_SCRIPT = 1 << 20
"""Bytes of one script; of a longer one it is told later that it was not read whole."""


def _scripts(data: bytes, at: int) -> dict[str, bytes]:
    """The scripts that an installer runs, with what runs them as their first line."""
    count, size = struct.unpack_from(">II", data, at + 8)
    begin = at + 16 + 16 * count
    texts: dict[int, bytes] = {}
    wanted = {tag for pairs in SCRIPTS.values() for pair in pairs for tag in pair}
    for index in range(count):
        tag, kind, offset, _count = struct.unpack_from(">IIII", data, at + 16 + 16 * index)
        if tag in wanted and tag not in texts and kind in (6, 8):
            raw = bytes(data[begin + offset : min(begin + offset + MOST_SCRIPT, begin + size)])
            texts[tag] = raw.split(b"\0")[0]
    found = {}
    for name, pairs in SCRIPTS.items():
        parts = [(texts.get(program, b"/bin/sh"), texts[tag]) for tag, program in pairs if texts.get(tag)]
        if parts:
            strange = next((program for program, _text in parts if not program.endswith(b"sh")), parts[0][0])
            bodies = [text for _program, text in parts]
            if len(parts) > 1 and strange.endswith(b"sh"):
                bodies = [b"(\n" + text + b"\n)" for text in bodies]  # what one exits from is itself alone
            found[name] = b"\n".join([b"#!" + strange, *bodies]) + b"\n"
    return found


def _rpm_header(data: bytes, at: int) -> tuple[int, dict[str, str]]:
    if bytes(data[at : at + 3]) != b"\x8e\xad\xe8":
        raise CannotRead(_("damaged: no RPM header at byte {at}", at=at))
    count, size = struct.unpack_from(">II", data, at + 8)
    begin = at + 16 + 16 * count
    end = begin + size
    if end > len(data):
        raise CannotRead(_("damaged: its RPM header leaves the file"))
    tags = {}
    for index in range(count):
        tag, kind, offset, _rest = struct.unpack_from(">IIII", data, at + 16 + 16 * index)
        if RPM_TAGS.get(tag) and kind in (6, 9):
            raw = bytes(data[begin + offset : min(begin + offset + 256, end)])
            tags[RPM_TAGS[tag]] = raw.split(b"\0")[0].decode(errors="replace")
    return end, tags
