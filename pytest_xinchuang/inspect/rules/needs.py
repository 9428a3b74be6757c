"""Rules about needs that nothing meets: functions without a version, other series of libraries, features of eBPF."""

from __future__ import annotations

import re

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.bpf import MARK
from pytest_xinchuang.inspect.elf import version_key
from pytest_xinchuang.inspect.hosts import OF_HOSTS
from pytest_xinchuang.inspect.inventory import Inventory
from pytest_xinchuang.inspect.loader.private import PRIVATE
from pytest_xinchuang.inspect.loader.versions import GLIBC_LIBRARIES, LOADER
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.closure import Closure
from pytest_xinchuang.inspect.rules.judge import Judge, several
from pytest_xinchuang.messages import Message, _, verbatim

VERSIONED = frozenset(
    [
        *GLIBC_LIBRARIES,
        "libgcc_s.so.1",
        "libstdc++.so.6",
        "libgomp.so.1",
        "libatomic.so.1",
        "libssl.so.1.1",
        "libcrypto.so.1.1",
        "libssl.so.3",
        "libcrypto.so.3",
    ]
)
"""Libraries of a system whose every function has a version: what was linked with them asks for it."""

_OF_OTHERS = re.compile(
    r"_Z\w*(?:2v8|4node|4Napi)|mono_|jl_|caml_|Tcl_|__(?:asan|ubsan|tsan|msan|lsan|hwasan|sanitizer|sancov|gcov|llvm|cyg)_|__start_|__stop_"
)
"""Functions of interpreters for which nothing stands in, and of what a compiler adds: the program has them."""


def check_undefined(judge: Judge, record: ElfRecord, closure: Closure | None) -> None:
    """Functions that a library asks for without a version, where all that it needs has versions or is delivered.

    A plug-in has functions of its program; it is opened by its path, and so has no soname.
    """
    elf = record.elf
    if judge.platform.system.libc != "glibc" or elf.interpreter is not None or elf.kind != "dyn" or elf.pie:
        return
    own = elf.soname in GLIBC_LIBRARIES or not record.file_name.startswith("lib")
    if own or not elf.soname or not elf.needed or not elf.libraries:
        return
    names = {name for name in elf.unversioned - PRIVATE.keys() if not _is_of_program(name)}
    if not names:
        return
    around = closure if closure is not None else Closure([record])
    if any(not _told(name, around) for name in around.reach(record)):
        return  # It may be in a library that is not here.
    missing = sorted(names - around.exports)
    if missing:
        judge.find(
            "XC-ELF-044",
            Certainty.GUARDED,
            record.place,
            {"symbols": missing[:50]},
            symbols=several(list(map(verbatim, missing)), 3),
        )


def _is_of_program(name: str) -> bool:
    return OF_HOSTS.fullmatch(name) is not None or _OF_OTHERS.match(name) is not None


def _told(library: str, closure: Closure) -> bool:
    return library in closure.by_name or library in VERSIONED or LOADER.fullmatch(library) is not None


_SERIES = re.compile(r"(lib[A-Za-z0-9_+-]+?)\.so\.([0-9][0-9.]*)")


def check_series(judge: Judge, record: ElfRecord, shipped: frozenset[str]) -> None:
    """A library whose other series the system is known to have: libssl.so.10 where it has libssl.so.1.1."""
    for name in record.elf.libraries:
        other = other_series(judge.inventory, name) if name not in shipped else ""
        if other:
            judge.find(
                "XC-ELF-045",
                Certainty.UNDECIDED,
                record.place,
                library=name,
                system=judge.platform.system.title.message(),
                other=other,
            )


def other_series(known: Inventory, name: str) -> str:
    """What the system is known to have of a library in the place of this series; nothing where it may have this one."""
    mine, stem = known.libraries.get(name), _stem(name)
    if not stem or (mine is not None and mine.installed):
        return ""
    return min((o for o, library in known.libraries.items() if library.installed and _stem(o) == stem), default="")


def _stem(name: str) -> str:
    match = _SERIES.fullmatch(name)
    return match.group(1) if match is not None else ""


def check_bpf(judge: Judge, record: ElfRecord) -> None:
    """What an eBPF object uses that came after the platform's kernel. Vendors' kernels may have it all the same."""
    kernel = judge.platform.system.kernel.value
    if kernel is None:
        return
    for mark, since in record.marks.items():
        if mark.startswith(MARK) and version_key(since) > version_key(kernel)[:2]:
            judge.find(
                "XC-SYS-003",
                Certainty.GUARDED,
                record.place,
                uses=_of_bpf(mark.removeprefix(MARK)),
                since=since,
                system=judge.platform.system.title.message(),
                kernel=kernel,
            )


def _of_bpf(what: str) -> Message:
    """What an eBPF object uses, in words."""
    word, _space, name = what.partition(" ")
    match word:
        case "type":
            return _("programs of the type {name}", name=verbatim(name))
        case "helper":
            return _("the helper of number {number}", number=name)
        case "data":
            return _("global data")
        case "btf":
            return _("relocations against the kernel's own BTF")
        case "kfunc":
            return _("calls of kernel functions")
        case "jmp32":
            return _("32-bit jumps (-mcpu=v3)")
        case "atomics":
            return _("atomic operations other than an addition")
        case "movsx":
            return _("sign-extending moves (-mcpu=v4)")
    raise ValueError(what)
