"""What a supervisor or an agent answered about a command, as an outcome."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictFloat, StrictInt

from pytest_xinchuang.core.errors import SandboxFault
from pytest_xinchuang.messages import NOTHING, Message, _, system_error, verbatim
from pytest_xinchuang.sandbox.call_log import CallLog
from pytest_xinchuang.sandbox.emulator_faults import Again, classify, without_noise
from pytest_xinchuang.sandbox.protocol import Ended, Outcome


class _Answer(BaseModel):
    """What may stand in an answer: who sent it runs beside target code, and is not believed without a look."""

    status: Annotated[StrictInt, Field(ge=0, lt=1 << 32)] | None = None
    wall_ns: Annotated[StrictInt | StrictFloat, Field(ge=0, le=1e18)] | None = None
    cpu_ms: Annotated[StrictInt | StrictFloat, Field(ge=0, le=1e15)] | None = None
    left: Annotated[StrictInt, Field(ge=0, lt=1 << 32)] | None = None
    exec_errno: Annotated[StrictInt, Field(ge=0, lt=1 << 16)] | None = None
    errno: Annotated[StrictInt, Field(ge=0, lt=1 << 16)] | None = None
    paths: tuple[str, ...] | None = None
    over: Message | None = None
    broken: Message | None = None


def read_answer(payload: bytes) -> dict[str, Any] | None:
    """An answer in JSON; None where it is no answer."""
    try:
        data = json.loads(payload)
        _Answer.model_validate(data)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def told_by(answer: Mapping[str, Any], name: str) -> Any:
    """A part that an answer has to have.

    Raises:
        SandboxFault: it does not.
    """
    if answer.get(name) is None:
        raise SandboxFault(_("the sandbox gave an answer without {name}", name=verbatim(name)))
    return answer[name]


def still_running(seconds: float) -> Message:
    """The cause of an end by our own time-out."""
    return _("still running after {seconds:g} s (our limit)", seconds=seconds)


def check_errno(answer: Mapping[str, Any], doing: Message) -> None:
    """Raise OSError if an answer about a file has an ``errno``; ``doing`` says what was asked."""
    if number := told_by(answer, "errno"):
        problem = system_error(number)
        raise OSError(number, _("in the sandbox, {doing}: {problem}", doing=doing, problem=problem))


def outcome_of(
    argv: Sequence[str],
    answer: Mapping[str, Any] | None,
    stdout: bytes,
    stderr: bytes,
    *,
    truncated: bool,
    timed_out_after_s: float | None,
    emulated: bool,
    cpu: str,
    gone: Message,
    again: Again | None = None,
    log: CallLog | None = None,
) -> Outcome:
    """The outcome of a command.

    Args:
        answer: ``status`` (of wait(2)), ``wall_ns``, ``cpu_ms``, ``left``, perhaps ``over``; or ``exec_errno``; or ``broken``;
            None when none came. ``over`` and ``broken`` are texts, or messages as the journal holds them.
        timed_out_after_s: our limit in seconds, when it was we who ended the command.
        gone: why no answer came.
        again, log: see ``emulator_faults``.
    """
    code = signal = None
    cause = NOTHING
    wall = spent = 0.0
    left = 0
    if answer is None:
        ended, cause = Ended.HOST_FAULT, gone or _("the sandbox did not answer")
    elif "broken" in answer:
        ended, cause = Ended.HOST_FAULT, Message.from_data(answer["broken"])
    elif "exec_errno" in answer:
        # What a shell does when a program cannot be executed: 127 when it is not there, else 126.
        number = int(told_by(answer, "exec_errno"))
        ended, code = Ended.EXITED, 127 if number == 2 else 126
        cause = _("cannot execute: {problem}", problem=system_error(number))
        stderr += f"{argv[0]}: {os.strerror(number)}\n".encode()
    else:
        wall, spent = told_by(answer, "wall_ns") / 1e6, float(told_by(answer, "cpu_ms"))
        left = int(told_by(answer, "left"))
        if answer.get("over"):
            ended, cause = Ended.OVER_LIMIT, Message.from_data(answer["over"])
        elif timed_out_after_s is not None:
            ended, cause = Ended.TIMED_OUT, still_running(timed_out_after_s)
        else:
            ended, code, signal, cause = classify(told_by(answer, "status"), stderr, emulated, again, log)
        if emulated:
            stderr = without_noise(stderr)
    return Outcome(
        argv=tuple(argv),
        ended=ended,
        code=code,
        signal=signal,
        stdout=stdout,
        stderr=stderr,
        wall_ms=round(wall, 2),
        cpu_ms=round(spent, 2),
        truncated=truncated,
        leftovers=left,
        cause=cause,
        cpu=cpu,
        log=log,
    )
