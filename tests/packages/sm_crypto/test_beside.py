"""Two starts of a harness at once: what both answer rightly counts, and nothing else that the second does."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.engine import vectors_dir
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply, Request
from pytest_xinchuang.packages.sm_crypto.runner import VectorRun, run_beside, run_vectors
from pytest_xinchuang.packages.sm_crypto.vectors import Vector, load_directory
from tests.packages.sm_crypto.inside import inside

COUNT = 101


@pytest.fixture(scope="module")
def vectors() -> list[Vector]:
    files = {one.name: one for one in load_directory(vectors_dir())}
    return [v for name in ("sm3", "sm4_gcm", "sm2_verify") for v in files[name].vectors()][:COUNT]


def wrong(_harness: ReferenceHarness, request: Request) -> Reply:
    return {"digest": "00" * 32, "valid": True, "ct": "", "tag": "", "msg": ""} if request else {}


def results(run: VectorRun) -> list[tuple[str, VectorResult]]:
    return [(one.vector.id, one.result) for one in run.seen]


def test_the_outcomes_are_those_of_one_alone_in_the_same_order(vectors: list[Vector]) -> None:
    alone, beside = run_vectors(inside(), vectors), run_beside(inside(), inside(), vectors)
    assert results(beside) == results(alone)
    assert sorted(a.ask.vector.id for a in beside.asked) == sorted(a.ask.vector.id for a in alone.asked)


def test_what_the_second_does_wrong_is_asked_of_the_first(vectors: list[Vector]) -> None:
    assert results(run_beside(inside(), inside(wrong), vectors)) == results(run_vectors(inside(), vectors))


def test_what_the_first_does_wrong_stays_wrong(vectors: list[Vector]) -> None:
    found = run_beside(inside(wrong), inside(wrong), vectors)
    assert results(found) == results(run_vectors(inside(wrong), vectors))
    assert VectorResult.FAILED in found.count()


@pytest.mark.parametrize("sign", ["crashes", "violations", "restarts"])
def test_a_second_one_that_fell_counts_for_nothing(vectors: list[Vector], sign: str) -> None:
    other = inside()
    setattr(other, sign, 1 if sign == "restarts" else [object()])
    found = run_beside(inside(wrong), other, vectors)
    assert results(found) == results(run_vectors(inside(wrong), vectors))
    assert not found.crashes and not found.violations and found.restarts == 0


class Unstartable:
    """A second start that the host or the harness refuses."""

    @property
    def hello(self) -> Any:
        raise HostFault(verbatim("there is one already"))


def test_a_second_one_that_cannot_be_started_is_no_failure(vectors: list[Vector]) -> None:
    found = run_beside(inside(), Unstartable(), vectors)  # type: ignore[arg-type]
    assert results(found) == results(run_vectors(inside(), vectors))


def test_a_second_one_that_says_another_hello_is_not_asked(vectors: list[Vector]) -> None:
    asked: list[Request] = []

    def listens(harness: ReferenceHarness, request: Request) -> Reply:
        asked.append(request)
        return harness.handle(request)

    other: SmClient = inside(listens, name="another")
    run_beside(inside(), other, vectors)
    assert not asked
