"""The agent's log of system calls, as the lines that qemu-user's strace mode writes: readers know one form."""

from __future__ import annotations

import os
from collections.abc import Mapping


def as_strace(trace: bytes, names: Mapping[int, str]) -> bytes:
    """Lines of pid, number, six arguments, value and failure as ``PID name(a,b,...) = value``.

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
