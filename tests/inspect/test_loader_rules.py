"""Rules of the loaders that no emulator here can show: larger pages, ISA levels, musl, and what is not known."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty, load_findings
from pytest_xinchuang.core.platform import Confidence, Fact, Platform, Platforms
from pytest_xinchuang.inspect.elf import ElfObject, Needed, Segment
from pytest_xinchuang.inspect.elf_notes import read_notes
from pytest_xinchuang.inspect.elf_odd import Odd
from pytest_xinchuang.inspect.go_build_info import GoBuildInfo
from pytest_xinchuang.inspect.inspector import Verdicts
from pytest_xinchuang.inspect.inventory import Inventory, inventory, of_tree
from pytest_xinchuang.inspect.loader.dynamic import dynamic
from pytest_xinchuang.inspect.loader.isa_level import levels, name_of
from pytest_xinchuang.inspect.loader.private import PRIVATE
from pytest_xinchuang.inspect.loader.refusal import Ground
from pytest_xinchuang.inspect.loader.rules import refusals
from pytest_xinchuang.inspect.loader.versions import Library, Reach, by_facts, split
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.rules.closure import Closure
from pytest_xinchuang.inspect.rules.elf_rules import Surroundings, check_loading, check_symbols
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.inspect.rules.static_tls import check_static_tls
from tests.inspect.test_rules import elf

ARM = Ground("EM_AARCH64", "glibc", (2, 28), (4, 19, 90), 0x10000, 0x10000, None)
AMD = Ground("EM_X86_64", "glibc", (2, 34), (4, 19, 90), 4096, 4096, 3)
LOONG = Ground("EM_LOONGARCH", "glibc", (2, 38), (6, 6), 16384, 0x10000, None)
EXECUTE, WRITE, READ = 1, 2, 4
SURE, OPEN, NOTE, MAY = Certainty.CERTAIN, Certainty.UNDECIDED, Certainty.NOTE, Certainty.GUARDED


def mapped(*segments: tuple[int, int, int, int], align: int = 0x10000, **fields: object) -> ElfObject:
    """An object with segments of these flags, offsets, addresses and sizes."""
    made = tuple(Segment(flags, offset, address, size, size, align) for flags, offset, address, size in segments)
    kept = {"header_entry": 56, "file_size": 1 << 20, "load_alignments": (align,) * len(made), **fields}
    return elf(segments=made, **kept)


def said(found: ElfObject, ground: Ground, path: str = "") -> list[tuple[str, Certainty]]:
    path = path or ("app" if found.program else "lib.so")
    return [(r.code, r.certainty) for r in refusals(found, ground, path)]


TEXT, DATA = (READ | EXECUTE, 0, 0, 0x5000), (READ | WRITE, 0x5000, 0x15000, 0x1000)
PROGRAM = {"interpreter": "/lib/ld-linux-aarch64.so.1", "kind": "dyn"}


@pytest.mark.parametrize(("libc", "fields", "pulled", "wanted"), [
    ("glibc", {}, "", ("XC-ELF-022", MAY)),
    ("glibc", {"tls_size": 1700}, "", ("XC-ELF-022", MAY)),  # rounding may make room for it
    ("glibc", {"tls_size": 1729}, "", ("XC-ELF-022", SURE)),
    ("glibc", {"tls_align": 128}, "", ("XC-ELF-022", SURE)),
    ("glibc", {"tls_size": 1729}, " (pulled in by app)", ("XC-ELF-022", MAY)),
    ("glibc", {"tls_size": 1729, "soname": "libjemalloc.so.2"}, "", ("XC-ELF-022", MAY)),
    ("glibc", {"tls_size": 1729, "own_tls_offsets": False}, "", None),  # another library's variable
    ("glibc", {"tls_size": 1729, "soname": "libc.so.6"}, "", None),
    ("musl", {}, "", ("XC-ELF-054", SURE)),
    ("musl", {"soname": "libx.so.1"}, "", ("XC-ELF-054", MAY)),
    ("musl", {}, " (pulled in by app)", None),
    ("musl", {"own_tls_offsets": False}, "", None),
])  # fmt: skip
def test_static_tls(
    libc: str, fields: dict[str, object], pulled: str, wanted: tuple[str, Certainty] | None, platforms: Platforms
) -> None:
    """musl 1.2.3 was seen to refuse 8 bytes, and glibc 2.31 and 2.43 to take 1,664 to 1,712."""
    made = elf(**{"static_tls": True, "own_tls_offsets": True, "tls_size": 8, "tls_align": 8, **fields})
    judge = Judge(platforms.get("kunpeng"))
    check_static_tls(judge, ElfRecord("x/lib.so", "lib.so", made), pulled=bool(pulled), libc=libc)
    assert [(f.code, f.certainty) for f in judge.findings] == ([wanted] if wanted else [])
    for finding in judge.findings:
        assert "{" not in load_findings().text(finding).render("zh")


@pytest.mark.parametrize(("libc", "user", "wanted"), [
    ("glibc", PROGRAM, []), ("musl", PROGRAM, []),
    ("glibc", {"kind": "dyn"}, [("XC-ELF-022", MAY)]), ("musl", {"kind": "dyn"}, [("XC-ELF-054", MAY)]),
])  # fmt: skip
def test_static_tls_of_what_is_loaded_when_the_program_starts(
    libc: str, user: dict[str, object], wanted: list[tuple[str, Certainty]], platforms: Platforms
) -> None:
    fields = {"static_tls": True, "own_tls_offsets": True, "tls_size": 4096, "tls_align": 8, "soname": "libx.so.1"}
    library = ElfRecord("x/libx.so.1", "libx.so.1", elf(kind="dyn", **fields))
    around = Closure([library, ElfRecord("x/user", "user", elf(**user, libraries=("libx.so.1",)))])
    judge = Judge(platforms.get("kunpeng"))
    check_loading(judge, library, Surroundings(around.pulled(library), libc=libc, closure=around))
    assert [(f.code, f.certainty) for f in judge.findings if f.code in ("XC-ELF-022", "XC-ELF-054")] == wanted


LATER, EARLIER = replace(ARM, version=(2, 38)), replace(ARM, version=(2, 28))


@pytest.mark.parametrize(("fields", "ground", "path", "wanted"), [
    ({"odd": {Odd.VERSION}}, ARM, "lib.so", [("XC-ELF-034", SURE)]),
    ({"odd": {Odd.VERSION}, **PROGRAM}, ARM, "app", []),  # the kernel does not look
    ({"odd": {Odd.VERSION}}, replace(ARM, libc="musl"), "lib.so", []),
    ({"odd": {Odd.NO_DYNAMIC}}, replace(ARM, libc="musl"), "lib.so.1", [("XC-ELF-034", SURE)]),
    ({"odd": {Odd.NO_DYNAMIC}}, ARM, "app", []),  # a static program of another compiler
    ({"odd": {Odd.RELA_ENTRY}, **PROGRAM}, ARM, "app", [("XC-ELF-034", SURE)]),
    ({"odd": {Odd.RELA_ENTRY}, "kind": "exec"}, ARM, "app", []),
    ({"odd": {Odd.PIE}}, LATER, "lib.so", [("XC-ELF-055", SURE)]),
    ({"odd": {Odd.PIE}}, EARLIER, "lib.so", []),
    ({"odd": {Odd.PIE}}, replace(ARM, version=None), "lib.so", [("XC-ELF-055", OPEN)]),
    ({"odd": {Odd.PIE}, "soname": "lib.so.1"}, LATER, "lib.so.1", [("XC-ELF-055", MAY)]),
    ({"odd": {Odd.PIE}, **PROGRAM}, LATER, "tool.so", [("XC-ELF-055", MAY)]),
    ({"odd": {Odd.PIE}, **PROGRAM}, LATER, "tool", []),
    ({"kind": "exec"}, ARM, "module.node", [("XC-ELF-055", SURE)]),
    ({"kind": "exec", "odd": {Odd.NO_DYNAMIC}}, ARM, "tool.so", []),
    ({"kind": "exec"}, replace(ARM, libc="musl"), "module.node", []),
    ({"odd": {Odd.NO_OPEN}, "soname": "libx.so.1"}, ARM, "libx.so.1", [("XC-ELF-055", MAY)]),
    ({}, ARM, "lib.so", []),
])  # fmt: skip
def test_headers_and_flags_that_a_loader_minds(
    fields: dict[str, object], ground: Ground, path: str, wanted: list[tuple[str, Certainty]]
) -> None:
    found = [(r.code, r.certainty) for r in dynamic(elf(**fields), ground, path)]
    assert found == wanted


def test_what_a_linker_makes_for_large_pages_is_mapped() -> None:
    good = mapped(TEXT, DATA)
    assert said(good, ARM) == said(good, replace(ARM, version=(2, 41))) == said(good, replace(ARM, page=None)) == []
    assert said(replace(mapped(TEXT, DATA), interpreter="/lib/ld-linux-aarch64.so.1"), ARM) == []


@pytest.mark.parametrize(
    ("version", "wanted"), [((2, 28), [("XC-ELF-032", SURE)]), ((2, 35), []), (None, [("XC-ELF-032", OPEN)])]
)
def test_until_2_34_glibc_goes_by_the_alignment_that_a_segment_names(
    version: tuple[int, int] | None, wanted: list[tuple[str, Certainty]]
) -> None:
    """patchelf 0.18 leaves p_align above the page, and address and offset that agree modulo the page alone."""
    patched = mapped(TEXT, (READ | WRITE, 0x10000, 0x30000, 0x1000), align=0x200000)
    assert said(patched, replace(ARM, version=version)) == wanted
    assert said(replace(patched, interpreter="/lib/ld-linux-aarch64.so.1"), ARM) == []


def test_address_and_offset_that_differ_modulo_the_page_are_mapped_nowhere() -> None:
    """patchelf's classical fault on pages of 64K: a segment was appended by the rules of pages of 4K."""
    patched = mapped(TEXT, (READ | WRITE, 0x3000, 0x31000, 0x1000))
    for ground in (
        ARM,
        replace(ARM, version=(2, 41)),
        replace(ARM, version=None),
        replace(ARM, libc="musl", version=None),
    ):
        assert said(patched, ground) == [("XC-ELF-032", SURE)]
    assert said(replace(patched, interpreter="/lib/ld-linux-aarch64.so.1"), ARM) == [("XC-ELF-032", SURE)]
    assert said(patched, replace(ARM, page=4096, version=(2, 38))) == []
    assert said(patched, replace(ARM, page=None, version=(2, 38))) == [("XC-ELF-032", OPEN)]


def test_a_small_alignment_is_refused_where_somebody_looks_at_it() -> None:
    apart = mapped((READ | EXECUTE, 0, 0, 0x5000), (READ | WRITE, 0x10000, 0x20000, 0x1000), align=0x1000)
    assert said(apart, ARM) == [("XC-ELF-020", SURE)]
    assert said(apart, replace(ARM, version=None)) == [("XC-ELF-020", OPEN)]
    assert said(apart, replace(ARM, version=(2, 38))) == []
    assert said(replace(apart, interpreter="/lib/ld-linux-aarch64.so.1"), ARM) == []
    close = mapped((READ | EXECUTE, 0, 0, 0x5000), (READ | WRITE, 0x5000, 0x6000, 0x1000), align=0x1000)
    for ground in (ARM, replace(ARM, version=(2, 38))):
        assert said(close, ground) == [("XC-ELF-020", SURE)]
    assert said(close, replace(ARM, page=None)) == [("XC-ELF-021", OPEN)]


def test_segments_in_one_page() -> None:
    shared = mapped((READ | EXECUTE, 0, 0, 0x5800), (READ | WRITE, 0x5800, 0x5800, 0x800), align=0x1000)
    assert said(shared, AMD) == [("XC-ELF-033", MAY)]
    hidden = mapped((READ | EXECUTE, 0, 0, 0x5800), (READ | WRITE, 0x9800, 0x5800, 0x800), align=0x1000)
    assert said(hidden, AMD) == [("XC-ELF-033", SURE)]
    beside = mapped((READ, 0, 0, 0x5800), (READ, 0x5800, 0x5800, 0x800), align=0x1000)
    assert said(beside, AMD) == []


def test_headers_that_cannot_be_followed() -> None:
    assert said(mapped(), ARM) == [("XC-ELF-034", SURE)]
    assert said(mapped(TEXT, header_entry=64), ARM) == [("XC-ELF-034", SURE)]
    assert said(mapped(TEXT, file_size=0x1000), ARM) == [("XC-ELF-034", SURE)]
    assert said(mapped(TEXT, file_size=0x4001), ARM) == []  # the rest of the page reads as zeros
    assert said(mapped(DATA, TEXT), ARM) == [("XC-ELF-034", OPEN)] and said(mapped(DATA, TEXT, kind="exec"), ARM) == []
    assert said(mapped(TEXT, file_size=0, detached=True), ARM) == []
    more = mapped(TEXT)
    assert said(replace(more, segments=(replace(more.segments[0], memory=1),)), ARM) == [("XC-ELF-034", SURE)]


def test_another_system() -> None:
    assert said(elf(osabi=3), ARM) == said(elf(osabi=3, abi_version=2), replace(ARM, version=(2, 31))) == []
    assert said(elf(osabi=9, kind="exec"), ARM) == [("XC-ELF-035", SURE)]
    assert said(elf(osabi=97, kind="exec"), ARM) == [("XC-ELF-035", OPEN)]
    assert said(elf(osabi=97), ARM) == [("XC-ELF-035", SURE)]
    assert said(elf(osabi=9, kind="rel"), ARM) == []


def test_go_for_another_system(platforms: Platforms) -> None:
    for system, wanted in (("freebsd", ["XC-GO-006"]), ("linux", []), ("android", ["XC-GO-006"])):
        # OpenBSD's and Solaris' need a libc.so like musl's, with loaders of their own: the system is told, and it alone.
        for more in ({}, {"osabi": 9}, {"libraries": ("libc.so",), "interpreter": "/usr/libexec/ld.so"}):
            verdicts = Verdicts(platforms.get("kunpeng"), platforms.file.architectures)
            record = ElfRecord("x", "x", elf(go=GoBuildInfo("go1.22", "x", (), (("GOOS", system),)), **more))
            verdicts.record(record, Surroundings())
            told = [f.code for f in verdicts.judge.findings if f.certainty is not NOTE]
            assert told == (wanted or told) and ("XC-GO-006" in told) is bool(wanted)
    assert elf(libraries=("libc.so",), interpreter="/lib/amd64/ld.so.1").libc is None
    assert (
        elf(libraries=("libc.so",), interpreter="/opt/x/lib/libc.so").libc == elf(libraries=("libc.so",)).libc == "musl"
    )
    assert elf(interpreter="/opt/x/ld-musl-aarch64.so.1").libc == "musl"


@pytest.mark.parametrize(
    ("fields", "ground", "wanted"),
    [
        ({"abi_note": (4, 11, 0)}, replace(ARM, kernel=(4, 4, 131)), SURE),
        ({"abi_note": (4, 11, 0)}, ARM, None),
        ({"abi_note": (4, 19, 95)}, replace(ARM, kernel=(4, 19)), None),
        ({"abi_note": (4, 11, 0)}, replace(ARM, kernel=(4, 4), version=(2, 36)), None),
        ({"abi_note": (4, 11, 0)}, replace(ARM, kernel=(4, 4), version=None), OPEN),
        ({"abi_note": (4, 11, 0)}, replace(ARM, kernel=None), OPEN),
        ({"abi_note": (3, 2, 0)}, replace(ARM, kernel=None), None),
        ({"abi_note": (4, 11, 0), "kind": "exec"}, replace(ARM, kernel=(4, 4)), MAY),
        ({"abi_note": (4, 11, 0), **PROGRAM}, replace(ARM, kernel=(4, 4)), None),
        ({"abi_system": 3}, ARM, SURE),
        ({"abi_note": (4, 11, 0)}, replace(ARM, kernel=(4, 4), libc="musl"), None),
    ],
)
def test_abi_tags(fields: dict[str, object], ground: Ground, wanted: Certainty | None) -> None:
    found = said(elf(**{"abi_system": 0, **fields}), ground)
    assert found == ([] if wanted is None else [("XC-ELF-036", wanted)])


def test_isa_levels(platforms: Platforms) -> None:
    known = {p: levels(platforms.get(p).cpu.features.value or ()) for p in ("zhaoxin", "hygon")}
    assert known == {"zhaoxin": 3, "hygon": 7}
    assert name_of(7) == "x86-64-v3" and name_of(0) == "none"
    v3 = elf(machine="EM_X86_64", isa_needed=4)
    assert said(v3, AMD) == [("XC-ELF-037", SURE)]
    assert said(v3, replace(AMD, isa=7)) == said(v3, AMD, "lib/glibc-hwcaps/x86-64-v3/libx.so") == []
    assert said(v3, replace(AMD, version=(2, 28))) == [("XC-ELF-037", NOTE)]
    assert said(v3, replace(AMD, version=None)) == said(v3, replace(AMD, isa=None)) == [("XC-ELF-037", OPEN)]


def test_the_properties_of_a_note() -> None:
    level = struct.pack("<IIII", 0xC0008002, 4, 0xF, 0)
    property_note = (
        struct.pack("<III4s", 4, 16 + len(level), 5, b"GNU\0") + struct.pack("<IIII", 0xC0000002, 4, 3, 0) + level
    )
    tag = struct.pack("<III4sIIII", 4, 16, 1, b"GNU\0", 0, 4, 11, 0)
    data = property_note + tag
    places = [(0, len(property_note), 8), (len(property_note), len(tag), 4)]
    notes = read_notes(data, places, "<", 8)
    assert (notes.isa_needed, notes.system, notes.kernel) == (0xF, 0, (4, 11, 0))
    for cut in range(len(data)):
        read_notes(data[:cut], places, "<", 8)
    assert read_notes(b"\xff" * 64, [(0, 64, 8), (-1, 1 << 60, 4)], ">", 8).isa_needed == 0


OF_LIBC = {"libraries": ("libc.so.6",), "needed": (Needed("libc.so.6", "GLIBC_2.17", ()),)}
MARKED = {"libraries": ("libc.so.6",), "needed": (Needed("libc.so.6", "GLIBC_ABI_DT_RELR", ()),)}


@pytest.mark.parametrize(
    ("fields", "ground", "wanted"),
    [
        ({}, ARM, SURE),
        ({}, replace(ARM, version=None), OPEN),
        ({}, replace(ARM, version=(2, 36)), None),
        (OF_LIBC, replace(ARM, version=(2, 38)), SURE),
        (MARKED, replace(ARM, version=(2, 38)), None),
        ({"static_pie": True}, ARM, None),
        ({}, replace(ARM, libc="musl", version=None), OPEN),
        ({}, replace(ARM, libc="musl", version=(1, 2, 3)), SURE),
        ({}, replace(ARM, libc="musl", version=(1, 2, 4)), None),
    ],
)
def test_relative_relocations(fields: dict[str, object], ground: Ground, wanted: Certainty | None) -> None:
    assert said(elf(relr=True, **fields), ground) == ([] if wanted is None else [("XC-ELF-038", wanted)])


def test_relocation_types() -> None:
    desc = elf(machine="EM_LOONGARCH", relocations=frozenset({3, 5, 14}))
    assert said(desc, LOONG) == [("XC-ELF-039", SURE)]
    assert said(desc, replace(LOONG, version=(2, 40))) == []
    assert said(desc, replace(LOONG, version=None)) == [("XC-ELF-039", OPEN)]
    assert said(replace(desc, relocations=frozenset({3, 5, 12})), LOONG) == []
    assert said(elf(relocations=frozenset({1027, 1031, 1032})), ARM) == []
    assert said(elf(relocations=frozenset({263})), replace(ARM, version=None)) == [("XC-ELF-039", SURE)]
    assert said(elf(relocations=frozenset({1032})), replace(ARM, libc="musl", version=None)) == [("XC-ELF-039", OPEN)]


def test_a_libc_that_comes_along_is_held_to_its_own_release(platforms: Platforms) -> None:
    """A container's glibc of 2.41 on a platform of 2.28, and one whose release cannot be told."""
    late = elf(machine="EM_LOONGARCH", relocations=frozenset({14}), relr=True, abi_system=0, abi_note=(9, 0, 0))
    assert [code for code, _ in said(late, LOONG)] == ["XC-ELF-039"]
    old = replace(LOONG, version=(2, 28))
    assert {code for code, _ in said(late, old)} == {"XC-ELF-036", "XC-ELF-038", "XC-ELF-039"}
    for release in ((2, 41), None):
        assert said(late, old.with_own("glibc", release)) == []
    assert {code for code, _ in said(late, replace(LOONG, version=(2, 41)).with_own("glibc", (2, 28)))} == {
        *("XC-ELF-036", "XC-ELF-038", "XC-ELF-039")
    }
    judge = Judge(platforms.get("kunpeng"))
    asks = elf(libraries=("libcrypto.so.1.1",), needed=(Needed("libcrypto.so.1.1", "OPENSSL_3.0.0", ()),))
    check_symbols(judge, ElfRecord("x", "x", asks), Surroundings(libc="glibc", release=(2, 41)))
    assert judge.findings == []
    libc = elf(soname="libc.so.6", provided=frozenset({"GLIBC_2.17", "GLIBC_2.4", "GLIBC_PRIVATE"}))
    assert Closure([ElfRecord("x", "libc.so.6", libc)]).glibc == (2, 17) and Closure([]).glibc is None


# -- versions


@pytest.mark.parametrize(
    ("version", "family", "number"),
    [
        ("OPENSSL_1_1_1d", "OPENSSL", (1, 1, 1, 4)),
        ("OPENSSL_3.0.0", "OPENSSL", (3, 0, 0)),
        ("GCC_13.0.0", "GCC", (13, 0, 0)),
        ("GLIBC_PRIVATE", "GLIBC", None),
        ("CXXABI_TM_1", "CXXABI", None),
        ("Base", "Base", None),
    ],
)
def test_families(version: str, family: str, number: tuple[int, ...] | None) -> None:
    assert split(version) == (family, number)


def with_facts(platforms: Platforms, platform: str, **facts: str | None) -> Platform:
    base = platforms.get(platform)
    made = {
        name: Fact[str](value=v, source="this test", confidence=Confidence.MEASURED if v else Confidence.UNVERIFIED)
        for name, v in facts.items()
    }
    return base.model_copy(update={"system": base.system.model_copy(update=made)})


@pytest.mark.parametrize(
    ("facts", "soname", "version", "has"),
    [
        ({"libc_version": "2.28"}, "libc.so.6", "GLIBC_2.28", True),
        ({"libc_version": "2.28"}, "libm.so.6", "GLIBC_2.29", False),
        ({"libc_version": None}, "libc.so.6", "GLIBC_2.17", True),
        ({"libc_version": None}, "libc.so.6", "GLIBC_2.28", None),
        ({"libc_version": "2.28"}, "libc.so.6", "GLIBC_ABI_DT_RELR", False),
        ({"libc_version": "2.38"}, "libc.so.6", "GLIBC_ABI_DT_RELR", True),
        ({"libc_version": "2.43"}, "libc.so.6", "GLIBC_ABI_GNU2_TLS", False),
        ({"libc_version": "2.38"}, "libc.so.6", "GLIBC_ABI_OF_TOMORROW", None),
        ({"libc_version": "2.28"}, "libc.so.6", "OPENSSL_3.0.0", False),
        ({"glibcxx_max": "3.4.24"}, "libgcc_s.so.1", "GCC_7.0.0", True),
        ({"glibcxx_max": "3.4.24"}, "libgcc_s.so.1", "GCC_13.0.0", False),
        ({"glibcxx_max": None}, "libgcc_s.so.1", "GCC_4.8.0", True),
        ({"glibcxx_max": None}, "libgcc_s.so.1", "GCC_7.0.0", None),
        ({"glibcxx_max": "3.4.24"}, "libgomp.so.1", "GOMP_4.5", True),
        ({"glibcxx_max": "3.4.24"}, "libgomp.so.1", "GOMP_5.0", False),
        ({"glibcxx_max": "3.4.28"}, "libgomp.so.1", "GOMP_5.0.1", None),
        ({"glibcxx_max": "3.4.24"}, "libatomic.so.1", "LIBATOMIC_1.3", False),
        ({"openssl": "1.1.1f"}, "libcrypto.so.1.1", "OPENSSL_1_1_1", True),
        ({"openssl": "1.1.1f"}, "libcrypto.so.1.1", "OPENSSL_1_1_1g", False),
        ({"openssl": "1.1.1"}, "libcrypto.so.1.1", "OPENSSL_1_1_1g", None),
        ({"openssl": None}, "libcrypto.so.1.1", "OPENSSL_3.0.0", False),
        ({"openssl": "3.0"}, "libssl.so.3", "OPENSSL_3.0.0", True),
        ({"openssl": "3.0"}, "libssl.so.3", "OPENSSL_3.0.8", None),
        ({"openssl": "3.0"}, "libssl.so.3", "OPENSSL_3.5.0", False),
        ({"openssl": "3.0.12"}, "libssl.so.3", "OPENSSL_3.0.9", True),
        # What patchelf --replace-needed libssl.so.1.1 libssl.so.3 leaves behind, and versions of other architectures.
        ({"openssl": "3.0.12"}, "libssl.so.3", "OPENSSL_1_1_0", False),
        ({"openssl": "3.0"}, "libcrypto.so.3", "OPENSSL_1_1_1", False),
        ({"openssl": None}, "libcrypto.so.3", "OPENSSL_1_1_1", False),
        ({"openssl": "1.1.1f"}, "libcrypto.so.1.1", "OPENSSL_1.0.2", False),
        ({"libc_version": "2.28"}, "libc.so.6", "GLIBC_2.2.5", False),
        ({"libc_version": None}, "libm.so.6", "GLIBC_2.4", False),
        ({"openssl": "1.1.1f"}, "libssl.so.3", "OPENSSL_3.0.0", None),
        ({}, "libz.so.1", "ZLIB_1.2.3.4", True),
        ({"libc_version": "2.28"}, "libz.so.1", "ZLIB_1.2.9", True),
        ({"libc_version": "2.23"}, "libz.so.1", "ZLIB_1.2.9", None),
        ({"libc_version": "2.38"}, "libz.so.1", "ZLIB_1.2.12", None),
    ],
)
def test_what_facts_tell_of_a_library(
    facts: dict[str, str | None], soname: str, version: str, has: bool | None, platforms: Platforms
) -> None:
    assert by_facts(with_facts(platforms, "kunpeng", **facts))[soname].has(version) is has


def test_a_library_without_versions_satisfies_every_need() -> None:
    assert Library("x", versions=frozenset()).has("X_1") and not Library("x", versions=frozenset({"X_2"})).has("X_1")
    assert Reach().has((1,)) is None


def judged(platform: Platform, found: ElfObject, *shipped: str) -> list[tuple[str, Certainty]]:
    judge = Judge(platform)
    check_symbols(judge, ElfRecord("x", "x", found), Surroundings(shipped=frozenset(shipped)))
    return [(f.code, f.certainty) for f in judge.findings]


def test_every_family_is_looked_up(platforms: Platforms) -> None:
    platform = with_facts(platforms, "kunpeng", libc_version="2.28", glibcxx_max="3.4.24", openssl="1.1.1f")

    def needs(library: str, version: str, *symbols: str, weak: bool = False) -> ElfObject:
        return elf(libraries=(library,), needed=(Needed(library, version, symbols, weak),))

    assert judged(platform, needs("libcrypto.so.1.1", "OPENSSL_3.0.0", "f")) == [("XC-ELF-041", SURE)]
    assert judged(platform, needs("libcrypto.so.1.1", "OPENSSL_3.0.0", "f"), "libcrypto.so.1.1") == []
    assert judged(platform, needs("libcrypto.so.1.1", "OPENSSL_1_1_0", "f")) == []
    assert judged(platform, needs("libasound.so.2", "ALSA_0.9", "f")) == [("XC-ELF-042", OPEN)]
    assert judged(platform, needs("libasound.so.2", "ALSA_0.9", "f", weak=True)) == []
    assert judged(platform, needs("libc.so.6", "GLIBC_2.36", "arc4random", weak=True)) == []
    assert judged(platform, needs("libc.so.6", "GLIBC_2.36", "arc4random")) == [("XC-ELF-010", SURE)]
    assert judged(platform, needs("libc.so.6", "GLIBC_2.4", "f")) == [("XC-ELF-041", SURE)]
    assert judged(platform, needs("libc.so.6", "GLIBC_2.17", "f")) == []
    assert judged(platform, needs("libssl.so.3", "OPENSSL_1_1_0", "f"))[0] == ("XC-ELF-041", SURE)
    assert judged(platform, needs("libcrypt.so.1", "XCRYPT_4.4", "f")) == [("XC-ELF-042", OPEN)]
    stranger = replace(needs("libx.so.1", "GCC_3.0", "f"), libraries=("libc.so.6",))
    assert ("XC-ELF-043", MAY) in judged(platform, stranger)


def test_what_glibc_keeps_for_itself(platforms: Platforms) -> None:
    old, new = (with_facts(platforms, "kunpeng", libc_version=v) for v in ("2.28", "2.38"))
    by_name = elf(unversioned=frozenset({"_dl_sym", "my_function"}))
    assert judged(old, by_name) == [("XC-ELF-040", OPEN)] and judged(new, by_name) == [("XC-ELF-040", SURE)]
    by_version = elf(
        libraries=("libc.so.6",), needed=(Needed("libc.so.6", "GLIBC_PRIVATE", ("__libc_alloca_cutoff",)),)
    )
    assert judged(old, by_version) == [("XC-ELF-040", OPEN)]
    assert judged(old, by_version, "libc.so.6") == []
    # A part of glibc beside its libc has that; without it, the platform's.
    part = replace(by_version, soname="libpthread.so.0")
    assert judged(old, part, "libc.so.6") == []
    assert judged(old, part) == [("XC-ELF-040", OPEN)] and judged(new, part)[0][0] == "XC-ELF-040"
    assert judged(new, replace(by_version, soname="ld-linux-aarch64.so.1", needed=())) == []
    assert judged(old, elf(unversioned=frozenset({"dlsym", "malloc"}))) == []
    assert len(PRIVATE) > 500 and not {"malloc", "dlsym", "__libc_start_main", "__cxa_finalize"} & PRIVATE.keys()


def test_the_platforms_own_root_filesystem_is_read(tmp_path: Path, platforms: Platforms) -> None:
    from tests.inspect.test_loaders import with_bytes

    platform = platforms.get("zhaoxin")
    assert inventory(platform).whole is False and inventory(platform).library("libnever.so.1") is None
    place = tmp_path / "usr/lib64/x"
    place.mkdir(parents=True)
    (tmp_path / "etc/ld.so.conf.d").mkdir(parents=True)
    (tmp_path / "etc/ld.so.conf.d/x.conf").write_text("# where x is\n/usr/lib64/x\ninclude nothing\n")
    (place / "libbad.so.1").write_bytes(b"\x7fELF" + bytes(60))
    (place / "libgone.so.1").symlink_to("/nowhere")
    header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 3, 62, 1, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0)
    (place / "libx.so.1").write_bytes(header)
    (place / "libother.so.1").write_bytes(with_bytes(header, 18, b"\xb7\0"))
    read = of_tree(platform, tmp_path)
    assert read.library("libx.so.1") == Library("libx.so.1", versions=frozenset())
    assert all(read.library(name) is None for name in ("libbad.so.1", "libgone.so.1", "libother.so.1"))
    assert Inventory(read.libraries).library("ld-linux.so.2") is not None


def test_the_texts_of_every_refusal_are_whole(platforms: Platforms) -> None:
    """Each parameter that a text asks for is given, in both languages."""
    rules = load_findings()
    bad = mapped(
        (READ | EXECUTE, 0, 0, 0x5000),
        (READ | WRITE, 0x3000, 0x31000, 0x1000),
        osabi=9,
        abi_system=0,
        abi_note=(9, 0, 0),
        relr=True,
        relocations=frozenset({263}),
        needed=(Needed("libq.so.1", "Q_1", ("f",)), Needed("libcrypto.so.1.1", "OPENSSL_3.0.0", ())),
        unversioned=frozenset({"_dl_sym"}),
        file_size=0x1000,
    )
    verdicts = Verdicts(platforms.get("kunpeng920-kylin_v10_sp1"), platforms.file.architectures)
    verdicts.record(ElfRecord("x", "x", bad), Surroundings())
    codes = {f.code for f in verdicts.judge.findings}
    wanted = ("XC-ELF-032", "XC-ELF-034", "XC-ELF-035", "XC-ELF-036", "XC-ELF-038", "XC-ELF-039", "XC-ELF-040")
    assert {*wanted, "XC-ELF-041", "XC-ELF-042", "XC-ELF-043"} <= codes
    for finding in verdicts.judge.findings:
        for text in (rules.text(finding), rules.mend(finding)):
            assert "{" not in str(text) + text.render("zh")
