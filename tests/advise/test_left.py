"""What no other survey judges is said to be there, and makes no tree clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_xinchuang.advise.engine import advise
from pytest_xinchuang.advise.left import LeftSurvey, lost_links
from pytest_xinchuang.advise.python.survey import PythonSurvey
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import baseline
from pytest_xinchuang.advise.work import Work
from pytest_xinchuang.core.platform import Arch
from tests.advise.asking import PLATFORMS, ask, library

POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d' * 32}\nsize 12345\n"
MODULES = '[submodule "deps/z"]\n\tpath = deps/z\n\turl = https://example.com/z.git\n'


@pytest.mark.parametrize("name", ["bin/tool", "pkg/_fast.cpython-311-x86_64-linux-gnu.so", "native/x86_64/libq.so"])
def test_a_native_file_for_x86_64_alone_is_told_in_every_language(tmp_path: Path, name: str) -> None:
    said = ask(LeftSurvey(), tmp_path, {name: library("x86_64")})
    assert said.may("kunpeng") == said.may("loongson") == [("XC-ADV-083", name)] and not said.found("hygon")


def test_one_that_each_machine_has_of_its_own_is_not(tmp_path: Path) -> None:
    files = {f"native/{machine}/libq.so": library(machine) for machine in ("x86_64", "aarch64", "loongarch64")}
    assert not ask(LeftSurvey(), tmp_path, files).said.findings


def test_of_tests_it_is_a_note(tmp_path: Path) -> None:
    said = ask(LeftSurvey(), tmp_path, {"tests/data/tool": library("x86_64")})
    assert not said.found("kunpeng") and said.said.findings


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({".gitmodules": MODULES, "a.py": ""}, "its directory is empty"),
        ({"lib/libq.so": POINTER}, "a pointer is in its place"),
        ({"lib/q.jar": "PK\x03\x04garbage" * 20}, "it cannot be read"),
        ({"src/lib.rs": "use core::arch::x86_64::*;\n"}, "nothing here judges it"),
        ({"a.swift": "print(1)\n"}, "nothing here judges it"),
        ({"a.asm": "mov rax, 1\n"}, "nothing here judges it"),
        ({"a.js": "if (process.arch !== 'x64') throw 1\n"}, "nothing here judges it"),
        ({"a.ipynb": '{"source": ["import platform"]}'}, "nothing here judges it"),
    ],
)
def test_what_is_not_here_or_not_read_is_not_judged(tmp_path: Path, files: dict[str, str], why: str) -> None:
    said = ask(LeftSurvey(), tmp_path, files)
    assert why in said.why("kunpeng") and said.judged("kunpeng") == [(0, 1)]


@pytest.mark.parametrize(
    "files",
    [
        {".gitmodules": MODULES, "deps/z/a.txt": ""},
        {"go.mod": "module a\n", "a.go": "package a\n", "a_amd64.asm": "mov rax, 1\n"},
        {".gitmodules": MODULES.replace("deps/z", "tests/z")},
        {"docs/a.png": POINTER},
        {"README.md": POINTER.replace("version", "The version")},
        {"src/lib.rs": "", "Cargo.toml": ""},
        {"a.js": "alert(1)\n"},
        {"a.asm": "mov rax, 1\n", "Makefile": ""},
    ],
)
def test_what_is_here_or_asks_nothing_is_left_to_others(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    assert not LeftSurvey().applies(SourceTree(tmp_path))


def test_what_loads_a_native_file_is_told_and_the_file_is_not_told_again(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/libq.so").write_bytes(library("x86_64"))
    (tmp_path / "tree/other.so").write_bytes(library("x86_64"))
    (tmp_path / "tree/a.py").write_text('import ctypes\nq = ctypes.CDLL("./libq.so")\n', encoding="utf-8")
    chosen = (PLATFORMS.get("kunpeng"),)
    base = baseline(chosen, PLATFORMS.file.architectures[Arch.AMD64])
    work = Work(chosen, base, tmp_path / "scratch", offline=True, build=False)
    (advice,) = advise(SourceTree(tmp_path / "tree"), work, [PythonSurvey(), LeftSurvey()])
    assert [(f.code, f.object) for f in advice.findings] == [("XC-ADV-082", "a.py:2"), ("XC-ADV-083", "other.so")]


@pytest.mark.parametrize(
    ("name", "to", "lost"),
    [
        ("src/b.c", "../nowhere.c", 1),
        ("src/b.py", "/usr/include/stdio.h", 1),
        ("src/b.c", "b.c", 1),
        ("src/b.c", "a.c", 0),
        ("tests/b.c", "../nowhere.c", 0),
        ("install-sh", "/usr/share/automake/install-sh", 0),
    ],
)
def test_a_link_to_a_source_that_is_not_here(tmp_path: Path, name: str, to: str, lost: int) -> None:
    place = tmp_path / "tree"
    for directory in ("src", "tests"):
        (place / directory).mkdir(parents=True)
    (place / "src/a.c").write_text("int a;\n")
    (place / name).symlink_to(to)
    assert len(lost_links(SourceTree(place))) == lost
    assert LeftSurvey().applies(SourceTree(place)) is bool(lost)
