"""What a run that went wrong tells of its cause: by what it said, and by its system calls."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass

from pytest_xinchuang.model.finding import Certainty, Finding, FindingCatalogue
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


def what_it_said(catalogue: FindingCatalogue, outcome: Outcome, platform: str) -> Finding | None:
    """The known failure that a run's output names, if it names one."""
    text = (outcome.stderr + b"\n" + outcome.stdout).decode(errors="replace")
    for rule in catalogue.rules.values():
        if rule.says is None:
            continue
        found = re.search(rule.says, text)
        if found:
            start = text.rfind("\n", 0, found.start()) + 1
            line = text[start:].split("\n", 1)[0].strip()
            return Finding(rule.code, Certainty.CERTAIN, " ".join(outcome.argv[:1]), platform, {"line": line[:200]})
    return None


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
