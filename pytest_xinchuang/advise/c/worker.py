"""Runs many compilers side by side, behind the wall that was built around this program.

Started as ``python -I -S worker.py ORDERS``: a file of JSON, ``{"jobs": N, "seconds": S, "each_s": S, "tasks": [{"cwd": DIR,
"argv": [...], "said": FILE, "then": [...], "wrote": FILE, "where": [...]}, ...]}``. What a compiler prints goes into its file
``said``, with a bound. Where it succeeds the command ``then`` follows, if there is one, and nothing of what that prints is
kept; it counts as done where what the compiler ``wrote`` has none of the words ``where``. How each one ended is told, a line
of JSON for each: ``[index, code, code of then]`` with the signal's number below zero, null for one that did not end in time or
was not started. Tasks that were not begun when the time was over have no line. It uses the standard library alone, and imports
nothing of this package.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from typing import Any

MOST_SAID = 4 << 20
"""Bytes that a compiler may print: some ten thousand errors."""
MOST_MEMORY = 2 << 30
"""Bytes of a compiler's address space: zig itself takes some 0.3 GiB, and one of the largest units of LLVM 1 GiB more."""
LARGEST_OUTPUT = 256 << 20
"""Bytes of a file that a compiler may write."""


def begin(argv: list[str], cwd: str, said: str) -> subprocess.Popen[bytes]:
    """Start one compiler; what it prints goes into a file."""

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_OUTPUT, LARGEST_OUTPUT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    with open(said, "wb") as file:
        return subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
            preexec_fn=limits,
        )


def shorten(path: str) -> None:
    """Keep the beginning of what was printed."""
    if os.path.getsize(path) > MOST_SAID:
        os.truncate(path, MOST_SAID)


def has_one(path: str, words: list[str]) -> bool:
    """Whether a file has one of some words."""
    with open(path, "rb") as file:
        data = file.read()
    return any(word.encode() in data for word in words)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a compiler and what it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


class Running:
    """One task, and the compiler that works on it now.

    Attributes:
        until: when its time is over.
    """

    def __init__(self, index: int, task: dict[str, Any], until: float) -> None:
        self.index, self.task, self.until = index, task, until
        self.codes: list[int | None] = []
        self.process = begin(task["argv"], task["cwd"], task["said"])

    def ended(self) -> bool:
        """Whether it is over; the second command is started where the first has succeeded."""
        code = self.process.poll()
        late = time.monotonic() >= self.until
        if code is None and not late:
            return False
        if code is None:
            kill(self.process)
        self.codes.append(code)
        if len(self.codes) == 1:
            shorten(self.task["said"])
            if code == 0 and self.task.get("then") and not late:
                if not has_one(self.task["wrote"], self.task["where"]):
                    self.codes.append(0)
                    return True
                self.process = begin(self.task["then"], self.task["cwd"], os.devnull)
                return False
        return True

    def tell(self) -> None:
        """Say how it ended."""
        tell(self.index, *self.codes[:1], self.codes[1] if len(self.codes) > 1 else None)


def tell(index: int, *codes: int | None) -> None:
    """Say how one ended."""
    os.write(1, json.dumps([index, *codes]).encode() + b"\n")


def main() -> None:
    """Run the tasks of the orders, as many at once as they say."""
    with open(sys.argv[1], encoding="utf-8") as file:
        orders = json.load(file)
    end = time.monotonic() + orders["seconds"]
    waiting = list(enumerate(orders["tasks"]))[::-1]
    running: list[Running] = []
    try:
        while waiting or running:
            while waiting and len(running) < orders["jobs"]:
                index, task = waiting.pop()
                try:
                    running.append(Running(index, task, min(end, time.monotonic() + orders["each_s"])))
                except (OSError, subprocess.SubprocessError):
                    tell(index, None, None)
            wait_for_one(running)
            if time.monotonic() >= end:
                return
    finally:
        for one in running:
            kill(one.process)


def wait_for_one(running: list[Running]) -> None:
    """Wait until at least one has ended, or its time is over."""
    delay = 0.001
    while running:
        over = [one for one in running if one.ended()]
        for one in over:
            one.tell()
            running.remove(one)
        if over:
            return
        time.sleep(delay)
        delay = min(2 * delay, 0.02)


if __name__ == "__main__":
    main()
