"""The probes on the host, under qemu-user and on real kernels of every architecture: no difference is unexplained."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.core.syscall_names import tables
from pytest_xinchuang.packages.syscall_bridge.probes import load_probes
from pytest_xinchuang.packages.syscall_bridge.reference import columns, divergences
from pytest_xinchuang.packages.syscall_bridge.report import divergence_lines, probes_as_dict, table_lines
from pytest_xinchuang.packages.syscall_bridge.runner import ProbeResult
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.emulators import lacking_calls
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.toolchain.builder import Builder, Target

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

KERNELS = {"phytium": ["debian-arm64", "debian-arm64-16k"], "loongson": ["debian-loong64"], "hygon": ["debian-amd64"]}
PAGES = {"debian-arm64": 4096, "debian-arm64-16k": 16384, "debian-loong64": 16384, "debian-amd64": 4096}


@pytest.mark.parametrize("name", KERNELS)
def test_every_difference_is_explained(name: str, store: Store, platforms: Platforms) -> None:
    pool = Pool(store)
    unexplained: set[str] | None = None
    wrong: set[str] | None = None
    try:
        # Some probes wait for each other by the clock: what a loaded machine upsets once does not come twice.
        for _ in range(2):
            found = columns(pool, Builder(store.cache), platforms.get(name), load_probes(), "linux", KERNELS[name])
            differ = {d.id for d in divergences(found) if not d.reason}
            unexplained = differ if unexplained is None else unexplained & differ
            bad = {
                f"{c.name} {s.id}"
                for c in found
                if c.emulator == "qemu-system"
                for s in c.seen
                if s.result is not ProbeResult.PASSED
            }
            wrong = bad if wrong is None else wrong & bad
            if not unexplained and not wrong:
                break
    finally:
        pool.close()
    assert not unexplained and not wrong
    real = [c for c in found if c.emulator == "qemu-system"]
    assert [c.page for c in real] == [PAGES[k] for k in KERNELS[name]]
    assert all(len(c.seen) == len(found[0].seen) for c in real) and {c.fidelity for c in real} == {"emulated-system"}
    # qemu-user is known to answer otherwise: that it does is seen, and whom to believe is said.
    user = next(c for c in found if c.emulator == "qemu-user")
    assert user.of()["k.vfork.memory_is_shared"].result is ProbeResult.FAILED
    text = "\n".join(divergence_lines(found, divergences(found), "linux"))
    assert "0 of them unexplained" in text and "believe emulated-system" in text
    assert "k.fork.status_has_8_bits" in "\n".join(table_lines(found))
    assert json.dumps(probes_as_dict(found, divergences(found), "linux"))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    words = ["syscalls", "probe", "--platform", "hygon", "--os-profile", "liteos-a", "--json", str(out)]
    assert main(words) in (0, 1)
    assert "undocumented" in capsys.readouterr().out
    data = json.loads(out.read_text())
    assert data["profile"] == "liteos-a" and data["columns"][-1]["results"]["undocumented"] > 500
    assert main(["syscalls", "probe", "--platform", "hygon", "--os-profile", "vxworks"]) == 2


EVERY_CALL = """
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(int count, char **numbers) {
    for (int i = 1; i < count; i++)
        for (long a = -1; a <= 0; a++)
            if (syscall(atoi(numbers[i]), a, a, a, a, a, a) >= 0 || errno != ENOSYS) {
                printf("%s\\n", numbers[i]);
                break;
            }
    return 0;
}
"""

NOT_TRIED = frozenset(
    # They end, stop, replace or cut off the program that asks, or wait for ever.
    re.findall(
        r"\w+",
        """exit exit_group kill tkill tgkill reboot clone execve execveat rt_sigreturn rt_sigsuspend rt_sigtimedwait
        rt_sigaction rt_sigprocmask sigaltstack vhangup ppoll pselect6 munmap brk mmap mremap mprotect madvise
        shmat shutdown close close_range dup3 setsid set_tid_address set_robust_list nanosleep clock_nanosleep
        setitimer ptrace wait4 waitid futex kexec_load swapoff personality setrlimit prlimit64 unshare
        sched_setaffinity read readv sync prctl umask chroot setuid setgid setfsuid mlockall munlockall rseq
        getrandom restart_syscall sched_yield""",
    )
)


def test_the_list_of_calls_that_qemu_user_lacks(store: Store, platforms: Platforms, tmp_path: Path) -> None:
    """None is listed that it answers, and none that it refuses is left out, where the kernel answers."""
    platform = platforms.get("phytium")
    table = {n: number for n, number in tables()["arm64"].items() if n not in NOT_TRIED}
    (tmp_path / "every.c").write_text(EVERY_CALL)
    target = Target(platform.arch, platform.architecture, "2.28")
    program = Builder(store.cache).c(target, [tmp_path / "every.c"])
    refused = []
    pool = Pool(store)
    try:
        for sandbox in (pool.sandbox(platform, floor=False), pool.system(platform, floor=False)):
            sandbox.put("/xc/every", program, executable=True)
            done = sandbox.run(["/xc/every", *map(str, table.values())])
            assert done.ok
            answered = set(map(int, done.stdout.split()))
            refused.append({n for n, number in table.items() if number not in answered})
    finally:
        pool.close()
    by_emulator, by_kernel = refused
    listed = lacking_calls() - NOT_TRIED
    assert listed & table.keys() <= by_emulator and by_emulator - by_kernel <= listed
    assert {"io_setup", "userfaultfd", "clone3"} <= by_emulator - by_kernel
