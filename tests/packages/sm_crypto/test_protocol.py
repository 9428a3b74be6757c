"""What a hello covers."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_xinchuang.packages.sm_crypto.protocol import Lack, LackKind, SmHello


def hello(**operations: dict[str, Any]) -> SmHello:
    return SmHello.model_validate({"hello": "xc-sm-harness/1", "name": "x", "version": "1", "operations": operations})


@pytest.mark.parametrize(
    ("offered", "fields", "lacking"),
    [
        ({}, {}, ""),
        ({}, {"padding": "none"}, ""),
        ({}, {"padding": "pkcs7"}, "padding pkcs7"),
        ({"padding": ["pkcs7"]}, {}, "padding none"),
        ({"padding": ["none", "pkcs7"]}, {"padding": "pkcs7"}, ""),
        ({}, {"splits": [1, 2]}, "splits"),
        ({"splits": [True]}, {"splits": [1, 2]}, ""),
        # Parts of whole blocks are less than parts of any size.
        ({"splits": ["blocks"]}, {"splits": [16, 0, 32]}, ""),
        ({"splits": ["blocks"]}, {"splits": [16, 1]}, "splits"),
        ({"splits": [True]}, {"splits": [16, 1]}, ""),
        ({"splits": [True]}, {"aad_splits": [1]}, "aad_splits"),
        ({"aad_splits": [True]}, {"aad_splits": [1]}, ""),
        ({}, {"k": "00"}, "k"),
        ({"k": [True]}, {"k": "00"}, ""),
        ({}, {"in_place": True}, "in_place True"),
        ({"offset": [1, 7]}, {"offset": 3}, "offset 3"),
        ({"offset": [1, 7]}, {"offset": 0}, ""),
        ({}, {"times": 1000000}, "times 1000000"),
        ({"times": [1, 10]}, {"times": 11}, "times 11"),
        ({"times": [1, 10]}, {"times": 10}, ""),
        ({"iv_bytes": [8, 128]}, {"iv": "00" * 7}, "iv_bytes 7"),
        ({"iv_bytes": [8, 128]}, {"iv": "00" * 128}, ""),
        ({"tag_bytes": [12, 16]}, {"tag": "00" * 4}, "tag_bytes 4"),
        ({"tag_bytes": [12, 16]}, {"tag_bytes": 4}, "tag_bytes 4"),
        # A limit is of the size that was agreed on: a tag that was cut is asked all the same.
        ({"tag_bytes": [16, 16]}, {"tag_bytes": 16, "tag": "00" * 4}, ""),
        ({"tag_bytes": [16, 16]}, {"tag_bytes": 16, "tag": ""}, ""),
        ({"tag_bytes": [16, 16]}, {"tag_bytes": 12, "tag": "00" * 16}, "tag_bytes 12"),
        ({"mode": ["cbc"]}, {"mode": "cbc"}, ""),
        ({"mode": ["cbc"]}, {"mode": "gcm"}, "mode gcm"),
        ({"user_id": ["3132"]}, {"user_id": "3132"}, ""),
        ({"user_id": ["3132"]}, {"user_id": "33"}, "user_id 33"),
        ({}, {"encoding": "der"}, "encoding der"),
        ({"encoding": ["raw"]}, {"encoding": "raw"}, ""),
        # An order is one of raw ciphertexts: DER has one alone.
        ({"encoding": ["der", "raw"], "order": ["c1c2c3"]}, {"encoding": "der"}, ""),
        ({"encoding": ["der", "raw"], "order": ["c1c2c3"]}, {"encoding": "raw"}, "order c1c3c2"),
        ({"encoding": ["der", "raw"], "order": ["c1c2c3"]}, {"encoding": "raw", "order": "c1c2c3"}, ""),
        ({"user_id_bytes": [1, 8191]}, {"user_id": "31", "peer_id": "32"}, ""),
        ({"user_id_bytes": [1, 8191]}, {"user_id": "31", "peer_id": ""}, "user_id_bytes 0"),
    ],
)
def test_what_is_lacking(offered: dict[str, Any], fields: dict[str, Any], lacking: str) -> None:
    lack = hello(op=offered).lacks({"op": "op", **fields})
    assert (lack.text if lack else "") == lacking
    assert lack is None or lack.kind is LackKind.FEATURE


def test_an_operation_that_is_not_there() -> None:
    lack = hello(sm3={}).lacks({"op": "sm2_verify"})
    assert lack == Lack(LackKind.OPERATION, "sm2_verify") and lack.text == "operation sm2_verify"
