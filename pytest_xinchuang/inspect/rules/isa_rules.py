"""Rules about instructions: what an object's code uses against what the platform's CPU has."""

from __future__ import annotations

from pathlib import Path

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.kernel_calls import lacking_on, release_key, since_of
from pytest_xinchuang.inspect.isa import Site, Use
from pytest_xinchuang.inspect.isa_hits import EMULATED
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.cpu_rules import check_unsure
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.messages import NOTHING, Message, _, joined, verbatim
from pytest_xinchuang.provision.places import in_tree

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


ID_REGISTERS_SINCE = (4, 11)
"""The kernel that answers programs which read ID registers on arm64 (Documentation/arch/arm64/cpu-feature-registers.rst)."""

FALLS_BACK = frozenset({"rseq", "clone3", "faccessat2", "statx", "fchmodat2", "preadv2", "pwritev2", "copy_file_range"})
"""Calls that the C libraries themselves make, with another way where the kernel has them not: a static program holds both."""

OF_RUST = FALLS_BACK | {"getrandom"}
"""Calls that Rust's standard library makes through libc's function, with another way where the kernel has them not
(library/std, sys/fs/unix.rs, sys/kernel_copy, sys/process/unix, sys/random/linux.rs; its kernel floor is XC-SYS-023's)."""

LIBC_NAMES = ("libc.so", "libc.musl", "ld-linux", "ld-musl", "ld.so", "libpthread.so.", "librt.so.")
"""The C libraries themselves, which are there to make calls: what they do without one is theirs."""


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
    _check_id_registers(judge, record)
    check_calls(judge, record)
    check_vsyscall(judge, record)
    uses = [use for feature, use in sorted(record.isa.uses.items()) if feature != EMULATED]
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
        guard=_told_way(use),
    )


def _told_way(use: Use) -> Message:
    """The functions through which a use is reached without a guard, where they were followed."""
    if len(use.way) < 2:
        return NOTHING
    return _("; nothing has asked on the way there: {way}", way=joined(map(verbatim, use.way[:5]), verbatim(" > ")))


def _check_id_registers(judge: Judge, record: ElfRecord) -> None:
    """Reads of ID registers, which are for kernels: programs get an answer from newer ones, and SIGILL from others."""
    use = record.isa.uses.get(EMULATED) if record.isa is not None else None
    if use is None:
        return
    kernel = judge.platform.system.kernel.value
    if kernel is not None and release_key(kernel) >= ID_REGISTERS_SINCE:
        return
    certain = Certainty.UNDECIDED if kernel is None else Certainty.CERTAIN
    judge.find(
        "XC-ISA-009",
        certain if use.certain else Certainty.GUARDED,
        record.place,
        {"sites": [_place(s) for s in (*use.sites, *use.guarded_sites)], "count": use.certain + use.guarded},
        sites=next((s.shown for s in (*use.sites, *use.guarded_sites)), ""),
        system=judge.platform.system.title.message(),
        kernel=kernel or _("an unknown kernel"),
    )


def check_calls(judge: Judge, record: ElfRecord) -> None:
    """System calls that the code makes by their number, itself or through libc's function, and that the kernel lacks."""
    kernel = judge.platform.system.kernel.value
    if kernel is None or record.isa is None or record.elf.is_go:
        return
    of_libc = (record.elf.soname or record.file_name).startswith(LIBC_NAMES)
    falls_back = FALLS_BACK if record.elf.linking in ("static", "static-pie") else frozenset()
    if any(said.startswith("rustc version") for said in record.elf.compilers):
        falls_back = OF_RUST
    for name, number in sorted(lacking_on(judge.platform).absent.items()):
        address = record.isa.calls.get(number)
        if address is None:
            continue
        judge.find(
            "XC-SYS-001",
            Certainty.NOTE if of_libc or name in falls_back else Certainty.GUARDED,
            record.place,
            call=name,
            address=f"{address:#x}",
            since=since_of(name, judge.platform),
            system=judge.platform.system.title.message(),
            kernel=kernel,
        )


def check_vsyscall(judge: Judge, record: ElfRecord) -> None:
    """Calls into the vsyscall page, which a kernel has or has not by its configuration (CONFIG_LEGACY_VSYSCALL_NONE)."""
    if record.isa is None or record.isa.vsyscall is None:
        return
    tree = judge.own_rootfs
    there = legacy_vsyscall(tree) if tree is not None else None
    if there:
        return
    address, function = record.isa.vsyscall
    judge.find(
        "XC-SYS-015",
        Certainty.UNDECIDED if there is None else Certainty.CERTAIN,
        record.place,
        address=f"{address:#x}",
        function=function,
        system=judge.platform.system.title.message(),
        why=_("its kernel was built without that page")
        if there is False
        else _("whether its kernel has that page is not known"),
    )


MOST_CONFIG = 4 << 20
"""Bytes of a kernel's configuration; that of a distribution has some 300 KiB."""


def legacy_vsyscall(tree: Path) -> bool | None:
    """Whether all kernels of a root filesystem have the vsyscall page, by /boot/config-*; None: it does not say."""
    none = []
    for path in sorted(tree.glob("boot/config-*")):
        # What a link means there, and never this machine's own configuration.
        file = in_tree(tree, str(path.relative_to(tree)))
        text = file.read_text(errors="replace") if file is not None and file.stat().st_size <= MOST_CONFIG else ""
        if "CONFIG_X86_VSYSCALL_EMULATION" in text:
            none.append("\nCONFIG_X86_VSYSCALL_EMULATION=y" not in text or "\nCONFIG_LEGACY_VSYSCALL_NONE=y" in text)
    return None if not none else not any(none)


def _guarded(judge: Judge, record: ElfRecord, uses: list[Use], asks: str) -> None:
    """One finding for each code: a library that dispatches has many extensions, and one answer to all of them."""
    assert record.isa is not None
    by_code: dict[str, list[Use]] = {}
    for use in uses:
        by_code.setdefault(code_of(use.feature), []).append(use)
    for code, group in by_code.items():
        why = next((u.guard for u in group if u.guard), None) or asks or record.isa.asks
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
