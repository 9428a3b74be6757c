"""Which constant is passed to a question about the CPU, and which bits of the answer are looked at."""

from __future__ import annotations

import functools
import re
import struct
from collections.abc import Iterator
from typing import Any

from pytest_xinchuang.core.optional import optional
from pytest_xinchuang.inspect.isa_flow import Block, Flow
from pytest_xinchuang.inspect.isa_image import Image

MAX_STEPS = 64
"""Instructions behind a question in which its answer is followed; one that lives longer may be looked at anywhere."""


def argument(image: Image, flow: Flow, address: int, register: str | int) -> int | None:
    """The constant in a register before the instruction at ``address``; None where the same block does not say it."""
    block = next((b for b in flow.blocks.values() if b.begin <= address < b.end), None)
    if block is None:
        return None
    if image.elf.machine == "EM_X86_64":
        return _x86_constant(image, block, address, str(register))
    value: int | None = None
    calls = {c.address for c in block.calls}
    arm = image.elf.machine == "EM_AARCH64"
    for here, word in _words(image, block.begin, address):
        if here in calls:
            value = None
        elif word & 31 == register:
            value = _arm_constant(word, value) if arm else _loong_constant(word, value)
    return value


def bytes_at(image: Image, begin: int, end: int, *, stored: bool) -> Iterator[int]:
    """Addresses of single bytes that AArch64 code loads, or stores, by a page and an offset."""
    wanted = 0x39000000 if stored else 0x39400000  # STRB, LDRB
    pages: dict[int, int] = {}
    for here, word in _words(image, begin, end):
        if word & 0x9F000000 == 0x90000000:  # ADRP
            distance = (word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3
            pages[word & 31] = (here & ~0xFFF) + ((distance - (distance >> 20 << 21)) << 12)
        elif word & 0xFFC00000 == wanted and word >> 5 & 31 in pages:
            yield pages[word >> 5 & 31] + (word >> 10 & 0xFFF)


def _words(image: Image, begin: int, end: int) -> Iterator[tuple[int, int]]:
    raw = image.bytes_at(begin, max(end - begin, 0))
    for index, (word,) in enumerate(struct.iter_unpack("<I", raw[: len(raw) // 4 * 4])):
        yield begin + 4 * index, word


def _arm_constant(word: int, value: int | None) -> int | None:
    """What an instruction that names the register in its lowest bits leaves in it."""
    if word & 0x7F800000 == 0x52800000:  # MOVZ
        return (word >> 5 & 0xFFFF) << (16 * (word >> 21 & 3))
    if word & 0x7FE0FFE0 == 0x2A0003E0 and word >> 16 & 31 == 31:  # MOV from the zero register
        return 0
    if word & 0x7F800000 == 0x32000000 and word >> 5 & 31 == 31:  # ORR of the zero register and a bit mask
        return _bit_mask(word)
    if word & 0x3B000000 == 0x39000000 and not word & 0x00C00000:
        return value  # a store reads it
    return None


def _bit_mask(word: int) -> int | None:
    """The immediate of a logical instruction (Arm ARM, DecodeBitMasks)."""
    n, rotate, ones = word >> 22 & 1, word >> 16 & 63, word >> 10 & 63
    length = (n << 6 | (~ones & 63)).bit_length() - 1
    if length < 1:
        return None
    size = 1 << length
    ones, rotate = ones & size - 1, rotate & size - 1
    piece = (1 << (ones + 1)) - 1
    piece = (piece >> rotate | piece << (size - rotate)) & ((1 << size) - 1)
    width = 64 if word >> 31 else 32
    return sum(piece << at for at in range(0, width, size))


def _loong_constant(word: int, value: int | None) -> int | None:
    if word & 0xFFC003E0 in (0x02800000, 0x02C00000):  # ADDI.W, ADDI.D of the zero register
        number = word >> 10 & 0xFFF
        return number - (number >> 11 << 12)
    if word & 0xFFC003E0 == 0x03800000:  # ORI of the zero register
        return word >> 10 & 0xFFF
    if word & 0xFFFFFFE0 == 0x00150000:  # MOVE from the zero register
        return 0
    if word & 0xFF000000 == 0x29000000:
        return value  # a store reads it
    return None


def _x86_constant(image: Image, block: Block, address: int, register: str) -> int | None:
    from iced_x86 import Decoder, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register

    full = {"eax": Register.RAX, "edi": Register.RDI}[register]
    from iced_x86 import RegisterExt

    factory = InstructionInfoFactory()
    calls = {c.address for c in block.calls}
    value: int | None = None
    for instruction in Decoder(64, image.bytes_at(block.begin, block.end - block.begin), ip=block.begin):
        if instruction.ip >= address:
            break
        if instruction.ip in calls:
            value = None
            continue
        first = instruction.op0_register if instruction.op_count else Register.NONE
        if instruction.mnemonic == Mnemonic.MOV and RegisterExt.full_register(first) == full:
            constant = instruction.op1_kind in (OpKind.IMMEDIATE32, OpKind.IMMEDIATE32TO64, OpKind.IMMEDIATE64)
            value = instruction.immediate(1) & 0xFFFFFFFF if constant else None
        elif (
            instruction.mnemonic == Mnemonic.XOR
            and RegisterExt.full_register(first) == full
            and instruction.op1_register == first
        ):
            value = 0
        elif any(
            RegisterExt.full_register(used.register) == full and used.access not in (OpAccess.READ, OpAccess.COND_READ)
            for used in factory.info(instruction).used_registers()
        ):
            value = None
    return value


# -- the answer


def bits_looked_at(image: Image, flow: Flow, address: int) -> int | None:
    """The bits of what the call at ``address`` returned that are tested, as a mask; None where it gets out of sight."""
    if image.elf.machine == "EM_X86_64":
        return None
    looks = _arm_looks if image.elf.machine == "EM_AARCH64" else _loong_looks
    block = next((b for b in flow.blocks.values() if b.begin <= address < b.end), None)
    if block is None:
        return None
    # What a constructor leaves in the register of results goes nowhere.
    quiet = flow.entry in {root.address for root in image.constructors}
    bits = steps = 0
    seen: set[tuple[int, frozenset[int]]] = set()
    todo = [(address + 4, block, frozenset({0 if image.elf.machine == "EM_AARCH64" else 4}))]
    while todo:
        begin, block, holding = todo.pop()
        if (begin, holding) in seen:
            continue
        seen.add((begin, holding))
        calls = {c.address for c in block.calls}
        for here, word in _words(image, begin, block.end):
            if not holding:
                break
            steps += 1
            found = looks(word, here, holding, here in calls)
            if found is None or steps > MAX_STEPS:
                return None
            bits |= found[0]
            holding = found[1]
        if holding and (
            (block.leaves and not quiet)
            or (block.calls and block.calls[-1].address + 4 >= block.end and not block.following)
        ):
            return None
        if holding:
            todo += [(f, flow.blocks[f], holding) for f in block.following]
    return bits


Look = tuple[int, frozenset[int]] | None
"""The bits that an instruction looks at and the registers that hold the answer behind it; None: it goes out of sight."""


@functools.cache
def _capstone() -> Any:
    with optional("inspect"):
        import capstone

    return capstone.Cs(capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN)


_REGISTER = re.compile(r"\b[wx](\d+)\b")
_READS_ALL = re.compile(
    r"^(?:st(?!add|set|clr|eor|[su]max|[su]min)|tst|cmp|cmn|ccm|cb|tb|b|ret|msr|prfm|dc|ic|at|tlbi|sys\b)"
)
"""A64 mnemonics whose first operand is no result."""
_SECOND_IS_RESULT = re.compile(r"^(?:ld(?:add|set|clr|eor|[su]max|[su]min)|swp)")
_TWO_RESULTS = re.compile(r"^(?:ldp|ldnp|ldpsw|ldxp|ldaxp)")


def _arm_registers(word: int, here: int) -> tuple[set[int], set[int]] | None:
    """The general registers that an instruction reads, and those that it writes: by its text, which tells aliases apart."""
    found = next(iter(_capstone().disasm_lite(word.to_bytes(4, "little"), here)), None)
    if found is None:
        return None
    mnemonic, text = found[2], found[3]
    plain, _bracket, memory = text.partition("[")
    operands = [{int(n) for n in _REGISTER.findall(part)} for part in plain.split(",")]
    read = {int(n) for n in _REGISTER.findall(memory)}
    results: list[int] = []
    if not _READS_ALL.match(mnemonic):
        results = [1] if _SECOND_IS_RESULT.match(mnemonic) else [0, 1] if _TWO_RESULTS.match(mnemonic) else [0]
    written: set[int] = set()
    for index, registers in enumerate(operands):
        if index in results:
            written |= registers
        else:
            read |= registers
    # These keep part of what the register held.
    if mnemonic in ("movk", "bfi", "bfxil", "bfm", "cas", "casa", "casl", "casal"):
        read |= written
    return read, written


def _arm_looks(word: int, here: int, holding: frozenset[int], call: bool) -> Look:
    registers = _arm_registers(word, here)
    if registers is None:
        return None
    read, written = registers
    left = holding - written
    if call:
        return None if 0 in holding else (0, frozenset(r for r in left if r > 18))
    if not read & holding:
        return 0, left
    source = word >> 5 & 31
    if word & 0x7E000000 == 0x36000000:  # TBZ, TBNZ
        return 1 << (word >> 31 << 5 | word >> 19 & 31), left
    if word & 0x1F800000 == 0x12000000 and word >> 29 & 3 in (0, 3):  # AND, ANDS of a bit mask
        mask = _bit_mask(word)
        return (mask, left) if mask is not None and source in holding else None
    if word & 0x1F800000 == 0x13000000:  # SBFM, BFM, UBFM: fields and shifts
        first, last = word >> 16 & 63, word >> 10 & 63
        if last >= first and word >> 29 & 3 != 1:
            return ((1 << (last - first + 1)) - 1) << first, left
        return None
    if word & 0x7FE0FFE0 == 0x2A0003E0:  # MOV of a register
        return 0, left | {word & 31}
    return None


def _loong_looks(word: int, _here: int, holding: frozenset[int], call: bool) -> Look:
    to, first, second = word & 31, word >> 5 & 31, word >> 10 & 31
    if call:
        return None if 4 in holding else (0, frozenset(r for r in holding if 23 <= r <= 31))
    if word & 0xFFC00000 == 0x03400000:  # ANDI
        if first in holding:
            return word >> 10 & 0xFFF, holding - {to}
        return 0, holding - {to}
    if word & 0xFFC00000 == 0x00C00000 or word & 0xFFE08000 == 0x00608000:  # BSTRPICK.D, BSTRPICK.W
        if first in holding:
            low, high = word >> 10 & 63, word >> 16 & 63
            return (((1 << (high - low + 1)) - 1) << low, holding - {to}) if high >= low else None
        return 0, holding - {to}
    if word & 0xFFFFFC00 == 0x00150000 and first in holding:  # MOVE
        return 0, holding | {to}
    if word >> 26 >= 0x10:  # branches read two registers, and the test of all bits is one of any
        reads = {first} if word >> 26 in (0x10, 0x11) else {first, to}
        return None if reads & holding else (0, holding)
    if word & 0xFF000000 == 0x29000000:  # stores
        return None if {to, first} & holding else (0, holding)
    if {first, second} & holding:
        return None
    return 0, holding - {to}
