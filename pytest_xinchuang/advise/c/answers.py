"""Answers of compilers, kept between runs. One holds as long as every file that the compiler read is as it was, and none has
appeared that it would have found first."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_xinchuang.advise.c.diagnostics import Answer, Diagnostic, Place
from pytest_xinchuang.advise.c.units import Unit
from pytest_xinchuang.advise.tree import SourceTree
from pytest_xinchuang.advise.triple import Triple

_FORM = 3
"""Changes with what is kept."""

_MADE = (".o", ".lo", ".obj", ".a", ".la", ".so", ".d", ".pyc", ".dwo", ".gcno", ".gcda", ".log", ".tmp")
"""Ends of names of what builds make and no source includes: such a file may appear, and nothing else changes."""

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*(?:include|include_next|import)[ \t]*[<"]([^">\n]+)[">]', re.MULTILINE)
_ASKED = re.compile(r'__has_(?:include|include_next|embed)[ \t]*\([ \t]*[<"]([^">\n]+)[">]')

LARGEST = 256 << 20
"""Bytes of a file that an answer may depend on and be kept."""

_SCRATCH = "{scratch}/"
"""Stands for the scratch directory, which is another one in each run."""

HOST_HEADERS = "/usr/include"
"""Where this host keeps headers, beside those of zig."""


class Answers:
    """A directory of answers.

    Args:
        directory: None: nothing is kept.
        scratch: a directory of this run's own: what is read of it is named by its place there.
    """

    def __init__(self, tree: SourceTree, directory: Path | None, scratch: Path) -> None:
        self._tree, self._scratch = tree, f"{scratch}/"
        self._directory = None if directory is None else directory / "c"
        self._digests: dict[str, str | None] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._there = hashlib.sha256("\0".join(f for f in tree.files if not f.endswith(_MADE)).encode()).hexdigest()

    def key(self, parts: list[object]) -> str:
        """The name of an answer: what was asked, and which files the tree has."""
        return hashlib.sha256(json.dumps([_FORM, self._there, parts]).encode()).hexdigest()

    def load(self, key: str, unit: Unit, triple: Triple) -> Answer | None:
        """An answer that still holds."""
        if self._directory is None:
            return None
        place = self._directory / key[:2] / key
        try:
            data = json.loads(place.read_text(encoding="utf-8"))
            read, absent = data["read"], data["absent"]
            if any(self._digest(name) != digest for name, digest in read.items()):
                return None
            if any(os.path.lexists(path) for path in absent):
                return None
            packed = place.with_suffix(".out").read_bytes() if data["written"] else b""
            if packed and hashlib.sha256(packed).hexdigest() != data["written"]:
                return None
            output = zlib.decompress(packed) if packed else b""
            said = tuple(_diagnostic(d) for d in data["said"])
            names = tuple(name.replace(_SCRATCH, self._scratch) for name in read)
            return Answer(unit, triple, bool(data["ok"]), said, output, names, bool(data["made"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, zlib.error):
            return None

    def store(self, key: str, answer: Answer) -> None:
        """Keep an answer; what cannot be written is not kept."""
        if self._directory is None:
            return
        names = [name.replace(self._scratch, _SCRATCH) for name in answer.read]
        read = {name: self._digest(name) for name in names}
        if None in read.values():
            return  # it has changed while it was compiled, or was read from where we do not see
        packed = zlib.compress(answer.output, 1) if answer.output else b""
        data = {
            "ok": answer.ok,
            "made": answer.made,
            "said": [asdict(d) for d in answer.diagnostics],
            "read": read,
            "absent": self._absent(answer),
            "written": hashlib.sha256(packed).hexdigest() if packed else "",
        }
        place = self._directory / key[:2] / key
        with contextlib.suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            if packed:
                _write(place.with_suffix(".out"), packed)
            _write(place, json.dumps(data, ensure_ascii=False).encode())

    def _absent(self, answer: Answer) -> list[str]:
        """Headers of this host that would be found if they were there: those that are named and that it did not read."""
        names: set[str] = set()
        for file in answer.read:
            names.update(self._named(file))
        paths = (os.path.normpath(f"{HOST_HEADERS}/{name}") for name in names)
        return sorted(path for path in paths if not os.path.lexists(path))

    def _named(self, file: str) -> tuple[str, ...]:
        if file not in self._names:
            text = "" if file.startswith("/") else self._tree.text(file) or ""
            self._names[file] = tuple({*_INCLUDE.findall(text), *_ASKED.findall(text)})
        return self._names[file]

    def _digest(self, name: str) -> str | None:
        """The digest of a file; None for one that is not there, or is no file of a source's size."""
        if name not in self._digests:
            self._digests[name] = _digest_of(self._tree.root / name.replace(_SCRATCH, self._scratch))
        return self._digests[name]


def _digest_of(path: Path) -> str | None:
    try:
        # Sources name what they like, as /dev/zero.
        if not path.is_file() or path.stat().st_size > LARGEST:
            return None
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError):
        return None


def _diagnostic(data: dict[str, Any]) -> Diagnostic:
    place, included, notes = data["place"], data["included"], data["notes"]
    return Diagnostic(
        data["severity"],
        Place(**place),
        data["text"],
        data["option"],
        tuple(Place(**p) for p in included),
        tuple(Place(**p) for p in notes),
    )


def _write(place: Path, data: bytes) -> None:
    """Write a file that appears whole."""
    handle, name = tempfile.mkstemp(dir=place.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.replace(name, place)  # noqa: PTH105
