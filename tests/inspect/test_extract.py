"""What of a directory of the subject's is put into a sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.inspect import extract as extracting
from pytest_xinchuang.inspect.extract import Reader, extract, unpack
from tests.inspect import containers


def test_links_that_lead_out_of_a_directory_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    place = tmp_path / "artifact"
    (place / "bin").mkdir(parents=True)
    (place / "bin/own").write_text("own")
    (place / "bin/link").symlink_to("own")
    (place / "bin/python").symlink_to("/usr/bin/env")
    (place / "bin/secret").symlink_to("../../secret")
    (place / "away").symlink_to(tmp_path)
    assert extract(place) == {"bin/own": b"own", "bin/link": b"own"}


BOTH = Reader(lambda name, _head: name.endswith(".txt"), lambda name, data: (name, data))
LAYERS = [
    containers.tar({"a.txt": b"one", "b.txt": b"two", "old/c.txt": b"three", "keep": b"kept", "other": b"x"}),
    containers.tar({"b.txt": b"new", "old/.wh..wh..opq": b"", "d.txt": b"four"}),
    containers.linked_tar({"e": b""}, {"d.txt": "a.txt"}),
]


def wanted(name: str, _head: bytes) -> bool:
    return name == "keep"


def test_an_image_is_unpacked_once_for_all_of_its_platforms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(containers.tar(containers.layout({"amd64": LAYERS, "arm64": [LAYERS[0]]})))
    read: list[int] = []
    members = extracting.members

    def counted(kind: str, data: bytes, account: object) -> object:
        read.append(len(data))
        return members(kind, data, account)  # type: ignore[arg-type]

    monkeypatch.setattr(extracting, "members", counted)
    amd64, arm64 = unpack(path, wanted=wanted, reader=BOTH)
    assert len(read) == 1 + len(LAYERS) + 1, "the archive, and each layer of each platform"
    assert amd64.read == {
        "a.txt": ("a.txt", b"one"),
        "b.txt": ("b.txt", b"new"),
        "keep": ("keep", b""),
        "other": ("other", b""),
        "e": ("e", b""),
    }
    assert set(arm64.read) == {"a.txt", "b.txt", "old/c.txt", "keep", "other"}
    assert amd64.files["keep"] == arm64.files["keep"] == b"kept"
    assert amd64.files["a.txt"] == b"", "what is read is not kept"
    (only,) = unpack(path, "arm64", wanted=wanted, reader=BOTH)
    assert only == arm64
    with pytest.raises(XcError, match="leads to no manifest"):
        unpack(path, "loong64", wanted=wanted, reader=BOTH)


def test_a_directory_and_a_file_are_read_where_they_lie(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one")
    (tmp_path / "link.txt").symlink_to("a.txt")
    (tmp_path / "keep").write_bytes(b"kept")
    (found,) = unpack(tmp_path, wanted=wanted, reader=BOTH)
    assert found.read == {"a.txt": ("a.txt", b"one"), "keep": ("keep", b"")}, "a link is no file of its own"
    assert found.files == {"a.txt": b"", "link.txt": b"", "keep": b"kept"}
    (found,) = unpack(tmp_path / "a.txt", wanted=wanted, reader=BOTH)
    assert found.read == {"a.txt": ("a.txt", b"one")}
    with pytest.raises(XcError, match="more than"):
        unpack(tmp_path, wanted=wanted, reader=BOTH, most=3)
