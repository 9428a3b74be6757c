"""Known-bad subjects of SM3, HMAC, the key derivations and SM4 that offer less than the reference are caught all the same."""

from __future__ import annotations

from pathlib import Path

import pytest

import tests.mutants.sm.defects  # noqa: F401 - each of its modules registers its subjects
from pytest_xinchuang.packages.sm_crypto.defects import load_bank
from tests.mutants.sm.inside import failing
from tests.mutants.sm.narrower import NARROWER
from tests.mutants.sm.registry import DEFECTS
from tests.mutants.sm.running import caught

pytestmark = pytest.mark.slow

HELLOS = (
    "whole", "no-padding", "pkcs7", "plain-buffers", "whole+plain-buffers", "parts-of-blocks", "fixed-iv", "full-tag",
    "gb", "ieee", "wrap-32", "wrap-128", "no-reuse", "whole+pkcs7+plain-buffers+fixed-iv+full-tag+no-reuse",
)  # fmt: skip
NUMBERS = [n for n in sorted(DEFECTS) if n == 35 or 47 <= n <= 71 or 150 <= n <= 189]
WHERE = {d.id: d.where for d in load_bank().defects}

PARTS = "a text that comes whole has no parts"
STATE = "a hash that is asked for its digest once has no copies and no new starts"
REPEATED = "a message that is hashed once cannot be seen to have changed"
BUFFERS = "the buffers are two, and aligned"
UNPADDED = "no padding is put there, and none is taken away"
FIXED_IV = "the type of the IV has one size"
FULL_TAG = "the type of the tag has one size"
ONCE = "an object is used once"
INSIDE = "no part ends within a block"

CANNOT: dict[str, dict[str, tuple[int, ...]]] = {
    "whole": {PARTS: (50, 68, 150, 152, 153, 165, 168, 169, 182), STATE: (53, 70, 174, 175, 176), REPEATED: (54,)},
    "plain-buffers": {BUFFERS: (35, 63, 166, 167)},
    "no-padding": {UNPADDED: (69, 151, 152, 172, 173)},
    "parts-of-blocks": {INSIDE: (150, 165, 169)},
    "fixed-iv": {FIXED_IV: (57, 154, 155, 161), "a counter that begins with 1 wraps after 64 GiB": (56,)},
    "full-tag": {FULL_TAG: (61,)},
    "wrap-32": {"the counter has 32 bits": (163,)},
    "no-reuse": {ONCE: (170, 171)},
}
"""Narrower hello -> why a defect cannot be there -> the numbers of these defects."""


def impossible(number: int, hello: str) -> bool:
    """Whether a hello, which may be several together, leaves no room for a defect."""
    return any(number in numbers for one in hello.split("+") for numbers in CANNOT.get(one, {}).values())


def test_the_table_names_what_is_there() -> None:
    assert set(CANNOT) <= set(NARROWER)
    assert {one for hello in HELLOS for one in hello.split("+")} <= set(NARROWER)
    told = {n for reasons in CANNOT.values() for numbers in reasons.values() for n in numbers}
    assert told <= set(NUMBERS)
    # Each defect has a narrower hello under which it is caught.
    assert all(any(not impossible(n, hello) for hello in HELLOS) for n in NUMBERS)


@pytest.mark.parametrize("number", [n for n in NUMBERS if WHERE[n] != "concurrency"])
def test_mutant_is_caught_under_every_narrower_hello(number: int) -> None:
    assert next(failing(number), None), "no vector with the defect's own flag shows it"
    seen = {hello: next(failing(number, hello), None) is not None for hello in HELLOS}
    assert seen == {hello: not impossible(number, hello) for hello in HELLOS}


def test_the_reference_itself_fails_none_of_these_vectors() -> None:
    for number in NUMBERS:
        if WHERE[number] != "concurrency":
            assert next(failing(number, good=True), None) is None, number


@pytest.mark.parametrize("hello", ["whole+plain-buffers", "pkcs7"])
@pytest.mark.parametrize("number", [n for n in NUMBERS if WHERE[n] == "concurrency"])
def test_what_threads_share_is_seen_under_narrower_hellos(number: int, hello: str, tmp_path: Path) -> None:
    told, own = caught(number, tmp_path / "none", hello)
    assert own and "XC-SM-032" in told
