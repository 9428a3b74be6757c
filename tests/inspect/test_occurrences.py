"""What is found in one pass is what a search for each finds, wherever it stands."""

from __future__ import annotations

import mmap
import random
import re
import sys
from pathlib import Path

import pytest

from pytest_xinchuang.inspect.formats import occurrences
from pytest_xinchuang.inspect.formats.occurrences import BLOCK, Occurrences
from pytest_xinchuang.inspect.walk import SOUGHT

np = pytest.importorskip("numpy")

PATTERNS = {**SOUGHT, b"aaa": 0, b"\0\0\0\0": 1, b"three": 2}
SIZE = 2 * BLOCK + 12_345


def searched(data: bytes, pattern: bytes, begin: int, end: int) -> list[int]:
    """All the places of a pattern, by the plain way."""
    return [found.start() + begin for found in re.finditer(b"(?=%b)" % re.escape(pattern), data[begin:end])]


def planted(seed: int) -> bytes:
    """Noise with each pattern at even and at odd places, at the edges of blocks and of the whole, and over one another."""
    chance = random.Random(seed)
    data = bytearray(chance.randbytes(SIZE))
    for pattern in PATTERNS:
        for edge in (0, BLOCK, 2 * BLOCK, SIZE, chance.randrange(SIZE), chance.randrange(SIZE)):
            at = min(max(edge + chance.randrange(-len(pattern) - 1, 3), 0), SIZE - len(pattern))
            data[at : at + len(pattern)] = pattern
    data[5000:5009] = b"aaaaaaaaa"
    return bytes(data)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("begin", "cut"), [(0, 0), (64, 1), (1, 0), (BLOCK - 1, 3)])
def test_one_pass_finds_what_a_search_for_each_finds(
    seed: int, begin: int, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, end = planted(seed), SIZE - cut
    found = Occurrences(PATTERNS, data, begin, end)
    monkeypatch.setitem(sys.modules, "numpy", None)
    plain = Occurrences(PATTERNS, data, begin, end)
    assert sum(bool(found.known(pattern)) for pattern in PATTERNS) > 4
    for pattern in PATTERNS:
        wanted = searched(data, pattern, begin, end)
        assert found.known(pattern) == wanted == list(found.of(pattern)), pattern
        assert plain.known(pattern) is None
        assert list(plain.of(pattern)) == wanted, pattern


def test_a_file_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(data := planted(9))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        found = Occurrences(PATTERNS, mapped, 0, len(mapped))
        assert found.known(b"\x7fELF") == searched(data, b"\x7fELF", 0, SIZE)


def test_too_many_places_are_searched_for_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(occurrences, "MOST", 1000)
    data = bytes(4000) + b"#" * (1 << 16)
    assert Occurrences({b"###": 0}, data[: 1 << 15], 0, 1 << 15).known(b"###") is None  # not worth it
    found = Occurrences({b"###": 0}, data, 0, len(data))
    assert found.known(b"###") is None
    assert list(found.of(b"###")) == list(range(4000, len(data) - 2))
