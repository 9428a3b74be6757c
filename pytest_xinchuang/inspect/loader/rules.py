"""What a loader refuses in an object by itself, beyond its segments and its symbol versions."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.loader import isa_level
from pytest_xinchuang.inspect.loader.dynamic import dynamic
from pytest_xinchuang.inspect.loader.mapping import mapping
from pytest_xinchuang.inspect.loader.refusal import Ground, Refusal
from pytest_xinchuang.inspect.loader.relocations import GLIBC, MUSL
from pytest_xinchuang.messages import _, joined, verbatim

# System V gABI and its registry, EI_OSABI. 0 (System V) and 3 (GNU) are what Linux has.
_OTHER_SYSTEMS = {
    1: "HP-UX",
    2: "NetBSD",
    6: "Solaris",
    7: "AIX",
    8: "IRIX",
    9: "FreeBSD",
    10: "Tru64",
    11: "Novell Modesto",
    12: "OpenBSD",
    13: "OpenVMS",
    14: "NonStop Kernel",
    15: "AROS",
    16: "FenixOS",
    17: "CloudABI",
    18: "OpenVOS",
}
_SYSV, _GNU = 0, 3
_TAG_SYSTEMS = {0: "Linux", 1: "Hurd", 2: "Solaris", 3: "FreeBSD", 4: "NetBSD", 5: "Syllable", 6: "NaCl"}
"""The systems of the GNU ABI tag (glibc, abi-tags)."""

DYNAMIC_MARK = "GLIBC_ABI_DT_RELR"


def refusals(elf: ElfObject, ground: Ground, path: str = "") -> Iterator[Refusal]:
    """What the loaders of a system have against an object that lies at ``path``."""
    if elf.kind not in ("dyn", "exec") or elf.detached:
        return
    yield from _system(elf, ground)
    yield from mapping(elf, ground)
    yield from dynamic(elf, ground, path)
    yield from _tag(elf, ground)
    # glibc takes a library from such a directory on a CPU of that level alone.
    if "glibc-hwcaps/" not in path:
        yield from _isa(elf, ground)
    yield from _relative(elf, ground)
    yield from _relocations(elf, ground)


def _system(elf: ElfObject, ground: Ground) -> Iterator[Refusal]:
    """EI_OSABI: glibc accepts 0 and 3 in a library; the kernel runs any program, but one of another system is not for it."""
    name = _OTHER_SYSTEMS.get(elf.osabi, "")
    told = verbatim(f"EI_OSABI {elf.osabi}" + (f" ({name})" if name else ""))
    if elf.osabi not in (_SYSV, _GNU):
        refused = bool(name) or (not elf.program and ground.libc == "glibc")
        yield Refusal("XC-ELF-035", Certainty.CERTAIN if refused else Certainty.UNDECIDED, {"told": told})
    elif elf.abi_version and not elf.program and ground.libc == "glibc":
        # LIBC_ABI_MAX: unique symbols; IFUNC (x86 alone); absolute symbols since 2.28.
        most = 1 + (elf.machine == "EM_X86_64") + (ground.at_least(2, 28) is not False)
        if elf.osabi == _SYSV or elf.abi_version > most:
            told = verbatim(f"EI_OSABI {elf.osabi}, EI_ABIVERSION {elf.abi_version}")
            yield Refusal("XC-ELF-035", Certainty.CERTAIN, {"told": told})


def _tag(elf: ElfObject, ground: Ground) -> Iterator[Refusal]:
    """The ABI tag: until 2.35 glibc passes over a library for a newer kernel, or another system, as if it were not there.

    The start-up code of a static program compares likewise ("FATAL: kernel too old"); which glibc it is of is not known.
    """
    if elf.abi_system is None or ground.libc != "glibc":
        return
    static = elf.program and not elf.dynamic
    if (elf.program and not static) or (not elf.program and ground.at_least(2, 36)):
        return
    system = _TAG_SYSTEMS.get(elf.abi_system, str(elf.abi_system))
    if elf.abi_system != 0:
        if static or ground.version is not None:
            yield Refusal("XC-ELF-036", Certainty.CERTAIN, {"wanted": system, "kernel": "Linux"})
        return
    asked = elf.abi_note or (0, 0, 0)
    wanted = verbatim("Linux " + ".".join(map(str, asked)))
    if ground.kernel is None:
        if asked > (3, 10, 0):
            yield Refusal("XC-ELF-036", Certainty.UNDECIDED, {"wanted": wanted, "kernel": _("an unknown kernel")})
    elif asked[: len(ground.kernel)] > ground.kernel:
        sure = Certainty.GUARDED if static else Certainty.UNDECIDED if ground.version is None else Certainty.CERTAIN
        has = verbatim("Linux " + ".".join(map(str, ground.kernel)))
        yield Refusal("XC-ELF-036", sure, {"wanted": wanted, "kernel": has})


def _isa(elf: ElfObject, ground: Ground) -> Iterator[Refusal]:
    if elf.machine != "EM_X86_64" or elf.isa_needed <= 1 or ground.libc != "glibc":
        return
    needed = isa_level.name_of(elf.isa_needed)
    if ground.isa is None:
        yield Refusal("XC-ELF-037", Certainty.UNDECIDED, {"needed": needed, "has": _("an unknown level")})
    elif isa_level.lacking(elf, ground.isa):
        certainty = isa_level.certainty(ground.at_least(2, 33))
        yield Refusal("XC-ELF-037", certainty, {"needed": needed, "has": isa_level.name_of(ground.isa)})


def _relative(elf: ElfObject, ground: Ground) -> Iterator[Refusal]:
    """DT_RELR: glibc since 2.36, with a marker where libc is needed by version; musl since 1.2.4."""
    if not elf.relr or elf.static_pie:
        return
    marked = any(n.version == DYNAMIC_MARK for n in elf.needed)
    if ground.libc == "musl":
        known = ground.at_least(1, 2, 4)
        why = _("musl knows them since 1.2.4")
    else:
        known = ground.at_least(2, 36)
        why = _("glibc knows them since 2.36")
        if known is False and marked:
            return  # XC-ELF-012 tells it.
        if known is not False and not marked and elf.needed and any(n.startswith("libc.so.") for n in elf.libraries):
            known = False
            why = _("it lacks the version need {marker}, without which glibc refuses them", marker=DYNAMIC_MARK)
    if known is None:
        yield Refusal("XC-ELF-038", Certainty.UNDECIDED, {"why": why})
    elif not known:
        yield Refusal("XC-ELF-038", Certainty.CERTAIN, {"why": why})


def _relocations(elf: ElfObject, ground: Ground) -> Iterator[Refusal]:
    known = (MUSL if ground.libc == "musl" else GLIBC).get(elf.machine)
    if known is None or elf.bits != 64 or elf.static_pie or (elf.program and not elf.dynamic):
        return
    strange = sorted(number for number in elf.relocations if number not in known)
    late = sorted(
        n for n in elf.relocations if n in known and known[n][1] > (0, 0) and not ground.at_least(*known[n][1])
    )
    told = [verbatim(f"{number:#x}") for number in strange]
    told += [_("{name}, known since {since}", name=known[n][0], since=".".join(map(str, known[n][1]))) for n in late]
    if told:
        # Vendors' forks of musl know more than upstream's.
        sure = ground.version is not None or (bool(strange) and ground.libc == "glibc")
        yield Refusal("XC-ELF-039", Certainty.CERTAIN if sure else Certainty.UNDECIDED, {"types": joined(told)})
