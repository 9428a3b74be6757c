"""The failures of conformance/porting.yaml, one minimal example of each, bad and good; but for those of boards alone."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

from pytest_xinchuang.core.platform import Arch
from tests.mutants.porting.tools import Planted, Tools, with_flags

ARM, LOONG, X86 = Arch.ARM64, Arch.LOONG64, Arch.AMD64
HELLO = '#include <stdio.h>\nint main(void) { return puts("hello") < 0; }\n'
LIB = "int answer(void) { return 42; }\n"
UNIT = "units:\n  - {{name: u, kind: c, sources: [u.c], expect: {{stdout: {out}, source: its own text}}}}\n"
BARE = "units:\n  - {name: u, kind: c, sources: [u.c]}\n"
SHELL = 'units:\n  - {name: u, kind: shell, sources: [u.sh], expect: {stdout: "good\\n", source: its own text}}\n'
INSTALLER = "units:\n  - {name: u, kind: installer, sources: [install.sh]}\n"

JAVA = Path(__file__).parent / "java"
"""Main.java, and its classes by `javac --release 11`."""

Plant = Callable[[Tools, bool], Planted]
ROWS: dict[int, Plant] = {}


def row(number: int) -> Callable[[Plant], Plant]:
    def keep(plant: Plant) -> Plant:
        ROWS[number] = plant
        return plant

    return keep


@row(1)
def kylin_is_several(t: Tools, bad: bool) -> Planted:
    libc = "2.31" if bad else "2.28"
    text = f'const char banner[] = "GNU C Library (Kylin) stable release version {libc}.";\n'
    t.file("rootfs/etc/os-release", b'NAME="Kylin"\nID="kylin"\nVERSION="V10 (Tercel)"\nPRETTY_NAME="Kylin V10"\n')
    t.file("rootfs/lib64/libc.so.6", t.c(ARM, text, "-nostdlib", "-Wl,-soname,libc.so.6", shared=True))
    return Planted("kunpeng920-kylin_v10_sp1", "XC-OS-001", t.where / "rootfs")


@row(2)
def glibc_too_new(t: Tools, bad: bool) -> Planted:
    return Planted("kunpeng", "XC-ELF-010", t.file("hello", t.c(ARM, HELLO, libc="2.34" if bad else "2.28")))


@row(3)
def libstdcxx_too_new(t: Tools, bad: bool) -> Planted:
    version = "GLIBCXX_3.4.29" if bad else "GLIBCXX_3.4.21"
    return Planted("phytium", "XC-ELF-011", t.file("libuser.so", t.user_of(ARM, "libstdc++.so.6", version, "shiny")))


@row(4)
def prebuilt_node_module(t: Tools, bad: bool) -> Planted:
    text = "#include <math.h>\ndouble use(double x) { return pow(x, x); }\n"
    module = t.c(ARM, text, libc="2.29" if bad else "2.28", shared=True, links=("m",))
    data = t.tar({"package/package.json": b"{}", "package/prebuilds/linux-arm64/node.napi.node": module})
    return Planted("kunpeng", "XC-ELF-010", t.file("sqlite3-5.0.0.tgz", data))


@row(5)
def appimage_bundles_newer(t: Tools, bad: bool) -> Planted:
    text = "#include <pthread.h>\nint use(pthread_t *t) { return pthread_join(*t, 0); }\n"
    library = t.c(ARM, text, libc="2.34" if bad else "2.28", shared=True)
    return Planted(
        "kunpeng", "XC-ELF-010", t.appimage("app.AppImage", t.c(ARM, HELLO), {"usr/lib/libbundled.so": library})
    )


@row(6)
def static_tls(t: Tools, bad: bool) -> Planted:
    model = "initial-exec" if bad else "global-dynamic"
    text = "static __thread char block[4096];\nchar *use(int n) { block[n] = 1; return block + n; }\n"
    return Planted(
        "kunpeng", "XC-ELF-022", t.file("libjni.so", t.c(ARM, text, f"-ftls-model={model}", "-fPIC", shared=True))
    )


@row(7)
def loader_of_the_other_world(t: Tools, bad: bool) -> Planted:
    flags = ("-Wl,--dynamic-linker=/lib64/ld.so.1",) if bad else ()
    return Planted("loongson", "XC-ELF-002", t.file("hello", t.c(LOONG, HELLO, *flags)))


@row(8)
def object_abis_mixed(t: Tools, bad: bool) -> Planted:
    for name, flags in (("a.o", 0x43), ("b.o", 0x03 if bad else 0x43)):
        t.file(f"objects/{name}", with_flags(t.c(LOONG, LIB, "-c"), flags))
    return Planted("loongson", "XC-ELF-003", t.where / "objects")


@row(9)
def symbol_epoch(t: Tools, bad: bool) -> Planted:
    version = "GLIBC_2.27" if bad else "GLIBC_2.36"
    return Planted(
        "loongson", "XC-ELF-004", t.file("libjnidispatch.so", t.user_of(LOONG, "libc.so.6", version, "getenv"))
    )


@row(10)
def note_proves_nothing(t: Tools, bad: bool) -> Planted:
    data = bytearray(t.c(LOONG, HELLO))
    note = data.index(struct.pack("<III4sI", 4, 16, 1, b"GNU\0", 0)) + 20
    struct.pack_into("<III", data, note, *((4, 19, 0) if bad else (5, 19, 0)))
    return Planted("loongson", "XC-ELF-005", t.file("hello", bytes(data)), certainty="note")


@row(11)
def go_of_the_other_world(t: Tools, bad: bool) -> Planted:
    place = t.where / "hello-go"
    place.mkdir()
    (place / "go.mod").write_text("module example.com/hello\n\ngo 1.19\n")
    (place / "main.go").write_text('package main\n\nfunc main() { println("hello") }\n')
    data = t.builder.go(t.target(LOONG), place)
    if bad:
        from pytest_xinchuang.inspect.elf_reader import read_elf

        info = read_elf(data, "hello").go
        assert info is not None
        old = "go1.15.6-lnd"[: len(info.version)].ljust(len(info.version), "0")
        data = with_flags(data.replace(info.version.encode(), old.encode()), 0x03)
    return Planted("loongson", "XC-GO-003", t.file("hello", data))


@row(12)
def ucontext_across_worlds(t: Tools, bad: bool) -> Planted:
    text = "#include <ucontext.h>\nint main(void) { ucontext_t c; return getcontext(&c); }\n"
    flags = ("-Wl,--dynamic-linker=/lib64/ld.so.1",) if bad else ()
    return Planted("loongson", "XC-ELF-029", t.file("coroutines", t.c(LOONG, text, *flags)))


@row(13)
def getrlimit_is_gone(t: Tools, bad: bool) -> Planted:
    # 163 is getrlimit in the generic table; new-world LoongArch never had it.
    call = "syscall(GETRLIMIT, RLIMIT_NOFILE, &r)" if bad else "prlimit(0, RLIMIT_NOFILE, 0, &r)"
    text = (
        "#define _GNU_SOURCE\n#include <stdio.h>\n#include <sys/resource.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n"
        "#ifdef __loongarch__\n#define GETRLIMIT 163\n#else\n#define GETRLIMIT SYS_getrlimit\n#endif\n"
        f'int main(void) {{ struct rlimit r; if ({call}) return 3; return puts("limits") < 0; }}\n'
    )
    return Planted(
        "loongson", "XC-RUN-008", t.subject(UNIT.format(out='"limits\\n"'), {"u.c": text}), requirement="XC-MRU-033"
    )


@row(14)
def liblol_without_module(t: Tools, bad: bool) -> Planted:
    said = "error while loading shared libraries: libc.so.6: cannot stat shared object: Error 38"
    script = f"#!/bin/sh\necho '{said}' >&2\nexit 127\n" if bad else "#!/bin/sh\necho good\n"
    return Planted("loongson", "XC-RUN-003", t.subject(SHELL, {"u.sh": script}), requirement="XC-MRU-005")


@row(15)
def old_world_is_not_emulated(t: Tools, bad: bool) -> Planted:
    platform = "loongson_3a5000-loongnix_20" if bad else "loongson"
    return Planted(platform, "XC-RUN-004", t.subject(UNIT.format(out='"hello\\n"'), {"u.c": HELLO}), certainty="inconclusive",
                   requirement="XC-MRU-005")  # fmt: skip


@row(16)
def wheel_tag(t: Tools, bad: bool) -> Planted:
    tag = "manylinux_2_36_loongarch64" if bad else "manylinux_2_28_aarch64"
    module = t.c(ARM, LIB, shared=True)
    path = t.zip(
        f"thing-1.0-cp311-cp311-{tag}.whl",
        {"thing/_c.so": module, "thing-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\n"},
    )
    return Planted("loongson" if bad else "kunpeng", "XC-PKG-001", path)


@row(17)
def jemalloc(t: Tools, bad: bool) -> Planted:
    said = "<jemalloc>: Unsupported system page size" if bad else "nothing of the kind"
    text = f'#include <stdio.h>\nvoid warn(void) {{ fputs("{said}\\n", stderr); }}\n'
    return Planted("phytium", "XC-ELF-027", t.file("libserver.so", t.c(ARM, text, shared=True)))


@row(18)
def page_alignment(t: Tools, bad: bool) -> Planted:
    flags = ("-Wl,-z,max-page-size=4096",) if bad else ()
    return Planted("phytium", "XC-ELF-020", t.file("libcef.so", t.c(ARM, LIB, *flags, shared=True)))


@row(20)
def shmlba(t: Tools, bad: bool) -> Planted:
    address = "0x20004000" if bad else "0x20010000"
    text = (
        "#include <stdio.h>\n#include <sys/ipc.h>\n#include <sys/shm.h>\n"
        "int main(void) {\n    int id = shmget(IPC_PRIVATE, 65536, IPC_CREAT | 0600);\n"
        f"    void *p = id < 0 ? (void *)-1 : shmat(id, (void *){address}, 0);\n"
        "    if (id >= 0) shmctl(id, IPC_RMID, 0);\n    return p == (void *)-1 || puts(\"attached\") < 0;\n}\n"
    )  # fmt: skip
    return Planted(
        "loongson", "XC-RUN-009", t.subject(UNIT.format(out='"attached\\n"'), {"u.c": text}), requirement="XC-MRU-033"
    )


@row(22)
def tagged_pointers(t: Tools, bad: bool) -> Planted:
    version = "LuaJIT 2.1.0-beta2" if bad else "LuaJIT 2.1.0-beta3"
    text = f'const char version[] = "{version}";\nconst char trouble[] = "bad light userdata pointer";\n'
    return Planted("kunpeng", "XC-ELF-028", t.file("libluajit-5.1.so.2", t.c(ARM, text, shared=True)))


def _arm_asm(extension: str, instruction: str) -> str:
    return f'void use(void) {{ __asm__ volatile(".arch_extension {extension}\\n\\t{instruction}" ::: "v0", "x0"); }}\n'


@row(23)
def v82_on_v80(t: Tools, bad: bool) -> Planted:
    text = _arm_asm("dotprod", "udot v0.4s, v1.16b, v2.16b") if bad else LIB
    return Planted("phytium", "XC-ISA-001", t.file("libvec.so", t.c(ARM, text, shared=True)), certainty="certain")


@row(24)
def lse_inlined(t: Tools, bad: bool) -> Planted:
    text = "int counter;\nint next(int n) { return __atomic_fetch_add(&counter, n, __ATOMIC_SEQ_CST); }\n"
    data = t.c(ARM, text, shared=True, cpu="generic+lse") if bad else t.c(ARM, text, "-moutline-atomics", shared=True)
    return Planted("phytium", "XC-ISA-002", t.file("libcount.so", data), certainty="certain")


@row(25)
def bf16_on_kunpeng(t: Tools, bad: bool) -> Planted:
    text = _arm_asm("bf16", "bfcvt h0, s1") if bad else LIB
    return Planted("kunpeng", "XC-ISA-006", t.file("libvec.so", t.c(ARM, text, shared=True)), certainty="certain")


@row(26)
def server_requires_more(t: Tools, bad: bool) -> Planted:
    version = "5.0.9" if bad else "4.4.29"
    control = f"Package: mongodb-org-server\nVersion: {version}\nArchitecture: arm64\n"
    return Planted(
        "phytium_d2000-uos_desktop_20", "XC-PKG-005", t.deb("mongodb.deb", control, {"usr/bin/mongod": t.c(ARM, HELLO)})
    )


@row(27)
def crypto_by_model(t: Tools, bad: bool) -> Planted:
    platform = "phytium_d2000-kylin_v10_sp1" if bad else "phytium_d3000-kylin_v10_sp1"
    return Planted(
        platform,
        "XC-ISA-007",
        t.file("libsm4.so", t.c(ARM, _arm_asm("sm4", "sm4e v0.4s, v1.4s"), shared=True)),
        certainty="certain",
    )


@row(29)
def avx2_on_zhaoxin(t: Tools, bad: bool) -> Planted:
    text = "void add(int *a, const int *b) { for (int i = 0; i < 64; i++) a[i] += b[i]; }\n"
    return Planted(
        "zhaoxin",
        "XC-ISA-003",
        t.file("libadd.so", t.c(X86, text, "-O3", "-mavx2" if bad else "-mavx", shared=True)),
        certainty="certain",
    )


@row(30)
def vendor_allow_list(t: Tools, bad: bool) -> Planted:
    test = 'strcmp(v, "GenuineIntel") && strcmp(v, "AuthenticAMD")' if bad else "!(d & 1 << 26)"
    text = (
        "#include <stdio.h>\n#include <string.h>\nint main(void) {\n#ifdef __x86_64__\n"
        "    unsigned a = 0, b, c, d; char v[13] = {0};\n"
        '    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));\n'
        "    memcpy(v, &b, 4); memcpy(v + 4, &d, 4); memcpy(v + 8, &c, 4);\n"
        '    a = 1; __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));\n'
        f"    if ({test}) return 2;\n#endif\n"
        '    return puts("supported") < 0;\n}\n'
    )
    return Planted(
        "hygon", "XC-RUN-006", t.subject(UNIT.format(out='"supported\\n"'), {"u.c": text}), requirement="XC-MRU-030"
    )


@row(31)
def cpucfg_instead_of_hwcap(t: Tools, bad: bool) -> Planted:
    asks = (
        "" if bad else "unsigned long getauxval(unsigned long);\nunsigned long hwcap(void) { return getauxval(16); }\n"
    )
    text = (
        asks + "int has(void) { int r; __asm__ volatile(\"cpucfg %0, %1\" : \"=r\"(r) : \"r\"(2)); return r; }\n"
        'void use(int *p) {\n    if (has() & 128)\n        '
        '__asm__ volatile("xvld $xr0, %0, 0\\n\\txvst $xr0, %0, 0" :: "r"(p) : "memory"); }\n'
    )  # fmt: skip
    return Planted("loongson", "XC-ISA-005", t.file("libz-ng.so", t.c(LOONG, text, "-mlasx", shared=True)))


@row(32)
def detection_always_says_yes(t: Tools, bad: bool) -> Planted:
    # AT_HWCAP is 16, HWCAP_LOONGARCH_LASX bit 5 (asm/hwcap.h).
    has = "1" if bad else "getauxval(16) >> 5 & 1"
    text = (
        "#include <stdio.h>\n#include <sys/auxv.h>\n"
        "int main(void) {\n    int a[8] = {1, 2, 3, 4, 5, 6, 7, 8};\n#ifdef __loongarch__\n"
        f'    if ({has}) __asm__ volatile("xvld $xr0, %0, 0\\n\\txvst $xr0, %0, 0" :: "r"(a) : "memory");\n#endif\n'
        '    return printf("%d\\n", a[7]) < 0;\n}\n'
    )
    return Planted("loongson", "XC-RUN-007", t.subject(BARE, {"u.c": text}), requirement="XC-MRU-025")


@row(33)
def lasx_is_absent(t: Tools, bad: bool) -> Planted:
    text = "void add(int *a, const int *b) { for (int i = 0; i < 64; i++) a[i] += b[i]; }\n"
    data = t.c(LOONG, text, "-O3", "-mlasx" if bad else "-mlsx", shared=True)
    return Planted("loongson_2k3000-kylin_v11", "XC-ISA-004", t.file("libadd.so", data), certainty="certain")


@row(35)
def char_signedness(t: Tools, bad: bool) -> Planted:
    kind = "char" if bad else "signed char"
    text = (
        f'#include <stdio.h>\nint main(void) {{ volatile {kind} c = (char)0xff; printf("%d\\n", (int)c); return 0; }}\n'
    )
    return Planted("kunpeng", "XC-DIF-001", t.subject(BARE, {"u.c": text}), requirement="XC-MRU-011")


@row(37)
def contraction(t: Tools, bad: bool) -> Planted:
    product = "a * b" if bad else "(p = a * b)"
    text = (
        "#include <stdio.h>\nint main(void) {\n    volatile double x = 1.0 + 0x1p-30, y = 1.0 - 0x1p-30, p;\n"
        f"    double a = x, b = y;\n    (void)p;\n    printf(\"%a\\n\", {product} - 1.0);\n    return 0;\n}}\n"
    )  # fmt: skip
    return Planted("kunpeng", "XC-DIF-002", t.subject(BARE, {"u.c": text}), requirement="XC-MRU-011")


@row(38)
def float_to_int(t: Tools, bad: bool) -> Planted:
    convert = "(int)d" if bad else "d > 2147483647.0 ? 2147483647 : (int)d"
    text = f'#include <stdio.h>\nint main(void) {{ volatile double d = 1e10; printf("%d\\n", {convert}); return 0; }}\n'
    return Planted("kunpeng", "XC-DIF-003", t.subject(BARE, {"u.c": text}), requirement="XC-MRU-011")


@row(39)
def green_under_emulation(t: Tools, bad: bool) -> Planted:
    """A flag that is published without a barrier: x86's strong order, which the emulator's threads have, hides it."""
    order = "memory_order_relaxed" if bad else "memory_order_release"
    text = (
        "#include <pthread.h>\n#include <stdatomic.h>\n#include <stdio.h>\nstatic atomic_int ready, data;\n"
        "static void *writer(void *a) {\n    atomic_store_explicit(&data, 42, memory_order_relaxed);\n"
        f"    atomic_store_explicit(&ready, 1, {order});\n    return a;\n}}\n"
        "int main(void) {\n    pthread_t t;\n    pthread_create(&t, NULL, writer, NULL);\n"
        "    while (!atomic_load_explicit(&ready, memory_order_acquire)) ;\n"
        '    printf("%d\\n", atomic_load_explicit(&data, memory_order_relaxed));\n    return pthread_join(t, NULL);\n}\n'
    )
    unit = (
        "units:\n  - {name: u, kind: c, sources: [u.c], links: [pthread], behaviour: threads, "
        'expect: {stdout: "42\\n", source: C11}}\n'
    )
    requirement = "XC-MRU-041" if bad else "XC-MRU-021"
    return Planted("kunpeng", "", t.subject(unit, {"u.c": text}), certainty="inconclusive", requirement=requirement)


@row(40)
def glob_takes_amd64(t: Tools, bad: bool) -> Planted:
    good = "Linux*x86_64) arch=amd64 ;; Linux*aarch64) arch=arm64 ;; Linux*loongarch64) arch=loong64 ;;"
    cases = "Linux*64) arch=amd64 ;;" if bad else good
    script = (
        f'#!/bin/sh\ncase "$(uname -s)$(uname -m)" in\n{cases}\n*) exit 1 ;;\nesac\n'
        "curl -fL -o fzf.tgz https://example.com/fzf/v1/fzf-linux_$arch.tar.gz\n"
    )
    return Planted("loongson", "XC-INS-001", t.subject(INSTALLER, {"install.sh": script}), requirement="XC-MRU-032")


@row(41)
def uname_is_unknown(t: Tools, bad: bool) -> Planted:
    words = "loong64" if bad else "loongarch64 | loong64"
    script = (
        "#!/bin/sh\ncase $(uname -m) in\nx86_64) arch=amd64 ;;\naarch64) arch=arm64 ;;\n"
        f"{words}) arch=loong64 ;;\n*) echo unsupported >&2; exit 1 ;;\nesac\nwget https://example.com/nt_linux_$arch\n"
    )
    return Planted("loongson", "XC-INS-002", t.subject(INSTALLER, {"install.sh": script}), requirement="XC-MRU-031")


@row(42)
def maven_classifier(t: Tools, bad: bool) -> Planted:
    classifier = "linux-aarch64" if bad else "linux-aarch_64"
    pom = f"<project><dependencies><dependency><classifier>{classifier}</classifier></dependency></dependencies></project>"
    return Planted("kunpeng", "XC-JAR-002", t.zip("app.jar", {"META-INF/maven/a/b/pom.xml": pom.encode()}))


@row(43)
def jni_for_amd64_alone(t: Tools, bad: bool) -> Planted:
    files = {"META-INF/native/linux64/librocksdbjni.so": t.c(X86, LIB, shared=True)}
    if not bad:
        files["META-INF/native/linux-aarch64/librocksdbjni.so"] = t.c(ARM, LIB, shared=True)
    inner = t.zip("rocksdbjni.jar", files).read_bytes()
    return Planted("kunpeng", "XC-JAR-001", t.zip("app.jar", {"BOOT-INF/lib/rocksdbjni.jar": inner}))


@row(44)
def unsatisfied_link(t: Tools, bad: bool) -> Planted:
    """On a real JVM of the target: a JNI library that is missing, and the exception that the contract promises, or not."""
    word = "" if bad else ", contracted"
    manifest = (
        "rootfs_packages: [openjdk-17-jre-headless]\nartifacts:\n  - {name: app, files: {arm64: app, amd64: app}}\n"
        "units:\n  - name: u\n    kind: artifact\n    artifact: app\n"
        f"    command: [sh, -c, 'exec $(ls /usr/lib/jvm/*/bin/java | head -1) -XX:-UsePerfData -Xint "
        f'-cp "$0" Main "$@"\', \'{{here}}\'{word}]\n'
        '    expect: {stdout: "native transport is unavailable\\n", source: the contract}\n'
    )
    classes = {f"app/{path.name}": path.read_bytes() for path in sorted((JAVA / "app").iterdir())}
    return Planted("kunpeng", "XC-RUN-005", t.subject(manifest, classes), requirement="XC-MRU-006")


@row(45)
def uos_is_two_editions(t: Tools, bad: bool) -> Planted:
    chosen = (
        "case $ID in uos) apt-get install -y thing ;; esac"
        if bad
        else "if command -v dnf >/dev/null; then dnf install -y thing; else apt-get install -y thing; fi"
    )
    script = f"#!/bin/sh\n. /etc/os-release\n{chosen}\n"
    return Planted("hygon", "XC-INS-003", t.subject(INSTALLER, {"install.sh": script}), requirement="XC-MRU-032")


@row(46)
def no_id_like(t: Tools, bad: bool) -> Planted:
    known = "*rhel*|*fedora*" if bad else "*rhel*|*fedora*|*kylin*"
    script = (
        f'#!/bin/sh\n. /etc/os-release\ncase " $ID $ID_LIKE " in\n{known}) echo good ;;\n'
        "*) echo unsupported distribution >&2; exit 1 ;;\nesac\n"
    )
    return Planted("kunpeng", "XC-INS-004", t.subject(SHELL, {"u.sh": script}), requirement="XC-MRU-031")


@row(47)
def no_model_name(t: Tools, bad: bool) -> Planted:
    fallback = "exit 1" if bad else ":"
    script = (
        '#!/bin/sh\nwhile read -r line; do case $line in "model name"*) found=1 ;; esac; done < /proc/cpuinfo\n'
        f"[ -n \"$found\" ] || {fallback}\necho good\n"
    )  # fmt: skip
    return Planted("phytium", "XC-INS-005", t.subject(SHELL, {"u.sh": script}), requirement="XC-MRU-031")


@row(48)
def image_without_manifest(t: Tools, bad: bool) -> Planted:
    return Planted("loongson", "XC-IMG-001", t.image("image.tar", ["amd64", "arm64", *([] if bad else ["loong64"])]))


@row(50)
def old_world_runtime(t: Tools, bad: bool) -> Planted:
    version = "7.0.0" if bad else "8.0.0"
    config = {"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": version}}}
    t.file("app/app.runtimeconfig.json", json.dumps(config).encode())
    return Planted("loongson", "XC-PKG-006", t.where / "app")
