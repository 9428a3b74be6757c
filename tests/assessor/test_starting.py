"""How a sealed process is started; what is handed on is in tests/cli/test_grading.py."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from pytest_xinchuang.assessor.starting import PREFIX, Place, absolute, sealed_path
from pytest_xinchuang.packages.option import PackageOption


def test_what_killed_processes_have_left_goes_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    places = {name: tmp_path / f"{PREFIX}{name}" for name in ("left", "young", "used")}
    for place in (*places.values(), tmp_path / "other"):
        (place / "pycache").mkdir(parents=True)
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "other")
    for path in (places["left"], places["used"], tmp_path / "other"):
        os.utime(path, (0, 0))
    lock = os.open(places["used"], os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    made = Place.make()
    os.close(lock)
    assert not places["left"].exists() and places["young"].exists() and places["used"].exists()
    assert (tmp_path / "other/pycache").exists() and list(made.path.iterdir()) == []
    os.utime(made.path, (0, 0))
    other = Place.make()
    assert made.path.exists(), "it is in use"
    made.hand_on()
    other.hand_on()
    made.remove()
    assert not made.path.exists()


def test_paths_in_options_are_made_absolute(tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    assert absolute(PackageOption("--xc-x", "DIR", ""), "a/b", tmp_path) == f"{tmp_path}/a/b"
    assert absolute(PackageOption("--xc-x", "DIR", ""), "/a", tmp_path) == "/a"
    several = PackageOption("--xc-x", "URL[,URL...]", "")
    assert absolute(several, "proxy,https://p,direct", tmp_path) == f"{tmp_path}/proxy,https://p,direct"


def test_programs_of_the_user_come_first(tmp_path: Path) -> None:
    assert sealed_path([str(tmp_path)]).startswith(f"{tmp_path}:") and str(tmp_path) not in sealed_path()
