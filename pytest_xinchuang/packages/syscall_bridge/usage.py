"""Which system calls a program makes on a platform, which of them the platform's kernel lacks, and whether it copes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_xinchuang.core.errors import DataFileError, XcError
from pytest_xinchuang.core.kernel_calls import lacking_on
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.core.syscall_names import names_of
from pytest_xinchuang.core.verdict import Fidelity
from pytest_xinchuang.messages import NOTHING, Message, _, joined, n_, verbatim
from pytest_xinchuang.packages.syscall_bridge.reasons import reason_of
from pytest_xinchuang.sandbox.emulators import answered_text, lacking_calls, to_be_refused
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import WORK_DIR, Ended, Limits, Outcome, Sandbox
from pytest_xinchuang.sandbox.tracing import Trace, is_whole

LIMITS = Limits(wall_s=60, output_mb=256)


@dataclass(frozen=True)
class Usage:
    """The system calls of a program on a platform, and how it ended.

    Attributes:
        calls: call -> how often it was made.
        lacking: calls that it makes and the platform's kernel lacks.
        emulator: calls that it makes and the emulator does not implement, though the platform's kernel has them.
        undecided: why we cannot say how it copes.
    """

    platform: str
    kernel: str
    sandbox: str
    fidelity: str
    argv: tuple[str, ...]
    calls: Mapping[str, int]
    lacking: tuple[str, ...]
    emulator: tuple[str, ...]
    without: Outcome
    with_all: Outcome | None
    undecided: Message = NOTHING

    @property
    def copes(self) -> bool:
        """Whether it does the same without the calls that the platform lacks; known only when nothing is undecided."""
        if self.undecided:
            return False
        return not self.lacking or (self.with_all is not None and _did(self.without) == _did(self.with_all))

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema": "xc-syscall-usage/1",
            "platform": self.platform,
            "kernel": self.kernel,
            "sandbox": self.sandbox,
            "fidelity": self.fidelity,
            "argv": list(self.argv),
            "calls": dict(self.calls),
            "lacking": list(self.lacking),
            "emulator_lacks": list(self.emulator),
            "ended": self.without.describe(),
            "ended_with_every_call": self.with_all.describe() if self.with_all else None,
            "copes": self.copes if not self.undecided else None,
            "undecided": self.undecided,
        }

    def lines(self) -> list[Message]:
        """The usage for people."""
        lines = [
            _(
                "{command} on {platform} ({sandbox}, {fidelity}): {end}",
                command=verbatim(" ".join(self.argv)),
                platform=self.platform,
                sandbox=self.sandbox,
                fidelity=Fidelity.parse(self.fidelity).word,
                end=self.without.describe(),
            )
        ]
        if self.calls:
            lines += self._calls()
        if self.undecided:
            lines.append(_("undecided: {why}", why=self.undecided))
        elif self.lacking and self.copes:
            lines.append(_("it does the same without them"))
        elif self.lacking and self.with_all is not None:
            lines.append(_("it does not cope: with every call it ends with {end}", end=self.with_all.describe()))
        return lines

    def _calls(self) -> list[Message]:
        """The calls that it makes, and those that are missing."""
        counts = _names(f"{name} {count}" for name, count in self.calls.items())
        lines: list[Message] = [
            n_("{n} system call: {calls}", "{n} different system calls: {calls}", len(self.calls), calls=counts)
        ]
        unknown = _("the platform's kernel, whose release is not known,")
        kernel = verbatim(f"Linux {self.kernel}") if self.kernel else unknown
        if self.lacking:
            lacking = _names(self.lacking)
            lines.append(_("{kernel} has no {calls}: they answered ENOSYS", kernel=kernel, calls=lacking))
        elif self.kernel:
            lines.append(_("{kernel} has them all", kernel=kernel))
        else:
            lines.append(_("{kernel} may lack some", kernel=kernel))
        if self.emulator:
            lines.append(_("the emulator has no {calls}, whatever the kernel", calls=_names(self.emulator)))
        return lines


def _names(names: Iterable[str]) -> Message:
    return joined(map(verbatim, names), _(", "))


def _did(outcome: Outcome) -> tuple[object, ...]:
    return outcome.ended, outcome.code, outcome.signal, outcome.stdout


def trace(pool: Pool, platform: Platform, words: Sequence[str]) -> Usage:
    """Run a program with its system calls logged, with the platform's calls and with every one.

    Args:
        words: a program of this host that is put into the sandbox, or one that is there, with its arguments.

    Raises:
        HostFault: no sandbox can be opened.
        XcError: the program cannot be executed there.
    """
    sandbox = pool.sandbox(platform)
    traced = Trace.whole(lambda: sandbox.run(_place(sandbox, words), trace=True, limits=LIMITS))
    if traced.ended is Ended.EXITED and traced.code in (126, 127) and traced.cause:
        raise XcError(
            _("{program}: {cause} on {platform}", program=words[0], cause=traced.cause, platform=platform.id),
            mend=_("build it for {arch}", arch=platform.arch),
        )
    plain = sandbox.run(_place(sandbox, words), limits=LIMITS)
    log, names = Trace.of(traced), names_of(platform.architecture.names["go"])
    calls, refused = log.counts(names), set(log.missing_calls(names))
    kernel = platform.system.kernel.value or ""
    lacking = tuple(sorted(refused & lacking_on(platform).absent.keys()))
    emulator = frozenset() if sandbox.fingerprint.backend == "system" else lacking_calls()
    with_all = None
    undecided = NOTHING
    for outcome in (traced, plain):
        if outcome.is_fault:
            undecided = outcome.describe()
    if not calls and not undecided:
        undecided = _("the backend {backend} logged no system call", backend=sandbox.fingerprint.backend)
    if not undecided and not is_whole(sandbox, traced):
        undecided = _("a program that it starts, with another environment, was not traced: --backend system")
    if not kernel and not undecided:
        undecided = _("the kernel of {system} is not known", system=platform.os_name)
    if not undecided and (answered := log.answered(to_be_refused(sandbox, platform))):
        undecided = answered_text(answered, platform)
    if lacking and not undecided:
        whole = pool.sandbox(platform, floor=False)
        with_all = whole.run(_place(whole, words), limits=LIMITS)
        if with_all.is_fault:
            undecided = with_all.describe()
    said = sandbox.fingerprint
    return Usage(
        platform=platform.id,
        kernel=kernel,
        sandbox=said.backend,
        fidelity=str(said.fidelity),
        argv=tuple(words),
        calls=calls,
        lacking=lacking,
        emulator=tuple(sorted(refused & emulator - set(lacking))),
        without=plain,
        with_all=with_all,
        undecided=undecided,
    )


def _place(sandbox: Sandbox, words: Sequence[str]) -> list[str]:
    """The command as it is called in the sandbox; a program of this host is put there first."""
    sandbox.reset()
    program = Path(words[0])
    if not program.is_file():
        return list(words)
    place = f"{WORK_DIR}/{program.name}"
    sandbox.put(place, program.read_bytes(), executable=True)
    return [place, *words[1:]]


def read_used(path: Path) -> Iterable[str]:
    """The calls of a trace: what ``xc syscalls trace --format json`` wrote, or a log in the form of strace.

    Raises:
        DataFileError: the file is neither.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataFileError(_("{path}: cannot be read: {why}", path=path, why=reason_of(error))) from error
    if text.lstrip().startswith("{"):
        try:
            found = json.loads(text)["calls"]
            return [str(name) for name in found]
        except (ValueError, KeyError, TypeError) as error:
            raise DataFileError(
                _("{path}: not what `xc syscalls trace --format json` writes: {why}", path=path, why=reason_of(error))
            ) from error
    # strace's own lines may have no pid before them.
    names = {
        m.group(1)
        for line in text.splitlines()
        if (m := re.match(r"(?:\[pid +\d+\] |\d+ )?([a-z_][a-z_0-9]*)\(", line))
    }
    if not names:
        raise DataFileError(
            _("{path}: there is no system call in it", path=path),
            mend=verbatim("xc syscalls trace --format json --output FILE -- PROGRAM"),
        )
    return sorted(names)
