"""Which extensions a question is about: the bits of the kernel's answers, and the registers and leaves of the CPU's."""

from __future__ import annotations

from collections.abc import Iterable


def _words(text: str) -> list[str]:
    return text.split(",")


AT_HWCAP, AT_PLATFORM, AT_BASE_PLATFORM, AT_HWCAP2, AT_HWCAP3, AT_HWCAP4 = 16, 15, 24, 26, 29, 30
"""getauxval(3), and include/uapi/linux/auxvec.h."""

# arch/arm64/include/uapi/asm/hwcap.h, arch/loongarch/include/uapi/asm/hwcap.h, arch/x86/include/uapi/asm/hwcap2.h: bits from
# the lowest on, with the names of /proc/cpuinfo.
_ARM_HWCAP = _words(
    "fp,asimd,evtstrm,aes,pmull,sha1,sha2,crc32,atomics,fphp,asimdhp,cpuid,asimdrdm,jscvt,fcma,lrcpc,dcpop,sha3,sm3,sm4,asimddp"
    ",sha512,sve,asimdfhm,dit,uscat,ilrcpc,flagm,ssbs,sb,paca,pacg,gcs,cmpbr,fprcvt,f8mm8,f8mm4,svef16mm,sveeltperm"
    ",sveaes2,svebfscale,sve2p2"
)
_ARM_HWCAP2 = _words(
    "dcpodp,sve2,sveaes,svepmull,svebitperm,svesha3,svesm4,flagm2,frint,svei8mm,svef32mm,svef64mm,svebf16,i8mm,bf16,dgh,rng,bti"
    ",mte,ecv,afp,rpres,mte3,sme,smei16i64,smef64f64,smei8i32,smef16f32,smeb16f32,smef32f32,smefa64,wfxt,ebf16,sveebf16,cssc"
    ",rprfm,sve2p1,sme2,sme2p1,smei16i32,smebi32i32,smeb16b16,smef16f16,mops,hbc,sveb16b16,lrcpc3,lse128,fpmr,lut,faminmax"
    ",f8cvt,f8fma,f8dp4,f8dp2,f8e4m3,f8e5m2,smelutv2,smef8f16,smef8f32,smesf8fma,smesf8dp4,smesf8dp2,poe"
)
_LOONG_HWCAP = _words("cpucfg,lam,ual,fpu,lsx,lasx,crc32,complex,crypto,lvz,lbt_x86,lbt_arm,lbt_mips,ptw,lspw,scq")
_X86_HWCAP2 = ["ring3mwait", "fsgsbase"]
HWCAPS: dict[tuple[str, int], list[str]] = {
    ("EM_AARCH64", AT_HWCAP): _ARM_HWCAP,
    ("EM_AARCH64", AT_HWCAP2): _ARM_HWCAP2,
    ("EM_LOONGARCH", AT_HWCAP): _LOONG_HWCAP,
    ("EM_X86_64", AT_HWCAP2): _X86_HWCAP2,
}

# What comes with what: hardware has all of a group or none, and code that asks for one of them uses the others.
_GROUPS = (
    {"aes", "pmull", "sha1", "sha2"},
    {"fphp", "asimdhp"},
    {"sha3", "sha512"},
    {"sm3", "sm4"},
    {"paca", "pacg"},
)

_V8_1 = {"atomics", "asimdrdm", "crc32"}
_V8_5 = _V8_1 | set(
    _words("dcpop,dcpodp,jscvt,fcma,lrcpc,ilrcpc,paca,pacg,asimddp,flagm,flagm2,dit,uscat,frint,sb,ssbs")
)
IMPLIED: dict[str, set[str]] = {
    # Arm Architecture Reference Manual, A2: the version from which on an extension may be there, and what that version demands.
    **dict.fromkeys(
        _words("fphp,asimdhp,asimddp,asimdfhm,i8mm,bf16,sha3,sha512,sm3,sm4,jscvt,fcma,dit,uscat,dcpop"), _V8_1
    ),
    "lrcpc": _V8_1,
    "ilrcpc": {"lrcpc", *_V8_1},
    "flagm": _V8_1,
    "flagm2": {"flagm", *_V8_1},
    "dcpodp": {"dcpop", *_V8_1},
    "sve": {"fphp", "asimdhp", "fcma", *_V8_1},
    "sve2": {"sve", "fphp", "asimdhp", *_V8_5},
    "sme": {"fphp", "asimdhp", *_V8_5},
    "mte3": {"mte"},
    # LoongArch: the wider registers hold the narrower ones.
    "lasx": {"lsx"},
}

X86_LEAF_1 = frozenset(_words("pni,ssse3,sse4_1,sse4_2,popcnt,cx16,avx,fma,f16c,aes,pclmulqdq,movbe,rdrand"))
X86_EXTENDED = frozenset(_words("lzcnt,sse4a,xop,fma4,tbm,3dnow,3dnowext,rdpid"))
X86_VIA = frozenset(_words("ace,phe,pmm,rng,ccs"))

ARM_REGISTERS: dict[tuple[int, int], frozenset[str] | None] = {
    # (CRm, op2) of S3_0_C0_<CRm>_<op2>: Arm Architecture Reference Manual, D19.2. None: about everything (MIDR, REVIDR).
    (0, 0): None,
    (0, 6): None,
    (0, 5): frozenset(),
    (4, 0): frozenset({"fphp", "asimdhp", "sve", "dit"}),
    (4, 1): frozenset({"ssbs", "mte", "sme", "rng"}),
    (4, 2): frozenset({"fpmr"}),
    (4, 4): frozenset({"sve"}),
    (4, 5): frozenset({"sme"}),
    (6, 0): frozenset(
        _words("aes,pmull,sha1,sha2,sha512,crc32,atomics,asimdrdm,sha3,sm3,sm4,asimddp,asimdfhm,flagm,flagm2,rng")
    ),
    (6, 1): frozenset(_words("dcpop,dcpodp,jscvt,fcma,lrcpc,ilrcpc,paca,pacg,frint,sb,specres,i8mm,bf16,ls64,xs")),
    (6, 2): frozenset(_words("paca,pacg,mops,cssc,wfxt,hbc")),
    (7, 2): frozenset({"uscat"}),
}

CPUCFG = {
    1: frozenset({"crc32"}),
    2: frozenset(_words("lsx,lasx,complex,crypto,lvz,lbt_x86,lbt_arm,lbt_mips,frecipe,lam_bh,lamcas,llacq_screl,scq")),
}


def with_kin(features: Iterable[str]) -> frozenset[str]:
    """The extensions, and those that hardware which has one of them has as well."""
    found = set(features)
    for name in ("sve", "sme"):
        if any(f.startswith(name) for f in found):
            found.add(name)
    for feature in tuple(found):
        found |= IMPLIED.get(feature, set())
    for group in _GROUPS:
        if found & group:
            found |= group
    return frozenset(found)
