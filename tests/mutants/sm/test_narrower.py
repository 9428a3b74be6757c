"""Each known-bad subject of SM2 is caught under every narrower hello in which its defect can be, by its own flag."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.packages.sm_crypto.defects import load_bank
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult, asks
from pytest_xinchuang.packages.sm_crypto.protocol import SmHello
from pytest_xinchuang.packages.sm_crypto.vectors import Vector
from tests.mutants.sm.narrower import narrow
from tests.mutants.sm.registry import DEFECTS
from tests.mutants.sm.remembered import FUNCTIONS
from tests.mutants.sm.running import caught, scope, vectors
from tests.mutants.sm.subject import make

pytestmark = pytest.mark.slow

HELLOS = (
    "message",
    "digest",
    "der",
    "raw",
    "der+message",
    "raw+message",
    "der+digest",
    "raw+digest",
    "no-k",
    "no-k+message",
    "no-k+raw+message",
    "c1c2c3",
    "raw+c1c2c3",
    "text-ids",
    "raw+message+text-ids",
    "der+message+no-k+text-ids",
    "raw+message+no-k+c1c2c3+text-ids",
)
"""What real libraries offer: names of narrower.py."""

NO_DER = "DER is not taken apart where there is none"
NO_RAW = "it is about r||s, or about C1||C3||C2"
NO_MESSAGE = "an id and a message are hashed by the caller"
CHOSEN = "it shows where e fits, and the e of a message cannot be chosen (fixtures/generate/sm2/forms.py)"
NO_KEY = "nobody knows the private key of a point whose limbs are at their ends (fixtures/generate/operand_forms.py)"
NEEDS_K = "it shows with a k that is given"

CANNOT: dict[int, dict[str, str]] = {
    2: {"message": CHOSEN},
    6: {"message": CHOSEN, "no-k": NEEDS_K},
    41: {"der": NO_RAW, "c1c2c3": "it takes every raw ciphertext for C1||C2||C3"},
    108: {"message": CHOSEN},
    **{n: {"message": NO_KEY} for n in (141, 142)},
    **{n: {"message": CHOSEN} for n in (143, 145)},
    **{n: {"digest": NO_MESSAGE} for n in (8, 9, 10, 11, 12, 14, 22, 116, 117, 118, 119, 120)},
    **{n: {"raw": NO_DER} for n in (17, 25, 34, 43, 100, 101, 102, 103, 104, 128)},
    **{n: {"der": NO_RAW} for n in (18, 30, 105, 110, 115)},
}
"""Number -> the part of a hello under which it cannot show, and why."""

BANK = {d.id: d for d in load_bank().defects}
OTHERWISE = {
    **dict.fromkeys(("property", "randomness", "timing", "concurrency"), "a property of many answers shows it"),
    "XC-SM-024": "certificates show it, which have one form",
}
"""Where a defect shows, or its requirement -> why no vector of a narrower hello is its own."""


def otherwise(number: int) -> str:
    """Why no vector of a narrower hello shows the defect; "" where one has to."""
    return OTHERWISE.get(BANK[number].where) or OTHERWISE.get(BANK[number].requirement, "")


OF_SM2 = [n for n in sorted(DEFECTS) if any(one.startswith("sm2") for one in scope(n))]
NUMBERS = [n for n in OF_SM2 if not otherwise(n)]


@functools.cache
def sm2_vectors() -> tuple[Vector, ...]:
    return tuple(v for v in vectors("sm2") if v.file != "sm2_certificate")


@functools.cache
def own_vectors(flag: str, requirement: str) -> tuple[Vector, ...]:
    return tuple(v for v in sm2_vectors() if flag in v.test.flags and v.requirement == requirement)


class Died(BaseException):
    """The subject has ended itself."""


@pytest.fixture(autouse=True, scope="module")
def in_this_process() -> Iterator[None]:
    """Points and hashes are computed once for all subjects, and a subject that ends itself ends no test."""

    def died(_status: int) -> NoReturn:
        raise Died

    with pytest.MonkeyPatch.context() as patch:
        for module, name in FUNCTIONS:
            patch.setattr(module, name, functools.cache(getattr(module, name)))
        patch.setattr(os, "_exit", died)
        yield


def shown_by(number: int, offering: str) -> str:
    """The first vector with the defect's own flag that a subject fails which offers only this; "" for none."""
    defect = BANK[number]
    harness = make(number)
    narrow(harness, offering)
    hello = SmHello.model_validate(harness.hello())
    for vector in own_vectors(defect.flag, defect.requirement):
        for ask in asks(vector, hello):
            if hello.lacks(ask.request):
                continue
            try:
                answer = Answer(ReplyKind.REPLY, harness.handle(ask.request))
            except (Died, AssertionError):
                answer = Answer(ReplyKind.DIED)
            if ask.judge(answer)[0] is VectorResult.FAILED:
                return vector.id
    return ""


@pytest.mark.parametrize("number", NUMBERS)
def test_mutant_is_caught_under_every_narrower_hello(number: int) -> None:
    for offering in HELLOS:
        impossible = [why for part, why in CANNOT.get(number, {}).items() if part in offering.split("+")]
        by = shown_by(number, offering)
        if impossible:
            assert not by, f"{offering}: {by} shows it, and the table says that it cannot: {impossible[0]}"
        else:
            assert by, f"{offering}: no vector with the flag {BANK[number].flag} shows it"


def test_the_table_names_mutants_and_parts_that_there_are() -> None:
    assert set(CANNOT) <= set(NUMBERS)
    parts = {part for offering in HELLOS for part in offering.split("+")}
    assert {part for reasons in CANNOT.values() for part in reasons} <= parts


def test_a_defect_without_vectors_of_its_own_is_one_that_is_shown_otherwise() -> None:
    for number in OF_SM2:
        own = own_vectors(BANK[number].flag, BANK[number].requirement)
        assert bool(own) != bool(otherwise(number)), (number, otherwise(number))
    told = {BANK[n].where for n in OF_SM2} | {BANK[n].requirement for n in OF_SM2}
    assert set(OTHERWISE) <= told


def test_the_reference_is_right_under_every_narrower_hello() -> None:
    """The twin: without a defect nothing is shown. Each flag's first and last vectors stand for the others."""
    harness = make(0)
    narrow(harness, "raw+message+no-k+c1c2c3+text-ids")
    hello = SmHello.model_validate(harness.hello())
    asked = 0
    for defect in map(BANK.__getitem__, NUMBERS):
        own = own_vectors(defect.flag, defect.requirement)
        for vector in {v.id: v for v in (*own[:2], *own[-2:])}.values():
            for ask in asks(vector, hello):
                if not hello.lacks(ask.request):
                    asked += 1
                    result, why = ask.judge(Answer(ReplyKind.REPLY, harness.handle(ask.request)))
                    assert result in (VectorResult.PASSED, VectorResult.ACCEPTABLE), (vector.id, why)
    assert asked > 50


@pytest.mark.parametrize(
    ("number", "offering"), [(3, "raw+message"), (116, "der+message+no-k+text-ids"), (2, "message")]
)
def test_a_subject_on_the_wire_is_caught_in_the_same_way(number: int, offering: str, tmp_path: Path) -> None:
    points = tmp_path / "points"
    points.touch()
    _told, own = caught(number, points, offering)
    found = shown_by(number, offering)
    assert found in own if found else not own
