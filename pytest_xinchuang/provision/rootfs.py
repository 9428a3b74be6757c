"""Root filesystems from a distribution's packages, without root rights and without running a script."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import RootfsRecipe
from pytest_xinchuang.messages import _
from pytest_xinchuang.provision.debs import Wanted
from pytest_xinchuang.provision.places import in_tree
from pytest_xinchuang.provision.supply import Supply
from pytest_xinchuang.provision.trees import make_directory

_UNNEEDED = (
    "dev",  # a sandbox has one of its own
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/lintian",
    "var/lib/apt",
    "var/cache",
    "usr/share/bug",
)

_DIRECTORIES = ("proc", "dev", "sys", "run", "xc", ".xc", "tmp")
"""What sandboxes mount or put things on."""

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nxc:x:1000:1000::/xc:/bin/sh\n"
    "nobody:x:65534:65534::/nonexistent:/bin/false\n",
    "etc/group": "root:x:0:\nxc:x:1000:\nnogroup:x:65534:\n",
    # An empty cache: without one, `qemu -L` would find the host's, and the host's libraries by it.
    "etc/ld.so.cache": "",
    # Nothing of the host's: what a product finds there is the same everywhere.
    "etc/hostname": "localhost\n",
    "etc/resolv.conf": "",
    "etc/fstab": "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n",
    # dpkg refuses to answer without one: as far as it knows, nothing is installed.
    "var/lib/dpkg/status": "",
}
"""What maintainer scripts and installers would have written."""


def build_rootfs(supply: Supply, name: str, recipe: RootfsRecipe, tree: Path) -> tuple[str, dict[str, str]]:
    """Fill ``tree`` with a root filesystem; returns its source and what was read off it."""
    supply.unpack(supply.rootfs(name, recipe), tree, lambda _package: Wanted(_is_needed))
    for archive in tree.glob("usr/lib/*/*.a"):
        archive.unlink()
    _configure(tree, recipe.arch)
    make_directories(tree)
    facts = read_facts(tree)
    if facts.get("libc") != recipe.libc_version:
        raise HostFault(
            _(
                "Debian {suite} {arch} has glibc {get}, platforms.yaml says {libc_version}",
                suite=recipe.suite,
                arch=recipe.arch,
                get=facts.get("libc"),
                libc_version=recipe.libc_version,
            ),
            mend=_("correct libc_version of this root filesystem: verdicts compare with it"),
        )
    return f"Debian {recipe.suite} {recipe.arch}", facts


def _is_needed(name: str) -> bool:
    return not any(name == unneeded or name.startswith(f"{unneeded}/") for unneeded in _UNNEEDED)


def make_directories(tree: Path) -> None:
    """Make what sandboxes mount or put things on, where a root filesystem has not got it."""
    for name in _DIRECTORIES:
        place = tree / name
        if not place.is_dir():
            place.mkdir()
            place.chmod(0o1777 if name == "tmp" else 0o755)


def _configure(tree: Path, arch: str) -> None:
    """What maintainer scripts would have written: the few accounts, and the loader's cache.

    Links are made relative, set-id bits are dropped. Everybody may read everything: who uses a cache that another user has
    made, as the one of an image, has to find it whole.
    """
    for directory, names, files in os.walk(tree):
        for name in names + files:
            path = Path(directory) / name
            # Outside of a chroot (`qemu -L`, a linker) an absolute link would lead into the host.
            if path.is_symlink():
                if (target := str(path.readlink())).startswith("/"):
                    path.unlink()
                    path.symlink_to(os.path.relpath(tree / target.lstrip("/"), directory))
                continue
            info = path.stat()
            readable = 0o555 if stat.S_ISDIR(info.st_mode) else 0o444
            if (mode := stat.S_IMODE(info.st_mode) & 0o1777 | readable) != stat.S_IMODE(info.st_mode):
                path.chmod(mode)
    for name, text in {**_FILES, "var/lib/dpkg/arch": f"{arch}\n"}.items():
        place = tree / name
        make_directory(place.parent)
        place.unlink(missing_ok=True)
        place.write_text(text)
        place.chmod(0o644)


def read_facts(tree: Path) -> dict[str, str]:
    """The glibc and OpenSSL versions, the machine (e_machine) and the name of a root filesystem, read from its files."""
    facts: dict[str, str] = {}
    for libc in _found(tree, "libc.so.6"):
        data = libc.read_bytes()
        found = re.search(rb"GNU C Library .*?version (\d+\.\d+)", data)
        if found:
            facts["libc"] = found.group(1).decode()
            facts["machine"] = str(int.from_bytes(data[18:20], "little"))
    for crypto in _found(tree, "libcrypto.so.*"):
        found = re.search(rb"OpenSSL (\d+\.\d+\.\d+[a-z]*) ", crypto.read_bytes())
        if found:
            facts["openssl"] = found.group(1).decode()
    if name := re.search(r'^PRETTY_NAME="?([^"\n]*)', read_os_release(tree), re.M):
        facts["name"] = name.group(1)
    return facts


def read_os_release(tree: Path) -> str:
    """The os-release of a root filesystem; empty where it has none (os-release(5): /etc first)."""
    found = in_tree(tree, "/etc/os-release") or in_tree(tree, "/usr/lib/os-release")
    return found.read_text(encoding="utf-8", errors="replace") if found else ""


def _found(tree: Path, pattern: str) -> Iterator[Path]:
    """The files of this name, each where links within the tree lead to."""
    for path in sorted(tree.glob(f"**/{pattern}")):
        if (file := in_tree(tree, str(path.relative_to(tree)))) is not None:
            yield file
