"""Readers of flags: where builds have written them down, and the words themselves. No compiler is asked."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.finding import load_findings
from pytest_xinchuang.core.platform import Platform, load_platforms
from pytest_xinchuang.toolchain.flags import Asker, check_lines, read_source
from tests.fuzz.common import language_of, put
from tests.fuzz.drive import Case


class Lonely(Asker):
    """Where there is no compiler."""

    zig = None
    rustc = None

    def __init__(self) -> None:
        super().__init__(find=lambda _name: None)
        self.go_tags = lambda _settings: None  # type: ignore[assignment]


def read_flags(case: Case, place: Path) -> None:
    lines = read_source(put(case, place))
    catalogue = load_findings()
    for platform in chosen():
        for finding in check_lines(lines, platform.system.libc, platform, Lonely()):
            for language in language_of(case):
                print(catalogue.text(finding).render(language), catalogue.mend(finding).render(language))


@cache
def chosen() -> tuple[Platform, ...]:
    platforms = load_platforms(resources.platforms_file())
    return tuple(platforms.get(name) for name in ("phytium", "zhaoxin", "loongson"))


def flags_seeds() -> list[Case]:
    """A file of each kind."""
    entries = [
        {
            "directory": ".",
            "file": "a.c",
            "command": "gcc -O2 -I x -DX='a b' -march=armv8.2-a -Wl,-z,now -o a.o -c a.c",
        },
        {
            "directory": ".",
            "file": "b.c",
            "arguments": ["clang", "-Xclang", "-target-feature", "-Xclang", "+lse", "@b.rsp"],
        },
    ]
    make = (
        "gcc -O2 -c -o a.o `test -f 'a.c' || echo './'`a.c\n/bin/sh ../libtool --mode=compile ccache gcc -mavx2 \\\n -c b.c\n"
        "cd x && CFLAGS=\"-mfma\" g++ -c 'c d.cc' > /dev/null\n[3/12] zig cc -mcpu=x86_64_v3+avx2 y.c\n"
        "     Running `CARGO=cargo rustc -C target-cpu=haswell -Clink-args='-z max-page-size=4096' x.rs`\n"
        "GOARM64=v8.1,lse go build -ldflags '-extldflags \"-Wl,--dynamic-linker=/x\"' ./...\n"
    )
    cmake = (
        "# This is the CMakeCache file.\nCMAKE_BUILD_TYPE:STRING=Release\nCMAKE_C_COMPILER:FILEPATH=/usr/bin/cc\n"
        "CMAKE_C_FLAGS:STRING=-O2\nCMAKE_C_FLAGS_RELEASE:STRING=-march=native\nCMAKE_EXE_LINKER_FLAGS:STRING=-Wl,-melf_i386\n"
    )
    cargo = '[target.x86_64-unknown-linux-gnu]\nrustflags = ["-C", "target-feature=+avx2"]\n[env]\nCFLAGS = "-mavx2"\n'
    return [
        Case("compile_commands.json", json.dumps(entries).encode()),
        Case("make.log", make.encode()),
        Case("CMakeCache.txt", cmake.encode()),
        Case("config.toml", cargo.encode()),
    ]
