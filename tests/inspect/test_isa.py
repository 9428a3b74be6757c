"""Encodings of extensions, as an assembler writes them; and libraries that must give no certain alarm."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Arch, Platforms
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.inspect.isa import scan_isa
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.toolchain.builder import Builder, Target

ARM_ARCH = (
    ".arch armv9-a+lse+fp16+rdma+rcpc+sha3+sm4+dotprod+jscvt+fcma+fp16fml+bf16+i8mm+sve+sve2+pauth+flagm+memtag+sb+predres"
    "+crypto+sha2+aes+crc+mops+ls64+cssc"
)

ARM = {
    "atomics": [
        "cas w0,w1,[x2]",
        "casalb w0,w1,[x2]",
        "casp x0,x1,x2,x3,[x4]",
        "ldadd w0,w1,[x2]",
        "ldumaxal x0,x1,[x2]",
        "swpal x0,x1,[x2]",
        "stset w0,[x1]",
    ],
    "lrcpc": ["ldapr x0,[x1]", "ldaprb w0,[x1]"],
    "ilrcpc": ["ldapur x0,[x1,#8]", "stlurb w0,[x1,#1]"],
    "asimdrdm": [
        "sqrdmlah v0.4s,v1.4s,v2.4s",
        "sqrdmlsh v0.4h,v1.4h,v2.h[1]",
        "sqrdmlah s0,s1,s2",
        "sqrdmlsh h0,h1,v2.h[1]",
    ],
    "asimddp": ["udot v0.4s,v1.16b,v2.16b", "sdot v0.4s,v1.16b,v2.4b[1]"],
    "i8mm": [
        "smmla v0.4s,v1.16b,v2.16b",
        "ummla v0.4s,v1.16b,v2.16b",
        "usmmla v0.4s,v1.16b,v2.16b",
        "usdot v0.4s,v1.16b,v2.16b",
        "usdot v0.4s,v1.16b,v2.4b[1]",
        "sudot v0.4s,v1.16b,v2.4b[1]",
    ],
    "bf16": [
        "bfcvt h0,s1",
        "bfcvtn v0.4h,v1.4s",
        "bfdot v0.4s,v1.8h,v2.8h",
        "bfmmla v0.4s,v1.8h,v2.8h",
        "bfmlalb v0.4s,v1.8h,v2.8h",
        "bfmlalt v0.4s,v1.8h,v2.h[1]",
        "bfdot v0.4s,v1.8h,v2.2h[1]",
    ],
    "asimdfhm": [
        "fmlal v0.4s,v1.4h,v2.4h",
        "fmlsl v0.4s,v1.4h,v2.4h",
        "fmlsl2 v0.4s,v1.4h,v2.4h",
        "fmlal v0.4s,v1.4h,v2.h[1]",
        "fmlsl2 v0.4s,v1.4h,v2.h[1]",
    ],
    "fcma": [
        "fcadd v0.4s,v1.4s,v2.4s,#90",
        "fcmla v0.4s,v1.4s,v2.4s,#90",
        "fcmla v0.4s,v1.4s,v2.s[0],#90",
        "fcmla v0.4h,v1.4h,v2.h[0],#180",
    ],
    "jscvt": ["fjcvtzs w0,d1"],
    "fphp": [
        "fadd h0,h1,h2",
        "fmadd h0,h1,h2,h3",
        "fmov h0,#1.0",
        "scvtf h0,w1",
        "fcvtzs w0,h1",
        "fcvtzs x0,h1",
        "scvtf h0,w1,#3",
        "fcmp h0,h1",
        "fcmp h0,#0.0",
        "fccmp h0,h1,#0,eq",
        "fcsel h0,h1,h2,eq",
        "fabs h0,h1",
        "frintx h0,h1",
        "frinta h0,h1",
        "fmov w0,h1",
    ],
    "asimdhp": [
        "fadd v0.8h,v1.8h,v2.8h",
        "fmla v0.8h,v1.8h,v2.h[1]",
        "fmls h0,h1,v2.h[1]",
        "fmul h0,h1,v2.h[1]",
        "fmulx v0.8h,v1.8h,v2.h[1]",
        "fabs v0.8h,v1.8h",
        "fcmgt v0.8h,v1.8h,#0.0",
        "faddp h0,v0.2h",
        "fmaxnmv h0,v0.8h",
        "fminv h0,v0.8h",
        "fmov v0.8h,#1.0",
        "fcvtzs v0.8h,v1.8h,#2",
        "scvtf v0.8h,v1.8h",
        "fcmeq h0,h1,h2",
    ],
    "sha512": ["sha512h q0,q1,v2.2d", "sha512h2 q0,q1,v2.2d", "sha512su0 v0.2d,v1.2d", "sha512su1 v0.2d,v1.2d,v2.2d"],
    "sha3": [
        "rax1 v0.2d,v1.2d,v2.2d",
        "eor3 v0.16b,v1.16b,v2.16b,v3.16b",
        "bcax v0.16b,v1.16b,v2.16b,v3.16b",
        "xar v0.2d,v1.2d,v2.2d,#3",
    ],
    "sm3": [
        "sm3ss1 v0.4s,v1.4s,v2.4s,v3.4s",
        "sm3tt1a v0.4s,v1.4s,v2.s[1]",
        "sm3tt2b v0.4s,v1.4s,v2.s[1]",
        "sm3partw1 v0.4s,v1.4s,v2.4s",
    ],
    "sm4": ["sm4e v0.4s,v1.4s", "sm4ekey v0.4s,v1.4s,v2.4s"],
    "paca": ["braa x0,x1", "blraaz x0", "retaa", "ldraa x0,[x1]", "pacia x0,x1", "xpaci x0"],
    "pacg": ["pacga x0,x1,x2"],
    "flagm": ["cfinv", "rmif x0,#1,#2", "setf8 w0"],
    "flagm2": ["xaflag", "axflag"],
    "frint": ["frint32z s0,s1", "frint64x d0,d1", "frint64x v0.4s,v1.4s", "frint32x v0.2d,v1.2d"],
    "sb": ["sb"],
    "dcpop": ["dc cvap,x0"],
    "dcpodp": ["dc cvadp,x0"],
    "mte": ["irg x0,x1", "stg x0,[x1]", "ldg x0,[x1]", "addg x0,x1,#16,#1"],
    "sve": ["whilelo p0.s,x0,x1", "ld1w {z0.s},p0/z,[x0]", "add z0.s,z1.s,z2.s", "ptrue p0.b"],
    "mops": ["cpyfp [x0]!,[x1]!,x2!"],
    "cssc": ["ctz w0,w1", "cnt x0,x1", "abs x0,x1"],
    "crc32": ["crc32cb w0,w1,w2", "crc32x w0,w1,x2"],
    "aes": ["aese v0.16b,v1.16b", "aesimc v0.16b,v1.16b"],
    "pmull": ["pmull v0.1q,v1.1d,v2.1d", "pmull2 v0.1q,v1.2d,v2.2d"],
    "sha1": ["sha1c q0,s1,v2.4s", "sha1h s0,s1", "sha1su1 v0.4s,v1.4s"],
    "sha2": ["sha256h q0,q1,v2.4s", "sha256su1 v0.4s,v1.4s,v2.4s", "sha256su0 v0.4s,v1.4s"],
    # Plain Armv8.0, or a no-operation there.
    "": [
        "fcvt s0,h1",
        "fcvt h0,s1",
        "fcvt d0,h1",
        "fmadd s0,s1,s2,s3",
        "fmadd d0,d1,d2,d3",
        "pmull v0.8h,v1.8b,v2.8b",
        "paciasp",
        "autiasp",
        "bti c",
        "ldxr w0,[x1]",
        "ldar x0,[x1]",
        "ldaxp x0,x1,[x2]",
        "fmla v0.4s,v1.4s,v2.s[1]",
        "mul v0.8h,v1.8h,v2.h[1]",
        "clz w0,w1",
        "rbit x0,x1",
        "udiv w0,w1,w2",
        "tbl v0.16b,{v1.16b},v2.16b",
        "dc cvau,x0",
        "ldr q0,[x0]",
        "sqrdmulh v0.4s,v1.4s,v2.4s",
        "frintz d0,d1",
        "ccmp x0,x1,#0,eq",
        "fcvtl v0.4s,v1.4h",
        "nop",
        "yield",
        "ldnp x0,x1,[x2]",
        "umull x0,w1,w2",
    ],
}

LOONG = {
    "lsx": [
        "vld $vr0,$a0,0",
        "vst $vr0,$a0,0",
        "vadd.w $vr0,$vr1,$vr2",
        "vfmadd.s $vr0,$vr1,$vr2,$vr3",
        "vbitsel.v $vr0,$vr1,$vr2,$vr3",
        "vshuf.b $vr0,$vr1,$vr2,$vr3",
        "vldrepl.b $vr0,$a0,0",
        "vstelm.d $vr0,$a0,0,0",
        "vldx $vr0,$a0,$a1",
        "vstx $vr0,$a0,$a1",
        "vfcmp.ceq.s $vr0,$vr1,$vr2",
        "vreplgr2vr.w $vr0,$a0",
        "vsetnez.v $fcc0,$vr1",
        "vseq.b $vr0,$vr1,$vr2",
    ],
    "lasx": [
        "xvld $xr0,$a0,0",
        "xvst $xr0,$a0,0",
        "xvadd.w $xr0,$xr1,$xr2",
        "xvfmadd.d $xr0,$xr1,$xr2,$xr3",
        "xvshuf.b $xr0,$xr1,$xr2,$xr3",
        "xvbitsel.v $xr0,$xr1,$xr2,$xr3",
        "xvldrepl.w $xr0,$a0,0",
        "xvstelm.d $xr0,$a0,0,0",
        "xvldx $xr0,$a0,$a1",
        "xvstx $xr0,$a0,$a1",
        "xvfcmp.ceq.d $xr0,$xr1,$xr2",
        "xvreplgr2vr.w $xr0,$a0",
    ],
    "lam_bh": ["amadd.b $a0,$a1,$a2", "amswap_db.h $a0,$a1,$a2"],
    "lamcas": ["amcas.b $a0,$a1,$a2", "amcas_db.d $a0,$a1,$a2"],
    "scq": ["sc.q $a0,$a1,$a2"],
    "llacq_screl": ["llacq.w $a0,$a1", "screl.d $a0,$a1"],
    "frecipe": [
        "frecipe.s $fa0,$fa1",
        "frecipe.d $fa0,$fa1",
        "frsqrte.s $fa0,$fa1",
        "frsqrte.d $fa0,$fa1",
        "vfrecipe.s $vr0,$vr1",
        "xvfrsqrte.d $xr0,$xr1",
    ],
    "lbt_x86": [
        "addu12i.w $a0,$a1,1",
        "adc.b $a0,$a1,$a2",
        "sbc.d $a0,$a1,$a2",
        "rcr.b $a0,$a1,$a2",
        "x86add.b $a0,$a1",
        "setx86j $a0,1",
    ],
    "lbt_arm": ["armadd.w $a0,$a1,1"],
    "crc32": ["crc.w.b.w $a0,$a1,$a2", "crcc.w.d.w $a0,$a1,$a2"],
    "": [
        "amswap.w $a0,$a1,$a2",
        "ammin_db.du $a0,$a1,$a2",
        "fmadd.s $fa0,$fa1,$fa2,$fa3",
        "fsel $fa0,$fa1,$fa2,$fcc0",
        "fcmp.ceq.s $fcc0,$fa0,$fa1",
        "ld.d $a0,$a1,0",
        "ll.w $a0,$a1,0",
        "sc.d $a0,$a1,0",
        "ldx.d $a0,$a1,$a2",
        "fld.d $fa0,$a0,0",
        "fldx.d $fa0,$a0,$a1",
        "bitrev.w $a0,$a1",
        "mul.d $a0,$a1,$a2",
        "alsl.d $a0,$a1,$a2,2",
        "bstrins.d $a0,$a1,7,0",
        "lu12i.w $a0,1",
        "pcaddu18i $a0,1",
        "dbar 0",
        "frecip.s $fa0,$fa1",
        "frsqrt.d $fa0,$fa1",
        "preld 0,$a0,0",
        "ldptr.d $a0,$a1,0",
        "maskeqz $a0,$a1,$a2",
    ],
}

X86 = {
    "pni": ["movddup %xmm0,%xmm1"],
    "ssse3": ["pshufb %xmm0,%xmm1"],
    "sse4_1": ["pinsrq $1,%rax,%xmm0"],
    "sse4_2": ["crc32b %al,%ebx"],
    "popcnt": ["popcnt %eax,%ebx"],
    "cx16": ["cmpxchg16b (%rax)"],
    "avx": ["vaddps %ymm0,%ymm1,%ymm2", "vmovdqa (%rax),%ymm0"],
    "avx2": ["vpaddd %ymm0,%ymm1,%ymm2", "vpbroadcastd %xmm0,%ymm1"],
    "fma": ["vfmadd213ps %xmm0,%xmm1,%xmm2"],
    "bmi2": ["mulx %rax,%rbx,%rcx"],
    "aes": ["aesenc %xmm0,%xmm1"],
    "sha_ni": ["sha256rnds2 %xmm0,%xmm1,%xmm2"],
    "avx512f": ["vaddps %zmm0,%zmm1,%zmm2"],
    "sse4a": ["movntsd %xmm0,(%rax)"],
    # `rep bsf` is what GCC writes for the plain x86-64; it is TZCNT where there is one.
    "": [
        "addps %xmm0,%xmm1",
        "paddq %xmm0,%xmm1",
        "bsf %eax,%ebx",
        "tzcnt %eax,%ebx",
        "endbr64",
        "lock cmpxchg %eax,(%rbx)",
        "nop",
        "pause",
        "cvtsd2si %xmm0,%rax",
        "movnti %rax,(%rbx)",
    ],
}

CASES = {Arch.ARM64: ARM, Arch.LOONG64: LOONG, Arch.AMD64: X86}


def assembled(arch: Arch, line: str, place: Path, platforms: Platforms) -> bytes:
    """A library with one function that has this instruction in its middle."""
    nop = {Arch.ARM64: "nop", Arch.LOONG64: "nop", Arch.AMD64: "nop"}[arch]
    head = {Arch.ARM64: f"{ARM_ARCH}\n"}.get(arch, "")
    source = place / "unit.S"
    source.write_text(
        f"{head}.text\n.globl unit\n.type unit, %function\nunit:\n.cfi_startproc\n{nop}\n{line}\n{nop}\n"
        ".cfi_endproc\n.size unit, .-unit\n"
    )
    flags = ["-nostdlib", *(["-mlsx", "-mlasx"] if arch is Arch.LOONG64 else [])]
    target = Target(arch, platforms.file.architectures[arch], "2.36" if arch is Arch.LOONG64 else "2.28")
    return Builder(Cache()).c(target, [source], flags=flags, shared=True)


@pytest.mark.tools
@pytest.mark.parametrize("arch", list(CASES), ids=str)
def test_each_extension_is_known_by_its_instructions(arch: Arch, tmp_path: Path, platforms: Platforms) -> None:
    """One library for each extension: all of its instructions are of it, and of no other."""
    for feature, lines in CASES[arch].items():
        data = assembled(arch, "\n".join(lines), tmp_path, platforms)
        uses = scan_isa(read_elf(data, "unit"), data).uses
        wanted = {feature: len(lines)} if feature else {}
        counted = {name: use.certain + use.guarded for name, use in uses.items()}
        if feature == "avx512f":
            counted = {"avx512f": counted["avx512f"]}
        assert counted == wanted, (feature, uses)


@pytest.mark.tools
def test_a_data_word_between_functions_is_no_instruction(tmp_path: Path, platforms: Platforms) -> None:
    """A table after a function: its words look like SM4E and LDADD, and are undefined instructions around."""
    table = ".cfi_endproc\n.size unit, .-unit\n.long 0xcec08420, 0, 1, 2, 0xb8200041, 0xffffffff\n.cfi_startproc"
    line = f"nop\n{table}"
    data = assembled(Arch.ARM64, line, tmp_path, platforms)
    uses = scan_isa(read_elf(data, "unit"), data).uses
    assert not any(use.certain for use in uses.values())


@pytest.mark.tools
def test_tables_of_one_extension_hide_no_code_of_another(tmp_path: Path, platforms: Platforms) -> None:
    """OpenSSL's libcrypto, whose code without symbols stands behind hundreds of words that look like others."""
    table = "\n".join(".long 0xb8200041, 0xffffffff" for _ in range(200))
    code = "\n".join(["nop"] * 8 + ["eor3 v0.16b,v1.16b,v2.16b,v3.16b"] * 3 + ["nop"] * 8)
    known = ".globl unit\n.type unit, %function\nunit:\nret\n.size unit, .-unit"
    (tmp_path / "unit.S").write_text(f"{ARM_ARCH}\n.text\n{known}\n{table}\n{code}\n")
    target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.28")
    data = Builder(Cache()).c(target, [tmp_path / "unit.S"], flags=["-nostdlib"], shared=True)
    uses = scan_isa(read_elf(data, "unit"), data).uses
    assert {name: (use.certain, use.guarded) for name, use in uses.items()} == {"sha3": (0, 3)}


@pytest.mark.tools
def test_a_library_that_asks_is_guarded(tmp_path: Path, platforms: Platforms) -> None:
    source = tmp_path / "u.c"
    source.write_text(
        "unsigned long getauxval(unsigned long);\nint f(int *p) {\n    int r = 0;\n    if (getauxval(16) & 256)\n"
        '        __asm__ volatile(".arch_extension lse\\n\\tldadd %w1, %w0, [%2]" : "=r"(r) : "r"(1), "r"(p));\n'
        "    return r;\n}\n"
    )
    target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.28")
    data = Builder(Cache()).c(target, [source], shared=True)
    use = scan_isa(read_elf(data, "u"), data).uses["atomics"]
    assert (use.certain, use.guarded) == (0, 1)


@pytest.mark.tools
def test_outline_atomics_are_left_out(tmp_path: Path, platforms: Platforms) -> None:
    source = tmp_path / "u.c"
    source.write_text("int n;\nint f(int x) { return __atomic_fetch_add(&n, x, __ATOMIC_SEQ_CST); }\n")
    target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.28")
    data = Builder(Cache()).c(target, [source], flags=["-moutline-atomics"], shared=True)
    assert b"\x00\xe0\x20" not in data or not scan_isa(read_elf(data, "u"), data).uses.get("atomics")


@pytest.mark.tools
def test_section_headers_that_lie_hide_no_code(tmp_path: Path, platforms: Platforms) -> None:
    """The executable flag of .text taken away: the kernel does not mind, and neither does the scan."""
    data = bytearray(assembled(Arch.ARM64, "ldadd w0,w1,[x2]", tmp_path, platforms))
    shoff = int.from_bytes(data[40:48], "little")
    count = int.from_bytes(data[60:62], "little")
    for index in range(count):
        at = shoff + 64 * index + 8
        flags = int.from_bytes(data[at : at + 8], "little")
        data[at : at + 8] = (flags & ~4).to_bytes(8, "little")
    assert scan_isa(read_elf(bytes(data), "u"), bytes(data)).uses["atomics"].certain == 1
    # And without any section headers.
    data[40:48] = bytes(8)
    data[60:64] = bytes(4)
    assert scan_isa(read_elf(bytes(data), "u"), bytes(data)).uses["atomics"].certain == 1


REAL = {
    "kunpeng": "bullseye-arm64",
    "phytium": "bullseye-arm64",
    "hygon": "bullseye-amd64",
    "zhaoxin": "bullseye-amd64",
    "loongson": "forky-loong64",
}


@pytest.mark.sandbox
@pytest.mark.parametrize("name", REAL)
def test_openssl_glibc_and_zlib_give_no_certain_alarm(name: str, platforms: Platforms, store: Store) -> None:
    platform = platforms.get(name)
    tree = store.rootfs(REAL[name]).path
    wanted = (
        "libcrypto.so.*",
        "libssl.so.*",
        "libc.so.6",
        "libc-2*.so",
        "libm.so.6",
        "libm-2*.so",
        "libz.so.1.*",
        "ld-*.so*",
        "libstdc++.so.6.*",
    )
    paths = {
        p.resolve() for pattern in wanted for p in tree.glob(f"**/{pattern}") if p.is_file() and not p.is_symlink()
    }
    assert len(paths) >= 5
    inspector = Inspector()
    for path in sorted(paths):
        data = path.read_bytes()
        if data[:4] != b"\x7fELF":
            continue
        record = inspector.object(data, path.name, str(path))
        assert record.isa is not None and record.isa.scanned > 10_000
        verdicts = Verdicts(platform, platforms.file.architectures)
        from pytest_xinchuang.inspect.rules.isa_rules import check_isa

        check_isa(verdicts.judge, record)
        certain = [f for f in verdicts.judge.findings if f.certainty is Certainty.CERTAIN]
        assert not certain, (path.name, certain)


@pytest.mark.tools
def test_a_file_on_disk_that_reads_cpuinfo_is_guarded(tmp_path: Path, platforms: Platforms) -> None:
    """Files are memory maps, archives' members bytes: both are searched."""
    source = tmp_path / "u.c"
    source.write_text(
        'const char *where = "/proc/cpuinfo";\nint f(int *p) { int r;\n'
        '    __asm__(".arch_extension lse\\n\\tldadd %w1, %w0, [%2]" : "=r"(r) : "r"(1), "r"(p)); return r; }\n'
    )
    target = Target(Arch.ARM64, platforms.file.architectures[Arch.ARM64], "2.28")
    path = tmp_path / "libu.so"
    path.write_bytes(Builder(Cache()).c(target, [source], shared=True))
    record = Inspector().read(path).records[0]
    assert record.isa is not None and record.isa.asks == "it reads /proc/cpuinfo"
