"""Many operations at once, over shared and over separate objects: each must give its one right result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pytest_xinchuang.core.found import Found
from pytest_xinchuang.core.verdict import Cause
from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.messages import Message, _, verbatim
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.judge import Ask, VectorResult, asks
from pytest_xinchuang.packages.sm_crypto.protocol import SmHello
from pytest_xinchuang.packages.sm_crypto.vectors import Vector

OPERATIONS = 10000
"""Operations of all threads together, over separate and over shared objects."""
LEAST_ROUNDS = 3
THREADS = 16
KINDS = 4
"""Requests of each operation that have a result: threads that run one operation with different data show cross-talk."""
REFUSED = 1
"""Requests of each operation that have to be refused: a race may let pass what is wrong, too."""
AT_ONCE = 40
"""Requests in one go, those of one operation together: they are answered ``THREADS`` times within one time-out."""

_SIZES = range(16, 100)
_CHEAP: Mapping[str, int] = {"iterations": 100, "size": 200, "times": 10, "repeat": 10}
"""Request field -> what it has at most."""
_LONGEST = 4096
"""Hexadecimal digits of all of a request."""


def chosen(vectors: Iterable[Vector], client: SmClient) -> list[list[Ask]]:
    """A few requests of each operation, cheap ones: those of an operation and its inverse stand together.

    A request with one right answer has it in ``expect``; one whose answer is random has a ``check`` by the reference.
    """
    good: dict[tuple[str, bool], list[Ask]] = {}
    bad: dict[tuple[str, bool], list[Ask]] = {}
    hellos = (client.hello, _without_k(client.hello))
    for vector in vectors:
        if vector.test.result == "acceptable" or ("msg" in vector.test and len(vector.test["msg"]) // 2 not in _SIZES):
            continue
        for ask in (ask for hello in hellos for ask in asks(vector, hello)):
            taken, most = (bad, REFUSED) if ask.refuse else (good, KINDS)
            mine = taken.setdefault((ask.request["op"], "k" in ask.request), [])
            if len(mine) < most and _fits(ask, mine) and not client.hello.lacks(ask.request):
                mine.append(ask)
    families: dict[str, list[Ask]] = {}
    for kind, mine in good.items():
        if mine:
            family = kind[0].removesuffix("_encrypt").removesuffix("_decrypt")
            families.setdefault(family, []).extend([*mine, *bad.get(kind, [])])
    return list(families.values())


def _without_k(hello: SmHello) -> SmHello:
    """The same harness where it draws its k itself, as programs have it."""
    operations = {
        name: {feature: offered for feature, offered in capability.items() if feature != "k"}
        for name, capability in hello.operations.items()
    }
    return hello.model_copy(update={"operations": operations})


def _fits(ask: Ask, taken: list[Ask]) -> bool:
    """Whether its answer is known, it is cheap, and it asks something else than those that are taken."""
    request = ask.request
    if not (ask.expect or ask.check or ask.refuse) or any(request.get(n, 0) > most for n, most in _CHEAP.items()):
        return False
    return sum(len(str(v)) for v in request.values()) <= _LONGEST and all(request != one.request for one in taken)


def _slices(families: list[list[Ask]]) -> Iterator[list[Ask]]:
    """Whole families, ``AT_ONCE`` requests together."""
    together: list[Ask] = []
    for family in families:
        if together and len(together) + len(family) > AT_ONCE:
            yield together
            together = []
        together = together + family
    if together:
        yield together


def check_concurrency(client: SmClient, vectors: Iterable[Vector]) -> Found:
    """Run the requests from many threads of the harness, ``OPERATIONS`` in all, and compare every answer."""
    found = Found()
    offered = client.hello.operations.get("concurrent")
    if offered is None:
        found.undecided = _("the harness has no operation `concurrent`: several threads cannot be tested")
        found.cause = Cause.SUBJECT
        found.mend = _("offer `concurrent` (docs/harness.md); the shipped templates do")
        return found
    families = chosen(vectors, client)
    if not families:
        found.lacking = _("the harness has no operation with a known answer")
        found.evidence.append({"kind": "hello", "operations": sorted(client.hello.operations)})
        return found
    families = _right_alone(client, found, families)
    if found.undecided:
        return found
    if not families:
        found.undecided = _("no operation answers rightly alone: threads can make nothing worse")
        found.cause = Cause.SUBJECT
        return found
    least, most = offered.get("threads", (1, THREADS))
    threads = int(max(least, min(THREADS, most)))
    ways = [False, True] if True in offered.get("shared", ()) else [False]
    count = sum(map(len, families))
    rounds = max(LEAST_ROUNDS, -(-OPERATIONS // (len(ways) * threads * count)))
    for shared in ways:
        done, operations = 0, set()
        for asked in _slices(families):
            for _round in range(rounds):
                if not _run(client, found, asked, threads, shared):
                    return found
                done += threads * len(asked)
            operations |= {ask.request["op"] for ask in asked}
        found.evidence.append(
            {
                "kind": "concurrency",
                "operations": sorted(operations),
                "done": done,
                "threads": threads,
                "shared": shared,
            }
        )
    if threads < 2:
        found.undecided = _("the harness runs one thread alone: nothing was done at the same time")
        found.cause = Cause.SUBJECT
    return found


def _right_alone(client: SmClient, found: Found, families: list[list[Ask]]) -> list[list[Ask]]:
    """The requests that are answered rightly one at a time: what is wrong alone is no matter of threads, and told elsewhere."""
    right: list[list[Ask]] = []
    wrong: list[str] = []
    for family in families:
        kept: list[Ask] = []
        for ask in family:
            answer = client.ask(ask.request)
            if answer.kind is ReplyKind.FAULT:
                found.undecided = answer.detail
                return []
            if ask.judge(answer)[0] is VectorResult.PASSED:
                kept.append(ask)
            else:
                wrong.append(ask.vector.id)
        if any(not ask.refuse for ask in kept):  # refusals alone show nothing of threads
            right.append(kept)
    if wrong:
        found.evidence.append({"kind": "wrong alone", "vectors": wrong})
    return right


def _run(client: SmClient, found: Found, asked: list[Ask], threads: int, shared: bool) -> bool:
    """Every request once from every thread. Returns whether it is worth going on."""
    inner = [ask.request for ask in asked]
    answer = client.ask({"op": "concurrent", "requests": inner, "threads": threads, "repeat": 1, "shared": shared})
    if answer.kind is ReplyKind.FAULT:
        found.undecided = answer.detail
        return False
    replies = answer.reply.get("replies")
    if answer.kind is not ReplyKind.REPLY or not isinstance(replies, list) or len(replies) != len(asked):
        said = answer.reply.get("error")
        what = answer.detail or (verbatim(str(said)) if said else _("the answer has no list of replies"))
        found.wrong.append(_("{threads} threads: {what}", threads=threads, what=what))
        return False
    for ask, different in zip(asked, replies, strict=True):
        if not isinstance(different, list) or not different:
            found.wrong.append(_("{operation}: no answer at all", operation=ask.request["op"]))
            continue
        for detail in _faults(ask, different):
            about = {"operation": ask.request["op"], "vector": ask.vector.id, "detail": detail}
            found.wrong.append(
                _("{operation} ({vector}), shared objects: {detail}", **about)
                if shared
                else _("{operation} ({vector}), separate objects: {detail}", **about)
            )
    return len(found.wrong) <= 20


def _faults(ask: Ask, different: list[Any]) -> Iterator[Message]:
    """What is wrong with the different replies to one request."""
    for reply in different:
        if not isinstance(reply, Mapping):
            yield _("the answer has no list of replies")
            continue
        result, detail = ask.judge(Answer(ReplyKind.REPLY, reply))
        if result is not VectorResult.PASSED:
            yield detail
            return
