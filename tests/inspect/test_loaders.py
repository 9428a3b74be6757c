"""The model of the loaders against the loaders themselves: what it says of an object is what glibc of that release does."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from pytest_xinchuang.core.finding import Certainty, load_findings
from pytest_xinchuang.core.platform import Arch, Confidence, Fact, Platform, Platforms
from pytest_xinchuang.inspect.elf_reader import STB_WEAK, ElfReader, read_elf
from pytest_xinchuang.inspect.elf_tags import DT_RELA, DT_RELR, DT_SYMTAB, DT_VERNEED, PT_DYNAMIC, PT_TLS
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.rules.elf_rules import Surroundings
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.toolchain.builder import Builder
from tests.mutants.porting.tools import Tools

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

HARNESS = (
    "#include <dlfcn.h>\n#include <stdio.h>\n"
    'int main(int n, char **v) { void *h = dlopen(v[1], RTLD_NOW); int (*f)(void) = h ? dlsym(h, "answer") : 0;\n'
    '  puts(h ? "loaded" : dlerror()); fflush(stdout); return !h || (f && f() != 7); }\n'
)
LIB = (
    '#include <stdio.h>\nint value = 7; int *there = &value;\nint answer(void) { return puts("") < 0 ? 0 : *there; }\n'
)
BASES = {
    Arch.AMD64: "zhaoxin_kx6000-kylin_v11",
    Arch.ARM64: "kunpeng920-kylin_v11",
    Arch.LOONG64: "loongson_3a5000-kylin_v11",
}

PT_LOAD, PT_GNU_STACK = 1, 0x6474E551


@dataclass
class Loader:
    """A loader of some release under an emulator."""

    arch: Arch
    libc: tuple[int, int]
    command: list[str]
    tools: Tools

    @property
    def platform(self) -> Platform:
        """A platform with this loader, as the emulator shows it: pages of 4,096 bytes, and the kernel that it claims."""
        base = self.tools.platforms.get(BASES[self.arch])
        fact = {"source": "this test", "confidence": Confidence.MEASURED}
        system = base.system.model_copy(
            update={
                "libc_version": Fact[str](value=".".join(map(str, self.libc)), **fact),
                "kernel": Fact[str](value="4.19.90", **fact),
                "page_size": {self.arch: Fact[int](value=4096, **fact)},
            }
        )
        return base.model_copy(update={"system": system})

    def judges(self, data: bytes) -> dict[str, Certainty]:
        """The findings that stand in the way of a grade."""
        verdicts = Verdicts(self.platform, self.tools.platforms.file.architectures)
        verdicts.record(Inspector(isa=False).object(data, "lib.so"), Surroundings())
        rules = load_findings()
        return {f.code: f.certainty for f in verdicts.judge.findings if rules.get(f.code).level is not None}

    def opens(self, data: bytes) -> tuple[bool, str]:
        library = self.tools.file("lib.so", data)
        done = subprocess.run([*self.command, str(library)], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode == 0, done.stdout + done.stderr

    def lib(self, *flags: str, text: str = LIB) -> bytes:
        return self.tools.c(self.arch, text, *flags, shared=True)


@pytest.fixture(
    scope="module",
    params=["bullseye-amd64", "bullseye-arm64", "forky-loong64"],
    ids=["2.31-amd64", "2.31-arm64", "2.43"],
)
def loader(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, store: Store, platforms: Platforms
) -> Loader:
    recipe = platforms.file.rootfs[request.param]
    tree = store.make_rootfs(request.param)
    root = store.cache.tree("rootfs", tree.name)
    tools = Tools(tmp_path_factory.mktemp(request.param), platforms, Builder(store.cache))
    harness = tools.file("harness", tools.c(recipe.arch, HARNESS))
    harness.chmod(0o755)
    qemu = store.emulator(platforms.file.architectures[recipe.arch].qemu).path
    major, minor = map(int, recipe.libc_version.split("."))
    return Loader(recipe.arch, (major, minor), [str(qemu), "-r", "4.19.90", "-L", str(root), str(harness)], tools)


def headers(data: bytes) -> list[tuple[int, list[int]]]:
    """The place and the fields of each program header of an ELF64 object."""
    at, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    return [(at + n * size, list(struct.unpack_from("<IIQQQQQQ", data, at + n * size))) for n in range(count)]


def with_header(data: bytes, kind: int, change: Callable[[list[int]], None], which: int = -1) -> bytes:
    place, fields = [h for h in headers(data) if h[1][0] == kind][which]
    change(fields)
    return with_bytes(data, place, struct.pack("<IIQQQQQQ", *fields))


def with_bytes(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def moved(fields: list[int]) -> None:
    fields[2] += 8


def wide(fields: list[int]) -> None:
    """Aligned to 2 MB by its word, and to a page alone by its place."""
    fields[7] = 0x200000
    if not (fields[3] - fields[2]) % 0x200000:
        fields[3] += 0x1000


def executable(fields: list[int]) -> None:
    fields[1] |= 1


def tagged(kernel: tuple[int, int, int], system: int = 0) -> str:
    words = ", ".join(map(str, (4, 16, 1)))
    return (
        LIB + f'__asm__(".pushsection .note.ABI-tag, \\"a\\", %note\\n.balign 4\\n.long {words}\\n.asciz \\"GNU\\"\\n'
        f'.long {system}, {kernel[0]}, {kernel[1]}, {kernel[2]}\\n.popsection\\n");\n'
    )


def strange_relocation(data: bytes) -> bytes:
    """The first relocation gets a type that is nobody's."""
    reader = ElfReader(data, "x")
    table = reader.offset_of(reader.tag(DT_RELA) or 0)
    assert table is not None
    return with_bytes(data, table + 8, struct.pack("<I", 0x77))


MUCH = LIB.replace("return puts", "return much[65535] != 1 ? 0 : puts") + "char much[65536] = {[0 ... 65535] = 1};\n"
MUCH = "extern char much[65536];\n" + MUCH


def cut(data: bytes) -> bytes:
    """The file without the last pages of what is loaded."""
    last = [fields for _place, fields in headers(data) if fields[0] == PT_LOAD][-1]
    return data[: last[2] + last[5] - 3 * 4096]


def relative(loader: Loader) -> bytes:
    """A library whose only pointer is relocated by DT_RELR."""
    text = LIB + "const unsigned long table[1] = {0x1122334455667788};\n"
    data = loader.lib("-Wl,-soname,lib.so", "-Wl,-z,now", text=text)
    reader = ElfReader(data, "x")
    at = {name: value for name, _info, _section, value, _size in reader.symbols}
    table, place = reader.offset_of(at["table"]), reader.offset_of(at["there"])
    relocations = reader.offset_of(reader.tag(DT_RELA) or 0)
    assert table is not None and place is not None and relocations is not None
    data = with_bytes(data, table, struct.pack("<Q", at["there"]))
    data = with_bytes(data, place, struct.pack("<Q", at["value"]))
    old = next(n for n in range(relocations, len(data), 24) if data[n : n + 8] == struct.pack("<Q", at["there"]))
    data = with_bytes(data, old + 8, struct.pack("<QQ", 0, 0))
    # Entries that the loader can do without: soname, flags, flags 1.
    new = dict(zip((14, 30, 0x6FFFFFFB), ((DT_RELR, at["table"]), (35, 8), (37, 8)), strict=True))
    dynamic = next(s for s in reader.segments if s.kind == PT_DYNAMIC)
    for n in range(dynamic.offset, dynamic.offset + dynamic.size, 16):
        if entry := new.pop(struct.unpack_from("<Q", data, n)[0], None):
            data = with_bytes(data, n, struct.pack("<QQ", *entry))
    assert not new
    return data


def asking(loader: Loader, version: str, *, weak: bool) -> bytes:
    """A library that asks libc for a version, by a weak symbol, so that a need that is not weak is the version's alone."""
    stub = loader.tools.stub(loader.arch, "libc.so.6", version, "nothing")
    text = "int nothing(void);\nint use(void) { return nothing(); }\nint answer(void) { return 7; }\n"
    data = loader.tools.c(loader.arch, text, "-nostdlib", shared=True, stubs={"libc.so.6": stub})
    reader = ElfReader(data, "x")
    needs = reader.offset_of(reader.tag(DT_VERNEED) or 0)
    symbols = reader.offset_of(reader.tag(DT_SYMTAB) or 0)
    assert needs and symbols
    which = next(n for n, symbol in enumerate(reader.symbols) if symbol[0] == "nothing")
    data = with_bytes(data, symbols + 24 * which + 4, bytes([STB_WEAK << 4]))
    return with_bytes(data, needs + 16 + 4, struct.pack("<H", 2 if weak else 0))


LEVEL = (
    LIB + '__asm__(".pushsection .note.level, \\"a\\", %note\\n.balign 8\\n.long 4, 16, 5\\n.asciz \\"GNU\\"\\n'
    '.long 0xc0008002, 4, 0xf, 0\\n.popsection\\n");\n'
)
PRIVATE = LIB + 'extern void *_dl_sym(void *, const char *, void *);\nvoid *f(void) { return _dl_sym(0, "x", 0); }\n'

THREADS = (
    "static __thread char block[64];\nchar *use(int n) { block[n] = 7; return block + n; }\n"
    "int answer(void) { return *use(1); }\n"
)


def static_tls(loader: Loader, size: int, align: int = 8) -> bytes:
    """A library with so many bytes of thread-local storage in the static block."""

    def change(fields: list[int]) -> None:
        fields[6], fields[7] = size, align

    return with_header(loader.lib("-ftls-model=initial-exec", "-fPIC", text=THREADS), PT_TLS, change)


def with_tag(data: bytes, tag: int, value: int, instead_of: int = 0) -> bytes:
    """A value of the dynamic segment; ``instead_of`` names the entry that is taken for it."""
    segment = next(s for s in ElfReader(data, "x").segments if s.kind == PT_DYNAMIC)
    for at in range(segment.offset, segment.offset + segment.size, 16):
        if struct.unpack_from("<Q", data, at)[0] == (instead_of or tag):
            return with_bytes(data, at, struct.pack("<QQ", tag, value))
    raise AssertionError(tag)


def at_tag(data: bytes, tag: int, place: int, new: bytes) -> bytes:
    """Bytes of the table that a tag names."""
    reader = ElfReader(data, "x")
    offset = reader.offset_of(reader.tag(tag) or 0)
    assert offset is not None
    return with_bytes(data, offset + place, new)


def without_dynamic(fields: list[int]) -> None:
    fields[0] = 0


FLAGS_1, RELA_ENTRY, GNU_HASH = 0x6FFFFFFB, 9, 0x6FFFFEF5


def flagged(loader: Loader, flag: int) -> bytes:
    return with_tag(loader.lib("-Wl,-z,now"), FLAGS_1, 1 | flag)


Make = Callable[[Loader], bytes]
ALL, NONE = (lambda _libc: True), (lambda _libc: False)
# What is opened -> how it is made, and the releases that refuse it, or let it crash.
CASES: dict[str, tuple[Make, Callable[[tuple[int, int]], bool]]] = {
    "as it was built": (lambda x: x.lib(), NONE),
    "of GNU": (lambda x: with_bytes(x.lib(), 7, b"\3"), NONE),
    "of FreeBSD": (lambda x: with_bytes(x.lib(), 7, b"\x09"), ALL),
    "of a later ABI": (lambda x: with_bytes(x.lib(), 7, b"\3\x09"), ALL),
    "with padding": (lambda x: with_bytes(x.lib(), 12, b"\x01"), ALL),
    "moved by 8 bytes": (lambda x: with_header(x.lib(), PT_LOAD, moved), ALL),
    "aligned to 2 MB by its word alone": (lambda x: with_header(x.lib(), PT_LOAD, wide), lambda libc: libc < (2, 35)),
    "cut off": (lambda x: cut(x.lib(text=MUCH)), ALL),
    "tagged for an old kernel": (lambda x: x.lib(text=tagged((3, 2, 0))), NONE),
    "tagged for a new kernel": (lambda x: x.lib(text=tagged((9, 0, 0))), lambda libc: libc < (2, 36)),
    "tagged for FreeBSD": (lambda x: x.lib(text=tagged((3, 2, 0), 3)), lambda libc: libc < (2, 36)),
    "with a relocation that nobody knows": (lambda x: strange_relocation(x.lib()), ALL),
    "with DT_RELR and no marker": (relative, ALL),
    "with an executable stack": (
        lambda x: with_header(x.lib(), PT_GNU_STACK, executable),
        lambda libc: libc >= (2, 41),
    ),
    "asking for a version that is not there": (lambda x: asking(x, "GLIBC_2.99", weak=False), ALL),
    "asking weakly for a version that is not there": (lambda x: asking(x, "GLIBC_2.99", weak=True), NONE),
    # A marker of x86 alone.
    "asking for the marker of TLS descriptors": (lambda x: asking(x, "GLIBC_ABI_GNU2_TLS", weak=False), ALL),
    "with static TLS that fits": (lambda x: static_tls(x, 1600), NONE),
    "with static TLS that does not": (lambda x: static_tls(x, 1800), ALL),
    "with static TLS of a large alignment": (lambda x: static_tls(x, 64, 128), ALL),
    "of another version of ELF": (lambda x: with_bytes(x.lib(), 20, b"\2"), ALL),
    "identified as of another version": (lambda x: with_bytes(x.lib(), 6, b"\2"), ALL),
    "without a dynamic segment": (lambda x: with_header(x.lib(), PT_DYNAMIC, without_dynamic), ALL),
    "with relocations of 16 bytes": (lambda x: with_tag(x.lib(), RELA_ENTRY, 16), ALL),
    "with a PLT of another kind": (lambda x: with_tag(x.lib(), 20, 17), ALL),
    "with needs of a second version": (lambda x: at_tag(x.lib(), DT_VERNEED, 0, b"\2"), ALL),
    "with a filter of three words": (lambda x: at_tag(x.lib(), GNU_HASH, 8, b"\3"), ALL),
    "flagged as a program": (lambda x: flagged(x, 0x08000000), lambda libc: libc >= (2, 30)),
    "flagged as not to be opened": (lambda x: flagged(x, 0x40), ALL),
    "at fixed addresses": (lambda x: with_bytes(x.lib(), 16, b"\2"), ALL),
    "asking for what glibc keeps for itself": (lambda x: x.lib(text=PRIVATE), lambda libc: libc >= (2, 34)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_model_says_what_the_loader_does(loader: Loader, name: str) -> None:
    make, refuses = CASES[name]
    data = make(loader)
    said = loader.judges(data)
    opened, told = loader.opens(data)
    assert opened is not refuses(loader.libc), told
    assert (Certainty.CERTAIN not in said.values()) is opened, (said, told)


def test_a_level_is_looked_at_since_2_33(loader: Loader) -> None:
    if loader.arch is not Arch.AMD64:
        return  # x86-64 alone has levels
    data = loader.lib(text=LEVEL)
    assert read_elf(data, "x").isa_needed == 0xF
    assert loader.opens(data)[0] and loader.judges(data)["XC-ELF-037"] is Certainty.NOTE


def test_versions_of_a_library_that_is_not_needed(loader: Loader) -> None:
    user = loader.tools.user_of(loader.arch, "libx.so.1", "X_1", "f")
    reader = ElfReader(user, "x")
    dynamic = next(s for s in reader.segments if s.kind == 2)
    at = next(
        n for n in range(dynamic.offset, dynamic.offset + dynamic.size, 16) if user[n : n + 8] == b"\1" + bytes(7)
    )
    data = with_bytes(user, at, struct.pack("<Q", 0x6FFFFFFF - 0x100))
    assert loader.judges(data)["XC-ELF-043"] is Certainty.GUARDED
    opened, told = loader.opens(data)
    assert not opened and "needed != NULL" in told
