"""Causes read from what a run said, called and asked for."""

from __future__ import annotations

import pytest

from pytest_xinchuang.cli_inspect import load_findings
from pytest_xinchuang.model.platform import Platforms
from pytest_xinchuang.mru.diagnosis import Trace, what_it_said
from pytest_xinchuang.mru.installers import shims, wrong_requests
from pytest_xinchuang.sandbox.protocol import Ended, Outcome


def outcome(stderr: str = "", stdout: str = "") -> Outcome:
    return Outcome(("x",), Ended.EXITED, 1, None, stdout.encode(), stderr.encode(), 1.0, 1.0)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("libjcef.so: cannot allocate memory in static TLS block", "XC-RUN-001"),
        ("<jemalloc>: Unsupported system page size", "XC-RUN-002"),
        ("error while loading shared libraries: libc.so.6: cannot stat shared object: Error 38", "XC-RUN-003"),
        ('Exception in thread "main" java.lang.UnsatisfiedLinkError: no x in java.library.path', "XC-RUN-005"),
        ("./x: /lib/libc.so.6: version `GLIBC_2.34' not found (required by ./x)", "XC-RUN-010"),
        ("This program can only be run on AMD64 processors with v3 microarchitecture support.", "XC-RUN-011"),
        ("everything is well", None),
    ],
)
def test_known_failures_are_known_by_what_they_say(text: str, code: str | None) -> None:
    found = what_it_said(load_findings(), outcome(f"first\n{text}\nlast\n"), "p")
    assert (found.code if found else None) == code
    if found:
        assert found.params["line"] == text


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


def test_what_an_installer_should_not_have_asked_for(platforms: Platforms) -> None:
    architectures = platforms.file.architectures
    loongson, hygon = platforms.get("loongson"), platforms.get("hygon")

    def codes(platform: object, requests: list[str], stderr: str = "") -> list[str]:
        return [w.code for w in wrong_requests(platform, architectures, requests, outcome(stderr))]  # type: ignore[arg-type]

    assert codes(loongson, ["curl -o /tmp/amd64.tgz https://x/tool-linux_loong64.tgz"]) == []
    assert codes(loongson, ["wget https://x/tool_linux_amd64"]) == ["XC-INS-001"]
    assert codes(loongson, ["curl https://x/tool-noarch.rpm", "dnf install x"]) == []
    assert codes(hygon, [], "./i.sh: 3: apt-get: not found\n") == ["XC-INS-003"]
    assert codes(hygon, [], "./i.sh: line 3: dpkg: command not found\n") == ["XC-INS-003"]
    assert codes(hygon, [], "./i.sh: 3: yum: not found\n") == []
    names = {path.rpartition("/")[2] for path in shims(hygon, "/xc/u")}
    assert names == {"curl", "wget", "dnf", "yum", "rpm"}


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


def test_a_trace_that_loses_a_program_is_not_whole() -> None:
    # Started with an empty environment, the emulator of the child does not know that it should log.
    lines = TRACED.replace("8 brk(NULL) = 0x5000\n8 exit_group(0)\n", "\n").splitlines()
    assert not Trace(tuple(lines)).is_whole and not Trace(("no call",)).is_whole and not Trace(()).is_whole


def test_a_torn_trace_is_made_again() -> None:
    lost = TRACED.replace("8 brk(NULL) = 0x5000\n8 exit_group(0)\n", "\n")
    runs = [outcome_with(lost), outcome_with(lost), outcome_with(TRACED), outcome_with("never asked for")]
    assert Trace.of(Trace.whole(lambda: runs.pop(0))).is_whole and len(runs) == 1
    runs = [outcome_with(lost) for _ in range(4)]
    assert not Trace.of(Trace.whole(lambda: runs.pop(0))).is_whole and len(runs) == 1


def outcome_with(stderr: str) -> Outcome:
    return Outcome(("x",), Ended.EXITED, 0, None, b"", stderr.encode(), 1.0, 1.0)
