"""Many operations at once, over shared and over separate objects: each must give its one right result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.core.verdict import Cause
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.judge import Ask, VectorResult, asks
from pytest_xinchuang.packages.sm_crypto.vectors import Vector

OPERATIONS = 10000
THREADS = 16
KINDS = 4
"""Requests of each operation: cross-talk shows between threads that run one operation with different data."""

FILES = {"sm3", "hmac_sm3", "sm4_ecb", "sm4_cbc_pkcs7", "sm4_ctr", "sm4_gcm", "sm2_verify", "sm2_decrypt"}
_SIZES = range(16, 100)


def chosen(vectors: Iterable[Vector], client: SmClient) -> list[Ask]:
    """A few requests of each operation; each request has one right answer."""
    taken: dict[str, list[Ask]] = {}
    for vector in vectors:
        if vector.file not in FILES or vector.test.result != "valid":
            continue
        if "msg" in vector.test and len(vector.test["msg"]) // 2 not in _SIZES:
            continue
        for ask in asks(vector, client.hello):
            mine = taken.setdefault(ask.request["op"], [])
            if len(mine) < KINDS and ask.expect and not client.hello.lacks(ask.request):
                mine.append(ask)
    return [ask for mine in taken.values() for ask in mine]


def check_concurrency(client: SmClient, vectors: Iterable[Vector]) -> Found:
    """Run the requests from many threads of the harness, ``OPERATIONS`` in all, and compare every answer."""
    found = Found()
    if "concurrent" not in client.hello.operations:
        found.undecided = _("the harness has no operation `concurrent`: several threads cannot be tested")
        found.cause = Cause.SUBJECT
        found.mend = _("offer `concurrent` (docs/harness.md); the shipped templates do")
        return found
    asked = chosen(vectors, client)
    if not asked:
        found.lacking = _("the harness has no operation with a known answer")
        found.evidence.append({"kind": "hello", "operations": sorted(client.hello.operations)})
        return found
    for shared in (False, True):
        if shared and True not in client.hello.operations["concurrent"].get("shared", ()):
            continue
        least, most = client.hello.operations["concurrent"].get("threads", (1, THREADS))
        threads = max(least, min(THREADS, most))
        repeat = -(-OPERATIONS // (2 * threads * len(asked)))
        _run(client, found, asked, {"threads": threads, "repeat": repeat, "shared": shared})
    return found


def _run(client: SmClient, found: Found, asked: list[Ask], how: Mapping[str, Any]) -> None:
    inner = [a.request for a in asked]
    # In slices: each is answered within the time-out of one request.
    for _round in range(how["repeat"]):
        answer = client.ask({"op": "concurrent", "requests": inner, **how, "repeat": 1})
        if answer.kind is ReplyKind.FAULT:
            found.undecided = answer.detail
            return
        replies = answer.reply.get("replies")
        if answer.kind is not ReplyKind.REPLY or not isinstance(replies, list) or len(replies) != len(asked):
            said = answer.reply.get("error")
            what = answer.detail or (verbatim(str(said)) if said else _("the answer has no list of replies"))
            found.wrong.append(_("{threads} threads: {what}", threads=how["threads"], what=what))
            return
        for ask, different in zip(asked, replies, strict=True):
            if not different:
                found.wrong.append(_("{operation}: no answer at all", operation=ask.request["op"]))
            for reply in different:
                result, detail = ask.judge(Answer(ReplyKind.REPLY, reply))
                if result is not VectorResult.PASSED:
                    told = {"operation": ask.request["op"], "vector": ask.vector.id, "detail": detail}
                    found.wrong.append(
                        _("{operation} ({vector}), shared objects: {detail}", **told)
                        if how["shared"]
                        else _("{operation} ({vector}), separate objects: {detail}", **told)
                    )
        if len(found.wrong) > 20:
            break
    done = how["threads"] * how["repeat"] * len(asked)
    operations = sorted({a.request["op"] for a in asked})
    found.evidence.append({"kind": "concurrency", "operations": operations, "done": done, **how})
