"""The log of system calls that is kept apart: pieces by thread, what a program puts into them, and what is missing."""

from __future__ import annotations

import signal

import pytest

from pytest_xinchuang.messages import NOTHING, Message, verbatim
from pytest_xinchuang.sandbox.call_log import CallLog, Taken, read_pieces
from pytest_xinchuang.sandbox.emulator_faults import classify
from pytest_xinchuang.sandbox.protocol import Ended, Outcome
from pytest_xinchuang.sandbox.strace import Call
from pytest_xinchuang.sandbox.tracing import Trace

REFUSED = b"qemu-aarch64: unable to find CPU model 'z80'\n"


def pieces(*each: tuple[int, str]) -> bytes:
    """A log as the supervisor writes it: thread, size, text."""
    return b"".join(
        thread.to_bytes(4, "little") + len(text.encode()).to_bytes(4, "little") + text.encode() for thread, text in each
    )


def test_calls_of_threads_are_told_apart() -> None:
    log = read_pieces(
        pieces(
            *((7, "7 futex("), (7, "0x10,"), (7, "FUTEX_WAIT)"), (8, "8 openat("), (8, "AT_FDCWD,"), (8, '"a\nb",')),
            *(
                (8, "O_RDONLY"),
                (8, ")"),
                (7, " = "),
                (8, " = "),
                (7, "0\n"),
                (8, "-1 errno=2 (No such file)"),
                (8, "\n"),
            ),
            *(
                (7, "7 Unknown syscall 450\n"),
                (9, " = "),
                (9, "0\n"),
                (7, "7 clock_nanosleep({tv_sec = 0,tv_nsec = 1})"),
            ),
            *((7, " = 0\n"), (7, "--- SIGUSR1"), (7, " {si_signo="), (7, "} ---\n"), (7, "7 exit_group(3)\n")),
        )
    )
    assert [str(call) for call in log.calls] == [
        "futex(0x10,FUTEX_WAIT) = 0",
        'openat(AT_FDCWD,"a?b",O_RDONLY) = -1 errno=2 (No such file)',
        "450( = -1 errno=38 (Function not implemented)",
        "clock_nanosleep({tv_sec = 0,tv_nsec = 1}) = 0",
        "exit_group(3)",
    ]
    assert log.taken == (Taken(7, "SIGUSR1", 4),) and not log.lost


def test_what_a_program_names_its_files_is_no_call() -> None:
    forged = '"x",O_RDONLY) = 3\n7 faccessat2(1) = -1 errno=38 (Function not implemented)\n",'
    log = read_pieces(pieces((7, "7 openat("), (7, "AT_FDCWD,"), (7, forged), (7, ")"), (7, " = "), (7, "3\n")))
    assert [call.name for call in log.calls] == ["openat"] and log.calls[0].answer == "3"
    assert Trace(log=log).missing_calls() == ()
    # Another thread's number at the beginning is no call of that thread.
    assert read_pieces(pieces((8, "7 openat("))).calls == ()


@pytest.mark.parametrize(
    ("data", "lost"),
    [
        (b"", verbatim("it was not started")),
        (pieces((7, "7 brk(NULL) = 0\n"))[:-3], NOTHING),
        (pieces((7, "7 execve("), (7, '"' + "x" * 5000 + '",')), NOTHING),
        (pieces((7, '7 openat(AT_FDCWD,"/proc/self/mem",O_RDWR) = 3\n')), NOTHING),
        (pieces((7, '7 openat(3,"mem",O_WRONLY)'), (7, " = "), (7, "4\n")), NOTHING),
    ],
)
def test_a_log_that_is_not_whole_says_so(data: bytes, lost: Message) -> None:
    log = read_pieces(data, lost)
    assert log.lost and not Trace(log=log).is_whole


def test_a_trace_of_its_own_is_asked_before_stderr() -> None:
    calls = (Call(7, "faccessat2", "1)", "0"), Call(7, "openat2", "2)", "-1 errno=38 (Function not implemented)"))
    outcome = Outcome(
        ("x",), Ended.EXITED, 0, None, b"", b"7 faccessat2(1) = -1 errno=38 (x)\n", 1.0, 1.0, log=CallLog(calls)
    )
    trace = Trace.of(outcome)
    assert trace.is_whole and trace.is_clear
    assert trace.answered(frozenset({"faccessat2", "openat2"})) == ("faccessat2",)
    assert not Trace.of(
        Outcome(("x",), Ended.EXITED, 0, None, b"", b"7 brk(1) = 0\n", 1.0, 1.0, log=CallLog())
    ).is_whole


CALLED = (Call(7, "write", "2,0x1,43)", "43"), Call(7, "exit_group", "1)"))
KILLED = Call(7, "kill", "7,SIGKILL)")


@pytest.mark.parametrize(
    ("status", "stderr", "log", "ended"),
    [
        (1 << 8, REFUSED, CallLog(), Ended.EMULATOR_FAULT),
        (1 << 8, REFUSED, CallLog(CALLED), Ended.EXITED),
        (1 << 8, REFUSED, CallLog(lost=verbatim("cut off")), Ended.EXITED),
        (signal.SIGABRT, b"qemu-x: Assertion", CallLog(CALLED, (Taken(7, "SIGIOT", 2),)), Ended.SIGNALED),
        (signal.SIGABRT, b"qemu-x: Assertion", CallLog(CALLED), Ended.EMULATOR_FAULT),
        (signal.SIGSEGV, b"", CallLog(CALLED, (Taken(7, "SIGSEGV", 1),)), Ended.EMULATOR_FAULT),
        (signal.SIGSEGV, b"", CallLog(CALLED, (Taken(8, "SIGSEGV", 1),)), Ended.SIGNALED),
        (signal.SIGKILL, b"", CallLog((*CALLED, KILLED)), Ended.SIGNALED),
        (signal.SIGKILL, b"", CallLog((KILLED, *CALLED)), Ended.HOST_FAULT),
        (signal.SIGKILL, b"", CallLog((KILLED,), lost=verbatim("cut off")), Ended.HOST_FAULT),
    ],
)
def test_whose_end_it_was_by_the_log(status: int, stderr: bytes, log: CallLog, ended: Ended) -> None:
    assert classify(status, stderr, emulated=True, log=log).ended is ended
    if status != signal.SIGKILL:
        assert classify(status, stderr, emulated=True, again=lambda: log).ended is ended
