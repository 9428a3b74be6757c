"""What the instructions of x86-64 are for, and what does the same elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum

from pytest_xinchuang.advise.c.ir import Function, Instruction, Module
from pytest_xinchuang.core.platform import Arch
from pytest_xinchuang.messages import Message, _, verbatim


class Purpose(StrEnum):
    """What an instruction is for."""

    CLOCK = "clock"
    HINT = "hint"
    """It changes how fast something is and nothing else: pause, prefetch, the upper halves of registers."""
    FENCE = "fence"
    PROBE = "probe"
    """It asks the CPU what it can do."""
    ATOMIC = "atomic"
    BITS = "bits"
    CRC = "crc"
    CIPHER = "cipher"
    RANDOM = "random"
    ROUNDING = "rounding"
    ARITHMETIC = "arithmetic"
    STACK = "stack"
    VECTOR = "vector"
    PRIVILEGED = "privileged"
    BREAKPOINT = "breakpoint"
    OTHER = "other"


COUNTERPART = frozenset(
    {
        Purpose.CLOCK,
        Purpose.FENCE,
        Purpose.ATOMIC,
        Purpose.BITS,
        Purpose.CRC,
        Purpose.RANDOM,
        Purpose.ARITHMETIC,
        Purpose.STACK,
    }
)
"""Those that every platform can do in one way or another, so that nobody asks whether they are there."""

_LISTED: Mapping[Purpose, str] = {
    Purpose.CLOCK: "rdtsc rdtscp rdpmc",
    Purpose.HINT: "pause nop nopw nopl emms femms vzeroupper vzeroall clflush clflushopt clwb cldemote umonitor umwait tpause "
    "endbr64 prefetch prefetcht0 prefetcht1 prefetcht2 prefetchnta prefetchw serialize",
    Purpose.FENCE: "mfence lfence sfence",
    Purpose.PROBE: "cpuid xgetbv",
    Purpose.ATOMIC: "lock xchg xadd cmpxchg cmpxchg8b cmpxchg16b xacquire xrelease",
    Purpose.BITS: "bsf bsr lzcnt tzcnt popcnt bswap rol ror bt bts btr btc pdep pext andn bextr",
    Purpose.CRC: "crc32",
    Purpose.RANDOM: "rdrand rdseed",
    Purpose.ROUNDING: "stmxcsr ldmxcsr fldcw fnstcw fstcw fnstsw fnclex fninit",
    Purpose.ARITHMETIC: "mul imul div idiv adc sbb mulx adcx adox add sub neg shl shr sar shld shrd cmov setc seto fsin fcos "
    "fsincos fsqrt fprem fpatan fistp fistpll fisttp sqrtsd sqrtss cvttsd2si cvtsd2si cvtss2si",
    Purpose.PRIVILEGED: "in out inb outb inw outw inl outl rdmsr wrmsr cli sti hlt invlpg lgdt lidt",
    Purpose.BREAKPOINT: "int3 icebp ud2",
}
"""Intel SDM, volume 2; the suffix of the operand's size (b, w, l, q) may stand behind each."""
_MNEMONICS = {name: purpose for purpose, names in _LISTED.items() for name in names.split()}

_INTRINSICS = (
    (r"readcyclecounter|readsteadycounter|x86\.rdtscp?|x86\.rdpmc", Purpose.CLOCK),
    (
        r"prefetch|x86\.sse2\.pause|x86\.sse2\.clflush|x86\.clflushopt|x86\.clwb|x86\.mmx\.emms|x86\.avx\.vzero",
        Purpose.HINT,
    ),
    (r"x86\.sse2?\.[mls]fence", Purpose.FENCE),
    (r"x86\.xgetbv", Purpose.PROBE),
    (r"x86\.sse42\.crc32", Purpose.CRC),
    (r"x86\.(?:aes|vaes|sha|pclmul|vpclmul|vsm)", Purpose.CIPHER),
    (r"x86\.rd(?:rand|seed)", Purpose.RANDOM),
    (r"x86\.sse\.(?:st|ld)mxcsr", Purpose.ROUNDING),
    (r"x86\.(?:bmi|tbm)|x86\.flags", Purpose.BITS),
    (r"x86\.(?:addcarry|subborrow)|x86\.sse2?\.cvt\w*2si", Purpose.ARITHMETIC),
    (r"x86\.", Purpose.VECTOR),
)
"""Names behind ``llvm.`` (llvm/include/llvm/IR/IntrinsicsX86.td)."""

_BYTES = (
    (r"0x0?f\s*,\s*0x31", Purpose.CLOCK),
    (r"0x0?f\s*,\s*0x0?1\s*,\s*0xf9", Purpose.CLOCK),
    (r"0x0?f\s*,\s*0xa2", Purpose.PROBE),
    (r"0x0?f\s*,\s*0x0?1\s*,\s*0xd0", Purpose.PROBE),
    (r"0xf3\s*,\s*0x90", Purpose.HINT),
    (r"0x0?f\s*,\s*0xae\s*,\s*0xf0", Purpose.FENCE),
    (r"0x0?f\s*,\s*0xc7\s*,\s*0xf[0-9a-f]", Purpose.RANDOM),
)
"""Instructions that old assemblers did not know, as people write them: rdtsc, rdtscp, cpuid, xgetbv, pause, mfence, rdrand."""

_PREFIXES = frozenset({"rep", "repe", "repz", "repne", "repnz", "data16", "addr32", "notrack", "bnd"})
_DEPTH = 4
"""How deep calls of a unit's own functions are followed."""


def statements(text: str) -> Iterator[list[str]]:
    """The statements of an assembler text, each as words without prefixes; directives and labels left out."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"\{([^|{}]*)\|[^{}]*\}", r"\1", text)
    for line in re.split(r"[\n;]", text):
        words = line.partition("#")[0].split()
        while words and (words[0].lower() in _PREFIXES or words[0].endswith(":")):
            if words[0].lower() in ("rep", "repz", "repe") and len(words) == 1:
                words = ["pause"]  # "rep; nop" is the old way to write it
                break
            words = words[1:]
        if words and not words[0].startswith("."):
            yield words


def purposes_of(text: str) -> set[Purpose]:
    """What an assembler text is for; none where it is empty."""
    found: set[Purpose] = set()
    found |= {purpose for code, purpose in _BYTES if re.search(rf"\.byte\s+{code}", text.lower())}
    if not found and ".byte" in text:
        found.add(Purpose.OTHER)
    for words in statements(text):
        name = words[0].lower().rstrip(",")
        rest = " ".join(words[1:]).lower()
        purpose = _MNEMONICS.get(name) or (_MNEMONICS.get(name[:-1]) if name[-1:] in "bwlq" else None)
        if (
            purpose is None
            and re.search(r"%{0,2}[xyz]?mm\d|\$\{?\d", rest)
            and re.match(r"v?(?:p|mov[ua]p|movdq)", name)
        ):
            purpose = Purpose.VECTOR
        elif purpose is None and name.startswith("mov") and re.search(r"%{1,2}[er]?[sb]p\b|\brip\b", rest):
            purpose = Purpose.STACK
        found.add(purpose or Purpose.OTHER)
    if Purpose.PROBE in found and Purpose.CLOCK not in found:
        return {Purpose.PROBE}  # with what keeps ebx
    if Purpose.ATOMIC in found:
        # lock; addl $0, 0(%rsp): what is added to its own stack orders memory, and does nothing else.
        return {Purpose.FENCE if re.search(r"[(\[]\s*%{0,2}[er]sp\b", text.lower()) else Purpose.ATOMIC}
    return found


def purpose_of(i: Instruction) -> set[Purpose]:
    """What one instruction of the IR is for, where only a machine of this kind can do it."""
    if i.assembler is not None:
        return purposes_of(i.assembler)
    if i.callee.startswith("llvm."):
        for pattern, purpose in _INTRINSICS:
            if re.match(pattern, i.callee.removeprefix("llvm.")):
                return {purpose}
    if "__cpu_model" in i.symbols or "__cpu_indicator_init" in i.symbols or "__cpu_features2" in i.symbols:
        return {Purpose.PROBE}
    if i.code in ("cmpxchg", "atomicrmw"):
        return {Purpose.ATOMIC}
    return {Purpose.FENCE} if i.code == "fence" and "singlethread" not in i.text else set()


def purposes(
    module: Module, function: Function, elsewhere: Callable[[str], Module | None] = lambda _name: None
) -> set[Purpose]:
    """What a function and the tree's own functions that it calls do that only a machine of this kind can.

    Args:
        elsewhere: the module of another unit that defines a function; one without it where it is assembler.
    """
    found: set[Purpose] = set()
    seen, todo = {function.name}, [(function, module, 0)]
    while todo:
        now, within, depth = todo.pop()
        for i in now.instructions:
            found |= purpose_of(i)
            name = i.callee
            if not name or name in seen or depth >= _DEPTH:
                continue
            seen.add(name)
            if (called := within.functions.get(name)) is not None:
                todo.append((called, within, depth + 1))
            elif (other := elsewhere(name)) is not None:
                if (called := other.functions.get(name)) is not None:
                    todo.append((called, other, depth + 1))
                else:
                    found.add(Purpose.OTHER)  # assembler of a file's own
        if re.search(r"<\d+ x (?:i\d+|float|double)>", now.body):
            found.add(Purpose.VECTOR)
    return found


def words_of(function: Function) -> list[str]:
    """The assembler and the intrinsics of a function, as evidence."""
    said = []
    for i in function.instructions:
        if i.assembler is not None and i.assembler.strip():
            said.append(" ".join(i.assembler.split()))
        elif i.callee.startswith("llvm.") and purpose_of(i):
            said.append(i.callee)
    return list(dict.fromkeys(said))


_MENDS: dict[Purpose, tuple[Callable[[Message], Message], dict[Arch, str]]] = {
    Purpose.CLOCK: (
        lambda own: _(
            "clock_gettime(CLOCK_MONOTONIC), __builtin_readcyclecounter(), or the machine's own counter: {own}", own=own
        ),
        {Arch.ARM64: "mrs %0, cntvct_el0", Arch.LOONG64: "rdtime.d %0, $zero"},
    ),
    Purpose.FENCE: (
        lambda own: _(
            "atomic_thread_fence() of C11, __atomic_thread_fence(), or the machine's own barrier: {own}", own=own
        ),
        {Arch.ARM64: "dmb ish", Arch.LOONG64: "dbar 0"},
    ),
    Purpose.ATOMIC: (
        lambda own: _("<stdatomic.h>, std::atomic or the __atomic_ builtins, which every machine has ({own})", own=own),
        {Arch.ARM64: "ldaxr/stlxr, LSE", Arch.LOONG64: "ll.d/sc.d, am*_db"},
    ),
    Purpose.PROBE: (
        lambda own: _("getauxval(AT_HWCAP): {own}", own=own),
        {Arch.ARM64: "HWCAP_ASIMD, HWCAP_CRC32", Arch.LOONG64: "HWCAP_LOONGARCH_LSX, HWCAP_LOONGARCH_LASX"},
    ),
    Purpose.CRC: (
        lambda own: _("the instruction of this machine, or a table: {own}", own=own),
        {Arch.ARM64: "__crc32cd of <arm_acle.h>", Arch.LOONG64: "__crcc_w_d_w of <larchintrin.h>"},
    ),
    Purpose.BITS: (
        lambda own: _("__builtin_clz, __builtin_ctz, __builtin_popcount, __builtin_bswap32 ({own})", own=own),
        {Arch.ARM64: "clz, rbit, rev", Arch.LOONG64: "clz.d, ctz.d, revb.d"},
    ),
    Purpose.CIPHER: (
        lambda own: _("the instructions of this machine, or the code in C: {own}", own=own),
        {Arch.ARM64: "vaeseq_u8, vmull_p64 of <arm_neon.h>", Arch.LOONG64: "-"},
    ),
    Purpose.RANDOM: (
        lambda own: _("getrandom() ({own})", own=own),
        {Arch.ARM64: "mrs %0, rndr since ARMv8.5", Arch.LOONG64: "-"},
    ),
    Purpose.ROUNDING: (
        lambda own: _("fesetround() and fesetenv() of <fenv.h>; the control register of this machine: {own}", own=own),
        {Arch.ARM64: "fpcr", Arch.LOONG64: "fcsr0"},
    ),
    Purpose.ARITHMETIC: (
        lambda own: _(
            "unsigned __int128, __builtin_mul_overflow, <math.h>; compilers make own instructions of them ({own})",
            own=own,
        ),
        {Arch.ARM64: "mul, umulh", Arch.LOONG64: "mul.d, mulh.du"},
    ),
    Purpose.STACK: (
        lambda own: _("__builtin_frame_address(0), __builtin_return_address(0); registers: {own}", own=own),
        {Arch.ARM64: "sp, x29, x30", Arch.LOONG64: "$sp, $fp, $ra"},
    ),
    Purpose.VECTOR: (
        lambda own: _("code in C, SIMDe, or the vectors of this machine: {own}", own=own),
        {Arch.ARM64: "<arm_neon.h>", Arch.LOONG64: "<lsxintrin.h>, <lasxintrin.h>"},
    ),
    Purpose.HINT: (
        lambda own: _("the hint of this machine: {own}", own=own),
        {Arch.ARM64: "yield, prfm", Arch.LOONG64: "ibar 0, preld"},
    ),
    Purpose.PRIVILEGED: (
        lambda own: _("a driver of the kernel: this machine has no I/O ports or MSRs ({own})", own=own),
        {Arch.ARM64: "mrs", Arch.LOONG64: "csrrd, cpucfg"},
    ),
    Purpose.BREAKPOINT: (
        lambda own: _("raise(SIGTRAP), __builtin_debugtrap() ({own})", own=own),
        {Arch.ARM64: "brk #0", Arch.LOONG64: "break 5"},
    ),
    Purpose.OTHER: (
        lambda _own: _("a body for this machine, or the same in C"),
        {},
    ),
}
"""Intel SDM; Arm ARM (DDI 0487) and ACLE; LoongArch Reference Manual, volume 1; GCC manual, Other Builtins."""

ORDER = tuple(p for p in _MENDS if p is not Purpose.OTHER)


def mend(found: Iterable[Purpose], arch: Arch) -> Message:
    """What does the same on a machine of this architecture."""
    first = next((p for p in ORDER if p in set(found)), Purpose.OTHER)
    told, own = _MENDS[first]
    return told(verbatim(own.get(arch, "-")))
