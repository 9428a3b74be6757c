"""What a reply means."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.sm_crypto.judge import Ask, VectorResult
from pytest_xinchuang.packages.sm_crypto.vectors import find, load_directory

VECTOR = find(load_directory(resources.fixtures_dir() / "vectors"), "sm2_decrypt/1")[0]


def ask(**how: Any) -> Ask:
    return Ask(VECTOR, {"op": "sm2_decrypt"}, how.pop("expect", {}), **how)


@pytest.mark.parametrize(
    ("how", "reply", "result"),
    [
        ({"expect": {"msg": "aa"}}, {"msg": "aa"}, VectorResult.PASSED),
        ({"expect": {"msg": "aa"}}, {"msg": "ab"}, VectorResult.FAILED),
        ({"expect": {"msg": "aa"}}, {}, VectorResult.FAILED),
        ({"expect": {"msg": "aa"}}, {"error": "no"}, VectorResult.FAILED),
        ({"expect": {"msg": "aa"}}, {"error": "no", "msg": "aa"}, VectorResult.FAILED),
        ({"expect": {"valid": True}}, {"valid": True}, VectorResult.PASSED),
        ({"expect": {"valid": True}}, {"valid": False}, VectorResult.FAILED),
        ({"expect": {"valid": True}}, {"valid": 1}, VectorResult.PASSED),
        ({"expect": {"valid": True}}, {"valid": "true"}, VectorResult.FAILED),
        # An invalid vector: a refusal, and nothing else in it.
        ({"refuse": True}, {"error": "no"}, VectorResult.PASSED),
        ({"refuse": True}, {"valid": False}, VectorResult.PASSED),
        ({"refuse": True}, {"valid": True}, VectorResult.FAILED),
        ({"refuse": True}, {"msg": "aa"}, VectorResult.FAILED),
        ({"refuse": True}, {"msg": ""}, VectorResult.FAILED),
        ({"refuse": True}, {"error": "no", "msg": "aa"}, VectorResult.FAILED),
        ({"refuse": True}, {"error": "no", "msg": ""}, VectorResult.FAILED),
        ({"refuse": True}, {}, VectorResult.FAILED),
        ({"refuse": True}, {"valid": None}, VectorResult.FAILED),
        # Either is right, but not a wrong result.
        ({"either": True, "expect": {"msg": ""}}, {"msg": ""}, VectorResult.ACCEPTABLE),
        ({"either": True, "expect": {"msg": ""}}, {"error": "no"}, VectorResult.ACCEPTABLE),
        ({"either": True, "expect": {"msg": ""}}, {"msg": "aa"}, VectorResult.FAILED),
        # What it had said it does, it has to do.
        ({"refuse": True}, {"unsupported": "no"}, VectorResult.FAILED),
        ({"expect": {"msg": "aa"}}, {"unsupported": "no"}, VectorResult.FAILED),
    ],
)
def test_replies(how: dict[str, Any], reply: dict[str, Any], result: VectorResult) -> None:
    assert ask(**how).judge(Answer(ReplyKind.REPLY, reply))[0] is result


@pytest.mark.parametrize(
    ("came", "result"),
    [
        (ReplyKind.DIED, VectorResult.FAILED),
        (ReplyKind.HUNG, VectorResult.FAILED),
        (ReplyKind.FAULT, VectorResult.UNDECIDED),
    ],
)
def test_no_reply(came: ReplyKind, result: VectorResult) -> None:
    for how in ({"refuse": True}, {"expect": {"msg": "aa"}}, {"either": True}):
        assert ask(**how).judge(Answer(came, detail=verbatim("why"))) == (
            result,
            "why" if came is ReplyKind.FAULT else f"the harness {came}: why",
        )
