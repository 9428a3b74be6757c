"""One running harness: its hello, the lines to and from it, and its end."""

from __future__ import annotations

import contextlib
import itertools
import queue
from collections.abc import Iterator
from typing import Generic

from pytest_xinchuang.core.errors import HostFault, SandboxFault
from pytest_xinchuang.harness.ends import OURS, EndKind, HarnessEnd
from pytest_xinchuang.harness.lines import LineProcess
from pytest_xinchuang.harness.protocol import HarnessProtocol, HelloModel, ProtocolError, Request, ViolationKind, encode
from pytest_xinchuang.messages import _
from pytest_xinchuang.sandbox.protocol import Launch

END_S = 5.0
"""Seconds that a harness has to end after it has closed its output, where nobody says otherwise."""
MOST_STRAYS = 20_000
"""Lines between two replies that answer no request; more are a flood, which would never end."""
MOST_STRAY_BYTES = 64 << 20


class Connection(Generic[HelloModel]):
    """A harness from its hello to its end.

    Args:
        launch: starts it.
        hello_timeout_s: seconds until its hello.
        end_timeout_s: seconds that it has to end after it has closed its output.
        ids: numbers for requests, where several connections are to share them.

    Attributes:
        hello: what it said first.

    Raises:
        ProtocolError: it said no hello. HostFault: it could not be started, by a fault on our side.
    """

    def __init__(
        self,
        protocol: HarnessProtocol[HelloModel],
        launch: Launch,
        *,
        hello_timeout_s: float,
        end_timeout_s: float = END_S,
        ids: Iterator[int] | None = None,
    ) -> None:
        self._ids = ids if ids is not None else itertools.count(1)
        self._rest: list[bytes] = []
        self._strays = self._stray_bytes = 0
        self._end_timeout_s = end_timeout_s
        self._closed = False
        self._process = LineProcess(launch())
        self._process.start()
        try:
            lines = self.receive(hello_timeout_s)
            if lines is None:
                what = _("the harness ended before its hello: {end}", end=self.ended().text())
                raise ProtocolError(ViolationKind.NO_HELLO, what)
            if not lines:
                what = _("the harness said no hello within {seconds:g} s", seconds=hello_timeout_s)
                raise ProtocolError(ViolationKind.NO_HELLO, what)
            self.hello: HelloModel = protocol.read_hello(lines[0])
            self._rest = lines[1:]
        except BaseException:
            self.close()
            raise

    def encode(self, request: Request) -> tuple[int, bytes]:
        """The id that a request gets, and its line."""
        number = next(self._ids)
        return number, encode(number, request)

    def send(self, lines: bytes) -> None:
        """Send encoded requests, without waiting until they are read."""
        self._process.outgoing.put(lines)

    def receive(self, timeout_s: float) -> list[bytes] | None:
        """The lines that have come; none after ``timeout_s`` of silence; None at the end of its output."""
        if self._rest:
            lines, self._rest = self._rest, []
            return lines
        try:
            return self._process.lines.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            return []

    def count(self, line: bytes, *, answers: bool) -> None:
        """Take note of a line that answers a request, or none."""
        if answers:
            self._strays = self._stray_bytes = 0
        else:
            self._strays += 1
            self._stray_bytes += len(line)

    @property
    def floods(self) -> bool:
        """Whether it writes without end what nobody has asked for."""
        return self._strays > MOST_STRAYS or self._stray_bytes > MOST_STRAY_BYTES

    def ended(self) -> HarnessEnd:
        """How a harness ended that has closed its output.

        Raises:
            SandboxFault: by a fault of ours.
        """
        # Nobody reads on from one that floods: it would wait for room, and not end.
        outcome = None if self._process.overlong else self._process.process.wait(self._end_timeout_s)
        went_on = outcome is None
        if outcome is None:
            outcome = self._process.process.kill()
        self._closed = True
        self._process.finish(self._end_timeout_s)
        if outcome.ended in OURS:
            raise SandboxFault(_("the harness's sandbox broke: {how}", how=outcome.describe()))
        said = self._process.said() or outcome.stderr.decode(errors="replace").strip()[-300:]
        if self._process.overlong:
            return HarnessEnd(EndKind.FLOODED, None, said)
        return HarnessEnd(EndKind.CLOSED, None, said) if went_on else HarnessEnd.of(outcome, said)

    def close(self) -> None:
        """End the harness, if it has not ended."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(HostFault, OSError, ValueError):
            self._process.process.kill()
        self._process.finish(self._end_timeout_s)
