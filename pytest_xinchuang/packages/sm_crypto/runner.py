"""Runs vectors against a harness, and counts the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_xinchuang.harness.client import Answer, Crash
from pytest_xinchuang.harness.protocol import Violation
from pytest_xinchuang.messages import NOTHING, Message, _
from pytest_xinchuang.packages.sm_crypto.client import SmClient
from pytest_xinchuang.packages.sm_crypto.judge import Ask, VectorResult, asks
from pytest_xinchuang.packages.sm_crypto.protocol import Lack, LackKind
from pytest_xinchuang.packages.sm_crypto.vectors import Vector

_WORST = (
    VectorResult.FAILED,
    VectorResult.UNDECIDED,
    VectorResult.UNSUPPORTED,
    VectorResult.ACCEPTABLE,
    VectorResult.PASSED,
)


@dataclass(frozen=True)
class Asked:
    """One request with what it was to get, what it got, and how that was judged."""

    ask: Ask
    answer: Answer
    result: VectorResult


@dataclass(frozen=True)
class VectorOutcome:
    """The outcome of one vector: the worst of the results of its requests.

    Attributes:
        operation: of the request that decided.
        detail: for a failed vector, what was expected and what was answered; for an unsupported one, what is lacking.
        lack: for an unsupported vector, the part that the harness does not offer.
        asked: the request that decided, where one was asked.
    """

    vector: Vector
    result: VectorResult
    operation: str = ""
    detail: Message = NOTHING
    lack: Lack | None = None
    asked: Asked | None = None

    @property
    def needs_k(self) -> bool:
        """Whether the vector can only be asked of a harness that takes a given k."""
        return self.lack is not None and self.lack.kind is LackKind.GIVEN_K

    @classmethod
    def unsupported(cls, vector: Vector, lack: Lack, operation: str = "") -> VectorOutcome:
        return cls(vector, VectorResult.UNSUPPORTED, operation, lack.text, lack)


@dataclass
class VectorRun:
    """All outcomes of a run, and all requests that were asked for them."""

    seen: list[VectorOutcome] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    restarts: int = 0

    def of(self, requirement: str) -> list[VectorOutcome]:
        return [s for s in self.seen if s.vector.requirement == requirement]

    def count(self) -> Counter[VectorResult]:
        return Counter(s.result for s in self.seen)


def run_vectors(client: SmClient, vectors: Iterable[Vector]) -> VectorRun:
    """Ask all requests of the vectors, many of them in flight at once.

    Raises:
        ProtocolError, HostFault: the harness said no hello.
    """
    hello = client.hello
    found: dict[str, list[VectorOutcome]] = {}
    order: dict[str, Vector] = {}
    open_asks: Counter[str] = Counter()
    asked: list[Asked] = []

    def requests() -> Iterable[tuple[Ask, dict[str, object]]]:
        for vector in vectors:
            order[vector.id] = vector
            mine = found.setdefault(vector.id, [])
            for ask in asks(vector, hello):
                if lacking := hello.lacks(ask.request):
                    mine.append(VectorOutcome.unsupported(vector, lacking, ask.request["op"]))
                else:
                    open_asks[vector.id] += 1
                    yield ask, ask.request

    for ask, answer in client.run(requests()):
        open_asks[ask.vector.id] -= 1
        result, detail = ask.judge(answer)
        asked.append(Asked(ask, answer, result))
        outcome = VectorOutcome(ask.vector, result, ask.request["op"], detail, asked=asked[-1])
        found[ask.vector.id].append(outcome)
    for identifier, number in open_asks.items():
        if number:
            # For whatever reason: a request without an answer is never a pass.
            told = _("a request was sent, and its answer was not read")
            found[identifier].append(VectorOutcome(order[identifier], VectorResult.UNDECIDED, detail=told))
    seen = [
        min(mine, key=lambda s: _WORST.index(s.result))
        if (mine := found[identifier])
        else VectorOutcome.unsupported(vector, Lack(LackKind.GIVEN_K))
        for identifier, vector in order.items()
    ]
    return VectorRun(seen, asked, list(client.crashes), list(client.violations), client.restarts)
