"""What is true of the cases in C and C++, by compilers, linkers and the loader of this host.

``old/src`` and ``new/src``, where there are any, are built to a shared library beside the headers: ``old/lib/libcase.so.1``, by
``src/case.map`` with versions. Of the clients

- ``client.c`` and ``client.cc`` are compiled with either version, and linked with the library where there is one: a break
  at the source;
- ``values.c`` and ``values.cc`` assert what a compiled program has in it: sizes, places and values; they break by being
  refused: a binary break;
- a client with a library is a program too, which is linked with the old version and run with the new one. A program that
  says something else than with the old one is a binary break as well, for these have no other reason to.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from pytest_xinchuang.toolchain.builder import find_zig

_STRICT = ("-Werror=incompatible-pointer-types", "-Werror=int-conversion", "-Werror=implicit-function-declaration")
"""What compilers refuse by themselves by now (GCC 14)."""
_FLAGS = re.compile(r"^// flags: (\S+)$", re.MULTILINE)
"""Further options, in a comment of a source."""
_SONAME = re.compile(r"soname: (\S+)")


def compiler(*, cxx: bool = False) -> list[str]:
    """The GNU compiler of this host, else zig's."""
    if path := shutil.which("g++" if cxx else "gcc"):
        return [path]
    return [find_zig(), "c++" if cxx else "cc"]


def _run(argv: list[str], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "LC_ALL": "C", **env},
    )


def build_libraries(directory: Path) -> None:
    """Build the libraries of a case that was written to a directory."""
    for side in ("old", "new"):
        for source in sorted((directory / side / "src").glob("*.c*")):
            text = source.read_text(encoding="utf-8")
            named = _SONAME.search(text)
            soname = named[1] if named else "libcase.so.1"
            output = directory / side / "lib" / soname
            output.parent.mkdir(exist_ok=True)
            flags = [f"-Wl,-soname,{soname}", "-Wl,--no-as-needed"]
            if (versions := source.with_suffix(".map")).is_file():
                flags.append(f"-Wl,--version-script={versions}")
            flags += _FLAGS.findall(text)
            # A library may need one before it.
            before = [str(p) for p in sorted(output.parent.glob("*.so*")) if p != output]
            argv = [
                *compiler(cxx=source.suffix == ".cc"),
                "-shared",
                "-fPIC",
                "-g",
                "-w",
                "-Iinclude",
                "-I.",
                *flags,
                "-o",
                str(output),
                str(source),
                *before,
            ]
            done = _run(argv, directory / side)
            if done.returncode:
                raise RuntimeError(f"{source} does not build: {done.stderr}")


def truth(directory: Path) -> tuple[str, ...]:
    """The axes on which the client breaks, in a directory where the case was written and its libraries were built.

    Raises:
        RuntimeError: the client does not even build with the old version.
    """
    found = set()
    for file in sorted((directory / "client").iterdir()):
        cxx = file.suffix == ".cc"
        if not _compiles(directory, "old", file, cxx=cxx):
            raise RuntimeError(f"{file} does not build with the old version")
        if not _compiles(directory, "new", file, cxx=cxx):
            found.add("binary" if file.stem == "values" else "source")
        if (directory / "old/lib").is_dir() and file.stem == "client" and not _starts(directory, file):
            found.add("binary")
    return tuple(axis for axis in ("source", "binary") if axis in found)


def _includes(directory: Path, side: str) -> list[str]:
    root = directory / side
    roots = [d for d in (root / "include", root / "usr/include") if d.is_dir()]
    return [f"-I{d}" for d in roots or [root]]


def _libraries(directory: Path, side: str) -> list[str]:
    return [str(p) for p in sorted((directory / side / "lib").glob("*.so*"))]


def _compiles(directory: Path, side: str, file: Path, *, cxx: bool) -> bool:
    libraries = _libraries(directory, side) if file.stem == "client" else []
    output = directory / f"{file.stem}-{side}"
    program = bool(libraries)
    flags = _FLAGS.findall(file.read_text(encoding="utf-8"))
    argv = [
        *compiler(cxx=cxx),
        *(() if cxx else _STRICT),
        *flags,
        *_includes(directory, side),
        str(file),
        "-o",
        str(output),
    ]
    argv += libraries if program else ["-c"]
    if program:
        argv += [f"-Wl,-rpath-link,{directory / side / 'lib'}"]
    return _run(argv, directory).returncode == 0


def _starts(directory: Path, file: Path) -> bool:
    """Whether a program that was linked with the old library says the same with the new one."""
    program = directory / f"{file.stem}-old"
    said = [
        _run([str(program)], directory, LD_LIBRARY_PATH=str(directory / side / "lib"), LD_BIND_NOW="1")
        for side in ("old", "new")
    ]
    return said[0].returncode == said[1].returncode and said[0].stdout == said[1].stdout
