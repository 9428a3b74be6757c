"""A program with all that it starts, on the systems that know sessions and on those that do not."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

KILLED = 9
"""SIGKILL, also where the host has none."""

PR_SET_PDEATHSIG = 1
"""prctl(2)."""


_CREATE_NEW_PROCESS_GROUP = 0x200
"""winbase.h; without it, a Ctrl-C in our console is the program's as well."""


class Process(Protocol):
    """What is asked of a program that was started."""

    pid: int

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...

    def send_signal(self, number: int) -> None: ...


def started_apart(pass_fds: Sequence[int], limits: Mapping[int, int] | None, dies_with_us: bool) -> dict[str, Any]:
    """The options of ``Popen`` for a program that is the first of its own session, or the next best.

    Windows hands on no descriptors and limits nothing here; macOS kills nothing with us.
    """
    if sys.platform == "win32":
        return {"creationflags": _CREATE_NEW_PROCESS_GROUP}
    return {"pass_fds": pass_fds, "start_new_session": True, "preexec_fn": _preparation(limits, dies_with_us)}


def _preparation(limits: Mapping[int, int] | None, dies_with_us: bool) -> Callable[[], None] | None:
    if not limits and not dies_with_us:
        return None
    import ctypes
    import resource

    prctl, us = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None), os.getpid()

    def apply() -> None:
        for kind, most in (limits or {}).items():
            resource.setrlimit(kind, (most, most))
        if dies_with_us:
            # A shell has what it starts in the background ignore it; in a session of its own nobody but we sends it.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if prctl is not None:
                prctl(PR_SET_PDEATHSIG, KILLED, 0, 0, 0)
            if os.getppid() != us:  # we were killed before the signal was asked for
                os._exit(1)

    return apply


def has_ended(process: Process) -> bool:
    """Whether it has ended. Where the system can look without taking note, its number stays its own."""
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True  # another thread has just waited for it


def interrupt(process: Process) -> None:
    """Ask it to end, as Ctrl-C does."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM))
        else:
            os.kill(process.pid, signal.SIGINT)


def kill_all(process: Process) -> int:
    """End it and all in its session; how many others there were, as far as the system tells.

    On Linux all are stopped first: a shell whose command is killed before it would go on to the next.
    """
    if sys.platform == "win32":
        if process.poll() is None:
            process.kill()
        return 0
    if not sys.platform.startswith("linux"):
        for kill, number in ((os.killpg, process.pid), (os.kill, process.pid)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(number, signal.SIGKILL)
        return 0
    _signal(process.pid, signal.SIGSTOP)  # not waited for: the number is still its own
    found: set[int] = set()
    for _round in range(5):
        others = _session(process.pid) - found
        if not others:
            break
        for pid in others:
            _signal(pid, signal.SIGSTOP)
        found |= others
    for pid in (process.pid, *found, *(_session(process.pid) - found)):
        _signal(pid, signal.SIGKILL)
    return len(found)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _session(leader: int) -> set[int]:
    """The processes of a session, without its leader and without what has ended."""
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == leader:
            continue
        with contextlib.suppress(OSError, IndexError, ValueError):
            # proc(5): after the name in parentheses come state, ppid, pgrp and session.
            fields = (entry / "stat").read_bytes().rsplit(b")", 1)[1].split()
            if int(fields[3]) == leader and fields[0] != b"Z":
                found.add(int(entry.name))
    return found
