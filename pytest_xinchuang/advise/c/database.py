"""Translation units from ``compile_commands.json``, which CMake, meson, Bear and others write."""

from __future__ import annotations

import itertools
import json
import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pytest_xinchuang.advise.c.units import Language, Unit, language_of
from pytest_xinchuang.advise.c.words import PATHS
from pytest_xinchuang.advise.tree import SourceTree

NAME = "compile_commands.json"
LARGEST = 256 << 20
"""Bytes of such a file: Chromium's has some 150 MB."""
MOST_UNITS = 60_000
"""Units that are taken from one tree."""
_MOST_WORDS = 20_000
"""Words of one command, with what response files hold."""
_LANGUAGES = {"c": Language.C, "c++": Language.CXX, "assembler": Language.ASSEMBLER,
              "assembler-with-cpp": Language.ASSEMBLER_WITH_CPP}  # fmt: skip


def databases(tree: SourceTree) -> list[str]:
    """The files of this name in a tree, those nearest to the root first."""
    return sorted(tree.named(NAME), key=lambda name: (name.count("/"), name))


def units_in(tree: SourceTree, names: Sequence[str]) -> tuple[tuple[Unit, ...], int]:
    """The units of such files, each source once, and how many entries could not be understood.

    An entry of an earlier file goes before one of a later. Paths of the machine where the file was made are brought back to the
    tree: by the directory under which most of its sources would lie.
    """
    found: dict[tuple[str, Language], Unit] = {}
    lost = 0
    for name in names:
        entries = _entries(tree, name)
        if entries is None:
            lost += 1
            continue
        foreign = _foreign_root(tree, name, entries)
        for entry in entries[:MOST_UNITS]:
            unit = _unit(tree, name, entry, foreign)
            if unit is None:
                lost += 1
            else:
                found.setdefault((unit.source, unit.language), unit)
    return tuple(found.values()), lost


def _entries(tree: SourceTree, name: str) -> list[Any] | None:
    path = tree.root / name
    try:
        if path.stat().st_size > LARGEST:
            return None
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return data if isinstance(data, list) else None


def _place(tree: SourceTree, name: str, entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """The absolute directory and source of an entry, as the file says."""
    directory, source = entry.get("directory", ""), entry.get("file")
    if not isinstance(directory, str) or not isinstance(source, str) or "\0" in directory + source or not source:
        return None
    if not directory.startswith("/"):
        directory = str((tree.root / name).parent / directory)
    return os.path.normpath(directory), os.path.normpath(f"{directory}/{source}" if source[0] != "/" else source)


def _foreign_root(tree: SourceTree, name: str, entries: list[Any]) -> str:
    """The directory of another machine that the tree's root stands for; "" where paths are of this one."""
    roots: Counter[str] = Counter()
    for entry in entries[:2000]:
        place = _place(tree, name, entry) if isinstance(entry, dict) else None
        if place is None:
            continue
        if (tree.relative(place[1]) or "") in tree:
            return ""
        parts = PurePosixPath(place[1]).parts
        # The longest end of the path that is a file of the tree.
        for start in range(1, len(parts)):
            if "/".join(parts[start:]) in tree:
                roots[str(PurePosixPath(*parts[:start]))] += 1
                break
    return roots.most_common(1)[0][0] if roots else ""


def _unit(tree: SourceTree, name: str, entry: Any, foreign: str) -> Unit | None:
    if not isinstance(entry, dict) or (place := _place(tree, name, entry)) is None:
        return None
    words = _command(entry)
    if words is None:
        return None

    def home(path: str) -> str:
        return str(tree.root / os.path.relpath(path, foreign)) if foreign and _below(path, foreign) else path

    directory, source = home(place[0]), home(place[1])
    inside = tree.relative(source)
    if inside is None or inside not in tree:
        if not Path(source).is_file():
            return None  # a build makes it, and it is not there
        inside = source
    words = _expanded(tree, directory, words)
    own = list(_own(words, str(entry["file"]), directory, home))
    told = next((_LANGUAGES.get(v) for o, v in itertools.pairwise(words) if o == "-x"), None)
    compiler = PurePosixPath(words[0]).name if words else ""
    by_suffix = language_of(inside)
    if by_suffix is Language.C and ("++" in compiler):
        by_suffix = Language.CXX
    language = told or by_suffix
    if language is None:
        return None
    at = tree.relative(directory)
    return Unit(inside, directory if at is None else at.removeprefix("."), tuple(own), language)


def _below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _command(entry: Mapping[str, Any]) -> list[str] | None:
    arguments, command = entry.get("arguments"), entry.get("command")
    if isinstance(arguments, list) and all(isinstance(word, str) for word in arguments):
        return [str(word) for word in arguments]
    if isinstance(command, str):
        try:
            return shlex.split(command)
        except ValueError:
            return None
    return None


def _expanded(tree: SourceTree, directory: str, words: Sequence[str]) -> list[str]:
    """Words with those of response files in their place (GCC manual, ``@file``)."""
    found: list[str] = []
    for word in words:
        inside = tree.relative(word[1:], directory) if word.startswith("@") else None
        text = tree.text(inside) if inside is not None and inside in tree else None
        if text is None:
            found.append(word)
            continue
        try:
            found += [w for w in shlex.split(text) if not w.startswith("@")]
        except ValueError:
            found.append(word)
    return found[:_MOST_WORDS]


def _own(words: Sequence[str], source: str, directory: str, home: Any) -> Iterator[str]:
    """The flags alone, with whole paths: without the compiler, what starts it, and the source."""
    path = False
    begun = False
    skip = False
    for word in words:
        if skip:
            skip = False
        elif path:
            yield home(os.path.normpath(PurePosixPath(directory, word)))
            path = False
        elif word in ("-o", "-x"):
            begun = skip = True
        elif word.startswith("-"):
            begun = True
            option = next((o for o in sorted(PATHS, key=len, reverse=True) if word.startswith(o)), None)
            value = word[len(option) :] if option else ""
            if option and not value:
                yield word
                path = True
            elif option and word not in ("-I-", "-include-pch") and not value.startswith("="):
                yield option
                yield home(os.path.normpath(PurePosixPath(directory, value)))
            else:
                yield word
        elif begun and word != source:
            yield word  # the value of the flag before it
