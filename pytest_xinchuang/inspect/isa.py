"""Which instruction set extensions an object's code uses, where, and whether anything guards them.

The scan knows no platform: it names extensions, by the words of Linux's /proc/cpuinfo, and the rules compare them with what
a CPU has. A use is certain only when nothing speaks for a guard: the object asks neither kernel nor CPU for features, and the
instruction stands in a known function whose name is not one of a dispatch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.isa_hits import Hit, Hits
from pytest_xinchuang.messages import Message, _, verbatim

MAX_SITES = 8
"""Functions that are named for each extension; the others are counted."""

ASKING_IMPORTS = (
    "getauxval",
    "__getauxval",
    "elf_aux_info",
    "__cpu_model",
    "__cpu_indicator_init",
    "__aarch64_cpu_features",
    "__init_cpu_features_resolver",
    "android_getCpuFeatures",
    "__riscv_hwprobe",
    "_rtld_global_ro",
)
"""What an object imports to ask for the CPU's features: getauxval(3), libgcc, compiler-rt, Android's cpufeatures, and
glibc's own parts, for which the loader has asked."""

_TRYING_IMPORTS = (("__sigsetjmp", "sigsetjmp"), ("siglongjmp",), ("sigaction", "signal", "__sysv_signal"))
"""What it takes to try an instruction under a handler for SIGILL, as PostgreSQL and older OpenSSL do."""

_DISPATCH_NAME = re.compile(
    r"(?:^|[_.@])(?:"
    r"avx[0-9a-z]*|evex[0-9]*|rtm|elision|ssse3|sse[0-9]+(?:_[12a])?|fma[34]?|f16c|bmi[12]?|[a-z0-9]*clmul\w*|vaes|gfni|xop|shani|sha_?ni|aes_?ni|shaext"
    r"|lse|sve2?|sme2?|neon|asimd\w*|dotprod|i8mm|bf16|fp16|mte|mops|armv8\w*|pmull\w*|ce|hw|hwcap\w*"
    r"|lsx|lasx|haswell|skylakex?|cooperlake|sapphirerapids|zen[0-9]?|bulldozer|piledriver|steamroller|excavator|sandybridge"
    r"|neoverse\w*|a64fx|tsv110|thunderx\w*|cortexa[0-9]+\w*|falkor|la[24]64|loongson3r5|loongson2k1000"
    r"|arch_[a-z0-9_-]+|resolver|ifunc\w*|x86_64_v[234]"
    r")(?:[_.]|$|[0-9])",
    re.IGNORECASE,
)

_HWCAPS_PATH = re.compile(
    r"(?:^|/)(?:glibc-hwcaps/|atomics/|haswell/|avx512_1/|avx2/|tls/|[^/]*[-_.](?:avx|sse|neon|sve|lasx|lsx)[^/]*\.so)"
)


@dataclass(frozen=True)
class Site:
    """One place: the function, the address of the first instruction in it, and the instruction."""

    function: str
    address: int
    text: str

    @property
    def shown(self) -> Message:
        """The place as findings name it."""
        return _("{function}: {text}", function=self.function, text=self.text) if self.text else verbatim(self.function)


@dataclass
class Use:
    """Uses of one extension in one object.

    Attributes:
        certain: instructions that nothing is known to guard.
        guarded: instructions that something may guard.
    """

    feature: str
    certain: int = 0
    guarded: int = 0
    sites: list[Site] = field(default_factory=list)
    guarded_sites: list[Site] = field(default_factory=list)


@dataclass
class IsaScan:
    """What was seen of one object.

    Attributes:
        asks: how the object asks for the CPU's features; empty: it does not.
        reads_cpucfg: it reads LoongArch's configuration words, which say what the CPU has and not what the kernel enabled.
        scanned: bytes of code.
    """

    uses: dict[str, Use] = field(default_factory=dict)
    asks: str = ""
    reads_cpucfg: bool = False
    scanned: int = 0


def guards(elf: ElfObject, path: str) -> str:
    """Why an object's code may be guarded as a whole, told by anything but its code; empty when nothing says so."""
    if elf.is_go:
        return _("Go's run time asks the CPU")
    if elf.ifuncs:
        return _("it chooses implementations when it is loaded (ifunc)")
    imported = elf.imports | frozenset(elf.undefined)
    for name in ASKING_IMPORTS:
        if name in imported and name != "__getauxval":
            return _("it imports {name}", name=verbatim(name))
    if all(any(name in imported for name in names) for names in _TRYING_IMPORTS):
        return _("it may try instructions under a handler for SIGILL")
    if "_rtld_global_ro" in elf.exports:
        return _("it is the loader, which is told the CPU's features by the kernel")
    if _HWCAPS_PATH.search(path):
        return _("the loader chooses it by the CPU's features (its path)")
    return ""


def scan_isa(elf: ElfObject, data: bytes, path: str = "") -> IsaScan:
    """Scan the executable parts of ``data``.

    Raises:
        HostFault: the disassembler for this architecture is not installed.
    """
    scan = IsaScan(asks=guards(elf, path or elf.name))
    scanner = _scanner(elf)
    if scanner is None:
        return scan
    hits = scanner(elf, data)
    scan.reads_cpucfg = hits.reads_cpucfg
    # libgcc's outline atomics ask by __getauxval for LSE alone, and their helpers were left out: nothing else is guarded.
    if not scan.asks:
        scan.asks = hits.asks
    if not scan.asks and data.find(b"/proc/cpuinfo") >= 0:
        scan.asks = _("it reads {file}", file="/proc/cpuinfo")
    known = bool(elf.functions)
    for hit in hits.found:
        use = scan.uses.setdefault(hit.feature, Use(hit.feature))
        name = _name(hit)
        site = Site(name, hit.address, hit.text)
        dispatched = hit.function is not None and bool(_DISPATCH_NAME.search(hit.function.name))
        if scan.asks or dispatched or not hit.sure or (known and hit.function is None):
            use.guarded += hit.count
            _keep(use.guarded_sites, site)
        else:
            use.certain += hit.count
            _keep(use.sites, site)
    scan.scanned = sum(c.size for c in elf.code)
    return scan


def _keep(sites: list[Site], site: Site) -> None:
    if len(sites) < MAX_SITES and all(s.function != site.function for s in sites):
        sites.append(site)


def _name(hit: Hit) -> str:
    if hit.function is None:
        return f"{hit.address:#x}"
    return hit.function.name or _("function at {address:#x}", address=hit.function.address)


def _scanner(elf: ElfObject) -> Callable[[ElfObject, bytes], Hits] | None:
    with optional("inspect"):
        if elf.machine == "EM_X86_64":
            from pytest_xinchuang.inspect.isa_x86 import scan_x86

            return scan_x86
        if elf.machine in ("EM_AARCH64", "EM_LOONGARCH") and elf.bits == 64:
            from pytest_xinchuang.inspect.isa_fixed import scan_fixed

            return scan_fixed
    return None
