from __future__ import annotations

import signal

import pytest

from pytest_xinchuang.sandbox.emulator_faults import classify, without_noise
from pytest_xinchuang.sandbox.protocol import Ended

SAID = b"qemu: uncaught target signal %d (Segmentation fault) - core dumped\n"


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
        (signal.SIGSEGV, b"qemu-aarch64: QEMU internal SIGSEGV {code=MAPERR, addr=0x20}\n", Ended.EMULATOR_FAULT),
        (1 << 8, b"qemu-aarch64: unable to find CPU model 'z80'\n", Ended.EMULATOR_FAULT),
        (1 << 8, b"qemu-aarch64: can't apply global max-arm-cpu.x=off: Property not found\n", Ended.EMULATOR_FAULT),
        (signal.SIGKILL, b"", Ended.HOST_FAULT),
        (signal.SIGTERM, b"", Ended.SIGNALED),
    ],
)
def test_whose_end_it_was(status: int, stderr: bytes, ended: Ended) -> None:
    assert classify(status, stderr, emulated=True)[0] is ended


def test_natively_a_signal_is_the_programs_own_but_for_sigkill() -> None:
    assert classify(signal.SIGSEGV, b"", emulated=False)[:3] == (Ended.SIGNALED, None, 11)
    assert classify(signal.SIGKILL, b"", emulated=False)[0] is Ended.HOST_FAULT


def test_a_subject_that_plays_the_emulator_gains_nothing_but_doubt() -> None:
    assert classify(0, b"qemu-x: QEMU internal SIGSEGV\n", emulated=True)[0] is Ended.EMULATOR_FAULT


def test_what_qemu_says_is_taken_out_of_stderr() -> None:
    assert without_noise(b"mine\n" + SAID % 11 + b"more\n") == b"mine\nmore\n"
