"""One instruction of an object in words, with the function that it stands in."""

from __future__ import annotations

import bisect

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.inspect.elf import ElfObject


def function_at(elf: ElfObject, address: int) -> str:
    """The name of the function around an address, or the address where no name is known."""
    at = bisect.bisect_right([function.address for function in elf.functions], address) - 1
    if at >= 0:
        function = elf.functions[at]
        if function.name and address < function.address + max(function.size, 1):
            return function.name
    return f"{address:#x}"


def instruction_at(elf: ElfObject, data: bytes, address: int) -> str:
    """The instruction at an address, as its bytes where nothing here can read them; empty where no code stands there.

    Raises:
        HostFault: the disassembler for the architecture is not installed.
    """
    part = next((p for p in elf.code if p.address <= address < p.address + p.size), None)
    if part is None:
        return ""
    begin = part.offset + address - part.address
    raw = bytes(data[begin : begin + 16])
    if elf.machine == "EM_X86_64":
        with optional("inspect"):
            from iced_x86 import Decoder, Formatter, FormatterSyntax
        instruction = next(iter(Decoder(64, raw, ip=address)), None)
        return str(Formatter(FormatterSyntax.INTEL).format(instruction)) if instruction else raw.hex(" ")
    if elf.machine == "EM_AARCH64":
        with optional("inspect"):
            from capstone import CS_ARCH_ARM64, CS_MODE_ARM, Cs
        found = next(Cs(CS_ARCH_ARM64, CS_MODE_ARM).disasm(raw[:4], address), None)
        if found is not None:
            return f"{found.mnemonic} {found.op_str}".strip()
    return f".word {int.from_bytes(raw[:4], 'little'):#010x}"
