"""Throughput is that of work done: what is refused is not fast."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_xinchuang.core.verdict import Fidelity, Verdict
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.sm_crypto.speed import check_throughput


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ({"digest": "00" * 32}, Verdict.PASS),
        ({"error": "no"}, Verdict.INCONCLUSIVE),
        ({"unsupported": "no"}, Verdict.INCONCLUSIVE),
    ],
)
def test_what_is_refused_is_not_fast(reply: dict[str, Any], verdict: Verdict) -> None:
    client: Any = SimpleNamespace(
        hello=SimpleNamespace(lacks=lambda _: ""), ask=lambda _: Answer(ReplyKind.REPLY, reply)
    )
    assert check_throughput(client, {"sm3": 0.001}).decision(Fidelity.NATIVE, verbatim("")).verdict is verdict
