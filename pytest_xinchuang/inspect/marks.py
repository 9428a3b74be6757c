"""What an object embeds, known by the texts among its bytes."""

from __future__ import annotations

from pytest_xinchuang.inspect.bpf import bpf_needs
from pytest_xinchuang.inspect.elf import ElfObject


def marks_of(elf: ElfObject, data: bytes) -> dict[str, str]:
    """Marks of run times and allocators in an object's bytes; of an eBPF object, what it asks of a kernel."""
    if elf.machine == "EM_BPF":
        return bpf_needs(data)
    found = {}
    if data.find(b": Unsupported system page size") >= 0:
        found["jemalloc"] = "jemalloc"
    elif data.find(b"Compile-time page size does not divide the runtime one.") >= 0:
        found["jemalloc"] = "mozjemalloc"
    at = data.find(b"LuaJIT 2.")
    if at >= 0 and elf.kind != "rel":
        text = bytes(data[at : at + 32]).split(b"\0")[0].split(b"\n")[0].decode(errors="replace")
        inside = data.find(b"bad light userdata pointer") >= 0 or data.find(b"luaJIT_BC_") >= 0
        if inside or is_named_luajit(elf.name):
            found["luajit"] = text.strip()
    return found


def is_named_luajit(name: str) -> bool:
    """Whether an object is LuaJIT by its name."""
    return "luajit" in name.lower()
