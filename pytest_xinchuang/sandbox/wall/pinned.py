"""An emulator that has its CPU model within itself, so that whoever starts it, and however, gets that CPU.

The kernel starts an *interpreter* for each foreign program. The CPU model must be on qemu's command line, where it wins over
the environment: a child with a cleared or edited environment would run on another CPU. So a copy of the emulator gets one
more segment, whose code runs first: it puts ``-cpu MODEL -r RELEASE -0 ARGV0`` on the stack, between the emulator's name and
the program's, and goes on at the emulator's own entry. binfmt_misc opens the copy once (flag F): there is no path to it in
the sandbox, the file cannot be read, and whoever executes it by way of /proc/PID/exe gets the same CPU.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.messages import _
from pytest_xinchuang.sandbox.wall.formats import MARKER_OFFSET

_PAGE = 0x10000
"""The greatest page size of a host."""
_PT_LOAD, _PT_NOTE, _ENTRY, _HEADERS = 1, 4, 24, 32
_ET_EXEC, _ET_DYN = 2, 3

_STUB = {
    # Assembled with GNU as. `table` follows the code: how many words, then their offsets from `table`; before it is the
    # offset of the emulator's entry. The code refuses (126) fewer than three words, and a program's name that begins with
    # `-`, which qemu would take for an option. It copies argc, argv, the environment and the auxiliary vector downwards with
    # the words in between, clears AT_FLAGS_PRESERVE_ARGV0 (qemu would look for argv[0] by itself), and calls
    # prctl(PR_SET_DUMPABLE, 1): a program whose file cannot be read begins without, and could not read its own
    # /proc/self/environ.
    "x86_64": (
        "4989e0498b004883f8030f82d60000004d8b601041803c242d0f84c70000004d8b68184d8b70084c8d0d1a0100004d8b114c01d04e8d1cd5"
        "000000004c29dc4883e4f04889e7498d70204889074c8977084883c710498d59084d85d27416488b0b4c01c948890f4883c7084883c30849"
        "ffcaebe54c892f4c8967084883c710488b064889074883c6084883c7084885c075ed488b064889074883c6084883c7084885c075ed488b06"
        "488b4e084883f80875044883e1fe48890748894f084883c6104883c7104885c075dbb89d000000bf04000000be010000000f05498b41f84c"
        "01c831d2ffe0b801000000bf02000000488d3513000000ba310000000f05bf7e000000b83c0000000f0578633a20726566757365643a2074"
        "6865206e616d65206f6620612070726f6772616d20626567696e732077697468202d0a00000000000000000000000000"
    ),
    "aarch64": (
        "e8030091000140f91f0c00f1a30500540c0940f9810140393fb40071200500540d0d40f90e0540f9c90700102a0140f900000a8b0b0d0acb"
        "6bed7c927f010091e2030baa03810091403881a824210091ca0000b4858440f8a500098b458400f84a0500d1fbffff174d3081a8608440f8"
        "408400f8c0ffffb5608440f8408400f8c0ffffb56004c1a81f2000f14100005421f87f92400481a860ffffb5e81480d2800080d2210080d2"
        "010000d430815ff81002098b000080d2010080d200021fd6080880d2400080d2c1000010220680d2010000d4c00f80d2a80b80d2010000d4"
        "78633a20726566757365643a20746865206e616d65206f6620612070726f6772616d20626567696e732077697468202d0a00000000000000"
        "0000000000000000"
    ),
}


_NAMED = {
    # prctl(PR_SET_NAME, SP - 64), and on to the code above: the displacement of the last instruction is left open.
    "x86_64": "488d7424c0bf0f000000b89d0000000f05e9",
    "aarch64": "e10301d1e00180d2e81480d2010000d4",
}


@dataclass(frozen=True)
class Doors:
    """Where else a pinned copy can be entered, in bytes from its entry: by a tracer, which does there what the kernel does
    for an interpreter.

    Attributes:
        named: the process takes its name from the 16 bytes that are 64 below the stack pointer (``/proc/PID/comm``).
        refused: it says that the program is one of the host, and ends.
    """

    named: int
    refused: int


@dataclass(frozen=True)
class Patch:
    """Bytes to be written into a copy of a file."""

    offset: int
    data: bytes


def supported(machine: str) -> bool:
    """Whether emulators for this host machine (``uname -m``) can be pinned."""
    return machine in _STUB


def doors(machine: str, arguments: Sequence[str], refusal: bytes) -> tuple[bytes, Doors]:
    """What ``pin`` is to put behind its code, and where that is.

    Args:
        refusal: code that can stand anywhere (``formats.refusal``).
    """
    start = len(_body(machine, arguments))
    code = bytes.fromhex(_NAMED[machine])
    if machine == "x86_64":
        code += struct.pack("<i", -(start + len(code) + 4))
    else:
        code += struct.pack("<I", 0x14000000 | (-(start + len(code)) // 4 & 0x3FFFFFF))
    code = _aligned(code)
    return code + refusal, Doors(start, start + len(code))


def pin(emulator: Path, machine: str, arguments: Sequence[str], marker: bytes, tail: bytes = b"") -> list[Patch]:
    """What makes of a copy of a static qemu-user one that always has ``arguments``.

    It is called with the program, the program's argv[0] and its arguments, as by binfmt_misc with flag P.

    Args:
        machine: ``uname -m`` of the host.
        arguments: without the last option, which takes the argv[0] (qemu's ``-0``).
        marker: written over the padding of its identification, from ``MARKER_OFFSET`` on.
        tail: of ``doors``.

    Raises:
        KeyError: there is no code for this host machine.
        ValueError: the file is no static ELF program with a note that can be given up.
    """
    with emulator.open("rb") as file:
        head = file.read(1 << 14)
    size = emulator.stat().st_size
    if head[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", head, 16)[0] not in (_ET_EXEC, _ET_DYN):
        raise ValueError(_("{file}: it is no 64-bit ELF program", file=str(emulator)))
    (entry,) = struct.unpack_from("<Q", head, _ENTRY)
    (table,) = struct.unpack_from("<Q", head, _HEADERS)
    each, count = struct.unpack_from("<HH", head, 54)
    if table + each * count > len(head):
        raise ValueError(_("{file}: its program headers are not at its beginning", file=str(emulator)))
    end, note, last = 0, -1, -1
    for index in range(count):
        kind, _flags, _offset, address, _physical, _filed, length = struct.unpack_from(
            "<IIQQQQQ", head, table + each * index
        )
        if kind == _PT_LOAD:
            end, last = max(end, address + length), index
        elif kind == _PT_NOTE:
            note = index
    # Segments are in the order of their addresses: the kernel takes the last for the end of the image.
    if note < last or last < 0:
        raise ValueError(_("{file}: it has no note behind its segments", file=str(emulator)))
    place, offset = _round(end), _round(size)
    stub = len(bytes.fromhex(_STUB[machine]))
    data = bytearray(_body(machine, arguments) + tail)
    struct.pack_into("<q", data, stub - 8, entry - (place + stub))
    segment = struct.pack("<IIQQQQQQ", _PT_LOAD, 5, offset, place, place, len(data), len(data), _PAGE)
    return [
        Patch(MARKER_OFFSET, marker),
        Patch(_ENTRY, struct.pack("<Q", place)),
        Patch(table + each * note, segment),
        Patch(offset, bytes(data)),
    ]


def _body(machine: str, arguments: Sequence[str]) -> bytes:
    """The code that runs first and the words that it puts on the stack; where it goes on is left open."""
    words = [*arguments, "-0"]
    strings, offsets = b"", []
    for word in words:
        offsets.append(8 * (len(words) + 1) + len(strings))
        strings += word.encode() + b"\0"
    table = struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets)
    return _aligned(bytes.fromhex(_STUB[machine]) + table + strings)


def _aligned(code: bytes) -> bytes:
    return code.ljust(-(-len(code) // 16) * 16, b"\0")


def _round(value: int) -> int:
    return -(-value // _PAGE) * _PAGE
