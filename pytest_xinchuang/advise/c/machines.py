"""Which machine a file or a header is for, by its name: builds choose such files by the machine they build for."""

from __future__ import annotations

import re

from pytest_xinchuang.advise.c.sources import words_of
from pytest_xinchuang.core.platform import Arch, Architecture

_WORDS = {
    Arch.AMD64: r"\w*x86\w*|i[3-6]86|ia32|intel|amd|amd64|x64|mmx|s?sse\d*|sse\d_?\d|sse4[12a]|avx\w*|"
    r"fma\d?|bmi\d?|pclmul(?:qdq)?|aesni|shani|vaes|xop|ymm|zmm|haswell|westmere|skylake|icelake|amx|gfni",
    Arch.ARM64: r"arm\d*|arm(?:v\d\w*|64|hf|el)|aarch64\w*|neon(?:64)?|asimd|sve\d?|sme\d?|a64",
    Arch.LOONG64: r"loong(?:arch|son)?(?:64|32)?|lsx|lasx|la(?:64|464|664)",
}
"""Architecture -> the words for it and its instruction sets (GCC manual, x86, AArch64 and LoongArch Options)."""

_OTHERS = re.compile(
    r"ppc\w*|power(?:pc\w*|[89]|10)|vsx|altivec|mips\w*|riscv\w*|rvv|rv64|s390x?|sparc\w*|ia64|hppa|m68k|"
    r"wasm\w*|xtensa|win32|win64|windows|darwin|macos|msvc"
)
"""Words of machines and systems that no platform is."""

_HEADERS = {
    Arch.AMD64: re.compile(r"(?:\w*mmintrin|x86\w*|ia32intrin|immintrin|\w+intrin|cpuid|mm3dnow|mm_malloc)\.h"),
    Arch.ARM64: re.compile(r"arm_\w+\.h"),
    Arch.LOONG64: re.compile(r"(?:lsx|lasx|larch)intrin\.h"),
}
"""The compiler's own headers of each architecture, as clang's lib/Headers has them; those of AMD64 are asked about last."""

_FIRST = (Arch.ARM64, Arch.LOONG64, Arch.AMD64)


def machines_of(path: str, architectures: dict[Arch, Architecture]) -> frozenset[str]:
    """The machines that a path names: architectures, "other" for one that no platform is; empty: it names none."""
    found: set[str] = set()
    for word in words_of(path):
        for arch, pattern in _WORDS.items():
            known = architectures.get(arch)
            aliases = [alias.replace("-", "_") for alias in known.aliases] if known else []
            if re.fullmatch(pattern, word) or word in aliases:
                found.add(arch.value)
        if _OTHERS.fullmatch(word):
            found.add("other")
    return frozenset(found)


def header_of(name: str) -> Arch | None:
    """The architecture whose intrinsics or registers a header of the compiler declares."""
    base = name.rpartition("/")[2]
    return next((arch for arch in _FIRST if _HEADERS[arch].fullmatch(base)), None)
