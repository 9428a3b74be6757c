"""What the kernel answers to: system registers, calls by number, modules by vermagic; and the exit status of what is open."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.finding import Certainty, Finding, load_findings
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.isa import scan_isa
from pytest_xinchuang.inspect.rules import judge
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import Builder, Target

MRS = 'unsigned long v; __asm__ volatile("mrs %0, ID_AA64ISAR0_EL1" : "=r"(v));'
ASKED = "unsigned long getauxval(unsigned long);\n"
BARE = """
long call(long number) {
    (void)number;
#ifdef __aarch64__
    register long x8 __asm__("x8") = NUMBER; register long x0 __asm__("x0") = 0;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8) : "memory"); return x0;
#else
    long r; __asm__ volatile("syscall" : "=a"(r) : "a"(NUMBER) : "rcx", "r11", "memory"); return r;
#endif
}
void _start(void) { call(NUMBER); for (;;) {} }
"""


def found(data: bytes, platform: str, platforms: Platforms, place: Path) -> list[Finding]:
    path = place / "object"
    path.write_bytes(data)
    chosen = platforms.get(platform)
    findings = Verdicts(chosen, platforms.file.architectures).of(Inspector().read(path))
    catalogue = load_findings()
    for finding in findings:
        assert "{" not in catalogue.text(finding).render("zh")
    return findings


def built(source: str, arch: Arch, place: Path, platforms: Platforms, *flags: str, shared: bool = False) -> bytes:
    path = place / "u.c"
    path.write_text(source)
    target = Target(arch, platforms.file.architectures[arch], "2.28")
    return Builder(Cache()).c(target, [path], flags=["-w", "-O1", *flags], shared=shared)


def only(findings: list[Finding], code: str) -> list[Certainty]:
    return [f.certainty for f in findings if f.code == code]


@pytest.mark.tools
def test_id_registers_are_answered_since_4_11(tmp_path: Path, platforms: Platforms) -> None:
    data = built(f"int main(void) {{ {MRS} return v & 1; }}\n", Arch.ARM64, tmp_path, platforms)
    assert only(found(data, "phytium_d2000-kylin_desktop_v10", platforms, tmp_path), "XC-ISA-009") == [
        Certainty.CERTAIN
    ]
    assert not only(found(data, "phytium", platforms, tmp_path), "XC-ISA-009")
    assert only(found(data, "phytium_d2000-uos_desktop_25", platforms, tmp_path), "XC-ISA-009") == [Certainty.UNDECIDED]
    # HWCAP_CPUID is bit 11 of AT_HWCAP.
    source = f"{ASKED}int main(void) {{ if (!(getauxval(16) & 1 << 11)) return 0; {MRS} return v & 1; }}\n"
    data = built(source, Arch.ARM64, tmp_path, platforms)
    assert only(found(data, "phytium_d2000-kylin_desktop_v10", platforms, tmp_path), "XC-ISA-009") == [
        Certainty.GUARDED
    ]


@pytest.mark.tools
@pytest.mark.parametrize(("line", "feature"), [
    ("mrs x0, S3_3_C2_C4_0", "rng"),
    (".inst 0xd503413f", "ssbs"),
    (".inst 0xd53b42c0", "ssbs"),
    (".inst 0xd503415f", "dit"),
    (".inst 0xd51b42a0", "dit"),
    (".inst 0xd50b7380", "specres"),
    (".inst 0xd503323f", "xs"),
    (".inst 0xd5031000", "wfxt"),
    (".inst 0xd503477f", "sme"),
])  # fmt: skip
def test_system_registers_and_barriers(line: str, feature: str, tmp_path: Path, platforms: Platforms) -> None:
    source = f'int main(void) {{ __asm__ volatile("{line}" ::: "x0"); return 0; }}\n'
    findings = found(built(source, Arch.ARM64, tmp_path, platforms), "kunpeng", platforms, tmp_path)
    assert [(f.certainty, f.params["feature"]) for f in findings if f.code.startswith("XC-ISA")] == [
        (Certainty.CERTAIN, feature)
    ]


OF_ALL = (".inst 0xd503203f", ".inst 0xd503233f", ".inst 0xd5033f9f", ".inst 0xd53bd040", "mrs x0, cntvct_el0")


@pytest.mark.tools
@pytest.mark.parametrize("line", OF_ALL)
def test_what_every_armv8_runs(line: str, tmp_path: Path, platforms: Platforms) -> None:
    """NOP's neighbours, PACIASP, DSB SY, TPIDR_EL0 and the counter."""
    source = f'int main(void) {{ __asm__ volatile("{line}" ::: "x0"); return 0; }}\n'
    findings = found(built(source, Arch.ARM64, tmp_path, platforms), "kunpeng", platforms, tmp_path)
    assert not [f for f in findings if f.code.startswith("XC-ISA")]


@pytest.mark.tools
@pytest.mark.parametrize(("arch", "new", "old"), [(Arch.ARM64, "kunpeng920-kylin_v11", "kunpeng"),
                                                  (Arch.AMD64, "hygon_c86-kylin_v11", "hygon_c86-kylin_v10_sp3")])  # fmt: skip
def test_a_call_by_number(arch: Arch, new: str, old: str, tmp_path: Path, platforms: Platforms) -> None:
    """io_uring_setup is 425 everywhere, since Linux 5.1; getpid is old."""
    data = built(BARE, arch, tmp_path, platforms, "-nostdlib", "-static", "-DNUMBER=425")
    findings = found(data, old, platforms, tmp_path)
    assert only(findings, "XC-SYS-001") == [Certainty.GUARDED]
    assert [f.params["call"] for f in findings if f.code == "XC-SYS-001"] == ["io_uring_setup"]
    assert not only(found(data, new, platforms, tmp_path), "XC-SYS-001")
    data = built(BARE, arch, tmp_path, platforms, "-nostdlib", "-static", "-DNUMBER=172")
    assert not only(found(data, old, platforms, tmp_path), "XC-SYS-001")
    # What a C library itself makes, with another way, is no more than worth knowing in a static program.
    statx = "-DNUMBER=439"  # faccessat2
    assert only(found(built(BARE, arch, tmp_path, platforms, "-nostdlib", "-static", statx), old, platforms, tmp_path),
                "XC-SYS-001") == [Certainty.NOTE]  # fmt: skip


@pytest.mark.tools
@pytest.mark.parametrize(("magic", "certainty"), [
    ("4.19.90-89.11.v2401.ky10.aarch64 SMP mod_unload modversions aarch64", Certainty.GUARDED),
    ("5.10.0-136.12.0.86.oe2203sp1.aarch64 SMP mod_unload modversions aarch64", Certainty.CERTAIN),
    ("4.19.117-generic SMP mod_unload aarch64", Certainty.CERTAIN),
    ("4 SMP", Certainty.GUARDED),
])  # fmt: skip
def test_a_kernel_module(magic: str, certainty: Certainty, tmp_path: Path, platforms: Platforms) -> None:
    """Its instructions are the kernel's to replace; its vermagic says for which."""
    source = (
        f'const char magic[] __attribute__((section(".modinfo"), used)) = "license=GPL\\0vermagic={magic}";\n'
        'int init(int *p) { int r; __asm__(".arch_extension lse\\n\\tldadd %w1, %w0, [%2]" : "=r"(r) : "r"(1), "r"(p));'
        " return r; }\n"
    )
    findings = found(built(source, Arch.ARM64, tmp_path, platforms, "-c"), "phytium", platforms, tmp_path)
    assert only(findings, "XC-SYS-002") == [certainty]
    assert only(findings, "XC-ISA-002") == [Certainty.GUARDED]


@pytest.mark.tools
def test_what_only_a_run_decides_is_not_clean(
    tmp_path: Path, platforms: Platforms, capsys: pytest.CaptureFixture[str]
) -> None:
    asm = '__asm__(".arch_extension lse\\n\\tldadd %w1, %w0, [%2]" : "=r"(r) : "r"(1), "r"(p));'
    source = f"{ASKED}int f(int *p) {{ int r = 0; if (getauxval(16) & 256) {asm} return r; }}\n"
    path = tmp_path / "libf.so"
    path.write_bytes(built(source, Arch.ARM64, tmp_path, platforms, shared=True))
    assert main(["inspect", str(path), "--platform=phytium"]) == 3
    assert main(["inspect", str(path), "--platform=kunpeng"]) == 0
    assert main(["inspect", str(path), "--platform=phytium", "--strict"]) == 1
    assert "XC-ISA-002" in capsys.readouterr().out


def test_damaged_modules_and_texts_are_read_all_the_same(tmp_path: Path) -> None:
    """A module whose vermagic never ends, and one that is empty."""
    from pytest_xinchuang.inspect.elf_reader import read_elf
    from pytest_xinchuang.inspect.isa_whole import vermagic_of

    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 1, 183, 1, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0)
    for tail, wanted in (
        (b"\0vermagic=", ""),
        (b"\0vermagic=" + b"5" * 9999, "5" * 256),
        (b"\0vermagic=\xff\0", "\\xff"),
    ):
        data = head + tail
        assert vermagic_of(read_elf(data, "m.ko"), data) == wanted


OLD_TIME = '__asm__(".text\\n.globl now\\n.type now,@function\\nnow: {load}\\n\\t{call}\\n\\tret\\n.size now,.-now");\n'


@pytest.mark.tools
@pytest.mark.parametrize(("load", "call", "function"), [
    ("mov $0xffffffffff600400, %rax", "call *%rax", "time"),
    ("movabs $0xffffffffff600000, %rax\\n\\tsub $8, %rsp", "call *%rax\\n\\tadd $8, %rsp", "gettimeofday"),
    ("mov $0xffffffffff600800, %r11\\n\\txor %edi, %edi", "jmp *%r11", "getcpu"),
    ("mov $0xffffffffff600400, %rcx", "call *%rax", ""),
    ("mov $0xffffffffff600400, %rax", "cmp %rax, %rdi", ""),
    ("mov $0xffffffffff600400, %rax", "call *%r8", ""),
    ("mov $0x600400, %rax", "call *%rax", ""),
])  # fmt: skip
def test_calls_into_the_vsyscall_page(
    load: str, call: str, function: str, tmp_path: Path, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As glibc 2.12's time() does; a program that only compares with the address does not."""
    data = built(OLD_TIME.format(load=load, call=call), Arch.AMD64, tmp_path, platforms, shared=True)
    findings = found(data, "hygon", platforms, tmp_path)
    told = [(f.certainty, f.params["function"]) for f in findings if f.code == "XC-SYS-015"]
    assert told == ([(Certainty.UNDECIDED, function)] if function else [])
    root = tmp_path / "root/boot"
    root.mkdir(parents=True)
    monkeypatch.setattr(judge, "own_rootfs", lambda platform: tmp_path / "root")
    for text, wanted in (
        ("CONFIG_X86=y\nCONFIG_X86_VSYSCALL_EMULATION=y\nCONFIG_LEGACY_VSYSCALL_XONLY=y\n", []),
        ("CONFIG_X86=y\nCONFIG_X86_VSYSCALL_EMULATION=y\nCONFIG_LEGACY_VSYSCALL_NONE=y\n", [Certainty.CERTAIN]),
        ("CONFIG_X86=y\n# CONFIG_X86_VSYSCALL_EMULATION is not set\n", [Certainty.CERTAIN]),
        ("CONFIG_ARM64=y\n", [Certainty.UNDECIDED]),
    ):
        (root / "config-4.19.90").write_text(text)
        assert only(found(data, "hygon", platforms, tmp_path), "XC-SYS-015") == (wanted if function else [])


@pytest.mark.tools
@pytest.mark.parametrize(("text", "name"), [
    ("<jemalloc>: Unsupported system page size\\n", "jemalloc"),
    ("(malloc) Compile-time page size does not divide the runtime one.\\n", "mozjemalloc"),
    ("page size", ""),
])  # fmt: skip
def test_allocators_for_one_page_size(text: str, name: str, tmp_path: Path, platforms: Platforms) -> None:
    source = f'const char *said(void) {{ return "{text}"; }}\n'
    data = built(source, Arch.ARM64, tmp_path, platforms, shared=True)
    told = [f.params["allocator"] for f in found(data, "kunpeng", platforms, tmp_path) if f.code == "XC-ELF-027"]
    page = platforms.get("kunpeng").page_size
    assert page is not None
    assert told == ([name] if name and page.value != 4096 else [])


TRAPS = {
    Arch.AMD64: 'register long r __asm__("rax") = n;'
    ' __asm__ volatile("syscall" : "+r"(r) : "D"(a), "S"(b) : "rcx", "r11", "memory");',
    Arch.ARM64: 'register long k __asm__("x8") = n; register long r __asm__("x0") = a; register long s __asm__("x1") = b;'
    ' __asm__ volatile("svc #0" : "+r"(r) : "r"(k), "r"(s) : "memory");',
    Arch.LOONG64: 'register long k __asm__("$a7") = n; register long r __asm__("$a0") = a; register long s __asm__("$a1") = b;'
    ' __asm__ volatile("syscall 0" : "+r"(r) : "r"(k), "r"(s) : "memory");',
}  # fmt: skip
"""A system call of a number that stands in a variable."""

KEEP = "__attribute__((noinline, noclone)) "


def calls_of(source: str, arch: Arch, tmp_path: Path, platforms: Platforms, *flags: str) -> set[int]:
    data = built(source, arch, tmp_path, platforms, "-nostdlib", "-static", "-fno-sanitize=all", *flags)
    return set(scan_isa(read_elf(data, "x"), data).calls)


@pytest.mark.tools
@pytest.mark.parametrize("arch", list(TRAPS))
@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), ("-Os", "-s"), ("-O1", "-s")])
def test_a_call_whose_number_the_caller_of_a_wrapper_hands_over(
    arch: Arch, flags: tuple[str, ...], tmp_path: Path, platforms: Platforms
) -> None:
    first = f"{KEEP}long call(long n, long a, long b) {{ {TRAPS[arch]} return r; }}\n"
    last = f"{KEEP}long call(long a, long b, long n) {{ {TRAPS[arch]} return r; }}\n"
    body = "void _start(void) {{ long x[16]; long f = {0}; call({1}, 0); for (;;) x[0] = f; }}\n"
    told = calls_of(first + body.format("call(425, 4, (long)x)", "172, 0"), arch, tmp_path, platforms, *flags)
    assert told == {425, 172}
    told = calls_of(last + body.format("call(4, (long)x, 434)", "0, 0"), arch, tmp_path, platforms, *flags)
    assert told == {434, 0}
    # Through another wrapper; what is computed stays open, and a number among the other arguments is none.
    outer = f"{KEEP}long outer(long n, long a) {{ return call(n, a, 425) + 1; }}\nvolatile long number;\n"
    told = calls_of(first + outer + body.format("outer(437, 1)", "number, 0"), arch, tmp_path, platforms, *flags)
    assert told == {437}


OF_LIBC = {
    Arch.AMD64: "movq %rdi,%rax; movq %rsi,%rdi; movq %rdx,%rsi; movq %rcx,%rdx; movq %r8,%r10; movq %r9,%r8; movq 8(%rsp),%r9;"
    " syscall; cmpq $-4095,%rax; ret",
    Arch.ARM64: "uxtw x8,w0; mov x0,x1; mov x1,x2; mov x2,x3; mov x3,x4; mov x4,x5; mov x5,x6; mov x6,x7; svc #0; ret",
    Arch.LOONG64: "move $t0,$a0; move $a0,$a1; move $a1,$a2; move $a2,$a3; move $a3,$a4; move $a7,$t0; syscall 0; jr $ra",
}
"""What the function `syscall` of C libraries does."""


@pytest.mark.tools
@pytest.mark.parametrize("arch", list(TRAPS))
def test_a_call_through_the_function_of_a_libc_that_is_linked_in(
    arch: Arch, tmp_path: Path, platforms: Platforms
) -> None:
    libc = f'__asm__(".text\\n.globl syscall\\nsyscall: {OF_LIBC[arch]}");\nlong syscall(long, ...);\n'
    body = "void _start(void) {{ long p[200]; if (syscall({0}, 8, p) < 0) syscall(93, 1); for (;;) ; }}\n"
    for number in (425, 172):
        assert calls_of(libc + body.format(number), arch, tmp_path, platforms, "-s") == {number, 93}


DYNAMIC = """long syscall(long, ...);
extern int atoi(const char *);
static __attribute__((noinline)) long twice(long n, void *p) {{ syscall({second}, 8, p); return syscall(n, 8, p); }}
int main(int argc, char **argv) {{
    long p[16];
    if (argc == 2) return syscall({first}, 8, p);
    syscall(atoi(argv[0]), 425);
    return (int)twice({third}, p) + (int)syscall({first}, p);
}}
"""
"""Calls at which the number is a constant, comes from a caller, and is read from the command line."""


def through_libc(arch: Arch, place: Path, platforms: Platforms, *flags: str, **numbers: int) -> bytes:
    path = place / "u.c"
    path.write_text(DYNAMIC.format(**numbers))
    target = Target(arch, platforms.file.architectures[arch], "2.36" if arch is Arch.LOONG64 else "2.28")
    shared = "-fPIC" in flags
    return Builder(Cache()).c(target, [path], flags=["-w", "-fno-sanitize=all", *flags], shared=shared)


@pytest.mark.tools
@pytest.mark.parametrize("arch", list(TRAPS))
@pytest.mark.parametrize("flags", [
    ("-O0",), ("-O2",), ("-O2", "-s"), ("-O1", "-fno-plt"), ("-O2", "-fPIC"), ("-Os", "-fPIC", "-fno-plt", "-s"),
    ("-O2", "-Wl,-z,lazy"),
])  # fmt: skip
def test_a_call_through_the_function_of_a_libc_that_the_loader_brings(
    arch: Arch, flags: tuple[str, ...], tmp_path: Path, platforms: Platforms
) -> None:
    """Through the procedure linkage table, and through the slot that the loader fills in."""
    data = through_libc(arch, tmp_path, platforms, *flags, first=425, second=434, third=437)
    elf = read_elf(data, "x")
    assert "syscall" in elf.imports
    assert set(scan_isa(elf, data).calls) == {425, 434, 437}


@pytest.mark.tools
@pytest.mark.parametrize(("arch", "new", "old"), [(Arch.ARM64, "kunpeng920-kylin_v11", "kunpeng"),
                                                  (Arch.AMD64, "hygon_c86-kylin_v11", "hygon_c86-kylin_v10_sp3")])  # fmt: skip
def test_what_a_dynamic_program_asks_of_the_kernel_through_libc(
    arch: Arch, new: str, old: str, tmp_path: Path, platforms: Platforms
) -> None:
    """io_uring_setup and faccessat2, which a program that names its number makes for itself; older numbers are silent."""
    data = through_libc(arch, tmp_path, platforms, "-O2", first=425, second=172, third=439)
    told = [(f.params["call"], f.certainty) for f in found(data, old, platforms, tmp_path) if f.code == "XC-SYS-001"]
    assert told == [("faccessat2", Certainty.GUARDED), ("io_uring_setup", Certainty.GUARDED)]
    assert not only(found(data, new, platforms, tmp_path), "XC-SYS-001")
    data = through_libc(arch, tmp_path, platforms, "-O2", first=172, second=63, third=64)
    assert not only(found(data, old, platforms, tmp_path), "XC-SYS-001")
    # What Rust's standard library makes has another way there.
    comment = '__asm__(".section .comment\\n.string \\"rustc version 1.80.0 (0 0)\\"\\n.previous");\n'
    path = tmp_path / "u.c"
    path.write_text(comment + DYNAMIC.format(first=425, second=172, third=439))
    target = Target(arch, platforms.file.architectures[arch], "2.28")
    data = Builder(Cache()).c(target, [path], flags=["-w", "-O2", "-fno-sanitize=all"])
    told = [(f.params["call"], f.certainty) for f in found(data, old, platforms, tmp_path) if f.code == "XC-SYS-001"]
    assert told == [("faccessat2", Certainty.NOTE), ("io_uring_setup", Certainty.GUARDED)]
