"""What real libraries leave out: hellos that offer less than the reference has, alone and together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pytest_xinchuang.packages.sm_crypto.reference_harness import ReferenceHarness, Reply

Operations = dict[str, dict[str, Any]]


def _only(feature: str, value: str) -> Callable[[Operations], None]:
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


def _whole(operations: Operations) -> None:
    _without("splits", "clone", "repeat", "times")(operations)
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
    "text-ids": lambda operations: None,
}
"""Name of a narrower hello -> what it takes from the operations. ``text-ids`` takes nothing: its ids have to be text."""


def narrow(harness: ReferenceHarness, names: str) -> None:
    """Have the hello of ``harness`` offer less: ``raw+message+whole``. Raises KeyError: there is no such narrower hello."""
    takes = {name: NARROWER[name] for name in names.split("+")}
    hello = harness.hello

    def narrower() -> Reply:
        said = hello()
        for take in takes.values():
            take(said["operations"])
        return {**said, "ids": "text"} if "text-ids" in takes else said

    harness.hello = narrower  # type: ignore[method-assign]
