"""Throughput against the floors of the manifest. Only a native run decides: the speed of an emulator says nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sm_crypto.client import SmClient

SIZE = 1 << 20
ROUNDS = 8


def _request(operation: str) -> dict[str, Any]:
    text = bytes(SIZE).hex()
    if operation == "sm3":
        return {"op": "sm3", "msg": text}
    request: dict[str, Any] = {"op": operation, "key": "00" * 16, "msg": text}
    if "ecb" not in operation:
        request["iv"] = "00" * (12 if "gcm" in operation or "ccm" in operation else 16)
    if "gcm" in operation or "ccm" in operation:
        request |= {"aad": "", "tag_bytes": 16}
    return request


def check_throughput(client: SmClient, floors: Mapping[str, float]) -> Found:
    """Measure each operation of ``floors``: operation (``sm3``, ``sm4_cbc_encrypt``) -> least MiB/s of one thread.

    The time of a request includes the transfer of its data to and from the harness.
    """
    found = Found()
    if not floors:
        found.lacking = _("the manifest gives no floors")
        found.evidence.append({"kind": "manifest", "floors": {}})
        return found
    for operation, floor in floors.items():
        request = _request(operation)
        if lacking := client.hello.lacks(request):
            found.undecided = _(
                "{operation}: the harness does not offer {lack}", operation=operation, lack=lacking.text
            )
            return found
        best = 0.0
        for _round in range(ROUNDS):
            start = time.perf_counter()
            answer = client.ask(request)
            if answer.kind is not ReplyKind.REPLY or answer.reply.keys() & {"error", "unsupported"}:
                found.undecided = _("{operation}: {why}", operation=operation, why=answer.detail or answer.reply)
                return found
            best = max(best, SIZE / (1 << 20) / (time.perf_counter() - start))
        found.evidence.append({"kind": "throughput", "operation": operation, "mib_s": round(best, 1), "floor": floor})
        if best < floor:
            found.wrong.append(
                _(
                    "{operation}: {best:.1f} MiB/s, at least {floor:g} MiB/s required",
                    operation=operation,
                    best=best,
                    floor=floor,
                )
            )
    return found
