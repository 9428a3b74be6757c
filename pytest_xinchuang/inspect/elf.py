"""What an ELF object demands: machine, ABI world, libraries, symbol versions, page alignment, and how it was built."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from pytest_xinchuang.core.platform import Architecture
from pytest_xinchuang.inspect.elf_odd import Odd
from pytest_xinchuang.inspect.go_build_info import GoBuildInfo
from pytest_xinchuang.messages import Message, _

OBJECT_ABI_MASK = 0xC0
"""e_flags bits 7:6 (LoongArch ELF psABI): 0 is object ABI v0, 1 (0x40) is v1."""


class NotElf(ValueError):
    """The bytes are not an ELF object that can be read.

    Attributes:
        what: what is wrong with them, without the object's name.
    """

    def __init__(self, name: str, what: Message) -> None:
        super().__init__(_("{name}: {what}", name=name, what=what))
        self.what = what


_NUMBERS = re.compile(r"[0-9]+(\.[0-9]+)*")
_MOST_DIGITS = 18
"""Digits of a part of a version that count: Python refuses to read 4,300 of them."""


@dataclass(frozen=True)
class Needed:
    """A symbol version that an object asks a library for, and the symbols that ask for it.

    Attributes:
        weak: a loader does without it: the need is flagged VER_FLG_WEAK, and every symbol that asks for it is weak.
    """

    library: str
    version: str
    symbols: tuple[str, ...]
    weak: bool = False

    @property
    def family(self) -> str:
        return self.version.partition("_")[0]

    @property
    def number(self) -> tuple[int, ...] | None:
        """``GLIBC_2.34`` as (2, 34); None for GLIBC_PRIVATE, GLIBC_ABI_DT_RELR and the like."""
        text = self.version.partition("_")[2]
        return version_key(text) if _NUMBERS.fullmatch(text) else None


def version_key(text: str) -> tuple[int, ...]:
    """``2.34`` as (2, 34). A number that no machine word holds is as good as any that large."""
    return tuple(int(part[:_MOST_DIGITS]) for part in text.split(".") if part)


@dataclass(frozen=True)
class CodeRange:
    """An executable part of the file: ``size`` bytes at ``offset``, loaded at ``address``."""

    name: str
    offset: int
    address: int
    size: int


class Function(NamedTuple):
    """Where a function stands; ``name`` is empty where the object was stripped of it."""

    address: int
    size: int
    name: str = ""


@dataclass(frozen=True)
class Segment:
    """A PT_LOAD: ``size`` bytes at ``offset`` of the file, mapped at ``address`` and followed by zeros up to ``memory`` bytes.

    Attributes:
        flags: p_flags, 1 to execute, 2 to write, 4 to read.
    """

    flags: int
    offset: int
    address: int
    size: int
    memory: int
    align: int


class WorldEvidence(StrEnum):
    """What tells an object's ABI world."""

    ARCHITECTURE = "architecture"
    """There is one world alone."""
    INTERPRETER = "interpreter"
    SYMBOL_VERSIONS = "symbol-versions"
    FLAGS = "e_flags"
    GO = "go"
    """The Go that built it."""
    NOTHING = "nothing"


class World(NamedTuple):
    """An ABI world, ``old`` or ``new``, None where it cannot be told; what tells it, and that in words."""

    name: str | None
    evidence: WorldEvidence
    why: str


@dataclass(frozen=True)
class ElfObject:
    """What was read of one ELF object; ``name`` is only for messages.

    Attributes:
        kind: ``exec``, ``dyn``, ``rel`` or ``core``, or the number of another e_type.
        provided: symbol versions that a library defines, its base version (the soname) left out.
        exports: names of the defined dynamic symbols.
        static_tls: DF_STATIC_TLS, or relocations of that kind, for not all linkers set it: it must be loaded when the program
            starts, or fit into what is left of the static block.
        tls_size: bytes of thread-local storage for each thread; ``tls_align``: what its place is a multiple of.
        own_tls_offsets: it reaches that by the initial-exec model: at a distance from the thread's pointer that is fixed.
        exec_stack: asks for an executable stack; None where PT_GNU_STACK is missing.
        relro: ``none``, ``partial`` or ``full``.
        abi_note: the kernel of the "GNU/Linux x.y.z" note.
        compilers: the lines of .comment.
        ifuncs: symbols or relocations that choose an implementation at load time.
        functions: of the unwind table and the symbol tables, in order of address; empty where there is neither.
        undefined: undefined symbols of a relocatable object, or of a freestanding one.
        rpath: DT_RPATH, which counts for the libraries of libraries too, and only without ``runpath``.
        nodeflib: DF_1_NODEFLIB: the system's directories are not searched.
        static_pie: a program that is position independent and needs no loader.
        file_size: bytes of the file.
        segments: what is mapped, in the order of the program headers.
        header_entry: bytes of a program header.
        detached: debug information that was split off: its segments have no bytes, and no loader takes it.
        osabi: EI_OSABI.
        abi_version: EI_ABIVERSION.
        abi_system: the system of the ABI note; 0 is Linux, None where there is no note.
        relr: has DT_RELR.
        relocations: the types of its dynamic relocations.
        unversioned: undefined symbols, not weak, that ask for no version: any loaded object may bring them.
        odd: what is odd in its headers and its dynamic segment.
        isa_needed: the bits of the GNU property "x86 ISA needed": 1 baseline, 2, 4 and 8 the levels 2 to 4.
    """

    name: str
    machine: str
    bits: int
    little_endian: bool
    flags: int
    interpreter: str | None
    soname: str | None
    libraries: tuple[str, ...]
    runpath: tuple[str, ...]
    needed: tuple[Needed, ...]
    imports: frozenset[str]
    load_alignments: tuple[int, ...]
    has_tls: bool
    padding: bytes
    kind: str = "dyn"
    provided: frozenset[str] = frozenset()
    exports: frozenset[str] = frozenset()
    static_tls: bool = False
    tls_size: int = 0
    tls_align: int = 0
    own_tls_offsets: bool = False
    exec_stack: bool | None = None
    text_relocations: bool = False
    relro: str = "none"
    pie: bool = False
    build_id: str = ""
    abi_note: tuple[int, int, int] | None = None
    compilers: tuple[str, ...] = ()
    go: GoBuildInfo | None = None
    ifuncs: bool = False
    code: tuple[CodeRange, ...] = ()
    functions: tuple[Function, ...] = ()
    undefined: tuple[str, ...] = ()
    static_pie: bool = False
    file_size: int = 0
    segments: tuple[Segment, ...] = ()
    header_entry: int = 0
    detached: bool = False
    osabi: int = 0
    abi_version: int = 0
    abi_system: int | None = None
    rpath: tuple[str, ...] = ()
    nodeflib: bool = False
    relr: bool = False
    relocations: frozenset[int] = frozenset()
    isa_needed: int = 0
    unversioned: frozenset[str] = frozenset()
    odd: frozenset[Odd] = frozenset()

    @property
    def program(self) -> bool:
        """Whether the kernel maps it; everything else is mapped by a loader."""
        return self.kind == "exec" or (self.kind == "dyn" and (self.interpreter is not None or self.static_pie))

    @property
    def is_go(self) -> bool:
        return self.go is not None

    @property
    def relocatable(self) -> bool:
        return self.kind == "rel"

    @cached_property
    def dynamic(self) -> bool:
        return bool(self.libraries) or self.interpreter is not None

    @property
    def data_model(self) -> str:
        """LP64 or ILP32; x32 and arm64's ILP32 are 32-bit classes of 64-bit machines."""
        return "LP64" if self.bits == 64 else "ILP32"

    @property
    def linking(self) -> str:
        """``dynamic``, ``static``, ``static-pie`` or ``relocatable``."""
        if self.relocatable:
            return "relocatable"
        if self.dynamic or self.soname is not None or (self.kind == "dyn" and not self.static_pie):
            return "dynamic"
        return "static-pie" if self.static_pie else "static"

    @cached_property
    def libc(self) -> str | None:
        """``glibc``, ``musl`` or ``bionic`` (Android's) where interpreter, libraries or symbol versions say so."""
        if any(n.family == "LIBC" for n in self.needed) or (self.interpreter or "").startswith("/system/bin/linker"):
            return "bionic"
        loader = (self.interpreter or "").rpartition("/")[2]
        if loader.startswith("ld-musl-") or any(lib.startswith(("libc.musl-", "ld-musl-")) for lib in self.libraries):
            return "musl"
        # musl's libc has the soname libc.so, and is its own loader. GCC's own libraries have versions called GLIBC there too.
        # OpenBSD's and Solaris' programs need a libc.so as well, with loaders called ld.so and ld.so.1.
        if "libc.so" in self.libraries and loader in ("", "libc.so"):
            return "musl"
        return "glibc" if any(n.family == "GLIBC" for n in self.needed) else None

    def world(self, architecture: Architecture) -> World:
        """The LoongArch ABI world, "new" elsewhere, with what tells it.

        The order of evidence: the interpreter, then the needed symbol versions, then e_flags (0x40 proves the new
        world, 0 nothing), then Go's build information.
        """
        if architecture.elf_machine != "EM_LOONGARCH":
            return World("new", WorldEvidence.ARCHITECTURE, _("this architecture has one world"))
        for world, interpreters in architecture.interpreters.items():
            if self.interpreter in interpreters:
                return World(world, WorldEvidence.INTERPRETER, f"PT_INTERP {self.interpreter}")
        if self.interpreter and self.interpreter.startswith("/lib/ld-musl-loongarch64"):
            return World("new", WorldEvidence.INTERPRETER, f"PT_INTERP {self.interpreter}")
        versions = [n.number for n in self.needed if n.family == "GLIBC" and n.number is not None]
        if versions:
            world = "old" if min(versions) < version_key(architecture.libc_base) else "new"
            oldest = "GLIBC_" + ".".join(map(str, min(versions)))
            return World(world, WorldEvidence.SYMBOL_VERSIONS, _("needs {version}", version=oldest))
        if self.flags & OBJECT_ABI_MASK == 0x40:
            return World("new", WorldEvidence.FLAGS, f"e_flags {self.flags:#x}")
        if self.go is not None and self.go.number:
            # Upstream has loong64 since 1.19 and knows the new world alone; before that there were the vendor's forks.
            world = "new" if self.go.number >= version_key(architecture.go_min.value or "1.19") else "old"
            return World(world, WorldEvidence.GO, _("built by {version}", version=self.go.version))
        why = _("no interpreter, no symbol version, e_flags {flags:#x}", flags=self.flags)
        return World(None, WorldEvidence.NOTHING, why)


MACHINES: Mapping[int, str] = {
    # System V gABI, e_machine.
    0: "EM_NONE",
    2: "EM_SPARC",
    3: "EM_386",
    8: "EM_MIPS",
    20: "EM_PPC",
    21: "EM_PPC64",
    22: "EM_S390",
    40: "EM_ARM",
    43: "EM_SPARCV9",
    50: "EM_IA_64",
    62: "EM_X86_64",
    183: "EM_AARCH64",
    243: "EM_RISCV",
    247: "EM_BPF",
    258: "EM_LOONGARCH",
    0x9026: "EM_ALPHA",
    0x9916: "EM_SW64",
}
