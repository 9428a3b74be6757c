"""Failures of conformance/porting.yaml that were searched out in public after the suite was made, bad and good."""

from __future__ import annotations

import struct

from tests.inspect import containers
from tests.inspect.bpf import CALL_PERF_EVENT_OUTPUT, CALL_RINGBUF_OUTPUT, bpf_object
from tests.mutants.porting.planted import ARM, HELLO, LIB, LOONG, X86, row
from tests.mutants.porting.tools import Planted, Tools


@row(52)
def old_world_dpkg(t: Tools, bad: bool) -> Planted:
    arch = "loong64" if bad else "loongarch64"
    control = f"Package: v2raya-data\nVersion: 2.2.5.1\nArchitecture: {arch}\n"
    path = t.deb("v2raya.deb", control, {"usr/share/v2raya/index.html": b"<html></html>"})
    return Planted("loongson_3a5000-loongnix_20", "XC-PKG-004", path, certainty="certain")


@row(53)
def manylinux_of_another_architecture(t: Tools, bad: bool) -> Planted:
    tag = "manylinux_2_5_aarch64" if bad else "manylinux_2_17_aarch64"
    files = {
        "pywpsrpc/_c.so": t.c(ARM, LIB, shared=True, libc="2.17"),
        "pywpsrpc-2.3.9.dist-info/WHEEL": b"Wheel-Version: 1.0\n",
    }
    return Planted("kunpeng", "XC-PKG-003", t.zip(f"pywpsrpc-2.3.9-cp38-cp38-{tag}.whl", files), certainty="certain")


@row(54)
def source_file_left_out(t: Tools, bad: bool) -> Planted:
    left_out = "void png_init_filter_functions_lsx(void *p, int n) { (void)p; (void)n; }\n"
    text = (
        "#include <string.h>\nvoid png_init_filter_functions_lsx(void *, int);\n"
        "void png_read(void *p, char *s) { png_init_filter_functions_lsx(p, (int)strlen(s)); }\n"
    ) + ("" if bad else left_out)
    data = t.c(LOONG, text, "-Wl,-soname,libSkiaSharp.so", "-Wl,-z,undefs", shared=True)
    return Planted("loongson", "XC-ELF-044", t.file("libSkiaSharp.so", data), certainty="guarded?")


@row(55)
def tls_descriptors(t: Tools, bad: bool) -> Planted:
    dialect = "desc" if bad else "trad"
    text = "__thread int counter;\nint next(void) { return ++counter; }\n"
    data = t.c(LOONG, text, f"-mtls-dialect={dialect}", "-fPIC", shared=True)
    return Planted("loongson", "XC-ELF-039", t.file("libcoreclr.so", data), certainty="certain")


@row(56)
def prebuild_of_another_libc(t: Tools, bad: bool) -> Planted:
    text = "#include <string.h>\nint parse(const char *s) { return (int)strlen(s); }\n" if bad else LIB
    module = t.c(ARM, text, *(() if bad else ("-nostdlib",)), shared=True)
    files = {"package/package.json": b"{}", "package/prebuilds/linux-arm64/tree-sitter-bash.node": module}
    path = t.file("tree-sitter-bash-0.25.0.tgz", t.tar(files))
    return Planted("kunpeng920-openharmony_4_1", "XC-ELF-007", path, certainty="certain")


@row(57)
def deb_by_zstd(t: Tools, bad: bool) -> Planted:
    kind = "zst" if bad else "xz"
    control = b"Package: bing-gpt\nVersion: 0.3.3\nArchitecture: amd64\n"
    members = {"control": {"./control": control}, "data": {"./opt/BingGPT/bing-gpt": t.c(X86, HELLO)}}
    packed = {
        f"{name}.tar.{kind}": containers.compressed(containers.tar(files))[kind] for name, files in members.items()
    }
    path = t.file("BingGPT.deb", containers.ar({"debian-binary": b"2.0\n", **packed}))
    return Planted("hygon_c86-uos_desktop_20", "XC-DIST-002", path, certainty="certain")


@row(58)
def image_of_two_machines(t: Tools, bad: bool) -> Planted:
    arm, x86 = t.c(ARM, HELLO), t.c(X86, HELLO)
    program = x86 if bad else arm
    images = [
        ("amd64", [containers.tar({"bin/sh": x86}), containers.tar({"usr/local/bin/gateway": x86})]),
        ("arm64", [containers.tar({"bin/sh": arm}), containers.tar({"usr/local/bin/gateway": program})]),
    ]
    return Planted("kunpeng", "XC-ELF-001", t.file("gateway.tar", containers.oci_layout(images)), certainty="certain")


@row(59)
def asks_for_another_extension(t: Tools, bad: bool) -> Planted:
    """Code that is data until it runs, behind a question about AVX2; a handler that says what Go's run time says."""
    # CPUID: leaf 7, EBX bit 5 is AVX2; leaf 1, ECX bit 1 is PCLMULQDQ.
    asks = "ask(7, 1) >> 5 & 1" + ("" if bad else " && ask(1, 2) >> 1 & 1")
    # vpclmulqdq $0, %xmm0, %xmm0, %xmm0; ret
    text = (
        "#define _GNU_SOURCE\n#include <signal.h>\n#include <stdio.h>\n#include <string.h>\n"
        "#include <sys/mman.h>\n#include <unistd.h>\n"
        "static void died(int n) {\n    static const char said[] = \"SIGILL: illegal instruction\\n\";\n"
        "    (void)n; (void)!write(2, said, sizeof said - 1); _exit(2);\n}\n"
        "#ifdef __x86_64__\nstatic unsigned ask(unsigned leaf, int at) {\n    unsigned r[4] = {leaf, 0, 0, 0};\n"
        '    __asm__ volatile("cpuid" : "+a"(r[0]), "=b"(r[1]), "+c"(r[2]), "=d"(r[3]));\n    return r[at];\n}\n#endif\n'
        "int main(void) {\n    signal(SIGILL, died);\n#ifdef __x86_64__\n"
        "    static const unsigned char code[] = {0xc4, 0xe3, 0x79, 0x44, 0xc0, 0x00, 0xc3};\n"
        f"    if ({asks}) {{\n"
        "        void *p = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);\n"
        "        if (p == MAP_FAILED) return 3;\n        memcpy(p, code, sizeof code); ((void (*)(void))p)();\n    }\n#endif\n"
        '    return puts("skipped") < 0;\n}\n'
    )  # fmt: skip
    unit = 'units:\n  - {name: u, kind: c, sources: [u.c], expect: {stdout: "skipped\\n", source: its own text}}\n'
    requirement = "XC-MRU-006"
    return Planted("hygon_dhyana-kylin_v10_sp3", "XC-RUN-012", t.subject(unit, {"u.c": text}), requirement=requirement)


@row(60)
def openssl_of_another_series(t: Tools, bad: bool) -> Planted:
    soname = "libssl.so.10" if bad else "libssl.so.1.1"
    stub = t.c(ARM, "int SSL_library_init(void) { return 1; }\n", f"-Wl,-soname,{soname}", "-nostdlib", shared=True)
    text = "int SSL_library_init(void);\nint main(void) { return SSL_library_init(); }\n"
    data = t.c(ARM, text, stubs={soname: stub})
    return Planted("kunpeng920-openeuler_22_03", "XC-ELF-045", t.file("nginx", data), certainty="undecided")


@row(61)
def ebpf_for_later_kernels(t: Tools, bad: bool) -> Planted:
    code = CALL_RINGBUF_OUTPUT if bad else CALL_PERF_EVENT_OUTPUT
    path = t.file("probe.bpf.o", bpf_object("kprobe/do_sys_open", code))
    return Planted("hygon_c86-uos_desktop_20", "XC-SYS-003", path, certainty="guarded?")


@row(62)
def native_module_in_an_asar(t: Tools, bad: bool) -> Planted:
    module = t.c(X86 if bad else ARM, LIB, shared=True)
    inside = {
        "dist/main.js": b"require('better-sqlite3')",
        "node_modules/better-sqlite3/build/Release/better_sqlite3.node": module,
    }
    files = {"opt/lx/lx": t.c(ARM, HELLO), "opt/lx/resources/app.asar": containers.asar(inside)}
    control = "Package: lx-music-desktop\nVersion: 2.0.0\nArchitecture: arm64\n"
    return Planted("phytium_d2000-uos_desktop_20", "XC-ELF-001", t.deb("lx.deb", control, files), certainty="certain")


@row(63)
def static_tls_without_a_flag(t: Tools, bad: bool) -> Planted:
    """As GNU ld writes it for arm64: DT_FLAGS says nothing, the relocations do."""
    model = "initial-exec" if bad else "global-dynamic"
    text = "static __thread char block[120];\nchar *use(int n) { block[n] = 1; return block + n; }\n"
    data = bytearray(t.c(ARM, text, f"-ftls-model={model}", "-fPIC", shared=True))
    entry = data.find(struct.pack("<QQ", 30, 0x18))
    if entry >= 0:
        struct.pack_into("<QQ", data, entry, 30, 0x8)
    else:
        entry = data.find(struct.pack("<QQ", 30, 0x10))
        if entry >= 0:
            struct.pack_into("<QQ", data, entry, 30, 0)
    return Planted("phytium", "XC-ELF-022", t.file("libgomp.so.1", bytes(data)), certainty="guarded?")
