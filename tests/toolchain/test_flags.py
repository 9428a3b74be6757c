"""Lines of flags against platforms: what compilers say of them, and what nobody can say."""

from __future__ import annotations

import shlex
import shutil

import pytest

from pytest_xinchuang.core.finding import Certainty, Finding, load_findings
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.toolchain.flags import LIBCS, Asker, check_flags
from pytest_xinchuang.toolchain.flags.features import of_compiler, of_macros
from pytest_xinchuang.toolchain.flags.linking import read_linking
from pytest_xinchuang.toolchain.flags.words import take_apart
from tests.messages.english import english_in

CERTAIN, OPEN, CLEAN = 1, 3, 0

DHYANA, FT2000PLUS, S2500 = "hygon_dhyana-uos_20", "phytium_ft2000plus-kylin_v10_sp1", "phytium_s2500-kylin_v10_sp1"
LA464, LA664, NO_LASX = (f"loongson_{cpu}-kylin_v11" for cpu in ("3a5000", "3a6000", "2k3000"))

C = [
    # A CPU's name, however it is written, and what each extension is called.
    ("zhaoxin", "-march=core-avx2", CERTAIN),
    ("zhaoxin", "-march=alderlake", CERTAIN),
    ("zhaoxin", "-march=bdver4", CERTAIN),
    ("zhaoxin", "-mfma4", CERTAIN),
    ("zhaoxin", "-mgfni", CERTAIN),
    ("zhaoxin", "-march=ivybridge", CLEAN),
    ("zhaoxin", "-march=x86-64-v2 -mavx -mf16c", CLEAN),
    ("zhaoxin", "-mtune=haswell", CLEAN),
    ("phytium", "-mcpu=cortex-a55", CERTAIN),
    ("phytium", "-mcpu=apple-m1", CERTAIN),
    ("phytium", "-Xclang -target-feature -Xclang +lse", CERTAIN),
    # Past the driver: the code is made with all that the CPU has, and no macro and no feature tells of it.
    ("phytium", "-Xclang -target-cpu -Xclang neoverse-n1", CERTAIN),
    ("phytium", "-Xclang -target-cpu -Xclang cortex-a72", CLEAN),
    ("phytium", "-Xclang -target-cpu -Xclang neoverse-n1 -Xclang -target-cpu -Xclang cortex-a72", CLEAN),
    ("phytium", "-Xclang -target-cpu -Xclang nosuch", OPEN),
    ("zhaoxin", "-Xclang -target-cpu -Xclang haswell", CERTAIN),
    ("zhaoxin", "-Xclang -target-feature -Xclang +avx2", CERTAIN),
    ("zhaoxin", "-Xclang -target-feature -Xclang +avx", CLEAN),
    (LA464, "-Xclang -target-cpu -Xclang la664", CERTAIN),
    (LA464, "-Xclang -target-cpu -Xclang la464", CLEAN),
    ("phytium", "-march=armv8-a+lse", CERTAIN),
    ("phytium", "-march=armv8-a+crypto -mtune=tsv110", CLEAN),
    ("phytium", "-mcpu=cortex-a72", CLEAN),
    ("phytium", "-mno-outline-atomics", CLEAN),
    ("kunpeng", "-mcpu=tsv110", CLEAN),
    ("kunpeng", "-mcpu=neoverse-n1", CERTAIN),
    ("kunpeng", "-march=armv8.2-a+sve", CERTAIN),
    (LA464, "-march=la464", CLEAN),
    (LA464, "-march=la664", CERTAIN),
    (LA664, "-march=la664", CLEAN),
    (NO_LASX, "-mlasx", CERTAIN),
    (NO_LASX, "-march=loongarch64", CLEAN),
    # Flags of one architecture without its letter, what sanitizers make of the code, and another compiler's spelling.
    ("kunpeng", "-fcf-protection=full", CERTAIN),
    ("loongson", "-O2 -fcf-protection", CERTAIN),
    ("kunpeng", "-fcf-protection=none", CLEAN),
    ("hygon", "-fcf-protection=full", CLEAN),
    ("kunpeng", "-mbranch-protection=standard -fstack-clash-protection", CLEAN),
    ("kunpeng", "-fsanitize=address", CLEAN),
    ("kunpeng", "-fsanitize=hwaddress", CLEAN),
    ("loongson", "-fsanitize=address,undefined", CLEAN),
    ("zhaoxin", "-fsanitize=address -mavx2", CERTAIN),
    ("zhaoxin", "/arch:AVX2", OPEN),
    ("zhaoxin", "/arch/x.c", CLEAN),
    # The whole line counts, in its order.
    ("zhaoxin", "-march=haswell -mno-avx2 -mno-fma", CLEAN),
    ("zhaoxin", "-mno-avx2 -march=haswell -mavx2", CERTAIN),
    ("zhaoxin", "-march=haswell -march=x86-64-v2", CLEAN),
    ("kunpeng", "-march=native", CERTAIN),
    ("kunpeng", "-mtune=native", CLEAN),
    ("kunpeng", "-march=native -march=armv8-a", CLEAN),
    ("zhaoxin", "CFLAGS='-O2 -mavx2'", CERTAIN),
    ("zhaoxin", "make MY_CFLAGS=-mavx2 V=1", CERTAIN),
    ("zhaoxin", "make OPT='-O2 -mavx2'", CERTAIN),
    ("zhaoxin", "make MAKEFLAGS=-j2 CFLAGS=-O2", CLEAN),
    ("zhaoxin", "cmake -DCMAKE_C_FLAGS:STRING=-mavx2 ..", CERTAIN),
    ("zhaoxin", "meson setup -Dc_args=-mavx2 b", CERTAIN),
    # What a source has to ask for: an extension that the flag names is one thing, a CPU that has it another.
    (DHYANA, "-maes", CERTAIN),
    (DHYANA, "-march=znver1", OPEN),
    (DHYANA, "-march=znver1 -mno-aes -mno-pclmul -mno-sha", CLEAN),
    (DHYANA, "-march=x86-64-v3", CLEAN),
    (DHYANA, "-mavx512f", CERTAIN),
    ("hygon_c86-uos_20", "-march=znver1", CLEAN),
    ("zhaoxin_kx7000-uos_20", "-march=x86-64-v3", CLEAN),
    # Facts that are taken over from another CPU decide nothing.
    (S2500, "-march=armv8.2-a", OPEN),
    (S2500, "-march=armv8-a", CLEAN),
    # One option that compilers read in two ways.
    ("zhaoxin", "-mcpu=haswell", OPEN),
    ("zhaoxin", "gcc -mcpu=haswell", CLEAN),
    ("zhaoxin", "zig cc -mcpu=haswell", CERTAIN),
    ("zhaoxin", "zig cc -target x86_64-linux-gnu.2.28 -mcpu=x86_64_v2", CLEAN),
    ("zhaoxin", "zig cc -mcpu=x86_64_v2+avx2", CERTAIN),
    ("kunpeng", "zig cc -mcpu=cortex_a72", CLEAN),
    # ABI, architecture, system.
    (LA464, "-mabi=lp64s", CERTAIN),
    (LA464, "-msoft-float", CERTAIN),
    (LA464, "-mabi=lp64d", CLEAN),
    (LA464, "-mfpu=64", CLEAN),
    ("zhaoxin", "-m32", CERTAIN),
    ("zhaoxin", "-mx32", CERTAIN),
    ("zhaoxin", "-m64", CLEAN),
    ("zhaoxin", "-mlong-double-64", CERTAIN),
    ("kunpeng", "-mbig-endian", CERTAIN),
    ("kunpeng", "-fshort-wchar", CERTAIN),
    ("kunpeng", "-fshort-enums", CERTAIN),
    ("kunpeng", "-fpack-struct", CERTAIN),
    ("kunpeng", "-m64", CERTAIN),
    ("kunpeng", "clang -m64", CLEAN),
    ("kunpeng", "-mavx2", CERTAIN),
    ("kunpeng", "-march=haswell", CERTAIN),
    ("kunpeng", "-msse2", CERTAIN),
    (LA464, "-msse4.2", CERTAIN),
    ("zhaoxin", "-mlsx", CERTAIN),
    ("zhaoxin", "clang -mlsx", CLEAN),  # ignored with a warning
    # Of GCC for another architecture than this host's, and of no instructions.
    ("kunpeng", "-mtls-dialect=desc", CLEAN),
    ("phytium", "-mcpu=cortex-a53 -mfix-cortex-a53-843419", CLEAN),
    ("phytium", "clang -mfix-cortex-a53-nosuch", OPEN),
    ("phytium", "-mcpu=cortex-a72.cortex-a53+crc", CLEAN),
    ("phytium", "-mcpu=cortex-a75.cortex-a55", CERTAIN),
    (LA464, "-mexplicit-relocs=auto -mno-direct-extern-access", CLEAN),
    ("kunpeng", "--target=x86_64-linux-gnu", CERTAIN),
    ("kunpeng", "--target=aarch64-linux-musl", CERTAIN),
    ("kunpeng", "--target=aarch64-linux-musl -static", CLEAN),
    ("kunpeng", "--target=aarch64-kylin-linux-gnu", CLEAN),
    ("kunpeng", "x86_64-linux-gnu-gcc -O2", CERTAIN),
    ("kunpeng", "aarch64-linux-gnu-gcc-12 -O2", CLEAN),
    # What nobody here knows is never clean.
    ("kunpeng", "-mcpu=hip09", OPEN),
    ("kunpeng", "-mnosuch", OPEN),
    ("kunpeng", "-fnosuch", OPEN),
    ("kunpeng", "-mllvm -mattr=+sve", OPEN),
    ("kunpeng", "-fplugin=x.so", OPEN),
    ("kunpeng", "@flags", OPEN),
    ("kunpeng", "-Xclang -load -Xclang x.so", OPEN),
    ("kunpeng", "-Xclang -target-feature -Xclang +nosuch", OPEN),
    ("zhaoxin", "-march=lujiazui2", OPEN),
    ("zhaoxin", "-xCORE-AVX2", OPEN),
    ("zhaoxin", "-axAVX2", OPEN),
    ("zhaoxin", "-fast", OPEN),
    ("zhaoxin", "-tp=haswell", OPEN),
    ("zhaoxin", "icc -O2", OPEN),
    ("zhaoxin", "CFLAGS='-O2", OPEN),
    ("glibc", "-mavx2", OPEN),
    ("glibc", "-O2 -lresolv", CLEAN),
    # Of usual packages.
    (
        "phytium",
        "-O2 -g -pipe -Wall -Werror=format-security -Wp,-D_FORTIFY_SOURCE=2 -fexceptions -fstack-protector-strong"
        " --param=ssp-buffer-size=4 -gdwarf-4 -fPIC -fPIE -pie -march=armv8-a+crc -mtune=tsv110 -moutline-atomics"
        " -fno-strict-aliasing -funwind-tables -fasynchronous-unwind-tables -fstack-clash-protection -Wl,-z,relro,-z,now"
        " -Wl,--as-needed -Wl,-soname,libx.so.1 -Wl,-rpath,/opt/x/lib -Wl,--build-id=sha1 -Wl,-Bsymbolic -shared -DX -I. -lm"
        " -std=gnu11 -MD -MF x.d -c x.c -o x.o -flto=auto -fvisibility=hidden -ffile-prefix-map=/b=. -Wa,--noexecstack",
        CLEAN,
    ),
]

LINKED = [
    ("phytium", "-Wl,-z,max-page-size=4096", CERTAIN),
    ("phytium", "-Wl,-z,max-page-size=0x1000", CERTAIN),
    ("phytium", "-z max-page-size=4096", CERTAIN),
    ("phytium", "-zmax-page-size=4096", CERTAIN),
    ("phytium", "-Wl,-z -Wl,max-page-size=4096", CERTAIN),
    ("phytium", "-Xlinker -z -Xlinker max-page-size=4096", CERTAIN),
    ("phytium", "-Wl,-z,max-page-size=4096 -Wl,-z,max-page-size=65536", CLEAN),
    ("phytium", "-Wl,-z,max-page-size=4k", CERTAIN),
    ("phytium", "ld -z max-page-size=4096 -o x x.o", CERTAIN),
    ("phytium", "aarch64-linux-gnu-ld.bfd -m aarch64linux -z max-page-size=65536 -o x x.o -lc", CLEAN),
    ("phytium", "ld.lld -m elf_x86_64", CERTAIN),
    ("phytium", "x86_64-linux-gnu-ld x.o", CERTAIN),
    ("phytium", "-Wl,-z,max-page-size=5000", CERTAIN),
    ("zhaoxin", "-Wl,-z,max-page-size=4096", CLEAN),
    ("zhaoxin", "-Wl,-z,x86-64-v3", CERTAIN),
    ("zhaoxin", "-Wl,-z,x86-64-v2", CLEAN),
    ("zhaoxin", "-Wl,-plugin-opt=mcpu=haswell", CERTAIN),
    ("zhaoxin", "-Wl,-mllvm,-mattr=+avx2", CERTAIN),
    ("zhaoxin", "-Wl,-mllvm,-other", OPEN),
    ("zhaoxin", "-Wl,-melf_i386", CERTAIN),
    ("zhaoxin", "-Wl,-melf_x86_64", CLEAN),
    ("zhaoxin", "-Wl,--dynamic-linker=/lib64/ld-linux-x86-64.so.2", CLEAN),
    ("zhaoxin", "-Wl,--dynamic-linker,/opt/x/ld.so", OPEN),
    (LA464, "-Wl,--dynamic-linker=/lib64/ld.so.1", CERTAIN),
    ("zhaoxin", "-Wl,-T,x.ld", OPEN),
    ("zhaoxin", "-Wl,-n", OPEN),
    ("zhaoxin", "-Wl,-z,nosuch", OPEN),
    ("zhaoxin", "-Wl,--nosuch", OPEN),
    ("phytium", "-Wl,-z,pack-relative-relocs", CERTAIN),
    (LA464, "-Wl,-z,pack-relative-relocs", CLEAN),
    ("phytium", "-Wl,-z,pack-relative-relocs -Wl,-z,nopack-relative-relocs", CLEAN),
    ("kunpeng", "-Wa,-march=armv8.3-a", OPEN),
    ("kunpeng", "-Wa,-nosuch", OPEN),
]

RUST = [
    ("zhaoxin", "-C target-cpu=haswell", CERTAIN),
    ("zhaoxin", "-Ctarget-cpu=haswell", CERTAIN),
    ("zhaoxin", "--codegen target-cpu=haswell", CERTAIN),
    ("zhaoxin", "rustc --codegen=target-cpu=haswell", CERTAIN),
    ("zhaoxin", "RUSTFLAGS='-C target-feature=+avx2'", CERTAIN),
    ("zhaoxin", "-C target-cpu=native", CERTAIN),
    ("zhaoxin", "-C target-cpu=x86-64-v2 -C opt-level=3", CLEAN),
    ("zhaoxin", "-C target-feature=+crt-static", CLEAN),
    ("zhaoxin", "-C target-cpu=nosuch", OPEN),
    ("zhaoxin", "-C target-feature=+nosuch", OPEN),
    ("zhaoxin", "-C llvm-args=-x", OPEN),
    ("zhaoxin", "rustc --target aarch64-unknown-linux-gnu", CERTAIN),
    ("zhaoxin", "-C link-arg=-Wl,-z,x86-64-v3", CERTAIN),
    ("phytium", "-C target-feature=+lse", CERTAIN),
    ("phytium", "-C target-cpu=cortex-a72", CLEAN),
    (DHYANA, "-C target-cpu=znver1", OPEN),
]

GO = [
    ("phytium", "GOARM64=v8.1", CERTAIN),
    ("phytium", "GOARM64=v8.0,lse", CERTAIN),
    ("phytium", "GOARM64=v8.0,crypto", CLEAN),
    ("phytium", "GOARM64=v8.0,nosuch", OPEN),
    ("kunpeng", "GOARM64=v8.2 go build ./...", CLEAN),
    ("kunpeng", "GOARM64=v8.3", CERTAIN),
    ("zhaoxin", "GOAMD64=v3", CERTAIN),
    ("zhaoxin", "GOAMD64=v9", OPEN),
    ("zhaoxin", "GOARCH=arm64", CERTAIN),
    ("zhaoxin", "GOOS=windows", CERTAIN),
    ("phytium", "go build -ldflags '-extldflags=-Wl,-z,max-page-size=4096'", CERTAIN),
    ("zhaoxin", "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS='-C target-cpu=native' cargo build", CERTAIN),
    ("zhaoxin", "GOAMD64=v2 CGO_CFLAGS=-mavx2 go build", CERTAIN),
]


@pytest.fixture(scope="module")
def asker() -> Asker:
    """Without cross compilers, which know some names of CPUs otherwise than clang does: few hosts have them."""
    return Asker(find=lambda name: None if "-linux-gnu-" in name else shutil.which(name))


def found(platforms: Platforms, name: str, line: str, asker: Asker) -> list[Finding]:
    platform = None if name in LIBCS else platforms.get(name)
    words = [line] if line.count("'") % 2 else shlex.split(line)
    return check_flags(words, platform.system.libc if platform else name, platform, asker)


def status(findings: list[Finding]) -> int:
    seen = {finding.certainty for finding in findings}
    if Certainty.CERTAIN in seen:
        return CERTAIN
    return OPEN if seen - {Certainty.NOTE} else CLEAN


@pytest.mark.tools
@pytest.mark.parametrize(("platform", "line", "expected"), [*C, *LINKED])
def test_lines_of_c(platform: str, line: str, expected: int, platforms: Platforms, asker: Asker) -> None:
    findings = found(platforms, platform, line, asker)
    assert status(findings) == expected, findings


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("rustc") is None, reason="rustc is not installed")
@pytest.mark.parametrize(("platform", "line", "expected"), RUST)
def test_lines_of_rust(platform: str, line: str, expected: int, platforms: Platforms, asker: Asker) -> None:
    findings = found(platforms, platform, line, asker)
    assert status(findings) == expected, findings


@pytest.mark.tools
@pytest.mark.parametrize(("platform", "line", "expected"), GO)
def test_lines_of_go(platform: str, line: str, expected: int, platforms: Platforms, asker: Asker) -> None:
    findings = found(platforms, platform, line, asker)
    assert status(findings) == expected, findings


@pytest.mark.tools
@pytest.mark.parametrize(
    ("platform", "mend"),
    [
        ("kunpeng", "-mcpu=tsv110"),
        ("phytium", "-march=armv8-a -moutline-atomics"),
        (DHYANA, "-march=x86-64-v3"),
        ("zhaoxin", "-march=x86-64-v2"),
        (LA464, "-march=la464"),
    ],
)
def test_what_is_advised_is_clean(platform: str, mend: str, platforms: Platforms, asker: Asker) -> None:
    too_much = "-march=armv9-a" if "v8" in mend or "tsv" in mend else "-march=la664" if "la" in mend else "-mavx512f"
    findings = found(platforms, platform, too_much, asker)
    assert [str(f.params["advice"]) for f in findings if f.code == "XC-FLAG-003"][:1] == [mend]
    assert found(platforms, platform, mend, asker) == []


@pytest.mark.tools
def test_the_flag_that_brings_an_extension_is_named(platforms: Platforms, asker: Asker) -> None:
    (finding,) = found(platforms, "zhaoxin", "-O2 -msse4.2 -mavx2 -mavx -Wall", asker)
    assert finding.object == "-mavx2"
    (finding,) = found(platforms, "zhaoxin", "-march=core-avx2 -mno-avx2", asker)
    assert "fma" in str(finding.params["reason"])
    assert "avx2," not in str(finding.params["reason"])


def _nothing(_name: str) -> None:
    return None


def test_without_compilers_nothing_is_clean(platforms: Platforms, monkeypatch: pytest.MonkeyPatch) -> None:
    lonely = Asker(find=_nothing)
    monkeypatch.setitem(lonely.__dict__, "zig", None)
    monkeypatch.setattr(lonely, "go_tags", lambda _settings: None)
    for line in ("-mavx2", "-fshort-enums", "-C target-cpu=haswell", "GOAMD64=v3", "-Wl,-plugin-opt=mcpu=haswell"):
        findings = found(platforms, "zhaoxin", line, lonely)
        assert status(findings) == OPEN, line
    assert found(platforms, "zhaoxin", "-O2 -lm -DX", lonely) == []
    assert status(found(platforms, "phytium", "-Wl,-z,max-page-size=4096", lonely)) == CERTAIN


@pytest.mark.tools
def test_flags_that_write_or_load_reach_no_compiler(asker: Asker) -> None:
    line = "-fplugin=/x.so -specs=/x -foptimization-record-file=x -Xclang -load -Xclang x -MF x -o x -B/x -wrapper x @x"
    assert take_apart(shlex.split(line)).asked == []


@pytest.mark.tools
def test_every_text_is_there_in_chinese(platforms: Platforms, asker: Asker) -> None:
    catalogue = load_findings()
    for platform, line, _expected in [*C, *LINKED]:
        for finding in found(platforms, platform, line, asker):
            for text in (catalogue.text(finding), catalogue.mend(finding)):
                shown = text.render("zh").replace(finding.object, "")
                assert not english_in(shown), shown


def test_names_of_extensions() -> None:
    from pytest_xinchuang.core.platform import Arch

    assert of_compiler(["avx2", "sse2", "nosuch"], Arch.AMD64) == (frozenset({"avx2"}), frozenset({"nosuch"}))
    assert of_compiler(["lse", "v8.2a", "aes"], Arch.ARM64)[0] == {"atomics", "aes", "pmull"}
    assert of_macros(["__AVX2__", "__SSE2__", "__SSE4_2__", "__OPTIMIZE__"], Arch.AMD64) == {"avx2", "sse4_2"}
    assert of_macros(["__ARM_FEATURE_ATOMICS"], Arch.ARM64) == {"atomics"}
    assert of_macros(["__loongarch_asx"], Arch.LOONG64) == {"lasx"}


def test_words_of_the_linker() -> None:
    linking = read_linking(
        [("-Wl,x", w) for w in shlex.split("-z relro -z max-page-size=16384 -rpath x -soname=y --as-needed")]
    )
    assert linking.page == (16384, "-Wl,x")
    assert not linking.unknown
