"""Layers of images in their order, with what they take away; links, permissions and hard links of other containers."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect.artifact import Node
from pytest_xinchuang.inspect.delivered import Inspection
from pytest_xinchuang.inspect.extract import extract
from pytest_xinchuang.inspect.formats.image import removed_by
from pytest_xinchuang.inspect.images import images
from pytest_xinchuang.inspect.inspector import Inspector, Verdicts
from pytest_xinchuang.sandbox.wall.formats import refuser
from tests.inspect import containers

ELF = refuser("aarch64", "no\n", bytes(7))
OTHER = refuser("x86_64", "no\n", bytes(7))


def read(tmp_path: Path, data: bytes, name: str = "image.tar") -> Inspection:
    path = tmp_path / name
    path.write_bytes(data)
    return Inspector(isa=False).read(path)


def layers(image: Node) -> dict[tuple[str, str], Node]:
    return {(c.facts["image"], c.facts["layer"]): c for c in image.children if "layer" in c.facts}


BASE = containers.tar({"lib/libc.so.6": ELF, "opt/old/a.so": ELF, "opt/new/b.so": ELF, "etc/x": b"x"})
ABOVE = containers.tar({"opt/old/.wh..wh..opq": b"", "opt/old/c.so": ELF, "etc/.wh.x": b"", ".wh..wh.plnk": b""})


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["saved", "layout", "directory", "deeper"])
def test_layers_say_where_they_stand_and_what_they_take_away(kind: str, packed: bool, tmp_path: Path) -> None:
    both = [gzip.compress(layer) if packed else layer for layer in (BASE, ABOVE)]
    files = containers.layout({"arm64": both}, "images/app/" if kind == "deeper" else "")
    if kind == "saved":
        found = read(tmp_path, containers.saved_image(both, "arm64"))
    elif kind == "layout":
        found = read(tmp_path, containers.tar(files))
    else:
        for name, data in files.items():
            (tmp_path / "delivery" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "delivery" / name).write_bytes(data)
        found = Inspector(isa=False).read(tmp_path / "delivery")
    image = found.root.children[0] if kind == "deeper" else found.root
    assert image.kind == "image" and not found.problems
    if kind == "deeper":
        assert (found.root.kind, image.name) == ("directory", "images/app")
    below, above = layers(image)["0", "0"], layers(image)["0", "1"]
    assert below.members == ["lib/libc.so.6", "opt/old/a.so", "opt/new/b.so", "etc/x"] and not below.removed
    assert above.members == ["opt/old/c.so"] and above.removed == ["opt/old/", "etc/x"]
    assert below.modes["lib/libc.so.6"] == 0o644 and "etc/.wh.x" not in above.modes


def test_the_marks_of_layers() -> None:
    assert removed_by("etc/.wh.x") == ["etc/x"]
    assert removed_by(".wh..wh..opq") == ["/"] and removed_by("a/b/.wh..wh..opq") == ["a/b/"]
    assert removed_by(".wh..wh.aufs") == [] and removed_by("a/x.wh.y") is None and removed_by("a.wh./b") is None


def test_an_image_for_two_platforms_keeps_their_layers_apart(tmp_path: Path) -> None:
    mine, others = containers.tar({"app": ELF}), containers.tar({"app": OTHER})
    found = read(tmp_path, containers.tar(containers.layout({"arm64": [BASE, mine], "amd64": [others]})))
    assert sorted(layers(found.root)) == [("0", "0"), ("0", "1"), ("1", "0")]
    told = images(found.root)
    assert [(i.os, i.arch, len(i.layers), i.present) for i in told] == [
        ("linux", "arm64", 2, True),
        ("linux", "amd64", 1, True),
    ]


def test_a_platform_whose_manifest_was_left_out_is_not_present(tmp_path: Path, platforms: Platforms) -> None:
    files = containers.layout({"arm64": [BASE], "amd64": [ABOVE]})
    all_of = images(Node("image", "", "", texts=files))
    lost = next(
        n for n, d in files.items() if b'"layers"' in d and all_of[1].layers[0].rpartition("/")[2].encode() in d
    )
    del files[lost]
    found = read(tmp_path, containers.tar(files))
    assert [(i.arch, i.present) for i in images(found.root)] == [("arm64", True), ("amd64", False)]
    assert not found.problems
    for name, codes in (("kunpeng", set()), ("zhaoxin", {"XC-IMG-001"})):
        told = Verdicts(platforms.get(name), platforms.file.architectures).of(found)
        assert {f.code for f in told if f.certainty is not Certainty.NOTE} == codes


def test_a_layer_that_is_not_there_or_cannot_be_read_is_told(tmp_path: Path) -> None:
    files = containers.layout({"arm64": [BASE, b"\1\0encrypted" * 4000]})
    base = images(Node("image", "", "", texts=files))[0].layers[0]
    found = read(tmp_path, containers.tar(files))
    assert [p.code for p in found.problems] == ["XC-BAD-006"] and "no kind" in found.problems[0].detail
    found = read(tmp_path, containers.tar({n: d for n, d in files.items() if n != base}))
    assert {p.code for p in found.problems} == {"XC-BAD-002", "XC-BAD-006"}
    empty = containers.layout({"arm64": [BASE, bytes(1024)]})
    assert not read(tmp_path, containers.tar(empty)).problems
    lost = {"index.json": containers.layout({"arm64": [BASE]})["index.json"], "a.so": ELF}
    assert [p.code for p in read(tmp_path, containers.tar(lost)).problems] == ["XC-BAD-002"]


def test_a_layer_that_older_engines_saved_once_is_found_by_its_link(tmp_path: Path) -> None:
    saved = containers.saved_image([BASE, ABOVE], "arm64")
    with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
        members = {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    first, second = json.loads(members["manifest.json"])[0]["Layers"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name if name != first else "shared/layer.tar")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo(first)
        link.type, link.linkname = tarfile.SYMTYPE, "../shared/layer.tar"
        archive.addfile(link)
    found = read(tmp_path, buffer.getvalue())
    assert not found.problems
    assert layers(found.root)["0", "0"].name == "shared/layer.tar" and layers(found.root)["0", "1"].name == second


@pytest.mark.parametrize(
    "texts",
    [
        {"manifest.json": b'{"name": "a web application"}'},
        {"manifest.json": b"[]"},
        {"manifest.json": b"[1, 2]"},
        {"index.json": b'{"title": "page"}'},
        {"index.json": b"[" * 100_000},
        {"index.json": b'{"manifests": 5}'},
    ],
)
def test_other_files_of_these_names_make_no_image(texts: dict[str, bytes], tmp_path: Path) -> None:
    found = read(tmp_path, containers.tar({**texts, "a.so": ELF}))
    assert found.root.kind == "tar" and not found.problems


@pytest.mark.parametrize("kind", ["saved", "layout"])
def test_what_is_put_into_a_sandbox_is_the_whole_of_the_layers(kind: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, target in {
            "app/libx.so": "/lib/libx.so.1",
            "usr/lib": "../lib",
            "app/libc.so.6": "../usr/lib/libc.so.6",
        }.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    upper = containers.tar({"lib/libx.so.1": OTHER})
    three = [BASE, buffer.getvalue(), ABOVE, upper]
    path = tmp_path / "image.tar"
    path.write_bytes(
        containers.saved_image(three, "arm64")
        if kind == "saved"
        else containers.tar(containers.layout({"arm64": three}))
    )
    files = extract(path, "arm64")
    assert files["app/libx.so"] == OTHER, "a link leads into a layer above its own"
    assert files["app/libc.so.6"] == ELF, "through a link to a directory"
    assert sorted(files) == [
        "app/libc.so.6",
        "app/libx.so",
        "lib/libc.so.6",
        "lib/libx.so.1",
        "opt/new/b.so",
        "opt/old/c.so",
    ]
    if kind == "layout":
        with pytest.raises(XcError, match="leads to no manifest"):
            extract(path, "loong64")


def test_links_in_a_circle_lead_nowhere(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, target in {"a": "b", "b": "a", "c": "c/d"}.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    path = tmp_path / "a.tar"
    path.write_bytes(buffer.getvalue())
    assert extract(path) == {}


def cpio_linked() -> bytes:
    """Two names of one file: the first member has no content."""
    out = b""
    for name, data in (("a/first", b""), ("a/second", ELF), ("TRAILER!!!", b"")):
        raw = name.encode() + b"\0"
        fields = [7, 0o100755 if data or "first" in name else 0, 0, 0, 2 if "/" in name else 1, 0, len(data)]
        fields += [1, 2, 0, 0, len(raw), 0]
        out += b"070701" + b"".join(f"{f:08X}".encode() for f in fields) + raw
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return out


def test_hard_links_are_links_to_the_name_that_has_the_content(tmp_path: Path) -> None:
    found = read(tmp_path, cpio_linked(), "a.cpio")
    assert found.root.members == ["a/second"] and found.root.links == {"a/first": "/a/second"}
    assert found.root.modes == {"a/second": 0o755}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("./bin/a")
        info.size, info.mode = len(ELF), 0o4755
        archive.addfile(info, io.BytesIO(ELF))
        link = tarfile.TarInfo("./bin/b")
        link.type, link.linkname = tarfile.LNKTYPE, "./bin/a"
        archive.addfile(link)
    found = read(tmp_path, buffer.getvalue(), "a.tar")
    assert found.root.links == {"bin/b": "/bin/a"} and found.root.modes == {"bin/a": 0o4755}


def test_a_directory_tells_permissions_too(tmp_path: Path) -> None:
    (tmp_path / "delivery").mkdir()
    for name, mode in (("a", 0o755), ("b", 0o600)):
        (tmp_path / "delivery" / name).write_bytes(ELF)
        (tmp_path / "delivery" / name).chmod(mode)
    assert Inspector(isa=False).read(tmp_path / "delivery").root.modes == {"a": 0o755, "b": 0o600}


DEBIAN = containers.tar({"usr/lib/os-release": b'ID=debian\nVERSION_ID="12"\n'})
KYLIN = containers.tar({"etc/os-release": b'ID="kylin"\nVERSION="V10 (SP1)"\nVERSION_ID="V10"\n'})


@pytest.mark.parametrize("saved", [False, True], ids=["the lowest first", "the highest first"])
def test_an_image_is_of_the_system_that_its_highest_layer_names(
    saved: bool, tmp_path: Path, platforms: Platforms
) -> None:
    """However its layers are laid into the archive."""
    told = {}
    for name, both in (("kylin above", [DEBIAN, KYLIN]), ("debian above", [KYLIN, DEBIAN])):
        data = containers.saved_image(both, "loong64") if saved else containers.oci_layout([("loong64", both)])
        found = read(tmp_path, data, f"{name}.tar")
        verdicts = Verdicts(platforms.get("loongson"), platforms.file.architectures)
        told[name] = {f.code for f in verdicts.of(found) if f.certainty is Certainty.CERTAIN}
    assert told == {"kylin above": {"XC-OS-001"}, "debian above": set()}
