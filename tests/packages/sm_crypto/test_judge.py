"""What a reply means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.packages.sm_crypto.judge import Ask, VectorResult, asks
from pytest_xinchuang.packages.sm_crypto.protocol import SmHello
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness
from pytest_xinchuang.packages.sm_crypto.vectors import find, load_directory

LOADED = load_directory(resources.fixtures_dir() / "vectors")
VECTOR = find(LOADED, "sm2_decrypt/1")[0]


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
        ({"expect": {"valid": True}}, {"valid": 1}, VectorResult.FAILED),
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


def made_of(identifier: str) -> list[Ask]:
    """The requests of a vector to the reference."""
    return list(asks(find(LOADED, identifier)[0], SmHello.model_validate(ReferenceHarness().hello())))


def test_parts_are_those_of_the_text_that_is_asked() -> None:
    """A padded text is shorter than its ciphertext: no part is beyond what there is."""
    for vector in find(LOADED, "sm4_parts"):
        for one in asks(vector, SmHello.model_validate(ReferenceHarness().hello())):
            text = one.request["msg" if "msg" in one.request else "ct"]
            assert sum(one.request.get("splits", [])) <= len(text) // 2
            assert sum(one.request.get("aad_splits", [])) <= len(one.request.get("aad", "")) // 2


def test_a_tag_that_is_absent_is_not_an_empty_one() -> None:
    tags = {v.test.flags[0]: v for v in find(LOADED, "sm4_gcm_tags") if v.test.flags[0] in ("EmptyTag", "AbsentTag")}
    hello = SmHello.model_validate(ReferenceHarness().hello())
    (empty,), (absent,) = (list(asks(tags[flag], hello)) for flag in ("EmptyTag", "AbsentTag"))
    assert empty.request["tag"] == "" and empty.request["tag_bytes"] in (12, 16)
    assert "tag" not in absent.request and absent.request["tag_bytes"] in (12, 16)
    assert empty.refuse and absent.refuse


GOOD = [{"error": "no"}, {"ct": "aa"}]


@pytest.mark.parametrize(
    ("outs", "result"),
    [
        (GOOD, VectorResult.PASSED),
        ([{"error": "no"}, {"ct": "ab"}], VectorResult.FAILED),
        ([{"error": "no", "ct": "aa"}, {"ct": "aa"}], VectorResult.FAILED),
        ([{"ct": "aa"}, {"ct": "aa"}], VectorResult.FAILED),
        ([{}, {"ct": "aa"}], VectorResult.FAILED),
        ([{"error": "no"}, {"ct": "aa", "error": "no"}], VectorResult.FAILED),
        ([{"error": "no"}, {"ct": "aa", "msg": "bb"}], VectorResult.FAILED),
        ([{"error": "no"}, {"error": "no"}], VectorResult.FAILED),
        ([{"error": "no"}], VectorResult.FAILED),
        ([*GOOD, {"ct": "aa"}], VectorResult.FAILED),
        (["no", "aa"], VectorResult.FAILED),
        ("aa", VectorResult.FAILED),
        (None, VectorResult.FAILED),
    ],
)
def test_steps_of_an_object_that_is_used_again(outs: Any, result: VectorResult) -> None:
    (one,) = made_of("sm4_reuse/4")
    vector = one.vector
    assert vector.test["outs"][0] == {} and "ct" in vector.test["outs"][1]
    fields = {**vector.test.model_dump(by_alias=True), "outs": [{}, {"ct": "aa"}]}
    fitting = type(vector.test).model_validate(fields)
    (again,) = asks(replace(vector, test=fitting), SmHello.model_validate(ReferenceHarness().hello()))
    assert again.judge(Answer(ReplyKind.REPLY, {"outs": outs}))[0] is result
