"""Translation units of a tree that does not say how it is built: each source is one, and headers are found where they lie."""

from __future__ import annotations

import functools
import os
import re
from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath

from pytest_xinchuang.advise.c.units import Unit, language_of, of_c
from pytest_xinchuang.advise.tree import SourceTree

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|include_next|import)[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)
MOST_FILES = 600
"""Headers that are followed from one source."""


class Guess:
    """The units of a tree, guessed.

    Args:
        lib: the directory of zig's headers: a header that libc has is libc's, whatever lies in the tree.
        popular: of several headers of one name, that one is taken whose directory has most of what the whole tree asks for; by
            default the one that lies nearest to who asks.
    """

    def __init__(self, tree: SourceTree, lib: Path, *, popular: bool = False) -> None:
        self._tree, self._lib, self._popular = tree, lib, popular
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for name in tree.files:
            self._by_name[name.rpartition("/")[2]].append(name)

    def units(self) -> tuple[Unit, ...]:
        """Each source, those that others include among them."""
        return tuple(self.unit(name) for name in of_c(self._tree.files) if language_of(name))

    @functools.cached_property
    def parts(self) -> frozenset[str]:
        """Sources that other files include: they may be parts of these alone, or units of their own too."""
        names = [name for name in self._tree.files if _may_include(name)]
        return frozenset(f for name in names for f in self._included(name).values() if f and language_of(f))

    @functools.cached_property
    def _asked(self) -> Counter[str]:
        """Directory -> how many headers are asked for that it may be the place of."""
        found: Counter[str] = Counter()
        for name in self._tree.files:
            if _may_include(name):
                for header in dict.fromkeys(q or a for q, a in _INCLUDE.findall(self._tree.text(name) or "")):
                    plain = os.path.normpath(header)
                    found.update(f.removesuffix(plain) for f in self._ends(plain))
        return found

    def unit(self, source: str) -> Unit:
        """A source as a unit."""
        language = language_of(source)
        assert language is not None
        words: list[str] = []
        seen = {source}
        waiting = [source]
        directories: dict[str, None] = {}
        while waiting and len(seen) < MOST_FILES:
            name = waiting.pop(0)
            for header, found in self._included(name).items():
                if found is None or found in seen:
                    continue
                seen.add(found)
                waiting.append(found)
                beside = os.path.normpath(f"{name.rpartition('/')[0]}/{header}".lstrip("/"))
                if beside != found:
                    directories[found.removesuffix(os.path.normpath(header)).rstrip("/")] = None
        for directory in directories:
            # Behind libc's headers: a guess never takes their place.
            words += ["-idirafter", str(self._tree.root / directory)]
        return Unit(source, "", tuple(words), language)

    @functools.lru_cache(None)  # noqa: B019 - a guess lives as long as the survey
    def _included(self, name: str) -> dict[str, str | None]:
        """The headers that a file names -> the files of the tree that they are; None: they are not the tree's."""
        found: dict[str, str | None] = {}
        for quoted, angled in _INCLUDE.findall(self._tree.text(name) or ""):
            header = quoted or angled
            if "\0" not in header and header not in found:
                found[header] = self._found(name, header, own=bool(quoted))
        return found

    def _found(self, name: str, header: str, *, own: bool) -> str | None:
        place = name.rpartition("/")[0]
        plain = os.path.normpath(header)
        beside = os.path.normpath(f"{place}/{header}".lstrip("/"))
        if own and beside in self._tree:
            return beside
        if self._of_libc(header):
            return None
        weight = self._asked if self._popular else Counter[str]()
        order = functools.partial(_order, name=name, plain=plain, weight=weight)
        return max(self._ends(plain), key=order, default=None)

    def _ends(self, plain: str) -> list[str]:
        """The files whose names end so."""
        return [f for f in self._by_name.get(plain.rpartition("/")[2], ()) if f == plain or f.endswith(f"/{plain}")]

    @functools.lru_cache(None)  # noqa: B019
    def _of_libc(self, header: str) -> bool:
        libc = self._lib / "libc/include"
        places = [libc / "generic-glibc", libc / "any-linux-any", libc / "x86-linux-gnu", libc / "x86-linux-any"]
        places += [self._lib / "include", self._lib / "libcxx/include"]
        return any((place / header).is_file() for place in places)


def _may_include(name: str) -> bool:
    return name.rpartition(".")[2].lower() in (
        "c",
        "cc",
        "cpp",
        "cxx",
        "c++",
        "h",
        "hh",
        "hpp",
        "hxx",
        "inc",
        "inl",
        "s",
        "sx",
    )


def _order(file: str, name: str, plain: str, weight: Counter[str]) -> tuple[int, int, int, str]:
    return weight[file.removesuffix(plain)], _alike(file, name), -file.count("/"), file


def _alike(one: str, other: str) -> int:
    """How many directories two names begin with together."""
    return len(PurePosixPath(os.path.commonpath([f"/{one}", f"/{other}"])).parts)
