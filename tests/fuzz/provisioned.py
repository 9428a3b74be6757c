"""What is provisioned from: indexes of packages, packages, the lock, and release archives."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import tarfile
import tempfile
from pathlib import Path

from pytest_xinchuang.provision.cache import Cache, Entry, tree_digest
from pytest_xinchuang.provision.debian import Package, PackageIndex
from pytest_xinchuang.provision.debs import read_index, unpack_all
from pytest_xinchuang.provision.pins import Pins
from pytest_xinchuang.provision.release import Release, take_release
from tests.fuzz.common import put, say
from tests.fuzz.drive import Case
from tests.provision.packages import D, F, H, S, deb, index, stanza, tar

_TREE = lzma.compress(tar(("./a", F, "a"), ("./b", S, "a")))


def read_provisioned(case: Case, place: Path) -> None:
    """One file, by its name."""
    path = put(case, place)
    match case.name:
        case "Packages":
            packages = PackageIndex(read_index(case.data)).closure(["a"])
            say(" ".join(f"{p.name} {p.path} {p.size}" for p in packages))
        case "a.deb":
            (place / "tree").mkdir()
            unpack_all([(Package("a", "pool/a.deb", len(case.data), _sha256(case.data)), path)], place / "tree")
        case "lock.json":
            pins = Pins(path)
            say(" ".join(pins.names("rootfs")))
        case "index.json":
            _take(_archive(case.data, place), place)
        case "release.tar":
            _take(path, place)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _take(archive: Path, place: Path) -> None:
    taken = take_release(Cache(place / "cache"), Release(archive, "r", "t"), lambda _entry: True, {}, lambda *_: None)
    say(" ".join(taken.names))
    assert {path.parts[-1] for path in (place / "cache").iterdir()} == {"entries", "locks", "tmp", "builds"}


def _archive(of: bytes, place: Path) -> Path:
    with tarfile.open(place / "made.tar", "w") as archive:
        for name, data in (("index.json", of), ("rootfs/x.tar.xz", _TREE)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return place / "made.tar"


def provisioned_seeds() -> list[Case]:
    """A good one of each."""
    text = index(
        stanza("a", Depends="b (>= 1) | c, d", Provides="e (= 1), f"), *(stanza(name) for name in ("b", "c", "d"))
    )
    sha = "0" * 64
    path = "dists/s/main/binary-amd64/Packages.xz"
    lock = {
        "schema": "xc-packages/1",
        "indexes": {"s/amd64": {"snapshot": "20260101T000000Z", "path": path, "size": 1, "sha256": sha}},
        "pinned": {
            "rootfs": {"x": {"suite": "s", "arch": "amd64", "asked": [], "packages": [["pool/a/a_1.deb", 1, sha]]}}
        },
    }
    of = json.dumps(_index()).encode()
    return [
        Case("Packages", text.encode()),
        Case("a.deb", deb(("./a/", D, ""), ("./a/b", F, "x"), ("./c", S, "a"), ("./c/d", F, "y"), ("./e", H, "./a/b"))),
        Case(
            "a.deb", deb(("./a", F, "x"), ("./b", S, "/a"), ending="", content=tar(("./a", F, "x"), ("./b", S, "/a")))
        ),
        Case("lock.json", json.dumps(lock).encode()),
        Case("index.json", of),
        Case("release.tar", _whole(of)),
    ]


def _index() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "a").write_text("a")
        (Path(scratch) / "a").chmod(0o755)
        (Path(scratch) / "b").symlink_to("a")
        digest = tree_digest(Path(scratch))
    entry = Entry("rootfs", "x", "7 x", digest, "Debian", facts={"libc": "2.31"})
    fields = {"kind": entry.kind, "name": entry.name, "recipe": entry.recipe, "digest": digest, "source": entry.source}
    item = {"file": "rootfs/x.tar.xz", "size": len(_TREE), "sha256": _sha256(_TREE), "unpacked": 1 << 16}
    return {
        "schema": "xc-release/1",
        "entries": [{**item, "entry": {**fields, "stand_in": True, "facts": entry.facts}}],
    }


def _whole(of: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        return _archive(of, Path(scratch)).read_bytes()
