"""What real libraries leave out: hellos that offer less than the reference has, alone and together."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply

Operations = dict[str, dict[str, Any]]


def _only(feature: str, value: str | int) -> Callable[[Operations], None]:
    def narrow(operations: Operations) -> None:
        for capability in operations.values():
            if value in capability.get(feature, ()):
                capability[feature] = [value]

    return narrow


def _without(*features: str) -> Callable[[Operations], None]:
    def narrow(operations: Operations) -> None:
        for capability in operations.values():
            for feature in features:
                capability.pop(feature, None)

    return narrow


def _limit(feature: str, least: int, most: int, *operations_: str) -> Callable[[Operations], None]:
    """Limit a number; of the operations whose names begin so."""

    def narrow(operations: Operations) -> None:
        for name, capability in operations.items():
            if name.startswith(operations_):
                operations[name] = {**capability, feature: [least, most]}

    return narrow


def _drop(*ends: str) -> Callable[[Operations], None]:
    """Without the operations whose names end so."""

    def narrow(operations: Operations) -> None:
        for name in [n for n in operations if n.endswith(ends)]:
            del operations[name]

    return narrow


def _parts_of_blocks(operations: Operations) -> None:
    for name, capability in operations.items():
        if name.startswith("sm4_") and "splits" in capability:
            operations[name] = {**capability, "splits": ["blocks"]}


def _iv_of_a_block(operations: Operations) -> None:
    _limit("iv_bytes", 16, 16, "sm4_cbc", "sm4_ctr", "sm4_ofb", "sm4_cfb", "sm4_xts")(operations)
    _limit("iv_bytes", 12, 12, "sm4_gcm", "sm4_ccm")(operations)


def _whole(operations: Operations) -> None:
    _without("splits", "aad_splits", "clone", "repeat", "times")(operations)
    for name in [n for n in operations if n.endswith("_stream")]:
        del operations[name]


NARROWER: dict[str, Callable[[Operations], None]] = {
    "message": _only("input", "message"),
    "digest": _only("input", "digest"),
    "der": _only("encoding", "der"),
    "raw": _only("encoding", "raw"),
    "c1c2c3": _only("order", "c1c2c3"),
    "whole": _whole,
    "no-padding": _only("padding", "none"),
    "pkcs7": _only("padding", "pkcs7"),
    "no-k": _without("k"),
    "plain-buffers": _without("in_place", "offset"),
    "parts-of-blocks": _parts_of_blocks,
    "fixed-iv": _iv_of_a_block,
    "full-tag": _limit("tag_bytes", 16, 16, "sm4_gcm", "sm4_ccm"),
    "gb": _only("standard", "gb"),
    "ieee": _only("standard", "ieee"),
    "wrap-32": _only("wrap", 32),
    "wrap-128": _only("wrap", 128),
    "no-reuse": _drop("_reuse"),
    "text-ids": lambda operations: None,
}
"""Name of a narrower hello -> what it takes from the operations. ``text-ids`` takes nothing: its ids have to be text."""


def narrow(harness: ReferenceHarness, names: str) -> None:
    """Have the hello of ``harness`` offer less: ``raw+message+whole``. Raises KeyError: there is no such narrower hello."""
    takes = {name: NARROWER[name] for name in names.split("+")}
    hello = harness.hello

    def narrower() -> Reply:
        said = copy.deepcopy(hello())  # its parts may be the harness's own
        for take in takes.values():
            take(said["operations"])
        return {**said, "ids": "text"} if "text-ids" in takes else said

    harness.hello = narrower  # type: ignore[method-assign]
