from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import DataFileError
from pytest_xinchuang.provision.archive import pack, unpack
from pytest_xinchuang.provision.cache import tree_digest
from tests.messages.english import english_in


def archive(tmp_path: Path, *members: tuple[str, bytes, str]) -> Path:
    """(name, type, content or link target)"""
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o4755
            if kind == tarfile.REGTYPE:
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
            else:
                info.linkname = text
                tar.addfile(info)
    return path


F, D, S, H = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def test_there_and_back(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "d/e").mkdir(parents=True)
    (tree / "d/file").write_text("content")
    (tree / "abs").symlink_to("/etc/passwd")
    (tree / "hard").hardlink_to(tree / "d/file")
    (tree / "d/e").chmod(0o500)
    pack(tree, tmp_path / "a.tar")
    (tmp_path / "again").mkdir()
    unpack(tmp_path / "a.tar", tmp_path / "again")
    assert tree_digest(tmp_path / "again") == tree_digest(tree)


def test_devices_are_left_out_and_set_id_bits_dropped(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    unpack(archive(tmp_path, ("dev", D, ""), ("dev/null", tarfile.CHRTYPE, ""), ("su", F, "x")), tmp_path / "t")
    assert not (tmp_path / "t/dev/null").exists()
    assert (tmp_path / "t/su").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    "members",
    [
        [("../out", F, "x")],
        [("a/../../out", F, "x")],
        [("link", S, "/tmp"), ("link/out", F, "x")],
        [("link", S, ".."), ("link/out", F, "x")],
        [("hard", H, "/etc/passwd")],
        [("hard", H, "../../etc/passwd")],
        [("link", S, "/etc/passwd"), ("hard", H, "link")],
    ],
)
def test_a_member_that_would_leave_the_tree_is_refused(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    tree = tmp_path / "deep" / "tree"
    tree.mkdir(parents=True)
    with pytest.raises(DataFileError, match=r"leave|link"):
        unpack(archive(tmp_path, *members), tree)
    assert not list(tmp_path.rglob("out"))


def test_an_absolute_name_means_the_tree(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    unpack(archive(tmp_path, ("/etc/x", F, "x")), tmp_path / "t")
    assert (tmp_path / "t/etc/x").read_text() == "x"


MEMBER = gzip.compress(b"file".ljust(100, b"\0") + bytes(412))  # a header without its sum


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"not a tar archive" * 100, "it is no tar archive, or of a compression that is not known"),
        (b"\x1f\x8b\x08\x00", "it is cut off"),
        (MEMBER, "it is no tar archive, or of a compression that is not known"),
    ],
    ids=["empty", "none", "cut off", "no sum"],
)
def test_what_is_no_archive_is_told_in_words(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.tar").write_bytes(content)
    (tmp_path / "t").mkdir()
    with pytest.raises(DataFileError, match=f"cannot be unpacked: {why}") as caught:
        unpack(tmp_path / "a.tar", tmp_path / "t")
    assert not english_in(caught.value.render("zh"))


def test_a_damaged_archive_is_told_in_words(tmp_path: Path) -> None:
    """zlib's own error is none of tarfile's, and was not caught."""
    path = archive(tmp_path, ("file", F, "x" * 100_000))
    damaged = bytearray(gzip.compress(path.read_bytes(), compresslevel=0))
    damaged[60_000:90_000] = b"\xff" * 30_000
    (tmp_path / "b.tar").write_bytes(damaged)
    (tmp_path / "t").mkdir()
    with pytest.raises(DataFileError, match="cannot be unpacked: "):
        unpack(tmp_path / "b.tar", tmp_path / "t")


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_cut_off_archive_is_told_in_words(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    path = archive(tmp_path, ("file", F, "".join(chr(33 + n * n % 89) for n in range(5000))))
    whole = compress(path.read_bytes())
    path.write_bytes(whole[: 2000 if compress is bytes else len(whole) // 2])
    (tmp_path / "t").mkdir()
    with pytest.raises(DataFileError, match="cannot be unpacked: it is cut off"):
        unpack(path, tmp_path / "t")
