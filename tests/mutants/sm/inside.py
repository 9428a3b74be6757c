"""Asks a known-bad subject within this process: for those whose defects end no process, and are in no thread."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Iterator

from pytest_xinchuang.harness.client import Answer
from pytest_xinchuang.harness.ends import ReplyKind
from pytest_xinchuang.packages.sm_crypto.defects import load_bank
from pytest_xinchuang.packages.sm_crypto.judge import VectorResult, asks
from pytest_xinchuang.packages.sm_crypto.protocol import SmHello
from pytest_xinchuang.packages.sm_crypto.vectors import Vector
from tests.mutants.sm.narrower import narrow
from tests.mutants.sm.running import vectors
from tests.mutants.sm.subject import make

_bank = functools.cache(load_bank)


@functools.cache
def _by_flag() -> dict[tuple[str, str], list[Vector]]:
    """Flag and requirement -> the vectors that have them."""
    found: dict[tuple[str, str], list[Vector]] = defaultdict(list)
    for vector in vectors("sm3", "sm4", "hmac", "hkdf", "pbkdf2", "x963"):
        for flag in vector.test.flags:
            found[flag, vector.requirement].append(vector)
    return found


def failing(number: int, offering: str = "", *, good: bool = False) -> Iterator[str]:
    """The vectors with the defect's own flag, of its own requirement, that a subject fails, as they are found.

    Args:
        offering: the narrower hellos (narrower.py) that the subject has, with ``+`` between them.
        good: ask the reference without the defect in the place of the subject.
    """
    defect = next(d for d in _bank().defects if d.id == number)
    harness = make(0 if good else number)
    if offering:
        narrow(harness, offering)
    hello = SmHello.model_validate(harness.hello())
    for vector in _by_flag()[defect.flag, defect.requirement]:
        for ask in asks(vector, hello):
            if hello.lacks(ask.request) is None:
                reply = json.loads(json.dumps(harness.handle(ask.request)))
                result, _why = ask.judge(Answer(ReplyKind.REPLY, reply))
                if result is VectorResult.FAILED:
                    yield vector.id
                    break
