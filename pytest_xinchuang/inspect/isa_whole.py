"""What guards an object as a whole, told by anything but its code."""

from __future__ import annotations

import re

from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.messages import NOTHING, Message, _

_HWCAPS_PATH = re.compile(
    r"(?:^|/)(?:glibc-hwcaps/|atomics/|haswell/|avx512_1/|avx2/|tls/"
    r"|[^/]*[-_.](?:avx[0-9a-z]*|sse[0-9]*|neon|sve2?|lasx|lsx|aes_?ni|v?aes|p?clmul|vpclmul|sha_?ni|shaext|gfni|bmi2|fma[34]?|f16c|i8mm|bf16|dotprod"
    r"|haswell|skylakex?|icelake|alderlake|cooperlake|cascadelake|sapphirerapids|zen[1-9]|x64-v[234]|x86-64-v[234]"
    r"|armv[89][0-9._a-z]*)(?:[-_.0-9][^/]*)?\.so)"
)
"""Directories that a loader chooses by the CPU, and names of files that say which CPU they are for: who loads one has asked."""


MAX_VERMAGIC = 256
"""Characters of a vermagic; those of kernels have less than 100."""


def vermagic_of(elf: ElfObject, data: bytes) -> str:
    """What a kernel module says of its kernel (``.modinfo``): release, and the options that change its layout; else nothing."""
    at = data.find(b"\0vermagic=") if elf.relocatable else -1
    if at < 0:
        return ""
    text = bytes(data[at + 10 : at + 10 + MAX_VERMAGIC]).split(b"\0")[0]
    return text.decode(errors="backslashreplace").strip()


def is_chosen_by_path(path: str) -> bool:
    """Whether an object stands where a loader chooses it by the CPU's features."""
    return _HWCAPS_PATH.search(path) is not None


def whole_guard(elf: ElfObject, data: bytes, path: str) -> Message:
    """Why an object's code may be guarded as a whole, told by anything but its code; empty when nothing says so."""
    if elf.is_go:
        return _("Go's run time asks the CPU")
    if "_rtld_global_ro" in elf.exports:
        return _("it is the loader, which is told the CPU's features by the kernel")
    if is_chosen_by_path(path):
        return _("the loader chooses it by the CPU's features (its path)")
    if vermagic_of(elf, data):
        return _("the kernel replaces instructions of its modules by the CPU's features")
    return NOTHING
