"""What works on this host, what is missing, why it matters, and the exact command that mends it."""

from __future__ import annotations

import os
import platform as host
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault, XcError
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.backends.docker import connect
from pytest_xinchuang.sandbox.backends.qemu import QemuSandbox, QemuSpec
from pytest_xinchuang.sandbox.backends.system import kvm_works
from pytest_xinchuang.sandbox.circumstances import HOST_ARCH
from pytest_xinchuang.toolchain.builder import find_zig, gnu_compiler
from pytest_xinchuang.tools.go import find_go
from pytest_xinchuang.tools.process import End, Runner, first_line
from pytest_xinchuang.tools.versions import version_of

TRY_TIMEOUT_S = 10


@dataclass(frozen=True)
class HostFeature:
    """One feature of the host. ``state`` is ok, missing or unknown."""

    feature: str
    state: str
    detail: str
    matters: str
    mend: str = ""


def examine(store: Store) -> list[HostFeature]:
    """Try each feature; nothing is assumed from a version number that can be tried."""
    checks: list[Callable[[Store], HostFeature]] = [
        _kernel,
        _user_namespaces,
        _private_binfmt,
        _mmdebstrap,
        _uidmap,
        _cache,
        _zig,
        _go,
        _gnu,
        _docker,
        _kvm,
        _real_kernels,
    ]
    return [check(store) for check in checks]


def _kernel(_: Store) -> HostFeature:
    release = host.release()
    numbers = tuple(int(p) for p in release.split("-")[0].split(".")[:2] if p.isdigit())
    good = numbers >= (6, 7)
    return HostFeature(
        "Linux 6.7 or later",
        "ok" if good else "missing",
        f"{host.machine()} {release}",
        "since 6.7 each user namespace has a binfmt_misc of its own: children are emulated without root rights",
        ""
        if good
        else "install a newer kernel (Debian 12: sudo apt-get install -t bookworm-backports linux-image-amd64)",
    )


def _user_namespaces(_: Store) -> HostFeature:
    why = "the rootless sandbox is made of them"
    done = Runner().run(["unshare", "-Urmpf", "true"], timeout_s=TRY_TIMEOUT_S)
    if done.end is not End.EXITED:
        return HostFeature("user namespaces", "unknown", done.told(), why, "sudo apt-get install util-linux")
    if done.ok:
        return HostFeature("user namespaces", "ok", "an unprivileged one can be made", why)
    mend = "sudo sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000"
    if Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists():
        mend = "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return HostFeature("user namespaces", "missing", first_line(done.errors), why, mend)


def _private_binfmt(store: Store) -> HostFeature:
    feature, why = (
        "rootless sandbox with emulated children",
        "scripts and child processes run on the platform's CPU too",
    )
    names = [
        n for n, r in store.platforms.file.rootfs.items() if store.cache.peek("rootfs", n) and r.arch is not HOST_ARCH
    ]
    emulators = [e for e in store.cache.entries() if e.kind == "emulator"]
    if not names or not emulators:
        return HostFeature(feature, "unknown", "nothing is provisioned to try it with", why, "xc provision")
    recipe = store.platforms.file.rootfs[names[0]]
    architecture = store.platforms.file.architectures[recipe.arch]
    try:
        platform = next(
            store.platforms.get(i) for i in store.platforms.ids if store.platforms.get(i).arch is recipe.arch
        )
        spec = QemuSpec(
            platform.id,
            recipe.arch,
            store.rootfs(names[0]),
            store.emulator(architecture.qemu),
            platform.cpu.emulation.strict.value or "max",
            "4.19.0",
            10,
        )
        with QemuSandbox(spec) as sandbox:
            if sandbox.fingerprint.degraded:
                return HostFeature(feature, "missing", sandbox.fingerprint.degraded, why, "use Linux 6.7 or later")
            return HostFeature(
                feature, "ok", f"tried with {names[0]}, {sandbox.fingerprint.baseline_ms} ms a program", why
            )
    except XcError as fault:
        return HostFeature(feature, "missing", fault.what, why, "see the lines above")


def _tool(feature: str, program: str, why: str, mend: str) -> HostFeature:
    path = shutil.which(program)
    return HostFeature(feature, "ok" if path else "missing", path or "not on PATH", why, "" if path else mend)


def _mmdebstrap(_: Store) -> HostFeature:
    why = "root filesystems are made with it"
    if path := shutil.which("mmdebstrap"):
        return HostFeature("mmdebstrap", "ok", path, why)
    if all(shutil.which(t) for t in ("apt-get", "dpkg-deb", "perl")):
        return HostFeature("mmdebstrap", "ok", "not installed; it is unpacked into the cache from its package", why)
    return HostFeature("mmdebstrap", "missing", "not on PATH", why, "sudo apt-get install mmdebstrap")


def _uidmap(_: Store) -> HostFeature:
    return _tool(
        "uidmap",
        "newuidmap",
        "not needed for what this suite provisions; mmdebstrap's own unshare mode uses it",
        "sudo apt-get install uidmap",
    )


def _cache(store: Store) -> HostFeature:
    free = shutil.disk_usage(store.cache.root).free >> 20
    good = free > 2048
    return HostFeature(
        "cache",
        "ok" if good else "missing",
        f"{store.cache.root}, {free} MiB free",
        "root filesystems and builds live there",
        "" if good else "export XC_CACHE=/a/directory/with/2/GiB",
    )


def _zig(_: Store) -> HostFeature:
    return _compiler("zig", find_zig, "version", "C units are built with it, against the platform's glibc")


def _go(_: Store) -> HostFeature:
    return _compiler("Go", find_go, "version", "Go units are built with it")


def _compiler(feature: str, find: Callable[[], str], argument: str, why: str) -> HostFeature:
    try:
        program = find()
        return HostFeature(feature, "ok", f"{program} ({version_of(program, argument)})", why)
    except HostFault as fault:
        return HostFeature(feature, "missing", fault.what, why, fault.mend)


def _gnu(store: Store) -> HostFeature:
    found = [a.triplet for a in store.platforms.file.architectures.values() if gnu_compiler(a)]
    why = "an alternative to zig for C units"
    return HostFeature(
        "GNU cross compilers",
        "ok" if found else "missing",
        ", ".join(found) or "none",
        why,
        "" if found else "sudo apt-get install gcc-aarch64-linux-gnu",
    )


def _docker(_: Store) -> HostFeature:
    why = "vendor images run in it; the default backend does not need it"
    try:
        client = connect()
    except HostFault as fault:
        if shutil.which("dockerd") is None:
            return HostFeature("Docker Engine", "missing", fault.what, why, "sudo apt-get install docker.io")
        mend = "sudo systemctl start docker" if Path("/run/systemd/system").is_dir() else "sudo dockerd &"
        return HostFeature("Docker Engine", "missing", fault.what, why, f"{mend}  (and be in the group docker)")
    version = client.version()["Version"]
    client.close()
    number = tuple(int(part) for part in version.split("-")[0].split("+")[0].split(".")[:3] if part.isdigit())
    if number < (20, 10, 10):
        # A container is needed to try it; each sandbox of the docker backend does when it opens.
        detail = f"version {version}: its seccomp profile answers EPERM to clone3, and threads fail [XC-HOST-001]"
        return HostFeature("Docker Engine", "missing", detail, why, "install Docker 20.10.10 or later")
    return HostFeature("Docker Engine", "ok", f"version {version}", why)


def _kvm(_: Store) -> HostFeature:
    why = "a real kernel of the host's own architecture runs fast with it; without it such a kernel is emulated too"
    if kvm_works():
        return HostFeature("KVM", "ok", "a virtual machine can be made", why)
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        return HostFeature("KVM", "missing", "/dev/kvm can be opened, but makes no machine", why, "switch nesting on")
    there = Path("/dev/kvm").exists()
    mend = "sudo usermod -aG kvm $USER" if there else "switch virtualization on in the firmware, or in the hypervisor"
    return HostFeature("KVM", "missing", "/dev/kvm " + ("may not be opened" if there else "is not there"), why, mend)


def _real_kernels(store: Store) -> HostFeature:
    """Which kernels of targets are there to be booted."""
    why = "page sizes, system calls and signals are decided by a kernel of the platform: --xc-backend=system"
    have = [e.name for e in store.cache.entries() if e.kind == "kernel"]
    if not have or not any(e.kind == "system-emulator" for e in store.cache.entries()):
        return HostFeature("real kernels", "unknown", "none is provisioned", why, "xc provision --system")
    return HostFeature("real kernels", "ok", ", ".join(have), why)
