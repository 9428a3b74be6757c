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
    elif kind == "low byte":
        numbers = [n - n % 256 + (n % 256 % 200 if draw.random() < 0.5 else n % 256) for n in numbers]
        numbers = [n - n % 256 + draw.choice([n % 256, 7, 248]) for n in numbers]
    else:
        numbers = [n % (1 << 248) + (draw.choice([n >> 248, 0x5A, 0xA5]) << 248) for n in numbers]
    assert any(what in text for text in biases(numbers)), biases(numbers)
