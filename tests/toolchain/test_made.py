"""What is kept of a build, and when it is not believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_xinchuang.toolchain.compilers import Tool
from pytest_xinchuang.toolchain.digests import Digests, stamp_of
from pytest_xinchuang.toolchain.jail import Isolation
from pytest_xinchuang.toolchain.made import Made, named_in

DATA = b"\x7fELF and more"


def stored(tmp_path: Path) -> tuple[Path, Path, Made]:
    """A build at its place, and a header that it was made with."""
    place, header = tmp_path / "build", tmp_path / "x.h"
    place.mkdir()
    header.write_text("#define X 1\n")
    made = Made(
        key=place.name,
        tools=(Tool("/usr/bin/cc", "cc 1", "00", "cc-1", recorded=True),),
        argv=("cc", "{here}/u.c"),
        environment={"PATH": "/usr/bin"},
        given={"u.c": "11"},
        read={str(header): hashlib.sha256(header.read_bytes()).hexdigest()},
        stamps={str(header): stamp_of(str(header))},
        isolation=Isolation.LANDLOCK,
        refused={"namespaces": "no"},
        sha256=hashlib.sha256(DATA).hexdigest(),
    )
    made.store(place, DATA)
    return place, header, made


def test_a_build_is_read_as_it_was_stored(tmp_path: Path) -> None:
    place, _header, made = stored(tmp_path)
    found = Made.load(place, Digests(tmp_path / "digests"))
    assert found is not None and found[0] == DATA and found[1].told() == made.told()
    told = made.told()
    assert told["isolation"] == "landlock" and told["refused"] == {"namespaces": "no"}
    assert told["given"]["files"] == told["read"]["files"] == 1
    assert told["tools"][0]["package"] == "cc-1"


def test_a_file_that_was_only_touched_is_still_the_same(tmp_path: Path) -> None:
    place, header, _made = stored(tmp_path)
    header.write_text("#define X 1\n")
    assert Made.load(place, Digests(tmp_path / "digests")) is not None


def _set(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda kept: kept["made"].update({key: value})


@pytest.mark.parametrize(
    "change",
    [
        _set("isolation", "namespaces"),
        _set("isolation", "other"),
        _set("sha256", hashlib.sha256(DATA + b"x").hexdigest()),
        _set("given", {}),
        _set("read", {}),
        _set("tools", []),
        _set("format", "xc-build/0"),
        _set("more", 1),
        lambda kept: kept.update(sha256=""),
        lambda kept: kept.pop("made"),
        lambda kept: kept.update(made=[]),
        lambda kept: kept.clear(),
    ],
)
def test_a_record_that_was_altered_is_not_believed(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    place, _header, _made = stored(tmp_path)
    kept = json.loads((place / "made.json").read_text())
    change(kept)
    (place / "made.json").write_text(json.dumps(kept))
    assert Made.load(place, Digests(tmp_path / "digests")) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", '"x"', '{"made": {"read": 1}, "sha256": ""}', "\0"])
def test_a_record_that_is_malformed_is_not_believed(tmp_path: Path, text: str) -> None:
    place, _header, _made = stored(tmp_path)
    (place / "made.json").write_text(text)
    assert Made.load(place, Digests(tmp_path / "digests")) is None


def test_another_build_in_its_place_is_not_used(tmp_path: Path) -> None:
    place, _header, _made = stored(tmp_path)
    place.rename(tmp_path / "another")
    assert Made.load(tmp_path / "another", Digests(tmp_path / "digests")) is None


@pytest.mark.parametrize("what", ["altered", "gone", "output", "no output", "no record", "a file"])
def test_a_build_is_not_used_when_anything_of_it_has_changed(tmp_path: Path, what: str) -> None:
    place, header, _made = stored(tmp_path)
    match what:
        case "altered":
            header.write_text("#define X 2\n")
        case "gone":
            header.unlink()
        case "output":
            (place / "out").write_bytes(DATA[:-1] + b"x")
        case "no output":
            (place / "out").unlink()
        case "no record":
            (place / "made.json").unlink()
        case "a file":  # where a build of an earlier version stood
            place = header
    assert Made.load(place, Digests(tmp_path / "digests")) is None


def test_a_large_file_is_not_read_twice_unless_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Digests, "LARGE", 10)
    file, kept = tmp_path / "zig", tmp_path / "digests"
    file.write_bytes(b"x" * 100)
    digest = hashlib.sha256(b"x" * 100).hexdigest()
    assert Digests(kept).of(file) == digest
    (record,) = kept.iterdir()
    name, stamp, _digest = json.loads(record.read_text())
    record.write_text(json.dumps([name, stamp, "kept"]))
    assert Digests(kept).of(file) == "kept"
    file.write_bytes(b"y" + b"x" * 99)
    assert Digests(kept).of(file) != "kept"
    for text in ("", "[]", '["other", [0,0,0,0,0], "x"]', '{"a": 1}'):
        record.write_text(text)
        assert Digests(kept).of(file) != digest


@pytest.mark.parametrize(
    ("rules", "names"),
    [
        ("u.o: u.c x.h\n", ["u.c", "x.h"]),
        ("/tmp/a b.o: u.c \\\n  ../x/y.h \\\n  z.h\n", ["u.c", "../x/y.h", "z.h"]),
        (
            "u.o: with\\ blank.h hash\\#.h dollar$$.h back\\slash.h\n",
            ["with blank.h", "hash#.h", "dollar$.h", "back\\slash.h"],
        ),
        ("u.o: ./a/../b.h\n", ["b.h"]),
        ("", []),
        ("no rule", []),
        ("u.o: \\", ["\\"]),
    ],
)
def test_a_compilers_list_is_read(rules: str, names: list[str]) -> None:
    assert named_in(rules) == names
