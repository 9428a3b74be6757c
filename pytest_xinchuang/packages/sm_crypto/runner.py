"""Runs vectors against a harness, and counts what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_xinchuang.packages.sm_crypto.client import HarnessClient
from pytest_xinchuang.packages.sm_crypto.judge import Ask, Result, asks
from pytest_xinchuang.packages.sm_crypto.vectors import Vector

NEEDS_K = "nothing of it can be asked without a given k"
"""Why a vector is unsupported that only a harness with an injected k can be asked."""

_WORST = (Result.FAILED, Result.UNDECIDED, Result.UNSUPPORTED, Result.ACCEPTABLE, Result.PASSED)


@dataclass(frozen=True)
class Seen:
    """What became of one vector: the worst of what its requests came to.

    Attributes:
        operation: of the request that decided.
        detail: for a failure, what was expected and what came; for an unsupported one, what is lacking.
    """

    vector: Vector
    result: Result
    operation: str = ""
    detail: str = ""


@dataclass
class VectorRun:
    """Everything that a run saw."""

    seen: list[Seen] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    restarts: int = 0

    def of(self, requirement: str) -> list[Seen]:
        return [s for s in self.seen if s.vector.requirement == requirement]

    def count(self) -> Counter[Result]:
        return Counter(s.result for s in self.seen)


def run_vectors(client: HarnessClient, vectors: Iterable[Vector]) -> VectorRun:
    """Ask everything that the vectors ask, as many requests in flight as the wire takes.

    Raises:
        ProtocolError, HostFault: the harness could not even say hello.
    """
    hello = client.hello
    found: dict[str, list[Seen]] = {}
    order: dict[str, Vector] = {}

    def requests() -> Iterable[tuple[Ask, dict[str, object]]]:
        for vector in vectors:
            order[vector.id] = vector
            mine = found.setdefault(vector.id, [])
            for ask in asks(vector, hello):
                if lacking := hello.lacks(ask.request):
                    mine.append(Seen(vector, Result.UNSUPPORTED, ask.request["op"], lacking))
                else:
                    yield ask, ask.request

    for ask, answer in client.run(requests()):
        result, detail = ask.judge(answer)
        found[ask.vector.id].append(Seen(ask.vector, result, ask.request["op"], detail))
    seen = [
        min(mine, key=lambda s: _WORST.index(s.result))
        if (mine := found[identifier])
        else Seen(vector, Result.UNSUPPORTED, detail=NEEDS_K)
        for identifier, vector in order.items()
    ]
    return VectorRun(seen, list(client.crashes), list(client.violations), client.restarts)
