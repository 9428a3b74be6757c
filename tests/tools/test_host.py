"""What host this is, by pictures of hosts; and what is made of files that are not what they should be."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from pytest_xinchuang.tools.host import Ci, Container, Device, HostReader, look, situation
from tests.sandbox.hosts import ALL, APT, DEBIAN, HOSTS, Host, Picture, machine, status, system


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_a_host_is_known_by_what_is_read(host: Host) -> None:
    seen = look(host.picture)
    assert seen.container is host.container
    assert seen.install("squashfs-tools") == host.squashfs
    assert (seen.memory_mb, seen.processors) == (host.memory_mb, host.processors)
    assert seen.root is (host.picture.user == 0)


def test_this_host_is_read_quickly_and_once() -> None:
    situation()
    times = []
    for _turn in range(5):
        start = time.perf_counter()
        look(HostReader())
        times.append(time.perf_counter() - start)
    assert min(times) < 0.02, "5 ms on a quiet machine"
    assert situation() is situation()
    seen = situation()
    assert seen.kernel > (3, 0) and seen.machine and seen.python >= (3, 11) and seen.memory_mb and seen.processors


def test_nothing_can_be_read() -> None:
    seen = look(Picture(there=frozenset()))
    assert seen.container is Container.NONE and not seen.masked and seen.memory_mb is None and seen.processors is None
    assert (seen.installer, seen.install("docker"), seen.kvm, seen.ci) == ((), "", Device.ABSENT, Ci.NONE)


GARBAGE = {
    "/etc/os-release": "=\nID\n#ID=x\n\x00ID_LIKE=''\n",
    "/proc/self/mountinfo": "1 2\n- - -\n\n1 2 3 4 5 6 -\n1 2 3 / / rw - overlay",
    "/proc/self/status": "Seccomp\n:\nCapEff\tx",
    "/proc/meminfo": "MemTotal:\nMemTotal: x kB",
    "/proc/self/cgroup": "x\n::\n1:memory\n0:/x",
    "/proc/sys/user/max_user_namespaces": "9" * 50,
}


@pytest.mark.parametrize("name", GARBAGE)
def test_a_file_with_something_else_in_it_tells_nothing(name: str) -> None:
    whole = machine()
    seen = look(Picture({**whole, name: GARBAGE[name]}, programs=APT))
    assert seen.container is Container.NONE and not seen.masked


@pytest.mark.parametrize(("value", "mode"), [("2", 2), ("0", 0), ("", 0), ("two", 0), ("²", 0), ("-1", 0)])
def test_the_mode_of_seccomp(value: str, mode: int) -> None:
    own = status().replace("Seccomp:\t0", f"Seccomp:\t{value}")
    assert look(Picture(machine(own=own))).seccomp == mode


def test_a_distribution_has_its_own_package_manager_first() -> None:
    both = frozenset({"apt-get", "dnf", "sudo"})
    assert look(Picture(machine(DEBIAN), programs=both)).install("x") == "sudo apt-get install x"
    assert look(Picture(machine(system("fedora", "42")), programs=both)).install("x") == "sudo dnf install x"
    assert look(Picture(machine(system("nobody", "1")), programs=both)).install("x") == "sudo apt-get install x"
    assert look(Picture(machine(system("nobody", "1", "suse")))).install("docker") == "su -c 'zypper install docker'"


@pytest.mark.parametrize(
    ("id_", "like", "docker", "gcc"),
    [
        ("debian", "", "docker.io", "gcc-aarch64-linux-gnu"),
        ("fedora", "", "moby-engine", "gcc-aarch64-linux-gnu"),
        ("openEuler", "", "docker-engine", ""),
        ("alpine", "", "docker", ""),
        ("arch", "", "docker", "aarch64-linux-gnu-gcc"),
        ("anolis", "rhel centos", "docker", ""),
    ],
)
def test_a_package_has_its_name_by_distribution(id_: str, like: str, docker: str, gcc: str) -> None:
    seen = look(Picture(machine(system(id_, "1", like)), user=0))
    assert seen.install("docker").rpartition(" ")[2] == docker
    assert seen.install("gcc-aarch64").rpartition(" ")[2] == gcc


def test_a_device_that_may_not_be_opened() -> None:
    base = Picture(machine(), there=frozenset({"/dev/kvm"}))
    assert look(base).kvm is Device.DENIED
    assert look(replace(base, may=frozenset({"/dev/kvm"}))).kvm is Device.USABLE


def test_capabilities() -> None:
    assert look(Picture(machine(own=status(0, ALL)))).privileged
    assert not look(Picture(machine(own=status(0, 0)))).privileged
