"""Layouts of the kernel's structures: the known ones, the compiler's proof, differences, Go structures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pytest_xinchuang.core.errors import DataFileError, UnknownName
from pytest_xinchuang.packages.syscall_bridge.generate import assertions
from pytest_xinchuang.packages.syscall_bridge.gostructs import check_go, pairs_of, read_go
from pytest_xinchuang.packages.syscall_bridge.headers import ARCHITECTURES, find_headers
from pytest_xinchuang.packages.syscall_bridge.layouts import (
    LIBC_SHIMS,
    PRELUDE,
    FieldLayout,
    Layout,
    Layouts,
    compare_layouts,
    load_snapshot,
    merge,
    read_layouts,
    shipped_layouts,
    write_snapshot,
)
from pytest_xinchuang.provision.store import Store
from pytest_xinchuang.toolchain.builder import find_zig
from tests.packages.syscall_bridge.test_tables import zig_environment

GRADED = ("amd64", "arm64", "loong64")

KNOWN = {
    # name: size/alignment on x86-64, arm64, loong64
    "struct stat": ("144/8", "128/8", "128/8"),
    "struct statx": ("256/8", "256/8", "256/8"),
    "struct sigaction": ("32/8", "32/8", "24/8"),
    "struct epoll_event": ("12/1", "16/8", "16/8"),
    "struct ucontext": ("304/8", "4560/16", "448/16"),
    "struct sigcontext": ("256/8", "4384/16", "272/16"),
    "struct timespec": ("16/8", "16/8", "16/8"),
    "struct flock": ("32/8", "32/8", "32/8"),
    "struct rusage": ("144/8", "144/8", "144/8"),
    "struct statfs": ("120/8", "120/8", "120/8"),
}

FIELDS = {
    ("struct stat", "amd64"): "nlink@16:8 mode@24:4 uid@28:4 rdev@40:8 size@48:8 blksize@56:8 blocks@64:8 atime@72:8",
    ("struct stat", "arm64"): "mode@16:4 nlink@20:4 uid@24:4 rdev@32:8 size@48:8 blksize@56:4 blocks@64:8 atime@72:8",
    ("struct stat", "loong64"): "mode@16:4 nlink@20:4 uid@24:4 rdev@32:8 size@48:8 blksize@56:4 blocks@64:8 atime@72:8",
}


@pytest.fixture(scope="module")
def layouts() -> Layouts:
    return load_snapshot(shipped_layouts())


@pytest.mark.parametrize("name", KNOWN)
def test_known_layouts(name: str, layouts: Layouts) -> None:
    found = tuple(layouts.structs[name][arch].text().split(" ")[0] for arch in GRADED)
    assert found == KNOWN[name]


def test_known_fields(layouts: Layouts) -> None:
    for (name, arch), text in FIELDS.items():
        members = layouts.structs[name][arch].text()
        assert not [field for field in text.split() if f"st_{field}" not in members]
    places = {arch: layouts.structs["struct sigaction"][arch] for arch in GRADED}
    assert [places[a].member("sa_mask").offset // 8 for a in GRADED] == [24, 24, 16]  # type: ignore[union-attr]
    assert places["loong64"].member("sa_restorer") is None


def test_few_structures_depend_on_the_architecture(layouts: Layouts) -> None:
    three = merge(
        [Layouts(layouts.kernel, (a,), {n: {a: v} for n, v in layouts.of(a).items()}, layouts.header) for a in GRADED]
    )
    assert 14 <= len(three.dependent) <= 25 and len(three.structs) > 3000
    assert {"struct stat", "struct sigaction", "struct ucontext", "struct epoll_event"} <= set(three.dependent)


@pytest.mark.tools
def test_the_snapshot_is_that_of_the_headers(layouts: Layouts) -> None:
    if find_headers("arm64").kernel != layouts.kernel:
        pytest.skip("another zig")
    names = ["asm/stat.h", "linux/stat.h", "linux/eventpoll.h", "asm/ucontext.h", "linux/fcntl.h", "linux/input.h"]
    for arch in GRADED:
        for name, by in read_layouts(find_headers(arch), names).structs.items():
            assert layouts.structs[name][arch] == by[arch]


def test_anonymous_members_are_flattened_and_named_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "asm").mkdir()
    (tmp_path / "asm/unistd.h").write_text("#define __NR_a 1\n")
    (tmp_path / "linux").mkdir()
    (tmp_path / "linux/x.h").write_text(
        "struct s { char a; union { int b; struct { char c; long d; }; };\n"
        "struct { int e; } f; unsigned g:3, h:5; char i[]; };\n"
        "typedef struct { short k; } t;\n"
    )
    found = read_layouts(find_headers("arm64", tmp_path), ["linux/x.h"])
    assert (
        found.structs["struct s"]["arm64"].text()
        == "32/8 a@0:1 b@8:4 c@8:1 d@16:8 f@24:4 f.e@24:4 g@28.0:3b h@28.3:5b i@29:0"
    )
    assert found.structs["t"]["arm64"].text() == "2/2 k@0:2"


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["amd64", "arm64", "loong64"])
def test_the_compiler_proves_the_offsets(arch: str, layouts: Layouts, tmp_path: Path) -> None:
    """zig's compiler, which is another than libclang, agrees with every assertion of these headers."""
    headers = find_headers(arch)
    if headers.kernel != layouts.kernel:
        pytest.skip("another zig")
    texts = assertions(layouts, arch)
    for name, body in LIBC_SHIMS.items():
        place = tmp_path / "shims" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"#pragma once\n{body}")
    wanted = [h for h in texts if h.startswith(("asm/", "linux/")) and h.count("/") == 1][:400:4]
    wanted += ["asm/stat.h", "linux/eventpoll.h", "asm/sigcontext.h", "linux/stat.h", "asm/statfs.h", "linux/input.h"]
    proved = 0
    for header in dict.fromkeys(wanted):
        if header not in texts:
            continue
        argv = [find_zig(), "cc", "-target", ARCHITECTURES[arch].zig_target, *headers.arguments[4:]]
        argv += ["-isystem", str(tmp_path / "shims"), "-x", "c", "-c", "-", "-o", str(tmp_path / "out.o")]
        for prelude in ("", PRELUDE):
            done = subprocess.run(
                argv,
                input=prelude + texts[header],
                capture_output=True,
                text=True,
                check=False,
                cwd=tmp_path,
                env=zig_environment(),
            )
            if done.returncode == 0:
                break
        assert done.returncode == 0, f"{header}: {done.stderr[:500]}"
        proved += texts[header].count("_Static_assert")
    assert proved > 800


# -- differences


def layout(text: str) -> Layouts:
    return Layouts("1", ("arm64",), {"struct s": {"arm64": Layout.read(text)}}, {"struct s": "linux/s.h"})


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("16/8 a@0:8 b@8:8", "24/8 a@0:8 c@8:8 b@16:8", "struct s b: offset 8 -> 16 (breaks binary, wire)"),
        ("16/8 a@0:8 b@8:8", "16/8 a@0:8 c@8:8", "struct s b: renamed b -> c (breaks source)"),
        ("16/8 a@0:8 b@8:8", "8/8 a@0:8", "struct s b: removed 8 -> "),
        ("16/8 a@0:8 b@8:4", "16/8 a@0:8 b@8:8", "struct s b: width 4 -> 8 (breaks source, binary, wire)"),
        ("16/8 a@0:8 b@8:4", "16/8 a@0:8 b@8:4 c@12:4", "struct s c: added  -> 12 (breaks nothing)"),
        ("16/8 a@0:8", "16/4 a@0:8", "struct s: alignment 8 -> 4 (breaks binary)"),
        ("16/8 a@0:8", "24/8 a@0:8", "struct s: size 16 -> 24 (breaks binary, wire)"),
        ("4/4 a@0.0:3b b@0.3:5b", "4/4 a@0.0:4b b@0.4:4b", "struct s b: offset 0.3 -> 0.4 (breaks binary, wire)"),
    ],
)
def test_a_shift_is_named(before: str, after: str, told: str) -> None:
    texts = [s.text() for s in compare_layouts(layout(before), layout(after))]
    assert any(told in text for text in texts), texts


def test_equal_layouts_have_no_difference(layouts: Layouts) -> None:
    assert compare_layouts(layouts, layouts) == []


def test_an_architecture_that_is_not_there(layouts: Layouts) -> None:
    with pytest.raises(DataFileError, match="have no vax"):
        compare_layouts(layouts, layouts, ["vax"])
    with pytest.raises(DataFileError, match="no architecture in common"):
        compare_layouts(layout("8/8 a@0:8"), Layouts("1", ("amd64",)))


# -- snapshots


def test_a_snapshot_comes_back(tmp_path: Path) -> None:
    whole = layout("24/8 a@0:8 b@8.1:3b c.d@16:0")
    write_snapshot(whole, tmp_path / "s.jsonl")
    assert load_snapshot(tmp_path / "s.jsonl").structs == whole.structs


def test_a_truncated_snapshot_is_refused(tmp_path: Path) -> None:
    lines = shipped_layouts().read_text().splitlines()
    place = tmp_path / "s.jsonl"
    place.write_text("\n".join(lines[:100]) + "\n")
    with pytest.raises(DataFileError, match="cut off: 99 structures"):
        load_snapshot(place)
    place.write_text("\n".join(lines[:100])[:-20])
    with pytest.raises(DataFileError, match=r"s\.jsonl:100"):
        load_snapshot(place)
    for text in ("", "{}", "nothing", '{"schema": "xc-layouts/1"}'):
        place.write_text(text)
        with pytest.raises(DataFileError):
            load_snapshot(place)
    with pytest.raises(DataFileError, match="cannot be read"):
        load_snapshot(tmp_path / "missing")


@pytest.mark.parametrize("text", ["a@b:c", "a@1", "a@1.2:3", "a@1:3b", ""])
def test_a_member_that_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        FieldLayout.read(text)


def test_headers_without_a_structure(tmp_path: Path) -> None:
    (tmp_path / "asm").mkdir()
    (tmp_path / "asm/unistd.h").write_text("#error no\n")
    with pytest.raises(DataFileError, match=r"no structure can be read.*#error|no structure can be read"):
        read_layouts(find_headers("arm64", tmp_path))


# -- Go


RIGHT = """package kernel
type Timespec struct { Sec int64; Nsec int64 }
type Stat_t struct {
	Dev uint64; Ino uint64; Mode uint32; Nlink uint32; Uid uint32; Gid uint32; Rdev uint64; X__pad1 uint64
	Size int64; Blksize int32; X__pad2 int32; Blocks int64; Atim Timespec; Mtim Timespec; Ctim Timespec; Unused [2]int32
}
"""

MISTAKES = {
    "x86-64's order": (
        RIGHT.replace("Mode uint32; Nlink uint32;", "Nlink uint32; Mode uint32;"),
        "Nlink is at 16, st_nlink is at 20",
    ),
    "a wider link count": (RIGHT.replace("Nlink uint32;", "Nlink uint64;"), "bytes, the kernel's has 128"),
    "a narrow size": (RIGHT.replace("Size int64;", "Size int32;"), "lies in no field"),
    "no end": (RIGHT.replace("; Unused [2]int32", ""), "120 bytes, the kernel's has 128"),
}


def write_package(place: Path, text: str) -> Path:
    place.mkdir(exist_ok=True)
    (place / "kernel.go").write_text(text)
    return place


@pytest.mark.tools
def test_a_right_go_structure(tmp_path: Path, layouts: Layouts, store: Store) -> None:
    found = read_go(write_package(tmp_path / "p", RIGHT), "arm64", store.cache)
    pairs = pairs_of(found, {})
    assert pairs == {"Stat_t": "struct stat", "Timespec": "struct timespec"}
    assert check_go(found, layouts, "arm64", pairs) == []
    assert check_go(found, layouts, "loong64", pairs) == []
    assert check_go(found, layouts, "amd64", pairs) != []
    # Names of one's own come on top of Go's: naming a right one does not hide a wrong one.
    assert pairs_of(found, {"Mine": "struct winsize"}) == pairs | {"Mine": "struct winsize"}


@pytest.mark.tools
@pytest.mark.parametrize("name", MISTAKES)
def test_a_wrong_go_structure(name: str, tmp_path: Path, layouts: Layouts, store: Store) -> None:
    text, told = MISTAKES[name]
    found = read_go(write_package(tmp_path / "p", text), "arm64", store.cache)
    mistakes = [str(m) for m in check_go(found, layouts, "arm64", {"Stat_t": "struct stat"})]
    if name != "a narrow size":
        assert any(told in m for m in mistakes), mistakes
    assert mistakes


@pytest.mark.tools
@pytest.mark.parametrize("arch", GRADED)
def test_gos_own_structures_are_right(arch: str, layouts: Layouts, store: Store) -> None:
    from pytest_xinchuang.tools.go import GoCommand

    package = Path(GoCommand().settings["GOROOT"]) / "src/syscall"
    found = read_go(package, arch, store.cache)
    pairs = {
        "Stat_t": "struct stat",
        "Timespec": "struct timespec",
        "EpollEvent": "struct epoll_event",
        "Statfs_t": "struct statfs",
    }
    assert [str(m) for m in check_go(found, layouts, arch, pairs)] == []


@pytest.mark.tools
def test_go_that_does_not_parse(tmp_path: Path, store: Store, layouts: Layouts) -> None:
    with pytest.raises(DataFileError, match="not a Go package"):
        read_go(write_package(tmp_path / "p", "package p\nfunc {"), "arm64", store.cache)
    with pytest.raises(DataFileError, match="not a Go package"):
        read_go(tmp_path / "missing", "arm64", store.cache)
    text = 'package p\nimport "C"\ntype Stat_t struct { A C.long }\ntype Other struct { B int }\n'
    found = read_go(write_package(tmp_path / "q", text), "arm64", store.cache)
    assert "Other" in found.structs and found.open == {"Stat_t": "A"}
    with pytest.raises(UnknownName, match="cannot be read"):
        check_go(found, layouts, "arm64", {"Stat_t": "struct stat"})
    with pytest.raises(UnknownName, match="no structure 'Missing'"):
        check_go(found, layouts, "arm64", {"Missing": "struct stat"})
    with pytest.raises(UnknownName, match="struct nothing"):
        check_go(found, layouts, "arm64", {"Other": "struct nothing"})
