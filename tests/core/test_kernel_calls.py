"""Calls that came late: dated, each of them, and numbered by architecture."""

from __future__ import annotations

import pytest

from pytest_xinchuang.core.kernel_calls import LATE_CALLS, LIBC_FUNCTIONS, calls_after, release_key
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.syscall_names import tables

LAST_OF_3_10 = {"amd64": "finit_module", "arm64": "finit_module", "loong64": "finit_module"}
DATED_OTHERWISE = {"kexec_file_load", "uretprobe", "uprobe"}
"""For superusers on arm64 since 5.0; for the kernel's own trampolines."""


@pytest.mark.parametrize("arch", LAST_OF_3_10)
def test_every_call_of_the_tables_since_3_10_is_dated(arch: str) -> None:
    """Tables that were read anew bring calls that the floor of older platforms has to lack."""
    table = tables()[arch]
    newer = {name for name, number in table.items() if number > table[LAST_OF_3_10[arch]]}
    assert newer - DATED_OTHERWISE == LATE_CALLS.keys() & table.keys()


def test_what_a_kernel_lacks() -> None:
    assert calls_after("4.4.131", "arm64")["statx"] == 291 and calls_after("4.4.131", "amd64")["statx"] == 332
    assert calls_after("3.10.0", "amd64")["getrandom"] == 318 and "getrandom" not in calls_after("4.4.131", "amd64")
    assert "statx" not in calls_after("4.19.90", "arm64") and calls_after("4.19.90", "arm64")["openat2"] == 437
    assert "rseq" not in calls_after("4.18.0", "amd64") and "fchmodat2" not in calls_after("6.6.0", "arm64")
    assert set(calls_after("6.18", "loong64")) == {"listns", "memfd_secret", "rseq_slice_yield"}


def test_no_platform_is_older_than_the_list(platforms: Platforms) -> None:
    kernels = [s.kernel.value for s in platforms.file.systems.values() if s.kernel.value]
    assert min(map(release_key, kernels)) >= (3, 10)


def test_functions_that_do_without_the_call_are_none() -> None:
    assert not LIBC_FUNCTIONS.keys() & {"statx", "clone3", "copy_file_range", "futex_wait"}
    assert LIBC_FUNCTIONS["io_uring_queue_init"] == "io_uring_setup" and LIBC_FUNCTIONS["close_range"] == "close_range"
