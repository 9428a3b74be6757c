"""What was read from files is kept, as long as the files' bytes are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.core import remembered


def test_a_file_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    read: list[str] = []

    @remembered.by_content
    def texts(*paths: Path) -> list[str]:
        found = [path.read_text() for path in paths]
        read.extend(found)
        return found

    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1")
    two.write_text("1")
    assert texts(one) is texts(one) and read == ["1"]
    # Another name is another file: errors tell it.
    assert texts(two) == ["1"] and texts(one, two) == ["1", "1"] and len(read) == 4
    one.write_text("2")
    assert texts(one) == ["2"] and len(read) == 5
    one.write_text("1")
    assert texts(one) == ["1"] and len(read) == 5


def test_what_it_raises_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"

    @remembered.by_content
    def number(*paths: Path) -> int:
        return int(paths[0].read_text())

    with pytest.raises(FileNotFoundError):
        number(path)
    path.write_text("x")
    for _time in range(2):
        with pytest.raises(ValueError):
            number(path)
    path.write_text("3")
    assert number(path) == 3


def test_it_does_not_grow_without_end(tmp_path: Path) -> None:
    count = 0

    @remembered.by_content
    def text(path: Path) -> str:
        nonlocal count
        count += 1
        return path.read_text()

    path = tmp_path / "file"
    for number in range(40):
        path.write_text(str(number))
        assert text(path) == str(number)
    path.write_text("0")
    assert text(path) == "0" and count == 41
