"""Probes a TLS server inside a sandbox from outside, through a relay."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Sequence

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.harness.ends import OURS, HarnessEnd
from pytest_xinchuang.messages import _
from pytest_xinchuang.packages.sm_crypto.tls.endpoint import Endpoint
from pytest_xinchuang.packages.sm_crypto.tls.probe import Wish, ask
from pytest_xinchuang.packages.sm_crypto.tls.wire import Deadline
from pytest_xinchuang.sandbox.protocol import Ended, Limits, Process, Sandbox

RELAY = "/xc/xc-relay"
LIMITS = Limits(wall_s=600)
NOTHING_LISTENS = 3
"""The relay's exit status when it could not connect."""


class RelayChannel:
    """A connection to 127.0.0.1:PORT of the sandbox. Raises OSError: nothing listens there."""

    def __init__(self, sandbox: Sandbox, port: int, timeout_s: float) -> None:
        self._timeout_s, self._deadline = timeout_s, Deadline(timeout_s)
        self._process: Process = sandbox.start([RELAY, str(port)], limits=LIMITS)
        self._chunks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, SandboxFault):
            while chunk := self._process.stdout.read1(1 << 16):  # type: ignore[attr-defined]
                self._chunks.put(chunk)
        self._chunks.put(b"")

    def send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(data)

    def receive(self) -> bytes:
        try:
            chunk = self._chunks.get(timeout=self._deadline.left)
        except queue.Empty:
            raise TimeoutError from None
        if not chunk:
            outcome = self._process.wait(self._timeout_s)
            if outcome is not None and outcome.ended in OURS:
                raise SandboxFault(_("the relay to the server broke: {how}", how=outcome.describe()))
            if outcome is not None and outcome.ended is Ended.EXITED and outcome.code == NOTHING_LISTENS:
                raise ConnectionRefusedError(_("nothing listens on the port"))
        return chunk

    def close(self) -> None:
        with contextlib.suppress(SandboxFault, OSError, ValueError):
            self._process.kill()
        self._thread.join(self._timeout_s)


def probe_inside(
    sandbox: Sandbox, server: Process, port: int, roots: Sequence[bytes], *, timeout_s: float, start_timeout_s: float
) -> Endpoint:
    """The protocols that the server speaks, once it listens.

    Raises:
        SandboxFault: the sandbox broke.
    """
    deadline = time.monotonic() + start_timeout_s
    address = _("127.0.0.1:{port} in the sandbox", port=port)
    while True:
        endpoint = ask(address, "localhost", lambda: RelayChannel(sandbox, port, timeout_s), wish=Wish(roots))
        if not endpoint.unreachable:
            return endpoint
        ended = server.wait(0)
        if ended is not None and ended.ended in OURS:
            raise SandboxFault(_("the server's sandbox broke: {how}", how=ended.describe()))
        if ended is not None:
            said = ended.stderr.decode(errors="replace").strip().splitlines()
            end = HarnessEnd.of(ended, said[-1] if said else "")
            endpoint.unreachable = _("the server ended: {end}", end=end.text())
            return endpoint
        if time.monotonic() > deadline:
            return endpoint
        time.sleep(0.3)
