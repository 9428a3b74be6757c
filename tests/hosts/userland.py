"""What a host has besides its kernel: programs, a Python with what we depend on, and what was provisioned."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import Arch, Platform
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.pins import host_architecture
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.tools.process import Runner
from tests.hosts import packages
from tests.hosts.declared import Userland
from tests.hosts.product import PLACE, compile_all

PIP_TIMEOUT_S = 900
COPY_TIMEOUT_S = 300
WHEEL_TAGS = {"amd64": "x86_64", "arm64": "aarch64", "loong64": "loongarch64"}
"""Debian's name of an architecture -> that of wheels."""

VENDOR_UID = 1001
ACCOUNTS = f"root:x:0:0:root:/root:/bin/sh\nvendor:x:{VENDOR_UID}:{VENDOR_UID}::/home/vendor:/bin/sh\n"
NOBODY = "nobody:x:65534:65534::/nonexistent:/bin/false\n"
GROUPS = f"root:x:0:\nvendor:x:{VENDOR_UID}:\nnogroup:x:65534:\n"
_UNNEEDED = (
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/lintian",
    "usr/share/zoneinfo",
    "var/lib/apt",
    "var/cache",
    "usr/share/i18n",
    "usr/lib/x86_64-linux-gnu/gconv",
    "dev",
)

OS_RELEASE = 'NAME="openEuler"\nVERSION="22.03"\nID="openEuler"\nVERSION_ID="22.03"\nPRETTY_NAME="openEuler 22.03"\n'
_OF_DEBIAN = ("apt*", "dpkg*", "perl*", "mmdebstrap", "debconf*")


def userland(cache: Cache, name: str, declared: Userland, arch: str, runner: Runner) -> Path:
    """The tree of a userland, made once."""

    def make(tree: Path) -> tuple[str, dict[str, str]]:
        with packages.unpacked(declared.suite, arch, declared.packages, runner) as found:
            shutil.copytree(found, tree, symlinks=True, dirs_exist_ok=True)
        for unneeded in _UNNEEDED:
            shutil.rmtree(tree / unneeded, ignore_errors=True)
        _configure(tree, declared)
        if declared.layout == "rpm":
            _like_rpm(tree)
        if declared.wheels:
            _install_wheels(tree / _site(declared), declared, arch, runner)
        if arch == host_architecture():  # another's Python does not run here
            for place in ("/usr/lib", f"/{_site(declared)}"):
                compile_all(tree, ["chroot", str(tree), "/usr/bin/python3"], runner, inside=place)
        return f"Debian {declared.suite} {arch}", {}

    recipe = "3 " + json.dumps([arch, declared.model_dump(mode="json")])
    return cache.tree("userland", cache.make("userland", f"{name}-{arch}", recipe, make).name)


def _site(declared: Userland) -> str:
    return f"usr/local/lib/python{declared.python}/dist-packages"


def _configure(tree: Path, declared: Userland) -> None:
    """What maintainer scripts would have written, as far as a host needs it."""
    for place in (
        "dev",
        "proc",
        "sys",
        "run",
        "tmp",
        "out",
        "cache",
        "root",
        "home/vendor",
        "opt",
        "mnt",
        PLACE.lstrip("/"),
        _site(declared),
    ):
        (tree / place).mkdir(parents=True, exist_ok=True)
    (tree / "tmp").chmod(0o1777)
    os.chown(tree / "home/vendor", VENDOR_UID, VENDOR_UID)
    (tree / "etc/passwd").write_text(ACCOUNTS + NOBODY)
    (tree / "etc/group").write_text(GROUPS)
    (tree / "etc/hosts").write_text("127.0.0.1 localhost\n")
    for name, target in (("usr/bin/python3", f"python{declared.python}"), ("usr/bin/awk", "busybox")):
        if not (tree / name).exists():
            (tree / name).symlink_to(target)
    if not (tree / "bin/sh").exists():
        (tree / "bin/sh").symlink_to("dash")
    (tree / _site(declared) / "xc.pth").write_text(f"{PLACE}/site\n")


def _like_rpm(tree: Path) -> None:
    """Red Hat's place of libraries, openEuler's os-release, and nothing of Debian's package manager."""
    for pattern in _OF_DEBIAN:
        for place in ("usr/bin", "usr/sbin", "bin", "sbin", "var/lib", "etc", "usr/share", "usr/lib"):
            for found in (tree / place).glob(pattern):
                shutil.rmtree(found) if found.is_dir() and not found.is_symlink() else found.unlink()
    for place in ("usr/lib/os-release", "etc/os-release", "etc/debian_version"):
        (tree / place).unlink(missing_ok=True)
    (tree / "usr/lib/os-release").write_text(OS_RELEASE)
    (tree / "etc/os-release").symlink_to("../usr/lib/os-release")
    target = tree / "usr/lib64"
    target.mkdir(exist_ok=True)
    for triplet in [*tree.glob("usr/lib/*-linux-gnu"), *tree.glob("lib/*-linux-gnu")]:
        for found in triplet.iterdir():
            if not (target / found.name).exists():
                shutil.move(found, target / found.name)
        shutil.rmtree(triplet)
        # The programs are Debian's, and their loader looks there.
        triplet.symlink_to(os.path.relpath(target, triplet.parent))


def _install_wheels(site: Path, declared: Userland, arch: str, runner: Runner) -> None:
    tag = WHEEL_TAGS[arch]
    words = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--only-binary=:all:",
        "--no-compile",
    ]
    words += ["--python-version", declared.python, "--implementation", "cp", "--target", str(site)]
    words += [
        word
        for policy in ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
        for word in ("--platform", f"{policy}_{tag}")
    ]
    done = runner.run([*words, *declared.wheels], timeout_s=PIP_TIMEOUT_S)
    if not done.ok:
        raise HostFault(verbatim(done.errors.strip() or done.text))
    # Where their RECORD says that they are: what is not as it was released unseals a run.
    shutil.move(site / "bin", site.parent.parent / "bin")


def provisioned(store: Store, platforms: list[Platform], place: Path) -> None:
    """A cache with what ``xc provision --system`` has made for these platforms, as its user would have it.

    Raises:
        XcError: it cannot be provisioned here.
    """
    reference = store.platforms.file.reference
    assert reference is not None
    wanted = {("rootfs", store.rootfs(reference).name)}
    for platform in platforms:
        store.emulator(platform.architecture.qemu)
        wanted |= {("rootfs", store.rootfs_for(platform).name), ("kernel", store.kernel_for(platform).name)}
    store.system_emulator()
    kernels = store.platforms.file.kernels
    wanted |= {("kernel", next(name for name, recipe in kernels.items() if recipe.arch is Arch.AMD64))}
    for entry in store.cache.entries():
        if entry.kind in ("emulator", "system-emulator") or (entry.kind, entry.name) in wanted:
            source = store.cache.root / "entries" / entry.kind / entry.name
            copy_tree(source, place / source.relative_to(store.cache.root), store.runner)


def copy_tree(source: Path, place: Path, runner: Runner) -> None:
    """A copy with owners, which ``shutil`` makes its own."""
    place.parent.mkdir(parents=True, exist_ok=True)
    done = runner.run(["cp", "-a", "--reflink=auto", str(source), str(place)], timeout_s=COPY_TIMEOUT_S)
    if not done.ok:
        raise HostFault(verbatim(done.errors.strip() or done.told()))
