"""Flags that a manifest may hand to a compiler: real projects' go through, those that write, load or read are refused."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import BuildFailed
from pytest_xinchuang.toolchain.permitted import FlagsOf

USUAL = """
-O2 -g -pipe -Wall -Werror=format-security -Wp,-D_FORTIFY_SOURCE=2 -Wp,-U_FORTIFY_SOURCE -fexceptions -fstack-protector-strong
--param=ssp-buffer-size=4 -gdwarf-4 -fPIC -fPIE -pie -march=armv8-a+crc -mtune=tsv110 -moutline-atomics -mcpu=generic+lse
-fno-strict-aliasing -funwind-tables -fasynchronous-unwind-tables -fstack-clash-protection -Wl,-z,relro,-z,now -Wl,--as-needed
-Wl,-soname,libx.so.1 -Wl,-rpath,/opt/x/lib -Wl,--dynamic-linker=/lib64/ld.so.1 -Wl,--build-id=sha1 -Wl,-Bsymbolic -shared
-static -DNAME="a value with blanks" -DX(y)=y -std=gnu11 -lm -lpthread -pthread -c -s -w -rdynamic -Wno-date-time
-flto=auto -fvisibility=hidden -ffile-prefix-map=/build=. -ftls-model=initial-exec -ffreestanding -nostdlib -fuse-ld=lld
-Wl,-z,max-page-size=4096 -fsigned-char -fopenmp -Wa,--noexecstack -fsanitize=undefined -mavx2 -ffp-contract=off
"""
WRITE_OR_LOAD = [
    "-MF /tmp/x",
    "-MF/tmp/x",
    "-MT x",
    "-MJ x",
    "-o /tmp/x",
    "-o/tmp/x",
    "@/etc/passwd",
    "-fplugin=/tmp/x.so",
    "-fplugin-arg-x-y=z",
    "-fpass-plugin=/tmp/x.so",
    "-fplugin=x",
    "-Xclang -load",
    "-load x",
    "-Xpreprocessor -include",
    "-Xassembler -I/etc",
    "-specs=/tmp/x",
    "--specs=/tmp/x",
    "-B/tmp",
    "-B /tmp",
    "--sysroot=/",
    "--sysroot /",
    "-isysroot /",
    "-wrapper /tmp/x",
    "-save-temps",
    "-dumpdir /tmp/",
    "-fdump-tree-all=/tmp/x",
    "-fprofile-use=/tmp/x",
    "-fprofile-generate",
    "-fdebug-pass",
    "-ftime-trace=/tmp/x",
    "-fmodules-cache-path=/tmp/x",
    "-fcrash-diagnostics-dir=/tmp",
    "-fuse-ld=/tmp/ld",
    "-fstack-usage",
    "--config /tmp/x",
    "-Wl,-o,/tmp/x",
    "-Wl,-Map=/tmp/x",
    "-Wl,-T,/tmp/x",
    "-Wl,@/tmp/x",
    "-Wl,--dependency-file=/tmp/x",
    "-Wl,-plugin,/tmp/x.so",
    "-Wl,--out-implib=/tmp/x",
    "-Wl,-z,relro,-Map,/tmp/x",
    "-Wl,/etc/passwd",
    "-Xlinker -Map=/tmp/x",
    "-Wp,-MD,/tmp/x",
    "-Wp,-include,/etc/passwd",
    "-Wp,-DX=1,-MD,/tmp/x",
    "-Wa,-a=/tmp/x",
    "-Wa,-I/etc",
    "-target x86_64-linux-musl",
    "-mllvm -x",
    "-I",
    "-include",
    "/etc/passwd",
    "other.c",
    "-l/tmp/x",
    "-l:/tmp/x",
    "-D -MF",
    "-x none/../x",
    "",
]


def flags_of(words: list[str], place: Path, within: Path | None = None) -> tuple[str, ...]:
    return FlagsOf(words, place / "src", place, within, place).words


@pytest.mark.parametrize("flag", shlex.split(USUAL))
def test_no_usual_flag_is_refused(flag: str, tmp_path: Path) -> None:
    assert flags_of([flag], tmp_path, tmp_path) == (flag,)


@pytest.mark.parametrize(
    "words", [["-D", "Y=1"], ["-U", "Z"], ["-x", "c"], ["-Xlinker", "--gc-sections"], ["--param", "a=1"]]
)
def test_flags_of_two_words_go_through(words: list[str], tmp_path: Path) -> None:
    assert flags_of(words, tmp_path, tmp_path) == tuple(words)


@pytest.mark.parametrize("flag", WRITE_OR_LOAD)
def test_what_writes_loads_or_reads_is_refused(flag: str, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="not among those that a build may use"):
        flags_of(flag.split() if flag else [""], tmp_path, tmp_path)


def test_lists_of_dependencies_at_their_default_place_are_dropped(tmp_path: Path) -> None:
    assert flags_of(["-MD", "-MMD", "-MP", "-O2"], tmp_path, tmp_path) == ("-O2",)


def test_places_are_those_of_the_copy(tmp_path: Path) -> None:
    for name in ("src", "include"):
        (tmp_path / name).mkdir()
    (tmp_path / "src/all.h").write_text("")
    (tmp_path / "x.map").write_text("")
    words = ["-I{here}/../include", "-I", "src", "-include", "src/all.h", "-Wl,--version-script=x.map", "-DP={here}"]
    assert flags_of(words, tmp_path, tmp_path) == (
        "-Iinclude",
        "-I",
        "src",
        "-include",
        "src/all.h",
        "-Wl,--version-script=x.map",
        "-DP={here}",
    )


@pytest.mark.parametrize(
    "words",
    [
        ["-I/usr/include"],
        ["-I../x"],
        ["-isystem", "/etc"],
        ["-include", "/etc/passwd"],
        ["-L/usr/lib"],
        ["-Iaway"],
        ["-Wl,--version-script=/etc/passwd"],
        ["-I{here}/../../x"],
    ],
)
def test_a_place_outside_is_refused_by_name_and_by_link(words: list[str], tmp_path: Path) -> None:
    place = tmp_path / "subject"
    (place / "src").mkdir(parents=True)
    (place / "away").symlink_to(tmp_path)
    with pytest.raises(BuildFailed, match="which is outside of"):
        flags_of(words, place, place)
