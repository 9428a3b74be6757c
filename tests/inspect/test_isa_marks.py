"""No instruction of an extension is passed over for want of the bytes that tell it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from pytest_xinchuang.inspect import isa_x86
from pytest_xinchuang.inspect.elf_reader import read_elf
from pytest_xinchuang.inspect.isa import scan_isa
from pytest_xinchuang.inspect.isa_fixed import EncodingTable, table_of
from pytest_xinchuang.inspect.isa_x86_marks import marks_in

iced = pytest.importorskip("iced_x86")
np = pytest.importorskip("numpy")


def _named(kind: object) -> dict[int, str]:
    return {value: name for name, value in vars(kind).items() if isinstance(value, int)}


def _forms(code: int) -> list[bytes]:
    """How an instruction begins, by iced's tables: from its escape byte to its opcode."""
    told = iced.OpCodeInfo(code)
    encoding, table = _named(iced.EncodingKind)[told.encoding], _named(iced.OpCodeTableKind)[told.table]
    opcode = told.op_code.to_bytes(told.op_code_len, "big")
    number = {"T0F": 1, "T0F38": 2, "T0F3A": 3, "MAP5": 5, "MAP6": 6, "MAP8": 8, "MAP9": 9, "MAP10": 10}.get(table, 0)
    if encoding == "LEGACY":
        escape = {"NORMAL": b"", "T0F": b"\x0f", "T0F38": b"\x0f\x38", "T0F3A": b"\x0f\x3a"}[table]
        group = bytes([told.group_index << 3]) if told.group_index >= 0 else b""
        return [escape + opcode + group]
    if encoding == "D3NOW":
        return [b"\x0f\x0f"]
    if encoding == "EVEX":
        return [bytes([0x62, 0xF0 | number, 0x7C]) + opcode, bytes([0x62, number, 0x04]) + opcode]
    if encoding == "XOP":
        return [bytes([0x8F, 0xE0 | number, 0x78]) + opcode]
    assert encoding == "VEX"
    two = [bytes([0xC5, 0xF8]) + opcode] if number == 1 else []
    return [bytes([0xC4, 0xE0 | number, 0x78]) + opcode, *two]


def test_each_instruction_of_an_extension_has_a_mark() -> None:
    instruction = iced.Instruction()
    seen = 0
    for code in _named(iced.Code):
        instruction.code = code
        if not code or not iced.OpCodeInfo(code).mode64 or not isa_x86._features(instruction):
            continue
        seen += 1
        for form in _forms(code):
            assert marks_in(form + bytes(8), 0, len(form) + 8), (_named(iced.Code)[code], form.hex())
    assert seen > 2000


def test_no_bytes_are_an_instruction_of_an_extension_without_a_mark() -> None:
    chance = random.Random(18)
    starts = [
        b"",
        b"\x0f",
        b"\x66\x0f",
        b"\xf3\x0f",
        b"\xf2\x48\x0f",
        b"\xc5",
        b"\xc4",
        b"\x62",
        b"\x8f",
        b"\xdb",
        b"\xc7",
    ]
    starts += [b"\xf3\x66\x0f", b"\x66\x0f\x38", b"\xf2\x0f\x38", b"\x0f\x3a", b"\xf0\x48\x0f"]
    found = 0
    for _round in range(60_000):
        raw = chance.choice(starts) + chance.randbytes(13)
        for each in iced.Decoder(64, raw):
            features = isa_x86._features_of(each)
            if features and isa_x86.INVALID not in features:
                found += 1
                begin = each.ip
                assert marks_in(raw, begin, begin + each.len), (str(each), raw[begin : begin + each.len].hex())
            break
    assert found > 2000


def test_words_are_found_as_one_by_one() -> None:
    chance = random.Random(18)
    for machine in ("EM_AARCH64", "EM_LOONGARCH"):
        table = table_of(machine)
        likely = [e.value | chance.getrandbits(32) & ~e.mask & 0xFFFFFFFF for e in table.encodings for _n in range(20)]
        words = [*likely, *(chance.getrandbits(32) for _n in range(20_000))]
        chance.shuffle(words)
        expected = [
            (n, next(e for e in table.encodings if w & e.mask == e.value))
            for n, w in enumerate(words)
            if _fits(table, w)
        ]
        assert table.find(np.array(words, dtype="<u4")) == expected


def _fits(table: EncodingTable, word: int) -> bool:
    return any(word & e.mask == e.value for e in table.encodings)


def _relocatable(code: bytes) -> bytes:
    """A relocatable object of x86-64 with one section of code, and no symbols."""
    names = b"\0.text\0.shstrtab\0"
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 128, 0, 64, 0, 0, 64, 3, 2)
    text = struct.pack("<IIQQQQIIQQ", 1, 1, 6, 0, 64, len(code), 0, 0, 16, 0)
    table = struct.pack("<IIQQQQIIQQ", 7, 3, 0, 0, 320, len(names), 0, 0, 1, 0)
    return header + code.ljust(64, b"\x90") + bytes(64) + text + table + names


@pytest.mark.parametrize(("code", "features"), [(b"\xc5\xfd\x6f\x07\xc3", ["avx"]), (b"\x89\xc5\x90\xc3", [])])
def test_code_of_an_object_without_symbols_is_read_at_its_place(
    code: bytes, features: list[str], tmp_path: Path
) -> None:
    data = _relocatable(code)
    path = tmp_path / "one.o"
    path.write_bytes(data)
    assert list(scan_isa(read_elf(data, path.name), data, path.name).uses) == features
