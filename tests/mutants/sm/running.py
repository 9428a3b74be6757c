"""Runs a known-bad subject against what can catch it."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.found import Found
from pytest_xinchuang.messages import Message, _
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.concurrency import check_concurrency
from pytest_xinchuang.packages.sm_crypto.defects import load_bank
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult
from pytest_xinchuang.packages.sm_crypto.nonces import check_nonces
from pytest_xinchuang.packages.sm_crypto.properties import check_properties
from pytest_xinchuang.packages.sm_crypto.randomness import check_randomness
from pytest_xinchuang.packages.sm_crypto.requirements import NONCES
from pytest_xinchuang.packages.sm_crypto.runner import run_vectors
from pytest_xinchuang.packages.sm_crypto.timing import check_timing, pairs_of_keys
from pytest_xinchuang.packages.sm_crypto.vectors import Loaded, Vector, load_directory
from pytest_xinchuang.sandbox.local import local
from tests.mutants.sm.registry import SCOPES

ROOT = Path(__file__).parents[3]


_AEAD = ("sm4_gcm", "sm4_standard")
_BUFFERS = ("sm4_buffers", "sm4_forms")
_CONCURRENT = ("sm4_ecb", "sm4_cbc_pkcs7", "sm4_ctr", "sm4_gcm")
_SM4: dict[int, tuple[str, ...]] = {
    **dict.fromkeys((56, 57, 58, 59), _AEAD),
    **dict.fromkeys((60, 61, 62), ("sm4_ccm",)),
    **dict.fromkeys((35, 63), _BUFFERS),
    **dict.fromkeys((64, 65), _CONCURRENT),
    66: ("sm4_xts",),
    67: (
        "sm4_standard",
        "sm4_ecb",
        "sm4_cbc",
        "sm4_ctr",
        "sm4_gcm_ivs",
        "sm4_ccm_tags",
        "sm4_xts",
        "sm4_stream",
        "sm4_buffers",
    ),
    68: ("sm4_stream", "sm4_parts"),
    69: ("sm4_cbc_pkcs7", "sm4_ecb_pkcs7", "sm4_padding", "sm4_parts_refused"),
    70: ("hmac",),
}


def scope(number: int) -> tuple[str, ...]:
    """Beginnings of the names of the vector files that a defect of this number can show in."""
    if number in SCOPES:
        return SCOPES[number]
    if number <= 24:
        return ("sm2_standard", "sm2_keys", "sm2_verify", "sm2_sign", "sm2_default", "sm2_key_v", "sm2_rob", "sm2_cert")
    if number <= 43 and number != 35:
        return ("sm2_standard", "sm2_encrypt", "sm2_decrypt", "sm2_key_v", "sm2_rob")
    if number in (44, 45, 46):
        return ("sm2_standard", "sm2_exchange", "sm2_key_v")
    if 47 <= number <= 54:
        return ("sm3",)
    if number >= 72:
        return ("sm2_cert", "sm2_keys", "sm2_key_v")
    return _SM4[number]


@functools.cache
def _bank() -> list[Loaded]:
    return load_directory(resources.fixtures_dir() / "vectors")


def vectors(*beginnings: str) -> list[Vector]:
    """Those of the files whose names begin so."""
    chosen = [one for one in _bank() if one.name.startswith(beginnings)]
    return [v for one in chosen for v in one.vectors() if not v.group.get("slow")]


def command(number: int, *more: str) -> list[str]:
    return [sys.executable, "-m", "tests.mutants.sm.subject", str(number), *more]


def remember_points(file: Path) -> None:
    """Have the reference answer every vector of SM2, and keep the points that it has computed."""
    with SmClient(local(command(0, "to", str(file)), ROOT), timeout_s=20) as client:
        run_vectors(client, vectors("sm2"))


def caught(number: int, points: Path, offering: str = "") -> tuple[dict[str, Message], list[str]]:
    """Requirement -> what it says, of all that fail; and the vectors with the defect's own flag that show it.

    Args:
        points: what :func:`remember_points` has written.
        offering: the narrower hellos (narrower.py) that the subject has, with ``+`` between them.
    """
    defect = next(d for d in load_bank().defects if d.id == number)
    # How long it takes and what it does at once are its own.
    its_own = ("timing", "concurrency", "randomness")
    more: tuple[str, ...] = () if defect.where in its_own else ("from", str(points))
    more += ("as", offering) if offering else ()
    with SmClient(local(command(number, *more), ROOT), timeout_s=20) as client:
        chosen = vectors(*scope(number))
        result = run_vectors(client, chosen)
        failed = [s for s in result.seen if s.result is VectorResult.FAILED]
        told = {
            s.vector.requirement: _("{vector}: {detail}", vector=s.vector.id, detail=s.detail) for s in reversed(failed)
        }
        own = [s.vector.id for s in failed if defect.flag in s.vector.test.flags]
        found: Found | None = None
        if defect.where == "concurrency":
            found = check_concurrency(client, chosen)
        elif defect.flag == "WeakNonce" or (defect.where == "randomness" and defect.requirement == NONCES):
            found = check_nonces(client, 3000)
        elif defect.where == "randomness":
            found = check_randomness(client, 600, 80)
        elif defect.where == "property":
            found = check_properties(client)
        elif defect.where == "timing":
            found = check_timing(client, {"sm2_sign": pairs_of_keys()["sm2_sign"]})
        if found is not None and found.wrong:
            told[defect.requirement] = found.wrong[0]
            own.append(found.wrong[0])
    return told, own
