"""Which machine this host is: what the processor says itself against what files say, and what stands in between.

``native`` is the strongest word in a grade, and files are bound over with one command. So the auxiliary vector, CPUID or the ID
registers, /proc/cpuinfo, and DMI or the device tree have to agree; mounts over the files, emulators and hypervisors are told.
What cannot be found out is not native.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.messages import Message, _, joined, verbatim
from pytest_xinchuang.sandbox import registers

CPUINFO = "/proc/cpuinfo"
OS_RELEASE = "/etc/os-release"
DMI = "/sys/class/dmi/id"
TREE = "/proc/device-tree"
MIDR = "/sys/devices/system/cpu/cpu0/regs/identification/midr_el1"

PROC_MAGIC, SYSFS_MAGIC = 0x9FA0, 0x62656572
"""File systems by statfs(2): PROC_SUPER_MAGIC and SYSFS_MAGIC of <linux/magic.h>."""

_PLATFORM = {Arch.AMD64: "x86_64", Arch.ARM64: "aarch64", Arch.LOONG64: "loongarch"}
"""AT_PLATFORM: ELF_PLATFORM in the kernel's asm/elf.h."""

_ELF_MACHINE = {Arch.AMD64: 62, Arch.ARM64: 183, Arch.LOONG64: 258}
"""e_machine of an interpreter that runs natively (<elf.h>)."""

_HWCAPS: dict[Arch, tuple[str, ...]] = {
    Arch.ARM64: (
        *("fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32"),
        *("atomics", "fphp", "asimdhp", "cpuid", "asimdrdm", "jscvt", "fcma", "lrcpc"),
        *("dcpop", "sha3", "sm3", "sm4", "asimddp", "sha512", "sve", "asimdfhm"),
        *("dit", "uscat", "ilrcpc", "flagm", "ssbs", "sb", "paca", "pacg"),
    ),
    Arch.LOONG64: (
        *("cpucfg", "lam", "ual", "fpu", "lsx", "lasx", "crc32", "complex"),
        *("crypto", "lvz", "lbt_x86", "lbt_arm", "lbt_mips"),
    ),
}
"""Bits of AT_HWCAP from 0 on, as /proc/cpuinfo names them (asm/hwcap.h and cpuinfo.c / proc.c of each architecture)."""

_X86_FLAGS = {0: "fpu", 4: "tsc", 8: "cx8", 15: "cmov", 23: "mmx", 24: "fxsr", 25: "sse", 26: "sse2"}
"""Bits of CPUID 1 EDX, which is AT_HWCAP, as /proc/cpuinfo names them."""

_LOONGSON = 0x14
"""The company in PRID, bits 16 to 23: Loongson (asm/loongarch.h)."""

_EMULATORS = re.compile(r"QEMU|Bochs|TCG", re.I)


class Reader(Protocol):
    """How a host is asked."""

    def file(self, path: str) -> str | None: ...
    def link(self, path: str) -> str | None: ...
    def head(self, path: str) -> bytes: ...
    def magic(self, path: str) -> int | None: ...
    def auxiliary(self, key: int) -> int: ...
    def auxiliary_text(self, key: int) -> str: ...
    def cpuid(self, leaf: int) -> tuple[int, int, int, int] | None: ...
    def midr(self) -> int | None: ...
    def prid(self) -> int | None: ...


class HostReader:
    """Asks this very host."""

    def file(self, path: str) -> str | None:
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace").rstrip("\0")
        except OSError:
            return None

    def link(self, path: str) -> str | None:
        try:
            return str(Path(path).readlink())
        except OSError:
            return None

    def head(self, path: str) -> bytes:
        try:
            with Path(path).open("rb") as file:
                return file.read(64)
        except OSError:
            return b""

    def magic(self, path: str) -> int | None:
        return registers.filesystem_of(path)

    def auxiliary(self, key: int) -> int:
        return registers.auxiliary(key)

    def auxiliary_text(self, key: int) -> str:
        return registers.auxiliary_text(key)

    def cpuid(self, leaf: int) -> tuple[int, int, int, int] | None:
        return registers.cpuid(leaf)

    def midr(self) -> int | None:
        return registers.midr()

    def prid(self) -> int | None:
        return registers.prid()


@dataclass(frozen=True)
class Machine:
    """What was seen of a host.

    Attributes:
        platform, hwcap: of the auxiliary vector; "" and 0: it has none.
        processor: what the processor says, in the words of /proc/cpuinfo; "": it could not be asked.
        edx: CPUID 1 EDX on x86-64.
        kernel_midr: MIDR_EL1 as sysfs has it.
        hypervisor: the twelve letters of CPUID's hypervisor, "?" for one without letters, "" where CPUID names none.
        board: DMI or the device tree; "": neither is there.
        interpreter: e_machine of the program that really runs this process.
        emulated: the program that runs this process is another than the one that it is told it is.
        covered: files of the above over which something else is mounted.
    """

    platform: str
    hwcap: int
    cpuinfo: str
    processor: str
    edx: int | None
    midr: int | None
    kernel_midr: int | None
    prid: int | None
    hypervisor: str
    board: str
    interpreter: int
    emulated: bool
    covered: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """For the journal: without /proc/cpuinfo, of which the first processor is enough."""
        return {**asdict(self), "cpuinfo": first_processor(self.cpuinfo)[:2000], "covered": list(self.covered)}


def look(reader: Reader) -> Machine:
    """Ask a host."""
    identity = reader.cpuid(1)
    kernel = reader.file(MIDR)
    real, told = reader.link("/proc/thread-self/exe"), reader.link("/proc/self/exe")
    head = reader.head("/proc/thread-self/exe")
    return Machine(
        platform=reader.auxiliary_text(registers.AT_PLATFORM),
        hwcap=reader.auxiliary(registers.AT_HWCAP),
        cpuinfo=reader.file(CPUINFO) or "",
        processor=_processor(reader),
        edx=identity[3] if identity else None,
        midr=reader.midr(),
        kernel_midr=_number(kernel),
        prid=reader.prid(),
        hypervisor=_hypervisor(reader, identity),
        board=_board(reader),
        interpreter=struct.unpack_from("<H", head, 18)[0] if head[:4] == b"\x7fELF" and len(head) >= 20 else 0,
        # qemu-user answers /proc/self itself, and knows of no other name for it.
        emulated=real is None or real != told,
        covered=tuple(_covered(reader)),
    )


def _number(text: str | None) -> int | None:
    try:
        return int(text.strip(), 16) & 0xFFFFFFFF if text else None
    except ValueError:
        return None


def _processor(reader: Reader) -> str:
    """What the processor says of itself in the fields of /proc/cpuinfo."""
    if (identity := reader.cpuid(1)) and (first := reader.cpuid(0)):
        eax = identity[0]
        family, model = eax >> 8 & 15, eax >> 4 & 15
        # Intel SDM, volume 2A, CPUID: extended family and model.
        if family == 15:
            family += eax >> 20 & 255
        if family >= 6:
            model += (eax >> 16 & 15) << 4
        vendor = struct.pack("<III", first[1], first[3], first[2]).decode("latin-1")
        parts = [reader.cpuid(leaf) or (0, 0, 0, 0) for leaf in (0x80000002, 0x80000003, 0x80000004)]
        name = b"".join(struct.pack("<IIII", *part) for part in parts).split(b"\0")[0].decode("latin-1").strip()
        return (
            f"vendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n"
            f"model name\t: {name}\nstepping\t: {eax & 15}\n"
        )
    if (midr := reader.midr()) is not None:
        return (
            f"CPU implementer\t: 0x{midr >> 24:02x}\nCPU variant\t: 0x{midr >> 20 & 15:x}\n"
            f"CPU part\t: 0x{midr >> 4 & 0xFFF:03x}\nCPU revision\t: {midr & 15}\n"
        )
    return ""


def _hypervisor(reader: Reader, identity: tuple[int, int, int, int] | None) -> str:
    if identity is None or not identity[2] >> 31:
        return ""
    leaf = reader.cpuid(0x40000000)
    name = struct.pack("<III", *leaf[1:]).split(b"\0")[0].decode("latin-1").strip() if leaf else ""
    return name or "?"


def _board(reader: Reader) -> str:
    names = ("sys_vendor", "product_name", "board_vendor", "board_name", "bios_vendor")
    found = [text.strip() for name in names if (text := reader.file(f"{DMI}/{name}"))]
    found += [text.strip("\0\n") for name in ("model",) if (text := reader.file(f"{TREE}/{name}"))]
    return "; ".join(text for text in found if text)


def _covered(reader: Reader) -> Iterator[str]:
    """Files that are not what they seem: another file system than that of their place, or something mounted right over them."""
    for path, magic in ((CPUINFO, PROC_MAGIC), ("/proc/self/mountinfo", PROC_MAGIC), (MIDR, SYSFS_MAGIC)):
        found = reader.magic(path)
        if found is not None and found != magic:
            yield path
    mounts = reader.file("/proc/self/mountinfo")
    if mounts is None:
        yield "/proc/self/mountinfo"
        return
    watched = [CPUINFO, OS_RELEASE, "/usr/lib/os-release", MIDR, "/sys/devices/virtual/dmi", DMI]
    if reader.file(f"{DMI}/sys_vendor") is None:  # containers cover the device tree, and have DMI all the same
        watched += [TREE, "/sys/firmware/devicetree"]
    for line in mounts.splitlines():
        fields = line.split(" ")
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[4]) if len(fields) > 4 else ""
        over = [w for w in watched if w == point or w.startswith(f"{point}/") or point.startswith(f"{w}/")]
        # Whole file systems in their usual places; a system may also have /usr by itself.
        usual = _is_whole(line, point) if point in ("/proc", "/sys") else point in ("/", "/usr")
        if over and not usual:
            yield point


def _is_whole(line: str, point: str) -> bool:
    """Whether a line of mountinfo mounts the root of procfs or sysfs (proc(5): field 4, and the type behind the hyphen)."""
    fields, _hyphen, rest = line.partition(" - ")
    kind = rest.split(" ")[0]
    return fields.split(" ")[3] == "/" and kind == {"/proc": "proc", "/sys": "sysfs"}[point]


def first_processor(cpuinfo: str) -> str:
    """The block of the first processor."""
    return cpuinfo.split("\n\n")[0]


def _fields(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in first_processor(text).splitlines())
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def doubts(platform: Platform, machine: Machine) -> list[Message]:
    """Why a host is not believed to be a platform natively; none: everything that can be asked agrees."""
    return [*_in_between(machine), *_of_architecture(platform.arch, machine), *_of_processor(platform, machine)]


def _in_between(machine: Machine) -> Iterator[Message]:
    for path in dict.fromkeys(machine.covered):
        yield _("something is mounted over {path}", path=verbatim(path))
    if machine.emulated:
        yield _("this process is run by another program than it is told: an emulator")
    if machine.hypervisor.startswith("TCG") or machine.hypervisor == "?":
        yield _("its hypervisor is {name}, which may be an emulator", name=verbatim(machine.hypervisor))
    if not machine.board:
        yield _("neither DMI nor the device tree says which board it is")
    elif _EMULATORS.search(machine.board) and not machine.hypervisor:
        yield _("its board is {board}, and nothing shows that it is no emulator", board=verbatim(machine.board))


def _of_architecture(arch: Arch, machine: Machine) -> Iterator[Message]:
    if machine.platform != _PLATFORM[arch]:
        seen = verbatim(machine.platform or "?")
        yield _("the auxiliary vector says {seen}, not {wanted}", seen=seen, wanted=verbatim(_PLATFORM[arch]))
    if machine.interpreter != _ELF_MACHINE[arch]:
        yield _(
            "the program that runs this process is of the machine {seen}, not {wanted}",
            seen=machine.interpreter,
            wanted=_ELF_MACHINE[arch],
        )


def _of_processor(platform: Platform, machine: Machine) -> Iterator[Message]:
    arch, told = platform.arch, _fields(machine.cpuinfo)
    if arch is Arch.LOONG64:
        yield from _of_loongarch(machine, told)
    elif not machine.processor:
        yield _("the processor itself could not be asked")
    else:
        # Its name can be written by firmware and comes last; the rest is the processor's own.
        for name, said in _fields(machine.processor).items():
            if told.get(name, "") != said and not (name == "model name" and told.get(name, "").split() == said.split()):
                shown = verbatim(told.get(name, "?"))
                yield _(
                    "the processor says {name} {said}, and {file} {shown}",
                    name=verbatim(name),
                    said=verbatim(said),
                    file=CPUINFO,
                    shown=shown,
                )
        for pattern in platform.cpu.identity.value or ():
            if not re.search(pattern, machine.processor, re.M):
                yield _("the processor itself does not show {text}", text=verbatim(repr(pattern)))
    if arch is Arch.ARM64 and machine.kernel_midr is not None and machine.kernel_midr != machine.midr:
        yield _(
            "MIDR_EL1 is {one} by the instruction, and {other} in sysfs", one=machine.midr, other=machine.kernel_midr
        )
    if arch is Arch.AMD64:
        if machine.edx is not None and machine.hwcap & 0xFFFFFFFF != machine.edx:
            yield _("AT_HWCAP of the auxiliary vector is not what CPUID says")
        yield from _capabilities(machine.hwcap, _X86_FLAGS.items(), told.get("flags", ""))
    else:
        yield from _capabilities(machine.hwcap, enumerate(_HWCAPS[arch]), told.get("features", ""))


def _of_loongarch(machine: Machine, told: dict[str, str]) -> Iterator[Message]:
    if machine.prid is None:
        yield _("the processor itself could not be asked")
        return
    if machine.prid >> 16 & 0xFF != _LOONGSON:
        yield _("PRID {prid} is not Loongson's", prid=verbatim(f"0x{machine.prid:x}"))
    revision = told.get("cpu revision", "")
    if revision.lower() != f"0x{machine.prid & 0xFF:02x}":
        yield _(
            "PRID is {prid}, and {file} says revision {shown}",
            prid=verbatim(f"0x{machine.prid:x}"),
            file=CPUINFO,
            shown=verbatim(revision or "?"),
        )


def _capabilities(hwcap: int, bits: Iterable[tuple[int, str]], features: str) -> Iterator[Message]:
    """Where AT_HWCAP and /proc/cpuinfo name different features."""
    if not hwcap:
        yield _("the auxiliary vector has no AT_HWCAP")
        return
    shown = set(features.split())
    wrong = [name for bit, name in bits if bool(hwcap >> bit & 1) != (name in shown)]
    if wrong:
        yield _(
            "the auxiliary vector and {file} differ about {names}",
            file=CPUINFO,
            names=joined(map(verbatim, wrong[:8]), _(", ")),
        )


def told_of(machine: Machine) -> Message | None:
    """What a reader of a native grade has to know of the machine; None: nothing."""
    if machine.hypervisor:
        return _(
            "it runs under the hypervisor {name}, which decides what the processor says of itself",
            name=verbatim(machine.hypervisor),
        )
    return None


def twins_of(platform: Platform, machine: Machine) -> Message | None:
    """Which other chips the processor may be: those of the same core, where the kernel prints no chip's name."""
    if platform.cpu.twins and "model name" not in _fields(machine.cpuinfo):
        return _(
            "the processor tells its core and no chip: it may be {names} as well",
            names=joined(map(verbatim, platform.cpu.twins), _(", ")),
        )
    return None
