"""The bridge protocol, version 1 (docs/bridge.md): a harness that is asked one operation at a time."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pytest_xinchuang.harness.connection import Connection
from pytest_xinchuang.harness.ends import EndKind, HarnessEnd, ReplyKind
from pytest_xinchuang.harness.protocol import HarnessProtocol
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.packages.syscall_bridge.reasons import reason_of
from pytest_xinchuang.sandbox.protocol import Launch


class BridgeHello(BaseModel):
    """What a harness says first: what it is, and the operations that it has."""

    model_config = ConfigDict(extra="allow", frozen=True)

    hello: Literal["xc-bridge/1"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    version: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    language: str = ""
    operations: tuple[str, ...] = Field(min_length=1)


PROTOCOL = HarnessProtocol("xc-bridge/1", BridgeHello, "docs/bridge.md")

UNKNOWN_OPERATION = "operation"
"""``unknown`` of a reply may be this instead of the operation's own name (docs/bridge.md)."""


class ReplyFault(StrEnum):
    """How a reply breaks the protocol."""

    UNKNOWN_OPERATION = "unknown-operation"
    """The harness does not know an operation that its hello offers."""
    UNKNOWN_NAME = "unknown-name"
    """The harness does not know a name among the arguments."""
    MALFORMED = "malformed"


@dataclass(frozen=True)
class Reply:
    """The answer to one operation.

    Attributes:
        result: what the call returned; -1 with an ``error``.
        error: the number of its error, 0 for none.
        values: further results, by name.
        data: the bytes that were read, None where none are given.
        fault: how the reply breaks the protocol, None for a good one.
        detail: why there is no good reply, for people.
    """

    kind: ReplyKind
    result: int = 0
    error: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)
    data: bytes | None = None
    fault: ReplyFault | None = None
    detail: Message = NOTHING

    @property
    def good(self) -> bool:
        """Whether it is a reply that keeps the protocol."""
        return self.kind is ReplyKind.REPLY and self.fault is None


class BridgeClient:
    """One harness. It holds state (descriptors, mappings), so that it is not started again behind the caller's back.

    Attributes:
        sent: the requests so far.
        alive: whether it still runs.

    Raises:
        ProtocolError: it said no hello. HostFault: it could not be started by our fault.
    """

    def __init__(self, launch: Launch, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._rest: list[bytes] = []
        self.sent: list[dict[str, Any]] = []
        self._connection = Connection(PROTOCOL, launch, hello_timeout_s=timeout_s, end_timeout_s=timeout_s)
        self.hello = self._connection.hello
        self.alive = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the harness."""
        self._connection.close()
        self.alive = False

    def ask(self, operation: str, **arguments: Any) -> Reply:
        """One operation and its reply.

        Raises:
            SandboxFault: the sandbox broke.
        """
        number, line = self._connection.encode({"op": operation, **arguments})
        self.sent.append({"id": number, "op": operation, **arguments})
        self._connection.send(line)
        deadline = time.monotonic() + self._timeout_s
        while True:
            if not self._rest:
                lines = self._connection.receive(deadline - time.monotonic())
                if lines is None:
                    self.alive = False
                    return Reply(ReplyKind.DIED, detail=self._connection.ended().text())
                if not lines or self._connection.floods or time.monotonic() > deadline:
                    kind = EndKind.FLOODED if self._connection.floods else EndKind.SILENT
                    return Reply(ReplyKind.HUNG, detail=HarnessEnd(kind, timeout_s=self._timeout_s).text())
                self._rest = lines[::-1]
            line = self._rest.pop()
            reply = _read_reply(line, number, operation)
            self._connection.count(line, answers=reply is not None)
            if reply is not None:
                return reply


def _read_reply(line: bytes, number: int, operation: str) -> Reply | None:
    """The reply to request ``number``, of an operation; None for a late one to an earlier request."""
    try:
        found = json.loads(line)
        if not isinstance(found, dict):
            raise ValueError(_("not an object"))
        if isinstance(found.get("id"), int) and found["id"] < number:
            return None
        if found.get("id") != number:
            raise ValueError(_("its id is not {number}", number=number))
        if "unknown" in found:
            unknown = found["unknown"]
            is_operation = unknown in (UNKNOWN_OPERATION, operation)
            fault = ReplyFault.UNKNOWN_OPERATION if is_operation else ReplyFault.UNKNOWN_NAME
            return _faulty(fault, _("it does not know {name}", name=verbatim(str(unknown)[:200])))
        result, error, values = found["result"], found.get("errno", 0), found.get("values", {})
        if type(result) is not int or type(error) is not int or not isinstance(values, dict):
            raise ValueError(_("result and errno have to be numbers, values an object"))
        return Reply(ReplyKind.REPLY, result, error, values, _data(found["data"]) if "data" in found else None)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        shown = verbatim(repr(line[:120].decode(errors="replace").strip()))
        problem = reason_of(error)
        return _faulty(ReplyFault.MALFORMED, _("not a reply ({problem}): {line}", problem=problem, line=shown))


def _data(digits: object) -> bytes:
    try:
        return bytes.fromhex(digits)  # type: ignore[arg-type]
    except (ValueError, TypeError) as error:
        raise ValueError(_("data has to be hexadecimal digits")) from error


def _faulty(fault: ReplyFault, detail: Message) -> Reply:
    return Reply(ReplyKind.REPLY, fault=fault, detail=detail)
