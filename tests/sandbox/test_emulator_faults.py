"""Whose end it was: the program's, the emulator's or the host's; and programs that would rather not have it be theirs."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.harness.connection import Connection
from pytest_xinchuang.harness.lines import LineProcess
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.sandbox.backends.direct import open_emulated
from pytest_xinchuang.sandbox.emulator_faults import classify, without_noise
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Ended, Outcome, Sandbox
from pytest_xinchuang.toolchain.builder import Builder, Target

SAID = b"qemu: uncaught target signal %d (Segmentation fault) - core dumped\n"
INTERNAL = b"qemu-aarch64: QEMU internal SIGSEGV {code=MAPERR, addr=0x20}\n"
REFUSED = b"qemu-aarch64: unable to find CPU model 'z80'\n"
TAKEN = b"7 close(2) = 0\n--- SIGSEGV {si_signo=SIGSEGV, si_code=1, si_addr=0x8} ---\n"


@pytest.mark.parametrize(
    ("status", "stderr", "ended"),
    [
        (0, b"", Ended.EXITED),
        (3 << 8, b"", Ended.EXITED),
        (signal.SIGSEGV, SAID % 11, Ended.SIGNALED),
        (signal.SIGILL, SAID % 4, Ended.SIGNALED),
        # The emulator's own deaths: no program raised these.
        (signal.SIGSEGV, b"", Ended.EMULATOR_FAULT),
        (signal.SIGABRT, b"**\nERROR:../accel/tcg/translate-all.c:1:x: assertion failed\n", Ended.EMULATOR_FAULT),
        (signal.SIGSEGV, INTERNAL, Ended.EMULATOR_FAULT),
        (signal.SIGKILL, b"", Ended.HOST_FAULT),
        (signal.SIGKILL, SAID % 9, Ended.HOST_FAULT),
        (signal.SIGTERM, b"", Ended.SIGNALED),
        # A program that exits has exited, whatever it says; and qemu's words do not hide that qemu announced its death.
        (0, INTERNAL, Ended.EXITED),
        (3 << 8, INTERNAL, Ended.EXITED),
        (3 << 8, REFUSED, Ended.EXITED),
        (1 << 8, REFUSED, Ended.EXITED),
        (1 << 8, SAID % 11, Ended.EXITED),
        (signal.SIGSEGV, INTERNAL + SAID % 11, Ended.SIGNALED),
        (signal.SIGSEGV, SAID % 11 + INTERNAL, Ended.SIGNALED),
        # An announcement of another signal is none of this one.
        (signal.SIGSEGV, SAID % 6, Ended.EMULATOR_FAULT),
        (signal.SIGSEGV, b"uncaught target signal 11", Ended.EMULATOR_FAULT),
    ],
)
def test_whose_end_it_was(status: int, stderr: bytes, ended: Ended) -> None:
    assert classify(status, stderr, emulated=True).ended is ended


@pytest.mark.parametrize(
    ("status", "stderr", "log", "ended"),
    [
        # The emulator refuses to begin: not one system call is made.
        (1 << 8, REFUSED, b"", Ended.EMULATOR_FAULT),
        (
            1 << 8,
            b"qemu-aarch64: can't apply global max-arm-cpu.x=off: Property not found\n",
            b"",
            Ended.EMULATOR_FAULT,
        ),
        # Whoever writes qemu's words makes a call for it; so does whoever takes the log away.
        (1 << 8, REFUSED, b"19 write(2,0x1000440,43) = 43\n19 exit_group(1)\n", Ended.EXITED),
        (1 << 8, REFUSED, None, Ended.EXITED),
        # A program that had closed stderr: the signal that it took is the last that is logged.
        (signal.SIGSEGV, b"", TAKEN, Ended.SIGNALED),
        (signal.SIGSEGV, INTERNAL, TAKEN, Ended.SIGNALED),
        (signal.SIGABRT, b"", TAKEN.replace(b"SIGSEGV", b"SIGIOT"), Ended.SIGNALED),
        # One that it survived, or another one.
        (signal.SIGSEGV, b"", TAKEN + b"7 rt_sigreturn(0x10) = -1 errno=513 (x)\n7 read(0, ", Ended.EMULATOR_FAULT),
        (signal.SIGSEGV, b"", TAKEN.replace(b"SIGSEGV", b"SIGTERM"), Ended.EMULATOR_FAULT),
        (signal.SIGSEGV, b"", TAKEN.replace(b"SIGSEGV", b"SIGNONE"), Ended.EMULATOR_FAULT),
        (signal.SIGSEGV, b"", b"7 read(0,0x1,1)", Ended.EMULATOR_FAULT),
        (signal.SIGSEGV, b"", None, Ended.EMULATOR_FAULT),
    ],
)
def test_what_another_run_shows(status: int, stderr: bytes, log: bytes | None, ended: Ended) -> None:
    assert classify(status, stderr, emulated=True, again=lambda: log).ended is ended


@pytest.mark.parametrize(
    ("status", "stderr"),
    [(0, b""), (1 << 8, b"no\n"), (1 << 8, b"mine\n" + REFUSED), (2 << 8, REFUSED), (signal.SIGSEGV, SAID % 11)],
)
def test_nothing_is_run_again_without_need(status: int, stderr: bytes) -> None:
    def again() -> bytes:
        raise AssertionError("run again")

    classify(status, stderr, emulated=True, again=again)
    classify(status, stderr, emulated=False, again=again)


def test_natively_a_signal_is_the_programs_own_but_for_sigkill() -> None:
    assert classify(signal.SIGSEGV, b"", emulated=False)[:3] == (Ended.SIGNALED, None, 11)
    assert classify(signal.SIGKILL, b"", emulated=False).ended is Ended.HOST_FAULT


def test_what_qemu_says_is_taken_out_of_stderr() -> None:
    assert without_noise(b"mine\n" + SAID % 11 + b"more\n") == b"mine\nmore\n"


# -- the same with a real emulator

PROGRAMS = {
    "crash": "*(volatile int *)8 = 1;",
    "silent crash": "close(2); *(volatile int *)8 = 1;",
    "abort and blame": 'fputs("qemu-aarch64: QEMU internal SIGABRT {code=SI_USER}\\n", stderr); abort();',
    "silent abort": "close(2); abort();",
    "handled, then silent": "signal(SIGSEGV, once); close(2); *(volatile int *)8 = 1;",
    "exit and blame": "fputs(\"qemu-aarch64: unable to find CPU model 'z'\\n\", stderr); return 1;",
    "exit 0 and blame": 'fputs("qemu-aarch64: QEMU internal SIGSEGV {code=MAPERR}\\n", stderr); return 0;',
    "kill": "kill(getpid(), SIGKILL);",
}
HEAD = """#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void once(int s) { signal(s, SIG_DFL); }
int main(void) {
    (void)once;
    puts("{}");
    fflush(stdout);
    getchar();
    """
ENDS = {
    "crash": (Ended.SIGNALED, None, 11),
    "silent crash": (Ended.SIGNALED, None, 11),
    "abort and blame": (Ended.SIGNALED, None, 6),
    "silent abort": (Ended.SIGNALED, None, 6),
    "handled, then silent": (Ended.SIGNALED, None, 11),
    "exit and blame": (Ended.EXITED, 1, None),
    "exit 0 and blame": (Ended.EXITED, 0, None),
    "kill": (Ended.HOST_FAULT, None, None),
}
KEPT = ENDS | {name: (Ended.EMULATOR_FAULT, None, None) for name in ENDS if "silent" in name}
"""A kept-alive process cannot be run again."""


@pytest.fixture(scope="module")
def built(platforms: Platforms, pool: Pool, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], bytes]:
    platform = platforms.get("kunpeng")

    def make(name: str) -> bytes:
        source = tmp_path_factory.mktemp("program") / "main.c"
        source.write_text(f"{HEAD}{PROGRAMS[name]}\n}}\n")
        return Builder(pool.store.cache).c(Target(platform.arch, platform.architecture, "2.28"), [source])

    return make


@pytest.fixture(scope="module", params=["namespaces", "qemu -L"])
def sandbox(request: pytest.FixtureRequest, platforms: Platforms, pool: Pool) -> Iterator[Sandbox]:
    opened = pool.sandbox(platforms.get("kunpeng"))
    if request.param == "namespaces":
        yield opened
        return
    with open_emulated(opened.spec, verbatim("asked for by a test")) as direct:  # type: ignore[attr-defined]
        yield direct


def _end(outcome: Outcome | None) -> tuple[Ended, int | None, int | None]:
    assert outcome is not None
    return outcome.ended, outcome.code, outcome.signal


@pytest.mark.sandbox
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_under_the_emulator(name: str, sandbox: Sandbox, built: Callable[[str], bytes]) -> None:
    sandbox.put("/xc/program", built(name), executable=True)
    assert _end(sandbox.run(["/xc/program"], stdin=b"x")) == ENDS[name]
    kept = LineProcess(sandbox.start(["/xc/program"]))
    kept.start()
    assert kept.lines.get(timeout=30) == [b"{}"]
    kept.outgoing.put(b"x")
    while kept.lines.get(timeout=30) is not None:
        pass
    # What is read from stderr as it comes is not lost to whoever tells whose end it was.
    assert _end(kept.process.wait(30)) == KEPT[name]
    kept.finish(5)


@pytest.mark.sandbox
def test_an_emulator_that_refuses_to_begin(platforms: Platforms, pool: Pool, built: Callable[[str], bytes]) -> None:
    opened = pool.sandbox(platforms.get("kunpeng"))
    with open_emulated(opened.spec, verbatim("asked for by a test")) as direct:  # type: ignore[attr-defined]
        direct.put("/xc/program", built("crash"), executable=True)
        at = direct._prefix.index("-cpu")
        direct._prefix[at + 1] = "z80"
        outcome = direct.run(["/xc/program"], stdin=b"x")
    assert outcome.ended is Ended.EMULATOR_FAULT and "CPU model" in outcome.cause, outcome


@pytest.mark.sandbox
def test_a_harness_that_crashes_under_the_emulator_is_its_own_doing(
    platforms: Platforms, pool: Pool, built: Callable[[str], bytes]
) -> None:
    from pydantic import BaseModel

    from pytest_xinchuang.harness.ends import EndKind
    from pytest_xinchuang.harness.protocol import HarnessProtocol

    class Empty(BaseModel):
        """Any object."""

    opened = pool.sandbox(platforms.get("kunpeng"))
    opened.put("/xc/program", built("abort and blame"), executable=True)
    protocol = HarnessProtocol("x/1", Empty, "")
    connection = Connection(protocol, lambda: opened.start(["/xc/program"]), hello_timeout_s=30)
    connection.send(b"x")
    assert connection.receive(30) is None
    end = connection.ended()
    assert end.kind is EndKind.SIGNALED and end.outcome is not None and end.outcome.signal == 6
