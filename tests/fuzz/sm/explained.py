"""Where other libraries are known to answer otherwise than the reference, and why: nothing here excuses the reference.

Every entry holds in one direction alone: what the reference refuses the standard lets nobody accept, and where it answers, the
other libraries answer the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_xinchuang.sm.curve import N
from pytest_xinchuang.sm.sm2 import Sm2

Request = Mapping[str, Any]
Reply = Mapping[str, Any]


def refused(reply: Reply) -> bool:
    """Whether a reply refuses: by an error, or by calling a signature invalid."""
    return "error" in reply or reply.get("valid") is False


def unaskable(peer: str, request: Request) -> bool:
    """Whether the peer is not asked: it ends at such a request, and is started again 400 times at most; or it is no other one."""
    if peer == "cryptography":  # it is OpenSSL once more: it is asked for what OpenSSL's own harness does not offer
        return bool(request["op"] != "hmac_sm3_stream")
    if peer != "emmansun/gmsm" or not request["op"].startswith("sm4_"):
        return False
    mode, data = request["op"][4:7], request.get("msg", request.get("ct", ""))
    # Go's crypto/cipher panics where a caller gives a wrong length, as it does where an index is out of range.
    if mode in ("cbc", "ctr", "ofb", "cfb", "xts") and len(request["iv"]) != 32:
        return True
    if mode == "cbc" and any(part % 16 for part in request.get("splits", ())):
        return True
    tag_bytes = request.get("tag_bytes", len(request.get("tag", "")) // 2)
    if mode == "gcm" and tag_bytes != 16 and len(request["iv"]) != 24:
        return True
    # v0.41.0 corrupts its memory when it decrypts a last block that is not whole (`fatal: bad g in signal handler`).
    return request["op"] == "sm4_xts_decrypt" and len(data) % 32 != 0


def explanation(peer: str, request: Request, mine: Reply, other: Reply) -> str:
    """Why the peer may differ here; empty where nothing is known."""
    told = {"OpenSSL": _openssl, "emmansun/gmsm": _gmsm, "BouncyCastle": _bouncycastle}.get(peer)
    return told(request, mine, other) if told else ""


def _openssl(request: Request, mine: Reply, other: Reply) -> str:
    if request["op"] == "x963kdf_sm3" and not request["secret"] and refused(other) and not refused(mine):
        return "its X9.63 KDF has no empty secret"
    if refused(other):
        return ""
    if request["op"] == "sm2_decrypt" and str(mine.get("error", "")).startswith("Refused: DER:"):
        return "it reads a ciphertext in BER, and what follows it"
    return _mixed_form(request)


def _mixed_form(request: Request) -> str:
    keys = [str(request.get(name, "")) for name in ("public", "peer_public", "peer_ephemeral")]
    if any(_MIXED.match(key) for key in keys) or (request.get("encoding") == "spki" and _MIXED_INSIDE.search(keys[0])):
        return "it takes the mixed form of a point (GB/T 32918.1-2016 4.2.9), which nobody has to"
    return ""


_MIXED, _MIXED_INSIDE = re.compile("0[67]"), re.compile("0342000[67]")
"""A point in the mixed form by itself, and in the BIT STRING of a SubjectPublicKeyInfo."""


def _gmsm(request: Request, mine: Reply, other: Reply) -> str:
    if request.get("input") == "digest" and len(request["msg"]) != 64 and refused(mine) and not refused(other):
        return "it takes a digest of any length"
    if request["op"] in ("sm2_sign", "sm2_verify") and request.get("user_id") == "" and "error" not in mine:
        return "it takes the default id for an empty one"
    if request["op"] == "sm2_sign" and not request["msg"] and other.get("error") == "sm2: hash cannot be empty":
        return "it signs no empty message"
    if request["op"] == "sm2_exchange" and request["ephemeral"] == f"{N - 1:064x}" and not refused(mine):
        return "its ephemeral number is a private key, and so not n-1 (part 3, 6.1 A1 has up to n-1)"
    if request.get("encoding") == "spki" and _COMPRESSED.search(request["public"]) and not refused(mine):
        return "it has no compressed point in a SubjectPublicKeyInfo"
    if request["op"] == "sm2_decrypt" and refused(other) and not refused(mine) and _is_zero(request):
        return "it refuses a C2 of zeros, which a message that is its own key stream has; BouncyCastle does not"
    if request["op"] == "x963kdf_sm3" and request["size"] > 96 and len(request["secret"]) // 2 % 64 in _TWO_BLOCKS:
        return "its KDF of four lanes is wrong where the padding takes a block more"
    return ""


def _is_zero(request: Request) -> bool:
    """Whether the C2 of a good ciphertext is all zeros."""
    data = bytes.fromhex(request["ct"])
    return not any(Sm2().decode_ciphertext(data, request["encoding"], request["order"])[2])


_COMPRESSED = re.compile("0322000[23]")
"""A BIT STRING of a compressed point."""
_TWO_BLOCKS = range(52, 64)
"""Lengths modulo 64 of a secret that a counter of 4 bytes follows, for which SM3's padding of 9 bytes begins another block."""


def _bouncycastle(request: Request, mine: Reply, other: Reply) -> str:
    operation = request["op"]
    if refused(other) or not refused(mine):
        return ""
    if operation.startswith("sm2_") and request.get("private") == f"{N - 1:064x}":
        return "it takes the private key n-1"
    if operation == "sm2_import_private" and len(request["private"]) != 64:
        return "it takes a private key of another length as a number"
    if operation.startswith("sm4_ctr") and 16 <= len(request["iv"]) < 32:
        return "it takes a shorter IV of CTR, and counts in what is missing"
    tag_bytes = request.get("tag_bytes", len(request.get("tag", "")) // 2)
    if operation.startswith("sm4_gcm") and 4 <= tag_bytes < 12 and tag_bytes not in (4, 8):
        return "it takes any GCM tag from 4 to 16 bytes"
    return _mixed_form(request)
