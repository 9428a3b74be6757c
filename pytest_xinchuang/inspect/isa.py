"""Which instruction set extensions an object's code uses, where, and whether anything guards them.

The scan knows no platform: it names extensions, by the words of Linux's /proc/cpuinfo, and the rules compare them with what
a CPU has. A guard is a question about that very extension on the way to its use. A use is certain in two cases: the object
asks nothing about the extension, neither kernel nor CPU nor others, and the instruction stands in a known function whose name
is not one of a dispatch; or the instruction runs whatever the answer is (:mod:`pytest_xinchuang.inspect.isa_paths`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.isa_hits import Hit, Hits
from pytest_xinchuang.inspect.isa_vsyscall import vsyscall
from pytest_xinchuang.inspect.isa_whole import whole_guard
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim

if TYPE_CHECKING:
    from pytest_xinchuang.inspect.isa_guards import Guards

MAX_SITES = 8
"""Functions that are named for each extension; the others are counted."""

MIN_VARIANTS, MAX_MARKS = 24, 3
"""So many functions with so few endings of their names are variants among which somebody chooses."""

EVERYWHERE = frozenset({"pni", "ssse3", "sse4_1", "sse4_2", "popcnt", "cx16"})
"""Extensions that every x86-64 CPU of this century's platforms has: the ways to them are not followed."""

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
        certain: instructions that nothing guards.
        guarded: instructions that something may guard, and ``guard`` what that is.
        way: the functions from where running begins to the first certain instruction; empty where nothing was followed.
    """

    feature: str
    certain: int = 0
    guarded: int = 0
    sites: list[Site] = field(default_factory=list)
    guarded_sites: list[Site] = field(default_factory=list)
    guard: Message = NOTHING
    way: tuple[str, ...] = ()


@dataclass
class IsaScan:
    """What was seen of one object.

    Attributes:
        asks: how the object asks for the CPU's features at all; empty: it does not.
        reads_cpucfg: it reads LoongArch's configuration words, which say what the CPU has and not what the kernel enabled.
        calls: number of a system call -> the first place where the code itself makes it.
        vsyscall: where its code first calls into the vsyscall page of x86-64, and which function of it.
        scanned: bytes of code.
    """

    uses: dict[str, Use] = field(default_factory=dict)
    asks: str = ""
    reads_cpucfg: bool = False
    calls: dict[int, int] = field(default_factory=dict)
    vsyscall: tuple[int, str] | None = None
    scanned: int = 0


def scan_isa(elf: ElfObject, data: bytes, path: str = "") -> IsaScan:
    """Scan the executable parts of ``data``.

    Raises:
        HostFault: the disassembler for this architecture is not installed.
    """
    whole = whole_guard(elf, data, path or elf.name)
    scan = IsaScan(asks=whole, vsyscall=vsyscall(elf, data))
    scanner = _scanner(elf)
    if scanner is None:
        return scan
    with optional("inspect"):
        from pytest_xinchuang.inspect.isa_guards import Guards
    hits = scanner(elf, data)
    scan.scanned = sum(c.size for c in elf.code)
    scan.reads_cpucfg = any(q.name == "CPUCFG" for q in hits.questions)
    for address, number in hits.calls:
        scan.calls.setdefault(number, address)
    by_feature: dict[str, list[Hit]] = {}
    for hit in hits.found:
        by_feature.setdefault(hit.feature, []).append(hit)
    guards = Guards(elf, data, hits, whole)
    for feature, found in by_feature.items():
        scan.uses[feature] = _use(elf, guards, feature, found)
    # What nothing was found of needs no guard, unless it is a part of something with others: then it may ask for them.
    if (by_feature or elf.relocatable) and not scan.asks:
        scan.asks = next((a.how for a in guards.asks), NOTHING)
    return scan


def _use(elf: ElfObject, guards: Guards, feature: str, found: list[Hit]) -> Use:
    """The uses of one extension, told apart by what may guard them."""
    use = Use(feature)
    asks = guards.about(feature)
    left = []
    chosen = not asks and _are_variants(found)
    for hit in found:
        if asks or chosen or _maybe(elf, hit):
            left.append(hit)
        else:
            use.certain += hit.count
            _keep_hit(use.sites, hit)
    reached = guards.reached(feature) if left and feature not in EVERYWHERE else []
    for each in sorted(reached, key=lambda r: (len(r.way), r.address)):
        use.way = use.way or each.way
        _keep(use.sites, Site(guards.function_at(each.address), each.address, guards.text(each.address)))
    use.certain += len(reached)
    for hit in left:
        use.guarded += hit.count
        _keep_hit(use.guarded_sites, hit)
    use.guarded = max(use.guarded - len(reached), 0)
    if left:
        named = _("their functions are named like those of a dispatch, or they may be data")
        use.guard = asks[0].how if asks else named
    return use


def _are_variants(found: list[Hit]) -> bool:
    """Whether all functions with these instructions end in one of a few marks, as those of a library of variants do.

    Java's libjsvml has each function several times (``_l9`` with AVX2, ``_z0`` with AVX-512), and the virtual machine looks
    them up by name.
    """
    names = {h.function.name for h in found if h.function is not None and h.function.name}
    marks = {name.rpartition("_")[2] for name in names if "_" in name.strip("_")}
    stems = {name.rpartition("_")[0] for name in names}
    return len(names) >= MIN_VARIANTS and len(marks) <= MAX_MARKS and len(stems) >= len(names) // MAX_MARKS


def _maybe(elf: ElfObject, hit: Hit) -> bool:
    """Whether an instruction may be none, or stands in a function that others are to call only where it runs."""
    if not hit.sure or hit.function is None:
        return not hit.sure or bool(elf.functions)
    return bool(_DISPATCH_NAME.search(hit.function.name))


def _keep(sites: list[Site], site: Site) -> None:
    if len(sites) < MAX_SITES and all(s.function != site.function for s in sites):
        sites.append(site)


def _keep_hit(sites: list[Site], hit: Hit) -> None:
    if len(sites) < MAX_SITES:
        _keep(sites, Site(_name(hit), hit.address, hit.text))


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
