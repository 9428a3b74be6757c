"""What can be told of a unit's objects without running them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from pytest_xinchuang.inspect.elf import ElfObject, NotElf, read_elf
from pytest_xinchuang.model.platform import Platform
from pytest_xinchuang.model.verdict import Cause, Fidelity
from pytest_xinchuang.mru.built import is_allowed
from pytest_xinchuang.mru.findings import UnitRecord

MACHINE, LIBRARIES, SYMBOLS = "XC-MRU-001", "XC-MRU-002", "XC-MRU-003"
ALLOWED, ALIGNMENT = "XC-MRU-012", "XC-MRU-014"
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
"""The libraries of glibc and musl themselves, and GCC's run time: always there, always allowed."""


def inspect(
    record: UnitRecord,
    objects: dict[str, bytes],
    platform: Platform,
    *,
    allowed: tuple[str, ...],
    shipped: frozenset[str],
    provided: frozenset[str],
) -> list[ElfObject]:
    """Look at each object; findings and evidence go to ``record``. Returns what could be read."""
    read: list[ElfObject] = []
    for name, data in objects.items():
        try:
            elf = read_elf(data, name)
        except NotElf as error:
            record.saw((MACHINE,), Fidelity.STATIC, {"kind": "static", "object": name, "found": str(error)})
            record.fails(MACHINE, str(error))
            continue
        read.append(elf)
        record.saw(STATIC, Fidelity.STATIC, _observation(elf, data))
        if not _check_machine(record, elf, platform):
            continue
        _check_libraries(record, elf, shipped, provided)
        _check_symbols(record, elf, platform)
        _check_allowed(record, elf, (*LIBC_FAMILY, *allowed, *shipped))
        _check_alignment(record, elf, platform)
    return read


def _observation(elf: ElfObject, data: bytes) -> dict[str, Any]:
    return {
        "kind": "static",
        "object": elf.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "machine": elf.machine,
        "bits": elf.bits,
        "flags": elf.flags,
        "interpreter": elf.interpreter,
        "libraries": list(elf.libraries),
        "versions": sorted({n.version for n in elf.needed}),
        "load_alignments": sorted(set(elf.load_alignments)),
    }


def _check_machine(record: UnitRecord, elf: ElfObject, platform: Platform) -> bool:
    wanted = platform.architecture.elf_machine
    if elf.machine != wanted or elf.bits != 64 or not elf.little_endian:
        order = "little" if elf.little_endian else "big"
        record.fails(
            MACHINE,
            f"{elf.name} is for {elf.machine} ({elf.bits} bits, {order}-endian); {platform.id} runs {wanted} "
            "(64 bits, little-endian)",
        )
        return False
    if any(elf.padding):
        record.undecided(
            MACHINE,
            Cause.HOST,
            f"{elf.name} has bytes in the padding of its ELF identification ({elf.padding.hex()}): "
            "the gABI asks for zero, and such a program could run outside the emulated CPU",
            "rebuild it with an unmodified linker",
        )
    world, why = elf.world(platform.architecture)
    if world is None:
        record.undecided(MACHINE, Cause.MISSING_FACT, f"{elf.name}: its LoongArch ABI world cannot be told: {why}")
    elif world != platform.world:
        record.fails(
            MACHINE,
            f"{elf.name} is of the {world} LoongArch world ({why}); {platform.system.title.en} is of the "
            f"{platform.world} world",
            "build it with a tool chain of the platform's world",
        )
        return False
    known = [i for group in platform.architecture.interpreters.values() for i in group]
    if elf.interpreter is not None and elf.interpreter not in known:
        record.fails(MACHINE, f"{elf.name} asks for the loader {elf.interpreter}; the platform has {', '.join(known)}")
        return False
    return True


def _check_libraries(record: UnitRecord, elf: ElfObject, shipped: frozenset[str], provided: frozenset[str]) -> None:
    for soname in elf.libraries:
        if soname not in shipped and soname not in provided:
            record.fails(
                LIBRARIES, f"{elf.name} needs {soname}, which neither the subject ships nor the root filesystem has"
            )


def _check_symbols(record: UnitRecord, elf: ElfObject, platform: Platform) -> None:
    system = platform.system
    limits = {
        "GLIBC": (system.libc_version.value, "libc_version", "glibc"),
        "GLIBCXX": (system.glibcxx_max.value, "glibcxx_max", "libstdc++"),
    }
    for needed in elf.needed:
        family = needed.version.partition("_")[0]
        if needed.version == "GLIBC_ABI_DT_RELR":
            # glibc 2.36 NEWS: a marker version for objects with packed relative relocations.
            newer, limit, fact, label = None, *limits["GLIBC"]
            newer = limit is not None and tuple(map(int, limit.split("."))) < (2, 36)
        elif family in limits:
            limit, fact, label = limits[family]
            newer = limit is not None and needed.newer_than(family, limit)
        else:
            continue
        if limit is None:
            record.undecided(
                SYMBOLS,
                Cause.MISSING_FACT,
                f"{elf.name} needs {needed.version}; platforms.yaml does not know {fact} of {platform.os_name}",
                f"add systems.{platform.os_name}.{fact} to a platforms file of your own",
            )
        elif newer:
            who = ", ".join(needed.symbols[:3]) or "a version marker"
            record.fails(
                SYMBOLS,
                f"{elf.name} needs {who}@{needed.version} of {needed.library}; {system.title.en} has {label} {limit}",
                f"build against {label} {limit}, e.g. zig cc -target {platform.architecture.zig}.{limit}"
                if family == "GLIBC"
                else "",
            )


def _check_allowed(record: UnitRecord, elf: ElfObject, patterns: tuple[str, ...]) -> None:
    for soname in elf.libraries:
        if not is_allowed(soname, patterns):
            record.fails(ALLOWED, f"{elf.name} needs {soname}, which is not on the list of allowed libraries")


def _check_alignment(record: UnitRecord, elf: ElfObject, platform: Platform) -> None:
    if not elf.load_alignments:
        return
    least = min(elf.load_alignments)
    fact = platform.page_size
    largest = platform.architecture.max_page_size
    if fact is not None and fact.value is not None:
        if least < fact.value:
            record.fails(
                ALIGNMENT,
                f"{elf.name} has a PT_LOAD aligned to {least:#x}; {platform.system.title.en} on "
                f"{platform.arch} has pages of {fact.value:#x} bytes",
            )
    elif least < largest:
        record.undecided(
            ALIGNMENT,
            Cause.MISSING_FACT,
            f"{elf.name} has a PT_LOAD aligned to {least:#x}; the page size of "
            f"{platform.os_name} on {platform.arch} is not known and may be {largest:#x}",
            f"add systems.{platform.os_name}.page_size.{platform.arch} to a platforms file of your own",
        )


BEHAVIOUR_IMPORTS: dict[str, frozenset[str]] = {
    "children": frozenset(
        {"fork", "vfork", "posix_spawn", "posix_spawnp", "system", "popen", "execve", "execvp", "clone"}
    ),
    "threads": frozenset({"pthread_create", "thrd_create"}),
    "signals": frozenset({"signal", "sigaction", "sigprocmask", "pthread_sigmask", "__sysv_signal"}),
    "dlopen": frozenset({"dlopen", "dlmopen"}),
    "tls": frozenset({"__tls_get_addr"}),
}


def shows(behaviour: str, objects: Iterable[ElfObject]) -> str | None:
    """Why the objects may well have ``behaviour``, or None when nothing says so."""
    for elf in objects:
        if elf.is_go or not elf.dynamic:
            return f"{elf.name} is statically linked: what it calls cannot be seen"
        if behaviour == "tls" and elf.has_tls:
            return f"{elf.name} has a PT_TLS segment"
        used = elf.imports & BEHAVIOUR_IMPORTS[behaviour]
        if used:
            return f"{elf.name} imports {sorted(used)[0]}"
    return None
