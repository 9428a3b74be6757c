"""Rules on artifacts made by hand: what is found, and above all what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.elf import ElfObject
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.inspect.go_build_info import GoBuildInfo, LinkedModule
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.isa import scan_isa
from pytest_xinchuang.inspect.record import ElfRecord
from pytest_xinchuang.inspect.roles import architecture_named
from pytest_xinchuang.inspect.rules.closure import Closure
from pytest_xinchuang.inspect.rules.go_rules import check_go
from pytest_xinchuang.inspect.rules.judge import Judge
from pytest_xinchuang.inspect.rules.wheels import glibc_of, needed_policy
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder, Target
from tests.inspect import containers
from tests.mutants.porting.tools import Tools
from tests.tiers import starts_programs

LIB = "int answer(void) { return 42; }\n"


@pytest.fixture
@starts_programs
def tools(tmp_path: Path, platforms: Platforms) -> Tools:
    return Tools(tmp_path, platforms, Builder(Cache()))


def found(path: Path, platform: str, platforms: Platforms) -> list[Finding]:
    return Verdicts(platforms.get(platform), platforms.file.architectures).of(Inspector().read(path))


def codes(path: Path, platform: str, platforms: Platforms) -> set[str]:
    return {f.code for f in found(path, platform, platforms) if f.certainty != "note"}


def elf(**fields: object) -> ElfObject:
    base: dict[str, object] = {
        "name": "x",
        "machine": "EM_AARCH64",
        "bits": 64,
        "little_endian": True,
        "flags": 0,
        "interpreter": None,
        "soname": None,
        "libraries": (),
        "runpath": (),
        "needed": (),
        "imports": frozenset(),
        "load_alignments": (0x10000,),
        "has_tls": False,
        "padding": bytes(7),
    }
    return ElfObject(**{**base, **fields})  # type: ignore[arg-type]


def test_a_jar_may_have_a_library_for_another_libc_beside_the_right_one(tools: Tools, platforms: Platforms) -> None:
    glibc = tools.c(Arch.ARM64, '#include <stdio.h>\nint f(void) { return puts(""); }\n', shared=True)
    musl = tools.user_of(Arch.ARM64, "libc.so", "X_1", "f")
    both = {"linux-aarch64/libx.so": glibc, "linux-musl-aarch64/libx.so": musl.replace(b"X_1\0", b"X_1\0")}
    assert codes(tools.zip("both.jar", both), "kunpeng", platforms) == set()


def test_two_versions_of_a_library_in_one_closure(tools: Tools, platforms: Platforms) -> None:
    old, new = (tools.stub(Arch.ARM64, f"libcrypto.so.{v}", f"OPENSSL_{v}", "f") for v in ("1.1", "3"))
    text = "int f(void);\nint g(void) { return f(); }\n"
    middle = tools.c(
        Arch.ARM64, text, "-nostdlib", "-Wl,-soname,libmiddle.so.1", shared=True, stubs={"libcrypto.so.1.1": old}
    )
    top = tools.c(
        Arch.ARM64,
        "int f(void); int g(void);\nint h(void) { return f() + g(); }\n",
        "-nostdlib",
        shared=True,
        stubs={"libcrypto.so.3": new, "libmiddle.so.1": middle},
    )
    path = tools.zip("a.zip", {"top.so": top, "libmiddle.so.1": middle})
    finding = next(f for f in found(path, "kunpeng", platforms) if f.code == "XC-ELF-015")
    assert finding.params["first"] == "libcrypto.so.1.1" and finding.params["first_chain"] == "top.so -> libmiddle.so.1"
    assert "XC-ELF-015" not in codes(tools.zip("b.zip", {"libmiddle.so.1": middle}), "kunpeng", platforms)


def test_a_shipped_library_without_the_needed_version(tools: Tools, platforms: Platforms) -> None:
    old = tools.stub(Arch.ARM64, "libx.so.1", "X_1", "f")
    user = tools.user_of(Arch.ARM64, "libx.so.1", "X_2", "f")
    path = tools.zip("a.zip", {"libx.so.1": old, "user.so": user})
    finding = next(f for f in found(path, "kunpeng", platforms) if f.code == "XC-ELF-014")
    assert finding.params["version"] == "X_2" and finding.params["provider"].endswith("libx.so.1")


def test_a_bundled_libstdcxx_is_judged_and_not_its_users(tools: Tools, platforms: Platforms) -> None:
    """GLIBCXX_3.4.32 of a library that comes along needs no newer one of the system."""
    bundled = tools.stub(Arch.ARM64, "libstdc++.so.6", "GLIBCXX_3.4.32", "shiny")
    user = tools.user_of(Arch.ARM64, "libstdc++.so.6", "GLIBCXX_3.4.32", "shiny")
    assert (
        codes(tools.zip("a.zip", {"lib/libstdc++.so.6": bundled, "lib/user.so": user}), "phytium", platforms) == set()
    )
    assert codes(tools.zip("b.zip", {"lib/user.so": user}), "phytium", platforms) == {"XC-ELF-011"}


def test_who_pulls_an_object_in_is_told(tools: Tools, platforms: Platforms) -> None:
    deep = tools.c(
        Arch.ARM64,
        "#include <pthread.h>\nint d(pthread_t t) { return pthread_join(t, 0); }\n",
        "-Wl,-soname,libdeep.so.1",
        libc="2.34",
        shared=True,
    )
    top = tools.c(
        Arch.ARM64, "int d(long);\nint use(void) { return d(0); }\n", shared=True, stubs={"libdeep.so.1": deep}
    )
    path = tools.zip("a.zip", {"plugin.so": top, "libdeep.so.1": deep})
    finding = next(f for f in found(path, "kunpeng", platforms) if f.code == "XC-ELF-010")
    assert finding.params["pulled"] == " (pulled in by plugin.so)"
    assert "pthread_join" in finding.params["symbols"]


def test_the_unwinders_way_to_the_vector_length_is_no_sve(tools: Tools) -> None:
    """libgcc's unwinder executes `cntd x0` for frames that have saved it alone."""
    data = tools.c(
        Arch.ARM64,
        'long vg(void) { long r; __asm__(".inst 0x04e0e3e0\\n\\tmov %0, x0" : "=r"(r) :: "x0"); return r; }\n',
        shared=True,
    )
    assert not scan_isa(read_elf(data, "x"), data).uses


def test_the_unwinders_way_to_untag_a_frame_is_no_mte(tools: Tools) -> None:
    """LLVM's libunwind executes STG for frames that are said to be tagged; elsewhere it is an instruction of MTE."""
    for name, wanted in (("_ZN9libunwind17DwarfInstructions13stepWithDwarfE", set()), ("step", {"mte"})):
        text = f'void {name}(long *p) {{ __asm__(".inst 0xd9200800" :: "r"(p) : "memory"); }}\n'
        data = tools.c(Arch.ARM64, text, shared=True)
        assert set(scan_isa(read_elf(data, "x"), data).uses) == wanted


@pytest.mark.tools
def test_a_static_library_is_guarded_by_any_of_its_members(tools: Tools, platforms: Platforms) -> None:
    target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.28")

    def compiled(text: str) -> bytes:
        return tools.builder.c(target, [tools.source(text)], flags=["-c"])

    lse = compiled(
        'int f(int *p) { int r; __asm__(".arch_extension lse\\n\\tldadd %w1, %w0, [%2]" : "=r"(r) : "r"(1), "r"(p));'
        " return r; }\n"
    )
    asks = compiled("unsigned long getauxval(unsigned long);\nunsigned long g(void) { return getauxval(16); }\n")
    alone = found(tools.file("a.a", containers.ar({"f.o": lse})), "phytium", platforms)
    assert [(f.code, f.certainty) for f in alone] == [("XC-ISA-002", "certain")]
    whole = found(tools.file("b.a", containers.ar({"f.o": lse, "g.o": asks})), "phytium", platforms)
    assert [(f.code, f.certainty) for f in whole] == [("XC-ISA-002", "guarded?")]


@pytest.mark.parametrize(
    ("settings", "platform", "wanted"),
    [
        ({"GOARM64": "v8.2"}, "phytium", ["XC-GO-001"]),
        ({"GOARM64": "v8.2"}, "kunpeng", []),
        ({"GOARM64": "v8.0,lse"}, "phytium", ["XC-GO-001"]),
        ({"GOARM64": "v8.0,crypto"}, "phytium", []),
        ({"GOARM64": "v8.1,lse"}, "kunpeng", []),
        ({"GOARM64": "v9.0"}, "kunpeng", ["XC-GO-001"]),
        ({"GOARM64": "v8.2,crypto"}, "kunpeng", []),
        ({"GOARM64": "v8.3"}, "phytium_d3000-kylin_v10_sp1", ["XC-GO-001"]),
        # What the chip has is inferred, or the evidence disagrees.
        ({"GOARM64": "v8.2"}, "phytium_s5000c-kylin_v10_sp1", ["XC-CPU-001"]),
        ({"GOARM64": "v8.0"}, "phytium_s5000c-kylin_v10_sp1", []),
        ({"GOARM64": "v8.0,crypto"}, "phytium_ft2000plus-kylin_v10_sp1", ["XC-GO-001"]),
        ({"GOARM64": "v8.3"}, "kunpeng920_v2-openeuler_24_03", ["XC-CPU-001"]),
        ({"GOARM64": "v8.2"}, "kunpeng920_v2-openeuler_24_03", []),
    ],
)
def test_go_levels(settings: dict[str, str], platform: str, wanted: list[str], platforms: Platforms) -> None:
    go = GoBuildInfo("go1.22.1", "x", (), tuple(settings.items()))
    judge = Judge(platforms.get(platform))
    check_go(judge, ElfRecord("x", "x", elf(go=go)))
    assert [f.code for f in judge.findings] == wanted


def test_go_modules_without_a_release_and_local_replacements_are_noted(platforms: Platforms) -> None:
    modules = (
        LinkedModule("example.com/main", "(devel)"),
        LinkedModule("a", "v0.0.0-20240101000000-0123456789ab"),
        LinkedModule("b", "v1.0.0-rc.1"),
        LinkedModule("c", "v1.2.3"),
        LinkedModule("d", "v1.0.0", "../d"),
        LinkedModule("e", "v2.0.0+incompatible"),
    )
    judge = Judge(platforms.get("kunpeng"))
    check_go(judge, ElfRecord("x", "x", elf(go=GoBuildInfo("go1.22", "x", modules))))
    assert [(f.code, f.certainty) for f in judge.findings] == [("XC-GO-004", "note"), ("XC-GO-005", "note")]
    assert judge.findings[0].evidence["modules"] == ["a v0.0.0-20240101000000-0123456789ab", "b v1.0.0-rc.1"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("fzf-0.44-linux_amd64.tar.gz", "amd64"),
        ("tool_linux_x86_64", "amd64"),
        ("x64/lib.so", "amd64"),
        ("linux64/lib.so", "amd64"),
        ("tool-aarch64", "arm64"),
        ("linux-aarch_64", "arm64"),
        ("arm64-v8a.zip", "arm64"),
        ("loongarch64", "loong64"),
        ("linux_loong64.tgz", "loong64"),
        ("noarch.rpm", None),
        ("charm64", None),
        ("amd64-and-arm64.zip", None),
        ("tool.tar.gz", None),
    ],
)
def test_which_architecture_a_name_means(text: str, named: str | None, platforms: Platforms) -> None:
    found = architecture_named(text, platforms.file.architectures)
    assert (str(found) if found else None) == named


def test_tags_and_policies() -> None:
    assert glibc_of("manylinux2014_aarch64") == (2, 17)
    assert glibc_of("manylinux_2_36_loongarch64") == (2, 36)
    assert glibc_of("musllinux_1_2_x86_64") is None and glibc_of("linux_x86_64") is None
    assert needed_policy([]).policy == "any"
    unknown = ElfRecord("x", "x", elf(libraries=("libcuda.so.1", "libc.so.6")))
    assert needed_policy([unknown]).policy == "linux"


def test_a_circle_of_libraries_has_an_end() -> None:
    records = [
        ElfRecord("a", "liba.so.1", elf(soname="liba.so.1", libraries=("libb.so.1",))),
        ElfRecord("b", "libb.so.1", elf(soname="libb.so.1", libraries=("liba.so.1",))),
    ]
    closure = Closure(records)
    assert closure.pulled(records[0]).startswith(" (pulled in by")
    assert set(closure.reach(records[0])) == {"liba.so.1", "libb.so.1"}


def test_an_image_that_names_its_architecture_like_uname(tools: Tools, platforms: Platforms) -> None:
    assert codes(tools.image("a.tar", ["amd64", "loongarch64"]), "loongson", platforms) == {"XC-IMG-002"}
    assert codes(tools.image("b.tar", ["amd64", "loong64"]), "loongson", platforms) == set()


def test_a_pure_wheel_with_an_object(tools: Tools, platforms: Platforms) -> None:
    path = tools.zip("x-1.0-py3-none-any.whl", {"x/a.so": tools.c(Arch.ARM64, LIB, shared=True)})
    assert codes(path, "kunpeng", platforms) == {"XC-PKG-007"}


def test_a_wheel_that_needs_more_than_it_promises(tools: Tools, platforms: Platforms) -> None:
    text = "#include <pthread.h>\nint use(pthread_t t) { return pthread_join(t, 0); }\n"
    module = tools.c(Arch.ARM64, text, libc="2.34", shared=True)
    path = tools.zip("x-1.0-cp311-cp311-manylinux_2_17_aarch64.whl", {"x/a.so": module})
    findings = {f.code: f for f in found(path, "kunpeng920-kylin_v11", platforms)}
    assert findings["XC-PKG-002"].params["policy"] == "manylinux_2_34"
    assert findings["XC-PKG-002"].params["version"] == "GLIBC_2.34"
    assert findings["XC-PKG-002"].certainty == "note", "a system of that glibc runs it all the same"
    assert codes(path, "kunpeng", platforms) == {"XC-PKG-002", "XC-ELF-010"}
    newer = tools.zip("x-1.0-cp311-cp311-manylinux_2_34_aarch64.whl", {"x/a.so": module})
    assert codes(newer, "kunpeng920-kylin_v11", platforms) == set()
    assert "XC-PKG-003" in codes(newer, "kunpeng", platforms)


def test_a_loongarch_object_of_another_float_abi(tools: Tools, platforms: Platforms) -> None:
    from tests.mutants.porting.tools import with_flags

    data = tools.c(Arch.LOONG64, LIB, shared=True)
    assert codes(tools.file("a.so", data), "loongson", platforms) == set()
    assert codes(tools.file("b.so", with_flags(data, 0x41)), "loongson", platforms) == {"XC-ELF-009"}


def test_how_a_program_was_linked(tools: Tools) -> None:
    start = "void _start(void) { for (;;) ; }\n"
    made = {
        "dynamic": tools.c(Arch.ARM64, "int main(void) { return 0; }\n"),
        "static": tools.c(Arch.ARM64, start, "-nostdlib", "-static", "-no-pie"),
        "relocatable": tools.c(Arch.ARM64, start, "-c"),
    }
    assert {name: read_elf(data, name).linking for name, data in made.items()} == {name: name for name in made}
    assert read_elf(made["static"], "x").data_model == "LP64"


CHOOSER = b"""import ctypes, os, platform
HERE = os.path.dirname(__file__)
NAMES = {"x86_64": "linux-x64", "aarch64": "linux-arm64", "loongarch64": "linux-loong64"}
lib = ctypes.CDLL(os.path.join(HERE, NAMES[platform.machine()], "libx.so"))
"""
DIRECT = (
    b"import os\nfrom platform import machine\nPATH = os.path.join(os.path.dirname(__file__), machine(), 'libx.so')\n"
)
NONE = b"# platform.machine() says aarch64\nimport ctypes\nlib = ctypes.CDLL('linux-arm64/libx.so')\n"
TWO = CHOOSER.replace(b', "loongarch64": "linux-loong64"', b"")


@pytest.mark.tools
def test_a_pure_wheel_with_a_directory_for_each_architecture(tools: Tools, platforms: Platforms) -> None:
    objects = {arch: tools.c(arch, LIB, shared=True) for arch in (Arch.AMD64, Arch.ARM64, Arch.LOONG64)}
    short = {Arch.AMD64: "linux-x64", Arch.ARM64: "linux-arm64", Arch.LOONG64: "linux-loong64"}
    long = {Arch.AMD64: "x86_64", Arch.ARM64: "aarch64", Arch.LOONG64: "loongarch64"}
    certain, maybe = ("XC-PKG-007", Certainty.CERTAIN), ("XC-PKG-007", Certainty.UNDECIDED)
    lacking = ("XC-PKG-008", Certainty.CERTAIN)
    two, three = [Arch.AMD64, Arch.ARM64], list(objects)
    for source, names, archs, platform, wanted in (
        (CHOOSER, short, three, "loongson", set()), (CHOOSER, short, two, "kunpeng", set()),
        (CHOOSER, short, two, "loongson", {lacking}), (DIRECT, long, three, "loongson", set()),
        (DIRECT, short, three, "loongson", {maybe}), (TWO, short, three, "loongson", {maybe}),
        (NONE, short, three, "kunpeng", {maybe}), (NONE, short, two, "loongson", {certain}),
        (CHOOSER, short, [Arch.ARM64], "kunpeng", {certain}),
        (b"def machine(:", short, three, "kunpeng", {maybe}),
    ):  # fmt: skip
        files = {f"x/{names[arch]}/libx.so": objects[arch] for arch in archs}
        path = tools.zip("x-1.0-py3-none-any.whl", {"x/__init__.py": source, **files})
        told = {(f.code, f.certainty) for f in found(path, platform, platforms) if f.certainty is not Certainty.NOTE}
        assert told == wanted, (source, archs, platform)


def test_what_a_program_is_linked_with_comes_when_it_starts() -> None:
    program = ElfRecord("app", "app", elf(interpreter="/lib/ld.so", kind="exec", libraries=("libmid.so.1",)))
    middle = ElfRecord("mid", "libmid.so.1", elf(soname="libmid.so.1", kind="dyn", libraries=("libtls.so.1",)))
    library = ElfRecord("tls", "libtls.so.1", elf(soname="libtls.so.1", kind="dyn"))
    plugin = ElfRecord("plugin", "plugin.so", elf(kind="dyn", libraries=("libtls.so.1",)))
    assert Closure([program, middle, library]).comes_at_start(library)
    assert not Closure([program, middle, library, plugin]).comes_at_start(library)
    assert not Closure([middle, library]).comes_at_start(library)
    assert not Closure([program, library]).comes_at_start(library)
