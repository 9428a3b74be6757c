"""What is known of single flags, and no compiler here can be asked about: libcs, and the names of vendors' compilers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.messages import _

LIBCS = ("glibc", "musl", "liteos_m")


@dataclass(frozen=True)
class FlagRule:
    """A flag that does not fit.

    Attributes:
        pattern: regular expression over the whole flag.
        libcs: where the rule holds; empty: everywhere.
        archs: for which architectures; empty: for all.
        compilers: for which compilers, as ``Parts.compiler`` calls them; empty: for all.
    """

    code: str
    pattern: str
    reason: str
    advice: str
    advice_zh: str
    certainty: Certainty = Certainty.CERTAIN
    libcs: tuple[str, ...] = ()
    archs: tuple[Arch, ...] = ()
    compilers: tuple[str, ...] = ()


_LITEOS = ("liteos_m",)
_ARM, _LOONG = (Arch.ARM64,), (Arch.LOONG64,)

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
        Certainty.NOTE,
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
        Certainty.NOTE,
        libcs=("glibc",),
    ),
    # Names of vendors' compilers.
    FlagRule(
        "XC-FLAG-002",
        r"-m(?:cpu|tune|arch)=(?:ft-?2000(?:plus|a|-4)?|ftc66[0-9]|ftc862|phytium|d2000)",
        _("upstream GCC and LLVM do not know this name"),
        "-march=armv8-a -moutline-atomics",
        "-march=armv8-a -moutline-atomics",
        archs=_ARM,
    ),
    FlagRule(
        "XC-FLAG-002",
        r"-march=loongarch64v.*|-march=gs464v|-march=la464v",
        _("a name of the old world's compilers"),
        "-march=loongarch64",
        "-march=loongarch64",
        archs=_LOONG,
    ),
    # What clang takes for these architectures, and GCC does not (GCC, AArch64 and LoongArch options).
    FlagRule(
        "XC-FLAG-001",
        r"-m64|-mfloat-abi=.*",
        _("this compiler has no such flag for the architecture"),
        "drop it",
        "去掉该标志",
        archs=(Arch.ARM64, Arch.LOONG64),
        compilers=("", "gcc"),
    ),
    FlagRule(
        "XC-FLAG-001",
        r"-mfpu=.*",
        _("this compiler has no such flag for the architecture"),
        "drop it",
        "去掉该标志",
        archs=_ARM,
    ),
)


def by_hand(words: Sequence[str], libc: str, platform: Platform | None, compiler: str = "") -> list[Finding]:
    """What is known of single flags without asking a compiler."""
    found = []
    for flag in dict.fromkeys(words):
        for rule in RULES:
            if not re.fullmatch(rule.pattern, flag) or (rule.libcs and libc not in rule.libcs):
                continue
            if rule.archs and (platform is None or platform.arch not in rule.archs):
                continue
            if rule.compilers and compiler not in rule.compilers:
                continue
            params = {"flag": flag, "reason": rule.reason, "advice": rule.advice, "advice_zh": rule.advice_zh}
            found.append(Finding(rule.code, rule.certainty, flag, platform.id if platform else libc, params))
    return found
