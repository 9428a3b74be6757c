"""The files that a build or a reader of sources can come to see: what is named, and what that names in turn.

The lists are made by looking at texts, without a compiler. They may hold more than one build reads (every branch of an
``#if``); a build is given these files and no others, so that it cannot read more.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

_INCLUDE = re.compile(rb'^[ \t]*#[ \t]*(?:include|include_next|import)[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)
_EMBED = re.compile(rb'^[ \t]*#[ \t]*embed[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)

_INCBIN = re.compile(rb'\.(?:incbin|include)[\s\\]*"([^"\\\n]+)')
"""GNU as, .incbin and .include; in C they stand in a string, whose quotes are escaped."""

_NAMED = re.compile(rb'^[ \t]*#[ \t]*define[ \t]+\w+[ \t]+(?:"([^"\n]+)"|<([^>\n]+)>)[ \t]*(?:/[/*].*)?$', re.MULTILINE)
"""A macro that can stand for the name of a header, as in ``#include FT_FREETYPE_H``."""

_ASKED = re.compile(rb'__has_(?:include|include_next|embed)[ \t]*\([ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)')
"""A file that a source asks about: whether it is there makes another program, though it is not read."""

_COMPUTED = re.compile(
    rb"^[ \t]*#[ \t]*(?:include|include_next|import|embed)[ \t]+([A-Za-z_]\w*)[ \t]*(\(?)"
    rb"|__has_(?:include|include_next|embed)[ \t]*\([ \t]*([A-Za-z_]\w*)[ \t]*(\(?)",
    re.MULTILINE,
)
"""A header whose name a macro makes (C11, 6.10.2): a plain one, or one with arguments."""

_MACRO = re.compile(rb'^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+["<]', re.MULTILINE)

_SCRIPT = re.compile(r"--?(?:version-script|dynamic-list)=(.+)")
"""Options of the linker that name a file (ld(1))."""

_REPLACE = re.compile(r"^\s*(?:replace\b[^=\n]*|[^\s/(][^=\n]*)=>\s*\"?([^\s\"]+)\"?\s*(?://.*)?$", re.MULTILINE)
"""Go modules reference, replace directive; without a version the right side is a directory."""

_USE = re.compile(r"^\s*(?:use\s+)?\"?(\.{1,2}(?:/[^\s\"]*)?)\"?\s*(?://.*)?$", re.MULTILINE)

_SRCDIR = re.compile(rb"\$\{SRCDIR\}(/[^\s\"'*]*)")
"""Where a #cgo line names a place relative to its file (cmd/cgo)."""

SOURCES = frozenset(
    {".go", ".c", ".h", ".s", ".S", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".inc", ".inl", ".ipp", ".m"}
)
"""Suffixes of files that may include others: those of C, C++ and assembler."""

_HEADERS = frozenset({".h", ".hh", ".hpp", ".hxx", ".inc", ".inl", ".ipp", ".tcc", ".def"})
"""Suffixes of files that sources include."""

UNSEEN = frozenset({".git", ".hg", ".svn", ".xc"})
"""Directories that no build reads: version control, and this suite's reports at their default place."""


def walk(place: Path, unseen: Iterable[Path] = (), within: Path | None = None) -> Iterator[Path]:
    """Every regular file at or below ``place``, sorted, through links to directories too; each directory once.

    Args:
        unseen: files that are left out.
        within: no link to a directory outside of it is followed: one to the root leads through all of the host.

    Raises:
        OSError: a directory cannot be read.
    """
    left_out = frozenset(unseen)
    if not _is_directory(place):
        if _is_file(place) and place not in left_out:
            yield place
        return
    seen = {place.resolve()}
    waiting = [place]
    while waiting:
        directory = waiting.pop()
        below = []
        with os.scandir(directory) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            path = directory / name
            if _is_directory(path):
                out = path.is_symlink() and leaves(path, within)
                if name not in UNSEEN and not out and (real := path.resolve()) not in seen:
                    seen.add(real)
                    below.append(path)
            elif _is_file(path) and path not in left_out:
                yield path
        waiting += reversed(below)


def _is_file(path: Path) -> bool:
    """Whether it is a file; what a source names may be no name at all, and then it is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_directory(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def include_dirs(flags: Iterable[str], here: Path, base: Path) -> list[Path]:
    """The directories that flags of a C compiler search for headers.

    Args:
        here: the first source's directory, which flags may call ``{here}``.
        base: the directory that relative ones start from.
    """
    words = [word.replace("{here}", str(here)) for word in flags]
    found = []
    for index, word in enumerate(words):
        for flag in ("-I", "-iquote", "-isystem", "-idirafter", "-include", "-imacros"):
            if word == flag and index + 1 < len(words):
                found.append(Path(words[index + 1]))
            elif word.startswith(flag) and len(word) > len(flag):
                found.append(Path(word[len(flag) :].lstrip("=")))
    # -include names a file: where it stands is where it is looked for.
    places = [base / place for place in found]
    return [place if _is_directory(place) else place.parent for place in places]


def forced_includes(flags: Sequence[str], here: Path, base: Path) -> list[Path]:
    """The files that flags include into every source, and those that they hand to the linker."""
    words = [word.replace("{here}", str(here)) for word in flags]
    found = [base / after for word, after in itertools.pairwise(words) if word in ("-include", "-imacros")]
    for word in words:
        of_linker = word.split(",")[1:] if word.startswith("-Wl,") else [word]
        found += [base / match[1] for match in map(_SCRIPT.fullmatch, of_linker) if match]
    return [path for path in found if _is_file(path)]


def linked(flags: Iterable[str], here: Path, base: Path) -> list[Path]:
    """The libraries that ``-l`` names, in each directory that ``-L`` names (ld(1))."""
    words = [word.replace("{here}", str(here)) for word in flags]
    found: dict[str, list[str]] = {"-L": [], "-l": []}
    for word, after in itertools.zip_longest(words, words[1:], fillvalue=""):
        for flag, names in found.items():
            if word == flag:
                names.append(after)
            elif word.startswith(flag):
                names.append(word[2:].lstrip("=") if flag == "-L" else word[2:])
    files = [[name[1:]] if name.startswith(":") else [f"lib{name}.so", f"lib{name}.a"] for name in found["-l"]]
    places = [base / place / file for place in found["-L"] for each in files for file in each]
    return [path for path in dict.fromkeys(map(_normal, places)) if _is_file(path)]


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path))


def included(
    sources: Iterable[Path],
    dirs: Iterable[Path],
    within: Path | None = None,
    outside: Callable[[Path, bool], object] = lambda _named, _data: None,
) -> list[Path]:
    """The sources, and what they include, directly or not, sorted.

    A name is looked for beside the file that includes it, beside each source, and in ``dirs``; all that is found counts.
    System headers are not found there and are not listed. Where a macro makes a name that no text tells, every header
    in ``dirs`` and beside the sources counts: which of them is meant, the compiler alone knows.

    Args:
        within: nothing outside of it is listed, whether a name or a link leads there.
        outside: told of what is not listed for that, and whether it is taken in as data.
    """
    first, dirs = list(sources), list(dirs)
    # Compilers run in ``within``: what an assembler is to take in may be named from there.
    places = list(dict.fromkeys([*dirs, *(source.parent for source in first), *([within] if within else [])]))
    found: dict[Path, None] = {}
    waiting = list(first)
    taken_in: set[Path] = set()
    computed: set[bytes] = set()
    named: set[bytes] = set()
    searched = False
    while True:
        if not waiting:
            if searched or not computed - named:
                break
            searched = True
            headers = {
                path for place in [*dirs, *(source.parent for source in first)] for path in _headers(place, within)
            }
            waiting = sorted(headers - found.keys())
            continue
        path = waiting.pop()
        if path in found:
            continue
        found[path] = None
        if path in taken_in and path.suffix not in SOURCES:
            continue
        text = path.read_bytes()
        joined = text.replace(b"\\\n", b"")
        data = [*_INCBIN.findall(text), *(a or b for a, b in _EMBED.findall(joined))]
        asked = (*_INCLUDE.findall(joined), *_NAMED.findall(joined), *_ASKED.findall(joined))
        names = [a or b for a, b in asked]
        named.update(_MACRO.findall(joined))
        # One with arguments is never told by its text.
        computed.update((a or b) + (c or d) for a, c, b, d in _COMPUTED.findall(joined))
        for name in (*names, *data):
            relative = os.fsdecode(name)
            for place in (path.parent, *places):
                candidate = Path(os.path.normpath(place / relative))
                if not _is_file(candidate):
                    continue
                if leaves(candidate, within):
                    outside(candidate, name in data)
                    continue
                waiting.append(candidate)
                if name in data:
                    taken_in.add(candidate)
    return sorted(found)


def _headers(place: Path, within: Path | None) -> Iterator[Path]:
    """The headers below a directory of ``within``; without bounds none, for there is no telling how much that would be."""
    if within is None or leaves(place, within):
        return
    for directory, names, files in os.walk(os.path.normpath(place)):
        names[:] = [name for name in names if name not in UNSEEN]
        paths = (Path(directory, name) for name in files)
        yield from (path for path in paths if path.suffix in _HEADERS and _is_file(path) and not leaves(path, within))


def leaves(path: Path, within: Path | None) -> bool:
    """Whether a file is not in ``within`` by its name, or by what links lead to."""
    return within is not None and not (path.is_relative_to(within) and path.resolve().is_relative_to(within.resolve()))


def of_go(module: Path, within: Path | None = None, unseen: Iterable[Path] = ()) -> list[Path]:
    """The files that a Go module is built from, sorted: its own, those of local replacements, and what cgo names beside them.

    Args:
        module: its directory, or one of a package of it.
        within: nothing outside of it is listed.
    """
    module = go_root(module, within) or module
    # A replacement that leads out is not walked: it may be the root of the host.
    inside = [place for place in (module, *go_directories(module)) if not leaves(place, within)]
    found = {path for place in inside for path in walk(place, unseen, within)}
    named: set[Path] = set()
    for path in [p for p in found if p.suffix == ".go"]:
        for place in _SRCDIR.findall(path.read_bytes()):
            beside = Path(os.path.normpath(path.parent / os.fsdecode(place).lstrip("/")))
            # -L names a directory; what stands in it may all be linked.
            if not beside.is_relative_to(module) and (within is None or beside.is_relative_to(within)):
                named.add(beside)
    found.update(
        path for place in named if _is_file(place) or _is_directory(place) for path in walk(place, unseen, within)
    )
    dirs = [place for place in named if _is_directory(place)]
    found.update(included([p for p in found if p.suffix in SOURCES], dirs, within))
    return sorted(path for path in found if not leaves(path, within))


def go_root(directory: Path, within: Path | None = None) -> Path | None:
    """The nearest directory with a go.mod, this one or one above; None where there is none (``within`` that directory)."""
    for place in (directory, *directory.parents):
        if (place / "go.mod").is_file():
            return place
        if place == within:
            return None
    return None


def go_directories(module: Path) -> list[Path]:
    """The directories beside a Go module that it is built from: local replacements, theirs too, and those of a go.work.

    Returns them in the order in which they are found, without ``module`` itself.
    """
    found: dict[Path, None] = {}
    waiting = [module]
    while waiting:
        directory = waiting.pop()
        named: list[str] = []
        if (mod := directory / "go.mod").is_file():
            named += _REPLACE.findall(mod.read_text(encoding="utf-8", errors="replace"))
        if (work := directory / "go.work").is_file():
            text = work.read_text(encoding="utf-8", errors="replace")
            named += _REPLACE.findall(text) + _USE.findall(text)
        for name in named:
            if not name.startswith((".", "/")):
                continue
            place = Path(os.path.normpath(directory / name))
            if _is_directory(place) and place != module and place not in found:
                found[place] = None
                waiting.append(place)
    return list(found)
