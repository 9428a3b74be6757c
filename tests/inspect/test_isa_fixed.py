"""Words of AArch64: what is passed over for speed is nothing that would have been found."""

from __future__ import annotations

import random
import struct
from typing import Any, cast

import pytest

from pytest_xinchuang.inspect.isa_flow import Flows
from pytest_xinchuang.inspect.isa_image import Image

np = pytest.importorskip("numpy")
pytest.importorskip("capstone")

from pytest_xinchuang.inspect.isa_decode import Arm64Decoding  # noqa: E402
from pytest_xinchuang.inspect.isa_fixed import _is_instruction, _Known  # noqa: E402

NOP, BTI, RET, BR_X17, ADD_X16 = 0xD503201F, 0xD503245F, 0xD65F03C0, 0xD61F0220, 0x91000210
NONE = 0xFFFFFFFF
BASE = 0x10000
SLOT = 0x20008
ADRP_X16 = 0x90000010 | (((SLOT - BASE) >> 12 & 3) << 29) | ((SLOT - BASE) >> 14 << 5)
LDR_X17 = 0xF9400211 | ((SLOT & 0xFFF) // 8 << 10)
STUB = [ADRP_X16, LDR_X17, ADD_X16, BR_X17]


class Table:
    """A procedure linkage table in memory, of which the file may hold the second half elsewhere."""

    def __init__(self, words: list[int], *, one: bool = True) -> None:
        self.raw = struct.pack(f"<{len(words)}I", *words)
        self.one = one
        self.slots = {SLOT: "getauxval"}

    def bytes_at(self, address: int, size: int) -> bytes:
        return self.raw[address - BASE : address - BASE + size]

    def is_mapped_as_one(self, begin: int, end: int) -> bool:
        return self.one


def stubs(words: list[int], size: int | None = None, *, one: bool = True) -> tuple[set[int], set[int]]:
    """The stubs in a table of ``size`` words: those found at the places that are looked at, and at all places."""
    table = cast("Image", Table(words, one=one))
    decoding = Arm64Decoding(table, {})
    flows = Flows(table, decoding, 1000)
    end = BASE + 4 * (len(words) if size is None else size)
    looked = {a for a in decoding.stubs(BASE, end) if flows.stub(a)}
    return looked, {a for a in range(BASE, end, 4) if flows.stub(a)}


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (STUB, 1),
        ([*STUB, *STUB], 2),
        ([BTI, *STUB], 2),
        ([NOP, BTI, *STUB], 2),
        ([ADRP_X16, LDR_X17, BR_X17, NOP], 1),
        ([RET, *STUB], 1),
        ([ADRP_X16, NOP, LDR_X17, NOP, BR_X17], 1),
        ([ADRP_X16, LDR_X17, ADD_X16, RET], 0),
        ([LDR_X17, ADD_X16, BR_X17], 0),
        ([NOP] * 8, 0),
        ([], 0),
    ],
)
def test_a_stub_is_found_wherever_one_begins(words: list[int], count: int) -> None:
    looked, all_of_them = stubs(words)
    assert looked == all_of_them
    assert len(looked) == count
    assert stubs(words, one=False)[0] == all_of_them


def test_a_stub_at_the_end_of_its_table_jumps_behind_it() -> None:
    looked, all_of_them = stubs([NOP, *STUB], 2)
    assert looked == all_of_them == {BASE, BASE + 4}


def test_stubs_among_noise() -> None:
    chance = random.Random(5)
    parts: list[Any] = [STUB, [BTI], [NOP], [RET], [ADRP_X16], [LDR_X17], [BR_X17], [ADD_X16]]
    for _round in range(200):
        words = [word for _n in range(30) for word in chance.choice(parts)]
        looked, all_of_them = stubs(words, chance.randrange(len(words)))
        assert looked == all_of_them


def test_what_is_known_of_words_is_what_each_look_would_say() -> None:
    chance = random.Random(6)
    words = np.array([chance.choice([NOP, RET, ADD_X16, *[NONE] * (n % 40 == 0)]) for n in range(600)], dtype="<u4")
    known = _Known(words)
    for _round in range(3000):
        first = chance.randrange(600)
        last = min(first + chance.randrange(1, 18), 600)
        assert known.are_all(first, last) is all(map(_is_instruction, words[first:last].tolist()))
    assert not _is_instruction(NONE)
    for first in range(590):  # one behind the other, as a scan goes
        assert known.are_all(first, first + 9) is all(map(_is_instruction, words[first : first + 9].tolist()))
