"""Screens for times that depend on secrets, after dudect (Reparaz, Balasch, Verbauwhede, 2016). Decided natively alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pytest_xinchuang.model.found import Found
from pytest_xinchuang.smcrypto.client import Came, HarnessClient
from pytest_xinchuang.smcrypto.reference.curve import N, multiply_base
from pytest_xinchuang.smcrypto.reference.sm2 import DEFAULT_ID, Sm2
from pytest_xinchuang.smcrypto.reference.sm4 import Sm4, cbc

LIMIT_T = 10.0
"""dudect takes |t| above 10 for a leak beyond doubt (its README: 4.5 is "maybe", 10 is "definitely")."""
ROUNDS, BATCHES, AGREE = 2000, 4, 3
CROP = 0.9
"""Only the fastest of the times are compared: the slow ones are the host's other work."""


def welch(a: Sequence[float], b: Sequence[float]) -> float:
    """Welch's t of two samples; 0 for samples that are too small."""
    if len(a) < 30 or len(b) < 30:
        return 0.0
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    var_a = sum((x - mean_a) ** 2 for x in a) / (len(a) - 1)
    var_b = sum((x - mean_b) ** 2 for x in b) / (len(b) - 1)
    spread = math.sqrt(var_a / len(a) + var_b / len(b))
    return (mean_a - mean_b) / spread if spread else 0.0


def leak(times: Sequence[Sequence[int]]) -> float:
    """t of the two classes, after everything above a common percentile is left out."""
    limit = sorted(x for part in times for x in part)[int(CROP * sum(map(len, times))) - 1]
    a, b = ([float(x) for x in part if x <= limit] for part in times)
    return welch(a, b)


def pairs_of_keys() -> dict[str, list[dict[str, Any]]]:
    """Two private keys that a leaking multiplication tells apart: sparse, and dense."""
    sparse, dense = (1 << 254) + 1, N - 2 - (1 << 200)
    sm2, msg = Sm2(), b"timing"
    out: dict[str, list[dict[str, Any]]] = {"sm2_sign": [], "sm2_decrypt": []}
    for d in (sparse, dense):
        ct = sm2.encode_ciphertext(*sm2.encrypt(multiply_base(d), msg, 12345678901234567890), "der", "c1c3c2")
        private = f"{d:064x}"
        out["sm2_sign"].append(
            {"op": "sm2_sign", "private": private, "msg": msg.hex(), "encoding": "der", "user_id": DEFAULT_ID.hex()}
        )
        out["sm2_decrypt"].append({"op": "sm2_decrypt", "private": private, "ct": ct.hex(), "encoding": "der"})
    return out


def pairs_of_errors() -> dict[str, list[dict[str, Any]]]:
    """Two wrong texts that a careless comparison tells apart: wrong at the beginning, and at the end."""
    key, iv = bytes(range(16)), bytes(16)
    cipher = Sm4(key)
    early = cbc(cipher, iv, bytes(64) + b"\x10" * 15 + b"\x11", encrypt=True)
    late = cbc(cipher, iv, bytes(64) + b"\x11" + b"\x10" * 15, encrypt=True)
    shared = {"op": "sm4_cbc_decrypt", "key": key.hex(), "iv": iv.hex(), "padding": "pkcs7"}
    d, sm2 = N // 3, Sm2()
    c1, c3, c2 = sm2.encrypt(multiply_base(d), bytes(32), 98765432109876543210)
    sm2s = []
    for at in (0, 31):
        wrong = bytearray(c3)
        wrong[at] ^= 1
        ct = sm2.encode_ciphertext(c1, bytes(wrong), c2, "der", "c1c3c2")
        sm2s.append({"op": "sm2_decrypt", "private": f"{d:064x}", "ct": ct.hex(), "encoding": "der"})
    return {"sm4_cbc_decrypt": [{**shared, "ct": early.hex()}, {**shared, "ct": late.hex()}], "sm2_decrypt": sm2s}


def check_timing(client: HarnessClient, pairs: dict[str, list[dict[str, Any]]]) -> Found:
    """Time every pair in several batches; a leak is one that most batches show, in the same direction."""
    found = Found()
    if "timed" not in client.hello.operations:
        found.undecided = "the harness has no operation `timed`"
        found.mend = "offer `timed` (docs/harness.md); the shipped templates do"
        return found
    for name, pair in pairs.items():
        if client.hello.lacks(pair[0]):
            continue
        scores = []
        for batch in range(BATCHES):
            answer = client.ask({"op": "timed", "requests": pair, "rounds": ROUNDS, "seed": batch + 1})
            if answer.came is not Came.REPLY or "nanoseconds" not in answer.reply:
                found.undecided = f"{name}: {answer.detail or answer.reply}"
                return found
            scores.append(leak(answer.reply["nanoseconds"]))
        found.evidence.append(
            {"kind": "timing", "operation": name, "t": [round(s, 1) for s in scores], "rounds": ROUNDS}
        )
        if max(sum(s > LIMIT_T for s in scores), sum(s < -LIMIT_T for s in scores)) >= AGREE:
            found.wrong.append(
                f"{name}: the time tells two secrets apart (t = {', '.join(f'{s:.0f}' for s in scores)})"
            )
    if not found.evidence:
        found.lacking = "the harness has no operation with a secret to time"
        found.evidence.append({"kind": "hello", "operations": sorted(client.hello.operations)})
    return found
