"""Packages for what is provisioned: which, by the lock or by the index that it pins, and their files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_xinchuang.core.errors import HostFault
from pytest_xinchuang.core.platform import KernelRecipe, RootfsRecipe
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.provision.debian import Package, PackageIndex
from pytest_xinchuang.provision.debs import Wanted, read_index, unpack_all
from pytest_xinchuang.provision.fetch import Downloads, Mirrors, Wish
from pytest_xinchuang.provision.pins import Pinned, Pins, shipped


class Supply:
    """Packages, each known by its SHA-256 before it is fetched.

    Args:
        directory: where files are kept.
        below: where more of them are, to be read alone.
    """

    def __init__(
        self,
        directory: Path,
        pins: Pins | None = None,
        mirrors: Mirrors | None = None,
        *,
        below: Path | None = None,
    ) -> None:
        self.pins = pins or shipped()
        self.mirrors = mirrors or Mirrors.of_the_environment()
        self.downloads = Downloads(directory, below)
        self._lock = threading.Lock()
        self._indexes: dict[tuple[str, str], PackageIndex] = {}

    def rootfs(self, name: str, recipe: RootfsRecipe) -> Pinned:
        """What a root filesystem is made of; where it is not pinned as it is asked for, by the pinned index."""
        pinned = self.pins.pinned("rootfs", name, recipe.suite, recipe.arch, recipe.packages)
        return pinned or self._resolved(recipe.suite, recipe.arch, recipe.packages)

    def kernel(self, name: str, recipe: KernelRecipe) -> Pinned:
        """The same for a kernel."""
        pinned = self.pins.pinned("kernel", name, recipe.suite, recipe.arch, (recipe.package,))
        if pinned is not None:
            return pinned
        packages = self.index(recipe.suite, recipe.arch).images(recipe.package)
        return Pinned(recipe.suite, recipe.arch, (recipe.package,), tuple(packages))

    def recipe(self, kind: str, name: str, suite: str, arch: str, asked: Sequence[str]) -> str:
        """SHA-256 of the packages that an entry is made of, or of the index that they are found by: nothing is fetched."""
        pinned = self.pins.pinned(kind, name, suite, arch, asked)
        return pinned.digest if pinned else self.pins.index(suite, arch).sha256

    def _resolved(self, suite: str, arch: str, asked: tuple[str, ...]) -> Pinned:
        return Pinned(suite, arch, asked, tuple(self.index(suite, arch).closure(asked)))

    def index(self, suite: str, arch: str) -> PackageIndex:
        """The pinned index of a suite; fetched on first use."""
        with self._lock:
            if (suite, arch) not in self._indexes:
                pin = self.pins.index(suite, arch)
                urls = self.mirrors.urls(pin.path, pin.snapshot, first=pin.by_hash)
                (file,) = self.downloads.all([Wish(urls, pin.size, pin.sha256)])
                self._indexes[suite, arch] = PackageIndex(read_index(file.read_bytes()))
            return self._indexes[suite, arch]

    def fetch(self, pinned: Pinned) -> list[tuple[Package, Path]]:
        """The files of packages, in their order."""
        snapshot = self.pins.snapshot(pinned.suite, pinned.arch)
        wishes = [Wish(self.mirrors.urls(p.path, snapshot), p.size, p.sha256) for p in pinned.packages]
        try:
            return list(zip(pinned.packages, self.downloads.all(wishes), strict=True))
        except HostFault as fault:
            raise HostFault(
                _(
                    "packages of Debian {suite} {arch}: {why}",
                    suite=verbatim(pinned.suite),
                    arch=verbatim(pinned.arch),
                    why=fault.what,
                ),
                mend=fault.mend,
            ) from fault

    def unpack(
        self, pinned: Pinned, tree: Path, wanted: Callable[[Package], Wanted] = lambda _package: Wanted()
    ) -> None:
        """Fetch packages and unpack them into ``tree``."""
        unpack_all(self.fetch(pinned), tree, wanted)
