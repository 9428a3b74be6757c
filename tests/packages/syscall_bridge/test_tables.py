"""Tables of system calls: from real headers, by two readers, against golang.org/x/sys/unix, and ready to compile."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import DataFileError, UnknownName
from pytest_xinchuang.core.kernel_calls import UNSURE, calls_after
from pytest_xinchuang.core.syscall_names import names_of, tables
from pytest_xinchuang.packages.syscall_bridge.generate import generate, to_c, to_go, to_python, to_rust
from pytest_xinchuang.packages.syscall_bridge.headers import ARCHITECTURES, architecture, find_headers
from pytest_xinchuang.packages.syscall_bridge.tables import (
    SyscallTable,
    compare,
    load_table,
    read_table,
    read_table_by_zig,
)
from pytest_xinchuang.provision.cache import Cache
from pytest_xinchuang.toolchain.builder import find_zig
from pytest_xinchuang.tools.go import find_go

GRADED = ("amd64", "arm64", "loong64")

COUNTS = {
    # ziglang release -> kernel -> how many calls x86-64, arm64 and loong64 have.
    "0.13.0": ("6.3.8", (362, 306, 300)),
    "0.14.1": ("6.13.4", (379, 322, 318)),
    "0.16.0": ("6.19", (384, 326, 322)),
}

NOT_IN_GO = {"arm": {"sync_file_range2"}}
"""Another name of arm_sync_file_range, defined by it; x/sys takes numbers alone."""


@pytest.mark.tools
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_libclang_and_zig_read_the_same(arch: str) -> None:
    headers = find_headers(arch)
    table = read_table(headers)
    assert table.calls == read_table_by_zig(headers)
    assert table.calls["read"] >= 0 and len(table.calls) > 300 and headers.kernel


@pytest.mark.tools
def test_the_counts_of_the_kernel_that_zig_carries() -> None:
    headers = find_headers("amd64")
    if headers.kernel != "7.2":
        pytest.skip(f"this zig carries Linux {headers.kernel}")
    assert [len(read_table(find_headers(arch)).calls) for arch in GRADED] == [385, 327, 324]


@pytest.mark.registry
@pytest.mark.slow
@pytest.mark.parametrize("release", COUNTS)
def test_the_counts_of_older_kernels(release: str) -> None:
    kernel, counts = COUNTS[release]
    headers = older_headers(release)
    found = {arch: read_table(find_headers(arch, headers)) for arch in GRADED}
    assert {t.kernel for t in found.values()} == {kernel}
    assert tuple(len(t.calls) for t in found.values()) == counts
    # What the next kernel brought is told, and nothing was renumbered.
    newer = {arch: read_table(find_headers(arch)) for arch in GRADED}
    for arch in GRADED:
        difference = compare(found[arch], newer[arch])
        assert not difference.removed and not difference.renumbered
        assert len(difference.added) == len(newer[arch].calls) - len(found[arch].calls)
        # These are what a platform with that kernel has to lack; the kernel's own trampolines on x86-64 are no program's.
        assert calls_after(kernel, arch).keys() == set(difference.added) - {
            "uretprobe",
            "uprobe",
            *UNSURE.get(arch, {}),
        }


def older_headers(release: str) -> Path:
    """The headers of an older zig, out of its wheel; kept in the cache."""
    place = Cache().root / "test-headers" / release
    if not (place / "any-linux-any").is_dir():
        place.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(place), f"ziglang=={release}"]
        subprocess.run(command, check=True)
        (wheel,) = place.glob("*.whl")
        wanted = re.compile(r"ziglang/lib/libc/include/((?:x86|aarch64|loongarch|any)-linux-any/.*)")
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if (found := wanted.fullmatch(name)) and not name.endswith("/"):
                    target = place / found.group(1)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(archive.read(name))
        wheel.unlink()
    return place


def x_sys() -> Path:
    """golang.org/x/sys of the kernel whose headers zig 0.17 carries."""
    go = find_go()
    command = [go, "mod", "download", "-json", "golang.org/x/sys@v0.50.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/tmp")
    return Path(json.loads(done.stdout)["Dir"])


@pytest.mark.registry
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_x_sys_has_exactly_these(arch: str) -> None:
    headers = find_headers(arch)
    if headers.kernel != "7.2":
        pytest.skip(f"this zig carries Linux {headers.kernel}, x/sys v0.50.0 is of 7.2")
    text = (x_sys() / "unix" / f"zsysnum_linux_{arch}.go").read_text()
    theirs = {m[0].lower(): int(m[1]) for m in re.findall(r"^\tSYS_(\w+)\s+= (\d+)$", text, re.M)}
    for no_call in ("arch_specific_syscall", "syscall_mask"):
        theirs.pop(no_call, None)
    ours = {
        name.lower(): number
        for name, number in read_table(headers).calls.items()
        if name not in NOT_IN_GO.get(arch, ())
    }
    assert ours == theirs


def test_facts_about_the_tables() -> None:
    amd64, arm64, loong64 = (set(tables()[a]) for a in GRADED)
    assert {"open", "stat", "fork", "vfork", "dup2", "select", "poll"} <= amd64 - arm64 and len(amd64 - arm64) == 58
    # restored in 6.11
    assert {"fstat", "newfstatat"} <= loong64
    assert arm64 - loong64 == {"getrlimit", "setrlimit", "renameat"}
    common = arm64 & loong64
    assert len(common) == 324 and all(tables()["arm64"][n] == tables()["loong64"][n] for n in common)
    both = amd64 & arm64
    assert len(both) == 327 and sum(tables()["amd64"][n] == tables()["arm64"][n] for n in both) == 48
    assert names_of("arm64")[56] == "openat"


@pytest.mark.tools
def test_the_shipped_tables_are_those_of_the_headers() -> None:
    for arch, calls in tables().items():
        headers = find_headers(arch)
        if headers.kernel == "7.2":
            assert read_table(headers).calls == calls


def test_a_difference_tells_what_a_program_loses() -> None:
    old = SyscallTable(arch="arm64", kernel="1", calls={"read": 1, "gone": 2, "moved": 3})
    new = SyscallTable(arch="arm64", kernel="2", calls={"read": 1, "moved": 4, "fresh": 5})
    found = compare(old, new, ["read", "gone", "moved"])
    assert (found.added, found.removed, found.renumbered) == ({"fresh": 5}, {"gone": 2}, {"moved": (3, 4)})
    assert found.lost == ("gone", "moved") and found.same == 1 and found.ratio == 0.25
    # Another architecture has other numbers, and is compiled for: nothing is lost by them.
    assert compare(old, new.model_copy(update={"arch": "amd64"}), ["moved"]).lost == ()
    assert compare(SyscallTable(arch="arm64", calls={}), SyscallTable(arch="arm64", calls={})).ratio == 1.0


@pytest.mark.tools
@pytest.mark.parametrize("arch", ["amd64", "arm64", "loong64", "arm", "riscv64"])
def test_go_output_is_formatted_and_compiles(arch: str, tmp_path: Path) -> None:
    go = find_go()
    text = to_go(SyscallTable(arch=arch, kernel="7.2", calls=dict(tables()[arch])))
    (tmp_path / "go.mod").write_text("module m\n\ngo 1.20\n")
    (tmp_path / "numbers.go").write_text(text)
    gofmt = shutil.which("gofmt") or str(Path(go).with_name("gofmt"))
    assert subprocess.run([gofmt, "-l", "."], cwd=tmp_path, capture_output=True, text=True, check=True).stdout == ""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "GOOS": "linux",
        "GOARCH": arch,
        "GOCACHE": str(tmp_path / "c"),
    }
    subprocess.run([go, "vet", "."], cwd=tmp_path, env={**environment, "GOTOOLCHAIN": "local"}, check=True)


@pytest.mark.tools
@pytest.mark.parametrize("arch", ["amd64", "arm64", "loong64", "arm", "riscv64"])
def test_c_output_compiles_under_the_target(arch: str, tmp_path: Path) -> None:
    table = SyscallTable(arch=arch, calls=dict(tables()[arch]))
    (tmp_path / "numbers.h").write_text(to_c(table))
    # The compiler proves that each is the number of its own headers.
    checks = "".join(f'_Static_assert(XC_SYS_{n} == __NR_{n}, "{n}");\n' for n in table.calls)
    (tmp_path / "use.c").write_text(f'#include <asm/unistd.h>\n#include "numbers.h"\n{checks}')
    headers = find_headers(arch)
    argv = [
        find_zig(),
        "cc",
        "-target",
        ARCHITECTURES[arch].zig_target,
        *headers.arguments[4:],
        "-c",
        "use.c",
        "-o",
        "use.o",
    ]
    subprocess.run(argv, cwd=tmp_path, check=True, env=zig_environment())


def zig_environment() -> dict[str, str]:
    cache = str(Cache().root / "zig")
    return {"PATH": "/usr/bin:/bin", "HOME": cache, "ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}


@pytest.mark.tools
def test_rust_and_python_output(tmp_path: Path) -> None:
    table = SyscallTable(arch="amd64", calls=dict(tables()["amd64"]))
    names: dict[str, object] = {}
    exec(compile(to_python(table), "numbers.py", "exec"), names)
    assert names["SYS_READ"] == 0 and names["NUMBERS"] == table.calls
    assert "pub const SYS_OPENAT: i64 = 257;" in to_rust(table)
    rustc = shutil.which("rustc")
    # rustup's stand-in for it does nothing where a HOME has no tool chain.
    if rustc and subprocess.run([rustc, "--version"], capture_output=True, check=False).returncode == 0:
        (tmp_path / "lib.rs").write_text(
            "#![allow(dead_code)]\nmod numbers;\npub fn read() -> i64 { numbers::SYS_READ }\n"
        )
        (tmp_path / "numbers.rs").write_text(to_rust(table))
        subprocess.run([rustc, "--crate-type=rlib", "lib.rs"], cwd=tmp_path, check=True)
    assert load_table_text(generate(table, "json"), tmp_path).calls == table.calls


def load_table_text(text: str, place: Path) -> SyscallTable:
    (place / "table.json").write_text(text)
    return load_table(place / "table.json")


# -- bad input


def test_a_name_that_nothing_has() -> None:
    assert architecture("aarch64") == "arm64"
    with pytest.raises(UnknownName, match="vax"):
        architecture("vax")
    with pytest.raises(UnknownName, match="cobol"):
        generate(SyscallTable(arch="amd64", calls={"read": 0}), "cobol")


def test_directories_without_headers(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="no such directory"):
        find_headers("arm64", tmp_path / "missing")
    with pytest.raises(DataFileError, match=r"no asm/unistd\.h for arm64") as caught:
        find_headers("arm64", tmp_path)
    assert "headers_install ARCH=arm64" in caught.value.mend


def test_headers_that_do_not_parse(tmp_path: Path) -> None:
    (tmp_path / "asm").mkdir()
    (tmp_path / "asm/unistd.h").write_text("#include <asm/unistd_64.h>\n#define __NR_read 63\n")
    with pytest.raises(DataFileError, match=r"cannot be read for arm64.*unistd_64\.h"):
        read_table(find_headers("arm64", tmp_path))
    (tmp_path / "asm/unistd.h").write_text("#define __NR_broken (1 +\n")
    with pytest.raises(DataFileError, match="cannot be read"):
        read_table(find_headers("arm64", tmp_path))
    (tmp_path / "asm/unistd.h").write_text("#define OTHER 1\n")
    with pytest.raises(DataFileError, match="defines no system call"):
        read_table(find_headers("arm64", tmp_path))


@pytest.mark.tools
def test_headers_of_another_architecture(tmp_path: Path) -> None:
    for directory in find_headers("arm64").directories:
        shutil.copytree(directory, tmp_path, dirs_exist_ok=True)
    assert read_table(find_headers("arm64", tmp_path)).calls["openat"] == 56
    with pytest.raises(DataFileError, match="another architecture's headers, not amd64's"):
        read_table(find_headers("amd64", tmp_path))


def test_conditions_and_removals_are_the_preprocessors(tmp_path: Path) -> None:
    (tmp_path / "asm").mkdir()
    (tmp_path / "linux").mkdir()
    (tmp_path / "linux/version.h").write_text("#define LINUX_VERSION_CODE 332032\n")  # 5 << 16 | 17 << 8
    lines = ["BASE 10", "__NR_a (BASE + 1)", "__NR_b 3", "__NR_syscalls 99"]
    text = (
        "".join(f"#define {line}\n" for line in lines)
        + "#undef __NR_b\n#ifdef __aarch64__\n#define __NR_arm 7\n#endif\n"
    )
    (tmp_path / "asm/unistd.h").write_text(text)
    table = read_table(find_headers("arm64", tmp_path))
    assert table.calls == {"arm": 7, "a": 11} and table.kernel == "5.17"
    assert read_table(find_headers("amd64", tmp_path)).calls == {"a": 11}


@pytest.mark.parametrize(
    "text", ["", "{", '{"schema": "other/1"}', '{"schema": "xc-syscalls/1", "arch": "arm64", "calls": {"a": "b"}}']
)
def test_a_table_that_is_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="not a table"):
        load_table_text(text, tmp_path)
