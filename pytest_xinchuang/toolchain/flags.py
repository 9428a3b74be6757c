"""Flags of a build against what a platform's libc, compilers and CPU take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.messages import _, joined

LIBCS = ("glibc", "musl", "liteos_m")


@dataclass(frozen=True)
class FlagRule:
    """A flag that does not fit.

    Attributes:
        pattern: regular expression over the whole flag.
        libcs: where the rule holds; empty: everywhere.
        archs: for which architectures; empty: for all.
        lacks: it makes instructions that a CPU without this feature cannot run.
    """

    code: str
    pattern: str
    reason: str
    advice: str
    advice_zh: str
    certainty: Certainty = Certainty.CERTAIN
    libcs: tuple[str, ...] = ()
    archs: tuple[Arch, ...] = ()
    lacks: str = ""


_LITEOS = ("liteos_m",)
_ARM, _X86, _LOONG = (Arch.ARM64,), (Arch.AMD64,), (Arch.LOONG64,)

RULES: tuple[FlagRule, ...] = (
    # LiteOS-M is one address space without a loader: no shared objects, no position independent programs, libc in one piece.
    FlagRule(
        "XC-FLAG-001",
        r"-f?pie|-static-pie",
        _("LiteOS-M has no loader that could place a program"),
        "drop it",
        "去掉该标志",
        libcs=_LITEOS,
    ),
    FlagRule(
        "XC-FLAG-001",
        r"-shared|-fPIC|-rdynamic",
        _("LiteOS-M has no shared objects"),
        "link statically",
        "静态链接",
        libcs=_LITEOS,
    ),
    FlagRule("XC-FLAG-001", r"-ldl", _("LiteOS-M has no dlopen"), "drop it", "去掉该标志", libcs=_LITEOS),
    FlagRule(
        "XC-FLAG-001",
        r"-pthread|-lpthread|-lrt|-lutil",
        _("on LiteOS-M threads are part of libc, and there is no such library"),
        "drop it",
        "去掉该标志",
        libcs=_LITEOS,
    ),
    FlagRule(
        "XC-FLAG-001",
        r"-lc_nonshared|-lresolv|-lnsl|-lanl|-lcrypt_r",
        _("musl has no library of this name"),
        _("drop it: libc has what there is"),
        "去掉该标志：libc 已包含",
        libcs=("musl",),
    ),
    FlagRule(
        "XC-FLAG-001",
        r"-Wl,--version-script=.*|-Wl,--default-symver",
        _("musl's loader does not choose by symbol version"),
        _("do not count on versions"),
        "不要依赖符号版本",
        Certainty.GUARDED,
        libcs=("musl",),
    ),
    FlagRule(
        "XC-FLAG-001",
        r"-fsplit-stack|-lasan|-fsanitize=address",
        _("GCC's run time for this is not made for musl"),
        _("test it on glibc"),
        "在 glibc 上测试",
        Certainty.GUARDED,
        libcs=("musl",),
    ),
    FlagRule(
        "XC-FLAG-001",
        r"-static",
        _("a static glibc program cannot use NSS, iconv and dlopen as a dynamic one does (glibc FAQ)"),
        _("link dynamically, or against musl"),
        "动态链接，或使用 musl",
        Certainty.GUARDED,
        libcs=("glibc",),
    ),
    FlagRule(
        "XC-FLAG-001",
        r"-Wl,-z,pack-relative-relocs|-Wl,--pack-dyn-relocs=relr",
        _("the loader knows these relocations since glibc 2.36"),
        "-Wl,-z,nopack-relative-relocs",
        "-Wl,-z,nopack-relative-relocs",
        Certainty.GUARDED,
        libcs=("glibc",),
    ),
    # Names of vendors' compilers.
    FlagRule(
        "XC-FLAG-002",
        r"-m(?:cpu|tune|arch)=(?:ft2000plus|ft2000|ftc66[0-9]|ftc862|phytium|d2000|hip09|hip11|hip12)",
        _("upstream GCC and LLVM do not know this name"),
        "-march=armv8-a -moutline-atomics",
        "-march=armv8-a -moutline-atomics",
        archs=_ARM,
    ),
    FlagRule(
        "XC-FLAG-002",
        r"-m(?:cpu|tune|arch)=(?:hygon|dhyana|c86-4g.*|zhaoxin|zx.*)",
        _("only very new compilers know this name"),
        "-march=x86-64-v2 or -march=znver1",
        "-march=x86-64-v2 或 -march=znver1",
        Certainty.GUARDED,
        archs=_X86,
    ),
    FlagRule(
        "XC-FLAG-002",
        r"-march=loongarch64v.*|-march=gs464v|-march=la464v",
        _("a name of the old world's compilers"),
        "-march=loongarch64",
        "-march=loongarch64",
        archs=_LOONG,
    ),
    FlagRule(
        "XC-FLAG-001",
        r"-m64|-m32|-mfpu=.*|-mfloat-abi=.*",
        _("this compiler has no such flag for the architecture"),
        "drop it",
        "去掉该标志",
        archs=(Arch.ARM64, Arch.LOONG64),
    ),
    # Instructions that the CPU lacks.
    FlagRule(
        "XC-FLAG-003",
        r"-m(?:arch|cpu|tune)=native",
        _("it takes the CPU of the build machine"),
        _("name the platform's baseline"),
        "写明平台的基线",
    ),
    FlagRule(
        "XC-FLAG-003",
        r"-march=armv8\.[1-9]-a.*|-march=armv9.*|-march=armv8-a\+.*lse.*|-mcpu=(?:tsv110|neoverse-.*|cortex-a7[6-9].*|a64fx)|-mno-outline-atomics",
        "it inlines LSE atomics",
        "-march=armv8-a -moutline-atomics",
        "-march=armv8-a -moutline-atomics",
        archs=_ARM,
        lacks="atomics",
    ),
    FlagRule(
        "XC-FLAG-003",
        r"-mcpu=neoverse-(?:n1|n2|v1|v2)",
        "it uses LDAPR of FEAT_LRCPC",
        "-mcpu=tsv110",
        "-mcpu=tsv110",
        archs=_ARM,
        lacks="lrcpc",
    ),
    FlagRule(
        "XC-FLAG-003",
        r"-march=.*\+(?:sve2?|bf16|i8mm).*",
        "it uses SVE, BF16 or I8MM",
        _("drop the extension"),
        "去掉该扩展",
        archs=_ARM,
        lacks="sve",
    ),
    FlagRule(
        "XC-FLAG-003",
        r"-mavx2|-march=(?:haswell|x86-64-v3|znver[1-5]|skylake.*)",
        "it uses AVX2",
        "-march=x86-64-v2",
        "-march=x86-64-v2",
        archs=_X86,
        lacks="avx2",
    ),
    FlagRule(
        "XC-FLAG-003",
        r"-mfma|-march=(?:haswell|x86-64-v3|znver[1-5]|skylake.*)",
        "it uses FMA",
        "-march=x86-64-v2",
        "-march=x86-64-v2",
        archs=_X86,
        lacks="fma",
    ),
    FlagRule(
        "XC-FLAG-003",
        r"-mavx512.*|-march=(?:skylake-avx512|x86-64-v4|icelake.*|znver[45])",
        "it uses AVX-512",
        "-march=x86-64-v3",
        "-march=x86-64-v3",
        archs=_X86,
        lacks="avx512f",
    ),
    FlagRule(
        "XC-FLAG-003",
        r"-mlasx|-march=la(?:464|664)",
        "it uses LASX",
        _("-mlsx, or ask HWCAP at run time"),
        "-mlsx，或运行时检测 HWCAP",
        archs=_LOONG,
        lacks="lasx",
    ),
    FlagRule(
        "XC-FLAG-003",
        r"-march=la664|-march=la64v1\.1|-mlam-bh|-mlamcas|-mfrecipe",
        _("it uses instructions of LoongArch v1.1"),
        "-march=la64v1.0",
        "-march=la64v1.0",
        archs=_LOONG,
        lacks="lamcas",
    ),
)


def check_flags(flags: Sequence[str], libc: str, platform: Platform | None = None) -> list[Finding]:
    """The flags that do not fit ``libc`` and, where one is given, ``platform``'s compilers and CPU.

    Args:
        libc: one of ``LIBCS``.
    """
    found = []
    has = platform.cpu.features.value if platform else None
    for flag in dict.fromkeys(flags):
        for rule in RULES:
            if not re.fullmatch(rule.pattern, flag) or (rule.libcs and libc not in rule.libcs):
                continue
            if rule.archs and (platform is None or platform.arch not in rule.archs):
                continue
            certainty = rule.certainty
            if rule.lacks:
                if has is None or rule.lacks in has:
                    continue
                assert platform is not None
            params = {"flag": flag, "reason": rule.reason, "advice": rule.advice, "advice_zh": rule.advice_zh}
            if rule.lacks and platform is not None:
                lacks = _("{cpu} has no {feature}", cpu=platform.cpu.title.message(), feature=rule.lacks)
                params["reason"] = joined([rule.reason, lacks])
            found.append(Finding(rule.code, certainty, flag, platform.id if platform else libc, params))
            if rule.lacks:
                break
    return found
