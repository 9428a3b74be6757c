"""What runs in many threads: every operation that a harness has, and those of which the random number is its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.packages.sm_crypto import concurrency
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.concurrency import AT_ONCE, check_concurrency, chosen
from pytest_xinchuang.packages.sm_crypto.engine import vectors_dir
from pytest_xinchuang.packages.sm_crypto.vectors import Vector, load_directory
from pytest_xinchuang.sandbox.local import local
from tests.packages.sm_crypto.conftest import REFERENCE, ROOT

pytestmark = pytest.mark.tools

HARNESS = """
import sys, threading, time
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, serve
class Harness(ReferenceHarness):
    pass
{body}
serve(Harness(), sys.stdin.buffer, sys.stdout.buffer)
"""
RACE = """
place = {{}}
good = ReferenceHarness.op_{operation}
def raced(self, request):
    if {when}:
        place["now"] = request["{field}"]
        time.sleep(0.0002)
        request = {{**request, "{field}": place["now"]}}
    return good(self, request)
Harness.op_{operation} = raced
"""


def vectors(*beginnings: str) -> list[Vector]:
    every = [v for one in load_directory(vectors_dir()) for v in one.vectors() if not v.group.get("slow")]
    return [v for v in every if v.file.startswith(beginnings)] if beginnings else every


def checked(tmp_path: Path, body: str, *beginnings: str) -> Found:
    script = tmp_path / "harness.py"
    script.write_text(HARNESS.format(body=body))
    with SmClient(local([sys.executable, str(script)], ROOT), timeout_s=20) as client:
        return check_concurrency(client, vectors(*beginnings))


def test_every_operation_with_vectors_is_chosen() -> None:
    with SmClient(local(REFERENCE, ROOT), timeout_s=20) as client:
        families = chosen(vectors(), client)
        offered = set(client.hello.operations)
    asked = [ask for family in families for ask in family]
    others = {"sm2_keygen", "concurrent", "forked", "timed", "self_test"}
    assert {ask.request["op"] for ask in asked} == offered - others
    for operation in ("sm2_sign", "sm2_encrypt"):
        mine = [ask for ask in asked if ask.request["op"] == operation and not ask.refuse]
        assert {"k" in ask.request for ask in mine} == {True, False}
        assert all(ask.check for ask in mine if "k" not in ask.request)
    assert any(ask.refuse and ask.request["op"] == "sm2_verify" for ask in asked)
    assert all(len(family) <= AT_ONCE for family in families)


@pytest.mark.parametrize(
    ("operation", "field", "when", "files", "how"),
    [
        ("sm2_sign", "msg", "'k' not in request", "sm2_sign", "separate"),
        ("sm2_encrypt", "msg", "'k' not in request", "sm2_encrypt", "separate"),
        ("sm2_verify", "msg", "True", "sm2_verify", "separate"),
        ("sm3_stream", "steps", "True", "sm3_stream", "separate"),
        ("sm4_xts_encrypt", "iv", "request.get('shared')", "sm4_xts", "shared"),
        ("hmac_sm3", "key", "request.get('shared')", "hmac_sm3", "shared"),
    ],
)
def test_a_race_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str, field: str, when: str, files: str, how: str
) -> None:
    monkeypatch.setattr(concurrency, "OPERATIONS", 1000)
    found = checked(tmp_path, RACE.format(operation=operation, field=field, when=when), files)
    assert any(operation in text and f"{how} objects" in text for text in found.wrong), found
    assert how == "separate" or not any("separate" in text for text in found.wrong)


@pytest.mark.parametrize(
    ("body", "done"),
    [
        ("", {False: 500, True: 500}),
        # Without shared objects all of the operations are done with separate ones.
        (
            "def hello(self):\n    said = ReferenceHarness.hello(self)\n"
            "    said['operations']['concurrent'] = {'threads': [1, 8]}\n    return said\nHarness.hello = hello\n",
            {False: 1000},
        ),
    ],
)
def test_a_good_one_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, done: dict[bool, int]) -> None:
    monkeypatch.setattr(concurrency, "OPERATIONS", 1000)
    found = checked(tmp_path, body, "sm4_cbc_pkcs7", "sm2_sign")
    assert not found.wrong and not found.undecided, found
    assert {one["shared"]: one["done"] >= done[one["shared"]] for one in found.evidence} == dict.fromkeys(done, True)


@pytest.mark.parametrize(
    ("body", "what", "wrong"),
    [
        ("Harness.op_concurrent = lambda self, r: {'replies': [7] * len(r['requests'])}", "no answer at all", True),
        ("Harness.op_concurrent = lambda self, r: {'replies': [[7]] * len(r['requests'])}", "no list of replies", True),
        ("Harness.op_concurrent = lambda self, r: {'replies': []}", "no list of replies", True),
        (
            "def hello(self):\n    said = ReferenceHarness.hello(self)\n"
            "    said['operations']['concurrent'] = {'threads': [1, 1]}\n    return said\nHarness.hello = hello\n",
            "runs one thread alone",
            False,
        ),
    ],
)
def test_an_answer_that_says_nothing_is_no_pass(tmp_path: Path, body: str, what: str, wrong: bool) -> None:
    found = checked(tmp_path, body, "sm4_cbc_pkcs7")
    assert any(what in text for text in found.wrong) if wrong else what in found.undecided and not found.wrong, found


WRONG = """
def zeros(self, request):
    return {{"key": "00" * request["size"]}} if not request["iterations"] else good(self, request)
good = ReferenceHarness.op_pbkdf2_sm3
Harness.op_pbkdf2_sm3 = zeros
{more}
"""


def test_what_is_wrong_alone_is_no_matter_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "OPERATIONS", 300)
    found = checked(tmp_path, WRONG.format(more=""), "pbkdf2")
    assert not found.wrong and not found.undecided, found
    assert [one["vectors"] for one in found.evidence if one["kind"] == "wrong alone"]


def test_what_is_wrong_alone_hides_no_race_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(concurrency, "OPERATIONS", 300)
    race = RACE.format(operation="hmac_sm3", field="key", when="True").replace("good", "right")
    found = checked(tmp_path, WRONG.format(more=race), "pbkdf2", "hmac_sm3")
    assert any("hmac_sm3" in text for text in found.wrong), found


@pytest.mark.parametrize("answer", ["{{'tag': '00' * 32}}", "{{'error': 'no'}}"])
def test_nothing_right_alone_says_nothing(answer: str, tmp_path: Path) -> None:
    body = f"Harness.op_hmac_sm3 = Harness.op_hmac_sm3_stream = lambda self, request: {answer.format()}\n"
    found = checked(tmp_path, body, "hmac_sm3")
    assert "no operation answers rightly alone" in found.undecided and not found.wrong, found
