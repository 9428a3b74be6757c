"""The source tree: which files are its own, and how their texts are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.tree import LARGEST_TEXT, SourceTree
from pytest_xinchuang.core.errors import XcError


def _tree(root: Path, **files: str) -> SourceTree:
    for name, text in files.items():
        place = root / name.replace("__", "/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return SourceTree(root)


def test_files_are_named_from_the_root_and_sorted(tmp_path: Path) -> None:
    tree = _tree(tmp_path, **{"src/b.c": "b", "a.c": "a", ".git/x.c": "x", "node_modules/m/y.c": "y"})
    assert tree.files == ("a.c", "src/b.c") and "a.c" in tree and ".git/x.c" not in tree
    assert tree.named("*.c") == ["a.c", "src/b.c"] and tree.text("src/b.c") == "b"


def test_a_link_out_of_the_tree_is_none_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/out.c").symlink_to("../outside")
    (tmp_path / "tree/in.c").write_text("own")
    (tmp_path / "tree/link.c").symlink_to("in.c")
    assert SourceTree(tmp_path / "tree").files == ("in.c", "link.c")


def test_what_is_no_text_is_not_read(tmp_path: Path) -> None:
    tree = _tree(tmp_path, **{"a.c": "a\0b", "large.c": ""})
    with (tmp_path / "large.c").open("wb") as file:
        file.truncate(LARGEST_TEXT + 1)
    assert tree.text("a.c") is None and tree.text("large.c") is None and tree.text("none.c") is None


def test_paths_are_brought_back_to_the_tree(tmp_path: Path) -> None:
    tree = _tree(tmp_path, **{"src/a.c": "a"})
    assert tree.relative("../src/a.c", "src") == "src/a.c" and tree.relative(tmp_path / "src/a.c") == "src/a.c"
    assert tree.relative("/usr/include/stdio.h") is None and tree.relative("../../x") is None


def test_a_file_is_no_tree(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("")
    with pytest.raises(XcError, match="no directory"):
        SourceTree(tmp_path / "a.c")
