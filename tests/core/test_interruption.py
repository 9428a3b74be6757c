from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pydantic
import pytest

from pytest_xinchuang.core import interruption
from pytest_xinchuang.core.needs import InOrder
from pytest_xinchuang.core.verdict import Cause, Decision, Verdict
from tests.core.test_needs import catalogue


class Interrupted(pydantic.BaseModel):
    """A value during whose serialization the user interrupts."""

    value: int = 1

    @pydantic.field_serializer("value")
    def _shown(self, value: int) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return value


@pytest.fixture(autouse=True)
def pythons_own() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def serialized(_requirement: str) -> Decision:
    Interrupted().model_dump_json()
    raise AssertionError("it was not interrupted")


def test_an_interrupt_that_a_library_took_for_an_error_stays_an_interrupt() -> None:
    forget = interruption.watch()
    try:
        with pytest.raises(KeyboardInterrupt):
            InOrder(catalogue("A-001"), serialized).decision("A-001")
        assert interruption.seen()
    finally:
        forget()
    assert not interruption.seen()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_ours_is_no_interrupt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XC_CACHE", str(tmp_path))

    def broken(_requirement: str) -> Decision:
        raise ValueError("broken")

    forget = interruption.watch()
    try:
        decision = InOrder(catalogue("A-001"), broken).decision("A-001")
    finally:
        forget()
    assert (decision.verdict, decision.cause) == (Verdict.INCONCLUSIVE, Cause.HOST)


def test_who_handles_interrupts_already_goes_on_doing_so() -> None:
    def mine(_number: int, _frame: object) -> None: ...

    signal.signal(signal.SIGINT, mine)
    interruption.watch()()
    assert signal.getsignal(signal.SIGINT) is mine
