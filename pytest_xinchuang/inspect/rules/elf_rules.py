"""Rules about one ELF object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.kernel_calls import LATE_CALLS, LIBC_FUNCTIONS, lacking_on
from pytest_xinchuang.inspect.elf import OBJECT_ABI_MASK, Needed, WorldEvidence, version_key
from pytest_xinchuang.inspect.inventory import Inventory
from pytest_xinchuang.inspect.kinds import relro_word, world_word
from pytest_xinchuang.inspect.loader.private import NEWEST_READ, PRIVATE
from pytest_xinchuang.inspect.loader.rules import DYNAMIC_MARK, refusals
from pytest_xinchuang.inspect.loader.versions import GLIBC_LIBRARIES, LOADER
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.closure import LIBC, Closure
from pytest_xinchuang.inspect.rules.judge import Judge, several
from pytest_xinchuang.inspect.rules.needs import other_series
from pytest_xinchuang.inspect.rules.static_tls import check_static_tls
from pytest_xinchuang.messages import _, verbatim

_BUILD_PLACES = ("/home/", "/tmp/", "/build", "/root/", "/github/", "/var/tmp/")

FLOAT_ABIS = {1: "lp64s", 2: "lp64f", 3: "lp64d"}
"""e_flags bits 2:0 of LoongArch (ELF psABI, base ABI types)."""

CONTEXT_CALLS = frozenset({"getcontext", "setcontext", "makecontext", "swapcontext", "sigaction"})

# libstdc++'s manual, "ABI Policy and Guidelines": the last CXXABI and GLIBCXX of each release of GCC.
CXXABI_OF = {
    "3.4.19": "1.3.7",
    "3.4.20": "1.3.8",
    "3.4.21": "1.3.9",
    "3.4.22": "1.3.10",
    "3.4.23": "1.3.11",
    "3.4.24": "1.3.11",
    "3.4.25": "1.3.11",
    "3.4.26": "1.3.12",
    "3.4.27": "1.3.12",
    "3.4.28": "1.3.12",
    "3.4.29": "1.3.13",
    "3.4.30": "1.3.13",
    "3.4.31": "1.3.14",
    "3.4.32": "1.3.14",
    "3.4.33": "1.3.15",
    "3.4.34": "1.3.16",
}


@dataclass(frozen=True)
class Surroundings:
    """What stands around an object in its artifact.

    Attributes:
        pulled: who needs this object, as " (pulled in by ...)" or nothing.
        shipped: names of libraries that come with it: their symbol versions are judged by themselves.
        libc: the C library that comes with it, ``glibc`` or ``musl``: that of the platform is not asked then.
        release: of that C library, where it can be told.
        closure: the objects of its root.
        asks: how another member of the same static library asks for the CPU's features: it may guard this one.
        loader_below: the loader that it names comes along, below another directory than the root.
    """

    pulled: str = ""
    shipped: frozenset[str] = frozenset()
    asks: str = ""
    libc: str | None = None
    release: tuple[int, ...] | None = None
    closure: Closure | None = None
    loader_below: bool = False


def check_machine(judge: Judge, record: ElfRecord, around: Surroundings) -> bool:
    """Machine, world, loader and libc; False where nothing else of the object can be judged on this platform."""
    platform, elf = judge.platform, record.elf
    architecture = platform.architecture
    if elf.machine != architecture.elf_machine or elf.bits != 64 or not elf.little_endian:
        order = _("little") if elf.little_endian else _("big")
        judge.find(
            "XC-ELF-001",
            Certainty.CERTAIN,
            record.place,
            machine=elf.machine,
            bits=elf.bits,
            order=order,
            wanted=architecture.elf_machine,
            arch=platform.arch,
            zig=architecture.zig,
        )
        return False
    if elf.kind != "rel" and any(elf.padding):
        # An AppImage's mark is known to stand there; who runs the program has to mind it all the same. The kernel looks at
        # it in no program, glibc's loader in every library ("nonzero padding in e_ident").
        refused = not elf.program and platform.system.libc == "glibc"
        unseen = Certainty.NOTE if elf.padding[:2] == b"I\x02" else Certainty.UNDECIDED
        certainty = Certainty.CERTAIN if refused else unseen
        judge.find("XC-ELF-008", certainty, record.place, padding=elf.padding.hex())
    if not _check_world(judge, record):
        return False
    abi = FLOAT_ABIS.get(elf.flags & 7)
    if elf.machine == "EM_LOONGARCH" and abi != "lp64d":
        judge.find("XC-ELF-009", Certainty.CERTAIN, record.place, abi=abi or "an unknown ABI", flags=f"{elf.flags:#x}")
        return False
    known = [i for group in architecture.interpreters.values() for i in group]
    wanted_libc = around.libc or platform.system.libc
    if elf.libc is not None and elf.libc != wanted_libc and elf.dynamic:
        judge.find(
            "XC-ELF-007",
            Certainty.CERTAIN,
            record.place,
            libc=elf.libc,
            system=platform.system.title.message() if around.libc is None else _("its root file system"),
            wanted=wanted_libc,
        )
        return False
    if elf.interpreter is not None and elf.interpreter not in known and elf.libc != "musl" and around.libc is None:
        judge.find(
            "XC-ELF-006",
            # Where it is delivered below another directory, that directory's content may be what is installed.
            Certainty.GUARDED if around.loader_below else Certainty.CERTAIN,
            record.place,
            interpreter=elf.interpreter,
            known=", ".join(known),
            first=known[-1],
        )
        return False
    return True


def _check_world(judge: Judge, record: ElfRecord) -> bool:
    platform, elf = judge.platform, record.elf
    architecture = platform.architecture
    if "old" not in architecture.interpreters:
        return True
    world, evidence, why = elf.world(architecture)
    system = platform.system.title.message()
    if world is None:
        if elf.kind != "rel":
            judge.find(
                "XC-ELF-002",
                Certainty.UNDECIDED,
                record.place,
                world=world_word("one"),
                why=_("it cannot be told: {why}", why=why),
                system=system,
                wanted=world_word(platform.world),
            )
        return True
    note = elf.abi_note
    if note is not None and elf.interpreter is not None:
        # The kernels that the worlds' notes name: 4.15.0 in the old one, 5.19.0 in the new one (LoongArch's binutils).
        says = "old" if note < (5, 0, 0) else "new"
        if says != world:
            judge.find(
                "XC-ELF-005",
                Certainty.NOTE,
                record.place,
                note=".".join(map(str, note)),
                world=world_word(world),
                why=why,
            )
    if world == platform.world:
        return True
    code = {WorldEvidence.GO: "XC-GO-003", WorldEvidence.SYMBOL_VERSIONS: "XC-ELF-004"}.get(evidence, "XC-ELF-002")
    judge.find(
        code,
        Certainty.CERTAIN,
        record.place,
        world=world_word(world),
        why=why,
        system=system,
        wanted=world_word(platform.world),
        version=elf.go.version if elf.go else "",
    )
    used = sorted(elf.imports & CONTEXT_CALLS)
    if used:
        judge.find("XC-ELF-029", Certainty.CERTAIN, record.place, world=world_word(world), imports=", ".join(used))
    return False


def check_symbols(judge: Judge, record: ElfRecord, around: Surroundings) -> None:
    """Symbol versions against the platform's libraries. Libraries that come along are judged by themselves."""
    system = judge.platform.system
    if (around.libc or system.libc) != "glibc" or record.elf.kind == "rel":
        # musl's loader looks at no version.
        return
    libc, cxx = system.libc_version.value, system.glibcxx_max.value
    cxxabi = CXXABI_OF.get(cxx or "")
    known = judge.inventory
    for needed in record.elf.needed:
        own = around.libc is not None and LIBC.match(needed.library) is not None
        if needed.library in around.shipped or needed.weak or own:
            continue
        relr = needed.version == DYNAMIC_MARK
        asked = (2, 36) if relr else needed.number
        library = known.library(needed.library)
        if asked and library is not None and library.never(needed.version):
            _look_up(judge, record, needed, around, known)
        elif asked and (relr or needed.family == "GLIBC") and needed.library not in _NOT_OF_GLIBC:
            code = "XC-ELF-012" if relr else "XC-ELF-010"
            _compare(judge, record, needed, around, code, asked, libc, "libc_version", "glibc")
        elif asked and needed.family == "GLIBCXX":
            _compare(judge, record, needed, around, "XC-ELF-011", asked, cxx, "glibcxx_max", "libstdc++")
        elif asked and needed.family == "CXXABI":
            if asked > (1, 3) and (cxxabi or not cxx):
                _compare(
                    judge, record, needed, around, "XC-ELF-011", asked, cxxabi, "glibcxx_max", "libstdc++'s CXXABI"
                )
        elif needed.version != "GLIBC_PRIVATE" and around.libc is None:
            # A root that brings its C library gets no library of the platform's.
            _look_up(judge, record, needed, around, known)
    _check_private(judge, record, around)
    _check_strangers(judge, record)


_NOT_OF_GLIBC = frozenset({"libcrypt.so.1"})
"""Libraries that have versions called GLIBC_, and are not of the release that the platform's libc is of."""


def _look_up(judge: Judge, record: ElfRecord, needed: Needed, around: Surroundings, known: Inventory) -> None:
    """A version of any other family, in what is known of the platform's library."""
    library = known.library(needed.library)
    has = library.has(needed.version) if library is not None else None
    if library is None and known.whole:
        return  # The library itself is missing, which is told by itself.
    if has is True or (has is None and other_series(known, needed.library)):
        return  # That the system has another series of it is told by itself.
    judge.find(
        "XC-ELF-041" if has is False else "XC-ELF-042",
        Certainty.CERTAIN if has is False else Certainty.UNDECIDED,
        record.place,
        {"symbols": list(needed.symbols[:50]), "version": needed.version},
        symbols=several(needed.symbols, 3) if needed.symbols else _("a version marker"),
        version=needed.version,
        library=needed.library,
        system=judge.platform.system.title.message(),
        pulled=around.pulled,
    )


def _check_private(judge: Judge, record: ElfRecord, around: Surroundings) -> None:
    """What glibc keeps for itself, asked for by its version or by its name alone.

    The libraries of one build of glibc have it of each other: where all of them come along, nothing else counts; where one
    comes without its libc, it has the platform's instead.
    """
    elf = record.elf
    asked = {
        s for n in elf.needed if n.version == "GLIBC_PRIVATE" and not n.weak for s in (n.symbols or ("GLIBC_PRIVATE",))
    }
    if around.libc is not None or "libc.so.6" in around.shipped:
        _check_pair(judge, record, around)
        return
    own = elf.soname is not None and (elf.soname in GLIBC_LIBRARIES or LOADER.fullmatch(elf.soname))
    asked |= frozenset() if own else elf.unversioned & PRIVATE.keys()
    if not asked:
        return
    text = judge.platform.system.libc_version.value
    release = version_key(text) if text else None
    gone = sorted(s for s in asked if release is not None and s in PRIVATE and not _is_in(s, release))
    judge.find(
        "XC-ELF-040",
        Certainty.CERTAIN if gone else Certainty.UNDECIDED,
        record.place,
        {"symbols": sorted(asked)[:50]},
        symbols=several(gone or sorted(asked), 3),
        system=judge.platform.system.title.message(),
        why=_("which its glibc {version} does not have", version=text)
        if gone
        else _("which any update of its glibc may change or drop"),
    )


def _check_pair(judge: Judge, record: ElfRecord, around: Surroundings) -> None:
    """A library of one build of glibc beside the libc of another, which lacks what it has of its own.

    That a symbol may be weak, or of a function that is never called, leaves it undecided.
    """
    for needed in record.elf.needed:
        if needed.version != "GLIBC_PRIVATE" or needed.weak or around.closure is None:
            continue
        provider = around.closure.by_name.get(needed.library)
        if provider is None or "GLIBC_PRIVATE" not in provider.elf.provided or not provider.elf.exports:
            continue  # that it has no such version is told by itself
        gone = sorted(set(needed.symbols) - provider.elf.exports)
        if gone:
            judge.find(
                "XC-ELF-040",
                Certainty.UNDECIDED,
                record.place,
                {"symbols": gone[:50]},
                symbols=several(gone, 3),
                system=judge.platform.system.title.message(),
                why=_("which the {library} that comes along does not have", library=provider.place),
            )


def _is_in(symbol: str, release: tuple[int, ...]) -> bool:
    first, last = PRIVATE[symbol]
    # What the newest release that was read still has may be in later ones too.
    return first <= release and (release <= last or last == NEWEST_READ)


def _check_strangers(judge: Judge, record: ElfRecord) -> None:
    """Versions of a library that the object does not need: glibc gives up unless something else has loaded it."""
    elf = record.elf
    strange = sorted({n.library for n in elf.needed} - {*elf.libraries, "libc.so.6"} - {elf.soname or ""})
    strange = [name for name in strange if not LOADER.fullmatch(name)]
    if strange:
        judge.find("XC-ELF-043", Certainty.GUARDED, record.place, libraries=several(strange, 3))


# What every libstdc++ that a platform can have provides: GCC 4.9's, which came before the oldest of them.
_OLDEST_CXX = {"GLIBCXX": (3, 4, 20), "CXXABI": (1, 3, 8)}


def _compare(
    judge: Judge,
    record: ElfRecord,
    needed: Needed,
    around: Surroundings,
    code: str,
    asked: tuple[int, ...],
    limit: str | None,
    fact: str,
    label: str,
) -> None:
    platform = judge.platform
    if limit is None:
        base = version_key(platform.architecture.libc_base)
        if needed.family == "GLIBC" and needed.number is not None and needed.number <= base:
            return
        if needed.number is not None and needed.number <= _OLDEST_CXX.get(needed.family, ()):
            return
        judge.find(
            "XC-ELF-013", Certainty.UNDECIDED, record.place, version=needed.version, os=platform.os_name, fact=fact
        )
    elif asked > version_key(limit):
        who = several(needed.symbols, 3) if needed.symbols else _("a version marker")
        judge.find(
            code,
            Certainty.CERTAIN,
            record.place,
            {"symbols": list(needed.symbols[:50]), "version": needed.version},
            symbols=who,
            version=needed.version,
            library=needed.library,
            system=platform.system.title.message(),
            limit=limit,
            label=label,
            zig=platform.architecture.zig,
            pulled=around.pulled,
        )


def check_loader(judge: Judge, record: ElfRecord, around: Surroundings) -> None:
    """What the kernel and the loader refuse: segments, system, ABI tag, ISA level, relocations."""
    platform = judge.platform
    ground = judge.ground if around.libc is None else judge.ground.with_own(around.libc, around.release)
    for refusal in refusals(record.elf, ground, record.path):
        judge.find(
            refusal.code,
            refusal.certainty,
            record.place,
            None,
            system=platform.system.title.message(),
            os=platform.os_name,
            arch=platform.arch,
            cpu=platform.cpu.title.message(),
            **refusal.params,
        )


def _check_static_tls(judge: Judge, record: ElfRecord, around: Surroundings) -> None:
    libc = around.libc or judge.platform.system.libc
    pulled = bool(around.pulled)
    if around.closure is not None and pulled:
        if around.closure.comes_at_start(record):
            return  # it gets its place when the program starts, whatever it wants
        # What a plug-in is linked with is opened late along with it: musl refuses that, glibc may.
        pulled = libc != "musl"
    check_static_tls(judge, record, pulled=pulled, libc=libc)


def check_loading(judge: Judge, record: ElfRecord, around: Surroundings) -> None:
    """Thread-local storage, stack, relocations, search paths."""
    elf = record.elf
    library = elf.kind == "dyn" and not elf.pie
    _check_static_tls(judge, record, around)
    # glibc's default for x86-64 is an executable stack (stackinfo.h); elsewhere the kernel's and the loader's is not.
    asks = elf.exec_stack or (elf.exec_stack is None and elf.machine == "EM_X86_64" and bool(elf.segments))
    if asks and elf.kind in ("dyn", "exec") and not elf.detached:
        # Since glibc 2.41 dlopen refuses it; before, it makes the stack executable, which a security policy may refuse.
        # What is loaded when the program starts gets one there as well (glibc.rtld.execstack).
        libc = around.release if around.libc is not None else judge.ground.version
        refused = library and not around.pulled and libc is not None and libc >= (2, 41)
        judge.find("XC-ELF-023", Certainty.CERTAIN if refused else Certainty.GUARDED, record.place)
    if elf.text_relocations:
        judge.find("XC-ELF-024", Certainty.NOTE, record.place)
    strange = [p for p in (*elf.rpath, *elf.runpath) if p.startswith(_BUILD_PLACES) or not p.startswith(("/", "$"))]
    if strange:
        judge.find("XC-ELF-025", Certainty.NOTE, record.place, runpath=", ".join(strange[:3]))
    program = elf.interpreter is not None
    if elf.kind != "rel" and elf.dynamic and (elf.relro != "full" or (program and not elf.pie)):
        judge.find(
            "XC-ELF-026",
            Certainty.NOTE,
            record.place,
            relro=relro_word(elf.relro),
            pie=_("yes") if elf.pie or not program else _("no"),
        )


def check_kernel_calls(judge: Judge, record: ElfRecord) -> None:
    kernel = judge.platform.system.kernel.value
    if kernel is None:
        return
    lacking = lacking_on(judge.platform).absent
    for function in sorted(record.elf.imports & LIBC_FUNCTIONS.keys()):
        call = LIBC_FUNCTIONS[function]
        if call in lacking:
            judge.find(
                "XC-ELF-031",
                Certainty.GUARDED,
                record.place,
                function=function,
                call=call,
                since=LATE_CALLS[call],
                system=judge.platform.system.title.message(),
                kernel=kernel,
            )


def check_marks(judge: Judge, record: ElfRecord) -> None:
    """Run times and allocators that an object embeds, known by the texts in them."""
    platform = judge.platform
    fact = platform.page_size
    page = fact.value if fact is not None else None
    if "jemalloc" in record.marks and (page or platform.architecture.max_page_size) > 4096:
        judge.find(
            "XC-ELF-027",
            Certainty.GUARDED if page else Certainty.UNDECIDED,
            record.place,
            system=platform.system.title.message(),
            arch=platform.arch,
            page=f"{page:#x}" if page else _("an unknown size"),
            allocator=verbatim(record.marks["jemalloc"]),
        )
    version = record.marks.get("luajit", "")
    if version and platform.arch == "arm64" and _tags_pointers(version):
        judge.find(
            "XC-ELF-028",
            Certainty.GUARDED,
            record.place,
            runtime=version,
            reason=_("before 2.1.0-beta3 it has no mode for addresses above 47 bits on arm64 (LJ_GC64)"),
        )
    if version and "old" in platform.architecture.interpreters and platform.world == "new":
        judge.find(
            "XC-PKG-006",
            Certainty.GUARDED,
            record.place,
            runtime=_("{version}, whose public LoongArch port is of the old world", version=version),
            system=platform.system.title.message(),
            wanted=world_word(platform.world),
            advice=_("use the build of the platform's own distribution"),
            advice_zh="使用该平台发行版自带的构建",
        )


def _tags_pointers(version: str) -> bool:
    number = version.rpartition(" ")[2]
    return number.startswith("2.0") or number in ("2.1.0-alpha", "2.1.0-beta1", "2.1.0-beta2")


def check_freestanding(judge: Judge, record: ElfRecord) -> None:
    undefined = record.elf.undefined or tuple(sorted(record.elf.imports))
    if undefined:
        judge.find("XC-ELF-030", Certainty.CERTAIN, record.place, symbols=several(undefined, 5))


def check_mixture(judge: Judge, records: list[ElfRecord]) -> None:
    """Object ABIs v0 and v1 of LoongArch in one artifact: no tool enforces that they are not mixed."""
    if "old" not in judge.platform.architecture.interpreters:
        return
    first: dict[int, ElfRecord] = {}
    for record in records:
        if record.elf.machine == "EM_LOONGARCH" and record.elf.kind == "rel":
            first.setdefault((record.elf.flags & OBJECT_ABI_MASK) >> 6, record)
    if len(first) > 1:
        old, new = first[min(first)], first[max(first)]
        judge.find(
            "XC-ELF-003",
            Certainty.CERTAIN,
            old.place,
            flags=f"{old.elf.flags:#x}",
            abi=min(first),
            other=new.place,
            other_abi=max(first),
        )


Rule = Callable[[Judge, ElfRecord], None]
PLAIN_RULES: tuple[Rule, ...] = (check_kernel_calls, check_marks)
