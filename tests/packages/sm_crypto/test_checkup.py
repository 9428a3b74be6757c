"""`xc sm check-harness`: a good harness has nothing to mend, and each mistake of a bad one is told with what was meant."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.sm_crypto.checkup import Step, StepKind, as_dict, as_text, check_up, hello_hints
from pytest_xinchuang.packages.sm_crypto.protocol import SmHello
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply, Request
from pytest_xinchuang.packages.sm_crypto.vectors import Vector, load_directory
from tests.messages.english import english_in
from tests.packages.sm_crypto.conftest import REFERENCE
from tests.packages.sm_crypto.inside import Inside

HELLO = ReferenceHarness().hello()


class Asking(Inside):
    """A client that asks for one thing, too."""

    def ask(self, request: Request) -> Any:
        return next(iter(self.run([(None, request)])))[1]


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the process answers as the process itself: nothing is forked here."""

    def both(harness: ReferenceHarness, request: Request) -> Reply:
        return {who: [harness.handle(one) for one in request["requests"]] for who in ("parent", "child")}

    monkeypatch.setattr(ReferenceHarness, "op_forked", both)


@pytest.fixture(scope="module")
def vectors() -> list[Vector]:
    loaded = load_directory(resources.fixtures_dir() / "vectors")
    return [v for one in loaded for v in one.vectors() if not v.group.get("slow") and "sm4_stand" not in one.name]


def steps(vectors: list[Vector], handle: Any = ReferenceHarness.handle, **hello: Any) -> list[Step]:
    checkup = check_up(Asking(handle, **hello), vectors)  # type: ignore[arg-type]
    for lang in ("en", "zh"):
        text = as_text(checkup, lang)
    assert not [step for step in checkup.steps if english_in(step.what.render("zh"))], text
    assert as_dict(checkup)["failed"] == len(checkup.failed)
    return checkup.steps


def test_the_reference_has_nothing_to_mend(vectors: list[Vector]) -> None:
    found = steps(vectors)
    assert not [step for step in found if step.good is False]
    assert {step.name for step in found if step.kind is StepKind.OPERATION and step.good} == set(HELLO["operations"])
    assert len([step for step in found if step.kind is StepKind.FEATURE and step.good]) > 50
    assert len([step for step in found if step.kind is StepKind.BAD_INPUT and step.good]) > 15


def operations(**changes: Any) -> dict[str, Any]:
    made = {**HELLO["operations"], **changes}
    return {"operations": {n: v for n, v in made.items() if v is not None}}


@pytest.mark.parametrize(
    ("hello", "told"),
    [
        (operations(sm2_sing={}), "there is no operation sm2_sing (did you mean sm2_sign"),
        (operations(SM3={}), "there is no operation SM3 (did you mean sm3"),
        (operations(frobnicate={}), "there is no operation frobnicate"),
        (operations(sm4_gcm_encrypt={"iv_byte": [12, 12]}), "there is no feature iv_byte (did you mean iv_bytes"),
        (operations(sm2_verify={"encoding": ["DER"]}), "encoding has no value 'DER' (did you mean der"),
        (operations(sm2_decrypt={"order": ["c1c3c2", "C1C2C3"]}), "order has no value 'C1C2C3' (did you mean c1c2c3"),
        (operations(sm2_sign={"k": [1]}), "k has no value 1"),
        (operations(sm4_ctr_encrypt={"wrap": ["32"]}), "wrap has no value '32' (did you mean 32"),
        ({"default_Id": None}, "nobody reads the field default_Id (did you mean default_id"),
    ],
)
def test_a_hello_that_nobody_reads_is_told(hello: dict[str, Any], told: str) -> None:
    hints = hello_hints(SmHello.model_validate({**HELLO, **hello}))
    assert any(told in hint for hint in hints), hints
    assert all(not english_in(hint.render("zh")) for hint in hints)
    assert not hello_hints(SmHello.model_validate(HELLO))


def replies(change: Any) -> Any:
    return lambda harness, request: change(request, harness.handle(request))


@pytest.mark.parametrize(
    ("change", "name", "told"),
    [
        (lambda q, r: {n: v.upper() if n == "digest" else v for n, v in r.items()}, "sm3", "in upper case"),
        (lambda q, r: {"tag": r["mac"]} if "mac" in r else r, "hmac_sm3", "under the name tag"),
        (lambda q, r: {"passed": 1} if "passed" in r else r, "self_test", "got {'passed': 1}"),
        (lambda q, r: {**r, "public": "04"} if q["op"] == "sm2_keygen" else r, "sm2_keygen", "got {"),
        (lambda q, r: {"replies": [[]]} if q["op"] == "concurrent" else r, "concurrent", "got {'replies': [[]]}"),
        (lambda q, r: {"nanoseconds": [[1], []]} if q["op"] == "timed" else r, "timed", "got {'nanoseconds'"),
        (lambda q, r: {"ok": 1} if q["op"] == "no_such_operation" else r, "no_such_operation", '"unsupported" or "error"'),
        (lambda q, r: {"valid": True} if "sig" in q else r, "sm2_verify", "expected a refusal"),
        (lambda q, r: {"error": "x"} if q.get("order") else r, "sm2_encrypt order c1c2c3", "got a refusal"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_step(vectors: list[Vector], change: Any, name: str, told: str) -> None:
    failed = [step for step in steps(vectors, replies(change)) if step.good is False]
    assert [step for step in failed if step.name == name and told in step.what], failed


def test_what_is_not_offered_is_told_with_what_it_leaves_open(vectors: list[Vector]) -> None:
    found = steps(vectors, **operations(sm2_exchange=None, sm2_encrypt={"encoding": ["der"]}))
    opened = {step.name: step.what for step in found if step.kind is StepKind.OPEN}
    assert "stays undecided" in opened["XC-SM-023"] and "operation sm2_exchange" in opened["XC-SM-023"]
    assert "cannot be asked: encoding raw" in opened["XC-SM-021"]
    assert "XC-SM-010" not in opened
    limited = steps(vectors, **operations(sm4_cbc_encrypt={"msg_bytes": [5, 5]}))
    assert [s for s in limited if s.name == "sm4_cbc_encrypt" and s.good is None and "no vector can be asked" in s.what]


@pytest.mark.tools
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sm", "check-harness", "--format", "json", "--", *REFERENCE]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["schema"] == "xc-sm-check/1" and data["failed"] == 0 and data["harness"]["name"] == "reference"
    assert main(["sm", "check-harness", "--", *REFERENCE]) == 0
    assert "0 failed" in capsys.readouterr().out
    silent = tmp_path / "silent.py"
    silent.write_text("print('hello')")
    assert main(["sm", "check-harness", "--language", "zh", "--", sys.executable, str(silent)]) == 1
    assert "hello" in capsys.readouterr().out
    assert main(["sm", "check-harness"]) == 2


def test_a_reply_is_never_taken_for_more_than_it_is(vectors: list[Vector]) -> None:
    """A harness that answers nothing fails at every step."""

    def nothing(_harness: ReferenceHarness, _request: Request) -> Reply:
        return {}

    assert not [s for s in steps(vectors, nothing) if s.good and s.kind is not StepKind.HELLO]
