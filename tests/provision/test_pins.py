"""The lock of packages: what it may say, that it is as platforms.yaml asks, and what is made of it."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.core.errors import DataFileError, HostFault
from pytest_xinchuang.core.platform import KernelRecipe, Platforms, RootfsRecipe
from pytest_xinchuang.provision.cache import Cache, tree_digest
from pytest_xinchuang.provision.fetch import Mirrors
from pytest_xinchuang.provision.kernels import build_kernel
from pytest_xinchuang.provision.pins import EMULATOR_SUITES, LOCK, SCHEMA, Pins, host_architecture, shipped
from pytest_xinchuang.provision.rootfs import build_rootfs
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.provision.supply import Supply
from tests.messages.english import english_in
from tests.provision.packages import D, F, Mirror, S, deb, index, package, served, stanza

SHA = "0" * 64


def lock(tmp_path: Path, **changes: Any) -> Path:
    data = {
        "schema": SCHEMA,
        "indexes": {
            "s/amd64": {
                "snapshot": "20260101T000000Z",
                "path": "dists/s/main/binary-amd64/Packages.xz",
                "size": 1,
                "sha256": SHA,
            }
        },
        "pinned": {
            "rootfs": {"x": {"suite": "s", "arch": "amd64", "asked": ["a"], "packages": [["pool/a/a_1.deb", 1, SHA]]}}
        },
    }
    path = tmp_path / "lock.json"
    path.write_text(json.dumps(data | changes))
    return path


def test_what_is_pinned_is_found_as_it_was_asked_for_alone(tmp_path: Path) -> None:
    pins = Pins(lock(tmp_path))
    found = pins.pinned("rootfs", "x", "s", "amd64", ("a",))
    assert found is not None and [p.name for p in found.packages] == ["a"]
    for asked in (
        ("y", "s", "amd64", ("a",)),
        ("x", "t", "amd64", ("a",)),
        ("x", "s", "arm64", ("a",)),
        ("x", "s", "amd64", ()),
    ):
        assert pins.pinned("rootfs", *asked) is None
    with pytest.raises(HostFault, match="no packages of emulator x are pinned"):
        pins.named("emulator", "x")
    with pytest.raises(HostFault, match="the packages of t amd64 are not pinned; those of s/amd64 are") as caught:
        pins.index("t", "amd64")
    assert not english_in(caught.value.render("zh"))


def packages(*rows: Any) -> dict[str, Any]:
    return {"pinned": {"rootfs": {"x": {"suite": "s", "arch": "amd64", "asked": [], "packages": list(rows)}}}}


def of_an_entry(**changes: Any) -> dict[str, Any]:
    return {"pinned": {"rootfs": {"x": {"suite": "s", "arch": "amd64", "asked": [], "packages": []} | changes}}}


def of_an_index(**changes: Any) -> dict[str, Any]:
    path = "dists/s/main/binary-a/Packages.xz"
    return {"indexes": {"s/a": {"snapshot": "20260101T000000Z", "path": path, "size": 1, "sha256": SHA} | changes}}


BAD: dict[str, dict[str, Any]] = {
    "another schema": {"schema": "xc-packages/2"},
    "no schema": {"schema": None},
    "no indexes": {"indexes": None},
    "no pins": {"pinned": []},
    "leaves the archive": packages(["pool/../../etc/a_1.deb", 1, SHA]),
    "absolute": packages(["/pool/a_1.deb", 1, SHA]),
    "no package": packages(["pool/a/a.tar", 1, SHA]),
    "no size": packages(["pool/a/a_1.deb", True, SHA]),
    "a large size": packages(["pool/a/a_1.deb", 1 << 40, SHA]),
    "no digest": packages(["pool/a/a_1.deb", 1, "0"]),
    "too few": packages(["pool/a/a_1.deb"]),
    "no list": packages(3),
    "no digest of a tree": of_an_entry(tree="sha256:x"),
    "no places": of_an_entry(spans={"a": [-1, 1]}),
    "one number": of_an_entry(spans={"a": [1]}),
    "no numbers": of_an_entry(spans={"a": [True, "x"]}),
    "an index elsewhere": {
        "indexes": {"s/a": {"snapshot": "20260101T000000Z", "path": "../x", "size": 1, "sha256": SHA}}
    },
    "no time": {
        "indexes": {"s/a": {"snapshot": "../..", "path": "dists/s/main/binary-a/Packages.xz", "size": 1, "sha256": SHA}}
    },
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD)
def test_a_lock_that_says_what_no_lock_may_say(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(DataFileError, match=r"lock\.json: not a lock of packages"):
        Pins(lock(tmp_path, **changes))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\xff"])
def test_what_is_no_lock(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataFileError, match=r"lock\.json: not a lock of packages"):
        Pins(tmp_path / "lock.json")


def test_all_that_is_shipped_is_pinned_as_it_is_asked_for(platforms: Platforms) -> None:
    pins = shipped()
    for name, rootfs in platforms.file.rootfs.items():
        assert pins.pinned("rootfs", name, rootfs.suite, rootfs.arch, rootfs.packages), f"scripts/pin: {name}"
    for name, kernel in platforms.file.kernels.items():
        assert pins.pinned("kernel", name, kernel.suite, kernel.arch, (kernel.package,)), f"scripts/pin: {name}"
    assert sorted(pins.names("rootfs")) == sorted(platforms.file.rootfs)
    for arch, suite in EMULATOR_SUITES.items():
        assert pins.named("emulator", f"qemu-{arch}").suite == suite
    for arch in ("amd64", "arm64"):
        assert pins.named("system-emulator", f"qemu-system-{arch}").arch == arch
    assert LOCK.is_file() and host_architecture()


LIBC = b"GNU C Library (Debian) stable release version 2.99."

ROOTFS = {
    "base-files": deb(
        *((f"./{name}", D, "") for name in ("", "usr/", "usr/lib/", "root/", "tmp/")),
        ("./lib", S, "usr/lib"),
        ("./usr/lib/os-release", F, 'PRETTY_NAME="Small"\n'),
        ("./etc/os-release", S, "/usr/lib/os-release"),
    ),
    "libc6": deb(("./lib/x/libc.so.6", F, "x" * 18 + "\x3e\0" + LIBC.decode())),
    "shell": deb(
        ("./usr/share/doc/shell/copyright", F, "long"), ("./usr/share/docs", F, "kept"), ("./bin/sh", F, "#!")
    ),
}


class Small:
    """A suite of three packages, its lock, and the mirror that has them.

    Attributes:
        answers: what the mirror has; ``snapshots`` what the archive of snapshots has.
    """

    def __init__(self, tmp_path: Path) -> None:
        self.recipe = RootfsRecipe(suite="s", arch="amd64", libc_version="2.99", packages=("libc6",))
        needs = {"libc6": {"Depends": "base-files"}, "shell": {"Depends": "libc6"}}
        text = index(*(stanza(name, data, **needs.get(name, {})) for name, data in ROOTFS.items()))
        data = lzma.compress(text.encode())
        self.index = hashlib.sha256(data).hexdigest()
        pinned = [package(name, ROOTFS[name]) for name in ("base-files", "libc6")]
        path = "dists/s/main/binary-amd64/Packages.xz"
        self.lock = lock(
            tmp_path,
            indexes={
                "s/amd64": {"snapshot": "20260101T000000Z", "path": path, "size": len(data), "sha256": self.index}
            },
            pinned={
                "rootfs": {
                    "small": {
                        "suite": "s",
                        "arch": "amd64",
                        "asked": ["libc6"],
                        "packages": [[p.path, p.size, p.sha256] for p in pinned],
                    }
                }
            },
        )
        self.by_hash = f"/debian/dists/s/main/binary-amd64/by-hash/SHA256/{self.index}"
        self.answers: dict[str, bytes | int] = {self.by_hash: data}
        self.answers |= {f"/debian/{package(name, one).path}": one for name, one in ROOTFS.items()}
        self.snapshots: dict[str, bytes | int] = {
            path_.replace("/debian/", "/snapshots/20260101T000000Z/"): one for path_, one in self.answers.items()
        }
        self.snapshots[f"/snapshots/20260101T000000Z/{path}"] = data
        self.directory = tmp_path / "packages"

    def supply(self, mirror: Mirror) -> Supply:
        return Supply(self.directory, Pins(self.lock), Mirrors((f"{mirror.url}/debian",), f"{mirror.url}/snapshots"))


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return Small(tmp_path)


def test_a_root_filesystem_of_pinned_packages(small: Small, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with served(small.answers) as mirror:
        source, facts = build_rootfs(small.supply(mirror), "small", small.recipe, tree)
        assert small.by_hash not in [path for path, _range in mirror.asked]
    assert (source, facts) == ("Debian s amd64", {"libc": "2.99", "machine": "62", "name": "Small"})
    assert (tree / "usr/lib/x/libc.so.6").is_file() and str(
        (tree / "etc/os-release").readlink()
    ) == "../usr/lib/os-release"
    assert (tree / "etc/hostname").read_text() == "localhost\n" and not (tree / "bin").exists()
    again = tmp_path / "again"
    again.mkdir()
    before = os.umask(0o077)
    try:
        with served({}) as nothing:  # what was fetched is kept
            build_rootfs(small.supply(nothing), "small", small.recipe, again)
            assert not nothing.asked
    finally:
        os.umask(before)
    assert tree_digest(again) == tree_digest(tree)


@pytest.mark.parametrize("where", ["mirror", "snapshot"])
def test_other_packages_are_found_by_the_pinned_index(small: Small, tmp_path: Path, where: str) -> None:
    """The mirror has them under their digest; where it has moved on, the archive of snapshots has them by its time."""
    tree = tmp_path / "tree"
    tree.mkdir()
    recipe = small.recipe.model_copy(update={"packages": ("libc6", "shell")})
    with served(small.answers if where == "mirror" else small.snapshots) as mirror:
        build_rootfs(small.supply(mirror), "small", recipe, tree)
    assert (tree / "bin/sh").read_text() == "#!" and (tree / "usr/share/docs").read_text() == "kept"
    assert not (tree / "usr/share/doc").exists()


def test_an_index_that_is_another_is_not_read(small: Small, tmp_path: Path) -> None:
    recipe = small.recipe.model_copy(update={"packages": ("shell",)})
    small.answers[small.by_hash] = lzma.compress(b"Package: shell\n")
    with served(small.answers) as mirror, pytest.raises(HostFault, match=r"its SHA-256 is|more than"):
        build_rootfs(small.supply(mirror), "small", recipe, tmp_path)


def test_another_libc_than_platforms_yaml_says(small: Small, tmp_path: Path) -> None:
    recipe = small.recipe.model_copy(update={"libc_version": "2.31"})
    with served(small.answers) as mirror, pytest.raises(HostFault, match=r"has glibc 2\.99, platforms.yaml says 2\.31"):
        build_rootfs(small.supply(mirror), "small", recipe, tmp_path)


def test_a_package_that_nobody_has(small: Small, tmp_path: Path) -> None:
    with (
        served({}) as mirror,
        pytest.raises(HostFault, match="packages of Debian s amd64: could not be fetched: ") as caught,
    ):
        build_rootfs(small.supply(mirror), "small", small.recipe, tmp_path)
    assert str(caught.value).count("it answers 404") == 2


def test_a_kernel_stands_before_its_modules(tmp_path: Path, small: Small) -> None:
    release = "6.1-x"
    data = deb(
        (f"./boot/config-{release}", F, "CONFIG_X=y"),
        (f"./boot/vmlinuz-{release}", F, "MZ kernel"),
        (f"./usr/lib/modules/{release}/x.ko", F, "module"),
    )
    text = index(stanza("linux-image-x", Depends="linux-image-6.1-x"), stanza("linux-image-6.1-x", data))
    fields = json.loads(small.lock.read_text())
    packed = lzma.compress(text.encode())
    fields["indexes"]["s/amd64"] |= {"size": len(packed), "sha256": hashlib.sha256(packed).hexdigest()}
    small.lock.write_text(json.dumps(fields))
    small.answers = {
        f"/debian/dists/s/main/binary-amd64/by-hash/SHA256/{hashlib.sha256(packed).hexdigest()}": packed,
        "/debian/pool/main/x/linux-image-x_1_amd64.deb": b"x",
        "/debian/pool/main/x/linux-image-6.1-x_1_amd64.deb": data,
    }
    recipe = KernelRecipe(suite="s", arch="amd64", package="linux-image-6.1-x", page_size=4096)
    tree = tmp_path / "tree"
    tree.mkdir()
    with served(small.answers) as mirror:
        found = build_kernel(small.supply(mirror), "k", recipe, tree)
    assert found == ("Debian s linux-image-6.1-x", {"release": release})
    assert sorted(p.name for p in tree.iterdir()) == ["config", "vmlinuz"]


def test_what_is_made_of_other_packages_is_made_again(
    small: Small, tmp_path: Path, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(platforms.file.rootfs, "small", small.recipe)
    with served(small.answers) as mirror:
        first = Store(platforms, Cache(tmp_path / "cache"), supply=small.supply(mirror)).rootfs("small")
        fields = json.loads(small.lock.read_text())
        newer = deb(("./usr/bin/new", F, "x"))
        row = package("newer", newer)
        fields["pinned"]["rootfs"]["small"]["packages"].append([row.path, row.size, row.sha256])
        small.lock.write_text(json.dumps(fields))
        small.answers[f"/debian/{row.path}"] = newer
        second = Store(platforms, Cache(tmp_path / "cache"), supply=small.supply(mirror)).rootfs("small")
    assert first.digest != second.digest and (second.path / "usr/bin/new").is_file()


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give files away")
def test_a_root_filesystem_that_another_user_has_made_is_copied(
    small: Small, tmp_path: Path, platforms: Platforms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(platforms.file.rootfs, "small", small.recipe)
    with served(small.answers) as mirror:
        first = Store(platforms, Cache(tmp_path / "cache"), supply=small.supply(mirror)).rootfs("small")
        os.chown(first.path, 0, 0)
        shutil.rmtree(small.directory)
        mirror.answers.clear()
        second = Store(platforms, Cache(tmp_path / "cache"), supply=small.supply(mirror), offline=True).rootfs("small")
    assert second.digest == first.digest and second.path != first.path and second.path.stat().st_uid != 0
