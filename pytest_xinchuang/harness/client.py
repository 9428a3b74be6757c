"""Asks a harness: many requests in flight, and none lost when it dies or hangs."""

from __future__ import annotations

import itertools
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Self

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.harness.connection import Connection
from pytest_xinchuang.harness.ends import EndKind, HarnessEnd, ReplyKind
from pytest_xinchuang.harness.protocol import (
    HarnessProtocol,
    HelloModel,
    ProtocolError,
    Request,
    Violation,
    ViolationKind,
)
from pytest_xinchuang.messages import NOTHING, Message, _, n_, verbatim
from pytest_xinchuang.sandbox.protocol import Launch

WINDOW = 256
"""Requests in flight: enough to hide the latency, few enough to soon find the one that kills the harness."""
WINDOW_BYTES = 1 << 18
MAX_HUNG = 12
"""Time-outs in one run after which the rest is left undecided: each costs its whole time."""
MAX_DEATHS = 400
MAX_RUN_SCALE = 720
"""The longest time of one run, in time-outs of a request: two hours for 10 s. The rest is left undecided."""
MAX_VIOLATIONS = 20
"""Violations that are kept; a harness that prints debug output violates the protocol with every line."""

Tagged = tuple[Any, Request]
Flight = dict[int, tuple[Any, Request, int]]
"""Id -> tag, request and bytes of what is not answered yet."""


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    Attributes:
        end: how the harness ended, where it died of the request or hung at it.
        detail: why there is no reply, for people.
    """

    kind: ReplyKind
    reply: Mapping[str, Any] = field(default_factory=dict)
    detail: Message = NOTHING
    end: HarnessEnd | None = None


@dataclass(frozen=True)
class Crash:
    """A crash or a silence that no single request repeats: it happened once, or only with many requests in flight."""

    end: HarnessEnd
    what: Message

    def __str__(self) -> str:
        return self.what


class _GaveUp(XcError):
    """The harness hung or died so often that it is asked no more."""


class HarnessClient(Generic[HelloModel]):
    """One harness, restarted when it dies. Use as a context manager; not for several threads at once.

    Args:
        launch: starts the harness.
        timeout_s: seconds without any reply after which the oldest request is taken for hung.
        start_timeout_s: seconds until its hello.

    Attributes:
        timeout_s: as given.
        crashes: crashes and silences that no single request repeats.
        violations: its breaches of the protocol.
        restarts: how often it had to be started again.
    """

    def __init__(
        self,
        protocol: HarnessProtocol[HelloModel],
        launch: Launch,
        *,
        timeout_s: float = 10.0,
        start_timeout_s: float = 30.0,
    ) -> None:
        self._protocol, self._launch = protocol, launch
        self.timeout_s, self._start_timeout_s = timeout_s, start_timeout_s
        self._running: Connection[HelloModel] | None = None
        self._ids = itertools.count(1)
        self.restarts = -1
        self.hung = 0
        self.crashes: list[Crash] = []
        self.violations: list[Violation] = []
        self._first: HelloModel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def hello(self) -> HelloModel:
        """What the harness said first.

        Raises:
            ProtocolError: it said no hello. HostFault: it could not be started, by a fault on our side.
        """
        if self._first is None:
            self._up()
        assert self._first is not None
        return self._first

    def close(self) -> None:
        """End the harness."""
        running, self._running = self._running, None
        if running is not None:
            running.close()

    def _up(self) -> Connection[HelloModel]:
        if self._running is not None:
            return self._running
        self.restarts += 1
        running = Connection(
            self._protocol,
            self._launch,
            hello_timeout_s=self._start_timeout_s,
            end_timeout_s=self.timeout_s,
            ids=self._ids,
        )
        self._running = running
        if self._first is not None and running.hello != self._first:
            self._violates(ViolationKind.OTHER_HELLO, _("after a restart the harness said another hello than before"))
        self._first = self._first or running.hello
        return running

    def _violates(self, kind: ViolationKind, what: Message) -> None:
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(Violation(kind, what))

    # -- asking

    def ask(self, request: Request) -> Answer:
        """One request, and its answer."""
        ((_tag, answer),) = self.run([(None, request)])
        return answer

    def run(self, requests: Iterable[Tagged]) -> Iterator[tuple[Any, Answer]]:
        """Ask all of ``requests`` and give each tag back with its answer, in the order of the answers.

        A harness that dies or falls silent is started again. The requests in flight are then asked one at a time, until the one
        is found that it dies of; the others are asked again.
        """
        flight: Flight = {}
        try:
            yield from self._run(iter(requests), flight)
        finally:
            if flight:
                # Whoever asked has gone away: the answers that are under way must not be taken for later ones.
                self.close()

    def _run(self, waiting: Iterator[Tagged], flight: Flight) -> Iterator[tuple[Any, Answer]]:
        again: deque[Tagged] = deque()
        exhausted = False
        heard = started = time.monotonic()
        while True:
            try:
                self._in_time(started)
                running = self._up()
            except (HostFault, ProtocolError, _GaveUp) as error:
                # It has said hello before: what it cannot be asked any more is undecided.
                yield from self._give_up(flight, again, waiting, error)
                return
            if not flight:
                heard = time.monotonic()
            exhausted = self._fill(running, flight, again, waiting, exhausted)
            if not flight:
                if not again:
                    return
                exhausted = False
                continue
            lines = running.receive(self.timeout_s)
            if lines:
                before = len(flight)
                for line in lines:
                    if (found := self._match(running, line, flight)) is not None:
                        yield found
                now = time.monotonic()
                if len(flight) < before:
                    heard = now
                elif running.floods or now - heard > self.timeout_s:
                    lines = []  # for all that it says, it has answered nothing in time
                if lines:
                    continue
            stuck = deque((tag, request) for tag, request, _size in flight.values())
            flight.clear()
            try:
                yield from self._isolate(running, stuck, lines is not None, again)
            except (HostFault, ProtocolError, _GaveUp) as error:
                yield from self._give_up(flight, (*stuck, *again), waiting, error)
                return
            exhausted = False

    @staticmethod
    def _fill(
        running: Connection[HelloModel],
        flight: Flight,
        again: deque[Tagged],
        waiting: Iterator[Tagged],
        exhausted: bool,
    ) -> bool:
        """Send what the window has room for; returns whether there is nothing more."""
        size = sum(length for _tag, _request, length in flight.values())
        batch = []
        while len(flight) < WINDOW and size < WINDOW_BYTES and not exhausted:
            try:
                tag, request = again.popleft() if again else next(waiting)
            except StopIteration:
                exhausted = True
                break
            number, line = running.encode(request)
            flight[number] = (tag, request, len(line))
            size += len(line)
            batch.append(line)
        if batch:
            running.send(b"".join(batch))
        return exhausted

    def _in_time(self, started: float) -> None:
        if time.monotonic() - started > MAX_RUN_SCALE * self.timeout_s:
            raise _GaveUp(
                _("the harness was asked for more than {seconds:g} s", seconds=MAX_RUN_SCALE * self.timeout_s)
            )

    def _match(self, running: Connection[HelloModel], line: bytes, flight: Flight) -> tuple[Any, Answer] | None:
        try:
            reply = json.loads(line)
            tag, _request, _size = flight.pop(reply.pop("id"))
            running.count(line, answers=True)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            running.count(line, answers=False)
            if len(self.violations) >= MAX_VIOLATIONS:
                return None
            shown = verbatim(repr(line[:120].decode(errors="replace")))
            self._violates(ViolationKind.UNASKED, _("a line that answers no request: {line}", line=shown))
            return None
        return tag, Answer(ReplyKind.REPLY, reply)

    def _isolate(
        self, running: Connection[HelloModel], stuck: deque[Tagged], silent: bool, again: deque[Tagged]
    ) -> Iterator[tuple[Any, Answer]]:
        """Find which of the requests in flight the harness died of, or hangs at, by asking them one at a time.

        What is answered is taken from ``stuck``: where the sandbox breaks, the rest is still there.
        """
        try:
            end = self._silence(running) if silent else running.ended()
        finally:
            self.close()
        count = len(stuck)
        while stuck:
            tag, request = stuck[0]
            answer = self._alone(request)
            if answer.kind is not ReplyKind.REPLY and count > 1:
                # Twice, so that a slow moment of the host blames nobody.
                answer = self._alone(request)
            elif answer.kind is ReplyKind.REPLY and count > 1:
                stuck.popleft()
                yield tag, answer
                continue
            if answer.kind is ReplyKind.REPLY:
                how = _("{end}, once, at a request that was answered later", end=end.text())
                self.crashes.append(Crash(end, how))
            stuck.popleft()
            yield tag, answer
            self._count(answer)
            again.extendleft(reversed(stuck))
            return
        text = n_(
            "{end}, with {n} request in flight; it does not repeat it alone",
            "{end}, with {n} requests in flight; none of them repeats it alone",
            count,
            end=end.text(),
        )
        self.crashes.append(Crash(end, text))

    def _count(self, answer: Answer) -> None:
        self.hung += answer.kind is ReplyKind.HUNG
        if self.hung >= MAX_HUNG or self.restarts >= MAX_DEATHS:
            raise _GaveUp(
                _(
                    "the harness hung {hung} times and was restarted {restarts} times",
                    hung=self.hung,
                    restarts=self.restarts,
                )
            )

    def _silence(self, running: Connection[HelloModel]) -> HarnessEnd:
        """The end of a harness that goes on and answers nothing."""
        return HarnessEnd(EndKind.FLOODED if running.floods else EndKind.SILENT, timeout_s=self.timeout_s)

    def _alone(self, request: Request) -> Answer:
        running = self._up()
        number, line = running.encode(request)
        running.send(line)
        deadline = time.monotonic() + self.timeout_s
        flight: Flight = {number: (None, request, len(line))}
        while True:
            lines = running.receive(deadline - time.monotonic())
            if lines is None:
                self._running = None
                end = running.ended()
                return Answer(ReplyKind.DIED, detail=end.text(), end=end)
            for said in lines:
                if found := self._match(running, said, flight):
                    return found[1]
            if not lines or running.floods or time.monotonic() > deadline:
                self.close()
                end = self._silence(running)
                return Answer(ReplyKind.HUNG, detail=end.text(), end=end)

    @staticmethod
    def _give_up(
        flight: Flight, again: Iterable[Tagged], waiting: Iterable[Tagged], error: XcError
    ) -> Iterator[tuple[Any, Answer]]:
        left = list(flight.values())
        flight.clear()
        for tag, _request, _size in left:
            yield tag, Answer(ReplyKind.FAULT, detail=error.what)
        for tag, _request in (*again, *waiting):
            yield tag, Answer(ReplyKind.FAULT, detail=error.what)
