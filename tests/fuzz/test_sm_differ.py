"""The SM reference and other libraries answer the same operations alike; a reference that is wrong is told from them."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply, Request
from pytest_xinchuang.sm.curve import N, multiply_base
from pytest_xinchuang.sm.sm2 import Sm2
from tests.fuzz.sm.differ import Score, differ, same, started
from tests.fuzz.sm.explained import explanation, unaskable
from tests.fuzz.sm.operations import operation

KEY = "00" * 16


def test_operations_are_the_same_for_the_same_number_and_of_every_kind() -> None:
    drawn = [operation(3, n) for n in range(1500)]
    assert drawn[:40] == [operation(3, n) for n in range(40)] != [operation(4, n) for n in range(40)]
    kinds = Counter(one["op"] for one in drawn)
    assert len(kinds) > 25 and {"sm3", "sm4_gcm_decrypt", "sm4_xts_encrypt", "sm2_verify", "sm2_decrypt"} <= set(kinds)


def test_the_reference_ends_at_none_of_them() -> None:
    harness = ReferenceHarness()
    replies = [harness.handle(operation(5, n)) for n in range(1500)]
    refused = sum("error" in reply for reply in replies)
    assert 50 < refused < 400 and all(reply for reply in replies)


@pytest.mark.slow
def test_two_other_libraries_answer_alike(tmp_path: Path) -> None:
    class Lenient(ReferenceHarness):
        """Takes every padding."""

        def unpadded(self, data: bytes, request: Request) -> bytes:
            return data[: -(data[-1] % 16 or 16)] if self.pads(request) and data else data

    with ExitStack() as stack:
        peers = started(stack, ("OpenSSL", "cryptography", "emmansun/gmsm"))
        if len(peers) < 2:
            pytest.skip("two other libraries are needed")
        score = Score()
        differ(score, peers, seed=1, number=3000)
        assert score.different == 0 and score.done == 3000, score.text()
        assert sum(score.operations.values()) == 3000 and score.backed["2"] > 1500
        score.keep(tmp_path / "kept")
        assert Score.read(tmp_path / "kept") == score and Score.read(tmp_path / "none").done == 0
        wrong = Score()
        differ(wrong, peers, seed=1, number=3000, reference=Lenient())
        assert wrong.different and all(one["request"]["padding"] == "pkcs7" for one in wrong.differences), wrong.text()


@pytest.mark.parametrize(
    ("request_", "mine", "other", "alike"),
    [
        ({"op": "sm3"}, {"digest": "aa"}, {"digest": "aa"}, True),
        ({"op": "sm3"}, {"digest": "aa"}, {"digest": "ab"}, False),
        ({"op": "sm3"}, {"error": "no"}, {"error": "another"}, True),
        ({"op": "sm3"}, {"error": "no"}, {"digest": "aa"}, False),
        ({"op": "sm3"}, {"digest": "aa"}, {}, False),
        ({"op": "sm2_verify"}, {"valid": False}, {"error": "no"}, True),
        ({"op": "sm2_verify"}, {"valid": True}, {"valid": False}, False),
        ({"op": "sm2_keygen"}, {}, {"private": "00"}, False),
    ],
)
def test_what_is_alike(request_: Request, mine: Reply, other: Reply, alike: bool) -> None:
    assert same(request_, mine, other) is alike


@pytest.mark.parametrize(
    ("peer", "request_"),
    [
        ("OpenSSL", {"op": "x963kdf_sm3", "secret": "", "size": 16}),
        ("emmansun/gmsm", {"op": "sm2_exchange", "ephemeral": f"{N - 1:064x}"}),
        ("BouncyCastle", {"op": "sm2_import_private", "private": f"{N - 1:064x}"}),
        ("BouncyCastle", {"op": "sm4_gcm_encrypt", "iv": "00" * 12, "tag_bytes": 9}),
    ],
)
def test_an_explanation_holds_in_one_direction(peer: str, request_: Request) -> None:
    good, bad = {"key": "aa", "public": "aa", "ct": "aa"}, {"error": "no"}
    both = [explanation(peer, request_, good, bad), explanation(peer, request_, bad, good)]
    assert sum(map(bool, both)) == 1
    assert not explanation("another", request_, good, bad)


def test_a_ciphertext_of_zeros_is_explained_and_no_other() -> None:
    # k = 115 gives the key stream 01 for the private key 7.
    ct = Sm2().encode_ciphertext(*Sm2().encrypt(multiply_base(7), b"\1", 115), "raw", "c1c3c2")
    assert ct[-1] == 0
    for text, explained in ((ct, True), (ct[:-1] + b"\1", False)):
        request_ = {"op": "sm2_decrypt", "ct": text.hex(), "encoding": "raw", "order": "c1c3c2"}
        assert bool(explanation("emmansun/gmsm", request_, {"msg": "01"}, {"error": "no"})) is explained
        assert not explanation("emmansun/gmsm", request_, {"error": "no"}, {"msg": "01"})


def test_what_ends_a_peer_is_not_asked() -> None:
    short = {"op": "sm4_cbc_encrypt", "key": KEY, "iv": "00", "msg": ""}
    assert unaskable("emmansun/gmsm", short) and not unaskable("OpenSSL", short)
    assert not unaskable("emmansun/gmsm", {**short, "iv": KEY}) and unaskable("cryptography", short)
