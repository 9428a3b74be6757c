"""What a library in C is delivered as: headers below their include paths, shared libraries, and pkg-config's files."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from pytest_xinchuang.core.errors import ToolchainFault, XcError
from pytest_xinchuang.messages import _
from pytest_xinchuang.toolchain.builder import find_zig

TRIPLES = {
    "linux/amd64": ("x86_64-linux-gnu", "x86"),
    "linux/arm64": ("aarch64-linux-gnu", "aarch64"),
    "linux/loong64": ("loongarch64-linux-gnu", "loongarch"),
}
"""Target -> clang's triple, and what zig calls its headers."""

C_SUFFIXES, CXX_SUFFIXES = (".h",), (".hh", ".hpp", ".hxx", ".h++")
"""Headers of C (which C++ may include as well), and of C++ alone."""

_INCLUDE_DIRECTORIES = ("usr/include", "usr/local/include", "include")
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9_.]+)\}")
_MOST_EXPANSIONS = 64
"""Steps that variables of a pkg-config file are followed: those of real ones are a handful deep."""


@dataclass(frozen=True)
class Delivered:
    """One version of a library as its users get it.

    Attributes:
        place: the directory.
        roots: include paths below it, the deepest first; a client names a header from the first that holds it.
        headers: those that are read, one of a name; some may be links to others.
    """

    place: Path
    roots: tuple[Path, ...]
    headers: tuple[Path, ...]

    def name(self, header: Path) -> str:
        """What a client writes between ``<`` and ``>``."""
        root = next((root for root in self.roots if header.is_relative_to(root)), self.place)
        return header.relative_to(root).as_posix()

    @property
    def every(self) -> tuple[Path, ...]:
        """All headers below the place: one that is read may include any of them."""
        suffixes = (*C_SUFFIXES, *CXX_SUFFIXES)
        return tuple(p for p in sorted(self.place.rglob("*")) if p.suffix in suffixes and p.is_file())

    @cached_property
    def libraries(self) -> tuple[Path, ...]:
        """Shared libraries, each once: the names that link to them are left out."""
        return tuple(
            path
            for path in sorted(self.place.rglob("*"))
            if re.search(r"\.so(\.[0-9A-Za-z.-]+)?$", path.name) and path.is_file() and not path.is_symlink()
        )

    @property
    def paths(self) -> list[str]:
        """The compiler's options for the include paths."""
        return [f"-I{root}" for root in self.roots]


def delivered(place: Path) -> Delivered:
    """What a directory delivers, or one header of it.

    Raises:
        XcError: there is no header in it.
    """
    place = place.resolve()
    if place.is_file():
        return Delivered(place.parent, (place.parent,), (place,))
    suffixes = (*C_SUFFIXES, *CXX_SUFFIXES)
    headers = tuple(
        p
        for p in sorted(place.rglob("*"))
        if p.suffix in suffixes and p.is_file() and p.resolve().is_relative_to(place) and not _documents(place, p)
    )
    if not headers:
        raise XcError(
            _("{root}: there is no header in it", root=place),
            mend=_("name the directory of the headers that are delivered"),
        )
    roots = {d for p in sorted(place.rglob("*.pc")) if p.is_file() for d in _package_paths(place, p)}
    for name in _INCLUDE_DIRECTORIES:
        directory = place / name
        if directory.is_dir():
            roots |= {directory, *(d for d in directory.glob("*-linux-gnu*") if d.is_dir())}
    if any(not any(h.is_relative_to(root) for root in roots) for h in headers):
        roots.add(place)
    found = Delivered(place, tuple(sorted(roots, key=lambda r: (-len(r.parts), r))), headers)
    # The same name below two include paths is the header of the first.
    first: dict[str, Path] = {}
    for root in (*found.roots, place):
        for header in headers:
            if header.is_relative_to(root):
                first.setdefault(found.name(header), header)
    return replace(found, headers=tuple(sorted(first.values())))


def _documents(place: Path, header: Path) -> bool:
    """Whether it is part of an example in the documentation, which no include path leads to (FHS 3.0, 4.11.1)."""
    parts = header.relative_to(place).parts
    return any(pair == ("share", "doc") for pair in pairwise(parts))


def _package_paths(place: Path, file: Path) -> list[Path]:
    """The ``-I`` of a pkg-config file that lead into what is delivered (pc(5))."""
    variables = {"pcfiledir": str(file.parent)}
    flags = ""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        if match := re.match(r"\s*([A-Za-z0-9_.]+)\s*=\s*(.*?)\s*$", line):
            variables.setdefault(match[1], match[2])
        elif match := re.match(r"\s*C[Ff]lags\s*:\s*(.*)$", line):
            flags += " " + match[1]
    for _step in range(_MOST_EXPANSIONS):
        expanded = _VARIABLE.sub(lambda m: variables.get(m[1], ""), flags)
        if expanded == flags or len(expanded) > 1 << 16:
            break
        flags = expanded
    found = []
    for path in re.findall(r"-I\s*(\S+)", flags):
        below = place / path.strip('"').lstrip("/")
        named = Path(path.strip('"'))
        for one in (named, below):
            if one.is_absolute() and _is_below(one, place):
                found.append(one.resolve())
                break
        else:
            found += _moved(place, named)
    return found


def _moved(place: Path, path: Path) -> list[Path]:
    """Where a path of an installation is when only a part of it, such as ``include/``, was taken along."""
    parts = path.parts[1:] if path.is_absolute() else path.parts
    candidates = (place.joinpath(*parts[n:]) for n in range(1, len(parts)))
    return next(([c.resolve()] for c in candidates if _is_below(c, place)), [])


def _is_below(path: Path, place: Path) -> bool:
    """Whether it is a directory there; what no file system can have is none."""
    try:
        return path.is_dir() and path.resolve().is_relative_to(place)
    except (OSError, ValueError):
        return False


def system_headers(name: str) -> list[str]:
    """glibc's and the kernel's headers for an architecture, as zig carries them; none where zig is not installed."""
    try:
        lib = Path(find_zig()).parent / "lib"
    except ToolchainFault:
        return []
    places = [
        lib / "include",
        *(
            lib / "libc/include" / d
            for d in (f"{name}-linux-gnu", "generic-glibc", f"{name}-linux-any", "any-linux-any")
        ),
    ]
    # The oldest glibc of the platforms graded here: what only newer ones declare is not there.
    return ["-nostdinc", "-D__GLIBC_MINOR__=28", *(word for p in places if p.is_dir() for word in ("-isystem", str(p)))]


STANDARD = "".join(
    f"#include <{name}.h>\n"
    for name in ("errno", "limits", "stdarg", "stddef", "stdint", "stdio", "stdlib", "string", "time")
)
"""Headers of the standard (C17 7.1.2) that programs have included before a header that does not stand by itself."""


def included(header: str, *, standard: bool, usual: str = STANDARD) -> str:
    """The first lines of a client of a header.

    Args:
        header: with its angle brackets.
        standard: after the standard's headers.
        usual: the lines that include these.
    """
    return f"{usual if standard else ''}#include {header}\n"


def arguments(source: Delivered, target: str, flags: tuple[str, ...], *, cxx: bool) -> list[str]:
    """How clang reads headers for a target; without limits on what it complains of."""
    triple, name = TRIPLES[target]
    # Headers of C in C++: those of the C++ library are for other compilers than libclang.
    system = system_headers(name)
    language = ["-x", "c++", "-std=gnu++17"] if cxx else ["-x", "c", "-std=gnu17"]
    return [*language, f"--target={triple}", "-ferror-limit=0", "-fno-spell-checking", *system, *source.paths, *flags]
