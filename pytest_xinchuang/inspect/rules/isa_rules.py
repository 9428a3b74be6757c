"""Rules about instructions: what an object's code uses against what the platform's CPU has."""

from __future__ import annotations

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.isa import Site, Use
from pytest_xinchuang.inspect.rules.cpu_rules import check_unsure
from pytest_xinchuang.inspect.rules.judge import ElfRecord, Judge
from pytest_xinchuang.messages import _, joined

CODES = {
    "atomics": "XC-ISA-002",
    **dict.fromkeys(
        ("avx", "avx2", "fma", "f16c", "fma4", "xop", "avx_vnni", "avx_ifma", "vaes", "vpclmulqdq"), "XC-ISA-003"
    ),
    **dict.fromkeys(("lsx", "lasx"), "XC-ISA-004"),
    **dict.fromkeys(("bf16", "lrcpc", "ilrcpc", "i8mm", "sve", "flagm"), "XC-ISA-006"),
    **dict.fromkeys(
        ("aes", "pmull", "sha1", "sha2", "sha3", "sha512", "sm3", "sm4", "sha_ni", "pclmulqdq"), "XC-ISA-007"
    ),
}
"""The code of an extension; XC-ISA-001 for all others."""


def code_of(feature: str) -> str:
    return CODES.get(feature, "XC-ISA-003" if feature.startswith("avx512") else "XC-ISA-001")


def check_isa(judge: Judge, record: ElfRecord, asks: str = "") -> None:
    """Extensions that the CPU lacks; an unknown list of features decides nothing. ``asks``: what else may guard them."""
    if record.isa_fault is not None:
        reason, command = record.isa_fault
        judge.find("XC-ISA-008", Certainty.UNDECIDED, record.place, reason=reason, command=command)
        return
    if record.isa is None:
        return
    cpu = judge.platform.cpu
    has = cpu.features.value
    if has is None:
        judge.find(
            "XC-ISA-008",
            Certainty.UNDECIDED,
            record.place,
            reason=_("platforms.yaml does not know the features of {en}", en=cpu.title.message()),
            command=_("add cpus.{cpu_name}.features to a platforms file of your own", cpu_name=judge.platform.cpu_name),
        )
        return
    uses = [use for _feature, use in sorted(record.isa.uses.items())]
    unsure = check_unsure(judge, record, uses, asks)
    lacking = [use for use in uses if use.feature not in has and use.feature not in unsure]
    for use in lacking:
        if use.certain and not asks:
            _certain(judge, record, use)
    _guarded(judge, record, [use for use in lacking if asks or not use.certain], asks)
    vectors = [f for f in ("lasx", "lsx") if f in record.isa.uses]
    if (
        record.isa.reads_cpucfg
        and vectors
        and record.elf.kind == "dyn"
        and "getauxval" not in record.elf.imports
        and not _is_libc(record)
    ):
        judge.find("XC-ISA-005", Certainty.CERTAIN, record.place, feature=vectors[0])


def _is_libc(record: ElfRecord) -> bool:
    """glibc's own objects are told by the kernel through the loader."""
    return "_rtld_global_ro" in record.elf.imports | record.elf.exports


def _certain(judge: Judge, record: ElfRecord, use: Use) -> None:
    evidence: dict[str, object] = {
        "sites": [_place(s) for s in use.sites],
        "count": use.certain,
    }
    judge.find(
        code_of(use.feature),
        Certainty.CERTAIN,
        record.place,
        evidence,
        feature=use.feature,
        count=use.certain,
        sites=joined(site.shown for site in use.sites[:3]),
        cpu=judge.platform.cpu.title.message(),
        guard="",
    )


def _guarded(judge: Judge, record: ElfRecord, uses: list[Use], asks: str) -> None:
    """One finding for each code: a library that dispatches has many extensions, and one answer to all of them."""
    assert record.isa is not None
    by_code: dict[str, list[Use]] = {}
    for use in uses:
        by_code.setdefault(code_of(use.feature), []).append(use)
    why = record.isa.asks or asks or _("their functions are named like those of a dispatch, or they may be data")
    for code, group in by_code.items():
        evidence: dict[str, object] = {
            "asks": why,
            "uses": {
                u.feature: {"count": u.guarded + u.certain, "sites": [_place(s) for s in (*u.guarded_sites, *u.sites)]}
                for u in group
            },
        }
        first = next(iter((*group[0].guarded_sites, *group[0].sites)), None)
        judge.find(
            code,
            Certainty.GUARDED,
            record.place,
            evidence,
            feature=joined((u.feature for u in group), _(", ")),
            count=sum(u.guarded + u.certain for u in group),
            sites=first.shown if first is not None else "",
            cpu=judge.platform.cpu.title.message(),
            guard=_("; but {why}: a run on the poorest CPU decides", why=why),
        )


def _place(site: Site) -> str:
    return f"{site.function} {site.address:#x} {site.text}"
