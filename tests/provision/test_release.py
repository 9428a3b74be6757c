"""Release archives: the same bytes from the same entries, and nothing that they may not bring."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import re
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.cli.entry import main
from pytest_xinchuang.commands.common import Exit
from pytest_xinchuang.core.errors import DataFileError, HostFault, XcError
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.provision import fetch
from pytest_xinchuang.provision.cache import Cache, tree_digest
from pytest_xinchuang.provision.fetch import Downloads
from pytest_xinchuang.provision.release import Release, Taken, fetch_release, take_release, write_release
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.provision.transport import import_release
from tests.messages.english import english_in
from tests.provision.packages import served


def fill(tree: Path) -> tuple[str, dict[str, str]]:
    (tree / "bin").mkdir()
    (tree / "bin/sh").write_text("#!" * 9999)
    (tree / "bin/sh").chmod(0o755)
    (tree / "sh").symlink_to("bin/sh")
    return "Debian", {"libc": "2.31"}


def written(tmp_path: Path, *names: str) -> Path:
    """An archive of entries that have all the same content."""
    cache = Cache(tmp_path / "first")
    entries = [cache.make("rootfs", name, "7 x", fill) for name in names or ("x",)]
    write_release(cache, entries, tmp_path / "release.tar")
    return tmp_path / "release.tar"


def taken(tmp_path: Path, archive: Path, trees: dict[tuple[str, str], str] | None = None) -> tuple[Cache, Taken]:
    cache = Cache(tmp_path / "second")
    release = Release(archive, archive.name, "SHA-256 0, pinned")
    return cache, take_release(cache, release, lambda entry: entry.recipe == "7 x", trees or {}, lambda *_: None)


def test_there_and_back(tmp_path: Path) -> None:
    archive = written(tmp_path, "y", "x")
    cache, found = taken(tmp_path, archive)
    assert found == Taken(["x", "y"], [])
    entry = cache.verified("rootfs", "x", "7 x")
    assert entry is not None and entry.stand_in and entry.facts == {"libc": "2.31"}
    assert entry.source == "Debian, from release.tar (SHA-256 0, pinned)"
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert (tmp_path / "release.tar.sha256").read_text() == f"{digest}  release.tar\n"


def test_the_same_bytes_from_the_same_entries(tmp_path: Path) -> None:
    """By whom they were made, when, and by which archive they came, is no part of it."""
    first = written(tmp_path, "x", "y").read_bytes()
    cache, _found = taken(tmp_path, tmp_path / "release.tar")
    (cache.tree("rootfs", "y") / "bin/sh").touch()
    again = list(reversed(cache.entries()))
    write_release(cache, again, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == first


def test_a_file_of_two_names_is_two_files(tmp_path: Path) -> None:
    def linked(tree: Path) -> tuple[str, dict[str, str]]:
        (tree / "a").write_text("x")
        (tree / "b").hardlink_to(tree / "a")
        return "Debian", {}

    cache = Cache(tmp_path / "first")
    write_release(cache, [cache.make("rootfs", "x", "7 x", linked)], tmp_path / "r.tar")
    second, _found = taken(tmp_path, tmp_path / "r.tar")
    assert (second.tree("rootfs", "x") / "b").stat().st_nlink == 1
    assert second.entries()[0].digest == cache.entries()[0].digest


def test_what_is_made_of_other_packages_is_left_out(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "first")
    entries = [cache.make("rootfs", "x", "6 old", fill), cache.make("rootfs", "y", "7 x", fill)]
    write_release(cache, entries, tmp_path / "r.tar")
    second, found = taken(tmp_path, tmp_path / "r.tar")
    assert found == Taken(["y"], ["x"]) and not second.holds("rootfs", "x")


def test_an_entry_that_is_there_stays(tmp_path: Path) -> None:
    archive = written(tmp_path)
    mine = Cache(tmp_path / "second").make("rootfs", "x", "7 x", fill)
    cache, _found = taken(tmp_path, archive)
    assert cache.peek("rootfs", "x") == mine


def test_a_tree_that_its_packages_do_not_make_is_refused(tmp_path: Path) -> None:
    archive = written(tmp_path)
    digest = Cache(tmp_path / "first").entries()[0].digest
    assert taken(tmp_path, archive, {("rootfs", "x"): digest})[1].names == ["x"]
    with pytest.raises(DataFileError, match="x is not what its packages make"):
        taken(tmp_path / "other", archive, {("rootfs", "x"): "sha256:" + "0" * 64})


Members = list[tuple[str, bytes]]


def edited(archive: Path, edit: Callable[[Any, Members], None], kind: bytes = tarfile.REGTYPE) -> Path:
    """An archive with another index and other members; the digests of the index are left as ``edit`` leaves them."""
    with tarfile.open(archive) as tar:
        members = [(m.name, (tar.extractfile(m) or io.BytesIO()).read()) for m in tar.getmembers()]
    index = json.loads(members[0][1])
    rest = members[1:]
    edit(index, rest)
    place = archive.with_name("edited.tar")
    with tarfile.open(place, "w") as tar:
        for name, data in [("index.json", json.dumps(index).encode()), *rest]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if name != "index.json":
                info.type = kind
            tar.addfile(info, io.BytesIO(data))
    return place


def of_entry(**changes: Any) -> Callable[[Any, Members], None]:
    def edit(index: Any, _members: Members) -> None:
        fields = index["entries"][0]
        fields["entry"] |= changes
        fields["file"] = f"{fields['entry']['kind']}/{fields['entry']['name']}.tar.xz"

    return edit


def of_item(**changes: Any) -> Callable[[Any, Members], None]:
    def edit(index: Any, _members: Members) -> None:
        index["entries"][0] |= changes

    return edit


def of_index(**changes: Any) -> Callable[[Any, Members], None]:
    def edit(index: Any, _members: Members) -> None:
        index |= changes

    return edit


def content(data: bytes, unpacked: int | None = None) -> Callable[[Any, Members], None]:
    """Another tree, of which the index tells the truth, but for the digest of the entry."""

    def edit(index: Any, members: Members) -> None:
        fields = index["entries"][0]
        fields |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        fields["unpacked"] = unpacked or fields["unpacked"]
        members[0] = (members[0][0], data)

    return edit


def tarred(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        tar.addfile(info)
    return lzma.compress(out.getvalue())


def twice(index: Any, members: Members) -> None:
    index["entries"] *= 2
    members *= 2


BAD: dict[str, tuple[Callable[[Any, Members], None], str]] = {
    "another schema": (of_index(schema="xc-release/2"), r"its schema is 'xc-release/2', and xc-release/1 is known"),
    "no entries": (of_index(entries=None), "its index cannot be used"),
    "an entry of nothing": (of_index(entries=[3]), "its index cannot be used"),
    "twice": (twice, "an entry is there twice"),
    "a vendor's name": (of_entry(name="vendor-kunpeng920-kylin_v10_sp3"), "says that it is a vendor's"),
    "a vendor's recipe": (of_entry(recipe="imported"), "says that it is a vendor's"),
    "no stand-in": (of_entry(stand_in=False), "says that it is a vendor's"),
    "a vendor's all": (
        of_entry(name="vendor-kunpeng920-kylin_v10_sp3", recipe="imported", stand_in=False),
        "says that it is a vendor's",
    ),
    "a name that leaves": (of_entry(name="../../x"), "no entry of a cache"),
    "a name of dots": (of_entry(name="x..y"), "no entry of a cache"),
    "a hidden name": (of_entry(name=".x"), "no entry of a cache"),
    "a kind that leaves": (of_entry(kind="../rootfs"), "no entry of a cache"),
    "another kind": (of_entry(kind="tool"), "no entry of a cache"),
    "facts that are none": (of_entry(facts={"x": 1}), "no entry of a cache"),
    "more fields": (of_entry(more=1), "its index cannot be used"),
    "a file elsewhere": (of_item(file="../x.tar.xz"), "no file of an entry"),
    "no digest": (of_item(sha256="x"), "no file of an entry"),
    "another digest": (of_item(sha256="0" * 64), "has another SHA-256 than the index says"),
    "another size": (of_item(size=3), "where rootfs/x.tar.xz is due"),
    "no size": (of_item(size=True), "says no size"),
    "too large": (of_item(unpacked=3 << 30), "says no size, or one beyond"),
    "packed too large": (of_item(size=2 << 30), "says no size, or one beyond"),
    "another digest of the tree": (of_entry(digest="sha256:" + "0" * 64), "the tree of x has digest"),
    "more than it says": (content(tarred("a" * 90), 100), "a tree holds more than the index says"),
    "no xz": (content(b"text" * 100), "cannot be unpacked"),
    "a cut stream": (content(tarred("a")[:60]), "cannot be unpacked: it is cut off"),
    "a member that leaves": (content(tarred("../../out")), "would leave the archive"),
    "a link that leaves": (content(tarred("a", tarfile.LNKTYPE, "/etc/passwd")), "is a link to"),
    "another tree": (content(tarred("a")), "the tree of x has digest"),
    "no member": (lambda _index, members: members.clear(), "is not in it: it is cut off"),
    "more members": (lambda _index, members: members.append(("rootfs/y.tar.xz", b"")), "more in it than its index"),
    "another member": (lambda _i, m: m.__setitem__(0, ("rootfs/y.tar.xz", m[0][1])), "where rootfs/x.tar.xz is due"),
}


@pytest.mark.parametrize(("edit", "said"), BAD.values(), ids=BAD)
def test_what_an_archive_may_not_be(tmp_path: Path, edit: Callable[[Any, Members], None], said: str) -> None:
    archive = edited(written(tmp_path), edit)
    with pytest.raises(DataFileError, match=said) as caught:
        taken(tmp_path, archive)
    cache = Cache(tmp_path / "second")
    assert not cache.entries() or said == "more in it than its index"
    assert not (tmp_path / "out").exists() and not list((cache.root / "tmp").iterdir())
    chinese = re.sub(r"\w+ format not supported by decoder", "", caught.value.render("zh"))  # liblzma's words
    chinese = re.sub(r"'[^']*'|/\S+", "", chinese)
    assert not english_in(chinese), chinese


def test_a_member_that_is_no_file(tmp_path: Path) -> None:
    archive = edited(written(tmp_path), lambda _index, _members: None, tarfile.SYMTYPE)
    with pytest.raises(DataFileError, match=r"where rootfs/x\.tar\.xz is due"):
        taken(tmp_path, archive)


@pytest.mark.parametrize("data", [b"", b"text" * 999, b"\x1f\x8b"])
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "r.tar").write_bytes(data)
    with pytest.raises(DataFileError, match=r"r\.tar: cannot be taken in") as caught:
        taken(tmp_path, tmp_path / "r.tar")
    assert not english_in(caught.value.render("zh"))


@pytest.mark.parametrize("at", [600, 3000, -12000])
def test_an_archive_that_is_cut_off(tmp_path: Path, at: int) -> None:
    archive = written(tmp_path, "x", "y")
    archive.write_bytes(archive.read_bytes()[:at])
    with pytest.raises(DataFileError, match=r"cannot be taken in|cannot be unpacked"):
        taken(tmp_path, archive)


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "first")
    entry = cache.make("rootfs", "x", "7 x", fill)
    with pytest.raises(HostFault, match="No such file or directory"):
        write_release(cache, [entry], tmp_path / "nowhere/r.tar")


# -- where it comes from


def test_a_file_is_what_is_said_of_it(tmp_path: Path) -> None:
    archive = written(tmp_path)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    downloads = Downloads(tmp_path / "d")
    assert fetch_release(downloads, str(archive), digest).trust == f"SHA-256 {digest}, pinned"
    assert fetch_release(downloads, f"file://{archive}", f"sha256:{digest.upper()}").trust.endswith("pinned")
    assert fetch_release(downloads, str(archive)).trust == f"SHA-256 {digest}, by .sha256"
    with pytest.raises(DataFileError, match="its SHA-256 is"):
        fetch_release(downloads, str(archive), "0" * 64)
    beside = tmp_path / "release.tar.sha256"
    beside.write_text("0" * 64)
    with pytest.raises(DataFileError, match="its SHA-256 is"):
        fetch_release(downloads, str(archive))
    beside.write_text("no digest")
    assert fetch_release(downloads, str(archive)).trust == f"SHA-256 {digest}, unpinned"


@pytest.mark.parametrize(
    ("source", "sha256", "said"),
    [
        ("release.tar", "xyz", "is no SHA-256"),
        ("ftp://host/r.tar", "", "neither a path nor a URL of https"),
        ("https:///r.tar", "", "neither a path nor a URL of https"),
        ("http://host/r.tar", "", "what comes over http may be anybody's"),
        ("nowhere.tar", "", "cannot be read"),
    ],
)
def test_a_source_that_cannot_be_used(tmp_path: Path, source: str, sha256: str, said: str) -> None:
    with pytest.raises(XcError, match=said) as caught:
        fetch_release(Downloads(tmp_path), source, sha256)
    assert not english_in(re.sub(r"\S+://\S+", "", caught.value.render("zh")))


def test_nothing_is_fetched_offline(tmp_path: Path) -> None:
    with pytest.raises(XcError, match="nothing is fetched with --offline"):
        fetch_release(Downloads(tmp_path), "https://host/r.tar", offline=True)


def test_an_archive_of_a_server(tmp_path: Path) -> None:
    data = written(tmp_path).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    with served({"/r.tar": data}) as server:
        server.breaks = 2
        release = fetch_release(Downloads(tmp_path / "d"), f"{server.url}/r.tar", digest)
        assert release.file.read_bytes() == data and release.name == "r.tar"
        assert len(server.asked) == 3
        fetch_release(Downloads(tmp_path / "d"), f"{server.url}/r.tar", digest)
        assert len(server.asked) == 3
        with pytest.raises(HostFault, match="its SHA-256 is"):
            fetch_release(Downloads(tmp_path / "d"), f"{server.url}/r.tar", "0" * 64)


@pytest.mark.parametrize("beside", [True, False])
def test_an_archive_of_a_server_that_tells_its_digest_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, beside: bool
) -> None:
    """As a server with a certificate answers: one that has none is refused."""
    data = written(tmp_path).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    opened = fetch._opened
    answers: dict[str, bytes | int] = {"/r.tar": data}
    if beside:
        answers["/r.tar.sha256"] = f"{digest}  r.tar\n".encode()
    with served(answers) as server:
        monkeypatch.setattr(
            fetch, "_opened", lambda url, headers: opened(url.replace("https://host", server.url), headers)
        )
        release = fetch_release(Downloads(tmp_path / "d"), "https://host/r.tar")
    assert release.file.read_bytes() == data
    vouched = "by .sha256" if beside else "unpinned"
    assert release.trust == f"SHA-256 {digest}, {vouched}"


def test_what_leads_away_from_https_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer(io.BytesIO):
        url = "http://elsewhere/r.tar"

    class Opener:
        def open(self, *_words: object, **_more: object) -> Answer:
            return Answer(b"x")

    monkeypatch.setattr("urllib.request.build_opener", Opener)
    with pytest.raises(HostFault, match="which is not https"):
        fetch_release(Downloads(tmp_path), "https://host/r.tar")


# -- the command


def test_a_vendors_own_is_not_replaced(tmp_path: Path, platforms: Platforms) -> None:
    """What says that it is made of the pinned packages has to be what they make: no archive can put another in its place."""
    store = Store(platforms, Cache(tmp_path / "second"))
    cache = Cache(tmp_path / "first")
    recipe = store.made_of("rootfs", "bullseye-arm64")
    write_release(cache, [cache.make("rootfs", "bullseye-arm64", recipe, fill)], tmp_path / "r.tar")
    with pytest.raises(DataFileError, match="bullseye-arm64 is not what its packages make"):
        import_release(store, str(tmp_path / "r.tar"))
    assert not store.cache.entries()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    archive = written(tmp_path)
    monkeypatch.setenv("XC_CACHE", str(tmp_path / "cache"))
    assert main(["provision", "--from", str(archive)]) == Exit.ERROR
    said = capsys.readouterr().err
    assert "left out, since this release" in said and "is of use here" in said
    assert main(["provision", "--sha256", "0" * 64]) == Exit.ERROR
    assert "--from" in capsys.readouterr().err


def test_an_entry_is_what_its_record_says(tmp_path: Path) -> None:
    entry = Cache(tmp_path).make("rootfs", "x", "7 x", fill)
    assert entry.is_well_formed and tree_digest(Cache(tmp_path).tree("rootfs", "x")) == entry.digest
    for name in ("a/b", "..", "", ".hidden"):
        assert not replace(entry, name=name).is_well_formed and not replace(entry, kind=name).is_well_formed
