"""Writes a shared object that defines names and nothing else: in place of the program that a plug-in is meant for.

A Python module refers to functions and data of the interpreter, which is not there when a loader opens it alone. Each name
stands for a function that returns zero: what a module registers when it is loaded is taken by nobody.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

MACHINES = {"EM_X86_64": 62, "EM_AARCH64": 183, "EM_LOONGARCH": 258}
"""System V gABI, e_machine."""
FLAGS = {"EM_LOONGARCH": 0x43}
"""LoongArch ELF psABI, e_flags: object ABI 1, double-precision floating point."""

RETURN = {
    "EM_X86_64": bytes.fromhex("31c0c3"),  # xor eax, eax; ret
    "EM_AARCH64": bytes.fromhex("000080d2c0035fd6"),  # mov x0, #0; ret
    "EM_LOONGARCH": bytes.fromhex("040015002000004c"),  # move $a0, $zero; ret
}
EACH = 64
"""Bytes behind each name."""
_PAGE = 1 << 16
"""The largest page of the three architectures."""
_SYMBOL = "<IBBHQQ"


def stub(machine: str, soname: str, names: Sequence[str]) -> bytes:
    """An ELF object of 64 bits that exports ``names``.

    Raises:
        ValueError: a name is empty, or has a character that ends one.
    """
    if any(not name or "\0" in name for name in names):
        raise ValueError(names)
    texts, offsets = b"\0", []
    for text in (soname, *names):
        offsets.append(len(texts))
        texts += text.encode() + b"\0"
    header = 64 + 3 * 56
    symbols_at = header
    count = len(names) + 1
    strings_at = symbols_at + 24 * count
    hash_at = _up(strings_at + len(texts), 8)
    text_end = hash_at + 4 * (2 + 1 + count)
    # What can be written: the loader's table, in which it changes addresses; and what the names stand for, which can be called.
    table_at = _up(text_end, 16)
    begin = _up(text_end, _PAGE) + table_at % _PAGE
    dynamic = [(5, strings_at), (6, symbols_at), (4, hash_at), (10, len(texts)), (11, 24), (14, offsets[0]), (0, 0)]
    size = 16 * len(dynamic)
    data_at = _up(begin + size, EACH)
    symbols = bytes(24) + b"".join(
        # STB_GLOBAL, of no type; in a section that is not the undefined one.
        struct.pack(_SYMBOL, offset, 0x10, 0, 1, data_at + EACH * index, EACH)
        for index, offset in enumerate(offsets[1:])
    )
    # One bucket, and a chain through all symbols.
    chain = [0, *range(2, count), 0][:count]
    table = struct.pack(f"<{3 + count}I", 1, count, 1 if names else 0, *chain)
    functions = RETURN[machine].ljust(EACH, b"\0") * max(len(names), 1)
    out = bytearray(table_at + data_at - begin) + functions
    kind = b"\x7fELF\x02\x01\x01" + bytes(9)
    fields = (3, MACHINES[machine], 1, 0, 64, 0, FLAGS.get(machine, 0), 64, 56, 3, 64, 0, 0)
    out[:64] = kind + struct.pack("<HHIQQQIHHHHHH", *fields)
    memory = len(out) - table_at
    segments = [
        (1, 4, 0, 0, text_end, text_end, _PAGE),
        (1, 7, table_at, begin, memory, memory, _PAGE),
        (2, 6, table_at, begin, size, size, 8),
    ]
    for index, (what, may, at, address, of_file, in_memory, align) in enumerate(segments):
        place = 64 + 56 * index
        out[place : place + 56] = struct.pack("<IIQQQQQQ", what, may, at, address, address, of_file, in_memory, align)
    out[symbols_at : symbols_at + len(symbols)] = symbols
    out[strings_at : strings_at + len(texts)] = texts
    out[hash_at : hash_at + len(table)] = table
    out[table_at : table_at + size] = b"".join(struct.pack("<QQ", *each) for each in dynamic)
    return bytes(out)


def _up(number: int, step: int) -> int:
    return -(-number // step) * step
