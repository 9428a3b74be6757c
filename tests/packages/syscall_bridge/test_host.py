"""What a host has against what a subject needs: calls, sysctls, control groups of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.packages.syscall_bridge.host import State, check_host, probe_call, read_cgroup
from pytest_xinchuang.packages.syscall_bridge.manifest import HostNeeds
from pytest_xinchuang.tools.host import situation


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def states(needs: HostNeeds, root: Path, answer: str = "EINVAL") -> dict[str, State]:
    return {n.what: n.state for n in check_host(needs, root, lambda _: answer)}


@pytest.mark.tools
def test_this_host_is_really_asked() -> None:
    # 424 is pidfd_send_signal, in any kernel since 5.1; there is no call 9999.
    assert probe_call(424) in ("EINVAL", "EBADF") and probe_call(9999) == "ENOSYS"


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("EINVAL", State.OK),
        ("ENOSYS", State.MISSING),
        ("EPERM", State.UNKNOWN),
        ("SIGSYS", State.MISSING),
        ("?", State.UNKNOWN),
        ("0", State.OK),
    ],
)
def test_calls(answer: str, state: State, tmp_path: Path) -> None:
    assert states(HostNeeds(calls=("io_uring_setup",)), tmp_path, answer) == {"call io_uring_setup": state}


def test_a_call_that_cannot_be_probed_is_unknown(tmp_path: Path) -> None:
    assert states(HostNeeds(calls=("read", "no_such_call")), tmp_path) == {
        "call read": State.UNKNOWN,
        "call no_such_call": State.UNKNOWN,
    }


def test_sysctls(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {"proc/sys/vm/max_map_count": "65530\n", "proc/sys/net/core/somaxconn": "4096\n", "proc/sys/a/b": "odd"},
    )
    needs = HostNeeds(
        sysctls={"vm.max_map_count": 262144, "net.core.somaxconn": 4096, "a.b": 1, "fs.inotify.max_user_watches": 5}
    )
    found = states(needs, root)
    assert found == {
        "sysctl vm.max_map_count": State.MISSING,
        "sysctl net.core.somaxconn": State.OK,
        "sysctl a.b": State.UNKNOWN,
        "sysctl fs.inotify.max_user_watches": State.UNKNOWN,
    }
    mend = next(n.mend for n in check_host(needs, root) if "max_map_count" in n.what)
    assert mend == situation().as_root("sysctl -w vm.max_map_count=262144")


def test_kernel(tmp_path: Path) -> None:
    root = write(tmp_path, {"proc/sys/kernel/osrelease": "4.19.90-23.ky10\n"})
    assert states(HostNeeds(kernel="4.19"), root) == {"kernel": State.OK}
    assert states(HostNeeds(kernel="5.10"), root) == {"kernel": State.MISSING}


V2 = {
    "proc/self/cgroup": "0::/a/b\n",
    "sys/fs/cgroup/a/memory.max": "1073741824\n",
    "sys/fs/cgroup/a/b/memory.max": "max\n",
    "sys/fs/cgroup/a/b/cpu.max": "50000 100000\n",
    "sys/fs/cgroup/cpu.max": "max 100000\n",
}
V1 = {
    "proc/self/cgroup": "5:memory:/m\n4:cpu,cpuacct:/c\n0::/\n",
    "sys/fs/cgroup/memory/m/memory.limit_in_bytes": "536870912\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "sys/fs/cgroup/cpu/c/cpu.cfs_quota_us": "150000\n",
    "sys/fs/cgroup/cpu/c/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
}


def test_control_groups(tmp_path: Path) -> None:
    two, one = read_cgroup(write(tmp_path / "2", V2)), read_cgroup(write(tmp_path / "1", V1))
    # The least of a group and of those above it is in force.
    assert (two.memory_mb, two.cpus) == (1024, 0.5) and two.source == "cgroup v2"
    assert (one.memory_mb, one.cpus) == (512, 1.5)
    assert read_cgroup(tmp_path / "none").memory_mb is None


def test_limits_against_needs(tmp_path: Path) -> None:
    root = write(tmp_path, {**V2, "proc/meminfo": "MemTotal:       8388608 kB\n"})
    found = {str(n.what): n for n in check_host(HostNeeds(memory_mb=2048, cpus=2), root)}
    assert found["memory"].state is State.MISSING and "1024 MiB (cgroup v2)" in found["memory"].found
    assert found["processors"].state is State.MISSING and "0.5" in found["processors"].found
    assert states(HostNeeds(memory_mb=512, cpus=0.5), root) == {"memory": State.OK, "processors": State.OK}
    assert states(HostNeeds(memory_mb=512), tmp_path / "none") == {"memory": State.UNKNOWN}


@pytest.mark.parametrize(
    "data", [{}, {"calls": ["A B"]}, {"sysctls": {"novalue": 1}}, {"memory_mb": -1}, {"kernel": "new"}]
)
def test_needs_that_say_nothing(data: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        HostNeeds.model_validate(data)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / "xinchuang.yaml"
    manifest.write_text(
        'schema: xc-subject/1\nname: s\nversion: "1"\nhost: {kernel: "4.4", sysctls: {vm.max_map_count: 1}}\n'
    )
    assert main(["host", "check", str(tmp_path)]) == 0
    assert "ok       sysctl vm.max_map_count" in capsys.readouterr().out
    manifest.write_text('schema: xc-subject/1\nname: s\nversion: "1"\nhost: {kernel: "999"}\n')
    assert main(["host", "check", str(tmp_path), "--json"]) == 1
    manifest.write_text('schema: xc-subject/1\nname: s\nversion: "1"\nhost: {calls: [read]}\n')
    assert main(["host", "check", str(tmp_path)]) == 3
    manifest.write_text(
        'schema: xc-subject/1\nname: s\nversion: "1"\nunits: [{name: u, kind: c, sources: [xinchuang.yaml]}]\n'
    )
    assert main(["host", "check", str(tmp_path)]) == 2
    assert "no host section" in capsys.readouterr().err
