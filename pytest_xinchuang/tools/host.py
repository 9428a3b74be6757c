"""What host this is: container, kernel, permissions, limits, distribution and Python, by reading a few files.

No program is started, so that whoever words a mend may ask. What only a trial decides, `xc doctor` tries.
"""

from __future__ import annotations

import functools
import os
import platform
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

SYS_ADMIN = 21
"""CAP_SYS_ADMIN of <linux/capability.h>, as a bit."""


class Uname(NamedTuple):
    """uname(2): ``version`` is the build's, e.g. "#1 SMP PREEMPT_DYNAMIC ..."."""

    machine: str
    release: str
    version: str


class Reader(Protocol):
    """How a host is asked.

    Attributes:
        environ: variables. uname: of the kernel. user: the effective user id. libc: "glibc 2.36", "musl 1.2".
        python: version of the interpreter, of two numbers.
    """

    @property
    def environ(self) -> Mapping[str, str]: ...
    @property
    def uname(self) -> Uname: ...
    @property
    def user(self) -> int: ...
    @property
    def libc(self) -> str: ...
    @property
    def python(self) -> tuple[int, int]: ...

    def file(self, path: str) -> str | None:
        """The text of a file; None when it is not there or may not be read."""

    def exists(self, path: str) -> bool: ...

    def which(self, name: str) -> str | None:
        """The path of a program."""

    def usable(self, path: str) -> bool:
        """Whether a file may be read and written."""

    def limit(self, which: str) -> int | None:
        """A resource limit by its name in <sys/resource.h>; None: there is none."""

    def size_mb(self, path: str) -> int | None:
        """The size of the file system at a path, MiB; None: it cannot be told."""


class HostReader:
    """Asks this very host."""

    @property
    def environ(self) -> Mapping[str, str]:
        return os.environ

    @property
    def uname(self) -> Uname:
        name = platform.uname()
        return Uname(name.machine, name.release, name.version)

    @property
    def user(self) -> int:
        return os.geteuid() if hasattr(os, "geteuid") else 1000  # Windows has other users

    @property
    def libc(self) -> str:
        try:
            if said := os.confstr("CS_GNU_LIBC_VERSION"):
                return said
        except (AttributeError, ValueError, OSError):
            pass
        return "musl" if any(Path("/lib").glob("ld-musl-*")) else ""

    @property
    def python(self) -> tuple[int, int]:
        return sys.version_info[:2]

    def file(self, path: str) -> str | None:
        try:
            return Path(path).read_text(encoding="utf-8", errors="replace").rstrip("\0\n")
        except OSError:
            return None

    def exists(self, path: str) -> bool:
        return os.path.lexists(path)

    def which(self, name: str) -> str | None:
        return shutil.which(name)

    def usable(self, path: str) -> bool:
        return os.access(path, os.R_OK | os.W_OK)

    def limit(self, which: str) -> int | None:
        try:
            import resource
        except ImportError:
            return None
        soft = resource.getrlimit(getattr(resource, which))[0]
        return None if soft == resource.RLIM_INFINITY else soft

    def size_mb(self, path: str) -> int | None:
        try:
            return shutil.disk_usage(path).total >> 20
        except OSError:
            return None


class Container(StrEnum):
    """What a process may be in."""

    NONE = ""
    DOCKER = "docker"
    PODMAN = "podman"
    KUBERNETES = "kubernetes"
    LXC = "lxc"
    NSPAWN = "systemd-nspawn"
    GVISOR = "gvisor"
    OTHER = "container"


class Ci(StrEnum):
    """A service that runs jobs, where it tells by what a container is started."""

    NONE = ""
    GITHUB = "github"
    GITLAB = "gitlab"
    OTHER = "ci"


class Device(StrEnum):
    """Whether a device is there for us."""

    ABSENT = "absent"
    DENIED = "denied"
    USABLE = "usable"


@dataclass(frozen=True)
class Situation:
    """What is seen of a host. A number that is None could not be read, or is not limited.

    Attributes:
        container, ci: what this process is in. wsl: the kernel is that of Windows' subsystem for Linux.
        seccomp: mode of the filter of system calls: 0 none, 2 a program. no_new_privileges: sudo does nothing.
        capabilities, bounding: bit sets of <linux/capability.h>.
        user: effective user id.
        user_namespaces: the kernel has them. most_user_namespaces: user.max_user_namespaces.
        unprivileged: kernel.unprivileged_userns_clone of Debian's kernels.
        apparmor_restricts: AppArmor leaves an unprivileged user namespace no capabilities. profile: of this process.
        masked: what lies over /proc, so that a user namespace may not mount a new one (mount_too_revealing() of the kernel).
        memory_mb, processors: of the machine or of the control group, whichever is less. shared_mb: of /dev/shm.
        files, processes: RLIMIT_NOFILE and RLIMIT_NPROC.
        kernel: the first two numbers of ``release``.
        distribution, version, codename: ID, VERSION_ID and VERSION_CODENAME of os-release. like: ID_LIKE.
        installer: what installs a package, e.g. ("apt-get", "install"); empty: none is known.
        sudo: whether that program is there.
        python, libc: of this process.
        kvm: /dev/kvm. systemd: it is the host's first process.
    """

    container: Container
    ci: Ci
    wsl: bool
    seccomp: int
    no_new_privileges: bool
    capabilities: int
    bounding: int
    user: int
    user_namespaces: bool
    most_user_namespaces: int | None
    unprivileged: int | None
    apparmor_restricts: bool
    profile: str
    masked: tuple[str, ...]
    memory_mb: int | None
    processors: float | None
    shared_mb: int | None
    files: int | None
    processes: int | None
    kernel: tuple[int, int]
    release: str
    machine: str
    distribution: str
    version: str
    codename: str
    like: tuple[str, ...]
    installer: tuple[str, ...]
    sudo: bool
    python: tuple[int, int]
    libc: str
    kvm: Device
    systemd: bool

    @property
    def root(self) -> bool:
        return self.user == 0

    @property
    def privileged(self) -> bool:
        """Whether it may mount and make namespaces without a user namespace."""
        return bool(self.capabilities >> SYS_ADMIN & 1)

    def as_root(self, command: str) -> str:
        """A command that only root may give, as this user gives it."""
        if self.root:
            return command
        return f"sudo {command}" if self.sudo else f"su -c {shlex.quote(command)}"

    def install(self, package: str) -> str:
        """The command that installs a package of :data:`PACKAGES`, or one that is named alike everywhere; "": not known."""
        if not self.installer:
            return ""
        names = PACKAGES.get(package, {})
        tool = self.installer[0]
        kinds = (self.distribution, *self.like, tool, _FAMILY.get(tool, ""), "")
        name = next((names[kind] for kind in kinds if kind in names), "" if names else package)
        return self.as_root(" ".join((*self.installer, name))) if name else ""


_EMPTY = ("/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd")
"""Directories of /proc that are always empty: what is mounted there covers nothing (mnt_already_visible() of the kernel)."""

PACKAGES: Mapping[str, Mapping[str, str]] = {
    "squashfs-tools": {"": "squashfs-tools", "zypper": "squashfs"},
    "docker": {
        "deb": "docker.io",
        "fedora": "moby-engine",
        # openEuler's name, which the systems made of it have kept.
        "openeuler": "docker-engine",
        "kylin": "docker-engine",
        "rpm": "docker",
        "zypper": "docker",
        "apk": "docker",
        "pacman": "docker",
    },
    "gcc-aarch64": {
        "deb": "gcc-aarch64-linux-gnu",
        "fedora": "gcc-aarch64-linux-gnu",
        "pacman": "aarch64-linux-gnu-gcc",
    },
    "python3-venv": {"deb": "python3-venv"},
}
"""A package -> its name by distribution (ID or ID_LIKE), by installer, or by family; "" is every other's."""

_INSTALLERS: Mapping[str, tuple[str, ...]] = {
    "apt-get": ("apt-get", "install"),
    "dnf": ("dnf", "install"),
    "yum": ("yum", "install"),
    "zypper": ("zypper", "install"),
    "apk": ("apk", "add"),
    "pacman": ("pacman", "-S"),
}
_FAMILY = {"apt-get": "deb", "dnf": "rpm", "yum": "rpm", "zypper": "rpm", "apk": "apk"}

_LIKE = {
    # By their own package managers: ID_LIKE is missing or wrong on some.
    **dict.fromkeys(("debian", "ubuntu", "deepin", "loongnix", "linuxmint"), "apt-get"),
    **dict.fromkeys(
        ("fedora", "rhel", "centos", "rocky", "almalinux", "openeuler", "anolis", "alinux", "opencloudos"), "dnf"
    ),
    **dict.fromkeys(("suse", "opensuse", "opensuse-leap", "opensuse-tumbleweed", "sles"), "zypper"),
    "alpine": "apk",
    "arch": "pacman",
}
"""ID or ID_LIKE of os-release -> package manager. Kylin and UOS sell systems of both kinds under one ID: they are asked."""


def look(reader: Reader) -> Situation:
    """Ask a host."""
    status = _status(reader.file("/proc/self/status") or "")
    mounts = _mounts(reader.file("/proc/self/mountinfo") or "")
    groups = reader.file("/proc/self/cgroup") or ""
    system = _os_release(reader)
    like = tuple(system.get("ID_LIKE", "").lower().split())
    profile = (reader.file("/proc/self/attr/apparmor/current") or reader.file("/proc/self/attr/current") or "").strip()
    return Situation(
        container=_container(reader, mounts, groups),
        ci=_ci(reader.environ),
        wsl="microsoft" in reader.uname.release.lower(),
        seccomp=_number(status.get("Seccomp")) or 0,
        no_new_privileges=status.get("NoNewPrivs") == "1",
        capabilities=_bits(status.get("CapEff", "")),
        bounding=_bits(status.get("CapBnd", "")),
        user=reader.user,
        user_namespaces=reader.exists("/proc/self/ns/user"),
        most_user_namespaces=_number(reader.file("/proc/sys/user/max_user_namespaces")),
        unprivileged=_number(reader.file("/proc/sys/kernel/unprivileged_userns_clone")),
        apparmor_restricts=reader.file("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1",
        profile=profile,
        masked=tuple(dict.fromkeys(m.point for m in mounts if m.point.startswith("/proc/") and m.point not in _EMPTY)),
        memory_mb=_memory_mb(reader, mounts, groups),
        processors=_processors(reader, mounts, groups),
        shared_mb=reader.size_mb("/dev/shm"),
        files=reader.limit("RLIMIT_NOFILE"),
        processes=reader.limit("RLIMIT_NPROC"),
        kernel=_kernel(reader.uname.release),
        release=reader.uname.release,
        machine=reader.uname.machine,
        distribution=system.get("ID", "").lower(),
        version=system.get("VERSION_ID", ""),
        codename=system.get("VERSION_CODENAME", ""),
        like=like,
        installer=_installer(reader, system.get("ID", "").lower(), like),
        sudo=reader.which("sudo") is not None,
        python=reader.python,
        libc=reader.libc,
        kvm=_kvm(reader),
        systemd=reader.exists("/run/systemd/system"),
    )


@functools.cache
def situation() -> Situation:
    """This host, as it was when it was first asked for."""
    return look(HostReader())


class _Mount(NamedTuple):
    """A line of mountinfo(5)."""

    root: str
    point: str
    kind: str
    source: str
    options: str


def _mounts(text: str) -> list[_Mount]:
    found = []
    for line in text.splitlines():
        words, _dash, rest = (part.split() for part in line.partition(" - "))
        if len(words) >= 6 and len(rest) >= 2:
            found.append(_Mount(words[3], words[4], rest[0], rest[1], rest[2] if len(rest) > 2 else ""))
    return found


def _status(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _colon, value in (line.partition(":") for line in text.splitlines())}


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _bits(text: str) -> int:
    """A set of bits in hexadecimal digits, in groups as /proc/self/status has them."""
    digits = text.replace(",", "")
    return int(digits, 16) if re.fullmatch("[0-9a-f]{1,1024}", digits) else 0


def _os_release(reader: Reader) -> dict[str, str]:
    text = reader.file("/etc/os-release") or reader.file("/usr/lib/os-release") or ""
    pairs = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, _equals, value in pairs}


def _container(reader: Reader, mounts: list[_Mount], groups: str) -> Container:
    if reader.uname.version == "#1 SMP Sun Jan 10 15:06:54 PST 2016":
        return Container.GVISOR  # pkg/sentry/kernel/version.go has told this since 2018
    if "KUBERNETES_SERVICE_HOST" in reader.environ or "kubepods" in groups:
        return Container.KUBERNETES
    said = (reader.file("/run/systemd/container") or "").strip() or reader.environ.get("container", "")
    if reader.exists("/run/.containerenv") or said == "podman":
        return Container.PODMAN
    top = next((m for m in mounts if m.point == "/"), None)
    # Virtual machines are made of images too, and keep the file; their root is a disk of their own.
    of_disk = top is not None and top.source.startswith("/dev/") and top.root == "/" and "docker" not in top.source
    if said == "docker" or "/docker/" in groups or (reader.exists("/.dockerenv") and not of_disk):
        return Container.DOCKER
    if said.startswith("lxc") or "/lxc" in groups or any(m.kind == "fuse.lxcfs" for m in mounts):
        return Container.LXC
    if said == Container.NSPAWN:
        return Container.NSPAWN
    masks = any(m.point.startswith("/proc/") and m.kind in ("tmpfs", "proc") for m in mounts)
    return Container.OTHER if top is not None and top.kind == "overlay" and (said or masks) else Container.NONE


def _ci(environ: Mapping[str, str]) -> Ci:
    if environ.get("GITHUB_ACTIONS") == "true":
        return Ci.GITHUB
    if environ.get("GITLAB_CI") == "true":
        return Ci.GITLAB
    return Ci.OTHER if environ.get("CI") or environ.get("JENKINS_URL") else Ci.NONE


def _kernel(release: str) -> tuple[int, int]:
    numbers = [int(part) for part in release.split("-")[0].split(".")[:2] if part.isascii() and part.isdigit()]
    return (*numbers, 0, 0)[:2]  # type: ignore[return-value]


def _installer(reader: Reader, distribution: str, like: tuple[str, ...]) -> tuple[str, ...]:
    known = next((_LIKE[name] for name in (distribution, *like) if name in _LIKE), None)
    # Debian has dnf as a package, and rpm systems apt: the distribution's own goes first. Older rpm systems have yum alone.
    order = [known, *_INSTALLERS] if known else list(_INSTALLERS)
    found = next((name for name in order if reader.which(name)), known)
    return _INSTALLERS[found] if found else ()


def _kvm(reader: Reader) -> Device:
    if not reader.exists("/dev/kvm"):
        return Device.ABSENT
    return Device.USABLE if reader.usable("/dev/kvm") else Device.DENIED


def _group_files(mounts: list[_Mount], groups: str, controller: str, name_v2: str, name_v1: str) -> list[str]:
    """Files of this process's control group and of those above it that hold a limit."""
    found = []
    for line in groups.splitlines():
        parts = line.split(":", 2)
        if len(parts) != 3:
            continue
        names, path = parts[1], parts[2]
        second = not names
        if not second and controller not in names.split(","):
            continue
        for mount in mounts:
            fits = mount.kind == ("cgroup2" if second else "cgroup")
            if fits and (second or controller in mount.options.split(",")):
                inside = path.removeprefix(mount.root) if mount.root != "/" else path
                at = Path(mount.point) / inside.lstrip("/")
                places = [at, *at.parents]
                below = [p for p in places if p.is_relative_to(mount.point)]
                found += [str(place / (name_v2 if second else name_v1)) for place in below]
    return found


def _memory_mb(reader: Reader, mounts: list[_Mount], groups: str) -> int | None:
    said = _number(_status(reader.file("/proc/meminfo") or "").get("MemTotal", "").removesuffix("kB"))
    total = None if said is None else said >> 10
    files = _group_files(mounts, groups, "memory", "memory.max", "memory.limit_in_bytes")
    limits = [number >> 20 for path in files if (number := _number(reader.file(path))) is not None]
    return min((n for n in (total, *limits) if n is not None), default=None)


def _processors(reader: Reader, mounts: list[_Mount], groups: str) -> float | None:
    listed = _status(reader.file("/proc/self/status") or "").get("Cpus_allowed", "")
    allowed = _bits(listed).bit_count()
    found = [float(allowed)] if allowed else []
    for path in _group_files(mounts, groups, "cpu", "cpu.max", "cpu.cfs_quota_us"):
        text = reader.file(path) or ""
        words = text.split() if path.endswith("cpu.max") else [text, reader.file(path.replace("quota", "period")) or ""]
        numbers = [_number(word) for word in words]
        if len(numbers) == 2 and numbers[0] and numbers[1]:
            found.append(numbers[0] / numbers[1])
    return min(found) if found else None
