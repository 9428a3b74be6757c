"""How an object asks what the CPU has: which instruction or call, and about which extensions.

A question that cannot be understood is one about everything: it may guard any code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.isa_bits import argument, bits_looked_at, bytes_at
from pytest_xinchuang.inspect.isa_features import (
    ARM_REGISTERS,
    AT_BASE_PLATFORM,
    AT_HWCAP,
    AT_HWCAP2,
    AT_HWCAP3,
    AT_HWCAP4,
    AT_PLATFORM,
    CPUCFG,
    HWCAPS,
    X86_EXTENDED,
    X86_LEAF_1,
    X86_VIA,
    with_kin,
)
from pytest_xinchuang.inspect.isa_flow import Call, Flow, Flows
from pytest_xinchuang.inspect.isa_hits import EMULATED, Hits, Question
from pytest_xinchuang.inspect.isa_image import Image
from pytest_xinchuang.inspect.isa_references import Index
from pytest_xinchuang.messages import Message, _, verbatim

AUXILIARY = ("getauxval", "__getauxval", "elf_aux_info")
"""getauxval(3), libgcc's own name of it, and BSD's and glibc's other way; the first argument says what is asked for."""

ASKING_IMPORTS = (
    "__cpu_model",
    "__cpu_features2",
    "__cpu_indicator_init",
    "__aarch64_cpu_features",
    "__init_cpu_features_resolver",
    "android_getCpuFeatures",
    "__riscv_hwprobe",
    "_rtld_global_ro",
    "__x86_get_cpu_features",
    "__x86_get_cpuid_feature_leaf",
    "_dl_x86_get_cpu_features",
    "__tunable_get_val",
)
"""What an object imports to ask for the CPU's features: libgcc, compiler-rt, Android's cpufeatures, and glibc's own parts, for
which the loader has asked."""

_TRYING = (("__sigsetjmp", "sigsetjmp"), ("siglongjmp",), ("sigaction", "signal", "__sysv_signal"))
"""What it takes to try an instruction under a handler for SIGILL, as PostgreSQL and older OpenSSL do."""

TELLING_FILES = (b"/proc/cpuinfo", b"/proc/self/auxv")
"""The kernel's files that tell what the CPU has."""

_LIBC = ("GLIBC", "GLIBCXX", "CXXABI", "GCC", "LIBC", "GOMP", "CXXABI_TM")
"""Families of symbol versions whose functions tell nothing of the CPU, but for those above."""

_SOUNDS_LIKE_ASKING = re.compile(
    r"cpu|simd|hw_?cap|hardware|feature|capabilit|detect|support|dispatch|avx|sse[234]|(?:^|_)(?:neon|sve|isa|caps|lsx|lasx|march)"
    r"(?:_|$)|ia32cap|armcap|machine",
    re.IGNORECASE,
)
_ORDINARY = re.compile(
    r"^_?(?:Py|JNI_|napi_|lua_|sched_|__sched|pthread_|numa_|clock_|_ITM_|__cxa_|_Unwind_|_Z[A-Z]*S[ostabid]|__gmon_start__"
    r"|sysconf$|get_nprocs)"
)

MAX_BLOCKS_OF_HELPER = 4
"""compiler-rt's init_have_lse_atomics has two."""

_FIRST: dict[str, str | int] = {"EM_X86_64": "edi", "EM_AARCH64": 0, "EM_LOONGARCH": 4}
"""The register of a call's first argument."""


@dataclass(frozen=True)
class Ask:
    """One way in which an object asks.

    Attributes:
        features: what it asks about; None: it may be anything.
        sites: addresses in the code; none: it is not known where.
        never: what it cannot ask about: it is the use of that itself.
    """

    how: Message
    features: frozenset[str] | None = None
    sites: tuple[int, ...] = ()
    never: frozenset[str] = frozenset()

    def covers(self, feature: str) -> bool:
        return feature not in self.never and (self.features is None or feature in self.features)


def imported_asking(names: Iterable[str]) -> list[str]:
    """The foreign names that ask about everything."""
    return [n for n in ASKING_IMPORTS if n in names]


def may_try(names: frozenset[str]) -> bool:
    """Whether what is imported suffices to try instructions under a handler."""
    return all(any(name in names for name in group) for group in _TRYING)


def strangers_of(elf: ElfObject) -> list[str]:
    """Foreign symbols of no C library and no compiler's run time that sound like questions about the CPU."""
    ordinary = frozenset(s for n in elf.needed if n.family in _LIBC for s in n.symbols)
    return [
        name
        for name in sorted(elf.imports - ordinary)
        if name not in AUXILIARY and _SOUNDS_LIKE_ASKING.search(name) and not _ORDINARY.search(name)
    ]


def is_nameless_program(elf: ElfObject) -> bool:
    """A static program without names, for which the kernel's answers lie on its stack: reading them calls nothing."""
    return not elf.libraries and not elf.imports and not any(f.name for f in elf.functions)


class Asks:
    """All the ways in which one linked object asks."""

    def __init__(self, image: Image, flows: Flows, hits: Hits) -> None:
        self.image = image
        self.flows = flows
        self.questions = hits.questions
        self.helpers = hits.helpers
        self.elf = image.elf

    @cached_property
    def strangers(self) -> list[str]:
        """Foreign symbols that may be other libraries' ways to ask."""
        return strangers_of(self.elf)

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """Foreign symbol -> the addresses by which the code reaches it: slots, stubs, or the function in a static program."""
        found: dict[str, list[int]] = {}
        for slot, name in self.image.slots.items():
            found.setdefault(name, []).append(slot)
        for name in (*AUXILIARY, *ASKING_IMPORTS):
            if name in self.image.names:
                found.setdefault(name, []).append(self.image.names[name])
        return found

    def wanted(self) -> list[int]:
        """Addresses whose references tell where the object asks."""
        names = [*AUXILIARY, *ASKING_IMPORTS, *self.strangers, *(n for group in _TRYING for n in group)]
        found = [a for n in names for a in (*self.places.get(n, ()), *self._stubs.get(n, ()))]
        return [*found, *self._texts]

    @cached_property
    def _tables(self) -> list[tuple[int, int]]:
        """Where procedure linkage tables stand."""
        return [(c.address, c.address + c.size) for c in self.elf.code if c.name.startswith((".plt", ".iplt"))]

    @cached_property
    def _stubs(self) -> dict[str, list[int]]:
        """Foreign function -> its stubs in the procedure linkage tables."""
        found: dict[str, list[int]] = {}
        for begin, end in self._tables:
            for address in self.flows.decoding.stubs(begin, min(end, begin + (1 << 19))):
                if name := self.flows.stub(address):
                    found.setdefault(name, []).append(address)
        return found

    @cached_property
    def _texts(self) -> dict[int, str]:
        """Address of a text in the object -> the file of the kernel that tells of the CPU."""
        found: dict[int, str] = {}
        for text in TELLING_FILES:
            at = self.image.data.find(text)
            while at >= 0 and len(found) < 8:
                for segment in self.image.reader.segments:
                    if segment.kind == 1 and segment.offset <= at < segment.offset + segment.size:
                        found[segment.address + at - segment.offset] = text.decode().rstrip("/")
                at = self.image.data.find(text, at + 1)
        return found

    def all(self, index: Index) -> list[Ask]:
        """Every ask, with its places in the code."""
        return [
            *self._instructions(),
            *self._auxiliary(index),
            *self._foreign(index),
            *self._files(index),
            *self._whole(),
        ]

    def _sites(self, name: str, index: Index) -> tuple[int, ...] | None:
        """Where the code reaches a foreign symbol; None: through what is not understood, and so from anywhere."""
        found = [s for a in (*self.places.get(name, ()), *self._stubs.get(name, ())) for s in index.to(a)]
        found = [s for s in found if not any(begin <= s < end for begin, end in self._tables)]
        if any(self.image.functions.of(s) is None for s in found):
            return None
        if any(self.image.pointers.hold(a) for a in self._stubs.get(name, ())):
            return None  # the stub's address stands in a table
        return tuple(found)

    # -- instructions

    def _instructions(self) -> Iterator[Ask]:
        for question in self.questions:
            how = _("it executes {instruction} at {address:#x}", instruction=question.name, address=question.address)
            # Reading an ID register is what kernels from 4.11 on allow, and nothing asks whether they do but HWCAP_CPUID.
            yield Ask(how, self._asked_by(question), (question.address,), frozenset({EMULATED}))

    def _asked_by(self, question: Question) -> frozenset[str] | None:
        if self.elf.machine == "EM_AARCH64":
            found = ARM_REGISTERS.get((question.word >> 8 & 15, question.word >> 5 & 7))
            unknown = (question.word >> 8 & 15, question.word >> 5 & 7) not in ARM_REGISTERS
            return with_kin(found) if found is not None else frozenset() if unknown else None
        flow = self._flow(question.address)
        if flow is None:
            return None
        if self.elf.machine == "EM_LOONGARCH":
            word = argument(self.image, flow, question.address, question.word >> 5 & 31)
            return None if word is None else with_kin(CPUCFG.get(word, ()))
        leaf = argument(self.image, flow, question.address, "eax")
        if leaf is None:
            return None
        if leaf == 1:
            return X86_LEAF_1
        if leaf == 0x80000001:
            return X86_EXTENDED
        if leaf in (0xC0000000, 0xC0000001):
            return X86_VIA
        if (
            leaf in (0, 2, 4, 5, 6, 0xA, 0xB, 0xD, 0xF, 0x10, 0x15, 0x16, 0x1F, 0x80000000)
            or 0x80000002 <= leaf <= 0x8000001F
        ):
            return frozenset()
        # Leaf 7 and what came later: who asks for these takes what came before for granted.
        return None

    def _flow(self, address: int) -> Flow | None:
        function = self.image.functions.of(address)
        return self.flows.of(function.address) if function is not None else None

    # -- the kernel's answers

    def _auxiliary(self, index: Index) -> Iterator[Ask]:
        for name in AUXILIARY:
            if name not in self.elf.imports and name not in self.image.names:
                continue
            sites = self._sites(name, index)
            if sites is None:
                yield Ask(_("it imports {name}", name=verbatim(name)))
            for site in sites or ():
                features = self._asked_of_kernel(site, name)
                if features is None or features:
                    how = _("it calls {name} at {address:#x}", name=verbatim(name), address=site)
                    yield Ask(how, features, (site,))

    def _asked_of_kernel(self, site: int, name: str) -> frozenset[str] | None:
        flow = self._flow(site)
        if flow is None or not flow.whole:
            return None
        if self._is_for_helpers(flow, name):
            return frozenset()
        calls = [c for b in flow.blocks.values() for c in b.calls]
        direct = [
            c for c in calls if c.name == name or (c.target is not None and c.target in self.places.get(name, ()))
        ]
        here = [c for c in direct if c.address <= site < c.address + 16]
        if not here:
            here = direct or [c for c in calls if not c.name and c.target is None]
        if not here:
            return None  # its address is taken, or what is called is not known
        found: set[str] = set()
        for call in here:
            features = self._asked_in(flow, call)
            if features is None:
                return None
            found |= features
        return with_kin(found)

    def _asked_in(self, flow: Flow, call: Call) -> frozenset[str] | None:
        kind = argument(self.image, flow, call.address, _FIRST[self.elf.machine])
        if kind is None or kind in (AT_PLATFORM, AT_BASE_PLATFORM):
            return None
        if kind not in (AT_HWCAP, AT_HWCAP2, AT_HWCAP3, AT_HWCAP4):
            return frozenset()
        names = HWCAPS.get((self.elf.machine, kind), [])
        bits = bits_looked_at(self.image, flow, call.address)
        return frozenset(n for i, n in enumerate(names) if bits is None or bits >> i & 1)

    def _is_for_helpers(self, flow: Flow, name: str) -> bool:
        """Whether the answer goes to the helpers of outline atomics alone, whose instructions are left out of the scan.

        libgcc asks under a name of its own; compiler-rt's constructor stores one byte, which nothing but the helpers read.
        """
        if name == "__getauxval":
            return True
        if self.elf.machine != "EM_AARCH64" or len(flow.blocks) > MAX_BLOCKS_OF_HELPER:
            return False
        stored = {a for b in flow.blocks.values() for a in bytes_at(self.image, b.begin, b.end, stored=True)}
        if not stored or not stored <= self.helpers_read:
            return False
        index = Index(self.image, stored)
        readers = [s for a in stored for s in index.to(a)]
        return all(any(h - 12 <= reader < h for h in self.helpers) for reader in readers)

    @cached_property
    def helpers_read(self) -> frozenset[int]:
        """Where the helpers of outline atomics read whether there is LSE: right before the branch that tells them."""
        found = (bytes_at(self.image, address - 12, address, stored=False) for address in self.helpers)
        return frozenset(a for some in found for a in some)

    # -- others

    def _foreign(self, index: Index) -> Iterator[Ask]:
        for name in (*imported_asking(self.elf.imports | self.image.names.keys()), *self.strangers):
            # One that nothing refers to may stand in a table of pointers: the code reaches it from anywhere.
            yield Ask(_("it imports {name}", name=verbatim(name)), None, self._sites(name, index) or ())
        if may_try(self.elf.imports):
            sites = tuple(s for n in _TRYING[2] for s in self._sites(n, index) or ())
            yield Ask(_("it may try instructions under a handler for SIGILL"), None, sites)

    def _files(self, index: Index) -> Iterator[Ask]:
        for address, name in self._texts.items():
            sites = tuple(index.to(address))
            yield Ask(_("it reads {file}", file=name), None, sites)

    def _whole(self) -> Iterator[Ask]:
        if self.elf.ifuncs:
            yield Ask(_("it chooses implementations when it is loaded (ifunc)"), None, ())
        if self.elf.machine != "EM_X86_64" and is_nameless_program(self.elf):
            yield Ask(_("it is a static program without names, which may read the kernel's auxiliary vector"))
