"""Which headers of this host are shown to compilers for other machines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pytest_xinchuang.advise.c.host import HostHeaders


def test_libraries_are_shown_and_what_a_libc_of_linux_has_is_not(tmp_path: Path) -> None:
    lib, host = tmp_path / "lib", tmp_path / "include"
    for name in (
        "any-darwin-any/zlib.h",
        "generic-glibc/stdio.h",
        "any-linux-any/linux/fs.h",
        "x86-linux-musl/bits/a.h",
    ):
        (lib / "libc/include" / name).parent.mkdir(parents=True, exist_ok=True)
        (lib / "libc/include" / name).touch()
    for name in ("zlib.h", "stdio.h", "png/png.h", "linux/fs.h", "c++/12/vector", "x86_64-linux-gnu/ffi.h"):
        (host / name).parent.mkdir(parents=True, exist_ok=True)
        (host / name).touch()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = HostHeaders(scratch, lib, host).words()
    assert words[::2] == ("-idirafter", "-idirafter")
    shown, of_machine = (Path(word) for word in words[1::2])
    assert sorted(p.name for p in shown.iterdir()) == ["png", "zlib.h"]
    assert [p.name for p in of_machine.iterdir()] == ["ffi.h"]
    assert HostHeaders(scratch, lib, host).words() == words, "another survey of the same run finds them made"


@pytest.mark.parametrize("own", [False, True])
def test_the_header_of_openmp_comes_with_gcc(tmp_path: Path, own: bool) -> None:
    host, scratch = tmp_path / "include", tmp_path / "scratch"
    newest = tmp_path / "lib/gcc/x86_64-linux-gnu/14/include"
    for place in (tmp_path / "lib/gcc/x86_64-linux-gnu/12/include", newest, host, scratch):
        place.mkdir(parents=True)
    for name in ("omp.h", "immintrin.h"):
        (newest / name).write_text("newest")
    if own:
        (host / "omp.h").write_text("a library's own")
    shown = Path(HostHeaders(scratch, tmp_path / "lib-of-zig", host).words()[1])
    assert [p.name for p in shown.iterdir()] == ["omp.h"]
    assert (shown / "omp.h").read_text() == ("a library's own" if own else "newest")


def test_builds_that_are_opened_side_by_side_see_all_of_them(tmp_path: Path) -> None:
    host, scratch = tmp_path / "include", tmp_path / "scratch"
    host.mkdir()
    scratch.mkdir()
    for number in range(300):
        (host / f"{number}.h").touch()

    def seen(_number: int) -> int:
        word = HostHeaders(scratch, tmp_path / "lib", host).words()[1]
        return len(list(Path(word).iterdir()))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(seen, range(16))) == {300}
    assert [p.name for p in scratch.iterdir()] == ["host"]
