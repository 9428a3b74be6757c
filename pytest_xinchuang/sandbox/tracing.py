"""The system calls of a run: one form for every sandbox, qemu-user's strace mode, and what it tells."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pytest_xinchuang.core.linux import ERRORS, LinuxSignal
from pytest_xinchuang.messages import _
from pytest_xinchuang.sandbox.call_log import CallLog, Taken
from pytest_xinchuang.sandbox.protocol import Outcome, Sandbox, logs_apart
from pytest_xinchuang.sandbox.strace import Call, read_calls

_NETWORK_ERRORS = frozenset({ERRORS[name] for name in ("ENETUNREACH", "EADDRNOTAVAIL", "ENETDOWN", "EHOSTUNREACH")})
_NETWORK_CALLS = frozenset({"connect", "sendto", "sendmsg", "bind"})
_SOCKETS = frozenset({"socket", "socketpair"})
_MAPPING_CALLS = frozenset({"mmap", "mprotect", "munmap", "mremap", "msync", "madvise", "remap_file_pages"})


def read_agent(trace: bytes, names: Mapping[int, str]) -> CallLog:
    """The agent's log: lines of pid, number, six arguments, value and failure, perhaps with a path or flags; and of signals.

    An error is written as qemu does: ``-1 errno=22 (Invalid argument)``. A number without a name stays a number.
    """
    calls: list[Call] = []
    taken: list[Taken] = []
    for line in trace.decode("ascii", "replace").splitlines():
        words = line.split()
        if len(words) == 3 and words[1] == "S":
            taken.append(Taken(int(words[0]), _signal(int(words[2])), len(calls)))
        if len(words) not in (10, 11):
            continue
        number, value = int(words[1]), int(words[8], 16)
        name = names.get(number, words[1])
        arguments = ["0x" + word for word in words[2:8]]
        told = bytes.fromhex(words[10][2:]) if len(words) == 11 else b""
        if name == "clone3" and told:
            arguments[0] = hex(int.from_bytes(told, "little"))
        elif name == "rt_sigaction":
            arguments[0] = _signal(int(words[2], 16))
        elif told:
            path = "".join(c if c.isprintable() and c != '"' else "?" for c in told.decode(errors="replace"))
            arguments[0 if name == "open" else 1] = f'"{path}"'
        if words[9] != "0":
            error = (1 << 64) - value
            answer = f"-1 errno={error} ({os.strerror(error)})"
        else:
            answer = f"0x{value:x}" if value > 0xFFFF else str(value)
        calls.append(Call(int(words[0]), name, ",".join(arguments) + ")", answer))
    return CallLog(tuple(calls), tuple(taken))


def _signal(number: int) -> str:
    try:
        return LinuxSignal(number).name
    except ValueError:
        return f"SIG{number}"


@dataclass(frozen=True)
class Trace:
    """The system calls of a run.

    Attributes:
        lines: as qemu-user logs them to a stderr that the program shares, where the backend has no better.
        log: where it has one that the program can neither write nor close.
    """

    lines: tuple[str, ...] = ()
    log: CallLog | None = None

    @classmethod
    @functools.lru_cache(maxsize=1)  # several ask of one run in turn, and a trace may have a million lines
    def of(cls, outcome: Outcome) -> Trace:
        if outcome.log is not None:
            return cls(log=outcome.log)
        return cls(tuple(outcome.stderr.decode(errors="replace").splitlines()))

    @classmethod
    def whole(cls, run: Callable[[], Outcome]) -> Outcome:
        """A traced run with a whole and clear trace, else the best of three: what programs and threads log at once is torn."""
        runs: list[tuple[bool, bool, Outcome]] = []
        for _turn in range(3):
            outcome = run()
            trace = cls.of(outcome)
            if outcome.is_fault or (trace.is_whole and trace.is_clear):
                return outcome
            runs.append((trace.is_whole, trace.is_clear, outcome))
        return max(runs, key=lambda one: one[:2])[2]

    @functools.cached_property
    def calls(self) -> tuple[Call, ...]:
        """In the order in which they began."""
        return read_calls(self.lines) if self.log is None else self.log.calls

    @property
    def is_whole(self) -> bool:
        """Whether calls were logged, and those of every program: one that is started without the variable that has qemu-user
        log ends the lines of its process with execve."""
        if self.log is not None and self.log.lost:
            return False
        last = {call.thread: call.name for call in self.calls if call.thread is not None}
        return bool(last) and not {"execve", "execveat"} & set(last.values())

    @property
    def is_clear(self) -> bool:
        """Whether each ENOSYS is certainly the answer of one of the calls."""
        if self.log is not None:
            return True
        refused = sum(call.refused and not call.name.isdigit() for call in self.calls)
        return refused == sum(line.count(" = -1 errno=38 (") for line in self.lines)

    def answered(self, names: frozenset[str]) -> tuple[str, ...]:
        """Those of these calls that were made, and of which none certainly answered ENOSYS."""
        # By the name alone: what processes write at once is torn between the number of a process and its call.
        made = {call for line in self.lines for call in re.findall(r"([a-z_][a-z_0-9]*)\(", line)}
        made |= {call.name for call in self.log.calls} if self.log is not None else set()
        return tuple(sorted(made & names - set(self.missing_calls())))

    def network_attempt(self) -> str | None:
        """The network call that failed, when there is one."""
        failed = (c for c in self.calls if c.name in _NETWORK_CALLS and c.errno in _NETWORK_ERRORS)
        return next((str(call)[:120] for call in failed), None)

    def refused_families(self) -> frozenset[str]:
        """``socket`` or ``socketpair``, if one was refused for its address family."""
        return frozenset(
            call.name for call in self.calls if call.name in _SOCKETS and call.errno == ERRORS["EAFNOSUPPORT"]
        )

    def counts(self, names: Mapping[int, str]) -> Mapping[str, int]:
        """Call -> how often it was made; one that is logged as a number has its name from a table, if it is there."""
        return dict(sorted(Counter(_named(call, names) for call in self.calls).items()))

    def missing_calls(self, names: Mapping[int, str] = MappingProxyType({})) -> tuple[str, ...]:
        """Names (or numbers, where the table has none) of the calls that certainly answered ENOSYS."""
        return tuple(dict.fromkeys(_named(call, names) for call in self.calls if call.refused))

    def misplaced_shmat(self, shmlba: int) -> str | None:
        """A shmat at an address that is no multiple of SHMLBA, without SHM_RND (020000, sys/shm.h)."""
        for call in self.calls:
            words = [word.strip() for word in call.arguments.partition(")")[0].split(",")]
            if call.name != "shmat" or len(words) < 3:
                continue
            with contextlib.suppress(ValueError):
                rounded = "SHM_RND" in words[2] or (words[2].isdigit() and int(words[2]) & 0o20000)
                if int(words[1], 0) % shmlba and not rounded:
                    return f"{call.name}({call.arguments}"
        return None

    def misaligned(self, page_size: int) -> str | None:
        """A call that was refused with EINVAL for an address or offset that suits pages of 4096 bytes and not these."""
        for call in self.calls:
            if call.name not in _MAPPING_CALLS or call.errno != ERRORS["EINVAL"]:
                continue
            words = call.arguments.partition(")")[0].split(",")
            for place in [words[0], *words[5:6]] if call.name == "mmap" else words[:1]:
                with contextlib.suppress(ValueError):
                    value = int(place, 0)
                    if value % page_size and value % 4096 == 0:
                        return str(call)
        return None


def _named(call: Call, names: Mapping[int, str]) -> str:
    return names.get(int(call.name), call.name) if call.name.isdigit() else call.name


TRACE_MEND = _("let the unit do less in one run, or run it again")
"""For a run whose trace is not whole: it was too long, cut off, or the unit hid a part of it."""


def is_whole(sandbox: Sandbox, outcome: Outcome) -> bool:
    """Whether a run was traced whole. Where the sandbox has a log of its own, what stands on stderr is no trace."""
    return not (logs_apart(sandbox) and outcome.log is None) and Trace.of(outcome).is_whole
