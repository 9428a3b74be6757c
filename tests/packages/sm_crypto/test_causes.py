"""What an answer is right for, and which failures are the harness's or a limit's: every cause, and its twin without one."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.packages.sm_crypto.causes import Causes, Weight, weight
from pytest_xinchuang.packages.sm_crypto.defects import load_bank
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult
from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply, Request
from pytest_xinchuang.packages.sm_crypto.report import as_dict, as_text
from pytest_xinchuang.packages.sm_crypto.runner import VectorOutcome, VectorRun, run_vectors
from pytest_xinchuang.packages.sm_crypto.vectors import Vector, load_file
from pytest_xinchuang.sm.sm2 import DEFAULT_ID
from pytest_xinchuang.sm.sm3 import sm3
from tests.messages.english import english_in
from tests.packages.sm_crypto.inside import Handle, inside

VECTORS = resources.fixtures_dir() / "vectors"
BANK = load_bank()


def vectors(*names: str, most: int = 90) -> list[Vector]:
    """At most so many of each file, evenly spread."""
    chosen: list[Vector] = []
    for name in names:
        every = list(load_file(VECTORS / f"{name}_test.json").vectors())
        chosen += every[:: -(-len(every) // most)]
    return chosen


def failures(handle: Handle, chosen: list[Vector], **hello: Any) -> tuple[VectorRun, list[VectorOutcome]]:
    result = run_vectors(inside(handle, **hello), chosen)
    return result, [s for s in result.seen if s.result is VectorResult.FAILED]


def reply_of(change: Callable[[Any], Any], *names: str) -> Handle:
    """A harness that changes the results of these names."""

    def handle(harness: ReferenceHarness, request: Request) -> Reply:
        reply = harness.handle(request)
        return {n: change(v) if n in names else v for n, v in reply.items()}

    return handle


def request_of(change: Callable[[Request], Request], *operations: str) -> Handle:
    """A harness that asks the library for something else."""

    def handle(harness: ReferenceHarness, request: Request) -> Reply:
        return harness.handle(change(request) if request["op"].startswith(operations) else request)

    return handle


def reverse(digits: str) -> str:
    return bytes.fromhex(digits)[::-1].hex()


def field(name: str, change: Callable[[str], str], *operations: str) -> Handle:
    return request_of(lambda r: {**r, name: change(r[name])} if name in r else r, *operations)


def own_k(harness: ReferenceHarness, request: Request) -> Reply:
    return harness.handle({n: v for n, v in request.items() if n != "k"})


def without(name: str) -> Callable[[Request], Request]:
    return lambda r: {n: v for n, v in r.items() if n != name}


def plain_sm3(request: Request) -> Request:
    if request.get("input") == "digest" or "msg" not in request:
        return request
    return {**request, "input": "digest", "msg": sm3(bytes.fromhex(request["msg"])).hex()}


def hashed(request: Request) -> Request:
    return {**request, "msg": sm3(bytes.fromhex(request["msg"])).hex()} if request.get("input") == "digest" else request


def appended(harness: ReferenceHarness, request: Request) -> Reply:
    reply = harness.handle(request)
    return {"ct": reply["ct"] + reply["tag"]} if "tag" in reply else reply


def renamed(harness: ReferenceHarness, request: Request) -> Reply:
    return {{"digest": "hash"}.get(n, n): v for n, v in harness.handle(request).items()}


NO_K = {
    "operations": {
        **ReferenceHarness().hello()["operations"],
        "sm2_sign": {"encoding": ["der", "raw"], "input": ["message", "digest"]},
    }
}
NO_K_CT = {
    "operations": {**NO_K["operations"], "sm2_encrypt": {"encoding": ["der", "raw"], "order": ["c1c3c2", "c1c2c3"]}}
}


@pytest.mark.parametrize(
    ("handle", "files", "told", "hello"),
    [
        (reply_of(str.upper, "digest"), ("sm3",), "hexadecimal digits in upper case", {}),
        (reply_of(lambda v: "0x" + v, "digest"), ("sm3",), "behind 0x", {}),
        (reply_of(lambda v: bytes.fromhex(v).hex(":"), "digest"), ("sm3",), "with separators", {}),
        (reply_of(lambda v: base64.b64encode(bytes.fromhex(v)).decode(), "digest"), ("sm3",), "base64", {}),
        (reply_of(lambda v: list(bytes.fromhex(v)), "digest"), ("sm3",), "a list of numbers", {}),
        (reply_of(lambda v: v[:32], "digest"), ("sm3",), "right, but cut: digest has 16 of 32 bytes", {}),
        (reply_of(lambda v: v + "00", "digest"), ("sm3",), "right, but longer: digest has 1 bytes more", {}),
        (reply_of(reverse, "digest"), ("sm3",), "all bytes in reverse order", {}),
        (lambda h, r: {{"mac": "tag"}.get(n, n): v for n, v in h.handle(r).items()}, ("hmac_sm3",), "under the name tag", {}),
        (reply_of(lambda v: v and 1, "valid"), ("sm2_verify",), "right, as 1", {}),
        (reply_of(lambda v: v or "false", "valid"), ("sm2_verify",), "right, as 'false'", {}),
        (renamed, ("sm3",), "right, under the name hash: the protocol has digest", {}),
        (reply_of(lambda v: base64.b64encode(bytes.fromhex(v)).decode(), "sig"), ("sm2_sign",), "base64", NO_K),
        (field("k", reverse, "sm2_sign"), ("sm2_sign",), "right for little-endian k", {}),
        (own_k, ("sm2_sign",), "a right signature under another k", {}),
        (own_k, ("sm2_encrypt",), "a right ciphertext under another k", {}),
        (request_of(plain_sm3, "sm2_sign"), ("sm2_sign",), "right for SM3 without Z", {}),
        (request_of(plain_sm3, "sm2_sign"), ("sm2_sign",), "right for SM3 without Z", NO_K),
        (request_of(hashed, "sm2_sign"), ("sm2_sign",), "right for the digest of the digest", NO_K),
        (field("user_id", lambda _v: DEFAULT_ID.hex(), "sm2_sign"), ("sm2_sign",), "right for the default id", NO_K),
        (field("user_id", lambda _v: "", "sm2_sign"), ("sm2_sign",), "right for the empty id", NO_K),
        (field("user_id", lambda v: v.encode().hex(), "sm2_sign"), ("sm2_sign",), "the id's hexadecimal digits as text", NO_K),
        (reply_of(lambda v: v[64:] + v[:64] if len(v) == 128 else v, "sig"), ("sm2_sign",), "right for s before r", NO_K),
        (request_of(lambda r: {**r, "encoding": "der"}, "sm2_sign"), ("sm2_sign",), "DER instead of raw", NO_K),
        (request_of(without("order"), "sm2_encrypt"), ("sm2_encrypt",), "C1C3C2 order", NO_K_CT),
        (request_of(without("order"), "sm2_encrypt"), ("sm2_encrypt",), "the other order of C1, C2 and C3", {}),
        (reply_of(lambda v: v.removeprefix("04"), "ct"), ("sm2_encrypt",), "without the 04 in front of C1", NO_K_CT),
        (field("iv", lambda v: "00" * (len(v) // 2), "sm4_cbc"), ("sm4_cbc",), "right for an IV of zeros", {}),
        (field("key", reverse, "sm4_cbc"), ("sm4_cbc",), "right for the key in another byte order", {}),
        (field("aad", lambda _v: "", "sm4_gcm_encrypt"), ("sm4_gcm",), "right for empty associated data", {}),
        (appended, ("sm4_gcm",), "with the tag behind it", {}),
        (request_of(without("wrap"), "sm4_ctr"), ("sm4_ctr",), "a counter of 128 bits", {}),
        (field("ephemeral", reverse, "sm2_exchange"), ("sm2_exchange",), "a little-endian `ephemeral`", {}),
        (lambda h, r: {**h.handle(r), "digest": "00" * 32}, ("sm3",), "valid requests of sm3 fail: look at the harness", {}),
        (lambda _h, _r: {"error": "no"}, ("sm4_ofb",), "are refused: look at the harness", {}),
        (lambda _h, _r: {"valid": True}, ("sm2_verify",), "are accepted: nothing is checked", {}),
    ],
)  # fmt: skip
def test_what_an_answer_is_right_for_is_told(
    handle: Handle, files: tuple[str, ...], told: str, hello: dict[str, Any]
) -> None:
    result, failed = failures(handle, vectors(*files, most=60), **hello)
    causes = Causes(result.asked)
    said = [causes.of(s) for s in failed]
    assert any(told in str(one) for one in said), Counter(map(str, said))
    for one in said:
        assert not english_in(one.render("zh"))
    # A cause makes nothing better: what is not right has failed, whatever it is right for.
    assert failed and all(s.result is VectorResult.FAILED for s in failed)
    text = as_text(result, BANK, "xc sm run")
    assert told in text
    assert any(told in str(one["cause"]) for one in as_dict(result, {})["failures"])


def limited(handle: Callable[[Request], bool]) -> Handle:
    return lambda h, r: {"error": "not supported"} if handle(r) else h.handle(r)


@pytest.mark.parametrize(
    ("refuses", "files", "told"),
    [
        (lambda r: len(r.get("iv", "")) == 24, ("sm4_gcm",), "every one with iv of 12 bytes is refused"),
        (lambda r: len(r.get("iv", "")) not in (24,), ("sm4_gcm",), '"iv_bytes": [12, 12]'),
        (lambda r: len(r.get("tag", "")) < 24 and r["op"] == "sm4_ccm_decrypt", ("sm4_ccm",), 'declare "tag_bytes": [1'),
        (lambda r: r.get("encoding") == "raw", ("sm2_sign",), "with encoding raw is refused"),
        (lambda r: r.get("order") == "c1c2c3", ("sm2_decrypt",), "with order c1c2c3 is refused"),
        (
            lambda r: r.get("user_id", DEFAULT_ID.hex()) != DEFAULT_ID.hex(),
            ("sm2_verify",),
            "with another user id than the default is refused",
        ),
        (lambda r: r.get("padding") == "pkcs7" and r["op"] == "sm4_cbc_encrypt", ("sm4_cbc", "sm4_cbc_pkcs7"), "padding pkcs7"),
        (lambda r: r.get("size", 0) > 64, ("hkdf_sm3",), "are refused for their size"),
        (lambda r: "splits" in r, ("sm4_ctr", "sm4_stream"), "with `splits` is refused"),
    ],
)  # fmt: skip
def test_a_limit_is_told_with_what_to_declare(
    refuses: Callable[[Request], bool], files: tuple[str, ...], told: str
) -> None:
    result, failed = failures(limited(refuses), vectors(*files, most=90))
    causes = Causes(result.asked)
    said = Counter(str(causes.of(s)) for s in failed)
    assert any(told in one for one in said), said
    assert all(not english_in(causes.of(s).render("zh")) for s in failed)


def test_a_defect_has_no_other_cause() -> None:
    """Twins: one wrong answer among many, and one refusal, are the flag's defect."""
    chosen = vectors("sm2_verify", most=80)
    valid = next(v for v in chosen if v.test.result == "valid")
    invalid = next(v for v in chosen if v.test.result == "invalid" and v.test.flags)

    def handle(harness: ReferenceHarness, request: Request) -> Reply:
        if request["sig"] == valid.test["sig"]:
            return {"valid": False}
        return {"valid": True} if request["sig"] == invalid.test["sig"] else harness.handle(request)

    result, failed = failures(handle, chosen)
    causes = Causes(result.asked)
    assert {s.vector.id for s in failed} >= {valid.id, invalid.id}
    assert {str(causes.of(s)) for s in failed} == {""}
    assert BANK.first_of(invalid.test.flags) is not None
    assert str(BANK.first_of(invalid.test.flags).en) in as_text(result, BANK, "")  # type: ignore[union-attr]


def test_the_worst_comes_first() -> None:
    """A forgery that is accepted is told before a form of encoding, wherever they stand in the file."""
    result, failed = failures(lambda _h, _r: {"valid": True}, vectors("sm2_verify", most=90))
    weights = {weight(s, BANK) for s in failed}
    assert {Weight.FORGERY, Weight.FORM} <= weights
    lines = as_text(result, BANK, "").splitlines()
    heads = [line.split(":")[0].split()[-1] for line in lines if line.startswith("sm2_verify ") and "failed" in line]
    bugs = [BANK.flag(name).bug for name in heads if BANK.flag(name)]  # type: ignore[union-attr]
    forms = [n for n, bug in enumerate(bugs) if bug in ("BER_ENCODING", "EDGE_CASE", "SIGNATURE_MALLEABILITY")]
    assert not forms or forms == list(range(min(forms), len(bugs)))


def test_what_a_refusal_gives_out_is_a_leak_and_a_death_is_wrong() -> None:
    def leaks(harness: ReferenceHarness, request: Request) -> Reply:
        reply = harness.handle(request)
        return {**reply, "msg": "00"} if "error" in reply else reply

    _result, failed = failures(leaks, vectors("sm4_gcm", most=200))
    assert {weight(s, BANK) for s in failed} == {Weight.LEAK}
    assert weight(VectorOutcome(failed[0].vector, VectorResult.FAILED), BANK) is Weight.WRONG
