"""What the system calls of a run tell."""

from __future__ import annotations

from pytest_xinchuang.sandbox.protocol import Ended, Outcome
from pytest_xinchuang.sandbox.tracing import Trace


def outcome(stderr: str = "") -> Outcome:
    return Outcome(("x",), Ended.EXITED, 0, None, b"", stderr.encode(), 1.0, 1.0)


def test_a_trace_tells_missing_calls_network_and_misplaced_shmat() -> None:
    trace = Trace.of(
        outcome(
            "12 uname(0x4000) = 0\n12 pidfd_open(1,0) = -1 errno=38 (Function not implemented)\n12 Unknown syscall 163\n"
            "12 connect(3,{sa_family=AF_INET},16) = -1 errno=101 (Network is unreachable)\n"
            "12 shmat(7,0x0000000020004000,0) = 0x20004000\n12 openat(-100,\"x\") = -1 errno=2 (No such file)\n"
        )
    )  # fmt: skip
    assert trace.missing_calls() == ("pidfd_open", "163")
    assert (trace.network_attempt() or "").startswith("connect(3")
    assert trace.misplaced_shmat(65536) == "shmat(7,0x0000000020004000,0)"
    assert trace.misplaced_shmat(4096) is None
    assert (
        Trace.of(outcome("12 shmat(7,NULL,0) = 0x1\n12 shmat(7,0x20004000,SHM_RND) = 0x1\n")).misplaced_shmat(65536)
        is None
    )


TRACED = """7 brk(NULL) = 0x4000
7 faccessat2(AT_FDCWD,"x",R_OK,0) = 0
7 openat2(-100,0x1,0x2,24) = -1 errno=38 (Function not implemented)
7 clone(CLONE_CHILD_SETTID) = 8
8 execve("/bin/true",{"true",NULL})8 brk(NULL) = 0x5000
8 exit_group(0)
7 exit_group(0)
"""


def test_calls_that_were_answered() -> None:
    trace = Trace(tuple(TRACED.splitlines()))
    assert trace.is_whole
    assert trace.answered(frozenset({"faccessat2", "openat2", "statx"})) == ("faccessat2",)
    torn = Trace(('7 8 execve("/bin/x",{NULL})statx(1,2) = 0',))
    assert torn.answered(frozenset({"statx"})) == ("statx",)


def test_a_call_that_may_have_been_answered_counts_as_answered() -> None:
    """Two threads at once: either of them may have had the ENOSYS."""
    torn = Trace(("7 statx(1)8 openat2(2) = -1 errno=38 (Function not implemented)", " = 0", "7 close(1) = 0"))
    assert torn.answered(frozenset({"statx", "openat2"})) == ("openat2", "statx")
    assert torn.missing_calls() == ()


def test_calls_behind_one_that_waits_are_told() -> None:
    waits = "17 futex(0x10,FUTEX_WAIT,0,NULL,NULL,0)"
    trace = Trace(
        (
            waits + "13 connect(3,{sin_family=AF_INET,sin_port=htons(80)},16) = -1 errno=101 (Network is unreachable)",
            "13 mmap(NULL,4096,PROT_READ,MAP_SHARED,3,0x1000) = -1 errno=22 (Invalid argument)",
            "13 Unknown syscall 450",
        )
    )
    assert (trace.network_attempt() or "").startswith("connect(3,{sin_family=AF_INET")
    assert "0x1000) = -1 errno=22" in (trace.misaligned(16384) or "") and trace.misaligned(4096) is None
    assert trace.counts({450: "set_mempolicy_home_node"}) == {
        "connect": 1,
        "futex": 1,
        "mmap": 1,
        "set_mempolicy_home_node": 1,
    }
    assert trace.missing_calls({450: "set_mempolicy_home_node"}) == ("set_mempolicy_home_node",)


def test_a_trace_that_loses_a_program_is_not_whole() -> None:
    # Started with an empty environment, the emulator of the child does not know that it should log.
    lines = TRACED.replace("8 brk(NULL) = 0x5000\n8 exit_group(0)\n", "\n").splitlines()
    assert not Trace(tuple(lines)).is_whole and not Trace(("no call",)).is_whole and not Trace(()).is_whole


def test_a_torn_trace_is_made_again() -> None:
    lost = TRACED.replace("8 brk(NULL) = 0x5000\n8 exit_group(0)\n", "\n")
    runs = [outcome(lost), outcome(lost), outcome(TRACED), outcome("never asked for")]
    assert Trace.of(Trace.whole(lambda: runs.pop(0))).is_whole and len(runs) == 1
    unclear = TRACED.replace("7 openat2", "9 statx(1)7 openat2").replace("7 clone", " = 0\n9 exit(0)\n7 clone")
    assert Trace.of(outcome(unclear)).is_whole and not Trace.of(outcome(unclear)).is_clear
    runs = [outcome(unclear), outcome(TRACED), outcome("never asked for")]
    assert Trace.of(Trace.whole(lambda: runs.pop(0))).is_clear and len(runs) == 1
    runs = [outcome(lost), outcome(unclear), outcome(lost), outcome("never asked for")]
    assert Trace.of(Trace.whole(lambda: runs.pop(0))).is_whole and len(runs) == 1
    runs = [outcome(lost) for _ in range(4)]
    assert not Trace.of(Trace.whole(lambda: runs.pop(0))).is_whole and len(runs) == 1
