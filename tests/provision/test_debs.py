"""Packages that are unpacked: where entries come to lie, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import zstandard

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.provision.debs import Wanted, read_index, read_members, unpack_all
from tests.messages.english import english_in
from tests.provision.packages import D, F, H, Member, S, ar, deb, tar, written


def unpacked(tmp_path: Path, *packages: bytes) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    unpack_all(written(tmp_path, [(f"p{n}", data) for n, data in enumerate(packages)]), tree)
    return tree


LINKS: tuple[Member, ...] = (("./usr/lib/", D, ""), ("./lib", S, "usr/lib"), ("./bin", S, "/usr/bin"))


def test_what_a_package_of_split_usr_brings_lands_in_merged_usr(tmp_path: Path) -> None:
    tree = unpacked(
        tmp_path,
        deb(*LINKS),
        deb(("./lib/", D, ""), ("./lib/x/", D, ""), ("./lib/x/y.so", F, "one"), ("./lib/x/z.so", S, "y.so")),
        deb(("./bin/", D, ""), ("./bin/tool", F, "two"), ("./bin/hard", H, "./bin/tool")),
        deb(("./usr/lib/x/", D, ""), ("./usr/lib/x/other.so", F, "three")),
    )
    assert (tree / "lib").is_symlink() and (tree / "bin").is_symlink()
    found = {str(p.relative_to(tree)) for p in tree.rglob("*") if p.is_file()}
    assert found == {f"usr/{p}" for p in ("lib/x/y.so", "lib/x/z.so", "lib/x/other.so", "bin/tool", "bin/hard")}
    assert (tree / "usr/bin/hard").samefile(tree / "usr/bin/tool")


def test_a_directory_stays_where_a_link_would_take_its_place(tmp_path: Path) -> None:
    tree = unpacked(tmp_path, deb(("./lib/", D, ""), ("./lib/a", F, "a")), deb(("./lib", S, "usr/lib")))
    assert (tree / "lib/a").read_text() == "a" and not (tree / "lib").is_symlink()


def test_the_last_file_of_a_name_stays(tmp_path: Path) -> None:
    tree = unpacked(
        tmp_path, deb(("./a", F, "one")), deb(("./a", F, "two")), deb(("./b", S, "a")), deb(("./b", F, "b"))
    )
    assert (tree / "a").read_text() == "two" and (tree / "b").read_text() == "b"


@pytest.mark.parametrize("target", ["/etc", "../../../../etc", "../../outside"])
def test_links_never_lead_into_the_host(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").mkdir()
    tree = unpacked(tmp_path, deb(("./link", S, target)), deb(("./link/new", F, "x")))
    assert (tree / target.replace("../", "").lstrip("/") / "new").read_text() == "x"
    assert not list((tmp_path / "outside").iterdir()) and not Path("/etc/new").exists()


@pytest.mark.parametrize(
    ("compress", "ending"),
    [
        (lzma.compress, ".xz"),
        (gzip.compress, ".gz"),
        (bz2.compress, ".bz2"),
        (zstandard.ZstdCompressor().compress, ".zst"),
        (bytes, ""),
    ],
)
def test_every_compression_of_packages_is_read(tmp_path: Path, compress: object, ending: str) -> None:
    content = compress(tar(("./a", F, "content" * 9999)))  # type: ignore[operator]
    assert (unpacked(tmp_path, deb(ending=ending, content=content)) / "a").read_text() == "content" * 9999


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("xz") is None, reason="needs xz")
def test_a_stream_of_several_blocks_is_read(tmp_path: Path) -> None:
    text = "".join(str(n) for n in range(300_000))
    plain = tar(("./a", F, text), ("./b", F, "b"))
    words = ["xz", "-c", "--block-size=100000", "-T2"]
    packed = subprocess.run(words, input=plain, stdout=subprocess.PIPE, check=True).stdout
    tree = unpacked(tmp_path, deb(content=packed))
    assert (tree / "a").read_text() == text and (tree / "b").read_text() == "b"


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("xz") is None, reason="needs xz")
@pytest.mark.parametrize("size", [1000, 100_000, 1 << 24])
def test_members_are_read_without_the_others(tmp_path: Path, size: int) -> None:
    texts = {name: "".join(f"{name}{n}" for n in range(50_000)) for name in "abc"}
    plain = tar(*((f"./{name}", F, text) for name, text in texts.items()))
    words = ["xz", "-c", f"--block-size={size}", "-T2"]
    packed = subprocess.run(words, input=plain, stdout=subprocess.PIPE, check=True).stdout
    ((package, file),) = written(tmp_path, [("p", deb(content=packed))])
    spans = {name: (plain.index(text.encode()), len(text)) for name, text in texts.items()}
    found = read_members(package, file, [spans["c"], spans["a"], (0, 0), (len(plain) - 1, 1)])
    assert found == [texts["c"].encode(), texts["a"].encode(), b"", plain[-1:]]
    for span in ((len(plain), 1), (0, len(plain) + 1), (-1, 1)):
        assert read_members(package, file, [span]) is None


def test_members_of_another_compression_are_not_known(tmp_path: Path) -> None:
    ((package, file),) = written(tmp_path, [("p", deb(ending=".gz", content=gzip.compress(tar(("./a", F, "a")))))])
    assert read_members(package, file, [(512, 1)]) is None


def test_what_is_not_wanted_stays_away(tmp_path: Path) -> None:
    data = deb(
        ("./usr/share/doc/x", F, "x"), ("./usr/bin/one", F, "1"), ("./usr/bin/two", F, "2"), ("./usr/three", F, "3")
    )
    (tmp_path / "tree").mkdir()
    wanted = Wanted(lambda name: not name.startswith("usr/share"), most=2)
    unpack_all(written(tmp_path, [("p", data)]), tmp_path / "tree", lambda _package: wanted)
    assert {p.name for p in (tmp_path / "tree").rglob("*") if p.is_file()} == {"one", "two"}


def test_a_package_with_another_digest_is_not_opened(tmp_path: Path) -> None:
    (package, file), *_rest = written(tmp_path, [("p", deb(("./a", F, "x")))])
    file.write_bytes(deb(("./a", F, "y")))
    (tmp_path / "tree").mkdir()
    with pytest.raises(DataFileError, match=r"SHA-256 [0-9a-f]{64}, where the package p has [0-9a-f]{64}") as caught:
        unpack_all([(package, file)], tmp_path / "tree")
    assert not list((tmp_path / "tree").iterdir())
    assert not english_in(caught.value.render("zh"))


WHOLE = deb(("./a", F, "".join(map(str, range(9999)))))
BAD = {
    "empty": b"",
    "no archive": b"text" * 100,
    "cut off": WHOLE[:-30],
    "no data": ar(("debian-binary", b"2.0\n")),
    "a bad header": WHOLE[:8] + b"x" * 60,
    "text as data": deb(content=b"text" * 1000),
    "a cut stream": deb(content=lzma.compress(b"x" * 9999)[:-20]),
    "a damaged stream": deb(content=bytes([*lzma.compress(os.urandom(9999))[:100], *b"?" * 9999])),
    "another compression": deb(content=gzip.compress(b"x" * 9999)[:50], ending=".gz"),
    "leaves": deb(("../out", F, "x")),
    "links to nothing": deb(("./a", H, "./b")),
    "a loop": deb(("./a", S, "b"), ("./b", S, "a"), ("./a/c", F, "x")),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_a_damaged_package_is_told_in_words(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tree").mkdir()
    with pytest.raises(DataFileError, match=r"p\.deb: ") as caught:
        unpack_all(written(tmp_path, [("p", data)]), tmp_path / "tree")
    assert not english_in(caught.value.render("zh").replace("Corrupt input data", ""))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("data", [lzma.compress(b"x" * 999)[:-5], gzip.compress(b"\xff", mtime=0), b"\xff\xfe"])
def test_a_damaged_index_is_told(data: bytes) -> None:
    with pytest.raises(DataFileError, match="the index of packages cannot be read") as caught:
        read_index(data)
    assert not english_in(caught.value.render("zh"))
