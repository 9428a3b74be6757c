"""A terminal inside a sandbox, for people."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import sys
import termios
import tty

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox
from pytest_xinchuang.sandbox.protocol import Limits, Sandbox


def interact(sandbox: Sandbox, title: str) -> int:
    """Connect this terminal to a shell in ``sandbox`` until the shell ends.

    Raises:
        XcError: stdin is no terminal, or the backend has no terminals.
    """
    if not sys.stdin.isatty():
        raise XcError(_("an interactive sandbox needs a terminal"), mend=verbatim("xc shell PLATFORM -- COMMAND"))
    if not isinstance(sandbox, QemuSandbox):
        raise XcError(_("the backend {backend} has no interactive shell", backend=sandbox.fingerprint.backend))
    ours, theirs = pty.openpty()
    size = fcntl.ioctl(sys.stdin, termios.TIOCGWINSZ, b"\0" * 8)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, size)
    environment = {"PS1": f"[{title}] \\w \\$ ", "TERM": os.environ.get("TERM", "dumb")}
    limits = Limits(wall_s=86400, memory_mb=4096)
    number = sandbox.spawn_on([theirs] * 3, ["/bin/sh", "-i"], environment, "/xc", limits, tty=True)
    os.close(theirs)
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setraw(sys.stdin)
        _copy(ours)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
        os.close(ours)
    sandbox.ended(number, 5)
    return 0


def _copy(master: int) -> None:
    """Copy between this terminal and ``master`` until the other side closes."""
    while True:
        ready, _, _ = select.select([sys.stdin, master], [], [])
        for source, sink in ((master, sys.stdout.fileno()), (sys.stdin.fileno(), master)):
            if (source if source == master else sys.stdin) not in ready:
                continue
            try:
                data = os.read(source, 1 << 14)
            except OSError:
                return
            if not data:
                return
            os.write(sink, data)
