"""What an agent sends is looked at before it is believed: target code runs beside it."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.sandbox.agent_client import LARGEST_FRAME, AgentSandbox
from pytest_xinchuang.sandbox.answers import read_answer
from pytest_xinchuang.sandbox.protocol import Ended

ENDED = {"status": 3 << 8, "wall_ns": 5_000_000, "cpu_ms": 2, "left": 1}


def frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">IBI", len(payload) + 5, kind, 1) + payload


class Fed(AgentSandbox):
    """An agent that says what it was given, and is gone then."""

    def __init__(self, said: bytes) -> None:
        super().__init__("x", prefix=[], environment={}, cpu_model="", timeout_scale=1.0, emulated=False)
        self.said = said

    def _transmit(self, data: bytes) -> None:
        said, self.said = self.said, b""
        self._take_bytes(said)

    def _wait(self, stream: Any, deadline: float) -> bool:
        if stream.answer is None:
            self._die(verbatim("gone"))
        return super()._wait(stream, deadline)

    def close(self) -> None: ...


def test_a_good_answer_is_believed() -> None:
    done = Fed(frame(101, b"out") + frame(103, json.dumps(ENDED).encode())).run(["./a"])
    assert (done.ended, done.code, done.stdout, done.leftovers, done.wall_ms) == (Ended.EXITED, 3, b"out", 1, 5.0)


@pytest.mark.parametrize(
    "answer",
    [
        b"{",
        b"[]",
        b"\xff",
        b"3",
        b"[" * 100_000,
        json.dumps({**ENDED, "status": "0"}).encode(),
        json.dumps({**ENDED, "status": -1}).encode(),
        json.dumps({**ENDED, "wall_ns": 1e300}).encode(),
        json.dumps({**ENDED, "left": 1.5}).encode(),
        json.dumps({**ENDED, "over": {"id": 1}}).encode(),
        json.dumps({"errno": "x"}).encode(),
        json.dumps({"paths": [1]}).encode(),
    ],
)
def test_what_is_no_answer_ends_the_sandbox_by_our_fault(answer: bytes) -> None:
    assert read_answer(answer) is None
    with pytest.raises(SandboxFault, match="cannot be read"):
        Fed(frame(103, answer)).run(["./a"])
    with pytest.raises(SandboxFault, match="cannot be read"):
        Fed(frame(104, answer)).get("/a")


def test_an_answer_without_what_was_asked_is_a_fault() -> None:
    sandbox = Fed(frame(104, b"{}"))
    with pytest.raises(SandboxFault, match="without errno"):
        sandbox.get("/a")
    with pytest.raises(SandboxFault, match="without paths"):
        Fed(frame(104, b"{}")).changes()
    with pytest.raises(SandboxFault, match="without wall_ns"):
        Fed(frame(103, b'{"status": 0}')).run(["./a"])


@pytest.mark.parametrize("size", [0, 4, LARGEST_FRAME + 1, (1 << 32) - 1])
def test_a_frame_of_no_size_that_there_is_ends_the_sandbox(size: int) -> None:
    sandbox = Fed(struct.pack(">IBI", size, 101, 1))
    with pytest.raises(SandboxFault, match="no frame"):
        sandbox.run(["./a"])
    assert not sandbox._buffer and not sandbox.alive()
