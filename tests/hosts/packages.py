"""Packages of Debian's that hosts are made of, as its archive has them today: nothing that is graded comes from them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.messages import verbatim
from pytest_xinchuang.provision.debian import PackageIndex
from pytest_xinchuang.provision.debs import read_index, unpack_all
from pytest_xinchuang.provision.fetch import Downloads, Mirrors, Wish
from pytest_xinchuang.tools.process import Runner

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
TIMEOUT_S = 60


@contextmanager
def unpacked(suite: str, arch: str, names: Sequence[str], runner: Runner) -> Iterator[Path]:
    """Packages of a suite with all that they need, unpacked into a directory that is gone afterwards; no script is run.

    Raises:
        HostFault: they cannot be had, or the archive is not signed by Debian's keys.
    """
    mirrors = Mirrors.of_the_environment()
    with tempfile.TemporaryDirectory(prefix="xc-packages-") as scratch:
        downloads = Downloads(Path(scratch, "files"))
        place = f"dists/{suite}/main/binary-{arch}"
        size, digest = _of_release(downloads, mirrors, suite, arch, runner)
        (file,) = downloads.all(
            [Wish((f"{mirrors.mirrors[0].rstrip('/')}/{place}/by-hash/SHA256/{digest}",), size, digest)]
        )
        packages = PackageIndex(read_index(file.read_bytes())).closure(names)
        urls = [tuple(f"{mirror.rstrip('/')}/{package.path}" for mirror in mirrors.mirrors) for package in packages]
        wishes = [Wish(places, package.size, package.sha256) for places, package in zip(urls, packages, strict=True)]
        tree = Path(scratch, "tree")
        tree.mkdir()
        unpack_all(list(zip(packages, downloads.all(wishes), strict=True)), tree)
        yield tree


def _of_release(downloads: Downloads, mirrors: Mirrors, suite: str, arch: str, runner: Runner) -> tuple[int, str]:
    """Size and SHA-256 of a suite's index, as its signed Release file says them."""
    signed = downloads.unknown(f"{mirrors.mirrors[0].rstrip('/')}/dists/{suite}/InRelease")
    done = runner.run(["gpgv", "--keyring", KEYS, "--output", "-", str(signed)], timeout_s=TIMEOUT_S)
    found = re.search(rf"^ ([0-9a-f]{{64}}) +([0-9]+) main/binary-{arch}/Packages\.xz$", done.text, re.MULTILINE)
    if not done.ok or found is None:
        raise HostFault(
            verbatim(f"{suite} {arch}: not signed by a key of {KEYS}, or without an index: {done.errors.strip()}")
        )
    return int(found[2]), found[1]
