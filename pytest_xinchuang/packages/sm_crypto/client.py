"""Talks to a harness: many requests in flight, and none lost when it dies or hangs."""

from __future__ import annotations

import contextlib
import json
import queue
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pytest_xinchuang.core.errors import HostFault, SandboxFault
from pytest_xinchuang.packages.sm_crypto.protocol import Hello, ProtocolError, encode, read_hello
from pytest_xinchuang.sandbox.lines import Launch, LineProcess
from pytest_xinchuang.sandbox.protocol import Ended

Request = Mapping[str, Any]

WINDOW = 256
"""Requests in flight: enough to hide the way there and back, few enough that one that kills is soon found."""
WINDOW_BYTES = 1 << 18
MAX_HUNG = 12
"""After so many time-outs in one run the rest is left undecided: each costs its whole time."""
MAX_DEATHS = 400


class Came(StrEnum):
    """How an answer came about."""

    REPLY = "reply"
    DIED = "died"
    """The harness died of this request, alone, twice."""
    HUNG = "hung"
    """No reply within the time-out, alone, twice."""
    FAULT = "fault"
    """Our side broke: the sandbox, the emulator; or it was never asked. Never the subject's failure."""


@dataclass(frozen=True)
class Answer:
    """What became of one request."""

    came: Came
    reply: Mapping[str, Any] = field(default_factory=dict)
    detail: str = ""


class HarnessClient:
    """One harness, restarted when it dies. Use as a context manager; not for several threads at once.

    Args:
        launch: starts the harness.
        timeout_s: seconds without any reply after which the oldest request is taken for hung.
        start_timeout_s: seconds until its hello.

    Attributes:
        timeout_s: as given.
        crashes: deaths and silences that no single request repeats: the harness broke only under many.
        violations: what it said against the protocol.
        restarts: how often it had to be started again.
    """

    def __init__(self, launch: Launch, *, timeout_s: float = 10.0, start_timeout_s: float = 30.0) -> None:
        self._launch = launch
        self.timeout_s, self._start_timeout_s = timeout_s, start_timeout_s
        self._running: LineProcess | None = None
        self._next = 1
        self.restarts = -1
        self.hung = 0
        self.crashes: list[str] = []
        self.violations: list[str] = []
        self._first: Hello | None = None

    def __enter__(self) -> HarnessClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def hello(self) -> Hello:
        """What the harness said first.

        Raises:
            ProtocolError: it said nothing of the kind; HostFault: it could not be started by our fault.
        """
        if self._first is None:
            self._up()
        assert self._first is not None
        return self._first

    def close(self) -> None:
        """End the harness."""
        running, self._running = self._running, None
        if running is not None:
            with contextlib.suppress(HostFault, OSError, ValueError):
                running.process.kill()
            running.finish()

    def _up(self) -> LineProcess:
        if self._running is not None:
            return self._running
        running = LineProcess(self._launch())
        running.start()
        self._running = running
        self.restarts += 1
        try:
            first = running.lines.get(timeout=self._start_timeout_s)
        except queue.Empty:
            self.close()
            raise ProtocolError(f"the harness said no hello within {self._start_timeout_s:g} s") from None
        if first is None:
            detail = self._ended(running)
            raise ProtocolError(f"the harness ended before its hello: {detail}")
        hello = read_hello(first[0])
        if len(first) > 1:
            running.lines.put(first[1:])
        if self._first is not None and hello != self._first:
            self.violations.append("after a restart the harness said another hello than before")
        self._first = self._first or hello
        return running

    def _ended(self, running: LineProcess) -> str:
        """How a harness ended that closed its output. Raises HostFault: the fault was ours."""
        outcome = running.process.wait(self.timeout_s)
        if outcome is None:
            outcome = running.process.kill()
            described = "it closed its output and went on"
        else:
            described = outcome.describe()
        self._running = None
        running.finish()
        if outcome.ended in (Ended.EMULATOR_FAULT, Ended.HOST_FAULT, Ended.OVER_LIMIT):
            raise SandboxFault(f"the harness's sandbox broke: {described}")
        said = running.said() or outcome.stderr.decode(errors="replace").strip()[-300:]
        return f"{described}{': ' + said if said else ''}"

    # -- asking

    def ask(self, request: Request) -> Answer:
        """One request, and its answer."""
        ((_, answer),) = self.run([(None, request)])
        return answer

    def run(self, requests: Iterable[tuple[Any, Request]]) -> Iterator[tuple[Any, Answer]]:
        """Ask all of ``requests`` and give each tag back with its answer, in the order of the answers.

        A harness that dies or falls silent is started again, and what was in flight is asked one at a time until the one is
        found that it dies of; the others are asked again.
        """
        flight: dict[int, tuple[Any, Request, int]] = {}
        try:
            yield from self._run(iter(requests), flight)
        finally:
            if flight:
                # Whoever asked has gone away: the answers that are under way must not be taken for later ones.
                self.close()

    def _run(
        self, waiting: Iterator[tuple[Any, Request]], flight: dict[int, tuple[Any, Request, int]]
    ) -> Iterator[tuple[Any, Answer]]:
        again: deque[tuple[Any, Request]] = deque()
        exhausted = False
        size = 0
        while True:
            try:
                running = self._up()
            except (HostFault, ProtocolError) as error:
                # It has said hello before: what it cannot be asked any more is undecided.
                yield from self._give_up(flight, again, waiting, error)
                return
            batch = []
            while len(flight) < WINDOW and size < WINDOW_BYTES and not exhausted:
                try:
                    tag, request = again.popleft() if again else next(waiting)
                except StopIteration:
                    exhausted = True
                    break
                line = encode(self._next, request)
                flight[self._next] = (tag, request, len(line))
                size += len(line)
                self._next += 1
                batch.append(line)
            if batch:
                running.outgoing.put(b"".join(batch))
            if not flight:
                if not again:
                    return
                exhausted = False
                continue
            try:
                lines = running.lines.get(timeout=self.timeout_s)
            except queue.Empty:
                lines = None
                silent = True
            else:
                silent = False
            if lines is not None:
                for line in lines:
                    found = self._match(line, flight)
                    if found is not None:
                        size -= found[2]
                        yield found[0], found[1]
                continue
            stuck = list(flight.values())
            flight.clear()
            size = 0
            try:
                yield from self._isolate(running, [(t, r) for t, r, _ in stuck], silent, again)
            except (HostFault, ProtocolError) as error:
                yield from self._give_up(flight, again, waiting, error)
                return
            exhausted = False

    def _match(self, line: bytes, flight: dict[int, tuple[Any, Request, int]]) -> tuple[Any, Answer, int] | None:
        try:
            reply = json.loads(line)
            number = reply.pop("id")
            tag, _, size = flight.pop(number)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            if len(self.violations) < 20:
                shown = line[:120].decode(errors="replace")
                self.violations.append(f"a line that answers nothing that was asked: {shown!r}")
            return None
        return tag, Answer(Came.REPLY, reply), size

    def _isolate(
        self, running: LineProcess, stuck: list[tuple[Any, Request]], silent: bool, again: deque[tuple[Any, Request]]
    ) -> Iterator[tuple[Any, Answer]]:
        """Find which of the requests in flight the harness died of, or hangs at, by asking them one at a time."""
        how = f"no reply for {self.timeout_s:g} s" if silent else self._ended(running)
        self.close()
        if len(stuck) > 1:
            for index, (tag, request) in enumerate(stuck):
                answer = self._alone(request)
                if answer.came is not Came.REPLY:
                    # Twice, so that a slow moment of the host blames nobody.
                    answer = self._alone(request)
                    yield tag, answer
                    if answer.came is Came.REPLY:
                        self.crashes.append(f"{how}, once, at a request that was answered later")
                    again.extendleft(reversed(stuck[index + 1 :]))
                    self._count(answer)
                    return
                yield tag, answer
            self.crashes.append(f"{how}, with {len(stuck)} requests in flight; none of them repeats it alone")
            return
        (tag, request) = stuck[0]
        answer = self._alone(request)
        if answer.came is Came.REPLY:
            self.crashes.append(f"{how}, once, at a request that was answered later")
        yield tag, answer
        self._count(answer)

    def _count(self, answer: Answer) -> None:
        self.hung += answer.came is Came.HUNG
        if self.hung >= MAX_HUNG or self.restarts >= MAX_DEATHS:
            raise ProtocolError(f"the harness hung {self.hung} times and was restarted {self.restarts} times")

    def _alone(self, request: Request) -> Answer:
        running = self._up()
        number, self._next = self._next, self._next + 1
        running.outgoing.put(encode(number, request))
        deadline = time.monotonic() + self.timeout_s
        flight: dict[int, tuple[Any, Request, int]] = {number: (None, request, 0)}
        while True:
            try:
                lines = running.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.close()
                return Answer(Came.HUNG, detail=f"no reply within {self.timeout_s:g} s")
            if lines is None:
                return Answer(Came.DIED, detail=self._ended(running))
            for line in lines:
                if found := self._match(line, flight):
                    return found[1]

    @staticmethod
    def _give_up(
        flight: dict[int, tuple[Any, Request, int]],
        again: Iterable[tuple[Any, Request]],
        waiting: Iterable[tuple[Any, Request]],
        error: HostFault | ProtocolError,
    ) -> Iterator[tuple[Any, Answer]]:
        left = list(flight.values())
        flight.clear()
        for tag, _, _ in left:
            yield tag, Answer(Came.FAULT, detail=error.what)
        for tag, _ in (*again, *waiting):
            yield tag, Answer(Came.FAULT, detail=error.what)
