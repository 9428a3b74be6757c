"""Runs vectors against a harness, and counts the results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.harness.client import Answer, Crash
from pytest_xinchuang.harness.protocol import ProtocolError, Violation
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


class _Tally:
    """The requests of some vectors for one harness, and what comes back."""

    def __init__(self, client: SmClient, vectors: Iterable[Vector]) -> None:
        self.client, self._vectors, self._hello = client, vectors, client.hello
        self._found: dict[str, list[VectorOutcome]] = {}
        self._order: dict[str, Vector] = {}
        self._open: Counter[str] = Counter()
        self.asked: list[Asked] = []

    def answers(self) -> Iterator[tuple[Ask, Answer]]:
        return self.client.run(self._requests())

    def _requests(self) -> Iterable[tuple[Ask, dict[str, object]]]:
        for vector in self._vectors:
            self._order[vector.id] = vector
            mine = self._found.setdefault(vector.id, [])
            for ask in asks(vector, self._hello):
                if lacking := self._hello.lacks(ask.request):
                    mine.append(VectorOutcome.unsupported(vector, lacking, ask.request["op"]))
                else:
                    self._open[vector.id] += 1
                    yield ask, ask.request

    def take(self, ask: Ask, answer: Answer) -> None:
        """Judge one answer."""
        self._open[ask.vector.id] -= 1
        result, detail = ask.judge(answer)
        self.asked.append(Asked(ask, answer, result))
        outcome = VectorOutcome(ask.vector, result, ask.request["op"], detail, asked=self.asked[-1])
        self._found[ask.vector.id].append(outcome)

    def seen(self) -> list[VectorOutcome]:
        """The outcome of each vector, in their order."""
        for identifier, number in self._open.items():
            if number:
                # For whatever reason: a request without an answer is never a pass.
                told = _("a request was sent, and its answer was not read")
                self._found[identifier].append(
                    VectorOutcome(self._order[identifier], VectorResult.UNDECIDED, detail=told)
                )
        return [
            min(mine, key=lambda s: _WORST.index(s.result))
            if (mine := self._found[identifier])
            else VectorOutcome.unsupported(vector, Lack(LackKind.GIVEN_K))
            for identifier, vector in self._order.items()
        ]


def run_vectors(client: SmClient, vectors: Iterable[Vector]) -> VectorRun:
    """Ask all requests of the vectors, many of them in flight at once.

    Raises:
        ProtocolError, HostFault: the harness said no hello.
    """
    tally = _Tally(client, vectors)
    for ask, answer in tally.answers():
        tally.take(ask, answer)
    return VectorRun(tally.seen(), tally.asked, list(client.crashes), list(client.violations), client.restarts)


_AS_IT_SHOULD = frozenset({VectorResult.PASSED, VectorResult.ACCEPTABLE, VectorResult.UNSUPPORTED})


def run_beside(client: SmClient, other: SmClient, vectors: Sequence[Vector]) -> VectorRun:
    """Ask a second start of the same harness every other vector at the same time: on an emulated CPU one of them takes long.

    Only what the second answers as it should counts. Everything else is asked of the first once more: that two of them run at
    once is our doing, and no failure of theirs.

    Raises:
        ProtocolError, HostFault: the first harness said no hello.
    """
    halves = [_Tally(client, vectors[::2])]
    try:
        if other.hello == client.hello:
            halves.append(_Tally(other, vectors[1::2]))
    except (ProtocolError, HostFault):
        pass  # two of them cannot run at once
    streams = [(tally, tally.answers()) for tally in halves]
    while streams:
        for stream in tuple(streams):
            tally, answers = stream
            if (one := next(answers, None)) is None:
                streams.remove(stream)
            else:
                tally.take(*one)
    good: dict[str, VectorOutcome] = {}
    for second in halves[1:]:
        if not (other.crashes or other.violations or other.restarts):
            good = {one.vector.id: one for one in second.seen() if one.result in _AS_IT_SHOULD}
    again = run_vectors(client, [v for v in vectors[1::2] if v.id not in good])
    found = good | {one.vector.id: one for one in (*halves[0].seen(), *again.seen)}
    asked = [one for tally in halves[1:] for one in tally.asked if one.ask.vector.id in good]
    return replace(again, seen=[found[v.id] for v in vectors], asked=[*halves[0].asked, *asked, *again.asked])
