"""Runs many compilers side by side, behind the wall that was built around this program.

Started as ``python -I -S worker.py ORDERS``: a file of JSON, ``{"jobs": N, "seconds": S, "each_s": S, "tasks": [{"cwd": DIR,
"argv": [...], "said": FILE}, ...]}``. What a compiler prints goes into its file ``said``, with a bound; how each one ended is
printed, a line of JSON for each: ``[index, code]`` with the signal's number below zero, null for one that did not end in time.
Tasks that were not begun when the time was over have no line. It uses the standard library alone, and imports nothing of this
package.
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


def begin(task: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start one compiler; what it prints goes into its file."""

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_OUTPUT, LARGEST_OUTPUT))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    with open(task["said"], "wb") as said:
        return subprocess.Popen(
            task["argv"],
            cwd=task["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
            preexec_fn=limits,
        )


def shorten(path: str) -> None:
    """Keep the beginning of what was printed."""
    if os.path.getsize(path) > MOST_SAID:
        os.truncate(path, MOST_SAID)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a compiler and what it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def tell(index: int, code: int | None) -> None:
    """Say how one ended."""
    os.write(1, json.dumps([index, code]).encode() + b"\n")


def main() -> None:
    """Run the tasks of the orders, as many at once as they say."""
    with open(sys.argv[1], encoding="utf-8") as file:
        orders = json.load(file)
    end = time.monotonic() + orders["seconds"]
    waiting = list(enumerate(orders["tasks"]))[::-1]
    running: dict[int, tuple[int, float, subprocess.Popen[bytes], str]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < orders["jobs"]:
                index, task = waiting.pop()
                try:
                    process = begin(task)
                except (OSError, subprocess.SubprocessError):
                    tell(index, None)
                    continue
                running[process.pid] = index, min(end, time.monotonic() + orders["each_s"]), process, task["said"]
            wait_for_one(running)
            if time.monotonic() >= end:
                return
    finally:
        for _index, _until, process, _said in running.values():
            kill(process)


def wait_for_one(running: dict[int, tuple[int, float, subprocess.Popen[bytes], str]]) -> None:
    """Wait until at least one has ended, or its time is over."""
    delay = 0.001
    while running:
        ended = False
        for pid, (index, until, process, said) in list(running.items()):
            code = process.poll()
            if code is None and time.monotonic() < until:
                continue
            if code is None:
                kill(process)
            shorten(said)
            tell(index, code)
            del running[pid]
            ended = True
        if ended:
            return
        time.sleep(delay)
        delay = min(2 * delay, 0.02)


if __name__ == "__main__":
    main()
