"""The way to qemu itself: its machine protocol (QMP), over a socket that it is handed."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from typing import Any

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.messages import _, system_error, verbatim

LARGEST_ANSWER = 1 << 20
"""Bytes of one line of qemu's."""
_PAUSE_S = 0.005
"""Seconds between two questions for a migration's state: one to a file takes some 15 ms."""


class Monitor:
    """Asks a qemu that has just been started; one thread's.

    Args:
        ours: our end of the socket, which is closed with the monitor.
        timeout_s: seconds for each answer.

    Raises:
        SandboxFault: qemu is gone, does not answer in time, or refuses.
    """

    def __init__(self, ours: socket.socket, timeout_s: float) -> None:
        self._socket, self._timeout_s, self._buffer = ours, timeout_s, bytearray()
        ours.settimeout(timeout_s)
        try:
            self._line()
            self.execute("qmp_capabilities")
            # What is in a file of its own need not be written into the stream (qapi/migration.json).
            self.execute("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])
        except BaseException:
            self.close()
            raise

    def execute(self, command: str, **arguments: Any) -> Any:
        """Have qemu execute a command; returns its answer."""
        line = json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n"
        try:
            self._socket.sendall(line)
        except OSError as error:
            raise _gone(system_error(error)) from error
        while True:
            answer = self._line()
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise SandboxFault(
                    _("qemu refuses `{command}`: {why}", command=command, why=verbatim(str(answer["error"])[:500]))
                )

    def migrated(self) -> None:
        """Wait for the end of a migration."""
        deadline = time.monotonic() + self._timeout_s
        while time.monotonic() < deadline:
            said = self.execute("query-migrate")
            if said.get("status") == "completed":
                return
            if said.get("status") in ("failed", "cancelled"):
                raise _gone(verbatim(str(said.get("error-desc", said["status"]))[:500]))
            time.sleep(_PAUSE_S)
        raise _gone(_("it did not answer within {seconds:g} s", seconds=self._timeout_s))

    def _line(self) -> dict[str, Any]:
        try:
            while b"\n" not in self._buffer:
                data = self._socket.recv(1 << 16)
                if not data or len(self._buffer) > LARGEST_ANSWER:
                    raise _gone(_("it has closed its monitor"))
                self._buffer += data
        except OSError as error:
            raise _gone(system_error(error)) from error
        line, _rest, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        with contextlib.suppress(ValueError):
            if isinstance(found := json.loads(line), dict):
                return found
        raise _gone(_("it sent what is no answer"))

    def close(self) -> None:
        self._socket.close()


def _gone(why: Any) -> SandboxFault:
    return SandboxFault(_("qemu's monitor does not work: {why}", why=why))
