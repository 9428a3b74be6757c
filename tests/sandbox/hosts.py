"""Hosts of users as pictures: what `tools/host.py` reads there, and what it has to make of that.

The pictures of Docker's default containers were copied from such; the others are put together of what their makers' sources and
manuals say. Mends of ``TRIED`` were carried out, and the rootless sandbox was whole afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_xinchuang.sandbox.situation import Hindrance
from pytest_xinchuang.tools.host import Container, Uname

ALL = 0x1FFFFFFFFFF
DOCKERS = 0xA80425FB
"""The capabilities of root in a default container."""

DEBIANS = Uname("x86_64", "6.1.0-37-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1 (2025-05-22)")


@dataclass(frozen=True)
class Picture:
    """A host, as a :class:`pytest_xinchuang.tools.host.Reader`."""

    files: Mapping[str, str] = field(default_factory=dict)
    there: frozenset[str] = frozenset({"/proc/self/ns/user"})
    programs: frozenset[str] = frozenset()
    environ: Mapping[str, str] = field(default_factory=dict)
    uname: Uname = DEBIANS
    user: int = 1000
    libc: str = "glibc 2.36"
    python: tuple[int, int] = (3, 11)
    may: frozenset[str] = frozenset()

    def file(self, path: str) -> str | None:
        return self.files.get(path)

    def exists(self, path: str) -> bool:
        return path in self.there or path in self.files

    def which(self, name: str) -> str | None:
        return f"/usr/bin/{name}" if name in self.programs else None

    def usable(self, path: str) -> bool:
        return path in self.may

    def limit(self, which: str) -> int | None:
        return {"RLIMIT_NOFILE": 1024, "RLIMIT_NPROC": None}[which]

    def size_mb(self, path: str) -> int | None:
        return 64


@dataclass(frozen=True)
class Host:
    """A picture with what has to be made of it.

    Attributes:
        container: what it is in. hindered: what hinders the rootless sandbox. mend: what makes it start, in part.
        squashfs: the command that installs squashfs-tools. memory_mb, processors: the least of machine and control group.
    """

    picture: Picture
    container: Container = Container.NONE
    hindered: tuple[Hindrance, ...] = ()
    mend: str = "--xc-backend=system"
    squashfs: str = ""
    memory_mb: int | None = 7900
    processors: float | None = 4.0


def status(
    seccomp: int = 0, capabilities: int = 0, *, no_new: int = 0, bounding: int = ALL, processors: str = "f"
) -> str:
    return (
        f"Name:\tpython3\nCapEff:\t{capabilities:016x}\nCapBnd:\t{bounding:016x}\nNoNewPrivs:\t{no_new}\n"
        f"Seccomp:\t{seccomp}\nCpus_allowed:\t{processors}"
    )


MEMORY = "MemTotal:        8089600 kB\nMemFree:         1000000 kB"
DISK = (
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n24 22 0:22 / /proc rw,nosuid - proc proc rw\n"
    "30 24 0:28 / /proc/sys/fs/binfmt_misc rw,relatime shared:13 - autofs systemd-1 rw,fd=29\n"
    "40 22 0:30 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw"
)
OVERLAY = (
    "72 48 0:39 / / rw,relatime master:2 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/JLHG\n"
    "73 72 0:42 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n"
)
MASKS = (
    "49 73 0:42 /bus /proc/bus ro,nosuid,nodev,noexec,relatime - proc proc rw\n"
    "52 73 0:42 /sys /proc/sys ro,nosuid,nodev,noexec,relatime - proc proc rw\n"
    "53 73 0:48 / /proc/acpi ro,relatime - tmpfs tmpfs ro\n"
    "54 73 0:43 /null /proc/keys rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755"
)
DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian'


def system(name: str, version: str, like: str = "", codename: str = "") -> str:
    lines = [f'NAME="{name}"', f"ID={name}" if name.islower() else f'ID="{name}"', f'VERSION_ID="{version}"']
    return "\n".join(
        [*lines, *([f'ID_LIKE="{like}"'] if like else []), *([f"VERSION_CODENAME={codename}"] if codename else [])]
    )


def machine(os_release: str = DEBIAN, mounts: str = DISK, own: str = "", **files: str) -> dict[str, str]:
    """Files of a host; keywords are sysctls and what is named below."""
    named = {
        "most": "/proc/sys/user/max_user_namespaces",
        "clone": "/proc/sys/kernel/unprivileged_userns_clone",
        "apparmor": "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "profile": "/proc/self/attr/apparmor/current",
        "groups": "/proc/self/cgroup",
        "memory": "/sys/fs/cgroup/memory.max",
        "cpu": "/sys/fs/cgroup/cpu.max",
        "marked": "/run/systemd/container",
    }
    return {
        "/etc/os-release": os_release,
        "/proc/self/mountinfo": mounts,
        "/proc/self/status": own or status(),
        "/proc/meminfo": MEMORY,
        **{named[name]: text for name, text in ({"most": "31000", "groups": "0::/"} | files).items()},
    }


def kernel(release: str, machine: str = "x86_64") -> Uname:
    return Uname(machine, release, "#1 SMP")


APT = frozenset({"apt-get", "sudo"})
DNF = frozenset({"dnf", "yum", "sudo"})
IN_DOCKER = frozenset({"/proc/self/ns/user", "/.dockerenv"})
RUN = "docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined"

HOSTS: dict[str, Host] = {
    "Debian 11": Host(
        Picture(machine(system("debian", "11"), clone="1"), programs=APT, uname=kernel("5.10.0-35-amd64")),
        hindered=(Hindrance.NO_OVERLAY, Hindrance.NO_BINFMT),
        squashfs="sudo apt-get install squashfs-tools",
    ),
    "Debian 12": Host(
        Picture(machine(), programs=APT),
        hindered=(Hindrance.NO_BINFMT,),
        squashfs="sudo apt-get install squashfs-tools",
    ),
    "Debian 12, root": Host(
        Picture(machine(own=status(capabilities=ALL)), programs=APT, user=0),
        hindered=(Hindrance.NO_BINFMT,),
        squashfs="apt-get install squashfs-tools",
    ),
    "Debian 13": Host(
        Picture(machine(system("debian", "13")), programs=APT, uname=kernel("6.12.41+deb13-amd64")),
        squashfs="sudo apt-get install squashfs-tools",
    ),
    "Debian 10, user namespaces for root": Host(
        Picture(machine(system("debian", "10"), clone="0"), programs=APT, uname=kernel("4.19.0-27-amd64")),
        hindered=(Hindrance.FORBIDDEN, Hindrance.NO_OVERLAY, Hindrance.NO_BINFMT),
        mend="sudo sysctl -w kernel.unprivileged_userns_clone=1",
        squashfs="sudo apt-get install squashfs-tools",
    ),
    "user namespaces off": Host(
        Picture(machine(most="0"), programs=frozenset({"apt-get"})),
        hindered=(Hindrance.NONE_LEFT, Hindrance.NO_BINFMT),
        mend="su -c 'sysctl -w user.max_user_namespaces=15000'",
        squashfs="su -c 'apt-get install squashfs-tools'",
    ),
    "a kernel without user namespaces": Host(
        Picture(machine(), programs=APT, there=frozenset()),
        hindered=(Hindrance.NO_NAMESPACES, Hindrance.NO_BINFMT),
        mend="CONFIG_USER_NS",
        squashfs="sudo apt-get install squashfs-tools",
    ),
    "Ubuntu 22.04": Host(
        Picture(
            machine(system("ubuntu", "22.04", "debian"), profile="unconfined"),
            programs=APT,
            uname=kernel("5.15.0-140-generic"),
        ),
        hindered=(Hindrance.NO_BINFMT,),
        squashfs="sudo apt-get install squashfs-tools",
    ),
    "Ubuntu 24.04": Host(
        Picture(
            machine(system("ubuntu", "24.04", "debian"), apparmor="1", profile="unconfined"),
            programs=APT,
            uname=kernel("6.8.0-60-generic"),
        ),
        hindered=(Hindrance.CONFINED,),
        mend="sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        squashfs="sudo apt-get install squashfs-tools",
    ),
    "default container, root": Host(
        Picture(
            machine(mounts=OVERLAY + MASKS, own=status(2, DOCKERS, bounding=DOCKERS)),
            programs=frozenset({"apt-get"}),
            there=IN_DOCKER,
            user=0,
            uname=kernel("6.18.44"),
        ),
        container=Container.DOCKER,
        hindered=(Hindrance.FILTERED, Hindrance.MASKED),
        mend=RUN,
        squashfs="apt-get install squashfs-tools",
    ),
    "default container, user": Host(
        Picture(
            machine(mounts=OVERLAY + MASKS, own=status(2, 0, bounding=DOCKERS), memory="max"),
            programs=frozenset({"apt-get"}),
            there=IN_DOCKER,
            user=1001,
            uname=kernel("6.18.44"),
        ),
        container=Container.DOCKER,
        hindered=(Hindrance.FILTERED, Hindrance.MASKED),
        mend=RUN,
        squashfs="su -c 'apt-get install squashfs-tools'",
    ),
    "default container on a host with AppArmor, 1 GiB and half a processor": Host(
        Picture(
            machine(
                mounts=OVERLAY + MASKS + "\n77 76 0:46 / /sys/fs/cgroup ro - cgroup2 cgroup rw",
                own=status(2, DOCKERS),
                profile="docker-default (enforce)",
                memory="1073741824",
                cpu="50000 100000",
            ),
            there=IN_DOCKER,
            user=0,
            uname=kernel("6.8.0-60-generic"),
        ),
        container=Container.DOCKER,
        hindered=(Hindrance.FILTERED, Hindrance.UNMOUNTABLE, Hindrance.MASKED),
        mend=f"{RUN} --security-opt apparmor=unconfined ...",
        squashfs="apt-get install squashfs-tools",
        memory_mb=1024,
        processors=0.5,
    ),
    "container with seccomp=unconfined": Host(
        Picture(
            machine(mounts=OVERLAY + MASKS, own=status(0, DOCKERS)), there=IN_DOCKER, user=0, uname=kernel("6.18.44")
        ),
        container=Container.DOCKER,
        hindered=(Hindrance.MASKED,),
        mend=RUN,
        squashfs="apt-get install squashfs-tools",
    ),
    "container with seccomp=unconfined and systempaths=unconfined": Host(
        Picture(machine(mounts=OVERLAY, own=status(0, DOCKERS)), there=IN_DOCKER, user=0, uname=kernel("6.18.44")),
        container=Container.DOCKER,
        squashfs="apt-get install squashfs-tools",
    ),
    "container with --privileged": Host(
        Picture(machine(mounts=OVERLAY, own=status(0, ALL)), there=IN_DOCKER, user=0, uname=kernel("6.12.0")),
        container=Container.DOCKER,
        squashfs="apt-get install squashfs-tools",
    ),
    "container of control groups of version 1, 512 MiB": Host(
        Picture(
            machine(
                mounts=OVERLAY
                + MASKS
                + "\n81 77 0:32 /docker/a14b /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"
                + "\n78 77 0:29 /docker/a14b /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu",
                own=status(2, DOCKERS),
                groups="4:memory:/docker/a14b\n1:cpu:/docker/a14b\n0::/docker/a14b",
            )
            | {
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912",
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            user=0,
            uname=kernel("6.18.44"),
        ),
        container=Container.DOCKER,
        hindered=(Hindrance.FILTERED, Hindrance.MASKED),
        mend=RUN,
        squashfs="apt-get install squashfs-tools",
        memory_mb=512,
        processors=2.0,
    ),
    "Kubernetes, restricted": Host(
        Picture(
            machine(
                mounts=OVERLAY + MASKS,
                own=status(2, 0, no_new=1, bounding=0),
                profile="cri-containerd.apparmor.d (enforce)",
            ),
            environ={"KUBERNETES_SERVICE_HOST": "10.96.0.1"},
            user=1000650000,
            uname=kernel("5.14.0-427.el9.x86_64"),
        ),
        container=Container.KUBERNETES,
        hindered=(Hindrance.FILTERED, Hindrance.UNMOUNTABLE, Hindrance.MASKED, Hindrance.NO_BINFMT),
        mend="procMount: Unmasked",
        squashfs="su -c 'apt-get install squashfs-tools'",
    ),
    "Podman, rootless": Host(
        Picture(
            machine(system("fedora", "42"), mounts=OVERLAY + MASKS, own=status(2, 0x800405FB)),
            there=frozenset({"/proc/self/ns/user", "/run/.containerenv"}),
            programs=frozenset({"dnf"}),
            user=0,
            uname=kernel("6.14.5-300.fc42.x86_64"),
        ),
        container=Container.PODMAN,
        hindered=(Hindrance.MASKED,),
        mend="podman run --security-opt seccomp=unconfined --security-opt unmask=ALL",
        squashfs="dnf install squashfs-tools",
    ),
    "LXC": Host(
        Picture(
            machine(
                mounts="450 400 253:3 /containers/c1/rootfs / rw - zfs tank/c1 rw\n"
                "455 450 0:60 / /proc rw - proc proc rw\n"
                "470 455 0:50 /proc/cpuinfo /proc/cpuinfo rw - fuse.lxcfs lxcfs rw\n",
                own=status(2, ALL),
                profile="lxc-c1_</var/lib/lxd>//&:lxd-c1_<var-lib-lxd>:unconfined",
                marked="lxc",
            ),
            user=0,
            uname=kernel("6.8.0-60-generic"),
        ),
        container=Container.LXC,
        hindered=(Hindrance.MASKED,),
        mend="security.nesting=true",
        squashfs="apt-get install squashfs-tools",
    ),
    "WSL2": Host(
        Picture(
            machine(
                system("ubuntu", "24.04", "debian"),
                mounts="75 64 8:32 / / rw,relatime - ext4 /dev/sdc rw,discard\n"
                "90 75 0:30 / /proc/sys/fs/binfmt_misc rw - binfmt_misc binfmt_misc rw",
            ),
            programs=APT,
            uname=kernel("5.15.167.4-microsoft-standard-WSL2"),
        ),
        hindered=(Hindrance.NO_BINFMT,),
        squashfs="sudo apt-get install squashfs-tools",
    ),
    "gVisor": Host(
        Picture(
            machine(mounts="1 0 0:1 / / rw - 9p none rw", own=status(0, DOCKERS)),
            there=frozenset({"/proc/self/ns/user", "/.dockerenv"}),
            user=0,
            uname=Uname("x86_64", "4.4.0", "#1 SMP Sun Jan 10 15:06:54 PST 2016"),
        ),
        container=Container.GVISOR,
        hindered=(Hindrance.OTHER_KERNEL, Hindrance.NO_OVERLAY, Hindrance.NO_BINFMT),
        mend="runc",
        squashfs="apt-get install squashfs-tools",
    ),
    "a virtual machine made of a container's image": Host(
        Picture(
            machine(own=status(0, ALL)),
            there=IN_DOCKER | {"/dev/kvm"},
            user=0,
            uname=kernel("6.18.44"),
            may=frozenset(),
        ),
        squashfs="apt-get install squashfs-tools",
    ),
    "openEuler 22.03": Host(
        Picture(machine(system("openEuler", "22.03")), programs=DNF, uname=kernel("5.10.0-60.18.0.50.oe2203.x86_64")),
        hindered=(Hindrance.NO_OVERLAY, Hindrance.NO_BINFMT),
        squashfs="sudo dnf install squashfs-tools",
    ),
    "Kylin V10 server": Host(
        Picture(
            machine(system("kylin", "V10"), most="0"),
            programs=frozenset({"yum", "dnf", "sudo"}),
            uname=kernel("4.19.90-52.22.v2207.ky10.x86_64"),
        ),
        hindered=(Hindrance.NONE_LEFT, Hindrance.NO_OVERLAY, Hindrance.NO_BINFMT),
        mend="sudo sysctl -w user.max_user_namespaces=15000",
        squashfs="sudo dnf install squashfs-tools",
    ),
    "Kylin V10 desktop": Host(
        Picture(machine(system("kylin", "V10", "debian"), clone="1"), programs=APT, uname=kernel("5.4.18-85-generic")),
        hindered=(Hindrance.NO_OVERLAY, Hindrance.NO_BINFMT),
        squashfs="sudo apt-get install squashfs-tools",
    ),
    "UOS 20 server": Host(
        Picture(
            machine(system("uos", "20")),
            programs=frozenset({"yum", "sudo"}),
            uname=kernel("4.19.90-2211.5.0.0178.uel20"),
        ),
        hindered=(Hindrance.NO_OVERLAY, Hindrance.NO_BINFMT),
        squashfs="sudo yum install squashfs-tools",
    ),
    "Anolis OS 8": Host(
        Picture(
            machine(system("anolis", "8.8", "rhel fedora centos")), programs=DNF, uname=kernel("5.10.134-13.an8.x86_64")
        ),
        hindered=(Hindrance.NO_OVERLAY, Hindrance.NO_BINFMT),
        squashfs="sudo dnf install squashfs-tools",
    ),
    "openSUSE": Host(
        Picture(machine(system("opensuse-leap", "15.6", "suse opensuse")), uname=kernel("6.4.0-150600")),
        hindered=(Hindrance.NO_BINFMT,),
        squashfs="su -c 'zypper install squashfs'",
    ),
    "Alpine": Host(
        Picture(
            machine(system("alpine", "3.21"), mounts=OVERLAY + MASKS, own=status(2, DOCKERS)),
            there=IN_DOCKER,
            programs=frozenset({"apk"}),
            user=0,
            libc="musl",
            uname=kernel("6.8.0"),
        ),
        container=Container.DOCKER,
        hindered=(Hindrance.FILTERED, Hindrance.MASKED),
        mend=RUN,
        squashfs="apk add squashfs-tools",
    ),
    "a LoongArch board": Host(
        Picture(
            machine(system("loongnix-server", "8.4", "rhel fedora centos"), most="15000"),
            programs=DNF,
            uname=kernel("4.19.190-7.lns8.loongarch64", "loongarch64"),
            libc="glibc 2.28",
        ),
        hindered=(Hindrance.MACHINE, Hindrance.NO_OVERLAY, Hindrance.NO_BINFMT),
        mend="--xc-backend=native",
        squashfs="sudo dnf install squashfs-tools",
    ),
    "an arm64 board": Host(
        Picture(
            machine(system("openEuler", "24.03")),
            programs=DNF,
            uname=kernel("6.6.0-28.0.0.34.oe2403.aarch64", "aarch64"),
        ),
        hindered=(Hindrance.NO_BINFMT,),
        squashfs="sudo dnf install squashfs-tools",
    ),
    "GitHub's runner": Host(
        Picture(
            machine(system("ubuntu", "24.04", "debian"), apparmor="0", profile="unconfined"),
            programs=APT,
            environ={"GITHUB_ACTIONS": "true", "CI": "true"},
            uname=kernel("6.11.0-1015-azure"),
        ),
        squashfs="sudo apt-get install squashfs-tools",
    ),
    "a container of GitHub's runner": Host(
        Picture(
            machine(mounts=OVERLAY + MASKS, own=status(2, DOCKERS)),
            there=IN_DOCKER,
            environ={"GITHUB_ACTIONS": "true"},
            user=0,
            uname=kernel("6.11.0-1015-azure"),
        ),
        container=Container.DOCKER,
        hindered=(Hindrance.FILTERED, Hindrance.MASKED),
        mend='container: {options: "--security-opt seccomp=unconfined --security-opt systempaths=unconfined"}',
        squashfs="apt-get install squashfs-tools",
    ),
    "GitLab's runner": Host(
        Picture(
            machine(mounts=OVERLAY + MASKS, own=status(2, DOCKERS)),
            there=IN_DOCKER,
            environ={"GITLAB_CI": "true", "CI": "true"},
            user=0,
            uname=kernel("6.11.0"),
        ),
        container=Container.DOCKER,
        hindered=(Hindrance.FILTERED, Hindrance.MASKED),
        mend='security_opt = ["seccomp=unconfined", "systempaths=unconfined"]',
        squashfs="apt-get install squashfs-tools",
    ),
    "a service of systemd with a filter": Host(
        Picture(machine(own=status(2, 0, no_new=1)), programs=APT, uname=kernel("6.12.0")),
        hindered=(Hindrance.FILTERED,),
        mend="outside of the service",
        squashfs="sudo apt-get install squashfs-tools",
    ),
}

TRIED = {
    "default container, root": "Docker 20.10.24 with the two options of the mend: `xc doctor` found the rootless sandbox whole",
    "default container, user": "the same as user 1001: no step of sandbox/trial.py was refused",
    "container with seccomp=unconfined": "with systempaths=unconfined beside it: no step was refused",
    "user namespaces off": "in a user namespace whose max_user_namespaces was zero: ENOSPC, as the hindrance says",
}
"""Host -> what its mend was tried with."""
