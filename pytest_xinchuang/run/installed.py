"""Installed distributions: what their files are, against what their records say."""

from __future__ import annotations

import base64
import contextlib
import csv
import functools
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from pytest_xinchuang.core import resources
from pytest_xinchuang.core.sealed import SUITE
from pytest_xinchuang.core.surroundings import Installed

PACKAGE = Path(__file__).resolve().parent.parent
_MADE = ("__pycache__", ".pyc", ".pyo")
"""What Python makes of sources as it runs."""
_OF_INSTALLERS = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")


_Stat = tuple[int, int, int, int, int]
_digests: dict[str, tuple[_Stat, str]] = {}
"""What files are, as long as the system says that nobody has written to them."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A file of a distribution's record.

    Attributes:
        name: as the record has it.
        path: where it is.
        digest: SHA-256 in hexadecimal, as :func:`digest_of` writes it; "" for another algorithm; None: there is none.
    """

    name: str
    path: str
    digest: str | None


def digest_of(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal; "" where it cannot be read."""
    place = os.fspath(path)
    try:
        seen = os.stat(place)  # noqa: PTH116  (thousands at the end of each run)
        stat = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
        known = _digests.get(place)
        if known is None or known[0] != stat:
            with open(place, "rb") as file:  # noqa: PTH123
                known = _digests[place] = (stat, hashlib.file_digest(file, "sha256").hexdigest())
        return known[1]
    except OSError:
        return ""


def by_name() -> dict[str, Distribution]:
    """The distributions of the import path; where two have one name, the first is imported."""
    found: dict[str, Distribution] = {}
    for distribution in distributions():
        name = header(distribution, "Name")
        if name:
            found.setdefault(normal(name), distribution)
    return found


def header(distribution: Distribution, name: str) -> str:
    """A field of a distribution's metadata, "" where it has none. What else stands there is read and not parsed."""
    return next(iter(_fields(_metadata(distribution), name)), "")


def _metadata(distribution: Distribution) -> str:
    # "": an .egg-info that is a file, as importlib.metadata knows it.
    return next(filter(None, map(distribution.read_text, ("METADATA", "PKG-INFO", ""))), "")


@functools.lru_cache(maxsize=1024)
def _fields(metadata: str, name: str) -> tuple[str, ...]:
    found = re.findall(rf"^{name}:(.*)$", metadata.partition("\n\n")[0], re.MULTILINE | re.IGNORECASE)
    return tuple(field.strip() for field in found)


def normal(name: str) -> str:
    """A name as PEP 503 compares it."""
    return name.lower().replace("_", "-").replace(".", "-")


def needed(root: str, known: dict[str, Distribution]) -> list[str]:
    """A distribution and those that it cannot do without, directly or through others."""
    found: list[str] = []
    left = [root]
    while left:
        name = left.pop()
        if name in found or name not in known:
            continue
        found.append(name)
        metadata = _metadata(known[name])
        # Where the metadata is older than that field, an installer has written the requirements beside it.
        texts = _fields(metadata, "Requires-Dist") or known[name].requires or ()
        left += filter(None, map(_wanted, texts))
    return found


@functools.lru_cache(maxsize=1024)
def _wanted(text: str) -> str:
    """The name of what a distribution cannot do without; "" where it can, or where it is told in no way that is known."""
    with contextlib.suppress(InvalidRequirement):
        wanted = Requirement(text)
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            return normal(wanted.name)
    return ""


def files_of(distribution: Distribution) -> Sequence[Recorded]:
    """What a distribution's record names; without one, what its installer has left in its place."""
    text = distribution.read_text("RECORD")
    if text is None:
        return [Recorded(str(file), str(file.locate()), None) for file in distribution.files or ()]
    return _lines(text, str(distribution.locate_file("")))


@functools.lru_cache(maxsize=64)
def _lines(record: str, base: str) -> tuple[Recorded, ...]:
    rows = (row for row in csv.reader(record.splitlines()) if row)
    return tuple(
        Recorded(row[0], row[0] if row[0].startswith("/") else f"{base}/{row[0]}", _hexadecimal("".join(row[1:2])))
        for row in rows
    )


def look_at(distribution: Distribution) -> Installed:
    """A distribution against its record."""
    digests: dict[str, str] = {}
    changed: list[str] = []
    for file in files_of(distribution):
        if file.digest is None or _is_made(file.name) or file.name.rpartition("/")[2] in _OF_INSTALLERS:
            continue
        seen = digests[file.name] = digest_of(file.path)
        if not seen or seen != file.digest:
            changed.append(file.name)
    name, version = header(distribution, "Name"), header(distribution, "Version")
    return _installed(name, version, digests, changed, record=bool(digests))


def suite(known: dict[str, Distribution]) -> Installed:
    """The files of this very suite, which need not be those of the distribution of its name."""
    distribution = known.get(SUITE)
    version = header(distribution, "Version") if distribution else ""
    recorded: dict[str, str] = {}
    if distribution:
        # An installer may link to the files themselves: each counts by its own name.
        base = os.path.realpath(str(distribution.locate_file("")))
        for file in files_of(distribution):
            if file.digest is not None and not _is_made(file.name):
                recorded[os.path.normpath(f"{base}/{file.name}")] = file.digest
    digests = {path: digest_of(path) for path in _suite_paths()}
    above = f"{PACKAGE.parent}/"
    names = {path: path.removeprefix(above) for path in digests}
    record = str(PACKAGE / "__init__.py") in recorded
    changed: list[str] = []
    if record:
        changed = [names[path] for path, seen in digests.items() if recorded.get(path) != seen]
        ours = f"{PACKAGE}/"
        missing = [path for path in recorded if path.startswith(ours) and path not in digests]
        changed += [path.removeprefix(above) for path in missing]
    return _installed(SUITE, version, {names[p]: d for p, d in digests.items()}, changed, record=record)


def suite_files() -> Iterator[Path]:
    """Every file of the suite, as it is installed or checked out."""
    return map(Path, _suite_paths())


def _suite_paths() -> Iterator[str]:
    places = dict.fromkeys((PACKAGE, resources.conformance_dir(), resources.fixtures_dir()))
    seen: set[str] = set()
    for place in (*places, resources.platforms_file()):
        for path in _below(str(place)):
            if path not in seen:
                seen.add(path)
                yield path


def _below(place: str) -> Iterator[str]:
    """Every file at or below a place, sorted, but for what Python makes."""
    if not os.path.isdir(place):  # noqa: PTH112
        yield place
        return
    for directory, names, files in os.walk(place):
        names[:] = sorted(name for name in names if name != _MADE[0])
        yield from (f"{directory}/{name}" for name in sorted(files) if not name.endswith(_MADE[1:]))


def _is_made(name: str) -> bool:
    return _MADE[0] in name.split("/") or name.endswith(_MADE[1:])


def _hexadecimal(spec: str) -> str | None:
    """The digest of a line of a record, ``sha256=...``, as :func:`digest_of` writes it."""
    if not spec:
        return None
    mode, _equals, text = spec.partition("=")
    if mode != "sha256":
        return ""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex()
    except ValueError:
        return ""


def _installed(name: str, version: str, digests: dict[str, str], changed: Iterable[str], *, record: bool) -> Installed:
    lines = "".join(f"{file}\0{digest}\n" for file, digest in sorted(digests.items()))
    return Installed(
        name=normal(name),
        version=version,
        digest=hashlib.sha256(lines.encode()).hexdigest(),
        files=len(digests),
        record=record,
        changed=tuple(sorted(changed))[:50],
    )
