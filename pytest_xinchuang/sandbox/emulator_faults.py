"""Telling the emulator's own end from that of the program it runs."""

from __future__ import annotations

import os
import re
import signal

from pytest_xinchuang.sandbox.protocol import Ended

_GUEST_SIGNAL = re.compile(rb"qemu: uncaught target signal (\d+)")
"""linux-user/signal.c, dump_core_and_abort: qemu says so before it dies *for* the program."""

_OWN_FAULT = re.compile(
    rb"QEMU internal SIG\w+|^\*\*\nERROR:\S+:\d+:.*|qemu-\w+: .*(?:Assertion|tcg/tcg\.c).*|"
    rb"qemu-\w+: unable to find CPU model .*|qemu-\w+: can't apply global .*|qemu-\w+: Property .* not found|"
    rb"qemu-\w+: Unable to reserve .*|qemu: unhandled CPU exception .*",
    re.MULTILINE,
)
"""What qemu prints of itself: an internal fault (linux-user/signal.c), a failed assertion, a CPU model that it refuses."""


def classify(status: int, stderr: bytes, emulated: bool) -> tuple[Ended, int | None, int | None, str]:
    """How a command ended: (ended, exit code, signal, cause), from its wait status and what stands on stderr.

    A signal that qemu did not announce did not come from the program: it is the emulator's, or the host's (SIGKILL).
    """
    own = _OWN_FAULT.search(stderr) if emulated else None
    if own:
        return Ended.EMULATOR_FAULT, None, None, own.group().decode(errors="replace").strip()[:200]
    if os.WIFEXITED(status):
        return Ended.EXITED, os.WEXITSTATUS(status), None, ""
    number = os.WTERMSIG(status)
    if not emulated:
        if number == signal.SIGKILL:
            return Ended.HOST_FAULT, None, None, "killed by SIGKILL from outside (out of memory?)"
        return Ended.SIGNALED, None, number, ""
    announced = [int(m.group(1)) for m in _GUEST_SIGNAL.finditer(stderr)]
    if number in announced:
        return Ended.SIGNALED, None, number, ""
    if number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGFPE):
        name = signal.Signals(number).name
        return Ended.EMULATOR_FAULT, None, None, f"the emulator died by {name} that no program raised"
    if number == signal.SIGKILL:
        return Ended.HOST_FAULT, None, None, "killed by SIGKILL from outside (out of memory?)"
    return Ended.SIGNALED, None, number, ""


def without_noise(stderr: bytes) -> bytes:
    """The program's own stderr: qemu's announcements taken out."""
    return re.sub(rb"qemu: uncaught target signal \d+ \([^)]*\) - core (?:not )?dumped\r?\n?", b"", stderr)
