"""A root filesystem that a lab brings: it is called the vendor's when it agrees with its platform, and only then."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.errors import DataFileError, HostFault
from pytest_xinchuang.core.platform import Platform, Platforms
from pytest_xinchuang.provision.cache import Cache, Entry, tree_digest
from pytest_xinchuang.provision.rootfs import read_facts, read_os_release
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.provision.vendors import disagreements

LANCE = 'NAME="Kylin Linux Advanced Server"\nVERSION="V10 (Lance)"\nID="kylin"\nPRETTY_NAME="Kylin V10 (Lance)"\n'
DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nID=debian\nVERSION_ID="11"\n'


@pytest.fixture
def kunpeng(platforms: Platforms) -> Platform:
    return platforms.get("kunpeng")


def system(place: Path, release: str = LANCE, libc: str = "2.28", machine: int = 183) -> Path:
    """What of a root filesystem is looked at; an absolute link is one within it."""
    for name in ("etc", "usr/lib64"):
        (place / name).mkdir(parents=True)
    (place / "usr/lib/os-release").parent.mkdir(exist_ok=True)
    (place / "usr/lib/os-release").write_text(release)
    (place / "etc/os-release").symlink_to("/usr/lib/os-release")
    (place / "lib64").symlink_to("/usr/lib64")
    header = b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little") + bytes(44)
    (place / "usr/lib64/libc.so.6").write_bytes(
        header + f"GNU C Library (GNU libc) stable release version {libc}.".encode()
    )
    return place


def archive(tmp_path: Path, tree: Path) -> Path:
    with tarfile.open(tmp_path / "vendor.tar", "w") as tar:
        tar.add(tree, arcname=".")
    return tmp_path / "vendor.tar"


def test_the_platforms_own_agrees(tmp_path: Path, kunpeng: Platform) -> None:
    tree = system(tmp_path / "t")
    facts = read_facts(tree)
    assert facts == {"libc": "2.28", "machine": "183", "name": "Kylin V10 (Lance)"}
    assert disagreements(kunpeng, tree, facts) == []


@pytest.mark.parametrize(
    ("release", "libc", "machine", "why"),
    [
        (DEBIAN, "2.28", 183, ["its os-release says 'Debian GNU/Linux 11 (bullseye)'"]),
        (LANCE.replace("Lance", "Tercel"), "2.28", 183, ["its os-release says 'Kylin V10 (Tercel)'"]),
        ("", "2.28", 183, ["its os-release says nothing"]),
        (LANCE, "2.31", 183, ["its glibc is 2.31, and the platform has 2.28"]),
        (LANCE, "2.28", 62, ["its libc is for EM_X86_64, and the platform is EM_AARCH64"]),
        (LANCE, "2.28", 8, ["its libc is for 8, and the platform is EM_AARCH64"]),
        (DEBIAN, "2.31", 62, ["its os-release", "its glibc", "its libc"]),
    ],
)
def test_another_does_not(
    tmp_path: Path, kunpeng: Platform, platforms: Platforms, release: str, libc: str, machine: int, why: list[str]
) -> None:
    tree = system(tmp_path / "t", release, libc, machine)
    found = disagreements(kunpeng, tree, read_facts(tree))
    assert len(found) == len(why) and all(f.startswith(w) for f, w in zip(found, why, strict=True)), found
    store = Store(platforms, Cache(tmp_path / "cache"))
    with pytest.raises(
        DataFileError, match=r"not a root filesystem of kunpeng920-kylin_v10_sp3: its (.|\n)*--platforms-file"
    ):
        store.import_rootfs(kunpeng, archive(tmp_path, tree))
    assert not store.cache.holds("rootfs", f"vendor-{kunpeng.id}")


def test_an_import_is_compared_again_when_it_is_used(tmp_path: Path, kunpeng: Platform, platforms: Platforms) -> None:
    cache = tmp_path / "cache"
    store = Store(platforms, Cache(cache))
    store.import_rootfs(kunpeng, archive(tmp_path, system(tmp_path / "t")))
    ref = store.rootfs_for(kunpeng)
    assert (ref.stand_in, ref.libc_version) == (False, "2.28")
    # Someone puts another system there, with a record that is right about it.
    place = store.cache.record("rootfs", f"vendor-{kunpeng.id}").parent
    (place / "tree/usr/lib/os-release").write_text(DEBIAN)
    entry = Entry.read(place / "entry.json")
    assert entry is not None
    Entry(entry.kind, entry.name, entry.recipe, tree_digest(place / "tree"), "x", False, entry.facts).write(
        place / "entry.json"
    )
    with pytest.raises(HostFault, match="is not that platform's: its os-release"):
        Store(platforms, Cache(cache)).rootfs_for(kunpeng)


def test_an_edited_record_of_an_import_is_no_way_to_a_stand_in(
    tmp_path: Path, kunpeng: Platform, platforms: Platforms
) -> None:
    cache = tmp_path / "cache"
    Store(platforms, Cache(cache)).import_rootfs(kunpeng, archive(tmp_path, system(tmp_path / "t")))
    record = Cache(cache).record("rootfs", f"vendor-{kunpeng.id}")
    record.write_text(json.dumps({**json.loads(record.read_text()), "facts": {"libc": "2.38"}}))
    with pytest.raises(HostFault, match="is not what was imported"):
        Store(platforms, Cache(cache)).rootfs_for(kunpeng)


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")
def test_a_root_filesystem_that_sandboxes_do_not_own_is_told(
    tmp_path: Path, kunpeng: Platform, platforms: Platforms
) -> None:
    store = Store(platforms, Cache(tmp_path / "cache"))
    store.import_rootfs(kunpeng, archive(tmp_path, system(tmp_path / "t")))
    os.chown(store.cache.tree("rootfs", f"vendor-{kunpeng.id}"), 0, 0)
    with pytest.raises(HostFault, match="belongs to user 0, and sandboxes need user 64321 to own it"):
        Store(platforms, Cache(tmp_path / "cache")).rootfs_for(kunpeng)


def test_an_import_whose_version_is_not_named_is_no_way_to_a_stand_in(
    tmp_path: Path, kunpeng: Platform, platforms: Platforms
) -> None:
    Store(platforms, Cache(tmp_path)).import_rootfs(kunpeng, archive(tmp_path, system(tmp_path / "t")))
    (Cache(tmp_path).record("rootfs", f"vendor-{kunpeng.id}").parents[1] / "current").unlink()
    with pytest.raises(HostFault, match="is not what was imported"):
        Store(platforms, Cache(tmp_path)).rootfs_for(kunpeng)


def test_facts_are_never_read_off_the_host(tmp_path: Path) -> None:
    tree = tmp_path / "t"
    (tree / "etc").mkdir(parents=True)
    (tree / "etc/os-release").symlink_to("/etc/os-release")
    (tree / "libc.so.6").symlink_to("../../../../../../usr/lib/x86_64-linux-gnu/libc.so.6")
    assert read_os_release(tree) == "" and read_facts(tree) == {}


def test_the_platform_of_the_tests_is_well_formed() -> None:
    own = Platforms([resources.platforms_file(), Path(__file__).parent / "data/debian.yaml"])
    assert own.get("kunpeng920-debian_11").system.libc_version.value == "2.31"
