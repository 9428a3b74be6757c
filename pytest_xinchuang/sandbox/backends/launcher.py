"""Two tiny host programs, written as bytes, that stand between binfmt_misc and the emulator.

The kernel starts an *interpreter* for each foreign program. If that were qemu itself, the CPU model could only be given
by the environment, and a child with a cleared or edited environment would run on another CPU: a false pass. So the
interpreter is ``launcher``: it puts ``-cpu MODEL -r RELEASE`` on qemu's command line, which wins over the environment.
``refuser`` is registered for programs of the host's own architecture, which the kernel would otherwise run natively.

Both carry a marker in the padding of their ELF identification (System V gABI, EI_PAD at byte 9), so that binfmt_misc
can be asked to match x86-64 programs on an x86-64 host but not the emulator.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from pytest_xinchuang.provision.refs import MARKER, MARKER_OFFSET

_BASE = 0x400000
_HEADER = 64 + 56
_MACHINES = {"x86_64": 62, "aarch64": 183}

# The sources, assembled with GNU as; `table` is the first byte after the code, 8-aligned from the start of the code.
#   launcher: keep argv[1] (program) and argv[2] (its argv[0], binfmt flag P); drop four words from the stack; push the
#   program, its argv[0], then table[n]..table[1]; execve(table[1], sp, envp); exit(126).
#   refuser: write(2, table+8, table[0]); exit(126).
_LAUNCHER = {
    "x86_64": (
        "488b0424488b5c2410488b4c2418488d54c410488d64242053514c8d052f0000004d8b084d85c9740943ff34c849ffc9ebf24889e6"
        "488b3c24b83b0000000f05bf7e000000b83c0000000f050f1f4000"
    ),
    "aarch64": (
        "e00340f9e90b40f9ea0f40f9e26f208b42400091eb830091698d1ff86a8d1ff8cc0100108d0140f9ad0000b48e796df86e8d1ff8"
        "ad0500d1fcffff17e1030baa600140f9a81b80d2010000d4c00f80d2a80b80d2010000d4"
    ),
}
_REFUSER = {
    "x86_64": ("4c8d0521000000498b10498d7008bf02000000b8010000000f05bf7e000000b83c0000000f056690"),
    "aarch64": ("49010010220140f921210091400080d2080880d2010000d4c00f80d2a80b80d2010000d41f2003d5"),
}


def _elf(machine: str, code: bytes, data: bytes) -> bytes:
    body = code + data
    ident = (b"\x7fELF\x02\x01\x01".ljust(MARKER_OFFSET, b"\0") + MARKER).ljust(16, b"\0")
    size = _HEADER + len(body)
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 2, _MACHINES[machine], 1, _BASE + _HEADER, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x10000)
    return header + segment + body


def launcher(host_machine: str, arguments: Sequence[str]) -> bytes:
    """An ELF program that replaces itself by ``arguments`` + [argv[0] of the program, the program, its arguments].

    ``arguments`` starts with the emulator's path and ends with the option that takes the argv[0] (qemu's ``-0``).

    Raises:
        KeyError: there is no launcher for this host machine (``uname -m``).
    """
    code = bytes.fromhex(_LAUNCHER[host_machine])
    strings, pointers = b"", []
    texts = _BASE + _HEADER + len(code) + 8 * (len(arguments) + 1)
    for argument in arguments:
        pointers.append(texts + len(strings))
        strings += argument.encode() + b"\0"
    return _elf(host_machine, code, struct.pack(f"<{len(pointers) + 1}Q", len(pointers), *pointers) + strings)


def refuser(host_machine: str, message: str) -> bytes:
    """An ELF program that writes ``message`` to stderr and exits with 126, as a shell does for "cannot execute"."""
    text = message.encode()
    return _elf(host_machine, bytes.fromhex(_REFUSER[host_machine]), struct.pack("<Q", len(text)) + text)


def supported(host_machine: str) -> bool:
    """Whether there are a launcher and a refuser for this host machine (``uname -m``)."""
    return host_machine in _LAUNCHER


def registration(name: str, machine: int, interpreter: str, *, bits: int = 64) -> bytes:
    """The line for ``binfmt_misc/register``: little-endian executables of ``machine`` without our marker.

    Flags (Documentation/admin-guide/binfmt-misc.rst): P keeps argv[0], F opens the interpreter now, so that it is
    found from inside a root filesystem that does not hold it.
    """
    magic = b"\x7fELF" + bytes([bits // 32]) + b"\x01\x01" + b"\0" * 9 + b"\x02\x00" + struct.pack("<H", machine)
    mask = b"\xff" * 7 + b"\x00\x00\xff" + b"\0" * 6 + b"\xfe\xff\xff\xff"
    return f":{name}:M::{_escape(magic)}:{_escape(mask)}:{interpreter}:PF".encode()


def _escape(raw: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in raw)


ELF_MACHINE = {"amd64": 62, "arm64": 183, "loong64": 258, "i386": 3}
"""e_machine by architecture (System V gABI registry)."""
