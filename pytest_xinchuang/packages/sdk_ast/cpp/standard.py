"""What headers in C++ are read as: the standard that they are written for, and whose standard library they include."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pytest_xinchuang.core.errors import ToolchainFault
from pytest_xinchuang.packages.sdk_ast.c.delivered import TRIPLES, Delivered, system_headers
from pytest_xinchuang.packages.sdk_ast.c.libraries import MACHINES, read_libraries
from pytest_xinchuang.toolchain.builder import find_zig

USUAL = 17
"""What headers are read as that name no standard: what GCC 11 and later take without an option (gcc(1), -std)."""

TRIED = (17, 20, 23, 14, 11)
"""ISO C++ by the year; the first that leaves no error is the one."""

STANDARD = "".join(
    f"#include <{name}>\n"
    for name in (
        "cstddef", "cstdint", "cstdio", "cstdlib", "cstring", "functional", "map", "memory", "string", "utility", "vector",
    )
)  # fmt: skip
"""Headers of the standard ([headers] in ISO C++11) that programs have included before one that does not stand by itself."""

_GLIBC = 34
"""The glibc that the headers of a standard library of the host were configured with, or a later one: it has to know all that
they ask for."""

_NAMED = (
    re.compile(r"-std=(?:gnu|c)\+\+(\d\w)"),
    re.compile(r"\bcxx_std_(\d\d)\b"),
    re.compile(r"\bCXX_STANDARD\s+(\d\d)\b"),
)
"""How pkg-config's files and those of CMake packages name a standard."""

_DRAFTS = {"0x": 11, "1y": 14, "1z": 17, "2a": 20, "2b": 23, "2c": 26}
"""Names of standards before they were published (gcc(1), -std)."""


def named(text: str) -> int:
    """The greatest standard that options or a build file name; 0: none."""
    found = [word for pattern in _NAMED for word in pattern.findall(text)]
    return max((_DRAFTS.get(word) or int(word) for word in found if word in _DRAFTS or word.isdigit()), default=0)


def year(minimum: str) -> int:
    """The standard of a snapshot's header, ``C++17``, as a number that grows; that of before C++11 is 0."""
    match = re.fullmatch(r"C\+\+(\d+)", minimum)
    return int(match[1]) if match and int(match[1]) < 98 else 0


def told(source: Delivered, flags: Sequence[str]) -> int:
    """The standard that the options or what is delivered beside the headers name; 0: nothing does."""
    if asked := named(" ".join(flags)):
        return asked
    files = [p for p in sorted(source.place.rglob("*")) if p.suffix in (".pc", ".cmake") and p.is_file()]
    return max((named(p.read_text(encoding="utf-8", errors="replace")) for p in files), default=0)


def chosen(source: Delivered, flags: Sequence[str], broken: Callable[[int], int]) -> int:
    """The standard that headers are read as.

    Args:
        broken: how many headers do not compile as a standard.
    """
    if asked := told(source, flags):
        return asked
    counts: dict[int, int] = {}
    for standard in TRIED:
        counts[standard] = broken(standard)
        if not counts[standard]:
            return standard
    return min(TRIED, key=lambda standard: counts[standard])


def library() -> tuple[str, tuple[Path, ...]]:
    """The standard library's name and its include paths: libstdc++ of this host, else libc++ as zig carries it; "" without."""
    versions = [p for p in Path("/usr/include/c++").glob("[0-9]*") if (p / "vector").is_file()]
    for path in sorted(versions, key=lambda p: [int(n) for n in re.findall(r"\d+", p.name)], reverse=True):
        own = [p for p in sorted(Path("/usr/include").glob(f"*-linux-gnu*/c++/{path.name}")) if p.is_dir()]
        own += [p for p in sorted(path.glob("*-linux*")) if p.is_dir()]
        return f"libstdc++ {path.name}", (path, *own[:1], *(p for p in (path / "backward",) if p.is_dir()))
    try:
        lib = Path(find_zig()).parent / "lib"
    except ToolchainFault:
        return "", ()
    paths = tuple(p for p in (lib / "libcxx/include", lib / "libcxxabi/include") if p.is_dir())
    return ("libc++", paths) if paths else ("", ())


_OF_LIBCXX = (
    "-D_LIBCPP_ABI_VERSION=1", "-D_LIBCPP_ABI_NAMESPACE=__1", "-D_LIBCPP_HARDENING_MODE_DEFAULT=2",
    "-D_LIBCPP_HARDENING_MODE=2", "-D_LIBCPP_ASSERTION_SEMANTIC_DEFAULT=2", "-D_LIBCPP_ASSERTION_SEMANTIC=2",
    "-D_LIBCPP_HAS_THREADS=1", "-D_LIBCPP_HAS_MONOTONIC_CLOCK=1", "-D_LIBCPP_HAS_TERMINAL=1",
    "-D_LIBCPP_HAS_THREAD_API_PTHREAD=1", "-D_LIBCPP_HAS_FILESYSTEM=1", "-D_LIBCPP_HAS_RANDOM_DEVICE=1",
    "-D_LIBCPP_HAS_LOCALIZATION=1", "-D_LIBCPP_HAS_UNICODE=1", "-D_LIBCPP_HAS_WIDE_CHARACTERS=1",
    "-D_LIBCPP_PSTL_BACKEND_SERIAL",
)  # fmt: skip
"""libc++, __config_site.in: what its build would have written for Linux."""


def arguments(source: Delivered, target: str, flags: Sequence[str], standard: int) -> list[str]:
    """How clang reads headers in C++ for a target; without limits on what it complains of."""
    triple, name = TRIPLES[target]
    which, paths = library()
    system = [word.replace("__GLIBC_MINOR__=28", f"__GLIBC_MINOR__={_GLIBC}") for word in system_headers(name)]
    own = [word for path in paths for word in ("-isystem", str(path))]
    site = (
        list(_OF_LIBCXX) if which == "libc++" else [f"-D_GLIBCXX_USE_CXX11_ABI={int(not old_strings(source, target))}"]
    )
    rest = [flag for flag in flags if not flag.startswith("-std=")]
    return [
        "-x", "c++", f"-std=gnu++{standard}", f"--target={triple}", "-ferror-limit=0", "-fno-spell-checking", "-nostdinc++",
        *site, *own, *system, *source.paths, *rest,
    ]  # fmt: skip


_STRINGS: dict[tuple[tuple[Path, int, int], ...], dict[str, bool]] = {}


def old_strings(source: Delivered, target: str) -> bool:
    """Whether a library delivered for the target has std::string of before C++11 in its names, and not the present one.

    libstdc++ manual, "Dual ABI": ``Ss`` stands for the old one (Itanium C++ ABI 5.1.10), ``__cxx11`` is in the new one's name.
    """
    key = tuple((p, p.stat().st_size, p.stat().st_mtime_ns) for p in source.libraries)
    if key not in _STRINGS:
        exports, _problems = read_libraries(source.place, source.libraries)
        found = {}
        for machine in MACHINES.values():
            names = [s["facts"]["name"] for s in exports.get(machine, {}).values() if s["kind"] == "export"]
            new = any("__cxx11" in n or "B5cxx11" in n for n in names)
            found[machine] = not new and any(re.match(r"_Z\w*(?:E|[A-Za-z])(?:RK|R|PK|P)?Ss", n) for n in names)
        _STRINGS[key] = found
    return _STRINGS[key].get(target, False)
