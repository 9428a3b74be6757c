"""Rules about libraries that want a place in the block of thread-local storage which every thread is begun with."""

from __future__ import annotations

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.closure import LIBC
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import _

SURPLUS = 1664
"""Bytes that glibc keeps free in that block for libraries that are opened late: 64 + 16 * 100 until 2.31 (TLS_STATIC_SURPLUS);
since 2.32 tunables divide the same amount (elf/dl-tls.c). With rounding a library of 1,712 bytes was seen to be taken."""

ROUNDING = 64
"""The most that rounding adds to it, and the largest alignment that the block has in a program without such storage."""


def check_static_tls(judge: Judge, record: ElfRecord, *, pulled: bool, libc: str) -> None:
    """Initial-exec TLS of a library: musl refuses it in what is opened late, glibc takes it as long as there is room."""
    elf = record.elf
    if elf.kind != "dyn" or elf.pie or not elf.tls_size or not elf.own_tls_offsets:
        return
    if LIBC.match(elf.soname or record.file_name):
        return  # It is there from the start.
    if libc == "musl":
        if not pulled:
            certainty = Certainty.CERTAIN if _is_opened(record) else Certainty.GUARDED
            judge.find("XC-ELF-054", certainty, record.place, size=elf.tls_size)
        return
    # A library that a program of the artifact is linked with gets its place when the program starts.
    refused = elf.tls_size > SURPLUS + ROUNDING or elf.tls_align > ROUNDING
    late = not pulled and refused and _is_opened(record)
    judge.find(
        "XC-ELF-022",
        Certainty.CERTAIN if late else Certainty.GUARDED,
        record.place,
        size=elf.tls_size,
        surplus=SURPLUS,
        align=_(", aligned to {n}", n=elf.tls_align) if elf.tls_align > ROUNDING else "",
    )


def _is_opened(record: ElfRecord) -> bool:
    """Whether a library is one for dlopen: nothing can be linked with it by name, or a virtual machine loads it."""
    return record.elf.soname is None or ".jar!" in record.place or record.file_name.endswith((".node", ".abi3.so"))
