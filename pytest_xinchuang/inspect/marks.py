"""What an object embeds, known by the texts among its bytes."""

from __future__ import annotations

from pytest_xinchuang.inspect.bpf import bpf_needs
from pytest_xinchuang.inspect.elf import ElfObject

JEMALLOC = b": Unsupported system page size"
MOZJEMALLOC = b"Compile-time page size does not divide the runtime one."
LUAJIT = b"LuaJIT 2."
TEXTS = {JEMALLOC: JEMALLOC.index(b"pag"), MOZJEMALLOC: MOZJEMALLOC.index(b"e-t"), LUAJIT: LUAJIT.index(b"JIT")}
"""Texts without which there is no mark, and where three rare bytes of each stand."""


def marks_of(elf: ElfObject, data: bytes, *, marked: bool = True) -> dict[str, str]:
    """Marks of run times and allocators in an object's bytes; of an eBPF object, what it asks of a kernel.

    Args:
        marked: one of the ``TEXTS`` may be there.
    """
    if elf.machine == "EM_BPF":
        return bpf_needs(data)
    found: dict[str, str] = {}
    if not marked:
        return found
    if data.find(JEMALLOC) >= 0:
        found["jemalloc"] = "jemalloc"
    elif data.find(MOZJEMALLOC) >= 0:
        found["jemalloc"] = "mozjemalloc"
    at = data.find(LUAJIT)
    if at >= 0 and elf.kind != "rel":
        text = bytes(data[at : at + 32]).split(b"\0")[0].split(b"\n")[0].decode(errors="replace")
        inside = data.find(b"bad light userdata pointer") >= 0 or data.find(b"luaJIT_BC_") >= 0
        if inside or is_named_luajit(elf.name):
            found["luajit"] = text.strip()
    return found


def is_named_luajit(name: str) -> bool:
    """Whether an object is LuaJIT by its name."""
    return "luajit" in name.lower()
