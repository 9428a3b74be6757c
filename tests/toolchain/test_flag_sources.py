"""Flags from where a build has written them down; each reader has its malformed twin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from pytest_xinchuang.cli import main
from pytest_xinchuang.core.errors import XcError
from pytest_xinchuang.core.finding import Certainty, Finding
from pytest_xinchuang.core.platform import Platforms
from pytest_xinchuang.inspect.build_info import read_build_info
from pytest_xinchuang.inspect.elf import NotElf
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.toolchain.flags import Asker, Line, check_lines, read_source
from pytest_xinchuang.tools.process import Runner

TIMEOUT_S = 60


def put(place: Path, text: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


def words(lines: list[Line]) -> list[tuple[str, ...]]:
    return [line.words for line in lines if line.words]


def unread(lines: list[Line]) -> list[str]:
    return [str(line.unread) for line in lines if line.unread]


# -- compilation databases


def test_a_compilation_database(tmp_path: Path) -> None:
    put(tmp_path / "build/more.rsp", "-mavx2 '-DX=a b'")
    entries = [
        {"directory": "build", "file": "a.c", "command": 'gcc -O2 -I x -DX="a b" -march=x86-64-v2 -o a.o -c a.c'},
        {"directory": "build", "file": "b.c", "arguments": ["clang", "@more.rsp", "-c", "b.c"]},
        {"directory": "build", "file": "c.c", "arguments": ["clang", "@none.rsp", "-c", "c.c"]},
    ]
    path = put(tmp_path / "compile_commands.json", json.dumps(entries))
    assert words(read_source(path)) == [("gcc", "-O2", "-march=x86-64-v2"), ("clang", "-mavx2"), ("clang", "@none.rsp")]
    assert not unread(read_source(path))
    assert words(read_source(tmp_path)) == words(read_source(path))


@pytest.mark.parametrize("text", ["[", "{}", "1", "[" * 100_000, '"x"'])
def test_what_is_no_compilation_database_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(XcError):
        read_source(put(tmp_path / "compile_commands.json", text))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '[{"file": "a.c", "command": "mycc -O2 -c a.c"}]',
        "[1]",
        '[{"file": "a.c"}]',
        '[{"file": 1, "command": "gcc \'"}]',
        '[{"arguments": [1]}]',
    ],
)
def test_entries_that_tell_nothing_are_told(text: str, tmp_path: Path) -> None:
    assert unread(read_source(put(tmp_path / "compile_commands.json", text)))


# -- what make prints

MAKE = r"""
make[1]: Entering directory '/x'
gcc -DHAVE -I. -O2 -MT a.o -MD -MF .deps/a.Tpo -c -o a.o `test -f 'a.c' || echo './'`a.c
/bin/bash ../libtool  --tag=CC   --mode=compile ccache gcc -O2 -mavx2 \
   -c -o b.lo b.c
libtool: compile:  gcc -O2 -c b.c -fPIC -o .libs/b.o
cd sub && CFLAGS="-mfma" x86_64-linux-gnu-g++-12 -O2 -c 'c d.cc' > /dev/null 2>&1
echo gcc -mavx512f
checking for gcc... gcc
[3/12] /usr/bin/c++ -march=haswell -o y.o -c y.cpp
+ clang -mbmi x.c
     Running `CARGO=/usr/bin/cargo rustc --crate-name x src/lib.rs -C target-cpu=haswell`
export GOAMD64=v3
GOAMD64=v3 go build ./...
"""


def test_what_make_prints(tmp_path: Path) -> None:
    lines = read_source(put(tmp_path / "make.log", MAKE))
    assert words(lines) == [
        ("gcc", "-O2"),
        ("gcc", "-O2", "-mavx2"),
        ("gcc", "-O2", "-fPIC"),
        ("CFLAGS=-mfma", "x86_64-linux-gnu-g++-12", "-O2"),
        ("/usr/bin/c++", "-march=haswell"),
        ("clang", "-mbmi"),
        ("rustc", "--crate-name", "-C", "target-cpu=haswell"),
        ("GOAMD64=v3",),
        ("GOAMD64=v3", "go"),
    ]
    assert not unread(lines)
    assert lines[1].place.endswith("make.log:4")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello\n",
        "  CC      a.o\n",
        "[ 50%] Building C object x.o\n",
        "gcc -O2 'a\n",
        "echo gcc -O2 a.c\n",
        "gcc a.c\nmycc -c b.c\n",
    ],
)
def test_output_that_tells_no_flags_is_told(text: str, tmp_path: Path) -> None:
    assert unread(read_source(put(tmp_path / "make.log", text)))


# -- CMake, cargo

CACHE = """# This is the CMakeCache file.
CMAKE_BUILD_TYPE:STRING=Release
CMAKE_C_COMPILER:FILEPATH=/usr/bin/cc
CMAKE_C_FLAGS:STRING=-O2
CMAKE_C_FLAGS_RELEASE:STRING=-O3 -march=haswell
CMAKE_C_FLAGS_DEBUG:STRING=-mavx512f
CMAKE_EXE_LINKER_FLAGS:STRING=-Wl,-z,max-page-size=4096
"""


def test_a_cache_of_cmake(tmp_path: Path) -> None:
    lines = read_source(put(tmp_path / "CMakeCache.txt", CACHE))
    assert words(lines) == [("/usr/bin/cc", "-O2", "-O3", "-march=haswell"), ("-Wl,-z,max-page-size=4096",)]
    assert [line.certainty for line in lines if line.unread] == [Certainty.NOTE]
    several = CACHE.replace("CMAKE_BUILD_TYPE:STRING=Release", "CMAKE_CONFIGURATION_TYPES:STRING=Debug;Release")
    assert "-mavx512f" in str(words(read_source(put(tmp_path / "b/CMakeCache.txt", several))))


@pytest.mark.parametrize("text", ["# This is the CMakeCache file.\n", CACHE.replace("-O2", "'-O2")])
def test_a_cache_that_tells_nothing_is_told(text: str, tmp_path: Path) -> None:
    lines = read_source(put(tmp_path / "CMakeCache.txt", text))
    assert any(line.unread and line.certainty is Certainty.UNDECIDED for line in lines)


def test_a_configuration_of_cargo(tmp_path: Path) -> None:
    text = '[target.x86_64-unknown-linux-gnu]\nrustflags = ["-C", "target-cpu=haswell"]\n[build]\nrustflags = "-Cpanic=abort"\n'
    text += '[env]\nCFLAGS = "-mavx2"\n'
    assert words(read_source(put(tmp_path / "config.toml", text))) == [
        ("rustc", "-Cpanic=abort"),
        ("rustc", "--target=x86_64-unknown-linux-gnu", "-C", "target-cpu=haswell"),
        ("CFLAGS=-mavx2",),
    ]
    assert unread(read_source(put(tmp_path / "config.toml", "[build]\njobs = 1\n")))
    with pytest.raises(XcError):
        read_source(put(tmp_path / "config.toml", "[build"))


def test_what_holds_no_flags_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"PK\x03\x04\0\0")
    for name in ("x.bin", "none", "."):
        with pytest.raises(XcError):
            read_source(tmp_path / name)


# -- objects

SOURCE = "int f(int x) { return x + 1; }\nint main(void) { return f(0); }\n"


def compiled(place: Path, target: str, *flags: str) -> Path:
    place.mkdir(exist_ok=True)
    source = put(place / "a.c", SOURCE)
    out = place / "a.o"
    argv = [find_zig(), "clang", "-target", target, *flags, "-c", source.name, "-o", str(out)]
    done = Runner().run(argv, timeout_s=TIMEOUT_S, cwd=place)
    assert done.ok, done.errors
    return out


def status(platforms: Platforms, name: str, path: Path) -> int:
    platform = platforms.get(name)
    findings: list[Finding] = check_lines(read_source(path), platform.system.libc, platform, Asker())
    seen = {finding.certainty for finding in findings}
    return 1 if Certainty.CERTAIN in seen else 3 if seen - {Certainty.NOTE} else 0


@pytest.mark.tools
@pytest.mark.parametrize(
    ("platform", "target", "flags", "expected"),
    [
        ("phytium", "aarch64-linux-gnu", ["-g", "-grecord-command-line", "-march=armv8.2-a"], 1),
        ("kunpeng", "aarch64-linux-gnu", ["-g", "-grecord-command-line", "-march=armv8.2-a"], 0),
        ("phytium", "aarch64-linux-gnu", ["-gdwarf-4", "-grecord-command-line", "-march=armv8.2-a"], 1),
        ("phytium", "aarch64-linux-gnu", ["-g", "-gz", "-grecord-command-line", "-march=armv8.2-a"], 1),
        ("phytium", "aarch64-linux-gnu", ["-frecord-command-line", "-march=armv8.2-a"], 1),
        ("loongson_2k3000-kylin_v11", "loongarch64-linux-gnu", ["-g", "-grecord-command-line", "-mlasx"], 1),
        ("loongson", "loongarch64-linux-gnu", ["-g", "-grecord-command-line", "-mlasx"], 0),
        ("phytium", "aarch64-linux-gnu", ["-g", "-march=armv8.2-a"], 3),
        ("phytium", "aarch64-linux-gnu", ["-march=armv8.2-a"], 3),
        ("zhaoxin", "aarch64-linux-gnu", ["-g", "-grecord-command-line"], 1),
    ],
)
def test_objects(
    platform: str, target: str, flags: list[str], expected: int, platforms: Platforms, tmp_path: Path
) -> None:
    path = compiled(tmp_path / "o", target, *flags)
    assert status(platforms, platform, path) == expected, read_source(path)


@pytest.mark.tools
@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["-c", "-g", "-mavx2"], 1),
        (["-c", "-g", "-gdwarf-4", "-march=haswell"], 1),
        (["-c", "-frecord-gcc-switches", "-mavx2"], 1),
        (["-c", "-g", "-march=x86-64-v2"], 0),
        (["-c", "-mavx2"], 3),
        (["-g", "-mavx2"], 1),
        (["-g"], 3),  # the start files tell nothing
    ],
)
def test_objects_of_gcc(flags: list[str], expected: int, platforms: Platforms, tmp_path: Path) -> None:
    source = put(tmp_path / "a.c", SOURCE)
    argv = ["gcc", *flags, str(source), "-o", str(tmp_path / "out")]
    if not Runner().run(argv, timeout_s=TIMEOUT_S).ok:
        pytest.skip("this gcc makes nothing for x86-64")
    if (tmp_path / "out").read_bytes()[18:20] != b"\x3e\0":
        pytest.skip("this gcc is not of x86-64")
    assert status(platforms, "zhaoxin", tmp_path / "out") == expected


@pytest.mark.tools
def test_damaged_objects_end_in_an_answer(tmp_path: Path) -> None:
    whole = compiled(tmp_path / "o", "aarch64-linux-gnu", "-g", "-grecord-command-line").read_bytes()
    damaged = [whole[:n] for n in range(0, len(whole), 97)]
    damaged += [whole[:n] + b"\xff" * 16 + whole[n + 16 :] for n in range(64, len(whole) - 16, 61)]
    for data in damaged:
        try:
            read_build_info(data, "x.o")
        except NotElf:
            continue


@pytest.mark.tools
def test_a_command_reads_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = put(tmp_path / "make.log", "gcc -mavx2 -c a.c\ngcc -mavx2 -c b.c\n")
    assert main(["flags", "zhaoxin", "--from", str(path)]) == 1
    assert "make.log:1 and 1 more" in capsys.readouterr().out
    assert main(["flags", "hygon", "--from", str(path), "--", "-O2"]) == 0
    assert main(["flags", "hygon", "--from", str(put(tmp_path / "none.log", "hello\n"))]) == 3
    assert main(["flags", "hygon", "--from", str(tmp_path / "missing")]) == 2
