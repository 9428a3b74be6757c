"""What the processor says of itself, asked by instructions and by the kernel's auxiliary vector: no file has a part in it."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import mmap
import os
import platform as host
import struct
from collections.abc import Iterator
from pathlib import Path

AT_PLATFORM, AT_HWCAP = 15, 16
"""Keys of the auxiliary vector (getauxval(3), <elf.h>)."""

PR_GET_AUXV = 0x41555856
"""prctl(2) since Linux 6.4: the vector from the kernel's memory, and from no file."""

HWCAP_CPUID = 1 << 11
"""arm64: the kernel answers ID registers to programs (Documentation/arch/arm64/cpu-feature-registers.rst)."""


@functools.cache
def _libc() -> ctypes.CDLL:
    """The C library of this process; Windows has none of the kind."""
    return ctypes.CDLL(None, use_errno=True)


_CPUID = bytes.fromhex("53 4989d0 89f8 89f1 0fa2 418900 41895804 41894808 4189500c 5b c3")
"""push rbx; mov r8, rdx; mov eax, edi; mov ecx, esi; cpuid; store eax, ebx, ecx, edx at r8; pop rbx; ret."""
_MIDR = struct.pack("<II", 0xD5380000, 0xD65F03C0)
"""mrs x0, midr_el1; ret (Arm ARM, C5.2)."""
_PRID = struct.pack("<III", 0x00150004, 0x00006C84, 0x4C000020)
"""move $a0, $zero; cpucfg $a0, $a0; jr $ra (LoongArch Reference Manual, volume 1, 2.2.10.5: word 0 is PRID)."""


def auxiliary(key: int) -> int:
    """An entry of the auxiliary vector as the kernel keeps it; 0 where it has none.

    glibc's ``getauxval`` answers AT_HWCAP on x86-64 with bits of its own, so the kernel is asked.
    """
    words = struct.iter_unpack("@LL", _vector())
    return next((value for found, value in words if found == key), 0)


@functools.cache
def _vector() -> bytes:
    buffer = ctypes.create_string_buffer(4096)
    size = _libc().prctl(
        ctypes.c_int(PR_GET_AUXV), buffer, ctypes.c_ulong(len(buffer)), ctypes.c_ulong(0), ctypes.c_ulong(0)
    )
    raw = buffer.raw[:size] if 0 < size <= len(buffer) else b""
    if not raw:
        with contextlib.suppress(OSError):  # a kernel before 6.4
            raw = Path("/proc/self/auxv").read_bytes()
    return raw[: len(raw) // 16 * 16]


def auxiliary_text(key: int) -> str:
    """An entry that is a string; "" where there is none."""
    _libc().getauxval.restype = ctypes.c_ulong
    address = int(_libc().getauxval(ctypes.c_ulong(key)))
    return ctypes.string_at(address, 64).split(b"\0")[0].decode(errors="replace") if address else ""


@contextlib.contextmanager
def _executable(code: bytes) -> Iterator[int]:
    """The address of code that can be called.

    Raises:
        OSError: this host lets no program make its own.
    """
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as page:
        page.write(code)
        window = ctypes.c_char.from_buffer(page)
        address = ctypes.addressof(window)
        try:
            # Writing first and executing later: arm64's kernel makes the caches agree when it changes the protection.
            rights = mmap.PROT_READ | mmap.PROT_EXEC
            if _libc().mprotect(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), rights):
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            yield address
        finally:
            del window


def cpuid(leaf: int, subleaf: int = 0) -> tuple[int, int, int, int] | None:
    """EAX, EBX, ECX and EDX of CPUID on x86-64; None elsewhere, and where it cannot be asked."""
    if host.machine() != "x86_64":
        return None
    found = (ctypes.c_uint32 * 4)()
    try:
        with _executable(_CPUID) as address:
            call = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)(address)
            call(leaf, subleaf, ctypes.addressof(found))
    except OSError:
        return None
    return found[0], found[1], found[2], found[3]


def midr() -> int | None:
    """MIDR_EL1 on arm64, as the kernel answers the instruction; None elsewhere, and where the kernel does not."""
    if host.machine() != "aarch64" or not auxiliary(AT_HWCAP) & HWCAP_CPUID:
        return None
    return _returned(_MIDR)


def prid() -> int | None:
    """PRID on LoongArch; None elsewhere."""
    return _returned(_PRID) if host.machine() == "loongarch64" else None


def _returned(code: bytes) -> int | None:
    try:
        with _executable(code) as address:
            return int(ctypes.CFUNCTYPE(ctypes.c_uint64)(address)()) & 0xFFFFFFFF
    except OSError:
        return None


def filesystem_of(path: str) -> int | None:
    """The magic number of the file system that a file stands on (statfs(2)); None where it is not there."""
    buffer = ctypes.create_string_buffer(256)
    if _libc().statfs(os.fsencode(path), buffer):
        return None
    return int(struct.unpack_from("@l", buffer.raw)[0]) & 0xFFFFFFFF
