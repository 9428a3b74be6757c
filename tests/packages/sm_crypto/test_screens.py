"""The statistics behind the nonce screen, on numbers whose nature is known."""

from __future__ import annotations

import random

import pytest

from pytest_xinchuang.packages.sm_crypto.nonces import biases
from pytest_xinchuang.sm.curve import N

COUNT = 4000


def test_good_numbers_have_no_bias() -> None:
    for seed in range(5):
        draw = random.Random(seed)
        assert biases([draw.randrange(1, N) for _ in range(COUNT)]) == []


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("again", "k repeats"),
        ("step", "goes up by a step"),
        ("factor", "is a multiple"),
        ("short", "bit 2"),
        ("even", "bit 0 of k"),
        ("low byte", "lowest byte"),
        ("high byte", "highest byte"),
        ("affine", "by a multiplication and an addition"),
        ("affine of 2**256", "by a multiplication and an addition"),
        ("64 bits", "the 64 bits 0"),
        ("twice 128 bits", "occur 2 times"),
        ("holds", "is another one than before"),
    ],
)
def test_biases_are_seen(kind: str, what: str) -> None:
    draw = random.Random(1)
    numbers = [draw.randrange(1, N) for _ in range(COUNT)]
    if kind == "again":
        numbers[2500] = numbers[17]
    elif kind == "step":
        numbers = [(numbers[0] + 12345 * i) % N for i in range(COUNT)]
    elif kind == "factor":
        numbers = [numbers[0] * pow(7, i, N) % N for i in range(COUNT)]
    elif kind == "short":
        numbers = [n >> 8 for n in numbers]
    elif kind == "even":
        numbers = [n & ~1 for n in numbers]
    elif kind == "affine":
        for i in range(1, COUNT):
            numbers[i] = (numbers[i - 1] * 6364136223846793005 + 1442695040888963407) % N
    elif kind == "affine of 2**256":
        for i in range(1, COUNT):
            numbers[i] = (numbers[i - 1] * 6364136223846793005 + 1442695040888963407) % (1 << 256)
    elif kind == "64 bits":
        numbers = [n & 0xFFFFFFFFFFFFFFFF for n in numbers]
    elif kind == "twice 128 bits":
        numbers = [(n >> 128) << 128 | n >> 128 for n in numbers]
    elif kind == "holds":
        for i in range(1, COUNT):
            if draw.random() < 0.5:  # the generator's upper half is not drawn anew every time
                numbers[i] = numbers[i] & (1 << 192) - 1 | numbers[i - 1] >> 192 << 192 ^ i << 200
    elif kind == "low byte":
        numbers = [n - n % 256 + (n % 256 % 200 if draw.random() < 0.5 else n % 256) for n in numbers]
        numbers = [n - n % 256 + draw.choice([n % 256, 7, 248]) for n in numbers]
    else:
        numbers = [n % (1 << 248) + (draw.choice([n >> 248, 0x5A, 0xA5]) << 248) for n in numbers]
    assert any(what in text for text in biases(numbers)), biases(numbers)
