"""``xc provision`` from nothing: what is fetched and how long that takes, and the rest, phase by phase; and as one archive."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.result import Result
from pytest_xinchuang.core import resources
from pytest_xinchuang.core.platform import Platform, Platforms
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.provision.pins import host_architecture
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.provision.transport import export_release, import_release, provision
from pytest_xinchuang.provision.trees import tree_digest

ROUNDS = 3
FIRST, SECOND = "kunpeng", "loongson"
GOAL_S = 10.0
"""Seconds beyond the download, for one platform from nothing."""


def measure(rounds: int) -> Result:
    """Seconds of each phase, and megabytes of what is fetched and kept; each round begins with an empty cache."""
    result = Result("provision")
    platforms = Platforms([resources.platforms_file()])
    seconds: dict[str, list[float]] = {}
    spent: list[float] = []

    def timed(name: str, step: Callable[[], object]) -> None:
        started = time.perf_counter()
        step()
        seconds.setdefault(name, []).append(time.perf_counter() - started)

    with tempfile.TemporaryDirectory() as place:
        for number in range(rounds or ROUNDS):
            root = Path(place) / str(number)
            first, second = platforms.get(FIRST), platforms.get(SECOND)
            _one(platforms, root, first, second, timed, spent)
            if not number:
                for name in ("packages", "entries"):
                    result.add(f"disk: {name}, two platforms", [_megabytes(root / name)], "MB")
                _archive(platforms, root, timed, result)
            shutil.rmtree(root)
    for name, samples in seconds.items():
        result.add(name, samples, "s")
    result.add("all of it, with the packages there: processor", spent, "s")
    together = sorted(seconds["all of it, with the packages there"])
    result.ratios["provision_s"] = round(together[len(together) // 2], 2)
    result.goals["provision_s"] = f"<= {GOAL_S:.0f}"
    return result


def _one(
    platforms: Platforms,
    root: Path,
    first: Platform,
    second: Platform,
    timed: Callable[[str, Callable[[], object]], None],
    spent: list[float],
) -> None:
    store = Store(platforms, Cache(root))
    supply, reference = store.supply, str(platforms.file.reference)
    rootfs = [supply.rootfs(name, platforms.file.rootfs[name]) for name in (str(first.rootfs_name), reference)]
    emulator = supply.pins.named("emulator", f"qemu-{host_architecture()}")
    timed("download", lambda: [supply.fetch(pinned) for pinned in (emulator, *rootfs)])
    # One thing after the other, and then all of it at once, as `xc provision` does it.
    timed("emulator", store.make_emulator)
    timed("root filesystem", lambda: store.make_rootfs(str(first.rootfs_name)))
    timed("reference root filesystem", lambda: store.make_rootfs(reference))
    timed(
        "of these, the digests", lambda: [tree_digest(store.cache.tree(e.kind, e.name)) for e in store.cache.entries()]
    )
    shutil.rmtree(root / "entries")
    before = time.process_time()
    timed("all of it, with the packages there", lambda: provision(Store(platforms, Cache(root)), [first]))
    # On a busy machine the clock tells of its neighbours.
    spent.append(time.process_time() - before)
    again = Store(platforms, Cache(root))
    timed("once more: nothing to do", lambda: provision(again, [first]))
    pinned = supply.rootfs(str(second.rootfs_name), platforms.file.rootfs[str(second.rootfs_name)])
    timed("download of a second platform", lambda: supply.fetch(pinned))
    timed("a second platform", lambda: provision(Store(platforms, Cache(root)), [first, second]))


def _archive(
    platforms: Platforms, root: Path, timed: Callable[[str, Callable[[], object]], None], result: Result
) -> None:
    """As one archive: written once, for it takes a minute, and taken in."""
    store = Store(platforms, Cache(root))
    chosen = [platforms.get(name) for name in (FIRST, SECOND)]
    archive = root / "release.tar"
    timed("release archive of two platforms: written", lambda: export_release(store, archive, chosen))
    other = Store(platforms, Cache(root / "other"))
    timed("release archive of two platforms: taken in", lambda: import_release(other, str(archive)))
    result.add("release archive of two platforms", [archive.stat().st_size / 1e6], "MB")


def _megabytes(place: Path) -> float:
    return sum(path.lstat().st_size for path in place.rglob("*") if not path.is_dir()) / 1e6
