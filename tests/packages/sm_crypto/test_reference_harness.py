"""The harness of the reference: every malformed request is refused in words, and no value of a field stands for another one."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

import pytest

from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, serve
from pytest_xinchuang.sm.curve import N

HARNESS = ReferenceHarness()
D = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8"
PUBLIC = HARNESS.handle({"op": "sm2_import_private", "private": D})["public"]
KEY, IV, TEXT = "00" * 16, "01" * 16, "02" * 32
DIGEST = {"input": "digest", "msg": "ab" * 32}
SIGNATURE = HARNESS.handle({"op": "sm2_sign", "private": D, "k": "07", **DIGEST})["sig"]

GOOD: dict[str, dict[str, Any]] = {
    "sm3": {"msg": "616263", "splits": [1, 2], "repeat": 2},
    "sm3_stream": {"steps": [{"update": "61"}, {"clone": "62"}, {"digest": True}, {"reset": True}]},
    "hmac_sm3": {"key": KEY, "msg": "61"},
    "hmac_sm3_stream": {"key": KEY, "steps": [{"update": "61"}, {"digest": True}]},
    "hkdf_sm3": {"ikm": KEY, "salt": "", "info": "", "size": 42},
    "pbkdf2_sm3": {"password": "61", "salt": "62", "iterations": 2, "size": 40},
    "x963kdf_sm3": {"secret": KEY, "info": "", "size": 40},
    "sm4_ecb_encrypt": {"key": KEY, "msg": TEXT, "padding": "pkcs7", "times": 2},
    "sm4_cbc_encrypt": {"key": KEY, "iv": IV, "msg": TEXT, "padding": "none"},
    "sm4_ctr_encrypt": {"key": KEY, "iv": IV, "msg": "02", "wrap": 32},
    "sm4_ofb_decrypt": {"key": KEY, "iv": IV, "ct": "02"},
    "sm4_cfb_decrypt": {"key": KEY, "iv": IV, "ct": "02"},
    "sm4_xts_decrypt": {"key": KEY * 2, "iv": IV, "ct": TEXT, "standard": "gb"},
    "sm4_gcm_encrypt": {"key": KEY, "iv": IV, "aad": "", "msg": "02", "tag_bytes": 16},
    "sm4_ccm_encrypt": {"key": KEY, "iv": "00" * 12, "aad": "", "msg": "02", "tag_bytes": 16},
    "sm2_import_public": {"public": PUBLIC, "encoding": "point"},
    "sm2_import_private": {"private": D},
    "sm2_verify": {"public": PUBLIC, "sig": SIGNATURE, "encoding": "der", **DIGEST},
    "sm2_sign": {"private": D, "k": "07", "encoding": "raw", **DIGEST},
    "sm2_encrypt": {"public": PUBLIC, "msg": "61626364", "k": "07", "encoding": "raw", "order": "c1c2c3"},
    "sm2_exchange": {
        "role": "initiator", "private": D, "ephemeral": "07", "peer_public": PUBLIC, "peer_ephemeral": PUBLIC, "size": 16,
    },
    "concurrent": {"requests": [{"op": "sm3", "msg": ""}], "threads": 2, "repeat": 1, "shared": True},
    "timed": {"requests": [{"op": "sm3", "msg": ""}, {"op": "sm3", "msg": "00"}], "rounds": 3, "seed": 1},
}  # fmt: skip

FREE = frozenset(("msg", "salt", "info", "ikm", "aad", "secret", "password", "ct", "key", "steps", "iv", "requests"))
"""Fields of which any bytes or lists are good."""
WRONG: tuple[Any, ...] = (
    None, True, -1, 1 << 70, 1.5, "", "0", "zz", "AB", " 61", "0x61", "61\n", "-1", "f" * 65, [], [None], [-1], [{}], {},
    "other",
)  # fmt: skip


@pytest.mark.parametrize("operation", GOOD)
def test_the_good_request_is_answered(operation: str) -> None:
    assert "error" not in HARNESS.handle({"op": operation, **GOOD[operation]})


@pytest.mark.parametrize("operation", GOOD)
def test_a_malformed_field_never_ends_it(operation: str) -> None:
    good = GOOD[operation]
    plain = HARNESS.handle({"op": operation, **good})
    for name in good:
        for value in WRONG:
            reply = HARNESS.handle({"op": operation, **good, name: value})
            json.dumps(reply)
            if "error" in reply:
                assert set(reply) == {"error"} and len(reply["error"]) < 400
            elif name not in FREE:
                # What is accepted there is another good value, and no longer the plain result for a bad one.
                assert value in ("", [], True) or reply == plain, (name, value, reply)
        reply = HARNESS.handle({"op": operation, **{k: v for k, v in good.items() if k != name}})
        json.dumps(reply)


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ("sm3", {"splits": [-1]}),
        ("sm3", {"splits": [4]}),
        ("sm3", {"repeat": 0}),
        ("hkdf_sm3", {"size": -1}),
        ("hkdf_sm3", {"size": True}),
        ("hkdf_sm3", {"size": 8161}),
        ("pbkdf2_sm3", {"iterations": 0}),
        ("pbkdf2_sm3", {"iterations": 1 << 40}),
        ("pbkdf2_sm3", {"size": 0}),
        ("x963kdf_sm3", {"size": 1 << 40}),
        ("sm4_ecb_encrypt", {"times": 0}),
        ("sm4_ecb_encrypt", {"times": -1}),
        ("sm4_ecb_encrypt", {"padding": "PKCS7"}),
        ("sm4_cbc_encrypt", {"padding": None}),
        ("sm4_ctr_encrypt", {"wrap": 0}),
        ("sm4_ctr_encrypt", {"wrap": 64}),
        ("sm4_xts_decrypt", {"standard": "IEEE"}),
        ("sm4_gcm_encrypt", {"tag_bytes": 0}),
        ("sm4_gcm_encrypt", {"tag_bytes": -1}),
        ("sm4_gcm_encrypt", {"tag_bytes": 5}),
        ("sm4_ccm_encrypt", {"tag_bytes": 5}),
        ("sm2_import_public", {"encoding": "der"}),
        ("sm2_sign", {"encoding": "DER"}),
        ("sm2_sign", {"input": "hash"}),
        ("sm2_sign", {"msg": "ab" * 31}),
        ("sm2_sign", {"msg": "ab" * 33}),
        ("sm2_sign", {"k": "00"}),
        ("sm2_sign", {"k": f"{N:x}"}),
        ("sm2_sign", {"k": f"{N + 1:x}"}),
        ("sm2_verify", {"msg": "ab" * 31}),
        ("sm2_encrypt", {"order": "c1"}),
        ("sm2_encrypt", {"k": "00"}),
        ("sm2_encrypt", {"k": f"{N:x}"}),
        ("sm2_exchange", {"role": "Initiator"}),
        ("sm2_exchange", {"ephemeral": "00"}),
        ("sm2_exchange", {"ephemeral": f"{N:x}"}),
        ("sm2_exchange", {"ephemeral": f"{N + 1:x}"}),
        ("sm2_exchange", {"size": -1}),
        ("concurrent", {"threads": 0}),
        ("concurrent", {"threads": 65}),
        ("concurrent", {"requests": [{"op": "concurrent", "requests": []}]}),
        ("timed", {"requests": [{}]}),
    ],
)
def test_it_is_refused(operation: str, change: dict[str, Any]) -> None:
    assert set(HARNESS.handle({"op": operation, **GOOD[operation], **change})) == {"error"}


def test_lines_that_are_no_requests_are_answered() -> None:
    out = io.BytesIO()
    lines = [b"", b"{", b"[]", b"7", b"{}", b"[" * 20000, b'{"id":1}', b'{"id":2,"op":"sm3","msg":""}', b"\xff"]
    serve(HARNESS, io.BytesIO(b"\n".join(lines)), out)
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(said) == len(lines) + 1
    assert [one["id"] for one in said[1:]] == [None, None, None, None, None, None, 1, 2, None]
    assert "digest" in said[8] and "unsupported" in said[7]


def test_a_certificate_is_judged_with_the_id_of_its_own_request(monkeypatch: pytest.MonkeyPatch) -> None:
    harness, together, seen = ReferenceHarness(), threading.Barrier(2), {}

    def judge(self: Any, chain: list[bytes], *_rest: Any) -> None:
        together.wait(10)
        seen[chain[0]] = self.user

    monkeypatch.setattr(type(harness.chains), "judge", judge)
    request = {"op": "sm2_certificate_verify", "roots": [], "time": 0, "usage": "sign"}
    threads = [
        threading.Thread(target=harness.handle, args=[{**request, "chain": [one], "user_id": one}])
        for one in ("0a", "0b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {b"\x0a": b"\x0a", b"\x0b": b"\x0b"}


def test_shared_objects_are_one_for_all_threads() -> None:
    harness = ReferenceHarness()
    made: list[bytes] = []
    good = harness.sm4_type

    class Counted(good):  # type: ignore[valid-type, misc]
        def __init__(self, key: bytes) -> None:
            made.append(key)
            super().__init__(key)

    harness.sm4_type = Counted
    request = {"op": "sm4_cbc_encrypt", **GOOD["sm4_cbc_encrypt"]}
    for shared, count in ((True, 1), (False, 8)):
        made.clear()
        asked = {"op": "concurrent", "requests": [request], "threads": 4, "repeat": 2, "shared": shared}
        assert len(harness.handle(asked)["replies"][0]) == 1
        assert len(made) == count


@pytest.mark.tools
def test_a_copy_of_it_answers_too() -> None:
    asked = {"op": "forked", "requests": [{"op": "sm3", "msg": ""}, {"op": "sm2_keygen"}]}
    reply = HARNESS.handle(asked)
    assert reply["parent"][0] == reply["child"][0] and "digest" in reply["child"][0]
    assert reply["parent"][1]["private"] != reply["child"][1]["private"]
    assert set(HARNESS.handle({"op": "forked", "requests": [asked]})) == {"error"}
