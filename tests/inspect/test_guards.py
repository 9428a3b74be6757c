"""What guards an instruction: a question about that extension on the way to it, and nothing else."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.inspect.isa import Use, scan_isa
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder, Target

ARM_HEAD = r"""
#include <stdio.h>
#include <stdlib.h>
unsigned long getauxval(unsigned long);
long n;
static inline long add(void) { long r; __asm__ volatile(".arch_extension lse\n\tldadd %1, %0, [%2]"
    : "=r"(r) : "r"(1L), "r"(&n) : "memory"); return r; }
"""

ARM = {
    # AT_HWCAP is 16, with HWCAP_ATOMICS as bit 8 and HWCAP_CRC32 as bit 7; AT_PAGESZ is 6; AT_HWCAP2 is 26, bit 15 DGH.
    "asks for the page's size": ("certain", 'int main(void) { printf("%lu", getauxval(6)); return add(); }'),
    "asks for LSE": ("guarded", "int main(void) { if (getauxval(16) & 256) return add(); return 0; }"),
    "asks for LSE by a shift": ("guarded", "int main(void) { if (getauxval(16) >> 8 & 1) return add(); return 0; }"),
    "asks for CRC32": ("certain", 'int main(void) { if (getauxval(16) & 128) puts("crc"); return add(); }'),
    "asks for CRC32 before its use": ("certain", "int main(void) { if (getauxval(16) & 128) return add(); return 0; }"),
    "asks for what is in AT_HWCAP2": (
        "certain",
        "int main(void) { if (getauxval(26) & 1 << 15) return add(); return 0; }",
    ),
    "asks too late": ("certain", 'int main(void) { long r = add(); if (getauxval(16) & 256) puts("lse"); return r; }'),
    "asks, and does it all the same": (
        "certain",
        'int main(void) { if (getauxval(16) & 256) puts("lse"); return add(); }',
    ),
    "asks and ends": (
        "guarded",
        'int main(void) { if (!(getauxval(16) & 256)) { puts("no"); exit(1); } return add(); }',
    ),
    "asks in a constructor": (
        "guarded",
        "static int has; __attribute__((constructor)) static void ask(void) { has = getauxval(16) >> 8 & 1; }\n"
        "int main(void) { if (has) return add(); return 0; }",
    ),
    "asks in a constructor for others": (
        "certain",
        "int has; __attribute__((constructor)) static void ask(void) { has = getauxval(16) >> 8 & 1; }\n"
        "int main(void) { return add(); }",
    ),
    "asks in a constructor for another extension": (
        "certain",
        "static int has; __attribute__((constructor)) static void ask(void) { has = getauxval(16) >> 7 & 1; }\n"
        "__attribute__((noinline)) long work(long *p) { return p[n] > 2 ? add() : 0; }\n"
        "int main(int argc, char **argv) { return has ? work((long *)argv) : 0; }",
    ),
    "a constructor itself": (
        "certain",
        "__attribute__((constructor)) static void first(void) { add(); }\n"
        'int main(void) { return getauxval(16) & 256 ? puts("lse") : 0; }',
    ),
    "asks in its caller": (
        "guarded",
        "__attribute__((noinline)) static long fast(void) { return add(); }\n"
        "__attribute__((noinline)) static int can(void) { return getauxval(16) >> 8 & 1; }\n"
        "int main(void) { return can() ? fast() : 0; }",
    ),
    "a caller that does not ask": (
        "certain",
        "__attribute__((noinline)) static int can(void) { return getauxval(16) >> 8 & 1; }\n"
        "__attribute__((noinline)) long slow(void) { return add(); }\n"
        'int main(void) { long r = slow(); if (can()) puts("lse"); return r; }',
    ),
    "a pointer that was chosen": (
        "guarded",
        "static long fast(void) { return add(); }\nstatic long slow(void) { return n++; }\n"
        "static long (*volatile chosen)(void);\n"
        "int main(void) { chosen = getauxval(16) & 256 ? fast : slow; return chosen(); }",
    ),
    "asked for lazily": (
        "guarded",
        "static int known, has;\nint main(int argc, char **argv) { for (int i = 0; i < argc; i++) {\n"
        "    if (!known) { has = getauxval(16) >> 8 & 1; known = 1; }\n    if (has) add(); }\n    return 0; }",
    ),
    "an answer that goes out of sight": (
        "guarded",
        "unsigned long caps; int main(void) { caps = getauxval(16); return 0; }\n"
        "long work(void) { return caps & 256 ? add() : 0; }",
    ),
    "an ID register": (
        "guarded",
        'int main(void) { unsigned long v; __asm__("mrs %0, ID_AA64ISAR0_EL1" : "=r"(v));\n'
        "    return v >> 20 & 15 ? add() : 0; }",
    ),
    "an ID register that tells no extension": (
        "certain",
        'int main(void) { unsigned long v; __asm__("mrs %0, MPIDR_EL1" : "=r"(v));\n'
        "    return v >> 20 & 15 ? add() : 0; }",
    ),
    "the kernel's list": (
        "guarded",
        '#include <string.h>\nint main(void) { char line[512]; FILE *f = fopen("/proc/cpuinfo", "r");\n'
        '    while (f && fgets(line, 512, f)) if (strstr(line, "atomics")) return add(); return 0; }',
    ),
    "a name alone": (
        "certain",
        "__attribute__((noinline)) long add_lse(void) { return add(); }\nint main(void) { return add_lse(); }",
    ),
    "a thing called dispatch": (
        "certain",
        "__attribute__((noinline)) long resolver(void) { return add(); }\n"
        "int main(int argc, char **argv) { return argc > 1 ? resolver() : 0; }",
    ),
}

X86_HEAD = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static inline void cpuid(unsigned leaf, unsigned *r) { __asm__ volatile("cpuid"
    : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0)); }
static inline int add(void) { __asm__ volatile("vpaddd %%ymm0, %%ymm1, %%ymm2" ::: "xmm2"); return 0; }
unsigned long getauxval(unsigned long);
"""

X86 = {
    "asks for AVX2": ("guarded", "int main(void) { unsigned r[4]; cpuid(7, r); return r[1] & 32 ? add() : 0; }"),
    "asks for AES": ("certain", "int main(void) { unsigned r[4]; cpuid(1, r); return r[2] >> 25 & 1 ? add() : 0; }"),
    "asks for the maker": (
        "certain",
        'int main(void) { unsigned r[4]; cpuid(0, r); return memcmp(r + 1, "Genu", 4) ? 0 : add(); }',
    ),
    "asks the kernel for other bits": ("certain", "int main(void) { return getauxval(16) & 1 ? add() : 0; }"),
    "asks too late": ("certain", "int main(void) { unsigned r[4]; add(); cpuid(7, r); return r[1]; }"),
    "a leaf that is not known": (
        "guarded",
        "int main(int argc, char **argv) { unsigned r[4]; cpuid(argc, r); return r[1] & 32 ? add() : 0; }",
    ),
}

LOONG_HEAD = r"""
#include <stdio.h>
unsigned long getauxval(unsigned long);
static inline int add(void) { __asm__ volatile("xvadd.w $xr0, $xr1, $xr2"); return 0; }
static inline unsigned cpucfg(unsigned word) { unsigned r; __asm__("cpucfg %0, %1" : "=r"(r) : "r"(word)); return r; }
"""

LOONG = {
    # HWCAP_LOONGARCH_LASX is bit 5, HWCAP_LOONGARCH_CRC32 bit 6; word 2 of CPUCFG has LASX as bit 7.
    "asks for LASX": ("guarded", "int main(void) { return getauxval(16) & 32 ? add() : 0; }"),
    "asks for CRC32": ("certain", "int main(void) { return getauxval(16) & 64 ? add() : 0; }"),
    "asks for LSX": ("certain", "int main(void) { return getauxval(16) & 16 ? add() : 0; }"),
    "asks the CPU": ("guarded", "int main(void) { return cpucfg(2) & 128 ? add() : 0; }"),
    "asks the CPU for caches": ("certain", "int main(void) { return cpucfg(16) & 1 ? add() : 0; }"),
    "asks for the page's size": ("certain", 'int main(void) { printf("%lu", getauxval(6)); return add(); }'),
    "asks and does it all the same": (
        "certain",
        'int main(void) { if (getauxval(16) & 32) puts("lasx"); return add(); }',
    ),
}

CASES = {
    Arch.ARM64: ("atomics", ARM_HEAD, ARM, []),
    Arch.AMD64: ("avx2", X86_HEAD, X86, ["-mavx2"]),
    Arch.LOONG64: ("lasx", LOONG_HEAD, LOONG, ["-mlasx", "-fno-vectorize", "-fno-slp-vectorize"]),
}


def use_in(arch: Arch, source: str, place: Path, platforms: Platforms, *flags: str, shared: bool = False) -> Use:
    """What is found of the case's extension in a program or library."""
    path = place / "u.c"
    path.write_text(CASES[arch][1] + source)
    target = Target(arch, platforms.file.architectures[arch], "2.36" if arch is Arch.LOONG64 else "2.28")
    data = Builder(Cache()).c(target, [path], flags=["-w", *flags], shared=shared)
    return scan_isa(read_elf(data, "u"), data).uses[CASES[arch][0]]


@pytest.mark.tools
@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize("arch", list(CASES), ids=str)
def test_each_way_to_ask(arch: Arch, level: str, tmp_path: Path, platforms: Platforms) -> None:
    """Each case by itself: certain where an instruction runs whatever is answered, guarded where it may not."""
    wrong = []
    for name, (wanted, source) in CASES[arch][2].items():
        # Without optimization answers go to memory and back at once: what is looked at of them is out of sight.
        if level == "-O0" and wanted == "certain" and name in OUT_OF_SIGHT:
            continue
        use = use_in(arch, source, tmp_path, platforms, level)
        if (use.certain > 0) != (wanted == "certain"):
            wrong.append((name, wanted, use))
    assert not wrong


@pytest.mark.tools
@pytest.mark.parametrize("arch", list(CASES), ids=str)
def test_damaged_code_and_headers_end_no_scan(arch: Arch, tmp_path: Path, platforms: Platforms) -> None:
    """Each damaged object is refused in words, or scanned, in a time that does not depend on what its fields claim."""
    path = tmp_path / "u.c"
    name = "asks for LSE" if arch is Arch.ARM64 else next(iter(CASES[arch][2]))
    path.write_text(CASES[arch][1] + CASES[arch][2][name][1])
    target = Target(arch, platforms.file.architectures[arch], "2.36" if arch is Arch.LOONG64 else "2.28")
    whole = Builder(Cache()).c(target, [path], flags=["-w", "-O1"])
    chance = random.Random(18)
    wide = (b"\xff" * 8, bytes(8), (1 << 62).to_bytes(8, "little"), b"\xff" * 7 + b"\x7f")
    began = time.monotonic()
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 4, 40))):
            at = chance.randrange(min(len(data), 0x1000)) if chance.random() < 0.7 else chance.randrange(len(data))
            data[at : at + 8] = chance.choice((*wide, chance.randbytes(8)))[: len(data) - at]
        try:
            elf = read_elf(bytes(data), "u")
        except NotElf:
            continue
        scan_isa(elf, bytes(data))
    assert time.monotonic() - began < 60


OUTLINED = r"""
__attribute__((visibility("hidden"))) unsigned char have_lse;
__attribute__((constructor)) static void init_have_lse(void) { have_lse = getauxval(16) >> 8 & 1; }
__asm__(".text\n.type helper, %function\nhelper:\n.cfi_startproc\n\tadrp x16, have_lse\n\tldrb w16, [x16, :lo12:have_lse]\n"
    "\tcbz w16, 1f\n\t.arch_extension lse\n\tldadd x0, x0, [x1]\n\tret\n1:\tret\n.cfi_endproc\n.size helper, .-helper\n");
long helper(long, long *);
"""


@pytest.mark.tools
def test_the_question_of_outline_atomics_guards_its_helpers_alone(tmp_path: Path, platforms: Platforms) -> None:
    """compiler-rt's constructor asks for LSE, and so do all programs that are built with outline atomics."""
    source = OUTLINED + "long work(long *p) { helper(1, p); return n < 5 ? add() : 0; }"
    use = use_in(Arch.ARM64, source, tmp_path, platforms, "-O2", shared=True)
    assert (use.certain, use.guarded) == (1, 0)
    # Somebody else reads what it has found.
    source = OUTLINED + "long work(long *p) { helper(1, p); return have_lse ? add() : 0; }"
    use = use_in(Arch.ARM64, source, tmp_path, platforms, "-O2", shared=True)
    assert (use.certain, use.guarded) == (0, 1)


OUT_OF_SIGHT = (
    "asks for LSX",
    "asks in a constructor for another extension",
    "asks for CRC32",
    "asks for CRC32 before its use",
    "asks for what is in AT_HWCAP2",
    "asks for AES",
    "asks for the maker",
    "asks the CPU for caches",
    "an ID register that tells no extension",
)
