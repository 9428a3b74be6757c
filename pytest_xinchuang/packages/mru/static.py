"""Checks a unit's objects without running them."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_xinchuang.building.built import is_allowed
from pytest_xinchuang.core.finding import Certainty, Finding, FindingCatalogue
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.verdict import Cause, Fidelity
from pytest_xinchuang.inspect.elf import ElfObject, NotElf
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts, describe
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.closure import Closure
from pytest_xinchuang.inspect.rules.elf_rules import Surroundings
from pytest_xinchuang.messages import Message, _, told
from pytest_xinchuang.packages.mru.findings import UnitRecord

MACHINE, LIBRARIES, SYMBOLS = "XC-MRU-001", "XC-MRU-002", "XC-MRU-003"
ALLOWED, BASELINE, ALIGNMENT = "XC-MRU-012", "XC-MRU-013", "XC-MRU-014"
STATIC = (MACHINE, LIBRARIES, SYMBOLS, ALLOWED, ALIGNMENT)

LIBC_FAMILY = (
    "libc.so.*",
    "libm.so.*",
    "libpthread.so.*",
    "libdl.so.*",
    "librt.so.*",
    "libutil.so.*",
    "libresolv.so.*",
    "ld-linux*.so.*",
    "ld.so.1",
    "ld-musl-*.so.1",
    "libgcc_s.so.1",
)
"""The libraries of glibc and musl, and GCC's run time: always there, always allowed."""


REQUIREMENT_OF: dict[str, str] = {
    **dict.fromkeys(
        ("XC-ELF-001", "XC-ELF-002", "XC-ELF-004", "XC-ELF-006", "XC-ELF-007", "XC-ELF-008", "XC-ELF-009"), MACHINE
    ),
    **dict.fromkeys(("XC-ELF-034", "XC-ELF-035", "XC-ELF-036", "XC-ELF-038", "XC-ELF-039"), MACHINE),
    **dict.fromkeys(("XC-GO-002", "XC-GO-003", "XC-GO-006", "XC-SYS-023"), MACHINE),
    **dict.fromkeys(("XC-ELF-010", "XC-ELF-011", "XC-ELF-012", "XC-ELF-013"), SYMBOLS),
    **dict.fromkeys(("XC-ELF-040", "XC-ELF-041", "XC-ELF-042"), SYMBOLS),
    **dict.fromkeys(("XC-ELF-020", "XC-ELF-021", "XC-ELF-032", "XC-ELF-033"), ALIGNMENT),
    **dict.fromkeys(
        ("XC-ISA-001", "XC-ISA-002", "XC-ISA-003", "XC-ISA-004", "XC-ISA-006", "XC-ISA-007", "XC-ISA-009"), BASELINE
    ),
    **dict.fromkeys(("XC-CPU-001", "XC-CPU-002", "XC-ELF-037"), BASELINE),
    "XC-GO-001": BASELINE,
}
"""Finding code -> the requirement that it decides.

Codes of findings that a program can guard against at run time are left out: the sandbox run decides those.
"""

_OF_LIBRARIES = frozenset({"XC-ELF-041", "XC-ELF-042"})
"""Versions of libraries other than those of the C and C++ run times."""

_CAUSES = {
    **dict.fromkeys(
        (
            *("XC-ELF-002", "XC-ELF-013", "XC-ELF-021", "XC-ELF-032", "XC-ELF-035", "XC-ELF-036", "XC-ELF-037"),
            *("XC-ELF-038", "XC-ELF-039", "XC-ELF-040", "XC-ELF-042", "XC-CPU-001"),
        ),
        Cause.MISSING_FACT,
    ),
    "XC-CPU-002": Cause.FIDELITY,
}


def inspect(
    record: UnitRecord,
    objects: dict[str, bytes],
    platform: Platform,
    findings: FindingCatalogue,
    *,
    allowed: tuple[str, ...],
    shipped: frozenset[str],
    provided: frozenset[str],
    of_rootfs: bool = False,
) -> list[ElfObject]:
    """Inspect each object; findings and evidence go to ``record``. Returns the objects that could be read.

    Args:
        provided: the libraries of the root filesystem.
        of_rootfs: the objects are of it, or were linked here with its libraries: which versions they ask of these is not
            the product's doing.
    """
    inspector = Inspector()
    read: list[ElfRecord] = []
    for name, data in objects.items():
        try:
            read.append(inspector.object(data, name))
        except NotElf as error:
            record.saw((MACHINE,), Fidelity.STATIC, {"kind": "static", "object": name, "found": told(error)})
            record.fails(MACHINE, told(error))
    closure = Closure(read)
    for each in read:
        record.saw(
            STATIC,
            Fidelity.STATIC,
            {"kind": "static", "object": each.place, "sha256": each.sha256, **describe(each.elf)},
        )
        verdicts = Verdicts(platform, {})
        verdicts.record(each, Surroundings(closure.pulled(each), closure.shipped))
        for finding in verdicts.judge.findings:
            if not (of_rootfs and finding.code in _OF_LIBRARIES and finding.params.get("library") in provided):
                _take(record, finding, findings)
        if any(
            f.certainty is Certainty.CERTAIN and REQUIREMENT_OF.get(f.code) == MACHINE for f in verdicts.judge.findings
        ):
            continue
        _check_libraries(record, each.elf, shipped, provided)
        _check_allowed(record, each.elf, (*LIBC_FAMILY, *allowed, *shipped))
    return [each.elf for each in read]


def _take(record: UnitRecord, finding: Finding, findings: FindingCatalogue) -> None:
    requirement = REQUIREMENT_OF.get(finding.code)
    if requirement is None:
        return
    reason, mend = findings.coded(finding), findings.mend(finding)
    if finding.certainty is Certainty.CERTAIN:
        record.fails(requirement, reason, mend)
    elif finding.certainty is Certainty.UNDECIDED or finding.code == "XC-ELF-008":
        record.undecided(requirement, _CAUSES.get(finding.code, Cause.HOST), reason, mend)


def _check_libraries(record: UnitRecord, elf: ElfObject, shipped: frozenset[str], provided: frozenset[str]) -> None:
    for soname in elf.libraries:
        if soname not in shipped and soname not in provided:
            record.fails(
                LIBRARIES,
                _(
                    "{name} needs {soname}, which neither the subject ships nor the root filesystem has",
                    name=elf.name,
                    soname=soname,
                ),
            )


def _check_allowed(record: UnitRecord, elf: ElfObject, patterns: tuple[str, ...]) -> None:
    for soname in elf.libraries:
        if not is_allowed(soname, patterns):
            record.fails(
                ALLOWED,
                _("{name} needs {soname}, which is not on the list of allowed libraries", name=elf.name, soname=soname),
            )


BEHAVIOUR_IMPORTS: dict[str, frozenset[str]] = {
    "children": frozenset(
        {
            *(
                "fork",
                "_Fork",
                "__fork",
                "__libc_fork",
                "vfork",
                "__vfork",
                "clone",
                "__clone",
                "clone3",
                "forkpty",
                "daemon",
            ),
            *("posix_spawn", "posix_spawnp", "system", "popen", "wordexp"),
            *("execl", "execle", "execlp", "execv", "execve", "execveat", "execvp", "execvpe", "fexecve"),
        }
    ),
    "threads": frozenset(
        {
            *("pthread_create", "thrd_create", "clone", "__clone", "clone3"),
            *("_ZNSt6thread15_M_start_threadESt10unique_ptrINS_6_StateESt14default_deleteIS1_EEPFvvE",),
            *("GOMP_parallel", "GOMP_parallel_start", "GOMP_task", "__kmpc_fork_call"),
            *("g_thread_new", "g_thread_try_new", "uv_thread_create", "uv_queue_work"),
            *("timer_create", "mq_notify", "getaddrinfo_a", "lio_listio", "aio_read", "aio_write", "aio_fsync"),
            *("lio_listio64", "aio_read64", "aio_write64", "aio_fsync64"),
        }
    ),
    "signals": frozenset(
        {
            *("signal", "__sysv_signal", "sysv_signal", "bsd_signal", "ssignal", "sigset", "sigvec", "sigaction"),
            *("__sigaction", "__libc_sigaction", "sigprocmask", "pthread_sigmask", "sigwait", "sigwaitinfo"),
            *("sigtimedwait", "sigsuspend", "signalfd", "sigaltstack", "siginterrupt", "alarm", "setitimer"),
        }
    ),
    "dlopen": frozenset(
        {"dlopen", "dlmopen", "__libc_dlopen_mode", "g_module_open", "lt_dlopen", "lt_dlopenext", "uv_dlopen"}
    ),
    "tls": frozenset({"__tls_get_addr", "___tls_get_addr"}),
}
"""Behaviour -> functions that show it. ``syscall`` is left out: what it calls cannot be seen, and shows nothing by itself."""


def shows(behaviour: str, objects: Iterable[ElfObject]) -> Message | None:
    """What in the objects suggests ``behaviour``; None when nothing does."""
    for elf in objects:
        if elf.is_go or elf.linking != "dynamic":
            return _("{object} is statically linked: its calls cannot be seen", object=elf.name)
        if behaviour == "tls" and elf.has_tls:
            return _("{object} has a PT_TLS segment", object=elf.name)
        used = elf.imports & BEHAVIOUR_IMPORTS[behaviour]
        if used:
            return _("{object} imports {function}", object=elf.name, function=sorted(used)[0])
    return None
