"""Which programs the kernel starts in a sandbox, and by what: lines for a binfmt_misc of its own (Linux >= 6.7).

The kernel looks for a format of the interpreter as well, and ours are programs of the host. What tells them from programs that
are to be kept out is a random marker in the padding of their ELF identification (System V gABI, EI_PAD at bytes 9 to 15, which
loaders ignore). binfmt_misc matches equal bits alone; "not the marker" is a line for each of its bits: "this one differs".
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator
from dataclasses import dataclass

MARKER_OFFSET, MARKER_BYTES = 9, 7
ELF_MACHINE = {"amd64": 62, "arm64": 183, "loong64": 258, "i386": 3}
"""e_machine by architecture (System V gABI registry)."""
LOGGING = "xc-logging"
"""How the names of the lines of the logging emulator begin."""
_HOST_MACHINE = {"x86_64": 62, "aarch64": 183}
_BASE, _HEADER = 0x400000, 64 + 56

# The source, assembled with GNU as; `table` is the first byte after the code, 8-aligned from the start of the code:
#   write(2, table+8, table[0]); exit(126).
_REFUSER = {
    "x86_64": ("4c8d0521000000498b10498d7008bf02000000b8010000000f05bf7e000000b83c0000000f056690"),
    "aarch64": ("49010010220140f921210091400080d2080880d2010000d4c00f80d2a80b80d2010000d41f2003d5"),
}


def new_marker() -> bytes:
    """A random marker, for one sandbox."""
    return secrets.token_bytes(MARKER_BYTES)


def refuser(host_machine: str, message: str, marker: bytes) -> bytes:
    """An ELF program that writes ``message`` to stderr and exits with 126, as a shell does for "cannot execute".

    Raises:
        KeyError: there is none for this host machine (``uname -m``).
    """
    body = refusal(host_machine, message)
    ident = b"\x7fELF\x02\x01\x01".ljust(MARKER_OFFSET, b"\0") + marker
    size = _HEADER + len(body)
    machine = _HOST_MACHINE[host_machine]
    header = ident + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, _BASE + _HEADER, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)
    return header + segment + body


def refusal(host_machine: str, message: str) -> bytes:
    """The refuser's code, which runs wherever it stands, with what it says behind it."""
    text = message.encode()
    return bytes.fromhex(_REFUSER[host_machine]) + struct.pack("<Q", len(text)) + text


@dataclass(frozen=True)
class Interpreters:
    """Paths of what the kernel starts for a program.

    Attributes:
        emulator: for programs of the wanted architecture.
        logging: the emulator with a log of system calls, whose lines are enabled while a traced command runs.
        refuser: for programs of the host.
        nothing: a file that is no program: ELF programs of every other kind fail with ENOEXEC, as on a kernel that does not
            know them.
    """

    emulator: str
    logging: str
    refuser: str
    nothing: str


def registrations(wanted: str, native: str, marker: bytes, interpreters: Interpreters) -> list[bytes]:
    """The lines for ``binfmt_misc/register``, in this order: the kernel tries the last one first.

    Args:
        wanted: the architecture whose programs the emulator runs.
        native: the host's, whose programs the refuser answers for.
        marker: of the emulators and the refuser, which the kernel may start as they are.
    """
    lines = [
        _line(f"xc-no{n}", b"\x7fELF", b"\xff" * 4, bit, interpreters.nothing)
        for n, bit in enumerate(_differences(marker))
    ]
    for name, bits in _of_the_host(wanted, native):
        lines.append(
            _line(
                f"xc-{name}",
                *_program(ELF_MACHINE[name], bits),
                (b"", b"\xff" * MARKER_BYTES),
                interpreters.refuser,
            )
        )
    kind = _program(ELF_MACHINE[wanted], 64)  # what `kinds` tells a tracer has to be the same
    for prefix, emulator in (("xc", interpreters.emulator), (LOGGING, interpreters.logging)):
        if wanted == native:
            lines += [_line(f"{prefix}{n}", *kind, bit, emulator) for n, bit in enumerate(_differences(marker))]
        else:
            lines.append(_line(prefix, *kind, (b"", b""), emulator))
    return lines


def kinds(wanted: str, native: str) -> dict[str, list[tuple[str, str]]]:
    """The same for a tracer, which knows its emulators by their files and needs no marker.

    Returns:
        For ``emulator`` and ``refuser``, tried in this order: magics and masks in hexadecimal of the programs they are for.
        Every other program is one that the kernel does not know.
    """
    padding = b"\xff" * MARKER_BYTES
    refused = [_program(ELF_MACHINE[name], bits) for name, bits in _of_the_host(wanted, native)]
    after = MARKER_OFFSET + MARKER_BYTES
    return {
        "emulator": [_hexadecimal(_program(ELF_MACHINE[wanted], 64))],
        "refuser": [_hexadecimal((m, k[:MARKER_OFFSET] + padding + k[after:])) for m, k in refused],
    }


def _hexadecimal(pair: tuple[bytes, bytes]) -> tuple[str, str]:
    return pair[0].hex(), pair[1].hex()


def _of_the_host(wanted: str, native: str) -> list[tuple[str, int]]:
    """Architectures that the host runs by itself and the platform does not, with their bits."""
    found = [(native, 64), *([("i386", 32)] if native == "amd64" else [])]
    return [(name, bits) for name, bits in found if name != wanted]


def _differences(marker: bytes) -> Iterator[tuple[bytes, bytes]]:
    """For each bit of the marker: what the padding is to be, and the mask, so that the bit differs."""
    for index, byte in enumerate(marker):
        for bit in range(8):
            mask = 1 << bit
            yield bytes(index) + bytes([~byte & mask]), bytes(index) + bytes([mask])


def _program(machine: int, bits: int) -> tuple[bytes, bytes]:
    """Little-endian executables and position-independent ones of a machine."""
    magic = (b"\x7fELF" + bytes([bits // 32]) + b"\x01\x01").ljust(16, b"\0") + b"\x02\x00" + struct.pack("<H", machine)
    return magic, (b"\xff" * 7).ljust(16, b"\0") + b"\xfe\xff\xff\xff"


def _line(name: str, magic: bytes, mask: bytes, padding: tuple[bytes, bytes], interpreter: str) -> bytes:
    """One registration. Flags (Documentation/admin-guide/binfmt-misc.rst): P keeps argv[0], F opens the interpreter now."""
    want, care = (part.ljust(MARKER_BYTES, b"\0") for part in padding)
    if any(care):
        magic, mask = (
            whole[:MARKER_OFFSET].ljust(MARKER_OFFSET, b"\0") + part + whole[MARKER_OFFSET + MARKER_BYTES :]
            for whole, part in ((magic, want), (mask, care))
        )
    return f":{name}:M::{_escape(magic)}:{_escape(mask)}:{interpreter}:PF".encode()


def _escape(raw: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in raw)
