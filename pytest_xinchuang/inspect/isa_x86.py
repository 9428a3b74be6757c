"""Extensions of x86-64 in an object's code, by a linear sweep from each known function with iced's decoder."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Any

from iced_x86 import (
    CpuidFeature,
    Decoder,
    FlowControl,
    Formatter,
    FormatterSyntax,
    Mnemonic,
    OpKind,
    Register,
    RegisterExt,
)

from pytest_xinchuang.inspect.elf import ElfObject, Function
from pytest_xinchuang.inspect.isa_flow import Kind, Operation
from pytest_xinchuang.inspect.isa_hits import MAX_CALLS, MAX_QUESTIONS, NUMBER_BEFORE, Hit, Hits, Question
from pytest_xinchuang.inspect.isa_image import Image
from pytest_xinchuang.inspect.isa_steps import ABSOLUTE, UNKNOWN, Does, Machine, Place, Step
from pytest_xinchuang.inspect.isa_wrappers import calls_libc, wrapped_calls
from pytest_xinchuang.inspect.isa_x86_marks import marks_in

FEATURES = {
    # iced's names of CPUID features -> Linux's names in /proc/cpuinfo (arch/x86/include/asm/cpufeatures.h). What is not
    # here is of the plain x86-64, a no-operation where it is missing, or for kernels.
    "SSE3": "pni", "SSSE3": "ssse3", "SSE4_1": "sse4_1", "SSE4_2": "sse4_2", "POPCNT": "popcnt", "CMPXCHG16B": "cx16",
    "AVX": "avx", "AVX2": "avx2", "FMA": "fma", "FMA4": "fma4", "XOP": "xop", "TBM": "tbm", "F16C": "f16c", "BMI1": "bmi1",
    "BMI2": "bmi2", "LZCNT": "lzcnt", "MOVBE": "movbe", "ADX": "adx", "RDSEED": "rdseed", "RDRAND": "rdrand", "AES": "aes",
    "PCLMULQDQ": "pclmulqdq", "SHA": "sha_ni", "SSE4A": "sse4a", "RDPID": "rdpid", "GFNI": "gfni", "VAES": "vaes",
    "VPCLMULQDQ": "vpclmulqdq", "AVX_VNNI": "avx_vnni", "AVX_IFMA": "avx_ifma", "AVX_VNNI_INT8": "avx_vnni_int8",
    "AVX_VNNI_INT16": "avx_vnni_int16", "AVX_NE_CONVERT": "avx_ne_convert", "SHA512": "sha512", "SM3": "sm3", "SM4": "sm4",
    "AVX512F": "avx512f", "AVX512CD": "avx512cd", "AVX512DQ": "avx512dq", "AVX512BW": "avx512bw", "AVX512VL": "avx512vl",
    "AVX512_IFMA": "avx512ifma", "AVX512_VBMI": "avx512vbmi", "AVX512_VBMI2": "avx512_vbmi2", "AVX512_VNNI": "avx512_vnni",
    "AVX512_BITALG": "avx512_bitalg", "AVX512_VPOPCNTDQ": "avx512_vpopcntdq", "AVX512_BF16": "avx512_bf16",
    "AVX512_FP16": "avx512_fp16", "AVX512ER": "avx512er", "AVX512PF": "avx512pf", "AVX512_VP2INTERSECT": "avx512_vp2intersect",
    "AMX_TILE": "amx_tile", "AMX_INT8": "amx_int8", "AMX_BF16": "amx_bf16", "AMX_FP16": "amx_fp16", "RTM": "rtm",
    "D3NOW": "3dnow", "D3NOWEXT": "3dnowext", "PADLOCK_ACE": "ace", "PADLOCK_PHE": "phe", "PADLOCK_PMM": "pmm",
    "PADLOCK_GMI": "ccs", "PADLOCK_RNG": "rng", "CLDEMOTE": "cldemote", "MOVDIRI": "movdiri", "MOVDIR64B": "movdir64b",
    "WAITPKG": "waitpkg", "KL": "keylocker", "WIDE_KL": "keylocker", "CLWB": "clwb", "CLFLUSHOPT": "clflushopt",
    "FSGSBASE": "fsgsbase",
}  # fmt: skip

MAX_LENGTH = 15
"""Bytes of an instruction (Intel SDM volume 2, 2.3.11)."""

ASK, INVALID = "?", "!"
"""Pseudo-features: the instruction asks the CPU what it has; the bytes are no instruction."""

_NAMES = {value: name for name, value in vars(CpuidFeature).items() if name.isupper() and isinstance(value, int)}
_ASKING = frozenset(v for n, v in vars(CpuidFeature).items() if n == "CPUID")


@functools.cache
def _formatter() -> Any:
    return Formatter(FormatterSyntax.INTEL)


def scan_x86(elf: ElfObject, data: bytes) -> Hits:
    """The hits of ``elf``, and the instructions by which its code asks the CPU."""
    hits: list[Hit] = []
    questions: list[Question] = []
    calls: list[tuple[int, int]] = []
    unset: list[int] = []
    for part in elf.code:
        marks = marks_in(data, part.offset, part.offset + part.size)
        syscalls = _places(data, b"\x0f\x05", part.offset, part.offset + part.size)
        base = part.offset if elf.relocatable else part.address
        moved = part.offset - base
        for begin, end, function in _stretches(base, base + part.size, elf.functions):
            first, last = begin + moved, end + moved
            if syscalls and _is_in(syscalls, first, last - 1):
                set_before = _kernel_calls(bytes(data[first:last]), begin)
                calls += set_before
                mine = (at - moved for at in syscalls[bisect_left(syscalls, first) : bisect_left(syscalls, last)])
                unset += set(mine) - dict(set_before).keys()
            at = bisect_left(marks, last)
            if at and marks[at - 1] >= first:
                seen = min(marks[at - 1] + MAX_LENGTH, last)
                if not _PLAIN.issuperset(map(_CODE, Decoder(64, bytes(data[first:seen]), ip=begin))):
                    found, asked = _stretch(bytes(data[first:last]), begin, function)
                    hits += found
                    # Outside of a function two bytes of data may look like it.
                    if function is not None or not elf.functions:
                        questions += asked
    if (unset or calls_libc(elf)) and not elf.is_go:
        calls += wrapped_calls(elf, data, sorted(unset), WRAPPERS)
    few = tuple(questions[:MAX_QUESTIONS])
    return Hits(hits, few, len(questions) > len(few), tuple(calls[:MAX_CALLS]))


def _stretch(raw: bytes, begin: int, function: Function | None) -> tuple[list[Hit], list[Question]]:
    """What stands in one stretch of code."""
    questions: list[Question] = []
    invalid = False
    found: dict[str, list[Any]] = {}
    known = _CODES.get
    for instruction in Decoder(64, raw, ip=begin):
        features = known(instruction.code)
        if features is None:
            features = _features_of(instruction)
        for feature in features:
            if feature == ASK:
                questions.append(Question(instruction.ip, "CPUID"))
            elif feature == INVALID:
                invalid = True
            elif feature in found:
                found[feature][0] += 1
            else:
                found[feature] = [1, instruction.copy()]
    # A function with an undecodable place holds data: what looks like an instruction there may be none.
    hits = [
        Hit(feature, first.ip, _formatter().format(first), function, sure=not invalid, count=count)
        for feature, (count, first) in found.items()
    ]
    return hits, questions


_CODE = attrgetter("code")
_PLAIN = {0}
"""Codes of instructions that are of no extension, as far as they were met; and of bytes that are no instruction."""
_CODES: dict[int, tuple[str, ...]] = {}
"""What codes are of, as far as they were met."""


def _features_of(instruction: Any) -> tuple[str, ...]:
    features = _CODES.get(instruction.code)
    if features is None:
        features = _CODES[instruction.code] = _features(instruction)
        if not features:
            _PLAIN.add(instruction.code)
    return features


def _places(data: Any, wanted: bytes, begin: int, end: int) -> list[int]:
    """Where some bytes stand."""
    found = []
    at = data.find(wanted, begin, end)
    while at >= 0:
        found.append(at)
        at = data.find(wanted, at + len(wanted), end)
    return found


def _is_in(places: list[int], begin: int, end: int) -> bool:
    at = bisect_left(places, begin)
    return at < len(places) and places[at] < end


def _kernel_calls(raw: bytes, begin: int) -> list[tuple[int, int]]:
    """System calls whose number is set right before: ``mov eax, n``."""
    found = []
    for at in _places(raw, b"\x0f\x05", 0, len(raw)):
        before = raw.rfind(b"\xb8", max(at - 4 * NUMBER_BEFORE, 0), at - 4)
        if before >= 0 and raw[before - 1 : before] not in (b"\x49", b"\x41"):
            number = int.from_bytes(raw[before + 1 : before + 5], "little")
            if number < 1024:
                found.append((begin + at, number))
    return found


def _features(instruction: Any) -> tuple[str, ...]:
    if instruction.code == 0:
        return (INVALID,)
    raw = instruction.cpuid_features()
    if any(f in _ASKING for f in raw):
        return (ASK,)
    names = tuple(dict.fromkeys(FEATURES[_NAMES[f]] for f in raw if _NAMES.get(f) in FEATURES))
    # GCC writes `rep bsf` for the plain x86-64: a TZCNT where there is one, a BSF elsewhere, with the same result.
    if names == ("bmi1",) and "tzcnt" in _formatter().format(instruction):
        return ()
    return names


def _stretches(begin: int, limit: int, functions: tuple[Function, ...]) -> Iterator[tuple[int, int, Function | None]]:
    """(begin, end, function) of every stretch of code; None for what lies between known functions."""
    here = begin
    for function in islice(functions, bisect_left(functions, begin, key=attrgetter("address")), None):
        if function.address < here:
            continue
        if function.address >= limit:
            break
        if function.address - here > 16:
            yield here, function.address, None
        end = min(function.address + function.size, limit)
        yield function.address, end, function
        here = end
    if limit - here > 16 or here == begin:
        yield here, limit, None


def _steps(raw: bytes, begin: int) -> Iterator[Step]:
    """What each instruction does to registers and to what is spilled to the stack."""
    for instruction in Decoder(64, raw, ip=begin):
        if instruction.code == 0:
            return
        yield _step(instruction)


_MOVES = (Mnemonic.MOV, Mnemonic.MOVSXD, Mnemonic.MOVZX)
_TOP = (-1, 0)
"""The place of what was pushed last."""


def _step(instruction: Any) -> Step:
    at, mnemonic, flow = instruction.ip, instruction.mnemonic, instruction.flow_control
    if mnemonic == Mnemonic.SYSCALL:
        return Step(at, Does.TRAPS)
    if flow == FlowControl.CALL:
        return Step(at, Does.CALLS, value=instruction.near_branch_target)
    if flow == FlowControl.INDIRECT_CALL:
        return Step(at, Does.CALLS, source=_place(instruction, 0))
    if flow == FlowControl.INDIRECT_BRANCH:
        return Step(at, Does.ENDS, source=_place(instruction, 0))
    if flow == FlowControl.UNCONDITIONAL_BRANCH:
        return Step(at, Does.JUMPS, value=instruction.near_branch_target)
    if flow == FlowControl.CONDITIONAL_BRANCH:
        return Step(at, Does.BRANCHES, value=instruction.near_branch_target)
    if flow in (FlowControl.RETURN, FlowControl.EXCEPTION):
        return Step(at, Does.ENDS)
    if mnemonic in (Mnemonic.TEST, Mnemonic.CMP, Mnemonic.NOP, Mnemonic.ENDBR64) or not instruction.op_count:
        return Step(at, Does.NOTHING)
    if mnemonic == Mnemonic.PUSH:
        if instruction.op0_kind == OpKind.REGISTER:
            return Step(at, Does.MOVES, _TOP, _full(instruction.op0_register))
        return (
            Step(at, Does.SETS, _TOP, value=instruction.immediate(0))
            if _is_immediate(instruction, 0)
            else Step(at, Does.SPOILS, _TOP)
        )
    to = _place(instruction, 0)
    if mnemonic == Mnemonic.POP:
        return Step(at, Does.MOVES, to, _TOP)
    if mnemonic in _MOVES and _is_immediate(instruction, 1):
        return Step(at, Does.SETS, to, value=instruction.immediate(1) & 0xFFFFFFFF)
    if mnemonic in _MOVES:
        return Step(at, Does.MOVES, to, _place(instruction, 1))
    if mnemonic == Mnemonic.XOR and instruction.op0_register == instruction.op1_register != 0:
        return Step(at, Does.SETS, to, value=0)
    return Step(at, Does.SPOILS, to)


def _is_immediate(instruction: Any, operand: int) -> bool:
    return bool(OpKind.IMMEDIATE8 <= instruction.op_kind(operand) <= OpKind.IMMEDIATE32TO64)


def _place(instruction: Any, operand: int) -> Place:
    """A register as a whole, a place on the stack, or an address; anything else is one place that is never known."""
    kind = instruction.op_kind(operand)
    if kind == OpKind.REGISTER:
        return _full(instruction.op_register(operand))
    if kind == OpKind.MEMORY and instruction.is_ip_rel_memory_operand:
        return ABSOLUTE, int(instruction.ip_rel_memory_address)
    if (
        kind == OpKind.MEMORY
        and instruction.memory_base in (Register.RSP, Register.RBP)
        and not instruction.memory_index
    ):
        displacement = instruction.memory_displacement
        return int(instruction.memory_base), displacement - (1 << 64) if displacement >> 63 else displacement
    return UNKNOWN


@functools.cache
def _full(register: Any) -> int:
    """The 64-bit register that one is a part of."""
    return int(RegisterExt.full_register(register))


WRAPPERS = Machine(
    _steps,
    (Register.RDI, Register.RSI, Register.RDX, Register.RCX, Register.R8, Register.R9),
    Register.RAX,
    frozenset(
        {Register.RAX, Register.RDI, Register.RSI, Register.RDX, Register.RCX}
        | {Register.R8, Register.R9, Register.R10, Register.R11}
    ),
)

RUN = 512
"""Bytes that are read in one go."""

_KINDS = {
    FlowControl.NEXT: Kind.NEXT,
    FlowControl.UNCONDITIONAL_BRANCH: Kind.JUMP,
    FlowControl.INDIRECT_BRANCH: Kind.JUMP,
    FlowControl.CONDITIONAL_BRANCH: Kind.BRANCH,
    FlowControl.XBEGIN_XABORT_XEND: Kind.NEXT,
    FlowControl.RETURN: Kind.RETURN,
    FlowControl.CALL: Kind.CALL,
    FlowControl.INDIRECT_CALL: Kind.CALL,
    FlowControl.EXCEPTION: Kind.STOP,
    FlowControl.INTERRUPT: Kind.NEXT,
}
_NOT_CALLS = (Mnemonic.SYSCALL, Mnemonic.SYSENTER, Mnemonic.VMCALL, Mnemonic.VMMCALL)
_ENDING = (Mnemonic.HLT, Mnemonic.INT3, Mnemonic.UD2)


class X86Decoding:
    """x86-64, with iced."""

    def __init__(self, image: Image) -> None:
        self.image = image

    def operations(self, address: int) -> Iterator[Operation]:
        loaded: dict[int, int] = {}
        while True:
            raw = self.image.bytes_at(address, RUN)
            decoder = Decoder(64, raw, ip=address)
            begin = address
            for instruction in decoder:
                # The last instructions of a piece may be cut off: they are read again.
                if len(raw) == RUN and instruction.ip + 15 > begin + RUN:
                    break
                if instruction.code == 0:
                    return
                address = instruction.ip + instruction.len
                yield self._read(instruction, loaded)
            if address == begin:
                return

    def _read(self, instruction: Any, loaded: dict[int, int]) -> Operation:
        kind = _KINDS.get(instruction.flow_control, Kind.NEXT)
        if instruction.mnemonic in _ENDING:
            kind = Kind.STOP
        elif kind is Kind.CALL and instruction.mnemonic in _NOT_CALLS:
            kind = Kind.NEXT
        features = _features_of(instruction)
        if features and features[0] in (ASK, INVALID):  # these stand alone
            features = ()
        target = slot = None
        if kind in (Kind.JUMP, Kind.BRANCH, Kind.CALL):
            if instruction.is_ip_rel_memory_operand:
                slot = instruction.ip_rel_memory_address
            elif instruction.op0_kind == OpKind.REGISTER:
                slot = loaded.get(instruction.op0_register)
            elif instruction.flow_control not in (FlowControl.INDIRECT_BRANCH, FlowControl.INDIRECT_CALL):
                target = instruction.near_branch_target or None
        elif instruction.mnemonic == Mnemonic.MOV and instruction.is_ip_rel_memory_operand and not features:
            # `mov rax, [rip+slot]`, and later `call rax`: how weak functions are called.
            if instruction.op0_kind == OpKind.REGISTER:
                loaded[instruction.op0_register] = instruction.ip_rel_memory_address
        elif loaded and instruction.op_count and instruction.mnemonic not in (Mnemonic.TEST, Mnemonic.CMP):
            loaded.pop(instruction.op0_register, None)
        if kind is Kind.CALL:
            loaded.clear()
        return Operation(instruction.ip, instruction.len, kind, target, slot, features)

    def stubs(self, begin: int, end: int) -> Iterable[int]:
        return range(begin, end, 8)

    def text(self, address: int) -> str:
        for instruction in Decoder(64, self.image.bytes_at(address, 15), ip=address):
            return str(_formatter().format(instruction))
        return ""
