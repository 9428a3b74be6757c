"""The bridge protocol, version 1 (docs/bridge.md): a harness that is asked one operation at a time."""

from __future__ import annotations

import json
import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pytest_xinchuang.core.errors import HostFault, SandboxFault, XcError
from pytest_xinchuang.sandbox.lines import Launch, LineProcess
from pytest_xinchuang.sandbox.protocol import Ended

PROTOCOL = "xc-bridge/1"


class BridgeError(XcError):
    """A harness that does not keep the protocol."""


class Hello(BaseModel):
    """What a harness says first: what it is, and the operations that it has."""

    model_config = ConfigDict(extra="allow", frozen=True)

    hello: Literal["xc-bridge/1"]
    name: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    version: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    language: str = ""
    operations: tuple[str, ...] = Field(min_length=1)


class Came(StrEnum):
    """How a reply came about."""

    REPLY = "reply"
    DIED = "died"
    HUNG = "hung"


@dataclass(frozen=True)
class Reply:
    """What came back of one operation.

    Attributes:
        result: what the call returned; -1 with an ``error``.
        error: the number of its error, 0 for none.
        values: what it says beside that.
        data: the bytes that were read, None where none are given.
        wrong: what of the reply is not as the protocol has it.
    """

    came: Came
    result: int = 0
    error: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)
    data: bytes | None = None
    wrong: str = ""
    detail: str = ""


class BridgeClient:
    """One harness. It holds state (descriptors, mappings), so that it is not started again behind the caller's back.

    Attributes:
        sent: the requests so far.

    Raises:
        BridgeError: it said no hello. HostFault: it could not be started by our fault.
    """

    def __init__(self, launch: Launch, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._number = 0
        self.sent: list[dict[str, Any]] = []
        self._rest: list[bytes] = []
        self._process = LineProcess(launch())
        self._process.start()
        self.alive = True
        try:
            first = self._line(timeout_s)
            if first is None:
                detail = self._ended() if not self.alive else f"nothing within {timeout_s:g} s"
                raise BridgeError(f"the bridge's harness said no hello: {detail}")
            self.hello = _read_hello(first)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._process.process is not None:
            try:
                self._process.process.kill()
            except (HostFault, OSError, ValueError):
                pass
            self._process.finish()
        self.alive = False

    def _line(self, timeout_s: float) -> bytes | None:
        """The next line; None when there is none in time or ever."""
        if not self._rest:
            try:
                lines = self._process.lines.get(timeout=timeout_s)
            except queue.Empty:
                return None
            if lines is None:
                self.alive = False
                return None
            self._rest = list(lines)
        return self._rest.pop(0)

    def _ended(self) -> str:
        """How it ended. Raises SandboxFault: by a fault of ours."""
        outcome = self._process.process.wait(self._timeout_s)
        if outcome is None:
            return "it closed its output and went on"
        if outcome.ended in (Ended.EMULATOR_FAULT, Ended.HOST_FAULT, Ended.OVER_LIMIT):
            raise SandboxFault(f"the bridge's sandbox broke: {outcome.describe()}")
        said = self._process.said()
        return f"{outcome.describe()}{': ' + said if said else ''}"

    def ask(self, operation: str, **arguments: Any) -> Reply:
        """One operation and its reply.

        Raises:
            SandboxFault: the sandbox broke.
        """
        self._number += 1
        request = {"id": self._number, "op": operation, **arguments}
        self.sent.append(request)
        self._process.outgoing.put(json.dumps(request, separators=(",", ":")).encode() + b"\n")
        deadline = time.monotonic() + self._timeout_s
        while True:
            line = self._line(max(0.0, deadline - time.monotonic()))
            if line is None:
                if self.alive:
                    return Reply(Came.HUNG, detail=f"no reply within {self._timeout_s:g} s")
                return Reply(Came.DIED, detail=self._ended())
            reply = _read_reply(line, self._number)
            if reply is not None:
                return reply


def _read_hello(line: bytes) -> Hello:
    try:
        return Hello.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the line"
        shown = line[:120].decode(errors="replace").strip()
        raise BridgeError(
            f"the first line of the bridge's harness is not a hello: {where}: {first['msg']}; it was {shown!r}",
            mend=f'print {{"hello": "{PROTOCOL}", ...}} first, and nothing else, on standard output (docs/bridge.md)',
        ) from None


def _read_reply(line: bytes, number: int) -> Reply | None:
    """The reply to request ``number``; None for a late one to an earlier request."""
    shown = line[:120].decode(errors="replace").strip()
    try:
        found = json.loads(line)
        if not isinstance(found, dict):
            raise ValueError("no object")
        if isinstance(found.get("id"), int) and found["id"] < number:
            return None
        if found.get("id") != number:
            raise ValueError(f"its id is not {number}")
        if "unknown" in found:
            return Reply(Came.REPLY, wrong=f"it does not know {found['unknown']}")
        result, error, values = found["result"], found.get("errno", 0), found.get("values", {})
        if type(result) is not int or type(error) is not int or not isinstance(values, dict):
            raise ValueError("result and errno are numbers, values is an object")
        data = bytes.fromhex(found["data"]) if "data" in found else None
        return Reply(Came.REPLY, result, error, values, data)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        return Reply(Came.REPLY, wrong=f"not a reply ({error}): {shown!r}")
