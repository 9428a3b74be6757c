"""How what was provisioned gets to a machine without a network: the whole cache as a directory, or one release archive."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from pytest_xinchuang.core.errors import DataFileError, HostFault
from pytest_xinchuang.core.platform import Platform
from pytest_xinchuang.messages import _, verbatim
from pytest_xinchuang.provision.archive import pack, unpack
from pytest_xinchuang.provision.cache import VENDOR, Cache, Entry, tree_digest
from pytest_xinchuang.provision.debs import threads
from pytest_xinchuang.provision.release import Taken, fetch_release, take_release, write_release
from pytest_xinchuang.provision.store import Store, give_to_sandbox_user


def provision(store: Store, platforms: Sequence[Platform], *, system: bool = False, force: bool = False) -> None:
    """Make what ``platforms`` run on, and what they are compared with; several things at a time.

    Args:
        system: the real kernels of all architectures too, and the qemu-system that boots them.

    Raises:
        XcError: something could not be made; the rest has been.
    """
    file = store.platforms.file
    # Those that share a stand-in make it once; a vendor's own is each platform's.
    own = {p.id for p in platforms if store.cache.holds("rootfs", f"{VENDOR}{p.id}")}
    ones = {p.id if p.id in own else p.rootfs_name: p for p in platforms if p.rootfs_name}
    steps: list[Callable[[], object]] = [functools.partial(store.rootfs_for, p, force=force) for p in ones.values()]
    if ones:
        # The largest of them, by what there is to decompress.
        steps.insert(0, functools.partial(store.make_emulator, force=force))
    if file.reference and file.reference not in ones:
        steps.append(functools.partial(store.rootfs, file.reference))
    if system:
        steps.append(functools.partial(store.make_system_emulator, force=force))
        steps += [functools.partial(store.make_kernel, name, force=force) for name in file.kernels]
    with ThreadPoolExecutor(threads()) as pool:
        doing = [pool.submit(step) for step in steps]
    for each in doing:
        each.result()


def export(cache: Cache, directory: Path) -> list[str]:
    """Write every entry to ``directory`` as a tar archive with an index; returns the names."""
    directory.mkdir(parents=True, exist_ok=True)
    index = []
    for entry in cache.entries():
        archive = f"{entry.kind}-{entry.name}.tar"
        pack(cache.tree(entry.kind, entry.name), directory / f".{archive}.part")
        (directory / f".{archive}.part").rename(directory / archive)
        index.append({"archive": archive, "entry": asdict(entry)})
    part = directory / ".index.json.part"
    part.write_text(json.dumps({"schema": "xc-provision/1", "entries": index}, indent=1))
    part.rename(directory / "index.json")
    return [item["archive"] for item in index]  # type: ignore[misc]


def import_export(cache: Cache, directory: Path) -> list[str]:
    """Take in what ``export`` wrote; every tree must have the digest that the index says."""
    try:
        data = json.loads((directory / "index.json").read_text(encoding="utf-8"))
        if data["schema"] != "xc-provision/1":
            raise ValueError(f"schema {data['schema']!r}")
        wanted = [(directory / Path(item["archive"]).name, Entry(**item["entry"])) for item in data["entries"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataFileError(
            _("{directory}/index.json: not an export: {why}", directory=directory, why=error),
            mend=_("xc provision --export DIR, on a machine with network"),
        ) from error
    for archive, entry in wanted:
        if not entry.is_well_formed or not entry.says_what_it_is:
            raise DataFileError(
                _(
                    "{directory}/index.json: {name} says that it is what its name and recipe deny",
                    directory=directory,
                    name=verbatim(repr(entry.name)),
                )
            )

        def build(tree: Path, archive: Path = archive, entry: Entry = entry) -> tuple[str, dict[str, str]]:
            unpack(archive, tree)
            found = tree_digest(tree)
            if found != entry.digest:
                raise DataFileError(
                    _(
                        "{archive}: its tree has digest {found}, the index says {digest}",
                        archive=archive,
                        found=found,
                        digest=entry.digest,
                    )
                )
            if entry.kind == "rootfs":
                give_to_sandbox_user(tree)
            return entry.source, entry.facts

        cache.make(entry.kind, entry.name, entry.recipe, build, stand_in=entry.stand_in)
    return [entry.name for _rest, entry in wanted]


def export_release(
    store: Store, place: Path, platforms: Sequence[Platform], *, system: bool = False
) -> tuple[list[str], str]:
    """Write what ``platforms`` need to one file, made first where it is missing; returns the names and the SHA-256.

    A vendor's own root filesystem stays here: the stand-in goes in its place.
    """
    file = store.platforms.file
    names = list(dict.fromkeys(name for name in (*(p.rootfs_name for p in platforms), file.reference) if name))
    entries = [store.make_rootfs(name) for name in names]
    entries.append(store.make_emulator())
    if system:
        entries.append(store.make_system_emulator())
        archs = {file.rootfs[name].arch for name in names}
        entries += [store.make_kernel(name) for name, recipe in file.kernels.items() if recipe.arch in archs]
    with store.progress.step(str(place)) as step:
        step.starts()
        return [entry.name for entry in entries], write_release(store.cache, entries, place)


def import_release(store: Store, source: str, sha256: str = "") -> Taken:
    """Bring the entries of an archive, a path or a URL, into the cache."""

    def wanted(entry: Entry) -> bool:
        try:
            return store.made_of(entry.kind, entry.name) == entry.recipe
        except (KeyError, HostFault):
            return False

    def finish(entry: Entry, tree: Path) -> None:
        if entry.kind == "rootfs":
            give_to_sandbox_user(tree)

    with store.progress.step(source) as step:
        step.starts()
        release = fetch_release(store.supply.downloads, source, sha256, offline=store.offline)
        return take_release(store.cache, release, wanted, store.supply.pins.trees, finish)
