"""Telling the emulator's own end from that of the program it runs.

A program under qemu-user shares everything with it: process, descriptors, memory. What can be told rests on the wait status and
on the log of system calls and signals, where that is kept apart (``Outcome.log``), neither of which a program writes. qemu's
words on stderr only say where to look:

- It exited: the program did, whatever stands on stderr. qemu itself exits (with 1) only where it refuses to begin, and then the
  program makes no system call. So for who exits with 1 and has said nothing but such a refusal the log decides.
- It died of a signal of crashes, and qemu has announced that very signal: the program did.
- It died so unannounced: qemu crashed, or the program had closed stderr before. The log shows which: the program's own death
  ends with the signal that it took.
- SIGKILL is the host's (out of memory), unless the last call of the log is the program's own kill.

A run without a log is made again with one. What cannot be told either: a program that announces a death itself is blamed for a
crash of qemu by the same signal, which is its own doing; one that writes into qemu's memory, or into a log that is not kept
apart, is capable of anything. A kept-alive process cannot be run again: one that closes stderr and crashes counts as the
emulator's fault, which is inconclusive and never a pass.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import NamedTuple

from pytest_xinchuang.core.linux import LinuxSignal
from pytest_xinchuang.messages import NOTHING, Message, _, verbatim
from pytest_xinchuang.sandbox.call_log import CallLog
from pytest_xinchuang.sandbox.protocol import Ended

_ANNOUNCED = re.compile(rb"qemu: uncaught target signal (\d{1,3}) \([^()\n]*\) - core (?:not )?dumped\r?\n?")
"""linux-user/signal.c, dump_core_and_abort: qemu says so before it dies *for* the program."""

_REFUSAL = re.compile(
    rb"qemu(?:-\w+)?: (?:unable to find CPU model |can't apply global |Property .* not found|"
    rb"Unable to (?:reserve|find a guest_base) |.*requires virtual address space that is in use)[^\n]*"
)
"""What qemu prints before it exits with 1 and has run nothing: linux-user/main.c, linux-user/elfload.c, qom/object.c."""

_CRASH = re.compile(
    rb"qemu-\w+: QEMU internal SIG\w+[^\n]*|^\*\*\nERROR:\S+:\d+:[^\n]*|"
    rb"qemu-\w+: [^\n]*(?:Assertion|tcg/tcg\.c)[^\n]*|qemu: unhandled CPU exception [^\n]*",
    re.MULTILINE,
)
"""What qemu prints when it crashes. It only words the cause: whether qemu crashed is not read from here."""

_TAKEN = re.compile(rb"--- (SIG\w+) \{[^\n]*\} ---\s*\Z")
"""linux-user/strace.c, print_taken_signal, as the last line of a log."""

_CRASHES = frozenset(
    {
        *(LinuxSignal.SIGSEGV, LinuxSignal.SIGBUS, LinuxSignal.SIGILL, LinuxSignal.SIGABRT),
        *(LinuxSignal.SIGTRAP, LinuxSignal.SIGFPE, LinuxSignal.SIGSYS),
    }
)

_KILLS = frozenset({"kill", "tkill", "tgkill"})

LOG_ENVIRONMENT = "QEMU_LOG_FILENAME"
"""Where qemu-user logs to, in the place of stderr (linux-user/main.c)."""

Again = Callable[[], "bytes | CallLog | None"]
"""Runs the program once more and gives qemu's log of its system calls and signals; None where there is none."""


class ProcessEnd(NamedTuple):
    """How a command ended; ``cause`` says what happened where the end is not the command's own."""

    ended: Ended
    code: int | None = None
    signal: int | None = None
    cause: Message = NOTHING


def classify(
    status: int, stderr: bytes, emulated: bool, again: Again | None = None, log: CallLog | None = None
) -> ProcessEnd:
    """How a command ended, from its wait status, what stands on stderr, and where these two leave it open another run.

    Args:
        status: of wait(2).
        emulated: by qemu-user.
        log: of this very run, where there is one.
    """
    whole = log if log is not None and not log.lost else None

    def shown() -> bytes | CallLog | None:
        return whole if whole is not None else again() if again is not None else None

    if os.WIFEXITED(status):
        code = os.WEXITSTATUS(status)
        refusal = _REFUSAL.fullmatch(stderr.strip()) if emulated and code == 1 else None
        if refusal and _is_empty(shown()):
            return ProcessEnd(Ended.EMULATOR_FAULT, cause=_words(refusal.group()))
        return ProcessEnd(Ended.EXITED, code)
    number = os.WTERMSIG(status)
    if number == LinuxSignal.SIGKILL and (whole is None or not _killed_itself(whole)):
        return ProcessEnd(Ended.HOST_FAULT, cause=_("killed by SIGKILL from outside (out of memory?)"))
    if not emulated or number not in _CRASHES or number in map(int, _ANNOUNCED.findall(stderr)):
        return ProcessEnd(Ended.SIGNALED, signal=number)
    if _took_last(shown(), number):
        return ProcessEnd(Ended.SIGNALED, signal=number)
    own = _CRASH.search(stderr)
    unannounced = _("the emulator died of {signal}, which no program raised", signal=LinuxSignal(number).name)
    return ProcessEnd(Ended.EMULATOR_FAULT, cause=_words(own.group()) if own else unannounced)


def _is_empty(log: bytes | CallLog | None) -> bool:
    """Whether a log says that the program made no system call."""
    return log == b"" or (isinstance(log, CallLog) and not log.lost and not log.calls)


def _took_last(log: bytes | CallLog | None, number: int) -> bool:
    """Whether a log ends with the program taking this signal."""
    if isinstance(log, CallLog):
        last = log.taken[-1] if log.taken else None
        if last is None or (last.before < len(log.calls) and log.calls[-1].thread == last.thread):
            return False
        name = last.signal
    else:
        found = _TAKEN.search(log or b"")
        if found is None:
            return False
        name = found.group(1).decode()
    # qemu calls SIGABRT by its other name.
    return LinuxSignal.__members__.get(name) == number


def _killed_itself(log: CallLog) -> bool:
    last = log.calls[-1] if log.calls else None
    return last is not None and last.name in _KILLS and last.answer is None and "SIGKILL" in last.arguments


def _words(line: bytes) -> Message:
    return verbatim(line.decode(errors="replace").strip()[:200])


def without_noise(stderr: bytes) -> bytes:
    """The program's own stderr: qemu's announcements taken out."""
    return _ANNOUNCED.sub(b"", stderr)
