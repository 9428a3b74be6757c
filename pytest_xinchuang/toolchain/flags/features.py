"""What compilers call the extensions of a CPU, and what /proc/cpuinfo calls them.

Sources: LLVM's X86.td, AArch64Features.td and LoongArch.td; rustc's target features; the Arm C Language Extensions for GCC's
macros; Linux's cpufeatures.h, and hwcap.h of arm64 and LoongArch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from types import MappingProxyType

from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.toolchain.flags.texts import of

_X86 = MappingProxyType(
    {
        "sse3": "pni", "ssse3": "ssse3", "sse4.1": "sse4_1", "sse4.2": "sse4_2", "crc32": "sse4_2", "popcnt": "popcnt",
        "cx16": "cx16", "cmpxchg16b": "cx16", "avx": "avx", "avx2": "avx2", "fma": "fma", "fma4": "fma4", "xop": "xop",
        "tbm": "tbm", "f16c": "f16c", "bmi": "bmi1", "bmi1": "bmi1", "bmi2": "bmi2", "lzcnt": "lzcnt", "movbe": "movbe",
        "adx": "adx", "rdseed": "rdseed", "rdrnd": "rdrand", "rdrand": "rdrand", "aes": "aes", "pclmul": "pclmulqdq",
        "pclmulqdq": "pclmulqdq", "sha": "sha_ni", "sse4a": "sse4a", "rdpid": "rdpid", "gfni": "gfni", "vaes": "vaes",
        "vpclmulqdq": "vpclmulqdq", "avxvnni": "avx_vnni", "avxifma": "avx_ifma", "avxvnniint8": "avx_vnni_int8",
        "avxvnniint16": "avx_vnni_int16", "avxneconvert": "avx_ne_convert", "sha512": "sha512", "sm3": "sm3", "sm4": "sm4",
        "avx512f": "avx512f", "avx512cd": "avx512cd", "avx512dq": "avx512dq", "avx512bw": "avx512bw", "avx512vl": "avx512vl",
        "avx512ifma": "avx512ifma", "avx512vbmi": "avx512vbmi", "avx512vbmi2": "avx512_vbmi2", "avx512vnni": "avx512_vnni",
        "avx512bitalg": "avx512_bitalg", "avx512vpopcntdq": "avx512_vpopcntdq", "avx512bf16": "avx512_bf16",
        "avx512fp16": "avx512_fp16", "avx512er": "avx512er", "avx512pf": "avx512pf",
        "avx512vp2intersect": "avx512_vp2intersect",
        "avx5124fmaps": "avx512_4fmaps", "avx5124vnniw": "avx512_4vnniw", "avx10.1": "avx10", "avx10.2": "avx10",
        "avx10.1-256": "avx10", "avx10.1-512": "avx10", "amx-tile": "amx_tile", "amx-int8": "amx_int8",
        "amx-bf16": "amx_bf16",
        "amx-fp16": "amx_fp16", "amx-complex": "amx_complex", "amx-fp8": "amx_fp8", "amx-tf32": "amx_tf32",
        "amx-avx512": "amx_avx512", "amx-movrs": "amx_movrs", "amx-transpose": "amx_transpose", "rtm": "rtm", "hle": "hle",
        "3dnow": "3dnow", "3dnowa": "3dnowext", "lwp": "lwp", "movdiri": "movdiri", "movdir64b": "movdir64b",
        "waitpkg": "waitpkg", "kl": "keylocker", "widekl": "keylocker", "clwb": "clwb", "cldemote": "cldemote",
        "enqcmd": "enqcmd", "cmpccxadd": "cmpccxadd", "raoint": "raoint", "movrs": "movrs", "usermsr": "usermsr",
        "uintr": "uintr", "egpr": "apx", "ccmp": "apx", "cf": "apx", "ndd": "apx", "nf": "apx", "ppx": "apx",
        "push2pop2": "apx",
        "zu": "apx", "apxf": "apx",
    }
)  # fmt: skip

_ARM = MappingProxyType(
    {
        "aes": "aes pmull", "sha2": "sha1 sha2", "crypto": "aes pmull sha1 sha2",
        "crc": "crc32", "lse": "atomics", "rdm": "asimdrdm",
        "fullfp16": "fphp asimdhp",
        "fp16": "fphp asimdhp", "fp16fml": "asimdfhm", "fhm": "asimdfhm", "rcpc": "lrcpc", "rcpc-immo": "ilrcpc",
        "rcpc2": "ilrcpc", "rcpc3": "lrcpc3", "dotprod": "asimddp", "jsconv": "jscvt", "jscvt": "jscvt", "complxnum": "fcma",
        "fcma": "fcma", "sha3": "sha3 sha512", "sm4": "sm3 sm4", "sve": "sve", "sve2": "sve2", "sve2p1": "sve2p1",
        "sve2-aes": "sveaes", "sve-aes": "sveaes", "sve2-sha3": "svesha3", "sve-sha3": "svesha3", "sve2-sm4": "svesm4",
        "sve-sm4": "svesm4", "sve2-bitperm": "svebitperm", "sve-bitperm": "svebitperm", "f32mm": "svef32mm",
        "f64mm": "svef64mm", "sme": "sme", "sme2": "sme2", "i8mm": "i8mm", "bf16": "bf16", "pauth": "paca pacg",
        "paca": "paca",
        "pacg": "pacg", "flagm": "flagm", "altnzcv": "flagm2", "flagm2": "flagm2", "fptoint": "frint", "frintts": "frint",
        "sb": "sb", "mte": "mte", "rand": "rng", "mops": "mops", "cssc": "cssc", "hbc": "hbc", "gcs": "gcs", "lse2": "uscat",
        "lse128": "lse128", "ccpp": "dcpop", "dpb": "dcpop", "ccdp": "dcpodp", "dpb2": "dcpodp", "dit": "dit", "ls64": "ls64",
        "wfxt": "wfxt", "tme": "tme", "faminmax": "faminmax", "fp8": "f8cvt", "lut": "lut", "sme2p1": "sme2p1",
        "sme-f64f64": "smef64f64", "sme-i16i64": "smei16i64",
        "sve-b16b16": "sveb16b16", "sme-b16b16": "smeb16b16", "sme-f16f16": "smef16f16", "fp8fma": "f8fma",
        "fp8dot2": "f8dp2",
        "fp8dot4": "f8dp4", "the": "the", "d128": "d128",
        "lsui": "lsui", "lsfe": "lsfe", "cpa": "cpa",
    }
)  # fmt: skip

_LOONG = MappingProxyType(
    {
        "lsx": "lsx", "lasx": "lasx", "ual": "ual", "lbt": "lbt_x86", "frecipe": "frecipe", "lam-bh": "lam_bh",
        "lamcas": "lamcas", "scq": "scq", "llacq-screl": "llacq_screl",
        # Of LoongArch v1.1 as AMCAS is; the kernel has no names for them.
        "div32": "lamcas", "ld-seq-sa": "lamcas",
    }
)  # fmt: skip

_NAMES = {Arch.AMD64: _X86, Arch.ARM64: _ARM, Arch.LOONG64: _LOONG}

_NOTHING = {
    Arch.AMD64: of(
        # Of every x86-64; for the kernel; a no-operation where it is missing; or made by no compiler from plain code and by
        # none of the lists of features that platforms.yaml has.
        "64bit cmov cx8 fxsr mmx sse sse2 x87 sahf lahfsahf xsave xsavec xsaveopt xsaves fsgsbase invpcid prfchw "
        "clflushopt clzero mwaitx wbnoinvd rdpru pku shstk sgx ptwrite serialize tsxldtrk hreset pconfig prefetchi "
        "prefetchwt1 ermsb crt-static evex512 retpoline soft-float fast-variable-crosslane-shuffle"
    ),
    Arch.ARM64: of(
        # As above, and properties of tuning. Hints (BTI, ETE) and what only a kernel may do; PREDRES, SSBS and SPECRESTRICT
        # are made by no compiler.
        "fp-armv8 neon fp asimd outline-atomics perfmon pmuv3 spe spe-eef ras rasv2 pan pan-rwv vh lor ccidx predres "
        "specres specres2 specrestrict ssbs bti sel2 nv mpam am amvs ecv fgt trbe tracev8.4 ete tlb-rmi tlbiw xs "
        "uaops uao ras el2vmsa el3 contextidr-el2 id-idrs hcx brbe mec rme strict-align fix-cortex-a53-835769 harden-"
        "sls-retbr harden-sls-blr harden-sls-nocomdat ite chk clrbhb stepfwd pops spev1p2 sha1 psuaop crt-static "
        "reserve-x18 reserve-x27 tpidr-el0 tagged-globals no-bti-at-return-twice fmv dpb-none debugv8p9 s1pie s2pie "
        "s1poe s2poe sctlr2 tcr2 aie fpac mpamv2 fpmr pmuv3p9"
    ),
    Arch.LOONG64: of("64bit 32bit 32s f d lvz relax prefer-w-inst crt-static la-global-with-pcrel"),
}

_LEVEL = re.compile(
    r"v[89](?:\.\d+)?[ar]|reserve-x\d+|call-saved-x\d+|use-.*|.*-(?:tune|fusion|bypass)|fuse-.*|tune-.*"
)
"""Levels of the architecture, whose parts are listed by themselves, and what is for the scheduler or the linker."""

BY_HAND = of(
    "aes pmull sha1 sha2 sha3 sha512 sm3 sm4 pclmulqdq sha_ni rdrand rdseed rdpid adx vaes vpclmulqdq rtm hle lwp "
    "movdir64b waitpkg keylocker clwb cldemote enqcmd raoint usermsr uintr amx_tile amx_int8 amx_bf16 amx_fp16 "
    "amx_complex amx_fp8 amx_tf32 amx_avx512 amx_movrs amx_transpose crc32 asimdfhm jscvt rng mte flagm flagm2 "
    "frint sb dcpop dcpodp dit ls64 wfxt tme lbt_x86 sveaes svesha3 svesm4 uscat gcs"
)
"""Extensions that compilers use where a source asks for them alone: by an intrinsic, or under a macro that tells of them."""

_MACROS = {
    Arch.AMD64: {
        **{f"__{n.replace('.', '_').replace('-', '_').upper()}__": n for n in _X86},
        "__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16": "cx16", "__3dNOW__": "3dnow", "__3dNOW_A__": "3dnowa", "__APX_F__": "apxf",
    },
    Arch.ARM64: {
        f"__ARM_FEATURE_{macro}": name
        for macro, name in {
            "ATOMICS": "lse", "QRDMX": "rdm", "DOTPROD": "dotprod", "FP16_VECTOR_ARITHMETIC": "fullfp16",
            "FP16_SCALAR_ARITHMETIC": "fullfp16", "FP16_FML": "fp16fml", "CRC32": "crc", "AES": "aes", "SHA2": "sha2",
            "SHA3": "sha3", "SHA512": "sha3", "SM3": "sm4", "SM4": "sm4", "SVE": "sve", "SVE2": "sve2", "COMPLEX": "complxnum",
            "JCVT": "jsconv", "BF16": "bf16", "MATMUL_INT8": "i8mm", "RCPC": "rcpc", "PAUTH": "pauth", "RNG": "rand",
            "MEMORY_TAGGING": "mte", "FRINT": "fptoint", "MOPS": "mops", "LS64": "ls64", "TME": "tme", "SME": "sme",
        }.items()
    },
    Arch.LOONG64: {
        "__loongarch_sx": "lsx", "__loongarch_asx": "lasx", "__loongarch_frecipe": "frecipe", "__loongarch_lam_bh": "lam-bh",
        "__loongarch_lamcas": "lamcas", "__loongarch_ld_seq_sa": "ld-seq-sa", "__loongarch_div32": "div32",
        "__loongarch_scq": "scq",
    },
}  # fmt: skip
"""Macros of GCC that say what it may use -> the extension, as LLVM calls it."""

LEVELS = {
    "x86-64-v2": of("cx16 popcnt pni sse4_1 sse4_2 ssse3"),
    "x86-64-v3": of("cx16 popcnt pni sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma lzcnt movbe"),
    "x86-64-v4": of(
        "cx16 popcnt pni sse4_1 sse4_2 ssse3 avx avx2 bmi1 bmi2 f16c fma lzcnt movbe avx512f avx512bw avx512cd "
        "avx512dq avx512vl"
    ),
}
"""The micro-architecture levels of the x86-64 psABI (chapter 3.1.1) as features of Linux."""


def is_of(flag: str, arch: Arch) -> bool:
    """Whether a flag names a CPU, or an extension that only this architecture has."""
    name = re.sub(r"^-m(?:no-)?", "", flag)
    if re.fullmatch(r"(?:arch|cpu|tune)=.*", name):
        return True
    others = [a for a in Arch if a is not arch]
    return _is_named(name, arch) and not any(_is_named(name, other) for other in others)


def _is_named(name: str, arch: Arch) -> bool:
    return name in _NAMES[arch] or name in _NOTHING[arch]


def of_compiler(names: Iterable[str], arch: Arch) -> tuple[frozenset[str], frozenset[str]]:
    """Linux's names of extensions that LLVM or rustc has named, and those that have none."""
    known: set[str] = set()
    unknown: set[str] = set()
    for name in names:
        if name in _NAMES[arch]:
            known.update(_NAMES[arch][name].split())
        elif name not in _NOTHING[arch] and not _LEVEL.fullmatch(name):
            unknown.add(name)
    return frozenset(known), frozenset(unknown)


def of_macros(macros: Iterable[str], arch: Arch) -> frozenset[str]:
    """Linux's names of the extensions that GCC's macros tell of."""
    table = _MACROS[arch]
    return of_compiler((table[m] for m in macros if m in table), arch)[0]
