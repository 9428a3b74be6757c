"""What builds ask of the machine beside uname, and files of another machine that they link with; each with its twin."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from pytest_xinchuang.advise.builds import stand_in_foreign as foreign
from pytest_xinchuang.advise.builds.survey import BuildsSurvey
from pytest_xinchuang.core.advice import Standing
from pytest_xinchuang.core.platform import Platforms
from tests.advise.asking import EM, library
from tests.advise.builds.trees import said, told, whole

pytestmark = pytest.mark.tools

MAIN = {"main.c": "int main(void) { return 0; }\n"}
STOPS, PASSES = Standing.STOPPED, Standing.BUILDS
LINKS = "all: p\np: main.c\n\t$(CC) -o $@ main.c "
"""A makefile's rule, and what it links with behind it."""


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


def standings(platforms: Platforms, tmp_path: Path, files: dict[str, str], kept: Path) -> list[Standing]:
    """On ARM64, LoongArch64 and x86-64."""
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    return [found[name].standing for name in ("kunpeng", "loongson", "hygon")]


def makefile(question: str, wanted: str) -> dict[str, str]:
    rules = "all: p\np: main.c\n\t$(CC) -o $@ main.c\n"
    text = f"SHELL = /bin/bash\nIS := $(shell {question})\nifneq ($(IS),{wanted})\n$(error not $(IS))\nendif\n{rules}"
    return {"Makefile": text, **MAIN}


@pytest.mark.parametrize(
    ("question", "wanted", "arm64"),
    [
        ("grep -c -m1 -w sse2 /proc/cpuinfo", "1", STOPS),
        ("grep -c -m1 '^processor' /proc/cpuinfo", "1", PASSES),
        ("python3 -c 'import platform; print(platform.machine())'", "x86_64", STOPS),
        ("python3 -c 'import os; print(os.uname().sysname)'", "Linux", PASSES),
        ("echo $$HOSTTYPE", "x86_64", STOPS),
        ("echo $${MACHTYPE%%-*}", "x86_64", STOPS),
    ],
)
def test_what_else_tells_the_machine(
    question: str, wanted: str, arm64: Standing, platforms: Platforms, tmp_path: Path, kept: Path
) -> None:
    assert standings(platforms, tmp_path, makefile(question, wanted), kept) == [arm64, arm64, PASSES]


MESON = """project('p', 'c')
if host_machine.cpu_family() not in ['x86_64', {arms}]
  error('unsupported processor ' + host_machine.cpu_family())
endif
cc = meson.get_compiler('c')
if cc.has_argument('-mavx2')
  add_project_arguments('-mavx2', language: 'c')
endif
executable('p', 'main.c')
"""


@pytest.mark.skipif(not shutil.which("meson") or not shutil.which("ninja"), reason="meson is not here")
def test_meson_finds_a_linker_and_asks_for_the_processor(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    files = {"meson.build": MESON.format(arms="'aarch64'"), **MAIN}
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    assert told(found["loongson"]) == [("XC-ADV-040", "certain", "meson.build:3")]
    assert whole([found["kunpeng"], found["hygon"]]) and not found["kunpeng"].findings


@pytest.mark.parametrize(
    ("flags", "arm64", "loong64"),
    [
        ("-mcmodel=large -fno-pic", PASSES, STOPS),
        ("-mcmodel=large -fPIC", STOPS, STOPS),
        ("-mcmodel=large", Standing.OPEN, STOPS),
        ("-fno-pic", PASSES, PASSES),
    ],
)
def test_an_option_that_is_taken_beside_another(
    flags: str, arm64: Standing, loong64: Standing, platforms: Platforms, tmp_path: Path, kept: Path
) -> None:
    files = {"Makefile": f"all: a.o\na.o: a.c\n\t$(CC) {flags} -c a.c -o a.o\n", "a.c": "int a;\n"}
    assert standings(platforms, tmp_path, files, kept) == [arm64, loong64, PASSES]


def archive(*members: bytes) -> bytes:
    """An archive as ar(1) writes it."""
    data = b"!<arch>\n"
    for number, member in enumerate(members):
        head = f"{number}.o/".ljust(16) + "0".ljust(12) + "0".ljust(6) + "0".ljust(6) + "644".ljust(8)
        data += f"{head}{len(member):<10}`\n".encode() + member + b"\n" * (len(member) % 2)
    return data


def objects(machine: str) -> bytes:
    """An archive with a member that is no object, and one of an odd size."""
    return archive(b"text\n", library(machine) + b"\0")


@pytest.mark.parametrize("words", ["lib/libv.a", "-Llib -lv", "-L lib -l:libv.a", "-Llib -ldyn"])
def test_a_library_of_x86_in_the_tree_is_linked_with_nowhere_else(
    words: str, platforms: Platforms, tmp_path: Path, kept: Path
) -> None:
    lib = tmp_path / "tree/lib"
    lib.mkdir(parents=True)
    (lib / "libv.a").write_bytes(objects("x86_64"))
    (lib / "libdyn.so").write_bytes(library("x86_64"))
    files = {"Makefile": f"{LINKS}{words}\n", **MAIN}
    found = said(platforms, tmp_path, files, BuildsSurvey(), kept=kept)
    for name in ("kunpeng", "loongson"):
        assert told(found[name]) == [("XC-ADV-043", "certain", "Makefile:3")], name
    assert not found["hygon"].findings and found["hygon"].standing is PASSES


def test_its_twins(platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    """A library for each machine, one that nobody links with, and those that the build makes."""
    for machine in EM:
        lib = tmp_path / "tree/lib" / machine
        lib.mkdir(parents=True)
        (lib / "libv.a").write_bytes(objects(machine))
    (tmp_path / "tree/lib/libx.so").write_bytes(library("x86_64"))
    own = "libown.a: own.o\n\tar rcs $@ own.o\nlibdyn.so: own.c\n\t$(CC) -shared -o $@ own.c\nmain.c: libown.a libdyn.so\n"
    words = "lib/$(shell uname -m)/libv.a libown.a -L. -ldyn -lm"
    files = {"Makefile": f"{LINKS}{words}\n{own}", **MAIN, "own.c": "int own;\n"}
    assert standings(platforms, tmp_path, files, kept) == [PASSES] * 3


@pytest.mark.parametrize(
    "recipe",
    [
        "ld -r -m elf_x86_64 -o p main.o",
        "objcopy -I binary -O elf64-x86-64 -B i386 main.c p",
        "$(CC) -o p main.o -Wl,-m,elf_x86_64",
        "$(CC) -o p main.o -Xlinker --oformat=elf64-x86-64",
        "$(CC) -o p main.o -nostdlib -T p.ld",
        "$(CC) -o p main.o -Wl,--dynamic-linker=/lib64/ld-linux-x86-64.so.2",
        "$(CC) -o p main.o -Wl,-dynamic-linker,/lib/ld-musl-x86_64.so.1",
        "ld -o p -dynamic-linker /lib64/ld-linux-x86-64.so.2 main.o",
    ],
)
def test_tools_that_are_told_to_write_for_x86(recipe: str, platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    script = "OUTPUT_ARCH(i386:x86-64)\nSECTIONS { .text : { *(.text) } }\n"
    files = {"Makefile": f"all: p\nmain.o: main.c\np: main.o\n\t{recipe}\n", **MAIN, "p.ld": script}
    assert standings(platforms, tmp_path, files, kept) == [STOPS, STOPS, PASSES]


@pytest.mark.parametrize(
    "recipe",
    [
        "$(CC) -o p main.o -nostdlib -T p.ld -Wl,-Map=elf_x86_64 -Wl,-bind_at_load",
        "$(CC) -o p main.o -Wl,--dynamic-linker=/opt/product/lib/ld.so.1",
        "$(CC) -o p main.o -Wl,-rpath,/opt/ld-linux-x86-64.so.2 -L/usr/lib/x86_64-linux-gnu",
        "$(CC) -o p main.o $(if $(filter x86_64,$(shell uname -m)),-Wl$(,)--dynamic-linker=/lib64/ld-linux-x86-64.so.2)",
    ],
)
def test_tools_that_are_told_nothing_of_x86(recipe: str, platforms: Platforms, tmp_path: Path, kept: Path) -> None:
    script = "OUTPUT_FORMAT(elf64-littleaarch64)\nSECTIONS { .text : { *(.text) } }\n"
    files = {"Makefile": f", := ,\nall: p\nmain.o: main.c\np: main.o\n\t{recipe}\n", **MAIN, "p.ld": script}
    assert standings(platforms, tmp_path, files, kept) == [PASSES] * 3


def test_what_a_linker_says_of_words(tmp_path: Path) -> None:
    (tmp_path / "p.ld").write_text('OUTPUT_FORMAT("elf64-x86-64", "elf64-x86-64")')
    arm, x86 = library("aarch64"), library("x86_64")
    words = foreign.linker_words(
        ["-Wl,-m,elf_x86_64,-b", "-Wl,binary", "-Xlinker", "-T", "-Xlinker", f"{tmp_path}/p.ld"]
    )
    assert len(foreign.refused_words(arm, words)) == 2
    assert foreign.refused_words(x86, words) == []
    assert (
        foreign.refused_words(arm, ["-T", f"{tmp_path}/absent.ld", "-m", "aarch64linux", "-m", "-b", "binary", "-T"])
        == []
    )


def test_what_a_linker_says_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own, other = library("aarch64"), library("x86_64")
    big = bytearray(other)
    big[5], big[18:20] = 2, struct.pack(">H", 22)
    many = {"own.a": archive(own, other), "other.a": archive(other), "big.o": bytes(big), "thin.a": b"!<thin>\n"}
    many |= {"cut.a": archive(other)[:40], "empty": b"", "script.so": b"INPUT(other.a)\n", "short.o": other[:10]}
    for name, data in many.items():
        (tmp_path / name).write_bytes(data)
    said = foreign.foreign(own, [*many, "missing.o"], ["-l", "-L"])
    assert said == ["other.a: file in wrong format", "big.o: file in wrong format"]
    assert foreign.foreign(own, [], []) == []
    for place, data in (("one", other), ("two", own)):
        (tmp_path / place).mkdir()
        (tmp_path / place / "libv.so").write_bytes(data)
    assert not foreign.foreign(own, [], ["-Lone", "-L", "two", "-lv"]), "the next directory has it"
    (said_,) = foreign.foreign(own, [], ["-Lone", "-l", "v"])
    assert "cannot find -lv" in said_
