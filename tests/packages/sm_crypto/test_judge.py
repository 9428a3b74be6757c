"""What a reply means."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.sm_crypto.client import Answer, Came
from pytest_xinchuang.packages.sm_crypto.judge import Ask, Result
from pytest_xinchuang.packages.sm_crypto.vectors import find, load_directory

VECTOR = find(load_directory(resources.fixtures_dir() / "vectors"), "sm2_decrypt/1")[0]


def ask(**how: Any) -> Ask:
    return Ask(VECTOR, {"op": "sm2_decrypt"}, how.pop("expect", {}), **how)


@pytest.mark.parametrize(
    ("how", "reply", "result"),
    [
        ({"expect": {"msg": "aa"}}, {"msg": "aa"}, Result.PASSED),
        ({"expect": {"msg": "aa"}}, {"msg": "ab"}, Result.FAILED),
        ({"expect": {"msg": "aa"}}, {}, Result.FAILED),
        ({"expect": {"msg": "aa"}}, {"error": "no"}, Result.FAILED),
        ({"expect": {"msg": "aa"}}, {"error": "no", "msg": "aa"}, Result.FAILED),
        ({"expect": {"valid": True}}, {"valid": True}, Result.PASSED),
        ({"expect": {"valid": True}}, {"valid": False}, Result.FAILED),
        ({"expect": {"valid": True}}, {"valid": 1}, Result.PASSED),
        ({"expect": {"valid": True}}, {"valid": "true"}, Result.FAILED),
        # An invalid vector: a refusal, and nothing else in it.
        ({"refuse": True}, {"error": "no"}, Result.PASSED),
        ({"refuse": True}, {"valid": False}, Result.PASSED),
        ({"refuse": True}, {"valid": True}, Result.FAILED),
        ({"refuse": True}, {"msg": "aa"}, Result.FAILED),
        ({"refuse": True}, {"msg": ""}, Result.FAILED),
        ({"refuse": True}, {"error": "no", "msg": "aa"}, Result.FAILED),
        ({"refuse": True}, {"error": "no", "msg": ""}, Result.FAILED),
        ({"refuse": True}, {}, Result.FAILED),
        ({"refuse": True}, {"valid": None}, Result.FAILED),
        # Either is right, but not a wrong result.
        ({"either": True, "expect": {"msg": ""}}, {"msg": ""}, Result.ACCEPTABLE),
        ({"either": True, "expect": {"msg": ""}}, {"error": "no"}, Result.ACCEPTABLE),
        ({"either": True, "expect": {"msg": ""}}, {"msg": "aa"}, Result.FAILED),
        # What it had said it does, it has to do.
        ({"refuse": True}, {"unsupported": "no"}, Result.FAILED),
        ({"expect": {"msg": "aa"}}, {"unsupported": "no"}, Result.FAILED),
    ],
)
def test_replies(how: dict[str, Any], reply: dict[str, Any], result: Result) -> None:
    assert ask(**how).judge(Answer(Came.REPLY, reply))[0] is result


@pytest.mark.parametrize(
    ("came", "result"), [(Came.DIED, Result.FAILED), (Came.HUNG, Result.FAILED), (Came.FAULT, Result.UNDECIDED)]
)
def test_no_reply(came: Came, result: Result) -> None:
    for how in ({"refuse": True}, {"expect": {"msg": "aa"}}, {"either": True}):
        assert ask(**how).judge(Answer(came, detail="why")) == (
            result,
            "why" if came is Came.FAULT else f"the harness {came}: why",
        )
