"""Small eBPF objects, as clang writes them."""

from __future__ import annotations

import struct

CALL_PERF_EVENT_OUTPUT = struct.pack("<BBhi", 0x85, 0, 0, 25)
CALL_RINGBUF_OUTPUT = struct.pack("<BBhi", 0x85, 0, 0, 130)
"""include/uapi/linux/bpf.h: BPF_FUNC_perf_event_output (4.4) and BPF_FUNC_ringbuf_output (5.8)."""
EXIT = struct.pack("<BBhi", 0x95, 0, 0, 0)
LOAD_ADDRESS = struct.pack("<BBhiBBhi", 0x18, 1, 0, 0, 0, 0, 0, 0)

_PROGBITS, _SYMTAB, _STRTAB, _REL = 1, 2, 3, 9


def bpf_object(section: str, code: bytes, *, data: str = "", core: bool = False) -> bytes:
    """A relocatable eBPF object with one program.

    Args:
        data: the section of a variable whose address the program's first instruction loads.
        core: it has relocations against the kernel's types.
    """
    parts = [("", 0, 0, b"", 0, 0, 0), (section, _PROGBITS, 6, code + EXIT, 0, 0, 0)]
    if data:
        parts.append((data, _PROGBITS, 3, bytes(8), 0, 0, 0))
        symbols = bytes(24) + struct.pack("<IBBHQQ", 0, 0x11, 0, 2, 0, 8)
        parts.append((".symtab", _SYMTAB, 0, symbols, 0, 1, 24))
        parts.append((".rel" + section, _REL, 0, struct.pack("<QQ", 0, 1 << 32 | 1), 3, 1, 16))
    if core:
        header = struct.pack("<HBBI6I", 0xEB9F, 1, 0, 32, 0, 4, 4, 4, 8, 28)
        parts.append((".BTF.ext", _PROGBITS, 0, header + bytes(36), 0, 0, 0))
    names, body, headers = b"\0", b"", []
    for name, kind, flags, content, link, info, entry in [*parts, (".strtab", _STRTAB, 0, b"", 0, 0, 0)]:
        at = len(names)
        names += name.encode() + b"\0"
        headers.append([at, kind, flags, 0, 64 + len(body), len(content), link, info, 8, entry])
        body += content + bytes(-len(content) % 8)
    headers[-1][4:6] = [64 + len(body), len(names)]
    body += names + bytes(-len(names) % 8)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    fields = (1, 247, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(headers), len(headers) - 1)
    table = b"".join(struct.pack("<IIQQQQIIQQ", *header) for header in headers)
    return ident + struct.pack("<HHIQQQIHHHHHH", *fields) + body + table
