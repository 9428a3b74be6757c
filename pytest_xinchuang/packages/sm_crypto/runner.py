"""Runs vectors against a harness, and counts what came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_xinchuang.harness.client import Crash
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
class VectorOutcome:
    """What became of one vector: the worst of what its requests came to.

    Attributes:
        operation: of the request that decided.
        detail: for a failure, what was expected and what came; for an unsupported one, what is lacking.
        lack: what the harness does not offer, for an unsupported one.
    """

    vector: Vector
    result: VectorResult
    operation: str = ""
    detail: Message = NOTHING
    lack: Lack | None = None

    @property
    def needs_k(self) -> bool:
        """Whether only a harness that takes a given k could be asked."""
        return self.lack is not None and self.lack.kind is LackKind.GIVEN_K

    @classmethod
    def unsupported(cls, vector: Vector, lack: Lack, operation: str = "") -> VectorOutcome:
        return cls(vector, VectorResult.UNSUPPORTED, operation, lack.text, lack)


@dataclass
class VectorRun:
    """Everything that a run saw."""

    seen: list[VectorOutcome] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    restarts: int = 0

    def of(self, requirement: str) -> list[VectorOutcome]:
        return [s for s in self.seen if s.vector.requirement == requirement]

    def count(self) -> Counter[VectorResult]:
        return Counter(s.result for s in self.seen)


def run_vectors(client: SmClient, vectors: Iterable[Vector]) -> VectorRun:
    """Ask everything that the vectors ask, as many requests in flight as the wire takes.

    Raises:
        ProtocolError, HostFault: the harness could not even say hello.
    """
    hello = client.hello
    found: dict[str, list[VectorOutcome]] = {}
    order: dict[str, Vector] = {}
    open_asks: Counter[str] = Counter()

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
        found[ask.vector.id].append(VectorOutcome(ask.vector, result, ask.request["op"], detail))
    for identifier, number in open_asks.items():
        if number:
            # Whatever has become of them: what was asked and not answered is never a pass.
            told = _("no answer was taken for what was asked")
            found[identifier].append(VectorOutcome(order[identifier], VectorResult.UNDECIDED, detail=told))
    seen = [
        min(mine, key=lambda s: _WORST.index(s.result))
        if (mine := found[identifier])
        else VectorOutcome.unsupported(vector, Lack(LackKind.GIVEN_K))
        for identifier, vector in order.items()
    ]
    return VectorRun(seen, list(client.crashes), list(client.violations), client.restarts)
