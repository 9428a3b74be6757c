"""The system calls of a run: one form for every sandbox, qemu-user's strace mode, and what it tells."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pytest_xinchuang.sandbox.protocol import Outcome

_NETWORK_ERRORS = (
    "ENETUNREACH",
    "EADDRNOTAVAIL",
    "ENETDOWN",
    "EHOSTUNREACH",
    "Network is unreachable",
    "Cannot assign requested address",
    "Network is down",
    "No route to host",
)
_CALL = re.compile(r"(\d+) ([a-z_][a-z_0-9]*)\(")
"""Process and name of a call."""

_NETWORK_CALLS = ("connect(", "sendto(", "sendmsg(", "bind(")


def as_strace(trace: bytes, names: Mapping[int, str]) -> bytes:
    """The agent's log: lines of pid, number, six arguments, value and failure as ``PID name(a,b,...) = value``.

    A value that is an error is written as qemu does: ``= -1 errno=22 (Invalid argument)``. A number without a name is an
    "Unknown syscall", as there.
    """
    lines = []
    for line in trace.decode("ascii", "replace").splitlines():
        words = line.split()
        if len(words) != 10:
            continue
        pid, number = words[0], int(words[1])
        value = int(words[8], 16)
        name = names.get(number)
        call = f"{name}({','.join('0x' + word for word in words[2:8])})" if name else f"Unknown syscall {number}"
        if words[9] != "0":
            error = (1 << 64) - value
            end = f"-1 errno={error} ({os.strerror(error)})"
        else:
            end = f"0x{value:x}" if value > 0xFFFF else str(value)
        lines.append(f"{pid} {call} = {end}\n")
    return "".join(lines).encode()


@dataclass(frozen=True)
class Trace:
    """The system calls of a run, as qemu-user logs them."""

    lines: tuple[str, ...]

    @classmethod
    def of(cls, outcome: Outcome) -> Trace:
        return cls(tuple(outcome.stderr.decode(errors="replace").splitlines()))

    @classmethod
    def whole(cls, run: Callable[[], Outcome]) -> Outcome:
        """A traced run with a whole trace, else the last of three: what programs log at once is torn."""
        outcome = run()
        for _ in range(2):
            if cls.of(outcome).is_whole or outcome.is_fault:
                break
            outcome = run()
        return outcome

    @property
    def is_whole(self) -> bool:
        """Whether calls were logged, and those of every program: one that is started without the variable that has qemu-user
        log ends the lines of its process with execve."""
        last = {pid: call for line in self.lines for pid, call in _CALL.findall(line)}
        return bool(last) and not {"execve", "execveat"} & set(last.values())

    def answered(self, names: frozenset[str]) -> tuple[str, ...]:
        """Those of these calls that were made and never answered ENOSYS."""
        # By the name alone: what processes write at once is torn between the number of a process and its call.
        made = {call for line in self.lines for call in re.findall(r"([a-z_][a-z_0-9]*)\(", line)}
        return tuple(sorted(made & names - set(self.missing_calls())))

    def network_attempt(self) -> str | None:
        """The network call that failed, when there is one."""
        for line in self.lines:
            call = line.partition(" ")[2].strip()
            if call.startswith(_NETWORK_CALLS) and any(name in line for name in _NETWORK_ERRORS):
                return call[:120]
        return None

    def missing_calls(self) -> tuple[str, ...]:
        """Names (or numbers) of the calls that answered ENOSYS."""
        found: dict[str, None] = {}
        for line in self.lines:
            if "errno=38" in line and (name := re.search(r"\b([a-z_0-9]+)\(", line)):
                found[name.group(1)] = None
            elif number := re.search(r"Unknown syscall (\d+)", line):
                found[number.group(1)] = None
        return tuple(found)

    def misplaced_shmat(self, shmlba: int) -> str | None:
        """A shmat at an address that is no multiple of SHMLBA, without SHM_RND (020000, sys/shm.h)."""
        for line in self.lines:
            found = re.search(r"shmat\((\d+),(0x[0-9a-f]+|\d+|NULL),([^)]*)\)", line)
            if found is None or found.group(2) == "NULL":
                continue
            address = int(found.group(2), 0)
            flags = found.group(3).strip()
            rounded = "SHM_RND" in flags or (flags.isdigit() and int(flags) & 0o20000)
            if address % shmlba and not rounded:
                return found.group(0)
        return None

    def misaligned(self, page_size: int) -> str | None:
        """A call that was refused with EINVAL for an address or offset that suits pages of 4096 bytes and not these."""
        for line in self.lines:
            found = re.search(
                r"\b(mmap|mprotect|munmap|mremap|msync|madvise|remap_file_pages)\(([^)]*)\).*errno=22 ", line
            )
            if found is None:
                continue
            words = found.group(2).split(",")
            places = [words[0], *words[5:6]] if found.group(1) == "mmap" else words[:1]
            for place in places:
                with contextlib.suppress(ValueError):
                    value = int(place, 0)
                    if value % page_size and value % 4096 == 0:
                        return found.group(0).strip()
        return None
