"""What the tracer of the rootless sandbox says of a log of which it could not read a piece."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_xinchuang.sandbox.backends import tracer as module
from pytest_xinchuang.sandbox.backends.tracer import FIRST, Tracer

pytestmark = [
    pytest.mark.tools,
    pytest.mark.skipif(
        platform.machine() not in ("x86_64", "aarch64"), reason="the tracer knows these processors' calls"
    ),
]

_WRITES = f"""
import ctypes, socket, sys
sys.path.insert(0, sys.argv[2])
import tracer
libc = ctypes.CDLL(None)
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
channel = socket.socket(fileno=int(sys.argv[1]))
socket.send_fds(channel, [b"listener"], [tracer.hand_over()])
text = ctypes.create_string_buffer(b"getppid(")
channel.recv(1)
libc.write({FIRST + 1}, ctypes.c_void_p({{address}}), 8)
"""
_TEXT, _NOWHERE = "ctypes.addressof(text)", "16"


class _Writer:
    """A process that writes eight bytes to the log from an address."""

    def __init__(self, address: str, out: Path) -> None:
        ours, theirs = socket.socketpair()
        home = str(Path(module.__file__).parent)
        code = _WRITES.replace("{address}", address)
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(theirs.fileno()), home], pass_fds=[theirs.fileno()]
        )
        theirs.close()
        with ours:
            _said, listeners, _flags, _address = socket.recv_fds(ours, 16, 1)
            self.tracer = Tracer(listeners[0], "/log", os.open(out, os.O_WRONLY | os.O_CREAT))
            self.tracer.opened = 1
            ours.send(b"!")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_memory_of_a_process_that_lives_and_cannot_be_read_is_lost(out: Path) -> None:
    writer = _Writer(_NOWHERE, out)
    writer.tracer.answer()
    writer.kill()
    assert writer.tracer.lost == {"id": "the memory of a process cannot be read", "params": {}}
    writer.tracer.close()


def test_a_process_that_was_killed_while_it_asked_takes_nothing_out_of_the_log(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = _Writer(_TEXT, out)
    reads = Tracer._read

    def killed_first(thread: int, address: int, size: int) -> bytes | None:
        writer.kill()
        return reads(thread, address, size)

    monkeypatch.setattr(Tracer, "_read", staticmethod(killed_first))
    writer.tracer.answer()
    assert writer.tracer.lost is None
    writer.tracer.close()
    assert out.read_bytes() == b""


def test_what_is_read_is_in_the_log_with_its_thread(out: Path) -> None:
    writer = _Writer(_TEXT, out)
    writer.tracer.answer()
    assert writer.tracer.lost is None
    writer.process.wait()
    writer.tracer.close()
    assert out.read_bytes() == module.HEADER.pack(writer.process.pid, 8) + b"getppid("
