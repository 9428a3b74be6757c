"""Which compiler it is: what a package recorded, what stands in its place, and what was altered."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.compilers import Identities
from pytest_xinchuang.toolchain.digests import Digests

FILES = {"cc/cc": "program", "cc/lib/x.h": "#define X 1\n", "cc/__init__.py": ""}


def site(tmp_path: Path, *, recorded: bool = True) -> Path:
    """A directory of packages with a compiler in it; returns the program."""
    place = tmp_path / "site"
    lines = []
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(text)}")
    if recorded:
        (place / "cc-1.0.dist-info").mkdir()
        (place / "cc-1.0.dist-info/RECORD").write_text("\n".join([*lines, "cc-1.0.dist-info/RECORD,,"]) + "\n")
    (place / "other-1.dist-info").mkdir()
    (place / "other-1.dist-info/RECORD").write_text("other/x.py,sha256=AAAA,1\n,,\nshort\n")
    return place / "cc/cc"


def identities(tmp_path: Path) -> Identities:
    return Identities(Cache(tmp_path / "cache"), Digests(tmp_path / "cache/digests"))


def test_a_recorded_program_is_named_with_its_package(tmp_path: Path) -> None:
    program = site(tmp_path)
    tool = identities(tmp_path).of(str(program), "1.0")
    assert (tool.package, tool.recorded) == ("cc-1.0", True)
    assert tool.sha256 == hashlib.sha256(b"program").hexdigest()
    assert identities(tmp_path).of(str(program), "1.0") == tool  # by what was kept of the record


def test_one_that_stands_in_a_packages_place_is_seen(tmp_path: Path) -> None:
    tool = identities(tmp_path).of(str(site(tmp_path, recorded=False)), "1.0")
    assert (tool.package, tool.recorded, tool.told()["path"]) == ("", None, str(tmp_path / "site/cc/cc"))


def test_an_altered_program_is_our_fault(tmp_path: Path) -> None:
    program = site(tmp_path)
    program.write_text("programX")
    with pytest.raises(ToolchainFault, match=r"cc/cc is not the file that its package installed"):
        identities(tmp_path).of(str(program), "1.0")


def test_what_it_calls_is_part_of_its_digest(tmp_path: Path) -> None:
    program = str(site(tmp_path))
    (tmp_path / "as").write_text("1")
    first = identities(tmp_path).of(program, "1.0", (str(tmp_path / "as"),))
    (tmp_path / "as").write_text("2")
    assert identities(tmp_path).of(program, "1.0", (str(tmp_path / "as"),)).sha256 != first.sha256


def test_a_program_that_is_not_there_is_our_fault(tmp_path: Path) -> None:
    with pytest.raises(ToolchainFault, match="cannot be read"):
        identities(tmp_path).of(str(tmp_path / "none"), "1.0")


@pytest.mark.parametrize("what", ["altered", "added", "gone"])
def test_a_package_is_looked_at_as_a_whole(tmp_path: Path, what: str) -> None:
    program = site(tmp_path)
    identities(tmp_path).check_package(str(program))
    (program.parent / "__pycache__").mkdir()
    (program.parent / "__pycache__/x.pyc").write_text("")
    identities(tmp_path).check_package(str(program))
    header = program.parent / "lib/x.h"
    match what:
        case "altered":
            header.write_text("#define X 2\n")
        case "added":
            (program.parent / "lib/stdio.h").write_text("")
        case "gone":
            header.unlink()
    with pytest.raises(ToolchainFault, match="is not the file that its package installed"):
        identities(tmp_path).check_package(str(program))


def test_a_program_of_the_system_has_no_package(tmp_path: Path) -> None:
    program = tmp_path / "bin/cc"
    program.parent.mkdir()
    program.write_text("")
    identities(tmp_path).check_package(str(program))
    assert identities(tmp_path).of(str(program), "1").recorded is None
