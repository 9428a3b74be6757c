"""Calls into the vsyscall page of x86-64: three functions at fixed addresses, from before there was a vDSO."""

from __future__ import annotations

import re

from pytest_xinchuang.inspect.elf import ElfObject

FUNCTIONS = {0xFF600000: "gettimeofday", 0xFF600400: "time", 0xFF600800: "getcpu"}
"""The low words of their addresses (Linux, arch/x86/include/uapi/asm/vsyscall.h)."""

BETWEEN = 48
"""Bytes of code between the instruction that loads the address and the call through that register."""

_LOADS = re.compile(
    # mov r64, simm32; movabs r64, imm64
    rb"(?P<rex>[\x48\x49])(?:\xc7(?P<plain>[\xc0-\xc7])|(?P<wide>[\xb8-\xbf]))"
    rb"(?P<low>\x00[\x00\x04\x08]\x60\xff)(?P<rest>\xff{4})?",
    re.DOTALL,
)
_WORDS = frozenset(address.to_bytes(4, "little") for address in FUNCTIONS)


def _names_page(raw: bytes) -> bool:
    """Whether one of the addresses is among the bytes: a plain search for two of them is far faster than an expression."""
    at = raw.find(b"\x60\xff")
    while at >= 0:
        if at >= 2 and raw[at - 2 : at + 2] in _WORDS:
            return True
        at = raw.find(b"\x60\xff", at + 2)
    return False


def vsyscall(elf: ElfObject, data: bytes) -> tuple[int, str] | None:
    """Where an object's code first calls a function of the page, and which; None: it does not.

    glibc before 2.15 does so in ``time`` and ``sched_getcpu``, and programs have that from its static library.
    """
    if elf.machine != "EM_X86_64":
        return None
    for part in elf.code:
        raw = bytes(data[part.offset : part.offset + part.size])
        if not _names_page(raw):
            continue
        for found in _LOADS.finditer(raw):
            if (found["wide"] is not None) != (found["rest"] is not None):
                continue
            register = (found["plain"] or found["wide"])[0] & 7
            high = found["rex"] == b"\x49"
            prefix = b"\x41" if high else b""
            ways = (prefix + bytes((0xFF, 0xD0 + register)), prefix + bytes((0xFF, 0xE0 + register)))
            behind = raw[found.end() : found.end() + BETWEEN]
            if any(_has(behind, way, high=high) for way in ways):
                target = int.from_bytes(found["low"], "little")
                return part.address + found.start(), FUNCTIONS[target]
    return None


def _has(code: bytes, way: bytes, *, high: bool) -> bool:
    at = code.find(way)
    # Behind this prefix it is a call through another register.
    while at > 0 and not high and code[at - 1] == 0x41:
        at = code.find(way, at + 1)
    return at >= 0
