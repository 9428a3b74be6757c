"""Sandboxes of a platform whose root filesystem has an interpreter too, which is added on first need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.sandbox.pool import Pool
from pytest_xinchuang.sandbox.protocol import Sandbox

BACKENDS = ("auto", "qemu", "docker")
"""Backends that give a platform any root filesystem at once."""


def root_filesystems(pool: Pool, platform: Platform) -> Iterator[tuple[str, str]]:
    """The stand-in root filesystems of a platform's architecture and their suites, the platform's own first.

    None where its own is the vendor's: nothing is added to that.
    """
    own, recipes = platform.rootfs_name, pool.store.platforms.file.rootfs
    if pool.backend not in BACKENDS or own is None or pool.image is not None:
        return
    if not pool.sandbox(platform).fingerprint.stand_in:
        return
    others = [name for name, recipe in recipes.items() if recipe.arch == platform.arch and name != own]
    for name in (own, *others):
        yield name, recipes[name].suite


@contextmanager
def with_packages(pool: Pool, platform: Platform, rootfs: str, packages: Sequence[str]) -> Iterator[Sandbox]:
    """A sandbox of the platform, under its CPU, with another root filesystem that has more packages.

    Raises:
        HostFault: it cannot be made or opened here.
    """
    store = pool.store
    system = platform.system.model_copy(update={"rootfs": {**platform.system.rootfs, platform.arch: rootfs}})
    more = Store(
        store.platforms,
        store.cache,
        store.progress,
        offline=store.offline,
        packages=(*store.packages, *packages),
        runner=store.runner,
        supply=store.supply,
    )
    opened = Pool(more, pool.backend, timeout_scale=pool.timeout_scale)
    try:
        yield opened.sandbox(platform.model_copy(update={"system": system}))
    finally:
        opened.close()
