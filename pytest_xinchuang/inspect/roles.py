"""Which files of a delivery the platform takes: among files of one role whoever chooses takes that for its architecture.

A role is what a file is there for: its path without the words for architectures, C libraries and CPU models. Where a role has a
file for the platform, its others are no fault. Where it has none, that is a finding, wherever the files stand.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytest_xinchuang.core.platform import Architecture, Platform
from pytest_xinchuang.inspect.record import ElfRecord


class Choice(StrEnum):
    """What becomes of an object on a platform."""

    TAKEN = "taken"
    PASSED_OVER = "passed over"
    """Another one of its role is for the platform, or it is for another operating system."""
    LACKING = "lacking"
    """Its role is chosen by architecture, and has nothing for the platform."""
    UNKNOWN = "unknown"
    """One of the same name is for the platform, and nothing in their paths says who takes which."""
    DATA = "data"
    """No processor of a platform runs it there: code for a device, firmware, a tool chain's file for its target."""
    FOREIGN = "foreign"
    """It is for another machine, and nobody chooses."""


OTHERS = (
    "i386", "i486", "i586", "i686", "x86_32", "x86-32", "x86", "ia32", "arm", "armv5", "armv6", "arm32", "armv6l", "armv7",
    "armv7l", "armhf", "armel", "aarch_32", "ppc64le", "ppc64el", "ppc64", "ppcle_64", "ppc_64", "ppc",
    "powerpc64le", "s390x", "s390_64", "riscv64", "riscv", "riscv32", "mips64el", "mips64le", "mips64", "mipsel",
    "mips", "sparcv9", "sparc_64", "sparc64", "ia64", "sw_64", "sw64", "wasm32", "universal2", "universal",
)  # fmt: skip
"""Words for architectures of no platform of ours, as Go, Debian, Maven, npm and Python spell them."""

_LIBCS = (
    "musl",
    "glibc",
    "gnu",
    "linuxmusl",
    "linuxgnu",
    "linuxglibc",
    "alpine",
    "manylinux",
    "musllinux",
    "musleabihf",
    "gnueabihf",
)
_SYSTEMS = ("freebsd", "netbsd", "openbsd", "dragonfly", "dragonflybsd", "kfreebsd", "sunos", "solaris", "illumos",
    "android", "darwin", "macos", "macosx", "osx", "windows", "win32", "win64", "aix", "haiku")  # fmt: skip
_CPUS = (
    r"x86[-_]64[-_]v[234]|sse[0-9]+(?:[_.][0-9])?|ssse3|avx(?:2|512\w*)?|avx-?vnni|fma[34]?|haswell|skylakex?|icelake|alderlake"
    r"|sandybridge|ivybridge|nehalem|cooperlake|cascadelake|sapphirerapids|zen[0-9]?|znver[0-9]|bulldozer|piledriver|bdver[0-9]"
    r"|armv[89](?:\.[0-9])?(?:[-_][0-9]|-a)?|lse|neon|sve2?|sme|neoverse\w*|tsv110|cortex\w*|apple_m[0-9]|thunderx\w*|a64fx|lsx|lasx|la[24]64"
)
_HWCAPS = re.compile(r"(?:^|/)glibc-hwcaps/[^/]+(?=/)")

CROSS = re.compile(
    r"(?:^|/)[a-z0-9_]+-(?:[a-z0-9]+-)?linux-(?:gnu|musl)[a-z0-9]*/(?:lib|libc|sysroot|sys-root|include|bin|usr)/"
)
"""Where a cross compiler keeps its target's files: TRIPLET/lib, and not lib/TRIPLET as Debian's multiarch has it."""

_GO_MODULE = re.compile(r"@v[0-9][^/@]*/")
"""The directory of a published Go module (Go Modules Reference, module zip files)."""

_FOR_ALL = re.compile(r"(?:^|[/!])(?:usr/(?:local/)?share|(?:usr/)?lib/firmware)/")
"""Files that every architecture shares (FHS 3.0, 4.11; the kernel's firmware)."""

MACHINES_OF_DEVICES = frozenset({"EM_NONE", "EM_BPF", *(f"machine {n}" for n in
    (83, 92, 93, 94, 105, 106, 113, 140, 141, 144, 164, 167, 189, 190, 195, 205, 224, 244, 251))})  # fmt: skip
"""What runs in the kernel or beside the processor (System V gABI, e_machine): BPF, which older compilers write as none; AVR,
OpenRISC, ARC, Xtensa, MSP430, Blackfin, Nios II, TI's C6000, C2000 and PRU, Hexagon, NDS32, MicroBlaze, CUDA, ARC v2, Intel's
and AMD's GPUs, Lanai, NEC's Vector Engine."""


@dataclass
class Role:
    """The objects that are there for one thing.

    Attributes:
        chosen: the role is chosen by architecture: their paths have words for one.
        fits: one of them is for the platform and its C library.
        natives: the static libraries that have what the platform's choosers find; "" where that is no member of one.
    """

    chosen: bool = False
    records: list[ElfRecord] = field(default_factory=list)
    fits: bool = False
    natives: set[str] = field(default_factory=set)


class Roles:
    """The roles of the objects of one artifact on one platform.

    Args:
        records: the objects that are there once it is unpacked on the platform, and their paths in the whole delivery.
        modes: their permission bits by ``id``, where they are known.
    """

    def __init__(
        self,
        records: Iterable[tuple[ElfRecord, str]],
        platform: Platform,
        architectures: Mapping[Any, Architecture],
        modes: Mapping[int, int] | None = None,
    ) -> None:
        self._platform = platform
        self._words = _words(architectures)
        self._modes = modes or {}
        self._inside: dict[int, str] = {}
        self._whole: dict[int, str] = {}
        self._roles: dict[str, Role] = {}
        self._of: dict[int, Role] = {}
        self._native: set[str] = set()
        for record, path in records:
            whole, member, _name = path.partition(".a!")
            name, chosen = self._words.role(whole + ".a" if member else path)
            self._whole[id(record)] = whole if member else ""
            role = self._roles.setdefault(name, Role())
            role.chosen = role.chosen or chosen
            role.records.append(record)
            self._inside[id(record)], self._of[id(record)] = path, role
            if record.elf.machine == platform.architecture.elf_machine:
                self._native.add(record.file_name)
                role.fits = role.fits or self._libc(record) in (None, platform.system.libc)
                if self._may_stand_for(record):
                    role.natives.add(self._whole[id(record)])

    def named(self, record: ElfRecord) -> str | None:
        """The architecture that the path of an object names, None where it names none or several."""
        return self._words.named(self._inside.get(id(record), record.path))

    def beside(self, record: ElfRecord) -> str:
        """The name of the platform's file in the role of an object, else its own: whoever chooses by it may find another."""
        machine = self._platform.architecture.elf_machine
        return next((r.file_name for r in self._of[id(record)].records if r.elf.machine == machine), record.file_name)

    def names_any(self, path: str) -> bool:
        """Whether a path has a word that choosers know: an architecture, a CPU, or another system."""
        return self._words.role(path)[1] or self._words.other_system(path)

    def choice(self, record: ElfRecord) -> Choice:
        """What becomes of an object; one that is not there is passed over."""
        role = self._of.get(id(record))
        return Choice.PASSED_OVER if role is None else self._choice(record, role)

    def _choice(self, record: ElfRecord, role: Role) -> Choice:
        machine, libc = self._platform.architecture.elf_machine, self._platform.system.libc
        inside = self._inside[id(record)]
        if self._words.other_system(inside) and not _says_linux(record):
            return Choice.PASSED_OVER
        if _is_of_go_tests(inside):
            return Choice.DATA
        if record.elf.machine == machine:
            return Choice.TAKEN if self._libc(record) in (None, libc) or not role.fits else Choice.PASSED_OVER
        if record.elf.machine in MACHINES_OF_DEVICES:
            return Choice.DATA
        # A linker is given all members of a static library: one is no choice beside another.
        if role.natives - ({self._whole[id(record)]} - {""}):
            return Choice.PASSED_OVER
        if CROSS.search(inside) or (_FOR_ALL.search(inside) and self._cannot_start(record)):
            return Choice.DATA
        if role.chosen:
            return Choice.LACKING
        return Choice.UNKNOWN if record.file_name in self._native else Choice.FOREIGN

    def _libc(self, record: ElfRecord) -> str | None:
        """The C library that an object is for, by itself or by its path: a library in C++ may name none of musl's."""
        return record.elf.libc or self._words.libc(self._inside[id(record)])

    def _may_stand_for(self, record: ElfRecord) -> bool:
        """Whether whoever looks for the platform's file finds this one: its path names no other architecture."""
        named = self.named(record)
        return named is None or named == self._platform.arch.value

    def _cannot_start(self, record: ElfRecord) -> bool:
        """Whether nothing starts or loads it: it is no library, and may not be executed."""
        elf = record.elf
        library = elf.kind == "dyn" and (elf.soname is not None or bool(elf.libraries)) and elf.interpreter is None
        mode = self._modes.get(id(record))
        return not library and mode is not None and not mode & 0o111


def _is_of_go_tests(path: str) -> bool:
    """Whether the tests of a published Go module read a file: the go command takes no package from below ``testdata``."""
    parts = ((part, part.rfind("/testdata/")) for part in path.split("!"))
    return any(at >= 0 and _GO_MODULE.search(part, 0, at + 1) is not None for part, at in parts)


def _says_linux(record: ElfRecord) -> bool:
    """Whether an object says of itself that it is for Linux, and not for the system that a word of its path names."""
    go = record.elf.go
    return record.elf.libc not in (None, "bionic") or (go is not None and go.setting("GOOS") == "linux")


_PATHS = 1 << 14
"""Paths of which it is kept what their words say."""


class _Words:
    """The words that choosers know, as patterns."""

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self._aliases = aliases
        known = sorted({*self._aliases, *OTHERS}, key=len, reverse=True)
        self._arch = _word("|".join(map(re.escape, known)))
        # native/ARM/lib.so and native/Linux/x86_64/lib.so are there for one thing.
        self._roles = _word("|".join([*map(re.escape, known), *_LIBCS, "linux"]), before="[-_.]?")
        self._cpu = _word(_CPUS, before="[-_.]?")
        self._musl = _word("musl|linuxmusl|alpine|musllinux|musleabihf")
        self._system = _word("|".join(_SYSTEMS))
        # Each platform asks the same of each path.
        self.role = functools.lru_cache(_PATHS)(self._role_of)
        self.named = functools.lru_cache(_PATHS)(self._named)

    def _role_of(self, path: str) -> tuple[str, bool]:
        """The role of a path, and whether the path has a word that tells an architecture."""
        text = _HWCAPS.sub("", _plain(path))
        head, slash, last = text.rpartition("/")
        last, of_cpu = self._cpu.subn("", last)
        chosen = of_cpu > 0 or self._arch.search(text) is not None
        text = self._roles.sub("", head + slash + last)
        # A word at the beginning leaves the separator behind it: x86_64-lib.so and lib.so.
        return re.sub(r"//+", "/", re.sub(r"(?<=[/!])[-_.]+(?=[^/!])", "", f"/{text}")), chosen

    def _named(self, path: str) -> str | None:
        """The architecture that a path names last, None where it names none or several there."""
        for part in reversed(re.split("[/!]", _plain(path))):
            words: list[str] = self._arch.findall(part)
            found = {self._aliases.get(word, word) for word in words}
            if found:
                return found.pop() if len(found) == 1 else None
        return None

    def platforms_in(self, text: str) -> set[str]:
        """The platforms' architectures that are named anywhere in a text."""
        return {self._aliases[word] for word in self._arch.findall(_plain(text)) if word in self._aliases}

    def libc(self, path: str) -> str | None:
        return "musl" if self._musl.search(_plain(path)) else None

    def other_system(self, path: str) -> bool:
        return self._system.search(_plain(path)) is not None


def _words(architectures: Mapping[Any, Architecture]) -> _Words:
    return _words_of(tuple((alias.lower(), str(name)) for name, a in architectures.items() for alias in a.aliases))


@functools.cache
def _words_of(aliases: tuple[tuple[str, str], ...]) -> _Words:
    """Patterns are made once for all paths and platforms: the names of a package's dependencies are asked about one by one."""
    return _Words(dict(aliases))


def _plain(path: str) -> str:
    return _BY_BITS.sub(lambda found: "linux-x64" if found[1] == "64" else "linux-x86", path.lower())


_BY_BITS = re.compile(r"linux[-_]?(64|32)(?![a-z0-9])(?![-_]?(?:arm|aarch))")
"""How conda and npm's older families call x86 on Linux: linux-64 beside linux-aarch64, esbuild-linux-64."""


def _word(words: str, before: str = "") -> re.Pattern[str]:
    return re.compile(rf"{before}(?<![a-z0-9])(?:{words})(?![a-z0-9])")


def architecture_named(text: str, architectures: Mapping[Any, Architecture]) -> str | None:
    """The one architecture of a platform that a text names, a URL for example; None where it names none or several."""
    found = _words(architectures).platforms_in(text)
    return found.pop() if len(found) == 1 else None
